//! How far a member's db is in the log beside it: what etcd applies at its next start, or can't.
//!
//! Only what that takes is read of the log: the names of its segments, and those from the one on that has the db's own entry, which is
//! usually the last. Nothing before it is needed at a start, unless a segment is missing, which the names say.

use std::path::Path;

use serde::Serialize;

use crate::etcd::schema::State;
use crate::input::LogFiles;
use crate::input::beside::DbPlace;
use crate::input::log_error::LogError;
use crate::log::broken::{BrokenCopy, broken_copies};
use crate::member::fault::LogFaultKind;
use crate::member::message::Snapshot;
use crate::member::{Log, LogFault, ReadLog, Stretch};
use crate::text::{ByteText, shown};
use crate::units::count;

/// How far a db is in its member's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LogStatus {
    /// The folder of the log.
    pub path: ByteText,
    /// What that means for a start.
    pub state: LogState,
    /// The last entry that the db has the effect of; 0 where it says none.
    pub consistent_index: u64,
    /// The first entry of the log, by the names of its segments; 0 for none.
    pub first_index: u64,
    /// The last entry that can be read; 0 for none.
    pub last_index: u64,
    /// Entries that the db lacks: etcd applies them at its next start, unless something is wrong.
    pub db_lacks: u64,
    /// Entries that the log lacks: the db has the effect of them, or they come before the next one that the log has.
    pub log_lacks: u64,
    /// What is wrong, for people; `null` for nothing.
    pub problem: Option<String>,
    /// Copies that etcd made when it repaired the log, with whole records that it cut off.
    pub broken_copies: Vec<BrokenCopy>,
}

/// What a log means for a start of etcd.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LogState {
    /// The db is where the log ends.
    Applied,
    /// The log goes on beyond the db: no problem.
    GoesOn,
    /// There is no log.
    Missing,
    /// The log ends before the db's own entry.
    EndsBefore,
    /// Entries are missing between the db's own and the next one, or a segment is.
    Gap,
    /// A part that was read is damaged.
    Damaged,
    /// The db is older than the snapshot that etcd begins with.
    OlderThanSnapshot,
    /// The term of the db's own entry differs: they are not of one history.
    OtherHistory,
}

impl LogStatus {
    /// Of a db in a member's folder, or with a log that is named; `None` for any other. A `live` one may be written to meanwhile.
    pub fn of(db: DbPlace<'_>, state: &State<'_>, wal_dir: Option<&Path>, live: bool) -> Option<Self> {
        state.key_bucket.as_ref()?;
        let index = state.consistent_index.unwrap_or(0);
        Some(match db.log_files(wal_dir)? {
            Ok(files) => Self::of_files(&files, state, live),
            Err(LogError::Missing { folder }) => Self::missing(&folder, index),
            Err(error) => {
                let problem = (LogState::Damaged, error.to_string());
                Self::with(error.path(), index, (0, 0), Some(problem))
            }
        })
    }

    fn of_files(files: &LogFiles, state: &State<'_>, live: bool) -> Self {
        let index = state.consistent_index.unwrap_or(0);
        let log = needed(files, index);
        let first = files.first_index();
        let fault = log.faults.iter().find_map(of_fault);
        let last = log.log.last_index();
        let problem = missing_segment(files)
            .or_else(|| begins_later(index, first))
            .or_else(|| fault.filter(|(state, _)| *state != LogState::Damaged || !live))
            .or_else(|| other_history(&log.log, state))
            .or_else(|| ends_before(index, last))
            .or_else(|| older_than_snapshot(&log.log, files, state));
        let last = match problem {
            // what comes after it is not read by etcd
            Some((LogState::Damaged, _)) => log.stretches.first().map_or(0, Stretch::last_index),
            _ => last,
        };
        let broken_copies = if files.has_broken() { broken_copies(files, &files.read()) } else { Vec::new() };
        Self { broken_copies, ..Self::with(&files.folder, index, (first, last), problem) }
    }

    fn missing(folder: &Path, index: u64) -> Self {
        let text = format!(
            "there is no log in {}. etcd would take this for a new member, and answer no write; from 3.6 on it would answer \
             nothing at all. If it runs with --wal-dir, name that folder with --wal-dir",
            shown(folder)
        );
        Self::with(folder, index, (0, 0), Some((LogState::Missing, text)))
    }

    fn with(
        folder: &Path,
        index: u64,
        (first_index, last_index): (u64, u64),
        problem: Option<(LogState, String)>,
    ) -> Self {
        let goes_on = if last_index > index { LogState::GoesOn } else { LogState::Applied };
        let between = first_index.saturating_sub(index).saturating_sub(1);
        Self {
            path: folder.into(),
            state: problem.as_ref().map_or(goes_on, |(state, _)| *state),
            consistent_index: index,
            first_index,
            last_index,
            db_lacks: last_index.saturating_sub(index),
            log_lacks: index.saturating_sub(last_index).max(between),
            problem: problem.map(|(_, text)| text),
            broken_copies: Vec::new(),
        }
    }

    /// In a few words; `None` where the db is where the log ends.
    pub fn verdict(&self) -> Option<String> {
        Some(match self.state {
            LogState::Applied => return None,
            LogState::GoesOn => format!("{} only in the log", count(self.db_lacks, "entry")),
            LogState::Missing => "NO LOG".to_owned(),
            LogState::EndsBefore => format!("LOG LACKS {}", count(self.log_lacks, "entry")),
            LogState::Gap => "LOG HAS A GAP".to_owned(),
            LogState::Damaged => "LOG DAMAGED".to_owned(),
            LogState::OlderThanSnapshot => "OLDER THAN ITS LOG'S SNAPSHOT".to_owned(),
            LogState::OtherHistory => "LOG OF ANOTHER HISTORY".to_owned(),
        })
    }
}

/// What is needed of a log: from the db's own entry on, and as far back as a snapshot is named that it begins with.
fn needed(files: &LogFiles, index: u64) -> ReadLog<'_> {
    let mut segments = files.num_needed(index);
    loop {
        let log = ReadLog::read(&files.newest(segments));
        let lacks_beginning =
            log.faults.iter().any(|fault| matches!(fault.kind, LogFaultKind::NoBeginning { .. }));
        if !lacks_beginning || segments >= files.num_segments() {
            return log;
        }
        segments = segments.saturating_add(1);
    }
}

type Problem = Option<(LogState, String)>;

/// etcd reads all segments at its start, one after the other.
fn missing_segment(files: &LogFiles) -> Problem {
    let missing = files.missing_segment()?;
    Some((LogState::Gap, format!("segment {missing} of the log is missing: etcd does not start")))
}

fn begins_later(index: u64, first: u64) -> Problem {
    (first > index.saturating_add(1)).then(|| gap_between(index, first))
}

fn gap_between(last: u64, found: u64) -> (LogState, String) {
    let text = format!(
        "the log goes on with entry {found} after {last}: those between are missing, and etcd does not start"
    );
    (LogState::Gap, text)
}

/// What etcd can't read, or reads only after it dropped something. A file that ends without zeros is as a repair leaves it.
fn of_fault(fault: &LogFault) -> Problem {
    Some(match fault.kind {
        LogFaultKind::EndNotMarked => return None,
        LogFaultKind::Gap { last, found } => gap_between(last, found),
        LogFaultKind::NoBeginning { .. } | LogFaultKind::MissingSegment { .. } => {
            (LogState::Gap, fault.to_string())
        }
        _ => (LogState::Damaged, fault.to_string()),
    })
}

fn other_history(log: &Log, state: &State<'_>) -> Problem {
    let index = state.consistent_index?;
    let (of_db, of_log) = (state.term?, log.term_at(index)?);
    (of_db != of_log).then(|| {
        let text = format!(
            "entry {index} is of term {of_db} by the db, and of term {of_log} in the log: they are not of one history"
        );
        (LogState::OtherHistory, text)
    })
}

fn ends_before(index: u64, last: u64) -> Problem {
    (last < index).then(|| {
        let text = format!(
            "the log ends at entry {last}, and the db has the effect of entries up to {index}: up to 3.5, etcd starts and \
             answers no write; from 3.6 on it answers nothing"
        );
        (LogState::EndsBefore, text)
    })
}

/// etcd begins with the newest snapshot of the log that was committed: up to 3.6 with the newest `.snap` that is one of these. A db
/// before it needs the one that came with it (`server/etcdserver/bootstrap.go`, `recoverSnapshot`).
fn older_than_snapshot(log: &Log, files: &LogFiles, state: &State<'_>) -> Problem {
    let index = state.consistent_index.unwrap_or(0);
    let is_file = |record: &&Snapshot| {
        let same = |snap: &Snapshot| (snap.index, snap.term) == (record.index, record.term);
        state.cluster_minor().is_some_and(|minor| minor > 6) || files.snaps.iter().any(same)
    };
    let committed = log.snapshots.iter().filter(|record| record.index <= log.state.commit);
    let newest = committed.filter(is_file).map(|record| record.index).max()?;
    (newest > index && !files.has_received(newest)).then(|| {
        let text = format!(
            "etcd begins with the snapshot of entry {newest}, and the db has the effect of entries up to {index} only: it does \
             not start"
        );
        (LogState::OlderThanSnapshot, text)
    })
}
