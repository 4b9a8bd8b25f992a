//! A short way from a key to its resource, tenant and namespace: keys that differ in their last segment only have the same.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::etcd::KeyValue;
use crate::k8s::{KeyLayout, value};

/// Folders that are kept. A cluster has one for each resource and namespace; beyond this many, keys go the long way.
const MAX_FOLDERS: usize = 1024;

/// Where keys were found to belong, by everything up to their last slash.
#[derive(Debug, Default)]
pub struct Folders<'a> {
    table: HashTable<Folder<'a>>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Folder<'a> {
    path: &'a [u8],
    /// What a value must begin with; empty where the path alone decides.
    head: &'a [u8],
    resource: u16,
    home: u32,
}

impl<'a> Folders<'a> {
    /// The numbers of the resource and home of a key, if its folder is known.
    #[inline]
    pub fn find(&self, kv: &KeyValue<'_>) -> Option<(u16, u32)> {
        let path = folder_of(kv.key)?;
        let found = self.table.find(self.hasher.hash_one(path), |folder| folder.path == path)?;
        kv.value.starts_with(found.head).then_some((found.resource, found.home))
    }

    /// Keeps what [`KeyLayout::classify`] made of a key, where it would make the same of all keys in its folder.
    pub fn learn(&mut self, kv: &KeyValue<'a>, (resource, home): (u16, u32), layout: &KeyLayout<'_>) {
        let Some(path) = folder_of(kv.key).filter(|_| self.table.len() < MAX_FOLDERS) else { return };
        let head =
            if layout.decides_by_path(kv.key) { Some(&[][..]) } else { value::protobuf_head(kv.value) };
        let Some(head) = head else { return };
        let Self { table, hasher } = self;
        let hash = hasher.hash_one(path);
        if table.find(hash, |folder| folder.path == path).is_none() {
            let folder = Folder { path, head, resource, home };
            table.insert_unique(hash, folder, |folder| hasher.hash_one(folder.path));
        }
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
