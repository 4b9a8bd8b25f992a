//! Logs and `.snap` files that are changed, their lengths and checksums made right again, through all that is done with the log of a
//! member: read, counted, replayed, and held against its db.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Write, stderr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use etcd_medic::internals::check::log::{LogComparison, compare_with_log};
use etcd_medic::internals::etcd::request::Request;
use etcd_medic::internals::log::count::Counter;
use etcd_medic::internals::log::summary::LogSummary;
use etcd_medic::internals::log::{Effects, LogSelect};
use etcd_medic::internals::member::message::EntryData;
use etcd_medic::internals::member::{Log, ReadLog};
use etcd_medic::internals::replay::base::Base;
use etcd_medic::{DbFile, Lock, LogFiles, Progress, ReplayError, ReplayReport, ReplayRequest};
use tempfile::TempDir;

use super::counting::{self, Step, step};
use super::support::log_changes::changed_within;
use super::support::member_log::{bytes_field, records_of, segment_after, varint};
use super::support::message_changes::change_message;
use super::support::random::Random;
use super::support::small_members::{SmallMember, small_members, write_member};
use super::watch::{one_at_a_time, watched};
use super::{everything, mutations};

/// A `.snap` file is changed in one of so many cases, a segment else.
const SNAPS: u64 = 8;

/// ```text
/// ETCD_MEDIC_MUTATIONS=1000000 cargo test --test bounds changed_in_structure
/// ```
#[test]
fn logs_changed_in_structure() {
    let _turn = one_at_a_time();
    let mut seeds: Vec<_> = small_members().into_iter().map(Seed::new).collect();
    let mut tally = Tally::default();
    for number in mutations(3000) {
        let mut random = Random(number);
        let index = random.index(seeds.len());
        let seed = &mut seeds[index];
        seed.change(&mut random);
        let name = format!("{}, change {number}", seed.member.name);
        let begun = Instant::now();
        let (done, steps) = watched(name.clone(), Duration::from_secs(10), || {
            counting::measure(|| catch_unwind(AssertUnwindSafe(|| seed.exercise(number))))
        });
        let Ok(done) = done else {
            panic!("{name}: a panic; ETCD_MEDIC_FIRST_MUTATION={number} begins with it");
        };
        tally.add(seed, &done, &steps, begun.elapsed(), &name);
        if number % 100_000 == 99_999 {
            tally.print();
        }
    }
    tally.print();
    tally.assert_all_layers_reached();
}

/// A member in a folder, whose files are changed one at a time.
struct Seed {
    member: SmallMember,
    early: DbFile,
    db: DbFile,
    data_dir: PathBuf,
    /// The files that are changed, and what they were.
    changed: Vec<(PathBuf, Vec<u8>)>,
    /// What is made of it unchanged.
    state: Option<String>,
    _folder: TempDir,
}

/// What was made of a changed member.
struct Done {
    is_snap: bool,
    num_snaps: usize,
    log_bytes: usize,
    is_faultless: bool,
    requests: u64,
    unreadable_requests: u64,
    effects: u64,
    replayed: Result<ReplayReport, ReplayError>,
    compared: Option<LogComparison>,
}

impl Seed {
    fn new(member: SmallMember) -> Self {
        let folder = TempDir::new().expect("a folder");
        let data_dir = write_member(folder.path(), Some(&member.db), &member.segments, &member.snaps);
        let early = folder.path().join("early.db");
        fs::write(&early, &member.early).expect("written");
        let open =
            |path: &PathBuf| etcd_medic::open_with(path, &Lock::None.into(), Progress::SILENT).expect("a db");
        let (early, db) = (open(&early), open(&data_dir.join("member/snap/db")));
        let mut seed =
            Self { member, early, db, data_dir, changed: Vec::new(), state: None, _folder: folder };
        let done = seed.exercise(1);
        let compared = done.compared.as_ref().expect("compared");
        assert!(
            done.is_faultless && done.unreadable_requests == 0 && compared.differing.is_empty(),
            "{compared:?}"
        );
        let has_all = seed.member.segments.len() > 1;
        assert!(compared.covered_records > 5 || !has_all, "{}: {compared:?}", seed.member.name);
        seed.state = Some(state_of(&done.replayed.expect("replayed")));
        seed
    }

    /// Changes one of its files, and makes those that were changed before what they were.
    fn change(&mut self, random: &mut Random) {
        for (path, bytes) in self.changed.drain(..) {
            fs::write(path, bytes).expect("written");
        }
        if random.below(SNAPS) == 0 {
            let (name, before) = &self.member.snaps[0];
            let path = self.data_dir.join("member/snap").join(name);
            fs::write(&path, changed_snap(before, random)).expect("written");
            self.changed.push((path, before.clone()));
            return;
        }
        let (changed, mut crc) = (random.index(self.member.segments.len()), 0);
        for (number, (name, before)) in self.member.segments.iter().enumerate() {
            let after = match number.cmp(&changed) {
                Ordering::Less => before.clone(),
                Ordering::Equal => changed_within(before, crc, random),
                // its checksums go on with those of the changed one
                Ordering::Greater => [segment_after(crc, &records_of(before).0).0, vec![0; 64]].concat(),
            };
            crc = segment_after(crc, &records_of(&after).0).1;
            if number >= changed {
                let path = self.data_dir.join("member/wal").join(name);
                fs::write(&path, after).expect("written");
                self.changed.push((path, before.clone()));
            }
        }
    }

    /// All that is done with a log.
    fn exercise(&self, number: u64) -> Done {
        let files = step("log", || {
            let files = LogFiles::open(&self.data_dir, None).expect("a log");
            drop(files.read());
            files
        });
        let log = step("log", || files.read());
        assert_eq!(Log::read(&files.segments()).is_ok(), log.num_faults == 0, "one verdict");
        let (requests, unreadable_requests) = step("requests", || decoded(&log));
        let effects = step("summary", || self.summarised(&log));
        let replayed = step("replay", || self.early.replay(&files, &ReplayRequest::dry(), Progress::SILENT));
        let compared = step("check", || compare_with_log(&self.db, &files, None)).ok();
        if number.is_multiple_of(100) {
            step("saved", || self.copies(&files));
        }
        let is_snap =
            self.changed.first().is_some_and(|(path, _)| path.extension().is_some_and(|of| of == "snap"));
        Done {
            is_snap,
            num_snaps: files.snaps.len(),
            log_bytes: files.segments().iter().map(|segment| segment.data.len()).sum(),
            is_faultless: log.num_faults == 0,
            requests,
            unreadable_requests,
            effects,
            replayed,
            compared,
        }
    }

    /// The log in plain words, counted; how many entries' effects are known.
    fn summarised(&self, log: &ReadLog<'_>) -> u64 {
        let base = Base::read(&self.early.db, &|_| {}).expect("a db");
        let mut effects = Effects::of_log(log, Some(&base), None);
        let counted = Counter::of(log, &mut effects, &LogSelect::default());
        let summary = LogSummary::new("log".as_bytes().into(), log, counted, Vec::new());
        assert_eq!(summary.entries, log.num_entries());
        assert!(summary.refused <= summary.effects_known && summary.writes <= summary.effects_known);
        summary.effects_known
    }

    /// A db rolled forward and one saved, written: both are proved as they are.
    fn copies(&self, files: &LogFiles) {
        let target = self.data_dir.join("new.db");
        if let Ok(report) = self.early.replay(files, &ReplayRequest::to(&target), Progress::SILENT) {
            assert!(report.verified && report.hash_kv.is_some());
            fs::remove_file(&target).expect("removed");
        }
        everything::saved_with_log(&self.member.db[..self.member.db.len() / 2].to_vec().into(), files);
    }
}

/// How many entries' requests can be read, and how many can't.
fn decoded(log: &ReadLog<'_>) -> (u64, u64) {
    let (mut readable, mut unreadable) = (0, 0);
    for entry in log.stretches.iter().flat_map(|stretch| stretch.entries()) {
        if let EntryData::Request(data) = entry.content {
            *(if Request::parse(data).is_ok() { &mut readable } else { &mut unreadable }) += 1;
        }
    }
    (readable, unreadable)
}

/// A `.snap` file of which a field is another; mostly with the right checksum.
fn changed_snap(snap: &[u8], random: &mut Random) -> Vec<u8> {
    if random.percent(20) {
        let mut changed = snap.to_vec();
        change_message(&mut changed, random);
        return changed;
    }
    // the checksum, and the content after it
    let content = snap.iter().position(|&byte| byte == 0x12).map_or(0, |at| at + 1);
    let mut content = &snap[content..];
    let len = prost::encoding::decode_varint(&mut content).expect("a length");
    let mut data = content[..len as usize].to_vec();
    change_message(&mut data, random);
    let mut changed = Vec::new();
    varint(&mut changed, 1, crc32c::crc32c(&data).into());
    bytes_field(&mut changed, 2, &data);
    changed
}

/// Where a replay ended.
fn state_of(report: &ReplayReport) -> String {
    format!("{:?} {} {} {}", report.to, report.keys, report.writes, report.refused)
}

/// How far the changes came, and what they took.
#[derive(Default)]
struct Tally {
    layers: BTreeMap<&'static str, u64>,
    refusals: BTreeMap<String, u64>,
    num: u64,
    peaks: BTreeMap<&'static str, usize>,
    slowest: (Duration, String),
    busy: Duration,
}

impl Tally {
    fn add(&mut self, seed: &Seed, done: &Done, steps: &[Step], elapsed: Duration, name: &str) {
        for Step { name: step, peak, .. } in steps {
            let bound = counting::log_memory_bound(done.log_bytes, step);
            assert!(*peak <= bound, "{name}: {step} takes {peak} bytes, {bound} are allowed");
            let known = self.peaks.entry(step).or_default();
            *known = (*peak).max(*known);
        }
        self.num += 1;
        self.busy += elapsed;
        if elapsed > self.slowest.0 {
            self.slowest = (elapsed, name.to_owned());
        }
        let mut count = |layer, is_reached| *self.layers.entry(layer).or_default() += u64::from(is_reached);
        count("1 a segment changed", !done.is_snap);
        count("1 a .snap changed", done.is_snap);
        count("2 .snap: taken as it is", done.is_snap && done.num_snaps > 0);
        count("2 log: no fault", !done.is_snap && done.is_faultless);
        count("2 log: faults, and entries all the same", !done.is_faultless && done.requests > 0);
        count("3 requests: one that can't be read", done.unreadable_requests > 0);
        count("3 summary: effects known", done.effects > 0);
        let is_other = done.replayed.as_ref().is_ok_and(|report| seed.state != Some(state_of(report)));
        count("4 replay: to an end", done.replayed.is_ok());
        count("4 replay: to another state than unchanged", is_other);
        count("4 replay: refused", done.replayed.is_err());
        let compared = done.compared.as_ref();
        count("5 check: records covered", compared.is_some_and(|compared| compared.covered_records > 0));
        count("5 check: records differ", compared.is_some_and(|compared| !compared.differing.is_empty()));
        count(
            "5 check: records not covered",
            compared.is_some_and(|compared| compared.not_covered_records > 0),
        );
        if let Err(error) = &done.replayed {
            let words: Vec<_> = error.to_string().split(' ').take(9).map(str::to_owned).collect();
            let words = words.join(" ").replace(|letter: char| letter.is_ascii_digit(), "");
            *self.refusals.entry(words).or_default() += 1;
        }
        if let Some(compared) = compared {
            let LogComparison { covered_records, not_covered_records, ref differing, .. } = *compared;
            assert!(differing.len() as u64 <= covered_records, "{name}: {compared:?}");
            assert!(covered_records + not_covered_records > 0, "{name}: {compared:?}");
        }
    }

    fn print(&self) {
        let Self { layers, refusals, num, peaks, slowest, busy } = self;
        let peaks: BTreeMap<_, _> = peaks.iter().map(|(step, peak)| (step, peak / 1024)).collect();
        // not by `eprintln!`, which the test harness would keep to itself
        writeln!(
            stderr(),
            "{num} changed logs and .snaps, {busy:.1?}: {layers:#?}\nrefused: {refusals:#?}\nat most KiB of memory: {peaks:?}; \
             slowest: {slowest:?}"
        )
        .expect("written");
    }

    /// In a run of any size, changes come to each layer.
    fn assert_all_layers_reached(&self) {
        assert!(self.num < 1000 || self.layers.values().all(|&reached| reached > 0), "{:?}", self.layers);
    }
}
