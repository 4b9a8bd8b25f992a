//! For each distinct key, what its history adds up to.
//!
//! Keys are spread over shards by their hash, so that threads can work side by side without locks, and each key's
//! records still come in the order of revisions. A key takes 72 bytes and its slot in a hash table (10 to 21 bytes,
//! 31 while one of 16 tables grows), however many records it has; its text stays in the file.

use std::hash::BuildHasher;
use std::sync::Mutex;

use foldhash::fast::RandomState;
use rayon::prelude::*;

use crate::etcd::history::RecordFault;
use crate::etcd::{KeyValue, RecordKey};
use crate::k8s::KeyLayout;

use super::folders::KeyFolders;
use super::outline::Outline;
use super::record::{FirstRecord, KnownKey, NUM_SHARDS, PartRecords, RecordFinding, RecordSum, Shards};
use super::shard::{AddContext, Shard};
use super::timeline::Bins;

/// Records that the processor is asked for ahead of their turn.
const AHEAD: usize = 8;

/// The keys of the `key` bucket.
#[derive(Debug)]
pub struct Keyspace<'a> {
    shards: Vec<Shard<'a>>,
    /// Entries that are no records.
    pub unreadable: RecordSum,
    /// Another in every run, so that nobody can make keys that all fall into one slot.
    hasher: RandomState,
    spare: Mutex<Vec<Shards<'a>>>,
    folders: KeyFolders<'a>,
    /// The sizes of the records, where they are wanted.
    pub outline: Option<Outline>,
    bins: Bins,
    last: Option<RecordKey>,
    /// The highest revision of a record, 0 where there is none.
    pub max_revision: i64,
}

impl<'a> Keyspace<'a> {
    /// No keys yet; the timeline is cut into these spans, and sizes are kept where `outline` names compactions, even none.
    pub fn new(bins: Bins, outline: Option<&[i64]>) -> Self {
        let shards = std::iter::repeat_with(Shard::default).take(NUM_SHARDS).collect();
        Self {
            shards,
            unreadable: RecordSum::default(),
            hasher: RandomState::default(),
            spare: Mutex::default(),
            folders: KeyFolders::default(),
            outline: outline.map(Outline::new),
            bins,
            last: None,
            max_revision: 0,
        }
    }

    /// Which shard keeps a key, and the hash by which that shard finds it.
    #[inline]
    pub fn place_of(&self, key: &[u8]) -> (usize, u64) {
        (shard_of(key), self.hasher.hash_one(key))
    }

    /// What is known of the key of a record that will be absorbed later.
    #[inline]
    pub fn known_key(&self, shard: usize, hash: u64, kv: &KeyValue<'a>) -> KnownKey {
        if let Some(number) = self.shards.get(shard).and_then(|shard| shard.find(hash, kv.key)) {
            return KnownKey::Known(number);
        }
        self.folders.find(kv).map_or(KnownKey::New, KnownKey::InFolder)
    }

    /// Empty vectors for a part's records: those of a window that was absorbed, where there are any.
    pub fn spare_shards(&self) -> Shards<'a> {
        self.spare.lock().ok().and_then(|mut spare| spare.pop()).unwrap_or_default()
    }

    /// Takes in the records of the next parts of the bucket, in their order; what is wrong with the records comes back.
    pub fn absorb(
        &mut self,
        mut parts: Vec<&mut PartRecords<'a>>,
        layout: &KeyLayout<'_>,
    ) -> Vec<RecordFinding<'a>> {
        let mut faults = Vec::new();
        for part in &mut parts {
            if let (Some(outline), Some(sizes)) = (&mut self.outline, &part.outline) {
                part.first_entry = outline.append(sizes);
            }
            self.unreadable.add(&part.unreadable);
            faults.extend(self.revision_twice(part));
        }
        let context = AddContext { layout, bins: &self.bins, outline: self.outline.as_ref() };
        let absorb = |(number, shard): (usize, &mut Shard<'a>)| {
            let mut max_revision = 0;
            let mut faults = Vec::new();
            for part in &parts {
                let records = part.shards.get(number).map_or(&[][..], Vec::as_slice);
                for (at, record) in records.iter().enumerate() {
                    if let Some(ahead) = records.get(at + AHEAD) {
                        shard.prefetch(ahead);
                    }
                    max_revision = max_revision.max(record.revision);
                    let entry = part.first_entry.saturating_add(record.number);
                    faults.extend(shard.add(record, entry, context));
                }
            }
            (max_revision, faults)
        };
        let done: Vec<_> = self.shards.par_iter_mut().enumerate().map(absorb).collect();
        for (max_revision, shard_faults) in done {
            self.max_revision = self.max_revision.max(max_revision);
            faults.extend(shard_faults);
        }
        for folder in self.shards.iter_mut().flat_map(Shard::take_folders) {
            self.folders.add(folder);
        }
        faults.sort_by_key(|finding| finding.at);
        self.keep_spare(parts);
        faults
    }

    /// Keeps the vectors of parts that were absorbed, for the next window.
    fn keep_spare(&mut self, parts: Vec<&mut PartRecords<'a>>) {
        let Ok(spare) = self.spare.get_mut() else { return };
        spare.extend(parts.into_iter().map(|part| {
            part.shards.iter_mut().for_each(Vec::clear);
            std::mem::take(&mut part.shards)
        }));
    }

    /// A put and a tombstone of one revision that lie in two parts; within a part, the part finds them.
    fn revision_twice(&mut self, part: &PartRecords<'a>) -> Option<RecordFinding<'a>> {
        let last = self.last;
        self.last = part.last.or(last);
        let last = last?;
        let FirstRecord { place, at, key } =
            part.first.filter(|first| first.place.revision == last.revision)?;
        let (main, sub) = (place.revision.main, place.revision.sub);
        Some(RecordFinding { fault: RecordFault::RevisionTwice { main, sub }, at, key: Some(key) })
    }

    /// When all records are in: gives back what only adding needed.
    pub fn finish(&mut self) {
        self.shards.par_iter_mut().for_each(|shard| shard.forget_index());
        self.spare = Mutex::default();
    }

    /// Learns the prefixes of Kubernetes' keys that the layout does not know, and which have logical clusters; whether there
    /// were any.
    pub fn learn(&self, layout: &mut KeyLayout<'a>) -> bool {
        let learned: Vec<KeyLayout<'a>> = self
            .shards
            .par_iter()
            .filter_map(|shard| {
                let mut layout = layout.clone();
                // all of them, so that the first to teach something does not keep the others from it
                let learned = shard.witnesses().filter(|kv| layout.learn(kv.key, kv.value)).count();
                (learned > 0).then_some(layout)
            })
            .collect();
        let any = !learned.is_empty();
        learned.into_iter().for_each(|other| layout.merge(other));
        any
    }

    /// The spans of the timelines.
    pub fn bins(&self) -> &Bins {
        &self.bins
    }

    pub fn shards(&self) -> &[Shard<'a>] {
        &self.shards
    }

    /// Number of distinct keys, deleted ones included.
    pub fn num_keys(&self) -> u64 {
        self.shards.iter().map(|shard| shard.num_keys() as u64).sum()
    }

    /// Number of keys that exist.
    pub fn num_live(&self) -> u64 {
        self.shards.par_iter().map(|shard| shard.keys().filter(|key| key.is_live()).count() as u64).sum()
    }

    pub fn num_records(&self) -> u64 {
        self.shards.par_iter().map(|shard| shard.keys().map(|key| u64::from(key.records)).sum::<u64>()).sum()
    }
}

/// Which shard keeps a key: the same in every run, as is everything that follows from it. Told from the key's last
/// bytes, in which keys differ.
#[inline]
fn shard_of(key: &[u8]) -> usize {
    let last = key.last_chunk::<8>().map_or(key.len() as u64, |last| u64::from_le_bytes(*last));
    (last.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize % NUM_SHARDS
}
