//! How scattered the file is.

use serde::Serialize;

use crate::scan::Scan;

use super::histogram::Histogram;
use super::share::share;
use super::space::{ByteClass, Space};

/// How scattered the file is. Its leaves are those of the `key` bucket; in a file that isn't etcd's, of the bucket with most
/// leaves.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Fragmentation {
    /// From 0 (every byte is used, leaves are in the order of their keys) to 1 (nothing but holes): `1 - (1 - empty_share) ×
    /// (1 - disorder / 2)`.
    pub index: f64,
    /// Share of the file that is slack, free, leaked or tail, from 0 to 1.
    pub empty_share: f64,
    /// Share of the steps from leaf to leaf that don't lead to the page right after, from 0 to 1.
    pub disorder: f64,
    /// Lengths of the runs of pages that nothing refers to, in pages.
    pub free_runs: Histogram,
    /// Pages of the longest of these runs; 0 where there is none.
    pub largest_run_pages: u64,
    /// How full the leaves are, in percent, rounded down. It alone has ten bins of equal width (0–9, …, 90–100), empty ones
    /// included.
    pub leaf_fill: Histogram,
    /// Where the steps from leaf to leaf lead.
    pub leaf_order: LeafSteps,
}

/// Numbers of steps from a leaf to the next in the order of keys.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LeafSteps {
    /// To the page right after, which disks read ahead.
    pub adjacent: u64,
    /// To a later page.
    pub forward: u64,
    /// To an earlier page.
    pub backward: u64,
}

impl Fragmentation {
    /// Of etcd's `key` bucket, or of the bucket with most leaves in a file that isn't etcd's.
    pub fn of(scan: &Scan<'_>, space: &Space) -> Self {
        let largest = scan.tallies.iter().max_by_key(|tally| tally.leaves);
        let main = scan.key_tally().or(largest).cloned().unwrap_or_default();
        let mut runs: Vec<u64> = scan.unreached.iter().map(|&(_, pages)| pages).collect();
        let empty: u64 = [ByteClass::Slack, ByteClass::Free, ByteClass::Leaked, ByteClass::Tail]
            .map(|c| space.bytes_of(c))
            .iter()
            .sum();
        let empty_share = share(empty, space.total_bytes);
        let disorder = share(main.order.forward + main.order.backward, main.order.steps());
        let free_runs = Histogram::of(&mut runs);
        Self {
            index: 1.0 - (1.0 - empty_share) * (1.0 - disorder / 2.0),
            empty_share,
            disorder,
            largest_run_pages: free_runs.max,
            free_runs,
            leaf_fill: Histogram::of_counters(main.leaf_fill.counts(), 10),
            leaf_order: LeafSteps {
                adjacent: main.order.adjacent,
                forward: main.order.forward,
                backward: main.order.backward,
            },
        }
    }
}
