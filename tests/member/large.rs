//! A large log, to measure with: docs/speed.md has the commands.

use std::fs;
use std::path::PathBuf;

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

/// Half of the entries are puts, half transactions of one put, as Kubernetes writes.
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
    let mut log = LogBuilder::new(read.log.metadata.node_id).term(term).entries_to(index);
    let alarm = state.alarms.first().expect("an alarm");
    let disarm = message(&[(1, Number(2)), (2, Number(alarm.member_id)), (3, Number(1))]);
    log = log.entry_at(index + 1, &request(10, &disarm, b""));
    for number in 1..entries {
        let key = format!("/registry/pods/default/pod-{}", number * 7919 % KEYS);
        let value = vec![b'a' + (number % 26) as u8; VALUE_BYTES];
        let put = put(key.as_bytes(), &value, 0);
        let request = match number % 2 {
            0 => request(4, &put, b""),
            _ => request(6, &txn(&[], &[(2, put)], &[]), b""),
        };
        log = log.entry_at(index + 1 + number, &request);
    }
    let wal = folder.join("member/wal");
    fs::create_dir_all(&wal).expect("a folder");
    fs::write(wal.join(FIRST_SEGMENT), log.state(index + entries).last()).expect("written");
    fs::copy(db, folder.join("base.db")).expect("copied");
    // and it is one: each of its entries can be applied
    let base = etcd_medic::open(folder.join("base.db")).expect("a db");
    let log = LogFiles::open(&folder, None).expect("a log");
    let mut request = etcd_medic::ReplayRequest::dry();
    request.until = etcd_medic::Until::Index(index + entries);
    let report = base.replay(&log, &request, etcd_medic::Progress::SILENT).expect("replayed");
    assert_eq!((report.entries, report.writes, report.refused), (entries, entries - 1, 0));
}
