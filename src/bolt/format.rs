//! The bytes of bbolt's file, as they lie on disk.
//!
//! Every struct here is bytes with names: alignment 1, little-endian, readable at any offset without a copy. bbolt
//! writes its Go structs as they lie in memory, so the format is the writer's own byte order; etcd supports
//! little-endian machines only. Sources: `internal/common/{page,meta,bucket,types}.go` of go.etcd.io/bbolt.

use std::fmt;

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Marks a bbolt meta page (`types.go`, `Magic`).
pub const MAGIC: u32 = 0xED0C_DAED;
/// The only version of the file format there is (`types.go`, `Version`).
pub const VERSION: u32 = 2;
/// Stands in the meta in place of a freelist's page when none is stored (`types.go`, `PgidNoFreelist`).
pub const NO_FREELIST: u64 = u64::MAX;
/// The smallest page size that is read and written. bbolt makes such files by its option `PageSize`, and reads them by what meta 0 says
/// (`db.go`, `Open`); without a valid meta 0, it looks for meta 1 from 1 KiB on (`getPageSizeFromSecondMeta`).
pub const MIN_PAGE_SIZE: u32 = 1 << 9;
/// The largest page size that bbolt looks for meta 1 at (`db.go`, `getPageSizeFromSecondMeta`).
pub const MAX_PAGE_SIZE: u32 = 1 << 24;
/// The longest key that bbolt accepts, in bytes (`bucket.go`, `MaxKeySize`).
pub const MAX_KEY_SIZE: usize = 32_768;
/// The longest value that bbolt accepts, in bytes (`bucket.go`, `MaxValueSize`).
pub const MAX_VALUE_SIZE: u64 = (1 << 31) - 2;
/// In a leaf element's flags: the value is a bucket (`page.go`, `BucketLeafFlag`).
pub const BUCKET_FLAG: u32 = 0x01;
/// In a freelist page's count: the real count is in the first slot (`page.go`, `FreelistPageCount`).
pub const FREELIST_COUNT_IN_FIRST_SLOT: u16 = 0xFFFF;

/// Bytes of [`PageHeader`].
pub const PAGE_HEADER_SIZE: usize = size_of::<PageHeader>();
/// Bytes of [`BranchElement`] and of [`LeafElement`] alike.
pub const ELEMENT_SIZE: usize = size_of::<LeafElement>();
/// Bytes of [`BucketHeader`].
pub const BUCKET_HEADER_SIZE: usize = size_of::<BucketHeader>();

/// The id of a page: it begins at this number times the page size.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct PageId(pub u64);

impl fmt::Display for PageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a page holds. bbolt compares the flags for equality: a page with two bits set is of no type.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum PageKind {
    /// Keys and the pages below them.
    Branch,
    /// Keys and their values.
    Leaf,
    /// One of the two pages that say where everything is.
    Meta,
    /// The ids of free pages.
    Freelist,
}

impl PageKind {
    /// The kind that these flags name, if they name one.
    pub fn from_flags(flags: u16) -> Option<Self> {
        match flags {
            0x01 => Some(Self::Branch),
            0x02 => Some(Self::Leaf),
            0x04 => Some(Self::Meta),
            0x10 => Some(Self::Freelist),
            _ => None,
        }
    }

    /// The flags that name this kind.
    pub fn flags(self) -> u16 {
        match self {
            Self::Branch => 0x01,
            Self::Leaf => 0x02,
            Self::Meta => 0x04,
            Self::Freelist => 0x10,
        }
    }

    /// The name that bbolt's tools print.
    pub fn name(self) -> &'static str {
        match self {
            Self::Branch => "branch",
            Self::Leaf => "leaf",
            Self::Meta => "meta",
            Self::Freelist => "freelist",
        }
    }
}

/// The first 16 bytes of every page.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct PageHeader {
    /// The page's own id, which should be where it lies.
    pub id: U64,
    /// What the page is; see [`PageKind::from_flags`].
    pub flags: U16,
    /// Number of elements that follow (of ids, in a freelist page).
    pub count: U16,
    /// Number of further pages that belong to this one.
    pub overflow: U32,
}

/// Where a bucket's tree begins, and its counter. Stands in the meta page for the root bucket, and first in the
/// value of a bucket's entry for every other.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct BucketHeader {
    /// Page id of the bucket's root; 0 where the bucket's only page lies after this header, inline.
    pub root: U64,
    /// The bucket's counter, for its application's use.
    pub sequence: U64,
}

/// A meta page's content, after its page header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct MetaBytes {
    /// [`MAGIC`].
    pub magic: U32,
    /// [`VERSION`].
    pub version: U32,
    /// Bytes of a page.
    pub page_size: U32,
    pub flags: U32,
    /// The root bucket, whose entries are the top-level buckets.
    pub root: BucketHeader,
    /// Page id of the freelist, or [`NO_FREELIST`].
    pub freelist: U64,
    /// High water mark: one above the highest page ever allocated.
    pub high_water_mark: U64,
    /// The transaction that wrote this meta; the valid meta with the higher one is active.
    pub txid: U64,
    /// FNV-1a-64 of the bytes before it.
    pub checksum: U64,
}

/// One child in a branch page.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct BranchElement {
    /// Where the key lies, counted from this element's first byte.
    pub pos: U32,
    /// Bytes of the key.
    pub key_size: U32,
    /// The child's page id.
    pub page: U64,
}

/// One entry in a leaf page. The value follows the key.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct LeafElement {
    /// 0, or [`BUCKET_FLAG`].
    pub flags: U32,
    /// Where the key lies, counted from this element's first byte.
    pub pos: U32,
    /// Bytes of the key.
    pub key_size: U32,
    /// Bytes of the value.
    pub value_size: U32,
}
