//! A db's records held against what the entries of a log wrote. The values have no checksum in a db, so this alone finds what was
//! changed in one member without its peers. A difference counts if no alignment gives the record to another entry.

use crate::etcd::apply::{Change, Machine, Rules, Written};
use crate::etcd::schema::KEY_BUCKET;
use crate::etcd::{KeyValue, RecordKey};
use crate::member::{ReadLog, Stretch};

use super::align::{AlignEnd, Aligner, HeldRecords};
use super::base::{Base, Held};
use super::difference::{Difference, difference};
use super::steps::Following;

/// Differences that are looked at one by one.
const MAX_DIFFERENCES: usize = 100;

/// How a db and its log compare.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Compared<'a> {
    /// HeldRecords that the log covers.
    pub covered: u64,
    /// HeldRecords that it does not.
    pub not_covered: u64,
    /// The first revision that it covers; 0 for none.
    pub first_revision: i64,
    /// The first of those that differ.
    pub differences: Vec<Difference<'a>>,
    /// HeldRecords that differ from one entry, and may have been written by another.
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
    let mut search = aligner(base, stretch, rules, base.index, base.state.compact_revision());
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
/// No more than `newest` revisions are looked at, unless the log has all entries.
pub fn made_by<'a>(
    base: &Base<'a>,
    log: &ReadLog<'a>,
    rules: Rules,
    last_index: u64,
    newest: i64,
) -> Option<i64> {
    let stretch = log.stretch_with(last_index)?;
    if stretch.first_index() == 1
        && let Some(compared) = from_nothing(base, log, rules, last_index)
    {
        return compared.differences.is_empty().then_some(compared.first_revision);
    }
    let lowest = base.state.compact_revision().max(base.revision.saturating_sub(newest));
    let mut search = aligner(base, stretch, rules, last_index, lowest);
    search.find(None).filter(|found| found.differences.is_empty()).map(|found| found.first_revision)
}

/// Looks for the entries that made all records of a whole db, the last one of them this one.
fn aligner<'s, 'a>(
    base: &'s Base<'a>,
    stretch: &'s Stretch<'a>,
    rules: Rules,
    last_index: u64,
    lowest: i64,
) -> Aligner<'s, 'a> {
    let end = AlignEnd { index: last_index, revision: Some(base.revision), is_exact: true };
    let records = HeldRecords::whole(base.entries(KEY_BUCKET));
    let no_alarms_at = base.state.alarms.is_empty().then_some(base.index);
    Aligner::new(stretch, records, end, lowest, rules, no_alarms_at)
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
            let Change { revision, key, .. } = written.change;
            let place = written.change.place();
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
        if !is_met {
            return None;
        }
    }
    let is_whole = next == records.len();
    let is_there = index == last_index && machine.store.revision == base.revision;
    (is_whole && is_there).then_some(Compared {
        covered: records.len() as u64,
        first_revision: 1,
        differences,
        ..Compared::default()
    })
}

/// Whether each record up to a revision was written by one of these changes. Both are in order.
pub fn are_among(records: &[Held<'_>], changes: &[Change<'_>], to: i64) -> bool {
    let mut changes = changes.iter();
    let main = |record: &&Held<'_>| RecordKey::parse(record.key).map(|place| place.revision.main);
    records.iter().take_while(|record| main(record).is_some_and(|main| main <= to)).all(|record| {
        let place = RecordKey::parse(record.key);
        let is_its = |change: &&Change<'_>| {
            place == Some(change.place()) && KeyValue::key_of(record.value) == change.key
        };
        changes.find(is_its).is_some()
    })
}
