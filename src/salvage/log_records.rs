//! Records that the log says again: those that are missing, and those that the db has in another form.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::bolt::page::Entry;
use crate::etcd::apply::{Change, Rules};
use crate::etcd::{KeyValue, RecordKey, Revision};
use crate::ranges::Ranges;
use crate::replay::content::encode;

use super::covered::Covered;
use super::decide::put_records;
use super::encoded::Encoded;
use super::finds::Finds;
use super::found::{Found, Tier};
use super::gaps::{Gap, Gaps};
use super::lost;
use super::request::Trust;

/// What records are sorted by.
type Order = (Revision, bool);

/// Which records stay, and which come from the log.
pub struct RecordsFromLog {
    /// Those that do not belong to the state, or are taken from the log instead.
    dropped: HashSet<Order>,
    /// Where those are that are made.
    made: Vec<RecordKey>,
    pub replaced: u64,
}

/// What is taken from the log.
#[derive(Clone, Copy, Debug)]
pub struct Taking<'t> {
    pub rules: Rules,
    /// Revisions of which records may be missing.
    pub lost: &'t Ranges<i64>,
    pub trust: Trust,
    /// Whether the copy is at a later entry than the db was.
    pub is_moved: bool,
}

/// Decides it, and encodes what is made.
pub fn plan<'a>(
    finds: &Finds<'a>,
    covered: &[Covered<'a>],
    taking: Taking<'_>,
    encoded: &mut Encoded,
) -> RecordsFromLog {
    let Taking { rules, lost, trust, is_moved } = taking;
    let changes = covered.iter().flat_map(|covered| {
        let possible = covered.possible.iter().filter(|_| trust == Trust::BestEffort);
        covered.changes.iter().filter(|change| covered.decides(change.revision.main)).chain(possible)
    });
    let written: BTreeMap<Order, &Change<'a>> =
        changes.map(|change| (order(&change.place()), change)).collect();
    let compaction = Compaction::of(finds, covered, &written, rules);
    let is_all_known = covered.iter().any(Covered::has_all);
    let judge =
        Judge { covered, written: &written, compaction: &compaction, drops: is_moved || is_all_known };
    let mut plan = RecordsFromLog { dropped: HashSet::new(), made: Vec::new(), replaced: 0 };
    let mut there: HashSet<Order> = HashSet::new();
    let mut scratch = Vec::new();
    for found in &finds.records {
        let at = found.order();
        match judge.of(found, &mut scratch) {
            Verdict::Stays => {
                there.insert(at);
            }
            Verdict::Goes => {
                there.insert(at);
                plan.dropped.insert(at);
            }
            Verdict::IsReplaced => {
                plan.dropped.insert(at);
                plan.replaced = plan.replaced.saturating_add(1);
            }
        }
    }
    for (at, change) in &written {
        // a tree that can be read may lack records without a gap; whether a compaction left a tombstone is the version's
        let is_unseen = is_all_known && (!at.1 || at.0.main > compaction.revision);
        let is_lost = is_unseen || lost.cover(at.0.main, at.0.main) || plan.dropped.contains(at);
        if is_lost && !there.contains(at) && compaction.leaves(change) {
            let split = encode(change, &mut scratch);
            if let Some((key, value)) = scratch.split_at_checked(split) {
                encoded.push(key, value);
                plan.made.push(change.place());
            }
        }
    }
    plan
}

/// What becomes of a record that was found.
enum Verdict {
    Stays,
    Goes,
    /// It is not what the log wrote.
    IsReplaced,
}

struct Judge<'j, 'a> {
    covered: &'j [Covered<'a>],
    written: &'j BTreeMap<Order, &'j Change<'a>>,
    compaction: &'j Compaction<'j, 'a>,
    /// Whether records that the compaction removed go, also if the tree has them: an old leaf may be in the place of a newer one.
    drops: bool,
}

impl<'a> Judge<'_, 'a> {
    fn of(&self, found: &Found<'a>, scratch: &mut Vec<u8>) -> Verdict {
        let at = found.order();
        let is_reached = matches!(found.tier, Tier::Reachable | Tier::OlderRoot);
        if self.drops && self.compaction.removes(at, KeyValue::key_of(found.entry.value)) {
            return Verdict::Goes;
        }
        if !self.covered.iter().any(|covered| covered.decides(at.0.main)) {
            return Verdict::Stays;
        }
        let change = self.written.get(&at);
        match change.filter(|change| is_reached || self.compaction.leaves(change)) {
            Some(change) => {
                let split = encode(change, scratch);
                let is_same = scratch.get(split..) == Some(found.entry.value);
                if is_same { Verdict::Stays } else { Verdict::IsReplaced }
            }
            // a mark of a restore is no change
            None if is_reached => Verdict::Stays,
            None => Verdict::Goes,
        }
    }
}

impl RecordsFromLog {
    /// Puts the records into what was found; the first of these entries are those that were made.
    pub fn carry_out<'a>(
        self,
        finds: &mut Finds<'a>,
        covered: &[Covered<'a>],
        entries: &mut impl Iterator<Item = Entry<'a>>,
    ) {
        let decides = |revision: Revision| covered.iter().any(|covered| covered.decides(revision.main));
        let records = std::mem::take(&mut finds.records);
        let (dropped, mut records): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|found| self.dropped.contains(&found.order()));
        let made = self.made.into_iter().zip(entries);
        records.extend(made.map(|(place, entry)| Found { place, entry, tier: Tier::Log }));
        records.sort_by_key(Found::order);
        let taken: HashSet<Order> = records.iter().map(Found::order).collect();
        finds.left_out.extend(dropped);
        finds.left_out.retain(|found| !taken.contains(&found.order()));
        finds.left_out.sort_by_key(Found::order);
        finds.records = records;
        finds.conflicts.retain(|conflict| !decides(conflict.revision));
        let gaps = finds.gaps.all().iter().filter_map(|gap| rest_of(gap, covered, &finds.records));
        finds.gaps = Gaps::new(gaps.collect());
        if finds.gaps.is_empty() {
            finds.malformed = 0;
        }
        put_records(finds);
    }
}

/// What of a gap the log does not say; `None` for nothing.
fn rest_of<'a>(gap: &Gap<'a>, covered: &[Covered<'_>], records: &[Found<'a>]) -> Option<Gap<'a>> {
    let (first, last) = lost::range_of(gap);
    let last = last.unwrap_or(i64::MAX);
    if covered.iter().any(|covered| covered.decides_all(first, last)) {
        return None;
    }
    let mut rest = gap.clone();
    let up_to = |revision: i64| records.partition_point(|found| found.place.revision.main <= revision);
    for covered in covered.iter().filter(|covered| covered.unsure.is_empty()) {
        if covered.after < first && (first..last).contains(&covered.to) {
            let before = records.get(..up_to(covered.to)).and_then(<[_]>::last);
            rest.lower = before.map_or(rest.lower, |found| rest.lower.max(found.entry.key));
        } else if (first..last).contains(&covered.after) && last <= covered.to {
            let next = records.get(up_to(covered.after)).map(|found| found.entry.key);
            rest.upper = next.or(rest.upper);
        }
    }
    Some(rest)
}

fn order(place: &RecordKey) -> Order {
    (place.revision, place.tombstone)
}

/// What the last compaction left: of what is at or below its revision, each key's newest, if it is a put.
struct Compaction<'c, 'a> {
    revision: i64,
    /// Whether it was not a later one.
    is_known: bool,
    covered: &'c [Covered<'a>],
    newest: HashMap<&'a [u8], Order>,
    keeps_tombstone: bool,
}

impl<'c, 'a> Compaction<'c, 'a> {
    fn of(
        finds: &Finds<'a>,
        covered: &'c [Covered<'a>],
        written: &BTreeMap<Order, &Change<'a>>,
        rules: Rules,
    ) -> Self {
        let revision = finds.compacted.unwrap_or(0);
        let mut newest: HashMap<&'a [u8], Order> = HashMap::new();
        let held = finds.records.iter().filter(|found| found.tier < Tier::Orphan);
        let held = held.map(|found| (KeyValue::key_of(found.entry.value), found.order()));
        let all = held.chain(written.iter().map(|(at, change)| (change.key, *at)));
        for (key, at) in all.filter(|(_, at)| at.0.main <= revision) {
            let known = newest.entry(key).or_insert(at);
            *known = at.max(*known);
        }
        let is_known = finds.compaction_is_known;
        Self { revision, is_known, newest, keeps_tombstone: rules.keeps_tombstone_at_compaction, covered }
    }

    /// Whether it is known to have removed a record of this key. A tombstone of its own revision stays on some patches.
    fn removes(&self, at: Order, key: &[u8]) -> bool {
        let stays = !at.1 || at.0.main == self.revision;
        self.is_known
            && at.0.main <= self.revision
            && self.newest.get(key).is_some_and(|newest| *newest != at || !stays)
    }

    /// Whether it left a record. Of one at or below it, each later change up to it must be known.
    fn leaves(&self, change: &Change<'a>) -> bool {
        let at = order(&change.place());
        let main = at.0.main;
        if main > self.revision {
            return self.is_known;
        }
        let is_newest = self.newest.get(change.key) == Some(&at);
        let stays = !at.1 || (self.keeps_tombstone && main == self.revision);
        let is_decided = || self.covered.iter().any(|covered| covered.decides_all(main, self.revision));
        self.is_known && is_newest && stays && is_decided()
    }
}
