//! A damaged db completed from the log of its member: what the log covers is all there, and nothing is invented.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};

use etcd_medic::internals::bolt::Db;
use etcd_medic::internals::bolt::entries::for_each_entry;
use etcd_medic::internals::etcd::RecordKey;
use etcd_medic::internals::etcd::schema::State;
use etcd_medic::{
    CheckOptions, HashOptions, LogFiles, Progress, ReplayRequest, SalvageReport, SalvageRequest, Until,
};
use tempfile::TempDir;

use super::compared::compared;
use super::replayed::corpora;
use crate::support::random::Random;
use crate::support::workshop::{Base, PATTERNS};

/// Patterns that each db is damaged by in the usual run.
const PATTERNS_EACH: usize = 2;

type Records = BTreeMap<Vec<u8>, Vec<u8>>;

fn records(path: &Path) -> Records {
    let db = Db::new(fs::read(path).expect("a file")).expect("a db");
    let state = State::read(&db);
    let mut records = Records::new();
    if let Some(bucket) = &state.key_bucket {
        for_each_entry(&db, bucket, |entry| {
            records.insert(entry.key.to_vec(), entry.value.to_vec());
        });
    }
    records
}

/// Leases, alarms, members, and the version that they speak. Client URLs are left out: etcd publishes them at each start.
fn small_state(path: &Path) -> String {
    let db = Db::new(fs::read(path).expect("a file")).expect("a db");
    let State { leases, alarms, members, cluster_version, members_removed, consistent_index, term, .. } =
        State::read(&db);
    let members: Vec<_> = members.iter().map(|member| (member.id, &member.name, &member.peer_urls)).collect();
    format!(
        "{leases:?} {alarms:?} {members:?} {cluster_version:?} {members_removed} {consistent_index:?} {term:?}"
    )
}

/// A member whose db is whole and is what its log wrote.
struct Member {
    name: String,
    dir: PathBuf,
    /// Made of the whole db and the log, by the entry.
    expected: BTreeMap<u64, PathBuf>,
    room: TempDir,
    /// Whether its log ends before its db.
    is_ahead: bool,
}

impl Member {
    fn db(&self) -> PathBuf {
        self.dir.join("member/snap/db")
    }

    /// The state at an entry, made of the whole db; `None` where the log does not lead there.
    fn at(&mut self, index: u64) -> Option<PathBuf> {
        if let Some(made) = self.expected.get(&index) {
            return Some(made.clone());
        }
        let base = etcd_medic::open(self.room.path().join("whole.db")).ok()?;
        let log = LogFiles::open(&self.dir, None).ok()?;
        let target = self.room.path().join(format!("{index}.db"));
        let mut request = ReplayRequest::to(&target);
        request.until = Until::Index(index);
        base.replay(&log, &request, Progress::SILENT).ok()?;
        self.expected.insert(index, target.clone());
        Some(target)
    }

    fn salvage(&self, source: &Path, name: &str) -> Option<(SalvageReport, PathBuf)> {
        let target = self.room.path().join(name);
        let mut request = SalvageRequest::to(&target);
        request.force = true;
        let report = etcd_medic::salvage(source, &request, Progress::SILENT).ok()?;
        Some((report, target))
    }
}

fn members() -> Vec<(TempDir, Member)> {
    let mut members = Vec::new();
    for (case, folder, truth) in corpora("") {
        for (member, _) in truth["members"].as_object().into_iter().flatten() {
            let dir = folder.path().join(member);
            let Ok(log) = LogFiles::open(&dir, None) else { continue };
            let db = dir.join("member/snap/db");
            if compared(&db, &log).is_none_or(|compared| !compared.differing.is_empty()) {
                continue;
            }
            let state = Db::new(fs::read(&db).expect("a file")).expect("a db");
            let is_ahead = State::read(&state).consistent_index > Some(log.read().log.last_index());
            let room = tempfile::tempdir().expect("a folder");
            fs::copy(&db, room.path().join("whole.db")).expect("copied");
            // the directories of one case are in one folder, which each of them keeps
            let own = tempfile::tempdir().expect("a folder");
            let moved = own.path().join("m");
            fs::rename(&dir, &moved).expect("moved");
            let member = Member {
                name: format!("{case} {member}"),
                dir: moved,
                expected: BTreeMap::new(),
                room,
                is_ahead,
            };
            members.push((own, member));
        }
    }
    members
}

#[derive(Default, Debug)]
struct Tally {
    completed: u64,
    by_replay: u64,
    partly: u64,
    earlier: u64,
    ahead: u64,
    refused: u64,
}

/// Holds a salvage to what the whole db has.
fn hold(member: &mut Member, what: &str, tally: &mut Tally) {
    let whole = records(&member.room.path().join("whole.db"));
    let named = format!("{}, {what}", member.name);
    let Some((report, target)) = member.salvage(&member.dir.clone(), "saved.db") else {
        tally.refused += 1;
        return;
    };
    let Some(log) = &report.log else { return };
    if log.completes {
        tally.completed += 1;
        let expected = match log.index {
            None => member.room.path().join("whole.db"),
            // the log lost its end so that nothing shows it: the db alone was further
            Some(_) if member.is_ahead => {
                tally.ahead += 1;
                return;
            }
            Some(index) => {
                tally.by_replay += 1;
                member.at(index).unwrap_or_else(|| panic!("{named}: no entry {index}: {log:?}"))
            }
        };
        assert!(report.is_whole() && report.verified && report.lost.is_empty(), "{named}: {report:#?}");
        let hash = |path: &Path| {
            etcd_medic::open(path).expect("a db").hash(&HashOptions::default()).expect("hashes").hash_kv
        };
        assert_eq!(hash(&target), hash(&expected), "{named}: {log:?} {:?}", report.recovered);
        assert_eq!(small_state(&target), small_state(&expected), "{named}: {log:?}");
        return;
    }
    tally.partly += u64::from(report.recovered.log > 0);
    // of a db that is gone, the state at an earlier entry is given
    if log.index.is_some() {
        tally.earlier += 1;
        return;
    }
    // what the log added was in the db, or is later than it
    let alone = member.room.path().join("alone.db");
    let db = member.db();
    let without = if db.is_file() {
        fs::copy(&db, &alone).expect("copied");
        member.salvage(&alone, "without.db").map(|(_, path)| records(&path)).unwrap_or_default()
    } else {
        Records::new()
    };
    let newest = whole.keys().next_back().cloned().unwrap_or_default();
    for (key, value) in records(&target) {
        let is_invented =
            without.get(&key) != Some(&value) && key <= newest && whole.get(&key) != Some(&value);
        let place = RecordKey::parse(&key);
        assert!(!is_invented, "{named}: {place:?} {value:?} for {:?}, {log:?}", whole.get(&key));
    }
}

/// Some patterns of damage on each member's db, others on each: where the log says all that is missing, the copy is what the db was.
#[test]
fn what_the_log_covers_comes_back() {
    cover(PATTERNS_EACH);
}

/// All of them.
#[test]
#[ignore = "long: each pattern of damage on each of a hundred members"]
fn whatever_is_damaged_comes_back() {
    cover(PATTERNS.len());
}

fn cover(patterns_each: usize) {
    let mut tally = Tally::default();
    for (number, (_own, mut member)) in members().into_iter().enumerate() {
        let bytes = fs::read(member.db()).expect("a db");
        let base = Base::new(&member.name, bytes);
        let patterns = PATTERNS.iter().cycle().skip(number * patterns_each % PATTERNS.len());
        for pattern in patterns.take(patterns_each) {
            if let Some(damaged) = base.damaged(pattern) {
                fs::write(member.db(), &damaged.bytes).expect("written");
                hold(&mut member, pattern.name, &mut tally);
            }
        }
        fs::write(member.db(), vec![0; base.bytes.len()]).expect("written");
        hold(&mut member, "all zeros", &mut tally);
        fs::remove_file(member.db()).expect("removed");
        hold(&mut member, "no db", &mut tally);
    }
    writeln!(stderr(), "{tally:?}").expect("written");
    assert!(tally.completed > 100 || std::env::var_os("ETCD_MEDIC_MEMBERS").is_none(), "{tally:?}");
}

/// A db with its log has all that the db has; and if the log has all entries, each revision since the first.
#[test]
fn a_db_with_its_log_has_more() {
    let (mut dbs, mut all) = (0, 0);
    for (_own, member) in members() {
        let log = LogFiles::open(&member.dir, None).expect("a log");
        let file = etcd_medic::open(member.db()).expect("a db");
        let Ok(unfolded) = file.with_log(&log, Progress::SILENT) else { continue };
        dbs += 1;
        let [of_db, more] = [&file.db, &unfolded.db].map(|db| {
            let state = State::read(db);
            let mut records = Records::new();
            for_each_entry(db, &state.key_bucket.expect("records"), |entry| {
                records.insert(entry.key.to_vec(), entry.value.to_vec());
            });
            records
        });
        let is_there = |(key, value): (&Vec<u8>, &Vec<u8>)| more.get(key) == Some(value);
        assert!(of_db.iter().all(is_there), "{}", member.name);
        let revisions: BTreeSet<i64> =
            more.keys().map(|key| RecordKey::parse(key).expect("a record").revision.main).collect();
        let is_whole = revisions.iter().copied().eq(2..2 + revisions.len() as i64);
        let is_uncompacted = State::read(&unfolded.db).compact_revision() < 0;
        assert!(is_whole || !is_uncompacted || revisions.is_empty(), "{}", member.name);
        all += u64::from(is_whole);
        assert!(unfolded.check(&CheckOptions::default()).sound, "{}", member.name);
    }
    writeln!(stderr(), "{dbs} dbs, {all} with each revision").expect("written");
    assert!(all > 20 || dbs == 0, "{all}");
}

/// The log is damaged, too: nothing is invented.
#[test]
fn a_damaged_log_invents_nothing() {
    let mut tally = Tally::default();
    for (number, (_own, mut member)) in members().into_iter().enumerate() {
        let bytes = fs::read(member.db()).expect("a db");
        let base = Base::new(&member.name, bytes);
        let mut random = Random(number as u64);
        let segments: Vec<_> = fs::read_dir(member.dir.join("member/wal"))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "wal"))
            .collect();
        let segment = &segments[random.index(segments.len())];
        let mut log = fs::read(segment).expect("a segment");
        let used = log.iter().rposition(|&byte| byte != 0).unwrap_or(1).max(1);
        let at = random.index(used);
        log[at] ^= 1 << random.below(8);
        fs::write(segment, log).expect("written");
        let pattern = &PATTERNS[number % PATTERNS.len()];
        if let Some(damaged) = base.damaged(pattern) {
            fs::write(member.db(), &damaged.bytes).expect("written");
            hold(&mut member, &format!("{}, log changed at {at}", pattern.name), &mut tally);
        }
        fs::remove_file(member.db()).expect("removed");
        hold(&mut member, &format!("no db, log changed at {at}"), &mut tally);
    }
    writeln!(stderr(), "{tally:?}").expect("written");
}
