//! All that the program does with a file, and what must hold of it whatever its bytes: there is an answer, the commands agree
//! with each other, and every byte is accounted for.

use std::io::sink;
use std::path::Path;

use bytes::Bytes;
use etcd_medic::internals::analyze::{Analysis, AnalyzeRequest, analyze};
use etcd_medic::internals::bolt::write::plan;
use etcd_medic::internals::bolt::{Db, FormatError, PageId};
use etcd_medic::internals::check::check;
use etcd_medic::internals::check::log::compare_with_log;
use etcd_medic::internals::cleanup::{self, GarbageLimits};
use etcd_medic::internals::copy::{Layout, Progress};
use etcd_medic::internals::etcd::find::{FoundRecord, Origin};
use etcd_medic::internals::etcd::schema::State;
use etcd_medic::internals::etcd::trailer;
use etcd_medic::internals::filter::Filter;
use etcd_medic::internals::hash::hashes;
use etcd_medic::internals::input::DbFile;
use etcd_medic::internals::input::named::Named;
use etcd_medic::internals::inspect;
use etcd_medic::internals::report;
use etcd_medic::internals::rewrite::changes::{History, Wish};
use etcd_medic::internals::rewrite::{self, Changes, CopyContent};
use etcd_medic::internals::rewrite::{defrag, error::DefragError};
use etcd_medic::internals::salvage::error::SalvageError;
use etcd_medic::internals::salvage::open::{Wreck, nothing};
use etcd_medic::internals::salvage::request::{SalvageRequest, Trust};
use etcd_medic::internals::salvage::run;
use etcd_medic::internals::scan::health::Health;
use etcd_medic::internals::scan::{Scan, ScanOptions, scan};
use etcd_medic::internals::status::{Limits, Status};
use etcd_medic::internals::travel::export::{self, Format};
use etcd_medic::internals::travel::history::history;
use etcd_medic::internals::travel::keys::deleted;
use etcd_medic::internals::travel::shown::{self, Shower};
use etcd_medic::internals::travel::{self, SearchIn, Select};
use etcd_medic::{Lock, LogFiles};

use super::counting::step;

mod printed;

use printed::{print, rows_of, view};

/// How much is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// `--top`
    pub top: usize,
    /// `--max-findings`
    pub max_findings: usize,
}

/// What the program asks for unless told otherwise.
pub const USUAL: Asked = Asked { top: 10, max_findings: 1000 };

/// All that the program does with a file, command by command; whether it is sound.
pub fn everything(file: &Bytes) -> Result<bool, FormatError> {
    everything_asked(file, USUAL)
}

/// The same, with as much of everything as is asked for.
pub fn everything_asked(file: &Bytes, asked: Asked) -> Result<bool, FormatError> {
    let saved = step("salvage", || salvaged(file));
    let db = step("open", || Db::new(file.clone()))?;
    let sound = by_scan(file, &db, asked);
    step("buckets", || buckets(&db));
    step("pages", || pages(&db));
    step("page", || each_page(file, &db));
    travel(&db);
    if sound && State::read(&db).key_bucket.is_some() {
        let saved = saved.expect("what is sound can be saved");
        let scan = scan(&db, &State::read(&db), ScanOptions { max_findings: 0, ..ScanOptions::default() });
        assert_eq!(saved, scan.keyspace.num_records(), "records of a sound file");
    }
    Ok(sound)
}

/// How many records a salvage would save. In each degree of trust it ends, and invents nothing: more trust saves no less.
pub fn salvaged(file: &Bytes) -> Option<u64> {
    let wreck = Wreck::new(Path::new("file").to_owned(), file.clone())?;
    let silent = Progress::SILENT;
    let mut found = Vec::new();
    for trust in [Trust::Strict, Trust::Usual, Trust::BestEffort] {
        let mut request = SalvageRequest::to("copy");
        (request.trust, request.dry_run) = (trust, true);
        match run::salvage(&wreck, None, &request, silent) {
            Ok(report) => {
                print(file.len(), "salvage", &report, |out| {
                    report::salvage::salvage(out, &view(10), &report)
                });
                let from = report.recovered;
                assert_eq!(
                    from.reachable + from.older_root + from.orphan + from.free,
                    report.target.records,
                    "each record or entry comes from somewhere"
                );
                assert!(from.free == 0 || trust == Trust::BestEffort, "what was deleted stays deleted");
                assert!(from.doubtful == 0 || trust != Trust::Strict, "nothing doubtful");
                found.push((report.target.revision.is_some(), report.target.records));
            }
            // all that was found may have been deleted
            Err(SalvageError::Doubtful { .. }) if trust == Trust::Strict => {}
            Err(error) => {
                let known = match error {
                    SalvageError::Nothing { .. } => true,
                    SalvageError::Unplaced { .. } => trust != Trust::BestEffort,
                    _ => false,
                };
                assert!(known, "{error}");
                return None;
            }
        }
    }
    // a file that isn't etcd's by its buckets may still hold leaves of records, which only the last looks for
    assert!(found.windows(2).all(|pair| pair[0].0 != pair[1].0 || pair[0].1 <= pair[1].1), "{found:?}");
    found.get(found.len().checked_sub(2)?).map(|&(_, records)| records)
}

/// A copy as `salvage` writes it. It is sound as a bbolt file, and saving it again saves the same.
pub fn saved_copy(file: &Bytes) {
    if let Some(wreck) = Wreck::new(Path::new("file").to_owned(), file.clone()) {
        saved(&wreck, None);
    }
}

/// The same with the log of the member, and if there is nothing of a db in the file: then the log may have it.
pub fn saved_with_log(file: &Bytes, log: &LogFiles) {
    let path = Path::new("file");
    let wreck = Wreck::new(path.to_owned(), file.clone()).unwrap_or_else(|| nothing(Named::plain(path)));
    saved(&wreck, Some(log));
}

fn saved(wreck: &Wreck, log: Option<&LogFiles>) {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("copy.db");
    let request = |target: &Path, dry_run| {
        let mut request = SalvageRequest::to(target);
        request.dry_run = dry_run;
        request
    };
    let silent = Progress::SILENT;
    let Ok(saved) = run::salvage(wreck, log, &request(&target, false), silent) else { return };
    assert!(saved.verified);
    let copy = Bytes::from(std::fs::read(&target).expect("the copy"));
    let db = Db::new(copy.clone()).expect("a bbolt file");
    CopyContent::read(&db, &Changes::default(), &|_| {}).expect("a sound one");
    let again = Wreck::new(target.clone(), copy).expect("pages");
    let again =
        run::salvage(&again, None, &request(Path::new("again"), true), silent).expect("the same again");
    assert_eq!((again.target.records, again.target.revision), (saved.target.records, saved.target.revision));
    assert_eq!(again.dropped.malformed, 0, "nothing malformed was taken");
    // where the log has all that was missing, the copy is what it wrote
    if let Some(log) = log.filter(|_| saved.log.is_some_and(|log| log.completes)) {
        let copy = DbFile::open(&target, &Lock::None.into(), &|_| {}).expect("a db");
        let differing = compare_with_log(&copy, log, None).map(|compared| compared.differing);
        assert!(differing.as_ref().is_ok_and(Vec::is_empty), "{differing:?}");
    }
}

/// What rests on a scan: `status`, `check`, `analyze` and `cleanup`; they must agree. `hash` and `plan` must agree with them, too.
pub fn by_scan(file: &Bytes, db: &Db, asked: Asked) -> bool {
    let state = step("state", || State::read(db));
    let (status, health) = scanned(file, db, &state, asked);
    let sound = status.sound;
    step("plan", || {
        let content = match CopyContent::read(db, &Changes::default(), &|_| {}) {
            Ok(content) => content,
            Err(unreadable) => {
                assert!(!health.readable, "what can be read can be copied: {unreadable:?}");
                return refused(file, health, &unreadable.first);
            }
        };
        assert!(health.readable, "what can be copied can be read");
        assert_eq!(content.harmless.count, health.structural_faults, "faults of the structure");
        let settings = Layout::default().settings(db, state.key_bucket.is_some());
        let planned = plan(&content, settings).expect("what a walk accepts can be written");
        assert!(planned.file_bytes() >= planned.entry_bytes);
        compacted(file, db, &state, health, &content);
    });
    step("hash", || {
        let found = hashes(db, &state, 0, &|_| {}).expect("the current revision is always there");
        print(file.len(), "hash", &found, |out| report::hash::write(out, &view(asked.top), &found));
        let verdict = (found.sound, found.readable, found.num_faults);
        assert_eq!(verdict, (health.sound, health.readable, health.num_faults), "one verdict");
        assert_eq!(found.hash_kv.is_some(), status.revision.is_some());
        if sound && status.revision.is_some() {
            assert_eq!(found.hash_kv.map(|it| it.revision), status.revision, "one revision");
            assert_eq!(Some(found.snapshot_status.total_key), status.keys, "keys");
        }
    });
    sound
}

fn source_of(file: &Bytes) -> DbFile {
    let (path, db) = (Path::new("file").to_owned(), Db::new(file.clone()).expect("opened before"));
    DbFile { path, db, read_without_lock: false, packed: None, log: None, named: Named::default() }
}

/// Whoever would copy the file says why not, and of how many faults, as `check` does.
fn refused(file: &Bytes, health: Health, first_fault: &str) {
    let (source, silent) = (source_of(file), Progress::SILENT);
    let planned = rewrite::plan::plan(&source, &[], Layout::default(), silent).map(drop);
    for refusal in [planned, defrag::read(&source, &Changes::default(), silent).map(drop)] {
        match refusal {
            Err(DefragError::Damaged { first, count, .. }) => {
                assert_eq!((first.as_str(), count), (first_fault, health.num_faults));
            }
            other => panic!("it can't be read whole: {other:?}"),
        }
    }
}

fn scanned(file: &Bytes, db: &Db, state: &State<'_>, Asked { top, max_findings }: Asked) -> (Status, Health) {
    let options = ScanOptions { max_findings, outline: Some(&[]), ..ScanOptions::default() };
    let scan = step("scan", || scan(db, state, options));
    let trailer = trailer::verify(db.data());
    let health = Health::of(db, state, &scan, trailer);
    let status = step("status", || {
        let status = Status::of("file".as_ref(), db, state, &scan, trailer, Limits::default());
        let files = std::slice::from_ref(&status);
        print(file.len(), "status", &status, |out| report::status::write(out, &view(top), files));
        status
    });
    step("check", || {
        let checked = check(&Named::plain("file"), db, state, &scan, trailer, max_findings);
        print(file.len(), "check", &checked, |out| {
            report::simple::check(out, &view(top), "file".as_ref(), &checked)
        });
        assert_eq!(checked.sound, checked.num_findings == 0);
        let shown = checked.num_findings.min(max_findings as u64);
        assert_eq!(checked.findings.len() as u64, shown, "findings");
        let verdict = (checked.sound, checked.readable, checked.num_findings, checked.structural_faults);
        let expected = (health.sound, health.readable, health.num_faults, health.structural_faults);
        assert_eq!(verdict, expected, "one verdict");
        let next: Vec<_> = checked.next.iter().map(|next| next.command.as_str()).collect();
        let names = |command: &str| next.iter().any(|next| next.starts_with(command));
        assert_eq!(next.is_empty(), checked.sound, "{next:?}");
        assert!(checked.readable || names("etcd-medic salvage "), "{next:?}");
        assert!(checked.readable || !names("etcd-medic defrag "), "{next:?}");
    });
    step("analyze", || {
        let filter = Filter::default();
        let request = AnalyzeRequest {
            named: &Named::plain("file"),
            trailer,
            read_without_lock: false,
            filter,
            top,
            cure_refused: None,
        };
        let report = analyze(db, state, &scan, &request);
        print(file.len(), "analyze", &report, |out| report::analyze::write(out, &view(top), &report));
        assert_eq!((status.sound, report.health), (health.sound, health), "one verdict");
        accounted(file, &scan, &report, status.keys);
    });
    step("cleanup", || {
        let (thresholds, trailer) =
            (GarbageLimits { large_bytes: 1, flood_objects: 1, ..GarbageLimits::default() }, trailer);
        let request = cleanup::CleanupRequest { path: "db".as_ref(), trailer, thresholds, as_of: None, top };
        let Ok(found) = cleanup::cleanup(db, state, &scan, &request) else {
            return assert!(scan.key_bucket.is_none(), "an etcd file has an answer");
        };
        print(file.len(), "cleanup", &found, |out| report::cleanup::write(out, &view(top), &found));
        assert_eq!(found.health, health, "one verdict");
        assert!(status.keys.is_some_and(|keys| found.total.objects <= keys));
    });
    (status, health)
}

/// A compaction is refused, or leaves no more than there was, and `plan` knows how large the copy is.
fn compacted(file: &Bytes, db: &Db, state: &State<'_>, health: Health, all: &CopyContent<'_>) {
    let source = source_of(file);
    let silent = Progress::SILENT;
    let planned = rewrite::plan::plan(&source, &[], Layout::default(), silent);
    if let Ok(plan) = &planned {
        assert_eq!(plan.structural_faults, health.structural_faults, "faults of the structure");
        print(file.len(), "plan", plan, |out| report::rewrite::plan(out, &view(10), plan));
    }
    let settings = Layout::default().settings(db, state.key_bucket.is_some());
    for history in [History::Current, History::Newest(1000)] {
        let wish = Wish { history, ..Wish::default() };
        let changes = match Changes::of(db, state, &wish) {
            Ok(changes) => changes,
            // somebody else's bucket `key`, without etcd's bucket `meta`, is sound, too
            Err(error) => {
                assert!(!health.sound || !state.has_meta_bucket, "a sound file can be compacted: {error}");
                continue;
            }
        };
        let content = CopyContent::read(db, &changes, &|_| {}).expect("read before");
        let marks = changes.marks().len() as u64;
        assert!(content.num_entries() <= all.num_entries() + marks, "entries");
        let copy = plan(&content, settings).expect("what a walk accepts can be written");
        let planned = planned.as_ref().expect("what can be copied can be planned");
        let keep = if let History::Newest(revisions) = history { revisions } else { 0 };
        let choice = planned.choices.iter().find(|choice| choice.keep_revisions == Some(keep));
        // where some records can't be read, there is only the choice of all
        if let Some(choice) = choice {
            assert_eq!(choice.file_bytes, copy.file_bytes(), "a plan of {history:?}");
        }
    }
}

/// How many values are shown by themselves, and keys told the history of.
const LOOKED_AT: usize = 1;

/// Keys, their history, and their objects: what exists, and what is found of the rest.
pub fn travel(db: &Db) {
    let state = State::read(db);
    step("keys --deleted", || {
        let deleted = deleted(db, &state, Select::Prefix(b""));
        report::travel::deleted(&mut sink(), &view(10), deleted.iter()).expect("a sink takes all");
        assert_eq!(deleted.iter().count(), deleted.len(), "deleted keys");
        if let Some(row) = deleted.iter().next() {
            let history = history(db, &state, Origin::Live, &row.key.0);
            assert!(!history.exists, "{row:?}");
            assert!(!history.records.is_empty(), "{row:?} was found");
        }
    });
    for (from, show_secrets) in
        [(SearchIn::Live, false), (SearchIn::OlderRoot, true), (SearchIn::Free, true), (SearchIn::Any, false)]
    {
        let shower = Shower::new(shown::ShowOptions { show_secrets, clean: show_secrets });
        let Ok(answer) = step("keys", || travel::at(db, &state, from, None, Select::Prefix(b""))) else {
            continue;
        };
        step("keys --long", || {
            report::travel::keys(&mut sink(), &view(10), answer.found.iter()).expect("a sink takes all");
        });
        let written = step("export", || {
            export::stream(&mut sink(), answer.found.iter(), &shower, Format::Yaml).expect("a sink takes all")
        });
        assert_eq!(written.objects + written.raw + written.withheld, answer.found.len() as u64, "{from:?}");
        assert!(!show_secrets || written.withheld + written.redacted == 0, "{from:?}");
        for found in answer.found.iter().take(LOOKED_AT) {
            step("get", || shown_alone(&shower, &found));
            let history = step("history", || {
                let history = history(db, &state, Origin::Live, found.kv.key);
                print(db.data().len(), "history", &history, |out| {
                    report::travel::history(out, &view(10), &history)
                });
                history
            });
            assert!(from != SearchIn::Live || history.exists, "{found:?}");
        }
    }
}

/// An object as `get` writes it.
fn shown_alone(shower: &Shower, found: &FoundRecord<'_>) {
    let Ok(shown) = shower.object(found) else { return };
    let lengths = [
        export::object_yaml(&shown.object).len(),
        export::object_json(&shown.object).expect("written").len(),
    ];
    let most = printed::object_bound(found.kv.value.len());
    assert!(lengths.iter().all(|&len| len <= most), "{lengths:?} bytes of {}", found.kv.value.len());
}

fn accounted(file: &Bytes, scan: &Scan<'_>, report: &Analysis, keys: Option<u64>) {
    let classes: u64 = report.space.classes.iter().map(|row| row.bytes).sum();
    assert_eq!(classes, file.len() as u64, "classes");
    let objects: u64 = report.resources.iter().map(|row| row.objects).sum();
    let live = report.mvcc.as_ref().map_or(0, |mvcc| mvcc.live.records);
    assert_eq!((objects, keys.unwrap_or(0)), (live, live), "objects");
    if let Some(mvcc) = &report.mvcc {
        let states = [mvcc.live, mvcc.superseded, mvcc.tombstones, mvcc.unreadable];
        let key = scan.key_bucket.and_then(|id| report.buckets.get(id.0 as usize));
        let key = key.map_or(0, |row| row.disk_bytes);
        let by_state: u64 = states.iter().map(|state| state.disk_bytes).sum();
        // with no readable record at all there is nobody to share the bucket's pages out to
        assert!(
            by_state == key || (by_state == 0 && scan.keyspace.num_records() == 0),
            "{by_state} of {key}"
        );
    }
}

/// Every bucket, with its fingerprint.
fn buckets(db: &Db) {
    let rows = inspect::buckets(db);
    print(db.data().len(), "buckets", &rows_of(&rows), |out| {
        report::simple::bucket_rows(out, &view(10), &rows)
    });
}

pub fn pages(db: &Db) {
    let rows = inspect::pages(db);
    print(db.data().len(), "pages", &rows_of(&rows), |out| report::simple::pages(out, &rows));
    assert!(rows.is_sorted_by(|a, b| a.page + a.pages == b.page), "one behind the other");
    assert_eq!(rows.iter().map(|row| row.pages).sum::<u64>(), db.num_pages(), "every page");
}

pub fn each_page(file: &Bytes, db: &Db) {
    // of a large file, some of them
    let some = usize::try_from(db.num_pages() / 300).unwrap_or(0).max(1);
    for id in (0..db.num_pages()).step_by(some).chain([db.num_pages(), db.num_pages() + 1]).chain([
        db.high_water_mark(),
        u64::MAX / 4096,
        u64::MAX,
    ]) {
        // what a page is made of is never more than the file
        if let Ok(view) = inspect::page(db, PageId(id)) {
            assert!(view.bytes.len() <= file.len(), "page {id}");
            let text = report::simple::page(&mut sink(), &view, false);
            text.and_then(|()| serde_json::to_writer(sink(), &view).map_err(Into::into))
                .expect("a sink takes all");
        }
    }
}
