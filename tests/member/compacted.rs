//! Records that compactions drop on the way, and not only at the end.

use std::collections::HashSet;
use std::fs;

use etcd_medic::internals::etcd::schema::State;
use etcd_medic::{LogFiles, Progress, ReplayReport, ReplayRequest, Until};
use tempfile::TempDir;

use crate::support::member_log::{FIRST_SEGMENT, LogBuilder};
use crate::support::members::unpack;
use crate::support::random::Random;
use crate::support::requests::{Number, delete, message, put, request, txn};
use crate::support::testdata;

const KEYS: u64 = 300;
/// More than are kept without a look at compactions.
const ENTRIES: u64 = 200_000;
/// Entries of one step, which are fewer than that.
const STEP: u64 = 40_000;

/// Puts, deletions and transactions of few keys, and a compaction now and then, mostly to a revision some time ago.
fn entries(log: LogBuilder, random: &mut Random, mut revision: u64) -> LogBuilder {
    let mut compacted = 0;
    let mut live = HashSet::new();
    (0..ENTRIES).fold(log, |log, _| {
        let key = format!("/registry/pods/default/pod-{}", random.below(KEYS)).into_bytes();
        let what = random.below(2000);
        let is_change = match what {
            0 => false,
            1..=600 => live.remove(&key),
            _ => {
                live.insert(key.clone());
                true
            }
        };
        revision += u64::from(is_change);
        let (field, body) = match what {
            0 => {
                compacted = compacted.max(revision - random.below(300).min(revision - 1));
                (7, message(&[(1, Number(compacted))]))
            }
            1..=600 => (5, delete(&key, b"")),
            601..=900 => {
                (6, txn(&[], &[(2, put(&key, b"in one", 0)), (3, delete(b"/registry/pods/none", b""))], &[]))
            }
            _ => (4, put(&key, b"value", 0)),
        };
        let index = log.place().1;
        log.entry_at(index, &request(field, &body, b""))
    })
}

/// In one go, which compacts on the way, and in steps, each of which compacts at its end.
#[test]
fn in_one_go_as_in_steps() {
    let member = unpack(&testdata("field/disarm-behind-its-log/etcd-3.5/member.tar.zst"));
    let files = LogFiles::open(member.path(), None).expect("a log");
    let db = &member.path().join("member/snap/db");
    let base = etcd_medic::open_with(db, &etcd_medic::Lock::None.into(), Progress::SILENT).expect("a db");
    let state = State::read(&base.db);
    let (index, term) = (state.consistent_index.expect("an index"), state.term.expect("a term"));
    let alarm = state.alarms.first().expect("an alarm");
    let disarm = message(&[(1, Number(2)), (2, Number(alarm.member_id)), (3, Number(1))]);
    let log = LogBuilder::new(files.read().log.metadata.node_id).term(term).entries_to(index);
    let log = log.entry_at(index + 1, &request(10, &disarm, b""));
    let revision = u64::try_from(state.current_revision(&base.db)).expect("a revision");
    let last = index + 1 + ENTRIES;
    let folder = TempDir::new().expect("a folder");
    let wal = folder.path().join("wal");
    fs::create_dir(&wal).expect("a folder");
    let log = entries(log, &mut Random(7), revision).state(last).last();
    fs::write(wal.join(FIRST_SEGMENT), log).expect("written");
    let log = LogFiles::open(folder.path(), None).expect("a log");
    let replay = |from: &std::path::Path, until: u64| -> (std::path::PathBuf, ReplayReport) {
        let target = folder.path().join(format!("{until}-{}.db", from.display().to_string().len()));
        let mut request = ReplayRequest::to(&target);
        request.until = Until::Index(until);
        let from =
            etcd_medic::open_with(from, &etcd_medic::Lock::None.into(), Progress::SILENT).expect("a db");
        (target, from.replay(&log, &request, Progress::SILENT).expect("replayed"))
    };
    let (_, whole) = replay(db, last);
    let (mut stepped, mut report) = replay(db, index + STEP);
    for until in (index + 2 * STEP..last).step_by(STEP as usize).chain([last]) {
        (stepped, report) = replay(&stepped, until);
    }
    assert!(whole.writes > ENTRIES / 2 && whole.to.compact_revision > 100_000, "{whole:?}");
    assert_eq!((whole.to, whole.hash_kv, whole.keys), (report.to, report.hash_kv, report.keys));
    let records = |report: &ReplayReport| report.target.as_ref().map(|target| target.records);
    assert_eq!(records(&whole), records(&report));
}
