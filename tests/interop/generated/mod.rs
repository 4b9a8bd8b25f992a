//! Requests by chance to a real etcd that is killed now and then: a replay to each entry is what etcd had when it was applied.
//!
//! | file | what is in it |
//! |---|---|
//! | [`requests`], [`txn`] | requests, of which about one in eight is refused |
//! | [`damaged`] | its log changed, and given to etcd as well |
//! | [`promoted`] | a learner becomes a voter |
//! | [`recorded`] | what etcd had at an entry, and what a replay has |

mod damaged;
mod promoted;
mod recorded;
mod requests;
mod txn;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use etcd_medic::internals::etcd::apply::{Machine, Rules};
use etcd_medic::internals::etcd::request::{Action, AlarmAction, Request};
use etcd_medic::internals::member::message::EntryData;
use etcd_medic::internals::replay::steps;
use etcd_medic::{DbFile, LogFiles, Progress, ReplayReport, ReplayRequest, Until, Version};

use crate::support::gateway::{Gateway, bytes};
use crate::support::peers::{Member, Peer, with_each_etcd, with_etcd};

use recorded::{Others, Point, settled};
use requests::{PUT, Requests};

with_each_etcd!(
    some_entries,
    #[ignore = "long: a thousand entries of each etcd"]
    a_thousand_entries,
);

mod etcd_3_8 {
    use super::{Version, compare, seed, with_etcd};

    // 3.8.0-alpha.0 is older than 3.7.1, and has not what that one changed
    pub const VERSION: Version = Version::new(3, 7, 0);

    #[test]
    fn some_entries() {
        with_etcd("3.8", |peer| compare(peer, VERSION, super::SAMPLE, 1));
    }

    #[ignore = "long: a thousand entries"]
    #[test]
    fn a_thousand_entries() {
        with_etcd("3.8", |peer| compare(peer, VERSION, super::ALL, seed()));
    }
}

/// Entries that are compared.
const SAMPLE: usize = 70;
const ALL: usize = 1100;
/// The seed of the long test.
const SEED: &str = "ETCD_MEDIC_REPLAY_SEED";
/// Every so many entries, what is no key is compared, too.
const OTHERS_EACH: usize = 20;

fn seed() -> u64 {
    std::env::var(SEED).map_or(7, |seed| seed.parse().expect("a number"))
}

fn version(peer: &Peer) -> Version {
    Version::new(3, peer.minor(), peer.patch())
}

fn some_entries(peer: &Peer) {
    compare(peer, version(peer), SAMPLE, 1);
}

fn a_thousand_entries(peer: &Peer) {
    compare(peer, version(peer), ALL, seed());
}

/// What a real etcd did, and had.
struct History {
    member: Member,
    /// Its db at each stop, the first one first, and the last entry before it.
    copies: Vec<(PathBuf, u64)>,
    /// By index.
    points: BTreeMap<u64, (Point, Option<Others>)>,
    asked: u64,
    refused: u64,
}

impl History {
    /// Asks until so many entries are known.
    fn make(peer: &Peer, num_entries: usize, seed: u64, is_calm: bool) -> Self {
        let member = peer.start(&["--unsafe-no-fsync", "--snapshot-count=300"]);
        let mut history = Self { member, copies: Vec::new(), points: BTreeMap::new(), asked: 0, refused: 0 };
        // 3.4 says in its db how far it is when the first key is written
        let mut gateway = Gateway::to(history.member.endpoint());
        gateway.ask(PUT, &serde_json::json!({"key": bytes(b"k/00"), "value": bytes(b"v0")})).expect("a put");
        history.member.stop();
        let mut gateway = history.copy_and_restart();
        let mut requests =
            Requests::new(seed ^ u64::from(peer.minor()) << 32, peer, gateway.peer_url(), is_calm);
        let mut until_killed: u64 = 45;
        while history.points.len() < num_entries {
            let request = requests.next();
            let answer = gateway.ask(request.0, &request.1);
            requests.heard(&request, &answer);
            history.asked += 1;
            history.refused += u64::from(answer.is_err());
            let with_others = history.points.len().is_multiple_of(OTHERS_EACH);
            let found = settled(&history.member, &mut gateway, with_others);
            requests.revision = found.0.revision;
            history.points.insert(found.0.index, found);
            until_killed = until_killed.saturating_sub(1);
            if until_killed == 0 && requests.may_be_killed() {
                if requests.is_alarm_in_doubt() {
                    // until its db has all of it: what is applied again at a start meets other alarms
                    std::thread::sleep(Duration::from_millis(500));
                }
                history.member.kill();
                gateway = history.copy_and_restart();
                requests.killed();
                until_killed = requests.random.between(40, 160);
            }
        }
        history.member.kill();
        history
    }

    fn copy_and_restart(&mut self) -> Gateway {
        let copy = self.member.folder().join(format!("copy-{}.db", self.copies.len()));
        fs::copy(self.member.db(), &copy).expect("a copy");
        self.copies.push((copy, self.points.last_key_value().map_or(0, |(index, _)| *index)));
        self.member.restart();
        Gateway::to(self.member.endpoint())
    }
}

fn compare(peer: &Peer, version: Version, num_entries: usize, seed: u64) {
    let history = History::make(peer, num_entries, seed, false);
    let log = LogFiles::open(history.member.data_dir(), None).expect("a log");
    let base = etcd_medic::open(&history.copies[0].0).expect("a db");
    let mut last = None;
    for (index, (point, others)) in &history.points {
        let target = history.member.folder().join(format!("{index}.db"));
        let report = replay(&base, &log, version, *index, &target);
        assert_eq!(Point::of_replay(&report), *point, "{} {version}", said_of(&log, *index));
        if let Some(others) = others {
            assert_eq!(Others::of_db(&target), *others, "{} {version}", said_of(&log, *index));
        }
        fs::remove_file(target).expect("removed");
        last = Some(report);
    }
    let num_others = from_nothing(&history, &log, version);
    let from_later = from_later_copies(&history, &log, version, peer.writes_index_with_keys_only());
    let last = last.expect("an entry");
    writeln!(
        stderr(),
        "etcd {}, by the rules of {version}, seed {seed}: {} entries compared, what is no key at {num_others} of them, {from_later} from dbs of {} kills; \
         {} of {} entries were refused by {:?}; {} of {} requests",
        peer.bin().file_name().expect("a folder").to_string_lossy(),
        history.points.len(),
        history.copies.len() - 1,
        last.refused,
        last.entries,
        last.refused_by,
        history.refused,
        history.asked,
    )
    .expect("written");
}

fn replay(base: &DbFile, log: &LogFiles, version: Version, index: u64, target: &Path) -> ReplayReport {
    let mut request = ReplayRequest::to(target);
    (request.force, request.until, request.version) = (true, Until::Index(index), Some(version));
    base.replay(log, &request, Progress::SILENT).unwrap_or_else(|error| panic!("{index}: {error}"))
}

/// The entries one by one, without a db: members and the cluster's version are there, too, from the first one on.
fn from_nothing(history: &History, log: &LogFiles, version: Version) -> usize {
    let read = log.read();
    let mut machine = Machine::empty(Rules::of(version));
    let mut compared = 0;
    for (index, (point, others)) in &history.points {
        steps::run(&mut machine, &read, *index, &mut |_| {}, &mut |_| true).expect("applied");
        let found = (machine.store.revision, machine.store.compact_revision.max(0));
        assert_eq!(found, (point.revision, point.compact_revision), "{}", said_of(log, *index));
        if let Some(others) = others {
            assert_eq!(Others::of_machine(&machine), *others, "{}", said_of(log, *index));
            compared += 1;
        }
    }
    compared
}

/// From the db of each kill, which lacks what etcd had not yet written, on into its next life.
fn from_later_copies(history: &History, log: &LogFiles, version: Version, from_next_life: bool) -> usize {
    let mut compared = 0;
    for (copy, last) in &history.copies[1..] {
        let base = etcd_medic::open(copy).expect("a db");
        let mut dry = ReplayRequest::dry();
        dry.version = Some(version);
        let from = base.replay(log, &dry, Progress::SILENT).expect("a replay").from.index;
        // what changed no key may be in the db, and its index not: then the db is right from where it was stopped on
        let first = if from_next_life { last + 1 } else { from };
        for (index, (point, _)) in history.points.range(first..).take(10) {
            // another name each time: a process that another test starts may have the last one open for a moment
            let target = copy.with_extension(format!("{index}.db"));
            let report = replay(&base, log, version, *index, &target);
            assert_eq!(Point::of_replay(&report), *point, "from {from}: {}", said_of(log, *index));
            fs::remove_file(target).expect("removed");
            compared += 1;
        }
    }
    compared
}

/// The entry, those before it, and every change of members and alarms until then.
fn said_of(log: &LogFiles, index: u64) -> String {
    let read = log.read();
    let entries = read.stretches.iter().flat_map(|stretch| stretch.entries()).filter_map(|entry| {
        let near = (index.saturating_sub(4)..=index).contains(&entry.index);
        let said = match entry.content {
            EntryData::ConfChange(change, context) => format!("{change:?} {}", String::from_utf8_lossy(context)),
            EntryData::Request([]) => "nothing".to_owned(),
            EntryData::Request(data) => match Request::parse(data) {
                Ok(request) if near || matches!(request.action, Action::Alarm { action, .. } if action != AlarmAction::Get) => {
                    format!("{:?}", request.action)
                }
                Ok(_) => return None,
                Err(error) => error.to_string(),
            },
        };
        (entry.index <= index).then(|| format!("{} (term {}): {said}", entry.index, entry.term))
    });
    entries.collect::<Vec<_>>().join("\n")
}
