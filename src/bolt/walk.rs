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

#![deny(clippy::arithmetic_side_effects)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use rayon::prelude::*;

use super::claims::Claims;
use super::db::Db;
use super::fault::{Fault, FaultKind, Lost};
use super::format::{
    BUCKET_FLAG, BUCKET_HEADER_SIZE, ELEMENT_SIZE, MAX_KEY_SIZE, PAGE_HEADER_SIZE, PageId, PageKind,
};
use super::freelist::FreedPages;
use super::page::{Branch, Entry, Leaf, Page, PageErrorKind};

/// No tree of bbolt's is deeper: with two children a branch, 64 levels would hold more pages than ids exist.
pub const MAX_DEPTH: u32 = 64;

/// About how many bytes of leaf pages are handed out at once.
const WINDOW_BYTES: u64 = 12 << 20;

/// Nodes that take no more pages than this, each with what lies between it and the next, lie closely together.
const MAX_PAGES_A_NODE: u64 = 4;

/// Which bucket, by the order in which a walk found them; 0 is the root bucket.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BucketId(pub u32);

impl BucketId {
    /// The bucket that holds the top-level buckets.
    pub const ROOT: Self = Self(0);
}

/// A bucket, as the entry that holds it says.
#[derive(Clone, Copy, Debug)]
pub struct Bucket<'a> {
    /// The bucket that it stands in; `None` for the root bucket.
    pub parent: Option<BucketId>,
    /// Its name: the entry's key. Empty for the root bucket.
    pub name: &'a [u8],
    /// Its counter.
    pub sequence: u64,
    /// Where its entries are.
    pub root: BucketRoot<'a>,
}

/// Where a bucket's entries are.
#[derive(Clone, Copy, Debug)]
pub enum BucketRoot<'a> {
    /// In a tree that begins at this page.
    Page(PageId),
    /// In the value of its own entry.
    Inline(Page<'a>),
}

/// Names from a top-level bucket down to this one, with slashes between. Where the names around it are very long, they
/// give way to an ellipsis: a path must not be longer for every bucket within than its bucket is in the file.
#[must_use]
pub fn path_of(buckets: &[Bucket<'_>], id: BucketId) -> Vec<u8> {
    const MAX_BYTES_AROUND: usize = 256;
    let bucket = |id: BucketId| buckets.get(id.0 as usize);
    let mut names = vec![bucket(id).map(|bucket| bucket.name).unwrap_or_default()];
    let mut around = 0usize;
    let mut parent = bucket(id).and_then(|bucket| bucket.parent);
    while let Some(outer) = parent.filter(|&outer| outer != BucketId::ROOT).and_then(bucket) {
        around = around.saturating_add(outer.name.len()).saturating_add(1);
        if around > MAX_BYTES_AROUND {
            names.push("…".as_bytes());
            break;
        }
        names.push(outer.name);
        parent = outer.parent;
    }
    names.reverse();
    names.join(&b'/')
}

/// The same for what stands beside each finding and page: names that are themselves very long are cut, too.
#[must_use]
pub fn short_path_of(buckets: &[Bucket<'_>], id: BucketId) -> Vec<u8> {
    const SHOWN: (usize, usize) = (400, 100);
    let path = path_of(buckets, id);
    let (first, last) = (path.get(..SHOWN.0), path.len().checked_sub(SHOWN.1).and_then(|at| path.get(at..)));
    match first.zip(last) {
        Some((first, last)) if path.len() > SHOWN.0.saturating_add(SHOWN.1) => {
            [whole_characters(first), "…".as_bytes(), behind_a_character(last)].concat()
        }
        _ => path,
    }
}

/// Without the beginning of a character of several bytes at its end.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    match str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => bytes.get(..error.valid_up_to()).unwrap_or_default(),
        _ => bytes,
    }
}

/// Without the end of a character at its beginning.
fn behind_a_character(bytes: &[u8]) -> &[u8] {
    let rest = bytes.iter().take(3).take_while(|&&byte| byte & 0xC0 == 0x80).count();
    bytes.get(rest..).unwrap_or_default()
}

/// How many threads may work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Threads {
    /// As many as rayon has.
    All,
    /// One: page by page in the order of the tree.
    One,
}

/// Bytes of a node, by what they are; they add up to the node's pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NodeSizes {
    /// The page header.
    pub header: u64,
    /// The table of elements.
    pub elements: u64,
    /// Keys.
    pub keys: u64,
    /// Values, but for buckets.
    pub values: u64,
    /// The headers of buckets that stand in this node.
    pub bucket_headers: u64,
    /// The pages of inline buckets that stand in this node: nodes themselves.
    pub inline_pages: u64,
    /// What is left.
    pub slack: u64,
}

impl NodeSizes {
    /// Bytes that belong to the node's elements: the table, keys, values, and all of the buckets.
    #[must_use]
    pub fn owned(&self) -> u64 {
        let parts = [self.elements, self.keys, self.values, self.bucket_headers, self.inline_pages];
        parts.into_iter().fold(0, u64::saturating_add)
    }
}

/// A branch or leaf whose page could be read.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    /// Its content. Elements that could not be read were reported; iterating yields them as errors again.
    pub content: Content<'a>,
    /// The bucket that it belongs to.
    pub bucket: BucketId,
    /// Levels below the bucket's root page.
    pub depth: u32,
    /// Whether it stands in an entry of another node rather than on pages of its own.
    pub inline: bool,
    /// Number of its elements that could be read.
    pub readable: u64,
    /// What its bytes are.
    pub sizes: NodeSizes,
}

/// A node's content.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// Keys and the pages below them.
    Branch(Branch<'a>),
    /// Keys and values.
    Leaf(Leaf<'a>),
}

impl<'a> Node<'a> {
    /// The page (with its overflow) that it stands on.
    #[must_use]
    pub fn page(&self) -> Page<'a> {
        match self.content {
            Content::Branch(branch) => branch.page(),
            Content::Leaf(leaf) => leaf.page(),
        }
    }

    /// The leaf, if it is one.
    #[must_use]
    pub fn leaf(&self) -> Option<Leaf<'a>> {
        match self.content {
            Content::Leaf(leaf) => Some(leaf),
            Content::Branch(_) => None,
        }
    }
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

/// Faults, up to a limit; beyond it they are only counted.
#[derive(Debug, Default)]
pub struct Findings {
    /// The first ones.
    pub faults: Vec<Fault>,
    /// How many there were.
    pub count: u64,
    /// How many of them are of trees: see [`Fault::is_of_a_tree`].
    pub of_trees: u64,
    /// The first of these, whatever the limit.
    pub first_of_trees: Option<Box<Fault>>,
}

impl Findings {
    /// Adds one.
    pub fn push(&mut self, fault: Fault, max: usize) {
        self.count = self.count.saturating_add(1);
        if fault.is_of_a_tree() {
            self.of_trees = self.of_trees.saturating_add(1);
            self.first_of_trees.get_or_insert_with(|| Box::new(fault.clone()));
        }
        if self.faults.len() < max {
            self.faults.push(fault);
        }
    }

    /// Adds those of `other` behind these.
    pub fn append(&mut self, other: Self, max: usize) {
        self.count = self.count.saturating_add(other.count);
        self.of_trees = self.of_trees.saturating_add(other.of_trees);
        self.first_of_trees = self.first_of_trees.take().or(other.first_of_trees);
        let room = max.saturating_sub(self.faults.len());
        self.faults.extend(other.faults.into_iter().take(room));
    }
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

/// What a subtree collects beside its nodes.
#[derive(Debug, Default)]
struct Leftover<'a> {
    findings: Findings,
    buckets: Vec<Bucket<'a>>,
}

/// Cuts one bucket's tree into subtrees: one a branch whose children are leaves.
#[derive(Debug)]
struct Driver<'w, 'a> {
    spine: Subtree<'w, 'a>,
    leaf_depth: u32,
    window_leaves: u64,
}

impl<'w, 'a> Driver<'w, 'a> {
    fn new(shared: &'w Shared<'a>, bucket: BucketId, root: BucketRoot<'a>) -> Self {
        let mut spine = Subtree::new(shared, bucket, Arc::from([]));
        let mut leaf_depth = 0;
        match root {
            BucketRoot::Page(page) => {
                leaf_depth = leaf_depth_below(shared.db, page);
                spine.stack.push(Pending { page, lower: None, upper: None, depth: 0 });
            }
            BucketRoot::Inline(page) => spine.ready = spine.inline_node(page),
        }
        let window_leaves = WINDOW_BYTES.checked_div(shared.db.page_size()).unwrap_or(1).max(64);
        Self { spine, leaf_depth, window_leaves }
    }

    fn next_window(&mut self) -> Vec<Subtree<'w, 'a>> {
        let mut window = Vec::new();
        let mut leaves = 0u64;
        while leaves < self.window_leaves {
            let Some(subtree) = self.next_subtree() else { break };
            leaves = leaves.saturating_add(subtree.stack.len().max(1) as u64);
            window.push(subtree);
        }
        window
    }

    fn next_subtree(&mut self) -> Option<Subtree<'w, 'a>> {
        let spine = &mut self.spine;
        let mut subtree = Subtree::new(spine.shared, spine.bucket, Arc::from([]));
        if let Some(node) = spine.ready.take() {
            subtree.ready = Some(node);
            return Some(subtree);
        }
        loop {
            let pending = spine.stack.pop()?;
            if pending.depth >= self.leaf_depth {
                subtree.stack.push(pending);
            } else {
                let below = spine.stack.len();
                let Some(node) = spine.visit(pending) else { continue };
                if node.depth.saturating_add(1) == self.leaf_depth {
                    subtree.stack = spine.stack.split_off(below);
                }
                subtree.ready = Some(node);
            }
            subtree.ancestors = Arc::from(spine.path.as_slice());
            return Some(subtree);
        }
    }
}

/// How many levels below `root` the leftmost leaf lies: where the walk expects leaves. A guess in a damaged tree,
/// which costs parallelism only.
fn leaf_depth_below(db: &Db, root: PageId) -> u32 {
    let mut page = root;
    for depth in 0..MAX_DEPTH {
        let Some(branch) = db.page(page).ok().and_then(|page| page.branch().ok()) else { return depth };
        let Some(child) = branch.children().find_map(Result::ok) else { return depth };
        page = child.page;
    }
    0
}

/// A node that was referred to, and not visited yet.
#[derive(Clone, Copy, Debug)]
struct Pending<'a> {
    page: PageId,
    /// No key in the node may be below this one.
    lower: Option<&'a [u8]>,
    /// Every key in the node must be below this one.
    upper: Option<&'a [u8]>,
    depth: u32,
}

/// A part of a bucket's tree: an iterator over its nodes, depth first, in the order of the keys.
#[derive(Debug)]
pub struct Subtree<'w, 'a> {
    shared: &'w Shared<'a>,
    bucket: BucketId,
    /// Pages above this part, from the bucket's root down.
    ancestors: Arc<[PageId]>,
    /// Pages from this part's top to the node visited last.
    path: Vec<PageId>,
    ready: Option<Node<'a>>,
    stack: Vec<Pending<'a>>,
    leftover: Leftover<'a>,
}

impl<'a> Iterator for Subtree<'_, 'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        if let Some(node) = self.ready.take() {
            return Some(node);
        }
        loop {
            self.prefetch_ahead();
            let pending = self.stack.pop()?;
            if let Some(node) = self.visit(pending) {
                return Some(node);
            }
        }
    }
}

impl<'w, 'a> Subtree<'w, 'a> {
    fn new(shared: &'w Shared<'a>, bucket: BucketId, ancestors: Arc<[PageId]>) -> Self {
        let (path, ready, stack) = (Vec::new(), None, Vec::new());
        Self { shared, bucket, ancestors, path, ready, stack, leftover: Leftover::default() }
    }

    /// Asks the processor for what nodes to come begin with, and then for their keys: a walk waits for memory more than
    /// for anything else.
    #[inline]
    fn prefetch_ahead(&self) {
        let ahead = |nodes: usize| self.stack.get(self.stack.len().wrapping_sub(nodes));
        if let Some(pending) = ahead(6) {
            self.shared.db.prefetch(pending.page);
        }
        if let Some(leaf) = ahead(3).and_then(|pending| self.shared.db.page(pending.page).ok()?.leaf().ok()) {
            leaf.prefetch_keys();
        }
    }

    /// Brings the nodes of this part into memory, where they lie closely together.
    fn populate(&self) {
        let ids = || self.stack.iter().map(|pending| pending.page.0);
        let (Some(first), Some(last)) = (ids().min(), ids().max()) else { return };
        let pages = last.saturating_sub(first).saturating_add(1);
        let nodes = self.stack.len() as u64;
        if nodes > 1 && pages <= nodes.saturating_mul(MAX_PAGES_A_NODE) {
            self.shared.db.populate(PageId(first), pages);
        }
    }

    fn take_leftover(&mut self) -> Leftover<'a> {
        std::mem::take(&mut self.leftover)
    }

    fn fault(&mut self, kind: FaultKind, page: PageId, offset: u64) {
        self.report(kind, page, offset, None);
    }

    /// A fault for which entries from `lower` on, and below `upper`, are missing.
    #[cold]
    fn loss(
        &mut self,
        kind: FaultKind,
        (page, offset): (PageId, u64),
        lower: Option<&'a [u8]>,
        upper: Option<&'a [u8]>,
    ) {
        // no copies: a branch may lose thousands of children, whose keys may be long
        let data = self.shared.db.data();
        let part = |key: &[u8]| if key.is_empty() { Bytes::new() } else { data.slice_ref(key) };
        let lost = Lost { from: lower.map(part), below: upper.map(part) };
        self.report(kind, page, offset, Some(lost));
    }

    fn report(&mut self, kind: FaultKind, page: PageId, offset: u64, lost: Option<Lost>) {
        let fault = Fault { kind, page: Some(page), offset: Some(offset), bucket: Some(self.bucket), lost };
        self.leftover.findings.push(fault, self.shared.max_faults);
    }

    /// The node at `pending`, with its children on the stack; `None`, and a fault, where there is none.
    fn visit(&mut self, pending: Pending<'a>) -> Option<Node<'a>> {
        self.path.truncate((pending.depth as usize).saturating_sub(self.ancestors.len()));
        let referrer = self.path.last().or(self.ancestors.last()).copied();
        let page = self.claim(pending, referrer)?;
        self.path.push(pending.page);

        let overflow = u64::from(page.header().overflow.get());
        if self
            .shared
            .freed
            .as_ref()
            .is_some_and(|freed| freed.contains_any(pending.page, overflow.saturating_add(1)))
        {
            self.fault(FaultKind::ReachableFreed, pending.page, page.offset());
        }
        let content = match page.kind() {
            Ok(PageKind::Branch) => page.branch().map(Content::Branch),
            Ok(PageKind::Leaf) => page.leaf().map(Content::Leaf),
            Ok(found) => {
                Err(page.error(PageErrorKind::WrongKind { found, expected: "a branch or leaf page" }))
            }
            Err(error) => Err(error),
        };
        match content {
            Ok(content) => {
                let (sizes, readable) = match content {
                    Content::Branch(branch) => self.read_branch(&branch, pending),
                    Content::Leaf(leaf) => self.read_leaf(&leaf, pending.lower, pending.upper),
                };
                Some(Node {
                    content,
                    bucket: self.bucket,
                    depth: pending.depth,
                    inline: false,
                    readable,
                    sizes,
                })
            }
            Err(error) => {
                let (kind, at) =
                    (FaultKind::Page { error: error.kind, referrer }, (pending.page, page.offset()));
                self.loss(kind, at, pending.lower, pending.upper);
                None
            }
        }
    }

    /// The page at `pending`, taken for this node alone.
    fn claim(&mut self, pending: Pending<'a>, referrer: Option<PageId>) -> Option<Page<'a>> {
        let Pending { page: id, depth, lower, upper } = pending;
        let offset = self.shared.db.offset_of(id);
        if depth >= MAX_DEPTH {
            self.loss(FaultKind::TooDeep { depth }, (id, offset), lower, upper);
            return None;
        }
        let found = self.shared.db.page(id);
        let overflow = found.as_ref().map_or(0, |page| page.header().overflow.get());
        let claimed = self.shared.claims.insert_run(id, u64::from(overflow).saturating_add(1));
        if let Err(at) = claimed
            && at.0 < self.shared.claims.num_pages()
        {
            self.shared.contested.store(true, Ordering::Relaxed);
            let kind = if at != id {
                // its first page is nobody's but its own, so it must not count as free
                self.shared.claims.insert(id);
                FaultKind::OverflowOverlap { overflow, at }
            } else if self.ancestors.contains(&id) || self.path.contains(&id) {
                FaultKind::Cycle { referrer }
            } else {
                FaultKind::ReachableTwice { referrer }
            };
            self.loss(kind, (id, offset), lower, upper);
            return None;
        }
        found
            .inspect_err(|error| {
                let kind = FaultKind::Page { error: error.kind, referrer };
                self.loss(kind, (id, offset), lower, upper);
            })
            .ok()
    }

    /// Checks a branch's elements, and puts its children on the stack, the leftmost on top. Returns what its bytes
    /// are, and how many elements could be read.
    fn read_branch(&mut self, branch: &Branch<'a>, pending: Pending<'a>) -> (NodeSizes, u64) {
        let page = branch.page();
        let mut order = KeyOrder::from(pending.lower);
        let mut readable = 0u64;
        let mut sizes = sizes_of_frame(&page, branch.num_children());
        let below = self.stack.len();
        if branch.num_children() == 0 {
            self.loss(FaultKind::EmptyBranch, (page.id(), page.offset()), pending.lower, pending.upper);
        }
        for (index, child) in branch.children().enumerate() {
            let child = match child {
                Ok(child) => child,
                Err(error) => {
                    let at = (page.id(), element_offset(&page, index));
                    let before = self.stack.get(below..).and_then(<[_]>::last).map(|child| child.lower);
                    self.loss(
                        FaultKind::Element { error },
                        at,
                        before.unwrap_or(pending.lower),
                        pending.upper,
                    );
                    continue;
                }
            };
            readable = readable.saturating_add(1);
            order.next(child.key);
            sizes.keys = sizes.keys.saturating_add(child.key.len() as u64);
            // keys in disorder bound nothing: the faults of the children would only repeat this one
            if self.stack.len() > below
                && let Some(previous) = self.stack.last_mut()
            {
                previous.upper =
                    Some(child.key).filter(|&key| previous.lower.is_some_and(|lower| lower < key));
            }
            self.stack.push(Pending {
                page: child.page,
                lower: Some(child.key),
                upper: pending.upper.filter(|&upper| child.key < upper),
                depth: pending.depth.saturating_add(1),
            });
        }
        if let Some(children) = self.stack.get_mut(below..) {
            children.reverse();
        }
        if !order.is_sound_below(pending.upper) {
            let children = branch.children().enumerate();
            let keys = children.filter_map(|(index, child)| Some((index, child.ok()?.key)));
            self.report_keys(&page, keys, (pending.lower, pending.upper));
        }
        sizes.slack = slack(&page, &sizes);
        (sizes, readable)
    }

    /// Checks a leaf's elements, and keeps the buckets among them. Returns as [`Self::read_branch`].
    fn read_leaf(
        &mut self,
        leaf: &Leaf<'a>,
        lower: Option<&'a [u8]>,
        upper: Option<&'a [u8]>,
    ) -> (NodeSizes, u64) {
        let page = leaf.page();
        let mut order = KeyOrder::from(lower);
        let mut readable = 0u64;
        let mut sizes = sizes_of_frame(&page, leaf.num_entries());
        for (index, entry) in leaf.entries().enumerate() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    let at = (page.id(), element_offset(&page, index));
                    self.loss(FaultKind::Element { error }, at, lower, upper);
                    continue;
                }
            };
            readable = readable.saturating_add(1);
            order.next(entry.key);
            sizes.keys = sizes.keys.saturating_add(entry.key.len() as u64);
            if entry.flags == 0 {
                sizes.values = sizes.values.saturating_add(entry.value.len() as u64);
            } else {
                self.read_flagged(&page, index, &entry, &mut sizes);
            }
        }
        if !order.is_sound_below(upper) {
            let entries = leaf.entries().enumerate();
            let keys = entries.filter_map(|(index, entry)| Some((index, entry.ok()?.key)));
            self.report_keys(&page, keys, (lower, upper));
        }
        sizes.slack = slack(&page, &sizes);
        (sizes, readable)
    }

    /// An entry that says that it is no plain value: a bucket, or nonsense.
    #[cold]
    fn read_flagged(&mut self, page: &Page<'a>, index: usize, entry: &Entry<'a>, sizes: &mut NodeSizes) {
        let offset = page.offset().saturating_add(entry.start as u64);
        let index = position(index);
        if entry.flags != BUCKET_FLAG {
            self.fault(FaultKind::EntryFlags { index, flags: entry.flags }, page.id(), offset);
        }
        let len = entry.value.len() as u64;
        let short = |needed: usize| FaultKind::BucketHeader { index, len, needed: needed as u64 };
        let Some(header) = entry.bucket_header() else {
            sizes.values = sizes.values.saturating_add(len);
            if entry.is_bucket() {
                self.fault(short(BUCKET_HEADER_SIZE), page.id(), offset);
            }
            return;
        };
        sizes.bucket_headers = sizes.bucket_headers.saturating_add(BUCKET_HEADER_SIZE as u64);
        let inline = entry.inline_page();
        let inline_at =
            offset.saturating_add((entry.key.len() as u64).saturating_add(BUCKET_HEADER_SIZE as u64));
        let root = match PageId(header.root.get()) {
            PageId(0) => Page::new(page.id(), inline_at, inline).map(BucketRoot::Inline),
            id => Some(BucketRoot::Page(id)),
        };
        match root {
            Some(BucketRoot::Inline(_)) => {
                sizes.inline_pages = sizes.inline_pages.saturating_add(inline.len() as u64);
            }
            _ => sizes.values = sizes.values.saturating_add(inline.len() as u64),
        }
        let Some(root) = root else {
            let needed = BUCKET_HEADER_SIZE.saturating_add(PAGE_HEADER_SIZE);
            return self.fault(short(needed), page.id(), offset);
        };
        let (parent, name) = (Some(self.bucket), entry.key);
        self.leftover.buckets.push(Bucket { parent, name, sequence: header.sequence.get(), root });
    }

    /// The one node of an inline bucket. bbolt writes them as leaves, without overflow.
    fn inline_node(&mut self, page: Page<'a>) -> Option<Node<'a>> {
        match page.leaf() {
            Ok(leaf) => {
                let (sizes, readable) = self.read_leaf(&leaf, None, None);
                Some(Node {
                    content: Content::Leaf(leaf),
                    bucket: self.bucket,
                    depth: 0,
                    inline: true,
                    readable,
                    sizes,
                })
            }
            Err(error) => {
                self.fault(FaultKind::Page { error: error.kind, referrer: None }, page.id(), page.offset());
                None
            }
        }
    }

    /// Reports what is wrong with a node's keys, of which [`KeyOrder`] only says that something is.
    #[cold]
    fn report_keys<'k>(
        &mut self,
        page: &Page<'_>,
        keys: impl Iterator<Item = (usize, &'k [u8])>,
        (lower, upper): (Option<&[u8]>, Option<&[u8]>),
    ) {
        let mut previous = None;
        for (index, key) in keys {
            let (offset, index) = (element_offset(page, index), position(index));
            let mut fault = |kind| self.fault(kind, page.id(), offset);
            if !(1..=MAX_KEY_SIZE).contains(&key.len()) {
                fault(FaultKind::KeySize { index, len: key.len() as u64 });
            }
            match previous {
                Some(previous) if key <= previous => {
                    fault(FaultKind::KeyOrder { index, equal: key == previous })
                }
                None if lower.is_some_and(|lower| key < lower) => fault(FaultKind::KeyBelowParent { index }),
                _ => {}
            }
            if upper.is_some_and(|upper| key >= upper) {
                fault(FaultKind::KeyAboveParent { index });
            }
            previous = Some(key);
        }
    }
}

/// Whether a node's keys ascend from the parent's key for it to below the parent's next one, and are of lengths
/// that bbolt accepts.
struct KeyOrder<'a> {
    sound: bool,
    first: bool,
    previous: &'a [u8],
}

impl<'a> KeyOrder<'a> {
    fn from(lower: Option<&'a [u8]>) -> Self {
        Self { sound: true, first: true, previous: lower.unwrap_or_default() }
    }

    #[inline]
    fn next(&mut self, key: &'a [u8]) {
        let above = key > self.previous || (self.first && key == self.previous);
        self.sound &= above && (1..=MAX_KEY_SIZE).contains(&key.len());
        self.first = false;
        self.previous = key;
    }

    fn is_sound_below(&self, upper: Option<&[u8]>) -> bool {
        self.sound && upper.is_none_or(|upper| self.previous < upper || self.first)
    }
}

fn sizes_of_frame(page: &Page<'_>, num_elements: usize) -> NodeSizes {
    let elements = (num_elements as u64).saturating_mul(ELEMENT_SIZE as u64);
    let header = (PAGE_HEADER_SIZE as u64).min(page.bytes().len() as u64);
    NodeSizes { header, elements, ..NodeSizes::default() }
}

/// What the node's other parts leave. They can't exceed its pages: elements out of bounds or overlapping were left
/// out.
fn slack(page: &Page<'_>, sizes: &NodeSizes) -> u64 {
    let NodeSizes { header, elements, keys, values, bucket_headers, inline_pages, slack: _ } = *sizes;
    let used = [header, elements, keys, values, bucket_headers, inline_pages]
        .into_iter()
        .fold(0, u64::saturating_add);
    (page.bytes().len() as u64).saturating_sub(used)
}

fn element_offset(page: &Page<'_>, index: usize) -> u64 {
    let within = index.saturating_mul(ELEMENT_SIZE).saturating_add(PAGE_HEADER_SIZE);
    page.offset().saturating_add(within as u64)
}

fn position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
