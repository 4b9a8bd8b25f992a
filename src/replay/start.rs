//! Where a replay begins: a db and a log of its history, read, and the rules that apply.

use std::cell::RefCell;

use crate::bolt::Db;
use crate::etcd::apply::{Machine, Rules, Version, Written};
use crate::etcd::schema::{KEY_BUCKET, State};
use crate::input::{LogFiles, OpenOptions};
use crate::member::ReadLog;

use super::base::Base;
use super::beyond::last_effect;
use super::compact::NewRecords;
use super::content::{Content, NewRecord};
use super::error::ReplayError;
use super::small;
use super::steps::{self, StepTally};
use super::until;
use super::writer::{self, LogWriter, Witness};

/// A db and a log that go together.
#[derive(Debug)]
pub struct Start<'a> {
    pub base: Base<'a>,
    pub log: ReadLog<'a>,
    /// The state, as far as the entries were applied.
    pub machine: Machine<'a>,
    pub writer: LogWriter,
    /// The last entry that was surely committed.
    pub committed: u64,
}

impl<'a> Start<'a> {
    /// Reads both. `version` is that of the etcd that wrote the log, if it is known.
    ///
    /// # Errors
    /// A db from which no replay can begin; a log of another history.
    pub fn read(
        db: &'a Db,
        files: &'a LogFiles,
        version: Option<Version>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Self, ReplayError> {
        let base = Base::read(db, progress)?;
        let log = files.read();
        check_history(&base, &log)?;
        let rules = writer::possible_rules(version, base.state.cluster_minor());
        if let Some(last) = last_effect(&base, &log, &rules) {
            return Err(ReplayError::EffectsBeyond { index: base.index, last });
        }
        let witness = witness(files);
        let known = base.index.max(witness.map_or(0, |witness| witness.index));
        let mut machine = base.machine(Rules::of(version.unwrap_or(writer::OLDEST)));
        let committed = until::committed(&log, files, known, &machine.members, base.index);
        let writer = writer::find(version, &base.state, &machine, &log, committed, witness)?;
        machine.rules = writer.rules;
        let shortest = witness.and_then(|witness| witness.shortest_lease).into_iter();
        let shortest = shortest.chain(machine.store.leases.values().map(|lease| lease.ttl)).min();
        // a member that granted one for less has a shorter election timeout
        machine.store.min_lease_ttl = machine.store.min_lease_ttl.min(shortest.unwrap_or(i64::MAX)).max(1);
        // likewise, one that has more learners may have them
        let learners = witness.map_or(0, |witness| witness.num_learners);
        machine.members.max_learners = machine.members.max_learners.max(learners);
        Ok(Self { base, log, machine, writer, committed })
    }

    /// The db's own records.
    pub fn records(&self) -> NewRecords<'a> {
        let records = self.base.entries(KEY_BUCKET).iter().copied().map(NewRecord::Held);
        NewRecords::of(records.collect(), self.base.state.compact_revision())
    }

    /// Applies the entries up to one; what they write is added to the records, if these are wanted.
    ///
    /// # Errors
    /// See [`steps::run`].
    pub fn run(
        &mut self,
        until: u64,
        records: Option<&mut NewRecords<'a>>,
    ) -> Result<StepTally, ReplayError> {
        let Self { machine, log, .. } = self;
        match records {
            // nothing but what exists is kept in memory
            None => steps::run(machine, log, until, &mut |_| {}, &mut |_| true),
            Some(records) => {
                let keeps_tombstone = machine.rules.keeps_tombstone_at_compaction;

                let records = RefCell::new(records);
                let mut sink =
                    |written: Written<'a>| records.borrow_mut().add(NewRecord::Changed(written.change));
                let mut look = |step: steps::Step<'_, 'a>| {
                    let revision = step.machine.store.compact_revision;
                    records.borrow_mut().compact_early(revision, keeps_tombstone);
                    true
                };
                steps::run(machine, log, until, &mut sink, &mut look)
            }
        }
    }

    /// Drops the records that a compaction by one of the entries drops, or an earlier one that was cut short.
    pub fn compact(&self, records: &mut NewRecords<'a>) {
        let compact_revision = self.machine.store.compact_revision;
        if compact_revision != self.base.state.finished_compact_revision.unwrap_or(-1) {
            records.compact(compact_revision, self.machine.rules.keeps_tombstone_at_compaction);
        }
    }

    /// What a new db holds that has these records.
    pub fn content(&self, records: Vec<NewRecord<'a>>) -> Content<'a> {
        let key_bucket = self.base.buckets.iter().find(|bucket| bucket.name == KEY_BUCKET);
        let sequence = key_bucket.map_or(0, |bucket| bucket.sequence);
        Content::new(records, sequence, small::buckets(&self.base, &self.machine))
    }
}

/// Refuses a log that can't be of the db's history: by the term of the entry that the db is at, and by the members.
pub(super) fn check_history(base: &Base<'_>, log: &ReadLog<'_>) -> Result<(), ReplayError> {
    let of_log = log.stretch_with(base.index).and_then(|stretch| stretch.term_at(base.index));
    let of_log = of_log.or_else(|| log.log.term_at(base.index));
    if let (Some(of_db), Some(of_log)) = (base.state.term, of_log)
        && of_db != of_log
    {
        let index = base.index;
        let text = format!("entry {index} is of term {of_db} by the db, and of term {of_log} in the log");
        return Err(ReplayError::OtherHistory(text));
    }
    let id = log.log.metadata.node_id;
    let is_known = base.state.members.is_empty()
        || base.state.members.iter().any(|member| member.id.0 == id)
        || log.log.adds(id);
    if is_known {
        return Ok(());
    }
    Err(ReplayError::OtherHistory(format!("it is of member {id:x}, and the db knows no such member")))
}

/// The db beside the log, if it can be read: what its member made of these entries.
fn witness(log: &LogFiles) -> Option<Witness> {
    let options = OpenOptions { lock: crate::bolt::lock::Lock::None, ..OpenOptions::default() };
    let file = log.open_db(&options)?.ok()?;
    let state = State::read(&file.db);
    Some(Witness {
        index: state.consistent_index?,
        revision: state.current_revision(&file.db),
        shortest_lease: state.leases.iter().map(|lease| lease.ttl).min(),
        num_learners: state.members.iter().filter(|member| member.is_learner).count(),
    })
}
