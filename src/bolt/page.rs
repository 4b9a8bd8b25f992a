//! One page: a view of exactly its bytes, overflow included, in which every access can fail.

#![warn(missing_docs)]
#![deny(clippy::arithmetic_side_effects)]

use prefetch_index::prefetch_index;
use thiserror::Error;
use zerocopy::FromBytes;

use super::format::{
    BUCKET_FLAG, BUCKET_HEADER_SIZE, BranchElement, BucketHeader, ELEMENT_SIZE, FREELIST_COUNT_IN_FIRST_SLOT,
    LeafElement, MAX_KEY_SIZE, MAX_VALUE_SIZE, PAGE_HEADER_SIZE, PageHeader, PageId, PageKind,
};

/// Keys that are asked for ahead: more than a processor fetches at once would only drive others out.
const MAX_PREFETCHED: usize = 16;

/// Why a page could not be read at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("page {page} (byte {offset}): {kind}")]
pub struct PageError {
    /// The page that was asked for.
    pub page: PageId,
    /// Where it would begin in the file, in bytes.
    pub offset: u64,
    /// The kind of error.
    pub kind: PageErrorKind,
}

/// What makes a page unreadable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum PageErrorKind {
    /// At or above the high water mark.
    #[error("not below the high water mark, {high_water_mark}")]
    AboveHighWaterMark {
        /// Pages allocated.
        high_water_mark: u64,
    },
    /// The file is shorter than the high water mark says.
    #[error("lies beyond the end of the file, which has {file_size} bytes")]
    BeyondFile {
        /// Bytes of the file.
        file_size: u64,
    },
    /// Its overflow pages pass the high water mark.
    #[error("its {overflow} overflow pages pass the high water mark, {high_water_mark}")]
    OverflowAboveHighWaterMark {
        /// What the header says.
        overflow: u32,
        /// Pages allocated.
        high_water_mark: u64,
    },
    /// Its overflow pages pass the end of the file.
    #[error("its {overflow} overflow pages pass the end of the file, which has {file_size} bytes")]
    OverflowBeyondFile {
        /// What the header says.
        overflow: u32,
        /// Bytes of the file.
        file_size: u64,
    },
    /// Never written, or lost: the first thing that a power loss leaves.
    #[error("zeroed page: nothing but zeros stands there")]
    Zeroed,
    /// It says that it is another page.
    #[error("misplaced page: identifies itself as page {found}")]
    WrongId {
        /// The id in its header.
        found: PageId,
    },
    /// Neither branch, leaf, meta nor freelist.
    #[error("flags {flags:#06x} name no type of page")]
    UnknownKind {
        /// The flags in its header.
        flags: u16,
    },
    /// A type of page that can't be here.
    #[error("is a {} page, where {expected} was expected", found.name())]
    WrongKind {
        /// The kind that its flags name.
        found: PageKind,
        /// What the place calls for, in words.
        expected: &'static str,
    },
    /// More elements than its bytes hold.
    #[error("its table of {count} elements does not fit in its {size} bytes")]
    TableOutOfBounds {
        /// Elements (or ids) that it claims.
        count: u64,
        /// Bytes of the page.
        size: u64,
    },
}

/// Why one element of a page could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ElementError {
    /// Key or value begin within the table of elements, or end past the page.
    #[error("element {index}: bytes {start}..{end} of a page of {size} lie outside its data")]
    OutOfBounds {
        /// Its position in the page.
        index: u32,
        /// Where its key begins, counted from the page's first byte.
        start: u64,
        /// Where its value ends.
        end: u64,
        /// Bytes of the page.
        size: u64,
    },
    /// It begins before the element ahead of it ends: bbolt writes them one after the other.
    #[error("element {index}: begins at byte {start}, before the one ahead of it ends at {previous_end}")]
    Overlap {
        /// Its position in the page.
        index: u32,
        /// Where its key begins, counted from the page's first byte.
        start: u64,
        /// Where the element before it ends.
        previous_end: u64,
    },
}

/// A page's bytes, all of them and nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    id: PageId,
    offset: u64,
    header: &'a PageHeader,
    bytes: &'a [u8],
}

impl<'a> Page<'a> {
    /// Takes `bytes` as a page that lies at byte `offset` of the file. `None` when they are too few for a header.
    pub fn new(id: PageId, offset: u64, bytes: &'a [u8]) -> Option<Self> {
        let (header, _) = PageHeader::ref_from_prefix(bytes).ok()?;
        Some(Self { id, offset, header, bytes })
    }

    /// Where the page lies (for an inline bucket's page: the page of the file that holds it).
    pub fn id(&self) -> PageId {
        self.id
    }

    /// Byte offset in the file.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Its header, as it is there.
    pub fn header(&self) -> &'a PageHeader {
        self.header
    }

    /// All its bytes: header, elements, data, slack; overflow pages included.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What its flags say that it is.
    ///
    /// # Errors
    /// [`PageErrorKind::UnknownKind`].
    pub fn kind(&self) -> Result<PageKind, PageError> {
        let flags = self.header.flags.get();
        PageKind::from_flags(flags).ok_or_else(|| self.error(PageErrorKind::UnknownKind { flags }))
    }

    /// The page as a branch.
    ///
    /// # Errors
    /// Another kind of page, or an element table larger than the page.
    pub fn branch(&self) -> Result<Branch<'a>, PageError> {
        self.expect_kind(PageKind::Branch, "a branch page")?;
        let elements = self.table(u64::from(self.header.count.get()))?;
        Ok(Branch { page: *self, elements })
    }

    /// The page as a leaf.
    ///
    /// # Errors
    /// Another kind of page, or an element table larger than the page.
    pub fn leaf(&self) -> Result<Leaf<'a>, PageError> {
        self.expect_kind(PageKind::Leaf, "a leaf page")?;
        let elements = self.table(u64::from(self.header.count.get()))?;
        Ok(Leaf { page: *self, elements })
    }

    /// The page as a freelist: the ids that it holds, in its order (`page.go`, `FreelistPageIds`).
    ///
    /// # Errors
    /// Another kind of page, or more ids than the page has room for.
    pub fn freelist(&self) -> Result<&'a [zerocopy::little_endian::U64], PageError> {
        self.expect_kind(PageKind::Freelist, "a freelist page")?;
        let count = self.header.count.get();
        if count != FREELIST_COUNT_IN_FIRST_SLOT {
            return self.table(u64::from(count));
        }
        let slots: &[zerocopy::little_endian::U64] = self.table(1)?;
        let count = slots.first().map_or(0, |slot| slot.get());
        let slots: &[zerocopy::little_endian::U64] = self.table(count.saturating_add(1))?;
        Ok(slots.get(1..).unwrap_or_default())
    }

    /// The fixed-size things that follow the header.
    fn table<T>(&self, count: u64) -> Result<&'a [T], PageError>
    where
        T: FromBytes + zerocopy::KnownLayout + zerocopy::Immutable + zerocopy::Unaligned,
    {
        let after_header = self.bytes.get(PAGE_HEADER_SIZE..).unwrap_or_default();
        usize::try_from(count)
            .ok()
            .and_then(|count| <[T]>::ref_from_prefix_with_elems(after_header, count).ok())
            .map(|(table, _)| table)
            .ok_or_else(|| {
                self.error(PageErrorKind::TableOutOfBounds { count, size: self.bytes.len() as u64 })
            })
    }

    fn expect_kind(&self, kind: PageKind, expected: &'static str) -> Result<(), PageError> {
        let found = self.kind()?;
        if found == kind { Ok(()) } else { Err(self.error(PageErrorKind::WrongKind { found, expected })) }
    }

    /// This kind of error, at this page.
    pub fn error(&self, kind: PageErrorKind) -> PageError {
        PageError { page: self.id, offset: self.offset, kind }
    }

    /// `key_size` + `value_size` bytes that `pos` says lie after the element at `index`.
    fn data_of(
        &self,
        index: usize,
        table_len: usize,
        pos: u32,
        key_size: u32,
        value_size: u32,
    ) -> Result<ElementData<'a>, ElementError> {
        let element_at = PAGE_HEADER_SIZE.saturating_add(index.saturating_mul(ELEMENT_SIZE));
        let table_end = PAGE_HEADER_SIZE.saturating_add(table_len.saturating_mul(ELEMENT_SIZE));
        let start = element_at.saturating_add(pos as usize);
        let middle = start.saturating_add(key_size as usize);
        let end = middle.saturating_add(value_size as usize);
        let key = self.bytes.get(start..middle).filter(|_| start >= table_end);
        match (key, self.bytes.get(middle..end)) {
            (Some(key), Some(value)) => Ok(ElementData { start, key, value }),
            _ => Err(ElementError::OutOfBounds {
                index: u32::try_from(index).unwrap_or(u32::MAX),
                start: start as u64,
                end: end as u64,
                size: self.bytes.len() as u64,
            }),
        }
    }
}

/// The bytes that an element refers to.
struct ElementData<'a> {
    /// Byte offset of the key in its page.
    start: usize,
    key: &'a [u8],
    value: &'a [u8],
}

/// Refuses an element that begins before `previous_end`, and moves that on.
fn in_sequence(index: usize, start: usize, len: usize, previous_end: &mut usize) -> Result<(), ElementError> {
    if start < *previous_end {
        return Err(ElementError::Overlap {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            start: start as u64,
            previous_end: *previous_end as u64,
        });
    }
    *previous_end = start.saturating_add(len);
    Ok(())
}

/// A branch page: keys and the pages below them.
#[derive(Clone, Copy, Debug)]
pub struct Branch<'a> {
    page: Page<'a>,
    elements: &'a [BranchElement],
}

/// One child of a branch.
#[derive(Clone, Copy, Debug)]
pub struct Child<'a> {
    /// At or below the smallest key in the child.
    pub key: &'a [u8],
    /// The child's page.
    pub page: PageId,
}

impl<'a> Branch<'a> {
    /// The page it is on.
    pub fn page(&self) -> Page<'a> {
        self.page
    }

    /// Number of children.
    pub fn num_children(&self) -> usize {
        self.elements.len()
    }

    /// The child at `index`, whatever is in the others; `None` past the last.
    pub fn child_at(&self, index: usize) -> Option<Result<Child<'a>, ElementError>> {
        let element = self.elements.get(index)?;
        let found =
            self.page.data_of(index, self.elements.len(), element.pos.get(), element.key_size.get(), 0);
        Some(found.map(|data| Child { key: data.key, page: PageId(element.page.get()) }))
    }

    /// Every child in its order. An element that is out of bounds or overlaps the one before it is an error; those
    /// after it still come.
    pub fn children(&self) -> impl Iterator<Item = Result<Child<'a>, ElementError>> + use<'a> {
        let (page, elements) = (self.page, self.elements);
        let mut previous_end = 0;
        elements.iter().enumerate().map(move |(index, element)| {
            let ElementData { start, key, .. } =
                page.data_of(index, elements.len(), element.pos.get(), element.key_size.get(), 0)?;
            in_sequence(index, start, key.len(), &mut previous_end)?;
            Ok(Child { key, page: PageId(element.page.get()) })
        })
    }
}

/// A leaf page: keys and their values.
#[derive(Clone, Copy, Debug)]
pub struct Leaf<'a> {
    page: Page<'a>,
    elements: &'a [LeafElement],
}

/// One entry of a leaf.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// 0, or [`BUCKET_FLAG`].
    pub flags: u32,
    /// The key.
    pub key: &'a [u8],
    /// The value; a bucket's header, and its page if inline, where [`Entry::is_bucket`].
    pub value: &'a [u8],
    /// Where the key begins, counted from the page's first byte.
    pub start: usize,
}

impl<'a> Leaf<'a> {
    /// The page it is on.
    pub fn page(&self) -> Page<'a> {
        self.page
    }

    /// Asks the processor for the keys' lines, each of which lies elsewhere. Only a hint.
    #[inline]
    pub fn prefetch_keys(&self) {
        for (index, element) in self.elements.iter().enumerate().take(MAX_PREFETCHED) {
            let element_at = PAGE_HEADER_SIZE.saturating_add(index.saturating_mul(ELEMENT_SIZE));
            let key_at = element_at.saturating_add(element.pos.get() as usize);
            prefetch_index(self.page.bytes, key_at);
            prefetch_index(self.page.bytes, key_at.saturating_add(64));
            prefetch_index(self.page.bytes, key_at.saturating_add(128));
            let len = (element.key_size.get() as usize).saturating_add(element.value_size.get() as usize);
            prefetch_index(self.page.bytes, key_at.saturating_add(len).saturating_sub(1));
        }
    }

    /// Number of entries.
    pub fn num_entries(&self) -> usize {
        self.elements.len()
    }

    /// The entry at `index`, whatever is in the others; `None` past the last.
    pub fn entry_at(&self, index: usize) -> Option<Result<Entry<'a>, ElementError>> {
        self.elements.get(index).map(|element| self.entry(index, element))
    }

    /// Every entry in its order. An element that is out of bounds or overlaps the one before it is an error; those
    /// after it still come.
    pub fn entries(&self) -> impl Iterator<Item = Result<Entry<'a>, ElementError>> + use<'a> {
        let leaf = *self;
        let mut previous_end = 0;
        leaf.elements.iter().enumerate().map(move |(index, element)| {
            let entry = leaf.entry(index, element)?;
            let len = entry.key.len().saturating_add(entry.value.len());
            in_sequence(index, entry.start, len, &mut previous_end)?;
            Ok(entry)
        })
    }

    #[inline]
    fn entry(&self, index: usize, element: &LeafElement) -> Result<Entry<'a>, ElementError> {
        let (pos, key_size, value_size) =
            (element.pos.get(), element.key_size.get(), element.value_size.get());
        let ElementData { start, key, value } =
            self.page.data_of(index, self.elements.len(), pos, key_size, value_size)?;
        Ok(Entry { flags: element.flags.get(), key, value, start })
    }
}

impl<'a> Entry<'a> {
    /// Bytes that belong to this entry alone: its element, key and value.
    pub fn own_bytes(&self) -> u64 {
        (ELEMENT_SIZE as u64).saturating_add(self.key.len() as u64).saturating_add(self.value.len() as u64)
    }

    /// Where its value ends, counted from the page's first byte.
    pub fn end(&self) -> u64 {
        (self.start as u64).saturating_add(self.key.len() as u64).saturating_add(self.value.len() as u64)
    }

    /// Whether bbolt would take its key and its value (`bucket.go`, `Put`): what it would not can't be in a copy.
    pub fn is_possible(&self) -> bool {
        (1..=MAX_KEY_SIZE).contains(&self.key.len()) && self.value.len() as u64 <= MAX_VALUE_SIZE
    }

    /// Whether the value is a bucket.
    pub fn is_bucket(&self) -> bool {
        self.flags & BUCKET_FLAG != 0
    }

    /// The bucket's header, where the value is one and long enough to hold it.
    pub fn bucket_header(&self) -> Option<&'a BucketHeader> {
        let header = BucketHeader::ref_from_prefix(self.value).ok().map(|(header, _)| header);
        header.filter(|_| self.is_bucket())
    }

    /// The bytes after the bucket's header: an inline bucket's page.
    pub fn inline_page(&self) -> &'a [u8] {
        self.value.get(BUCKET_HEADER_SIZE..).unwrap_or_default()
    }
}
