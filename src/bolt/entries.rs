//! The entries of one bucket, in order: for buckets that are read whole and once.
//!
//! Damage is passed over in silence here: [`super::walk`] reports it.

use super::bucket::{Bucket, BucketId, BucketRoot};
use super::db::Db;
use super::page::{Entry, Leaf};
use super::walk::{MAX_DEPTH, NodeContent, Setup, Subtree, walk_in_order};

/// The buckets of the file's root, in the order of their names. A name that is there twice comes twice.
pub fn top_level(db: &Db) -> Vec<Bucket<'_>> {
    let (_, walked) = walk_in_order(db, Setup::default(), |walker| {
        let mut walk = walker.walk_bucket(BucketId::ROOT)?;
        while walk.next_window(|subtree| subtree.for_each(drop)).is_some() {}
        Some(())
    });
    let inside_root = |bucket: &Bucket<'_>| bucket.parent == Some(BucketId::ROOT);
    walked.buckets.into_iter().filter(inside_root).collect()
}

/// Calls `each` with every plain entry of a bucket, in order.
pub fn for_each_entry<'a>(db: &'a Db, bucket: &Bucket<'a>, mut each: impl FnMut(Entry<'a>)) {
    // not the entries: these may be of a few bytes
    let leaves =
        |subtree: &mut Subtree<'_, 'a>| subtree.filter_map(|node| node.leaf()).collect::<Vec<Leaf<'a>>>();
    walk_in_order(db, Setup::default(), |walker| {
        let id = walker.adopt(*bucket);
        let mut walk = walker.walk_bucket(id)?;
        while let Some(window) = walk.next_window(leaves) {
            let entries = window.into_iter().flatten().flat_map(|leaf| leaf.entries().filter_map(Result::ok));
            entries.filter(|entry| !entry.is_bucket()).for_each(&mut each);
        }
        Some(())
    });
}

/// The bucket's first or last entry, by one descent; `None` where the bucket is empty or the descent meets damage.
pub fn outermost_entry<'a>(db: &'a Db, bucket: &Bucket<'a>, end: End) -> Option<Entry<'a>> {
    let mut page = match bucket.root {
        BucketRoot::Page(root) => db.page(root).ok()?,
        BucketRoot::Inline(page) => page,
    };
    for _ in 0..MAX_DEPTH {
        let content =
            page.branch().map(NodeContent::Branch).or_else(|_| page.leaf().map(NodeContent::Leaf)).ok()?;
        match content {
            NodeContent::Leaf(leaf) => return leaf.entry_at(end.of(leaf.num_entries())?)?.ok(),
            NodeContent::Branch(branch) => {
                let child = branch.child_at(end.of(branch.num_children())?)?.ok()?;
                page = db.page(child.page).ok()?;
            }
        }
    }
    None
}

/// Which end of a bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    First,
    Last,
}

impl End {
    /// The index of the outermost of `count` things.
    fn of(self, count: usize) -> Option<usize> {
        let last = count.checked_sub(1)?;
        Some(if self == Self::First { 0 } else { last })
    }
}
