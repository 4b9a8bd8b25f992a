//! Compactions beside real etcd's own: the same records stay, with the same hashes, and etcd lives on; and the other
//! changes that a copy can go through.
//!
//! `tests/support/peers.rs` says how etcd is found and run. `ETCD_MEDIC_CORPORA` names larger files, as for
//! `tests/files/truth.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::content::contents;
use crate::support::corpus::Corpus;
use crate::support::peers::{
    Member, Peer, assert_bbolt_accepts, medic, medic_json, number, parse, succeeded, with_each_newest_etcd,
};
use crate::support::random::Random;
use crate::support::{fixture, mvcc, names_in, testdata};
use etcd_medic::internals::bolt::Db;
use etcd_medic::internals::bolt::lock::Lock;
use etcd_medic::internals::bolt::open::map_file;
use serde_json::Value;
use tempfile::TempDir;

with_each_newest_etcd!(
    files_are_compacted_alike,
    the_large_corpora_are_compacted_alike,
    a_full_member_is_cured_by_one_command,
    keys_that_were_given_up_are_gone,
    a_compaction_that_was_cut_short_is_finished_alike,
);

/// Who may do everything, where authentication is on.
const ROOT: &str = "root:throw-away";

type Records = Vec<(Vec<u8>, Vec<u8>)>;

fn open(path: &Path) -> Db {
    Db::of_mapping(map_file(path, Lock::None).expect("mapped")).expect("a bbolt file")
}

/// The records of a file, as the plainest reading has them.
fn records_in(path: &Path) -> Records {
    let db = open(path);
    let buckets = contents(&db);
    mvcc::records_of(&buckets).iter().map(|(record, value)| (record.to_vec(), value.to_vec())).collect()
}

fn os<'a>(args: &'a [&'a str]) -> impl Iterator<Item = &'a OsStr> {
    args.iter().map(OsStr::new)
}

/// A compacted copy, with a snapshot's SHA-256, and what is said of it.
fn compacted_copy(source: &Path, folder: &Path, options: &[&str]) -> PathBuf {
    let copy = folder.join("copy.db");
    let args = os(&["defrag", "--force", "--snapshot", "-o"]).chain([copy.as_os_str(), source.as_os_str()]);
    let report = medic_json(0, args.chain(os(options)));
    assert_eq!(report["verified"], true, "{report}");
    assert_bbolt_accepts(&copy, "a compacted copy");
    copy
}

/// A file to compact, and as what its user logs in.
struct Given {
    name: String,
    path: PathBuf,
    auth: bool,
    _folder: TempDir,
}

impl Given {
    fn of_bytes(name: String, bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("source.db");
        fs::write(&path, bytes).expect("written");
        let auth = name.contains("-auth");
        Self { name, path, auth, _folder: folder }
    }

    fn login(&self) -> Option<&'static str> {
        self.auth.then_some(ROOT)
    }

    fn start(&self, peer: &Peer) -> Member {
        peer.start_on(peer.restore(&self.path, &["--skip-hash-check"]), &[], self.login())
    }

    /// The current revision, the one from which on history is there, and the revisions at which something was deleted.
    fn revisions(&self) -> (i64, i64, Vec<i64>) {
        // an alarm makes it exit with 1
        let output = medic(os(&["status", "--output", "json"]).chain([self.path.as_os_str()]));
        let status = parse(&output.stdout);
        let status = &status["files"][0];
        let lowest = number(&status["compact_revision"]).max(1);
        let records = records_in(&self.path);
        let deleted = records.iter().filter(|(record, _)| mvcc::is_tombstone(record));
        let deleted = deleted.map(|(record, _)| mvcc::revision_of(record).0).filter(|at| *at > lowest);
        (lowest, number(&status["revision"]), deleted.collect())
    }
}

/// How much was compared.
#[derive(Clone, Copy, Debug, Default)]
struct Compared {
    files: usize,
    compactions: usize,
    /// Compactions at a tombstone's own revision.
    at_tombstones: usize,
}

/// etcd compacts one copy while it runs, etcd-medic another one that is stopped, at each of these revisions.
fn compare(peer: &Peer, given: &Given, revisions: &[i64]) -> Compared {
    let mut compared = Compared { files: 1, ..Compared::default() };
    for &revision in revisions {
        compared.compactions += 1;
        compared.at_tombstones += usize::from(compare_at(peer, given, revision));
    }
    compared
}

/// Whether there was a tombstone of that revision.
fn compare_at(peer: &Peer, given: &Given, revision: i64) -> bool {
    let of = &format!("{} at {revision}", given.name);
    let mut theirs = given.start(peer);
    let at = revision.to_string();
    theirs.ctl(["compaction", "--physical", &at]);
    let current = theirs.revision();
    let their_hash = theirs.hash_kv(0);
    let their_keys = theirs.keys(&[]);
    theirs.stop();
    let folder = tempfile::tempdir().expect("a temporary folder");
    // where the quota was full, etcd would take no more puts
    let copy = compacted_copy(&given.path, folder.path(), &["--compact-to", &at, "--disarm"]);
    let at_tombstone = assert_same_records(peer, &records_in(&theirs.db()), &records_in(&copy), revision, of);

    let mut ours = peer.start_on(peer.restore(&copy, &[]), &[], given.login());
    assert_eq!(ours.revision(), current, "{of}");
    assert_eq!(ours.hash_kv(0), their_hash, "{of}");
    assert_eq!(their_hash.1, revision, "{of}");
    assert!(ours.keys(&[]) == their_keys, "{of}: keys");
    let before = ours.try_ctl(["get", "/", "--rev", &(revision - 1).to_string()]);
    assert!(String::from_utf8_lossy(&before.stderr).contains("compacted"), "{of}: {before:?}");
    lives_on(&mut ours, revision, current, of);
    at_tombstone
}

/// Equal, but for a tombstone of the revision itself where this etcd drops it: whether there is one.
fn assert_same_records(peer: &Peer, theirs: &Records, ours: &Records, revision: i64, of: &str) -> bool {
    let is_there = |record: &[u8]| mvcc::is_tombstone(record) && mvcc::revision_of(record).0 == revision;
    let without: Records = ours.iter().filter(|(record, _)| !is_there(record)).cloned().collect();
    let expected = if peer.keeps_tombstone_of_compaction() { ours } else { &without };
    assert!(theirs == expected, "{of}: {} records of theirs, {} of ours", theirs.len(), expected.len());
    without.len() < ours.len()
}

/// etcd goes on from a copy: puts, reads, history, another compaction, a new start.
fn lives_on(member: &mut Member, compacted: i64, current: i64, of: &str) {
    let put = |member: &Member, key: &str| member.ctl(["put", key, "throw-away text"]);
    put(member, "/interop-compact/a");
    put(member, "/interop-compact/a");
    put(member, "/interop-compact/b");
    member.ctl(["del", "/interop-compact/a"]);
    assert_eq!(member.revision(), current + 4, "{of}");
    assert_eq!(member.events(current + 1, current + 4), (3, 1), "{of}: history");
    assert_eq!(member.keys(&["--rev", &(current + 3).to_string()]).len(), member.keys(&[]).len() + 1, "{of}");
    let further = (compacted + (current - compacted) / 2).max(compacted + 1).to_string();
    member.ctl(["compaction", "--physical", &further]);
    let hash = member.hash_kv(0);
    assert_eq!(hash.1.to_string(), further, "{of}");
    let keys = member.keys(&[]);
    member.stop();
    let checked = medic_json(0, os(&["check"]).chain([member.data_dir().as_os_str()]));
    assert_eq!(checked["sound"], true, "{of}: {checked}");
    member.restart();
    assert_eq!((member.hash_kv(0), member.revision()), (hash, current + 4), "{of}");
    assert!(member.keys(&[]) == keys, "{of}");
}

/// Does the work on a few threads: starting etcd is waiting for the most part.
fn compare_all(peer: &Peer, given: Vec<(Given, Vec<i64>)>) -> Compared {
    let began = Instant::now();
    let given = Mutex::new(given);
    let next = || given.lock().expect("unpoisoned").pop();
    let total = Mutex::new(Compared::default());
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some((file, revisions)) = next() {
                    let compared = compare(peer, &file, &revisions);
                    let mut total = total.lock().expect("unpoisoned");
                    total.files += compared.files;
                    total.compactions += compared.compactions;
                    total.at_tombstones += compared.at_tombstones;
                }
            });
        }
    });
    let total = *total.lock().expect("unpoisoned");
    let _ = writeln!(
        stderr(),
        "compared with etcd's own compactions: {total:?}, in {:.0} s",
        began.elapsed().as_secs_f64()
    );
    total
}

/// The lowest that etcd takes, one between, a tombstone's own, and the current one.
fn four_of(given: &Given) -> Vec<i64> {
    let (lowest, current, deleted) = given.revisions();
    let mut random = Random(current.cast_unsigned());
    let mut revisions = BTreeSet::from([lowest + 1, lowest + (current - lowest) / 2, current]);
    revisions.extend((!deleted.is_empty()).then(|| random.one_of(&deleted)));
    revisions.into_iter().filter(|at| (lowest + 1..=current).contains(at)).collect()
}

fn files_are_compacted_alike(peer: &Peer) {
    let mut given = Vec::new();
    let folder = peer.its_files();
    for name in names_in(folder, ".db.zst").iter().filter(|name| !name.contains("snapshot")) {
        let file = Given::of_bytes(name.clone(), &fixture(&format!("{folder}/{name}.db")));
        let revisions = four_of(&file);
        given.push((file, revisions));
    }
    for name in ["k8s-3.5/k8s.db", "k8s-3.6/k8s.db", "k8s-frag/frag.db"] {
        let file = Given::of_bytes(name.to_owned(), &fixture(name));
        let revisions = four_of(&file);
        given.push((file, revisions));
    }
    let compared = compare_all(peer, given);
    assert!(compared.files == 8 && compared.compactions >= 24 && compared.at_tombstones >= 4, "{compared:?}");
}

fn the_large_corpora_are_compacted_alike(peer: &Peer) {
    let Some(folder) = std::env::var_os("ETCD_MEDIC_CORPORA") else {
        let _ = writeln!(stderr(), "LEFT OUT: the large corpora, as ETCD_MEDIC_CORPORA is not set");
        return;
    };
    let is_new = |corpus: &Corpus| !testdata("").join(corpus.name()).exists();
    let mut given = Vec::new();
    for corpus in Corpus::all_in(Path::new(&folder)).iter().filter(|corpus| is_new(corpus)) {
        // a snapshot beside its db has the same records
        for name in corpus.truth.files.keys().filter(|name| !name.contains("snapshot")) {
            let file = Given::of_bytes(name.clone(), &fs::read(corpus.file(name).path()).expect("read"));
            let (lowest, current, deleted) = file.revisions();
            let middle = lowest + (current - lowest) / 2;
            let revision = deleted.iter().find(|at| **at >= middle).copied().unwrap_or(middle);
            given.push((file, vec![revision]));
        }
    }
    let compared = compare_all(peer, given);
    assert!(compared.files > 0, "no corpora in {}", Path::new(&folder).display());
}

/// Fills a member's quota with history until etcd refuses to write.
fn fill(member: &Member, value: &str) {
    let refused = (0..500).find_map(|number| {
        let put = member.try_ctl(["put", &format!("/full/{}", number % 7), value]);
        (!put.status.success()).then_some(put)
    });
    let refused = refused.expect("the quota is filled");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("database space exceeded"), "{refused:?}");
    assert!(member.ctl(["alarm", "list"]).contains("NOSPACE"));
}

/// The one command that is to make a full member writable again.
fn cure(member: &Member) -> Value {
    let cure = ["defrag", "--in-place", "--steady", "--compact-to", "current", "--disarm"];
    let report = medic_json(0, os(&cure).chain([member.data_dir().as_os_str()]));
    assert_eq!(report["verified"], true, "{report}");
    assert_eq!(report["disarmed"][0]["alarm"], "NOSPACE", "{report}");
    assert_eq!(report["members"], 1, "{report}");
    assert_bbolt_accepts(&member.db(), "cured in place");
    report
}

const QUOTA: &str = "--quota-backend-bytes=1048576";

/// A quota that a few puts fill; then one command, and etcd takes writes again under the same quota.
fn a_full_member_is_cured_by_one_command(peer: &Peer) {
    let mut member = peer.start(&[QUOTA]);
    let value = "throw-away text ".repeat(1000);
    member.ctl(["put", "/full/gone", "text"]);
    fill(&member, &value);
    // deletions are still taken
    member.ctl(["del", "/full/gone"]);
    let (keys, revision) = (member.keys(&[]), member.revision());
    assert_eq!(keys.len(), 7);
    member.stop();
    let full = member.db().metadata().expect("the db").len();
    // a defrag alone would not do: all of it is history
    let plan = medic_json(0, os(&["plan"]).chain([member.data_dir().as_os_str()]));
    assert!(number(&plan["choices"][0]["file_bytes"]) > 800_000, "{plan}");

    let report = cure(&member);
    assert_eq!(report["compaction"]["revision"], revision, "{report}");
    assert_eq!(fs::metadata(report["kept_old"].as_str().expect("kept")).expect("there").len(), full);
    assert!(member.db().metadata().expect("the db").len() < 300_000, "{report}");

    member.restart();
    assert_eq!(member.ctl(["alarm", "list"]), "");
    assert!(member.try_ctl(["endpoint", "health"]).status.success());
    assert!(member.keys(&[]) == keys && member.revision() == revision, "as before");
    lives_on(&mut member, revision, revision, "cured");
    for number in 0..15 {
        member.ctl(["put", &format!("/full/{}", number % 7), &value]);
    }
    assert_eq!(member.ctl(["alarm", "list"]), "");
}

/// The last resort: keys under a prefix go, the newest of all among them. Everything else is as it was.
fn keys_that_were_given_up_are_gone(peer: &Peer) {
    const PREFIX: &str = "/registry/events/";
    let mut member = peer.start(&[]);
    for round in 0..3 {
        for (what, keys) in [("pods", 10), ("events", 40), ("eventful", 5)] {
            let put = |key| format!("put /registry/{what}/{key} text-{round}");
            member.txn(&(0..keys).map(put).collect::<Vec<_>>());
        }
    }
    let lease = member.grant(3600);
    member.ctl(["put", "/registry/pods/leased", "text", &format!("--lease={lease}")]);
    member.ctl(["put", "/registry/events/leased", "text", &format!("--lease={lease}")]);
    member.ctl(["del", "/registry/pods/3"]);
    member.ctl(["del", "/registry/events/3"]);
    member.ctl(["put", "/registry/events/newest", "text"]);
    let (keys, revision) = (member.keys(&[]), member.revision());
    let expected: BTreeMap<_, _> = keys
        .iter()
        .filter(|(key, _)| !key.starts_with(PREFIX.as_bytes()))
        .map(|(key, it)| (key.clone(), it.clone()))
        .collect();
    assert_eq!((keys.len() - expected.len(), expected.len()), (41, 15));
    member.stop();

    let drop = ["defrag", "--in-place", "--compact-to", "current", "--drop-prefix", PREFIX];
    let dry = medic_json(0, os(&drop).chain(os(&["--dry-run"])).chain([member.data_dir().as_os_str()]));
    // one of them was deleted before, and its tombstone is there
    let left_out = dry["left_out"]["keys"].as_array().expect("keys");
    let count = left_out.len().to_string();
    assert_eq!(count, "42", "{dry}");
    let report = medic_json(
        0,
        os(&drop).chain(os(&["--confirm-keys", &count])).chain([member.data_dir().as_os_str()]),
    );
    assert_eq!((&report["verified"], &report["left_out"]), (&true.into(), &dry["left_out"]), "{report}");
    assert_bbolt_accepts(&member.db(), "keys given up");

    member.restart();
    assert!(member.keys(&[]) == expected, "all others, and none of these");
    assert_eq!(member.revision(), revision, "it does not go back");
    let leases = member.ctl(["lease", "timetolive", &lease, "--keys"]);
    assert!(leases.contains("pods/leased") && !leases.contains("events"), "{leases}");
    lives_on(&mut member, revision, revision, "given up");
    member.ctl(["put", "/registry/events/newest", "made anew"]);
    assert_eq!(member.keys(&[]).get(&b"/registry/events/newest"[..]).map(|key| key.version), Some(1));
    member.ctl(["lease", "revoke", &lease]);
}

/// etcd is killed in the middle of a compaction: it finishes that at its next start, and so do we.
fn a_compaction_that_was_cut_short_is_finished_alike(peer: &Peer) {
    let given = Given::of_bytes("k8s-3.5/k8s.db".to_owned(), &fixture("k8s-3.5/k8s.db"));
    let (lowest, current, deleted) = given.revisions();
    let middle = lowest + (current - lowest) / 2;
    let revision = deleted.iter().find(|at| **at >= middle).copied().expect("a tombstone behind the middle");
    let before = records_in(&given.path);
    // so many records at a time, each time with 10 ms between: a few seconds in all
    let slow = peer.compaction_batch_limit(5);
    let mut theirs = peer.start_on(peer.restore(&given.path, &["--skip-hash-check"]), &[&slow], None);
    theirs.ctl(["compaction", &revision.to_string()]);
    let deadline = Instant::now() + Duration::from_millis(1000);
    while Instant::now() < deadline && !theirs.log().contains("finished scheduled compaction") {
        thread::sleep(Duration::from_millis(50));
    }
    theirs.kill();
    let halfway = records_in(&theirs.db());
    assert!(halfway.len() < before.len(), "some are gone");

    // the same folder once more, for us
    let folder = tempfile::tempdir().expect("a temporary folder");
    succeeded(
        Command::new("cp")
            .args(["-R", "--sparse=always"])
            .args([theirs.data_dir(), &folder.path().join("data")]),
    );
    let at = revision.to_string();
    // in place it is refused, as the compaction is also in the log, behind what the killed etcd had written
    let copy = folder.path().join("copy.db");
    let finish = ["defrag", "--only-member", "--compact-to", &at, "-o"];
    let finish = os(&finish);
    let report = medic_json(0, finish.chain([copy.as_os_str(), folder.path().join("data").as_os_str()]));
    fs::rename(&copy, folder.path().join("data/member/snap/db")).expect("put there");
    assert_eq!(report["compaction"]["finishes_earlier"], true, "{report}");
    let finished = folder.path().join("data/member/snap/db");
    assert_bbolt_accepts(&finished, "a compaction that was cut short");
    let ours = records_in(&finished);
    assert!(ours.len() < halfway.len(), "{} of {}: it was cut short", ours.len(), halfway.len());

    theirs.restart();
    // each start's log is its own
    let deadline = Instant::now() + Duration::from_secs(30);
    while !theirs.log().contains("finished scheduled compaction") {
        assert!(Instant::now() < deadline, "etcd finishes its compaction: {}", theirs.log());
        thread::sleep(Duration::from_millis(50));
    }
    let (hash, revision_then) = (theirs.hash_kv(0), theirs.revision());
    theirs.stop();
    assert!(
        assert_same_records(peer, &records_in(&theirs.db()), &ours, revision, "cut short"),
        "a tombstone's own"
    );
    let mut ours = peer.start_on(folder, &[], None);
    assert_eq!((ours.hash_kv(0), ours.revision()), (hash, revision_then));
    lives_on(&mut ours, revision, revision_then, "cut short");
}
