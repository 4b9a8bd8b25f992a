//! A file's content in memory, for the writer; and sources that do not keep their word.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};

use etcd_medic::internals::bolt::Db;
use etcd_medic::internals::bolt::write::{
    self, BucketSpec, EntrySource, NewEntry, Packing, Plan, Settings, Sizes, ValueSize, WriteError,
};

use super::content::Content;

/// What stands behind a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    Bytes(Vec<u8>),
    /// The bucket of this number.
    Bucket(usize),
}

/// A content in the making: buckets numbered as they were made, the root bucket first.
#[derive(Clone, Debug)]
pub struct Tree(Vec<(u64, BTreeMap<Vec<u8>, Value>)>);

impl Default for Tree {
    fn default() -> Self {
        Self(vec![(0, BTreeMap::new())])
    }
}

impl Tree {
    /// All that a file holds.
    pub fn of(contents: &[Content<'_>]) -> Self {
        let mut tree = Self::default();
        for (number, content) in contents.iter().enumerate() {
            if let Some(parent) = content.parent {
                assert_eq!(tree.bucket(parent, content.name), number, "buckets are numbered alike");
            }
            tree.sequence(number, content.sequence);
        }
        for (number, content) in contents.iter().enumerate() {
            let plain = content.entries.iter().filter_map(|(key, value)| Some((key, (*value)?)));
            plain.for_each(|(key, value)| tree.put(number, key, value));
        }
        tree
    }

    /// The number of the bucket of this name in the root bucket.
    pub fn number(&self, name: &str) -> usize {
        match self.0[0].1.get(name.as_bytes()) {
            Some(Value::Bucket(number)) => *number,
            other => panic!("{name}: {other:?}"),
        }
    }

    /// Takes an entry out, which is there.
    pub fn take(&mut self, bucket: usize, key: impl AsRef<[u8]>) -> Value {
        self.0[bucket].1.remove(key.as_ref()).expect("an entry")
    }

    /// Takes out all that a bucket holds.
    pub fn clear(&mut self, bucket: usize) {
        self.0[bucket].1.clear();
    }

    /// The file that the writer makes of it.
    pub fn file(&self, page_size: u32) -> Vec<u8> {
        file_of(&self.memory(), settings(page_size))
    }

    pub fn put(&mut self, bucket: usize, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.0[bucket].1.insert(key.as_ref().to_vec(), Value::Bytes(value.as_ref().to_vec()));
    }

    /// Makes a bucket in another one.
    pub fn bucket(&mut self, parent: usize, name: impl AsRef<[u8]>) -> usize {
        let number = self.0.len();
        let before = self.0[parent].1.insert(name.as_ref().to_vec(), Value::Bucket(number));
        assert_eq!(before, None, "a new name");
        self.0.push((0, BTreeMap::new()));
        number
    }

    pub fn sequence(&mut self, bucket: usize, sequence: u64) {
        self.0[bucket].0 = sequence;
    }

    /// All entries, numbered through, bucket by bucket.
    pub fn memory(&self) -> Memory {
        let mut memory = Memory { specs: Vec::new(), entries: Vec::new() };
        for (sequence, entries) in &self.0 {
            let start = memory.entries.len() as u64;
            let entries = entries.iter().map(|(key, value)| (key.clone(), value.clone()));
            memory.entries.extend(entries);
            memory
                .specs
                .push(BucketSpec { sequence: *sequence, entries: start..memory.entries.len() as u64 });
        }
        memory
    }
}

/// A source for the writer.
#[derive(Clone, Debug)]
pub struct Memory {
    pub specs: Vec<BucketSpec>,
    pub entries: Vec<(Vec<u8>, Value)>,
}

impl Memory {
    /// As [`super::content`] would read it, and whether each bucket is to be inline at this page size: by bbolt's
    /// `inlineable`, that is without buckets within, and at most a quarter of a page.
    pub fn contents(&self, page_size: u64) -> (Vec<Content<'_>>, Vec<bool>) {
        let (mut contents, mut inline) = (Vec::new(), Vec::new());
        let mut waiting = std::collections::VecDeque::from([(0, None, &b""[..])]);
        while let Some((bucket, parent, name)) = waiting.pop_front() {
            let number = contents.len();
            let entries = self.entries_of(bucket);
            let mut content =
                Content { parent, name, sequence: self.specs[bucket].sequence, entries: Vec::new() };
            for (key, value) in entries {
                match value {
                    Value::Bytes(value) => content.entries.push((key, Some(value))),
                    Value::Bucket(inside) => {
                        content.entries.push((key, None));
                        waiting.push_back((*inside, Some(number), key));
                    }
                }
            }
            let plain = content.entries.iter().filter_map(|(key, value)| Some((key, (*value)?)));
            let bytes: usize = plain.clone().map(|(key, value)| 16 + key.len() + value.len()).sum();
            let only_plain = plain.count() == entries.len();
            // bbolt panics at 0xFFFF elements in a page
            let countable = entries.len() < 0xFFFF;
            inline.push(parent.is_some() && only_plain && countable && 16 + bytes as u64 <= page_size / 4);
            contents.push(content);
        }
        (contents, inline)
    }

    fn entries_of(&self, bucket: usize) -> &[(Vec<u8>, Value)] {
        let range = &self.specs[bucket].entries;
        &self.entries
            [usize::try_from(range.start).expect("small")..usize::try_from(range.end).expect("small")]
    }
}

impl EntrySource for Memory {
    fn buckets(&self) -> &[BucketSpec] {
        &self.specs
    }

    fn sizes(&self, entry: u64) -> Sizes {
        let (key, value) = &self.entries[usize::try_from(entry).expect("small")];
        let value = match value {
            Value::Bytes(value) => ValueSize::Bytes(value.len() as u64),
            Value::Bucket(number) => ValueSize::Bucket(*number),
        };
        Sizes { key: key.len(), value }
    }

    fn entry<'s>(&'s self, entry: u64, _: &'s mut Vec<u8>) -> Option<NewEntry<'s>> {
        let (key, value) = self.entries.get(usize::try_from(entry).expect("small"))?;
        let value = match value {
            Value::Bytes(value) => value.as_slice(),
            Value::Bucket(_) => &[],
        };
        Some(NewEntry { key, value })
    }
}

/// What a source that was planned becomes until it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    LongerKey,
    ShorterKey,
    LongerValue,
    ShorterValue,
    Gone,
    /// Not only is it longer, its new size is told, too.
    LongerAndSaysSo,
}

/// A source of which one entry changes, from some reading of it on.
pub struct Changing<'m> {
    pub memory: &'m Memory,
    pub at: u64,
    pub change: Change,
    /// How many readings of it still find it as it was.
    pub good_readings: AtomicU64,
    /// The key and value that it has then.
    changed: (Vec<u8>, Vec<u8>),
}

impl<'m> Changing<'m> {
    pub fn new(memory: &'m Memory, at: u64, change: Change, good_readings: u64) -> Self {
        let (mut key, value) = memory.entries[usize::try_from(at).expect("small")].clone();
        let Value::Bytes(mut value) = value else { panic!("a plain entry") };
        match change {
            Change::LongerKey => key.push(b'x'),
            Change::ShorterKey => drop(key.pop()),
            Change::LongerValue => value.push(b'x'),
            Change::ShorterValue => drop(value.pop()),
            Change::LongerAndSaysSo => value.extend([b'x'; 100_000]),
            Change::Gone => {}
        }
        Self { memory, at, change, good_readings: good_readings.into(), changed: (key, value) }
    }
}

impl EntrySource for Changing<'_> {
    fn buckets(&self) -> &[BucketSpec] {
        self.memory.buckets()
    }

    fn sizes(&self, entry: u64) -> Sizes {
        let sizes = self.memory.sizes(entry);
        let left = self.good_readings.load(Ordering::Relaxed);
        if entry == self.at && self.change == Change::LongerAndSaysSo && left == 0 {
            Sizes { value: ValueSize::Bytes(self.changed.1.len() as u64), ..sizes }
        } else {
            sizes
        }
    }

    fn entry<'s>(&'s self, entry: u64, scratch: &'s mut Vec<u8>) -> Option<NewEntry<'s>> {
        if entry != self.at {
            return self.memory.entry(entry, scratch);
        }
        let count = |left: u64| left.checked_sub(1);
        if self.good_readings.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count).is_ok() {
            return self.memory.entry(entry, scratch);
        }
        // made, as a source may: what was read before must not be needed any more
        let (key, value) = &self.changed;
        *scratch = [key.as_slice(), value].concat();
        let (key, value) = scratch.split_at(key.len());
        (self.change != Change::Gone).then_some(NewEntry { key, value })
    }
}

/// As a defrag of etcd's files does it.
pub fn settings(page_size: u32) -> Settings {
    Settings { page_size, packing: Packing::Optimal { max_node_pages: 4, steady: false }, freelist: false }
}

/// Writes a planned file, and counts the progress, which must come to the whole of it.
pub fn write_file(plan: &Plan, source: &impl EntrySource, file: &File) -> Result<(), WriteError> {
    let done = AtomicU64::new(0);
    let progress = |bytes| {
        done.fetch_add(bytes, Ordering::Relaxed);
    };
    write::write(plan, source, file, &progress)?;
    assert_eq!(done.into_inner(), plan.file_bytes(), "progress");
    Ok(())
}

/// The file that the writer makes of a source.
pub fn file_of(source: &impl EntrySource, settings: Settings) -> Vec<u8> {
    let plan = write::plan(source, settings).expect("planned");
    assert!(plan.entry_bytes < plan.file_bytes(), "no file can be smaller than its entries");
    let mut file = tempfile::tempfile().expect("a temporary file");
    write_file(&plan, source, &file).expect("written");
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut file, &mut bytes).expect("read");
    assert_eq!(bytes.len() as u64, plan.file_bytes(), "the plan's size");
    bytes
}

/// A file of such a size that a run over it takes some time: many records of etcd's in a bucket `key`, its leaves half
/// empty. Not a sound one for etcd, but for bbolt.
pub fn large(entries: u64) -> Vec<u8> {
    let mut random = super::random::Random(1);
    let mut tree = Tree::default();
    let data = tree.bucket(0, "data");
    let values = random.bytes(4096);
    for number in 0..entries {
        let len = usize::try_from(random.between(100, 2000)).expect("small");
        tree.put(data, format!("/registry/things/number-{number:08}"), &values[..len]);
    }
    let half_empty = Settings { packing: Packing::AsBbolt { fill: 0.5 }, ..settings(4096) };
    file_of(&tree.memory(), half_empty)
}

/// Opens bytes.
pub fn open(bytes: Vec<u8>) -> Db {
    Db::new(bytes).expect("a bbolt file")
}
