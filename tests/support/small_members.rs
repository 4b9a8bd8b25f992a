//! Members of a few kilobytes, made of logs of every request: a db of an earlier stop, the db at the log's end, log, and `.snap` files.

use std::fs;
use std::path::{Path, PathBuf};

use etcd_medic::{Progress, SalvageRequest};
use tempfile::TempDir;

use super::member_log::{ADD, ENTRY, FIRST_SEGMENT, LogBuilder, bytes_field, numbers, snap};
use super::random::Random;
use super::requests::{Bytes, Number, compare_version, delete, message, put, request, txn};

const MEMBER: u64 = 7;
/// Entries of each log, and the one that the earlier db is at.
const ENTRIES: u64 = 80;
const EARLY: u64 = 30;

pub struct SmallMember {
    pub name: &'static str,
    /// The db of an earlier stop.
    pub early: Vec<u8>,
    /// The db at the log's end.
    pub db: Vec<u8>,
    /// Segments by their names, in order.
    pub segments: Vec<(String, Vec<u8>)>,
    /// `.snap` files by their names.
    pub snaps: Vec<(String, Vec<u8>)>,
}

/// Some of each sort.
pub fn small_members() -> Vec<SmallMember> {
    let member = |name, version, first_segments_are_gone| {
        let (first, second) = (segments(version, EARLY), segments(version, ENTRIES));
        let mut segments = second.clone();
        if first_segments_are_gone {
            segments.remove(0);
        }
        let snaps = vec![(format!("{:016x}-{EARLY:016x}.snap", 3), snap(EARLY, 3, &[MEMBER]))];
        SmallMember { name, early: db_of(&first), db: db_of(&second), segments, snaps }
    };
    vec![
        member("of 3.4", "3.4.0", false),
        member("of 3.5", "3.5.0", false),
        member("of 3.6", "3.6.0", false),
        member("of 3.7", "3.7.0", false),
        member("without its first segment, of 3.4", "3.4.0", true),
        member("without its first segment, of 3.6", "3.6.0", true),
    ]
}

/// The segments of a log up to this entry; the second one begins after the earlier db.
fn segments(version: &str, last: u64) -> Vec<(String, Vec<u8>)> {
    let mut random = Random(version.bytes().map(u64::from).sum());
    let mut log = joined(LogBuilder::new(MEMBER));
    log = log.entry_at(2, &request(1300, &message(&[(1, Bytes(version.as_bytes()))]), b""));
    for index in 3..=EARLY {
        log = log.entry_at(index, &any_request(index, &mut random));
    }
    let log = log.state(EARLY);
    if last == EARLY {
        return vec![(FIRST_SEGMENT.to_owned(), log.last())];
    }
    let second = LogBuilder::segment(MEMBER, log.crc(), EARLY + 1);
    let mut second = second.state(EARLY).snapshot(EARLY, Some(&[MEMBER]));
    for index in EARLY + 1..=last {
        second = second.entry_at(index, &any_request(index, &mut random));
    }
    let name = format!("{:016x}-{:016x}.wal", 1, EARLY + 1);
    vec![(FIRST_SEGMENT.to_owned(), log.bytes()), (name, second.state(last).last())]
}

/// The member that the log is of.
fn joined(log: LogBuilder) -> LogBuilder {
    let mut change = numbers(&[1, ADD, MEMBER]);
    bytes_field(&mut change, 4, br#"{"id":7,"peerURLs":["http://7"],"name":"seven"}"#);
    let mut entry = numbers(&[1, 3, 1]);
    bytes_field(&mut entry, 4, &change);
    log.record(ENTRY, Some(&entry))
}

/// A request of any kind: a write mostly.
fn any_request(index: u64, random: &mut Random) -> Vec<u8> {
    let key = random.one_of(&[&b"a"[..], b"b", b"c", b"d/1", b"d/2", b"/registry/pods/default/one"]);
    let value = format!("value {index}");
    let lease = random.one_of(&[0, 0, 0, 1, 2]);
    let put = put(key, value.as_bytes(), lease);
    // an alarm is in force for some entries: NOSPACE, and CORRUPT once
    if let Some(action) =
        [(10, 1), (14, 2)].into_iter().find_map(|(at, action)| (index % 20 == at).then_some(action))
    {
        let alarm = if (60..70).contains(&index) { 2 } else { 1 };
        return request(10, &message(&[(1, Number(action)), (2, Number(MEMBER)), (3, Number(alarm))]), b"");
    }
    match random.below(32) {
        0..=13 => request(4, &put, b""),
        14 => request(5, &delete(b"d/", b"d0"), b""),
        15 | 16 => request(5, &delete(key, b""), b""),
        17..=20 => {
            let compares = [compare_version(key, b"", random.below(3), 1)];
            request(6, &txn(&compares, &[(2, put.clone()), (3, delete(b"c", b""))], &[(2, put)]), b"")
        }
        21..=23 => {
            request(6, &txn(&[], &[(4, txn(&[], &[(2, put)], &[])), (1, delete(b"a", b"\0"))], &[]), b"")
        }
        24..=26 => request(8, &message(&[(1, Number(60)), (2, Number(random.between(1, 2)))]), b""),
        27 => request(9, &message(&[(1, Number(random.between(1, 2)))]), b""),
        28 | 29 => request(7, &message(&[(1, Number(index / 4))]), b""),
        _ => request(11, &message(&[(1, Bytes(&numbers(&[1, 30])))]), b""),
    }
}

/// The db that these entries make.
fn db_of(segments: &[(String, Vec<u8>)]) -> Vec<u8> {
    let folder = TempDir::new().expect("a folder");
    let member = write_member(folder.path(), None, segments, &[]);
    let target = folder.path().join("made.db");
    let report = etcd_medic::salvage(&member, &SalvageRequest::to(&target), Progress::SILENT).expect("a db");
    assert!(report.log.is_some_and(|log| log.completes));
    fs::read(target).expect("a db")
}

/// Writes a member into a folder, and gives back its data dir.
pub fn write_member(
    folder: &Path,
    db: Option<&[u8]>,
    segments: &[(String, Vec<u8>)],
    snaps: &[(String, Vec<u8>)],
) -> PathBuf {
    let data_dir = folder.join("data");
    let (wal, snap) = (data_dir.join("member/wal"), data_dir.join("member/snap"));
    fs::create_dir_all(&wal).expect("a folder");
    fs::create_dir_all(&snap).expect("a folder");
    segments.iter().for_each(|(name, bytes)| fs::write(wal.join(name), bytes).expect("written"));
    snaps.iter().for_each(|(name, bytes)| fs::write(snap.join(name), bytes).expect("written"));
    if let Some(db) = db {
        fs::write(snap.join("db"), db).expect("written");
    }
    data_dir
}
