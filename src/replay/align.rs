//! Which entry made which revision of a db.
//!
//! The last entry that the db has the effect of, and its current revision, belong together. So an alignment begins at an earlier point,
//! applies entry after entry to the keys that the db had there, and must meet each revision's set of keys on the way, and the end.
//! Where it may begin:
//!
//! | the log | the point |
//! |---|---|
//! | has all entries | nothing: then it must come to the db's revision, with each of its records |
//! | reaches back to the compact revision | the state at that revision, after an entry that is looked for |
//! | begins later | before its first entry, at a revision that is looked for |
//!
//! Keys decide, never values: a value that differs is the finding. Which leases existed, and sometimes which alarms were in force, is
//! not known; an entry that depends on it may have been refused, and both ways are tried. Where records of a damaged db may be missing,
//! those that are there must be among what the entry wrote.

use crate::etcd::apply::alarms::Alarms;
use crate::etcd::apply::{Change, LiveKey, Machine, Rules, Written};
use crate::etcd::request::{Action, Op, Request};
use crate::etcd::{KeyValue, RecordKey};
use crate::member::Stretch;
use crate::member::message::{EntryData, RaftEntry};
use crate::ranges::Ranges;

use super::base::{Held, live_keys};
use super::difference::{Difference, difference};

/// How often, all in all, an entry is applied in the search, times their number.
const PATIENCE: u64 = 20;

/// HeldRecords that must be what the entries wrote, to the byte, before anything that is missing is taken from later entries.
const MIN_ANCHORS: usize = 3;

/// The records of a db.
#[derive(Clone, Copy, Debug)]
pub struct HeldRecords<'s, 'a> {
    /// Those that are there, in order.
    pub held: &'s [Held<'a>],
    /// Revisions of which records may be missing.
    pub lost: Option<&'s Ranges<i64>>,
}

impl<'s, 'a> HeldRecords<'s, 'a> {
    /// Of a db that lacks none.
    pub fn whole(held: &'s [Held<'a>]) -> Self {
        Self { held, lost: None }
    }

    fn may_lack(&self, revision: i64) -> bool {
        self.lost.is_some_and(|lost| lost.cover(revision, revision))
    }

    /// Whether the state at a revision can be known: no record up to it is missing.
    fn is_whole_up_to(&self, revision: i64) -> bool {
        self.lost.and_then(Ranges::first).is_none_or(|first| revision < first)
    }
}

/// Where an alignment ends.
#[derive(Clone, Copy, Debug)]
pub struct AlignEnd {
    /// With this entry.
    pub index: u64,
    /// At this revision, if that is known.
    pub revision: Option<i64>,
    /// Whether the db has nothing that a later entry wrote.
    pub is_exact: bool,
}

/// An alignment.
#[derive(Debug)]
pub struct Alignment<'a> {
    /// The first record that it covers.
    pub first_record: usize,
    pub first_revision: i64,
    pub differences: Vec<Difference<'a>>,
    /// All that its entries wrote.
    pub changes: Vec<Change<'a>>,
    /// The entry that made the last revision; 0 for none.
    pub newest_by: u64,
}

/// Looks for the entries that made the records, the last one of them this one.
pub struct Aligner<'s, 'a> {
    stretch: &'s Stretch<'a>,
    records: HeldRecords<'s, 'a>,
    machine: Machine<'a>,
    end: AlignEnd,
    /// What is before it is not whole, or not made by these entries.
    lowest: i64,
    /// The last entry at which alarms may have been in force that are not known.
    alarms_until: u64,
    budget: u64,
}

/// How far an alignment is.
#[derive(Clone)]
struct At {
    index: u64,
    /// The first record that was not met.
    next: usize,
    /// Revisions that were made.
    revisions: usize,
    differences: usize,
    alarms: Alarms,
    compact_revision: i64,
    /// HeldRecords that are to the byte what was written, up to the first that is missing.
    anchors: usize,
    /// Whether some are missing.
    lacks: bool,
}

/// What an alignment has done.
#[derive(Default)]
struct Trail<'a> {
    changes: Vec<Written<'a>>,
    /// Where the changes of each revision begin, and the entry that made it.
    revisions: Vec<(usize, u64)>,
    differences: Vec<Difference<'a>>,
}

impl<'a> Trail<'a> {
    fn alignment(&self, first_record: usize, first_revision: i64) -> Alignment<'a> {
        let changes = self.changes.iter().map(|written| written.change).collect();
        let newest_by = self.revisions.last().map_or(0, |(_, index)| *index);
        Alignment { first_record, first_revision, differences: self.differences.clone(), changes, newest_by }
    }
}

impl<'s, 'a> Aligner<'s, 'a> {
    /// `lowest` is the compact revision, or a later one that an earlier entry made; `no_alarms_at` an entry after which none is raised.
    pub fn new(
        stretch: &'s Stretch<'a>,
        records: HeldRecords<'s, 'a>,
        end: AlignEnd,
        lowest: i64,
        rules: Rules,
        no_alarms_at: Option<u64>,
    ) -> Self {
        let mut machine = Machine::empty(rules);
        machine.store.assumes_leases = true;
        let is_alarm = |entry: &RaftEntry<'_>| {
            let EntryData::Request(data) = entry.content else { return false };
            Request::parse(data).is_ok_and(|request| matches!(request.action, Action::Alarm { .. }))
        };
        let alarms_until = no_alarms_at.map_or(u64::MAX, |at| {
            let entries = stretch.entries().take_while(|entry| entry.index <= end.index.max(at));
            let last = entries.filter(is_alarm).last().map_or(0, |entry| entry.index);
            if last <= at { last } else { u64::MAX }
        });
        Self { stretch, records, machine, end, lowest: lowest.max(1), alarms_until, budget: 0 }
    }

    /// An alignment in which this entry did not make this revision.
    pub fn find(&mut self, without: Option<(u64, i64)>) -> Option<Alignment<'a>> {
        let mut found = None;
        self.search(without, &mut |alignment| {
            found = Some(alignment);
            true
        });
        found
    }

    /// All alignments, as far as they are found before patience ends; whether it did not.
    pub fn all(&mut self) -> (Vec<Alignment<'a>>, bool) {
        let mut all = Vec::new();
        self.search(None, &mut |alignment| {
            all.push(alignment);
            false
        });
        (all, self.budget > 0)
    }

    /// Shows each alignment that is found to `take`, until that says it is enough.
    fn search(&mut self, without: Option<(u64, i64)>, take: &mut dyn FnMut(Alignment<'a>) -> bool) {
        let before_first = self.stretch.first_index().saturating_sub(1);
        let entries = self.end.index.saturating_sub(before_first);
        self.budget = entries.saturating_mul(PATIENCE);
        let last_revision = self.last_revision();
        let revisions = last_revision.saturating_sub(self.lowest).unsigned_abs();
        if self.records.is_whole_up_to(self.lowest) {
            self.begin(self.lowest);
            // each revision has an entry of its own
            let newest = self.end.index.saturating_sub(revisions);
            let mut is_found = false;
            for index in (before_first..=newest).rev() {
                let mut see = |alignment| {
                    is_found = true;
                    take(alignment)
                };
                if self.align(index, without, &mut see) {
                    return;
                }
            }
            if is_found {
                return;
            }
        }
        // the log begins later, or with a restore: at the lowest revision that its entries can have begun with, or after it
        let fewest = i64::try_from(entries).unwrap_or(i64::MAX);
        let from = last_revision.saturating_sub(fewest).max(self.lowest);
        self.begin(from);
        for revision in from..=last_revision {
            if !self.records.is_whole_up_to(revision) || self.align(before_first, without, take) {
                return;
            }
            self.step();
        }
    }

    /// The last revision, as far as the records show it.
    fn last_revision(&self) -> i64 {
        let newest = self.records.held.last().and_then(|record| RecordKey::parse(record.key));
        let newest = newest.map_or(self.lowest, |place| place.revision.main.max(self.lowest));
        self.end.revision.unwrap_or(newest)
    }

    /// The state at a revision.
    fn begin(&mut self, revision: i64) {
        let records = self.records.held.get(..self.first_after(revision)).unwrap_or_default();
        self.machine.store.keys = live_keys(records);
        self.machine.store.revision = revision;
    }

    /// The state at the next revision, by the records.
    fn step(&mut self) {
        let first = self.first_after(self.machine.store.revision);
        self.machine.store.revision = self.machine.store.revision.saturating_add(1);
        let end = self.first_after(self.machine.store.revision);
        for record in self.records.held.get(first..end).unwrap_or_default() {
            let tombstone = RecordKey::parse(record.key).is_some_and(|place| place.tombstone);
            match KeyValue::parse(record.value) {
                Ok(kv) if tombstone => {
                    self.machine.store.keys.remove(kv.key);
                }
                Ok(kv) => self.machine.store.keys.put(kv.key, LiveKey::of(&kv)),
                Err(_) => {}
            }
        }
    }

    fn first_after(&self, revision: i64) -> usize {
        self.records.held.partition_point(|record| {
            RecordKey::parse(record.key).is_none_or(|place| place.revision.main <= revision)
        })
    }

    /// Applies the entries after this one, up to the last one. The state is as it was after it. Says whether `take` has enough.
    fn align(
        &mut self,
        index: u64,
        without: Option<(u64, i64)>,
        take: &mut dyn FnMut(Alignment<'a>) -> bool,
    ) -> bool {
        let first_record = self.first_after(self.machine.store.revision);
        let first_revision = self.machine.store.revision.saturating_add(1);
        self.machine.alarms = Alarms::default();
        self.machine.store.compact_revision = -1;
        let mut done = Trail::default();
        let mut at = self.at(index, first_record, &done);
        // entries that were applied, and may have been refused
        let mut choices: Vec<At> = Vec::new();
        let is_enough = loop {
            let is_aligned = self.is_end(&at);
            if is_aligned && take(done.alignment(first_record, first_revision)) {
                break true;
            }
            let goes_on = !is_aligned && at.index < self.end.index;
            if goes_on && self.entry(&mut at, &mut done, &mut choices, without) {
                continue;
            }
            match choices.pop().filter(|_| self.budget > 0) {
                Some(choice) => at = self.back(choice, &mut done),
                None => break false,
            }
        };
        let start = At { revisions: 0, differences: 0, ..at };
        self.back(start, &mut done);
        is_enough
    }

    fn is_end(&self, at: &At) -> bool {
        let revision = self.end.revision.is_none_or(|revision| revision == self.machine.store.revision);
        let all_met = !self.end.is_exact || at.next == self.records.held.len();
        let is_anchored = !at.lacks || at.anchors >= MIN_ANCHORS;
        at.index == self.end.index && revision && all_met && is_anchored
    }

    fn at(&self, index: u64, next: usize, done: &Trail<'a>) -> At {
        At {
            index,
            next,
            revisions: done.revisions.len(),
            differences: done.differences.len(),
            alarms: self.machine.alarms.clone(),
            compact_revision: self.machine.store.compact_revision,
            anchors: 0,
            lacks: false,
        }
    }

    /// Applies the next entry. Says whether it could be.
    fn entry(
        &mut self,
        at: &mut At,
        done: &mut Trail<'a>,
        choices: &mut Vec<At>,
        without: Option<(u64, i64)>,
    ) -> bool {
        self.budget = self.budget.saturating_sub(1);
        let index = at.index.saturating_add(1);
        let Some(entry) = self.stretch.entry(index).filter(|_| self.budget > 0) else { return false };
        let refused = At { index, anchors: at.anchors, lacks: at.lacks, ..self.at(index, at.next, done) };
        at.index = index;
        let EntryData::Request(data) = entry.content else { return true };
        let Ok(request) = Request::parse(data) else { return false };
        let began = done.changes.len();
        let mut sink = |written| done.changes.push(written);
        let Ok(applied) = self.machine.request(&request, &mut sink) else { return false };
        let made = done.changes.get(began..).unwrap_or_default();
        if made.is_empty() {
            return true;
        }
        let is_uncertain = applied.diverges || self.is_uncertain(&request.action, index);
        let revision = self.machine.store.revision;
        let records = self.records.held.get(at.next..).unwrap_or_default();
        let met = met(records, made, self.records.may_lack(revision));
        let Some(met) = met.filter(|_| without != Some((index, revision))) else {
            self.machine.store.undo(made);
            done.changes.truncate(began);
            return is_uncertain;
        };
        let differing = met.iter().filter_map(|(written, record)| {
            let Change { revision, key, .. } = written.change;
            let what = difference(&written.change, record)?;
            Some(Difference { revision: revision.main, sub: revision.sub, key, index, what })
        });
        done.differences.extend(differing);
        done.revisions.push((began, index));
        at.next = at.next.saturating_add(met.len());
        at.lacks |= met.len() < made.len();
        if !at.lacks {
            at.anchors = at
                .anchors
                .saturating_add(met.iter().filter(|(written, record)| is_anchor(written, record)).count());
        }
        if is_uncertain {
            choices.push(refused);
        }
        true
    }

    /// Takes back what was done after a point.
    fn back(&mut self, at: At, done: &mut Trail<'a>) -> At {
        while done.revisions.len() > at.revisions {
            let Some((began, _)) = done.revisions.pop() else { break };
            self.machine.store.undo(done.changes.get(began..).unwrap_or_default());
            done.changes.truncate(began);
        }
        done.differences.truncate(at.differences);
        self.machine.alarms = at.alarms.clone();
        self.machine.store.compact_revision = at.compact_revision;
        at
    }

    /// Whether it depends on what is not known: which leases existed, and which alarms were in force.
    fn is_uncertain(&self, action: &Action<'_>, index: u64) -> bool {
        let by_alarms = index <= self.alarms_until;
        match action {
            Action::Put(put) => put.lease != 0 || by_alarms,
            Action::Txn(txn) => {
                let mut has_lease = false;
                txn.all_ops(&mut |op| has_lease |= matches!(op, Op::Put(put) if put.lease != 0));
                has_lease || by_alarms
            }
            _ => by_alarms,
        }
    }
}

/// Whether a record shows that it was written by this very entry: its value is the same to the byte, and its version.
fn is_anchor(written: &Written<'_>, record: &Held<'_>) -> bool {
    let has_value = written.change.put.is_some_and(|put| !put.value.is_empty());
    has_value && difference(&written.change, record).is_none()
}

/// Each record of a revision with what wrote it, if they are of the keys that were changed, and no others. Where some may be missing,
/// the others must be among what was written.
fn met<'m, 'a>(
    records: &'m [Held<'a>],
    made: &'m [Written<'a>],
    may_lack: bool,
) -> Option<Vec<(&'m Written<'a>, &'m Held<'a>)>> {
    let revision = made.first()?.change.revision.main;
    let main = |record: &Held<'_>| RecordKey::parse(record.key).map(|place| place.revision.main);
    let there = records.iter().take_while(|record| main(record) == Some(revision));
    let is_of = |record: &Held<'_>, written: &Written<'_>| {
        let place = Some(written.change.place());
        RecordKey::parse(record.key) == place && KeyValue::key_of(record.value) == written.change.key
    };
    let mut rest = made.iter();
    let met: Option<Vec<_>> =
        there.map(|record| Some((rest.find(|written| is_of(record, written))?, record))).collect();
    // what comes next is later
    let met = met.filter(|met| records.get(met.len()).and_then(main).is_none_or(|next| next > revision))?;
    (may_lack || met.len() == made.len()).then_some(met)
}
