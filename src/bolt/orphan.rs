//! Nodes wherever they lie: every page of the file is looked at, whatever tree, freelist, metas or high water mark say.
//!
//! bbolt never changes a page in place. What a transaction replaces stays where it is until a later one needs the room, so old
//! leaves lie about in free pages; and where a tree is damaged, what it can't reach any more does, too.
//!
//! - A page is a node when its header says so. Where the header has another id, that is said: it is a copy, or misplaced.
//! - Its overflow counts only as far as its elements need it, and ends where another page begins that was written later: every
//!   run of pages that bbolt writes begins with a header, so the first overwritten page has one with its own id.
//! - An entry counts when it lies within, after the one before it.
//!
//! Time and memory are linear in the file's size, whatever its bytes, as no page is read for more than one leaf in its place and one
//! out of its place. The pages are searched in parallel; what is found comes in the order of the pages.

#![deny(clippy::arithmetic_side_effects)]

use rayon::prelude::*;
use zerocopy::FromBytes;

use super::claims::Claims;
use super::db::Db;
use super::format::{BUCKET_FLAG, ELEMENT_SIZE, PAGE_HEADER_SIZE, PageHeader, PageId, PageKind};
use super::page::{Branch, Child, Entry, Page};

/// Bytes that a thread looks at in one go: as much is brought into memory at once.
const CHUNK: u64 = 4 << 20;

/// Chunks for each thread, before their results are given away.
const CHUNKS_A_THREAD: u64 = 8;

/// A leaf that no tree refers to.
#[derive(Debug)]
pub struct OrphanLeaf<'a> {
    pub page: PageId,
    /// Its entries; of a damaged one, those that can be read.
    pub entries: Vec<Entry<'a>>,
    /// Whether it is sound from its first byte to its last: each of its entries can be read, in ascending order.
    pub whole: bool,
    /// The page that it says to be, where that is another one.
    pub claims_to_be: Option<PageId>,
    /// How many pages its entries reach into.
    pub pages: u64,
}

/// A branch that no tree refers to: the nodes below it, each with its key.
#[derive(Debug)]
pub struct OrphanBranch<'a> {
    pub page: PageId,
    pub children: Vec<Child<'a>>,
}

/// A node that no tree refers to.
#[derive(Debug)]
pub enum Orphan<'a> {
    /// A leaf with at least one entry.
    Leaf(OrphanLeaf<'a>),
    /// A branch that is sound by itself.
    Branch(OrphanBranch<'a>),
}

/// All nodes that no tree refers to.
#[derive(Debug, Default)]
pub struct Orphans<'a> {
    /// Every leaf with at least one entry, in the order of the pages.
    pub leaves: Vec<OrphanLeaf<'a>>,
    /// Every branch that is sound by itself.
    pub branches: Vec<OrphanBranch<'a>>,
}

/// Every leaf and branch among the pages that nobody has claimed.
pub fn find<'a>(db: &'a Db, claims: &[&Claims], progress: &(dyn Fn(u64) + Sync)) -> Orphans<'a> {
    let mut orphans = Orphans::default();
    Finder::new(db, claims).search(progress, Some, |orphan| match orphan {
        Orphan::Leaf(leaf) => orphans.leaves.push(leaf),
        Orphan::Branch(branch) => orphans.branches.push(branch),
    });
    orphans
}

/// A file, and who has which of its pages.
#[derive(Clone, Copy, Debug)]
pub struct Finder<'f, 'a> {
    db: &'a Db,
    claims: &'f [&'f Claims],
}

/// What was made of a node, and the pages that it has for itself.
struct Looked<T> {
    first: u64,
    /// One above the last; the first, where others may begin within.
    end: u64,
    made: Option<T>,
}

impl<'f, 'a> Finder<'f, 'a> {
    /// Looks at pages that are in none of these sets.
    pub fn new(db: &'a Db, claims: &'f [&'f Claims]) -> Self {
        Self { db, claims }
    }

    fn is_claimed(&self, page: PageId) -> bool {
        self.claims.iter().any(|claims| claims.contains(page))
    }

    /// Makes something of each node, on all threads, and calls `each` with it, in the order of the pages.
    pub fn search<T: Send>(
        &self,
        progress: &(dyn Fn(u64) + Sync),
        look: impl Fn(Orphan<'a>) -> Option<T> + Sync,
        mut each: impl FnMut(T),
    ) {
        let page_size = self.db.page_size().max(1);
        // not `num_pages`: what lies past the high water mark was written, too, and so was a page that the file's end cuts
        let pages = self.db.file_size().div_ceil(page_size);
        let in_chunk = CHUNK.checked_div(page_size).unwrap_or(1).max(1);
        let threads = u64::try_from(rayon::current_num_threads()).unwrap_or(1).max(1);
        let in_window = in_chunk.saturating_mul(CHUNKS_A_THREAD).saturating_mul(threads);
        let (mut next, mut taken) = (0, 0);
        while next < pages {
            let end = next.saturating_add(in_window).min(pages);
            let chunks = end.saturating_sub(next).div_ceil(in_chunk);
            let looked = (0..chunks).into_par_iter().map(|chunk| {
                let first = next.saturating_add(chunk.saturating_mul(in_chunk));
                let behind = first.saturating_add(in_chunk).min(end);
                self.db.populate(PageId(first), behind.saturating_sub(first));
                let looked = self.search_between(first, behind, &look);
                progress(behind.saturating_sub(first).saturating_mul(page_size));
                looked
            });
            for found in looked.collect::<Vec<_>>().into_iter().flatten() {
                // a leaf that reaches over the end of its chunk may have had its own bytes taken for nodes
                if found.first >= taken {
                    taken = found.end;
                    found.made.into_iter().for_each(&mut each);
                }
            }
            next = end;
        }
    }

    fn search_between<T>(
        &self,
        first: u64,
        end: u64,
        look: &impl Fn(Orphan<'a>) -> Option<T>,
    ) -> Vec<Looked<T>> {
        let mut found = Vec::new();
        let mut next = first;
        while next < end {
            let id = PageId(next);
            next = next.saturating_add(1);
            if self.is_claimed(id) {
                continue;
            }
            if let Some(leaf) = self.leaf_at(id) {
                if leaf.whole {
                    next = id.0.saturating_add(leaf.pages);
                }
                let own_end = if leaf.whole { next } else { id.0 };
                let made = look(Orphan::Leaf(leaf));
                if made.is_some() || own_end > end {
                    found.push(Looked { first: id.0, end: own_end, made });
                }
            } else if let Some(branch) = self.branch_at(id) {
                let made = look(Orphan::Branch(branch));
                found.push(Looked { first: id.0, end: id.0, made });
            }
        }
        found
    }

    /// The leaf that begins at a page, if one does that has entries.
    pub fn leaf_at(&self, id: PageId) -> Option<OrphanLeaf<'a>> {
        let page = self.extent_of(id, PageKind::Leaf)?;
        let leaf = page.leaf().ok()?;
        let says = PageId(page.header().id.get());
        let mut own = OwnPages { finder: self, first: id, last: id.0, ended: false, in_place: says == id };
        let (mut entries, mut whole): (Vec<Entry<'a>>, bool) = (Vec::new(), true);
        let mut table_end = PAGE_HEADER_SIZE as u64;
        for entry in leaf.entries() {
            table_end = table_end.saturating_add(ELEMENT_SIZE as u64);
            if !own.reach(table_end) {
                whole = false;
                break;
            }
            let entry = entry.ok().filter(|entry| entry.is_possible() && entry.flags <= BUCKET_FLAG);
            let Some(entry) = entry.filter(|entry| own.reach(entry.end())) else {
                whole = false;
                continue;
            };
            whole &= entries.last().is_none_or(|last| last.key < entry.key);
            entries.push(entry);
        }
        let pages = own.last.saturating_sub(id.0).saturating_add(1);
        let claims_to_be = Some(says).filter(|&says| says != id);
        (!entries.is_empty()).then_some(OrphanLeaf { page: id, entries, whole, claims_to_be, pages })
    }

    /// The branch that begins at a page, where it says, and whose keys ascend. One of many pages is passed over: its table could be
    /// as long as it likes.
    fn branch_at(&self, id: PageId) -> Option<OrphanBranch<'a>> {
        let page = self.extent_of(id, PageKind::Branch)?;
        let branch: Branch<'a> = page.branch().ok()?;
        if page.header().overflow.get() > 1 || page.header().id.get() != id.0 {
            return None;
        }
        let children: Vec<_> = branch.children().take_while(Result::is_ok).filter_map(Result::ok).collect();
        let ascend = children.windows(2).all(|pair| matches!(pair, [a, b] if a.key < b.key));
        (ascend && children.len() == branch.num_children()).then_some(OrphanBranch { page: id, children })
    }

    /// The bytes from a page on that may be a node's: those that its header claims, as far as the file has them.
    fn extent_of(&self, id: PageId, kind: PageKind) -> Option<Page<'a>> {
        let rest = self.db.bytes_from(self.db.offset_of(id))?;
        let (header, _) = PageHeader::ref_from_prefix(rest).ok()?;
        if header.flags.get() != kind.flags() || header.count.get() == 0 {
            return None;
        }
        let claimed = u64::from(header.overflow.get()).saturating_add(1).saturating_mul(self.db.page_size());
        let len = usize::try_from(claimed).unwrap_or(usize::MAX).min(rest.len());
        Page::new(id, self.db.offset_of(id), rest.get(..len)?)
    }

    /// Whether another node begins at a page that a leaf runs over: a header of its own is there, or a root reaches it. Over a leaf
    /// that is not in its place, any header ends it.
    fn begins_another(&self, id: PageId, in_place: bool) -> bool {
        let header =
            self.db.bytes_from(self.db.offset_of(id)).and_then(|rest| PageHeader::ref_from_prefix(rest).ok());
        let has_header = header.is_some_and(|(header, _)| {
            (header.id.get() == id.0 || !in_place) && PageKind::from_flags(header.flags.get()).is_some()
        });
        has_header || self.is_claimed(id)
    }
}

/// How far a leaf's pages are its own. Since they end where another header is, no page is looked at for two leaves of one sort:
/// whatever the leaves of a file claim, all of them together cost no more than its pages.
struct OwnPages<'o, 'f, 'a> {
    finder: &'o Finder<'f, 'a>,
    first: PageId,
    /// The last page that was looked at, and is its own.
    last: u64,
    ended: bool,
    /// Whether the leaf lies where its header says.
    in_place: bool,
}

impl OwnPages<'_, '_, '_> {
    /// Whether the leaf's bytes up to this one are its own.
    fn reach(&mut self, end: u64) -> bool {
        let pages = end.saturating_sub(1).checked_div(self.finder.db.page_size()).unwrap_or(0);
        let last = self.first.0.saturating_add(pages);
        while !self.ended && self.last < last {
            let next = self.last.saturating_add(1);
            self.ended = self.finder.begins_another(PageId(next), self.in_place);
            if !self.ended {
                self.last = next;
            }
        }
        self.last >= last
    }
}
