//! What is wrong with a node: each element of it is looked at.

#![deny(clippy::arithmetic_side_effects)]

use crate::bolt::bucket::{Bucket, BucketRoot};
use crate::bolt::fault::FaultKind;
use crate::bolt::format::{
    BUCKET_FLAG, BUCKET_HEADER_SIZE, ELEMENT_SIZE, MAX_KEY_SIZE, PAGE_HEADER_SIZE, PageId,
};
use crate::bolt::page::{Branch, Entry, Leaf, Page};

use super::node::{Node, NodeContent, NodeSizes, sizes_of_frame, slack};
use super::subtree::{Pending, Subtree};

impl<'a> Subtree<'_, 'a> {
    /// Checks a branch's elements, and puts its children on the stack, the leftmost on top. Returns what its bytes
    /// are, and how many elements could be read.
    pub(super) fn read_branch(&mut self, branch: &Branch<'a>, pending: Pending<'a>) -> (NodeSizes, u64) {
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
    pub(super) fn read_leaf(
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
    pub(super) fn inline_node(&mut self, page: Page<'a>) -> Option<Node<'a>> {
        match page.leaf() {
            Ok(leaf) => {
                let (sizes, readable) = self.read_leaf(&leaf, None, None);
                Some(Node {
                    content: NodeContent::Leaf(leaf),
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

fn element_offset(page: &Page<'_>, index: usize) -> u64 {
    let within = index.saturating_mul(ELEMENT_SIZE).saturating_add(PAGE_HEADER_SIZE);
    page.offset().saturating_add(within as u64)
}

fn position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
