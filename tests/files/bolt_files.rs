//! The reader against files that bbolt itself wrote: what it finds must be what bbolt says of them.

use std::collections::BTreeMap;
use std::io::Write;

use crate::support::found::{assert_accounted, kind_name, walk, walk_in_order};
use crate::support::{fixture, fixture_text, names_in};
use bytes::Bytes;
use etcd_medic::internals::bolt::bucket::{Bucket, BucketRoot};
use etcd_medic::internals::bolt::entries::for_each_entry;
use etcd_medic::internals::bolt::fault::Fault;
use etcd_medic::internals::bolt::lock::Lock;
use etcd_medic::internals::bolt::open::map_file;
use etcd_medic::internals::bolt::{BucketId, Db};
use etcd_medic::internals::etcd::schema::State;
use etcd_medic::internals::scan::{Scan, ScanOptions, scan};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// A `*.truth.json`: what bbolt says of a file.
#[derive(Deserialize, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
struct Truth {
    file_size: u64,
    page_size: u64,
    txid: u64,
    high_water_mark: u64,
    free_pages: u64,
    freelist_page: Option<u64>,
    freelist_ids: Option<u64>,
    /// Pages by the name of their type; overflow pages count apart, inline buckets not at all.
    nodes_by_type: BTreeMap<String, u64>,
    overflow_pages: u64,
    buckets: Vec<BucketTruth>,
}

#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[serde(deny_unknown_fields)]
struct BucketTruth {
    path: Vec<String>,
    sequence: u64,
    inline: bool,
    keys: u64,
    sub_buckets: u64,
    /// Over every plain pair in order: length of the key (4 bytes, little-endian), key, length of the value, value.
    sha256: String,
}

/// Names, below `testdata/`, of the plain bbolt files whose truth is known.
fn files_with_truth() -> Vec<String> {
    let of = |folder: &str| {
        let names = names_in(folder, ".truth.json");
        names.into_iter().map(|name| format!("{folder}/{name}")).collect::<Vec<_>>()
    };
    [of("bolt"), of("bolt/damaged")].concat()
}

fn db(name: &str) -> Db {
    Db::new(fixture(&format!("{name}.db"))).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn truth(name: &str) -> Truth {
    serde_json::from_str(&fixture_text(&format!("{name}.truth.json"))).expect(name)
}

/// The same facts, by this program.
fn facts(db: &Db) -> Truth {
    let state = State::read(db);
    let scan = scan(db, &state, ScanOptions::default());
    assert_accounted(db, &scan);
    Truth {
        file_size: db.file_size(),
        page_size: db.page_size(),
        txid: db.meta().txid,
        high_water_mark: db.high_water_mark(),
        free_pages: scan.free_pages(),
        freelist_page: db.meta().freelist.map(|page| page.0),
        freelist_ids: scan.freelist.as_ref().map(|list| list.num_ids),
        nodes_by_type: nodes_by_type(&scan),
        overflow_pages: scan.total().overflow_pages + freelist_overflow(db),
        buckets: buckets(db, &scan),
    }
}

fn freelist_overflow(db: &Db) -> u64 {
    let page = db.meta().freelist.map(|id| db.page(id).expect("a freelist"));
    page.map_or(0, |page| page.header().overflow.get().into())
}

fn nodes_by_type(scan: &Scan<'_>) -> BTreeMap<String, u64> {
    let total = scan.total();
    let freelists = u64::from(scan.freelist.is_some());
    let counts = [
        ("meta", 2),
        ("freelist", freelists),
        ("branch", total.branches),
        ("leaf", total.leaves),
        ("free", scan.free_pages()),
    ];
    counts.into_iter().filter(|&(_, count)| count > 0).map(|(name, count)| (name.into(), count)).collect()
}

/// Every bucket but the root, in the order of their paths.
fn buckets(db: &Db, scan: &Scan<'_>) -> Vec<BucketTruth> {
    let mut buckets: Vec<_> = (1..scan.buckets.len()).map(|index| bucket_facts(db, scan, index)).collect();
    buckets.sort();
    buckets
}

fn bucket_facts(db: &Db, scan: &Scan<'_>, index: usize) -> BucketTruth {
    let bucket = &scan.buckets[index];
    let inside = |other: &&Bucket<'_>| other.parent.is_some_and(|id| id.0 as usize == index);
    let (keys, sha256) = keys_and_sha256(db, bucket);
    BucketTruth {
        path: path_of(scan, bucket),
        sequence: bucket.sequence,
        inline: matches!(bucket.root, BucketRoot::Inline(_)),
        keys,
        sub_buckets: scan.buckets.iter().filter(inside).count() as u64,
        sha256,
    }
}

fn path_of(scan: &Scan<'_>, bucket: &Bucket<'_>) -> Vec<String> {
    let Some(parent) = bucket.parent else { return Vec::new() };
    let mut path = path_of(scan, &scan.buckets[parent.0 as usize]);
    path.push(String::from_utf8(bucket.name.to_vec()).expect("a name in UTF-8"));
    path
}

fn keys_and_sha256(db: &Db, bucket: &Bucket<'_>) -> (u64, String) {
    let (mut keys, mut sha256) = (0, Sha256::new());
    for_each_entry(db, bucket, |entry| {
        keys += 1;
        for part in [entry.key, entry.value] {
            sha256.update(u32::try_from(part.len()).expect("below 4 GiB").to_le_bytes());
            sha256.update(part);
        }
    });
    let hex = sha256.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    (keys, hex)
}

/// Every file that bbolt wrote reads as bbolt reads it: sizes, transaction, free pages, nodes, buckets, contents.
#[test]
fn facts_are_bbolts_own() {
    let names = files_with_truth();
    assert_eq!(names.len(), 14, "files with a truth");
    for name in names {
        assert_eq!(facts(&db(&name)), truth(&name), "{name}");
    }
}

/// A mapped file reads as the same bytes in memory do.
#[test]
fn a_mapped_file_reads_the_same() {
    for name in files_with_truth() {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(&fixture(&format!("{name}.db"))).expect("written");
        let mapped = map_file(file.path(), Lock::Shared).expect("mapped");
        assert_eq!(facts(&Db::new(Bytes::from_owner(mapped)).expect("bbolt")), truth(&name), "{name}");
    }
}

/// How many threads walk makes no difference. The last file has enough branches for several to have work.
#[test]
fn all_threads_find_what_one_finds() {
    for name in files_with_truth().into_iter().chain(["k8s-frag/frag".to_owned()]) {
        let db = db(&name);
        let (all, one) = (walk(&db), walk_in_order(&db));
        assert_eq!(all, one, "{name}");
        assert!(one.nodes[1] > 0, "{name}: no leaf found");
    }
}

/// In damaged files, too, several threads find what one finds.
#[test]
fn all_threads_find_the_same_faults() {
    for name in names_in("bolt/damaged", ".damage.txt") {
        let db = db(&format!("bolt/damaged/{name}"));
        let (all, one) = (walk(&db), walk_in_order(&db));
        assert_eq!(all, one, "{name}");
    }
}

/// What bbolt left sound has no faults.
#[test]
fn sound_files_have_no_faults() {
    for name in files_with_truth() {
        assert_eq!(faults_of(&db(&name)), [], "{name}");
    }
}

/// Of each damaged file, this program names the faults that `bbolt check` names, at the same pages, and no others.
#[test]
fn faults_are_those_of_bbolt_check() {
    let names = names_in("bolt/damaged", ".bbolt-check.txt");
    assert_eq!(names.len(), 6, "damaged files");
    for name in names {
        let report = fixture_text(&format!("bolt/damaged/{name}.bbolt-check.txt"));
        let named: Vec<_> = report.lines().filter_map(named_by_bbolt).collect();
        assert!(!named.is_empty(), "{name}: nothing recognised in {report:?}");
        let found = faults_of(&db(&format!("bolt/damaged/{name}")));
        let found: Vec<_> = found.iter().map(|fault| (kind_name(&fault.kind), page_of(fault))).collect();
        assert_eq!(found, named, "{name}");
    }
}

/// A fault costs what it makes unreadable, and nothing else: of the 20 keys and the one bucket of `base.db`, each
/// damaged file still shows all but those of the page that was lost.
#[test]
fn the_sound_rest_is_found() {
    let in_lost_leaf =
        |page| db("bolt/damaged/base").page(page).unwrap().leaf().unwrap().num_entries() as u64;
    let lost = BTreeMap::from([
        ("double-reference", in_lost_leaf(etcd_medic::internals::bolt::PageId(5))),
        ("wrong-page-type", in_lost_leaf(etcd_medic::internals::bolt::PageId(6))),
    ]);
    for name in names_in("bolt/damaged", ".damage.txt") {
        let found = walk_in_order(&db(&format!("bolt/damaged/{name}")));
        assert_eq!(found.entries, 21 - lost.get(name.as_str()).unwrap_or(&0), "{name}");
        assert_eq!(found.buckets[1].0, Some(BucketId::ROOT), "{name}");
    }
}

fn faults_of(db: &Db) -> Vec<Fault> {
    scan(db, &State::read(db), ScanOptions::default()).structure.faults
}

fn page_of(fault: &Fault) -> u64 {
    fault.page.expect("a fault of one page").0
}

/// What a line of `bbolt check` says, in this program's words. The line on an ancestor's key is left out: it stands
/// in the report on a page that is referred to twice, which this program reads once.
fn named_by_bbolt(line: &str) -> Option<(String, u64)> {
    const PHRASES: [(&str, &str); 6] = [
        (": multiple references", "reachable-twice"),
        (": unreachable unfreed", "unreachable-unfreed"),
        (": reachable freed", "reachable-freed"),
        (": already freed", "freelist-duplicate"),
        (": invalid type", "page/wrong-kind"),
        ("than previous element", "key-order"),
    ];
    let (_, kind) = PHRASES.iter().find(|(phrase, _)| line.contains(phrase))?;
    let (_, behind) = line.split_once("page")?;
    let digits = behind.trim_start_matches(['(', ' ']);
    let end = digits.find(|c: char| !c.is_ascii_digit())?;
    Some(((*kind).to_owned(), digits[..end].parse().ok()?))
}
