//! A short way from a key to its resource, tenant and namespace: keys that differ in their last segment only have the same.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::etcd::KeyValue;
use crate::k8s::{KeyLayout, value};

/// Folders that are kept. A cluster has one for each resource and namespace; beyond this many, keys go the long way.
const MAX_FOLDERS: usize = 1 << 14;

/// The folders whose keys were found to belong together, each with a number.
#[derive(Debug, Default)]
pub(super) struct KeyFolders<'a> {
    table: HashTable<(KeyFolder<'a>, u32)>,
    hasher: RandomState,
}

/// Keys with the same path up to their last slash, of which [`KeyLayout::classify`] makes the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct KeyFolder<'a> {
    path: &'a [u8],
    /// What a value must begin with; empty where the path alone decides.
    head: &'a [u8],
}

impl<'a> KeyFolders<'a> {
    /// The number of a key's folder, if it is known.
    #[inline]
    pub(super) fn find(&self, kv: &KeyValue<'_>) -> Option<u32> {
        let path = folder_of(kv.key)?;
        let (folder, number) =
            self.table.find(self.hasher.hash_one(path), |(folder, _)| folder.path == path)?;
        kv.value.starts_with(folder.head).then_some(*number)
    }

    /// Adds a folder, unless its path is known.
    pub(super) fn add(&mut self, folder: KeyFolder<'a>) {
        let Self { table, hasher } = self;
        let hash = hasher.hash_one(folder.path);
        let is_known = table.find(hash, |(known, _)| known.path == folder.path).is_some();
        if let Ok(number) = u32::try_from(table.len())
            && !is_known
            && table.len() < MAX_FOLDERS
        {
            table.insert_unique(hash, (folder, number), |(folder, _)| hasher.hash_one(folder.path));
        }
    }
}

impl<'a> KeyFolder<'a> {
    /// The folder of a key, where `layout` makes the same of all keys in it.
    pub(super) fn of(kv: &KeyValue<'a>, layout: &KeyLayout<'_>) -> Option<Self> {
        let path = folder_of(kv.key)?;
        let decides = layout.decides_by_path(kv.key);
        let head = if decides { Some(&[][..]) } else { value::protobuf_head(kv.value) };
        Some(Self { path, head: head? })
    }
}

/// A key up to its last slash. `None` where what follows may tell more than a name: with nothing after the slash,
/// or within the first two segments.
#[inline]
fn folder_of(key: &[u8]) -> Option<&[u8]> {
    let (folder, name) = key.split_at_checked(memchr::memrchr(b'/', key)?)?;
    let deep_enough = folder.first() == Some(&b'/') && memchr::memchr(b'/', folder.get(1..)?).is_some();
    (deep_enough && name.len() > 1).then_some(folder)
}
