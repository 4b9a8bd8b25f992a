//! What etcd and its tools expect of a file: the buckets that etcd makes at its first start, and revisions as it counts them.

use std::fs;
use std::io::{Write, stderr};

use etcd_medic::internals::bolt::Db;
use etcd_medic::internals::bolt::entries::top_level;
use etcd_medic::internals::salvage::error::SalvageError;
use etcd_medic::internals::salvage::request::Trust;

use super::support::builder::{FileBuilder, bucket, inline_bucket, plain};
use super::support::corpus::Corpus;
use super::support::workshop::{Base, Damage};
use super::support::{etcd_file, fixture, names_in, testdata};
use super::{CORPORA, salvage};

/// All buckets of etcd's (`server/storage/schema/bucket.go`, `AllBuckets`), in the order of the file.
const BUCKETS: [&[u8]; 10] = [
    b"alarm",
    b"auth",
    b"authRoles",
    b"authUsers",
    b"cluster",
    b"key",
    b"lease",
    b"members",
    b"members_removed",
    b"meta",
];

/// Of an etcd file's copy: it has all of them.
pub fn has_the_buckets(of: &str, copy: &Db) {
    let names: Vec<_> = top_level(copy).iter().map(|bucket| bucket.name).collect();
    if names.contains(&&b"key"[..]) {
        for name in BUCKETS {
            assert!(names.contains(&name), "{of}: no bucket {}", String::from_utf8_lossy(name));
        }
    }
}

/// A damaged file of which only the bytes matter.
pub fn only(bytes: Vec<u8>) -> Damage {
    let items = Default::default;
    Damage {
        name: "a part",
        what: "",
        seen: "",
        bytes,
        all: items(),
        possible: items(),
        bonus: items(),
        dead: items(),
        later: items(),
    }
}

/// The first tenths of every file, the rest cut off or zeroed: `salvage` itself looks at the copy's buckets.
#[test]
fn a_part_of_any_file_gets_the_buckets() {
    let mut saved = 0;
    let mut parts = |name: &str, bytes: &[u8]| {
        for tenths in [3, 5, 6, 8] {
            let mut part = bytes[..bytes.len() * tenths / 10 / 4096 * 4096].to_vec();
            for len in [part.len(), bytes.len()] {
                part.resize(len, 0);
                match salvage(&only(part.clone()), Trust::Usual) {
                    Ok(_) => saved += 1,
                    Err(SalvageError::Nothing { .. }) => {}
                    Err(error) => panic!("{name}: {error}"),
                }
            }
        }
    };
    for folder in ["etcd-3.4", "etcd-3.5", "k8s-3.5", "k8s-3.6"] {
        for name in names_in(folder, ".db.zst") {
            parts(&name, &fixture(&format!("{folder}/{name}.db")));
        }
    }
    match std::env::var_os(CORPORA) {
        Some(folder) => {
            for corpus in Corpus::all_in(&testdata("").join("..").join(folder)) {
                for (name, _) in corpus.truth.files.iter().filter(|(_, truth)| truth.size <= 64 << 20) {
                    parts(name, &fs::read(corpus.file(name)).expect("read"));
                }
            }
        }
        None => {
            let _ = writeln!(stderr(), "LEFT OUT: the large corpora. {CORPORA}=FOLDER names where they are");
        }
    }
    assert!(saved > 60, "{saved}");
}

/// An empty etcd is at revision 1, and its first write makes 2: one that was never compacted has no record of revision 1. Nor is anything
/// missing of a file that has no other buckets than these.
#[test]
fn a_file_that_was_never_compacted_is_whole() {
    let record = |main: i64| etcd_file::put(main, format!("/app/{main}").as_bytes(), main, 1, b"text", 0);
    let records: Vec<_> = (2..40).map(record).collect();
    let mut file = FileBuilder::new(4096);
    let key = file.leaf(&records);
    let meta = inline_bucket("meta", &[plain("consistent_index", 77u64.to_be_bytes())]);
    let root = file.leaf(&[bucket("key", key), meta]);
    file.root(root);
    let saved = salvage(&only(Base::new("never compacted", file.bytes()).bytes.to_vec()), Trust::Usual);
    let report = saved.expect("saved").report;
    assert_eq!((report.lost, report.lacks.len()), (Vec::new(), 0));
    assert!(report.restore.in_place, "{:?}", report.restore);
}
