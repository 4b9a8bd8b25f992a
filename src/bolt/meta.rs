//! The two meta pages: what each says, whether it can be believed, and which one is active.

use thiserror::Error;
use zerocopy::{FromBytes, IntoBytes};

use super::format::{
    MAGIC, MAX_PAGE_SIZE, MIN_PAGE_SIZE, MetaBytes, NO_FREELIST, PAGE_HEADER_SIZE, PageId, VERSION,
};

/// A meta page that passed bbolt's own validation (`meta.go`, `Validate`): magic, version and checksum.
///
/// Its numbers are still only claims: a page id in it may lie outside the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Meta {
    /// Bytes of a page; a power of two from 512 to 16 MiB.
    pub page_size: u32,
    /// Root page of the root bucket.
    pub root: PageId,
    /// The root bucket's counter.
    pub sequence: u64,
    /// First page of the stored freelist; `null` where none is stored, and free pages are those that no tree reaches.
    pub freelist: Option<PageId>,
    /// Number of pages allocated so far.
    pub high_water_mark: u64,
    /// The transaction that wrote it.
    pub txid: u64,
}

/// Why a meta page can't be believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum MetaError {
    /// The file ends before or within it.
    #[error("the file ends before it")]
    Missing,
    #[error("magic number {found:#010x}, expected {MAGIC:#010x}")]
    Magic {
        /// The number in the file.
        found: u32,
    },
    /// The magic number with its bytes the other way round.
    #[error("written by a big-endian machine: its magic number is byte-swapped")]
    ByteSwapped,
    #[error("format version {found}, expected {VERSION}")]
    Version {
        /// The version in the file.
        found: u32,
    },
    /// Some field was changed after the checksum was made.
    #[error("checksum {found:#018x} stands there, its fields make {computed:#018x}")]
    Checksum {
        /// The checksum in the file.
        found: u64,
        /// What it should be.
        computed: u64,
    },
    /// A page size that is not supported.
    #[error(
        "pages of {found} bytes: not supported, only powers of two from {MIN_PAGE_SIZE} to {MAX_PAGE_SIZE}"
    )]
    PageSize {
        /// The page size in the file.
        found: u32,
    },
    /// The second meta lies one page in, so its place must agree with the page size that it states.
    #[error("lies at byte {offset}, but says that a page has {found} bytes")]
    Misplaced {
        /// Byte offset of the meta.
        offset: u64,
        /// The page size that it states.
        found: u32,
    },
}

impl Meta {
    /// Reads the meta page that begins at `offset` of `data`.
    ///
    /// # Errors
    /// What makes it invalid, in bbolt's order: magic, version, checksum; then a page size that can't be.
    pub fn read(data: &[u8], offset: usize) -> Result<Self, MetaError> {
        let bytes = offset
            .checked_add(PAGE_HEADER_SIZE)
            .and_then(|start| data.get(start..))
            .ok_or(MetaError::Missing)?;
        let (meta, _) = MetaBytes::ref_from_prefix(bytes).map_err(|_| MetaError::Missing)?;
        let found = meta.magic.get();
        if found == MAGIC.swap_bytes() {
            return Err(MetaError::ByteSwapped);
        }
        if found != MAGIC {
            return Err(MetaError::Magic { found });
        }
        let found = meta.version.get();
        if found != VERSION {
            return Err(MetaError::Version { found });
        }
        let (found, computed) = (meta.checksum.get(), checksum(meta));
        if found != computed {
            return Err(MetaError::Checksum { found, computed });
        }
        Self::of_fields(meta)
    }

    /// What a meta says of which the checksum alone is wrong: something in it was changed, and nothing tells what.
    pub fn read_despite_checksum(data: &[u8], offset: usize) -> Option<Self> {
        match Self::read(data, offset) {
            Err(MetaError::Checksum { .. }) => {
                let bytes = data.get(offset.checked_add(PAGE_HEADER_SIZE)?..)?;
                Self::of_fields(MetaBytes::ref_from_prefix(bytes).ok()?.0).ok()
            }
            _ => None,
        }
    }

    fn of_fields(meta: &MetaBytes) -> Result<Self, MetaError> {
        let found = meta.page_size.get();
        if !found.is_power_of_two() || !(MIN_PAGE_SIZE..=MAX_PAGE_SIZE).contains(&found) {
            return Err(MetaError::PageSize { found });
        }
        Ok(Self {
            page_size: found,
            root: PageId(meta.root.root.get()),
            sequence: meta.root.sequence.get(),
            freelist: Some(meta.freelist.get()).filter(|&id| id != NO_FREELIST).map(PageId),
            high_water_mark: meta.high_water_mark.get(),
            txid: meta.txid.get(),
        })
    }
}

/// FNV-1a-64 over the fields before the checksum (`meta.go`, `Sum64`).
pub fn checksum(meta: &MetaBytes) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let fields = size_of::<MetaBytes>().saturating_sub(size_of::<u64>());
    meta.as_bytes()
        .iter()
        .take(fields)
        .fold(OFFSET_BASIS, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

/// Both meta pages as they were found: at least one of them is valid.
///
/// Two metas may both lie, or one be damaged, so the type keeps each one's fate; only [`Metas::active`] is used
/// for reading.
#[derive(Clone, Copy, Debug)]
pub struct Metas {
    /// Meta 0 and meta 1.
    pub slots: [Result<Meta, MetaError>; 2],
    /// Which slot is active.
    pub active_slot: usize,
    /// What the active one says.
    pub active: Meta,
}

impl Metas {
    /// Reads both metas and chooses the valid one with the higher transaction id, as bbolt does (`db.go`, `meta`).
    /// Where meta 0 is damaged, meta 1 is looked for at every possible page size (`db.go`,
    /// `getPageSizeFromSecondMeta`).
    ///
    /// # Errors
    /// What is wrong with each, when neither is valid.
    pub fn read(data: &[u8]) -> Result<Self, [MetaError; 2]> {
        let first = Meta::read(data, 0);
        let second = match first {
            Ok(meta) => read_second(data, meta.page_size),
            Err(_) => probe_second(data),
        };
        let (active_slot, active) = match (first, second) {
            (Ok(zero), Ok(one)) if one.txid > zero.txid => (1, one),
            (Ok(zero), _) => (0, zero),
            (Err(_), Ok(one)) => (1, one),
            (Err(zero), Err(one)) => return Err([zero, one]),
        };
        Ok(Self { slots: [first, second], active_slot, active })
    }
}

/// Meta 1 where a page has `page_size` bytes: it must state the same size.
fn read_second(data: &[u8], page_size: u32) -> Result<Meta, MetaError> {
    let offset = usize::try_from(page_size).map_err(|_| MetaError::Missing)?;
    let meta = Meta::read(data, offset)?;
    if meta.page_size == page_size {
        Ok(meta)
    } else {
        Err(MetaError::Misplaced { offset: u64::from(page_size), found: meta.page_size })
    }
}

/// Meta 1 at whichever page size it is found valid; the most telling error otherwise.
fn probe_second(data: &[u8]) -> Result<Meta, MetaError> {
    let sizes = MIN_PAGE_SIZE.trailing_zeros()..=MAX_PAGE_SIZE.trailing_zeros();
    let mut telling = MetaError::Missing;
    for found in sizes.map(|shift| read_second(data, 1 << shift)) {
        match found {
            Ok(meta) => return Ok(meta),
            // "no magic" is what any other page says: anything else comes from a real meta that was damaged
            Err(error @ MetaError::Magic { .. }) if telling == MetaError::Missing => telling = error,
            Err(MetaError::Magic { .. } | MetaError::Missing) => {}
            Err(error) => telling = error,
        }
    }
    Err(telling)
}
