//! Real files: every figure against [`super::counted`].

use std::collections::BTreeMap;
use std::io::{Write, stderr};
use std::path::Path;

use etcd_medic::internals::analyze::resources::ResourceUse;
use etcd_medic::internals::analyze::{self, analyze};
use etcd_medic::internals::bolt::Db;
use etcd_medic::internals::cleanup::{Cleanup, CleanupRequest, GarbageLimits, cleanup};
use etcd_medic::internals::etcd::schema::State;
use etcd_medic::internals::etcd::trailer;
use etcd_medic::internals::filter::Filter;
use etcd_medic::internals::input::named::Named;
use etcd_medic::internals::k8s::resource_name;
use etcd_medic::internals::scan::{ScanOptions, scan};
use jiff::Timestamp;

use super::counted::{GarbageClass, Sum, count};
use super::support::corpus::Corpus;
use super::support::testdata;

/// Names the folder with the large corpora.
const CORPORA: &str = "ETCD_MEDIC_CORPORA";

#[test]
fn the_corpora_of_testdata() {
    let corpora = Corpus::all_in(&testdata(""));
    assert_eq!(corpora.iter().map(compare).sum::<usize>(), 5, "files");
}

#[test]
fn the_large_corpora() {
    let Some(folder) = std::env::var_os(CORPORA) else {
        // not by `eprintln!`, which the test harness would keep to itself
        let _ = writeln!(stderr(), "LEFT OUT: the large corpora. {CORPORA}=FOLDER names where they are");
        return;
    };
    let corpora = Corpus::all_in(Path::new(&folder));
    assert!(!corpora.is_empty(), "{CORPORA} is {}: no truth.json below it", folder.display());
    let files: usize = corpora.iter().map(compare).sum();
    let _ = writeln!(stderr(), "{CORPORA}: {} corpora, {files} files", corpora.len());
}

/// What `cleanup` says of a file, with everything named.
pub fn cleanup_of(db: &Db, thresholds: GarbageLimits, as_of: Option<Timestamp>) -> Cleanup {
    let state = State::read(db);
    let scan = scan(db, &state, ScanOptions::default());
    let trailer = trailer::verify(db.data());
    let request = CleanupRequest { path: "db".as_ref(), trailer, thresholds, as_of, top: usize::MAX };
    cleanup(db, &state, &scan, &request).expect("an etcd file")
}

fn compare(corpus: &Corpus) -> usize {
    for name in corpus.truth.files.keys() {
        let file = corpus.file(name);
        let source = etcd_medic::open(file.path()).expect("opened");
        let name = format!("{}/{name}", corpus.name());
        let usual = GarbageLimits::default();
        let found = compare_with(&source.db, &name, usual, None);
        assert!(found.health.sound && found.as_of.source == Some("objects"), "{name}");
        // real clusters have finished Jobs and Pods, and old ReplicaSets
        for class in ["finished-jobs", "finished-pods", "replicasets-at-zero"] {
            assert!(
                found.classes.iter().any(|row| row.class == class && row.sum.objects > 0),
                "{name} {class}"
            );
        }

        // a day and more later all Events are old and all Leases stale; and everything else is strict, too
        let now: Timestamp = found.as_of.time.as_ref().expect("a time").parse().expect("RFC 3339");
        let later = Timestamp::from_second(now.as_second() + 2 * 86400).expect("a time");
        let strict = GarbageLimits { large_bytes: 1, flood_objects: 1, ..usual };
        let all = compare_with(&source.db, &name, strict, Some(later));
        for class in ["old-events", "stale-leases", "large-configmaps", "large-secrets"] {
            assert!(
                all.classes.iter().any(|row| row.class == class && row.sum.objects > 0),
                "{name} {class}"
            );
        }
        disk_bytes_are_those_of_analyze(&source.db, &name, &all);

        // in between, some are
        for (seconds, age) in [(0, 0), (0, 60), (0, 600), (1800, 3600), (-600, 30)] {
            let as_of = Timestamp::from_second(now.as_second() + seconds).expect("a time");
            let limits = GarbageLimits { event_age_seconds: age, lease_age_seconds: age, ..usual };
            compare_with(&source.db, &name, limits, Some(as_of));
        }
    }
    corpus.truth.files.len()
}

fn compare_with(db: &Db, name: &str, limits: GarbageLimits, as_of: Option<Timestamp>) -> Cleanup {
    let found = cleanup_of(db, limits, as_of);
    let expected = count(db, &limits, as_of.map(Timestamp::as_second));
    let name = format!("{name} {limits:?} {as_of:?}");
    let now = expected.now.map(|now| Timestamp::from_second(now).expect("a time").to_string());
    assert_eq!(found.as_of.time, now, "{name}: the file's time");
    assert_eq!(found.objects_read, expected.read, "{name}: objects read");

    let mut classes: BTreeMap<String, GarbageClass> = BTreeMap::new();
    for row in &found.classes {
        let title = match &row.resource {
            Some(resource) => format!("{}: {resource}", row.class),
            None => row.class.to_owned(),
        };
        let namespaces = row.namespaces.iter().map(|row| {
            let namespace = row.namespace.as_ref().map(ToString::to_string);
            (namespace, sum(row.sum.objects, row.sum.live_bytes, row.sum.history_bytes))
        });
        let class = GarbageClass {
            sum: sum(row.sum.objects, row.sum.live_bytes, row.sum.history_bytes),
            namespaces: namespaces.collect(),
            keys: row.top.iter().map(|object| object.key.to_string()).collect(),
        };
        let named = row.top.iter().map(|object| object.live_bytes).sum::<u64>();
        assert!(row.class == "leases-without-keys" || named == row.sum.live_bytes, "{name} {title}: top");
        if class != GarbageClass::default() {
            assert!(classes.insert(title, class).is_none(), "{name}: twice");
        }
    }
    let mut counted = expected.classes;
    for (title, class) in &mut counted {
        if title.contains("-flood: ") {
            // deleted objects are in its history, not among its largest
            let live = classes.get(title).map(|class| class.keys.clone()).unwrap_or_default();
            assert!(live.is_subset(&class.keys), "{name} {title}");
            assert_eq!(live.len() as u64, class.sum.objects, "{name} {title}");
            class.keys = live;
        }
    }
    assert_eq!(classes, counted, "{name}");
    let total = sum(found.total.objects, found.total.live_bytes, found.total.history_bytes);
    assert_eq!(total, expected.total, "{name}: together");

    let resource = |row: &etcd_medic::internals::cleanup::Unread| row.resource.to_string();
    let encrypted = found.unread.iter().filter(|row| row.encrypted > 0);
    let encrypted: BTreeMap<_, _> =
        encrypted.map(|row| (resource(row), (row.encrypted, row.encrypted_bytes))).collect();
    assert_eq!(encrypted, expected.encrypted, "{name}: encrypted");
    assert_eq!(found.unread.iter().map(|row| row.malformed).sum::<u64>(), expected.malformed, "{name}");
    found
}

fn sum(objects: u64, live: u64, history: u64) -> Sum {
    Sum { objects, live, history }
}

/// A flood has all records of its resource, as `analyze`'s row has: rounded down here, shared to the byte there.
fn disk_bytes_are_those_of_analyze(db: &Db, name: &str, found: &Cleanup) {
    let state = State::read(db);
    let scan = scan(db, &state, ScanOptions::default());
    let trailer = trailer::verify(db.data());
    let filter = Filter::default();
    let request = analyze::AnalyzeRequest {
        named: &Named::plain("db"),
        trailer,
        read_without_lock: false,
        filter,
        top: 1,
        cure_refused: None,
    };
    let report = analyze(db, &state, &scan, &request);
    let mut floods = 0;
    for row in found.classes.iter().filter(|row| row.class.ends_with("-flood")) {
        let resource = row.resource.as_ref().expect("a resource");
        let named = |row: &&ResourceUse| resource_name(&row.group, &row.resource.to_string()) == *resource;
        let of = report.resources.iter().find(named);
        let of = of.unwrap_or_else(|| panic!("{name}: {resource}"));
        assert!(of.disk_bytes.abs_diff(row.sum.disk_bytes) <= 1, "{name}: {resource}");
        assert_eq!(of.live_bytes, row.sum.live_bytes, "{name}: {resource}");
        assert_eq!(of.history_bytes + of.tombstone_bytes, row.sum.history_bytes, "{name}: {resource}");
        floods += 1;
    }
    assert!(floods >= 30, "{name}: all resources");
}
