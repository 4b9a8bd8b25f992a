//! What a db was unpacked from, and the log that came out of the same archive.

#![warn(missing_docs)]

use std::path::PathBuf;

use crate::bolt::open::Mapping;
use crate::etcd::trailer::Trailer;
use crate::member::message::Snapshot;

/// A packed file: what came out of it, and where that is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packed {
    /// The path of the db in the archives that it was in; empty where there was none.
    pub member: String,
    /// Whether the 32 bytes at its end are the SHA-256 of the rest; `None` where that was not looked at on the way.
    pub trailer: Option<Trailer>,
    /// The folder that the unpacked file is in, without a name.
    pub folder: PathBuf,
    /// Whether that folder is in memory.
    pub in_memory: bool,
}

/// The files of a log that came out of an archive, and what belongs to them.
#[derive(Clone, Debug, Default)]
pub struct UnpackedLog {
    /// The folder that they are in, in the archive.
    pub folder: String,
    pub(super) files: Vec<(String, Mapping)>,
    /// Copies that a repair by etcd made.
    pub(super) broken: Vec<(String, Mapping)>,
    /// The heads of the `.snap` files that can be read.
    pub(super) snaps: Vec<Snapshot>,
    /// The dbs that came from a leader, by the index of their snapshot.
    pub(super) received: Vec<u64>,
    /// The first file of it that can't be read, and why.
    pub(super) unread: Option<(String, String)>,
}

impl UnpackedLog {
    /// Whether there is more of it than its place.
    #[cfg(feature = "packed")]
    #[must_use]
    pub fn has_segments(&self) -> bool {
        !self.files.is_empty() || self.unread.is_some()
    }

    /// Bytes of its files.
    #[cfg(feature = "packed")]
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let files = self.files.iter().chain(&self.broken);
        files.map(|(_, file)| file.as_ref().len() as u64).fold(0, u64::saturating_add)
    }
}
