//! The walk: every node of every bucket, each page at most once, in parallel, whatever the file holds.
//!
//! A [`Walker`] owns what is shared (which pages are taken, which buckets were found). For one bucket, its driver
//! reads the branch pages itself and hands the nodes below them out as [`Subtree`]s, iterators of [`Node`]s that
//! threads work off; a window of them at a time, so that memory stays bounded, and in order, so that results do
//! not depend on the number of threads.
//!
//! Guards, as the bytes are hostile: no recursion; a page belongs to the first node that reaches it; depth is
//! bounded. If a page is reached twice, which thread was first would decide who gets it: such a walk reports
//! [`Walker::is_contested`], and is done again with [`Threads::One`].
//!
//! | file | what is in it |
//! |---|---|
//! | `schedule` | which part of a tree is read next |
//! | `subtree` | a part of a tree: its nodes, each page taken once |
//! | [`node`] | a node, and what its bytes are |
//! | `check` | what is wrong with a node |

#![deny(clippy::arithmetic_side_effects)]

pub mod node;

mod check;
mod schedule;
mod subtree;

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::bucket::{Bucket, BucketId, BucketRoot};
use super::claims::Claims;
use super::db::Db;
use super::fault::{Fault, FaultKind, Findings};
use super::format::PageId;
use super::freelist::FreedPages;

pub use node::{Content, Node, NodeSizes};
use schedule::Driver;
pub use subtree::Subtree;

/// No tree of bbolt's is deeper: with two children a branch, 64 levels would hold more pages than ids exist.
pub const MAX_DEPTH: u32 = 64;

/// How many threads may work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Threads {
    /// As many as rayon has.
    All,
    /// One: page by page in the order of the tree.
    One,
}

/// The state of one walk over a file.
#[derive(Debug)]
pub struct Walker<'a> {
    shared: Shared<'a>,
    buckets: Vec<Bucket<'a>>,
    findings: Findings,
    threads: Threads,
}

/// What every thread of a walk sees.
#[derive(Debug)]
struct Shared<'a> {
    db: &'a Db,
    claims: Claims,
    freed: Option<FreedPages>,
    contested: AtomicBool,
    max_faults: usize,
}

impl<'a> Walker<'a> {
    /// Begins a walk. The meta pages are taken from the start; `freed` is the stored freelist, if there is one.
    /// Beyond `max_faults`, faults are only counted.
    #[must_use]
    pub fn new(db: &'a Db, freed: Option<FreedPages>, threads: Threads, max_faults: usize) -> Self {
        let claims = Claims::new(db.num_pages());
        // they may lie beyond the end of a file of a few bytes, and then can't be reached either
        let _ = (claims.insert(PageId(0)), claims.insert(PageId(1)));
        let meta = db.meta();
        let root =
            Bucket { parent: None, name: &[], sequence: meta.sequence, root: BucketRoot::Page(meta.root) };
        let shared = Shared { db, claims, freed, contested: AtomicBool::new(false), max_faults };
        Self { shared, buckets: vec![root], findings: Findings::default(), threads }
    }

    /// Every bucket found so far, by [`BucketId`]. Those within a bucket appear when it has been walked.
    #[must_use]
    pub fn buckets(&self) -> &[Bucket<'a>] {
        &self.buckets
    }

    /// The bucket of this id.
    #[must_use]
    pub fn bucket(&self, id: BucketId) -> Option<&Bucket<'a>> {
        self.buckets.get(id.0 as usize)
    }

    /// Makes a bucket that was found by other means one of this walk's.
    pub fn adopt(&mut self, bucket: Bucket<'a>) -> BucketId {
        let id = BucketId(u32::try_from(self.buckets.len()).unwrap_or(u32::MAX));
        self.buckets.push(bucket);
        id
    }

    /// Pages taken so far.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.shared.claims
    }

    /// Whether some page was reached twice. With [`Threads::All`] the results are then of no use: walk again with
    /// [`Threads::One`].
    #[must_use]
    pub fn is_contested(&self) -> bool {
        self.threads == Threads::All && self.shared.contested.load(Ordering::Relaxed)
    }

    /// When all buckets have been walked: takes the stored freelist's own pages. The tree comes first, as a lying
    /// freelist must not hide it.
    pub fn claim_freelist(&mut self) {
        let Shared { db, claims, freed, max_faults, .. } = &mut self.shared;
        let Some(freed) = freed else { return };
        let (first, span) = (freed.page, freed.span);
        let mut fault = |kind| {
            let fault = Fault {
                kind,
                page: Some(first),
                offset: Some(db.offset_of(first)),
                bucket: None,
                lost: None,
            };
            self.findings.push(fault, *max_faults);
        };
        if freed.contains_any(first, span) {
            fault(FaultKind::ReachableFreed);
        }
        let pages = (first.0..first.0.saturating_add(span)).map(PageId);
        let (own, taken): (Vec<_>, Vec<_>) = pages.partition(|&page| claims.insert(page));
        freed.own_pages = own.len() as u64;
        match taken.first() {
            Some(&at) if at == first => fault(FaultKind::ReachableTwice { referrer: None }),
            Some(&at) => {
                let overflow = u32::try_from(span.saturating_sub(1)).unwrap_or(u32::MAX);
                fault(FaultKind::OverflowOverlap { overflow, at });
            }
            None => {}
        }
    }

    /// What was found wrong, and the freelist that the walk was given.
    #[must_use]
    pub fn finish(self) -> (Findings, Option<FreedPages>) {
        (self.findings, self.shared.freed)
    }

    /// Begins to walk one bucket; `None` for a bucket that was not found.
    pub fn walk_bucket(&mut self, bucket: BucketId) -> Option<BucketWalk<'_, 'a>> {
        let root = self.bucket(bucket)?.root;
        let Self { shared, buckets, findings, threads } = self;
        Some(BucketWalk { driver: Driver::new(shared, bucket, root), buckets, findings, threads: *threads })
    }
}

/// A walk over one bucket, a window of its tree at a time.
#[derive(Debug)]
pub struct BucketWalk<'w, 'a> {
    driver: Driver<'w, 'a>,
    buckets: &'w mut Vec<Bucket<'a>>,
    findings: &'w mut Findings,
    threads: Threads,
}

impl<'a> BucketWalk<'_, 'a> {
    /// Calls `work`, from several threads, with the next parts of the tree, and gives back what it returned, in the
    /// order of the keys; `None` when the whole bucket has been walked.
    pub fn next_window<T: Send>(
        &mut self,
        work: impl Fn(&mut Subtree<'_, 'a>) -> T + Sync,
    ) -> Option<Vec<T>> {
        let window = self.driver.next_window();
        let leftover = self.driver.spine.take_leftover();
        let more = !window.is_empty();
        let run = |mut subtree: Subtree<'_, 'a>| {
            subtree.populate();
            let result = work(&mut subtree);
            (result, subtree.take_leftover())
        };
        let done: Vec<_> = match self.threads {
            Threads::All if window.len() > 1 => window.into_par_iter().map(run).collect(),
            _ => window.into_iter().map(run).collect(),
        };
        let (results, leftovers): (Vec<T>, Vec<_>) = done.into_iter().unzip();
        for leftover in std::iter::once(leftover).chain(leftovers) {
            self.findings.append(leftover.findings, self.driver.spine.shared.max_faults);
            self.buckets.extend(leftover.buckets);
        }
        more.then_some(results)
    }
}
