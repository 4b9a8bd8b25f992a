//! Copies beside real etcd: it must start from them, find in them all that it had, and go on.
//!
//! `tests/support/peers.rs` says how etcd is found and run. `ETCD_MEDIC_CORPORA` names larger files, as for
//! `tests/files/truth.rs`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{Write, stderr};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::corpus::Corpus;
use crate::support::peers::{
    Fingerprint, Key, Member, Peer, Process, assert_bbolt_accepts, fingerprint, medic, medic_json, number,
    parse, succeeded, with_each_newest_etcd, with_etcd,
};
use crate::support::random::Random;
use crate::support::{fixture, names_in, testdata};
use etcd_medic::internals::copy::Progress;
use etcd_medic::internals::input::DbFile;
use etcd_medic::internals::rewrite::{defrag, request::DefragRequest};
use serde_json::Value;

with_each_newest_etcd!(
    lives_on_after_a_defrag_in_place,
    lives_on_with_authentication,
    snapshots_are_restored,
    every_layout_is_lived_on,
    running_member_is_left_alone,
    etcd_started_meanwhile_keeps_its_file,
    who_waits_for_the_lock_keeps_the_file,
    every_file_keeps_its_hashes,
    starts_beside_a_defrag,
);

/// What comes next of etcd: so that we hear of it early.
mod etcd_3_8 {
    #[test]
    fn starts_from_a_copy() {
        super::with_etcd("3.8", super::starts_from_a_copy);
    }
}

/// Of its own db, and of another version's snapshot.
fn starts_from_a_copy(peer: &Peer) {
    let mut member = peer.start(&[]);
    let revisions = write_some(&member);
    let content = Content::of(&member, &revisions);
    member.stop();
    defrag_in_place(&member, &content, &[]);
    member.restart();
    Content::of(&member, &revisions).assert_is(&content);
    keeps_hashes_of(peer, &TestFile::Fixture("k8s-3.6/k8s.db".to_owned()));
}

/// Who may do everything, where authentication is on.
const ROOT: &str = "root:throw-away";

fn lives_on_after_a_defrag_in_place(peer: &Peer) {
    let mut member = peer.start(&[]);
    let revisions = write_much(&member);
    let content = Content::of(&member, &revisions);
    member.stop();
    defrag_in_place(&member, &content, &[]);
    member.restart();
    lives_on(&mut member, &content);

    // what etcd says of files that are not its own: so that their absence above means something
    member.stop();
    fs::write(member.db().with_file_name("stranger"), "text").expect("a stranger");
    member.restart();
    let is_named = strangers(&member).iter().any(|line| line.contains("stranger"));
    assert_eq!(is_named, peer.names_strangers(), "{}", member.log());
}

fn lives_on_with_authentication(peer: &Peer) {
    // the least work that passwords can be
    let mut member = peer.start(&["--bcrypt-cost=4"]);
    member.ctl(["put", "/before", "text"]);
    for user in ["root", "reader"] {
        member.ctl(["user", "add", &format!("{user}:throw-away")]);
        member.ctl(["role", "add", user]);
        member.ctl(["user", "grant-role", user, user]);
    }
    member.ctl(["role", "grant-permission", "reader", "--prefix=true", "read", "/registry/"]);
    member.ctl(["auth", "enable"]);
    member.log_in(ROOT);
    let revisions = write_much(&member);
    let content = Content::of(&member, &revisions);
    member.stop();
    defrag_in_place(&member, &content, &["--discard-old".as_ref()]);
    member.restart();
    let reader = |args: &[&str]| {
        let mut etcdctl = member.etcdctl_without_login();
        etcdctl.args(["--user", "reader:throw-away"]).args(args).output().expect("etcdctl")
    };
    let [read, write, beyond] =
        [&["get", "/registry/things/1/1"][..], &["put", "/registry/things/1/1", "no"], &["get", "/before"]]
            .map(reader);
    assert!(read.status.success() && read.stdout.starts_with(b"/registry/things/1/1"), "{read:?}");
    for refused in
        [write, beyond, member.etcdctl_without_login().args(["get", "/before"]).output().expect("etcdctl")]
    {
        assert!(!refused.status.success(), "{refused:?}");
    }
    lives_on(&mut member, &content);
}

/// A snapshot made of a stopped member's db, and one made of a snapshot, both with their SHA-256.
fn snapshots_are_restored(peer: &Peer) {
    let mut member = peer.start(&[]);
    let revisions = write_much(&member);
    let content = Content::of(&member, &revisions);
    let saved = member.snapshot("saved.db");
    member.stop();
    for (name, source) in [("of-db.db", member.data_dir()), ("of-snapshot.db", &saved)] {
        let copy = member.folder().join(name);
        let report =
            medic_json(0, os(&["defrag", "--snapshot", "-o"]).chain([copy.as_os_str(), source.as_os_str()]));
        assert_eq!(report["verified"], true, "{report}");
        let bytes = fs::read(&copy).expect("the copy");
        assert_eq!(report["target"]["file_bytes"], bytes.len());
        assert_eq!(bytes.len() % 512, 32, "{name}");
        assert_bbolt_accepts(&copy, name);
        // not to be told from a snapshot of etcd's own, so its hash is checked
        let mut restored = peer.start_on(peer.restore(&copy, &[]), &[], None);
        lives_on(&mut restored, &content);
    }
}

fn every_layout_is_lived_on(peer: &Peer) {
    let mut member = peer.start(&[]);
    let revisions = write_much(&member);
    let content = Content::of(&member, &revisions);
    member.stop();
    let layouts = [
        &["--max-node-pages", "1"][..],
        &["--max-node-pages", "4"],
        &["--max-node-pages", "16"],
        &["--page-size", "16384"],
    ];
    let mut sizes = Vec::new();
    for layout in layouts {
        let folder = tempfile::tempdir().expect("a temporary folder");
        copy_folder(member.data_dir(), &folder.path().join("data"));
        let db = folder.path().join("data/member/snap/db");
        let copy = folder.path().join("copy.db");
        let report = medic_json(
            0,
            os(&["defrag"]).chain(os(layout)).chain(os(&["-o"])).chain([&*copy, &*db].map(Path::as_os_str)),
        );
        let [pages, page_size] =
            ["max_node_pages", "page_size"].map(|field| report["target"][field].to_string());
        assert!([pages, page_size].contains(&layout[1].to_owned()), "{report}");
        assert_bbolt_accepts(&copy, &layout.join(" "));
        sizes.push(number(&report["target"]["file_bytes"]));
        fs::rename(&copy, &db).expect("renamed");
        let mut copied = peer.start_on(folder, &[], None);
        lives_on(&mut copied, &content);
    }
    assert!(sizes[0] > sizes[1] && sizes[1] >= sizes[2], "{sizes:?}");
}

fn running_member_is_left_alone(peer: &Peer) {
    let member = peer.start(&[]);
    let revisions = write_some(&member);
    let content = Content::of(&member, &revisions);
    let before = names_below(member.folder());
    let copy = member.folder().join("copy.db");
    let into_copy = [OsStr::new("-o"), copy.as_os_str()];
    let holder = format!("etcd (process {})", member.id());
    let in_place = [OsStr::new("--in-place")];
    for args in [&into_copy[..], &in_place] {
        let refused =
            medic(os(&["defrag"]).chain(args.iter().copied()).chain([member.data_dir().as_os_str()]));
        let message = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{message}");
        for words in [holder.as_str(), "etcdctl snapshot save"] {
            assert!(message.contains(words), "no `{words}` in: {message}");
        }
    }
    // --no-lock makes up for it with a copy, never in place
    let refused = medic(os(&["defrag", "--in-place", "--no-lock"]).chain([member.data_dir().as_os_str()]));
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    // nor is its db the place for another's copy
    let saved = member.snapshot("saved.db");
    let inode = || member.db().metadata().expect("the db").ino();
    let db = (inode(), names_below(member.folder()));
    let args = [OsStr::new("-o"), member.db().as_os_str(), saved.as_os_str()].map(OsStr::to_owned);
    let refused = medic(os(&["defrag", "--force"]).chain(args.iter().map(AsRef::as_ref)));
    let message = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{message}");
    assert!(message.contains(&holder), "no `{holder}` in: {message}");
    assert_eq!((inode(), names_below(member.folder())), db);
    fs::remove_file(saved).expect("removed");
    assert_eq!(names_below(member.folder()), before);
    member.ctl(["put", "/registry/after", "text"]);
    member.ctl(["del", "/registry/after"]);
    assert!(Content::of(&member, &revisions).revisions == content.revisions);
}

/// An etcd that was started while a defrag in place is under way has opened the old file, and goes on with that one.
fn etcd_started_meanwhile_keeps_its_file(peer: &Peer) {
    let mut member = peer.start(&[]);
    let revisions = write_some(&member);
    let content = Content::of(&member, &revisions);
    member.stop();
    // a defrag that has begun, and that goes on when the test likes
    let source = etcd_medic::open_with(member.db(), &etcd_medic::Lock::Exclusive.into(), Progress::SILENT)
        .expect("the db");
    let (mut etcd, endpoint) = peer.spawn(member.folder(), member.data_dir(), &Vec::new());
    await_that("etcd opens the db", || has_open(etcd.id(), &member.db()));
    assert_nothing_is_replaced(&member, &source, &format!("is in use by etcd (process {})", etcd.id()));
    drop(source);
    assert!(peer.is_ready(&mut etcd, &endpoint, None), "{}", member.log());
    let member = member.run_by(etcd, endpoint);
    assert!(Content::of(&member, &revisions) == content);
}

/// A program that waits in the kernel for the lock: bbolt's own way is to ask for it again and again.
fn who_waits_for_the_lock_keeps_the_file(peer: &Peer) {
    let mut member = peer.start(&[]);
    let revisions = write_some(&member);
    let content = Content::of(&member, &revisions);
    member.stop();
    let source = etcd_medic::open_with(member.db(), &etcd_medic::Lock::Exclusive.into(), Progress::SILENT)
        .expect("the db");
    let mut flock = Command::new("flock");
    flock.arg("--exclusive").arg(member.db()).arg("true").stdin(Stdio::null());
    let mut waiter = Process(flock.spawn().expect("flock, of util-linux"));
    await_that("flock waits", || {
        let locks = fs::read_to_string("/proc/locks").expect("Linux' table of locks");
        locks.lines().any(|line| line.contains("->") && line.contains(&format!(" {} ", waiter.id())))
    });
    assert_nothing_is_replaced(&member, &source, &format!("is in use by flock (process {})", waiter.id()));
    drop(source);
    await_that("flock ends", || waiter.has_ended());
    // and now that nobody waits any more
    defrag_in_place(&member, &content, &[]);
    member.restart();
    lives_on(&mut member, &content);
}

/// A defrag that is started at the same time as etcd, before and after it: whatever comes of it, etcd has its db under its name, and
/// what it writes is there when it is started again.
fn starts_beside_a_defrag(peer: &Peer) {
    races_with_a_defrag(peer, 2);
}

fn races_with_a_defrag(peer: &Peer, rounds: u32) {
    let mut member = peer.start(&[]);
    write_some(&member);
    member.stop();
    let mut random = Random(u64::from(peer.minor()));
    let (mut replaced, mut refused) = (0, 0);
    for round in 0..rounds {
        let [before, after] = [(); 2].map(|()| Duration::from_millis(random.between(0, 120)));
        let data_dir = member.data_dir().to_owned();
        let defrag = thread::spawn(move || {
            thread::sleep(after);
            medic(os(&["defrag", "--in-place", "--steady"]).chain([data_dir.as_os_str()]))
        });
        thread::sleep(before);
        member.restart();
        let ran = defrag.join().expect("it ran");
        match ran.status.code() {
            Some(0) => replaced += 1,
            Some(2) => refused += 1,
            _ => panic!("{ran:?}"),
        }
        assert!(has_open(member.id(), &member.db()), "round {round}: etcd has another file: {ran:?}");
        member.ctl(["put", &format!("/race/{round}"), "written"]);
        member.stop();
        let old = member.data_dir().join("member/db.before-defrag");
        assert_eq!(old.exists(), ran.status.code() == Some(0), "{ran:?}");
        let _ = fs::remove_file(old);
    }
    member.restart();
    for round in 0..rounds {
        let found = member.ctl(["get", &format!("/race/{round}"), "--print-value-only"]);
        assert_eq!(found.trim(), "written", "round {round}");
    }
    let _ =
        writeln!(stderr(), "etcd 3.{} beside a defrag: {replaced} replaced, {refused} refused", peer.minor());
}

/// Of `tests/defrag/races.rs` with real etcd.
#[test]
#[ignore = "long: about three minutes"]
fn many_starts_beside_a_defrag() {
    for version in ["3.4", "3.5.1", "3.5", "3.6", "3.7"] {
        with_etcd(version, |peer| races_with_a_defrag(peer, 20));
    }
}

fn assert_nothing_is_replaced(member: &Member, source: &DbFile, words: &str) {
    let look = || {
        let metadata = member.db().metadata().expect("the db");
        (metadata.ino(), fs::read(member.db()).expect("the db"), names_below(member.folder()))
    };
    let before = look();
    let refused =
        defrag(source, &DefragRequest::in_place(), Progress::SILENT).expect_err("refused").to_string();
    assert!(refused.contains(words), "no `{words}` in: {refused}");
    assert!(look() == before, "something was replaced, made or removed");
}

/// A defrag in place of a stopped member: what is said of it, and what becomes of the old file.
fn defrag_in_place(member: &Member, content: &Content, flags: &[&OsStr]) {
    let db = member.db();
    let old_bytes = fs::read(&db).expect("the db");
    let before = names_below(member.folder());
    fs::set_permissions(&db, fs::Permissions::from_mode(0o640)).expect("a mode");
    let args = os(&["defrag", "--in-place"]).chain(flags.iter().copied());
    let report = medic_json(0, args.chain([member.data_dir().as_os_str()]));
    assert_eq!(report["verified"], true, "{report}");
    let hash = &report["verification"]["hash_kv"];
    assert!(hash.is_null() || hash == &content.hash_kv["hash"], "{report}, {}", content.hash_kv);
    let metadata = db.metadata().expect("the db");
    assert_eq!(report["target"]["file_bytes"], metadata.len());
    assert!(metadata.len() < old_bytes.len() as u64, "{report}");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o640);
    assert_bbolt_accepts(&db, "defragmented in place");
    let mut expected = before;
    if flags.is_empty() {
        let old = member.data_dir().join("member/db.before-defrag");
        assert!(fs::read(&old).expect("the old db") == old_bytes);
        assert_eq!(report["kept_old"], old.to_str().expect("text"));
        expected.push(old);
        expected.sort();
    }
    assert_eq!(names_below(member.folder()), expected);
}

/// All that etcd had must be there, and it must be able to do all that it does: put, delete, compact, defrag, start
/// again.
fn lives_on(member: &mut Member, before: &Content) {
    let found = Content::of(member, &before.revisions.keys().copied().collect::<Vec<_>>());
    found.assert_is(before);
    assert_eq!(strangers(member), [""; 0]);

    let last = before.revisions.values().next_back().expect("a revision");
    let mut expected: BTreeMap<Vec<u8>, Fingerprint> =
        last.iter().map(|(key, state)| (key.clone(), state.value.clone())).collect();
    // between the others, behind them, and over them
    let keys = (0..200).map(|key| match key % 4 {
        0 => format!("/registry/things/{}/{}", key % 60, key % 50),
        1 => format!("/registry/things/{}/{}", key % 60, key + 1000),
        2 => format!("/registry/zebras/{key}"),
        _ => format!("/registry/things/5{}", key % 50),
    });
    let keys: Vec<String> = keys.collect();
    for (part, keys) in (0..).zip(keys.chunks(50)) {
        let values: Vec<String> = (0..keys.len()).map(|number| value(7 * part + number)).collect();
        let puts = keys.iter().zip(&values).map(|(key, value)| format!("put {key} {value}"));
        // a key stands only once in a transaction
        let puts: BTreeMap<&String, String> = keys.iter().zip(puts).collect();
        member.txn(&puts.into_values().collect::<Vec<_>>());
        expected.extend(
            keys.iter()
                .zip(values)
                .map(|(key, value)| (key.clone().into_bytes(), fingerprint(value.as_bytes()))),
        );
    }
    member.ctl(["del", "--prefix", "/registry/things/7/"]);
    member.ctl(["del", "/registry/things/8/1"]);
    expected.retain(|key, _| !key.starts_with(b"/registry/things/7/") && key != b"/registry/things/8/1");
    let written = member.revision();
    assert!(written > before.revision);
    let values_at = |member: &Member, revision: i64| {
        let keys = member.keys(&[&format!("--rev={revision}")]).into_iter();
        keys.map(|(key, state)| (key, state.value)).collect::<BTreeMap<_, _>>()
    };
    assert!(values_at(member, written) == expected);
    // what was there before is as it was, and not only in its values
    assert!(&member.keys(&[&format!("--rev={}", before.revision)]) == last);

    member.ctl(["compaction", "--physical", &written.to_string()]);
    assert!(values_at(member, written) == expected);
    member.ctl(["defrag"]);
    assert!(values_at(member, written) == expected);
    member.ctl(["put", "/registry/last", "text"]);
    let content = Content::of(member, &[written, written + 1]);

    member.stop();
    let checked = medic_json(0, os(&["check"]).chain([member.data_dir().as_os_str()]));
    assert_eq!(checked["sound"], true, "{checked}");
    member.restart();
    Content::of(member, &[written, written + 1]).assert_is(&content);
    assert_eq!(strangers(member), [""; 0]);
}

/// The copy of each etcd file that there is has the hashes of its source, by etcd's own tools.
fn every_file_keeps_its_hashes(peer: &Peer) {
    let mut files = Vec::new();
    for folder in ["etcd-3.4", "etcd-3.5"] {
        for name in names_in(folder, ".db.zst") {
            files.push(TestFile::Fixture(format!("{folder}/{name}.db")));
        }
    }
    let mut corpora = Corpus::all_in(&testdata(""));
    let folder = std::env::var_os("ETCD_MEDIC_CORPORA");
    match &folder {
        Some(folder) => {
            let is_new = |corpus: &Corpus| !testdata("").join(corpus.name()).exists();
            corpora.extend(Corpus::all_in(Path::new(folder)).into_iter().filter(is_new));
        }
        None => {
            let _ =
                writeln!(stderr(), "LEFT OUT: copies of the large corpora, as ETCD_MEDIC_CORPORA is not set");
        }
    }
    files.extend(
        corpora
            .iter()
            .flat_map(|corpus| corpus.truth.files.keys().map(move |name| TestFile::OfCorpus(corpus, name))),
    );
    assert!(files.len() >= 25, "{} files", files.len());
    let files = Mutex::new(files);
    let next = || files.lock().expect("unpoisoned").pop();
    // starting etcd is waiting for the most part
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(file) = next() {
                    keeps_hashes_of(peer, &file)
                }
            });
        }
    });
}

enum TestFile<'a> {
    /// Below `testdata/`.
    Fixture(String),
    OfCorpus(&'a Corpus, &'a String),
}

impl TestFile<'_> {
    fn name(&self) -> String {
        match self {
            Self::Fixture(name) => name.clone(),
            Self::OfCorpus(corpus, name) => format!("{}/{name}", corpus.name()),
        }
    }

    /// Puts it there.
    fn write_to(&self, path: &Path) {
        match self {
            Self::Fixture(name) => fs::write(path, fixture(name)).expect("written"),
            Self::OfCorpus(corpus, name) => {
                fs::copy(corpus.file(name).path(), path).expect("a copy");
            }
        }
    }
}

fn keeps_hashes_of(peer: &Peer, file: &TestFile<'_>) {
    let name = file.name();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [source, copy] = ["source.db", "copy.db"].map(|name| folder.path().join(name));
    file.write_to(&source);
    let report =
        medic_json(0, os(&["defrag", "--snapshot", "-o"]).chain([&*copy, &*source].map(Path::as_os_str)));
    assert_eq!(report["verified"], true, "{name}: {report}");
    assert_bbolt_accepts(&copy, &name);
    // etcd's tools may write to what they open; the sources are ours to change by now
    let allocated = number(&report["target"]["file_bytes"]) - 32;
    let [of_source, of_copy] = [&source, &copy].map(|path| peer.snapshot_status(path));
    for field in ["hash", "revision", "totalKey"] {
        assert_eq!(of_copy[field], of_source[field], "{name}: {field}");
    }
    assert_eq!(of_copy["totalSize"], allocated, "{name}");
    assert!(
        number(&of_copy["totalSize"]) <= number(&of_source["totalSize"]),
        "{name}: {of_copy} {of_source}"
    );
    // a snapshot beside its db has the same records
    if name.contains("snapshot") {
        return;
    }
    let auth = name.contains("-auth").then_some(ROOT);
    let [of_source, of_copy] = [(&source, &["--skip-hash-check"][..]), (&copy, &[])].map(|(path, flags)| {
        let member = peer.start_on(peer.restore(path, flags), &[], auth);
        hash_kv(&member)
    });
    assert_eq!(of_copy, of_source, "{name}");
}

/// What etcd has, in so far as its clients can see it.
#[derive(PartialEq)]
struct Content {
    revision: i64,
    /// Hash, its revision, and the compact revision.
    hash_kv: Value,
    /// Every key at several revisions.
    revisions: BTreeMap<i64, BTreeMap<Vec<u8>, Key>>,
    /// By their ids: how long they were granted for, and their keys.
    leases: BTreeMap<String, Value>,
    users_and_roles: Vec<String>,
}

impl Content {
    fn of(member: &Member, revisions: &[i64]) -> Self {
        let at = |&revision: &i64| (revision, member.keys(&[&format!("--rev={revision}")]));
        let listed = member.ctl(["lease", "list"]);
        let leases = listed.lines().skip(1).map(|id| {
            let mut lease = parse(member.ctl(["lease", "timetolive", id, "--keys", "-w", "json"]).as_bytes());
            let fields = lease.as_object_mut().expect("a lease");
            // what passes, and who was asked
            fields
                .retain(|name, _| !["ttl", "cluster_id", "member_id", "raft_term"].contains(&name.as_str()));
            let keys = fields.get_mut("keys").and_then(Value::as_array_mut);
            keys.into_iter().for_each(|keys| keys.sort_by_key(Value::to_string));
            (id.to_owned(), lease)
        });
        Self {
            revision: member.revision(),
            hash_kv: hash_kv(member),
            revisions: revisions.iter().map(at).collect(),
            leases: leases.collect(),
            users_and_roles: ["user", "role"].map(|what| member.ctl([what, "list"])).to_vec(),
        }
    }

    /// Not by `assert_eq`, whose message would be all of it.
    fn assert_is(&self, other: &Self) {
        assert_eq!(self.revision, other.revision);
        assert_eq!(self.hash_kv, other.hash_kv);
        assert_eq!(self.leases, other.leases);
        assert_eq!(self.users_and_roles, other.users_and_roles);
        for (revision, keys) in &self.revisions {
            assert!(Some(keys) == other.revisions.get(revision), "the keys differ at revision {revision}");
        }
        assert_eq!(self.revisions.len(), other.revisions.len());
    }
}

fn hash_kv(member: &Member) -> Value {
    let answer = parse(member.ctl(["endpoint", "hashkv", "-w", "json"]).as_bytes());
    let said = &answer[0]["HashKV"];
    assert!(said["hash"].is_u64(), "{answer}");
    serde_json::json!({
        "hash": said["hash"], "revision": said["header"]["revision"], "compact_revision": said["compact_revision"],
    })
}

/// A value of up to 3,200 bytes: few of them fill a page without a rest.
fn value(seed: usize) -> String {
    "throw-away-text-".repeat(1 + seed * 7919 % 200)
}

/// 3,000 keys; puts over them, deletions, leases; a compaction in between. Gives back revisions that etcd still has.
fn write_much(member: &Member) -> Vec<i64> {
    write(member, 60)
}

/// The same with fewer keys.
fn write_some(member: &Member) -> Vec<i64> {
    write(member, 6)
}

fn write(member: &Member, parts: usize) -> Vec<i64> {
    let put =
        |part: usize, key: usize, seed: usize| format!("put /registry/things/{part}/{key} {}", value(seed));
    for part in 0..parts {
        member.txn(&(0..50).map(|key| put(part, key, part * 50 + key)).collect::<Vec<_>>());
    }
    let leases = [3600, 86400].map(|seconds| member.grant(seconds));
    for key in 0..10 {
        let lease = format!("--lease={}", leases[key % 2]);
        member.ctl(["put", &format!("/registry/leased/{key}"), "leased", &lease]);
    }
    for part in (0..parts).step_by(3) {
        member.txn(&(0..25).map(|key| put(part, 2 * key, part + key)).collect::<Vec<_>>());
    }
    let compacted = member.revision();
    member.ctl(["del", "--prefix", "/registry/things/2"]);
    member.txn(&(0..20).map(|key| format!("del /registry/things/4/{key}")).collect::<Vec<_>>());
    member.ctl(["put", "/registry/things/4/1", "made anew"]);
    let middle = member.revision();
    member.ctl(["compaction", "--physical", &compacted.to_string()]);
    for part in (0..parts).step_by(4) {
        member.txn(&(0..40).map(|key| put(part, key, 3 * part + key)).collect::<Vec<_>>());
    }
    member.ctl(["put", "/registry/leased/1", "moved", &format!("--lease={}", leases[0])]);
    member.ctl(["del", "/registry/leased/2"]);
    vec![compacted, middle, member.revision()]
}

/// What etcd logs of files in `snap` that are not its own, in any version's words.
fn strangers(member: &Member) -> Vec<String> {
    let log = member.log();
    let is_warning = |line: &&str| {
        ["non-snap", "non snapshot", "before-defrag", "etcd-medic"].iter().any(|words| line.contains(words))
    };
    log.lines().filter(is_warning).map(str::to_owned).collect()
}

/// Every file below a folder; but for the write-ahead log's, which etcd makes ahead of time.
fn names_below(folder: &Path) -> Vec<PathBuf> {
    let mut names = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true if path.ends_with("wal") => {}
                true => folders.push(path),
                false => names.push(path),
            }
        }
    }
    names.sort();
    names
}

/// The write-ahead log is 64 MB of zeros for the most part.
fn copy_folder(from: &Path, to: &Path) {
    succeeded(Command::new("cp").args(["-R", "--sparse=always"]).args([from, to]));
}

fn await_that(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn has_open(process_id: u32, path: &Path) -> bool {
    let path = path.canonicalize().expect("a path");
    let descriptors = fs::read_dir(format!("/proc/{}/fd", process_id)).into_iter().flatten();
    descriptors
        .filter_map(Result::ok)
        .any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == path))
}

fn os<'a>(args: &'a [&'a str]) -> impl Iterator<Item = &'a OsStr> {
    args.iter().map(OsStr::new)
}
