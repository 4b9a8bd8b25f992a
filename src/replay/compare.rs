//! A db's records held against what the entries of a log wrote. The values have no checksum in a db, so this alone finds what was
//! changed in one member without its peers.
//!
//! From its first entry on, a log covers what it says without a gap ([`super::from_first`](mod@super::from_first)). Else, and after a
//! gap, it covers the revisions that its entries up to the db's own were found to have made ([`super::align`]). A difference there
//! counts if no alignment gives the record to another entry.

use crate::etcd::KeyValue;
use crate::etcd::RecordKey;
use crate::etcd::apply::{Change, Rules};
use crate::etcd::schema::KEY_BUCKET;
use crate::member::{ReadLog, Stretch};

use super::align::{AlignEnd, Aligner, HeldRecords};
use super::base::{Base, Held};
use super::difference::{Difference, MAX_DIFFERENCES};
use super::from_first::{FromFirst, from_first, last_of_history};

/// How a db and its log compare.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Compared<'a> {
    /// Records that the log covers.
    pub covered: u64,
    /// Records that it does not.
    pub not_covered: u64,
    /// The revisions that it covers, as first and last, in order.
    pub revisions: Vec<[i64; 2]>,
    /// The first of those that differ.
    pub differences: Vec<Difference<'a>>,
    /// The revisions of records that differ from one entry, and may have been written by another: they are not covered.
    pub uncertain: Vec<i64>,
}

/// What the entries up to one made of a db.
#[derive(Debug)]
pub struct Made<'a> {
    /// The first revision of those that are known to be theirs.
    pub first_revision: i64,
    /// The entry that made the newest revision.
    pub newest_by: u64,
    pub differences: Vec<Difference<'a>>,
}

/// Compares a db with the log of its member.
pub fn compare<'a>(base: &Base<'a>, log: &ReadLog<'a>, rules: Rules) -> Compared<'a> {
    let num_records = base.entries(KEY_BUCKET).len();
    let begun = last_of_history(base, log).and_then(|until| from_first(base, log, rules, until));
    if let Some(all) = begun.as_ref().filter(|begun| is_whole(begun, base, base.index)) {
        return Compared {
            covered: num_records as u64,
            revisions: vec![[1, base.revision]],
            differences: all.differences.clone(),
            ..Compared::default()
        };
    }
    let begun = begun.filter(|begun| begun.is_shown() && begun.index < base.index);
    let mut compared = Compared::default();
    let (mut covered, mut lowest) = (0, base.state.compact_revision());
    if let Some(begun) = begun {
        covered = begun.records;
        lowest = lowest.max(begun.revision);
        compared.revisions.push([1, begun.revision]);
        compared.differences = begun.differences;
    }
    if let Some(stretch) = log.stretch_with(base.index) {
        let mut search = aligner(base, stretch, rules, base.index, lowest);
        if let Some(found) = search.find(None) {
            covered = covered.saturating_add(num_records.saturating_sub(found.first_record));
            compared.revisions.push([found.first_revision, base.revision]);
            let room = MAX_DIFFERENCES.saturating_sub(compared.differences.len());
            for difference in found.differences.into_iter().take(room) {
                // another entry may have written it, too
                match search.find(Some((difference.index, difference.revision))) {
                    Some(_) => compared.uncertain.push(difference.revision),
                    None => compared.differences.push(difference),
                }
            }
        }
    }
    compared.covered = covered as u64;
    compared.not_covered = num_records.saturating_sub(covered) as u64;
    compared.leave_out_uncertain(base.entries(KEY_BUCKET));
    compared
}

impl Compared<'_> {
    /// Revisions that another entry may have made are not covered.
    fn leave_out_uncertain(&mut self, records: &[Held<'_>]) {
        let mut revisions = self.uncertain.clone();
        revisions.dedup();
        for revision in revisions {
            let before = |main: i64| {
                records.partition_point(|record| {
                    RecordKey::parse(record.key).is_none_or(|place| place.revision.main < main)
                })
            };
            let its = before(revision.saturating_add(1)).saturating_sub(before(revision)) as u64;
            self.covered = self.covered.saturating_sub(its);
            self.not_covered = self.not_covered.saturating_add(its);
            let Some([first, last]) = self.revisions.pop() else { return };
            let parts = [[first, revision.saturating_sub(1)], [revision.saturating_add(1), last]];
            self.revisions.extend(parts.into_iter().filter(|[first, last]| first <= last));
        }
    }
}

/// Whether the entries up to this one made the db, with each of its records.
fn is_whole(found: &FromFirst<'_>, base: &Base<'_>, last_index: u64) -> bool {
    let is_there = found.index == last_index && found.revision == base.revision;
    is_there && found.records == base.entries(KEY_BUCKET).len()
}

/// What the entries up to this one made of the db's newest revisions, without a gap; `None` where they did not make them. No more than
/// `newest` revisions are looked at, unless the log has all entries.
pub fn made_by<'a>(
    base: &Base<'a>,
    log: &ReadLog<'a>,
    rules: Rules,
    last_index: u64,
    newest: i64,
) -> Option<Made<'a>> {
    let stretch = log.stretch_with(last_index)?;
    if stretch.first_index() == 1
        && let Some(all) =
            from_first(base, log, rules, last_index).filter(|all| is_whole(all, base, last_index))
    {
        let FromFirst { newest_by, differences, .. } = all;
        return Some(Made { first_revision: 1, newest_by, differences });
    }
    let lowest = base.state.compact_revision().max(base.revision.saturating_sub(newest));
    let mut search = aligner(base, stretch, rules, last_index, lowest);
    let found = search.find(None)?;
    let (first_revision, newest_by) = (found.first_revision, found.newest_by);
    Some(Made { first_revision, newest_by, differences: found.differences })
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
