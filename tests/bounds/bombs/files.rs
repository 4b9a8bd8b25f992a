//! Files of many entries, whose trees have as many levels as they need.

use super::super::support::builder::{Entry, FileBuilder, bucket, inline_bucket, plain};
use super::super::support::etcd_file::put;

/// Elements of a node.
const PER_NODE: usize = 1000;

/// A tree of these entries; gives its root.
pub fn tree(file: &mut FileBuilder, entries: &[Entry]) -> u64 {
    tree_of(file, entries, PER_NODE)
}

/// The same, with so many entries a leaf.
pub fn tree_of(file: &mut FileBuilder, entries: &[Entry], per_leaf: usize) -> u64 {
    if entries.is_empty() {
        return file.leaf(&[]);
    }
    let leaves = entries.chunks(per_leaf).map(|part| (part[0].key.clone(), file.leaf(part)));
    let leaves = leaves.collect();
    branches(file, leaves)
}

/// Branches above these nodes; gives the root.
pub fn branches(file: &mut FileBuilder, mut level: Vec<(Vec<u8>, u64)>) -> u64 {
    while level.len() > 1 {
        level = level.chunks(PER_NODE).map(|part| (part[0].0.clone(), file.branch(part))).collect();
    }
    level[0].1
}

/// A file of one bucket, `data`.
pub fn of_data(entries: &[Entry]) -> Vec<u8> {
    let mut file = FileBuilder::new(4096);
    let data = tree(&mut file, entries);
    of_root(file, &[bucket("data", data)])
}

/// The file, with these entries in its root.
pub fn of_root(mut file: FileBuilder, root: &[Entry]) -> Vec<u8> {
    let root = tree(&mut file, root);
    file.root(root);
    file.bytes()
}

/// An etcd file of these records, and nothing else.
pub fn of_records(records: &[Entry]) -> Vec<u8> {
    of_etcd(records, &[])
}

/// An etcd file of these records, and other buckets.
pub fn of_etcd(records: &[Entry], others: &[(&str, Vec<Entry>)]) -> Vec<u8> {
    let mut file = FileBuilder::new(4096);
    // one large value a leaf, so that bbolt could have written them
    let bytes: usize = records.iter().map(|entry| entry.value.len()).sum();
    let per_leaf = if bytes > records.len() * 1000 { 1 } else { PER_NODE };
    let key = tree_of(&mut file, records, per_leaf);
    let mut root = vec![bucket("key", key)];
    for (name, entries) in others {
        let small = entries.iter().map(|entry| 16 + entry.key.len() + entry.value.len()).sum::<usize>() < 800;
        root.push(if small { inline_bucket(name, entries) } else { bucket(name, tree(&mut file, entries)) });
    }
    if others.iter().all(|(name, _)| *name != "meta") {
        root.push(inline_bucket("meta", &[plain("consistent_index", 7u64.to_be_bytes())]));
    }
    root.sort_by(|a, b| a.key.cmp(&b.key));
    of_root(file, &root)
}

/// An etcd file of these keys, each put once.
pub fn of_keys(keys: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    of_values(keys.map(|key| (key, Vec::new())))
}

/// An etcd file of these keys and values, each put once.
pub fn of_values(values: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) -> Vec<u8> {
    let records: Vec<_> =
        (2..).zip(values).map(|(main, (key, value))| put(main, &key, main, 1, &value, 0)).collect();
    of_records(&records)
}

/// An etcd file of one key, and this bucket.
pub fn with_bucket(name: &str, entries: Vec<Entry>) -> Vec<u8> {
    of_etcd(&[put(2, b"a", 2, 1, b"", 0)], &[(name, entries)])
}
