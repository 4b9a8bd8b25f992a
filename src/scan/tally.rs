//! What a bucket's nodes add up to: bytes by what they are, fill, and order.

use crate::bolt::PageId;
use crate::bolt::walk::{Node, NodeContent, NodeSizes};

/// Number of bins of the fill histogram: one for each percent from 0 to 100.
pub const FILL_BINS: usize = 101;

/// What a run of nodes, in the order of their keys, adds up to. Two that follow each other can be appended.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Number of branch nodes.
    pub branches: u64,
    /// Number of leaf nodes.
    pub leaves: u64,
    /// Number of leaf nodes that are inline in another node.
    pub inline_leaves: u64,
    /// Bytes of the pages of branches.
    pub branch_bytes: u64,
    /// Bytes of the pages of leaves, but for inline ones.
    pub leaf_bytes: u64,
    /// Bytes of pages, branches and leaves, but for inline ones.
    pub page_bytes: u64,
    /// Overflow pages of branches and leaves.
    pub overflow_pages: u64,
    /// Number of entries in leaves, buckets among them, whose bytes could be read.
    pub entries: u64,
    /// Bytes of the nodes by what they are, inline ones included.
    pub sizes: NodeSizes,
    /// Levels of the tree.
    pub height: u32,
    /// How many leaves (but for inline ones) are filled to 0 %, 1 %, … of their pages, rounded down.
    pub leaf_fill: FillCounts,
    /// How the leaves lie in the file.
    pub order: LeafOrder,
}

/// One counter for each percent of fill; nothing, as long as nothing was counted.
#[derive(Clone, Debug, Default)]
pub struct FillCounts(Option<Box<[u64; FILL_BINS]>>);

impl FillCounts {
    fn add(&mut self, percent: usize, count: u64) {
        let counts = self.0.get_or_insert_with(|| Box::new([0; FILL_BINS]));
        if let Some(sum) = counts.get_mut(percent) {
            *sum += count;
        }
    }

    /// How many leaves are filled to 0 %, 1 %, … 100 %.
    pub fn counts(&self) -> &[u64] {
        self.0.as_deref().map_or(&[0; FILL_BINS], |counts| counts)
    }
}

/// Whether leaves that follow each other in the order of their keys also do in the file.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeafOrder {
    first: Option<PageId>,
    /// The page after the last leaf.
    end: Option<PageId>,
    /// Steps from a leaf to the page that follows it.
    pub adjacent: u64,
    /// Steps to a page further on.
    pub forward: u64,
    pub backward: u64,
}

impl LeafOrder {
    fn step(&mut self, from_end: PageId, to: PageId) {
        let counter = match to.cmp(&from_end) {
            std::cmp::Ordering::Equal => &mut self.adjacent,
            std::cmp::Ordering::Greater => &mut self.forward,
            std::cmp::Ordering::Less => &mut self.backward,
        };
        *counter += 1;
    }

    fn add(&mut self, page: PageId, pages: u64) {
        match self.end {
            Some(end) => self.step(end, page),
            None => self.first = Some(page),
        }
        self.end = Some(PageId(page.0.saturating_add(pages)));
    }

    fn append(&mut self, behind: &Self) {
        if let (Some(end), Some(first)) = (self.end, behind.first) {
            self.step(end, first);
        }
        self.first = self.first.or(behind.first);
        self.end = behind.end.or(self.end);
        self.adjacent += behind.adjacent;
        self.forward += behind.forward;
        self.backward += behind.backward;
    }

    /// Number of steps from one leaf to the next.
    pub fn steps(&self) -> u64 {
        self.adjacent + self.forward + self.backward
    }
}

impl Tally {
    /// Adds the next node.
    pub fn add(&mut self, node: &Node<'_>) {
        let page = node.page();
        let bytes = page.bytes().len() as u64;
        self.height = self.height.max(node.depth + 1);
        add_sizes(&mut self.sizes, &node.sizes);
        match node.content {
            NodeContent::Branch(_) => {
                self.branches += 1;
                self.branch_bytes += bytes;
            }
            NodeContent::Leaf(_) if node.inline => {
                self.inline_leaves += 1;
                self.entries += node.readable;
            }
            NodeContent::Leaf(_) => {
                self.leaves += 1;
                self.leaf_bytes += bytes;
                self.entries += node.readable;
                self.add_fill(bytes, node.sizes.slack);
                self.order.add(page.id(), u64::from(page.header().overflow.get()) + 1);
            }
        }
        if !node.inline {
            self.page_bytes += bytes;
            self.overflow_pages += u64::from(page.header().overflow.get());
        }
    }

    fn add_fill(&mut self, bytes: u64, slack: u64) {
        let percent = (bytes - slack).saturating_mul(100) / bytes.max(1);
        let bin = usize::try_from(percent).unwrap_or(FILL_BINS).min(FILL_BINS - 1);
        self.leaf_fill.add(bin, 1);
    }

    /// Adds what lies after this, in the order of the keys.
    pub fn append(&mut self, behind: &Self) {
        self.branches += behind.branches;
        self.leaves += behind.leaves;
        self.inline_leaves += behind.inline_leaves;
        self.branch_bytes += behind.branch_bytes;
        self.leaf_bytes += behind.leaf_bytes;
        self.page_bytes += behind.page_bytes;
        self.overflow_pages += behind.overflow_pages;
        self.entries += behind.entries;
        self.height = self.height.max(behind.height);
        add_sizes(&mut self.sizes, &behind.sizes);
        if behind.leaf_fill.0.is_some() {
            let counts = behind.leaf_fill.counts().iter().enumerate();
            counts.for_each(|(percent, &count)| self.leaf_fill.add(percent, count));
        }
        self.order.append(&behind.order);
    }
}

fn add_sizes(sum: &mut NodeSizes, more: &NodeSizes) {
    sum.header += more.header;
    sum.elements += more.elements;
    sum.keys += more.keys;
    sum.values += more.values;
    sum.bucket_headers += more.bucket_headers;
    sum.inline_pages += more.inline_pages;
    sum.slack += more.slack;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_depend_on_where_it_is_cut() {
        let leaves = [(3, 1), (4, 2), (6, 1), (20, 1), (9, 3), (12, 1)];
        let order_of = |leaves: &[(u64, u64)]| {
            let mut order = LeafOrder::default();
            for &(page, pages) in leaves {
                order.add(PageId(page), pages);
            }
            order
        };
        let whole = order_of(&leaves);
        assert_eq!((whole.adjacent, whole.forward, whole.backward, whole.steps()), (3, 1, 1, 5));
        for cut in 0..=leaves.len() {
            let (left, right) = leaves.split_at(cut);
            let mut order = order_of(left);
            order.append(&order_of(right));
            assert_eq!((order.adjacent, order.forward, order.backward), (3, 1, 1), "cut at {cut}");
        }
    }
}
