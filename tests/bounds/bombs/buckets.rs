//! Buckets, pages and elements.

use super::super::support::builder::{Entry, FileBuilder, bucket, inline_bucket, plain};
use super::files::{branches, of_data, of_root};

/// The longest name that bbolt gives a bucket, or nearly.
const LONG: usize = 30_000;

pub fn inline_buckets(n: usize) -> Vec<u8> {
    let entries: Vec<_> = (0..n).map(|n| inline_bucket(format!("{n:08x}"), &[])).collect();
    of_root(FileBuilder::new(4096), &entries)
}

pub fn buckets_of_a_page(n: usize) -> Vec<u8> {
    let mut file = FileBuilder::new(1024);
    let entries: Vec<_> =
        (0..n).map(|n| bucket(format!("{n:08x}"), file.leaf(&[plain("k", [7; 400])]))).collect();
    of_root(file, &entries)
}

fn nest(mut file: FileBuilder, name: &[u8], n: usize, innermost: u64) -> Vec<u8> {
    let mut child = innermost;
    for _ in 0..n {
        child = file.leaf(&[bucket(name, child)]);
    }
    file.root(child);
    file.bytes()
}

pub fn nested(n: usize) -> Vec<u8> {
    let mut file = FileBuilder::new(1024);
    let innermost = file.leaf(&[plain("k", "v")]);
    nest(file, b"b", n, innermost)
}

pub fn nested_of_long_names(n: usize) -> Vec<u8> {
    let mut file = FileBuilder::new(32_768);
    let innermost = file.leaf(&[plain("k", "v")]);
    nest(file, &[b'b'; LONG], n, innermost)
}

/// Each within the value of the one around it.
pub fn inline_in_inline(n: usize) -> Vec<u8> {
    let mut entry = plain("k", "v");
    // each level repeats all that is within
    for _ in 0..(n as f64).sqrt() as usize {
        entry = inline_bucket("b", &[entry]);
    }
    of_root(FileBuilder::new(4096), &[entry])
}

pub fn long_name(n: usize) -> Vec<u8> {
    of_root(FileBuilder::new(4096), &[inline_bucket(vec![b'n'; n], &[plain("k", "v")])])
}

pub fn long_name_of_escapes(n: usize) -> Vec<u8> {
    of_root(FileBuilder::new(4096), &[inline_bucket(vec![0x9b; n], &[plain("k", "v")])])
}

/// A leaf of elements that point outside of it.
fn bad_leaf(file: &mut FileBuilder, elements: usize) -> u64 {
    let entries = vec![plain("", ""); elements];
    let leaf = file.leaf(&entries);
    for index in 0..elements {
        file.leaf_element(leaf, index).pos.set(0xFF_FFFF);
    }
    leaf
}

pub fn faults_in_a_long_name(n: usize) -> Vec<u8> {
    let mut file = FileBuilder::new(4096);
    let leaf = bad_leaf(&mut file, 2000);
    of_root(file, &[bucket(vec![b'n'; n], leaf)])
}

pub fn faults_below_long_names(n: usize) -> Vec<u8> {
    let mut file = FileBuilder::new(32_768);
    let leaf = bad_leaf(&mut file, 2000);
    nest(file, &[b'n'; LONG], n / 65_536, leaf)
}

pub fn elements_out_of_bounds(n: usize) -> Vec<u8> {
    let mut file = FileBuilder::new(4096);
    let leaves =
        (0..n.div_ceil(2000)).map(|number| (number.to_be_bytes().to_vec(), bad_leaf(&mut file, 2000)));
    let leaves = leaves.collect();
    let data = branches(&mut file, leaves);
    of_root(file, &[bucket("data", data)])
}

/// Elements that all lie in the same place.
pub fn empty_elements(n: usize) -> Vec<u8> {
    let mut file = FileBuilder::new(4096);
    let entries = vec![plain("", ""); 60_000.min(n)];
    let leaves = (0..n.div_ceil(60_000)).map(|number| (number.to_be_bytes().to_vec(), file.leaf(&entries)));
    let leaves = leaves.collect();
    let data = branches(&mut file, leaves);
    of_root(file, &[bucket("data", data)])
}

pub fn tiny_entries(n: usize) -> Vec<u8> {
    of_data(&tiny(n))
}

pub fn values_in_root(n: usize) -> Vec<u8> {
    let entries: Vec<_> = tiny(n).into_iter().chain([inline_bucket("\u{ffff}", &[])]).collect();
    of_root(FileBuilder::new(4096), &entries)
}

fn tiny(n: usize) -> Vec<Entry> {
    (0..n).map(|n| plain(&(n as u32).to_be_bytes()[1..], "")).collect()
}

pub fn keys_in_disorder(n: usize) -> Vec<u8> {
    let entries: Vec<_> = (0..n).rev().map(|n| plain((n as u32).to_be_bytes(), "")).collect();
    of_data(&entries)
}

pub fn children_that_are_not_there(n: usize) -> Vec<u8> {
    let mut file = FileBuilder::new(4096);
    let children: Vec<_> = (0..n).map(|n| ((n as u32).to_be_bytes().to_vec(), 1 << 40)).collect();
    let data = branches(&mut file, children);
    of_root(file, &[bucket("data", data)])
}

pub fn children_of_long_keys(n: usize) -> Vec<u8> {
    let mut file = FileBuilder::new(4096);
    let key = |n: usize| [&(n as u32).to_be_bytes()[..], &[b'k'; LONG - 200]].concat();
    let children: Vec<_> = (0..n).map(|n| (key(n), 1 << 40)).collect();
    let data = branches(&mut file, children);
    of_root(file, &[bucket("data", data)])
}

pub fn pages_of_a_long_name(n: usize) -> Vec<u8> {
    let mut file = FileBuilder::new(1024);
    let leaves: Vec<_> = (0..n)
        .map(|n| {
            let key = format!("{n:08}").into_bytes();
            (key.clone(), file.leaf(&[plain(&key, [0; 600])]))
        })
        .collect();
    let data = branches(&mut file, leaves);
    nest(file, &[b'n'; LONG], 2, data)
}
