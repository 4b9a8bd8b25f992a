//! A db that has the effect of more entries than it says. etcd 3.5.0 to 3.5.5 could leave one (etcd#13766, etcd#14730): it wrote keys
//! and the consistent index in two transactions. Whoever applies the entries after that index, etcd included, applies some twice.
//!
//! It is known where all of this holds:
//!
//! 1. An entry after the db's own wrote the newest revision: the same keys, with the same values.
//! 2. The entries up to that one made the db's revisions from some revision on, with all values, and some of them come from entries up
//!    to the db's own ([`super::compare`](mod@super::compare)).
//! 3. The entries up to the db's own did not make these same revisions: the keys are others, or a value is.
//!
//! The first alone would be wrong of a client that writes the same again. What differs before these revisions shows nothing: it is
//! damage, and the later entries were not held against it.

use crate::etcd::apply::Rules;
use crate::etcd::request::{Action, Op, Request};
use crate::etcd::schema::KEY_BUCKET;
use crate::etcd::{KeyValue, RecordKey};
use crate::member::ReadLog;
use crate::member::message::{EntryData, RaftEntry};

use super::base::{Base, Held};
use super::compare::{Made, made_by};

/// Entries that are looked at: etcd commits at least once in so many changes (`server/storage/backend/backend.go`,
/// `defaultBatchLimit`).
const MAX_ENTRIES: u64 = 10_000;
/// Of these, entries that may have written the newest revision, and are tried.
const MAX_TRIED: usize = 16;
/// Revisions that are looked at: all that so many entries can have made twice, and as many before.
const NEWEST: i64 = 20_000;

/// The last entry that a db has the effect of, where that is known to be one after its own. By any of these rules, as a wrong point to
/// begin with makes others fit.
pub fn last_effect(base: &Base<'_>, log: &ReadLog<'_>, rules: &[Rules]) -> Option<u64> {
    let records = base.entries(KEY_BUCKET);
    let stretch = log.stretch_with(base.index)?;
    let newest = newest_revision(records)?;
    let last = base.index.saturating_add(MAX_ENTRIES).min(stretch.last_index());
    let after = (base.index.saturating_add(1)..=last).filter_map(|index| stretch.entry(index));
    let mut candidates = after.filter(|entry| may_have_written(entry, newest)).peekable();
    candidates.peek()?;
    let made_by = |index| rules.iter().filter_map(move |&rules| made_by(base, log, rules, index, NEWEST));
    let by_its_own: Vec<_> = made_by(base.index).collect();
    let fits_from = |revision: i64| {
        let is_before = |made: &Made<'_>| made.differences.iter().all(|found| found.revision < revision);
        by_its_own.iter().any(is_before)
    };
    if fits_from(i64::MIN) {
        return None;
    }
    let is_it = |index: u64| {
        let is_exact = |made: &Made<'_>| made.differences.is_empty() && made.newest_by == index;
        let Some(made) = made_by(index).find(is_exact) else { return false };
        let revisions = base.revision.saturating_sub(made.first_revision).saturating_add(1);
        let reaches_back =
            u64::try_from(revisions).is_ok_and(|revisions| revisions > index.saturating_sub(base.index));
        reaches_back && !fits_from(made.first_revision)
    };
    candidates.take(MAX_TRIED).map(|entry| entry.index).find(|&index| is_it(index))
}

/// The records of the newest revision.
fn newest_revision<'r, 'a>(records: &'r [Held<'a>]) -> Option<&'r [Held<'a>]> {
    let revision = |record: &Held<'_>| Some(RecordKey::parse(record.key)?.revision.main);
    let newest = revision(records.last()?)?;
    let first = records.partition_point(|record| revision(record).is_none_or(|of| of < newest));
    records.get(first..)
}

/// Whether an entry puts the values of these records, as far as it names any.
fn may_have_written(entry: &RaftEntry<'_>, newest: &[Held<'_>]) -> bool {
    let EntryData::Request(data) = entry.content else { return false };
    let Ok(request) = Request::parse(data) else { return false };
    let is_put = |record: &Held<'_>| RecordKey::parse(record.key).is_some_and(|place| !place.tombstone);
    let mut puts = newest.iter().filter(|record| is_put(record)).filter_map(|record| {
        let kv = KeyValue::parse(record.value).ok()?;
        Some((kv.key, kv.value))
    });
    match &request.action {
        Action::Put(put) => {
            puts.all(|(key, value)| put.key == key && (put.ignore_value || put.value == value))
        }
        Action::Txn(txn) => {
            let mut written = Vec::new();
            txn.all_ops(&mut |op| {
                if let Op::Put(put) = op {
                    written.push((put.key, (!put.ignore_value).then_some(put.value)));
                }
            });
            puts.all(|(key, value)| {
                written
                    .iter()
                    .any(|(of, written)| *of == key && written.is_none_or(|written| written == value))
            })
        }
        Action::Delete(_) | Action::LeaseRevoke { .. } => puts.next().is_none(),
        _ => false,
    }
}
