//! Where one node ends and the next begins: the packing.
//!
//! The order of a bucket's entries is fixed, and a node may span several pages, so to cut a level of the tree into
//! nodes is to find a shortest path: from "no entry placed" to "all placed", where an edge is a node, and costs its
//! pages and its entry in the level above. docs/packing.md explains it with figures.

#![deny(clippy::arithmetic_side_effects)]

use std::collections::VecDeque;

use crate::bolt::format::{ELEMENT_SIZE, PAGE_HEADER_SIZE};

/// The most elements of a node: bbolt refuses 0xFFFF and more (`node.go`, `write`).
pub(super) const MAX_ELEMENTS: u64 = 0xFFFE;

/// bbolt never splits a node of four entries or fewer (`node.go`, `splitTwo`), so one of five can lose one.
pub const STEADY_ENTRIES: u64 = 5;

/// How nodes are cut.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Packing {
    /// The least file with nodes of at most so many pages; a node with an entry that needs more takes as many as that
    /// entry needs.
    Optimal {
        /// At least 1.
        max_node_pages: u32,
        /// Whether a node of several pages has at most [`STEADY_ENTRIES`] entries, so that bbolt does not split it as
        /// soon as it loses one.
        steady: bool,
    },
    /// As bbolt cuts what is appended to it: page by page, each filled to this share, and at least two entries in
    /// each (`node.go`, `splitTwo`). For estimates: bbolt's own result also depends on its transactions.
    AsBbolt {
        /// `Bucket.FillPercent`: 0.9 for a defrag by etcd, 1.0 for `bbolt compact`.
        fill: f64,
    },
}

/// Which level of a tree is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// Entries with values. A node may hold a single one.
    Leaf,
    /// Children. A node holds two at least, as bbolt wants of its branches (`node.go`, `minKeys`).
    Branch,
}

impl Level {
    fn min_entries(self) -> u64 {
        match self {
            Self::Leaf => 1,
            Self::Branch => 2,
        }
    }
}

/// What one entry adds to its node: bytes of its key, and of key and value together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EntryBytes {
    /// Bytes of the key: what the entry costs the level above, if a node begins with it.
    pub key: u64,
    /// Bytes of key and value.
    pub data: u64,
}

impl EntryBytes {
    /// With its element.
    #[must_use]
    pub fn own(self) -> u64 {
        (ELEMENT_SIZE as u64).saturating_add(self.data)
    }
}

/// Cuts a level into nodes: how many entries each has, from the first to the last. Nothing for no entries.
#[must_use]
pub fn pack(
    entries: impl ExactSizeIterator<Item = EntryBytes>,
    page_size: u64,
    level: Level,
    packing: Packing,
) -> Vec<u32> {
    match packing {
        Packing::Optimal { max_node_pages, steady } => {
            let max_split_entries = if steady { STEADY_ENTRIES } else { MAX_ELEMENTS };
            let limits = Limits { page_size, min_entries: level.min_entries(), max_split_entries };
            // the usual numbers of pages are known to the compiler: a fifth less time
            match max_node_pages {
                0 | 1 => shortest_path(entries, limits, [0; 1]),
                2 => shortest_path(entries, limits, [0; 2]),
                4 => shortest_path(entries, limits, [0; 4]),
                pages => shortest_path(entries, limits, vec![0; pages as usize]),
            }
        }
        Packing::AsBbolt { fill } => as_bbolt(entries, page_size, fill),
    }
}

/// What a cut must keep to.
#[derive(Clone, Copy, Debug)]
struct Limits {
    page_size: u64,
    /// The fewest entries of a node.
    min_entries: u64,
    /// The most entries of a node of several pages.
    max_split_entries: u64,
}

fn shortest_path<W>(
    entries: impl ExactSizeIterator<Item = EntryBytes>,
    limits: Limits,
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
    limits: Limits,
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
    /// Entries before it.
    index: u64,
    /// Their bytes.
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

/// The place behind the newest entry, where a node may end.
#[derive(Clone, Copy, Debug)]
struct End {
    /// Bytes of a node that holds all entries so far. One that begins later has those before it less.
    bytes: u64,
    /// The first begin from which a node has no more elements than it may.
    oldest: u64,
    /// The same for a node of several pages.
    oldest_of_several_pages: u64,
}

impl End {
    #[inline]
    fn behind(num_entries: u64, total: u64, max_split_entries: u64) -> Self {
        Self {
            bytes: node_bytes(total),
            oldest: num_entries.saturating_sub(MAX_ELEMENTS),
            oldest_of_several_pages: num_entries.saturating_sub(max_split_entries.min(MAX_ELEMENTS)),
        }
    }

    /// Moves a window's begin on until a node from there to here fits in so many bytes.
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
    fn new(limits: Limits, windows: W, num_entries: usize) -> Self {
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

    /// Begins that a wide node needs are kept: it can't begin behind its large entry.
    fn is_droppable(&self, begin: &Begin) -> bool {
        self.wide.is_none_or(|wide| begin.index > wide.index)
    }

    /// The begin of the last node, and the cost of all, if the newest entry is the last.
    #[inline]
    fn cheapest_last_node(&mut self) -> Option<(u64, u64)> {
        let newest = self.best.last()?;
        let end = End::behind(self.num_entries, self.total, self.limits.max_split_entries);
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

/// Bytes of a node whose elements, keys and values take so many.
#[must_use]
pub fn node_bytes(own: u64) -> u64 {
    (PAGE_HEADER_SIZE as u64).saturating_add(own)
}

/// Cuts a node that holds all entries in two, and its second part again, as bbolt does when it writes.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a page size"
)]
fn as_bbolt(entries: impl ExactSizeIterator<Item = EntryBytes>, page_size: u64, fill: f64) -> Vec<u32> {
    const MIN_KEYS: u64 = 2;
    let threshold = (page_size as f64 * fill) as u64;
    let mut remaining = entries.len() as u64;
    let mut nodes = Vec::new();
    let (mut bytes, mut in_node) = (node_bytes(0), 0u64);
    // entries that were added since the node could last have been closed are known to fit only when they are read:
    // so a node is closed one entry late, as `splitIndex` does
    for entry in entries {
        let own = entry.own();
        let enough_left =
            remaining >= MIN_KEYS && remaining.saturating_add(in_node) > MIN_KEYS.saturating_mul(2);
        let full = enough_left && bytes.saturating_add(own) > threshold;
        if in_node >= MIN_KEYS && (full || in_node >= MAX_ELEMENTS) {
            nodes.push(u32::try_from(in_node).unwrap_or(u32::MAX));
            (bytes, in_node) = (node_bytes(0), 0);
        }
        bytes = bytes.saturating_add(own);
        in_node = in_node.saturating_add(1);
        remaining = remaining.saturating_sub(1);
    }
    if in_node > 0 {
        nodes.push(u32::try_from(in_node).unwrap_or(u32::MAX));
    }
    nodes
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "numbers of the tests' own")]
mod tests {
    use super::*;

    fn optimal(sizes: &[(u64, u64)], page_size: u64, max_node_pages: u32, level: Level) -> Vec<u32> {
        let entries: Vec<_> = sizes.iter().map(|&(key, data)| EntryBytes { key, data }).collect();
        pack(entries.into_iter(), page_size, level, Packing::Optimal { max_node_pages, steady: false })
    }

    fn cost_of(sizes: &[(u64, u64)], nodes: &[u32], page_size: u64) -> u64 {
        let mut rest = sizes;
        let mut cost = 0;
        for &length in nodes {
            let (node, behind) = rest.split_at(length as usize);
            let own: u64 = node.iter().map(|&(_, data)| 16 + data).sum();
            cost += node_bytes(own).div_ceil(page_size) * page_size + 16 + node[0].0;
            rest = behind;
        }
        assert!(rest.is_empty(), "every entry is in a node");
        cost
    }

    /// Every way of cutting, tried.
    fn least_cost(sizes: &[(u64, u64)], page_size: u64, max_pages: u64, min_entries: usize) -> u64 {
        let mut best = vec![Some(0u64)];
        for end in 1..=sizes.len() {
            let candidates = (0..end).filter(|begin| end - begin >= min_entries).filter_map(|begin| {
                let own: u64 = sizes[begin..end].iter().map(|&(_, data)| 16 + data).sum();
                let pages = node_bytes(own).div_ceil(page_size);
                let largest = (begin..=end - min_entries)
                    .map(|first| sizes[first..first + min_entries].iter().map(|&(_, data)| 16 + data).sum())
                    .map(|own: u64| node_bytes(own).div_ceil(page_size))
                    .max()?;
                (pages <= max_pages.max(largest)).then_some(())?;
                Some(best[begin]? + pages * page_size + 16 + sizes[begin].0)
            });
            let least = candidates.min();
            best.push(least);
        }
        best[sizes.len()].unwrap()
    }

    /// A small generator, so that failures can be repeated.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % bound
        }
    }

    #[test]
    fn no_other_cut_is_cheaper() {
        let mut random = Random(7);
        for round in 0..3000 {
            let page_size = 1024;
            let max_pages = 1 + random.below(5);
            let largest = [200, 900, 3000, 9000][random.below(4) as usize];
            let sizes: Vec<_> = (0..1 + random.below(30))
                .map(|_| {
                    let key = 1 + random.below(40);
                    (key, key + random.below(largest))
                })
                .collect();
            let nodes = optimal(&sizes, page_size, u32::try_from(max_pages).unwrap(), Level::Leaf);
            let least = least_cost(&sizes, page_size, max_pages, 1);
            assert_eq!(cost_of(&sizes, &nodes, page_size), least, "round {round}: {max_pages} {sizes:?}");
        }
    }

    #[test]
    fn steady_nodes_of_several_pages_have_few_entries() {
        let mut random = Random(5);
        for round in 0..500 {
            let sizes: Vec<_> = (0..1 + random.below(60)).map(|_| (8, 8 + random.below(900))).collect();
            let entries: Vec<_> = sizes.iter().map(|&(key, data)| EntryBytes { key, data }).collect();
            let packing = |steady| Packing::Optimal { max_node_pages: 4, steady };
            let cut = |steady| pack(entries.clone().into_iter(), 1024, Level::Leaf, packing(steady));
            let mut rest = &sizes[..];
            for length in cut(true) {
                let (node, behind) = rest.split_at(length as usize);
                let own: u64 = node.iter().map(|&(_, data)| 16 + data).sum();
                assert!(
                    node_bytes(own) <= 1024 || u64::from(length) <= STEADY_ENTRIES,
                    "round {round}: {length}"
                );
                rest = behind;
            }
            let (steady, least) = (cut(true), cut(false));
            let single = optimal(&sizes, 1024, 1, Level::Leaf);
            let cost = |nodes: &[u32]| cost_of(&sizes, nodes, 1024);
            assert!((cost(&least)..=cost(&single)).contains(&cost(&steady)), "round {round}");
        }
    }

    #[test]
    fn branches_have_two_children_at_least() {
        let mut random = Random(11);
        for round in 0..2000 {
            let longest = [20, 400, 5000];
            let sizes: Vec<_> = (0..2 + random.below(40))
                .map(|_| {
                    let longest = longest[random.below(3) as usize];
                    let key = 1 + random.below(longest);
                    (key, key)
                })
                .collect();
            let max_pages = 1 + random.below(4);
            let nodes = optimal(&sizes, 1024, u32::try_from(max_pages).unwrap(), Level::Branch);
            assert!(nodes.iter().all(|&length| length >= 2), "round {round}: {nodes:?} {sizes:?}");
            // where three keys need more than a node's pages, the cut is sound, but need not be the best
            if sizes.iter().all(|&(key, _)| node_bytes(3 * (16 + key)) <= 1024 * max_pages) {
                let least = least_cost(&sizes, 1024, max_pages, 2);
                assert_eq!(cost_of(&sizes, &nodes, 1024), least, "round {round}: {max_pages} {sizes:?}");
            }
        }
    }

    #[test]
    fn nodes_stay_within_their_pages() {
        // two large entries, small ones around them
        let sizes = [(8, 30), (8, 9000), (8, 30), (8, 30), (8, 20_000), (8, 500), (8, 500)];
        let nodes = optimal(&sizes, 1024, 2, Level::Leaf);
        let mut rest = &sizes[..];
        for &length in &nodes {
            let (node, behind) = rest.split_at(length as usize);
            let own: u64 = node.iter().map(|&(_, data)| 16 + data).sum();
            let alone = node.iter().map(|&(_, data)| node_bytes(16 + data).div_ceil(1024)).max().unwrap();
            assert!(node_bytes(own).div_ceil(1024) <= alone.max(2), "{nodes:?}");
            rest = behind;
        }
    }

    #[test]
    fn a_node_has_no_more_elements_than_bbolt_counts() {
        let sizes = vec![(1, 1); 200_000];
        let nodes = optimal(&sizes, 1 << 24, 4, Level::Leaf);
        assert!(nodes.iter().all(|&length| u64::from(length) <= MAX_ELEMENTS), "{nodes:?}");
        assert_eq!(nodes.iter().sum::<u32>(), 200_000);
    }

    #[test]
    fn bbolts_own_way_fills_pages_one_by_one() {
        let entries =
            |sizes: &[u64]| sizes.iter().map(|&data| EntryBytes { key: 8, data }).collect::<Vec<_>>();
        let cut = |sizes: &[u64], fill| {
            pack(entries(sizes).into_iter(), 4096, Level::Leaf, Packing::AsBbolt { fill })
        };
        // 4 of 16 + 884 bytes are 3,600 + 16; a fifth passes 90 %
        assert_eq!(cut(&[884; 12], 0.9), [4, 4, 4]);
        // at least two in each, however large
        assert_eq!(cut(&[5000; 8], 0.9), [2, 2, 4]);
        assert_eq!(cut(&[5000; 4], 0.9), [4], "four are never split");
        assert!(cut(&[], 0.9).is_empty());
    }

    #[test]
    fn nothing_makes_no_node() {
        assert!(optimal(&[], 4096, 4, Level::Leaf).is_empty());
        assert_eq!(optimal(&[(5, 10)], 4096, 4, Level::Leaf), [1]);
    }
}
