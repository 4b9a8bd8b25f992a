//! What is to be written.

use std::ops::Range;

/// A file's content: its buckets, and all their entries, numbered through.
///
/// Entries are asked for from several threads, in any order, and more than once; each answer must be the same.
pub trait EntrySource: Sync {
    /// The buckets. The first is the root bucket; a bucket comes before those within it.
    fn buckets(&self) -> &[BucketSpec];

    /// How long an entry is, without reading it.
    fn sizes(&self, entry: u64) -> Sizes;

    /// An entry. One that must be made first is made in `scratch`. `None` where it can't be read any more.
    fn entry<'s>(&'s self, entry: u64, scratch: &'s mut Vec<u8>) -> Option<NewEntry<'s>>;
}

impl<S: EntrySource> EntrySource for &S {
    fn buckets(&self) -> &[BucketSpec] {
        (*self).buckets()
    }

    fn sizes(&self, entry: u64) -> Sizes {
        (*self).sizes(entry)
    }

    fn entry<'s>(&'s self, entry: u64, scratch: &'s mut Vec<u8>) -> Option<NewEntry<'s>> {
        (*self).entry(entry, scratch)
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BucketSpec {
    pub sequence: u64,
    /// Its entries, in ascending order of their keys.
    pub entries: Range<u64>,
}

/// How long an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sizes {
    /// Bytes of the key.
    pub key: usize,
    /// What the value is.
    pub value: ValueSize,
}

/// What a value is, and how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ValueSize {
    Bytes(u64),
    /// The bucket of this number.
    Bucket(usize),
}

/// An entry: its key, and its value, which is empty where it is a bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewEntry<'s> {
    pub key: &'s [u8],
    pub value: &'s [u8],
}
