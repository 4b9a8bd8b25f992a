//! The proof that a copy holds the entries that it was made from, and nothing else.

#![warn(missing_docs)]

use rayon::prelude::*;
use thiserror::Error;

use crate::bolt::Db;
use crate::bolt::bucket::{BucketId, path_of};
use crate::bolt::fault::Findings;
use crate::bolt::freelist::FreedPages;
use crate::bolt::page::Entry;
use crate::bolt::walk::{BucketWalk, Setup, Subtree, Walked, Walker, walk};
use crate::bolt::write::{BucketSpec, EntrySource, ValueSize};
use crate::text::ByteText;

/// Entries that a thread compares at a time.
pub const BATCH: usize = 256;

/// Why a copy is not what it should be.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Mismatch {
    /// Its structure is damaged.
    #[error("the copy is damaged: {0}")]
    Damaged(String),
    /// It has a page that is not in use, or its size is not that of its pages.
    #[error("the copy has {found} pages in use, and {expected} in all")]
    Pages {
        /// Pages that its trees reach.
        found: u64,
        /// Pages of the file.
        expected: u64,
    },
    /// A bucket is missing, is another, or should not be there.
    #[error("bucket {0} differs: another name, place or sequence")]
    Bucket(ByteText),
    /// An entry differs.
    #[error("bucket {bucket}: entry {entry} differs")]
    Entry {
        /// The bucket.
        bucket: ByteText,
        /// The number of the entry, from 0.
        entry: u64,
    },
    /// One of the two ends earlier.
    #[error("bucket {bucket} ends after entry {entry} in one of the files, and goes on in the other")]
    Length {
        /// The bucket.
        bucket: ByteText,
        /// The number of entries that both have.
        entry: u64,
    },
    /// The source is not what it was.
    #[error("the source changed meanwhile: {0}")]
    SourceChanged(String),
    /// A compaction is not recorded as it should be.
    #[error("the copy should be compacted to {expected:?}, and says {found:?}")]
    Compaction {
        /// The revision that was to be written.
        expected: Option<i64>,
        /// The revision that the copy has.
        found: Option<i64>,
    },
    /// The hash over the records differs.
    #[error("HashKV of the source is {source_hash:?}, of the copy {copy_hash:?}")]
    HashKv {
        /// HashKV of the source.
        source_hash: Option<u32>,
        /// HashKV of the copy.
        copy_hash: Option<u32>,
    },
}

/// Walks a copy, and checks each page, and each entry against the one that it was made from.
///
/// # Errors
/// The first difference; anything wrong with the copy's structure.
pub fn against(
    entries: &impl EntrySource,
    copy: &Db,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), Mismatch> {
    let (compared, walked) = walk(copy, setup(copy)?, |walker| {
        (0u32..)
            .zip(entries.buckets())
            .try_for_each(|(number, bucket)| compare(entries, bucket, BucketId(number), walker, progress))
    });
    compared?;
    let expected = entries.buckets().len();
    if walked.buckets.len() > expected {
        let id = BucketId(u32::try_from(expected).unwrap_or(u32::MAX));
        return Err(Mismatch::Bucket(ByteText(path_of(&walked.buckets, id))));
    }
    check_structure(copy, &walked)
}

/// How a copy is walked: with its freelist, up to its first fault.
///
/// # Errors
/// Its freelist is damaged.
pub fn setup(copy: &Db) -> Result<Setup, Mismatch> {
    let mut findings = Findings::default();
    let freed = FreedPages::read(copy, &mut findings, 1);
    match findings.count {
        0 => Ok(Setup { freed, max_faults: 1 }),
        _ => Err(Mismatch::Damaged(findings.first_in_words())),
    }
}

/// A file that was written at once has no fault, two valid metas, and no page that is not in use.
///
/// # Errors
/// [`Mismatch::Damaged`], [`Mismatch::Pages`].
pub fn check_structure(copy: &Db, walked: &Walked<'_>) -> Result<(), Mismatch> {
    for meta in &copy.metas().slots {
        meta.map_err(|error| Mismatch::Damaged(error.to_string()))?;
    }
    if walked.findings.count > 0 {
        return Err(Mismatch::Damaged(walked.findings.first_in_words()));
    }
    let free = walked.unreached.iter().map(|&(_, pages)| pages).fold(0, u64::saturating_add);
    let found = copy.num_pages().saturating_sub(free);
    let expected = copy.file_size().checked_div(copy.page_size()).unwrap_or(0);
    if found == expected && copy.high_water_mark() == expected {
        Ok(())
    } else {
        Err(Mismatch::Pages { found, expected })
    }
}

fn compare(
    entries: &impl EntrySource,
    bucket: &BucketSpec,
    id: BucketId,
    walker: &mut Walker<'_>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), Mismatch> {
    let path = ByteText(path_of(walker.buckets(), id));
    let is_same = walker.bucket(id).is_some_and(|found| found.sequence == bucket.sequence);
    let Some(mut walk) = walker.walk_bucket(id).filter(|_| is_same) else {
        return Err(Mismatch::Bucket(path));
    };
    let mut next = bucket.entries.start;
    while let Some(window) = next_entries(&mut walk) {
        let batches = window.par_chunks(BATCH).enumerate();
        let first_different = batches.find_map_first(|(batch, found)| {
            let first = next.saturating_add(batch.saturating_mul(BATCH) as u64);
            (first..)
                .zip(found)
                .find(|(number, entry)| !is_entry(entries, *number, entry))
                .map(|(number, _)| number)
        });
        if let Some(number) = first_different.filter(|&number| number < bucket.entries.end) {
            return Err(Mismatch::Entry { bucket: path, entry: number.saturating_sub(bucket.entries.start) });
        }
        progress(window.iter().map(Entry::own_bytes).fold(0, u64::saturating_add));
        next = next.saturating_add(window.len() as u64);
    }
    let length = bucket.entries.end.saturating_sub(bucket.entries.start);
    let found = next.saturating_sub(bucket.entries.start);
    if found == length { Ok(()) } else { Err(Mismatch::Length { bucket: path, entry: found.min(length) }) }
}

/// The next entries of a bucket, in order; `None` at its end.
fn next_entries<'a>(walk: &mut BucketWalk<'_, 'a>) -> Option<Vec<Entry<'a>>> {
    let read = |subtree: &mut Subtree<'_, 'a>| {
        let leaves = subtree.filter_map(|node| node.leaf());
        leaves.flat_map(|leaf| leaf.entries().filter_map(Result::ok)).collect::<Vec<_>>()
    };
    Some(walk.next_window(read)?.into_iter().flatten().collect())
}

/// Whether an entry of the copy is the one of this number. The content of buckets is compared separately.
fn is_entry(entries: &impl EntrySource, number: u64, found: &Entry<'_>) -> bool {
    let is_bucket = matches!(entries.sizes(number).value, ValueSize::Bucket(_));
    let mut scratch = Vec::new();
    entries.entry(number, &mut scratch).is_some_and(|expected| {
        expected.key == found.key
            && is_bucket == found.is_bucket()
            && (is_bucket || expected.value == found.value)
    })
}
