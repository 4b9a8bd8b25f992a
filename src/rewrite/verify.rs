//! The proof: the copy is opened again, walked whole, and compared with its source entry by entry. Entries that the copy was to leave
//! out are skipped in the source, by rules that are read from the source again.

use rayon::prelude::*;

use crate::bolt::Db;
use crate::bolt::bucket::{Bucket, BucketId, path_of};
use crate::bolt::page::Entry;
use crate::bolt::walk::{BucketWalk, Setup, Subtree, Walker, walk};
use crate::copy::Progress;
use crate::copy::proof::{self, BATCH, Mismatch, check_structure};
use crate::etcd::RecordKey;
use crate::etcd::crc::Crc;
use crate::etcd::hash::{self, Rule};
use crate::etcd::schema::{KEY_BUCKET, State};
use crate::text::ByteText;

use super::changes::{Changes, Part};
use super::outcome::Verification;

/// Compares the copy with its source: every bucket, every entry, and the hash that etcd would make of each, from its own
/// bytes. What was to be changed is taken into account, and what a compaction keeps is read from the source again.
///
/// # Errors
/// The first difference.
pub fn prove(
    source: &Db,
    copy: &Db,
    changes: &Changes<'_>,
    progress: Progress<'_>,
) -> Result<Verification, Mismatch> {
    (progress.begin)("verifying", copy.file_size());
    let (source_state, state) = (State::read(source), State::read(copy));
    let expected = changes.compaction().unwrap_or_else(|| source_state.compact_revision());
    if let Some(revision) = changes.compaction() {
        let marks = (state.scheduled_compact_revision, state.finished_compact_revision);
        if marks != (Some(revision), Some(revision)) {
            let (expected, found) = (Some(revision), marks.0.min(marks.1));
            return Err(Mismatch::Compaction { expected, found });
        }
    }
    let source_hash = source_state.key_bucket.as_ref().map(|key_bucket| {
        let is_lost = |value: &[u8]| changes.left_out(value).is_some();
        hash::hash_kv_without(source, key_bucket, expected, i64::MAX, &is_lost)
    });
    let changes = changes.afresh(source, &source_state);
    let rule =
        state.key_bucket.map(|bucket| Rule::new(copy, &bucket, state.compact_revision(), i64::MAX, None));
    let compared = compare(source, copy, &changes, rule.as_ref(), progress.advance)?;
    if compared.hash_kv != source_hash {
        return Err(Mismatch::HashKv { source_hash, copy_hash: compared.hash_kv });
    }
    Ok(Verification { entries: compared.entries + changes.marks().len() as u64, ..compared })
}

/// Walks both files, and compares every bucket and entry. On the way it makes HashKV of the copy, by its `rule`, while its
/// bytes are at hand: to be compared with that of the source.
///
/// # Errors
/// The first difference; anything wrong with the copy's structure.
fn compare<'a>(
    source: &'a Db,
    copy: &Db,
    changes: &Changes<'a>,
    rule: Option<&Rule<'_>>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Verification, Mismatch> {
    let of_copy = proof::setup(copy)?;
    let ((compared, of_source), of_copy) = walk(copy, of_copy, |copy_walker| {
        walk(source, Setup { max_faults: 1, ..Setup::default() }, |source_walker| {
            compare_buckets((source_walker, copy_walker), changes, rule, progress)
        })
    });
    let compared = compared?;
    check_structure(copy, &of_copy)?;
    match of_source.findings.count {
        0 => Ok(compared),
        _ => Err(Mismatch::SourceChanged(of_source.findings.first_in_words())),
    }
}

/// Each bucket of a source with the one in its place in the copy.
fn compare_buckets<'a>(
    (source_walker, copy_walker): (&mut Walker<'a>, &mut Walker<'_>),
    changes: &Changes<'a>,
    rule: Option<&Rule<'_>>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Verification, Mismatch> {
    let (mut compared, marks) = (Verification::default(), changes.marks());
    for id in (0..).map(BucketId) {
        let path = || ByteText(path_of(source_walker.buckets(), id));
        match (source_walker.bucket(id), copy_walker.bucket(id)) {
            (None, None) => break,
            (Some(source), Some(copy)) if is_same(source, copy) => {}
            _ => return Err(Mismatch::Bucket(path())),
        }
        let is_key = |bucket: &Bucket<'_>| bucket.parent == Some(BucketId::ROOT) && bucket.name == KEY_BUCKET;
        let is_key_bucket = copy_walker.bucket(id).is_some_and(is_key);
        let bucket = path();
        let part = copy_walker.bucket(id).map_or(Part::Other, Part::of);
        let (Some(source), Some(copy)) = (source_walker.walk_bucket(id), copy_walker.walk_bucket(id)) else {
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
        let source = Stream::new(source, &kept);
        let (entries, hash) =
            compare_entries(source, Stream::new(copy, &|entry| !own(entry)), &bucket, rule, progress)?;
        compared.hash_kv = compared.hash_kv.or(rule.map(|_| hash.value()));
        compared.entries += entries;
        compared.buckets += 1;
    }
    Ok(compared)
}

fn is_same(a: &Bucket<'_>, b: &Bucket<'_>) -> bool {
    (a.parent, a.name, a.sequence) == (b.parent, b.name, b.sequence)
}

/// Entries of one file, to be compared with those of the other.
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

/// Compares the entries of one bucket. Returns their number, and the hash of the copy's records.
fn compare_entries(
    mut source: Stream<'_, '_>,
    mut copy: Stream<'_, '_>,
    bucket: &ByteText,
    rule: Option<&Rule<'_>>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(u64, Crc), Mismatch> {
    let mut hash = Crc::of(KEY_BUCKET);
    let mut done = 0u64;
    loop {
        let (a, b) = (source.at_hand(), copy.at_hand());
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
        source.taken += common;
        copy.taken += common;
    }
}

/// Compares entries in pairs, and hashes the records of the copy. The first pair that differs is an error.
fn compare_batch(source: &[Entry<'_>], copy: &[Entry<'_>], rule: Option<&Rule<'_>>) -> Result<Crc, usize> {
    let mut hash = Crc::default();
    for (index, (a, b)) in source.iter().zip(copy).enumerate() {
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

/// Entries that are buckets have different root pages: their content is compared separately.
fn is_equal(a: &Entry<'_>, b: &Entry<'_>) -> bool {
    a.flags == b.flags && a.key == b.key && (a.is_bucket() || a.value == b.value)
}
