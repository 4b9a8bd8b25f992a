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
    let mut member = history.member;
    let mut random = Random(seed() ^ u64::from(peer.minor()) << 32 ^ u64::from(peer.patch()));
    let mut outcomes = Outcomes::new();
    for number in 0..CHANGED {
        let (what, log) = changed(&segment, &mut random);
        let folder = member.folder().join(format!("changed-{number}"));
        let case = Case { folder: &folder, base: &base, version };
        case.write(&log);
        let ours = case.replay(Until::End);
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

    fn replay(&self, until: Until) -> Result<ReplayReport, ReplayError> {
        let mut request = ReplayRequest::to(self.folder.join(format!("{until:?}.db")));
        (request.until, request.version) = (until, Some(self.version));
        self.base.replay(&self.log(), &request, Progress::SILENT)
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
        if state(&report) == (point.revision, point.compact_revision, point.hash) {
            return Ok("equal");
        }
        // etcd drops all that is behind a fault in silence, or by its repair (`server/storage/wal/{decoder,repair}.go`)
        let before = self.replay(Until::Revision(point.revision));
        let is_before =
            before.is_ok_and(|report| state(&report) == (point.revision, point.compact_revision, point.hash));
        if is_before && self.log().read().num_faults > 0 {
            return Ok("etcd drops what is behind a fault");
        }
        Err(format!("etcd has {point:?}, a replay {:?} and {:?}", report.to, report.hash_kv))
    }
}

/// All but the index: etcd adds entries when it starts.
fn state(report: &ReplayReport) -> (i64, i64, i64) {
    let Point { revision, compact_revision, hash, .. } = Point::of_replay(report);
    (revision, compact_revision, hash)
}

/// What etcd has after a start on this directory, if it answers in time.
fn started_on(peer: &Peer, member: Member, data_dir: &Path) -> (Member, Option<Point>) {
    let flags = ["--unsafe-no-fsync", "--heartbeat-interval=10", "--election-timeout=100"];
    let (mut process, endpoint) = peer.spawn(member.folder(), data_dir, &flags.map(str::to_owned).to_vec());
    let has_leader = has_leader(&mut process, &endpoint);
    let mut member = member.run_by(process, endpoint);
    let point = has_leader.then(|| settled(&member, &mut Gateway::to(member.endpoint()), false).0);
    member.kill();
    (member, point)
}

fn has_leader(process: &mut Process, endpoint: &str) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !process.has_ended() && Instant::now() < deadline {
        if status(endpoint).is_some_and(|status| status.contains("\"leader\":")) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(30));
    }
    false
}

/// What it says of itself. A port that is open and silent says nothing.
fn status(endpoint: &str) -> Option<String> {
    let mut stream = TcpStream::connect(endpoint.strip_prefix("http://")?).ok()?;
    stream.set_read_timeout(Some(Duration::from_millis(500))).ok()?;
    stream.write_all(b"POST /v3/maintenance/status HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}").ok()?;
    let mut said = String::new();
    stream.read_to_string(&mut said).ok()?;
    Some(said)
}
