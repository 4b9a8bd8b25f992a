//! A large log, to measure with: docs/speed.md has the commands.

use std::fs;
use std::path::{Path, PathBuf};

use etcd_medic::LogFiles;
use etcd_medic::internals::etcd::schema::State;

use crate::support::member_log::{FIRST_SEGMENT, LogBuilder};
use crate::support::members::unpack;
use crate::support::requests::{Number, message, put, request, txn};
use crate::support::testdata;

/// Names the folder into which the log and its db are written; and how many entries it has.
const FOLDER: &str = "ETCD_MEDIC_LARGE_LOG";
const ENTRIES: &str = "ETCD_MEDIC_LOG_ENTRIES";

/// Keys that are written, again and again.
const KEYS: u64 = 100_000;
const VALUE_BYTES: usize = 200;
/// Bytes after which etcd begins a new segment (`server/storage/wal/wal.go`, `SegmentSizeBytes`).
const SEGMENT_BYTES: usize = 64 << 20;

/// A log of several segments in the making.
struct Segments {
    wal: PathBuf,
    node_id: u64,
    number: u64,
    name: String,
    log: LogBuilder,
}

impl Segments {
    /// The entry is written where it belongs: in a new segment, if this one is full.
    fn add(self, index: u64, data: &[u8]) -> Self {
        let begun = if self.log.len() < SEGMENT_BYTES { self } else { self.next(index) };
        Self { log: begun.log.entry_at(index, data), ..begun }
    }

    fn next(self, index: u64) -> Self {
        let Self { wal, node_id, number, name, log } = self;
        let (crc, (term, _)) = (log.crc(), log.place());
        fs::write(wal.join(name), log.bytes()).expect("written");
        let number = number + 1;
        let name = format!("{number:016x}-{index:016x}.wal");
        let log = LogBuilder::segment(node_id, crc, index).term(term).state(index - 1);
        // as often as a member takes a snapshot, or less
        let log = log.snapshot(index - 1, Some(&[node_id]));
        Self { wal, node_id, number, name, log }
    }
}

/// Half of the entries are puts, half transactions of one put, as Kubernetes writes.
fn write_log(wal: &Path, log: LogBuilder, node_id: u64, disarm: &[u8], entries: u64) {
    let first = log.place().1;
    let name = FIRST_SEGMENT.to_owned();
    let mut segments = Segments { wal: wal.to_owned(), node_id, number: 0, name, log };
    segments = segments.add(first, disarm);
    for number in 1..entries {
        let key = format!("/registry/pods/default/pod-{}", number * 7919 % KEYS);
        let value = vec![b'a' + (number % 26) as u8; VALUE_BYTES];
        let put = put(key.as_bytes(), &value, 0);
        let request = match number % 2 {
            0 => request(4, &put, b""),
            _ => request(6, &txn(&[], &[(2, put)], &[]), b""),
        };
        segments = segments.add(first + number, &request);
    }
    let Segments { name, log, .. } = segments;
    fs::write(wal.join(name), log.state(first + entries - 1).last()).expect("written");
}

#[test]
#[ignore = "writes files: ETCD_MEDIC_LARGE_LOG=FOLDER cargo test --test member a_large_log -- --ignored"]
fn a_large_log() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).expect(FOLDER));
    let entries = std::env::var(ENTRIES).map_or(1_000_000, |entries| entries.parse().expect(ENTRIES));
    let member = unpack(&testdata("field/disarm-behind-its-log/etcd-3.5/member.tar.zst"));
    let files = LogFiles::open(member.path(), None).expect("a log");
    let (read, db) = (files.read(), member.path().join("member/snap/db"));
    let base = etcd_medic::open_with(&db, &etcd_medic::Lock::None.into(), etcd_medic::Progress::SILENT)
        .expect("a db");
    let state = State::read(&base.db);
    let (index, term) = (state.consistent_index.expect("an index"), state.term.expect("a term"));
    let node_id = read.log.metadata.node_id;
    let log = LogBuilder::new(node_id).term(term).entries_to(index);
    let alarm = state.alarms.first().expect("an alarm");
    let disarm = message(&[(1, Number(2)), (2, Number(alarm.member_id)), (3, Number(1))]);
    let wal = folder.join("member/wal");
    fs::create_dir_all(&wal).expect("a folder");
    write_log(&wal, log, node_id, &request(10, &disarm, b""), entries);
    fs::copy(db, folder.join("base.db")).expect("copied");
    // and it is one: each of its entries can be applied
    let base = etcd_medic::open(folder.join("base.db")).expect("a db");
    let log = LogFiles::open(&folder, None).expect("a log");
    let mut request = etcd_medic::ReplayRequest::dry();
    request.until = etcd_medic::Until::Index(index + entries);
    let report = base.replay(&log, &request, etcd_medic::Progress::SILENT).expect("replayed");
    assert_eq!((report.entries, report.writes, report.refused), (entries, entries - 1, 0));
}
