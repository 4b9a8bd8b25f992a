//! Real etcd beside us: what etcd's own tools say of a member must be what we read in its file.
//!
//! Each test runs once for every etcd that a variable names: `ETCD_MEDIC_ETCD_BIN_34` and `ETCD_MEDIC_ETCD_BIN_35`,
//! a folder with the programs `etcd` and `etcdctl` (3.5: `etcdutl`, too) of that version; the programs themselves,
//! not wrappers, since etcd is stopped by its process id. Without the variable a test says so and is skipped; with
//! `ETCD_MEDIC_REQUIRE_PEERS=1` it fails.
//!
//! Every etcd listens on 127.0.0.1 only, on free ports, on a data dir of its own; every wait is bounded. Values and
//! passwords are throw-away text.
#![cfg(test)]

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine};
use etcd_medic::bolt::open::Lock;
use etcd_medic::etcd::schema::State;
use etcd_medic::scan::{Options, scan};
use etcd_medic::source::Source;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

macro_rules! with_each_etcd {
    ($($test:ident),+ $(,)?) => {
        mod etcd_3_4 { $(#[test] fn $test() { super::with_etcd("ETCD_MEDIC_ETCD_BIN_34", "3.4.", super::$test); })+ }
        mod etcd_3_5 { $(#[test] fn $test() { super::with_etcd("ETCD_MEDIC_ETCD_BIN_35", "3.5.", super::$test); })+ }
    };
}

with_each_etcd!(
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
    let holder = format!("etcd (process {})", member.process.id());
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
    let copy = member.folder.path().join("copy.db");
    fs::copy(&snapshot, &copy).expect("a copy");
    let etcd_says = peer.snapshot_status(&copy);

    untouched(&snapshot, || {
        let [status, report] =
            ["status", "analyze"].map(|command| medic_json(0, [command.as_ref(), &*snapshot]));
        let status = &status["files"][0];
        assert_eq!(status["revision"], etcd_says["revision"]);
        assert_eq!(status["allocated_bytes"], etcd_says["totalSize"]);
        assert_eq!(status["snapshot_trailer"], "valid");
        // 3.4 and 3.5 count the entries of all buckets, later versions live keys
        let buckets = report["buckets"].as_array().expect("buckets").iter();
        let entries = buckets.filter(|bucket| bucket["name"] != "").map(|bucket| number(&bucket["entries"]));
        assert_eq!(entries.sum::<i64>(), number(&etcd_says["totalKey"]), "{}", report["buckets"]);
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
        let damaged = member.folder.path().join(what);
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
        assert_eq!(format!("memberID:{} alarm:NOSPACE", alarm["member_id"]), alarms.trim());
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

/// Whether `status`, `analyze`, `check` and each key that we read agree with what etcd said of the same content.
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

    // these versions refuse the compact revision itself, and drop its tombstone
    for compacted in [middle, deletion] {
        member.restart();
        member.ctl(["compact", &compacted.to_string(), "--physical"]);
        for round in 0..3 {
            member.ctl(["put", "/interop/after", &format!("compaction {round}")]);
        }
        member.ctl(["del", "/interop/after"]);
        let newest = member.revision();
        assert!(!member.try_ctl(["endpoint", "hashkv", "--rev", &compacted.to_string()]).status.success());
        let said = [compacted + 1, deletion + 1, newest - 2, newest].map(|at| (at, member.hash_kv(at)));
        assert!(said.iter().all(|(_, (_, at))| *at == compacted), "{said:?}");
        let snapshot = member.snapshot("snapshot.db");
        member.stop();
        assert_hashes(&member.db(), &said);
        assert_hashes(&snapshot, &said);
        let code =
            medic(["hash".as_ref(), member.db().as_os_str(), "--rev".as_ref(), "1".as_ref()]).status.code();
        assert_eq!(code, Some(2), "revision 1 was compacted");
    }
    // of a file at rest, once etcd's own tool has seen a copy of it
    for file in [member.db(), member.folder.path().join("snapshot.db")] {
        let copy = member.folder.path().join("copy.db");
        fs::copy(&file, &copy).expect("a copy");
        let etcd_says = peer.snapshot_status(&copy);
        let status = &medic_json(0, ["hash".as_ref(), &*file])["snapshot_status"];
        for (ours, theirs) in [
            ("hash", "hash"),
            ("revision", "revision"),
            ("total_entries", "totalKey"),
            ("total_size", "totalSize"),
        ] {
            assert_eq!(status[ours], etcd_says[theirs], "{}: {ours}", file.display());
        }
    }
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
    let Source { db, .. } = Source::open(path, Lock::Shared).expect("a readable db");
    let state = State::read(&db);
    let scan = scan(&db, &state, Options::default());
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

/// One key that exists.
#[derive(PartialEq, Eq, Debug)]
struct Key {
    create_revision: i64,
    mod_revision: i64,
    version: i64,
    lease: i64,
    value: Fingerprint,
}

/// Length and SHA-256 of a value.
type Fingerprint = (usize, String);

fn fingerprint(value: &[u8]) -> Fingerprint {
    (value.len(), BASE64_STANDARD.encode(Sha256::digest(value)))
}

/// A key as etcd's clients print it as JSON: fields of zero are left out.
#[derive(Deserialize, Default)]
#[serde(default)]
struct JsonKey {
    key: String,
    create_revision: i64,
    mod_revision: i64,
    version: i64,
    lease: i64,
    value: String,
}

/// The programs of one version of etcd.
struct Peer {
    bin: PathBuf,
}

fn with_etcd(variable: &str, version: &str, test: fn(&Peer)) {
    if let Some(bin) = std::env::var_os(variable) {
        let peer = Peer { bin: bin.into() };
        let says = text(&succeeded(peer.command("etcd").arg("--version")));
        assert!(
            says.contains(&format!("etcd Version: {version}")),
            "{variable} is not etcd {version}x: {says}"
        );
        return test(&peer);
    }
    let required = std::env::var_os("ETCD_MEDIC_REQUIRE_PEERS").is_some_and(|value| value == "1");
    assert!(!required, "{variable} is not set: name the folder of etcd {version}x in it");
    // past the test harness, which would keep it to itself
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED: {variable} is not set, so nothing was compared with etcd {version}x"
    );
}

impl Peer {
    fn command(&self, program: &str) -> Command {
        bounded(&self.bin.join(program))
    }

    /// A member of one on an empty data dir, healthy.
    fn start(&self, flags: &[&str]) -> Member {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data_dir = folder.path().join("data");
        let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        let (process, endpoint) = self.launch(folder.path(), &data_dir, &flags);
        Member { process, endpoint, peer: Self { bin: self.bin.clone() }, data_dir, flags, folder }
    }

    /// Ports that were free a moment ago may be taken now: then it is tried again with others.
    fn launch(&self, folder: &Path, data_dir: &Path, flags: &Vec<String>) -> (Process, String) {
        let log = folder.join("etcd.log");
        for _ in 0..3 {
            let [client, peer] = free_ports().map(|port| format!("http://127.0.0.1:{port}"));
            let mut etcd = without_settings(Command::new(self.bin.join("etcd")));
            etcd.args(["--name", "interop", "--data-dir"]).arg(data_dir);
            etcd.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
            etcd.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
            etcd.args(["--initial-cluster", &format!("interop={peer}")]).args(flags);
            let output = File::create(&log).expect("a log");
            etcd.stdin(Stdio::null()).stderr(output.try_clone().expect("a handle")).stdout(output);
            let mut process = Process(etcd.spawn().expect("etcd"));
            let deadline = Instant::now() + Duration::from_secs(30);
            while !process.has_ended() && Instant::now() < deadline {
                let mut health = self.command("etcdctl");
                health.args(["--endpoints", &client, "--command-timeout=2s", "endpoint", "health"]);
                if health.output().expect("etcdctl").status.success() {
                    return (process, client);
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        panic!("etcd did not become healthy; its log:\n{}", fs::read_to_string(log).unwrap_or_default());
    }

    fn snapshot_status(&self, snapshot: &Path) -> Value {
        let tool = if self.bin.join("etcdutl").exists() { "etcdutl" } else { "etcdctl" };
        let mut status = self.command(tool);
        parse(&succeeded(status.args(["snapshot", "status", "-w", "json"]).arg(snapshot)))
    }
}

/// A member of one, stopped when it goes.
struct Member {
    process: Process,
    endpoint: String,
    peer: Peer,
    data_dir: PathBuf,
    flags: Vec<String>,
    /// Removed when it goes.
    folder: TempDir,
}

impl Member {
    fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    fn db(&self) -> PathBuf {
        self.data_dir.join("member/snap/db")
    }

    fn stop(&mut self) {
        self.process.stop();
    }

    fn restart(&mut self) {
        (self.process, self.endpoint) = self.peer.launch(self.folder.path(), &self.data_dir, &self.flags);
    }

    fn etcdctl(&self) -> Command {
        let mut etcdctl = self.peer.command("etcdctl");
        etcdctl.args(["--endpoints", &self.endpoint]);
        etcdctl
    }

    fn try_ctl<const N: usize>(&self, args: [&str; N]) -> Output {
        self.etcdctl().args(args).output().expect("etcdctl")
    }

    fn ctl<const N: usize>(&self, args: [&str; N]) -> String {
        text(&succeeded(self.etcdctl().args(args)))
    }

    /// Several operations in one revision.
    fn txn(&self, operations: &[String]) {
        let path = self.folder.path().join("txn");
        // no comparison, so they are all done; and nothing to do otherwise
        fs::write(&path, format!("\n{}\n\n\n", operations.join("\n"))).expect("a file");
        let mut txn = self.etcdctl();
        txn.arg("txn").stdin(File::open(&path).expect("a file"));
        let answer = text(&succeeded(&mut txn));
        assert!(answer.starts_with("SUCCESS"), "{answer}");
    }

    fn grant(&self, seconds: u32) -> String {
        let answer = self.ctl(["lease", "grant", &seconds.to_string()]);
        answer.split_whitespace().nth(1).expect("a lease's id").to_owned()
    }

    /// Puts, overwrites, deletions, keys made anew, revisions of several operations, leases, keys that are no text,
    /// values of no byte and of many pages. Gives back a revision in the middle, at which there was a put.
    fn write_some_of_everything(&self) -> i64 {
        for key in 0..6 {
            self.ctl(["put", &format!("/interop/a/{key}"), "throw-away text"]);
        }
        for round in 0..3 {
            self.ctl(["put", "/interop/a/2", &format!("again {round}")]);
        }
        self.ctl(["put", "/interop/empty", ""]);
        self.ctl(["put", "/interop/long", &"throw-away text ".repeat(3000)]);
        self.ctl(["del", "/interop/a/3"]);
        self.ctl(["put", "/interop/a/3", "made anew"]);
        self.txn(
            &[r#"put "\x00\x01\xff\xfe" "no text""#, r#"put "\xf0\x28\x8c\x28" "\x00\xff""#]
                .map(str::to_owned),
        );
        // enough of them for leaves below a branch
        for part in 0..4 {
            let put =
                |key| format!(r#"put "/interop/many/{part}/{key}" "{}""#, "throw-away text ".repeat(10));
            self.txn(&(0..50).map(put).collect::<Vec<_>>());
        }
        let leases = [3600, 86400, 1000].map(|seconds| self.grant(seconds));
        for (key, lease) in ["a", "b", "c"].iter().zip(&leases) {
            self.ctl(["put", &format!("/interop/lease/{key}"), "leased", &format!("--lease={lease}")]);
        }
        self.ctl(["put", "/interop/lease/b", "moved", &format!("--lease={}", leases[0])]);
        self.ctl(["lease", "revoke", &leases[2]]);
        self.ctl(["put", "/interop/middle", "here it may be cut"]);
        let middle = self.revision();

        self.ctl(["del", "--prefix", "/interop/many/1/"]);
        self.ctl(["del", "/interop/a/4"]);
        self.ctl(["put", "/interop/a/2", "last"]);
        self.ctl(["put", "/interop/long", &"other throw-away text ".repeat(2000)]);
        let mixed = [r#"put "/interop/new" "text""#, r#"del "/interop/a/5""#, r#"del "/interop/empty""#];
        self.txn(&mixed.map(str::to_owned));
        self.ctl(["put", "/interop/a/5", "made anew"]);
        middle
    }

    fn snapshot(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        succeeded(self.etcdctl().args(["snapshot", "save"]).arg(&path));
        path
    }

    /// Hash and compact revision.
    fn hash_kv(&self, revision: i64) -> (i64, i64) {
        let said =
            parse(self.ctl(["endpoint", "hashkv", "--rev", &revision.to_string(), "-w", "json"]).as_bytes());
        let said = &said[0]["HashKV"];
        (number(&said["hash"]), number(&said["compact_revision"]))
    }

    fn revision(&self) -> i64 {
        let status = parse(self.ctl(["endpoint", "status", "-w", "json"]).as_bytes());
        number(&status[0]["Status"]["header"]["revision"])
    }

    /// Every key that exists, or did at the revision asked for.
    fn keys(&self, flags: &[&str]) -> BTreeMap<Vec<u8>, Key> {
        let mut get = self.etcdctl();
        let answer = parse(&succeeded(get.args(["get", "--prefix", "", "-w", "json"]).args(flags)));
        let keys = answer["kvs"].as_array().expect("keys").iter().map(|key| {
            let json = JsonKey::deserialize(key).expect("a key");
            let key = Key {
                create_revision: json.create_revision,
                mod_revision: json.mod_revision,
                version: json.version,
                lease: json.lease,
                value: fingerprint(&base64(&json.value)),
            };
            (base64(&json.key), key)
        });
        keys.collect()
    }

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

    /// How many puts and deletions etcd's history has, from one revision to another, both of which have events.
    fn events(&self, first: i64, last: i64) -> (u64, u64) {
        let mut watch = without_settings(Command::new(self.peer.bin.join("etcdctl")));
        watch.args([
            "--endpoints",
            &self.endpoint,
            "watch",
            &format!("--rev={first}"),
            "--prefix",
            "",
            "-w",
            "json",
        ]);
        watch.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Process(watch.spawn().expect("etcdctl"));
        let output = BufReader::new(process.0.stdout.take().expect("a pipe"));
        let (send, receive) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| send.send(line).ok());
        });
        let (mut puts, mut deletions, mut seen) = (0, 0, 0);
        while seen < last {
            let line = receive
                .recv_timeout(Duration::from_secs(20))
                .expect("etcd's history up to the last revision");
            let answer = parse(line.as_bytes());
            for event in answer["Events"].as_array().into_iter().flatten() {
                let deletes = event["type"] == 1 || event["type"] == "DELETE";
                *(if deletes { &mut deletions } else { &mut puts }) += 1;
                seen = number(&event["kv"]["mod_revision"]);
            }
        }
        drop(process);
        reader.join().expect("the reader");
        (puts, deletions)
    }
}

/// A program of ours, ended by its own process id when it goes.
struct Process(Child);

impl Process {
    fn id(&self) -> u32 {
        self.0.id()
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("a child").is_some()
    }

    /// Asks it to end, waits for a while, and then ends it.
    fn stop(&mut self) {
        if !self.has_ended() {
            let _ = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.id())]).status();
            let deadline = Instant::now() + Duration::from_secs(15);
            while !self.has_ended() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Two ports of 127.0.0.1 that nobody listens on now.
fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}

/// A command that is ended should it take much too long.
fn bounded(program: &Path) -> Command {
    let mut command = without_settings(Command::new("timeout"));
    command.args(["--kill-after=5", "60"]).arg(program).stdin(Stdio::null());
    command
}

/// etcd and its tools take variables of these names as settings.
fn without_settings(mut command: Command) -> Command {
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name.as_encoded_bytes().starts_with(b"ETCD")) {
        command.env_remove(name);
    }
    command.env("ETCDCTL_API", "3");
    command
}

fn succeeded(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    output.stdout
}

fn medic<'a>(args: impl IntoIterator<Item = impl AsRef<OsStr> + 'a>) -> Output {
    let args: Vec<OsString> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
    bounded(Path::new(env!("CARGO_BIN_EXE_etcd-medic"))).args(args).output().expect("etcd-medic")
}

/// What a command prints as JSON, when it ends with this exit code.
fn medic_json<'a>(code: i32, args: impl IntoIterator<Item = impl AsRef<OsStr> + 'a>) -> Value {
    let args = args.into_iter().map(|arg| arg.as_ref().to_owned());
    let output = medic(args.chain(["--output", "json"].map(OsString::from)));
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    parse(&output.stdout)
}

/// Does something, and looks whether the file at `path` has the same bytes afterwards.
fn untouched(path: &Path, work: impl FnOnce()) {
    let hash = || Sha256::digest(fs::read(path).expect("a file"));
    let before = hash();
    work();
    assert_eq!(hash(), before, "{} was written to", path.display());
}

fn parse(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(json)))
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("not a number: {value}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn base64(text: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(text).expect("base64")
}
