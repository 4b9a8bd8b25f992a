//! For each distinct key, what its history adds up to.
//!
//! Keys are spread over shards by their hash, so that threads can work side by side without locks, and each key's
//! records still come in the order of revisions. A key takes 72 bytes and its slot in a hash table (10 to 21 bytes,
//! 31 while one of 16 tables grows), however many records it has; its text stays in the file.

use std::hash::{BuildHasher, Hash};
use std::ops::Range;
use std::sync::Mutex;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rayon::prelude::*;

use crate::etcd::history::{self, Previous, RecordFault};
use crate::etcd::{KeyValue, RecordKey};
use crate::k8s::{Encoding, Layout, ObjectKey, Tenant};

use super::folders::Folders;
use super::outline::Outline;
use super::part::{Owner, Part, Record, RecordFinding, Shards, Unreadable};
use super::timeline::{BinCursor, Bins, Timeline};

/// Number of shards. More than any machine has cores would only cost memory.
pub const NUM_SHARDS: usize = 16;

/// Kubernetes' resources that one shard keeps apart: more than any cluster has.
const MAX_RESOURCES: usize = 4096;

/// Leading paths that one shard keeps apart. A file of something else may have one a key; what comes beyond this
/// number shares one row.
const MAX_LEADING_PATHS: usize = 64;

/// Objects of each resource that are asked whether their keys have a logical cluster in them.
const WITNESSES: u64 = 4;

/// States are kept in blocks of this many: growing copies nothing, and takes no more than it needs.
const BLOCK: usize = 4096;

/// The keys of the `key` bucket.
#[derive(Debug)]
pub struct Keyspace<'a> {
    shards: Vec<Shard<'a>>,
    /// Entries that are no records.
    pub unreadable: Unreadable,
    /// Another in every run, so that nobody can make keys that all fall into one slot.
    hasher: RandomState,
    spare: Mutex<Vec<Shards<'a>>>,
    /// The sizes of the records, where they are wanted.
    pub outline: Option<Outline>,
    bins: Bins,
    last: Option<RecordKey>,
    /// The highest revision of a record, 0 where there is none.
    pub max_revision: i64,
}

/// What one key's records add up to.
#[derive(Clone, Copy, Debug)]
pub struct KeyState<'a> {
    /// The newest record's value: a `KeyValue` that could be read.
    newest: &'a [u8],
    /// Bytes of all its records' elements, keys and values.
    pub own_bytes: u64,
    /// The same, and their share of their leaves.
    pub leaf_bytes: u64,
    create_revision: i64,
    /// At most `u32::MAX`, which then means any.
    version: u32,
    /// The newest record's share of them; at most `u32::MAX`.
    pub newest_leaf_bytes: u32,
    /// Number of its records.
    pub records: u32,
    value_len: u32,
    /// The newest record's number, as [`Outline`] counts them.
    newest_entry: u32,
    /// Its home, by its number in [`Shard::homes`]; [`NONE`] for what isn't Kubernetes'.
    pub home: u32,
    /// The newest record's lease, by its number in [`Shard::leases`]; [`NONE`] for none.
    pub lease: u32,
    /// Its resource, by its number in [`Shard::resources`].
    pub resource: u16,
    flags: u8,
    /// How the newest record's value is encoded.
    pub encoding: ValueKind,
}

const TOMBSTONE: u8 = 1;
/// All records so far were tombstones: there was no value to tell the resource by.
const NO_PUT_YET: u8 = 2;

/// The number of a home or lease that a key does not have.
pub const NONE: u32 = u32::MAX;

/// How a value is encoded: [`Encoding`] without its text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum ValueKind {
    /// Kubernetes' protobuf envelope.
    Protobuf,
    /// A JSON object.
    Json,
    /// Kubernetes' CBOR.
    Cbor,
    /// Encrypted by the API server.
    Encrypted,
    /// Anything else.
    Other,
}

impl ValueKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Protobuf, Self::Json, Self::Cbor, Self::Encrypted, Self::Other];

    /// The kind of a value, told from its first bytes.
    #[inline]
    #[must_use]
    pub fn of(value: &[u8]) -> Self {
        match Encoding::of(value) {
            Encoding::Protobuf => Self::Protobuf,
            Encoding::Json => Self::Json,
            Encoding::Cbor => Self::Cbor,
            Encoding::Encrypted { .. } => Self::Encrypted,
            Encoding::Other => Self::Other,
        }
    }

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Protobuf => "protobuf",
            Self::Json => "json",
            Self::Cbor => "cbor",
            Self::Encrypted => "encrypted",
            Self::Other => "other",
        }
    }
}

impl<'a> KeyState<'a> {
    /// The newest record.
    #[must_use]
    pub fn newest(&self) -> KeyValue<'a> {
        // it was read before, so the default never comes about
        KeyValue::parse(self.newest).unwrap_or_default()
    }

    /// The key itself.
    #[must_use]
    pub fn key(&self) -> &'a [u8] {
        KeyValue::key_of(self.newest)
    }

    /// The newest record's bytes in the file.
    #[must_use]
    pub fn newest_bytes(&self) -> &'a [u8] {
        self.newest
    }

    /// Whether the key exists: its newest record is a put.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.flags & TOMBSTONE == 0
    }

    /// The revision at which it was created last; 0 where no put of it is kept.
    #[inline]
    #[must_use]
    pub fn create_revision(&self) -> i64 {
        self.create_revision
    }

    /// Bytes of the newest record's value, as etcd's client sees it.
    #[must_use]
    pub fn value_len(&self) -> u32 {
        self.value_len
    }

    /// Bytes of the newest record's element, key and value.
    #[must_use]
    pub fn newest_own_bytes(&self) -> u64 {
        let key = if self.is_live() { 17 } else { 18 };
        crate::bolt::format::ELEMENT_SIZE as u64 + key + self.newest.len() as u64
    }

    fn previous(&self) -> Previous {
        if self.records == 0 || (self.is_live() && self.version == u32::MAX) {
            Previous::None
        } else if self.is_live() {
            Previous::Put { create_revision: self.create_revision, version: self.version.into() }
        } else {
            Previous::Tombstone
        }
    }
}

/// A part of the keys.
#[derive(Debug, Default)]
pub struct Shard<'a> {
    index: HashTable<Slot>,
    blocks: Vec<Vec<KeyState<'a>>>,
    num_keys: usize,
    resources: Names<Resource<'a>>,
    num_leading_paths: usize,
    tenants: Names<Tenant<'a>>,
    homes: Names<Home<'a>>,
    leases: Names<i64>,
    last_lease: LastLease,
    bin_cursor: BinCursor,
    folders: Folders<'a>,
    /// What is known of each resource, by its number.
    rows: Vec<ResourceRow>,
    /// All tombstones.
    pub tombstones: Tombstones,
}

/// A resource, as [`ObjectKey`] names it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Resource<'a> {
    /// The API group.
    pub group: &'a str,
    /// The plural, or the leading path of what isn't Kubernetes'.
    pub resource: &'a [u8],
}

/// Where an object lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Home<'a> {
    /// Its tenant, by its number in [`Shard::tenants`].
    pub tenant: u32,
    /// Its namespace, where it has one.
    pub namespace: Option<&'a [u8]>,
}

impl Resource<'_> {
    /// What keys belong to whose leading path got no row of its own.
    pub const OTHERS: Self = Self { group: "", resource: b"(other keys)" };

    /// Whether it is a leading path rather than a resource of Kubernetes'.
    fn is_foreign(&self) -> bool {
        self.group.is_empty() && (self.resource.starts_with(b"/") || self.resource == Self::OTHERS.resource)
    }
}

/// What is counted for a resource while records go by.
#[derive(Clone, Debug, Default)]
pub struct ResourceRow {
    /// Its records over the revisions.
    pub timeline: Timeline,
    /// Its tombstones.
    pub tombstones: Tombstones,
    /// Bytes of the etcd keys of its keys that exist.
    pub live_key_bytes: u64,
    /// What each of the outline's compactions would drop.
    pub dropped: Vec<Dropped>,
}

/// Records that a compaction would drop.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Dropped {
    /// How many.
    pub records: u64,
    /// Bytes of their elements, keys and values.
    pub own_bytes: u64,
}

impl ResourceRow {
    fn drop_by(&mut self, compactions: Range<usize>, own_bytes: u64) {
        if self.dropped.len() < compactions.end {
            self.dropped.resize(compactions.end, Dropped::default());
        }
        for dropped in self.dropped.get_mut(compactions).unwrap_or_default() {
            dropped.records += 1;
            dropped.own_bytes += own_bytes;
        }
    }

    fn give_back(&mut self, compactions: Range<usize>, own_bytes: u64) {
        for dropped in self.dropped.get_mut(compactions).unwrap_or_default() {
            dropped.records = dropped.records.saturating_sub(1);
            dropped.own_bytes = dropped.own_bytes.saturating_sub(own_bytes);
        }
    }
}

/// Tombstones.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tombstones {
    /// How many.
    pub records: u64,
    /// Bytes of their elements, keys and values.
    pub own_bytes: u64,
    /// With their share of their leaves.
    pub leaf_bytes: u64,
}

impl Tombstones {
    /// Adds more of them.
    pub fn add(&mut self, more: &Self) {
        self.records += more.records;
        self.own_bytes += more.own_bytes;
        self.leaf_bytes += more.leaf_bytes;
    }

    fn subtract(&mut self, less: &Self) {
        self.records -= less.records;
        self.own_bytes -= less.own_bytes;
        self.leaf_bytes -= less.leaf_bytes;
    }
}

/// Distinct things, numbered in the order in which they came.
#[derive(Debug)]
struct Names<T> {
    index: HashTable<u32>,
    items: Vec<T>,
    hasher: RandomState,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { index: HashTable::new(), items: Vec::new(), hasher: RandomState::default() }
    }
}

impl<T: Hash + Eq + Copy> Names<T> {
    #[inline]
    fn find(&self, item: &T) -> Option<u32> {
        let at = |number: &u32| self.items.get(*number as usize);
        self.index.find(self.hasher.hash_one(item), |number| at(number) == Some(item)).copied()
    }

    fn number_of(&mut self, item: T) -> u32 {
        let Self { index, items, hasher } = self;
        let at = |number: &u32| items.get(*number as usize);
        let hash = hasher.hash_one(item);
        if let Some(number) = index.find(hash, |number| at(number) == Some(&item)) {
            return *number;
        }
        let number = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let hash_again = |number: &u32| at(number).map_or(0, |item| hasher.hash_one(item));
        index.insert_unique(hash, number, hash_again);
        items.push(item);
        number
    }
}

impl<'a> Keyspace<'a> {
    /// No keys yet; the timeline is cut into these spans, and sizes are kept where `outline` names compactions, even none.
    #[must_use]
    pub fn new(bins: Bins, outline: Option<&[i64]>) -> Self {
        let shards = std::iter::repeat_with(Shard::default).take(NUM_SHARDS).collect();
        Self {
            shards,
            unreadable: Unreadable::default(),
            hasher: RandomState::default(),
            spare: Mutex::default(),
            outline: outline.map(Outline::new),
            bins,
            last: None,
            max_revision: 0,
        }
    }

    /// Which shard keeps a key, and the hash by which that shard finds it.
    #[inline]
    #[must_use]
    pub fn place_of(&self, key: &[u8]) -> (usize, u64) {
        (shard_of(key), self.hasher.hash_one(key))
    }

    /// What is known of the key of a record that will be absorbed later.
    #[inline]
    #[must_use]
    pub fn owner(&self, shard: usize, hash: u64, kv: &KeyValue<'a>) -> Owner {
        let Some(shard) = self.shards.get(shard) else { return Owner::New };
        if let Some(number) = shard.find(hash, kv.key) {
            return Owner::Known(number);
        }
        match shard.folders.find(kv) {
            Some((resource, home)) => Owner::Classified { resource, home },
            None => Owner::New,
        }
    }

    /// Empty vectors for a part's records: those of a window that was absorbed, where there are any.
    #[must_use]
    pub fn spare_shards(&self) -> Shards<'a> {
        self.spare.lock().ok().and_then(|mut spare| spare.pop()).unwrap_or_default()
    }

    /// Takes in the next parts of the bucket, in their order; what is wrong with the records comes back.
    pub fn absorb(&mut self, parts: &mut [Part<'a>], layout: &Layout<'_>) -> Vec<RecordFinding<'a>> {
        let mut faults = Vec::new();
        for part in parts.iter_mut() {
            if let (Some(outline), Some(sizes)) = (&mut self.outline, &part.outline) {
                part.first_entry = outline.append(sizes);
            }
            self.unreadable.records += part.unreadable.records;
            self.unreadable.own_bytes += part.unreadable.own_bytes;
            self.unreadable.leaf_bytes += part.unreadable.leaf_bytes;
            faults.extend(self.revision_twice(part));
        }
        let (bins, outline) = (&self.bins, self.outline.as_ref());
        let absorb = |(number, shard): (usize, &mut Shard<'a>)| {
            let mut max_revision = 0;
            let mut faults = Vec::new();
            for part in parts.iter() {
                for record in part.shards.get(number).into_iter().flatten() {
                    max_revision = max_revision.max(record.revision);
                    let entry = part.first_entry.saturating_add(record.number);
                    faults.extend(shard.add(record, entry, outline, layout, bins));
                }
            }
            (max_revision, faults)
        };
        let done: Vec<_> = self.shards.par_iter_mut().enumerate().map(absorb).collect();
        for (max_revision, shard_faults) in done {
            self.max_revision = self.max_revision.max(max_revision);
            faults.extend(shard_faults);
        }
        faults.sort_by_key(|finding| finding.at);
        if let Ok(spare) = self.spare.get_mut() {
            spare.extend(parts.iter_mut().map(|part| {
                part.shards.iter_mut().for_each(Vec::clear);
                std::mem::take(&mut part.shards)
            }));
        }
        faults
    }

    /// A put and a tombstone of one revision that lie in two parts; within a part, the part finds them.
    fn revision_twice(&mut self, part: &Part<'a>) -> Option<RecordFinding<'a>> {
        let last = self.last;
        self.last = part.last.or(last);
        let last = last?;
        let (first, at, key) = part.first.filter(|(first, ..)| first.revision == last.revision)?;
        let (main, sub) = (first.revision.main, first.revision.sub);
        Some(RecordFinding { fault: RecordFault::RevisionTwice { main, sub }, at, key: Some(key) })
    }

    /// When all records are in: gives back what only adding needed.
    pub fn finish(&mut self) {
        self.shards.par_iter_mut().for_each(|shard| shard.index = HashTable::new());
        self.spare = Mutex::default();
    }

    /// Learns the prefixes of Kubernetes' keys that the layout does not know, and which have logical clusters; whether there
    /// were any.
    pub fn learn(&self, layout: &mut Layout<'a>) -> bool {
        let learned: Vec<Layout<'a>> = self
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
    #[must_use]
    pub fn bins(&self) -> &Bins {
        &self.bins
    }

    /// The shards.
    #[must_use]
    pub fn shards(&self) -> &[Shard<'a>] {
        &self.shards
    }

    /// Number of distinct keys, deleted ones included.
    #[must_use]
    pub fn num_keys(&self) -> u64 {
        self.shards.iter().map(|shard| shard.num_keys as u64).sum()
    }

    /// Number of keys that exist.
    #[must_use]
    pub fn num_live(&self) -> u64 {
        self.shards.par_iter().map(|shard| shard.keys().filter(|key| key.is_live()).count() as u64).sum()
    }

    /// Number of records.
    #[must_use]
    pub fn num_records(&self) -> u64 {
        self.shards.par_iter().map(|shard| shard.keys().map(|key| u64::from(key.records)).sum::<u64>()).sum()
    }
}

impl<'a> Shard<'a> {
    /// Every key.
    pub fn keys(&self) -> impl Iterator<Item = &KeyState<'a>> {
        self.blocks.iter().flatten()
    }

    /// The resources, by their numbers.
    #[must_use]
    pub fn resources(&self) -> &[Resource<'a>] {
        &self.resources.items
    }

    /// What was counted for each resource.
    #[must_use]
    pub fn rows(&self) -> &[ResourceRow] {
        &self.rows
    }

    /// The tenants, by their numbers.
    #[must_use]
    pub fn tenants(&self) -> &[Tenant<'a>] {
        &self.tenants.items
    }

    /// The homes, by their numbers.
    #[must_use]
    pub fn homes(&self) -> &[Home<'a>] {
        &self.homes.items
    }

    /// The leases that records are attached to, by their numbers.
    #[must_use]
    pub fn leases(&self) -> &[i64] {
        &self.leases.items
    }

    /// The resource of a key.
    #[must_use]
    pub fn resource(&self, key: &KeyState<'a>) -> Resource<'a> {
        self.resources.items.get(usize::from(key.resource)).copied().unwrap_or(Resource::OTHERS)
    }

    /// The namespace of a key, where it has one.
    #[must_use]
    pub fn namespace(&self, key: &KeyState<'a>) -> Option<&'a [u8]> {
        self.homes.items.get(key.home as usize)?.namespace
    }

    /// The tenant of a key; `None` for what isn't Kubernetes'.
    #[must_use]
    pub fn tenant(&self, key: &KeyState<'a>) -> Option<Tenant<'a>> {
        let home = self.homes.items.get(key.home as usize)?;
        self.tenants.items.get(home.tenant as usize).copied()
    }

    /// Keys that exist and from whose values something may be learned: every one of those that stand under their leading path,
    /// and a few of each resource whose path may be read in two ways.
    fn witnesses(&self) -> impl Iterator<Item = KeyValue<'a>> {
        let asked = |resource: &Resource<'_>| if resource.is_foreign() { u64::MAX } else { WITNESSES };
        let mut left: Vec<u64> = self.resources.items.iter().map(asked).collect();
        let live = self.keys().filter(|state| state.is_live());
        live.filter_map(move |state| {
            let left = left.get_mut(usize::from(state.resource)).filter(|left| **left > 0)?;
            *left -= 1;
            Some(state.newest())
        })
    }

    /// Takes in the next record; what is wrong with it comes back.
    fn add(
        &mut self,
        record: &Record<'a>,
        entry: u32,
        outline: Option<&Outline>,
        layout: &Layout<'_>,
        bins: &Bins,
    ) -> Option<RecordFinding<'a>> {
        let number = match record.owner {
            Owner::Known(number) => number,
            Owner::Classified { .. } | Owner::New => self.find_or_insert(record, layout),
        };
        let Self { blocks, rows, tombstones, leases, last_lease, bin_cursor, .. } = self;
        let state = blocks.get_mut(number as usize / BLOCK)?.get_mut(number as usize % BLOCK)?;
        let (own_bytes, leaf_bytes) = (record.own_bytes(), record.leaf_bytes);
        let fault = history::check_next(state.previous(), record.revision, record.state);
        if let (Some(outline), Some(row)) = (outline, rows.get_mut(usize::from(state.resource))) {
            if state.records > 0 && state.is_live() {
                let by = outline.drop_from(state.newest_entry, record.revision);
                row.drop_by(by, state.newest_own_bytes());
            }
            if record.is_tombstone() {
                row.drop_by(outline.drop_from(entry, record.revision.saturating_add(1)), own_bytes);
            }
        }
        let before = (state.newest_entry, state.newest_own_bytes());
        state.newest_entry = entry;
        let was_live = state.records > 0 && state.is_live();
        state.records = state.records.saturating_add(1);
        state.own_bytes += own_bytes;
        state.leaf_bytes += leaf_bytes;
        state.newest = record.message;
        state.newest_leaf_bytes = u32::try_from(leaf_bytes).unwrap_or(u32::MAX);
        state.lease = if record.lease == 0 { NONE } else { last_lease.number_of(record.lease, leases) };
        state.encoding = record.encoding;
        if let Previous::Put { create_revision, version } = record.state {
            state.create_revision = create_revision;
            state.version = u32::try_from(version).unwrap_or(u32::MAX);
        }
        state.value_len = record.value_len;
        state.flags = (state.flags & NO_PUT_YET) | if record.is_tombstone() { TOMBSTONE } else { 0 };
        if let Some(row) = rows.get_mut(usize::from(state.resource)) {
            row.timeline.add(bin_cursor.bin_of(record.revision, bins), own_bytes);
            if record.is_tombstone() {
                let one = Tombstones { records: 1, own_bytes, leaf_bytes };
                row.tombstones.add(&one);
                tombstones.add(&one);
            }
        }
        let old_resource = state.resource;
        let mut resource = old_resource;
        if !record.is_tombstone() && state.flags & NO_PUT_YET != 0 {
            state.flags &= !NO_PUT_YET;
            resource = self.classify_again(number, record.message, layout).unwrap_or(resource);
            if let Some(outline) = outline.filter(|_| resource != old_resource) {
                self.move_dropped(old_resource, resource, outline.dropped_by(before.0), before.1);
            }
        }
        if let Some(row) = self.rows.get_mut(usize::from(resource)) {
            let key_len = u64::from(record.key_len);
            match (was_live, !record.is_tombstone()) {
                (false, true) => row.live_key_bytes += key_len,
                (true, false) => row.live_key_bytes -= key_len,
                _ => {}
            }
        }
        fault.map(|fault| RecordFinding { fault, at: record.at, key: Some(KeyValue::key_of(record.message)) })
    }

    /// The number of a key that has been seen.
    #[inline]
    fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        let hash = shorten(hash);
        let is_it = |slot: &Slot| slot.hash == hash && key_at(&self.blocks, slot.number) == Some(key);
        self.index.find(lengthen(hash), is_it).map(|slot| slot.number)
    }

    /// For a key that was not seen before this window: an earlier record of the window may have brought it.
    fn find_or_insert(&mut self, record: &Record<'a>, layout: &Layout<'_>) -> u32 {
        let hash = shorten(record.hash);
        let number = u32::try_from(self.num_keys).unwrap_or(u32::MAX);
        let Self { index, blocks, .. } = self;
        // the record's own key is looked at only where the hash is the same: it is far away
        let is_it = |slot: &Slot| {
            slot.hash == hash && key_at(blocks, slot.number) == Some(KeyValue::key_of(record.message))
        };
        match index.entry(lengthen(hash), is_it, |slot| lengthen(slot.hash)) {
            Entry::Occupied(slot) => return slot.get().number,
            Entry::Vacant(slot) => drop(slot.insert(Slot { hash, number })),
        }
        let no_put = record.is_tombstone();
        let (resource, home) = match record.owner {
            Owner::Classified { resource, home } => (resource, home),
            _ => {
                // it was read before, so the default never comes about
                let kv = KeyValue::parse(record.message).unwrap_or_default();
                let numbers =
                    self.number_names(kv.key, layout.classify(kv.key, Some(kv.value).filter(|_| !no_put)));
                self.folders.learn(&kv, numbers, layout);
                numbers
            }
        };
        self.push(KeyState {
            newest: record.message,
            own_bytes: 0,
            leaf_bytes: 0,
            newest_leaf_bytes: 0,
            lease: NONE,
            encoding: ValueKind::Other,
            create_revision: 0,
            version: 0,
            records: 0,
            value_len: 0,
            newest_entry: 0,
            home,
            resource,
            flags: if no_put { NO_PUT_YET } else { 0 },
        });
        number
    }

    fn push(&mut self, state: KeyState<'a>) {
        match self.blocks.last_mut() {
            Some(block) if block.len() < BLOCK => block.push(state),
            _ => {
                let mut block = Vec::with_capacity(BLOCK);
                block.push(state);
                self.blocks.push(block);
            }
        }
        self.num_keys += 1;
    }

    /// The numbers of a key's resource and home, new ones if need be.
    fn number_names(&mut self, key: &[u8], object: ObjectKey<'a>) -> (u16, u32) {
        let mut resource = Resource { group: object.group, resource: object.resource };
        // a leading path is where the key itself begins; Kubernetes' resources never stand there
        let is_leading_path = object.resource.as_ptr() == key.as_ptr();
        let is_full = self.resources.items.len() >= MAX_RESOURCES
            || (is_leading_path && self.num_leading_paths >= MAX_LEADING_PATHS);
        let is_new = self.resources.find(&resource).is_none();
        if is_new && is_full {
            resource = Resource::OTHERS;
        }
        self.num_leading_paths += usize::from(is_new && is_leading_path && !is_full);
        let number = self.resources.number_of(resource);
        if self.rows.len() < self.resources.items.len() {
            self.rows.push(ResourceRow::default());
        }
        let home = object.tenant.map_or(NONE, |tenant| {
            let tenant = self.tenants.number_of(tenant);
            self.homes.number_of(Home { tenant, namespace: object.namespace })
        });
        (u16::try_from(number).unwrap_or(u16::MAX), home)
    }

    /// For a key that began with tombstones: its first value may tell its resource better than its path did. Gives back
    /// the resource.
    #[cold]
    fn classify_again(&mut self, number: u32, message: &'a [u8], layout: &Layout<'_>) -> Option<u16> {
        // it was read before, so the default never comes about
        let kv = KeyValue::parse(message).unwrap_or_default();
        let (resource, home) = self.number_names(kv.key, layout.classify(kv.key, Some(kv.value)));
        let Self { blocks, rows, .. } = self;
        let state =
            blocks.get_mut(number as usize / BLOCK).and_then(|block| block.get_mut(number as usize % BLOCK));
        let state = state?;
        let moved = Tombstones {
            records: u64::from(state.records) - 1,
            own_bytes: state.own_bytes - state.newest_own_bytes(),
            leaf_bytes: state.leaf_bytes - u64::from(state.newest_leaf_bytes),
        };
        let old = std::mem::replace(&mut state.resource, resource);
        state.home = home;
        if let Some(row) = rows.get_mut(usize::from(old)) {
            row.tombstones.subtract(&moved);
        }
        if let Some(row) = rows.get_mut(usize::from(resource)) {
            row.tombstones.add(&moved);
        }
        Some(resource)
    }
}

impl Shard<'_> {
    /// The last tombstone of a key that belongs to another resource than its path had told.
    #[cold]
    fn move_dropped(&mut self, from: u16, to: u16, compactions: Range<usize>, own_bytes: u64) {
        if let Some(row) = self.rows.get_mut(usize::from(from)) {
            row.give_back(compactions.clone(), own_bytes);
        }
        if let Some(row) = self.rows.get_mut(usize::from(to)) {
            row.drop_by(compactions, own_bytes);
        }
    }
}

/// Which shard keeps a key: the same in every run, as is everything that follows from it. Told from the key's last
/// bytes, in which keys differ.
#[inline]
fn shard_of(key: &[u8]) -> usize {
    let last = key.last_chunk::<8>().map_or(key.len() as u64, |last| u64::from_le_bytes(*last));
    (last.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize % NUM_SHARDS
}

/// A key's place in a shard's table.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Half of the key's hash, so that most look-ups need not go to the key, and growing the table needs none.
    hash: u32,
    number: u32,
}

fn key_at<'a>(blocks: &[Vec<KeyState<'a>>], number: u32) -> Option<&'a [u8]> {
    Some(blocks.get(number as usize / BLOCK)?.get(number as usize % BLOCK)?.key())
}

/// The lease looked up last: events that come together are attached to the same one.
#[derive(Clone, Copy, Debug, Default)]
struct LastLease(Option<(i64, u32)>);

impl LastLease {
    fn number_of(&mut self, lease: i64, leases: &mut Names<i64>) -> u32 {
        match self.0 {
            Some((last, number)) if last == lease => number,
            _ => self.0.insert((lease, leases.number_of(lease))).1,
        }
    }
}

/// Half a hash is kept with each key; the table wants a whole one, with entropy in its upper bits.
fn shorten(hash: u64) -> u32 {
    (hash >> 32) as u32
}

fn lengthen(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Also once the table has grown, and has hashed all of them again.
    #[test]
    fn each_name_has_one_number() {
        let mut names = Names::default();
        for round in 0..3 {
            for name in 0..1000i64 {
                assert_eq!(names.number_of(name), u32::try_from(name).unwrap(), "round {round}");
                assert_eq!(names.find(&name), Some(u32::try_from(name).unwrap()));
            }
        }
        assert_eq!(names.items.len(), 1000);
    }
}
