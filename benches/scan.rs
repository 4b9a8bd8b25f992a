//! Bytes of file a second, for the three things that reading a file is made of, each with all that stands above it:
//!
//! - `walk`: every node of every bucket, its bounds and order checked, and nothing of its content;
//! - `scan`: the walk, and every record: what `status` and `check` do;
//! - `analyze`: the scan, and the full report made of it.
//!
//! On `testdata/k8s-frag/frag.db`, which fits into a processor's caches, and on the file or data dir that
//! `ETCD_MEDIC_BENCH_FILE` names. Only from about a gigabyte on do the figures say how fast large files are read.

use std::error::Error;
use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{BenchmarkId, Criterion, Throughput};
use etcd_medic::internals::analyze::{Analysis, AnalyzeRequest, analyze};
use etcd_medic::internals::bolt::Db;
use etcd_medic::internals::bolt::bucket::BucketId;
use etcd_medic::internals::bolt::fault::Findings;
use etcd_medic::internals::bolt::freelist::FreedPages;
use etcd_medic::internals::bolt::walk::{Setup, walk};
use etcd_medic::internals::etcd::schema::State;
use etcd_medic::internals::etcd::trailer;
use etcd_medic::internals::filter::Filter;
use etcd_medic::internals::input::DbFile;
use etcd_medic::internals::input::named::Named;
use etcd_medic::internals::scan::{Scan, ScanOptions, scan};

const SMALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/k8s-frag/frag.db");

/// `status` shows no findings and `analyze` counts them only.
const COUNT_ONLY: ScanOptions<'static> = ScanOptions { max_findings: 0, outline: None, progress: &|_| {} };

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default().configure_from_args();
    bench_file(&mut criterion, "k8s-frag", Path::new(SMALL), 50)?;
    if let Some(path) = std::env::var_os("ETCD_MEDIC_BENCH_FILE").map(PathBuf::from) {
        let name = path.file_name().map_or_else(|| "file".into(), |name| name.to_string_lossy());
        bench_file(&mut criterion, &name, &path, 10)?;
    }
    criterion.final_summary();
    Ok(())
}

fn bench_file(
    criterion: &mut Criterion,
    name: &str,
    path: &Path,
    samples: usize,
) -> Result<(), Box<dyn Error>> {
    let DbFile { db, path, .. } = etcd_medic::open(path)?;
    let path = path.display().to_string();
    let mut bench = |what: &str, work: &dyn Fn(&Db)| {
        let mut group = criterion.benchmark_group(what);
        group.sample_size(samples).throughput(Throughput::Bytes(db.file_size()));
        group.bench_with_input(BenchmarkId::from_parameter(name), &db, |bencher, db| {
            bencher.iter(|| work(db));
        });
        group.finish();
    };
    bench("walk", &|db| {
        black_box(num_nodes(db));
    });
    bench("scan", &|db| {
        black_box(scanned(db, COUNT_ONLY).1);
    });
    bench("analyze", &|db| {
        black_box(analyzed(db, &path));
    });
    Ok(())
}

/// Walks every bucket, those that turn up meanwhile included.
fn num_nodes(db: &Db) -> usize {
    let freed = FreedPages::read(db, &mut Findings::default(), 0);
    let setup = Setup { freed, max_faults: 0 };
    let (nodes, _) = walk(db, setup, |walker| {
        let mut nodes = 0;
        for id in (0..).map(BucketId) {
            let Some(mut walk) = walker.walk_bucket(id) else { break };
            while let Some(counts) = walk.next_window(|subtree| subtree.count()) {
                nodes += counts.into_iter().sum::<usize>();
            }
        }
        nodes
    });
    nodes
}

fn scanned<'a>(db: &'a Db, options: ScanOptions<'_>) -> (State<'a>, Scan<'a>) {
    let state = State::read(db);
    let scan = scan(db, &state, options);
    (state, scan)
}

fn analyzed(db: &Db, path: &str) -> Analysis {
    let options = ScanOptions { outline: Some(&[]), ..COUNT_ONLY };
    let ((state, scan), trailer) = rayon::join(|| scanned(db, options), || trailer::verify(db.data()));
    let request = AnalyzeRequest {
        named: &Named::plain(path),
        trailer,
        read_without_lock: false,
        filter: Filter::default(),
        top: 10,
        cure_refused: None,
    };
    analyze(db, &state, &scan, &request)
}
