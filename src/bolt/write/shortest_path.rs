//! The least cut of a level into nodes: a shortest path.

#![deny(clippy::arithmetic_side_effects)]

use std::collections::VecDeque;

use crate::bolt::format::ELEMENT_SIZE;

use super::node_size::{EntryBytes, MAX_ELEMENTS, node_bytes};

/// What a cut must keep to.
#[derive(Clone, Copy, Debug)]
pub(super) struct CutLimits {
    pub(super) page_size: u64,
    /// The fewest entries of a node.
    pub(super) min_entries: u64,
    /// The most entries of a node of several pages.
    pub(super) max_split_entries: u64,
}

/// Cuts a level; `windows` has a 0 for each number of pages that a node may have.
pub(super) fn shortest_path<W>(
    entries: impl ExactSizeIterator<Item = EntryBytes>,
    limits: CutLimits,
    windows: W,
) -> Vec<u32>
where
    W: AsRef<[usize]> + AsMut<[usize]>,
{
    let mut path = ShortestPath::new(limits, windows, entries.len());
    entries.for_each(|entry| path.push(entry));
    path.into_nodes()
}

/// The shortest path so far, for every number of entries at once.
///
/// All nodes that end at the newest entry and take at most `p` pages begin within a window of the entries before it;
/// of these, the best begin is where the cost so far, and of the entry in the level above, is least. One queue of
/// begins with rising costs serves the windows of all `p`, as they end at the same place: the first in the queue that
/// lies in a window is the window's best. Each begin enters and leaves the queue once, so time is linear.
#[derive(Debug)]
struct ShortestPath<W> {
    limits: CutLimits,
    max_node_bytes: u64,
    /// Entries so far, and their bytes with elements.
    num_entries: u64,
    total: u64,
    /// Begins whose nodes would still be too short.
    waiting: VecDeque<Begin>,
    /// Begins that may be best for some node to come, their costs rising. Never empty once an entry was taken.
    best: Vec<Begin>,
    /// For one page, two pages, and so on: the position in `best` where the window begins.
    windows: W,
    wide: Option<Wide>,
    /// The cost of placing all entries so far; `None` where they are too few for a node.
    cost: Option<u64>,
    /// For each number of entries: how many of them are in the last node. At most [`MAX_ELEMENTS`].
    last_node: Vec<u16>,
}

/// A place where a node may begin.
#[derive(Clone, Copy, Debug)]
struct Begin {
    index: u64,
    before: u64,
    /// The least cost of placing them, and of the entry in the level above for the node that begins here.
    cost: u64,
}

/// A node with an entry that needs more pages than nodes are given: its neighbours may use what it leaves.
#[derive(Clone, Copy, Debug)]
struct Wide {
    /// The node must begin at or before this entry.
    index: u64,
    /// Bytes of its pages.
    bytes: u64,
    /// The position in `best` where its window begins.
    window: usize,
}

/// The place after the newest entry, where a node may end.
#[derive(Clone, Copy, Debug)]
struct NodeEnd {
    /// Bytes of a node that holds all entries so far. One that begins later has those before it less.
    bytes: u64,
    /// The first begin from which a node has no more elements than it may.
    oldest: u64,
    /// The same for a node of several pages.
    oldest_of_several_pages: u64,
}

impl NodeEnd {
    #[inline]
    fn after(num_entries: u64, total: u64, max_split_entries: u64) -> Self {
        Self {
            bytes: node_bytes(total),
            oldest: num_entries.saturating_sub(MAX_ELEMENTS),
            oldest_of_several_pages: num_entries.saturating_sub(max_split_entries.min(MAX_ELEMENTS)),
        }
    }

    /// Moves a window's begin on until a node from there to here fits in `bytes`.
    #[inline]
    fn advance(self, best: &[Begin], mut window: usize, bytes: u64, oldest: u64) -> usize {
        let first = self.bytes.saturating_sub(bytes);
        while best.get(window).is_some_and(|begin| begin.before < first || begin.index < oldest) {
            window = window.saturating_add(1);
        }
        window
    }
}

impl<W: AsRef<[usize]> + AsMut<[usize]>> ShortestPath<W> {
    /// Nothing placed yet; `windows` has a 0 for each number of pages that a node may have.
    fn new(limits: CutLimits, windows: W, num_entries: usize) -> Self {
        Self {
            limits,
            max_node_bytes: limits.page_size.saturating_mul(windows.as_ref().len() as u64),
            num_entries: 0,
            total: 0,
            waiting: VecDeque::new(),
            best: Vec::new(),
            windows,
            wide: None,
            cost: Some(0),
            last_node: Vec::with_capacity(num_entries),
        }
    }

    #[inline]
    fn push(&mut self, entry: EntryBytes) {
        let in_parent = (ELEMENT_SIZE as u64).saturating_add(entry.key);
        if let Some(cost) = self.cost {
            let (index, before) = (self.num_entries, self.total);
            let begin = Begin { index, before, cost: cost.saturating_add(in_parent) };
            match self.limits.min_entries {
                1 => self.admit(begin),
                _ => self.waiting.push_back(begin),
            }
        }
        self.num_entries = self.num_entries.saturating_add(1);
        self.total = self.total.saturating_add(entry.own());
        // begins whose nodes are long enough now
        while let Some(&begin) = self.waiting.front() {
            if self.num_entries.saturating_sub(begin.index) < self.limits.min_entries {
                break;
            }
            self.waiting.pop_front();
            self.admit(begin);
        }
        let found = self.cheapest_last_node();
        self.cost = found.map(|(_, cost)| cost);
        let length = found.map_or(0, |(index, _)| self.num_entries.saturating_sub(index));
        self.last_node.push(u16::try_from(length).unwrap_or(u16::MAX));
    }

    /// Lets a begin into the queue, and those out of it that can't be best any more.
    #[inline]
    fn admit(&mut self, begin: Begin) {
        let before = self.best.len();
        while self.best.last().is_some_and(|last| last.cost >= begin.cost && self.is_droppable(last)) {
            self.best.pop();
        }
        let newest = self.best.len();
        self.best.push(begin);
        if newest < before {
            self.windows.as_mut().iter_mut().for_each(|window| *window = (*window).min(newest));
        }
    }

    /// Begins that a wide node needs are kept: it can't begin after its large entry.
    fn is_droppable(&self, begin: &Begin) -> bool {
        self.wide.is_none_or(|wide| begin.index > wide.index)
    }

    /// The begin of the last node, and the cost of all, if the newest entry is the last.
    #[inline]
    fn cheapest_last_node(&mut self) -> Option<(u64, u64)> {
        let newest = self.best.last()?;
        let end = NodeEnd::after(self.num_entries, self.total, self.limits.max_split_entries);
        let shortest = end.bytes.saturating_sub(newest.before);
        if shortest > self.max_node_bytes {
            let bytes = shortest.div_ceil(self.limits.page_size).saturating_mul(self.limits.page_size);
            self.wide = Some(Wide { index: newest.index, bytes, window: 0 });
        }
        let mut cheapest = (0, u64::MAX);
        let mut consider = |begin: &Begin, bytes: u64| {
            let cost = begin.cost.saturating_add(bytes);
            // of equals the larger node, as it leaves fewer
            if cost <= cheapest.1 {
                cheapest = (begin.index, cost);
            }
        };
        let (mut bytes, mut oldest) = (0u64, end.oldest);
        for window in self.windows.as_mut() {
            bytes = bytes.saturating_add(self.limits.page_size);
            *window = end.advance(&self.best, *window, bytes, oldest);
            if let Some(begin) = self.best.get(*window) {
                consider(begin, bytes);
            }
            oldest = end.oldest_of_several_pages;
        }
        if let Some(wide) = &mut self.wide {
            wide.window = end.advance(&self.best, wide.window, wide.bytes, oldest);
            match self.best.get(wide.window).filter(|begin| begin.index <= wide.index) {
                Some(begin) => consider(begin, wide.bytes),
                None => self.wide = None,
            }
        }
        self.forget();
        (cheapest.1 < u64::MAX).then_some(cheapest)
    }

    /// Drops the begins that all windows have passed, now and then, but for the newest.
    #[inline]
    fn forget(&mut self) {
        const ENOUGH: usize = 1 << 12;
        if self.best.len() < ENOUGH {
            return;
        }
        let windows = || self.windows.as_ref().iter().copied().chain(self.wide.map(|wide| wide.window));
        let last = self.best.len().saturating_sub(1);
        let passed = windows().min().unwrap_or(0).min(last);
        self.best.drain(..passed);
        self.windows.as_mut().iter_mut().for_each(|window| *window = window.saturating_sub(passed));
        if let Some(wide) = &mut self.wide {
            wide.window = wide.window.saturating_sub(passed);
        }
    }

    fn into_nodes(self) -> Vec<u32> {
        let mut nodes = Vec::new();
        let mut end = self.last_node.len();
        while let Some(&length) = end.checked_sub(1).and_then(|last| self.last_node.get(last)) {
            // too few entries for a node: one with all of them
            let length = if length == 0 { end } else { usize::from(length) };
            nodes.push(u32::try_from(length).unwrap_or(u32::MAX));
            end = end.saturating_sub(length);
        }
        nodes.reverse();
        nodes
    }
}
