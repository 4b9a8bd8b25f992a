//! Records of the `key` bucket.

use super::super::support::builder::{Entry, FileBuilder, bucket, inline_bucket, plain};
use super::super::support::etcd_file::{put, tombstone};
use super::files::{of_keys, of_records, of_root, of_values, tree};

fn keys(n: usize, key: impl Fn(usize) -> String) -> Vec<u8> {
    of_keys((0..n).map(|number| key(number).into_bytes()))
}

pub fn distinct_keys(n: usize) -> Vec<u8> {
    keys(n, |n| n.to_string())
}

pub fn namespaces(n: usize) -> Vec<u8> {
    keys(n, |n| format!("/registry/pods/{n:x}/a"))
}

pub fn resources(n: usize) -> Vec<u8> {
    keys(n, |n| format!("/registry/{n:x}/a"))
}

pub fn custom_resources(n: usize) -> Vec<u8> {
    keys(n, |n| format!("/registry/a.{n:x}/b/c"))
}

pub fn leading_paths(n: usize) -> Vec<u8> {
    keys(n, |n| format!("/{n:x}/a"))
}

pub fn custom_resources_in_namespaces(n: usize) -> Vec<u8> {
    keys(n, |n| format!("/registry/a.{:x}/b/{n:x}/d", n % 60_000))
}

pub fn versions_of_one_key(n: usize) -> Vec<u8> {
    let records: Vec<_> = (2..).take(n).map(|main| put(main, b"k", 2, main - 1, b"", 0)).collect();
    of_records(&records)
}

pub fn revisions_far_apart(n: usize) -> Vec<u8> {
    let apart = (i64::MAX - 10) / n as i64;
    let main = |number: usize| 2 + number as i64 * apart;
    let records =
        (0..n).map(|number| put(main(number), number.to_string().as_bytes(), main(number), 1, b"", 0));
    of_records(&records.collect::<Vec<_>>())
}

pub fn keys_of_their_own_lease(n: usize) -> Vec<u8> {
    let records = (2..).take(n).map(|main| put(main, format!("{main:x}").as_bytes(), main, 1, b"", main));
    of_records(&records.collect::<Vec<_>>())
}

pub fn tombstones(n: usize) -> Vec<u8> {
    let pair = |number: i64| {
        let key = format!("{number:x}").into_bytes();
        [put(2 * number, &key, 2 * number, 1, b"", 0), tombstone(2 * number + 1, &key)]
    };
    of_records(&(1..).take(n / 2).flat_map(pair).collect::<Vec<_>>())
}

pub fn encryption_keys(n: usize) -> Vec<u8> {
    let value = |n: usize| format!("k8s:enc:aescbc:v1:key-{n}:0123456789abcdef").into_bytes();
    of_values((0..n).map(|n| (format!("/registry/secrets/d/{n}").into_bytes(), value(n))))
}

/// Long providers: everything up to the fifth colon is one.
pub fn long_providers(n: usize) -> Vec<u8> {
    let value = |n: usize| format!("k8s:enc:kms:v1:{n}{}:x", "p".repeat(29_800)).into_bytes();
    of_values((0..n).map(|n| (format!("/registry/secrets/d/{n}").into_bytes(), value(n))))
}

pub fn events(n: usize) -> Vec<u8> {
    let event = br#"{"kind":"Event","apiVersion":"v1"}"#;
    of_values((0..n).map(|n| (format!("/registry/events/{}/{n}", n % 500).into_bytes(), event.to_vec())))
}

fn long(before: &str, text: &str, n: usize, after: &str) -> Vec<u8> {
    let key = [before, &text.repeat(n.div_ceil(text.len())), after].concat();
    of_keys([key.into_bytes(), b"b".to_vec()].into_iter())
}

pub fn one_long_key(n: usize) -> Vec<u8> {
    long("/registry/pods/a/", "x", n, "")
}

pub fn one_long_key_of_words(n: usize) -> Vec<u8> {
    long("/registry/pods/", "a b-", n, "/x y")
}

pub fn one_long_key_of_escapes(n: usize) -> Vec<u8> {
    long("/registry/pods/a/", "\u{1b}", n, "")
}

pub fn one_long_namespace(n: usize) -> Vec<u8> {
    long("/registry/pods/", "n", n, "/a")
}

pub fn one_long_resource(n: usize) -> Vec<u8> {
    long("/registry/", "r-", n, "/a")
}

pub fn long_keys(n: usize) -> Vec<u8> {
    keys(n, |n| format!("/registry/pods/a/{}{n}", "\u{9b}".repeat(14_000)))
}

pub fn long_namespaces(n: usize) -> Vec<u8> {
    keys(n, |n| format!("/registry/pods/{}{n}/a", "n".repeat(29_000)))
}

pub fn long_resources(n: usize) -> Vec<u8> {
    keys(n, |n| format!("/registry/{}{n}/a", "r".repeat(29_000)))
}

/// Entries of the `key` bucket that are none of etcd's.
pub fn records_without_a_revision(n: usize) -> Vec<u8> {
    let entries: Vec<_> = (0..n).map(|n| plain(format!("{n:07x}"), "")).collect();
    of_key_bucket(&entries)
}

/// A put and a tombstone of each revision.
pub fn two_of_a_revision(n: usize) -> Vec<u8> {
    let pair = |main: i64| {
        let key = format!("{main:x}").into_bytes();
        [put(main, &key, main, 1, b"", 0), tombstone(main, &key)]
    };
    of_records(&(2..).take(n / 2).flat_map(pair).collect::<Vec<_>>())
}

fn of_key_bucket(entries: &[Entry]) -> Vec<u8> {
    let mut file = FileBuilder::new(4096);
    let key = tree(&mut file, entries);
    of_root(file, &[bucket("key", key), inline_bucket("meta", &[])])
}
