//! Records wherever in the file they lie: in the live tree, in the older root's, in pages that nothing refers to.
//!
//! The tree of the meta that is not active is mostly whole, and old leaves of the `key` bucket lie about in free pages
//! ([`crate::bolt::orphan`]). An entry counts when its key is a revision and its value a `KeyValue` of that revision; a leaf only in the
//! place that its header names.
//!
//! Nothing is kept but a bit or two a page.

#![deny(clippy::arithmetic_side_effects)]

use crate::bolt::Db;
use crate::bolt::bucket::{Bucket, BucketId, BucketRoot};
use crate::bolt::claims::Claims;
use crate::bolt::entries::top_level;
use crate::bolt::format::{PAGE_HEADER_SIZE, PageId};
use crate::bolt::orphan::{Finder, Orphan, OrphanLeaf};
use crate::bolt::page::{Entry, Page};
use crate::bolt::walk::{MAX_DEPTH, Node, NodeContent, Setup, walk};

use super::key_value::KeyValue;
use super::revision::RecordKey;
use super::schema::KEY_BUCKET;

/// Where a record was found.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    serde::Serialize,
    strum::IntoStaticStr,
    strum::Display,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Origin {
    /// In the tree of the active meta.
    Live,
    /// In the tree of the other meta only: the state of one transaction before.
    OlderRoot,
    /// On a page that nothing refers to.
    Free,
    /// In the log of the member.
    Log,
}

/// A record, where it lies.
#[derive(Clone, Copy, Debug)]
pub struct FoundRecord<'a> {
    /// Its revision, and whether it is a tombstone.
    pub place: RecordKey,
    pub kv: KeyValue<'a>,
    /// Where it was found.
    pub origin: Origin,
    /// Where in the file its key begins; its value follows.
    pub at: u64,
    /// Bytes of its value.
    pub len: u32,
}

impl<'a> FoundRecord<'a> {
    /// A record of the `key` bucket; `None` where the entry is none, or its value says another revision.
    pub fn of(db: &Db, entry: &Entry<'a>, origin: Origin) -> Option<Self> {
        if entry.flags != 0 || KeyValue::is_revision_mark(entry.value) {
            return None;
        }
        let place = RecordKey::parse(entry.key)?;
        let kv = KeyValue::parse(entry.value).ok()?;
        let sound = !kv.key.is_empty() && (place.tombstone || kv.mod_revision == place.revision.main);
        let (at, len) = (db.offset_in_file(entry.key)?, u32::try_from(entry.value.len()).ok()?);
        sound.then_some(Self { place, kv, origin, at, len })
    }
}

/// Goes through every record of a `key` bucket's tree that passes `wanted`, in the order of revisions, and adds it to a
/// state that `new` makes. Gives that back, and how much could not be read.
pub fn fold_live<'a, T>(
    db: &'a Db,
    key_bucket: &Bucket<'a>,
    wanted: impl Fn(&FoundRecord<'a>) -> bool + Sync,
    new: impl Fn() -> T,
    mut add: impl FnMut(&mut T, FoundRecord<'a>),
) -> (T, u64) {
    let ((state, unreadable), walked) = walk(db, Setup::default(), |walker| {
        let (mut state, mut unreadable) = (new(), 0u64);
        let id = walker.adopt(*key_bucket);
        if let Some(mut walk) = walker.walk_bucket(id) {
            while let Some(parts) = walk.next_window(|subtree| Part::of(db, subtree, &wanted)) {
                for part in parts {
                    unreadable = unreadable.saturating_add(part.unreadable);
                    part.found.into_iter().for_each(|found| add(&mut state, found));
                }
            }
        }
        (state, unreadable)
    });
    (state, walked.findings.count.max(unreadable))
}

/// What a part of the tree holds.
struct Part<'a> {
    found: Vec<FoundRecord<'a>>,
    unreadable: u64,
}

impl<'a> Part<'a> {
    fn of(
        db: &Db,
        nodes: impl Iterator<Item = Node<'a>>,
        wanted: &impl Fn(&FoundRecord<'a>) -> bool,
    ) -> Self {
        let mut part = Self { found: Vec::new(), unreadable: 0 };
        for entry in nodes.filter_map(|node| node.leaf()).flat_map(|leaf| leaf.entries()) {
            match entry.map(|entry| (FoundRecord::of(db, &entry, Origin::Live), entry)) {
                Ok((Some(found), _)) if wanted(&found) => part.found.push(found),
                Ok((Some(_), _)) => {}
                Ok((None, entry)) if KeyValue::is_revision_mark(entry.value) => {}
                _ => part.unreadable = part.unreadable.saturating_add(1),
            }
        }
        part
    }
}

/// Calls `each` with every record that passes `wanted` and lies in pages of the file which the active root does not reach: first
/// those of the older root's tree, then those of free pages, in the order of pages. One record may come several times, as
/// bbolt copies a leaf whenever one of its entries changes.
pub fn for_each_lost<'a>(
    db: &'a Db,
    wanted: impl Fn(&FoundRecord<'a>) -> bool + Sync,
    mut each: impl FnMut(FoundRecord<'a>),
) {
    // not `num_pages`: what lies past the high water mark was written, too
    let taken = Claims::new(db.file_size().div_ceil(db.page_size().max(1)));
    claim_live(db, &taken);
    let claims = [&taken];
    let finder = Finder::new(db, &claims);
    older_root(db, &finder, &taken, &mut |found| {
        if wanted(&found) {
            each(found);
        }
    });
    let look = |orphan: Orphan<'a>| {
        let Orphan::Leaf(leaf) = orphan else { return None };
        let mut records = records_of(db, &leaf, Origin::Free);
        records.retain(&wanted);
        (!records.is_empty()).then_some(records)
    };
    finder.search(&|_| (), look, |records| records.into_iter().for_each(&mut each));
}

/// Whether a record lies anywhere in the file.
pub fn holds_records(db: &Db) -> bool {
    let finder = Finder::new(db, &[]);
    let end = db.file_size().div_ceil(db.page_size().max(1));
    let mut next = 2;
    while next < end {
        let leaf = finder.leaf_at(PageId(next));
        if leaf.as_ref().is_some_and(|leaf| !records_of(db, leaf, Origin::Free).is_empty()) {
            return true;
        }
        let pages = leaf.filter(|leaf| leaf.whole).map_or(1, |leaf| leaf.pages);
        next = next.saturating_add(pages.max(1));
    }
    false
}

/// Takes the pages of all nodes that the active root reaches.
fn claim_live(db: &Db, taken: &Claims) {
    let claim = |node: Node<'_>| {
        if !node.inline {
            // as far as its content needs them: its overflow is a number that may lie
            let pages = content_end(&node.content).div_ceil(db.page_size().max(1));
            claim_run(taken, node.page().id(), pages);
        }
    };
    // which of two references gets a page does not matter here
    walk(db, Setup::default(), |walker| {
        for id in (0..).map(BucketId) {
            let Some(mut walk) = walker.walk_bucket(id) else { break };
            while walk.next_window(|subtree| subtree.for_each(claim)).is_some() {}
        }
    });
}

fn claim_run(taken: &Claims, first: PageId, pages: u64) {
    for page in first.0..first.0.saturating_add(pages.max(1)).min(taken.num_pages()) {
        taken.insert(PageId(page));
    }
}

/// The leaves that only the other meta's root reaches.
fn older_root<'a>(
    db: &'a Db,
    finder: &Finder<'_, 'a>,
    taken: &Claims,
    each: &mut impl FnMut(FoundRecord<'a>),
) {
    let Some(older) = db.at_older_root() else { return };
    let key_bucket = top_level(&older).into_iter().find(|bucket| bucket.name == KEY_BUCKET);
    let root = match key_bucket.map(|bucket| bucket.root) {
        Some(BucketRoot::Page(root)) => root,
        // it is in the root's leaf, which the active root has, too, or which is looked at as a leaf
        Some(BucketRoot::Inline(page)) => {
            let leaf = finder.leaf_at(page.id()).filter(|_| !taken.contains(page.id()));
            let found = leaf.map(|leaf| records_of(db, &leaf, Origin::OlderRoot));
            return found.into_iter().flatten().for_each(each);
        }
        None => return,
    };
    let seen = Claims::new(taken.num_pages());
    let mut stack = vec![(root, 0)];
    while let Some((id, depth)) = stack.pop() {
        // what the active root reaches, too, is all the same below it
        if depth >= MAX_DEPTH || taken.contains(id) || !seen.insert(id) {
            continue;
        }
        if let Some(branch) = older.page(id).ok().and_then(|page| page.branch().ok()) {
            let below = stack.len();
            let children = branch.children().filter_map(Result::ok);
            stack.extend(children.map(|child| (child.page, depth.saturating_add(1))));
            if let Some(children) = stack.get_mut(below..) {
                children.reverse();
            }
        } else if let Some(leaf) = finder.leaf_at(id) {
            records_of(db, &leaf, Origin::OlderRoot).into_iter().for_each(&mut *each);
            if leaf.whole {
                claim_run(taken, id, leaf.pages);
            }
        }
    }
}

/// The records of a leaf, and of a small `key` bucket that is within it, as etcd's does in the root bucket's leaf while it is almost
/// empty.
fn records_of<'a>(db: &Db, leaf: &OrphanLeaf<'a>, origin: Origin) -> Vec<FoundRecord<'a>> {
    if leaf.claims_to_be.is_some() {
        return Vec::new();
    }
    let inline = leaf.entries.iter().filter(|entry| entry.key == KEY_BUCKET).filter_map(|entry| {
        entry.bucket_header().filter(|header| header.root.get() == 0)?;
        Page::new(leaf.page, 0, entry.inline_page())?.leaf().ok()
    });
    // in here is no other bucket, whatever it says
    let within = inline.flat_map(|leaf| leaf.entries().filter_map(Result::ok));
    leaf.entries
        .iter()
        .copied()
        .chain(within)
        .filter_map(|entry| FoundRecord::of(db, &entry, origin))
        .collect()
}

/// Where a node's content ends, counted from its page's first byte.
fn content_end(content: &NodeContent<'_>) -> u64 {
    let header = PAGE_HEADER_SIZE as u64;
    match content {
        NodeContent::Leaf(leaf) => {
            leaf.entries().filter_map(Result::ok).fold(header, |end, entry| end.max(entry.end()))
        }
        // one page, mostly: its keys are short, and what little it is too long is no leaf's
        NodeContent::Branch(branch) => branch.page().bytes().len() as u64,
    }
}
