//! A part of the keys: each key's state, and what is counted for its resource.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use prefetch_index::prefetch_index;

use crate::etcd::KeyValue;
use crate::etcd::history;
use crate::k8s::{GroupResource, KeyLayout, ObjectKey, Tenant};

use super::folders::KeyFolder;
use super::key_state::{KeyState, NONE};
use super::numbered::Numbered;
use super::outline::Outline;
use super::record::{KnownKey, RecordFinding, RecordSum, ScannedRecord};
use super::resource_row::ResourceRow;
use super::timeline::{BinCursor, Bins};

/// Kubernetes' resources that one shard keeps apart: more than any cluster has.
const MAX_RESOURCES: usize = 4096;

/// Leading paths that one shard keeps apart. A file of something else may have one a key; what comes beyond this
/// number shares one row.
const MAX_LEADING_PATHS: usize = 64;

/// Objects of each resource that are asked whether their keys have a logical cluster in them.
const WITNESSES: u64 = 4;

/// States are kept in blocks of this many: growing copies nothing, and takes no more than it needs.
const BLOCK: usize = 4096;

/// A part of the keys.
#[derive(Debug, Default)]
pub struct Shard<'a> {
    index: HashTable<Slot>,
    blocks: Vec<Vec<KeyState<'a>>>,
    num_keys: usize,
    resources: Numbered<GroupResource<'a>>,
    num_leading_paths: usize,
    tenants: Numbered<Tenant<'a>>,
    homes: Numbered<Home<'a>>,
    leases: Numbered<i64>,
    last_lease: LastLease,
    bin_cursor: BinCursor,
    /// Where the keys of each folder belong, by its number.
    folders: Vec<Option<KeyPlace>>,
    /// Folders that were found since the last window.
    new_folders: Vec<KeyFolder<'a>>,
    /// What is known of each resource, by its number.
    rows: Vec<ResourceRow>,
    pub tombstones: RecordSum,
}

/// Where an object lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Home<'a> {
    /// Its tenant, by its number in [`Shard::tenants`].
    pub tenant: u32,
    /// Its namespace, where it has one.
    pub namespace: Option<&'a [u8]>,
}

/// Where a key belongs, by numbers of its shard.
#[derive(Clone, Copy, Debug)]
struct KeyPlace {
    resource: u16,
    home: u32,
}

/// A key, and where it belongs.
#[derive(Clone, Copy, Debug)]
pub struct PlacedKey<'s, 'a> {
    /// What its records add up to.
    pub key: &'s KeyState<'a>,
    pub resource: GroupResource<'a>,
    /// Its tenant; `None` for what isn't Kubernetes'.
    pub tenant: Option<Tenant<'a>>,
    /// Its namespace, where it has one.
    pub namespace: Option<&'a [u8]>,
}

/// What records are added with.
#[derive(Clone, Copy, Debug)]
pub(super) struct AddContext<'s> {
    pub(super) layout: &'s KeyLayout<'s>,
    pub(super) bins: &'s Bins,
    pub(super) outline: Option<&'s Outline>,
}

impl<'a> Shard<'a> {
    pub fn keys(&self) -> impl Iterator<Item = &KeyState<'a>> {
        self.blocks.iter().flatten()
    }

    /// The resources, by their numbers.
    pub fn resources(&self) -> &[GroupResource<'a>] {
        self.resources.items()
    }

    /// What was counted for each resource.
    pub fn rows(&self) -> &[ResourceRow] {
        &self.rows
    }

    /// The tenants, by their numbers.
    pub fn tenants(&self) -> &[Tenant<'a>] {
        self.tenants.items()
    }

    /// The homes, by their numbers.
    pub fn homes(&self) -> &[Home<'a>] {
        self.homes.items()
    }

    /// The leases that records are attached to, by their numbers.
    pub fn leases(&self) -> &[i64] {
        self.leases.items()
    }

    pub fn num_keys(&self) -> usize {
        self.num_keys
    }

    /// The resource of a key.
    pub fn resource(&self, key: &KeyState<'a>) -> GroupResource<'a> {
        self.resources.at(usize::from(key.resource)).unwrap_or(GroupResource::OTHERS)
    }

    /// The namespace of a key, where it has one.
    pub fn namespace(&self, key: &KeyState<'a>) -> Option<&'a [u8]> {
        self.homes.at(key.home as usize)?.namespace
    }

    /// The tenant of a key; `None` for what isn't Kubernetes'.
    pub fn tenant(&self, key: &KeyState<'a>) -> Option<Tenant<'a>> {
        self.tenants.at(self.homes.at(key.home as usize)?.tenant as usize)
    }

    /// A key of this shard, with where it belongs.
    pub fn placed<'s>(&self, key: &'s KeyState<'a>) -> PlacedKey<'s, 'a> {
        let (tenant, namespace) = (self.tenant(key), self.namespace(key));
        PlacedKey { key, resource: self.resource(key), tenant, namespace }
    }

    /// Keys that exist and from whose values something may be learned: every one of those that are read as a leading path, and a few of each resource whose path may be read in two ways.
    pub(super) fn witnesses(&self) -> impl Iterator<Item = KeyValue<'a>> {
        let asked = |resource: &GroupResource<'_>| if resource.is_foreign() { u64::MAX } else { WITNESSES };
        let mut wanted: Vec<u64> = self.resources.items().iter().map(asked).collect();
        let live = self.keys().filter(|state| state.is_live());
        live.filter_map(move |state| {
            let wanted = wanted.get_mut(usize::from(state.resource)).filter(|wanted| **wanted > 0)?;
            *wanted -= 1;
            Some(state.newest())
        })
    }

    /// Asks the processor for the state of the key that is likely to have this hash, and gives back its number.
    #[inline]
    pub(super) fn prefetch_state(&self, hash: u64) -> Option<u32> {
        let hash = shorten(hash);
        let number = self.index.find(lengthen(hash), |slot| slot.hash == hash)?.number;
        prefetch_index(self.blocks.get(number as usize / BLOCK)?, number as usize % BLOCK);
        Some(number)
    }

    /// Asks the processor for the bytes of a key, which its state knows.
    #[inline]
    pub(super) fn prefetch_key(&self, number: u32) {
        let state =
            self.blocks.get(number as usize / BLOCK).and_then(|block| block.get(number as usize % BLOCK));
        if let Some(state) = state {
            prefetch_index(state.newest_bytes(), 0);
            prefetch_index(state.newest_bytes(), 64);
        }
    }

    /// The number of a key that has been seen.
    #[inline]
    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        let hash = shorten(hash);
        let is_it = |slot: &Slot| slot.hash == hash && key_at(&self.blocks, slot.number) == Some(key);
        self.index.find(lengthen(hash), is_it).map(|slot| slot.number)
    }
}

impl<'a> Shard<'a> {
    /// When all records are in: nothing is looked up by its key any more.
    pub(super) fn forget_index(&mut self) {
        self.index = HashTable::new();
    }

    /// Asks the processor for what a record that comes soon is added to.
    #[inline]
    pub(super) fn prefetch(&self, record: &ScannedRecord<'_>) {
        match record.key {
            KnownKey::Known(number) => {
                if let Some(block) = self.blocks.get(number as usize / BLOCK) {
                    prefetch_index(block, number as usize % BLOCK);
                }
            }
            KnownKey::InFolder(_) | KnownKey::New => {
                prefetch_index(record.message, 0);
                self.prefetch_state(record.hash);
            }
        }
    }

    /// Takes in the next record, whose entry has this number in the bucket; what is wrong with it comes back.
    pub(super) fn add(
        &mut self,
        record: &ScannedRecord<'a>,
        entry: u32,
        context: AddContext<'_>,
    ) -> Option<RecordFinding<'a>> {
        let number = match record.key {
            KnownKey::Known(number) => number,
            KnownKey::InFolder(_) | KnownKey::New => self.find_or_insert(record, context.layout),
        };
        let lease = match record.lease {
            0 => NONE,
            lease => self.last_lease.number_of(lease, &mut self.leases),
        };
        let state = state_at(&mut self.blocks, number)?;
        let before = *state;
        let is_first_put = state.add(record, entry, lease);
        if let Some(outline) = context.outline {
            self.count_dropped(&before, record, entry, outline);
        }
        self.count_record(before.resource, record, context.bins);
        let resource = if is_first_put {
            self.classify_again(number, &before, record, context).unwrap_or(before.resource)
        } else {
            before.resource
        };
        if let Some(row) = self.rows.get_mut(usize::from(resource)) {
            row.count_live_key(before.exists(), !record.is_tombstone(), u64::from(record.key_len));
        }
        let fault = history::check_next(before.previous(), record.revision, record.state);
        fault.map(|fault| RecordFinding { fault, at: record.at, key: Some(KeyValue::key_of(record.message)) })
    }

    /// Which compactions drop the key's record before this one, and this one, if it is a tombstone.
    #[inline]
    fn count_dropped(
        &mut self,
        before: &KeyState<'a>,
        record: &ScannedRecord<'a>,
        entry: u32,
        outline: &Outline,
    ) {
        let Some(row) = self.rows.get_mut(usize::from(before.resource)) else { return };
        if before.exists() {
            let compactions = outline.drop_from(before.newest_entry, record.revision);
            row.drop_by(compactions, before.newest_own_bytes());
        }
        if record.is_tombstone() {
            let compactions = outline.drop_from(entry, record.revision.saturating_add(1));
            row.drop_by(compactions, record.own_bytes());
        }
    }

    #[inline]
    fn count_record(&mut self, resource: u16, record: &ScannedRecord<'a>, bins: &Bins) {
        let Some(row) = self.rows.get_mut(usize::from(resource)) else { return };
        let (own_bytes, leaf_bytes) = (record.own_bytes(), record.leaf_bytes);
        row.timeline.add(self.bin_cursor.bin_of(record.revision, bins), own_bytes);
        if record.is_tombstone() {
            let one = RecordSum { records: 1, own_bytes, leaf_bytes };
            row.tombstones.add(&one);
            self.tombstones.add(&one);
        }
    }

    /// For a key that was not seen before this window: an earlier record of the window may have brought it.
    fn find_or_insert(&mut self, record: &ScannedRecord<'a>, layout: &KeyLayout<'_>) -> u32 {
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
        let folder = match record.key {
            KnownKey::InFolder(folder) => Some(folder as usize),
            _ => None,
        };
        let known = folder.and_then(|folder| *self.folders.get(folder)?);
        let KeyPlace { resource, home } = known.unwrap_or_else(|| self.place(record, folder, layout));
        self.push(KeyState::before(record, resource, home));
        number
    }

    /// Finds out where a key belongs, and remembers it for its folder.
    fn place(
        &mut self,
        record: &ScannedRecord<'a>,
        folder: Option<usize>,
        layout: &KeyLayout<'_>,
    ) -> KeyPlace {
        // it was read before, so the default never comes about
        let kv = KeyValue::parse(record.message).unwrap_or_default();
        let value = Some(kv.value).filter(|_| !record.is_tombstone());
        let place = self.number_names(kv.key, layout.classify(kv.key, value));
        match folder {
            Some(folder) => {
                if self.folders.len() <= folder {
                    self.folders.resize(folder + 1, None);
                }
                self.folders.get_mut(folder).into_iter().for_each(|known| *known = Some(place));
            }
            None => {
                let folder = KeyFolder::of(&kv, layout);
                self.new_folders.extend(folder.filter(|folder| self.new_folders.last() != Some(folder)));
            }
        }
        place
    }

    /// The folders that were found since this was asked last.
    pub(super) fn take_folders(&mut self) -> Vec<KeyFolder<'a>> {
        std::mem::take(&mut self.new_folders)
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
    fn number_names(&mut self, key: &[u8], object: ObjectKey<'a>) -> KeyPlace {
        let mut resource = GroupResource { group: object.group, resource: object.resource };
        // a leading path is where the key itself begins; Kubernetes' resources are never there
        let is_leading_path = object.resource.as_ptr() == key.as_ptr();
        let is_full = self.resources.items().len() >= MAX_RESOURCES
            || (is_leading_path && self.num_leading_paths >= MAX_LEADING_PATHS);
        let is_new = self.resources.find(&resource).is_none();
        if is_new && is_full {
            resource = GroupResource::OTHERS;
        }
        self.num_leading_paths += usize::from(is_new && is_leading_path && !is_full);
        let number = self.resources.number_of(resource);
        if self.rows.len() < self.resources.items().len() {
            self.rows.push(ResourceRow::default());
        }
        let home = object.tenant.map_or(NONE, |tenant| {
            let tenant = self.tenants.number_of(tenant);
            self.homes.number_of(Home { tenant, namespace: object.namespace })
        });
        KeyPlace { resource: u16::try_from(number).unwrap_or(u16::MAX), home }
    }

    /// For a key that began with tombstones: its first value may tell its resource better than its path did. Moves the
    /// tombstones, and gives back the resource.
    #[cold]
    fn classify_again(
        &mut self,
        number: u32,
        before: &KeyState<'a>,
        put: &ScannedRecord<'a>,
        context: AddContext<'_>,
    ) -> Option<u16> {
        // it was read before, so the default never comes about
        let kv = KeyValue::parse(put.message).unwrap_or_default();
        let KeyPlace { resource, home } =
            self.number_names(kv.key, context.layout.classify(kv.key, Some(kv.value)));
        let state = state_at(&mut self.blocks, number)?;
        (state.resource, state.home) = (resource, home);
        let moved = RecordSum {
            records: u64::from(before.records),
            own_bytes: before.own_bytes,
            leaf_bytes: before.leaf_bytes,
        };
        // the compactions that drop its last tombstone
        let compactions = context.outline.map_or(0..0, |outline| outline.dropped_by(before.newest_entry));
        let last = before.newest_own_bytes();
        if let Some(row) = self.rows.get_mut(usize::from(before.resource)) {
            row.tombstones.subtract(&moved);
            row.give_back(compactions.clone(), last);
        }
        if let Some(row) = self.rows.get_mut(usize::from(resource)) {
            row.tombstones.add(&moved);
            row.drop_by(compactions, last);
        }
        Some(resource)
    }
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

#[inline]
fn state_at<'s, 'a>(blocks: &'s mut [Vec<KeyState<'a>>], number: u32) -> Option<&'s mut KeyState<'a>> {
    blocks.get_mut(number as usize / BLOCK)?.get_mut(number as usize % BLOCK)
}

/// The lease looked up last: events that come together are attached to the same one.
#[derive(Clone, Copy, Debug, Default)]
struct LastLease(Option<(i64, u32)>);

impl LastLease {
    fn number_of(&mut self, lease: i64, leases: &mut Numbered<i64>) -> u32 {
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
