//! Made-up files: what was asked for is what `analyze` and `check` then measure.
//!
//! A program of its own: it locks files in its own process, and a test beside it that starts a program would hold such a lock
//! until that one runs.
#![cfg(test)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use etcd_medic::internals::analyze::{self, Analysis};
use etcd_medic::internals::bolt::write::Packing;
use etcd_medic::internals::check;
use etcd_medic::internals::copy::Progress;
use etcd_medic::internals::etcd::schema::State;
use etcd_medic::internals::etcd::trailer::{self, Trailer};
use etcd_medic::internals::filter::Filter;
use etcd_medic::internals::scan::{self, ScanOptions};
use etcd_medic::internals::synth::history::HistoryError;
use etcd_medic::internals::synth::scatter::Scatter;
use etcd_medic::internals::synth::{Extent, SynthError, SynthOptions, SynthReport, SynthRequest, synth};
use support::documents::{Synth, parse};
use support::peers::assert_bbolt_accepts;
use tempfile::TempDir;

const SIZE: u64 = 24 << 20;
const SILENT: Progress<'static> = Progress::SILENT;

fn options() -> SynthOptions {
    SynthOptions::new(7, Extent::Bytes(SIZE))
}

/// A made-up file, what was said of it, and what is read in it.
struct Made {
    _folder: TempDir,
    path: PathBuf,
    report: SynthReport,
    read: Analysis,
}

fn make(options: SynthOptions) -> Made {
    make_with(options, false)
}

fn make_with(options: SynthOptions, snapshot: bool) -> Made {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("synth.db");
    let request = SynthRequest { target: path.clone(), force: false, snapshot, options };
    let report = synth(&request, SILENT).unwrap_or_else(|error| panic!("{options:?}: {error}"));
    assert_bbolt_accepts(&path, &format!("{options:?}"));
    let read = read(&path);
    Made { _folder: folder, path, report, read }
}

/// Reads a file; nothing may be wrong with it.
fn read(path: &Path) -> Analysis {
    let source = etcd_medic::open(path).expect("opens");
    let state = State::read(&source.db);
    let scanned = scan::scan(&source.db, &state, ScanOptions { max_findings: 100, ..ScanOptions::default() });
    let trailer = trailer::verify(source.db.data());
    let request = analyze::AnalyzeRequest {
        named: &source.named,
        trailer,
        read_without_lock: false,
        filter: Filter::default(),
        top: 10,
        cure_refused: None,
    };
    let analysis = analyze::analyze(&source.db, &state, &scanned, &request);
    let checked = check::check(&source.named, &source.db, &state, &scanned, trailer, 100);
    assert!(checked.findings.is_empty(), "{:?}", checked.findings.first());
    analysis
}

#[track_caller]
fn assert_about(found: f64, wanted: f64, tolerance: f64) {
    let missed = (found - wanted).abs();
    assert!(missed <= wanted * tolerance, "{found}, where {wanted} was asked for");
}

/// Free pages of a file, as a share of it, and the lengths of its runs, from `pages`.
fn free_runs(made: &Made) -> Vec<u64> {
    let output = Command::new(env!("CARGO_BIN_EXE_etcd-medic"))
        .args(["pages", "--output", "json"])
        .arg(&made.path)
        .output()
        .expect("runs");
    let pages: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let rows = pages["pages"].as_array().expect("rows").iter();
    rows.filter(|row| row["kind"] == "free").map(|row| row["pages"].as_u64().expect("pages")).collect()
}

#[test]
fn the_size_is_hit() {
    for (size, free) in [(1 << 20, 0.5), (5_000_000, 0.0), (SIZE, 0.65), (100 << 20, 0.9)] {
        let made = make(SynthOptions { extent: Extent::Bytes(size), free, ..options() });
        let bytes = fs::metadata(&made.path).expect("a file").len();
        assert_eq!(made.report.file_bytes, bytes);
        assert_about(bytes as f64, size as f64, 0.005);
        let found = made.report.free_bytes as f64 / bytes as f64;
        assert!((found - free).abs() < 0.012, "{found} free, where {free} was asked for");
        assert_eq!(free_runs(&made).iter().sum::<u64>() * 4096, made.report.free_bytes);
    }
}

#[test]
fn keys_and_their_history_are_as_asked() {
    for (revisions_per_key, tombstones) in [(1.0, 0.0), (1.25, 0.5), (6.0, 0.1), (1.0, 1.0)] {
        let mut wanted = SynthOptions { extent: Extent::Keys(20_000), ..options() };
        wanted.amounts.revisions_per_key = revisions_per_key;
        wanted.amounts.tombstones = tombstones;
        let Made { report, read, .. } = make(wanted);
        let mvcc = read.mvcc.expect("an etcd file");
        let deleted = (20_000.0 * tombstones) as u64;
        assert_eq!(mvcc.live.records, 20_000 - deleted);
        assert_eq!(mvcc.tombstones.records, deleted);
        assert_eq!(mvcc.live.records + mvcc.superseded.records, (20_000.0 * revisions_per_key) as u64);
        assert_eq!(
            (report.keys, report.tombstones, report.superseded),
            (mvcc.live.records, mvcc.tombstones.records, mvcc.superseded.records)
        );
        assert_eq!((report.revision, report.compact_revision), (mvcc.revision as u64, mvcc.compact_revision));
    }
}

/// A few keys have most of the history: leases and endpoints, as in every cluster.
#[test]
fn history_has_a_long_tail() {
    let mut wanted = SynthOptions { extent: Extent::Keys(20_000), ..options() };
    wanted.amounts.revisions_per_key = 3.0;
    let Made { read, .. } = make(wanted);
    let records_of = |name: &str| {
        let resource = read.resources.iter().find(|row| row.resource.to_string() == name).expect(name);
        resource.records as f64 / resource.objects as f64
    };
    assert!(records_of("leases") > 20.0, "{}", records_of("leases"));
    assert!(records_of("secrets") < 2.0, "{}", records_of("secrets"));
    assert!(read.resources.len() >= 20, "{}", read.resources.len());
    assert!(read.resources.iter().any(|row| row.group == "argoproj.io"));
}

#[test]
fn free_pages_lie_as_asked() {
    let runs = |scatter| {
        let made = make(SynthOptions { scatter, free: 0.4, shuffle: 0.0, ..options() });
        let runs = free_runs(&made);
        assert_eq!(made.report.free_runs.count, runs.len() as u64);
        assert_eq!(made.report.free_runs.largest, runs.iter().copied().max().unwrap_or(0));
        runs
    };
    assert_eq!(runs(Scatter::None).len(), 1);
    assert!(runs(Scatter::Uniform).iter().all(|&run| run <= 2));
    let geometric = runs(Scatter::Geometric { mean: 5 });
    let mean = geometric.iter().sum::<u64>() as f64 / geometric.len() as f64;
    assert_about(mean, 5.0, 0.15);
    let mut bursts = runs(Scatter::Bursts);
    bursts.sort_unstable();
    let (median, largest) = (bursts[bursts.len() / 2], bursts[bursts.len() - 1]);
    assert!(median <= 40 && largest >= 150, "{bursts:?}");
}

#[test]
fn nodes_are_shuffled_as_asked() {
    let disorder = |shuffle| {
        make(SynthOptions { scatter: Scatter::None, shuffle, ..options() }).read.fragmentation.disorder
    };
    assert!(disorder(0.0) < 0.01);
    let (some, all) = (disorder(0.3), disorder(1.0));
    assert!((0.3..0.8).contains(&some) && all > 0.95, "{some} {all}");
}

#[test]
fn the_same_seed_makes_the_same_file_with_any_number_of_threads() {
    let bytes = |seed, threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        let extent = Extent::Bytes(4 << 20);
        pool.install(|| {
            fs::read(&make_with(SynthOptions { seed, extent, ..options() }, true).path).expect("a file")
        })
    };
    let first = bytes(1, 1);
    assert!(first == bytes(1, 4), "one thread and four");
    assert!(first != bytes(2, 1), "another seed");
}

#[test]
fn compaction_is_as_asked() {
    let with = |compact_revision| {
        let mut wanted = SynthOptions { extent: Extent::Keys(3000), ..options() };
        wanted.amounts.compact_revision = compact_revision;
        make(wanted).read.mvcc.expect("an etcd file")
    };
    assert_eq!(with(Some(1_000_000)).compact_revision, 1_000_000);
    assert!(with(None).compact_revision > 3000);
    let never = with(Some(0));
    assert_eq!(never.compact_revision, -1);
    assert!(never.revision > 4000, "each revision from the first on is kept: {}", never.revision);
}

#[test]
fn leases_alarms_trailers_and_layouts() {
    let extent = Extent::Keys(4000);
    let base = SynthOptions { extent, leases: Some(37), nospace: true, page_size: 16384, ..options() };
    let made = make_with(base, true);
    assert_eq!(made.read.file.page_size, 16384);
    let leases = made.read.leases.expect("leases");
    assert_eq!(leases.count, 37);
    assert!(leases.attached_keys > 1000, "{}", leases.attached_keys);
    assert_eq!(made.read.alarms.len(), 1);
    assert_eq!(trailer::verify(&fs::read(&made.path).expect("a file")), Trailer::Valid);
    assert!(made.report.sha256.is_some());

    let none = make(SynthOptions { extent, leases: Some(0), ..options() });
    assert_eq!(none.read.leases.expect("leases").attached_keys, 0);
    let packed = |max_node_pages| {
        make(SynthOptions {
            extent,
            free: 0.0,
            packing: Packing::Optimal { max_node_pages, steady: false },
            ..options()
        })
        .report
        .file_bytes
    };
    let as_etcd = make(SynthOptions { extent, free: 0.0, ..options() }).report.file_bytes;
    assert!(packed(4) < packed(1) && packed(1) < as_etcd);
}

#[test]
fn the_smallest_files() {
    for keys in [1, 2, 3, 30] {
        let made = make(SynthOptions { extent: Extent::Keys(keys), ..options() });
        assert_eq!(made.report.keys + made.report.tombstones, u64::from(keys));
    }
    let mut wanted = SynthOptions { extent: Extent::Keys(1), ..options() };
    wanted.amounts.revisions_per_key = 5000.0;
    assert_eq!(make(wanted).report.superseded, 4999);
}

#[test]
fn what_cannot_be_is_said() {
    let error = |options| {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("synth.db");
        let request = SynthRequest { target, force: false, snapshot: false, options };
        let error = synth(&request, SILENT).expect_err("refused");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0, "nothing is left behind");
        error
    };
    assert!(matches!(
        error(SynthOptions { extent: Extent::Bytes(9000), ..options() }),
        SynthError::TooSmall { .. }
    ));
    let mut low = SynthOptions { extent: Extent::Keys(1000), ..options() };
    low.amounts.compact_revision = Some(100);
    let low = error(low);
    assert!(matches!(low, SynthError::History(HistoryError::CompactRevision { .. })), "{low}");
    let mut many = SynthOptions { extent: Extent::Keys(4_000_000_000), ..options() };
    many.amounts.revisions_per_key = 2.0;
    assert!(matches!(error(many), SynthError::History(HistoryError::TooMany(_))));
    assert!(matches!(error(SynthOptions { free: 1.0, ..options() }), SynthError::AllFree(_)));
}

#[test]
fn the_document_is_as_described() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("synth.db");
    let mut command = Command::new(env!("CARGO_BIN_EXE_etcd-medic"));
    command
        .args(["synth", "--size", "2MiB", "--seed", "9", "--snapshot", "--output", "json", "-o"])
        .arg(&target);
    let output = command.output().expect("runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let document: Synth = parse("synth", &String::from_utf8(output.stdout).expect("text"));
    let bytes = fs::read(&target).expect("a file");
    assert_eq!((document.seed, document.file_bytes), (9, bytes.len() as u64));
    let digest = bytes[bytes.len() - 32..].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(document.sha256, Some(digest));
    assert_eq!(document.records, document.keys + document.superseded + document.tombstones);
    let runs = document.free_runs;
    assert!(runs.largest <= document.free_bytes / document.page_size && runs.count > 0);
}

#[test]
fn the_program_refuses_what_it_cannot_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("synth.db");
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_etcd-medic"));
        let output = command.arg("synth").arg("-o").arg(&target).args(args).output().expect("runs");
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    };
    let refused = [
        (["--free", "100%"], "99 %"),
        (["--free", "x"], "not a percentage"),
        (["--scatter", "sometimes"], "geometric:MEAN"),
        (["--revisions-per-key", "0.5"], "from 1 on"),
        (["--tombstones", "101%"], "100 %"),
        (["--size", "0"], "4GiB"),
        (["--keys", "0"], "--keys"),
        (["--page-size", "5000"], "power of two"),
        (["--fill", "5%"], "10 %"),
        (["--compact-revision", "5"], "too low"),
        (["--size", "8KiB"], "24576 bytes"),
        (["--alarm", "corrupt"], "nospace"),
    ];
    for (args, words) in refused {
        let (code, message) = run(&args);
        assert_eq!(code, Some(2), "{args:?}: {message}");
        assert!(message.contains(words), "{args:?}: {message}");
        assert!(!target.exists());
    }
    assert_eq!(run(&["--size", "1MiB"]).0, Some(0));
    let (code, message) = run(&["--size", "1MiB"]);
    assert_eq!(code, Some(2));
    assert!(message.contains("--force"), "{message}");
    assert_eq!(run(&["--size", "1MiB", "--force"]).0, Some(0));
}
