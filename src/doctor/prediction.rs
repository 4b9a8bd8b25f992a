//! What becomes of a start.

use crate::etcd::apply::Version;

use super::trouble::Trouble;

/// Whether a member serves its clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Starts {
    Yes,
    /// It ends, with a message.
    No,
    /// It runs, and answers nobody.
    Silent,
    /// Its directory alone does not decide it.
    Undecided,
}

/// What an etcd of a version does with a member's directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prediction {
    pub version: Version,
    pub starts: Starts,
    /// What is in its way.
    pub trouble: Option<Trouble>,
    /// The message that it ends with, or repeats; `…` for what can't be known.
    pub message: Option<String>,
    /// The last entry that it reads of the log; `None` where it does not come so far.
    pub last_index: Option<u64>,
    /// The current revision once it serves; `None` where it does not, or where that can't be known.
    pub revision: Option<i64>,
    /// Whether it accepts writes.
    pub takes_writes: Option<bool>,
    /// Why something of this is not known, or is so.
    pub why: Option<String>,
    /// Whether something is wrong with the directory that others would have to make good.
    pub needs_others: bool,
    /// What the start changes in the directory, beside what is usual.
    pub changes: Vec<String>,
}

impl Prediction {
    pub(super) fn of(version: Version) -> Self {
        Self {
            version,
            starts: Starts::Yes,
            trouble: None,
            message: None,
            last_index: None,
            revision: None,
            takes_writes: None,
            why: None,
            needs_others: false,
            changes: Vec::new(),
        }
    }

    pub(super) fn refused(version: Version, trouble: Trouble, message: String, why: String) -> Self {
        Self {
            starts: Starts::No,
            trouble: Some(trouble),
            message: Some(message),
            why: Some(why),
            ..Self::of(version)
        }
    }
}
