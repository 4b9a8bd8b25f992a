//! What a salvage is asked to do.

#![warn(missing_docs)]

use std::path::PathBuf;

use crate::copy::Layout;

/// What is to be done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SalvageRequest {
    /// Where the copy goes.
    pub target: PathBuf,
    /// Whether to replace what stands there.
    pub force: bool,
    /// How much is believed.
    pub trust: Trust,
    /// Whether to turn authentication off in the copy.
    pub disable_auth: bool,
    /// How the copy is laid out.
    pub layout: Layout,
    /// Whether to append a SHA-256, as snapshots have it.
    pub snapshot: bool,
    /// Whether to do nothing but search.
    pub dry_run: bool,
    /// Whether to copy first what a failing disk still gives.
    pub disk_errors: bool,
    /// Whether to read although a program may be writing to the file.
    pub without_lock: bool,
}

impl SalvageRequest {
    /// A copy at this path, which nothing has yet, of what nothing speaks against.
    pub fn to(target: impl Into<PathBuf>) -> Self {
        Self {
            target: target.into(),
            force: false,
            trust: Trust::Usual,
            disable_auth: false,
            layout: Layout::default(),
            snapshot: false,
            dry_run: false,
            disk_errors: false,
            without_lock: false,
        }
    }
}

/// How much is believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Trust {
    /// What is sure: orphans that a compaction may have removed are left out.
    Strict,
    /// What nothing speaks against.
    #[default]
    Usual,
    /// All that can be read: what was deleted comes back to life.
    BestEffort,
}
