//! A member's db whose log goes beyond it, changed where the log ends: the entries that the db lacks are applied first, as etcd would
//! apply them at its next start. Then etcd finds none that it would decide anew.

use crate::bolt::Db;
use crate::bolt::fault::Findings;
use crate::bolt::write::EntrySource;
use crate::copy::Progress;
use crate::copy::proof::{self, Mismatch};
use crate::etcd::apply::alarms::Alarms;
use crate::etcd::hash;
use crate::etcd::schema::{Alarm, KEY_BUCKET, State};
use crate::input::{DbFile, LogFiles};
use crate::replay::compact::{Dropped, NewRecords, compact};
use crate::replay::content::{Content, NewRecord};
use crate::replay::document::KnownBy;
use crate::replay::document::Point;
use crate::replay::error::ReplayError;
use crate::replay::run::warnings;
use crate::replay::start::Start;
use crate::replay::steps::StepTally;

use super::changes::{ChangeError, Changes, Revisions};
use super::content::{Omitted, OmittedKey};
use super::outcome::{AppliedTail, Verification};

/// A db at the end of its member's log.
pub struct Forward<'a> {
    db: &'a Db,
    start: Start<'a>,
    records: Vec<NewRecord<'a>>,
    /// What compactions of the log dropped.
    dropped: Dropped,
    pub applied: AppliedTail,
    /// What the small buckets say there.
    pub state: State<'a>,
    pub revisions: Revisions,
    pub harmless: Findings,
    pub warnings: Vec<String>,
}

/// What a copy of it is to hold.
pub struct Changed<'a> {
    pub content: Content<'a>,
    pub omitted: Omitted<'a>,
}

/// Why the entries can't be applied.
pub enum Hindrance {
    /// The db is damaged: this is the first fault.
    Damaged(String),
    Other(String),
}

impl<'a> Forward<'a> {
    /// Reads a db and its log, and applies the entries up to the last one.
    ///
    /// # Errors
    /// The effect of an entry is not known for sure.
    pub fn read(source: &'a DbFile, log: &'a LogFiles, progress: Progress<'_>) -> Result<Self, Hindrance> {
        let mut start = Start::read(&source.db, log, None, progress.advance)?;
        let last = start.log.log.last_index();
        if start.committed < last {
            return Err(Hindrance::Other(format!(
                "the entries after {} may not have been committed, and another leader may replace them",
                start.committed
            )));
        }
        let from = Point::of(&start.machine);
        let mut records = start.records();

        let tally = start.run(last, Some(&mut records))?;
        check_sure(&start, &tally)?;
        let applied = AppliedTail {
            from,
            to: Point::of(&start.machine),
            entries: tally.entries,
            writes: tally.writes,
            refused: tally.refused,
            records: records.added,
        };
        start.compact(&mut records);
        let NewRecords { list: records, dropped, .. } = records;
        let state = State { alarms: alarms(start.machine.alarms.iter()), ..State::read(&source.db) };
        let store = &start.machine.store;
        let revisions = Revisions {
            current: store.revision,
            compact: store.compact_revision,
            unfinished: state.scheduled_compact_revision > state.finished_compact_revision,
        };
        let harmless = std::mem::take(&mut start.base.harmless);
        let warnings = warnings(&start, &tally);
        let db = &source.db;
        Ok(Self { db, start, records, dropped, applied, state, revisions, harmless, warnings })
    }

    /// Changes it.
    ///
    /// # Errors
    /// [`ChangeError::Unplaced`].
    pub fn change(mut self, changes: &Changes<'a>) -> Result<Changed<'a>, ChangeError> {
        if let Some(offset) = self.unplaced() {
            return Err(ChangeError::Unplaced { offset });
        }
        let mut omitted = Omitted {
            source_records: self.start.base.entries(KEY_BUCKET).len() as u64,
            superseded: self.dropped.superseded,
            tombstones: self.dropped.tombstones,
            ..Omitted::default()
        };
        self.records.retain(|record| {
            let is_left_out = changes.leaves_out(record.key());
            if is_left_out {
                omitted.keys.entry(record.key()).or_default().add(omitted_key(record));
            }
            !is_left_out
        });
        if let Some(revision) = changes.compaction() {
            let dropped = compact(&mut self.records, revision, true);
            omitted.superseded = omitted.superseded.saturating_add(dropped.superseded);
            omitted.tombstones = omitted.tombstones.saturating_add(dropped.tombstones);
            self.start.machine.store.compact_revision = revision;
        }
        let set = self.start.machine.alarms.iter();
        let (disarmed, raised): (Vec<_>, Vec<_>) =
            set.partition(|&(alarm, member_id)| changes.disarms(&Alarm { member_id, alarm }));
        omitted.alarms = alarms(disarmed.into_iter());
        self.start.machine.alarms = Alarms::of(raised);
        Ok(Changed { content: self.start.content(self.records), omitted })
    }

    /// Where the first entry is that is no record with a readable key: what the log's entries do may depend on it.
    fn unplaced(&self) -> Option<u64> {
        self.records.iter().find_map(|record| match record {
            NewRecord::Held(held) if !held.is_record() => self.db.offset_in_file(held.key),
            _ => None,
        })
    }
}

fn alarms(set: impl Iterator<Item = (i32, u64)>) -> Vec<Alarm> {
    set.map(|(alarm, member_id)| Alarm { member_id, alarm }).collect()
}

fn omitted_key(record: &NewRecord<'_>) -> OmittedKey {
    let place = record.place();
    OmittedKey {
        records: 1,
        bytes: record.own_bytes(),
        mod_revision: place.map_or(0, |place| place.revision.main),
        live: place.is_some_and(|place| !place.tombstone),
    }
}

/// Refuses entries whose effect depends on what is not known: a wrong guess could not be taken back.
fn check_sure(start: &Start<'_>, tally: &StepTally) -> Result<(), Hindrance> {
    if tally.by_nested_cost > 0 && start.writer.known_by == KnownBy::MinorVersion {
        return Err(Hindrance::Other(format!(
            "{} of these entries are refused by some patches of etcd 3.{}, and not by others, and nothing shows which one \
             wrote the log",
            tally.by_nested_cost, start.writer.version.minor
        )));
    }
    if tally.by_alarms > 0 {
        return Err(Hindrance::Other(format!(
            "{} of these entries came while alarms of both kinds were set: up to etcd 3.5, what is refused then depends on \
             when the member was started",
            tally.by_alarms
        )));
    }
    Ok(())
}

/// Compares a copy with what it is to hold.
///
/// # Errors
/// The first difference.
pub fn prove(content: &Content<'_>, copy: &Db, progress: Progress<'_>) -> Result<Verification, Mismatch> {
    (progress.begin)("verifying", copy.file_size());
    proof::against(content, copy, progress.advance)?;
    let entries =
        content.buckets().iter().map(|bucket| bucket.entries.end.saturating_sub(bucket.entries.start));
    Ok(Verification {
        buckets: content.buckets().len() as u64,
        entries: entries.fold(0, u64::saturating_add),
        hash_kv: hash::hash_kv_of(copy, &State::read(copy)),
    })
}

impl From<ReplayError> for Hindrance {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::BaseDamaged(first) => Self::Damaged(first),
            ReplayError::Unsupported { index, why } => {
                Self::Other(format!("entry {index} can't be applied: {why}"))
            }
            other => Self::Other(other.to_string()),
        }
    }
}
