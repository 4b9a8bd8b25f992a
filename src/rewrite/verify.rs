//! The proof: a copy opened afresh, walked whole, and compared with its source entry by entry. What the copy was to leave
//! out is skipped in the source, by the rules that were read from the source once more.

use rayon::prelude::*;
use thiserror::Error;

use crate::bolt::Db;
use crate::bolt::bucket::{Bucket, BucketId, path_of};
use crate::bolt::fault::Findings;
use crate::bolt::freelist::FreedPages;
use crate::bolt::page::Entry;
use crate::bolt::walk::{BucketWalk, Setup, Subtree, Walked, Walker, walk};
use crate::etcd::RecordKey;
use crate::etcd::crc::Crc;
use crate::etcd::hash::Rule;
use crate::etcd::schema::KEY_BUCKET;
use crate::text::ByteText;

use super::changes::{Changes, Part};
use super::content::first_fault;

/// Entries that a thread compares at a time.
const BATCH: usize = 256;

/// What was compared, and found equal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Compared {
    /// Buckets.
    pub buckets: u64,
    /// Entries of all buckets, buckets among them.
    pub entries: u64,
    /// HashKV of the copy; `None` for a file that isn't etcd's.
    pub hash_kv: Option<u32>,
}

/// Why a copy is not what it should be.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Mismatch {
    /// Its structure is damaged.
    #[error("the copy is damaged: {0}")]
    Damaged(String),
    /// Its pages are not all in use, or its size is not that of its pages.
    #[error("the copy has {found} pages in use, and {expected} in all")]
    Pages {
        /// Pages that its trees reach.
        found: u64,
        /// Pages of the file.
        expected: u64,
    },
    /// A bucket is missing, or another.
    #[error("bucket {0} differs: another name, place or sequence")]
    Bucket(ByteText),
    /// An entry differs.
    #[error("bucket {bucket}: entry {entry} differs")]
    Entry {
        /// The bucket.
        bucket: ByteText,
        /// Which of its entries, from 0.
        entry: u64,
    },
    /// One of them ends earlier.
    #[error("bucket {bucket} ends behind entry {entry} in one of the files, and goes on in the other")]
    Length {
        /// The bucket.
        bucket: ByteText,
        /// Entries that both have.
        entry: u64,
    },
    /// The source is not what it was.
    #[error("the source changed meanwhile: {0}")]
    SourceChanged(String),
    /// A compaction is not recorded as it should be.
    #[error("the copy should be compacted to {expected:?}, and says {found:?}")]
    Compaction {
        /// What was to be written.
        expected: Option<i64>,
        /// What the copy's marks say.
        found: Option<i64>,
    },
    /// The hash over the records differs.
    #[error("HashKV of the source is {source_hash:?}, of the copy {copy_hash:?}")]
    HashKv {
        /// Of the source.
        source_hash: Option<u32>,
        /// Of the copy.
        copy_hash: Option<u32>,
    },
}

/// Walks both files, and compares every bucket and entry. On the way it makes HashKV of the copy, by its `rule`, while its
/// bytes are at hand: to be held against what the source's own bytes make.
///
/// # Errors
/// The first difference; anything wrong with the copy's structure.
pub fn compare<'a>(
    source: &'a Db,
    copy: &Db,
    changes: &Changes<'a>,
    rule: Option<&Rule<'_>>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Compared, Mismatch> {
    let mut findings = Findings::default();
    let freelist = FreedPages::read(copy, &mut findings, 1);
    if findings.count > 0 {
        return Err(Mismatch::Damaged(first_fault(&findings)));
    }
    let setup = || Setup { max_faults: 1, ..Setup::default() };
    let of_copy = Setup { freed: freelist, ..setup() };
    let ((compared, of_source), of_copy) = walk(copy, of_copy, |copy_walker| {
        walk(source, setup(), |source_walker| {
            compare_buckets((source_walker, copy_walker), changes, rule, progress)
        })
    });
    let compared = compared?;
    check_structure(copy, &of_copy)?;
    match of_source.findings.count {
        0 => Ok(compared),
        _ => Err(Mismatch::SourceChanged(first_fault(&of_source.findings))),
    }
}

/// Each bucket of a source with the one in its place in the copy.
fn compare_buckets<'a>(
    (source_walker, copy_walker): (&mut Walker<'a>, &mut Walker<'_>),
    changes: &Changes<'a>,
    rule: Option<&Rule<'_>>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Compared, Mismatch> {
    let (mut compared, marks) = (Compared::default(), changes.marks());
    for id in (0..).map(BucketId) {
        let path = || ByteText(path_of(source_walker.buckets(), id));
        match (source_walker.bucket(id), copy_walker.bucket(id)) {
            (None, None) => break,
            (Some(left), Some(right)) if is_same(left, right) => {}
            _ => return Err(Mismatch::Bucket(path())),
        }
        let is_key = |bucket: &Bucket<'_>| bucket.parent == Some(BucketId::ROOT) && bucket.name == KEY_BUCKET;
        let is_key_bucket = copy_walker.bucket(id).is_some_and(is_key);
        let bucket = path();
        let part = copy_walker.bucket(id).map_or(Part::Other, Part::of);
        let (Some(left), Some(right)) = (source_walker.walk_bucket(id), copy_walker.walk_bucket(id)) else {
            return Err(Mismatch::Bucket(bucket));
        };
        let rule = rule.filter(|_| is_key_bucket);
        let kept = |entry: &Entry<'a>| changes.keeps(part, entry);
        // the marks of a compaction are the copy's own, if they are these and no others: `prove` looks for both
        let own = |entry: &Entry<'_>| {
            let is =
                |(key, value): &(&[u8], Vec<u8>)| (entry.flags, entry.key, entry.value) == (0, *key, value);
            part == Part::Meta && marks.iter().any(is)
        };
        let left = Stream::new(left, &kept);
        let (entries, hash) =
            compare_entries(left, Stream::new(right, &|entry| !own(entry)), &bucket, rule, progress)?;
        compared.hash_kv = compared.hash_kv.or(rule.map(|_| hash.value()));
        compared.entries += entries;
        compared.buckets += 1;
    }
    Ok(compared)
}

fn is_same(left: &Bucket<'_>, right: &Bucket<'_>) -> bool {
    (left.parent, left.name, left.sequence) == (right.parent, right.name, right.sequence)
}

/// A file that was written at once is sound, has two valid metas, and no page that is not in use.
fn check_structure(copy: &Db, walked: &Walked<'_>) -> Result<(), Mismatch> {
    for meta in &copy.metas().slots {
        meta.map_err(|error| Mismatch::Damaged(error.to_string()))?;
    }
    let free: u64 = walked.unreached.iter().map(|&(_, pages)| pages).sum();
    let (found, expected) = (copy.num_pages() - free, copy.file_size() / copy.page_size());
    if walked.findings.count > 0 {
        return Err(Mismatch::Damaged(first_fault(&walked.findings)));
    }
    if found == expected && copy.high_water_mark() == expected {
        Ok(())
    } else {
        Err(Mismatch::Pages { found, expected })
    }
}

/// Entries of one file that wait for those of the other.
struct Stream<'w, 'a> {
    walk: BucketWalk<'w, 'a>,
    /// Which of them are compared.
    kept: &'w (dyn Fn(&Entry<'a>) -> bool + Sync),
    entries: Vec<Entry<'a>>,
    taken: usize,
}

impl<'w, 'a> Stream<'w, 'a> {
    fn new(walk: BucketWalk<'w, 'a>, kept: &'w (dyn Fn(&Entry<'a>) -> bool + Sync)) -> Self {
        Self { walk, kept, entries: Vec::new(), taken: 0 }
    }

    /// The entries at hand; more are fetched where there are none. Empty at the end of the bucket.
    fn at_hand(&mut self) -> &[Entry<'a>] {
        let kept = self.kept;
        let read = |subtree: &mut Subtree<'_, 'a>| {
            let leaves = subtree.filter_map(|node| node.leaf());
            leaves.flat_map(|leaf| leaf.entries().filter_map(Result::ok)).filter(kept).collect::<Vec<_>>()
        };
        while self.taken == self.entries.len() {
            let Some(window) = self.walk.next_window(read) else { break };
            self.entries.clear();
            self.taken = 0;
            window.into_iter().for_each(|part| self.entries.extend(part));
        }
        self.entries.get(self.taken..).unwrap_or_default()
    }
}

/// Compares one bucket's entries; gives back how many there are, and the hash of the right one's records.
fn compare_entries(
    mut left: Stream<'_, '_>,
    mut right: Stream<'_, '_>,
    bucket: &ByteText,
    rule: Option<&Rule<'_>>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(u64, Crc), Mismatch> {
    let mut hash = Crc::of(KEY_BUCKET);
    let mut done = 0u64;
    loop {
        let (a, b) = (left.at_hand(), right.at_hand());
        let common = a.len().min(b.len());
        if common == 0 {
            let both_end = a.len() == b.len();
            let error = || Mismatch::Length { bucket: bucket.clone(), entry: done };
            return if both_end { Ok((done, hash)) } else { Err(error()) };
        }
        let (a, b) = (a.get(..common).unwrap_or_default(), b.get(..common).unwrap_or_default());
        let batches = a.par_chunks(BATCH).zip(b.par_chunks(BATCH));
        let compared: Vec<_> = batches.map(|(a, b)| compare_batch(a, b, rule)).collect();
        for (number, batch) in compared.into_iter().enumerate() {
            hash.append(batch.map_err(|index| {
                let entry = done + (number * BATCH + index) as u64;
                Mismatch::Entry { bucket: bucket.clone(), entry }
            })?);
        }
        progress(b.iter().map(Entry::own_bytes).sum());
        done += common as u64;
        left.taken += common;
        right.taken += common;
    }
}

/// Compares entries in pairs, and hashes the records of the right ones; the first pair that differs is an error.
fn compare_batch(left: &[Entry<'_>], right: &[Entry<'_>], rule: Option<&Rule<'_>>) -> Result<Crc, usize> {
    let mut hash = Crc::default();
    for (index, (a, b)) in left.iter().zip(right).enumerate() {
        if !is_equal(a, b) {
            return Err(index);
        }
        let taken = |rule: &Rule<'_>| {
            !b.is_bucket() && RecordKey::parse(b.key).is_some_and(|place| rule.takes(place, b.value))
        };
        if rule.is_some_and(taken) {
            hash.update(b.key);
            hash.update(b.value);
        }
    }
    Ok(hash)
}

/// Two entries that are buckets differ in where their roots lie: their content is compared by itself.
fn is_equal(left: &Entry<'_>, right: &Entry<'_>) -> bool {
    left.flags == right.flags && left.key == right.key && (left.is_bucket() || left.value == right.value)
}
