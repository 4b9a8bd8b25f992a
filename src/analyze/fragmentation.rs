//! How scattered the file is.

use serde::Serialize;

use crate::scan::Scan;

use super::histogram::Histogram;
use super::share::share;
use super::space::{ByteClass, Space};

/// How scattered the file is.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Fragmentation {
    /// From 0 (every byte holds something, leaves lie in the order of their keys) to 1 (nothing but holes):
    /// `1 - (1 - empty_share) * (1 - disorder / 2)`.
    pub index: f64,
    /// Share of the file that holds nothing: slack, free and leaked pages, tail.
    pub empty_share: f64,
    /// Share of the steps from one leaf of the main bucket to the next that don't lead to the page that follows it.
    pub disorder: f64,
    /// Lengths of the runs of free pages, in pages.
    pub free_runs: Histogram,
    /// The longest run of free pages.
    pub largest_run_pages: u64,
    /// How full the leaves of the main bucket are, in percent of their pages.
    pub leaf_fill: Histogram,
    /// How the leaves of the main bucket follow each other.
    pub leaf_order: LeafSteps,
}

/// Steps from a leaf to the next in the order of the keys, by where in the file they lead.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LeafSteps {
    /// To the next page: read ahead by the disk.
    pub adjacent: u64,
    /// Further on.
    pub forward: u64,
    /// Back.
    pub backward: u64,
}

impl Fragmentation {
    /// Of etcd's `key` bucket, or of the bucket with most leaves in a file that isn't etcd's.
    #[must_use]
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
