//! One bucket of the copy.

use std::borrow::Cow;

use crate::bolt::format::BUCKET_FLAG;
use crate::bolt::page::Entry;

use super::found::Tier;
use super::gaps::Gaps;
use super::kinds::Small;

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
    /// What the first root does not have of it. Some of this may be filled from the next roots.
    pub first_gaps: Gaps<'a>,
    /// Where it was found first.
    pub tier: Tier,
    /// Entries that came from a later root.
    pub from_others: u64,
    /// Entries that came from leaves that no root reaches.
    pub from_orphans: u64,
    /// Entries that came from the log.
    pub from_log: u64,
    /// Keys that were found in such leaves, and left out.
    pub left_out: u64,
    /// Keys that were found there with two values.
    pub conflicts: u64,
    /// Entries that were derived from others, in order.
    pub made: Vec<Made>,
    /// Whether nothing of it was found: it was added because etcd makes it at its first start.
    pub is_made: bool,
}

impl<'a> SavedBucket<'a> {
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
            from_log: 0,
            left_out: 0,
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
        self.left_out = taken.left_out;
        self.conflicts = taken.conflicts;
        self.entries.extend(taken.entries);
        self.entries.sort_by(|a, b| a.key.cmp(b.key));
    }

    pub fn num_values(&self) -> u64 {
        let plain = self.entries.iter().filter(|entry| !entry.is_bucket()).count();
        plain.saturating_add(self.made.len()) as u64
    }

    /// All of its entries, with those that were derived.
    pub(super) fn with_made(&self) -> Cow<'_, [Entry<'_>]> {
        if self.made.is_empty() {
            return Cow::Borrowed(&self.entries);
        }
        let made =
            self.made.iter().map(|made| Entry { flags: 0, key: made.key, value: &made.value, start: 0 });
        let mut all: Vec<Entry<'_>> = self.entries.iter().copied().chain(made).collect();
        // stable: an entry of the file comes before a derived one
        all.sort_by(|a, b| a.key.cmp(b.key));
        Cow::Owned(all)
    }

    /// Whether it is this bucket of etcd's.
    pub fn is_of(&self, kind: Small) -> bool {
        self.parent == Some(0) && self.name == kind.name()
    }

    /// The value of a plain key.
    pub fn value(&self, key: &[u8]) -> Option<&'a [u8]> {
        let entry = self.entries.iter().find(|entry| entry.key == key && !entry.is_bucket());
        entry.map(|entry| entry.value)
    }
}

/// An entry that the file does not have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Made {
    pub key: &'static [u8],
    pub value: Vec<u8>,
}

/// What is taken of what was found in leaves that no root reaches.
#[derive(Debug, Default)]
pub struct Taken<'a> {
    /// Entries that are taken, each key once.
    pub entries: Vec<Entry<'a>>,
    /// Keys that were found there, and left out.
    pub left_out: u64,
    /// Keys that were found with two values.
    pub conflicts: u64,
}
