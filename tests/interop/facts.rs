//! Real etcd beside us: what etcd's own tools say of a member must be what we read in its file.
//!
//! `tests/support/peers.rs` says how etcd is found and run.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::peers::{
    Key, Member, Peer, fingerprint, from_hex, medic, medic_json, number, untouched, with_each_newest_etcd,
};
use etcd_medic::internals::etcd::schema::State;
use etcd_medic::internals::input::DbFile;
use etcd_medic::internals::scan::{ScanOptions, scan};
use serde_json::Value;

with_each_newest_etcd!(
    running_member_is_not_read_by_accident,
    snapshot_is_what_its_status_says,
    damaged_snapshot_is_found_out,
    data_dir_is_what_clients_saw,
    passed_quota_is_reported,
    authentication_is_reported,
    hashes_are_what_etcd_says,
);

fn running_member_is_not_read_by_accident(peer: &Peer) {
    let member = peer.start(&[]);
    member.ctl(["put", "/interop/a", "text"]);
    let refused = medic(["status".as_ref(), member.data_dir()]);
    let message = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{message}");
    let holder = format!("etcd (process {})", member.id());
    for words in [holder.as_str(), "etcdctl snapshot save"] {
        assert!(message.contains(words), "no `{words}` in: {message}");
    }
    for command in ["status", "analyze", "check", "pages", "buckets", "hash"] {
        // etcd may be writing meanwhile, so what is read may well look damaged
        let read = medic([command.as_ref(), "--no-lock".as_ref(), member.data_dir()]);
        assert!(matches!(read.status.code(), Some(0 | 1)), "{command}: {read:?}");
        let marked = String::from_utf8_lossy(&read.stderr).contains("read without a lock");
        assert!(marked && !read.stdout.is_empty(), "{command}: {read:?}");
    }
    let report = medic_json(0, ["analyze".as_ref(), "--no-lock".as_ref(), member.data_dir()]);
    assert_eq!(report["read_without_lock"], true);
    // and etcd was none the worse for it
    member.ctl(["put", "/interop/a", "again"]);
}

fn snapshot_is_what_its_status_says(peer: &Peer) {
    let member = peer.start(&[]);
    member.write_some_of_everything();
    let snapshot = member.snapshot("snapshot.db");
    let said = member.ask();
    // opened by etcd's tool as a copy, since it is not known to leave every file as it is
    let copy = member.folder().join("copy.db");
    fs::copy(&snapshot, &copy).expect("a copy");
    let etcd_says = peer.snapshot_status(&copy);

    untouched(&snapshot, || {
        let [status, report] =
            ["status", "analyze"].map(|command| medic_json(0, [command.as_ref(), &*snapshot]));
        let status = &status["files"][0];
        assert_eq!(status["revision"], etcd_says["revision"]);
        assert_eq!(status["allocated_bytes"], etcd_says["totalSize"]);
        assert_eq!(status["snapshot_trailer"], "valid");
        let buckets = report["buckets"].as_array().expect("buckets").iter();
        let entries = buckets.filter(|bucket| bucket["name"] != "").map(|bucket| number(&bucket["entries"]));
        let (entries, keys) = (entries.sum::<i64>(), number(&report["mvcc"]["live"]["records"]));
        assert_ne!(entries, keys);
        let counted = if peer.counts_keys_that_exist() { keys } else { entries };
        assert_eq!(counted, number(&etcd_says["totalKey"]), "{}", report["buckets"]);
        assert_adds_up(&snapshot, &said);
    });
}

fn damaged_snapshot_is_found_out(peer: &Peer) {
    let member = peer.start(&[]);
    member.write_some_of_everything();
    let snapshot = member.snapshot("snapshot.db");
    let bytes = fs::read(&snapshot).expect("the snapshot");
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    // the size still says that a SHA-256 stands behind
    let cut_short = &bytes[..bytes.len() - 4096];
    for (what, bytes) in [("flipped.db", flipped.as_slice()), ("cut.db", cut_short)] {
        let damaged = member.folder().join(what);
        fs::write(&damaged, bytes).expect("a damaged snapshot");
        let status = medic_json(1, ["status".as_ref(), &*damaged]);
        assert_eq!(status["files"][0]["snapshot_trailer"], "invalid", "{what}");
        assert_eq!(status["files"][0]["sound"], false, "{what}");
        let checked = medic_json(1, ["check".as_ref(), &*damaged]);
        let mut findings = checked["findings"].as_array().expect("findings").iter();
        assert!(findings.any(|finding| finding["kind"] == "trailer-mismatch"), "{what}: {checked}");
        let report = medic_json(1, ["analyze".as_ref(), &*damaged]);
        assert_eq!(report["health"]["sound"], false, "{what}");
    }
}

fn data_dir_is_what_clients_saw(peer: &Peer) {
    let mut member = peer.start(&[]);
    let middle = member.write_some_of_everything();
    let said = member.ask();
    assert_eq!(said.compact_revision, -1);
    member.stop();
    untouched(&member.db(), || assert_adds_up(member.data_dir(), &said));

    member.restart();
    member.ctl(["compaction", "--physical", &middle.to_string()]);
    let said = said.after_compaction(&member, middle);
    member.stop();
    untouched(&member.db(), || assert_adds_up(member.data_dir(), &said));
}

fn passed_quota_is_reported(peer: &Peer) {
    const QUOTA: u64 = 256 << 10;
    let mut member = peer.start(&["--quota-backend-bytes", &QUOTA.to_string()]);
    let value = "throw-away text ".repeat(1000);
    let full = (0..100).any(|key| {
        let put = member.try_ctl(["put", &format!("/interop/{key}"), &value]);
        let message = String::from_utf8_lossy(&put.stderr).into_owned();
        assert!(put.status.success() || message.contains("database space exceeded"), "{message}");
        !put.status.success()
    });
    assert!(full, "the quota was never passed");
    let alarms = member.ctl(["alarm", "list"]);
    member.stop();

    untouched(&member.db(), || {
        let status = medic_json(1, ["status".as_ref(), member.data_dir()]);
        let alarm = &status["files"][0]["alarms"][0];
        assert_eq!(alarm["alarm"], "NOSPACE");
        // the spaces between are not always the same: the protobuf library of 3.7 prints one or two, on purpose
        let alarms: Vec<_> = alarms.split_whitespace().collect();
        assert_eq!(alarms, [&format!("memberID:{}", from_hex(&alarm["member_id"])), "alarm:NOSPACE"]);
        let quota = QUOTA.to_string();
        let status =
            medic_json(1, ["status".as_ref(), "--quota".as_ref(), quota.as_ref(), member.data_dir()]);
        assert_eq!(status["files"][0]["level"], "critical");
        let text = medic(["status".as_ref(), member.data_dir()]);
        assert!(String::from_utf8_lossy(&text.stdout).contains("NOSPACE"), "{text:?}");
    });
}

fn authentication_is_reported(peer: &Peer) {
    let mut member = peer.start(&[]);
    member.ctl(["user", "add", "root:throw-away"]);
    member.ctl(["user", "add", "reader:throw-away"]);
    member.ctl(["role", "add", "root"]);
    member.ctl(["user", "grant-role", "root", "root"]);
    member.ctl(["auth", "enable"]);
    member.stop();
    untouched(&member.db(), || {
        let report = medic_json(0, ["analyze".as_ref(), member.data_dir()]);
        assert_eq!(report["auth"], serde_json::json!({ "enabled": true, "users": 2, "roles": 1 }));
        let text = medic(["analyze".as_ref(), member.data_dir()]);
        assert!(String::from_utf8_lossy(&text.stdout).contains("authentication is on"), "{text:?}");
    });
}

fn hashes_are_what_etcd_says(peer: &Peer) {
    let mut member = peer.start(&[]);
    let middle = member.write_some_of_everything();
    member.ctl(["del", "/interop/new"]);
    let deletion = member.revision();
    member.ctl(["put", "/interop/new", "made anew"]);
    let uncompacted = [2, middle, deletion - 1, deletion, deletion + 1].map(|at| (at, member.hash_kv(at)));
    assert!(uncompacted.iter().all(|(_, (_, compacted))| *compacted == -1), "{uncompacted:?}");
    member.stop();
    assert_hashes(&member.db(), &uncompacted);

    for compacted in [middle, deletion] {
        member.restart();
        member.ctl(["compact", &compacted.to_string(), "--physical"]);
        for round in 0..3 {
            member.ctl(["put", "/interop/after", &format!("compaction {round}")]);
        }
        member.ctl(["del", "/interop/after"]);
        let newest = member.revision();
        let asked = [compacted + 1, deletion + 1, newest - 2, newest];
        let mut said = asked.map(|at| (at, member.hash_kv(at))).to_vec();
        assert!(said.iter().all(|(_, (_, at))| *at == compacted), "{said:?}");
        let snapshot = member.snapshot("snapshot.db");
        said.extend(hash_at_compact_revision(peer, &mut member, compacted));
        said.sort();
        member.stop();
        assert_hashes(&member.db(), &said);
        assert_hashes(&snapshot, &said);
        let code =
            medic(["hash".as_ref(), member.db().as_os_str(), "--rev".as_ref(), "1".as_ref()]).status.code();
        assert_eq!(code, Some(2), "revision 1 was compacted");
    }
    // of a file at rest, once etcd's own tool has seen a copy of it
    for file in [member.db(), member.folder().join("snapshot.db")] {
        let copy = member.folder().join("copy.db");
        fs::copy(&file, &copy).expect("a copy");
        let etcd_says = peer.snapshot_status(&copy);
        let status = &medic_json(0, ["hash".as_ref(), &*file])["snapshot_status"];
        let total = if peer.counts_keys_that_exist() { "total_key" } else { "total_entries" };
        for (ours, theirs) in
            [("hash", "hash"), ("revision", "revision"), (total, "totalKey"), ("total_size", "totalSize")]
        {
            assert_eq!(status[ours], etcd_says[theirs], "{}: {ours}", file.display());
        }
    }
}

/// What etcd says at the compact revision itself. As long as it runs, it remembers what it hashed while it compacted, with the
/// compact revision before that (`server/storage/mvcc/hash.go`, `HashByRev`); what it reads in its file is told after a start.
fn hash_at_compact_revision(peer: &Peer, member: &mut Member, compacted: i64) -> Option<(i64, (i64, i64))> {
    if !peer.hashes_at_compact_revision() {
        let asked = member.try_ctl(["endpoint", "hashkv", "--rev", &compacted.to_string()]);
        assert!(String::from_utf8_lossy(&asked.stderr).contains("has been compacted"), "{asked:?}");
        return None;
    }
    assert!(member.hash_kv(compacted).1 < compacted);
    member.stop();
    member.restart();
    let said = member.hash_kv(compacted);
    assert_eq!(said.1, compacted);
    Some((compacted, said))
}

/// HashKV of the file at these revisions is what etcd said: (hash, compact revision).
fn assert_hashes(path: &Path, said: &[(i64, (i64, i64))]) {
    untouched(path, || {
        for &(at, (hash, compacted)) in said {
            let (command, at) = ("hash".as_ref(), at.to_string());
            let document = medic_json(0, [command, path.as_os_str(), "--rev".as_ref(), at.as_ref()]);
            let found = &document["hash_kv"];
            assert_eq!(
                (number(&found["hash"]), number(&found["compact_revision"])),
                (hash, compacted),
                "at {at}"
            );
            assert_eq!(found["revision"].to_string(), at);
        }
        let newest = said.last().map(|said| said.1.0);
        let document = medic_json(0, ["hash".as_ref(), path]);
        assert_eq!(Some(number(&document["hash_kv"]["hash"])), newest, "at the current revision");
    });
}

/// Whether `status`, `analyze`, `check` and each key that we read agree with what etcd said of the same content.
fn assert_adds_up(path: &Path, said: &Said) {
    let live = said.live.len() as u64;
    let records = said.puts + said.deletions;
    let status = medic_json(0, ["status".as_ref(), path]);
    let status = &status["files"][0];
    assert_eq!(status["revision"], said.revision);
    assert_eq!(status["compact_revision"], said.compact_revision);
    assert_eq!(status["keys"], live);
    assert_eq!(status["records"], records);
    assert_eq!(status["sound"], true);
    assert_eq!(status["alarms"], serde_json::json!([]));

    let report = medic_json(0, ["analyze".as_ref(), path]);
    let mvcc = &report["mvcc"];
    assert_eq!(mvcc["revision"], said.revision);
    assert_eq!(mvcc["compact_revision"], said.compact_revision);
    assert_eq!(mvcc["live"]["records"], live);
    assert_eq!(mvcc["tombstones"]["records"], said.deletions);
    assert_eq!(mvcc["superseded"]["records"], said.puts - live);
    let attached = said.live.values().filter(|key| key.lease != 0).count();
    assert_eq!(report["leases"]["count"], said.leases);
    assert_eq!(report["leases"]["attached_keys"], attached);
    assert_eq!(report["leases"]["orphaned_keys"], 0);
    assert_eq!(report["auth"]["enabled"], false);
    let classes = report["space"]["classes"].as_array().expect("classes").iter();
    assert_eq!(classes.map(|class| number(&class["bytes"])).sum::<i64>(), number(&status["file_bytes"]));

    let checked = medic_json(0, ["check".as_ref(), path]);
    assert_eq!((&checked["sound"], number(&checked["num_findings"])), (&Value::Bool(true), 0), "{checked}");
    assert_eq!(checked["checked"]["records"], records);

    assert_eq!(live_keys(path), said.live);
}

/// Every key that exists, as our reader finds it.
fn live_keys(path: &Path) -> BTreeMap<Vec<u8>, Key> {
    let DbFile { db, .. } = etcd_medic::open(path).expect("a readable db");
    let state = State::read(&db);
    let scan = scan(&db, &state, ScanOptions::default());
    let newest = scan
        .keyspace
        .shards()
        .iter()
        .flat_map(|shard| shard.keys())
        .filter(|key| key.is_live())
        .map(|key| key.newest());
    let keys = newest.map(|kv| {
        let key = Key {
            create_revision: kv.create_revision,
            mod_revision: kv.mod_revision,
            version: kv.version,
            lease: kv.lease,
            value: fingerprint(kv.value),
        };
        (kv.key.to_vec(), key)
    });
    keys.collect()
}

/// What etcd said of its content.
struct Said {
    revision: i64,
    compact_revision: i64,
    live: BTreeMap<Vec<u8>, Key>,
    /// Puts and deletions whose records the file still has.
    puts: u64,
    deletions: u64,
    leases: usize,
}

impl Said {
    /// What etcd says after a compaction at a revision that was a put: each key that existed then keeps one record,
    /// and what came later stays.
    fn after_compaction(self, member: &Member, at: i64) -> Self {
        let kept = member.keys(&[&format!("--rev={at}")]).len() as u64;
        let (puts, deletions) = member.events(at + 1, self.revision);
        Self { compact_revision: at, puts: kept + puts, deletions, ..member.ask_with_events(puts, deletions) }
    }
}

impl Member {
    /// What it says of a content that was never compacted.
    fn ask(&self) -> Said {
        let (puts, deletions) = self.events(1, self.revision());
        self.ask_with_events(puts, deletions)
    }

    fn ask_with_events(&self, puts: u64, deletions: u64) -> Said {
        Said {
            revision: self.revision(),
            compact_revision: -1,
            live: self.keys(&[]),
            puts,
            deletions,
            leases: self.ctl(["lease", "list"]).lines().skip(1).count(),
        }
    }
}
