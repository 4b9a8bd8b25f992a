//! Real etcd beside us, in every supported minor version, and what its own tools say.
//!
//! `ETCD_MEDIC_PEERS` names a folder as `tests/peers/build` makes it, with a folder for each version: `etcd`, `etcdctl` and
//! (from 3.5) `etcdutl`. They are the programs themselves, not wrappers, since etcd is stopped by its process id. Without the
//! variable a test says so and is skipped; with `ETCD_MEDIC_REQUIRE_PEERS=1` it fails.
//!
//! Every etcd listens on 127.0.0.1 only, on free ports, on a data dir of its own; every wait is bounded. Values and
//! passwords are throw-away text.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{LazyLock, mpsc};
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::etcd_file::put;
use super::schemas;

/// Makes a test of each function, for each etcd; what is written before a function stays before its tests.
macro_rules! with_each_etcd {
    ($($(#[$attribute:meta])* $test:ident),+ $(,)?) => {
        mod etcd_3_4 {
            $($(#[$attribute])* #[test] fn $test() { $crate::support::peers::with_etcd("3.4", super::$test); })+
        }
        mod etcd_3_5_1 {
            $($(#[$attribute])* #[test] fn $test() { $crate::support::peers::with_etcd("3.5.1", super::$test); })+
        }
        mod etcd_3_5 {
            $($(#[$attribute])* #[test] fn $test() { $crate::support::peers::with_etcd("3.5", super::$test); })+
        }
        mod etcd_3_6 {
            $($(#[$attribute])* #[test] fn $test() { $crate::support::peers::with_etcd("3.6", super::$test); })+
        }
        mod etcd_3_7 {
            $($(#[$attribute])* #[test] fn $test() { $crate::support::peers::with_etcd("3.7", super::$test); })+
        }
    };
}
pub(crate) use with_each_etcd;

/// The same for what does not depend on the patch: 3.5.1 is for the long run.
macro_rules! with_each_newest_etcd {
    ($($(#[$attribute:meta])* $test:ident),+ $(,)?) => {
        mod etcd_3_4 {
            $($(#[$attribute])* #[test] fn $test() { $crate::support::peers::with_etcd("3.4", super::$test); })+
        }
        mod etcd_3_5_1 {
            $(
                $(#[$attribute])*
                #[test]
                #[ignore = "long: an older patch, beside the newest of its minor version"]
                fn $test() { $crate::support::peers::with_etcd("3.5.1", super::$test); }
            )+
        }
        mod etcd_3_5 {
            $($(#[$attribute])* #[test] fn $test() { $crate::support::peers::with_etcd("3.5", super::$test); })+
        }
        mod etcd_3_6 {
            $($(#[$attribute])* #[test] fn $test() { $crate::support::peers::with_etcd("3.6", super::$test); })+
        }
        mod etcd_3_7 {
            $($(#[$attribute])* #[test] fn $test() { $crate::support::peers::with_etcd("3.7", super::$test); })+
        }
    };
}
pub(crate) use with_each_newest_etcd;

/// One key that exists.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    pub create_revision: i64,
    pub mod_revision: i64,
    pub version: i64,
    pub lease: i64,
    pub value: Fingerprint,
}

/// Length and SHA-256 of a value.
pub type Fingerprint = (usize, String);

pub fn fingerprint(value: &[u8]) -> Fingerprint {
    (value.len(), BASE64_STANDARD.encode(Sha256::digest(value)))
}

/// A key as etcd's clients print it as JSON: fields of zero are left out.
#[derive(Deserialize, Default)]
#[serde(default)]
struct JsonKey {
    key: String,
    create_revision: i64,
    mod_revision: i64,
    version: i64,
    lease: i64,
    value: String,
}

/// The programs of one version of etcd. What versions do differently is asked of it, by name.
#[derive(Clone)]
pub struct Peer {
    bin: PathBuf,
    /// Minor version and patch: (5, 1) of 3.5.1.
    version: (u32, u32),
}

/// Runs `test` beside the etcd in the folder `version` of the peers, as `tests/peers/build` names it.
pub fn with_etcd(version: &str, test: fn(&Peer)) {
    if let Some(peer) = Peer::named(version) {
        test(&peer);
    }
}

impl Peer {
    /// The etcd in the folder `version` of the peers.
    pub fn named(version: &str) -> Option<Self> {
        program_folder(version, "etcd").map(|bin| Self::of(bin, version))
    }
}

/// The folder `name` of the peers. Where no peers are named, that is said, and it is a failure if they are required.
pub fn program_folder(name: &str, whom: &str) -> Option<PathBuf> {
    let found = folder_of_peers();
    if found.is_none() {
        // written directly, as the test harness would hide it
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: ETCD_MEDIC_PEERS is not set, so nothing was compared with {whom} {name}"
        );
    }
    found.map(|peers| peers.join(name))
}

/// The folder that `tests/peers/build` made, absolute: some tests work in folders of their own.
fn folder_of_peers() -> Option<PathBuf> {
    if let Some(peers) = std::env::var_os("ETCD_MEDIC_PEERS") {
        return Some(Path::new(env!("CARGO_MANIFEST_DIR")).join(peers));
    }
    let required = std::env::var_os("ETCD_MEDIC_REQUIRE_PEERS").is_some_and(|value| value == "1");
    assert!(!required, "ETCD_MEDIC_PEERS is not set: name the folder that tests/peers/build made");
    None
}

/// bbolt's own `check` finds nothing in this file. Where no peers are named, that is said once in each test program.
pub fn assert_bbolt_accepts(path: &Path, of: &str) {
    static BBOLT: LazyLock<Option<PathBuf>> = LazyLock::new(|| program_folder("tools", "bbolt of"));
    let Some(tools) = &*BBOLT else { return };
    let output = bounded(&tools.join("bbolt")).arg("check").arg(path).output().expect("bbolt");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.trim_end().ends_with("OK"), "{of}: bbolt check: {output:?}");
}

/// Minor version and patch in what `etcd --version` prints first: `etcd Version: 3.5.1`.
fn version_in(says: &str) -> Option<(u32, u32)> {
    let mut parts = says.lines().next()?.strip_prefix("etcd Version: 3.")?.split(['.', '-']);
    let mut number = || parts.next()?.parse().ok();
    Some((number()?, number()?))
}

impl Peer {
    /// The programs in `bin`, which must be of this version: `3.5` is any patch of it.
    fn of(bin: PathBuf, version: &str) -> Self {
        let mut peer = Self { bin, version: (0, 0) };
        let says = text(&succeeded(peer.command("etcd").arg("--version")));
        peer.version = version_in(&says).unwrap_or_else(|| panic!("{}: {says}", peer.bin.display()));
        let (minor, patch) = peer.version;
        // what calls itself 3.8.0-alpha.0 as a module was built with the version of 3.7's beta in it
        let matches = [format!("3.{minor}"), format!("3.{minor}.{patch}")].contains(&version.to_owned());
        assert!(matches || version == "3.8", "{} is not etcd {version}: {says}", peer.bin.display());
        peer
    }

    /// The minor version: 5 of 3.5.1.
    pub fn minor(&self) -> u32 {
        self.version.0
    }

    /// Whether a compaction keeps a tombstone of its own revision: from 3.4.34 and 3.5.16 on
    /// (`server/storage/mvcc/hash.go`, `WriteKeyValue`; etcd's pulls 18274, 18474, 18475).
    pub fn keeps_tombstone_of_compaction(&self) -> bool {
        self.is_from(34, 16)
    }

    /// Whether HashKV can be asked for at the compact revision itself: `hashByRev` of `mvcc/kvstore.go` since 3.5.10
    /// (etcd's pull 16048).
    pub fn hashes_at_compact_revision(&self) -> bool {
        self.is_from(u32::MAX, 10)
    }

    /// Whether `snapshot status` counts the keys that exist, and not the entries of all buckets: since 3.6
    /// (`etcdutl/snapshot/v3_snapshot.go`, `Status`; etcd's pull 19344).
    pub fn counts_keys_that_exist(&self) -> bool {
        self.minor() >= 6
    }

    /// Whether its db says only with a change of keys how far it is: leases, alarms and compactions may be in it before their index
    /// (3.4: `mvcc/kvstore_txn.go`, `End`, calls `saveIndex`).
    pub fn writes_index_with_keys_only(&self) -> bool {
        self.minor() <= 4
    }

    /// Whether a member's row in its db stays as it was first written, without the URLs of clients and with what a promoted learner was
    /// (3.5.1: `etcdserver/api/membership/store.go`, `unsafeSaveMemberToBackend`).
    pub fn keeps_rows_of_members(&self) -> bool {
        self.version == (5, 1)
    }

    /// Whether it says at its start which files in `snap` are not its own: 3.7 looks for snapshots in its log only
    /// (`server/etcdserver/bootstrap.go`; until 3.6 `LoadNewestAvailable` lists the folder).
    pub fn names_strangers(&self) -> bool {
        self.minor() <= 6
    }

    /// How many records it compacts at a time (`server/embed/config.go`; 3.6 takes both names, 3.7 the new one only).
    pub fn compaction_batch_limit(&self, records: u32) -> String {
        let experimental = if self.minor() >= 6 { "" } else { "experimental-" };
        format!("--{experimental}compaction-batch-limit={records}")
    }

    /// From these patches of 3.4 and 3.5 on.
    fn is_from(&self, patch_of_3_4: u32, patch_of_3_5: u32) -> bool {
        match self.version {
            (4, patch) => patch >= patch_of_3_4,
            (5, patch) => patch >= patch_of_3_5,
            (minor, _) => minor >= 6,
        }
    }

    /// The patch: 1 of 3.5.1.
    pub fn patch(&self) -> u32 {
        self.version.1
    }

    /// The folder of its programs.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    pub fn command(&self, program: &str) -> Command {
        bounded(&self.bin.join(program))
    }

    /// A member of one on an empty data dir, ready.
    pub fn start(&self, flags: &[&str]) -> Member {
        self.start_on(tempfile::tempdir().expect("a temporary folder"), flags, None)
    }

    /// A member of one on the data dir `data` in a folder of its own, ready. A login is `root:throw-away`.
    pub fn start_on(&self, folder: TempDir, flags: &[&str], login: Option<&str>) -> Member {
        let data_dir = folder.path().join("data");
        let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        let login = login.map(str::to_owned);
        let (process, endpoint) = self.launch(folder.path(), &data_dir, &flags, login.as_deref());
        Member { process, endpoint, peer: self.clone(), data_dir, flags, login, folder }
    }

    /// Ports that were free a moment ago may be taken now: then it is tried again with others.
    fn launch(
        &self,
        folder: &Path,
        data_dir: &Path,
        flags: &Vec<String>,
        login: Option<&str>,
    ) -> (Process, String) {
        for _ in 0..3 {
            let (mut process, endpoint) = self.spawn(folder, data_dir, flags);
            if self.is_ready(&mut process, &endpoint, login) {
                return (process, endpoint);
            }
        }
        let log = fs::read_to_string(log_in(folder)).unwrap_or_default();
        panic!("etcd did not become ready; its log:\n{log}");
    }

    /// etcd, just started.
    pub fn spawn(&self, folder: &Path, data_dir: &Path, flags: &Vec<String>) -> (Process, String) {
        let [client, peer] = free_ports().map(|port| format!("http://127.0.0.1:{port}"));
        let mut etcd = without_settings(Command::new(self.bin.join("etcd")));
        etcd.args(["--name", "interop", "--data-dir"]).arg(data_dir);
        etcd.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        etcd.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        etcd.args(["--initial-cluster", &format!("interop={peer}")]).args(flags);
        let output = File::create(log_in(folder)).expect("a log");
        etcd.stdin(Stdio::null()).stderr(output.try_clone().expect("a handle")).stdout(output);
        (Process(etcd.spawn().expect("etcd")), client)
    }

    /// Waits for an etcd to answer; an alarm does not matter.
    pub fn is_ready(&self, process: &mut Process, endpoint: &str, login: Option<&str>) -> bool {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !process.has_ended() && Instant::now() < deadline {
            let mut status = self.command("etcdctl");
            status.args(["--endpoints", endpoint, "--command-timeout=2s"]);
            status.args(login.iter().flat_map(|login| ["--user", login])).args(["endpoint", "status"]);
            if status.output().expect("etcdctl").status.success() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        false
    }

    /// A folder whose `data` is what etcd's tool restores from a snapshot.
    pub fn restore(&self, snapshot: &Path, flags: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut restore = self.command(self.snapshot_tool());
        restore.args(["snapshot", "restore"]).arg(snapshot).arg("--data-dir").arg(folder.path().join("data"));
        // where its peers will find it: nobody will look
        let url = "http://127.0.0.1:2380";
        restore.args(["--name=interop", &format!("--initial-cluster=interop={url}")]);
        restore.arg(format!("--initial-advertise-peer-urls={url}")).args(flags);
        succeeded(&mut restore);
        folder
    }

    /// Since 3.5, what works on files has a program of its own.
    pub fn snapshot_tool(&self) -> &'static str {
        if self.minor() >= 5 { "etcdutl" } else { "etcdctl" }
    }

    /// The folder of `testdata/` with files that this version, or the newest before it, wrote.
    pub fn its_files(&self) -> &'static str {
        if self.minor() >= 5 { "etcd-3.5" } else { "etcd-3.4" }
    }

    pub fn snapshot_status(&self, snapshot: &Path) -> Value {
        let mut status = self.command(self.snapshot_tool());
        parse(&succeeded(status.args(["snapshot", "status", "-w", "json"]).arg(snapshot)))
    }
}

/// A member of one, stopped when it goes.
pub struct Member {
    process: Process,
    endpoint: String,
    peer: Peer,
    data_dir: PathBuf,
    flags: Vec<String>,
    login: Option<String>,
    /// Removed when it goes.
    folder: TempDir,
}

impl Member {
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub fn db(&self) -> PathBuf {
        self.data_dir.join("member/snap/db")
    }

    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// Its folder, once it is stopped.
    pub fn into_folder(self) -> TempDir {
        let Self { mut process, folder, .. } = self;
        process.stop();
        folder
    }

    /// Stops it, and starts it again.
    pub fn restart_cleanly(&mut self) {
        self.stop();
        self.restart();
    }

    /// Ends it as a power cut would: by SIGKILL.
    pub fn kill(&mut self) {
        self.process.0.kill().expect("killed");
        self.process.0.wait().expect("waited for");
    }

    pub fn restart(&mut self) {
        (self.process, self.endpoint) =
            self.peer.launch(self.folder.path(), &self.data_dir, &self.flags, self.login.as_deref());
    }

    /// Whose name its clients give from now on: `root:throw-away`.
    pub fn log_in(&mut self, login: &str) {
        self.login = Some(login.to_owned());
    }

    /// The folder that it has to itself: its data dir is in it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it has logged since it was started.
    pub fn log(&self) -> String {
        fs::read_to_string(log_in(self.folder())).expect("its log")
    }

    /// The same data dir, but another process runs it by now.
    pub fn run_by(self, process: Process, endpoint: String) -> Self {
        Self { process, endpoint, ..self }
    }

    pub fn etcdctl_without_login(&self) -> Command {
        let mut etcdctl = self.peer.command("etcdctl");
        etcdctl.args(["--endpoints", &self.endpoint]);
        etcdctl
    }

    pub fn etcdctl(&self) -> Command {
        let mut etcdctl = self.etcdctl_without_login();
        etcdctl.args(self.login.iter().flat_map(|login| ["--user", login]));
        etcdctl
    }

    pub fn try_ctl<const N: usize>(&self, args: [&str; N]) -> Output {
        self.etcdctl().args(args).output().expect("etcdctl")
    }

    pub fn ctl<const N: usize>(&self, args: [&str; N]) -> String {
        text(&succeeded(self.etcdctl().args(args)))
    }

    /// Several operations in one revision.
    pub fn txn(&self, operations: &[String]) {
        let path = self.folder.path().join("txn");
        // no comparison, so they are all done; and nothing to do otherwise
        fs::write(&path, format!("\n{}\n\n\n", operations.join("\n"))).expect("a file");
        let mut txn = self.etcdctl();
        txn.arg("txn").stdin(File::open(&path).expect("a file"));
        let answer = text(&succeeded(&mut txn));
        assert!(answer.starts_with("SUCCESS"), "{answer}");
    }

    pub fn grant(&self, seconds: u32) -> String {
        let answer = self.ctl(["lease", "grant", &seconds.to_string()]);
        answer.split_whitespace().nth(1).expect("a lease's id").to_owned()
    }

    /// Puts, overwrites, deletions, keys made anew, revisions of several operations, leases, keys that are no text,
    /// values of no byte and of many pages. Gives back a revision in the middle, at which there was a put.
    pub fn write_some_of_everything(&self) -> i64 {
        for key in 0..6 {
            self.ctl(["put", &format!("/interop/a/{key}"), "throw-away text"]);
        }
        for round in 0..3 {
            self.ctl(["put", "/interop/a/2", &format!("again {round}")]);
        }
        self.ctl(["put", "/interop/empty", ""]);
        self.ctl(["put", "/interop/long", &"throw-away text ".repeat(3000)]);
        self.ctl(["del", "/interop/a/3"]);
        self.ctl(["put", "/interop/a/3", "made anew"]);
        self.txn(
            &[r#"put "\x00\x01\xff\xfe" "no text""#, r#"put "\xf0\x28\x8c\x28" "\x00\xff""#]
                .map(str::to_owned),
        );
        // enough of them for leaves below a branch
        for part in 0..4 {
            let put =
                |key| format!(r#"put "/interop/many/{part}/{key}" "{}""#, "throw-away text ".repeat(10));
            self.txn(&(0..50).map(put).collect::<Vec<_>>());
        }
        let leases = [3600, 86400, 1000].map(|seconds| self.grant(seconds));
        for (key, lease) in ["a", "b", "c"].iter().zip(&leases) {
            self.ctl(["put", &format!("/interop/lease/{key}"), "leased", &format!("--lease={lease}")]);
        }
        self.ctl(["put", "/interop/lease/b", "moved", &format!("--lease={}", leases[0])]);
        self.ctl(["lease", "revoke", &leases[2]]);
        self.ctl(["put", "/interop/middle", "here it may be cut"]);
        let middle = self.revision();

        self.ctl(["del", "--prefix", "/interop/many/1/"]);
        self.ctl(["del", "/interop/a/4"]);
        self.ctl(["put", "/interop/a/2", "last"]);
        self.ctl(["put", "/interop/long", &"other throw-away text ".repeat(2000)]);
        let mixed = [r#"put "/interop/new" "text""#, r#"del "/interop/a/5""#, r#"del "/interop/empty""#];
        self.txn(&mixed.map(str::to_owned));
        self.ctl(["put", "/interop/a/5", "made anew"]);
        middle
    }

    pub fn snapshot(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        succeeded(self.etcdctl().args(["snapshot", "save"]).arg(&path));
        path
    }

    /// Hash and compact revision.
    pub fn hash_kv(&self, revision: i64) -> (i64, i64) {
        let said =
            parse(self.ctl(["endpoint", "hashkv", "--rev", &revision.to_string(), "-w", "json"]).as_bytes());
        let said = &said[0]["HashKV"];
        (number(&said["hash"]), number(&said["compact_revision"]))
    }

    pub fn revision(&self) -> i64 {
        let status = parse(self.ctl(["endpoint", "status", "-w", "json"]).as_bytes());
        number(&status[0]["Status"]["header"]["revision"])
    }

    /// Every key that exists, or did at the revision asked for.
    pub fn keys(&self, flags: &[&str]) -> BTreeMap<Vec<u8>, Key> {
        let keys = self.get_all(flags).into_iter().map(|json| {
            let key = Key {
                create_revision: json.create_revision,
                mod_revision: json.mod_revision,
                version: json.version,
                lease: json.lease,
                value: fingerprint(&base64(&json.value)),
            };
            (base64(&json.key), key)
        });
        keys.collect()
    }

    /// Of every key that exists, the record that is stored: the bytes in the bucket `key`.
    pub fn stored(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let stored = self.get_all(&[]).into_iter().map(|json| {
            let (key, value) = (base64(&json.key), base64(&json.value));
            let entry = put(json.mod_revision, &key, json.create_revision, json.version, &value, json.lease);
            (key, entry.value)
        });
        stored.collect()
    }

    fn get_all(&self, flags: &[&str]) -> Vec<JsonKey> {
        let mut get = self.etcdctl();
        let answer = parse(&succeeded(get.args(["get", "--prefix", "", "-w", "json"]).args(flags)));
        // where there is none, etcd leaves the field out
        let keys = answer["kvs"].as_array().into_iter().flatten();
        keys.map(|key| JsonKey::deserialize(key).expect("a key")).collect()
    }

    /// How many puts and deletions etcd's history has, from one revision to another, both of which have events.
    pub fn events(&self, first: i64, last: i64) -> (u64, u64) {
        let mut watch = without_settings(Command::new(self.peer.bin.join("etcdctl")));
        watch.args([
            "--endpoints",
            &self.endpoint,
            "watch",
            &format!("--rev={first}"),
            "--prefix",
            "",
            "-w",
            "json",
        ]);
        watch.args(self.login.iter().flat_map(|login| ["--user", login]));
        watch.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Process(watch.spawn().expect("etcdctl"));
        let output = BufReader::new(process.0.stdout.take().expect("a pipe"));
        let (send, receive) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| send.send(line).ok());
        });
        let (mut puts, mut deletions, mut seen) = (0, 0, 0);
        while seen < last {
            let line = receive
                .recv_timeout(Duration::from_secs(20))
                .expect("etcd's history up to the last revision");
            let answer = parse(line.as_bytes());
            for event in answer["Events"].as_array().into_iter().flatten() {
                let deletes = event["type"] == 1 || event["type"] == "DELETE";
                *(if deletes { &mut deletions } else { &mut puts }) += 1;
                seen = number(&event["kv"]["mod_revision"]);
            }
        }
        drop(process);
        reader.join().expect("the reader");
        (puts, deletions)
    }
}

fn log_in(folder: &Path) -> PathBuf {
    folder.join("etcd.log")
}

/// A program of ours, ended by its own process id when it goes.
pub struct Process(pub Child);

impl Process {
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("a child").is_some()
    }

    /// Asks it to end, waits for a while, and then ends it.
    pub fn stop(&mut self) {
        if !self.has_ended() {
            let _ = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.id())]).status();
            let deadline = Instant::now() + Duration::from_secs(15);
            while !self.has_ended() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Two ports of 127.0.0.1 that nobody listens on now.
pub fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}

/// A command that is ended should it take much too long.
pub fn bounded(program: &Path) -> Command {
    let mut command = without_settings(Command::new("timeout"));
    command.args(["--kill-after=5", "60"]).arg(program).stdin(Stdio::null());
    command
}

/// etcd and its tools take variables of these names as settings.
pub fn without_settings(mut command: Command) -> Command {
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name.as_encoded_bytes().starts_with(b"ETCD")) {
        command.env_remove(name);
    }
    command.env("ETCDCTL_API", "3");
    command
}

pub fn succeeded(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    output.stdout
}

pub fn medic<'a>(args: impl IntoIterator<Item = impl AsRef<OsStr> + 'a>) -> Output {
    let args: Vec<OsString> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
    let output =
        bounded(Path::new(env!("CARGO_BIN_EXE_etcd-medic"))).args(args).output().expect("etcd-medic");
    schemas::hold(&output.stdout);
    output
}

/// What a command prints as JSON, when it ends with this exit code.
pub fn medic_json<'a>(code: i32, args: impl IntoIterator<Item = impl AsRef<OsStr> + 'a>) -> Value {
    let args = args.into_iter().map(|arg| arg.as_ref().to_owned());
    let output = medic(args.chain(["--output", "json"].map(OsString::from)));
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    parse(&output.stdout)
}

/// Does something, and looks whether the file at `path` has the same bytes afterwards.
pub fn untouched(path: &Path, work: impl FnOnce()) {
    let hash = || Sha256::digest(fs::read(path).expect("a file"));
    let before = hash();
    work();
    assert_eq!(hash(), before, "{} was written to", path.display());
}

pub fn parse(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(json)))
}

pub fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("not a number: {value}"))
}

/// An id, as our JSON has it.
pub fn from_hex(value: &Value) -> u64 {
    let digits = value.as_str().unwrap_or_else(|| panic!("not a string: {value}"));
    u64::from_str_radix(digits, 16).unwrap_or_else(|error| panic!("{digits}: {error}"))
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

pub fn base64(text: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(text).expect("base64")
}
