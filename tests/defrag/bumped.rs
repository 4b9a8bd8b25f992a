//! `etcdutl snapshot restore --bump-revision --mark-compacted` raises the current revision by a record without a single
//! byte of value (`etcdutl/snapshot/v3_snapshot.go`, `unsafeBumpBucketsRevision`), and marks a compaction to it as
//! scheduled (`unsafeMarkRevisionCompacted`). etcd reads it as a put of the empty key.

use support::memory::Tree;

use super::compaction::{MARKS, prove, status};
use super::*;

const BUMP: i64 = 1_000_000_000;

/// As a restore makes it of this file; bumped several times, where there are several.
fn bumped(name: &str, bumps: &[i64]) -> (TempDir, PathBuf, i64) {
    let source = memory::open(fixture(name));
    let mut tree = Tree::of(&contents(&source));
    let state = State::read(&source);
    let (_, mut current) = state.revision_range(&source).expect("records");
    for bump in bumps {
        current += bump;
        let (key, meta) = (tree.number("key"), tree.number("meta"));
        tree.put(key, etcd_file::revision(current), "");
        tree.put(meta, MARKS[1], etcd_file::revision(current));
    }
    let folder = folder_of(&[("source.db", &tree.file(4096))]);
    let path = folder.path().join("source.db");
    (folder, path, current)
}

fn checked(path: &Path) -> documents::Check {
    document("check", text(path), &[])
}

#[test]
fn is_sound_and_counted_and_hashed() {
    let (folder, source, current) = bumped("k8s-3.5/k8s.db", &[BUMP]);
    assert_eq!(current, 1_000_004_015);
    let unbumped = folder.path().join("unbumped.db");
    fs::write(&unbumped, fixture("k8s-3.5/k8s.db")).expect("written");
    let found = checked(&source);
    assert!(found.sound && found.findings.is_empty(), "{:?}", found.findings);
    let (before, after) = (status(&unbumped), status(&source));
    assert_eq!((after.revision, after.compact_revision), (Some(current), Some(current)));
    assert_eq!(after.keys, before.keys.map(|keys| keys + 1));
    let hashed: documents::Hash = document("hash", text(&source), &[]);
    assert_eq!(Some(hashed.snapshot_status.total_key), after.keys, "as `etcdutl snapshot status` counts");
    // `etcdctl endpoint hashkv` of the etcd that started from such a restore of this very file
    assert_eq!(hashed.hash_kv.map(|it| it.hash), Some(2_645_711_463));
    let target = folder.path().join("copy.db");
    let report = defrag_to(&source, &target, &[]);
    assert_eq!(report.verification.expect("verified").hash_kv, Some(2_645_711_463));
    assert_copy(&source, &target, "bumped");
    let report = prove(&source, &target, current, "bumped");
    assert_eq!(report.verification.expect("verified").hash_kv, Some(2_645_711_463));
    assert!(report.compaction.expect("one").finishes_earlier);
}

/// Restored, bumped by 7 on top, and started: as etcd's own tools count and hash two such records.
#[test]
fn twice_beside_what_etcdutl_says() {
    let (_folder, source, current) = bumped("k8s-3.5/k8s.db", &[BUMP, 7]);
    let hashed: documents::Hash = document("hash", text(&source), &[]);
    // `etcdutl hashkv` and `etcdutl snapshot status`, 3.8 alpha
    let found = hashed.hash_kv.map(|it| (it.hash, it.revision, it.compact_revision));
    assert_eq!(found, Some((2_643_139_792, current, current)));
    assert_eq!(hashed.snapshot_status.total_key, 930);
}

/// The newest stays, as the newest put of any key does; the older one is superseded by it.
#[test]
fn twice_the_newest_stays() {
    for bumps in [&[BUMP, BUMP][..], &[1, 1], &[1, BUMP, 3]] {
        let (folder, source, current) = bumped("k8s-3.6/k8s.db", bumps);
        let found = checked(&source);
        assert!(found.sound, "{:?}", found.findings);
        let keys = status(&source).keys;
        let target = folder.path().join("copy.db");
        let report = prove(&source, &target, current, "bumped again");
        let marks_in = |path: &Path| {
            let db = open(path);
            let buckets = contents(&db);
            let key = buckets.iter().find(|bucket| bucket.name == b"key").expect("a bucket key");
            key.entries.iter().filter(|(_, value)| value.is_some_and(<[u8]>::is_empty)).count()
        };
        assert_eq!((marks_in(&source), marks_in(&target)), (bumps.len(), 1), "{bumps:?}");
        assert_eq!(status(&target).keys, keys, "{report:?}");
    }
}

/// Between two of them: the lower one stays, as it is the newest by then; the upper one lies above.
#[test]
fn compactions_below_and_between() {
    let source = memory::open(fixture("etcd-3.5/etcd-3.5.1-lease.db"));
    let mut tree = Tree::of(&contents(&source));
    let key = tree.number("key");
    for at in [100, 200, 300] {
        tree.put(key, etcd_file::revision(at), "");
    }
    let folder = folder_of(&[("source.db", &tree.file(4096))]);
    let source = folder.path().join("source.db");
    let target = folder.path().join("copy.db");
    let records = |report: &documents::Defrag| report.target.records;
    let whole = records(&defrag_to(&source, &target, &[]));
    let at_12 = records(&prove(&source, &target, 12, "below"));
    assert!(at_12 < whole);
    for (at, fewer) in [(99, 0), (100, 0), (199, 0), (200, 1), (299, 1), (300, 2)] {
        let report = prove(&source, &target, at, "between");
        assert!(records(&report) <= at_12 - fewer, "{at}: {report:?}");
    }
}

/// Of what etcd never writes: a deletion of nothing, or a mark that is more than nothing.
#[test]
fn faults_that_look_like_it() {
    for (suffix, value) in
        [(&b"t"[..], &b""[..]), (b"", b"\x10\x02"), (b"", b"\x0a\x00"), (b"t", b"\x0a\x00")]
    {
        let source = memory::open(fixture("k8s-3.5/k8s.db"));
        let mut tree = Tree::of(&contents(&source));
        let key = tree.number("key");
        tree.put(key, [&etcd_file::revision(5000)[..], suffix].concat(), value);
        let folder = folder_of(&[("source.db", &tree.file(4096))]);
        let found = checked(&folder.path().join("source.db"));
        assert!(!found.sound && found.findings.len() == 1, "{suffix:?} {value:?}: {:?}", found.findings);
    }
}
