//! Nodes that no root reaches, as trees: which of them no other node refers to, and how much lies below each.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::bolt::orphan::{OrphanBranch, OrphanLeaf, Orphans};
use crate::bolt::page::{Child, Entry, Page};
use crate::bolt::walk::MAX_DEPTH;
use crate::bolt::{Db, PageId};

/// A node, and what lies below it.
#[derive(Clone, Copy, Debug)]
pub struct TreeNode<'o, 'a> {
    pub page: PageId,
    pub kind: TreeNodeKind<'o, 'a>,
    /// Whether no other node refers to it.
    pub is_top: bool,
    /// Entries of it and of the nodes below it, buckets among them; of what is referred to twice, twice.
    pub reach: u64,
}

/// A leaf or a branch.
#[derive(Clone, Copy, Debug)]
pub enum TreeNodeKind<'o, 'a> {
    Leaf(&'o OrphanLeaf<'a>),
    Branch(&'o OrphanBranch<'a>),
}

/// All nodes that no root reaches.
#[derive(Debug)]
pub struct Forest<'o, 'a> {
    nodes: Vec<TreeNode<'o, 'a>>,
    /// By page. Only nodes in their own place: others are not referred to.
    in_place: HashMap<PageId, usize>,
}

impl<'o, 'a> Forest<'o, 'a> {
    /// Determines which nodes refer to which.
    pub fn of(db: &Db, orphans: &'o Orphans<'a>) -> Self {
        let leaves = orphans.leaves.iter().map(|leaf| (leaf.page, TreeNodeKind::Leaf(leaf)));
        let branches = orphans.branches.iter().map(|branch| (branch.page, TreeNodeKind::Branch(branch)));
        let node = |(page, kind)| TreeNode { page, kind, is_top: true, reach: 0 };
        let mut forest = Self { nodes: leaves.chain(branches).map(node).collect(), in_place: HashMap::new() };
        let is_in_place = |kind: &TreeNodeKind<'_, '_>| match kind {
            TreeNodeKind::Leaf(leaf) => leaf.claims_to_be.is_none(),
            TreeNodeKind::Branch(_) => true,
        };
        let in_place = forest.nodes.iter().enumerate().filter(|(_, node)| is_in_place(&node.kind));
        forest.in_place = in_place.map(|(number, node)| (node.page, number)).collect();
        let below: Vec<Vec<usize>> = forest.nodes.iter().map(|node| forest.below(node)).collect();
        for (number, &child) in
            below.iter().enumerate().flat_map(|(number, all)| all.iter().map(move |it| (number, it)))
        {
            if let Some(node) = forest.nodes.get_mut(child).filter(|_| child != number) {
                node.is_top = false;
            }
        }
        forest.add_up(db, &below);
        forest
    }

    /// Those that no other refers to first, then those with most below them.
    pub fn ranked(&self) -> Vec<TreeNode<'o, 'a>> {
        let mut ranked = self.nodes.clone();
        ranked.sort_by_key(|node| (!node.is_top, Reverse(node.reach), node.page));
        ranked
    }

    /// The first leaf below a node.
    pub fn first_leaf(&self, node: &TreeNode<'o, 'a>) -> Option<&'o OrphanLeaf<'a>> {
        let mut kind = node.kind;
        for _ in 0..MAX_DEPTH {
            match kind {
                TreeNodeKind::Leaf(leaf) => return Some(leaf),
                TreeNodeKind::Branch(branch) => kind = self.child(branch.children.first()?)?.kind,
            }
        }
        None
    }

    /// The node that a branch refers to. Its first key is the one that the branch has for it, as bbolt writes it (`node.go`,
    /// `spill`): if not, another node was written to that page since.
    pub fn child(&self, child: &Child<'_>) -> Option<&TreeNode<'o, 'a>> {
        let node = self.nodes.get(*self.in_place.get(&child.page)?)?;
        let first_key = match node.kind {
            TreeNodeKind::Leaf(leaf) => leaf.entries.first()?.key,
            TreeNodeKind::Branch(branch) => branch.children.first()?.key,
        };
        (first_key == child.key).then_some(node)
    }

    /// Numbers of the nodes that one refers to.
    fn below(&self, node: &TreeNode<'o, 'a>) -> Vec<usize> {
        let number = |page: &PageId| self.in_place.get(page).copied();
        match node.kind {
            TreeNodeKind::Leaf(leaf) => {
                leaf.entries.iter().filter_map(|entry| number(&root_of(entry)?)).collect()
            }
            TreeNodeKind::Branch(branch) => {
                let known = branch.children.iter().filter(|child| self.child(child).is_some());
                known.filter_map(|child| number(&child.page)).collect()
            }
        }
    }

    /// Adds up the entries below each node, the nodes below it first. Where nodes refer to each other in a circle, the reference that
    /// closes it counts nothing.
    fn add_up(&mut self, db: &Db, below: &[Vec<usize>]) {
        let mut entered = vec![false; self.nodes.len()];
        for start in 0..self.nodes.len() {
            let mut stack = vec![(start, false)];
            while let Some((number, is_done)) = stack.pop() {
                let children = below.get(number).map(Vec::as_slice).unwrap_or_default();
                if is_done {
                    let reach = children.iter().filter_map(|&child| self.nodes.get(child));
                    let reach = reach.map(|node| node.reach).fold(0, u64::saturating_add);
                    if let Some(node) = self.nodes.get_mut(number) {
                        node.reach = own_entries(db, &node.kind).saturating_add(reach);
                    }
                } else if let Some(entered @ false) = entered.get_mut(number) {
                    *entered = true;
                    stack.push((number, true));
                    stack.extend(children.iter().map(|&child| (child, false)));
                }
            }
        }
    }
}

/// The root page of a bucket that is not inline.
fn root_of(entry: &Entry<'_>) -> Option<PageId> {
    let root = entry.bucket_header()?.root.get();
    (root != 0).then_some(PageId(root))
}

/// Entries in a node itself, and in inline buckets of it.
fn own_entries(db: &Db, kind: &TreeNodeKind<'_, '_>) -> u64 {
    let inline = |entry: &Entry<'_>| {
        let is_inline = entry.bucket_header().is_some_and(|header| header.root.get() == 0);
        let offset = db.offset_in_file(entry.inline_page()).unwrap_or(0);
        let page = Page::new(db.page_at(offset), offset, entry.inline_page()).filter(|_| is_inline);
        page.and_then(|page| page.leaf().ok()).map_or(0, |leaf| leaf.num_entries() as u64)
    };
    match kind {
        TreeNodeKind::Leaf(leaf) => {
            leaf.entries.iter().map(|entry| inline(entry).saturating_add(1)).fold(0, u64::saturating_add)
        }
        TreeNodeKind::Branch(_) => 0,
    }
}
