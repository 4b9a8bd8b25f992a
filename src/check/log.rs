//! A db held against the log of its member.

use serde::Serialize;

use crate::etcd::apply::Version;
use crate::input::{DbFile, LogFiles};
use crate::log::broken::{BrokenCopy, broken_copies};
use crate::replay::base::Base;
use crate::replay::beyond::last_effect;
use crate::replay::compare::{Compared, compare};
use crate::replay::difference::Difference;
use crate::replay::error::ReplayError;
use crate::replay::writer::possible_rules;
use crate::text::ByteText;

/// How a db compares with the log of its member. The values have no checksum in a db: only this finds a record that was changed in one
/// member, without the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LogComparison {
    /// The folder of the log.
    pub path: ByteText,
    /// Records that the log covers: each was compared with what its entry wrote.
    pub covered_records: u64,
    /// Records that it does not: what was before it, in a gap of it, or before the last compaction.
    pub not_covered_records: u64,
    /// The first revision that it covers; 0 for none.
    pub first_revision: i64,
    /// The revisions that it covers, as first and last: those from the first entry on up to a gap in the log, and those that the entries
    /// after it were found to have made.
    pub covered_revisions: Vec<[i64; 2]>,
    /// The first 100 records that are not what was written.
    pub differing: Vec<DifferingRecord>,
    /// Records that differ from one entry, and may have been written by another: no fault. They are among those that are not covered.
    pub uncertain_records: u64,
    /// Entries that the db does not have the effect of yet.
    pub pending_entries: u64,
    /// The last entry that the db has the effect of, where that is known to be one after its own index: etcd would apply those between
    /// a second time. `null` where nothing shows it.
    pub effects_beyond: Option<u64>,
    /// What is wrong with the log itself, the first; `null` for nothing.
    pub log_fault: Option<String>,
    /// Copies that etcd made when it repaired the log, with whole records that it cut off.
    pub broken_copies: Vec<BrokenCopy>,
}

/// A record that is not what its entry wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DifferingRecord {
    /// Its revision.
    pub revision: i64,
    /// Its place within that transaction, from 0 on.
    pub sub_revision: i64,
    /// Its key.
    pub key: ByteText,
    /// The entry of the log that wrote it.
    pub index: u64,
    /// What differs: `value`, `lease`, `version`, `create_revision`, `mod_revision`, `tombstone`, or `record` if it can't be read.
    pub what: &'static str,
}

impl From<&Difference<'_>> for DifferingRecord {
    fn from(found: &Difference<'_>) -> Self {
        let Difference { revision, sub, key, index, what } = *found;
        Self { revision, sub_revision: sub, key: key.into(), index, what }
    }
}

/// Compares a db with a log. `version` is that of the etcd that wrote it, if it is known.
///
/// # Errors
/// The db is damaged, or does not say which entry it is at.
pub fn compare_with_log(
    file: &DbFile,
    files: &LogFiles,
    version: Option<Version>,
) -> Result<LogComparison, ReplayError> {
    let base = Base::read(&file.db, &|_| {})?;
    let log = files.read();
    let possible = possible_rules(version, base.state.cluster_minor());
    let (index, effects_beyond) = (base.index, last_effect(&base, &log, &possible));
    let base = Base { index: effects_beyond.unwrap_or(index), ..base };
    let mut compared = Compared::default();
    // which patch wrote the log is not known: by the wrong rules nothing fits
    for &rules in &possible {
        compared = compare(&base, &log, rules);
        if compared.covered > 0 {
            break;
        }
    }
    let Compared { covered, not_covered, revisions, differences, uncertain } = compared;
    Ok(LogComparison {
        path: ByteText::from(files.folder.as_path()),
        covered_records: covered,
        not_covered_records: not_covered,
        first_revision: revisions.first().map_or(0, |[first, _]| *first),
        covered_revisions: revisions,
        differing: differences.iter().map(DifferingRecord::from).collect(),
        uncertain_records: uncertain.len() as u64,
        effects_beyond,
        pending_entries: log.log.last_index().saturating_sub(index),
        log_fault: log.faults.first().map(ToString::to_string),
        broken_copies: broken_copies(files, &log),
    })
}
