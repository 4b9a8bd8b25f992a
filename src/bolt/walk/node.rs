//! A node as the walk gives it: its content, and what its bytes are.

#![deny(clippy::arithmetic_side_effects)]

use crate::bolt::bucket::BucketId;
use crate::bolt::format::{ELEMENT_SIZE, PAGE_HEADER_SIZE};
use crate::bolt::page::{Branch, Leaf, Page};

/// Bytes of a node, by what they are; they add up to the node's pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NodeSizes {
    pub header: u64,
    /// The table of elements.
    pub elements: u64,
    pub keys: u64,
    /// Values, but for buckets.
    pub values: u64,
    /// The headers of buckets that are in this node.
    pub bucket_headers: u64,
    /// The pages of inline buckets that are in this node: nodes themselves.
    pub inline_pages: u64,
    pub slack: u64,
}

impl NodeSizes {
    /// Bytes that belong to the node's elements: the table, keys, values, and all of the buckets.
    pub fn owned(&self) -> u64 {
        let parts = [self.elements, self.keys, self.values, self.bucket_headers, self.inline_pages];
        parts.into_iter().fold(0, u64::saturating_add)
    }
}

/// A branch or leaf whose page could be read.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    /// Its content. Elements that could not be read were reported; iterating yields them as errors again.
    pub content: NodeContent<'a>,
    /// The bucket that it belongs to.
    pub bucket: BucketId,
    /// Levels below the bucket's root page.
    pub depth: u32,
    /// Whether it is in an entry of another node rather than on pages of its own.
    pub inline: bool,
    /// Number of its elements that could be read.
    pub readable: u64,
    /// What its bytes are.
    pub sizes: NodeSizes,
}

#[derive(Clone, Copy, Debug)]
pub enum NodeContent<'a> {
    /// Keys and the pages below them.
    Branch(Branch<'a>),
    Leaf(Leaf<'a>),
}

impl<'a> Node<'a> {
    /// The page (with its overflow) that it is on.
    pub fn page(&self) -> Page<'a> {
        match self.content {
            NodeContent::Branch(branch) => branch.page(),
            NodeContent::Leaf(leaf) => leaf.page(),
        }
    }

    /// The leaf, if it is one.
    pub fn leaf(&self) -> Option<Leaf<'a>> {
        match self.content {
            NodeContent::Leaf(leaf) => Some(leaf),
            NodeContent::Branch(_) => None,
        }
    }
}

pub(super) fn sizes_of_frame(page: &Page<'_>, num_elements: usize) -> NodeSizes {
    let elements = (num_elements as u64).saturating_mul(ELEMENT_SIZE as u64);
    let header = (PAGE_HEADER_SIZE as u64).min(page.bytes().len() as u64);
    NodeSizes { header, elements, ..NodeSizes::default() }
}

/// What the node's other parts leave. They can't exceed its pages: elements out of bounds or overlapping were left
/// out.
pub(super) fn slack(page: &Page<'_>, sizes: &NodeSizes) -> u64 {
    let NodeSizes { header, elements, keys, values, bucket_headers, inline_pages, slack: _ } = *sizes;
    let used = [header, elements, keys, values, bucket_headers, inline_pages]
        .into_iter()
        .fold(0, u64::saturating_add);
    (page.bytes().len() as u64).saturating_sub(used)
}
