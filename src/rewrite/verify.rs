//! The proof: a copy opened afresh, walked whole, and compared with its source entry by entry.

use rayon::prelude::*;
use thiserror::Error;

use crate::bolt::Db;
use crate::bolt::freelist::FreedPages;
use crate::bolt::page::Entry;
use crate::bolt::walk::{Bucket, BucketId, BucketWalk, Findings, Subtree, Threads, Walker, path_of};
use crate::text::ByteText;

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
    /// The hash over the records differs.
    #[error("HashKV of the source is {source_hash}, of the copy {copy_hash}")]
    HashKv {
        /// Of the source.
        source_hash: u32,
        /// Of the copy.
        copy_hash: u32,
    },
}

/// Walks both files, and compares every bucket and entry.
///
/// # Errors
/// The first difference; anything wrong with the copy's structure.
pub fn compare(source: &Db, copy: &Db, progress: &(dyn Fn(u64) + Sync)) -> Result<Compared, Mismatch> {
    let mut source_walker = Walker::new(source, None, Threads::All, 1);
    let mut findings = Findings::default();
    let freelist = FreedPages::read(copy, &mut findings, 1);
    if findings.count > 0 {
        return Err(Mismatch::Damaged(first_fault(&findings)));
    }
    let mut copy_walker = Walker::new(copy, freelist, Threads::All, 1);
    let mut compared = Compared::default();
    for id in (0..).map(BucketId) {
        let path = || ByteText(path_of(source_walker.buckets(), id));
        match (source_walker.bucket(id), copy_walker.bucket(id)) {
            (None, None) => break,
            (Some(left), Some(right)) if is_same(left, right) => {}
            _ => return Err(Mismatch::Bucket(path())),
        }
        let bucket = path();
        let (Some(left), Some(right)) = (source_walker.walk_bucket(id), copy_walker.walk_bucket(id)) else {
            return Err(Mismatch::Bucket(bucket));
        };
        compared.entries += compare_entries(left, right, &bucket, progress)?;
        compared.buckets += 1;
    }
    check_structure(copy, copy_walker)?;
    let (findings, _) = source_walker.finish();
    if findings.count > 0 { Err(Mismatch::SourceChanged(first_fault(&findings))) } else { Ok(compared) }
}

fn is_same(left: &Bucket<'_>, right: &Bucket<'_>) -> bool {
    (left.parent, left.name, left.sequence) == (right.parent, right.name, right.sequence)
}

/// A file that was written at once is sound, has two valid metas, and no page that is not in use.
fn check_structure(copy: &Db, mut walker: Walker<'_>) -> Result<(), Mismatch> {
    for meta in &copy.metas().slots {
        meta.map_err(|error| Mismatch::Damaged(error.to_string()))?;
    }
    walker.claim_freelist();
    let free: u64 = walker.claims().gaps().map(|(_, pages)| pages).sum();
    let (found, expected) = (copy.num_pages() - free, copy.file_size() / copy.page_size());
    let (findings, _) = walker.finish();
    if findings.count > 0 {
        return Err(Mismatch::Damaged(first_fault(&findings)));
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
    entries: Vec<Entry<'a>>,
    taken: usize,
}

impl<'w, 'a> Stream<'w, 'a> {
    fn new(walk: BucketWalk<'w, 'a>) -> Self {
        Self { walk, entries: Vec::new(), taken: 0 }
    }

    /// The entries at hand; more are fetched where there are none. Empty at the end of the bucket.
    fn at_hand(&mut self) -> &[Entry<'a>] {
        let read = |subtree: &mut Subtree<'_, 'a>| {
            let leaves = subtree.filter_map(|node| node.leaf());
            leaves.flat_map(|leaf| leaf.entries().filter_map(Result::ok)).collect::<Vec<_>>()
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

/// Compares one bucket's entries; gives back how many there are.
fn compare_entries(
    left: BucketWalk<'_, '_>,
    right: BucketWalk<'_, '_>,
    bucket: &ByteText,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<u64, Mismatch> {
    let (mut left, mut right) = (Stream::new(left), Stream::new(right));
    let mut done = 0u64;
    loop {
        let (a, b) = (left.at_hand(), right.at_hand());
        let common = a.len().min(b.len());
        if common == 0 {
            let both_end = a.len() == b.len();
            let error = || Mismatch::Length { bucket: bucket.clone(), entry: done };
            return if both_end { Ok(done) } else { Err(error()) };
        }
        let (a, b) = (a.get(..common).unwrap_or_default(), b.get(..common).unwrap_or_default());
        let batches = a.par_chunks(BATCH).zip(b.par_chunks(BATCH));
        let first_difference = batches.enumerate().find_map_first(|(number, (a, b))| {
            let within = a.iter().zip(b).position(|(a, b)| !is_equal(a, b))?;
            Some(number * BATCH + within)
        });
        if let Some(index) = first_difference {
            return Err(Mismatch::Entry { bucket: bucket.clone(), entry: done + index as u64 });
        }
        progress(b.iter().map(Entry::own_bytes).sum());
        done += common as u64;
        left.taken += common;
        right.taken += common;
    }
}

/// Two entries that are buckets differ in where their roots lie: their content is compared by itself.
fn is_equal(left: &Entry<'_>, right: &Entry<'_>) -> bool {
    left.flags == right.flags && left.key == right.key && (left.is_bucket() || left.value == right.value)
}
