//! Runs of revisions that never existed.
//!
//! `etcdutl snapshot restore --bump-revision` raises the current revision by as much as it is told (mostly a thousand million), with
//! one record without a value ([`KeyValue::is_revision_mark`]). Nothing ever happened in between: what counts revisions, or takes
//! them for time, must leave such a run out.
//!
//! From the compact revision on, each revision has a record, so one that has none never was. Below, a compaction removes records,
//! and only a mark, or a run that is too long for any history, tells.
//!
//! Found by the keys in the branches: no leaf is opened whose records are not far apart.

#![deny(clippy::arithmetic_side_effects)]
use crate::bolt::bucket::{Bucket, BucketRoot};
use crate::bolt::claims::Claims;
use crate::bolt::entries::{End, outermost_entry};
use crate::bolt::page::{Branch, Entry, Leaf, Page};
use crate::bolt::walk::MAX_DEPTH;
use crate::bolt::{Db, PageId};
use crate::top_n::TopN;

use super::key_value::KeyValue;
use super::revision::{RecordKey, Revision};
use super::schema::State;

/// Shorter runs are not looked for. A node has fewer entries than this, so a longer step from one node's first key to the next's
/// has a gap in it, wherever every revision has a record.
const SHORTEST: i64 = 1 << 16;
/// Below the compact revision, a run of this length is a gap even without a mark: a cluster would have written two thousand
/// revisions a second for half a day, and nothing of them that lasted.
const TOO_LONG: i64 = 100_000_000;
/// More than this many gaps are not told apart: the longest are.
pub const MAX_GAPS: usize = 15;

/// Revisions that never existed, from the first to the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RevisionGap {
    /// The first of them.
    pub first_revision: i64,
    /// The last of them.
    pub last_revision: i64,
}

impl RevisionGap {
    fn len(self) -> i64 {
        self.last_revision.saturating_sub(self.first_revision).saturating_add(1)
    }
}

/// The gaps of a file: ascending, none touching another.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RevisionGaps(Vec<RevisionGap>);

impl RevisionGaps {
    /// Looks for them. A hint in a damaged file.
    pub fn find(db: &Db, state: &State<'_>) -> Self {
        let Some(bucket) = &state.key_bucket else { return Self::default() };
        let mut runs = long_runs(db, bucket);
        let compact_revision = state.compact_revision();
        let gaps = runs.iter_mut().filter_map(|run| run.gap(db, bucket, compact_revision));
        Self::of(gaps.collect())
    }

    /// The longest of these.
    pub fn of(gaps: Vec<RevisionGap>) -> Self {
        let mut longest = TopN::new(MAX_GAPS);
        gaps.into_iter().for_each(|gap| longest.add(gap.len(), || (gap.first_revision, gap)));
        let mut gaps: Vec<RevisionGap> = longest.into_items().collect();
        gaps.sort_unstable_by_key(|gap| gap.first_revision);
        // a key that lies may let two overlap
        gaps.dedup_by(|next, before| next.first_revision <= before.last_revision);
        Self(gaps)
    }

    pub fn as_slice(&self) -> &[RevisionGap] {
        &self.0
    }

    /// How many revisions existed up to this one, itself included.
    #[inline]
    pub fn existed_up_to(&self, revision: i64) -> i64 {
        let before = self.0.iter().take_while(|gap| gap.first_revision <= revision);
        let missing =
            before.map(|gap| RevisionGap { last_revision: gap.last_revision.min(revision), ..*gap }.len());
        revision.saturating_sub(missing.fold(0, i64::saturating_add))
    }

    /// How many revisions existed above one and up to another.
    pub fn existed_between(&self, above: i64, up_to: i64) -> i64 {
        self.existed_up_to(up_to).saturating_sub(self.existed_up_to(above))
    }
}

/// Two records, one after the other, whose revisions are far apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Run {
    before: i64,
    behind: i64,
    /// Whether the one after is a mark, where it was seen.
    is_mark: Option<bool>,
}

impl Run {
    fn gap(&self, db: &Db, bucket: &Bucket<'_>, compact_revision: i64) -> Option<RevisionGap> {
        let len = |before: i64| self.behind.saturating_sub(before).saturating_sub(1);
        let gap = |before: i64| {
            let last_revision = self.behind.saturating_sub(1);
            Some(RevisionGap { first_revision: before.saturating_add(1), last_revision })
        };
        let is_mark = || self.is_mark.unwrap_or_else(|| is_mark_at(db, bucket, self.behind));
        let kept = self.before.max(compact_revision);
        if self.before >= compact_revision || len(self.before) >= TOO_LONG || is_mark() {
            gap(self.before)
        } else if len(kept) > SHORTEST {
            gap(kept)
        } else {
            None
        }
    }
}

fn is_far(before: i64, behind: i64) -> bool {
    behind.saturating_sub(before) > SHORTEST
}

fn main_of(key: &[u8]) -> Option<i64> {
    RecordKey::parse(key).map(|key| key.revision.main)
}

/// Where to look: a node, by its key in the branch above, and the key after it.
struct Task {
    page: PageId,
    from: Option<i64>,
    below: Option<i64>,
    depth: u32,
}

fn long_runs(db: &Db, bucket: &Bucket<'_>) -> Vec<Run> {
    let (first, last) = (End::First, End::Last);
    let outermost = |end| outermost_entry(db, bucket, end).and_then(|entry| main_of(entry.key));
    let is_long = outermost(first).zip(outermost(last)).is_some_and(|(first, last)| is_far(first, last));
    let mut runs = Vec::new();
    let root = match bucket.root {
        _ if !is_long => return runs,
        BucketRoot::Inline(page) => {
            page.leaf().into_iter().for_each(|leaf| runs_in(&leaf, None, None, &mut runs));
            return runs;
        }
        BucketRoot::Page(root) => root,
    };
    let seen = Claims::new(db.num_pages());
    let mut tasks = vec![Task { page: root, from: None, below: None, depth: 0 }];
    while let Some(task) = tasks.pop() {
        if u64::from(task.depth) >= u64::from(MAX_DEPTH) || !seen.insert(task.page) {
            continue;
        }
        let Ok(page) = db.page(task.page) else { continue };
        match (page.branch(), page.leaf()) {
            (Ok(branch), _) => push_children(&branch, &task, &mut tasks),
            (_, Ok(leaf)) => runs_in(&leaf, task.from, task.below, &mut runs),
            _ => {}
        }
    }
    runs
}

/// The children whose records may be far apart.
fn push_children(branch: &Branch<'_>, parent: &Task, tasks: &mut Vec<Task>) {
    let mut children = branch.children().filter_map(Result::ok).peekable();
    while let Some(child) = children.next() {
        let from = main_of(child.key);
        let below = children.peek().map_or(parent.below, |next| main_of(next.key));
        if from.zip(below).is_none_or(|(from, below)| is_far(from, below)) {
            tasks.push(Task { page: child.page, from, below, depth: parent.depth.saturating_add(1) });
        }
    }
}

fn runs_in(leaf: &Leaf<'_>, from: Option<i64>, below: Option<i64>, runs: &mut Vec<Run>) {
    let mut before = from;
    for entry in leaf.entries().filter_map(Result::ok) {
        let Some(main) = main_of(entry.key) else { continue };
        if let Some(before) = before.filter(|&before| is_far(before, main)) {
            runs.push(Run { before, behind: main, is_mark: Some(is_mark(&entry)) });
        }
        before = Some(main);
    }
    if let Some((before, behind)) = before.zip(below).filter(|&(before, below)| is_far(before, below)) {
        runs.push(Run { before, behind, is_mark: None });
    }
}

fn is_mark(entry: &Entry<'_>) -> bool {
    !entry.is_bucket() && KeyValue::is_revision_mark(entry.value)
}

/// Whether the first record of a revision is a mark, by one descent.
fn is_mark_at(db: &Db, bucket: &Bucket<'_>, main: i64) -> bool {
    let wanted = Revision { main, sub: 0 }.to_bytes();
    let mut page: Option<Page<'_>> = match bucket.root {
        BucketRoot::Page(root) => db.page(root).ok(),
        BucketRoot::Inline(page) => Some(page),
    };
    for _ in 0..MAX_DEPTH {
        let Some(node) = page else { return false };
        if let Ok(leaf) = node.leaf() {
            let mut entries = leaf.entries().filter_map(Result::ok);
            return entries
                .find(|entry| main_of(entry.key) == Some(main))
                .is_some_and(|entry| is_mark(&entry));
        }
        let Ok(branch) = node.branch() else { return false };
        let children = branch.children().filter_map(Result::ok);
        let child = children.take_while(|child| child.key <= &wanted[..]).last();
        page = child.and_then(|child| db.page(child.page).ok());
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(first_revision: i64, last_revision: i64) -> RevisionGap {
        RevisionGap { first_revision, last_revision }
    }

    #[test]
    fn revisions_in_a_gap_do_not_count() {
        let gaps = RevisionGaps::of(vec![gap(101, 1_000_000_100), gap(1_000_000_201, 5_000_000_200)]);
        for (revision, existed) in [
            (1, 1),
            (100, 100),
            (101, 100),
            (1_000_000_100, 100),
            (1_000_000_101, 101),
            (1_000_000_200, 200),
            (3_000_000_000, 200),
            (5_000_000_201, 201),
        ] {
            assert_eq!(gaps.existed_up_to(revision), existed, "{revision}");
        }
        assert_eq!(gaps.existed_between(50, 5_000_000_250), 200);
        assert_eq!(RevisionGaps::default().existed_up_to(i64::MAX), i64::MAX);
        assert_eq!(RevisionGaps::of(vec![gap(i64::MIN, i64::MAX)]).existed_up_to(i64::MAX), 0, "no overflow");
    }

    #[test]
    fn the_longest_are_kept() {
        let many = (0..40).map(|number| gap(number * 1000, number * 1000 + 10 + number)).collect();
        let gaps = RevisionGaps::of(many);
        assert_eq!(gaps.as_slice().len(), MAX_GAPS);
        assert_eq!(gaps.as_slice()[0], gap(25_000, 25_035));
        assert!(gaps.as_slice().is_sorted_by_key(|gap| gap.first_revision));
    }
}
