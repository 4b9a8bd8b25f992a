//! Leaves wherever they lie: every page of the file is looked at, whatever tree, freelist, metas or high water mark say.
//!
//! Linear in the file's size, whatever its bytes: a leaf is believed to have overflow pages only if its entries fill them, what
//! lies within a leaf that was found is not looked at again, and entries of damaged leaves may not add up to more than twice
//! the bytes that were searched.

use rayon::prelude::*;
use zerocopy::FromBytes;

use crate::bolt::claims::Claims;
use crate::bolt::format::{ELEMENT_SIZE, PAGE_HEADER_SIZE, PageHeader};
use crate::bolt::page::{Branch, Child, Entry, Leaf, Page};
use crate::bolt::{Db, PageId};

/// Pages that a thread looks at in one go.
const PAGES_AT_A_TIME: u64 = 4096;

/// A leaf that no tree refers to.
#[derive(Debug)]
pub struct OrphanLeaf<'a> {
    /// Where it lies.
    pub page: PageId,
    /// Its entries; of a damaged one, those that can be read.
    pub entries: Vec<Entry<'a>>,
    /// Whether it is sound from its first byte to its last: each of its entries can be read, in ascending order.
    pub whole: bool,
    /// The page that it says to be, where that is another one.
    pub claims_to_be: Option<PageId>,
}

/// A branch that no tree refers to: the leaves below it, each with its key.
#[derive(Debug)]
pub struct OrphanBranch<'a> {
    /// Its children.
    pub children: Vec<Child<'a>>,
}

/// What no tree refers to.
#[derive(Debug, Default)]
pub struct Orphans<'a> {
    /// Every leaf with at least one entry, in the order of the pages.
    pub leaves: Vec<OrphanLeaf<'a>>,
    /// Every branch that is sound by itself.
    pub branches: Vec<OrphanBranch<'a>>,
}

/// Every leaf and branch among the pages that nobody has claimed.
#[must_use]
pub fn find<'a>(db: &'a Db, claims: &[&Claims], progress: &(dyn Fn(u64) + Sync)) -> Orphans<'a> {
    let pages = db.num_pages();
    let chunks: Vec<_> = (0..pages.div_ceil(PAGES_AT_A_TIME))
        .into_par_iter()
        .map(|chunk| {
            let first = chunk * PAGES_AT_A_TIME;
            let end = (first + PAGES_AT_A_TIME).min(pages);
            progress((end - first) * db.page_size());
            find_between(db, claims, first, end)
        })
        .collect();
    let mut orphans = Orphans::default();
    let mut leaves: Vec<_> = Vec::new();
    for chunk in chunks {
        leaves.extend(chunk.leaves);
        orphans.branches.extend(chunk.branches);
    }
    // a leaf that reaches over the end of its chunk may have had its own bytes taken for leaves
    let mut end = 0;
    leaves.retain(|(leaf, pages)| {
        let keep = leaf.page.0 >= end;
        if keep && leaf.whole {
            end = leaf.page.0 + pages;
        }
        keep
    });
    orphans.leaves = leaves.into_iter().map(|(leaf, _)| leaf).collect();
    orphans
}

/// What was found in one go: leaves with the pages that they take, and branches.
#[derive(Default)]
struct Chunk<'a> {
    leaves: Vec<(OrphanLeaf<'a>, u64)>,
    branches: Vec<OrphanBranch<'a>>,
}

fn find_between<'a>(db: &'a Db, claims: &[&Claims], first: u64, end: u64) -> Chunk<'a> {
    let mut found = Chunk::default();
    let mut budget = 2 * (end - first) * db.page_size();
    let mut next = first;
    while next < end {
        let id = PageId(next);
        next += 1;
        if claims.iter().any(|claims| claims.contains(id)) {
            continue;
        }
        // its overflow may be a lie, and then its first page still has entries
        let page = db.page_as_is(id).ok().or_else(|| Page::new(id, db.offset_of(id), db.first_bytes(id)?));
        let Some(page) = page else { continue };
        if let Ok(branch) = page.branch() {
            found.branches.extend(whole_branch(&branch, db.page_size()));
        }
        let Ok(leaf) = page.leaf() else { continue };
        let pages = u64::from(leaf.page().header().overflow.get()) + 1;
        if let Some(entries) =
            whole(&leaf, db.page_size(), pages).filter(|_| !was_overwritten(db, claims, id, pages))
        {
            next = next.max(id.0 + pages);
            found.leaves.push((orphan(&leaf, entries, true), pages));
        } else if let Some(entries) = readable(&leaf, db.page_size(), &mut budget) {
            found.leaves.push((orphan(&leaf, entries, false), 1));
        }
    }
    found
}

/// The children of a branch that is where it says, and whose keys ascend. One of many pages is passed over: its table could
/// be as long as it likes.
fn whole_branch<'a>(branch: &Branch<'a>, page_size: u64) -> Option<OrphanBranch<'a>> {
    let page = branch.page();
    if page.bytes().len() as u64 > 2 * page_size || page.header().id.get() != page.id().0 {
        return None;
    }
    let children: Vec<_> = branch.children().take_while(Result::is_ok).filter_map(Result::ok).collect();
    let ascend = children.windows(2).all(|pair| matches!(pair, [a, b] if a.key < b.key));
    (ascend && children.len() == branch.num_children()).then_some(OrphanBranch { children })
}

fn orphan<'a>(leaf: &Leaf<'a>, entries: Vec<Entry<'a>>, whole: bool) -> OrphanLeaf<'a> {
    let (page, says) = (leaf.page().id(), PageId(leaf.page().header().id.get()));
    OrphanLeaf { page, entries, whole, claims_to_be: Some(says).filter(|&says| says != page) }
}

/// Whether a later node took some of the pages that a leaf goes on in: bbolt writes whole runs of pages, so the first of them has a
/// header of its own there, or some root reaches it.
fn was_overwritten(db: &Db, claims: &[&Claims], first: PageId, pages: u64) -> bool {
    (1..pages).map(|further| PageId(first.0 + further)).any(|id| {
        let has_header = |bytes: &[u8]| {
            PageHeader::ref_from_prefix(bytes).is_ok_and(|(header, _)| header.id.get() == id.0)
        };
        claims.iter().any(|claims| claims.contains(id)) || db.first_bytes(id).is_some_and(has_header)
    })
}

/// The entries of a leaf that is sound, and needs all of its pages.
fn whole<'a>(leaf: &Leaf<'a>, page_size: u64, pages: u64) -> Option<Vec<Entry<'a>>> {
    let last = leaf.num_entries().checked_sub(1)?;
    // the last entry first: garbage seldom gets past it, and a count that lies costs nothing then
    let end = leaf.entry_at(last)?.ok()?;
    let used = (end.start as u64).saturating_add(end.key.len() as u64).saturating_add(end.value.len() as u64);
    if used <= (pages - 1).saturating_mul(page_size) {
        return None;
    }
    let mut entries: Vec<Entry<'a>> = Vec::new();
    for entry in leaf.entries() {
        let entry = entry.ok().filter(|entry| !entry.key.is_empty() && entry.flags <= 1)?;
        if entries.last().is_some_and(|last| last.key >= entry.key) {
            return None;
        }
        entries.push(entry);
    }
    Some(entries)
}

/// The entries of a damaged leaf that can be read, lie one behind the other, and ascend; as far as the budget of bytes goes.
fn readable<'a>(leaf: &Leaf<'a>, page_size: u64, budget: &mut u64) -> Option<Vec<Entry<'a>>> {
    let tried = (usize::try_from(page_size).ok()?.checked_sub(PAGE_HEADER_SIZE)? / ELEMENT_SIZE)
        .min(leaf.num_entries());
    let mut entries: Vec<Entry<'a>> = Vec::new();
    let mut previous_end = 0;
    for entry in (0..tried).filter_map(|index| leaf.entry_at(index)?.ok()) {
        let end = entry.start + entry.key.len() + entry.value.len();
        let fits = !entry.key.is_empty()
            && entry.flags <= 1
            && entry.start >= previous_end
            && entries.last().is_none_or(|last| last.key < entry.key);
        if fits {
            *budget = budget.checked_sub(entry.own_bytes())?;
            previous_end = end;
            entries.push(entry);
        }
    }
    (!entries.is_empty()).then_some(entries)
}
