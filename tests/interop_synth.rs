//! Made-up files beside a real etcd: it restores them, starts from them, and answers what they say.
//!
//! Which etcd is asked, and how it is kept apart, is as in `interop.rs`.
#![cfg(test)]

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use etcd_medic::rewrite::defrag::Progress;
use etcd_medic::synth::{Extent, Options, Report, Request, synth};
use serde_json::Value;
use tempfile::TempDir;

const SILENT: Progress<'static> = Progress { begin: &|_, _| {}, advance: &|_| {} };

mod etcd_3_4 {
    #[test]
    fn etcd_lives_on_from_a_made_up_file() {
        super::with_etcd("ETCD_MEDIC_ETCD_BIN_34", super::lives_on);
    }

    #[test]
    fn a_raised_alarm_is_raised() {
        super::with_etcd("ETCD_MEDIC_ETCD_BIN_34", super::alarm_is_raised);
    }
}

mod etcd_3_5 {
    #[test]
    fn etcd_lives_on_from_a_made_up_file() {
        super::with_etcd("ETCD_MEDIC_ETCD_BIN_35", super::lives_on);
    }

    #[test]
    fn a_raised_alarm_is_raised() {
        super::with_etcd("ETCD_MEDIC_ETCD_BIN_35", super::alarm_is_raised);
    }

    #[test]
    fn etcds_tools_read_it() {
        super::with_etcd("ETCD_MEDIC_ETCD_BIN_35", super::tools_read_it);
    }
}

fn with_etcd(variable: &str, test: impl FnOnce(&Peer)) {
    match std::env::var_os(variable) {
        Some(bin) => test(&Peer { bin: bin.into() }),
        None if std::env::var_os("ETCD_MEDIC_REQUIRE_PEERS").is_some() => panic!("{variable} is not set"),
        None => {
            // said even where the tests' output is caught
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: {variable} is not set, so no etcd restored a made-up file"
            );
        }
    }
}

/// Lets etcd restore the file, asks for what is in it, writes to it, compacts and defragments it.
fn lives_on(peer: &Peer) {
    let made = Made::new(Options { extent: Extent::Bytes(8 << 20), ..Options::new(5, Extent::Keys(1)) });
    let member = peer.start(&made);
    let status = &member.json(["endpoint", "status"])[0]["Status"];
    assert_eq!(status["header"]["revision"], made.report.revision);
    let counted = member.json(["get", "--prefix", "", "--keys-only"]);
    assert_eq!(counted["count"], made.report.keys);
    assert_eq!(member.ctl(["lease", "list"]).lines().count() as u64, made.report.leases + 1);

    let pods = member.json(["get", "--prefix", "/registry/pods/", "--limit=3"]);
    assert_eq!(pods["kvs"].as_array().map(Vec::len), Some(3));
    let since = format!("--rev={}", made.report.compact_revision + 1);
    let then = member.json(["get", "--prefix", "", "--keys-only", &since]);
    assert!(then["count"].as_u64() > Some(100), "history above the compaction is there: {since}");
    let before = format!("--rev={}", made.report.compact_revision - 1);
    let gone = member.command(["get", "a", &before]).output().expect("etcdctl");
    assert!(String::from_utf8_lossy(&gone.stderr).contains("has been compacted"), "{gone:?}");

    member.ctl(["put", "/interop/new", "throw-away text"]);
    assert_eq!(member.ctl(["get", "/interop/new", "--print-value-only"]).trim(), "throw-away text");
    let revision = (made.report.revision + 1).to_string();
    member.ctl(["compaction", "--physical", &revision]);
    member.ctl(["defrag"]);
    assert_eq!(member.json(["get", "--prefix", "", "--keys-only"])["count"], made.report.keys + 1);
}

fn alarm_is_raised(peer: &Peer) {
    let options = Options { nospace: true, ..Options::new(6, Extent::Bytes(2 << 20)) };
    let member = peer.start(&Made::new(options));
    assert!(member.ctl(["alarm", "list"]).contains("NOSPACE"));
    let put = member.command(["put", "/interop/new", "throw-away text"]).output().expect("etcdctl");
    assert!(String::from_utf8_lossy(&put.stderr).contains("database space exceeded"), "{put:?}");
}

fn tools_read_it(peer: &Peer) {
    let made = Made::new(Options::new(8, Extent::Bytes(8 << 20)));
    let copy = made.folder.path().join("copy.db");
    fs::copy(&made.path, &copy).expect("a copy");
    let mut status = bounded(&peer.bin.join("etcdutl"));
    let said = parse(&succeeded(status.args(["snapshot", "status", "-w", "json"]).arg(&copy)));
    assert_eq!(said["revision"], made.report.revision);
    assert_eq!(said["totalSize"], made.report.file_bytes - 32);
}

/// A made-up snapshot.
struct Made {
    folder: TempDir,
    path: PathBuf,
    report: Report,
}

impl Made {
    fn new(options: Options) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("synth.db");
        let request = Request { target: path.clone(), force: false, snapshot: true, options };
        let report = synth(&request, SILENT).expect("made");
        Self { folder, path, report }
    }
}

/// An etcd's programs.
struct Peer {
    bin: PathBuf,
}

impl Peer {
    /// Restores a file with etcd's own tool, and starts a member of one from it.
    fn start(&self, made: &Made) -> Member {
        let data_dir = made.folder.path().join("data");
        // etcdutl from 3.5 on
        let etcdutl = self.bin.join("etcdutl");
        let tool = if etcdutl.exists() { etcdutl } else { self.bin.join("etcdctl") };
        succeeded(
            bounded(&tool).args(["snapshot", "restore"]).arg(&made.path).arg("--data-dir").arg(&data_dir),
        );
        // a port that was free may be taken by the time that etcd comes to it
        (0..3).find_map(|_| self.try_start(&data_dir)).expect("etcd starts")
    }

    fn try_start(&self, data_dir: &Path) -> Option<Member> {
        let [client, peer] = free_ports().map(|port| format!("http://127.0.0.1:{port}"));
        let mut etcd = without_settings(Command::new(self.bin.join("etcd")));
        etcd.arg("--data-dir").arg(data_dir);
        etcd.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        etcd.args(["--listen-peer-urls", &peer]);
        etcd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = etcd.spawn().expect("etcd");
        let mut member = Member { process, endpoint: client, etcdctl: self.bin.join("etcdctl") };
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline && matches!(member.process.try_wait(), Ok(None)) {
            if member.command(["get", "ready"]).output().is_ok_and(|output| output.status.success()) {
                return Some(member);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        None
    }
}

/// A running etcd, ended by its own process id when it goes.
struct Member {
    process: Child,
    endpoint: String,
    etcdctl: PathBuf,
}

impl Member {
    fn command<const N: usize>(&self, args: [&str; N]) -> Command {
        let mut command = bounded(&self.etcdctl);
        command.args(["--endpoints", &self.endpoint]).args(args);
        command
    }

    fn ctl<const N: usize>(&self, args: [&str; N]) -> String {
        String::from_utf8(succeeded(&mut self.command(args))).expect("text")
    }

    fn json<const N: usize>(&self, args: [&str; N]) -> Value {
        parse(&succeeded(self.command(args).args(["-w", "json"])))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}

/// A command that is ended should it take much too long.
fn bounded(program: &Path) -> Command {
    let mut command = without_settings(Command::new("timeout"));
    command.args([OsStr::new("--kill-after=5"), OsStr::new("60"), program.as_os_str()]).stdin(Stdio::null());
    command
}

/// etcd and its tools take variables of these names as settings.
fn without_settings(mut command: Command) -> Command {
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name.as_encoded_bytes().starts_with(b"ETCD")) {
        command.env_remove(name);
    }
    command.env("ETCDCTL_API", "3");
    command
}

fn succeeded(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    output.stdout
}

fn parse(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(json)))
}
