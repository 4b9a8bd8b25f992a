//! The buckets of the copy: of each, what the best root has, and in its gaps what the next ones have.

#![deny(clippy::arithmetic_side_effects)]

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};

use crate::bolt::format::BUCKET_FLAG;
use crate::bolt::page::Entry;
use crate::bolt::write::source::{self, BucketSpec, EntrySource, Sizes, ValueSize};

use super::kinds::Small;
use super::records::Tier;
use super::small::Taken;
use super::tree::Gaps;
use super::trunk::Trunk;

/// One bucket of the copy.
#[derive(Debug)]
pub struct SavedBucket<'a> {
    /// The number of the bucket around it; the root bucket has none.
    pub parent: Option<usize>,
    /// Its name; empty for the root bucket.
    pub name: &'a [u8],
    pub sequence: u64,
    /// Its entries, in order.
    pub entries: Vec<Entry<'a>>,
    /// What no root has of it.
    pub gaps: Gaps<'a>,
    /// What the first root does not have of it: some of this may be filled from the next ones.
    pub first_gaps: Gaps<'a>,
    /// Where it was found first.
    pub tier: Tier,
    /// Entries that came from a later root.
    pub from_others: u64,
    /// Entries that came from leaves that no root reaches.
    pub from_orphans: u64,
    /// Keys that were found in such leaves, and left out.
    pub left: u64,
    /// Keys that were found there with two values.
    pub conflicts: u64,
    /// Entries that were derived from others, in order.
    pub made: Vec<Made>,
    /// Whether nothing of it was found: it is there because etcd makes it at its first start.
    pub is_made: bool,
}

/// An entry that the file does not have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Made {
    pub key: &'static [u8],
    pub value: Vec<u8>,
}

impl<'a> SavedBucket<'a> {
    /// A bucket with nothing in it.
    #[must_use]
    pub fn empty(parent: Option<usize>, name: &'a [u8]) -> Self {
        Self {
            parent,
            name,
            sequence: 0,
            entries: Vec::new(),
            gaps: Gaps::default(),
            first_gaps: Gaps::default(),
            tier: Tier::Orphan,
            from_others: 0,
            from_orphans: 0,
            left: 0,
            conflicts: 0,
            made: Vec::new(),
            is_made: false,
        }
    }

    /// Adds a bucket that no root has to the root bucket, which is made, too, where there is none. Gives its number.
    pub fn add(buckets: &mut Vec<Self>, name: &'a [u8], gaps: Gaps<'a>) -> usize {
        if buckets.is_empty() {
            buckets.push(Self::empty(None, &[][..]));
        }
        if let Some(root) = buckets.first_mut() {
            let at = root.entries.partition_point(|entry| entry.key < name);
            match root.entries.get_mut(at).filter(|entry| entry.key == name) {
                // a bucket that lost its flag
                Some(entry) => entry.flags = BUCKET_FLAG,
                None => {
                    root.entries.insert(at, Entry { flags: BUCKET_FLAG, key: name, value: &[], start: 0 })
                }
            }
        }
        buckets.push(Self { gaps: gaps.clone(), first_gaps: gaps, ..Self::empty(Some(0), name) });
        buckets.len().saturating_sub(1)
    }

    /// Adds what was found in leaves that no root reaches.
    pub fn take_orphans(&mut self, taken: Taken<'a>) {
        self.from_orphans = taken.entries.len() as u64;
        self.left = taken.left;
        self.conflicts = taken.conflicts;
        self.entries.extend(taken.entries);
        self.entries.sort_by(|a, b| a.key.cmp(b.key));
    }

    #[must_use]
    pub fn num_values(&self) -> u64 {
        let plain = self.entries.iter().filter(|entry| !entry.is_bucket()).count();
        plain.saturating_add(self.made.len()) as u64
    }

    /// All of its entries, those that were derived among them.
    fn with_made(&self) -> Cow<'_, [Entry<'_>]> {
        if self.made.is_empty() {
            return Cow::Borrowed(&self.entries);
        }
        let made =
            self.made.iter().map(|made| Entry { flags: 0, key: made.key, value: &made.value, start: 0 });
        let mut all: Vec<Entry<'_>> = self.entries.iter().copied().chain(made).collect();
        // stable: what the file has comes first, and stays
        all.sort_by(|a, b| a.key.cmp(b.key));
        Cow::Owned(all)
    }

    /// Whether it is this one of etcd's.
    #[must_use]
    pub fn is_of(&self, kind: Small) -> bool {
        self.parent == Some(0) && self.name == kind.name()
    }

    /// The value of a plain key.
    #[must_use]
    pub fn value(&self, key: &[u8]) -> Option<&'a [u8]> {
        let entry = self.entries.iter().find(|entry| entry.key == key && !entry.is_bucket());
        entry.map(|entry| entry.value)
    }
}

/// Merges what several roots have, the best first.
#[must_use]
pub fn merge<'a>(trunks: &[(Tier, &Trunk<'a>)]) -> Vec<SavedBucket<'a>> {
    let roots = trunks.iter().map(|(tier, trunk)| (*tier, *trunk, 0)).collect();
    let mut waiting: VecDeque<(Option<usize>, Sources<'_, 'a>)> = VecDeque::from([(None, roots)]);
    let mut saved: Vec<SavedBucket<'a>> = Vec::new();
    while let Some((parent, sources)) = waiting.pop_front() {
        let number = saved.len();
        let Some(bucket) = merge_one(parent, &sources) else { continue };
        for entry in bucket.entries.iter().filter(|entry| entry.is_bucket()) {
            let inside = sources
                .iter()
                .filter_map(|&(tier, trunk, of)| Some((tier, trunk, trunk.inside(of, entry.key)?)));
            waiting.push_back((Some(number), inside.collect()));
        }
        saved.push(bucket);
    }
    saved
}

/// The same bucket below several roots: by its number in each.
type Sources<'t, 'a> = Vec<(Tier, &'t Trunk<'a>, usize)>;

fn merge_one<'a>(parent: Option<usize>, sources: &Sources<'_, 'a>) -> Option<SavedBucket<'a>> {
    let mut found =
        sources.iter().filter_map(|&(tier, trunk, number)| Some((tier, trunk.buckets.get(number)?)));
    let (tier, first) = found.next()?;
    let mut bucket = SavedBucket {
        sequence: first.sequence,
        entries: first.tree.entries.clone(),
        gaps: first.tree.gaps.clone(),
        first_gaps: first.tree.gaps.clone(),
        tier,
        ..SavedBucket::empty(parent, first.name)
    };
    for (_, other) in found {
        if bucket.gaps.is_empty() {
            break;
        }
        let missing = other.tree.entries.iter().filter(|entry| bucket.gaps.contain(entry.key)).copied();
        let missing: Vec<_> = missing.collect();
        let before = bucket.entries.len();
        bucket.entries.extend(missing);
        // stable: where both have a key, the first one's comes first and stays
        bucket.entries.sort_by(|a, b| a.key.cmp(b.key));
        bucket.entries.dedup_by(|later, first| later.key == first.key);
        let more = bucket.entries.len().saturating_sub(before) as u64;
        bucket.from_others = bucket.from_others.saturating_add(more);
        let left = bucket.gaps.all().iter().filter(|gap| other.tree.gaps.meet(gap));
        bucket.gaps = Gaps::new(left.cloned().collect());
    }
    Some(bucket)
}

/// What was saved, as a source for the writer.
#[derive(Debug)]
pub struct Saved<'a> {
    buckets: Vec<BucketSpec>,
    entries: Vec<(Entry<'a>, ValueSize)>,
}

impl<'a> Saved<'a> {
    /// The buckets, each with its entries. A bucket that was not saved is left out of the one around it, and one whose entry
    /// there was not, with all within.
    #[must_use]
    pub fn of(saved: &'a [SavedBucket<'_>]) -> Self {
        let numbered = saved
            .iter()
            .enumerate()
            .filter_map(|(number, bucket)| Some(((bucket.parent?, bucket.name), number)));
        let index: HashMap<(usize, &[u8]), usize> = numbered.collect();
        let inside = |number: usize, entry: &Entry<'a>| index.get(&(number, entry.key)).copied();
        // the number of each bucket in the copy: the root bucket, those that stand in it, those that stand in these
        let mut numbers: Vec<Option<usize>> =
            std::iter::once(Some(0)).chain(std::iter::repeat(None)).take(saved.len()).collect();
        let mut order = vec![0];
        let mut next = 0;
        while let Some((number, bucket)) =
            order.get(next).and_then(|&number| Some((number, saved.get(number)?)))
        {
            next = next.saturating_add(1);
            for found in bucket
                .entries
                .iter()
                .filter(|entry| entry.is_bucket())
                .filter_map(|entry| inside(number, entry))
            {
                if let Some(place @ None) = numbers.get_mut(found) {
                    *place = Some(order.len());
                    order.push(found);
                }
            }
        }
        let mut all = Self { buckets: Vec::new(), entries: Vec::new() };
        for (number, bucket) in order.iter().filter_map(|&number| Some((number, saved.get(number)?))) {
            let start = all.entries.len() as u64;
            let mut last: Option<&[u8]> = None;
            for entry in bucket.with_made().iter() {
                let size = if entry.is_bucket() {
                    let found = inside(number, entry).and_then(|found| numbers.get(found).copied().flatten());
                    let Some(found) = found.filter(|_| last != Some(entry.key)) else { continue };
                    ValueSize::Bucket(found)
                } else {
                    ValueSize::Bytes(entry.value.len() as u64)
                };
                last = Some(entry.key);
                all.entries.push((*entry, size));
            }
            let entries = start..all.entries.len() as u64;
            all.buckets.push(BucketSpec { sequence: bucket.sequence, entries });
        }
        all
    }

    /// Its entries, those of the root bucket apart: these are buckets.
    #[must_use]
    pub fn num_entries(&self) -> u64 {
        let entries = |bucket: &BucketSpec| bucket.entries.end.saturating_sub(bucket.entries.start);
        self.buckets.iter().skip(1).map(entries).fold(0, u64::saturating_add)
    }

    fn at(&self, entry: u64) -> Option<&(Entry<'a>, ValueSize)> {
        self.entries.get(usize::try_from(entry).ok()?)
    }
}

impl EntrySource for Saved<'_> {
    fn buckets(&self) -> &[BucketSpec] {
        &self.buckets
    }

    fn sizes(&self, entry: u64) -> Sizes {
        self.at(entry).map_or(Sizes { key: 0, value: ValueSize::Bytes(0) }, |(entry, value)| Sizes {
            key: entry.key.len(),
            value: *value,
        })
    }

    fn entry<'s>(&'s self, entry: u64, _scratch: &'s mut Vec<u8>) -> Option<source::NewEntry<'s>> {
        let (entry, size) = self.at(entry)?;
        let value = if matches!(size, ValueSize::Bucket(_)) { &[][..] } else { entry.value };
        Some(source::NewEntry { key: entry.key, value })
    }
}
