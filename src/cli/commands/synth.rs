//! `synth`: a made-up file.

use std::path::PathBuf;

use anyhow::Result;
use bytesize::ByteSize;
use clap::ValueEnum;

use crate::bolt::write::Packing;
use crate::front;
use crate::report;
use crate::synth::history::Amounts;
use crate::synth::scatter::Scatter;
use crate::synth::{Extent, SynthOptions, SynthRequest};

use crate::cli::context::Context;
use crate::cli::outcome::Outcome;
use crate::cli::progress;
use crate::cli::signals;
use crate::cli::values::{parse_page_size, parse_percent};

/// Make a db of a synthetic Kubernetes cluster, of any size and fragmentation, for benchmarks
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  etcd-medic synth -o big.db --size 4GiB --free 65%
  etcd-medic synth -o history.db --keys 100000 --revisions-per-key 8 --tombstones 20%
  etcd-medic synth -o holes.db --size 1GiB --free 50% --scatter geometric:4 --shuffle 80%
  etcd-medic synth -o full.db --size 2GiB --alarm nospace --snapshot      # for `etcdutl snapshot restore`
docs/benchmarking.md goes through a comparison, step by step.")]
pub struct SynthArgs {
    /// Where to write the file
    #[arg(short = 'o', long = "out", value_name = "DST")]
    out: PathBuf,
    /// Replace DST if it exists
    #[arg(long)]
    force: bool,
    /// Append a SHA-256, so that `etcdutl snapshot restore` accepts the copy
    #[arg(long)]
    snapshot: bool,
    /// Size of the file, to within about 1 %: `4GiB`, `500MiB`
    #[arg(long, value_name = "BYTES", default_value = "256MiB", value_parser = parse_size, conflicts_with = "keys")]
    size: u64,
    /// Number of keys instead of a size, deleted ones included
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keys: Option<u32>,
    /// Records of each key, on average, without tombstones; a few keys (leases, endpoints) have most of them
    #[arg(long, value_name = "X", default_value_t = 1.5, value_parser = parse_revisions)]
    revisions_per_key: f64,
    /// The share of keys that were deleted and are not yet compacted
    #[arg(long, value_name = "PERCENT", default_value = "3%", value_parser = parse_share)]
    tombstones: f64,
    /// The revision of the last compaction; 0 for none. Default: one that fits the number of records
    #[arg(long, value_name = "REVISION")]
    compact_revision: Option<u64>,
    /// Number of leases, which the events are attached to. Default: one for 500 events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=MAX_LEASES))]
    leases: Option<u32>,
    /// Raise an alarm
    #[arg(long, value_enum)]
    alarm: Option<AlarmArg>,
    /// The share of the file's pages that are free; they are zeros
    #[arg(long, value_name = "PERCENT", default_value = "50%", value_parser = parse_free)]
    free: f64,
    /// How free pages are spread: `none` (one run at the end), `uniform` (single pages, evenly), `geometric:MEAN` (runs of
    /// MEAN pages on average), `bursts` (many short runs, few of thousands of pages)
    #[arg(long, value_name = "HOW", default_value_t = Scatter::Bursts)]
    scatter: Scatter,
    /// The share of nodes that are not beside their neighbours in the order of keys
    #[arg(long, value_name = "PERCENT", default_value = "40%", value_parser = parse_share)]
    shuffle: f64,
    /// How nodes are filled: as etcd leaves them, or packed as `defrag` does
    #[arg(long, value_enum, default_value_t = PackingArg::Etcd)]
    packing: PackingArg,
    /// How full a leaf may be, with --packing etcd
    #[arg(long, value_name = "PERCENT", default_value = "70%", value_parser = parse_fill)]
    fill: f64,
    /// The largest node, in pages, with --packing packed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    max_node_pages: u32,
    /// Page size in bytes, a power of two of at least 512
    #[arg(long, value_name = "BYTES", default_value = "4096", value_parser = parse_page_size)]
    page_size: u32,
    /// The same seed makes the same file, to the byte
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Each takes about 30 bytes of memory and disk.
const MAX_LEASES: i64 = 100_000_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum AlarmArg {
    /// The quota was reached: etcd takes deletions only, until it is disarmed
    Nospace,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum PackingArg {
    /// Page by page, as bbolt's transactions leave them
    Etcd,
    /// As few bytes as possible
    Packed,
}

impl SynthArgs {
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        signals::end_cleanly()?;
        let request = SynthRequest {
            target: self.out.clone(),
            force: self.force,
            snapshot: self.snapshot,
            options: self.options(),
        };
        let report = progress::watch(|progress| front::synth(&request, progress))?;
        let view = context.view();
        context.render("synth", &report, |out| report::synth::synth(out, &view, &report))?;
        Ok(Outcome::Sound)
    }

    fn options(&self) -> SynthOptions {
        SynthOptions {
            seed: self.seed,
            extent: self.keys.map_or(Extent::Bytes(self.size), Extent::Keys),
            amounts: Amounts {
                revisions_per_key: self.revisions_per_key,
                tombstones: self.tombstones,
                compact_revision: self.compact_revision,
            },
            leases: self.leases,
            nospace: self.alarm == Some(AlarmArg::Nospace),
            page_size: self.page_size,
            packing: match self.packing {
                PackingArg::Etcd => Packing::AsBbolt { fill: self.fill },
                PackingArg::Packed => Packing::Optimal { max_node_pages: self.max_node_pages, steady: false },
            },
            free: self.free,
            scatter: self.scatter,
            shuffle: self.shuffle,
        }
    }
}

fn parse_size(text: &str) -> Result<u64, String> {
    let size = text.parse::<ByteSize>().map(|size| size.0);
    // a larger size is more than a file system holds, and would overflow
    size.ok()
        .filter(|size| (1..=1 << 50).contains(size))
        .ok_or_else(|| "not a size of a file: write 4GiB, 500MiB or 2147483648".to_owned())
}

fn parse_revisions(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 1.0);
    number.ok_or_else(|| "not a number from 1 on: each key has one record at least".to_owned())
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share = parse_percent(text)?;
    if share <= 1.0 { Ok(share) } else { Err("more than 100 %".to_owned()) }
}

fn parse_free(text: &str) -> Result<f64, String> {
    let share = parse_percent(text)?;
    if share <= 0.99 { Ok(share) } else { Err("more than 99 %: something must be in use".to_owned()) }
}

fn parse_fill(text: &str) -> Result<f64, String> {
    let share = parse_percent(text)?;
    // bbolt's own bounds (`bucket.go`, `minFillPercent`, `maxFillPercent`)
    if (0.1..=1.0).contains(&share) {
        Ok(share)
    } else {
        Err("bbolt fills pages to 10 % to 100 %".to_owned())
    }
}
