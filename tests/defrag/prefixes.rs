//! `--drop-prefix`: exactly the keys that begin so are given up, and only by somebody who has counted them.

use std::collections::BTreeSet;

use support::content::Content;
use support::memory::Tree;
use support::mvcc::{self, Record};

use super::*;

const CURRENT: i64 = 16;

/// Keys that begin alike, keys that are no text, deleted ones, one with a lease; the newest record is one of `/a/`.
fn sample() -> (TempDir, PathBuf) {
    let put = |main, key: &[u8], create, version| etcd_file::put(main, key, create, version, b"text", 0);
    let records = [
        put(2, b"/a", 2, 1),
        put(3, b"/a/", 3, 1),
        put(4, b"/a/one", 4, 1),
        put(5, b"/a/one", 4, 2),
        put(6, b"/ab", 6, 1),
        put(7, b"/a/\xff\xfe\0", 7, 1),
        put(8, b"/b/one", 8, 1),
        put(9, b"/a/gone", 9, 1),
        etcd_file::tombstone(10, b"/a/gone"),
        etcd_file::put(11, b"/a/leased", 11, 1, b"text", etcd_file::LEASE),
        put(12, b"\xff\xfe/a/", 12, 1),
        put(13, b"/b/two", 13, 1),
        put(14, b"/a/two", 14, 1),
        put(15, b"/b/two", 13, 2),
        etcd_file::tombstone(CURRENT, b"/a/two"),
    ];
    let small = memory::open(etcd_file::small().bytes());
    let mut tree = Tree::of(&contents(&small));
    let key = tree.number("key");
    tree.clear(key);
    records.iter().for_each(|entry| tree.put(key, &entry.key, &entry.value));
    let folder = folder_of(&[("source.db", &tree.file(1024))]);
    let path = folder.path().join("source.db");
    (folder, path)
}

fn begins(record: &Record<'_>, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| mvcc::key_of(record.1).starts_with(prefix.as_bytes()))
}

fn options<'a>(prefixes: &[&'a str]) -> Vec<&'a str> {
    let drop = prefixes.iter().flat_map(|prefix| ["--drop-prefix", prefix]);
    ["--compact-to", "current"].into_iter().chain(drop).collect()
}

fn plain(key: &documents::Bytes) -> Vec<u8> {
    match key {
        documents::Bytes::Text(text) => text.as_bytes().to_vec(),
        documents::Bytes::Other(bytes) => support::corpus::from_base64(&bytes.bytes),
    }
}

/// The keys that begin so, by another reading: (key, live, revision, records, bytes).
fn expected_keys(records: &[Record<'_>], prefixes: &[&str]) -> Vec<(Vec<u8>, bool, i64, u64, u64)> {
    let mut keys: BTreeMap<Vec<u8>, (bool, i64, u64, u64)> = BTreeMap::new();
    for record @ (place, value) in records.iter().filter(|record| begins(record, prefixes)) {
        let row = keys.entry(mvcc::key_of(record.1)).or_default();
        row.0 = !mvcc::is_tombstone(place);
        row.1 = mvcc::revision_of(place).0;
        row.2 += 1;
        row.3 += (16 + place.len() + value.len()) as u64;
    }
    keys.into_iter().map(|(key, row)| (key, row.0, row.1, row.2, row.3)).collect()
}

fn assert_left_out(report: &documents::Defrag, records: &[Record<'_>], prefixes: &[&str]) -> usize {
    let left_out = report.left_out.as_ref().expect("what is left out");
    let found: Vec<_> = left_out
        .keys
        .iter()
        .map(|row| (plain(&row.key), row.live, row.mod_revision, row.records, row.bytes))
        .collect();
    assert_eq!(found, expected_keys(records, prefixes), "{prefixes:?}");
    assert_eq!(left_out.prefixes.len(), prefixes.len());
    let mut counted = BTreeSet::new();
    for (row, prefix) in left_out.prefixes.iter().zip(prefixes) {
        // a key counts with the first that it begins with
        let its: Vec<_> = found
            .iter()
            .filter(|row| row.0.starts_with(prefix.as_bytes()) && counted.insert(row.0.clone()))
            .collect();
        assert_eq!(plain(&row.prefix), prefix.as_bytes());
        let live = its.iter().filter(|row| row.1).count() as u64;
        assert_eq!((row.keys, row.live_keys), (its.len() as u64, live), "{prefix}");
        assert_eq!(row.records, its.iter().map(|row| row.3).sum::<u64>(), "{prefix}");
        assert_eq!(row.bytes, its.iter().map(|row| row.4).sum::<u64>(), "{prefix}");
    }
    found.len()
}

/// Without the records, and without what the compaction says in `meta`.
fn rest_of<'a>(contents: &[Content<'a>]) -> Vec<Content<'a>> {
    let mut rest = contents.to_vec();
    for bucket in &mut rest {
        if bucket.name == b"key" {
            bucket.entries.clear();
        }
        bucket.entries.retain(|(key, _)| !key.ends_with(b"CompactRev"));
    }
    rest
}

/// Looks, gives up, and holds the copy against another reading. Gives back how many keys went.
fn prove(source: &Path, target: &Path, prefixes: &[&str]) -> usize {
    let options = options(prefixes);
    let before = seen_in(source.parent().expect("a folder"));
    let dry = defrag(source, &[&options[..], &["-o", text(target), "--force", "--dry-run"]].concat());
    assert_eq!(seen_in(source.parent().expect("a folder")), before, "a dry run writes nothing");
    let db = open(source);
    let buckets = contents(&db);
    let records = mvcc::records_of(&buckets);
    let keys = assert_left_out(&dry, &records, prefixes);
    let confirmed = keys.to_string();
    let report =
        defrag_to(source, target, &[&options[..], &["--force", "--confirm-keys", &confirmed]].concat());
    assert!(report.verified, "{report:?}");
    assert_eq!(assert_left_out(&report, &records, prefixes), keys);
    assert_eq!(report.target.file_bytes, dry.target.file_bytes);

    let copy = open(target);
    let after = contents(&copy);
    assert_equal_contents(&rest_of(&buckets), &rest_of(&after), "all else, and leases first of all");
    let current = report.compaction.as_ref().expect("a compaction").current_revision;
    let kept = mvcc::compacted(&records, current);
    let expected: Vec<_> = kept.into_iter().filter(|record| !begins(record, prefixes)).collect();
    assert!(mvcc::records_of(&after) == expected, "{prefixes:?}");
    let lost = records.iter().filter(|record| begins(record, prefixes)).count() as u64;
    let dropped = report.dropped.superseded + report.dropped.tombstones;
    assert_eq!(report.source.records, report.target.records + lost + dropped, "{report:?}");
    let hash = mvcc::hash_kv(&expected, current, current);
    assert_eq!(report.verification.expect("verified").hash_kv, Some(hash), "{prefixes:?}");
    prove_commands(target, current, hash);
    keys
}

fn prove_commands(target: &Path, current: i64, hash: u32) {
    let status: documents::Status = document("status", text(target), &[]);
    let status = &status.files[0];
    assert_eq!((status.revision, status.compact_revision), (Some(current), Some(current)));
    let hashed: documents::Hash = document("hash", text(target), &[]);
    assert_eq!(hashed.hash_kv.map(|it| (it.hash, it.revision)), Some((hash, current)));
    let checked: documents::Check = document("check", text(target), &[]);
    assert!(checked.sound, "{:?}", checked.findings);
}

#[test]
fn exactly_what_begins_so() {
    let (folder, source) = sample();
    let target = folder.path().join("copy.db");
    for (prefixes, keys) in [
        (&["/a/"][..], 6),
        (&["/a"], 8),
        (&["/a/one"], 1),
        (&["/b/", "/a/"], 8),
        (&["/a/", "/a"], 8),
        (&["/a", "/a/", "/a/one"], 8),
        (&["/a/", "/a/"], 6),
        (&["/b/two", "/ab"], 2),
        (&["/"], 10),
        (&["/A", "a", "/a/one/"], 0),
    ] {
        assert_eq!(prove(&source, &target, prefixes), keys, "{prefixes:?}");
    }
}

#[test]
fn of_kubernetes() {
    let folder = folder_of(&[("source.db", &fixture("k8s-3.5/k8s.db"))]);
    let source = folder.path().join("source.db");
    let target = folder.path().join("copy.db");
    assert!(prove(&source, &target, &["/registry/events/"]) > 50);
    assert!(prove(&source, &target, &["/registry/"]) > 900);
    assert!(prove(&source, &target, &["/registry/leases/", "/registry/pods/", "/registry/le"]) > 5);
}

/// A prefix need not be text, and neither do the keys.
#[test]
fn that_is_no_text() {
    use std::os::unix::ffi::OsStrExt;
    let (folder, source) = sample();
    let target = folder.path().join("copy.db");
    for (prefix, keys) in [(&b"\xff"[..], 1), (b"\xff\xfe/a/", 1), (b"/a/\xff", 1), (b"\xfe", 0)] {
        let mut command = program();
        command.args(["defrag", text(&source), "--compact-to", "current", "--force", "--drop-prefix"]);
        command.arg(std::ffi::OsStr::from_bytes(prefix)).args(["-o", text(&target), "--output", "json"]);
        command.args(["--confirm-keys", &keys.to_string()]);
        let ran: Ran = command.output().expect("ran").into();
        assert_eq!(ran.code, 0, "{prefix:?}: {}", ran.err);
        let report: documents::Defrag = parse("defrag", &ran.out);
        let left_out = report.left_out.expect("one");
        assert_eq!((left_out.keys.len(), plain(&left_out.prefixes[0].prefix)), (keys, prefix.to_vec()));
        assert!(left_out.keys.iter().all(|row| plain(&row.key).starts_with(prefix)), "{left_out:?}");
    }
}

#[test]
fn only_what_was_counted() {
    let (folder, source) = sample();
    let target = path_in(&folder, "copy.db");
    let drop = options(&["/a/"]);
    for place in [&["-o", &*target][..], &["--in-place"]] {
        let args = [&["defrag", text(&source)], place, &drop[..]].concat();
        let says = ["6 keys with 9 records", "--dry-run", "--confirm-keys 6", "nothing was written"];
        assert_refused(folder.path(), &args, &says);
        for wrong in ["0", "5", "7", "9", "18446744073709551615"] {
            let args = [&args[..], &["--confirm-keys", wrong]].concat();
            assert_refused(
                folder.path(),
                &args,
                &[&format!("not the {wrong} that were confirmed"), "--confirm-keys 6"],
            );
        }
    }
    // nothing begins so: that must be known, too
    let nothing = options(&["/nothing/"]);
    let args = [&["defrag", text(&source), "-o", &target], &nothing[..]].concat();
    assert_refused(folder.path(), &args, &["0 keys", "--confirm-keys 0"]);
    let args = [&args[2..], &["--confirm-keys", "0"]].concat();
    let report = defrag(&source, &args);
    assert!(report.verified && report.left_out.expect("an empty list").keys.is_empty());
    let report = defrag(&source, &[&drop[..], &["--in-place", "--confirm-keys", "6"]].concat());
    assert!(report.verified && report.kept_old.is_some(), "{report:?}");
}

#[test]
fn not_without_a_compaction_to_the_current_revision() {
    let (folder, source) = sample();
    let target = path_in(&folder, "copy.db");
    for history in [&[][..], &["--compact-to", "16"], &["--compact-to", "10"], &["--keep-revisions", "0"]] {
        let drop = ["defrag", text(&source), "-o", &target, "--drop-prefix", "/a/", "--confirm-keys", "6"];
        let args = [&drop[..], history].concat();
        assert_refused(folder.path(), &args, &["needs --compact-to current"]);
    }
    for prefixes in [&[""][..], &["/a/", ""], &["", "/a/"]] {
        let args = [&["defrag", text(&source), "-o", &target], &options(prefixes)[..]].concat();
        assert_refused(folder.path(), &args, &["needs a prefix"]);
    }
    let ran = run(["defrag", text(&source), "-o", &target, "--confirm-keys", "6"]);
    assert_eq!((ran.code, ran.err.contains("--drop-prefix")), (2, true), "{}", ran.err);
}

#[test]
fn as_text() {
    let (folder, source) = sample();
    let target = path_in(&folder, "copy.db");
    let args = [&["defrag", text(&source), "-o", &target, "--dry-run"], &options(&["/a/"])[..]].concat();
    let ran = run(&args);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let lines =
        ["left out   6 keys (4 live), 9 records", "/a/gone", "and 1 more: --output json", "--confirm-keys 6"];
    for words in lines {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    // values are never shown, and a key that is no text is escaped
    assert!(!ran.out.contains("text\n") && !ran.out.contains('\0'), "{}", ran.out);
}
