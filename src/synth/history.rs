//! What happened in a cluster: every record of the `key` bucket, in the order of revisions, in 16 bytes each.
//!
//! Each key is put once; the further puts go to keys by the churn of their kinds, mostly to a few of them; some keys
//! are deleted. All of that is drawn with a time, sorted, and then numbered as etcd would have done it:
//! transactions are numbered, versions counted, create revisions remembered.
//!
//! There are two periods. Of the first, which ended with the compaction, etcd keeps one record a key, and revisions have
//! gaps. Everything of the second is kept, so its revisions have none.

use rayon::prelude::*;
use thiserror::Error;

use super::cluster::Cluster;
use super::random::{Question, Random};

/// The first revision that etcd gives to a change.
const FIRST_REVISION: u32 = 2;
/// One of this many keys was last written after the compaction.
const ONE_IN_NEW: u64 = 12;
/// Revisions before the compaction for each that it left, unless it is said where it was.
const REVISIONS_A_SURVIVOR: u64 = 8;
/// One of this many changes shares its transaction with the one before.
const ONE_IN_SHARED: u64 = 40;
/// The most changes in one transaction.
const MAX_CHANGES: usize = 8;

/// What is to have happened.
#[derive(Clone, Copy, Debug)]
pub struct Amounts {
    /// Puts that are kept, on average, of each key.
    pub revisions_per_key: f64,
    /// The share of keys that were deleted.
    pub tombstones: f64,
    /// Where it was compacted; 0 for never, `None` for wherever it fits.
    pub compact_revision: Option<u64>,
}

/// Why there is no such history.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum HistoryError {
    /// Each key has one record at least.
    #[error("{0} revisions per key: each key has 1 at least")]
    TooFewRevisions(String),
    #[error("{0} records are more than this command makes: 4,294,967,295 revisions at most")]
    TooMany(u64),
    /// Compaction leaves a record of each key that existed.
    #[error(
        "the compact revision {revision} is too low: {survivors} keys were written before it, each at a revision of its \
         own; take {} or above, or 0 for a file that was never compacted",
        *survivors + 2
    )]
    CompactRevision {
        /// The revision that was asked for.
        revision: u64,
        /// Records that the compaction left.
        survivors: u64,
    },
}

/// One record of the `key` bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// Its revision; while they are drawn, its time.
    main: u32,
    /// The number of its key.
    pub key: u32,
    /// How many times the key was put; of a tombstone, 0.
    pub version: u32,
    /// Bytes of its value in the lower [`SIZE_BITS`], the sub revision above them, and [`TOMBSTONE`].
    packed: u32,
}

const _: () = assert!(size_of::<Record>() == 16);

/// The lowest bit of times in the second age.
const NEW: u32 = 1 << 31;
const TOMBSTONE: u32 = 1 << 31;
const SIZE_BITS: u32 = 28;
const SUB_BITS: u32 = 3;

impl Record {
    fn drawn(key: u32, time: u32) -> Self {
        Self { main: time, key, version: 0, packed: 0 }
    }

    pub fn main(self) -> u32 {
        self.main
    }

    /// The change within it.
    pub fn sub(self) -> u32 {
        self.packed >> SIZE_BITS & ((1 << SUB_BITS) - 1)
    }

    /// Whether it deleted its key.
    pub fn is_tombstone(self) -> bool {
        self.packed & TOMBSTONE != 0
    }

    /// Bytes of its value in the `key` bucket.
    pub fn size(self) -> u32 {
        self.packed & ((1 << SIZE_BITS) - 1)
    }

    /// Remembers how long its value is.
    pub fn set_size(&mut self, size: u32) {
        let mask = (1 << SIZE_BITS) - 1;
        self.packed = self.packed & !mask | size.min(mask);
    }
}

/// All records, and what etcd knows beside them.
#[derive(Debug)]
pub struct SynthHistory {
    /// In the order of their revisions.
    pub records: Vec<Record>,
    /// By key: the revision at which it was created.
    pub created: Vec<u32>,
    pub revision: u32,
    /// The revision of the last compaction; 0 for none.
    pub compact_revision: u32,
    /// Keys that were deleted.
    pub deleted: u32,
}

impl SynthHistory {
    /// Makes a cluster's history.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn new(seed: u64, cluster: &Cluster, num_keys: u32, amounts: Amounts) -> Result<Self, HistoryError> {
        let deleted = share_of(num_keys, amounts.tombstones.min(1.0));
        let updates = updates(num_keys, deleted, amounts.revisions_per_key)?;
        let compacted = amounts.compact_revision != Some(0);
        let mut records = draw(seed, cluster, Draws { num_keys, deleted, updates, compacted });
        records.par_sort_unstable_by_key(|record| (record.main, record.key));
        let survivors = records.partition_point(|record| record.main < NEW);
        let compact_revision = compact_revision(survivors as u64, amounts.compact_revision)?;
        let last = u64::from(compact_revision) + records.len() as u64 + u64::from(FIRST_REVISION);
        if last > u64::from(u32::MAX) {
            return Err(HistoryError::TooMany(last));
        }
        mark_tombstones(&mut records, num_keys, deleted);
        let mut writer = Writer {
            seed,
            cluster,
            created: vec![0; num_keys as usize],
            versions: vec![0; num_keys as usize],
        };
        let (old, new) = records.split_at_mut(survivors);
        writer.live_through_survivors(old, compact_revision);
        let revision = writer.live_through(new, compact_revision.max(FIRST_REVISION - 1));
        Ok(Self { created: writer.created, records, revision, compact_revision, deleted })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of the keys is not more than they are"
)]
fn share_of(num_keys: u32, share: f64) -> u32 {
    ((f64::from(num_keys) * share).round() as u32).min(num_keys)
}

/// Puts beside the first of each key.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
fn updates(num_keys: u32, deleted: u32, per_key: f64) -> Result<u32, HistoryError> {
    if per_key.is_nan() || per_key < 1.0 {
        return Err(HistoryError::TooFewRevisions(per_key.to_string()));
    }
    let updates = (f64::from(num_keys) * (per_key - 1.0)).round();
    let records = updates + f64::from(num_keys) + f64::from(deleted);
    if records >= f64::from(u32::MAX) {
        Err(HistoryError::TooMany(records as u64))
    } else {
        Ok(updates as u32)
    }
}

fn compact_revision(survivors: u64, wanted: Option<u64>) -> Result<u32, HistoryError> {
    let revision = match wanted {
        Some(0) => return Ok(0),
        Some(revision) if revision < survivors + u64::from(FIRST_REVISION) => {
            return Err(HistoryError::CompactRevision { revision, survivors });
        }
        Some(revision) => revision,
        None => survivors * REVISIONS_A_SURVIVOR + u64::from(FIRST_REVISION),
    };
    u32::try_from(revision).map_err(|_| HistoryError::TooMany(revision))
}

#[derive(Clone, Copy)]
struct Draws {
    num_keys: u32,
    deleted: u32,
    updates: u32,
    compacted: bool,
}

/// Draws all records, each with its time.
fn draw(seed: u64, cluster: &Cluster, draws: Draws) -> Vec<Record> {
    let first = |key: u32| {
        let mut random = Random::new(seed, Question::Age, u64::from(key));
        let time = random.bits_32() | NEW;
        let new = !draws.compacted || random.below(ONE_IN_NEW) == 0;
        Record::drawn(key, if new { time } else { time & !NEW })
    };
    let updated = Updated::new(cluster);
    let further = |update: u32| {
        let mut random = Random::new(seed, Question::Update, u64::from(update));
        let key = updated.draw(&mut random);
        Record::drawn(key, random.bits_32() | NEW)
    };
    let deletion = |number: u32| {
        let time = Random::new(seed, Question::Deletion, u64::from(number)).bits_32();
        Record::drawn(deleted_key(number, draws.num_keys, draws.deleted), time | NEW)
    };
    let mut records =
        Vec::with_capacity(draws.num_keys as usize + draws.updates as usize + draws.deleted as usize);
    records.par_extend((0..draws.num_keys).into_par_iter().map(first));
    records.par_extend((0..draws.updates).into_par_iter().map(further));
    records.par_extend((0..draws.deleted).into_par_iter().map(deletion));
    records
}

/// The key that is deleted as the nth: deleted keys are spread evenly over all kinds.
fn deleted_key(number: u32, num_keys: u32, deleted: u32) -> u32 {
    let key = u64::from(number) * u64::from(num_keys) / u64::from(deleted.max(1));
    u32::try_from(key).unwrap_or(u32::MAX)
}

/// Which keys are written again and again.
struct Updated {
    /// By kind: the churn of this and all kinds before it, its first key, and how many it has.
    kinds: Vec<(u64, u32, u32)>,
    churn: u64,
}

impl Updated {
    fn new(cluster: &Cluster) -> Self {
        let mut churn = 0u64;
        let kinds = cluster.kinds().map(|(kind, keys)| {
            let count = keys.end.saturating_sub(keys.start);
            churn += u64::from(kind.churn) * u64::from(count);
            (churn, keys.start, count)
        });
        Self { kinds: kinds.collect(), churn }
    }

    fn draw(&self, random: &mut Random) -> u32 {
        let draw = random.below(self.churn);
        let kind = self.kinds.get(self.kinds.partition_point(|&(churn, ..)| churn <= draw));
        let &(_, start, count) = kind.unwrap_or(&(0, 0, 0));
        start + u32::try_from(random.skewed_below(u64::from(count))).unwrap_or(0)
    }
}

/// The last record of each deleted key is its tombstone.
fn mark_tombstones(records: &mut [Record], num_keys: u32, deleted: u32) {
    let mut waiting = vec![false; num_keys as usize];
    for number in 0..deleted {
        let slot = waiting.get_mut(deleted_key(number, num_keys, deleted) as usize);
        slot.into_iter().for_each(|slot| *slot = true);
    }
    for record in records.iter_mut().rev() {
        if let Some(waits) = waiting.get_mut(record.key as usize).filter(|waits| **waits) {
            record.packed |= TOMBSTONE;
            *waits = false;
        }
    }
}

/// Gives records their revisions and versions.
struct Writer<'c> {
    seed: u64,
    cluster: &'c Cluster,
    created: Vec<u32>,
    versions: Vec<u32>,
}

impl Writer<'_> {
    /// What compaction left: one record a key, each somewhere in its own part of the revisions up to it.
    fn live_through_survivors(&mut self, records: &mut [Record], compact_revision: u32) {
        let span = u64::from(compact_revision.saturating_sub(FIRST_REVISION - 1));
        let count = (records.len() as u64).max(1);
        for (number, record) in (0u64..).zip(records) {
            let (from, to) = (number * span / count, (number + 1) * span / count);
            let within = Random::new(self.seed, Question::Gap, number).below(to - from);
            record.main = FIRST_REVISION + u32::try_from(from + within).unwrap_or(0);
            let (created, version) = self.past(*record);
            record.version = version;
            self.remember(record.key, created, version);
        }
    }

    /// The create revision and version of a key's first record that is left: it may have had others.
    fn past(&self, record: Record) -> (u32, u32) {
        let mut random = Random::new(self.seed, Question::Past, u64::from(record.key));
        let churn = self.cluster.object(record.key).map_or(0, |object| u64::from(object.kind.churn));
        let room = u64::from(record.main.saturating_sub(FIRST_REVISION));
        let before = random.skewed_below(churn * 8).min(room);
        let ago = if before == 0 { 0 } else { before + random.below(room - before + 1) };
        let narrow = |number: u64| u32::try_from(number).unwrap_or(0);
        (record.main - narrow(ago), 1 + narrow(before))
    }

    /// What came after `revision`; gives back the last one.
    fn live_through(&mut self, records: &mut [Record], mut revision: u32) -> u32 {
        let mut changed: Vec<u32> = Vec::with_capacity(MAX_CHANGES);
        for (number, record) in (0u64..).zip(records) {
            let shares = Random::new(self.seed, Question::Transaction, number).below(ONE_IN_SHARED) == 0;
            let joins = shares && (1..MAX_CHANGES).contains(&changed.len()) && !changed.contains(&record.key);
            if !joins {
                revision += 1;
                changed.clear();
            }
            record.main = revision;
            record.packed |= u32::try_from(changed.len()).unwrap_or(0) << SIZE_BITS;
            changed.push(record.key);
            if !record.is_tombstone() {
                record.version = self.put(record.key, revision);
            }
        }
        revision
    }

    fn put(&mut self, key: u32, revision: u32) -> u32 {
        let before = self.versions.get(key as usize).copied().unwrap_or(0);
        let created =
            if before == 0 { revision } else { self.created.get(key as usize).copied().unwrap_or(0) };
        self.remember(key, created, before + 1);
        before + 1
    }

    fn remember(&mut self, key: u32, created: u32, version: u32) {
        self.created.get_mut(key as usize).into_iter().for_each(|slot| *slot = created);
        self.versions.get_mut(key as usize).into_iter().for_each(|slot| *slot = version);
    }
}
