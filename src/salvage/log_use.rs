//! What a salvage says of the log.

use serde::Serialize;

use crate::text::ByteText;

use super::covered::Beginning;

/// What the log gave.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LogUse {
    /// The folder of the log.
    pub path: ByteText,
    /// Its first entry; 0 for none.
    pub first_index: u64,
    /// Its last.
    pub last_index: u64,
    /// Where what it says of the db begins; `null` where nothing was taken from it.
    pub from: Option<Beginning>,
    /// Why nothing was; `null` where something was.
    pub unused_because: Option<String>,
    /// The entry that the copy is at, where the log decided it; else `null`.
    pub index: Option<u64>,
    /// Records that the db had in another form than the log wrote them: the log's were taken.
    pub replaced: u64,
    /// Revisions that more than one entry may have made: nothing was taken for them.
    pub unsure_revisions: u64,
    /// Whether it gave all that was missing.
    pub completes: bool,
}
