//! What a copy will hold: the buckets of its source, and where each entry lies, in 12 bytes an entry.

use std::collections::BTreeMap;

use crate::bolt::bucket::{Bucket, BucketId};
use crate::bolt::db::Db;
use crate::bolt::fault::Findings;
use crate::bolt::page::Entry;
use crate::bolt::walk::{Subtree, Walker};
use crate::bolt::write::source::{self, BucketSpec, EntrySource, Sizes, ValueSize};
use crate::etcd::RecordKey;
use crate::etcd::schema::Alarm;
use crate::scan::root::RootFault;
use crate::scan::structure;

use super::changes::{Changes, Part, Verdict};

/// Faults that are kept; more are only counted.
const MAX_FAULTS: usize = 10;

/// Every entry of a sound file that its copy is to hold, as a source for the writer.
#[derive(Debug)]
pub struct CopyContent<'a> {
    db: &'a Db,
    buckets: Vec<BucketSpec>,
    entries: Vec<EntryRef>,
    /// Entries that the file does not hold: their offsets go on after its end.
    own: Vec<u8>,
    /// What the copy will not hold.
    pub omitted: Omitted<'a>,
    /// Faults of the source that no copy takes over.
    pub harmless: Findings,
}

/// A file that can't be read whole: a copy would lose what can't be read.
#[derive(Debug)]
pub struct Unreadable {
    /// The first fault for it, in words, with where it lies.
    pub first: String,
}

/// What is left out of a copy.
#[derive(Clone, Debug, Default)]
pub struct Omitted<'a> {
    /// Records that the source has.
    pub source_records: u64,
    pub superseded: u64,
    pub tombstones: u64,
    /// Keys that the user gave up, with all their records.
    pub keys: BTreeMap<&'a [u8], OmittedKey>,
    /// Alarms that were disarmed.
    pub alarms: Vec<Alarm>,
}

/// A key that is left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OmittedKey {
    pub records: u64,
    /// Bytes of their elements, keys and values.
    pub bytes: u64,
    /// The revision (main) of the newest.
    pub mod_revision: i64,
    /// Whether that is a put: the key exists.
    pub live: bool,
}

/// Where an entry lies in the file, and how long it is. Small, as there is one for each entry of the file.
#[derive(Clone, Copy, Debug)]
struct EntryRef {
    /// The byte where its key begins: the lower 32 bits of it, and the upper 16.
    offset_low: u32,
    offset_high: u16,
    /// Bytes of the key less 1, and [`IS_BUCKET`].
    key: u16,
    /// Bytes of the value; the number of the bucket, where it is one.
    value: u32,
}

const IS_BUCKET: u16 = 1 << 15;
const _: () = assert!(size_of::<EntryRef>() == 12);

impl EntryRef {
    /// `None` beyond 256 TiB, or for a key or value that no sound file has.
    fn of(offset: u64, entry: &Entry<'_>) -> Option<Self> {
        let key = u16::try_from(entry.key.len().checked_sub(1)?).ok().filter(|key| key & IS_BUCKET == 0)?;
        Some(Self {
            offset_low: u32::try_from(offset & 0xFFFF_FFFF).ok()?,
            offset_high: u16::try_from(offset >> 32).ok()?,
            key: if entry.is_bucket() { key | IS_BUCKET } else { key },
            value: u32::try_from(entry.value.len()).ok()?,
        })
    }

    fn is_bucket(self) -> bool {
        self.key & IS_BUCKET != 0
    }

    fn offset(self) -> u64 {
        u64::from(self.offset_high) << 32 | u64::from(self.offset_low)
    }

    fn key_len(self) -> usize {
        usize::from(self.key & !IS_BUCKET) + 1
    }
}

impl<'a> CopyContent<'a> {
    /// Walks the whole file, and leaves out what `changes` say.
    ///
    /// # Errors
    /// A file that can't be read whole has no content that could be copied without loss.
    pub fn read(
        db: &'a Db,
        changes: &Changes<'a>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Self, Unreadable> {
        Self::read_all_but(db, None, changes, progress)
    }

    /// Walks the file, but for one top-level bucket, which is taken for empty.
    ///
    /// # Errors
    /// As [`CopyContent::read`].
    pub fn read_all_but(
        db: &'a Db,
        left_out: Option<&[u8]>,
        changes: &Changes<'a>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Self, Unreadable> {
        let (mut content, whole) = structure::walk(db, MAX_FAULTS, |walker| {
            let mut content = Self::read_by(db, walker, left_out, changes, progress);
            content.number_buckets(walker.buckets());
            content
        });
        if let Some(fault) = &whole.findings.first_of_trees {
            return Err(Unreadable { first: fault.in_words() });
        }
        if content.has_values_in_root()
            && let Some(fault) = RootFault::find(db, &whole)
        {
            return Err(Unreadable { first: fault.to_string() });
        }
        // of a file that was walked in part, pages of the rest would count as leaked
        if left_out.is_none() {
            content.harmless = whole.findings;
        }
        Ok(content)
    }

    fn read_by(
        db: &'a Db,
        walker: &mut Walker<'a>,
        left_out: Option<&[u8]>,
        changes: &Changes<'a>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Self {
        let (omitted, harmless) = Default::default();
        let mut content =
            Self { db, buckets: Vec::new(), entries: Vec::new(), own: Vec::new(), omitted, harmless };
        for id in (0..).map(BucketId) {
            let Some(bucket) = walker.bucket(id) else { break };
            let (sequence, part) = (bucket.sequence, Part::of(bucket));
            let skipped = bucket.parent == Some(BucketId::ROOT) && Some(bucket.name) == left_out;
            let start = content.entries.len();
            let Some(mut walk) = walker.walk_bucket(id) else { break };
            let read = |subtree: &mut Subtree<'_, 'a>| Window::read(subtree, part, changes);
            while !skipped && let Some(windows) = walk.next_window(read) {
                for window in windows {
                    progress(window.bytes);
                    content.entries.extend(&window.entries);
                    content.omitted.add(window.omitted);
                }
            }
            if part == Part::Meta && !skipped {
                content.put(start, changes.marks());
            }
            let entries = start as u64..content.entries.len() as u64;
            content.buckets.push(BucketSpec { sequence, entries });
        }
        content
    }

    /// Puts entries of its own into the last bucket, which begins at `start`.
    fn put(&mut self, start: usize, entries: Vec<(&[u8], Vec<u8>)>) {
        for (key, value) in entries {
            let offset = (self.db.data().len() + self.own.len()) as u64;
            self.own.extend_from_slice(key);
            self.own.extend_from_slice(&value);
            let bucket = self.entries.get(start..).unwrap_or_default();
            let place =
                bucket.partition_point(|&entry| self.bytes_of(entry).is_some_and(|other| other.key < key));
            if let Some(entry) = EntryRef::of(offset, &Entry { start: 0, flags: 0, key, value: &value }) {
                self.entries.insert(start + place, entry);
            }
        }
    }

    /// Puts the number of its bucket into each entry that is one. Keys ascend, so sorted names are in their order. One
    /// pass for all: a file may have any number of buckets.
    fn number_buckets(&mut self, found: &[Bucket<'a>]) {
        let inside = (0u32..).zip(found);
        let inside = inside.filter_map(|(id, bucket)| Some((bucket.parent?.0, bucket.name, id)));
        let mut children: Vec<(u32, &[u8], u32)> = inside.collect();
        children.sort_unstable();
        for siblings in children.chunk_by(|a, b| a.0 == b.0) {
            let spec = siblings.first().and_then(|(parent, _, _)| self.buckets.get(*parent as usize));
            let range = spec.map(|spec| spec.entries.clone()).unwrap_or_default();
            let range = usize::try_from(range.start).unwrap_or(0)..usize::try_from(range.end).unwrap_or(0);
            let entries = self.entries.get_mut(range).unwrap_or_default();
            for (entry, (_, _, id)) in entries.iter_mut().filter(|entry| entry.is_bucket()).zip(siblings) {
                entry.value = *id;
            }
        }
    }

    /// Entries of all buckets, buckets among them.
    pub fn num_entries(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Buckets below the root bucket.
    pub fn num_buckets(&self) -> u64 {
        (self.buckets.len() as u64).saturating_sub(1)
    }

    /// Whether the root bucket holds anything but buckets.
    fn has_values_in_root(&self) -> bool {
        let root = self.buckets.first().map(|root| root.entries.clone()).unwrap_or_default();
        root.filter_map(|entry| self.entry_ref(entry)).any(|entry| !entry.is_bucket())
    }

    /// The number of the top-level bucket of this name.
    pub fn position(&self, name: &[u8]) -> Option<usize> {
        let mut entries = self.buckets.first()?.entries.clone();
        entries.find_map(|entry| match self.sizes(entry).value {
            ValueSize::Bucket(number) if self.entry(entry, &mut Vec::new())?.key == name => Some(number),
            _ => None,
        })
    }

    /// Entries of the top-level bucket of this name.
    pub fn num_entries_of(&self, name: &[u8]) -> Option<u64> {
        self.buckets.get(self.position(name)?).map(|spec| spec.entries.end - spec.entries.start)
    }

    fn entry_ref(&self, entry: u64) -> Option<EntryRef> {
        self.entries.get(usize::try_from(entry).ok()?).copied()
    }

    #[inline]
    fn bytes_of(&self, entry: EntryRef) -> Option<source::NewEntry<'_>> {
        let offset = usize::try_from(entry.offset()).ok()?;
        let data = match offset.checked_sub(self.db.data().len()) {
            Some(own) => self.own.get(own..)?,
            None => self.db.data().get(offset..)?,
        };
        let (key, rest) = data.split_at_checked(entry.key_len())?;
        let value = if entry.is_bucket() { &[] } else { rest.get(..entry.value as usize)? };
        Some(source::NewEntry { key, value })
    }
}

impl EntrySource for CopyContent<'_> {
    fn buckets(&self) -> &[BucketSpec] {
        &self.buckets
    }

    #[inline]
    fn sizes(&self, entry: u64) -> Sizes {
        let Some(entry) = self.entry_ref(entry) else {
            return Sizes { key: 0, value: ValueSize::Bytes(0) };
        };
        let value = match entry.is_bucket() {
            true => ValueSize::Bucket(entry.value as usize),
            false => ValueSize::Bytes(u64::from(entry.value)),
        };
        Sizes { key: entry.key_len(), value }
    }

    #[inline]
    fn entry<'s>(&'s self, entry: u64, _scratch: &'s mut Vec<u8>) -> Option<source::NewEntry<'s>> {
        self.bytes_of(self.entry_ref(entry)?)
    }
}

/// What one subtree holds.
#[derive(Default)]
struct Window<'a> {
    entries: Vec<EntryRef>,
    omitted: Omitted<'a>,
    /// Bytes of the pages that were read.
    bytes: u64,
}

impl<'a> Window<'a> {
    fn read(subtree: &mut Subtree<'_, 'a>, part: Part, changes: &Changes<'a>) -> Self {
        let mut window = Self::default();
        for node in subtree {
            let page = node.page();
            window.bytes += page.bytes().len() as u64;
            let Some(leaf) = node.leaf() else { continue };
            for entry in leaf.entries().filter_map(Result::ok) {
                if !window.omitted.takes(part, changes, &entry) {
                    window.entries.extend(EntryRef::of(page.offset() + entry.start as u64, &entry));
                }
            }
        }
        window
    }
}

impl<'a> Omitted<'a> {
    /// Whether an entry is left out; it is counted then.
    #[inline]
    fn takes(&mut self, part: Part, changes: &Changes<'a>, entry: &Entry<'a>) -> bool {
        self.source_records += u64::from(part == Part::Records);
        if changes.is_none() || entry.is_bucket() {
            return false;
        }
        match part {
            Part::Records => self.takes_record(changes.record(entry), entry),
            Part::Meta => changes.is_mark(entry.key),
            Part::Alarms => {
                let disarmed = changes.disarmed(entry.key);
                self.alarms.extend(disarmed);
                disarmed.is_some()
            }
            Part::Other => false,
        }
    }

    fn takes_record(&mut self, verdict: Verdict<'a>, entry: &Entry<'a>) -> bool {
        match verdict {
            Verdict::Stays => return false,
            Verdict::Superseded => self.superseded += 1,
            Verdict::Tombstone => self.tombstones += 1,
            Verdict::LeftOut(key) => {
                let place = RecordKey::parse(entry.key);
                let omitted = OmittedKey {
                    records: 1,
                    bytes: entry.own_bytes(),
                    mod_revision: place.map_or(0, |place| place.revision.main),
                    live: place.is_some_and(|place| !place.tombstone),
                };
                self.keys.entry(key).or_default().add(omitted);
            }
        }
        true
    }

    /// Adds what comes after it in the order of the tree.
    fn add(&mut self, next: Self) {
        self.source_records += next.source_records;
        self.superseded += next.superseded;
        self.tombstones += next.tombstones;
        self.alarms.extend(next.alarms);
        for (key, omitted) in next.keys {
            self.keys.entry(key).or_default().add(omitted);
        }
    }
}

impl OmittedKey {
    /// Adds what comes after it.
    pub(super) fn add(&mut self, newer: Self) {
        let (records, bytes) = (self.records + newer.records, self.bytes + newer.bytes);
        *self = Self { records, bytes, ..newer };
    }
}
