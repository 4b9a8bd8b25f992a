//! Directories of real members, healthy and broken, each with what real etcd said of it.

use std::fs;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};

use etcd_medic::internals::etcd::schema::State;

use crate::support::documents::Defrag;
use crate::support::members::unpack;
use crate::support::program::{document, run};
use crate::support::testdata;
use serde_json::Value;

use super::decided::{nospace_advice, take};

/// The folder of member corpora.
const MEMBERS: &str = "ETCD_MEDIC_MEMBERS";

fn truth(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("truth.json")).expect("a truth.json")).expect("JSON")
}

/// A change where it is, and that nothing is written.
fn tried(data: &Path, options: &[&str]) -> (i32, String) {
    let data = data.to_str().expect("UTF-8");
    let ran = run([&["defrag", "--in-place", "--dry-run", data], options].concat());
    (ran.code, ran.err)
}

/// A member in NOSPACE, whose clients went on writing, and that was killed: refused puts lie in its log, and must not be made. `truth`
/// has what etcd itself made of it (its own start, and `etcdctl alarm disarm`).
#[test]
fn puts_that_were_refused_stay_refused() {
    for (version, last) in [("3.5", 35), ("3.7", 28)] {
        let case = testdata(&format!("field/disarm-behind-its-log/etcd-{version}"));
        let truth = &truth(&case)["etcd_restart_and_alarm_disarm"];
        let folder = unpack(&case.join("member.tar.zst"));
        let data = folder.path().to_str().expect("UTF-8");
        assert_eq!(tried(folder.path(), &[]).0, 0, "a plain defrag");
        let advice = nospace_advice(data);
        assert!(advice.ends_with("etcdctl alarm disarm"), "{advice}");
        assert_as_in_two_steps(folder.path(), version);

        let report: Defrag = document("defrag", data, &["--in-place", "--disarm"]);
        let applied = report.applied.expect("entries that the db lacked");
        let refused = last - 4;
        assert_eq!((applied.from.index, applied.to.index), (4, last), "{version}");
        assert_eq!((applied.entries, applied.writes, applied.refused), (refused, 0, refused), "{version}");
        let found = (Some(applied.to.revision), report.verification.and_then(|done| done.hash_kv));
        let expected = (truth["revision"].as_i64(), truth["hashkv"].as_u64().map(|hash| hash as u32));
        assert_eq!(found, expected, "{version}");
        let db = etcd_medic::open(data).expect("a db");
        let state = State::read(&db.db);
        assert_eq!((state.consistent_index, state.alarms.len()), (Some(last), 0), "{version}");
        assert_eq!(state.term, Some(applied.to.term));
        drop(state);
        drop(db);
        // there is nothing left to apply
        let report: Defrag = document("defrag", data, &["--in-place", "--compact-to", "current"]);
        assert_eq!(report.applied.map(|applied| applied.entries), None);
    }
}

/// A change where the db is gives the very file that `replay` to the log's end gives, and then the same change.
fn assert_as_in_two_steps(data: &Path, of: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let text = data.to_str().expect("UTF-8");
    let [rolled, expected, db] = ["rolled.db", "expected.db", "data/member/snap/db"].map(path);
    let ran = run(["replay", text, "--log", text, "-o", &rolled]);
    assert_eq!(ran.code, 0, "{of}: {}", ran.err);
    for options in [
        &["--disarm"][..],
        &["--compact-to", "current"],
        &["--keep-revisions", "5", "--disarm"],
        &["--compact-to", "current", "--drop-prefix", "nothing/", "--confirm-keys", "0"],
    ] {
        let member = Path::new(&db).parent().and_then(Path::parent).expect("a folder");
        let _ = fs::remove_dir_all(member);
        fs::create_dir_all(member.join("snap")).expect("a folder");
        fs::copy(data.join("member/snap/db"), &db).expect("copied");
        std::os::unix::fs::symlink(data.join("member/wal"), member.join("wal")).expect("a link");
        let ran = run([&["defrag", &rolled, "-o", &expected, "--force"], options].concat());
        assert_eq!(ran.code, 0, "{of} {options:?}: {}", ran.err);
        let ran = run([&["defrag", "--in-place", &path("data"), "--only-member"], options].concat());
        assert_eq!(ran.code, 0, "{of} {options:?}: {}", ran.err);
        let [found, expected] = [&db, &expected].map(|path| fs::read(path).expect("a file"));
        assert!(found == expected, "{of} {options:?}: another file");
    }
}

/// What must become of a change of a member where it is.
#[derive(PartialEq, Eq, Debug)]
enum Expected {
    Taken,
    Several(u64),
    Behind(u64, u64),
    Doubt,
    Damaged,
    NoDb,
}

/// By what is wrong with it, and by the figures that an independent reader found.
fn expected(case: &str, member: &Value) -> Expected {
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let db = &member["db"];
    let (index, last) = (number(&db["consistent_index"]), number(&member["last_entry"]));
    let members = db["members"].as_array().map_or(0, Vec::len) as u64;
    match case {
        "healthy"
        | "strays"
        | "snap-damaged"
        | "custom-v2"
        | "mixed-log"
        | "k8s-log"
        | "auth-log"
        | "nospace"
        | "killed"
        | "no-snapshot-records"
        | "namespace-deleted"
        | "zombie-member"
        | "db-behind-snap"
        | "snapdb-waiting" => {
            if last > index {
                Expected::Behind(index, last)
            } else {
                Expected::Taken
            }
        }
        "accident-pitr" | "three-one-ahead" | "diverged-value" | "mixed-up-members" | "wrong-cluster"
        | "removed-member" => Expected::Several(members),
        "db-leaf-zeroed" => Expected::Damaged,
        "db-missing" => Expected::NoDb,
        _ => Expected::Doubt,
    }
}

fn assert_expected(data: &Path, expected: &Expected, of: &str) {
    for options in [&["--compact-to", "current"][..], &["--disarm"]] {
        let (code, error) = tried(data, options);
        let words = match expected {
            Expected::Taken => {
                assert_eq!(code, 0, "{of} {options:?}: {error}");
                continue;
            }
            Expected::Several(members) => format!("one of {members} members"),
            // where that can't be known, with the reason
            Expected::Behind(..) if code == 0 => continue,
            Expected::Behind(index, last) => {
                let reasons = ["authentication is on", "refused by some patches of etcd 3.5"];
                assert!(reasons.iter().any(|reason| error.contains(reason)), "{of} {options:?}: {error}");
                format!("consistent index is {index}, and the last entry of its log {last}")
            }
            Expected::Doubt => "its log may go on beyond it".to_owned(),
            Expected::Damaged => "is damaged".to_owned(),
            Expected::NoDb => String::new(),
        };
        assert!(code == 2 && error.contains(&words), "{of} {options:?}: no {words:?} in {code}: {error}");
    }
    if !matches!(expected, Expected::Damaged | Expected::NoDb) {
        let (code, error) = tried(data, &[]);
        assert_eq!(code, 0, "{of}: a plain defrag: {error}");
    }
}

/// The entries that the db lacks are applied first: then it is what the running etcd was.
fn assert_at_logs_end(data: &Path, last: u64, truth: &Value, of: &str) -> bool {
    let text = data.to_str().expect("UTF-8");
    if tried(data, &["--disarm"]).0 != 0 {
        return false;
    }
    assert_as_in_two_steps(data, of);
    let report: Defrag = document("defrag", text, &["--in-place", "--disarm", "--discard-old"]);
    let applied = report.applied.expect("entries that the db lacked");
    let hash = report.verification.and_then(|done| done.hash_kv);
    let found = (applied.to.index, Some(applied.to.revision), hash);
    let hash = truth["hashkv"].as_u64().map(|hash| hash as u32);
    assert_eq!(found, (last, truth["revision"].as_i64(), hash), "{of}");
    true
}

/// Where NOSPACE is raised, what is advised is taken.
fn try_advice(data: &Path, expected: &Expected) -> usize {
    let text = data.to_str().expect("UTF-8");
    let report = run(["analyze", "--output", "json", text]);
    if matches!(expected, Expected::Damaged | Expected::NoDb) || !report.out.contains("alarm-nospace") {
        return 0;
    }
    let advice = nospace_advice(text);
    if advice.starts_with("etcd-medic") {
        take(&advice);
    } else {
        assert!(matches!(expected, Expected::Behind(..)), "{text}: {advice}");
    }
    1
}

fn corpora(folder: &Path) -> Vec<PathBuf> {
    let entries =
        folder.read_dir().unwrap_or_else(|error| panic!("{MEMBERS}: {}: {error}", folder.display()));
    let folders = entries.map(|entry| entry.expect("an entry").path());
    let mut folders: Vec<_> = folders.filter(|path| path.join("member.tar.zst").exists()).collect();
    folders.sort();
    assert!(!folders.is_empty(), "{MEMBERS} is {}: no member.tar.zst below it", folder.display());
    folders
}

#[test]
fn each_member_is_decided_rightly() {
    let Some(folder) = std::env::var_os(MEMBERS) else {
        let required = std::env::var_os("ETCD_MEDIC_REQUIRE_PEERS").is_some_and(|value| value == "1");
        assert!(!required, "{MEMBERS} is not set: name the folder of member corpora in it");
        let _ = writeln!(
            stderr(),
            "LEFT OUT: directories of real members. {MEMBERS}=FOLDER names where they are"
        );
        return;
    };
    let (mut members, mut taken, mut applied, mut advised) = (0, 0, 0, 0);
    for corpus in corpora(Path::new(&folder)) {
        let name = corpus.file_name().expect("a name").to_str().expect("UTF-8").to_owned();
        let (case, _) = name.rsplit_once('-').expect("CASE-VERSION");
        let truth = truth(&corpus);
        let unpacked = unpack(&corpus.join("member.tar.zst"));
        for member in ["m1", "m2", "m3"] {
            let data = unpacked.path().join(member);
            if !data.is_dir() {
                continue;
            }
            let expected = expected(case, &truth["members"][member]);
            assert_expected(&data, &expected, &format!("{name}/{member}"));
            advised += try_advice(&data, &expected);
            if let Expected::Behind(_, last) = expected {
                let of = format!("{name}/{member}");
                applied += usize::from(assert_at_logs_end(&data, last, &truth["true_end"], &of));
            }
            members += 1;
            taken += usize::from(expected == Expected::Taken);
        }
    }
    let _ = writeln!(
        stderr(),
        "{MEMBERS}: {members} members, {taken} changed alone, {applied} at their logs' ends, {advised} advised"
    );
}
