//! The walk: every node of every bucket, each page at most once, in parallel, whatever the file holds.
//!
//! A [`Walker`] owns what is shared (which pages are taken, which buckets were found). For one bucket, its driver
//! reads the branch pages itself and hands the nodes below them out as [`Subtree`]s, iterators of [`Node`]s that
//! threads work off; a window of them at a time, so that memory stays bounded, and in order, so that results do
//! not depend on the number of threads.
//!
//! Guards, as the bytes are hostile: no recursion; a page belongs to the first node that reaches it; depth is
//! bounded. If a page is reached twice, which thread was first would decide who gets it: [`walk`] then walks again, in the order
//! of the tree. So what a caller makes of a walk does not depend on the threads, and there is no other way to walk.
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

pub use node::{Node, NodeContent, NodeSizes};
use schedule::Driver;
pub use subtree::Subtree;

/// No tree of bbolt's is deeper: with two children a branch, 64 levels would hold more pages than ids exist.
pub const MAX_DEPTH: u32 = 64;

/// What a walk is given besides the file.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The stored freelist, if there is one: its pages are claimed, and reachable pages that it has are faults.
    pub freed: Option<FreedPages>,
    /// Faults that are kept; more are only counted.
    pub max_faults: usize,
}

/// What a walk finds, whatever was made of it.
#[derive(Debug)]
pub struct Walked<'a> {
    /// The buckets, by [`BucketId`].
    pub buckets: Vec<Bucket<'a>>,
    /// Faults of the structure.
    pub findings: Findings,
    /// Runs of pages that nothing refers to, as (first page, number of pages), in ascending order.
    pub unreached: Vec<(PageId, u64)>,
    /// The freelist that was given, with the number of its own pages that no node has.
    pub freed: Option<FreedPages>,
}

/// Walks a file on all threads. `read` chooses the buckets and makes something of their nodes; it is called twice where some page is
/// reached twice, the second time for a walk in the order of the tree, of which the result is kept.
pub fn walk<'a, T>(db: &'a Db, setup: Setup, mut read: impl FnMut(&mut Walker<'a>) -> T) -> (T, Walked<'a>) {
    let mut walker = Walker::new(db, setup.clone(), Threads::All);
    let made = read(&mut walker);
    if walker.shared.contested.load(Ordering::Relaxed) {
        drop((made, walker));
        return walk_in_order(db, setup, read);
    }
    (made, walker.finish())
}

/// Walks a file on this thread, in the order of the tree: for what costs less than to begin with threads.
pub fn walk_in_order<'a, T>(
    db: &'a Db,
    setup: Setup,
    read: impl FnOnce(&mut Walker<'a>) -> T,
) -> (T, Walked<'a>) {
    let mut walker = Walker::new(db, setup, Threads::One);
    let made = read(&mut walker);
    (made, walker.finish())
}

/// How many threads may work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Threads {
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
    /// Begins a walk. The meta pages are taken from the start.
    fn new(db: &'a Db, Setup { freed, max_faults }: Setup, threads: Threads) -> Self {
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
    pub fn buckets(&self) -> &[Bucket<'a>] {
        &self.buckets
    }

    /// The bucket of this id.
    pub fn bucket(&self, id: BucketId) -> Option<&Bucket<'a>> {
        self.buckets.get(id.0 as usize)
    }

    /// Makes a bucket that was found by other means one of this walk's.
    pub fn adopt(&mut self, bucket: Bucket<'a>) -> BucketId {
        let id = BucketId(u32::try_from(self.buckets.len()).unwrap_or(u32::MAX));
        self.buckets.push(bucket);
        id
    }

    /// When all buckets have been walked: takes the stored freelist's own pages. The tree comes first, as a lying
    /// freelist must not hide it.
    fn claim_freelist(&mut self) {
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

    fn finish(mut self) -> Walked<'a> {
        self.claim_freelist();
        let unreached = self.shared.claims.gaps().collect();
        Walked { buckets: self.buckets, findings: self.findings, unreached, freed: self.shared.freed }
    }

    /// Walks every bucket, and looks at none of its nodes.
    pub fn walk_all(&mut self) {
        for id in (0..).map(BucketId) {
            let Some(mut bucket) = self.walk_bucket(id) else { break };
            while bucket.next_window(|subtree| subtree.for_each(drop)).is_some() {}
        }
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
