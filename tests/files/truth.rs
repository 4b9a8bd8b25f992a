//! Real files, compared with what etcd's own tools say of them: exactly, figure by figure.
//!
//! The small corpora of `testdata/` are always read; those of the folder that `ETCD_MEDIC_CORPORA` names (relative to
//! the package), too:
//!
//! ```text
//! ETCD_MEDIC_CORPORA=../shared/corpora cargo test --test files truth
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Write, stderr};
use std::path::Path;

use crate::support::corpus::{Change, Corpus, FileTruth, LiveKey, PrefixTruth, Truth, from_base64, from_hex};
use crate::support::{fixture, fixture_text, names_in, testdata};
use etcd_medic::internals::analyze::histogram::Histogram;
use etcd_medic::internals::analyze::resources::ResourceUse;
use etcd_medic::internals::analyze::space::ByteClass;
use etcd_medic::internals::analyze::top::TopObject;
use etcd_medic::internals::analyze::{Analysis, AnalyzeRequest, analyze};
use etcd_medic::internals::bolt::Db;
use etcd_medic::internals::bolt::bucket::BucketRoot;
use etcd_medic::internals::bolt::entries::for_each_entry;
use etcd_medic::internals::check::check;
use etcd_medic::internals::etcd::schema::State;
use etcd_medic::internals::etcd::trailer::{self, Trailer};
use etcd_medic::internals::etcd::{KeyValue, RecordKey};
use etcd_medic::internals::filter::Filter;
use etcd_medic::internals::input::named::Named;
use etcd_medic::internals::inspect::{self, RowKind};
use etcd_medic::internals::scan::{Scan, ScanOptions, scan};
use etcd_medic::internals::status::{Limits, Status};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Names the folder with the large corpora.
const CORPORA: &str = "ETCD_MEDIC_CORPORA";

/// All that the commands make of one file.
struct Made<'m, 'a> {
    db: &'a Db,
    state: &'m State<'a>,
    scan: &'m Scan<'a>,
    trailer: Trailer,
    report: Analysis,
    status: Status,
    /// Every entry of the `key` bucket, read one by one.
    records: Vec<(RecordKey, KeyValue<'a>)>,
}

fn read(db: &Db, path: &str, test: impl FnOnce(&Made<'_, '_>)) {
    let state = State::read(db);
    let scan = scan(db, &state, ScanOptions::default());
    let trailer = trailer::verify(db.data());
    let request = AnalyzeRequest {
        named: &Named::plain(path),
        trailer,
        read_without_lock: false,
        filter: Filter::default(),
        top: usize::MAX,
        cure_refused: None,
    };
    let report = analyze(db, &state, &scan, &request);
    let status = Status::of(path.as_ref(), db, &state, &scan, trailer, Limits::default());
    let checked = check(&Named::plain(path), db, &state, &scan, trailer, 10);
    assert!(checked.sound, "{path}: {:?}", checked.findings);
    assert!(status.sound && report.health.sound, "{path}");
    let mut records = Vec::new();
    for_each_entry(db, state.key_bucket.as_ref().expect("a key bucket"), |entry| {
        let key = RecordKey::parse(entry.key).expect("a record's key");
        records.push((key, KeyValue::parse(entry.value).expect("a record")));
    });
    test(&Made { db, state: &state, scan: &scan, trailer, report, status, records });
}

#[test]
fn the_corpora_of_testdata() {
    let corpora = Corpus::all_in(&testdata(""));
    assert_eq!(corpora.len(), 3, "k8s-3.5, k8s-3.6, k8s-frag");
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

/// Compares every file of a corpus with its truth; how many there were.
fn compare(corpus: &Corpus) -> usize {
    for (name, truth) in &corpus.truth.files {
        let path = corpus.folder.join(name).display().to_string();
        let file = corpus.file(name);
        let source = etcd_medic::open(file.path()).expect("opened");
        read(&source.db, &path, |made| {
            file_figures(made, name, truth);
            bbolt_stats(made, &truth.bbolt_stats);
            revisions(made, truth, &corpus.truth);
            live_keys(made, &corpus.live);
            resources(made, corpus);
            sums(made);
            leases_and_alarms(made, corpus);
            if let Some(history) = &corpus.history {
                changes(made, corpus, history);
            }
        });
    }
    corpus.truth.files.len()
}

fn file_figures(made: &Made<'_, '_>, name: &str, truth: &FileTruth) {
    let (report, status) = (&made.report, &made.status);
    let page_size = made.db.page_size();
    assert_eq!((report.file.file_bytes, status.file_bytes), (truth.size, truth.size), "{name}: size");
    assert_eq!(status.free_bytes, truth.free_pages * page_size, "{name}: free bytes");
    assert_eq!(report.space.free_bytes, truth.free_pages * page_size, "{name}: free bytes");
    assert_eq!(report.space.bytes_of(ByteClass::Free), truth.free_pages * page_size, "{name}: free pages");
    assert_eq!(made.scan.free_pages(), truth.free_pages, "{name}: free pages");
    let version = truth.storage_version.clone().filter(|version| !version.is_empty());
    assert_eq!(report.file.storage_version, version, "{name}: storage version");
    assert_eq!(report.file.freelist_page, None, "{name}: etcd stores no freelist");

    let expected = if name.contains("snapshot") { Trailer::Valid } else { Trailer::None };
    assert_eq!(
        (made.trailer, report.file.snapshot_trailer, status.snapshot_trailer),
        (expected, expected, expected)
    );

    let names: Vec<String> = report.buckets.iter().skip(1).map(|bucket| bucket.name.to_string()).collect();
    assert_eq!(names, truth.buckets, "{name}: buckets");

    let rows = inspect::pages(made.db);
    let nodes = |kind| rows.iter().filter(|row| row.kind == kind).count() as u64;
    let expected = |kind: &str| truth.nodes_by_type.get(kind).copied().unwrap_or(0);
    assert_eq!(nodes(RowKind::Meta), expected("meta"), "{name}: metas");
    assert_eq!(nodes(RowKind::Branch), expected("branch"), "{name}: branches");
    assert_eq!(nodes(RowKind::Leaf), expected("leaf"), "{name}: leaves");
    assert_eq!(nodes(RowKind::Freelist), expected("freelist"), "{name}: freelists");
    let free: u64 = rows.iter().filter(|row| row.kind == RowKind::Free).map(|row| row.pages).sum();
    assert_eq!(free, truth.free_pages, "{name}: free pages in `pages`");
    let all: u64 = rows.iter().map(|row| row.pages).sum();
    assert_eq!(all, made.db.high_water_mark(), "{name}: `pages` has every page once");
}

/// `bbolt stats` adds up the top-level buckets; the root bucket's own leaf is in none of its figures.
///
/// Its "number of keys" has all their entries, "levels" is the highest tree, "bytes used" is pages without slack (of
/// branches and leaves together here: a tally does not keep the two apart), and an inlined bucket's bytes are its page
/// in its entry. Percentages follow from these, and are left out.
fn bbolt_stats(made: &Made<'_, '_>, stats: &str) {
    let figure = |label: &str| -> u64 {
        let line = stats.lines().find_map(|line| line.trim().strip_prefix(label));
        let word = line.and_then(|rest| rest.trim_start_matches(':').split_whitespace().next());
        word.and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no {label:?} in {stats}"))
    };
    let page_size = made.db.page_size();
    let buckets = || made.scan.buckets.iter().zip(&made.scan.tallies).skip(1);
    let on_pages = || buckets().filter(|(bucket, _)| matches!(bucket.root, BucketRoot::Page(_)));
    let inline = || buckets().filter(|(bucket, _)| matches!(bucket.root, BucketRoot::Inline(_)));

    let branches: u64 = on_pages().map(|(_, tally)| tally.branches).sum();
    let leaves: u64 = on_pages().map(|(_, tally)| tally.leaves).sum();
    assert_eq!(branches, figure("Number of logical branch pages"));
    assert_eq!(leaves, figure("Number of logical leaf pages"));
    let overflow: u64 = on_pages().map(|(_, tally)| tally.overflow_pages).sum();
    let branch_overflow = figure("Number of physical branch overflow pages");
    let leaf_overflow = figure("Number of physical leaf overflow pages");
    assert_eq!(overflow, branch_overflow + leaf_overflow);
    let branch_bytes: u64 = on_pages().map(|(_, tally)| tally.branch_bytes).sum();
    let leaf_bytes: u64 = on_pages().map(|(_, tally)| tally.leaf_bytes).sum();
    assert_eq!(branch_bytes, figure("Bytes allocated for physical branch pages"));
    assert_eq!(leaf_bytes, figure("Bytes allocated for physical leaf pages"));
    assert_eq!(branch_bytes, (branches + branch_overflow) * page_size);
    assert_eq!(leaf_bytes, (leaves + leaf_overflow) * page_size);
    let used: u64 = on_pages().map(|(_, tally)| tally.page_bytes - tally.sizes.slack).sum();
    let branch_used = figure("Bytes actually used for branch data");
    assert_eq!(used, branch_used + figure("Bytes actually used for leaf data"));

    assert_eq!(buckets().map(|(_, tally)| tally.entries).sum::<u64>(), figure("Number of keys/value pairs"));
    let height = buckets().map(|(_, tally)| tally.height).max().map_or(0, u64::from);
    assert_eq!(height, figure("Number of levels in B+tree"));
    assert_eq!(buckets().count() as u64, figure("Total number of buckets"));
    assert_eq!(inline().count() as u64, figure("Total number on inlined buckets"));
    let inline_bytes = |sizes: &etcd_medic::internals::bolt::walk::NodeSizes| {
        sizes.header + sizes.elements + sizes.keys + sizes.values
    };
    let in_inline: u64 = inline().map(|(_, tally)| inline_bytes(&tally.sizes)).sum();
    assert_eq!(in_inline, figure("Bytes used for inlined buckets"));

    // the same figures, as the report has them
    let key = made.report.buckets.iter().find(|bucket| bucket.name.0 == b"key").expect("the key bucket");
    let tally = made.scan.key_tally().expect("the key bucket");
    assert_eq!(
        (key.branch_nodes, key.leaf_nodes, key.disk_bytes),
        (tally.branches, tally.leaves, tally.page_bytes)
    );
}

fn revisions(made: &Made<'_, '_>, truth: &FileTruth, whole: &Truth) {
    let (report, status) = (&made.report, &made.status);
    let mvcc = report.mvcc.as_ref().expect("records");
    assert_eq!((mvcc.revision, status.revision), (truth.revision, Some(truth.revision)));
    assert_eq!(
        (mvcc.compact_revision, status.compact_revision),
        (truth.compact_revision, Some(truth.compact_revision))
    );
    assert_eq!(status.keys, Some(truth.keys));
    assert_eq!(truth.revision, whole.revision, "etcd and its tools agree");
    assert_eq!(truth.compact_revision, whole.compact_revision, "etcd and its tools agree");

    // key="term", value=2
    let meta = |key: &str| {
        let start = format!("key=\"{key}\", value=");
        truth.meta.lines().find_map(|line| line.strip_prefix(start.as_str())).map(str::to_owned)
    };
    let decimal = |number: u64| Some(number.to_string());
    assert_eq!(report.file.term.and_then(decimal), meta("term"));
    assert_eq!(report.file.consistent_index.and_then(decimal), meta("consistent_index"));
    let revision = |main: i64| Some(format!("{{{main} 0}}"));
    assert_eq!(mvcc.finished_compact_revision.and_then(revision), meta("finishedCompactRev"));
    assert_eq!(mvcc.scheduled_compact_revision.and_then(revision), meta("scheduledCompactRev"));
    let version = report.file.storage_version.as_ref().map(|version| format!("{version:?}"));
    assert_eq!(version, meta("storageVersion"));
    let conf_state = made.state.conf_state.as_ref().expect("confState");
    let voters = conf_state["voters"].as_array().expect("voters").iter().filter_map(Value::as_u64);
    let voters: Vec<_> = voters.collect();
    assert_eq!(voters, report.file.members.iter().map(|member| member.id.0).collect::<Vec<_>>());
    let text = meta("confState").expect("confState");
    assert!(voters.iter().all(|voter| text.contains(&voter.to_string())), "{text}");
}

/// Every live key is what etcd says, by the keyspace and by the records one by one; and no other key is live.
fn live_keys(made: &Made<'_, '_>, truth: &BTreeMap<Vec<u8>, LiveKey>) {
    let shards = made.scan.keyspace.shards().iter();
    let live = shards.flat_map(|shard| shard.keys()).filter(|key| key.is_live());
    let live: BTreeMap<Vec<u8>, LiveKey> = live
        .map(|key| {
            let kv = key.newest();
            assert_eq!(key.key(), kv.key);
            assert_eq!(u64::from(key.value_len()), kv.value.len() as u64);
            (kv.key.to_vec(), live_key(&kv))
        })
        .collect();
    same_keys(&live, truth);

    let mut replayed = BTreeMap::new();
    for (place, kv) in &made.records {
        if place.tombstone {
            replayed.remove(kv.key);
        } else {
            replayed.insert(kv.key.to_vec(), *kv);
        }
    }
    let replayed = replayed.into_iter().map(|(key, kv)| (key, live_key(&kv))).collect();
    same_keys(&replayed, truth);
}

fn same_keys(found: &BTreeMap<Vec<u8>, LiveKey>, truth: &BTreeMap<Vec<u8>, LiveKey>) {
    for (key, expected) in truth {
        assert_eq!(found.get(key), Some(expected), "{}", key.escape_ascii());
    }
    assert_eq!(found.len(), truth.len(), "no other key is live");
}

fn live_key(kv: &KeyValue<'_>) -> LiveKey {
    LiveKey {
        create_revision: kv.create_revision,
        mod_revision: kv.mod_revision,
        version: kv.version,
        lease: kv.lease,
        value_len: kv.value.len() as u64,
        sha256: sha256(kv.value),
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn resources(made: &Made<'_, '_>, corpus: &Corpus) {
    let (rows, truth) = (&made.report.resources, &corpus.truth);
    let sum = |figure: fn(&ResourceUse) -> u64| rows.iter().map(figure).sum::<u64>();
    assert_eq!(sum(|row| row.objects), truth.live.count);
    assert_eq!(sum(|row| row.key_bytes), truth.live.key_bytes);
    assert_eq!(sum(|row| row.total_value_bytes), truth.live.value_bytes);

    let mut records = BTreeMap::<&[u8], u64>::new();
    for (_, kv) in &made.records {
        *records.entry(kv.key).or_default() += 1;
    }
    let mut left: Vec<&ResourceUse> = rows.iter().filter(|row| row.objects > 0).collect();
    for (prefix, expected) in &truth.live_prefixes {
        let (values, revisions): (Vec<u64>, Vec<u64>) = corpus
            .live
            .iter()
            .filter(|(key, _)| longest_prefix(truth, key) == Some(prefix))
            .map(|(key, state)| (state.value_len, records[key.as_slice()]))
            .unzip();
        assert_eq!(values.len() as u64, expected.keys, "{prefix}: the truth agrees with itself");
        let place = left.iter().position(|row| {
            matches_prefix(row, expected)
                && same_figures(&row.value_bytes, &values)
                && same_figures(&row.revisions_per_object, &revisions)
        });
        let near: Vec<_> = left.iter().filter(|row| row.objects == expected.keys).collect();
        let place = place.unwrap_or_else(|| panic!("{prefix}: {expected:?} is none of {near:#?}"));
        left.swap_remove(place);
    }
    assert!(left.is_empty(), "no further row has objects: {left:#?}");
}

fn longest_prefix<'t>(truth: &'t Truth, key: &[u8]) -> Option<&'t String> {
    let prefixes = truth.live_prefixes.keys().filter(|prefix| key.starts_with(prefix.as_bytes()));
    prefixes.max_by_key(|prefix| prefix.len())
}

fn matches_prefix(row: &ResourceUse, truth: &PrefixTruth) -> bool {
    let ours = |name: &String| if name == "k8s-protobuf" { "protobuf".to_owned() } else { name.clone() };
    let encodings: BTreeMap<String, u64> =
        truth.encodings.iter().map(|(name, &count)| (ours(name), count)).collect();
    let figures = (row.objects, row.key_bytes, row.total_value_bytes, row.value_bytes.max);
    figures == (truth.keys, truth.key_bytes, truth.value_bytes, truth.max_value) && row.encodings == encodings
}

/// Whether a histogram's figures are those of these values, counted here by other means.
fn same_figures(histogram: &Histogram, values: &[u64]) -> bool {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let nearest_rank = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100) - 1];
    let in_bins = histogram.bins.iter().all(|bin| {
        bin.count == sorted.iter().filter(|&&value| (bin.from..=bin.to).contains(&value)).count() as u64
    });
    let figures = (histogram.count, histogram.p50, histogram.p99, histogram.max);
    let expected = (sorted.len() as u64, nearest_rank(50), nearest_rank(99), sorted[sorted.len() - 1]);
    figures == expected
        && in_bins
        && histogram.bins.iter().map(|bin| bin.count).sum::<u64>() == histogram.count
}

/// Everything that must add up.
fn sums(made: &Made<'_, '_>) {
    let Made { report, records, .. } = made;
    let classes: u64 = report.space.classes.iter().map(|row| row.bytes).sum();
    assert_eq!((classes, report.space.total_bytes), (report.file.file_bytes, report.file.file_bytes));
    assert_eq!(report.space.bytes_of(ByteClass::Damaged), 0);

    let mvcc = report.mvcc.as_ref().expect("records");
    let states = [mvcc.live, mvcc.superseded, mvcc.tombstones, mvcc.unreadable];
    let key = report.buckets.iter().find(|bucket| bucket.name.0 == b"key").expect("the key bucket");
    assert_eq!(states.iter().map(|state| state.disk_bytes).sum::<u64>(), key.disk_bytes, "by state");
    assert_eq!(states.iter().map(|state| state.records).sum::<u64>(), key.entries, "by state");
    assert_eq!((mvcc.unreadable.records, key.entries), (0, records.len() as u64));
    let tombstones = records.iter().filter(|(place, _)| place.tombstone).count() as u64;
    assert_eq!(mvcc.tombstones.records, tombstones);
    assert_eq!(made.status.records, Some(records.len() as u64));
    let keys: BTreeSet<_> = records.iter().map(|(_, kv)| kv.key).collect();
    assert_eq!(mvcc.distinct_keys, keys.len() as u64);

    let rows = &report.resources;
    let of_rows = |figure: fn(&ResourceUse) -> u64| rows.iter().map(figure).sum::<u64>();
    assert_eq!(of_rows(|row| row.disk_bytes), key.disk_bytes, "resources");
    assert_eq!(of_rows(|row| row.objects), mvcc.live.records, "resources");
    assert_eq!(of_rows(|row| row.records), key.entries, "resources");
    assert_eq!(of_rows(|row| row.live_bytes), mvcc.live.bytes, "resources");
    assert_eq!(of_rows(|row| row.history_bytes), mvcc.superseded.bytes, "resources");
    assert_eq!(of_rows(|row| row.tombstones), tombstones, "resources");
    assert_eq!(of_rows(|row| row.tombstone_bytes), mvcc.tombstones.bytes, "resources");
    for row in rows {
        let counts = (row.value_bytes.count, row.revisions_per_object.count);
        assert_eq!(counts, (row.objects, row.objects), "{}", row.resource);
    }

    let namespaces = &report.namespaces;
    assert_eq!(namespaces.iter().map(|row| row.sum.disk_bytes).sum::<u64>(), key.disk_bytes, "namespaces");
    assert_eq!(namespaces.iter().map(|row| row.sum.objects).sum::<u64>(), mvcc.live.records, "namespaces");
    assert_eq!(namespaces.iter().map(|row| row.sum.records).sum::<u64>(), key.entries, "namespaces");
    assert_eq!(namespaces.iter().map(|row| row.sum.live_bytes).sum::<u64>(), mvcc.live.bytes, "namespaces");

    let timeline = report.timeline.as_ref().expect("a timeline");
    assert_eq!(timeline.bins.iter().map(|bin| bin.records).sum::<u64>(), key.entries, "timeline");
    let bytes = mvcc.live.bytes + mvcc.superseded.bytes + mvcc.tombstones.bytes;
    assert_eq!(timeline.bins.iter().map(|bin| bin.bytes).sum::<u64>(), bytes, "timeline");

    // every key is in some ranking, as no limit was set, and named once: each measure adds up, too
    let objects = &report.top_objects;
    let keys: BTreeSet<&[u8]> = objects.iter().map(|object| object.key.0.as_slice()).collect();
    assert_eq!((keys.len() as u64, objects.len() as u64), (mvcc.distinct_keys, mvcc.distinct_keys));
    assert_eq!(objects.iter().map(|object| object.revisions).sum::<u64>(), key.entries);
    assert_eq!(objects.iter().map(|object| object.live_bytes).sum::<u64>(), mvcc.live.bytes);
    let history = mvcc.superseded.bytes + mvcc.tombstones.bytes;
    assert_eq!(objects.iter().map(|object| object.history_bytes).sum::<u64>(), history);
    let on_disk: u64 = objects.iter().map(|object| object.disk_bytes).sum();
    assert!(on_disk <= key.disk_bytes && key.disk_bytes - on_disk <= mvcc.distinct_keys, "each rounds down");
    let has_more = |object: &&TopObject| object.revisions > 1;
    let most: Vec<_> = objects.iter().filter(|object| object.ranks.revisions.is_some()).collect();
    assert_eq!(most.len(), objects.iter().filter(has_more).count(), "a key of one record has not many");
}

fn leases_and_alarms(made: &Made<'_, '_>, corpus: &Corpus) {
    let truth = &corpus.truth;
    let leases = made.report.leases.as_ref().expect("leases");
    assert_eq!(leases.count, truth.leases.count);
    let ids: BTreeSet<i64> = made.state.leases.iter().map(|lease| lease.id).collect();
    let expected: BTreeSet<i64> = truth.leases.ids_hex_first20.iter().map(|id| from_hex(id)).collect();
    assert!(expected.is_subset(&ids), "{expected:x?} of {ids:x?}");
    assert_eq!(expected.len() as u64, truth.leases.count.min(20));
    for expected in &truth.leases.sample {
        let id = from_hex(&expected.id);
        let found = leases.top.iter().find(|lease| lease.id == id.into());
        assert_eq!(found.map_or(0, |lease| lease.keys), expected.keys, "keys of lease {}", expected.id);
        let stored = made.state.leases.iter().find(|lease| lease.id == id).expect("a lease");
        assert_eq!(stored.ttl, expected.granted_ttl, "lease {}", expected.id);
        assert!(found.is_none_or(|lease| lease.ttl_seconds == Some(expected.granted_ttl)));
    }
    let attached: Vec<i64> = corpus.live.values().map(|key| key.lease).filter(|&lease| lease != 0).collect();
    assert!(attached.iter().all(|lease| ids.contains(lease)), "no orphans in the corpora");
    assert_eq!((leases.attached_keys, leases.orphaned_keys), (attached.len() as u64, 0));
    let used: BTreeSet<_> = attached.iter().collect();
    assert_eq!(leases.without_keys, leases.count - used.len() as u64);

    let alarm = |id: u64, name: &str| format!("memberID:{id} alarm:{name}");
    let raised: Vec<_> =
        made.report.alarms.iter().map(|raised| alarm(raised.member_id.0, raised.alarm)).collect();
    assert_eq!(raised, truth.alarms);
    assert_eq!(made.status.alarms, made.report.alarms);
    assert_eq!(made.report.auth.expect("auth").enabled, truth.auth_enabled);
}

/// Above the compact revision, the records are what etcd's watch told, change by change; at and below it, what is left
/// is one record a key at most, and a put.
fn changes(made: &Made<'_, '_>, corpus: &Corpus, truth: &[Change]) {
    let totals = &corpus.truth.history;
    assert!(totals.complete && totals.from_rev == made.status.compact_revision.expect("etcd's").max(0) + 1);
    let (recent, kept): (Vec<_>, Vec<_>) =
        made.records.iter().partition(|(place, _)| place.revision.main >= totals.from_rev);
    let change = |(place, kv): &(RecordKey, KeyValue<'_>)| Change {
        mod_revision: place.revision.main,
        key: kv.key.to_vec(),
        delete: place.tombstone,
        create_revision: kv.create_revision,
        version: kv.version,
        lease: kv.lease,
        value_len: kv.value.len() as u64,
        sha256_16: if place.tombstone { String::new() } else { sha256(kv.value)[..16].to_owned() },
    };
    let mut found: Vec<_> = recent.into_iter().map(change).collect();
    let mut truth = truth.to_vec();
    // the order within a revision is by key in one, by sub in the other
    found.sort();
    truth.sort();
    assert_eq!(found.len(), truth.len());
    found.iter().zip(&truth).for_each(|(found, truth)| assert_eq!(found, truth));
    let deletes = found.iter().filter(|change| change.delete).count() as u64;
    assert_eq!((found.len() as u64 - deletes, deletes), (totals.puts, totals.deletes));
    assert_eq!(
        found.iter().map(|change| &change.key).collect::<BTreeSet<_>>().len() as u64,
        totals.distinct_keys
    );
    assert_eq!(found.last().map(|change| change.mod_revision), Some(totals.last_event_rev));

    let keys: BTreeSet<_> = kept.iter().map(|(_, kv)| kv.key).collect();
    assert_eq!(keys.len(), kept.len(), "one record a key");
    assert!(kept.iter().all(|(place, _)| !place.tombstone), "neither version keeps a tombstone there");
    let mvcc = made.report.mvcc.as_ref().expect("records");
    assert_eq!(mvcc.live.records + mvcc.superseded.records, totals.puts + kept.len() as u64);
    assert_eq!(mvcc.tombstones.records, totals.deletes);
}

#[test]
fn small_files_of_etcd() {
    let mut files = 0;
    for folder in ["etcd-3.4", "etcd-3.5"] {
        for name in names_in(folder, ".truth.json") {
            let truth: Value =
                serde_json::from_str(&fixture_text(&format!("{folder}/{name}.truth.json"))).expect("JSON");
            for (file, figures) in truth["files"].as_object().expect("files") {
                let db = Db::new(fixture(&format!("{folder}/{file}"))).expect("a db");
                read(&db, file, |made| small_file(made, file, figures, &truth));
                files += 1;
            }
        }
    }
    assert_eq!(files, 20);
}

fn small_file(made: &Made<'_, '_>, file: &str, figures: &Value, truth: &Value) {
    let (report, status) = (&made.report, &made.status);
    assert_eq!(Some(status.file_bytes), figures["size"].as_u64(), "{file}");
    assert_eq!(sha256(made.db.data()), figures["sha256"].as_str().expect("sha256"), "{file}");
    let expected = if file.contains("snapshot") { Trailer::Valid } else { Trailer::None };
    assert_eq!(report.file.snapshot_trailer, expected, "{file}");
    assert_eq!(status.revision, truth["revision"].as_i64(), "{file}");
    let compacted = truth["hashkv"][0]["HashKV"]["compact_revision"].as_i64();
    assert_eq!(status.compact_revision, compacted, "{file}");

    // etcd 3.4 and 3.5 count the entries of every bucket there
    let of_snapshot = &figures["snapshot_status"];
    let entries: u64 = report.buckets.iter().skip(1).map(|bucket| bucket.entries).sum();
    assert_eq!(Some(entries), of_snapshot["totalKey"].as_u64(), "{file}");
    assert_eq!(Some(report.file.allocated_bytes), of_snapshot["totalSize"].as_u64(), "{file}");
    assert_eq!(status.revision, of_snapshot["revision"].as_i64(), "{file}");

    small_keys(made, file, truth);
    small_leases(made, file, truth);
    small_cluster(made, file, truth);
    sums(made);
}

fn bytes_of(value: &Value) -> Vec<u8> {
    from_base64(value.as_str().unwrap_or_default())
}

fn small_keys(made: &Made<'_, '_>, file: &str, truth: &Value) {
    let kvs = truth["keys"]["kvs"].as_array().expect("keys");
    assert_eq!(made.status.keys, Some(kvs.len() as u64), "{file}");
    let number = |kv: &Value, field: &str| kv[field].as_i64().unwrap_or(0);
    let plain = |kv: &Value| {
        let fields = ["create_revision", "mod_revision", "version", "lease"].map(|field| number(kv, field));
        (bytes_of(&kv["key"]), fields, bytes_of(&kv["value"]))
    };
    let with_values = truth.get("history").is_some();
    let shards = made.scan.keyspace.shards().iter();
    let mut found: Vec<_> = shards
        .flat_map(|shard| shard.keys())
        .filter(|key| key.is_live())
        .map(|key| found_kv(&key.newest(), with_values))
        .collect();
    found.sort();
    let mut expected: Vec<_> = kvs.iter().map(plain).collect();
    expected.sort();
    assert_eq!(found, expected, "{file}: live keys");

    if let Some(answers) = truth["history"].as_array() {
        let from = truth["history_from"].as_i64().expect("a revision");
        let events = answers.iter().flat_map(|answer| answer["Events"].as_array().expect("events"));
        let mut expected: Vec<_> = events.map(|event| (event["type"] == 1, plain(&event["kv"]))).collect();
        let recent = made.records.iter().filter(|(place, _)| place.revision.main >= from);
        let mut found: Vec<_> = recent
            .map(|(place, kv)| {
                let kv = KeyValue { mod_revision: place.revision.main, ..*kv };
                (place.tombstone, found_kv(&kv, true))
            })
            .collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{file}: history");
        assert!(!found.is_empty(), "{file}");
    }
}

fn found_kv(kv: &KeyValue<'_>, with_value: bool) -> (Vec<u8>, [i64; 4], Vec<u8>) {
    let fields = [kv.create_revision, kv.mod_revision, kv.version, kv.lease];
    (kv.key.to_vec(), fields, if with_value { kv.value.to_vec() } else { Vec::new() })
}

fn small_leases(made: &Made<'_, '_>, file: &str, truth: &Value) {
    let listed = truth["leases"]["leases"].as_array().expect("leases").iter();
    let listed: BTreeSet<i64> = listed.map(|lease| lease["id"].as_i64().expect("an id")).collect();
    let found: BTreeSet<i64> = made.state.leases.iter().map(|lease| lease.id).collect();
    assert_eq!(found, listed, "{file}: leases");
    let report = made.report.leases.as_ref().expect("leases");
    assert_eq!(report.count, listed.len() as u64, "{file}");
    let details = truth["lease_details"].as_array().expect("details");
    let mut attached = 0;
    for expected in details {
        let id = expected["id"].as_i64().expect("an id");
        let keys = expected["keys"].as_array().map_or(0, Vec::len) as u64;
        let ttl = expected["granted-ttl"].as_i64();
        let stored = made.state.leases.iter().find(|lease| lease.id == id);
        assert_eq!(stored.map(|lease| lease.ttl), ttl, "{file}: lease {id}");
        let found = report.top.iter().find(|lease| lease.id == id.into());
        assert_eq!(found.map_or(0, |lease| lease.keys), keys, "{file}: lease {id}");
        assert!(found.is_none_or(|lease| lease.ttl_seconds == ttl), "{file}: lease {id}");
        attached += keys;
    }
    let without = details.iter().filter(|lease| lease["keys"].as_array().is_none_or(Vec::is_empty)).count();
    assert_eq!(
        (report.attached_keys, report.without_keys, report.orphaned_keys),
        (attached, without as u64, 0)
    );
}

fn small_cluster(made: &Made<'_, '_>, file: &str, truth: &Value) {
    let report = &made.report;
    let alarms = truth["alarms"]["alarms"].as_array().cloned().unwrap_or_default();
    let alarms: Vec<_> =
        alarms.iter().map(|alarm| (alarm["memberID"].as_u64(), alarm["alarm"].as_i64())).collect();
    let found: Vec<_> =
        made.state.alarms.iter().map(|alarm| (Some(alarm.member_id), Some(i64::from(alarm.alarm)))).collect();
    assert_eq!(found, alarms, "{file}: alarms");
    assert_eq!(
        report.alarms.iter().map(|alarm| alarm.alarm).collect::<Vec<_>>(),
        vec!["NOSPACE"; alarms.len()]
    );
    assert_eq!(alarms.len(), usize::from(truth["what"] == "nospace"), "{file}");

    let strings = |value: &Value| -> Vec<String> {
        let strings = value.as_array().into_iter().flatten();
        strings.map(|text| text.as_str().expect("text").to_owned()).collect()
    };
    let members: Vec<_> = truth["members"]["members"].as_array().expect("members").iter().collect();
    assert_eq!(report.file.members.len(), members.len(), "{file}: members");
    for (found, expected) in report.file.members.iter().zip(members) {
        assert_eq!(Some(found.id.0), expected["ID"].as_u64(), "{file}");
        assert_eq!(Some(found.name.as_str()), expected["name"].as_str(), "{file}");
        assert_eq!(found.peer_urls.clone().unwrap_or_default(), strings(&expected["peerURLs"]), "{file}");
        // etcd 3.5.1 leaves them out of its db (they are in its older store only); 3.4 has them
        let clients = if truth["version"] == "3.5.1" { Vec::new() } else { strings(&expected["clientURLs"]) };
        assert_eq!(found.client_urls.clone().unwrap_or_default(), clients, "{file}");
    }

    let auth = report.auth.expect("auth");
    assert_eq!(auth.enabled, truth["what"] == "auth", "{file}: auth");
    assert_eq!(auth.users, strings(&truth["auth"]["users"]["users"]).len() as u64, "{file}: users");
    assert_eq!(auth.roles, strings(&truth["auth"]["roles"]["roles"]).len() as u64, "{file}: roles");
    let cluster = report.file.cluster_version.as_deref().expect("a cluster version");
    assert!(truth["version"].as_str().expect("version").starts_with(&cluster[..3]), "{file}: {cluster}");
}
