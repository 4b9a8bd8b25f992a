//! A db's records held against all that a log says from its first entry on. Nothing before it is unknown, so there is nothing to look
//! for: what the entries make is what the db must have.

use crate::etcd::apply::{Change, Machine, Rules, Written};
use crate::etcd::schema::KEY_BUCKET;
use crate::etcd::{KeyValue, RecordKey};
use crate::member::ReadLog;

use super::base::{Base, Held};
use super::difference::{Difference, MAX_DIFFERENCES, difference};
use super::steps::Following;

/// How the records compare, up to an entry.
#[derive(Debug)]
pub struct FromFirst<'a> {
    /// The last entry that was applied.
    pub index: u64,
    /// The revision that it led to.
    pub revision: i64,
    /// The entry that made that revision.
    pub newest_by: u64,
    /// Records up to that revision. All are of keys that the entries wrote there.
    pub records: usize,
    /// The first of those that differ.
    pub differences: Vec<Difference<'a>>,
    /// Records that are what was written, to the byte.
    pub same: usize,
    /// Whether each record that no compaction can have removed is there.
    pub is_complete: bool,
}

/// Records that must be what was written, to show that the entries are of the db's history where they do not lead to its end.
const MIN_ANCHORS: usize = 3;

impl FromFirst<'_> {
    /// Whether the records alone show it.
    pub fn is_shown(&self) -> bool {
        self.is_complete && self.same >= MIN_ANCHORS && self.same >= self.differences.len()
    }
}

/// Applies the entries from the first one up to this one, or to one that can't be applied; `None` where a record is not theirs.
pub fn from_first<'a>(base: &Base<'a>, log: &ReadLog<'a>, rules: Rules, until: u64) -> Option<FromFirst<'a>> {
    let records = base.entries(KEY_BUCKET);
    let compacted = base.state.compact_revision();
    let mut machine = Machine::empty(rules);
    let mut found = FromFirst {
        index: 0,
        revision: machine.store.revision,
        newest_by: 0,
        records: 0,
        differences: Vec::new(),
        same: 0,
        is_complete: true,
    };
    let mut is_theirs = true;
    for entry in Following::after(log, 0).take_while(|entry| entry.index <= until) {
        let index = entry.index;
        let mut sink = |written: Written<'a>| {
            let change = written.change;
            match records.get(found.records).filter(|record| place(record) == Some(change.place())) {
                Some(record) => {
                    found.records = found.records.saturating_add(1);
                    is_theirs &= KeyValue::key_of(record.value) == change.key;
                    match differing(&change, record, index) {
                        None => found.same = found.same.saturating_add(1),
                        Some(_) if found.differences.len() == MAX_DIFFERENCES => {}
                        Some(difference) => found.differences.push(difference),
                    }
                }
                // a compaction may have removed it
                None => found.is_complete &= change.revision.main <= compacted,
            }
        };
        let Ok(applied) = machine.apply(&entry, &mut sink) else { break };
        found.index = index;
        found.newest_by = if applied.revision.is_some() { index } else { found.newest_by };
    }
    found.revision = machine.store.revision;
    let next = records.get(found.records).and_then(place);
    (is_theirs && next.is_none_or(|next| next.revision.main > found.revision)).then_some(found)
}

fn place(record: &Held<'_>) -> Option<RecordKey> {
    RecordKey::parse(record.key)
}

fn differing<'a>(change: &Change<'a>, record: &Held<'a>, index: u64) -> Option<Difference<'a>> {
    let Change { revision, key, .. } = *change;
    let what = difference(change, record)?;
    Some(Difference { revision: revision.main, sub: revision.sub, key, index, what })
}

/// The last entry up to which a log says from the first one on what the db's history is: none is missing, and none was replaced by
/// what another leader wrote, which has a later term. `None` for a log that a restore began: what was restored is not in it.
pub fn last_of_history(base: &Base<'_>, log: &ReadLog<'_>) -> Option<u64> {
    let mut stretches = log.stretches.iter().skip_while(|stretch| stretch.first_index() != 1);
    let first = stretches.next().filter(|_| !log.begins_with_restore())?;
    let last = first.last_index();
    if base.index <= last {
        return Some(base.index);
    }
    let next = stretches.next();
    let term_after = match next {
        Some(next) if next.first_index() > last => next.term_at(next.first_index()),
        Some(_) => None,
        None => base.state.term,
    };
    if term_after.is_some() && term_after == first.term_at(last) {
        return Some(last);
    }
    // the log may have lost its end, and what was committed before stays
    (next.is_none() && log.num_faults == 0).then(|| log.log.state.commit.min(last))
}
