//! Which part of a tree is read next, and by whom: one subtree for each branch whose children are leaves.

#![deny(clippy::arithmetic_side_effects)]

use std::sync::Arc;

use crate::bolt::bucket::{BucketId, BucketRoot};
use crate::bolt::{Db, PageId};

use super::subtree::{Pending, Subtree};
use super::{MAX_DEPTH, Shared};

/// About how many bytes of leaf pages are handed out at once.
const WINDOW_BYTES: u64 = 12 << 20;

/// Cuts one bucket's tree into subtrees: one a branch whose children are leaves.
#[derive(Debug)]
pub(super) struct Driver<'w, 'a> {
    pub(super) spine: Subtree<'w, 'a>,
    leaf_depth: u32,
    window_leaves: u64,
}

impl<'w, 'a> Driver<'w, 'a> {
    pub(super) fn new(shared: &'w Shared<'a>, bucket: BucketId, root: BucketRoot<'a>) -> Self {
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

    pub(super) fn next_window(&mut self) -> Vec<Subtree<'w, 'a>> {
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
            spine.prefetch_ahead();
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
