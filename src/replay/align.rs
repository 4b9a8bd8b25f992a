//! Which entry made which revision of a db, and whether the records are what the entries wrote. The values have no checksum in a db, so
//! this alone finds what was changed in one member without its peers.
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
//! not known; an entry that depends on it may have been refused, and both ways are tried. A difference counts if no alignment gives the
//! record to another entry.

use crate::etcd::apply::alarms::Alarms;
use crate::etcd::apply::{Change, LiveKey, Machine, NewValue, Rules, Written};
use crate::etcd::request::{Action, Op, Request};
use crate::etcd::schema::KEY_BUCKET;
use crate::etcd::{KeyValue, RecordKey};
use crate::member::message::{EntryData, RaftEntry};
use crate::member::{ReadLog, Stretch};

use super::base::{Base, Held, live_keys};
use super::steps::Following;

/// How often, all in all, an entry is applied in the search, times their number.
const PATIENCE: u64 = 20;
/// Differences that are looked at one by one.
const MAX_DIFFERENCES: usize = 100;

/// A record that is not what its entry wrote.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Difference<'a> {
    pub revision: i64,
    pub sub: i64,
    pub key: &'a [u8],
    /// The entry that wrote it.
    pub index: u64,
    /// What differs.
    pub what: &'static str,
}

/// How a db and its log compare.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Compared<'a> {
    /// Records that the log covers.
    pub covered: u64,
    /// Records that it does not.
    pub not_covered: u64,
    /// The first revision that it covers; 0 for none.
    pub first_revision: i64,
    /// The first of those that differ.
    pub differences: Vec<Difference<'a>>,
    /// Records that differ from one entry, and may have been written by another.
    pub uncertain: u64,
}

/// Compares a db with the log of its member.
pub fn compare<'a>(base: &Base<'a>, log: &ReadLog<'a>, rules: Rules) -> Compared<'a> {
    let records = base.entries(KEY_BUCKET);
    let nothing = Compared { not_covered: records.len() as u64, ..Compared::default() };
    let Some(stretch) = log.stretch_with(base.index) else { return nothing };
    if stretch.first_index() == 1
        && let Some(compared) = from_nothing(base, log, rules, base.index)
    {
        return compared;
    }
    let mut search = Aligner::new(base, stretch, records, rules, base.index);
    let Some(found) = search.find(None) else { return nothing };
    let covered = records.len().saturating_sub(found.first_record);
    let mut compared = Compared {
        covered: covered as u64,
        not_covered: found.first_record as u64,
        first_revision: found.first_revision,
        ..Compared::default()
    };
    for difference in found.differences.into_iter().take(MAX_DIFFERENCES) {
        // another entry may have written it, too
        match search.find(Some((difference.index, difference.revision))) {
            Some(_) => compared.uncertain = compared.uncertain.saturating_add(1),
            None => compared.differences.push(difference),
        }
    }
    compared
}

/// The first revision that the entries up to this one made, with all that came after it, to the last value; `None` where they did not.
pub fn made_by<'a>(base: &Base<'a>, log: &ReadLog<'a>, rules: Rules, last_index: u64) -> Option<i64> {
    let stretch = log.stretch_with(last_index)?;
    if stretch.first_index() == 1
        && let Some(compared) = from_nothing(base, log, rules, last_index)
    {
        return compared.differences.is_empty().then_some(compared.first_revision);
    }
    let mut search = Aligner::new(base, stretch, base.entries(KEY_BUCKET), rules, last_index);
    search.find(None).filter(|found| found.differences.is_empty()).map(|found| found.first_revision)
}

/// The same by a log that has all entries: what it makes of nothing must be the db's revision, with each of its records.
fn from_nothing<'a>(
    base: &Base<'a>,
    log: &ReadLog<'a>,
    rules: Rules,
    last_index: u64,
) -> Option<Compared<'a>> {
    let records = base.entries(KEY_BUCKET);
    let mut machine = Machine::empty(rules);
    let (mut next, mut is_met, mut index) = (0_usize, true, 0);
    let mut differences = Vec::new();
    for entry in Following::after(log, 0).take_while(|entry| entry.index <= last_index) {
        index = entry.index;
        let mut sink = |written: Written<'a>| {
            let Change { revision, key, put } = written.change;
            let place = RecordKey { revision, tombstone: put.is_none() };
            // what a compaction removed is not there
            let Some(record) = records.get(next).filter(|record| RecordKey::parse(record.key) == Some(place))
            else {
                return;
            };
            next = next.saturating_add(1);
            is_met &= KeyValue::key_of(record.value) == key;
            let what = difference(&written.change, record);
            let differs = |what| Difference { revision: revision.main, sub: revision.sub, key, index, what };
            differences.extend(what.map(differs).filter(|_| differences.len() < MAX_DIFFERENCES));
        };
        machine.apply(&entry, &mut sink).ok()?;
    }
    let is_whole = is_met && next == records.len();
    let is_there = index == last_index && machine.store.revision == base.revision;
    (is_whole && is_there).then_some(Compared {
        covered: records.len() as u64,
        first_revision: 1,
        differences,
        ..Compared::default()
    })
}

/// An alignment.
struct Alignment<'a> {
    /// The first record that it covers; all after it are.
    first_record: usize,
    first_revision: i64,
    differences: Vec<Difference<'a>>,
}

/// Looks for the entries that made the records, the last one of them this one.
struct Aligner<'s, 'a> {
    stretch: &'s Stretch<'a>,
    records: &'s [Held<'a>],
    machine: Machine<'a>,
    last_index: u64,
    last_revision: i64,
    /// The compact revision: what is before it is not whole.
    lowest: i64,
    alarms_known: bool,
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
}

/// What an alignment has done.
#[derive(Default)]
struct Trail<'a> {
    changes: Vec<Written<'a>>,
    /// Where the changes of each revision begin.
    revisions: Vec<usize>,
    differences: Vec<Difference<'a>>,
}

impl<'s, 'a> Aligner<'s, 'a> {
    fn new(
        base: &Base<'a>,
        stretch: &'s Stretch<'a>,
        records: &'s [Held<'a>],
        rules: Rules,
        last_index: u64,
    ) -> Self {
        let mut machine = Machine::empty(rules);
        machine.store.assumes_leases = true;
        let is_alarm = |entry: RaftEntry<'_>| {
            let EntryData::Request(data) = entry.content else { return false };
            Request::parse(data).is_ok_and(|request| matches!(request.action, Action::Alarm { .. }))
        };
        let alarms_known = base.state.alarms.is_empty() && !stretch.entries().any(is_alarm);
        Self {
            stretch,
            records,
            machine,
            last_index,
            last_revision: base.revision,
            lowest: base.state.compact_revision().max(1),
            alarms_known,
            budget: 0,
        }
    }

    /// An alignment in which this entry did not make this revision.
    fn find(&mut self, without: Option<(u64, i64)>) -> Option<Alignment<'a>> {
        let before_first = self.stretch.first_index().saturating_sub(1);
        let entries = self.last_index.saturating_sub(before_first);
        self.budget = entries.saturating_mul(PATIENCE);
        let revisions = self.last_revision.saturating_sub(self.lowest).unsigned_abs();
        self.begin(self.lowest);
        // each revision has an entry of its own
        let newest = self.last_index.saturating_sub(revisions);
        let mut starts = (before_first..=newest).rev();
        let found = starts.find_map(|index| self.align(index, without));
        if found.is_some() {
            return found;
        }
        // the log begins later, or with a restore: at the lowest revision that its entries can have begun with, or after it
        let fewest = i64::try_from(entries).unwrap_or(i64::MAX);
        let from = self.last_revision.saturating_sub(fewest).max(self.lowest);
        self.begin(from);
        for _ in from..=self.last_revision {
            if let Some(found) = self.align(before_first, without) {
                return Some(found);
            }
            self.step();
        }
        None
    }

    /// The state at a revision.
    fn begin(&mut self, revision: i64) {
        let records = self.records.get(..self.first_after(revision)).unwrap_or_default();
        self.machine.store.keys = live_keys(records);
        self.machine.store.revision = revision;
    }

    /// The state at the next revision, by the records.
    fn step(&mut self) {
        let first = self.first_after(self.machine.store.revision);
        self.machine.store.revision = self.machine.store.revision.saturating_add(1);
        let end = self.first_after(self.machine.store.revision);
        for record in self.records.get(first..end).unwrap_or_default() {
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
        self.records.partition_point(|record| {
            RecordKey::parse(record.key).is_none_or(|place| place.revision.main <= revision)
        })
    }

    /// Applies the entries after this one, up to the last one. The state is as it was after it.
    fn align(&mut self, index: u64, without: Option<(u64, i64)>) -> Option<Alignment<'a>> {
        let first_record = self.first_after(self.machine.store.revision);
        let first_revision = self.machine.store.revision.saturating_add(1);
        self.machine.alarms = Alarms::default();
        self.machine.store.compact_revision = -1;
        let mut done = Trail::default();
        let mut at = self.at(index, first_record, &done);
        // entries that were applied, and may have been refused
        let mut choices: Vec<At> = Vec::new();
        let aligned = loop {
            if at.index == self.last_index && self.machine.store.revision == self.last_revision {
                break true;
            }
            let went_on = at.index < self.last_index && self.entry(&mut at, &mut done, &mut choices, without);
            if went_on {
                continue;
            }
            match choices.pop().filter(|_| self.budget > 0) {
                Some(choice) => at = self.back(choice, &mut done),
                None => break false,
            }
        };
        let differences = std::mem::take(&mut done.differences);
        let start = At { revisions: 0, differences: 0, ..at };
        self.back(start, &mut done);
        aligned.then_some(Alignment { first_record, first_revision, differences })
    }

    fn at(&self, index: u64, next: usize, done: &Trail<'a>) -> At {
        At {
            index,
            next,
            revisions: done.revisions.len(),
            differences: done.differences.len(),
            alarms: self.machine.alarms.clone(),
            compact_revision: self.machine.store.compact_revision,
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
        let refused = At { index, ..self.at(index, at.next, done) };
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
        let is_uncertain = applied.diverges || self.is_uncertain(&request.action);
        let revision = self.machine.store.revision;
        let records = self.records.get(at.next..).unwrap_or_default();
        if without == Some((index, revision)) || !meets(records, made) {
            self.machine.store.undo(made);
            done.changes.truncate(began);
            return is_uncertain;
        }
        let differing = made.iter().zip(records).filter_map(|(written, record)| {
            let Change { revision, key, .. } = written.change;
            let what = difference(&written.change, record)?;
            Some(Difference { revision: revision.main, sub: revision.sub, key, index, what })
        });
        done.differences.extend(differing);
        done.revisions.push(began);
        at.next = at.next.saturating_add(made.len());
        if is_uncertain {
            choices.push(refused);
        }
        true
    }

    /// Takes back what was done after a point.
    fn back(&mut self, at: At, done: &mut Trail<'a>) -> At {
        while done.revisions.len() > at.revisions {
            let Some(began) = done.revisions.pop() else { break };
            self.machine.store.undo(done.changes.get(began..).unwrap_or_default());
            done.changes.truncate(began);
        }
        done.differences.truncate(at.differences);
        self.machine.alarms = at.alarms.clone();
        self.machine.store.compact_revision = at.compact_revision;
        at
    }

    /// Whether it depends on what is not known: which leases existed, and which alarms were in force.
    fn is_uncertain(&self, action: &Action<'_>) -> bool {
        match action {
            Action::Put(put) => put.lease != 0 || !self.alarms_known,
            Action::Txn(txn) => {
                let mut has_lease = false;
                txn.all_ops(&mut |op| has_lease |= matches!(op, Op::Put(put) if put.lease != 0));
                has_lease || !self.alarms_known
            }
            _ => !self.alarms_known,
        }
    }
}

/// Whether these records are one revision's, of the keys that were changed, and no others.
fn meets(records: &[Held<'_>], made: &[Written<'_>]) -> bool {
    let is_of = |(record, written): (&Held<'_>, &Written<'_>)| {
        let Change { revision, key, put } = written.change;
        let place = RecordKey { revision, tombstone: put.is_none() };
        RecordKey::parse(record.key) == Some(place) && KeyValue::key_of(record.value) == key
    };
    let main = |record: &Held<'_>| RecordKey::parse(record.key).map(|place| place.revision.main);
    let after = records.get(made.len()).and_then(main);
    records.len() >= made.len()
        && records.iter().zip(made).all(is_of)
        && after != made.first().map(|written| written.change.revision.main)
}

/// What of a record is not what was written.
fn difference(change: &Change<'_>, record: &Held<'_>) -> Option<&'static str> {
    let Ok(kv) = KeyValue::parse(record.value) else { return Some("record") };
    let Some(NewValue { create_revision, version, lease, value }) = change.put else {
        return (kv != KeyValue { key: change.key, ..KeyValue::default() }).then_some("tombstone");
    };
    let parts = [
        ("value", kv.value == value),
        ("lease", kv.lease == lease),
        ("version", kv.version == version),
        ("create_revision", kv.create_revision == create_revision),
        ("mod_revision", kv.mod_revision == change.revision.main),
    ];
    parts.into_iter().find_map(|(what, is_same)| (!is_same).then_some(what))
}
