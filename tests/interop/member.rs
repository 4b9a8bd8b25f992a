//! A member's directory beside real etcd: which changes of its db are taken where it is, and that etcd goes on with them as with its own.
//!
//! `tests/support/peers.rs` says how etcd is found and run.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::peers::{
    Member, Peer, Process, free_ports, medic, medic_json, succeeded, with_each_etcd, without_settings,
};

with_each_etcd!(
    puts_that_were_refused_stay_refused,
    a_full_member_is_cured_at_its_logs_end,
    an_older_db_is_brought_to_its_logs_end,
    members_are_counted_after_a_restore,
    members_come_and_go,
    a_received_db_takes_the_place_of_none,
);

/// For HashKV: up to 3.5.1, the compact revision is refused if it is named.
const CURRENT: i64 = 0;
const QUOTA: &str = "--quota-backend-bytes=1048576";

fn os<'a>(args: &'a [&'a str]) -> impl Iterator<Item = &'a OsStr> {
    args.iter().map(OsStr::new)
}

/// A change where the db is.
fn in_place(data: &Path, options: &[&str]) -> (Option<i32>, String) {
    let ran = medic(os(&["defrag", "--in-place", "--steady"]).chain(os(options)).chain([data.as_os_str()]));
    (ran.status.code(), String::from_utf8(ran.stderr).expect("UTF-8"))
}

#[track_caller]
fn assert_taken(data: &Path, options: &[&str], of: &str) {
    let (code, error) = in_place(data, options);
    assert_eq!(code, Some(0), "{of}: {error}");
}

#[track_caller]
fn assert_refused(data: &Path, options: &[&str], words: &str) -> String {
    let (code, error) = in_place(data, options);
    assert!(code == Some(2) && error.contains(words), "no {words:?} in {code:?}: {error}");
    error
}

const CURE: [&str; 3] = ["--compact-to", "current", "--disarm"];

/// Fills a member's quota until etcd refuses to write.
fn fill(member: &Member) {
    let value = "throw-away text ".repeat(1000);
    let is_refused =
        |number| !member.try_ctl(["put", &format!("/full/{}", number % 7), &value]).status.success();
    assert!((0..500).any(is_refused), "the quota is filled");
    assert!(member.ctl(["alarm", "list"]).contains("NOSPACE"));
}

/// A member in NOSPACE under a quota with room, to which clients go on writing; then it is killed. The refused puts are in its
/// log, and not in its db. Gives back the revision.
fn refused_and_killed(peer: &Peer) -> (Member, i64) {
    let mut small = peer.start(&[QUOTA]);
    fill(&small);
    small.stop();
    let (folder, data) = (tempfile::tempdir().expect("a folder"), small.data_dir().to_owned());
    fs::rename(data, folder.path().join("data")).expect("moved");
    let mut member = peer.start_on(folder, &[], None);
    let revision = member.revision();
    for number in 0..20 {
        assert!(!member.try_ctl(["put", &format!("/refused/{number}"), "text"]).status.success());
    }
    member.kill();
    (member, revision)
}

fn refused_that_exist(member: &Member) -> usize {
    member
        .ctl(["get", "--prefix", "/refused/", "--keys-only"])
        .lines()
        .filter(|line| !line.is_empty())
        .count()
}

fn run_on(peer: &Peer, member: &Member, command: &str) {
    let mut shell = without_settings(Command::new("timeout"));
    let path = format!("{}:{}", peer.bin().display(), std::env::var("PATH").unwrap_or_default());
    shell.args(["60", "sh", "-c", command]).env("PATH", path).env("ETCDCTL_ENDPOINTS", member.endpoint());
    succeeded(shell.stdin(Stdio::null()));
}

#[track_caller]
fn assert_cured(member: &Member, revision: i64) {
    assert_eq!((member.revision(), refused_that_exist(member)), (revision, 0), "nothing came to life");
    assert_eq!(member.ctl(["alarm", "list"]), "");
    member.ctl(["put", "/full/0", "text"]);
}

/// The entries of the log are applied first, and then the change is made: what comes out is what etcd's own start and the same change by
/// etcdctl give.
fn puts_that_were_refused_stay_refused(peer: &Peer) {
    for change in [&CURE[..], &["--disarm"], &["--compact-to", "current"]] {
        let (mut member, revision) = refused_and_killed(peer);
        assert_taken(member.data_dir(), &["--discard-old"], "a plain defrag");
        let own_way = etcds_own_way(peer, &member, change);
        let (args, data) = (["defrag", "--in-place", "--steady"], member.data_dir().as_os_str());
        let report = medic_json(0, os(&args).chain(os(change)).chain([data]));
        assert!(report["applied"]["entries"].as_u64() > Some(0), "{report}");
        assert_eq!(report["applied"]["to"]["revision"], revision);
        member.restart();
        if !change.contains(&"--disarm") {
            assert!(member.ctl(["alarm", "list"]).contains("NOSPACE"));
            member.ctl(["alarm", "disarm"]);
        }
        assert_eq!((member.revision(), member.hash_kv(CURRENT)), own_way, "{change:?}");
        assert_cured(&member, revision);
        member.stop();
        // at the log's end, but for what 3.4 does not note
        let (code, error) = in_place(member.data_dir(), &["--compact-to", "current"]);
        assert_eq!(code, Some(0), "{error}");
    }
}

/// A db of an earlier stop beside its member's log: keys, leases and transactions are applied, and then the change is made.
fn an_older_db_is_brought_to_its_logs_end(peer: &Peer) {
    let mut member = peer.start(&[]);
    member.ctl(["put", "/interop/first", "text"]);
    member.stop();
    let older = member.folder().join("older.db");
    fs::copy(member.db(), &older).expect("copied");
    member.restart();
    member.write_some_of_everything();
    let state = |member: &Member| {
        let leases = member.ctl(["lease", "list"]).lines().count();
        (member.revision(), member.hash_kv(CURRENT), leases, member.keys(&[]))
    };
    let mut before = state(&member);
    member.kill();
    for options in [&["--keep-revisions", "1000000"][..], &["--compact-to", "current", "--disarm"]] {
        fs::copy(&older, member.db()).expect("copied");
        let args = ["defrag", "--in-place", "--discard-old"];
        let report = medic_json(0, os(&args).chain(os(options)).chain([member.data_dir().as_os_str()]));
        assert_eq!(report["applied"]["to"]["revision"], before.0);
        assert!(report["applied"]["writes"].as_u64() > Some(20), "{report}");
        let hash = report["verification"]["hash_kv"].as_i64();
        member.restart();
        let found = state(&member);
        assert_eq!((found.0, Some(found.1.0), found.2), (before.0, hash, before.2), "{options:?}");
        assert!(found.3 == before.3, "{options:?}: other keys");
        if !options.contains(&"--disarm") {
            assert_eq!(found.1, before.1, "nothing was compacted");
        }
        assert_eq!(member.ctl(["alarm", "list"]), "");
        member.ctl(["put", "/interop/again", "text"]);
        before = state(&member);
        member.kill();
    }
}

/// What etcd makes of a copy of a member by itself: revision and HashKV.
fn etcds_own_way(peer: &Peer, member: &Member, change: &[&str]) -> (i64, (i64, i64)) {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("data");
    succeeded(Command::new("cp").arg("-a").arg(member.data_dir()).arg(&copy));
    let advice = nospace_advice(&copy);
    assert!(advice.starts_with("etcdctl compact"), "{advice}");
    let mut member = peer.start_on(folder, &[], None);
    let revision = member.revision();
    if change.len() == CURE.len() {
        run_on(peer, &member, &advice);
    } else if change.contains(&"--disarm") {
        member.ctl(["alarm", "disarm"]);
    } else {
        member.ctl(["compact", "--physical", &revision.to_string()]);
        member.ctl(["alarm", "disarm"]);
    }
    // a running etcd remembers the hash of before the compaction (`server/storage/mvcc/hash.go`, `HashByRev`)
    member.stop();
    member.restart();
    let found = (member.revision(), member.hash_kv(CURRENT));
    member.stop();
    found
}

fn nospace_advice(data: &Path) -> String {
    let report = medic_json(0, os(&["analyze"]).chain([data.as_os_str()]));
    let advice = report["advice"].as_array().expect("advice");
    let advice = advice.iter().find(|advice| advice["kind"] == "alarm-nospace").expect("NOSPACE");
    advice["command"].as_str().expect("a command").to_owned()
}

/// The alarm is the last thing in the log, and etcd was stopped cleanly: from 3.5 on, the db is where the log ends; with 3.4, the alarm is
/// applied again.
fn a_full_member_is_cured_at_its_logs_end(peer: &Peer) {
    let mut member = peer.start(&[QUOTA]);
    fill(&member);
    let revision = member.revision();
    member.stop();
    assert_taken(member.data_dir(), &CURE, "cleanly stopped");
    member.restart();
    assert_cured(&member, revision);
    member.stop();
    assert_taken(member.data_dir(), &["--compact-to", "current"], "after a write");
}

/// The directories of a cluster, each restored from the same snapshot.
fn restored(peer: &Peer, snapshot: &Path, names: &[&str], folder: &Path, ports: &[[u16; 2]]) -> Vec<PathBuf> {
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let cluster: Vec<_> =
        names.iter().zip(ports).map(|(name, [_, port])| format!("{name}={}", url(*port))).collect();
    let restore = |(name, [_, port]): (&&str, &[u16; 2])| {
        let data = folder.join(name);
        let mut restore = peer.command(if peer.minor() == 4 { "etcdctl" } else { "etcdutl" });
        restore.args(["snapshot", "restore"]).arg(snapshot).arg("--data-dir").arg(&data);
        restore.args(["--name", name, "--initial-cluster", &cluster.join(",")]);
        restore.args(["--initial-cluster-token=again", "--initial-advertise-peer-urls", &url(*port)]);
        succeeded(&mut restore);
        data
    };
    names.iter().zip(ports).map(restore).collect()
}

/// Starts them, waits until they take a write, and gives back the client's URL of the first.
pub(super) fn started(
    peer: &Peer,
    data: &[PathBuf],
    names: &[&str],
    ports: &[[u16; 2]],
) -> (Vec<Process>, String) {
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let cluster: Vec<_> =
        names.iter().zip(ports).map(|(name, [_, port])| format!("{name}={}", url(*port))).collect();
    let start = |((data, name), [client, port]): ((&PathBuf, &&str), &[u16; 2])| {
        let mut etcd = without_settings(Command::new(peer.bin().join("etcd")));
        etcd.args(["--name", name, "--initial-cluster", &cluster.join(","), "--data-dir"]).arg(data);
        etcd.args(["--listen-client-urls", &url(*client), "--advertise-client-urls", &url(*client)]);
        etcd.args(["--listen-peer-urls", &url(*port), "--initial-advertise-peer-urls", &url(*port)]);
        etcd.args(["--initial-cluster-token=again"]).stdin(Stdio::null());
        let log = File::create(data.with_extension("log")).expect("a log");
        etcd.stdout(log.try_clone().expect("a handle")).stderr(log);
        Process(etcd.spawn().expect("etcd"))
    };
    let processes: Vec<_> = data.iter().zip(names).zip(ports).map(start).collect();
    let client = url(ports[0][0]);
    let deadline = Instant::now() + Duration::from_secs(40);
    let write =
        || peer.command("etcdctl").args(["--endpoints", &client, "put", "/interop/ready", "text"]).output();
    while !write().expect("etcdctl").status.success() {
        assert!(Instant::now() < deadline, "the cluster takes writes");
        thread::sleep(Duration::from_millis(100));
    }
    (processes, client)
}

pub(super) fn stop(mut processes: Vec<Process>) {
    processes.iter_mut().for_each(Process::stop);
}

/// Three from one's snapshot, one from three's: freshly restored, and after a run.
fn members_are_counted_after_a_restore(peer: &Peer) {
    let change = ["--compact-to", "current", "--discard-old"];
    let mut single = peer.start(&[]);
    single.ctl(["put", "/interop/a", "text"]);
    single.ctl(["put", "/interop/a", "text"]);
    let of_one = single.snapshot("one.db");
    single.stop();

    let folder = tempfile::tempdir().expect("a folder");
    let names = ["m1", "m2", "m3"];
    let ports = [(); 3].map(|()| free_ports());
    let data = restored(peer, &of_one, &names, folder.path(), &ports);
    for data in &data {
        assert_refused(data, &change, "one of 3 members");
        assert_taken(data, &["--discard-old"], "a plain defrag");
    }
    let (processes, client) = started(peer, &data, &names, &ports);
    let of_three = folder.path().join("three.db");
    succeeded(peer.command("etcdctl").args(["--endpoints", &client, "snapshot", "save"]).arg(&of_three));
    stop(processes);
    data.iter().for_each(|data| drop(assert_refused(data, &change, "one of 3 members")));

    let alone = tempfile::tempdir().expect("a folder");
    let ports = [free_ports()];
    let data = restored(peer, &of_three, &["alone"], alone.path(), &ports);
    assert_taken(&data[0], &change, "one, restored from three's snapshot");
    let (processes, client) = started(peer, &data, &["alone"], &ports);
    let put = ["--endpoints", &client, "put", "/interop/a", "text"];
    succeeded(peer.command("etcdctl").args(put));
    stop(processes);
    assert_taken(&data[0], &change, "one, after a run");
}

/// Members that are added and removed: a voter, a learner.
fn members_come_and_go(peer: &Peer) {
    let change = ["--compact-to", "current", "--discard-old"];
    let mut member = peer.start(&[]);
    member.ctl(["put", "/interop/a", "text"]);
    let added = member.ctl(["member", "add", "other", "--learner", "--peer-urls=http://127.0.0.1:9"]);
    let id = added.split_whitespace().nth(1).expect("an id").to_owned();
    member.ctl(["put", "/interop/a", "text"]);
    member.stop();
    assert_refused(member.data_dir(), &change, "one of 2 members");
    member.restart();
    member.ctl(["member", "remove", &id]);
    member.ctl(["put", "/interop/a", "text"]);
    member.stop();
    assert_taken(member.data_dir(), &change, "alone again");
    member.restart();
    // a voter that never comes: nothing is committed any more
    member.ctl(["member", "add", "other", "--peer-urls=http://127.0.0.1:9"]);
    member.kill();
    assert_refused(member.data_dir(), &change, "one of 2 members");
}

/// A db from the leader that was not put in place, beside one that etcd can't open, or none: the printed line is all that it takes.
fn a_received_db_takes_the_place_of_none(peer: &Peer) {
    let mut member = peer.start(&[]);
    (0..50).for_each(|number| drop(member.ctl(["put", &format!("/a/{}", number % 9), "text"])));
    let revision = member.revision();
    let hash = member.hash_kv(revision);
    for db in [Some(&b"not a db"[..]), Some(b""), None] {
        member.stop();
        let path = member.db();
        let received = path.with_file_name("0000000000000001.snap.db");
        fs::rename(&path, &received).expect("moved");
        if let Some(db) = db {
            fs::write(&path, db).expect("written");
        }
        let ran = medic([OsStr::new("check"), member.data_dir().as_os_str()]);
        assert_eq!(ran.status.code(), Some(2));
        let said = String::from_utf8(ran.stderr).expect("UTF-8");
        let command = said.lines().find_map(|line| line.strip_prefix("     $ ")).expect("a command");
        succeeded(Command::new("sh").args(["-c", command]));
        member.restart();
        assert_eq!((member.revision(), member.hash_kv(revision)), (revision, hash), "{said}");
    }
}
