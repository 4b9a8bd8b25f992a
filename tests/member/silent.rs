//! Silent damage: a byte of a value that changed in a db. No checksum of the db shows it, only the log of its member does: where the
//! log covers the record it is found, and where not, the record is among those that are said to be out of its reach.

use std::fs;
use std::io::{Write, stderr};
use std::path::Path;

use bytes::Bytes;
use etcd_medic::LogFiles;
use etcd_medic::internals::bolt::Db;
use etcd_medic::internals::bolt::entries::for_each_entry;
use etcd_medic::internals::check::log::{DifferingRecord, LogComparison, compare_with_log};
use etcd_medic::internals::etcd::request::{Action, Request};
use etcd_medic::internals::etcd::schema::State;
use etcd_medic::internals::etcd::{KeyValue, RecordKey};
use etcd_medic::internals::input::DbFile;
use etcd_medic::internals::input::named::Named;
use etcd_medic::internals::member::frame::{Frame, Frames};
use etcd_medic::internals::member::message::{EntryData, RaftEntry};
use etcd_medic::internals::member::record::{RecordType, WalRecord};
use etcd_medic::internals::text::ByteText;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::replayed::corpora;
use crate::support::members::unpack;
use crate::support::program::run;
use crate::support::random::Random;
use crate::support::small_members::{SmallMember, small_members, write_member};
use crate::support::testdata;

/// Values that are changed in each db in the usual run.
const USUAL_CHANGES: usize = 5;
/// And in the long one.
const ALL_CHANGES: usize = 200;
/// Zeros that are left behind a log's end.
const ZEROS: usize = 4096;

#[test]
fn silent_damage_is_found_where_the_log_covers_it() {
    change(USUAL_CHANGES);
}

#[test]
#[ignore = "long: 200 values changed in each db that has a log"]
fn silent_damage_is_found_at_any_place() {
    change(ALL_CHANGES);
}

/// A record of a db, and where its value is in the file.
struct Stored {
    record: RecordKey,
    key: ByteText,
    at: usize,
    len: usize,
}

impl Stored {
    fn is(&self, differing: &DifferingRecord) -> bool {
        let place = (self.record.revision.main, self.record.revision.sub);
        place == (differing.revision, differing.sub_revision)
            && self.key == differing.key
            && differing.what == "value"
    }

    fn is_covered(&self, compared: &LogComparison) -> bool {
        let main = self.record.revision.main;
        compared.covered_revisions.iter().any(|&[first, last]| (first..=last).contains(&main))
    }
}

/// A member's db and log.
struct Pair {
    db: Vec<u8>,
    log: LogFiles,
    _log_folder: TempDir,
    records: Vec<Stored>,
}

impl Pair {
    /// `None` where the directory lacks one of them, or the db can't be compared.
    fn open(dir: &Path) -> Option<(Self, LogComparison)> {
        let whole = LogFiles::open(dir, None).ok()?;
        let db = [dir.join("member/snap/db"), dir.join("snap/db")].iter().find_map(|db| fs::read(db).ok())?;
        let log_folder = without_zeros(&whole);
        let log = LogFiles::of_folder(log_folder.path()).expect("a log");
        let records = records(&db)?;
        let pair = Self { db, log, _log_folder: log_folder, records };
        let compared = pair.compare(|_| {})?;
        let by_whole = compare_with_log(&file(pair.db.clone()), &whole, None).expect("compared");
        let (path, log_fault) = (compared.path.clone(), compared.log_fault.clone());
        assert_eq!(LogComparison { path, log_fault, ..by_whole }, compared, "{}", dir.display());
        Some((pair, compared))
    }

    fn compare(&self, change: impl FnOnce(&mut [u8])) -> Option<LogComparison> {
        let mut db = self.db.clone();
        change(&mut db);
        compare_with_log(&file(db), &self.log, None).ok()
    }
}

fn file(db: Vec<u8>) -> DbFile {
    let db = Db::new(Bytes::from(db)).expect("a db");
    DbFile {
        path: "db".into(),
        db,
        read_without_lock: false,
        packed: None,
        log: None,
        named: Named::default(),
    }
}

/// Its segments, without most of the zeros behind the end, which take long to read.
fn without_zeros(log: &LogFiles) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for segment in log.segments() {
        let end = segment.data.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        let end = (end + ZEROS).next_multiple_of(8).min(segment.data.len());
        fs::write(folder.path().join(segment.name), &segment.data[..end]).expect("written");
    }
    folder
}

fn records(bytes: &[u8]) -> Option<Vec<Stored>> {
    let db = Db::new(bytes.to_vec()).ok()?;
    let state = State::read(&db);
    let mut found = Vec::new();
    for_each_entry(&db, state.key_bucket.as_ref()?, |entry| {
        let (Some(record), Ok(kv)) = (RecordKey::parse(entry.key), KeyValue::parse(entry.value)) else {
            return;
        };
        let at =
            if kv.value.is_empty() { 0 } else { db.offset_in_file(kv.value).expect("in the file") as usize };
        found.push(Stored { record, key: ByteText(kv.key.to_vec()), at, len: kv.value.len() });
    });
    Some(found)
}

/// What became of the changes in a db, or in all.
#[derive(Default)]
struct Tally {
    records: u64,
    covered: u64,
    found: u64,
    out_of_reach: u64,
    /// Out of reach, too, as one of two entries may have written them.
    of_two_entries: u64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.covered += other.covered;
        self.found += other.found;
        self.out_of_reach += other.out_of_reach;
        self.of_two_entries += other.of_two_entries;
    }

    fn print(&self, name: &str) {
        let Self { records, covered, found, out_of_reach, of_two_entries } = self;
        let share = 100.0 * *covered as f64 / (*records).max(1) as f64;
        writeln!(
            stderr(),
            "{name}: the log covers {covered} of {records} records ({share:.1} %); {found} changed values were found, \
             {out_of_reach} are said to be out of its reach, {of_two_entries} to be of one of two entries"
        )
        .expect("written");
    }
}

fn change(changes: usize) {
    let (mut all, mut dbs) = (Tally::default(), 0);
    for (case, folder, truth) in member_corpora() {
        let members = truth["members"].as_object().into_iter().flatten().map(|(member, _)| member.as_str());
        // an archive of testdata is one directory
        let itself = truth["members"].is_null().then_some("");
        for member in members.chain(itself) {
            let name = format!("{case} {member}");
            let Some((pair, untouched)) = Pair::open(&folder.path().join(member)) else {
                writeln!(stderr(), "{name}: no db that can be compared with a log").expect("written");
                continue;
            };
            let diverged = Some(&truth["diverged"]).filter(|diverged| diverged["member"] == member);
            let expected = diverged.and_then(|diverged| diverged["revision"].as_i64());
            let differing = untouched.differing.iter().map(|differing| differing.revision);
            assert!(differing.eq(expected), "{name}: {untouched:?}");
            assert_eq!(untouched.effects_beyond, None, "{name}");
            let tally = pair.change_values(&name, &untouched, changes, dbs);
            tally.print(&name);
            all.add(&tally);
            dbs += 1;
        }
    }
    all.print(&format!("{dbs} dbs"));
    assert!(all.found > all.out_of_reach && all.out_of_reach > 0);
}

fn member_corpora() -> Vec<(String, TempDir, Value)> {
    let mut corpora = corpora("");
    for version in ["3.5", "3.7"] {
        let name = format!("field/disarm-behind-its-log/etcd-{version}");
        let folder = unpack(&testdata(&format!("{name}/member.tar.zst")));
        corpora.push((name, folder, Value::Null));
    }
    for member in small_members() {
        corpora.push(made(&member, false));
        corpora.push(made(&member, true));
    }
    corpora
}

/// A small member; with a gap, of which this put of the last segment is damaged, the last one being 0.
fn made_with(member: &SmallMember, gap: Option<usize>) -> Option<(String, TempDir, Value)> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut segments = member.segments.clone();
    if let (Some(number), Some((_, segment))) = (gap, segments.last_mut()) {
        let at = *puts(segment).iter().rev().nth(number)?;
        segment[at] ^= 0x10;
    }
    write_member(folder.path(), Some(&member.db), &segments, &member.snaps);
    let name = format!("made: {}{}", member.name, if gap.is_some() { ", with a gap" } else { "" });
    Some((name, folder, json!({"members": {"data": {}}})))
}

fn made(member: &SmallMember, has_gap: bool) -> (String, TempDir, Value) {
    made_with(member, has_gap.then_some(0)).expect("a put")
}

/// Where a byte of each put of a segment is.
fn puts(segment: &[u8]) -> Vec<usize> {
    let mut frames = Frames::of(segment);
    let frames = std::iter::from_fn(|| frames.next_frame().ok().flatten());
    let is_put = |frame: &Frame<'_>| {
        let record = WalRecord::parse(frame.record, 0).expect("a record");
        let entry = RaftEntry::parse(record.data).ok().filter(|_| record.kind == RecordType::Entry);
        let Some(EntryData::Request(data)) = entry.map(|entry| entry.content) else { return false };
        Request::parse(data).is_ok_and(|request| matches!(request.action, Action::Put(_)))
    };
    frames.filter(is_put).map(|put| put.begin + 8 + put.record.len() / 2).collect()
}

/// Of a damaged put whose record is there; one that was refused, or compacted away, takes nothing with it.
#[test]
fn what_is_not_covered_is_said() {
    for member in small_members().iter().filter(|member| member.segments.len() > 1) {
        let checked = |gap: Option<usize>| {
            let (name, folder, _) = made_with(member, gap)?;
            let ran = run(["check", folder.path().join("data").to_str().expect("UTF-8")]);
            let places = [" between revisions ", " before revision ", " after revision "];
            let says_where = places.iter().any(|place| ran.out.contains(place));
            assert_eq!(ran.out.contains(" not covered"), says_where, "{name}: {}", ran.out);
            Some((says_where, ran.out))
        };
        let (says_where, out) = checked(None).expect("no gap");
        assert!(!says_where && out.contains("records are what the log wrote\n"), "{}: {out}", member.name);
        let damaged: Vec<bool> =
            (0..).map_while(|number| checked(Some(number))).map(|(says, _)| says).collect();
        assert!(damaged.contains(&true), "{}: {} puts", member.name, damaged.len());
    }
}

impl Pair {
    /// Changes one byte of one value, again and again, each time in the db as it was.
    fn change_values(&self, name: &str, untouched: &LogComparison, changes: usize, seed: u64) -> Tally {
        let (covered, records) = (self.covered_by(untouched), self.records.len() as u64);
        assert_eq!(
            (untouched.covered_records, untouched.not_covered_records),
            (covered, records - covered),
            "{name}"
        );
        let mut tally = Tally { records, covered, ..Tally::default() };
        let is_changed = |stored: &&Stored| untouched.differing.iter().any(|differing| stored.is(differing));
        let values: Vec<_> =
            self.records.iter().filter(|stored| stored.len > 0 && !is_changed(stored)).collect();
        let mut random = Random(seed);
        for _ in 0..if values.is_empty() { 0 } else { changes } {
            let stored = values[random.index(values.len())];
            let (at, mask) = (stored.at + random.index(stored.len), random.between(1, 255) as u8);
            let compared = self.compare(|db| db[at] ^= mask).expect("compared");
            let what = || format!("{name}, {:?}, byte {at} ^ {mask:#04x}: {compared:?}", stored.record);
            assert_eq!(compared.effects_beyond, None, "{}", what());
            let differing = compared.differing.iter();
            let (its, others): (Vec<_>, Vec<_>) = differing.partition(|differing| stored.is(differing));
            assert!(others.into_iter().eq(&untouched.differing), "{}", what());
            let covered = self.covered_by(&compared);
            let counts = (compared.covered_records, compared.not_covered_records);
            assert_eq!(counts, (covered, records - covered), "{}", what());
            assert_eq!(stored.is_covered(&compared), !its.is_empty(), "{}", what());
            let counter = match (its.len(), stored.is_covered(untouched)) {
                (1, true) => &mut tally.found,
                (0, false) => &mut tally.out_of_reach,
                _ if compared.uncertain_records == 1 => &mut tally.of_two_entries,
                _ => panic!("missed: {}", what()),
            };
            *counter += 1;
        }
        tally
    }

    /// Records of revisions that are said to be covered.
    fn covered_by(&self, compared: &LogComparison) -> u64 {
        self.records.iter().filter(|stored| stored.is_covered(compared)).count() as u64
    }
}
