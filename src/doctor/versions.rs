//! The versions of etcd whose starts are known.

use crate::etcd::apply::Version;

/// The newest patches that the predictions were tried on.
pub const NEWEST: [Version; 4] =
    [Version::new(3, 4, 23), Version::new(3, 5, 35), Version::new(3, 6, 16), LATEST];
/// The newest of them.
pub const LATEST: Version = Version::new(3, 7, 3);

/// Versions whose starts were compared with real ones, of real directories.
const TRIED: [Version; 9] = [
    Version::new(3, 4, 23),
    Version::new(3, 5, 1),
    Version::new(3, 5, 21),
    Version::new(3, 5, 35),
    Version::new(3, 6, 14),
    Version::new(3, 6, 16),
    Version::new(3, 7, 1),
    Version::new(3, 7, 3),
    Version::new(3, 8, 0),
];

/// The last patch of each minor whose source was read.
pub(super) const READ: [Version; 4] =
    [Version::new(3, 4, 45), Version::new(3, 5, 35), Version::new(3, 6, 16), Version::new(3, 7, 3)];

/// Whether starts of this very version were compared with real ones.
pub fn was_tried(version: Version) -> bool {
    TRIED.contains(&version)
}
