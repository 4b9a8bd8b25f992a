//! What a defrag is made of, on a made-up file of 64 MiB, two thirds of it free:
//!
//! - `read`: the walk that finds every entry;
//! - `plan`: packing, and every node's page, for nodes of at most 1 and 4 pages, and as bbolt cuts them;
//! - `write`: the copy itself, without waiting for the disk.
//!
//! The file is made anew each time from the same seed, so figures of two versions can be compared.

use std::error::Error;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use etcd_medic::internals::bolt::write::{self, Packing, Settings};
use etcd_medic::internals::copy::Progress;
use etcd_medic::internals::rewrite::{Changes, CopyContent};
use etcd_medic::internals::synth::{Extent, SynthOptions, SynthRequest, synth};

const SILENT: Progress<'static> = Progress::SILENT;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let target = folder.path().join("synth.db");
    let options = SynthOptions { free: 0.66, ..SynthOptions::new(1, Extent::Bytes(64 << 20)) };
    synth(&SynthRequest { target: target.clone(), force: false, snapshot: false, options }, SILENT)?;
    let source = etcd_medic::open(&target)?;
    let read =
        || CopyContent::read(&source.db, &Changes::default(), &|_| {}).map_err(|_| "a made-up file is sound");
    let content = read()?;

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("defrag");
    group.sample_size(20);
    group.throughput(Throughput::Bytes(source.db.file_size()));
    group.bench_function("read", |bencher| bencher.iter(|| black_box(read().is_ok())));

    let settings = |packing| Settings { page_size: 4096, packing, freelist: false };
    let optimal = |max_node_pages| settings(Packing::Optimal { max_node_pages, steady: false });
    group.throughput(Throughput::Elements(content.num_entries()));
    let packings =
        [("1", optimal(1)), ("4", optimal(4)), ("as bbolt", settings(Packing::AsBbolt { fill: 0.9 }))];
    for (name, settings) in packings {
        group.bench_with_input(BenchmarkId::new("plan", name), &settings, |bencher, &settings| {
            bencher.iter(|| black_box(write::plan(&content, settings).is_ok()));
        });
    }

    let plan = write::plan(&content, optimal(4))?;
    let copy = tempfile::tempfile_in(folder.path())?;
    group.throughput(Throughput::Bytes(plan.file_bytes()));
    group.bench_function("write", |bencher| {
        bencher.iter(|| black_box(write::write(&plan, &content, &copy, &|_| {}).is_ok()));
    });
    group.finish();
    criterion.final_summary();
    Ok(())
}
