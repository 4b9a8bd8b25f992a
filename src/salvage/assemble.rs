//! The buckets of the copy: of each, what the best root has, and in its gaps what the next ones have.

use std::collections::{HashMap, VecDeque};

use crate::bolt::page::Entry;
use crate::bolt::write::source::{self, BucketSpec, EntrySource, Sizes, ValueSize};

use super::found::Tier;
use super::gaps::Gaps;
use super::saved_bucket::SavedBucket;
use super::trunk::Trunk;

/// Merges what several roots have, the best first.
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
        // stable: where both have a key, the entry of the first one comes first and stays
        bucket.entries.sort_by(|a, b| a.key.cmp(b.key));
        bucket.entries.dedup_by(|later, first| later.key == first.key);
        let more = bucket.entries.len().saturating_sub(before) as u64;
        bucket.from_others = bucket.from_others.saturating_add(more);
        let missing = bucket.gaps.all().iter().filter(|gap| other.tree.gaps.meet(gap));
        bucket.gaps = Gaps::new(missing.cloned().collect());
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
    pub fn of(saved: &'a [SavedBucket<'_>]) -> Self {
        let numbered = saved
            .iter()
            .enumerate()
            .filter_map(|(number, bucket)| Some(((bucket.parent?, bucket.name), number)));
        let index: HashMap<(usize, &[u8]), usize> = numbered.collect();
        let inside = |number: usize, entry: &Entry<'a>| index.get(&(number, entry.key)).copied();
        // the number of each bucket in the copy: the root bucket, the buckets in it, the buckets in these
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

    /// Entries of all buckets but the root bucket, whose entries are buckets.
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
