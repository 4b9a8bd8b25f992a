//! What a salvage is asked to do.

#![warn(missing_docs)]

use std::path::PathBuf;

use crate::copy::Layout;
use crate::etcd::apply::Version;
use crate::input::OpenOptions;

/// What is to be done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SalvageRequest {
    /// Where the copy goes.
    pub target: PathBuf,
    /// Whether to replace a file that is there.
    pub force: bool,
    /// Which finds are taken.
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
    /// Where the member's log is, if not beside the db.
    pub log: Option<PathBuf>,
    /// If that is an archive: the db in it beside which the log is.
    pub log_member: Option<String>,
    /// The version of etcd that wrote the log, if it is known.
    pub version: Option<Version>,
    /// How the file is opened.
    pub open: OpenOptions,
}

impl SalvageRequest {
    /// A copy at this path, which must be free, with [`Trust::Usual`].
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
            log: None,
            log_member: None,
            version: None,
            open: OpenOptions::default(),
        }
    }
}

/// Which finds are taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Trust {
    /// Only what is certain: orphans that a compaction may have removed are left out.
    Strict,
    /// All but what was shown to be deleted.
    #[default]
    Usual,
    /// All that can be read, deleted keys among it.
    BestEffort,
}
