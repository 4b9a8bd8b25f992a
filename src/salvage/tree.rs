//! One tree, read in the order of its keys, as far as it can be: its entries, and the ranges of keys that are missing.
//!
//! Unlike [`crate::bolt::walk`], which reports faults, this keeps account of what they hide: below a page that can't be read, all
//! keys from its own key in the branch above to the next one may be lost. A key outside of these ranges that is not there was
//! deleted, not lost.

use crate::bolt::bucket::BucketRoot;
use crate::bolt::claims::Claims;
use crate::bolt::format::{BUCKET_FLAG, MAX_VALUE_SIZE, PageHeader, PageKind};
use crate::bolt::orphan::OrphanLeaf;
use crate::bolt::page::{Branch, ElementError, Entry, Leaf, Page, PageError, PageErrorKind};
use crate::bolt::walk::MAX_DEPTH;
use crate::bolt::{Db, FaultKind, PageId};
use crate::units::{count, grouped};
use thiserror::Error;
use zerocopy::FromBytes;

use super::gaps::{Gap, Gaps};

/// What was found of one tree.
#[derive(Debug, Default)]
pub struct Tree<'a> {
    /// Its entries, in ascending order of their keys.
    pub entries: Vec<Entry<'a>>,
    pub gaps: Gaps<'a>,
    /// Entries of its leaves whose keys do not belong there: each leaf with only these entries.
    pub strays: Vec<OrphanLeaf<'a>>,
}

impl Tree<'_> {
    /// A tree of which nothing can be read, as the page that leads to it is damaged.
    pub fn missing(page: PageId) -> Self {
        let why = "what leads to it is damaged".to_owned();
        let gap = Gap { lower: &[], upper: None, page, leaf: false, why };
        Self { gaps: Gaps::new(vec![gap]), ..Self::default() }
    }
}

/// A page that is referred to, and the keys that it should hold.
#[derive(Clone, Copy)]
struct Pending<'a> {
    page: PageId,
    lower: &'a [u8],
    upper: Option<&'a [u8]>,
    depth: u32,
}

/// Reads a tree. Pages that it takes are claimed; a page that another tree has claimed is a gap.
pub fn read<'a>(db: &'a Db, root: BucketRoot<'a>, claims: &Claims) -> Tree<'a> {
    let metas = db.metas().slots.iter().filter_map(|meta| meta.ok());
    let claimed = metas.map(|meta| meta.high_water_mark).max().unwrap_or(u64::MAX);
    let mut reader = Reader {
        db,
        claims,
        tree: Tree::default(),
        gaps: Vec::new(),
        depths: Vec::new(),
        stack: Vec::new(),
        leaf_depth: None,
        claimed,
    };
    match root {
        BucketRoot::Page(page) => reader.stack.push(Pending { page, lower: &[], upper: None, depth: 0 }),
        BucketRoot::Inline(page) => {
            let whole = Pending { page: page.id(), lower: &[], upper: None, depth: 0 };
            match page.leaf() {
                Ok(leaf) => reader.leaf(&leaf, whole),
                Err(error) => reader.gap(whole, error.to_string()),
            }
        }
    }
    while let Some(pending) = reader.stack.pop() {
        reader.visit(pending);
    }
    for (gap, depth) in reader.gaps.iter_mut().zip(&reader.depths) {
        gap.leaf = Some(*depth) == reader.leaf_depth;
    }
    reader.tree.gaps = Gaps::new(reader.gaps);
    reader.tree
}

struct Reader<'r, 'a> {
    db: &'a Db,
    claims: &'r Claims,
    tree: Tree<'a>,
    gaps: Vec<Gap<'a>>,
    /// The depth of each gap's page.
    depths: Vec<u32>,
    stack: Vec<Pending<'a>>,
    /// How many levels below the root the leaves lie: all leaves of a tree of bbolt's are at one depth.
    leaf_depth: Option<u32>,
    /// The high water mark that the metas have.
    claimed: u64,
}

impl<'a> Reader<'_, 'a> {
    fn gap(&mut self, at: Pending<'a>, why: String) {
        self.gap_of(at, why, true);
    }

    fn gap_of(&mut self, at: Pending<'a>, why: String, own_damage: bool) {
        self.depths.push(if own_damage { at.depth } else { u32::MAX });
        self.gaps.push(Gap { lower: at.lower, upper: at.upper, page: at.page, leaf: false, why });
    }

    fn visit(&mut self, at: Pending<'a>) {
        if at.depth >= MAX_DEPTH {
            return self.gap(at, format!("it lies {MAX_DEPTH} levels below the root"));
        }
        let page = match self.db.page(at.page) {
            Ok(page) => page,
            Err(error) => return self.gap_of(at, reason(&error, self.db), self.is_own_damage(&error)),
        };
        if let Ok(branch) = page.branch() {
            self.branch(&branch, at);
        } else {
            match page.leaf() {
                Ok(leaf) if self.belongs(&leaf, at) => match self.claim(&page, self.pages_of(&leaf)) {
                    Ok(()) => self.leaf(&leaf, at),
                    Err(why) => self.gap_of(at, why, false),
                },
                Ok(_) => self.gap_of(at, "its keys are not those that belong here".to_owned(), false),
                Err(error) => self.gap(at, reason(&error, self.db)),
            }
        }
    }

    /// Whether a page is damaged, rather than the reference to it: it is zeroed, or another page was written over it, or it is gone
    /// with the end of the file, below the high water mark.
    fn is_own_damage(&self, error: &PageError) -> bool {
        match error.kind {
            PageErrorKind::WrongId { found } => {
                is_zeroed(error.page, self.db) || (found.0 < self.claimed && is_node(error.page, self.db))
            }
            PageErrorKind::AboveHighWaterMark { .. } => error.page.0 < self.claimed,
            _ => true,
        }
    }

    /// Pages that a leaf needs: a damaged header may claim more, which belong to its neighbours.
    fn pages_of(&self, leaf: &Leaf<'a>) -> u64 {
        let used = leaf.entries().filter_map(Result::ok).map(|entry| entry.end()).max().unwrap_or(0);
        used.div_ceil(self.db.page_size()).clamp(1, u64::from(leaf.page().header().overflow.get()) + 1)
    }

    fn claim(&self, page: &Page<'_>, pages: u64) -> Result<(), String> {
        self.claims.insert_run(page.id(), pages).map_err(|taken| format!("page {taken} is referred to twice"))
    }

    /// Whether some entry of a leaf lies where it should, or there is none.
    fn belongs(&self, leaf: &Leaf<'a>, at: Pending<'a>) -> bool {
        let mut entries = leaf.entries().filter_map(Result::ok).peekable();
        entries.peek().is_none() || entries.any(|entry| is_within(entry.key, at))
    }

    fn leaf(&mut self, leaf: &Leaf<'a>, at: Pending<'a>) {
        self.leaf_depth.get_or_insert(at.depth);
        let mut damaged = 0u64;
        let (mut first_fault, mut strays) = (None, Vec::new());
        let mut last: Option<&[u8]> = None;
        for (index, entry) in (0u32..).zip(leaf.entries()) {
            strays.extend(entry.as_ref().ok().filter(|entry| !belongs(entry, at, last)));
            match checked(index, entry, at, last) {
                Ok(entry) => {
                    last = Some(entry.key);
                    self.tree.entries.push(entry);
                }
                Err(fault) => {
                    damaged = damaged.saturating_add(1);
                    first_fault.get_or_insert(fault);
                }
            }
        }
        strays.retain(|entry: &Entry<'_>| entry.is_possible() && entry.flags <= BUCKET_FLAG);
        if !strays.is_empty() {
            let (page, pages) = (at.page, self.pages_of(leaf));
            let leaf = OrphanLeaf { page, entries: strays, whole: false, claims_to_be: None, pages };
            self.tree.strays.push(leaf);
        }
        if let Some(fault) = first_fault {
            let of = count(leaf.num_entries() as u64, "entry");
            self.gap(at, format!("of its {of}, {} damaged: {fault}", are(damaged)));
        }
    }

    fn branch(&mut self, branch: &Branch<'a>, at: Pending<'a>) {
        let count = branch.num_children();
        let readable: Vec<_> = branch.children().map(Result::ok).collect();
        // each child that can be read, with its key; the first one's is at or below all that it holds
        let mut children: Vec<(&'a [u8], PageId)> = Vec::new();
        let mut damaged = 0u32;
        for (index, child) in readable.into_iter().enumerate() {
            let fits = |key: &[u8]| {
                at.upper.is_none_or(|upper| key < upper)
                    && children.last().is_none_or(|&(last, _)| last < key)
            };
            match child.filter(|child| fits(child.key) && (index == 0 || at.lower <= child.key)) {
                Some(child) => children.push((child.key, child.page)),
                None => damaged = damaged.saturating_add(1),
            }
        }
        if count == 0 || children.is_empty() {
            return self.gap(at, "no child of it can be read".to_owned());
        }
        if let Err(why) = self.claim(&branch.page(), u64::from(branch.page().header().overflow.get()) + 1) {
            return self.gap_of(at, why, false);
        }
        if damaged > 0 {
            // the keys of the lost ones are not known: children before them may seem to reach further than they do
            self.gap(at, format!("{damaged} of its {count} children can't be read"));
        }
        let uppers = children.iter().skip(1).map(|&(key, _)| Some(key)).chain([at.upper]);
        let pending = children.iter().zip(uppers).enumerate().map(|(index, (&(key, page), upper))| Pending {
            page,
            lower: if index == 0 { at.lower } else { key },
            upper,
            depth: at.depth.saturating_add(1),
        });
        let pending: Vec<_> = pending.collect();
        self.stack.extend(pending.into_iter().rev());
    }
}

/// Why no copy can have an entry.
#[derive(Debug, Error)]
enum Refused {
    #[error("{0}")]
    Fault(FaultKind),
    #[error("element {index}: a value of {len} bytes; bbolt's have at most {MAX_VALUE_SIZE}")]
    ValueSize { index: u32, len: u64 },
}

/// An entry of a leaf, where a copy can have it; else the first rule of bbolt's that it breaks.
fn checked<'a>(
    index: u32,
    entry: Result<Entry<'a>, ElementError>,
    at: Pending<'_>,
    last: Option<&[u8]>,
) -> Result<Entry<'a>, Refused> {
    let entry = entry.map_err(|error| Refused::Fault(FaultKind::Element { error }))?;
    let (key, value) = (entry.key.len() as u64, entry.value.len() as u64);
    let fault = match last {
        _ if value > MAX_VALUE_SIZE => return Err(Refused::ValueSize { index, len: value }),
        _ if !entry.is_possible() => FaultKind::KeySize { index, len: key },
        _ if entry.key < at.lower => FaultKind::KeyBelowParent { index },
        _ if !is_within(entry.key, at) => FaultKind::KeyAboveParent { index },
        Some(last) if entry.key <= last => FaultKind::KeyOrder { index, equal: entry.key == last },
        _ => return Ok(entry),
    };
    Err(Refused::Fault(fault))
}

/// Whether an entry lies where its key should.
fn belongs(entry: &Entry<'_>, at: Pending<'_>, last: Option<&[u8]>) -> bool {
    is_within(entry.key, at) && last.is_none_or(|last| last < entry.key)
}

fn are(number: u64) -> String {
    if number == 1 { "1 is".to_owned() } else { format!("{} are", grouped(number)) }
}

fn is_within(key: &[u8], at: Pending<'_>) -> bool {
    at.lower <= key && at.upper.is_none_or(|upper| key < upper)
}

/// What is wrong with a page.
fn reason(error: &PageError, db: &Db) -> String {
    if is_zeroed(error.page, db) { "it is zeroed".to_owned() } else { error.kind.to_string() }
}

/// Whether a page begins as a node does, which a page in the middle of a longer node hardly ever does.
fn is_node(page: PageId, db: &Db) -> bool {
    let header = db.first_bytes(page).and_then(|bytes| PageHeader::ref_from_prefix(bytes).ok());
    header.is_some_and(|(header, _)| {
        matches!(PageKind::from_flags(header.flags.get()), Some(PageKind::Branch | PageKind::Leaf))
    })
}

fn is_zeroed(page: PageId, db: &Db) -> bool {
    db.first_bytes(page).is_some_and(|bytes| bytes.iter().all(|&byte| byte == 0))
}
