//! What can be wrong with the structure of a bbolt file: damage as data.

use bytes::Bytes;
use strum::IntoStaticStr;
use thiserror::Error;

use super::bucket::BucketId;
use super::format::PageId;
use super::meta::MetaError;
use super::page::{ElementError, PageErrorKind};

/// One fault, and where it lies.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{kind}")]
pub struct Fault {
    /// The kind of fault.
    pub kind: FaultKind,
    /// The page that it concerns; `None` where it concerns the file as a whole.
    pub page: Option<PageId>,
    /// Byte offset in the file.
    pub offset: Option<u64>,
    /// The bucket in whose tree it was met.
    pub bucket: Option<BucketId>,
    /// The keys between which entries are missing for it, as far as the branches above tell.
    pub lost: Option<LostRange>,
}

impl Fault {
    /// What is wrong, and where.
    pub fn in_words(&self) -> String {
        let place = match (self.page, self.offset) {
            (Some(PageId(page)), Some(offset)) => format!("page {page} (byte {offset}): "),
            _ => String::new(),
        };
        format!("{place}{}", self.kind)
    }
}

/// A range of keys of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LostRange {
    /// Entries from this key on; `None` from the bucket's first.
    pub from: Option<Bytes>,
    /// And below this one; `None` to the bucket's end.
    pub below: Option<Bytes>,
}

/// What is wrong. The names, in kebab-case, are the findings' `kind` in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Error, IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[strum(serialize_all = "kebab-case")]
pub enum FaultKind {
    /// One of the two metas can't be believed; bbolt goes on with the other.
    #[error("meta {slot} is not valid: {error}")]
    Meta {
        /// 0 or 1.
        slot: usize,
        /// What is wrong with the meta.
        error: MetaError,
    },
    /// The file ends before its last page.
    #[error(
        "tail cut off: the file has {file_size} bytes, its high water mark claims {claimed}: cut short, or copied while \
         it was written"
    )]
    FileCutShort {
        /// Bytes of the file.
        file_size: u64,
        /// Bytes that the pages below the high water mark would take.
        claimed: u64,
    },
    /// A reference to a page that can't be read.
    #[error("{error}{}", referred(*referrer))]
    Page {
        /// What is wrong with the page.
        error: PageErrorKind,
        /// The branch page that refers to it.
        referrer: Option<PageId>,
    },
    /// A page below itself: a walk that trusts it never ends.
    #[error("page cycle: is its own ancestor{}", referred(*referrer))]
    Cycle {
        /// The branch page that refers to it.
        referrer: Option<PageId>,
    },
    /// A page in two places of the tree (or in the tree, and a meta or freelist page).
    #[error("page referenced twice: something else has it already{}", referred(*referrer))]
    ReachableTwice {
        /// The branch page of the second reference.
        referrer: Option<PageId>,
    },
    /// An overflow run that reaches into another node's pages.
    #[error("its {overflow} overflow pages overlap another node at page {at}")]
    OverflowOverlap {
        /// What its header says.
        overflow: u32,
        /// The first page that is taken.
        at: PageId,
    },
    /// In use, and in the freelist: bbolt will overwrite it.
    #[error(
        "freed page still referenced: is reachable, but the freelist has it as free: it will be overwritten"
    )]
    ReachableFreed,
    /// Neither in use nor free: lost to bbolt until the next defrag.
    #[error("is neither reachable nor in the freelist{}: leaked", in_a_row(*pages))]
    UnreachableUnfreed {
        /// How many, one after the other.
        pages: u64,
    },
    /// The stored freelist can't be read.
    #[error("the freelist can't be read: {error}")]
    Freelist {
        /// What is wrong with the freelist's page.
        error: PageErrorKind,
    },
    /// A page twice in the freelist: bbolt will give it out twice.
    #[error("stands in the freelist more than once: it would be given out twice")]
    FreelistDuplicate,
    /// The freelist names something that isn't an ordinary page.
    #[error("stands in the freelist, but no page below the high water mark, {high_water_mark}, has this id")]
    FreelistOutOfBounds { high_water_mark: u64 },
    /// An element that points outside its page, or into its neighbour.
    #[error("{error}")]
    Element {
        /// What is wrong with the element.
        error: ElementError,
    },
    /// A branch without children.
    #[error("is a branch page without children")]
    EmptyBranch,
    /// A key that bbolt would not have accepted.
    #[error("element {index}: a key of {len} bytes; bbolt's keys have 1 to 32768")]
    KeySize {
        /// Its position in the page.
        index: u32,
        /// Bytes of the key.
        len: u64,
    },
    #[error("element {index}: its key is {} the one before it", if *equal { "equal to" } else { "below" })]
    KeyOrder {
        /// Its position in the page.
        index: u32,
        /// The same key twice, rather than a smaller one.
        equal: bool,
    },
    /// A key that belongs further left in the tree.
    #[error("element {index}: its key is below the parent's key for this page{}", FOREIGN)]
    KeyBelowParent {
        /// Its position in the page.
        index: u32,
    },
    /// A key that belongs further right in the tree.
    #[error("element {index}: its key is not below the parent's next key{}", FOREIGN)]
    KeyAboveParent {
        /// Its position in the page.
        index: u32,
    },
    /// Flags that bbolt does not know.
    #[error("element {index}: unknown flags {flags:#x}")]
    EntryFlags {
        /// Its position in the page.
        index: u32,
        flags: u32,
    },
    /// A bucket's value that is too short for its header, or for its inline page.
    #[error("element {index}: a bucket in {len} bytes, where its header and page need at least {needed}")]
    BucketHeader {
        /// Its position in the page.
        index: u32,
        /// Bytes of the value.
        len: u64,
        /// Bytes that it needs.
        needed: u64,
    },
    /// Deeper than any tree that bbolt writes.
    #[error("lies {depth} levels deep: no tree of bbolt's is that deep, so what is below it was left out")]
    TooDeep { depth: u32 },
}

impl Fault {
    /// Whether entries can't be read for it, or can't be believed: a copy would lose them. All others are of what no copy takes
    /// over: metas, the stored freelist, the end of the file.
    pub fn is_of_a_tree(&self) -> bool {
        self.bucket.is_some() && self.kind != FaultKind::ReachableFreed
    }
}

/// Faults, up to a limit; beyond it they are only counted.
#[derive(Debug, Default)]
pub struct Findings {
    pub faults: Vec<Fault>,
    /// Number of faults, those beyond the first ones included.
    pub count: u64,
    /// How many of them are of trees: see [`Fault::is_of_a_tree`].
    pub of_trees: u64,
    /// The first of these, whatever the limit.
    pub first_of_trees: Option<Box<Fault>>,
}

impl Findings {
    /// The first fault, with its place; empty if there is none.
    pub fn first_in_words(&self) -> String {
        self.faults.first().map(Fault::in_words).unwrap_or_default()
    }

    pub fn push(&mut self, fault: Fault, max: usize) {
        self.count = self.count.saturating_add(1);
        if fault.is_of_a_tree() {
            self.of_trees = self.of_trees.saturating_add(1);
            self.first_of_trees.get_or_insert_with(|| Box::new(fault.clone()));
        }
        if self.faults.len() < max {
            self.faults.push(fault);
        }
    }

    /// Adds those of `other` after these.
    pub fn append(&mut self, other: Self, max: usize) {
        self.count = self.count.saturating_add(other.count);
        self.of_trees = self.of_trees.saturating_add(other.of_trees);
        self.first_of_trees = self.first_of_trees.take().or(other.first_of_trees);
        let room = max.saturating_sub(self.faults.len());
        self.faults.extend(other.faults.into_iter().take(room));
    }
}

/// A whole page at its place that does not fit there: what it can be.
const FOREIGN: &str =
    ": a page of another moment (live copy, mixed generations, a freed page written again), or a key changed";

fn in_a_row(pages: u64) -> String {
    if pages == 1 { String::new() } else { format!(", as are the {} behind it", pages.saturating_sub(1)) }
}

fn referred(referrer: Option<PageId>) -> String {
    referrer.map(|page| format!(" (referred to by page {page})")).unwrap_or_default()
}
