//! A db rolled forward, and what real etcd had at the same entries.

use std::fs;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};

use etcd_medic::internals::etcd::apply::{Machine, Rules};
use etcd_medic::internals::replay::{steps, until};
use etcd_medic::{LogFiles, Progress, ReplayRequest, Until, Version};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::member_log::{
    ADD, ADD_LEARNER, ENTRY, FIRST_SEGMENT, LogBuilder, UPDATE, bytes_field, numbers,
};
use crate::support::members::unpack;
use crate::support::program::run;

/// The folder of member corpora.
const MEMBERS: &str = "ETCD_MEDIC_MEMBERS";

/// A log, the db of an earlier stop, and what the running etcd said at many entries.
pub struct Recorded {
    pub name: String,
    pub folder: TempDir,
    pub at: Vec<Value>,
}

pub fn recorded() -> Vec<Recorded> {
    let Some(members) = std::env::var_os(MEMBERS).map(PathBuf::from) else {
        writeln!(stderr(), "{MEMBERS} is not set: no log of a real member is replayed").expect("written");
        return Vec::new();
    };
    let mut folders: Vec<_> =
        fs::read_dir(members).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    folders.sort();
    let read = |folder: &PathBuf| {
        let is_log =
            ["k8s-log", "mixed-log", "nospace", "auth-log"].iter().any(|case| name(folder).starts_with(case));
        let unpacked = is_log.then(|| unpack(&folder.join("member.tar.zst")))?;
        let at = fs::read(unpacked.path().join("hashkv_at_index.json")).ok()?;
        let at: Value = serde_json::from_slice(&at).expect("JSON");
        Some(Recorded {
            name: name(folder),
            at: at["at"].as_array().expect("a list").clone(),
            folder: unpacked,
        })
    };
    folders.iter().filter_map(read).collect()
}

fn name(folder: &Path) -> String {
    folder.file_name().expect("a name").to_string_lossy().into_owned()
}

#[test]
fn at_each_entry_it_is_what_etcd_had() {
    let mut compared = 0;
    for Recorded { name, folder, at } in recorded().iter().filter(|log| !log.name.starts_with("auth")) {
        let base = etcd_medic::open(folder.path().join("base.db")).expect("a db");
        let log = LogFiles::open(&folder.path().join("m1"), None).expect("a log");
        for truth in at {
            let index = truth["index"].as_u64().expect("an index");
            let target = folder.path().join("replayed.db");
            let mut request = ReplayRequest::to(&target);
            request.until = Until::Index(index);
            let report = base
                .replay(&log, &request, Progress::SILENT)
                .unwrap_or_else(|error| panic!("{name} {index}: {error}"));
            let found = (report.to.revision, report.to.compact_revision, report.hash_kv.map(u64::from));
            let expected = (
                truth["revision"].as_i64().expect("a revision"),
                truth["compact_revision"].as_i64().expect("one"),
                truth["hashkv"].as_u64(),
            );
            assert_eq!(found, expected, "{name}, entry {index}, rules {:?}", report.rules);
            compared += 1;
            fs::remove_file(target).expect("removed");
        }
    }
    writeln!(stderr(), "{compared} entries compared").expect("written");
    assert!(compared > 0 || std::env::var_os(MEMBERS).is_none(), "no log has what etcd said");
}

/// A voter that is alone has committed all of its log, whatever a learner has, and whoever was refused as a voter.
#[test]
fn all_of_a_lone_voters_log_is_committed() {
    let change = |log: LogBuilder, index: u64, kind: u64, id: u64, context: &str| {
        let mut change = numbers(&[index, kind, id]);
        bytes_field(&mut change, 4, context.as_bytes());
        let mut message = numbers(&[1, 3, index]);
        bytes_field(&mut message, 4, &change);
        log.record(ENTRY, Some(&message))
    };
    let first = change(LogBuilder::new(7), 1, ADD, 7, r#"{"id":7,"peerURLs":["http://7"]}"#);
    let learner =
        change(first.clone(), 2, ADD_LEARNER, 8, r#"{"id":8,"peerURLs":["http://8"],"isLearner":true}"#);
    let refused = change(first.clone(), 2, ADD, 8, r#"{"id":8,"peerURLs":["http://7"]}"#);
    let second = change(first, 2, ADD, 8, r#"{"id":8,"peerURLs":["http://8"]}"#);
    for (log, expected) in [(learner, 9), (refused, 9), (second, 4)] {
        let folder = TempDir::new().expect("a folder");
        let segment = change(log.state(4), 3, UPDATE, 7, r#"{"id":7,"peerURLs":["http://7"]}"#);
        let segment = (4..=9).fold(segment, |log, index| log.entry_at(index, b"")).last();
        fs::write(folder.path().join(FIRST_SEGMENT), segment).expect("written");
        let files = LogFiles::of_folder(folder.path()).expect("a log");
        let read = files.read();
        let mut machine = Machine::empty(Rules::of(Version::new(3, 5, 1)));
        steps::run(&mut machine, &read, 1, &mut |_| {}, &mut |_| true).expect("applied");
        assert_eq!(until::committed(&read, &files, 0, &machine.members, 1), expected, "{:?}", read.faults);
    }
}

/// A corpus of this name, unpacked, with its truth.
pub fn corpora(case: &str) -> Vec<(String, TempDir, Value)> {
    let Some(members) = std::env::var_os(MEMBERS).map(PathBuf::from) else { return Vec::new() };
    let mut folders: Vec<_> =
        fs::read_dir(members).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    folders.sort();
    let of_case = folders.iter().filter(|folder| folder.is_dir() && name(folder).starts_with(case));
    let read = |folder: &PathBuf| {
        let truth = fs::read(folder.join("truth.json")).expect("a truth.json");
        (name(folder), unpack(&folder.join("member.tar.zst")), serde_json::from_slice(&truth).expect("JSON"))
    };
    of_case.map(read).collect()
}

/// All keys, and object by object: both end right before the first deletion of it, among others before and after.
#[test]
fn before_the_accident() {
    for (case, log, truth_of, options) in [
        ("accident-pitr", "m2", "before_accident", &["--before-deletes"][..]),
        ("accident-pitr", "m2", "before_accident", &["--before-deletes", "--key", "app/"]),
        ("namespace-deleted", "m1", "before_the_run", &["--before-deletes", "--namespace", "prod"]),
        ("namespace-deleted", "m1", "before_the_run", &["--before-deletes"]),
    ] {
        for (name, folder, truth) in corpora(case) {
            let path = |below: &str| folder.path().join(below).to_str().expect("UTF-8").to_owned();
            let (base, log, target) = (path("backup.db"), path(log), path("new.db"));
            let replay = ["replay", &base, "--log", &log, "-o", &target, "--output", "json"];
            let ran = run([&replay, options].concat());
            let json: Value =
                serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{name}: {}", ran.err));
            let truth = &truth[truth_of];
            let found = [&json["to"]["index"], &json["to"]["revision"], &json["hash_kv"]];
            assert_eq!(found, [&truth["index"], &truth["revision"], &truth["hashkv"]], "{name} {options:?}");
            assert_eq!(json["keys"], truth["keys"], "{name}");
        }
    }
}

/// What is not the db's own history, is missing, or depends on permissions, is refused with the reason.
#[test]
fn what_can_not_be_right_is_refused() {
    for (name, folder, _) in corpora("auth-log") {
        let path = |below: &str| folder.path().join(below).to_str().expect("UTF-8").to_owned();
        let ran = run(["replay", &path("base.db"), "--log", &path("m1"), "--dry-run"]);
        assert!(ran.code == 2 && ran.err.contains("authentication is on"), "{name}: {}", ran.err);
    }
    let logs = recorded();
    let Some(log) = logs.iter().find(|log| log.name == "k8s-log-3.6.14") else { return };
    let path = |below: &str| log.folder.path().join(below).to_str().expect("UTF-8").to_owned();
    let base = path("base.db");
    for other in logs.iter().filter(|other| other.name != log.name && !other.name.starts_with("auth")) {
        let of = other.folder.path().join("m1");
        let ran = run(["replay", &base, "--log", of.to_str().expect("UTF-8"), "--dry-run"]);
        assert!(
            ran.code == 2 && ran.err.contains("not of the db's history"),
            "{}: {}{}",
            other.name,
            ran.out,
            ran.err
        );
    }
    for (options, says) in [
        (&["--until-index", "1"][..], "can't go back"),
        (&["--until-index", "99999999"], "the log goes to entry"),
        (&["--until-revision", "99999999"], "the log goes to revision"),
        (&["--before-delete", "/no/such/key"], "deletes /no/such/key"),
        (&["--before-deletes", "--key", "/no/such/"], "deletes no such key"),
        (&["--key", "/registry/"], "are for --before-deletes"),
    ] {
        let ran = run([&["replay", &base, "--log", &path("m1"), "--dry-run"], options].concat());
        assert!(ran.code == 2 && ran.err.contains(says), "{options:?}: {}{}", ran.out, ran.err);
    }
}

/// Values are shown if they are asked for, and Secrets' data only if that is, too.
#[test]
fn a_log_shows_no_secret_unless_asked() {
    use crate::support::requests::{put, request, txn};
    let folder = TempDir::new().expect("a folder");
    let wal = folder.path().join("member/wal");
    fs::create_dir_all(&wal).expect("a folder");
    let secret = br#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"d"},"data":{"k":"aHVudGVyMg=="}}"#;
    let map = br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","namespace":"d"},"data":{"k":"plain"}}"#;
    let other =
        txn(&[], &[(2, put(b"/registry/configmaps/d/c", map, 0))], &[(2, put(b"/app/x", b"raw bytes", 0))]);
    let log = LogBuilder::new(7)
        .change(0, 7)
        .entry_at(2, &request(4, &put(b"/registry/secrets/d/s", secret, 0), b""))
        .entry_at(3, &request(6, &other, b"eve"))
        .state(3)
        .last();
    fs::write(wal.join(FIRST_SEGMENT), log).expect("written");
    let dir = folder.path().to_str().expect("UTF-8");
    for output in ["text", "json"] {
        let shown = |options: &[&str]| {
            let ran = run([&["log", dir, "--output", output], options].concat());
            assert_eq!(ran.code, 0, "{}", ran.err);
            ran.out
        };
        let plain = shown(&[]);
        assert!(
            ["plain", "raw bytes", "hunter2", "aHVudGVyMg"].iter().all(|value| !plain.contains(value)),
            "{plain}"
        );
        assert!(plain.contains("/registry/secrets/d/s") && plain.contains("eve"), "{plain}");
        let values = shown(&["--values"]);
        assert!(values.contains("plain") && values.contains("raw bytes"), "{values}");
        assert!(!values.contains("hunter2") && !values.contains("aHVudGVyMg"), "{values}");
        let all = shown(&["--values", "--show-secrets"]);
        assert!(all.contains("hunter2") || all.contains("aHVudGVyMg"), "{all}");
    }
}
