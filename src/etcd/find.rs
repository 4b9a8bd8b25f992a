//! Records wherever in the file they lie: in the live tree, in the older root's, in pages that nothing refers to.
//!
//! bbolt never changes a page in place. What a transaction replaces stays where it is until a later one needs the room: the
//! tree of the meta that is not active is mostly whole, and old leaves of the `key` bucket lie about in free pages. The
//! finder looks at every page of the file, and believes neither tree, freelist nor high water mark:
//!
//! - a page is a leaf when its header says so and has the page's own id;
//! - its overflow counts only as far as its elements need it, and ends where another page begins that was written later:
//!   every run of pages that bbolt writes begins with a header, so the first overwritten page has one with its own id;
//! - an element counts when it lies within, behind the one before it, its key is a revision and its value a `KeyValue` of
//!   that revision.
//!
//! Time is linear in the file's size, whatever it holds, as no page is read for two leaves. Nothing is kept but a bit or two
//! a page.

#![deny(clippy::arithmetic_side_effects)]

use crate::bolt::bucket::top_level;
use crate::bolt::claims::Claims;
use crate::bolt::format::{ELEMENT_SIZE, PAGE_HEADER_SIZE, PageHeader, PageId, PageKind};
use crate::bolt::page::{Entry, Leaf, Page};
use crate::bolt::walk::{Bucket, BucketId, BucketRoot, Content, MAX_DEPTH, Node, Walker};
use crate::bolt::{Db, Threads};
use zerocopy::FromBytes;

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
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Origin {
    /// Reachable from the active meta's root.
    Live,
    /// Reachable from the other meta's root only: as it was a transaction ago.
    OlderRoot,
    /// In a page that nothing refers to.
    Free,
}

/// A record, where it lies.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Its revision, and whether it is a tombstone.
    pub place: RecordKey,
    /// Its content.
    pub kv: KeyValue<'a>,
    /// Where it was found.
    pub origin: Origin,
    /// Where in the file its key begins; its value follows.
    pub at: u64,
    /// Bytes of its value.
    pub len: u32,
}

/// Bytes that are brought into memory at once.
const POPULATED: u64 = 4 << 20;

impl<'a> Found<'a> {
    /// A record of the `key` bucket; `None` where the entry is none, or its value says another revision.
    #[must_use]
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
    wanted: impl Fn(&Found<'a>) -> bool + Sync,
    new: impl Fn() -> T,
    mut add: impl FnMut(&mut T, Found<'a>),
) -> (T, u64) {
    let mut walk = |threads| {
        let (mut state, mut unreadable) = (new(), 0u64);
        let mut walker = Walker::new(db, None, threads, 0);
        let id = walker.adopt(*key_bucket);
        if let Some(mut walk) = walker.walk_bucket(id) {
            while let Some(parts) = walk.next_window(|subtree| Part::of(db, subtree, &wanted)) {
                for part in parts {
                    unreadable = unreadable.saturating_add(part.unreadable);
                    part.found.into_iter().for_each(|found| add(&mut state, found));
                }
            }
        }
        let contested = walker.is_contested();
        (state, walker.finish().0.count.max(unreadable), contested)
    };
    let (state, unreadable, contested) = walk(Threads::All);
    if !contested {
        return (state, unreadable);
    }
    // a page that is reached twice belongs to whom the order of the tree gives it
    let (state, unreadable, _) = walk(Threads::One);
    (state, unreadable)
}

/// What a part of the tree holds.
struct Part<'a> {
    found: Vec<Found<'a>>,
    unreadable: u64,
}

impl<'a> Part<'a> {
    fn of(db: &Db, nodes: impl Iterator<Item = Node<'a>>, wanted: &impl Fn(&Found<'a>) -> bool) -> Self {
        let mut part = Self { found: Vec::new(), unreadable: 0 };
        for entry in nodes.filter_map(|node| node.leaf()).flat_map(|leaf| leaf.entries()) {
            match entry.map(|entry| (Found::of(db, &entry, Origin::Live), entry)) {
                Ok((Some(found), _)) if wanted(&found) => part.found.push(found),
                Ok((Some(_), _)) => {}
                Ok((None, entry)) if KeyValue::is_revision_mark(entry.value) => {}
                _ => part.unreadable = part.unreadable.saturating_add(1),
            }
        }
        part
    }
}

/// Calls `each` with every record that lies in pages of the file which the active root does not reach: first those of the
/// older root's tree, then those of free pages, in the order of pages. One record may come several times, as bbolt copies
/// a leaf whenever one of its entries changes.
pub fn for_each_lost<'a>(db: &'a Db, mut each: impl FnMut(Found<'a>)) {
    let finder = Finder::new(db);
    finder.claim_live();
    finder.older_root(&mut each);
    finder.free_pages(&mut each);
}

/// Which pages are spoken for, of all that the file has.
struct Finder<'a> {
    db: &'a Db,
    /// Pages of nodes that a root reaches, as far as their content needs them.
    taken: Claims,
}

impl<'a> Finder<'a> {
    fn new(db: &'a Db) -> Self {
        // not `num_pages`: what lies past the high water mark was written, too
        let pages = db.file_size().div_ceil(db.page_size().max(1));
        Self { db, taken: Claims::new(pages) }
    }

    /// The pages of all nodes that the active root reaches.
    fn claim_live(&self) {
        let mut walker = Walker::new(self.db, None, Threads::All, 0);
        // which of two references gets a page does not matter here
        for id in (0..).map(BucketId) {
            let Some(mut walk) = walker.walk_bucket(id) else { break };
            let claim = |node: Node<'_>| {
                if !node.inline {
                    self.claim(node.page().id(), content_end(&node.content));
                }
            };
            while walk.next_window(|subtree| subtree.for_each(claim)).is_some() {}
        }
    }

    /// Takes the pages that a node's content reaches into: its overflow is a number that may lie.
    fn claim(&self, first: PageId, len: u64) {
        let pages = len.div_ceil(self.db.page_size().max(1)).max(1);
        for page in first.0..first.0.saturating_add(pages).min(self.taken.num_pages()) {
            self.taken.insert(PageId(page));
        }
    }

    /// The leaves that only the other meta's root reaches.
    fn older_root(&self, each: &mut impl FnMut(Found<'a>)) {
        let Some(older) = self.db.at_older_root() else { return };
        let key_bucket = top_level(&older).into_iter().find(|bucket| bucket.name == KEY_BUCKET);
        let root = match key_bucket.map(|bucket| bucket.root) {
            Some(BucketRoot::Page(root)) => root,
            Some(BucketRoot::Inline(page)) => {
                let (id, from) = (page.id(), self.db.bytes_from(page.offset()));
                let inline = from.and_then(|bytes| bytes.get(..page.bytes().len()));
                // its bytes as this file's, which outlive the other view
                if let Some(leaf) = inline.and_then(|bytes| Page::new(id, page.offset(), bytes)?.leaf().ok())
                    && !self.taken.contains(id)
                {
                    self.records_of(&leaf, Origin::OlderRoot, each);
                }
                return;
            }
            None => return,
        };
        let seen = Claims::new(self.taken.num_pages());
        let mut stack = vec![(root, 0)];
        while let Some((id, depth)) = stack.pop() {
            // what the active root reaches, too, is all the same below it
            if depth >= MAX_DEPTH || self.taken.contains(id) || !seen.insert(id) {
                continue;
            }
            if let Some(branch) = older.page(id).ok().and_then(|page| page.branch().ok()) {
                let below = stack.len();
                stack.extend(
                    branch
                        .children()
                        .filter_map(Result::ok)
                        .map(|child| (child.page, depth.saturating_add(1))),
                );
                if let Some(children) = stack.get_mut(below..) {
                    children.reverse();
                }
            } else {
                self.leaf_at(id, Origin::OlderRoot, each);
            }
        }
    }

    /// The leaves in pages that no root reaches.
    fn free_pages(&self, each: &mut impl FnMut(Found<'a>)) {
        let (mut next, mut populated) = (0, 0);
        while next < self.taken.num_pages() {
            let page = PageId(next);
            if next >= populated {
                let pages = POPULATED.checked_div(self.db.page_size()).unwrap_or(1).max(1);
                self.db.populate(page, pages);
                populated = next.saturating_add(pages);
            }
            let pages = if self.taken.contains(page) { 1 } else { self.leaf_at(page, Origin::Free, each) };
            next = next.saturating_add(pages.max(1));
        }
    }

    /// Reads the leaf that begins at a page, if one does. Gives back the number of pages that it takes: one, unless it is
    /// sound.
    fn leaf_at(&self, id: PageId, origin: Origin, each: &mut impl FnMut(Found<'a>)) -> u64 {
        let Some(bytes) = self.extent_of(id) else { return 1 };
        let Some(leaf) = Page::new(id, self.db.offset_of(id), bytes).and_then(|page| page.leaf().ok()) else {
            return 1;
        };
        let end = self.records_of(&leaf, origin, each);
        let pages = end.unwrap_or(0).div_ceil(self.db.page_size().max(1)).max(1);
        if end.is_some() && origin == Origin::OlderRoot {
            self.claim(id, end.unwrap_or(0));
        }
        pages
    }

    /// The bytes from a page on that may be a leaf's: those that its header claims, as far as the file has them.
    fn extent_of(&self, id: PageId) -> Option<&'a [u8]> {
        let rest = self.db.bytes_from(self.db.offset_of(id))?;
        let (header, _) = PageHeader::ref_from_prefix(rest).ok()?;
        let is_leaf = header.id.get() == id.0 && header.flags.get() == PageKind::Leaf.flags();
        let claimed = u64::from(header.overflow.get()).saturating_add(1).saturating_mul(self.db.page_size());
        let len = usize::try_from(claimed).unwrap_or(usize::MAX).min(rest.len());
        rest.get(..len).filter(|_| is_leaf)
    }

    /// Shows the records of a leaf. Where all of it is sound, gives back where its content ends.
    fn records_of(&self, leaf: &Leaf<'a>, origin: Origin, each: &mut impl FnMut(Found<'a>)) -> Option<u64> {
        let (mut sound, mut found_any, mut end) = (true, false, PAGE_HEADER_SIZE as u64);
        let mut own = OwnPages::of(leaf.page().id());
        let mut previous: Option<&[u8]> = None;
        for entry in leaf.entries() {
            // its element, and then its data
            end = end.saturating_add(ELEMENT_SIZE as u64);
            if !own.reach(self, end) {
                return None;
            }
            let Ok(entry) = entry else {
                sound = false;
                continue;
            };
            let len = (entry.key.len() as u64).saturating_add(entry.value.len() as u64);
            let entry_end = (entry.start as u64).saturating_add(len);
            if !own.reach(self, entry_end) {
                sound = false;
                continue;
            }
            if entry.is_bucket() {
                self.inline_key_bucket(leaf, &entry, origin, each);
                continue;
            }
            sound &= previous.is_none_or(|previous| previous < entry.key);
            previous = Some(entry.key);
            match Found::of(self.db, &entry, origin) {
                Some(found) => {
                    found_any = true;
                    each(found);
                }
                None => sound &= !looks_like_record(&entry),
            }
        }
        // a leaf of another bucket may be anything: its pages are looked at, each by itself
        (sound && found_any).then_some(own.reached)
    }

    /// A small `key` bucket stands within the root bucket's leaf, as etcd's does while it is almost empty.
    fn inline_key_bucket(
        &self,
        leaf: &Leaf<'a>,
        entry: &Entry<'a>,
        origin: Origin,
        each: &mut impl FnMut(Found<'a>),
    ) {
        let is_inline = entry.bucket_header().is_some_and(|header| header.root.get() == 0);
        if entry.key != KEY_BUCKET || !is_inline {
            return;
        }
        let page = leaf.page();
        let inline =
            Page::new(page.id(), page.offset(), entry.inline_page()).and_then(|page| page.leaf().ok());
        for entry in inline.iter().flat_map(Leaf::entries).filter_map(Result::ok) {
            // in here is no other bucket, whatever it says
            if let Some(found) = Found::of(self.db, &entry, origin) {
                each(found);
            }
        }
    }

    /// Whether a page that a leaf runs over was written by somebody else since: it begins with a header of its own, or a
    /// root reaches it.
    fn was_overwritten(&self, id: PageId) -> bool {
        let header =
            self.db.bytes_from(self.db.offset_of(id)).and_then(|rest| PageHeader::ref_from_prefix(rest).ok());
        let has_header = header.is_some_and(|(header, _)| {
            header.id.get() == id.0 && PageKind::from_flags(header.flags.get()).is_some()
        });
        has_header || self.taken.contains(id)
    }
}

/// How far a leaf's pages are its own. Since they end where another header stands, no page is looked at for two leaves:
/// whatever the leaves of a file claim, all of them together cost no more than its pages.
struct OwnPages {
    first: u64,
    /// The last page that was looked at, and is its own.
    last: u64,
    ended: bool,
    /// The furthest byte that was asked for and is its own, counted from its first one.
    reached: u64,
}

impl OwnPages {
    fn of(first: PageId) -> Self {
        Self { first: first.0, last: first.0, ended: false, reached: 0 }
    }

    /// Whether the leaf's bytes up to this one are its own.
    fn reach(&mut self, finder: &Finder<'_>, end: u64) -> bool {
        let pages = end.saturating_sub(1).checked_div(finder.db.page_size()).unwrap_or(0);
        let last = self.first.saturating_add(pages);
        while !self.ended && self.last < last {
            let next = self.last.saturating_add(1);
            self.ended = finder.was_overwritten(PageId(next));
            if !self.ended {
                self.last = next;
            }
        }
        let own = self.last >= last;
        if own {
            self.reached = self.reached.max(end);
        }
        own
    }
}

/// An entry whose key is a revision, and whose value is no record: something is wrong with its leaf.
fn looks_like_record(entry: &Entry<'_>) -> bool {
    RecordKey::parse(entry.key).is_some() && !KeyValue::is_revision_mark(entry.value)
}

/// Where a node's content ends, counted from its page's first byte.
fn content_end(content: &Content<'_>) -> u64 {
    let header = PAGE_HEADER_SIZE as u64;
    match content {
        Content::Leaf(leaf) => leaf.entries().filter_map(Result::ok).fold(header, |end, entry| {
            let len = (entry.key.len() as u64).saturating_add(entry.value.len() as u64);
            end.max((entry.start as u64).saturating_add(len))
        }),
        // one page, mostly: its keys are short, and what little it is too long is no leaf's
        Content::Branch(branch) => branch.page().bytes().len() as u64,
    }
}
