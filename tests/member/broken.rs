//! What a repair by etcd cut off, and its copy still holds.

use etcd_medic::internals::member::ReadLog;
use etcd_medic::internals::member::broken::CutOff;
use etcd_medic::internals::member::log::Segment;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::documents::{BrokenCopy, Status};
use crate::support::etcd_file;
use crate::support::member_log::{FIRST_SEGMENT, LogBuilder};
use crate::support::packing::tar;
use crate::support::program::{Ran, folder_of, path_in, run};

const COPY: &str = "0000000000000000-0000000000000000.wal.broken";
const NODE: u64 = 0x1234;

/// A log up to this entry, in which one record may be torn: where it begins, and the bytes.
fn log_to(last: u64, torn: Option<u64>) -> (usize, Vec<u8>) {
    let before = |index| LogBuilder::new(NODE).entries_to(index);
    let mut bytes = before(last).state(last).last();
    let Some(torn) = torn else { return (0, bytes) };
    let (begin, end) = (before(torn - 1).bytes().len(), before(torn).bytes().len());
    // its data, not its frame
    bytes[end - 16..end].fill(0);
    (begin, bytes)
}

/// A data dir with these files in its `wal`.
fn member(files: &[(&str, &[u8])]) -> TempDir {
    let db = etcd_file::small().bytes();
    let names: Vec<_> = files.iter().map(|(name, _)| format!("data/member/wal/{name}")).collect();
    let mut all: Vec<(&str, &[u8])> = vec![("data/member/snap/db", &db)];
    all.extend(names.iter().zip(files).map(|(name, (_, bytes))| (name.as_str(), *bytes)));
    folder_of(&all)
}

fn copies(path: &str) -> Vec<BrokenCopy> {
    let ran = run(["status", path, "--output", "json"]);
    let mut document: Status = crate::support::documents::parse("status", &ran.out);
    let log = document.files.remove(0).log.expect("a log");
    let summary: Value =
        serde_json::from_str(&run(["log", "--summary", path, "--output", "json"]).out).unwrap();
    let checked: Value = serde_json::from_str(&run(["check", path, "--output", "json"]).out).unwrap();
    let of_summary: Vec<BrokenCopy> = serde_json::from_value(summary["broken_copies"].clone()).unwrap();
    if let Some(of_check) = checked["log"].get("broken_copies") {
        let of_check: Vec<BrokenCopy> = serde_json::from_value(of_check.clone()).unwrap();
        assert_eq!(format!("{of_check:?}"), format!("{of_summary:?}"));
    }
    assert_eq!(format!("{:?}", log.broken_copies), format!("{of_summary:?}"));
    log.broken_copies
}

/// (count, first, last)
fn ranges(copy: &BrokenCopy) -> [(u64, u64, u64); 3] {
    [&copy.entries, &copy.lacking, &copy.differing].map(|of| (of.count, of.first_index, of.last_index))
}

/// The indices that a printed command shows.
fn shown(command: &str) -> Vec<u64> {
    let words: Vec<_> = command.split(' ').skip(1).collect();
    let Ran { code, out, err } = run([&words[..], &["--output", "json"]].concat());
    assert_eq!(code, 0, "{command}: {err}");
    out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["index"].as_u64().unwrap()).collect()
}

#[test]
fn entries_after_a_torn_one_are_found_in_the_copy() {
    let (cut, copy) = log_to(20, Some(10));
    let repaired = &copy[..cut];
    let folder = member(&[(FIRST_SEGMENT, repaired), (COPY, &copy)]);
    let [found] = &copies(&path_in(&folder, "data"))[..] else { panic!("one copy") };
    assert_eq!((found.file.as_str(), found.records), (COPY, 11), "10 entries and a state");
    assert_eq!(ranges(found), [(10, 11, 20), (10, 11, 20), (0, 0, 0)]);
    assert_eq!(shown(found.command.as_ref().unwrap()), (11..=20).collect::<Vec<_>>());
    for args in [vec!["status"], vec!["log"], vec!["log", "--summary"]] {
        let ran = run([&args[..], &[&path_in(&folder, "data")]].concat());
        let said = format!("{}{}", ran.out, ran.err).split_whitespace().collect::<Vec<_>>().join(" ");
        for words in ["cut off 10 entries, 11 to 20", COPY, "Today the log lacks 10 entries, 11 to 20:"] {
            assert!(said.contains(words), "{args:?}: no {words:?} in {said}");
        }
        assert!(said.contains("$ etcd-medic log --broken"), "{said}");
    }
    // the copy of a folder in which the copy takes its original's name
    let renamed = member(&[(FIRST_SEGMENT, &copy)]);
    let ran = run(["log", "--output", "json", "--from", "11", &path_in(&renamed, "data")]);
    assert_eq!((ran.code, ran.out.lines().count()), (1, 10), "{}", ran.err);
}

#[test]
fn what_came_again_is_not_lost() {
    let (cut, copy) = log_to(20, Some(10));
    // the leader sent them again
    let (_, whole) = log_to(25, None);
    let folder = member(&[(FIRST_SEGMENT, &whole), (COPY, &copy)]);
    let found = copies(&path_in(&folder, "data"));
    assert_eq!(ranges(&found[0]), [(10, 11, 20), (0, 0, 0), (0, 0, 0)]);
    assert_eq!(found[0].command, None);
    assert!(!run(["log", &path_in(&folder, "data")]).err.contains("broken"));
    // another leader wrote others
    let other = LogBuilder::new(NODE).entries_to(9).term(4).entries_to(13).last();
    assert_eq!(other[..cut], copy[..cut]);
    let folder = member(&[(FIRST_SEGMENT, &other), (COPY, &copy)]);
    let found = copies(&path_in(&folder, "data"));
    assert_eq!(ranges(&found[0]), [(10, 11, 20), (7, 14, 20), (3, 11, 13)]);
    assert_eq!(shown(found[0].command.as_ref().unwrap()), (11..=20).collect::<Vec<_>>());
}

#[test]
fn copies_that_say_nothing_of_the_log() {
    let (cut, copy) = log_to(20, Some(10));
    let repaired = &copy[..cut];
    let others = LogBuilder::new(NODE + 1).entries_to(20).last();
    for (words, broken) in [
        ("another member's", others.as_slice()),
        ("empty", b""),
        ("zeros", &[0; 8192]),
        ("what the log has", repaired),
        ("text", b"no segment, but text that somebody wrote"),
    ] {
        let folder = member(&[(FIRST_SEGMENT, repaired), (COPY, broken)]);
        assert!(copies(&path_in(&folder, "data")).is_empty(), "{words}");
        let ran = run(["log", "--broken", &path_in(&folder, "data")]);
        assert!(ran.code == 0 && ran.out.is_empty() && ran.err.contains("no copy"), "{words}: {ran:?}");
    }
    // its segment was removed since: all that it holds and the log does not
    let later = LogBuilder::segment(NODE, 0, 15).entries_to(20).last();
    let folder = member(&[("0000000000000001-000000000000000f.wal", &later), (COPY, &copy)]);
    let found = copies(&path_in(&folder, "data"));
    assert_eq!(ranges(&found[0]), [(19, 1, 20), (13, 1, 14), (0, 0, 0)]);
}

/// Whatever is changed in a copy: nothing is said to be in it that was not.
#[test]
fn no_entry_is_invented() {
    let (cut, copy) = log_to(16, Some(10));
    let repaired = &copy[..cut];
    let segments = [Segment { name: FIRST_SEGMENT, data: repaired }];
    let log = ReadLog::read(&segments);
    let mut found = 0;
    for bit in 0..(copy.len() - 4096) * 8 {
        let mut lying = copy.clone();
        lying[bit / 8] ^= 1 << (bit % 8);
        let Some(cut_off) = CutOff::read(Segment { name: COPY, data: &lying }, &segments, &log) else {
            continue;
        };
        for (entry, _) in cut_off.entries() {
            let is_true = (1..=16).contains(&entry.index) && entry.index != 10 && entry.term == 3;
            assert!(is_true, "bit {bit}: {entry:?}");
            found += 1;
        }
    }
    assert!(found > 10_000, "{found}");
}

#[test]
fn a_packed_one_says_the_same() {
    let (cut, copy) = log_to(20, Some(10));
    let db = etcd_file::small().bytes();
    let wal = |name: &str| format!("data/member/wal/{name}");
    let archive =
        tar(&[(&wal(COPY), &copy), (&wal(FIRST_SEGMENT), &copy[..cut]), ("data/member/snap/db", &db)]);
    let folder = folder_of(&[("data.tar", &archive)]);
    let found = copies(&path_in(&folder, "data.tar"));
    assert_eq!(ranges(&found[0]), [(10, 11, 20), (10, 11, 20), (0, 0, 0)]);
    assert_eq!(shown(found[0].command.as_ref().unwrap()), (11..=20).collect::<Vec<_>>());
}
