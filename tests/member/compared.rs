//! A db held against its own log: what was changed in it without a trace is found, and nothing else.

use std::fs;
use std::io::{Write, stderr};
use std::path::Path;

use etcd_medic::internals::bolt::Db;
use etcd_medic::internals::bolt::entries::for_each_entry;
use etcd_medic::internals::check::log::{LogComparison, compare_with_log};
use etcd_medic::internals::etcd::schema::State;
use etcd_medic::internals::etcd::{KeyValue, RecordKey};
use etcd_medic::{Lock, LogFiles, Progress};

use super::replayed::corpora;
use crate::support::random::Random;

/// Values that are changed in each db.
const CHANGES: usize = 3;

pub fn compared(db: &Path, log: &LogFiles) -> Option<LogComparison> {
    let file = etcd_medic::open_with(db, &Lock::None.into(), Progress::SILENT).ok()?;
    compare_with_log(&file, log, None).ok()
}

/// Where a byte of each record's value is, with its revision.
fn values(bytes: &[u8]) -> Vec<(usize, i64, Vec<u8>)> {
    let db = Db::new(bytes.to_vec()).expect("a db");
    let state = State::read(&db);
    let mut found = Vec::new();
    let Some(bucket) = &state.key_bucket else { return found };
    for_each_entry(&db, bucket, |entry| {
        let place = RecordKey::parse(entry.key).expect("a record");
        let kv = KeyValue::parse(entry.value).expect("a value");
        if !kv.value.is_empty() {
            let at = db.offset_in_file(kv.value).expect("in the file") as usize;
            found.push((at + kv.value.len() / 2, place.revision.main, kv.key.to_vec()));
        }
    });
    found
}

/// Of each member, what differs is what its truth names; and a byte changed anywhere that the log covers is found there.
#[test]
fn silent_damage_is_found_where_the_log_covers_it() {
    let (mut dbs, mut found, mut beyond) = (0, 0, 0);
    for (case, folder, truth) in corpora("") {
        for (member, _) in truth["members"].as_object().into_iter().flatten() {
            let dir = folder.path().join(member);
            let (Ok(log), db) = (LogFiles::open(&dir, None), dir.join("member/snap/db")) else { continue };
            let Some(untouched) = compared(&db, &log) else { continue };
            let diverged = &truth["diverged"];
            assert_eq!(untouched.effects_beyond, None, "{case} {member}");
            let revisions: Vec<_> = untouched.differing.iter().map(|record| record.revision).collect();
            let expected = (diverged["member"] == member.as_str()).then(|| diverged["revision"].as_i64());
            assert_eq!(revisions, expected.flatten().into_iter().collect::<Vec<_>>(), "{case} {member}");
            if !untouched.differing.is_empty() {
                continue;
            }
            dbs += 1;
            let bytes = fs::read(&db).expect("a db");
            let values = values(&bytes);
            let mut random = Random(dbs);
            for _ in 0..CHANGES.min(values.len()) {
                let (at, revision, key) = &values[random.below(values.len() as u64) as usize];
                let mut changed = bytes.clone();
                changed[*at] ^= 0x01;
                let copy = folder.path().join(format!("{at}.changed"));
                fs::write(&copy, changed).expect("written");
                let compared = compared(&copy, &log).expect("compared");
                fs::remove_file(copy).expect("removed");
                assert_eq!(compared.effects_beyond, None, "{case} {member}");
                let differing: Vec<_> = compared
                    .differing
                    .iter()
                    .map(|record| (record.revision, record.key.0.clone(), record.what))
                    .collect();
                if *revision >= untouched.first_revision && untouched.covered_records > 0 {
                    let is_uncertain = compared.uncertain_records > 0;
                    assert!(
                        is_uncertain || differing == [(*revision, key.clone(), "value")],
                        "{case} {member}, revision {revision}: {compared:?}"
                    );
                    found += u64::from(!is_uncertain);
                } else {
                    assert!(differing.is_empty(), "{case} {member}, revision {revision}: {differing:?}");
                    beyond += 1;
                }
            }
        }
    }
    writeln!(stderr(), "{dbs} dbs: {found} changed values found, {beyond} beyond the log").expect("written");
}
