//! The log of a real etcd, changed in every way, and given to it: where it starts, and a replay says a state, that is the same.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write, stderr};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use etcd_medic::{DbFile, LogFiles, Progress, ReplayError, ReplayReport, ReplayRequest, Until, Version};

use crate::support::gateway::Gateway;
use crate::support::log_changes::changed;
use crate::support::member_log::FIRST_SEGMENT;
use crate::support::peers::{Member, Peer, Process, with_each_etcd, with_etcd};
use crate::support::random::Random;

use super::recorded::{Point, settled};
use super::{History, seed, version};

with_each_etcd!(
    #[ignore = "long: 200 changed logs given to each etcd"]
    a_changed_log,
);

mod etcd_3_8 {
    use super::super::etcd_3_8::VERSION;
    use super::{give, with_etcd};

    #[ignore = "long: 200 changed logs"]
    #[test]
    fn a_changed_log() {
        with_etcd("3.8", |peer| give(peer, VERSION));
    }
}

/// Changed logs for each etcd.
const CHANGED: u64 = 200;
/// Entries of the log before it is changed, about.
const ENTRIES: usize = 80;
/// How long an etcd may take to answer.
const PATIENCE: Duration = Duration::from_secs(6);

fn a_changed_log(peer: &Peer) {
    give(peer, version(peer));
}

/// How many logs of each outcome, by what was changed.
type Outcomes = BTreeMap<&'static str, BTreeMap<&'static str, u64>>;

fn give(peer: &Peer, version: Version) {
    let history = History::make(peer, ENTRIES, seed(), true);
    let base = etcd_medic::open(&history.copies[0].0).expect("a db");
    let segment = fs::read(history.member.data_dir().join("member/wal").join(FIRST_SEGMENT)).expect("a log");
    let original = LogFiles::open(history.member.data_dir(), None).expect("a log");
    let mut member = history.member;
    let mut random = Random(seed() ^ u64::from(peer.minor()) << 32 ^ u64::from(peer.patch()));
    let mut outcomes = Outcomes::new();
    for number in 0..CHANGED {
        let (what, log) = changed(&segment, &mut random);
        let folder = member.folder().join(format!("changed-{number}"));
        let case = Case { folder: &folder, base: &base, original: &original, version };
        case.write(&log);
        let ours = case.replay(&case.log(), Until::End);
        let etcds;
        (member, etcds) = started_on(peer, member, &folder.join("data"));
        let outcome = case.outcome(ours, etcds).unwrap_or_else(|why| panic!("{what}, {number}: {why}"));
        *outcomes.entry(outcome).or_default().entry(what).or_default() += 1;
        fs::remove_dir_all(&folder).expect("removed");
    }
    let name = peer.bin().file_name().expect("a folder").to_string_lossy();
    writeln!(stderr(), "etcd {name}, {CHANGED} changed logs: {outcomes:#?}").expect("written");
}

/// A changed log and an early db: in `data` for etcd, which changes both, and in `kept`.
struct Case<'c> {
    folder: &'c Path,
    base: &'c DbFile,
    /// The log before it was changed.
    original: &'c LogFiles,
    version: Version,
}

impl Case<'_> {
    fn write(&self, log: &[u8]) {
        for folder in ["data/member/snap", "data/member/wal", "kept"] {
            fs::create_dir_all(self.folder.join(folder)).expect("a folder");
        }
        fs::copy(&self.base.path, self.folder.join("data/member/snap/db")).expect("a copy");
        for folder in ["data/member/wal", "kept"] {
            fs::write(self.folder.join(folder).join(FIRST_SEGMENT), log).expect("written");
        }
    }

    fn log(&self) -> LogFiles {
        LogFiles::of_folder(&self.folder.join("kept")).expect("a log")
    }

    fn replay(&self, log: &LogFiles, until: Until) -> Result<ReplayReport, ReplayError> {
        let mut request = ReplayRequest::to(self.folder.join("new.db"));
        (request.until, request.version, request.force) = (until, Some(self.version), true);
        self.base.replay(log, &request, Progress::SILENT)
    }

    /// Whether a log leads to this state.
    fn leads_to(&self, log: &LogFiles, wanted: State) -> bool {
        self.replay(log, Until::Revision(wanted.revision))
            .is_ok_and(|report| State::of_replay(&report) == wanted)
    }

    /// What became of it; an error where etcd and a replay contradict each other.
    fn outcome(
        &self,
        ours: Result<ReplayReport, ReplayError>,
        etcds: Option<Point>,
    ) -> Result<&'static str, String> {
        let (report, point) = match (ours, etcds) {
            (Ok(report), Some(point)) => (report, point),
            (Err(_), Some(_)) => return Ok("only etcd takes it"),
            (Ok(_), None) => return Ok("etcd does not start"),
            (Err(_), None) => return Ok("neither takes it"),
        };
        let (ours, etcds) = (State::of_replay(&report), State::of(point));
        if ours == etcds {
            return Ok("equal");
        }
        let log = self.log();
        if log.read().num_faults > 0 && self.leads_to(&log, etcds) {
            // in silence, or by its repair (`server/storage/wal/{decoder,repair}.go`)
            return Ok("etcd drops what is behind a fault");
        }
        let is_before = ours.revision <= etcds.revision
            && self.leads_to(self.original, ours)
            && self.leads_to(self.original, etcds);
        if is_before && report.warnings.iter().any(|warning| warning.contains("fault")) {
            return Ok("etcd does not see a fault that a replay names");
        }
        Err(format!("etcd has {point:?}, a replay {:?} and {:?}", report.to, report.hash_kv))
    }
}

/// All but the index: etcd adds entries when it starts.
#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    revision: i64,
    compact_revision: i64,
    hash: i64,
}

impl State {
    fn of(Point { revision, compact_revision, hash, .. }: Point) -> Self {
        Self { revision, compact_revision, hash }
    }

    fn of_replay(report: &ReplayReport) -> Self {
        Self::of(Point::of_replay(report))
    }
}

/// What etcd has after a start on this directory, if it answers in time.
fn started_on(peer: &Peer, member: Member, data_dir: &Path) -> (Member, Option<Point>) {
    let flags = ["--unsafe-no-fsync", "--heartbeat-interval=10", "--election-timeout=100"];
    let (mut process, endpoint) = peer.spawn(member.folder(), data_dir, &flags.map(str::to_owned).to_vec());
    let serves = serves(&mut process, &endpoint);
    let mut member = member.run_by(process, endpoint);
    let point = serves.then(|| settled(&member, &mut Gateway::to(member.endpoint()), false).0);
    member.kill();
    (member, point)
}

/// Whether it has applied its log, and has not ended over that.
fn serves(process: &mut Process, endpoint: &str) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !process.has_ended() && Instant::now() < deadline {
        // reads are refused as long as the alarm CORRUPT is in force
        if read(endpoint).is_some_and(|said| said.contains("\"header\"") || said.contains("corrupt cluster"))
        {
            return true;
        }
        std::thread::sleep(Duration::from_millis(30));
    }
    false
}

/// What it answers to a read. A port that is open and silent answers nothing.
fn read(endpoint: &str) -> Option<String> {
    let mut stream = TcpStream::connect(endpoint.strip_prefix("http://")?).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    let body = r#"{"key": "AA=="}"#;
    let head = format!("POST /v3/kv/range HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes()).ok()?;
    let mut said = String::new();
    stream.read_to_string(&mut said).ok()?;
    Some(said)
}
