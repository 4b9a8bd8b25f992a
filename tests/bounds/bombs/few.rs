//! Files that are sound, or nearly, and hold so much of one thing that whoever keeps a little for each of it runs out of
//! memory.

use etcd_medic::internals::k8s::object::{self, ObjectKind};

use super::super::cases::{Answer, Cases};
use super::super::support::builder::{Entry, FileBuilder, bucket, inline_bucket, plain};
use super::super::support::{etcd_file, fixture};

/// The file is made when it is this test's turn: what others make meanwhile would count as this one's memory.
fn one(name: &'static str, expected: Answer, make: impl FnOnce() -> FileBuilder) {
    let mut cases = Cases::of(name);
    let file = make().bytes();
    let size = file.len();
    assert_eq!(cases.run(|| format!("{size} bytes"), file), expected);
    cases.done();
}

/// A file of one bucket `data` with these entries in leaves of some hundred.
fn with_data(entries: &[Entry]) -> FileBuilder {
    let mut file = FileBuilder::new(4096);
    let leaves: Vec<_> = entries.chunks(100).map(|part| (part[0].key.clone(), file.leaf(part))).collect();
    let top = branches(&mut file, leaves);
    let root = file.leaf(&[bucket("data", top)]);
    file.root(root);
    file
}

fn branches(file: &mut FileBuilder, mut level: Vec<(Vec<u8>, u64)>) -> u64 {
    while level.len() > 1 {
        level = level.chunks(100).map(|part| (part[0].0.clone(), file.branch(part))).collect();
    }
    level[0].1
}

/// An etcd file of these records.
fn with_records(records: impl Iterator<Item = Entry>) -> FileBuilder {
    let records: Vec<_> = records.collect();
    let per_leaf = records.len().div_ceil(300);
    etcd_file::file_of(4096, &records, per_leaf)
}

#[test]
fn many_inline_buckets() {
    one("20,000 inline buckets", Answer::Sound, || {
        let entries: Vec<_> = (0..20_000).map(|n: u32| inline_bucket(format!("{n:06}"), &[])).collect();
        with_data(&entries)
    });
}

#[test]
fn many_buckets_in_one_of_a_long_name() {
    one("5,000 buckets in one of a long name", Answer::Sound, || {
        let entries: Vec<_> = (0..5_000).map(|n: u32| inline_bucket(format!("{n:06}"), &[])).collect();
        let mut file = FileBuilder::new(4096);
        let leaves: Vec<_> = entries.chunks(50).map(|part| (part[0].key.clone(), file.leaf(part))).collect();
        let top = branches(&mut file, leaves);
        let root = file.leaf(&[bucket(vec![b'n'; 30_000], top)]);
        file.root(root);
        file
    });
}

#[test]
fn many_pages_in_a_bucket_of_a_long_name() {
    one("2,000 pages in a bucket of a long name", Answer::Sound, || {
        let mut file = FileBuilder::new(1024);
        let leaves: Vec<_> = (0..2_000)
            .map(|n: u32| {
                let key = format!("{n:06}").into_bytes();
                (key.clone(), file.leaf(&[plain(&key, [0; 600])]))
            })
            .collect();
        let mut top = branches(&mut file, leaves);
        for _ in 0..8 {
            top = file.leaf(&[bucket(vec![b'n'; 30_000], top)]);
        }
        file.root(top);
        file
    });
}

#[test]
fn many_bad_elements() {
    one("60,000 bad elements", Answer::Damaged, || {
        let entries: Vec<_> = (0..60_000).map(|_| plain("", "")).collect();
        let mut file = FileBuilder::new(4096);
        let leaf = file.leaf(&entries);
        let root = file.leaf(&[bucket("data", leaf)]);
        file.root(root);
        file
    });
}

#[test]
fn many_keys_without_their_lease() {
    one("60,000 keys without their lease", Answer::Damaged, || {
        let key = |n: i64| format!("/registry/events/default/{n}").into_bytes();
        let records = (2..60_000).map(|n| etcd_file::put(n, &key(n), n, 1, b"v", 0x1234));
        with_records(records)
    });
}

#[test]
fn many_leases_that_do_not_exist() {
    one("60,000 leases that do not exist", Answer::Damaged, || {
        let key = |n: i64| format!("/registry/events/default/{n}").into_bytes();
        let records = (2..60_000).map(|n| etcd_file::put(n, &key(n), n, 1, b"v", n));
        with_records(records)
    });
}

/// Two or three bytes each, of which a list would make dozens: `cleanup` keeps none of them.
#[test]
fn many_conditions_of_a_job() {
    one("400,000 conditions of a Job in each encoding", Answer::Sound, || {
        const CONDITIONS: usize = 400_000;
        let mut json = br#"{"apiVersion":"batch/v1","kind":"Job","status":{"conditions":[{}"#.to_vec();
        json.extend(b",{}".repeat(CONDITIONS));
        json.extend(b"]}}");
        let mut cbor = b"\xd9\xd9\xf7\xa3\x4aapiVersion\x48batch/v1\x44kind\x43Job".to_vec();
        cbor.extend(b"\x46status\xa1\x4aconditions\x9a");
        cbor.extend(u32::try_from(CONDITIONS).expect("few").to_be_bytes());
        cbor.extend(b"\xa0".repeat(CONDITIONS));
        let conditions = b"\x0a\x00".repeat(CONDITIONS);
        let (mut status, mut job) = (Vec::new(), b"k8s\0\x0a\x0f\x0a\x08batch/v1\x12\x03Job".to_vec());
        prost::encoding::bytes::encode(3, &conditions, &mut status);
        prost::encoding::bytes::encode(2, &status, &mut job);
        let values = [json, cbor, job];
        assert!(values.iter().all(|value| object::read(ObjectKind::Job, value).is_ok()));
        let records = (2..).zip(values);
        with_records(records.map(|(n, value)| {
            let key = format!("/registry/jobs/default/{n}");
            etcd_file::put(n, key.as_bytes(), n, 1, &value, 0)
        }))
    });
}

#[test]
fn many_leading_paths() {
    one("40,000 leading paths", Answer::Sound, || {
        let key = |n: i64| format!("/{n}/x").into_bytes();
        let records = (2..40_000).map(|n| etcd_file::put(n, &key(n), n, 1, b"v", 0));
        with_records(records)
    });
}

#[test]
fn many_namespaces() {
    one("40,000 namespaces", Answer::Sound, || {
        let key = |n: i64| format!("/registry/pods/n{n}/p").into_bytes();
        let records = (2..40_000).map(|n| etcd_file::put(n, &key(n), n, 1, b"v", 0));
        with_records(records)
    });
}

#[test]
fn many_encryption_keys() {
    one("40,000 encryption keys", Answer::Sound, || {
        let key = |n: i64| format!("/registry/secrets/default/{n}").into_bytes();
        let value = |n: i64| format!("k8s:enc:aescbc:v1:key-{n}:0123456789abcdef").into_bytes();
        let records = (2..40_000).map(|n| etcd_file::put(n, &key(n), n, 1, &value(n), 0));
        with_records(records)
    });
}

#[test]
fn many_records_of_one_key() {
    one("60,000 records of one key", Answer::Sound, || {
        let records = (2..60_000).map(|n| etcd_file::put(n, b"/registry/leases/a/b", 2, n - 1, b"v", 0));
        with_records(records)
    });
}

#[test]
fn a_large_stored_freelist() {
    let mut cases = Cases::of("a freelist of 65,535 ids");
    let file = fixture("bolt/freelist-ffff.db");
    assert_eq!(cases.run(|| "as bbolt wrote it".to_owned(), file), Answer::Sound);
    cases.done();
}

#[test]
fn branches_that_all_lead_to_one_page() {
    one("40 levels of 40 references", Answer::Damaged, || {
        let mut file = FileBuilder::new(1024);
        let leaf = file.leaf(&[plain("k", "v")]);
        let mut below = vec![leaf];
        for _ in 0..40 {
            let children: Vec<_> =
                (0..40).map(|n: usize| (format!("k{n:02}"), below[n % below.len()])).collect();
            below = (0..2).map(|_| file.branch(&children)).collect();
        }
        let root = file.leaf(&[bucket("data", below[0]), bucket("data2", below[1])]);
        file.root(root);
        file
    });
}
