//! `restore` beside etcd's own tool, and real etcds on what it makes.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use etcd_medic::internals::etcd::schema::State;
use etcd_medic::internals::etcd::v2_store::V2Store;
use etcd_medic::internals::member::log::Segment;
use etcd_medic::internals::member::{ReadLog, snap};
use tempfile::TempDir;

use super::member::{started, stop};
use crate::support::member_log::FIRST_SEGMENT;
use crate::support::members::unpack;
use crate::support::peers::{Peer, free_ports, medic, medic_json, parse, succeeded, with_each_newest_etcd};

with_each_newest_etcd!(
    it_is_what_etcd_s_own_tool_makes,
    a_restored_member_lives,
    users_and_their_passwords_are_restored,
    three_restored_members_live
);

const URLS: [&str; 3] = ["http://127.0.0.1:12380", "http://127.0.0.2:12380", "http://127.0.0.3:12380"];

/// The same options for both.
fn options(data_dir: &Path, bump: bool) -> Vec<OsString> {
    let cluster = format!("m1={},m2={},m3={}", URLS[0], URLS[1], URLS[2]);
    let mut options: Vec<OsString> = vec!["--data-dir".into(), data_dir.into()];
    let names = ["--name", "m2", "--initial-cluster", &cluster, "--initial-advertise-peer-urls", URLS[1]];
    options.extend(names.map(OsString::from));
    options.extend(["--initial-cluster-token", "another", "--skip-hash-check"].map(OsString::from));
    if bump {
        options.extend(["--bump-revision", "1000", "--mark-compacted"].map(OsString::from));
    }
    options
}

/// Dbs of etcd: those of directories of members, and packed ones.
fn dbs(folder: &Path) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let named = |variable: &str| std::env::var_os(variable).map(PathBuf::from).into_iter();
    for path in named("ETCD_MEDIC_MEMBERS").flat_map(|members| entries(&members)) {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if !["healthy", "mixed-log", "k8s-log", "nospace"].iter().any(|case| name.starts_with(case)) {
            continue;
        }
        let (member, db) = (unpack(&path.join("member.tar.zst")), folder.join(&name));
        fs::copy(member.path().join("m1/member/snap/db"), &db).expect("copied");
        found.push((name, db));
    }
    let corpora =
        named("ETCD_MEDIC_CORPORA").flat_map(|corpora| entries(&corpora)).filter(|path| path.is_dir());
    for path in
        corpora.flat_map(|corpus| entries(&corpus)).filter(|path| path.to_string_lossy().ends_with(".db.zst"))
    {
        let packed = File::open(&path).expect("opened");
        if packed.metadata().expect("metadata").len() < 4 << 20 {
            let db = folder.join(format!("packed-{}", found.len()));
            fs::write(&db, zstd::decode_all(packed).expect("unpacked")).expect("written");
            found.push((path.display().to_string(), db));
        }
    }
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    entries
}

fn only_file(folder: &Path, ending: &str) -> Vec<u8> {
    let names = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut found: Vec<_> = names.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    assert_eq!(found.len(), 1, "{}: {found:?}", folder.display());
    fs::read(found.pop().expect("one")).expect("read")
}

/// What both say of a data dir, as far as it must be the same.
fn said(data_dir: &Path) -> String {
    let db = data_dir.join("member/snap/db");
    let file = etcd_medic::open(&db).expect("a db");
    let state = State::read(&file.db);
    let hashes = medic_json(0, ["hash", db.to_str().expect("UTF-8")]);
    let snap = only_file(&data_dir.join("member/snap"), ".snap");
    let (head, store) = snap::parse_with_store(&snap).expect("a .snap");
    let V2Store { cluster_version, members, has_custom_content } = V2Store::parse(store).expect("a store");
    format!(
        "{:?} {} {:?} {:?} {:?} {:?} {:?} {:?} {} {head:?} {cluster_version:?} {members:?} {has_custom_content}",
        state.members,
        state.members_removed,
        state.consistent_index,
        state.term,
        state.leases,
        state.alarms,
        (state.scheduled_compact_revision, state.finished_compact_revision),
        state.cluster_version,
        hashes["hash_kv"],
    )
}

/// The same log to the byte, the same ids, members, marks and hashes, of each db that both take.
fn it_is_what_etcd_s_own_tool_makes(peer: &Peer) {
    if peer.minor() < 5 || peer.patch() == 1 && peer.minor() == 5 {
        return;
    }
    let version = format!("3.{}.{}", peer.minor(), peer.patch());
    let mut compared = 0;
    let sources = TempDir::new().expect("a folder");
    for (number, (name, db)) in dbs(sources.path()).into_iter().enumerate() {
        let folder = TempDir::new().expect("a folder");
        let [copy, theirs, ours] = ["db", "theirs", "ours"].map(|name| folder.path().join(name));
        fs::copy(&db, &copy).expect("copied");
        let bump = number % 2 == 1;
        let mut tool = peer.command("etcdutl");
        let by_tool = tool.args(["snapshot", "restore"]).arg(&copy).args(options(&theirs, bump)).output();
        if !by_tool.expect("etcdutl").status.success() {
            continue;
        }
        let restore =
            ["restore".into(), db.clone().into_os_string(), "--for".into(), OsString::from(&version)];
        let ran = medic(restore.into_iter().chain(options(&ours, bump)));
        let words = String::from_utf8_lossy(&ran.stderr).into_owned();
        if words.contains("would not start from it") {
            continue;
        }
        assert!(ran.status.success(), "{name}: {words}");
        let [our_log, their_log] = [&ours, &theirs].map(|data| only_file(&data.join("member/wal"), ".wal"));
        // 3.7 leaves fields out that are 0
        if peer.minor() < 7 {
            assert!(our_log == their_log, "{name}: the logs differ");
        }
        let [ours_says, theirs_says] =
            [&our_log, &their_log].map(|data| ReadLog::read(&[Segment { name: FIRST_SEGMENT, data }]).log);
        assert_eq!(ours_says, theirs_says, "{name}");
        assert_eq!(said(&ours), said(&theirs), "{name}");
        compared += 1;
    }
    assert!(compared > 9, "{compared} dbs");
}

/// The data dir of a member that was restored from its snapshot, and the hash that it must have.
fn restored_from(peer: &Peer, snapshot: &Path) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path().join("data");
    let [snapshot, data] = [snapshot, &data].map(|path| path.to_str().expect("UTF-8"));
    let version = format!("3.{}.{}", peer.minor(), peer.patch());
    medic_json(0, ["restore", snapshot, "--data-dir", data, "--name", "interop", "--for", &version]);
    folder
}

/// It starts, takes writes, makes snapshots, restarts; and the next minor version starts from it.
fn a_restored_member_lives(peer: &Peer) {
    let mut source = peer.start(&[]);
    source.write_some_of_everything();
    let (revision, keys) = (source.revision(), source.keys(&[]));
    let hash = source.hash_kv(revision);
    let snapshot = source.snapshot("backup.db");
    source.stop();
    let mut member = peer.start_on(restored_from(peer, &snapshot), &["--snapshot-count=5"], None);
    assert_eq!((member.revision(), member.hash_kv(revision)), (revision, hash));
    assert_eq!(member.keys(&[]), keys);
    for number in 0..12 {
        member.ctl(["put", "/interop/after", &number.to_string()]);
    }
    assert_eq!(member.ctl(["member", "list"]).lines().count(), 1);
    member.restart_cleanly();
    assert_eq!(member.revision(), revision + 12);
    member.stop();
    let data_dir = member.data_dir().to_str().expect("UTF-8").to_owned();
    medic_json(0, ["check", &data_dir]);
    medic_json(0, ["doctor", &data_dir]);
    let next = match peer.minor() {
        4 => "3.5",
        5 => "3.6",
        6 => "3.7",
        _ => return,
    };
    let Some(next) = Peer::named(next) else { return };
    let member = next.start_on(member.into_folder(), &[], None);
    assert_eq!(member.revision(), revision + 12);
    member.ctl(["put", "/interop/upgraded", "text"]);
}

/// Where authentication is on, it stays on, and the passwords are the same.
fn users_and_their_passwords_are_restored(peer: &Peer) {
    const LOGIN: &str = "root:throw-away";
    let mut open = peer.start(&[]);
    open.write_some_of_everything();
    open.ctl(["user", "add", LOGIN]);
    open.ctl(["user", "grant-role", "root", "root"]);
    open.ctl(["auth", "enable"]);
    open.stop();
    let mut source = peer.start_on(open.into_folder(), &[], Some(LOGIN));
    let (revision, keys) = (source.revision(), source.keys(&[]));
    let hash = source.hash_kv(revision);
    let snapshot = source.snapshot("backup.db");
    source.stop();
    let member = peer.start_on(restored_from(peer, &snapshot), &[], Some(LOGIN));
    assert_eq!((member.revision(), member.hash_kv(revision), member.keys(&[])), (revision, hash, keys));
    member.ctl(["put", "/interop/after", "text"]);
    let unknown = member.etcdctl_without_login().args(["get", "/interop/after"]).output().expect("etcdctl");
    assert!(!unknown.status.success(), "{unknown:?}");
}

/// They elect a leader, take writes, change their leader, get and lose a member, and start again.
fn three_restored_members_live(peer: &Peer) {
    let mut source = peer.start(&[]);
    source.write_some_of_everything();
    let snapshot = source.snapshot("backup.db");
    let (revision, hash) = (source.revision(), source.hash_kv(0).0);
    source.stop();
    let folder = TempDir::new().expect("a folder");
    let names = ["m1", "m2", "m3"];
    let ports = [(); 3].map(|()| free_ports());
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let cluster: Vec<_> =
        names.iter().zip(&ports).map(|(name, [_, port])| format!("{name}={}", url(*port))).collect();
    let restore = |(name, [_, port]): (&&str, &[u16; 2])| {
        let data = folder.path().join(name);
        let report = medic_json(
            0,
            [
                "restore",
                snapshot.to_str().expect("UTF-8"),
                "--data-dir",
                data.to_str().expect("UTF-8"),
                "--name",
                name,
                "--initial-cluster",
                &cluster.join(","),
                "--initial-cluster-token=again",
                "--initial-advertise-peer-urls",
                &url(*port),
                "--for",
                &format!("3.{}.{}", peer.minor(), peer.patch()),
            ],
        );
        assert_eq!((report["revision"].as_i64(), report["hash_kv"].as_i64()), (Some(revision), Some(hash)));
        data
    };
    let data: Vec<_> = names.iter().zip(&ports).map(restore).collect();
    let together = medic_json(
        0,
        ["doctor".to_owned()]
            .into_iter()
            .chain(data.iter().map(|data| data.to_str().expect("UTF-8").to_owned())),
    );
    assert_eq!(together["cluster"]["same_history"], true);
    let (processes, client) = started(peer, &data, &names, &ports);
    let ctl = |args: &[&str]| succeeded(peer.command("etcdctl").args(["--endpoints", &client]).args(args));
    let members = parse(&ctl(&["member", "list", "-w", "json"]));
    assert_eq!(members["members"].as_array().map(Vec::len), Some(3));
    let endpoints: Vec<_> = ports.iter().map(|[client, _]| url(*client)).collect();
    let every = endpoints.join(",");
    let mut status = peer.command("etcdctl");
    let status = parse(&eventually(status.args(["--endpoints", &every, "endpoint", "status", "-w", "json"])));
    let status = &status.as_array().expect("a list")[0]["Status"];
    let leader = status["leader"].as_u64().expect("a leader");
    let other = members["members"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|member| member["ID"].as_u64())
        .find(|id| *id != leader)
        .expect("another");
    let mut lead = peer.command("etcdctl");
    eventually(lead.args(["--endpoints", &every, "move-leader", &format!("{other:x}")]));
    ctl(&["put", "/interop/led", "text"]);
    // etcd adds one only after members have known each other for some seconds
    let mut add = peer.command("etcdctl");
    add.args(["--endpoints", &client, "member", "add", "m4", "--peer-urls=http://127.0.0.1:9"]);
    let added = String::from_utf8(eventually(&mut add)).expect("text");
    let id = added.split_whitespace().nth(1).expect("an id").to_owned();
    ctl(&["put", "/interop/four", "text"]);
    ctl(&["member", "remove", &id]);
    ctl(&["put", "/interop/three", "text"]);
    stop(processes);
    let (processes, _) = started(peer, &data, &names, &ports);
    assert_eq!(
        String::from_utf8_lossy(&ctl(&["get", "/interop/three", "--print-value-only"])).trim(),
        "text"
    );
    stop(processes);
}

/// Members that have just been started do not answer each question at once.
fn eventually(command: &mut Command) -> Vec<u8> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let output = command.output().expect("etcdctl");
        if output.status.success() {
            return output.stdout;
        }
        assert!(Instant::now() < deadline, "{command:?}: {output:?}");
        thread::sleep(Duration::from_millis(500));
    }
}
