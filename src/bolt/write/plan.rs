//! The plan of a file: every node's entries and page, from sizes alone.

#![deny(clippy::arithmetic_side_effects)]

use std::ops::Range;

use thiserror::Error;

use crate::bolt::format::{
    BUCKET_HEADER_SIZE, ELEMENT_SIZE, MAX_KEY_SIZE, MAX_PAGE_SIZE, MAX_VALUE_SIZE, MIN_PAGE_SIZE, PageId,
};

use super::node_size::{EntryBytes, MAX_ELEMENTS, node_bytes};
use super::pack::{NodeKind, Packing, pack};
use super::source::{EntrySource, Sizes, ValueSize};

/// How a file is laid out.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Settings {
    /// Bytes of a page: a power of two from 512 to 16 MiB.
    pub page_size: u32,
    /// How nodes are cut.
    pub packing: Packing,
    /// Whether to store a freelist. etcd's files have none.
    pub freelist: bool,
}

/// Why a file can't be written.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum PlanError {
    /// This page size is not supported.
    #[error("pages of {0} bytes: not supported, only powers of two from {MIN_PAGE_SIZE} to {MAX_PAGE_SIZE}")]
    PageSize(u32),
    /// A key that bbolt would not take.
    #[error("entry {entry}: a key of {len} bytes; bbolt's keys have 1 to {MAX_KEY_SIZE}")]
    KeySize {
        /// Its number in the source.
        entry: u64,
        /// Bytes of the key.
        len: usize,
    },
    /// A value that bbolt would not take.
    #[error("entry {entry}: a value of {len} bytes; bbolt's have at most {MAX_VALUE_SIZE}")]
    ValueSize {
        /// Its number in the source.
        entry: u64,
        /// Bytes of the value.
        len: u64,
    },
    /// A bucket must come before those within it, and within one only.
    #[error("entry {entry}: bucket {bucket} can't stand there")]
    Bucket {
        /// The entry's number in the source.
        entry: u64,
        bucket: usize,
    },
    /// Every bucket but the first is in another one, and there is a first.
    #[error("bucket {bucket} stands nowhere")]
    Unplaced { bucket: usize },
}

#[derive(Clone, Debug)]
pub struct Plan {
    /// Bytes of a page.
    pub page_size: u64,
    /// Where an empty freelist goes, if one is wanted.
    pub freelist: Option<PageId>,
    /// By the number of the bucket.
    pub buckets: Vec<PlannedBucket>,
    /// Pages of the whole file.
    pub num_pages: u64,
    /// Bytes of all entries: elements, keys, values.
    pub entry_bytes: u64,
    /// By planned page: where the node went that was planned there. Empty where nodes stay, one after the other.
    moved: Vec<PageId>,
}

#[derive(Clone, Debug)]
pub enum PlannedBucket {
    /// Within the entry that it is the value of: a page of this size, after the bucket's header.
    Inline {
        /// Bytes of the page.
        bytes: u64,
    },
    /// A tree: its levels from the leaves to the root.
    Tree(Vec<PlannedLevel>),
}

/// One level of a bucket's tree.
#[derive(Clone, Debug)]
pub struct PlannedLevel {
    /// Its nodes, in order.
    pub nodes: Vec<PlannedNode>,
    /// Entries (or children) of the whole level.
    pub num_entries: u64,
    /// The page after its last.
    pub end: PageId,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlannedNode {
    /// The first of its entries, counted from the bucket's first; of its children, from the level's below.
    pub first: u64,
    pub page: PageId,
}

impl Plan {
    /// Bytes of the whole file.
    pub fn file_bytes(&self) -> u64 {
        self.num_pages.saturating_mul(self.page_size)
    }

    /// Bytes of its nodes: of all that is written but the metas and a freelist.
    pub fn node_bytes(&self) -> u64 {
        self.nodes().map(|(_, pages)| pages.saturating_mul(self.page_size)).fold(0, u64::saturating_add)
    }

    /// The root page of a bucket; 0 for an inline one.
    pub fn root_page(&self, bucket: usize) -> PageId {
        match self.buckets.get(bucket) {
            Some(PlannedBucket::Tree(levels)) => {
                let root = levels.last().and_then(|level| level.nodes.first());
                root.map_or(PageId(0), |node| self.page_of(node.page))
            }
            _ => PageId(0),
        }
    }

    /// Where the node lies that was planned to begin at this page.
    pub fn page_of(&self, planned: PageId) -> PageId {
        let moved = usize::try_from(planned.0).ok().and_then(|index| self.moved.get(index));
        moved.copied().unwrap_or(planned)
    }

    /// All nodes of all trees as (planned page, pages), in the order of their pages.
    pub fn nodes(&self) -> impl Iterator<Item = (PageId, u64)> {
        let levels = self.buckets.iter().rev().flat_map(|bucket| match bucket {
            PlannedBucket::Tree(levels) => levels.as_slice(),
            PlannedBucket::Inline { .. } => &[],
        });
        levels.flat_map(|level| {
            let nodes = (0..level.nodes.len()).filter_map(|index| level.node_at(index));
            nodes.map(|node| (node.page, node.pages))
        })
    }

    /// Moves nodes within a file of `num_pages`: each pair is a node's planned page, and the page to begin at instead.
    /// They must not come to lie on each other, nor on the pages before the first node. What no node takes is free.
    pub fn move_nodes(&mut self, moves: impl IntoIterator<Item = (PageId, PageId)>, num_pages: u64) {
        self.moved = (0..self.num_pages).map(PageId).collect();
        for (planned, page) in moves {
            let slot = usize::try_from(planned.0).ok().and_then(|index| self.moved.get_mut(index));
            slot.into_iter().for_each(|slot| *slot = page);
        }
        self.num_pages = num_pages;
    }

    /// Bytes of an entry's value in the file.
    pub fn value_bytes(&self, value: ValueSize) -> u64 {
        value_bytes(&self.buckets, value)
    }
}

/// The entries and pages of one node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlannedSpan {
    /// Its entries, by their numbers in the level.
    pub entries: Range<u64>,
    /// Its first page, as planned.
    pub page: PageId,
    /// Number of its pages.
    pub pages: u64,
}

impl PlannedLevel {
    /// The node at `index`.
    pub fn node_at(&self, index: usize) -> Option<PlannedSpan> {
        let node = self.nodes.get(index)?;
        let next = self.nodes.get(index.saturating_add(1));
        let (end, end_page) = next.map_or((self.num_entries, self.end), |next| (next.first, next.page));
        let pages = end_page.0.saturating_sub(node.page.0);
        Some(PlannedSpan { entries: node.first..end, page: node.page, pages })
    }
}

/// Plans the file. Reads sizes only, and nothing of the entries themselves.
///
/// # Errors
/// Something that bbolt could not have.
pub fn plan(source: &impl EntrySource, settings: Settings) -> Result<Plan, PlanError> {
    let Settings { page_size, packing, freelist } = settings;
    if !page_size.is_power_of_two() || !(MIN_PAGE_SIZE..=MAX_PAGE_SIZE).contains(&page_size) {
        return Err(PlanError::PageSize(page_size));
    }
    let freelist = freelist.then_some(PageId(2));
    let num_buckets = source.buckets().len();
    let nothing = PlannedBucket::Inline { bytes: 0 };
    let mut planner = Planner {
        source,
        page_size: u64::from(page_size),
        packing,
        next_page: if freelist.is_some() { 3 } else { 2 },
        buckets: vec![nothing; num_buckets],
        placed: vec![false; num_buckets],
        entry_bytes: 0,
    };
    // those within a bucket come after it, and must be planned before it
    for bucket in (0..num_buckets).rev() {
        planner.plan_bucket(bucket)?;
    }
    planner.check_placed()?;
    let Planner { page_size, next_page, buckets, entry_bytes, .. } = planner;
    Ok(Plan { page_size, freelist, buckets, num_pages: next_page, entry_bytes, moved: Vec::new() })
}

struct Planner<'s, S> {
    source: &'s S,
    page_size: u64,
    packing: Packing,
    next_page: u64,
    buckets: Vec<PlannedBucket>,
    /// Which buckets are in another one already.
    placed: Vec<bool>,
    entry_bytes: u64,
}

impl<S: EntrySource> Planner<'_, S> {
    fn plan_bucket(&mut self, bucket: usize) -> Result<(), PlanError> {
        let Some(spec) = self.source.buckets().get(bucket) else { return Ok(()) };
        let entries = spec.entries.clone();
        let mut own = 0u64;
        let mut has_buckets = false;
        for entry in entries.clone() {
            let sizes = self.source.sizes(entry);
            self.check(bucket, entry, sizes)?;
            has_buckets |= matches!(sizes.value, ValueSize::Bucket(_));
            own = own.saturating_add(own_bytes(&self.buckets, sizes));
        }
        let bytes = node_bytes(own);
        // `inlineable` in bbolt's bucket.go, which does not count: a quarter of 8 MiB has room for more elements than a
        // page may have. The root bucket is in no entry
        let fits = bytes <= self.page_size / 4 && entries.end.saturating_sub(entries.start) <= MAX_ELEMENTS;
        let planned = if bucket > 0 && !has_buckets && fits {
            PlannedBucket::Inline { bytes }
        } else {
            // an inline bucket's are part of the entry that it is in
            self.entry_bytes = self.entry_bytes.saturating_add(own);
            PlannedBucket::Tree(self.plan_tree(&entries))
        };
        if let Some(slot) = self.buckets.get_mut(bucket) {
            *slot = planned;
        }
        Ok(())
    }

    fn check(&mut self, bucket: usize, entry: u64, sizes: Sizes) -> Result<(), PlanError> {
        if !(1..=MAX_KEY_SIZE).contains(&sizes.key) {
            return Err(PlanError::KeySize { entry, len: sizes.key });
        }
        match sizes.value {
            ValueSize::Bytes(len) if len > MAX_VALUE_SIZE => Err(PlanError::ValueSize { entry, len }),
            ValueSize::Bytes(_) => Ok(()),
            ValueSize::Bucket(child) => {
                let placed = self.placed.get_mut(child).filter(|placed| child > bucket && !**placed);
                placed.map(|placed| *placed = true).ok_or(PlanError::Bucket { entry, bucket: child })
            }
        }
    }

    /// What is in a bucket that no other holds would be lost.
    fn check_placed(&self) -> Result<(), PlanError> {
        if self.placed.is_empty() {
            return Err(PlanError::Unplaced { bucket: 0 });
        }
        let unplaced = self.placed.iter().skip(1).position(|placed| !placed);
        unplaced.map_or(Ok(()), |index| Err(PlanError::Unplaced { bucket: index.saturating_add(1) }))
    }

    fn plan_tree(&mut self, entries: &Range<u64>) -> Vec<PlannedLevel> {
        let mut levels = vec![self.plan_leaves(entries)];
        while levels.last().is_some_and(|level| level.nodes.len() > 1) {
            levels.push(self.plan_branches(&levels, entries));
            self.next_page = levels.last().map_or(self.next_page, |level| level.end.0);
        }
        levels
    }

    fn plan_leaves(&mut self, entries: &Range<u64>) -> PlannedLevel {
        let source = self.source;
        let size_at = |entry: u64| {
            let sizes = source.sizes(entry);
            let data = own_bytes(&self.buckets, sizes).saturating_sub(ELEMENT_SIZE as u64);
            EntryBytes { key: sizes.key as u64, data }
        };
        let count = entries.end.saturating_sub(entries.start);
        let sizes = SizeIter { next: entries.start, end: entries.end, size_at };
        let lengths = pack(sizes, self.page_size, NodeKind::Leaf, self.packing);
        // an empty bucket still has one page
        let lengths = if lengths.is_empty() { vec![0] } else { lengths };
        let level = self.lay_out(&lengths, count, |entry| size_at(entries.start.saturating_add(entry)));
        self.next_page = level.end.0;
        level
    }

    /// The level over the last of `levels`.
    fn plan_branches(&self, levels: &[PlannedLevel], entries: &Range<u64>) -> PlannedLevel {
        let size_at = |child: u64| {
            let entry = entries.start.saturating_add(first_entry(levels, child));
            let key = self.source.sizes(entry).key as u64;
            EntryBytes { key, data: key }
        };
        let count = levels.last().map_or(0, |below| below.nodes.len() as u64);
        let sizes = SizeIter { next: 0, end: count, size_at };
        let lengths = pack(sizes, self.page_size, NodeKind::Branch, self.packing);
        self.lay_out(&lengths, count, size_at)
    }

    /// Gives nodes their pages, one after the other.
    fn lay_out(
        &self,
        lengths: &[u32],
        num_entries: u64,
        size_at: impl Fn(u64) -> EntryBytes,
    ) -> PlannedLevel {
        let mut page = self.next_page;
        let mut first = 0u64;
        let mut nodes = Vec::with_capacity(lengths.len());
        for &length in lengths {
            nodes.push(PlannedNode { first, page: PageId(page) });
            let end = first.saturating_add(u64::from(length));
            let own = (first..end).map(|entry| size_at(entry).own()).fold(0, u64::saturating_add);
            page = page.saturating_add(node_bytes(own).div_ceil(self.page_size));
            first = end;
        }
        PlannedLevel { nodes, num_entries, end: PageId(page) }
    }
}

/// The first entry below a node of the last of `levels`, counted from the bucket's first.
pub fn first_entry(levels: &[PlannedLevel], node: u64) -> u64 {
    levels.iter().rev().fold(node, |index, level| {
        let node = usize::try_from(index).ok().and_then(|index| level.nodes.get(index));
        node.map_or(0, |node| node.first)
    })
}

fn value_bytes(buckets: &[PlannedBucket], value: ValueSize) -> u64 {
    match value {
        ValueSize::Bytes(len) => len,
        ValueSize::Bucket(child) => match buckets.get(child) {
            Some(PlannedBucket::Inline { bytes }) => (BUCKET_HEADER_SIZE as u64).saturating_add(*bytes),
            _ => BUCKET_HEADER_SIZE as u64,
        },
    }
}

fn own_bytes(buckets: &[PlannedBucket], sizes: Sizes) -> u64 {
    let value = value_bytes(buckets, sizes.value);
    (ELEMENT_SIZE as u64).saturating_add(sizes.key as u64).saturating_add(value)
}

/// The sizes of a range of entries, in order, and how many there are.
struct SizeIter<F> {
    next: u64,
    end: u64,
    size_at: F,
}

impl<F: Fn(u64) -> EntryBytes> Iterator for SizeIter<F> {
    type Item = EntryBytes;

    fn next(&mut self) -> Option<EntryBytes> {
        if self.next >= self.end {
            return None;
        }
        let size = (self.size_at)(self.next);
        self.next = self.next.saturating_add(1);
        Some(size)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.end.saturating_sub(self.next)).unwrap_or(usize::MAX);
        (left, Some(left))
    }
}

impl<F: Fn(u64) -> EntryBytes> ExactSizeIterator for SizeIter<F> {}
