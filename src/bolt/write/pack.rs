//! Where one node ends and the next begins: the packing.
//!
//! The order of a bucket's entries is fixed, and a node may span several pages, so to cut a level of the tree into
//! nodes is to find a shortest path: from "no entry placed" to "all placed", where an edge is a node, and costs its
//! pages and its entry in the level above. docs/packing.md explains it with figures.

#![deny(clippy::arithmetic_side_effects)]

use super::bbolt_split;
use super::node_size::{EntryBytes, MAX_ELEMENTS};
use super::shortest_path::{CutLimits, shortest_path};

/// bbolt never splits a node of four entries or fewer (`node.go`, `splitTwo`), so one of five can lose one.
pub const STEADY_ENTRIES: u64 = 5;

/// How nodes are cut.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Packing {
    /// The least file with nodes of at most `max_node_pages`; a node with an entry that needs more takes as many as that
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

/// The nodes of the level that is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeKind {
    /// Entries with values. A node may hold a single one.
    Leaf,
    /// Children. A node holds two at least, as bbolt wants of its branches (`node.go`, `minKeys`).
    Branch,
}

impl NodeKind {
    fn min_entries(self) -> u64 {
        match self {
            Self::Leaf => 1,
            Self::Branch => 2,
        }
    }
}

/// Cuts a level into nodes: how many entries each has, from the first to the last. Nothing for no entries.
pub fn pack(
    entries: impl ExactSizeIterator<Item = EntryBytes>,
    page_size: u64,
    kind: NodeKind,
    packing: Packing,
) -> Vec<u32> {
    match packing {
        Packing::Optimal { max_node_pages, steady } => {
            let max_split_entries = if steady { STEADY_ENTRIES } else { MAX_ELEMENTS };
            let limits = CutLimits { page_size, min_entries: kind.min_entries(), max_split_entries };
            // the usual numbers of pages are known to the compiler: a fifth less time
            match max_node_pages {
                0 | 1 => shortest_path(entries, limits, [0; 1]),
                2 => shortest_path(entries, limits, [0; 2]),
                4 => shortest_path(entries, limits, [0; 4]),
                pages => shortest_path(entries, limits, vec![0; pages as usize]),
            }
        }
        Packing::AsBbolt { fill } => bbolt_split::split(entries, page_size, fill),
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "numbers of the tests' own")]
mod tests {
    use super::super::node_size::node_bytes;
    use super::*;

    fn optimal(sizes: &[(u64, u64)], page_size: u64, max_node_pages: u32, level: NodeKind) -> Vec<u32> {
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
            let nodes = optimal(&sizes, page_size, u32::try_from(max_pages).unwrap(), NodeKind::Leaf);
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
            let cut = |steady| pack(entries.clone().into_iter(), 1024, NodeKind::Leaf, packing(steady));
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
            let single = optimal(&sizes, 1024, 1, NodeKind::Leaf);
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
            let nodes = optimal(&sizes, 1024, u32::try_from(max_pages).unwrap(), NodeKind::Branch);
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
        let nodes = optimal(&sizes, 1024, 2, NodeKind::Leaf);
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
        let nodes = optimal(&sizes, 1 << 24, 4, NodeKind::Leaf);
        assert!(nodes.iter().all(|&length| u64::from(length) <= MAX_ELEMENTS), "{nodes:?}");
        assert_eq!(nodes.iter().sum::<u32>(), 200_000);
    }

    #[test]
    fn bbolts_own_way_fills_pages_one_by_one() {
        let entries =
            |sizes: &[u64]| sizes.iter().map(|&data| EntryBytes { key: 8, data }).collect::<Vec<_>>();
        let cut = |sizes: &[u64], fill| {
            pack(entries(sizes).into_iter(), 4096, NodeKind::Leaf, Packing::AsBbolt { fill })
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
        assert!(optimal(&[], 4096, 4, NodeKind::Leaf).is_empty());
        assert_eq!(optimal(&[(5, 10)], 4096, 4, NodeKind::Leaf), [1]);
    }
}
