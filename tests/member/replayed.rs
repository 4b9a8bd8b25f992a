//! A db rolled forward, and what real etcd had at the same entries.

use std::fs;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};

use etcd_medic::{LogFiles, Progress, ReplayRequest, Until};
use serde_json::Value;
use tempfile::TempDir;

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
            // another name each time: a process that another test starts may have the last one open for a moment
            let target = folder.path().join(format!("{index}.db"));
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

/// An independent reader, which ends at the first frame that it can't follow and checks no checksum, found these entries.
#[test]
fn the_entries_that_another_reader_found() {
    let mut read = 0;
    for (case, folder, truth) in corpora("") {
        for (member, expected) in truth["members"].as_object().into_iter().flatten() {
            let dir = folder.path().join(member);
            let Ok(log) = LogFiles::open(&dir, None) else {
                assert!(expected["last_entry"].as_u64().unwrap_or(0) == 0, "{case} {member}: no log");
                continue;
            };
            let found = log.read();
            let has = |index: &Value| {
                let index = index.as_u64().unwrap_or(0);
                index == 0 || found.stretch_with(index).is_some()
            };
            let count = expected["entries"].as_u64().unwrap_or(0);
            // what has a wrong checksum, or is of another member, that reader takes
            let is_changed_within =
                ["crc-flip", "torn", "conflicting-metadata"].iter().any(|changed| case.starts_with(changed));
            if is_changed_within {
                let kept = found.num_entries() + found.foreign_entries;
                assert!(found.num_faults > 0 && kept + 2 >= count, "{case} {member}: {kept} of {count}");
            } else {
                assert!(has(&expected["last_entry"]), "{case} {member}: {:?}", found.faults);
                assert!(has(&expected["first_entry"]), "{case} {member}: {:?}", found.faults);
                assert!(found.num_entries() >= count, "{case} {member}: {} of {count}", found.num_entries());
            }
            read += 1;
        }
    }
    writeln!(stderr(), "{read} logs of members read").expect("written");
}

/// Values are shown if they are asked for, and Secrets' data only if that is, too.
#[test]
fn a_log_shows_no_secret_unless_asked() {
    use crate::support::member_log::{FIRST_SEGMENT, LogBuilder};
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
