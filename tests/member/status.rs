//! How far a db is in its member's log, as `status` says it: by the truth of real members, and in made logs that lie.

use std::fs;
use std::io::{Write, stderr};

use etcd_medic::StatusOptions;
use tempfile::TempDir;

use super::replayed::corpora;
use crate::support::content::contents;
use crate::support::documents::{FileStatus, LogStatus, Status};
use crate::support::etcd_file::{self, MEMBER};
use crate::support::member_log::{ADD, FIRST_SEGMENT, LogBuilder, log_of, snap};
use crate::support::memory::{self, Tree};
use crate::support::program::{folder_of, path_in, run};

/// The consistent index of the small file, and the term that it says.
const INDEX: u64 = 77;
const TERM: u64 = 3;

fn status(args: &[&str]) -> (i32, FileStatus) {
    let ran = run([&["status", "--output", "json"], args].concat());
    let document: Status = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let [file] = <[_; 1]>::try_from(document.files).expect("one file");
    (ran.code, file)
}

fn look(data: &str, options: &[&str]) -> (i32, LogStatus) {
    let (code, file) = status(&[&[data], options].concat());
    let log = file.log.unwrap_or_else(|| panic!("{data}: a member's db"));
    let is_problem = log.problem.is_some();
    assert_eq!(is_problem, !["applied", "goes-on"].contains(&log.state.as_str()), "{log:?}");
    assert!(!is_problem || file.level == "critical", "{log:?}");
    (code, log)
}

/// What is wrong with each case, where it is between db and log; by its figures, for all others.
fn expected(case: &str, index: u64, last: u64) -> &'static str {
    match case {
        "wal-removed" | "wal-empty-dir" => "missing",
        "segment-missing"
        | "segment-missing-needed"
        | "natural-segments"
        | "only-newer-segments"
        | "snapdb-missing" => "gap",
        "torn-last"
        | "torn-with-sound-behind"
        | "record-too-long"
        | "crc-flip-covered"
        | "crc-flip-last"
        | "zero-length-field"
        | "conflicting-metadata"
        | "h-beyond-l"
        | "wal-zeros" => "damaged",
        "db-behind-snap" => "older-than-snapshot",
        _ if last < index => "ends-before",
        _ if last > index => "goes-on",
        _ => "applied",
    }
}

/// Every member: the state by what is wrong with it, the figures by an independent reader, and no problem where etcd itself has none.
#[test]
fn each_member_is_where_its_truth_says() {
    let mut members = 0;
    for (name, folder, truth) in corpora("") {
        let (case, version) = name.rsplit_once('-').expect("CASE-VERSION");
        for (member, facts) in truth["members"].as_object().into_iter().flatten() {
            let data = folder.path().join(member);
            let db = &facts["db"];
            let Some(index) = db["consistent_index"].as_u64().filter(|_| data.is_dir()) else { continue };
            let number = |name: &str| facts[name].as_u64().unwrap_or(0);
            let (code, log) = look(data.to_str().expect("UTF-8"), &[]);
            let of = format!("{name}/{member}: {log:?}");
            assert_eq!(log.state, expected(case, index, number("last_entry")), "{of}");
            assert_eq!(log.consistent_index, index, "{of}");
            if !["damaged", "missing"].contains(&log.state.as_str()) {
                assert_eq!(log.last_index, number("last_entry"), "{of}");
                assert_eq!(log.db_lacks, log.last_index.saturating_sub(index), "{of}");
                assert_eq!(log.log_lacks, index.saturating_sub(log.last_index), "{of}");
            }
            assert_eq!(log.first_index.max(1), number("first_entry").max(1), "{of}");
            assert!(code == 1 || log.problem.is_none(), "{of}");
            let observed = &truth["observed"][member.as_str()][version];
            if log.problem.is_some() && observed["put_within_3s"] == true {
                // etcd drops what is torn, and catches up with a few entries by itself
                let made = observed["made"].as_array().is_some_and(|made| !made.is_empty());
                let heals = ["zero-length-field", "wal-tail-lost-few"].contains(&case);
                assert!(made || heals, "{of}: etcd has no problem: {observed}");
            }
            members += 1;
        }
    }
    writeln!(stderr(), "{members} members").expect("written");
}

fn db() -> Vec<u8> {
    etcd_file::small().bytes()
}

/// A data dir with these segments.
fn data_dir(segments: &[(&str, Vec<u8>)]) -> TempDir {
    let in_wal = |(name, _): &(&str, Vec<u8>)| format!("data/member/wal/{name}");
    let names: Vec<_> = segments.iter().map(in_wal).collect();
    let db = db();
    let mut files: Vec<(&str, &[u8])> = vec![("data/member/snap/db", &db)];
    files.extend(names.iter().zip(segments).map(|(name, (_, bytes))| (name.as_str(), bytes.as_slice())));
    folder_of(&files)
}

#[track_caller]
fn assert_state(folder: &TempDir, state: &str, lacks: (u64, u64)) -> LogStatus {
    let (code, log) = look(&path_in(folder, "data"), &[]);
    assert_eq!((log.state.as_str(), log.db_lacks, log.log_lacks), (state, lacks.0, lacks.1), "{log:?}");
    // the small file has an alarm
    assert_eq!(code, 1);
    log
}

fn one(log: Vec<u8>) -> TempDir {
    data_dir(&[(FIRST_SEGMENT, log)])
}

#[test]
fn by_the_ends() {
    assert_state(&one(log_of(MEMBER, &[MEMBER], INDEX)), "applied", (0, 0));
    assert_state(&one(log_of(MEMBER, &[MEMBER], INDEX + 5)), "goes-on", (5, 0));
    assert_state(&one(log_of(MEMBER, &[MEMBER], INDEX - 5)), "ends-before", (0, 5));
    let other = LogBuilder::new(MEMBER).change(ADD, MEMBER).term(TERM + 1).entries_to(INDEX).state(INDEX);
    assert_state(&one(other.last()), "other-history", (0, 0));
    let beyond = LogBuilder::new(MEMBER).change(ADD, MEMBER).entries_to(INDEX).state(INDEX + 1).last();
    assert_state(&one(beyond), "damaged", (0, 0));
    // as etcd's repair leaves it
    let repaired = LogBuilder::new(MEMBER).change(ADD, MEMBER).entries_to(INDEX).state(INDEX).bytes();
    assert_state(&one(repaired), "applied", (0, 0));
    let folder = data_dir(&[]);
    assert_state(&folder, "missing", (0, INDEX));
    fs::create_dir(folder.path().join("data/member/wal")).expect("a folder");
    fs::write(folder.path().join("data/member/wal/0.tmp"), [0; 64]).expect("a file");
    let missing = assert_state(&folder, "missing", (0, INDEX));
    assert!(missing.problem.is_some_and(|text| text.contains("--wal-dir")));
    // it is elsewhere
    fs::write(folder.path().join(FIRST_SEGMENT), log_of(MEMBER, &[MEMBER], INDEX)).expect("a file");
    let (_, log) = look(&path_in(&folder, "data"), &["--wal-dir", folder.path().to_str().expect("UTF-8")]);
    assert_eq!(log.state, "applied");
    let data = path_in(&folder, "data");
    assert_eq!(run(["status", "--wal-dir", "elsewhere", &data, &data]).code, 2, "of which of the two?");
    // a file by itself has no log
    fs::write(folder.path().join("copy.db"), db()).expect("a file");
    assert!(status(&[&path_in(&folder, "copy.db")]).1.log.is_none());
}

const SECOND: &str = "0000000000000001-0000000000000033.wal";
const THIRD: &str = "0000000000000002-0000000000000047.wal";

/// Three segments, of entries 1 to 50, 51 to 70 and 71 to 80.
fn three() -> [(&'static str, Vec<u8>); 3] {
    let first = LogBuilder::new(MEMBER).change(ADD, MEMBER).entries_to(50).state(50);
    let second = LogBuilder::segment(MEMBER, first.crc(), 51).state(50).entries_to(70).state(70);
    let third = LogBuilder::segment(MEMBER, second.crc(), 71).state(70).snapshot(70, Some(&[MEMBER]));
    let third = third.entries_to(80).state(80);
    [(FIRST_SEGMENT, first.bytes()), (SECOND, second.bytes()), (THIRD, third.last())]
}

/// A segment is missing; or was removed, as etcd removes the oldest.
#[test]
fn by_the_segments() {
    let [first, second, third] = three();
    assert_eq!(assert_state(&data_dir(&three()), "goes-on", (3, 0)).first_index, 1);
    assert_eq!(assert_state(&data_dir(&[second.clone(), third.clone()]), "goes-on", (3, 0)).first_index, 51);
    assert_state(&data_dir(&[first.clone(), third.clone()]), "gap", (3, 0));
    assert_state(&data_dir(&[first, second.clone()]), "ends-before", (0, 7));
    // the snapshot that it begins with is named in the segment before, or in none that is left
    let second =
        |at| LogBuilder::segment(MEMBER, 9, 51).state(50).snapshot(at, Some(&[MEMBER])).entries_to(70);
    for (at, state) in [(50, "goes-on"), (60, "goes-on"), (49, "gap")] {
        let second = second(at).state(70);
        let third = LogBuilder::segment(MEMBER, second.crc(), 71).state(70).entries_to(80).state(80).last();
        assert_state(&data_dir(&[(SECOND, second.bytes()), (THIRD, third)]), state, (3, 0));
    }
    let later = LogBuilder::segment(MEMBER, 9, 71).state(70).snapshot(60, Some(&[MEMBER])).entries_to(80);
    assert_state(&data_dir(&[(THIRD, later.state(80).last())]), "gap", (3, 0));
    // entries after the db's are not there
    let later = LogBuilder::segment(MEMBER, 9, 90).state(89).snapshot(89, Some(&[MEMBER])).entries_to(95);
    let name = "0000000000000003-000000000000005a.wal";
    let log = assert_state(&data_dir(&[(name, later.state(95).last())]), "gap", (18, 12));
    assert_eq!(log.first_index, 90);
}

/// What is read: the segment with the db's own entry, and those after it.
#[test]
fn by_what_is_needed() {
    let damaged = |segment: usize| {
        let mut segments = three();
        segments[segment].1[200] ^= 1;
        data_dir(&segments)
    };
    for unread in [0, 1] {
        assert_state(&damaged(unread), "goes-on", (3, 0));
    }
    let log = assert_state(&damaged(2), "damaged", (0, 5));
    assert!(log.problem.is_some_and(|text| text.starts_with(THIRD)));
    // a running etcd may be writing the last record
    let (_, log) = look(&path_in(&damaged(2), "data"), &["--no-lock"]);
    assert_ne!(log.state, "damaged");
}

/// The db is from before the snapshot that etcd begins with.
#[test]
fn by_the_snapshots() {
    let log = |at: u64| {
        let log = LogBuilder::new(MEMBER).change(ADD, MEMBER).entries_to(90).state(90);
        log.snapshot(at, Some(&[MEMBER])).entries_to(95).state(95).last()
    };
    let name = |at: u64| format!("data/member/snap/{TERM:016x}-{at:016x}.snap");
    for (at, state) in [(INDEX - 1, "goes-on"), (INDEX, "goes-on"), (INDEX + 1, "older-than-snapshot")] {
        let folder = one(log(at));
        // up to 3.6, etcd begins with a `.snap`
        assert_state(&folder, "goes-on", (18, 0));
        fs::write(folder.path().join(name(at)), snap(at, TERM, &[MEMBER])).expect("a file");
        assert_state(&folder, state, (18, 0));
        // with the db that came with it
        fs::write(folder.path().join(format!("data/member/snap/{at:016x}.snap.db")), "").expect("a file");
        assert_state(&folder, "goes-on", (18, 0));
    }
}

/// Each byte of a log: an answer, whatever it is.
#[test]
fn each_byte_may_lie() {
    let log = log_of(MEMBER, &[MEMBER], INDEX + 2);
    let folder = one(log.clone());
    let path = folder.path().join("data/member/wal").join(FIRST_SEGMENT);
    let file = etcd_medic::open(folder.path().join("data")).expect("a db");
    for at in 0..log.len() - 4090 {
        let mut changed = log.clone();
        changed[at] ^= 0x55;
        fs::write(&path, changed).expect("written");
        let found = file.status(&StatusOptions::default()).log.expect("a log");
        assert!(found.problem.is_some(), "byte {at}: {found:?}");
    }
}

/// The line for people: what is normal changes no exit code, what is wrong has a line that says more.
#[test]
fn in_words() {
    let folder = one(log_of(MEMBER, &[MEMBER], INDEX + 5));
    let mut healthy = Tree::of(&contents(&memory::open(db())));
    healthy.clear(healthy.number("alarm"));
    let healthy = healthy.file(1024);
    fs::write(folder.path().join("data/member/snap/db"), healthy).expect("written");
    let words = |folder: &TempDir| {
        let ran = run(["status", &path_in(folder, "data")]);
        (ran.code, ran.out)
    };
    let (code, out) = words(&folder);
    assert!(code == 0 && out.contains(" ok, 5 entries only in the log  "), "{out}");
    fs::write(folder.path().join("data/member/wal").join(FIRST_SEGMENT), log_of(MEMBER, &[MEMBER], 70))
        .expect("written");
    let (code, out) = words(&folder);
    assert!(code == 1 && out.contains(" LOG LACKS 7 entries  "), "{out}");
    assert!(out.contains("note") && out.contains("up to 77"), "{out}");
}
