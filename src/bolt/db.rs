//! A bbolt file in memory: cheap to open, verified only as far as reading needs.

#![deny(clippy::arithmetic_side_effects)]

use bytes::Bytes;
use prefetch_index::prefetch_index;
use thiserror::Error;

use super::format::{MAX_PAGE_SIZE, MIN_PAGE_SIZE, PAGE_HEADER_SIZE, PageId};
use super::meta::{Meta, MetaError, Metas};
use super::open::Mapping;
use super::page::{Page, PageError, PageErrorKind};
use super::probe;

/// Why bytes can't be read as a bbolt file.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum FormatError {
    #[error("the file is empty")]
    Empty,
    /// bbolt's magic number, with its bytes reversed.
    #[error(
        "written by a big-endian machine (its magic number is byte-swapped): not supported, only files of little-endian ones"
    )]
    ByteSwapped,
    /// No trace of bbolt.
    #[error(
        "not a bbolt file: no meta page at its start, nor at any page size from {MIN_PAGE_SIZE} to {MAX_PAGE_SIZE}"
    )]
    NotBolt,
    /// A page size that is not supported.
    #[error("{}", MetaError::PageSize { found: *.0 })]
    PageSize(u32),
    /// A bbolt file with nothing to start from.
    #[error("both meta pages are damaged: meta 0: {0}; meta 1: {1}")]
    NoValidMeta(MetaError, MetaError),
}

/// A bbolt file: its bytes, and what its metas say.
///
/// The bytes may be a mapped file or a `Vec<u8>`: both become [`Bytes`], so views can outlive the borrow.
#[derive(Clone, Debug)]
pub struct Db {
    data: Bytes,
    metas: Metas,
    page_size: usize,
    mapping: Option<Mapping>,
}

impl Db {
    /// Reads the two metas, and nothing else.
    ///
    /// # Errors
    /// Neither meta is valid; the error tells an empty file, another kind of file, a big-endian one and a
    /// damaged one apart.
    pub fn new(data: impl Into<Bytes>) -> Result<Self, FormatError> {
        let data = data.into();
        let metas = Metas::read(&data).map_err(|errors| explain(&data, errors))?;
        let page_size = metas.active.page_size as usize;
        Ok(Self { data, metas, page_size, mapping: None })
    }

    /// Reads the metas of a mapped file.
    ///
    /// # Errors
    /// As [`Db::new`].
    pub fn of_mapping(mapping: Mapping) -> Result<Self, FormatError> {
        let db = Self::new(mapping.bytes())?;
        Ok(Self { mapping: Some(mapping), ..db })
    }

    /// The same bytes under a meta that somebody made up, for a file whose own can't be believed. All of its pages can
    /// be read then, whatever its high water mark was.
    pub fn assuming(data: Bytes, slots: [Result<Meta, MetaError>; 2], active: Meta) -> Self {
        let metas = Metas { slots, active_slot: 0, active };
        Self { data, metas, page_size: active.page_size as usize, mapping: None }
    }

    /// Every byte of the file, tail and trailer included.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// Bytes of the file.
    pub fn file_size(&self) -> u64 {
        self.data.len() as u64
    }

    /// Bytes of a page.
    pub fn page_size(&self) -> u64 {
        self.page_size as u64
    }

    pub fn metas(&self) -> &Metas {
        &self.metas
    }

    /// What the active meta says.
    pub fn meta(&self) -> &Meta {
        &self.metas.active
    }

    /// Pages allocated, as the active meta says.
    pub fn high_water_mark(&self) -> u64 {
        self.metas.active.high_water_mark
    }

    /// Whole pages below the high water mark that the file really has: an id below it can be read.
    pub fn num_pages(&self) -> u64 {
        let whole = self.data.len().checked_div(self.page_size).unwrap_or(0);
        self.high_water_mark().min(whole as u64)
    }

    /// Where a page begins, in bytes; saturates, so that a wild id is merely far away.
    pub fn offset_of(&self, id: PageId) -> u64 {
        id.0.saturating_mul(self.page_size as u64)
    }

    /// The page that a byte of the file lies in.
    pub fn page_at(&self, offset: u64) -> PageId {
        PageId(offset.checked_div(self.page_size()).unwrap_or(0))
    }

    /// The page at `id` with its overflow pages: exactly its bytes.
    ///
    /// # Errors
    /// It or its overflow lies outside the allocated part of the file, or its header names another page.
    #[inline]
    pub fn page(&self, id: PageId) -> Result<Page<'_>, PageError> {
        let page = self.page_as_is(id)?;
        let found = PageId(page.header().id.get());
        if found == id { Ok(page) } else { Err(page.error(misplaced(&page, found))) }
    }

    /// The page at `id`, even if its header names another one.
    ///
    /// # Errors
    /// It or its overflow lies outside the allocated part of the file.
    #[inline]
    pub fn page_as_is(&self, id: PageId) -> Result<Page<'_>, PageError> {
        let high_water_mark = self.high_water_mark();
        let offset = self.offset_of(id);
        let error = |kind| PageError { page: id, offset, kind };
        if id.0 >= high_water_mark {
            return Err(error(PageErrorKind::AboveHighWaterMark { high_water_mark }));
        }
        let file_size = self.file_size();
        let beyond = || error(PageErrorKind::BeyondFile { file_size });
        let start = usize::try_from(offset).map_err(|_| beyond())?;
        let first = self.bytes(start, self.page_size).ok_or_else(beyond)?;
        let page = Page::new(id, offset, first).ok_or_else(beyond)?;

        let overflow = page.header().overflow.get();
        if overflow == 0 {
            return Ok(page);
        }
        if id.0.saturating_add(u64::from(overflow)) >= high_water_mark {
            return Err(error(PageErrorKind::OverflowAboveHighWaterMark { overflow, high_water_mark }));
        }
        usize::try_from(overflow)
            .ok()
            .and_then(|pages| pages.checked_add(1)?.checked_mul(self.page_size))
            .and_then(|len| Page::new(id, offset, self.bytes(start, len)?))
            .ok_or_else(|| error(PageErrorKind::OverflowBeyondFile { overflow, file_size }))
    }

    /// The first bytes of the page at `id`, without believing its overflow: for showing a damaged page.
    pub fn first_bytes(&self, id: PageId) -> Option<&[u8]> {
        let start = usize::try_from(self.offset_of(id)).ok()?;
        let rest = self.data.get(start..)?;
        Some(rest.get(..self.page_size).unwrap_or(rest)).filter(|bytes| bytes.len() >= PAGE_HEADER_SIZE)
    }

    /// The mapped file that the bytes are of, if they are of one.
    pub fn mapping(&self) -> Option<&Mapping> {
        self.mapping.as_ref()
    }

    /// Brings pages into memory that are about to be read, where the bytes are those of a mapped file.
    pub fn populate(&self, first: PageId, pages: u64) {
        if let Some(mapping) = &self.mapping {
            mapping.populate(self.offset_of(first), pages.saturating_mul(self.page_size()));
        }
    }

    /// Asks the processor for the first lines of a page that will be read soon. Only a hint.
    #[inline]
    pub fn prefetch(&self, id: PageId) {
        const LINE: usize = 64;
        if let Ok(start) = usize::try_from(self.offset_of(id)) {
            (0..3)
                .for_each(|line| prefetch_index(&self.data, start.saturating_add(LINE.saturating_mul(line))));
        }
    }

    /// The same file as its other meta has it: as it was a transaction ago. `None` where that meta is damaged.
    pub fn at_older_root(&self) -> Option<Self> {
        let active_slot = 1_usize.saturating_sub(self.metas.active_slot);
        let active = (*self.metas.slots.get(active_slot)?).ok()?;
        let metas = Metas { active_slot, active, ..self.metas };
        Some(Self { metas, ..self.clone() })
    }

    /// All bytes of the file from this one on.
    pub fn bytes_from(&self, offset: u64) -> Option<&[u8]> {
        self.data.get(usize::try_from(offset).ok()?..)
    }

    /// Where in the file a part of its bytes lies; `None` for bytes that are not of this file.
    pub fn offset_in_file(&self, part: &[u8]) -> Option<u64> {
        let range = self.data.as_ptr_range();
        let start = part.as_ptr();
        range.contains(&start).then(|| start.addr().saturating_sub(range.start.addr()) as u64)
    }

    fn bytes(&self, start: usize, len: usize) -> Option<&[u8]> {
        self.data.get(start..start.checked_add(len)?)
    }
}

/// What a page is that is not where its header says.
#[cold]
fn misplaced(page: &Page<'_>, found: PageId) -> PageErrorKind {
    // large pages are not read to their end: a branch may refer to one of them many thousand times
    let zeroed = page.bytes().iter().take(4096).all(|&byte| byte == 0);
    if zeroed { PageErrorKind::Zeroed } else { PageErrorKind::WrongId { found } }
}

fn explain(data: &[u8], [zero, one]: [MetaError; 2]) -> FormatError {
    let no_meta = |error| matches!(error, MetaError::Magic { .. } | MetaError::Missing);
    if data.is_empty() {
        FormatError::Empty
    } else if let Some(found) = probe::unsupported_page_size(data) {
        FormatError::PageSize(found)
    } else if zero == MetaError::ByteSwapped || (no_meta(zero) && one == MetaError::ByteSwapped) {
        FormatError::ByteSwapped
    } else if no_meta(zero) && no_meta(one) {
        FormatError::NotBolt
    } else {
        FormatError::NoValidMeta(zero, one)
    }
}
