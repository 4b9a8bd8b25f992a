//! A part of a tree: its nodes, each page taken for one node alone.

#![deny(clippy::arithmetic_side_effects)]

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::bolt::bucket::{Bucket, BucketId};
use crate::bolt::fault::{Fault, FaultKind, Findings, LostRange};
use crate::bolt::format::{PageId, PageKind};
use crate::bolt::page::{Page, PageErrorKind};

use super::node::{Node, NodeContent};
use super::{MAX_DEPTH, Shared};

/// Nodes that take no more pages than this, each with what lies between it and the next, lie closely together.
const MAX_PAGES_A_NODE: u64 = 4;

/// A node that was referred to, and not visited yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending<'a> {
    pub(super) page: PageId,
    /// No key in the node may be below this one.
    pub(super) lower: Option<&'a [u8]>,
    /// Every key in the node must be below this one.
    pub(super) upper: Option<&'a [u8]>,
    pub(super) depth: u32,
}

/// What a subtree collects beside its nodes.
#[derive(Debug, Default)]
pub(super) struct Leftover<'a> {
    pub(super) findings: Findings,
    pub(super) buckets: Vec<Bucket<'a>>,
}

/// A part of a bucket's tree: an iterator over its nodes, depth first, in the order of the keys.
#[derive(Debug)]
pub struct Subtree<'w, 'a> {
    pub(super) shared: &'w Shared<'a>,
    pub(super) bucket: BucketId,
    /// Pages above this part, from the bucket's root down.
    pub(super) ancestors: Arc<[PageId]>,
    /// Pages from this part's top to the node visited last.
    pub(super) path: Vec<PageId>,
    pub(super) ready: Option<Node<'a>>,
    pub(super) stack: Vec<Pending<'a>>,
    pub(super) leftover: Leftover<'a>,
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
    pub(super) fn new(shared: &'w Shared<'a>, bucket: BucketId, ancestors: Arc<[PageId]>) -> Self {
        let (path, ready, stack) = (Vec::new(), None, Vec::new());
        Self { shared, bucket, ancestors, path, ready, stack, leftover: Leftover::default() }
    }

    /// Asks the processor for what nodes to come begin with, and then for their keys: a walk waits for memory more than
    /// for anything else.
    #[inline]
    pub(super) fn prefetch_ahead(&self) {
        let ahead = |nodes: usize| self.stack.get(self.stack.len().wrapping_sub(nodes));
        if let Some(pending) = ahead(6) {
            self.shared.db.prefetch(pending.page);
        }
        if let Some(leaf) = ahead(3).and_then(|pending| self.shared.db.page(pending.page).ok()?.leaf().ok()) {
            leaf.prefetch_keys();
        }
    }

    /// Brings the nodes of this part into memory, where they lie closely together.
    pub(super) fn populate(&self) {
        let ids = || self.stack.iter().map(|pending| pending.page.0);
        let (Some(first), Some(last)) = (ids().min(), ids().max()) else { return };
        let pages = last.saturating_sub(first).saturating_add(1);
        let nodes = self.stack.len() as u64;
        if nodes > 1 && pages <= nodes.saturating_mul(MAX_PAGES_A_NODE) {
            self.shared.db.populate(PageId(first), pages);
        }
    }

    pub(super) fn take_leftover(&mut self) -> Leftover<'a> {
        std::mem::take(&mut self.leftover)
    }

    pub(super) fn fault(&mut self, kind: FaultKind, page: PageId, offset: u64) {
        self.report(kind, page, offset, None);
    }

    /// A fault for which entries from `lower` on, and below `upper`, are missing.
    #[cold]
    pub(super) fn loss(
        &mut self,
        kind: FaultKind,
        (page, offset): (PageId, u64),
        lower: Option<&'a [u8]>,
        upper: Option<&'a [u8]>,
    ) {
        // no copies: a branch may lose thousands of children, whose keys may be long
        let data = self.shared.db.data();
        let part = |key: &[u8]| if key.is_empty() { Bytes::new() } else { data.slice_ref(key) };
        let lost = LostRange { from: lower.map(part), below: upper.map(part) };
        self.report(kind, page, offset, Some(lost));
    }

    fn report(&mut self, kind: FaultKind, page: PageId, offset: u64, lost: Option<LostRange>) {
        let fault = Fault { kind, page: Some(page), offset: Some(offset), bucket: Some(self.bucket), lost };
        self.leftover.findings.push(fault, self.shared.max_faults);
    }

    /// The node at `pending`, with its children on the stack; `None`, and a fault, where there is none.
    pub(super) fn visit(&mut self, pending: Pending<'a>) -> Option<Node<'a>> {
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
            Ok(PageKind::Branch) => page.branch().map(NodeContent::Branch),
            Ok(PageKind::Leaf) => page.leaf().map(NodeContent::Leaf),
            Ok(found) => {
                Err(page.error(PageErrorKind::WrongKind { found, expected: "a branch or leaf page" }))
            }
            Err(error) => Err(error),
        };
        match content {
            Ok(content) => {
                let (sizes, readable) = match content {
                    NodeContent::Branch(branch) => self.read_branch(&branch, pending),
                    NodeContent::Leaf(leaf) => self.read_leaf(&leaf, pending.lower, pending.upper),
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
}
