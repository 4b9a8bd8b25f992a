//! Pages of bbolt's in bytes whose metas say nothing.

#![deny(clippy::arithmetic_side_effects)]

use memchr::memmem;
use zerocopy::FromBytes;

use super::format::{MAGIC, MAX_PAGE_SIZE, MIN_PAGE_SIZE, PAGE_HEADER_SIZE, PageHeader, PageKind};
use super::meta::{Meta, MetaError};

/// The page size at which most pages say that they are where they are; `None` where none does. At another size, hardly any but the
/// first does.
pub fn page_size_of(data: &[u8]) -> Option<u32> {
    let sizes = (MIN_PAGE_SIZE.trailing_zeros()..=MAX_PAGE_SIZE.trailing_zeros()).map(|shift| 1u32 << shift);
    let found = sizes.map(|size| (size, pages_in_place(data, size)));
    let (size, found) = found.max_by_key(|&(_, found)| found)?;
    (found > 0).then_some(size)
}

/// The page size of a file that has pages of a size that is not supported: a meta with a good checksum states it, and it is not a lie,
/// as no supported size has more pages in their places.
pub fn unsupported_page_size(data: &[u8]) -> Option<u32> {
    let reach = MAX_PAGE_SIZE as usize;
    let start = data.get(..reach).unwrap_or(data);
    let stated = memmem::find_iter(start, &MAGIC.to_le_bytes()).find_map(|magic| {
        let page = magic.checked_sub(PAGE_HEADER_SIZE)?;
        match Meta::read(data, page) {
            // meta 0, or meta 1 one page after it
            Err(MetaError::PageSize { found }) if page == 0 || page == found as usize => Some(found),
            _ => None,
        }
    })?;
    let most = page_size_of(data).map_or(0, |size| pages_in_place(data, size));
    (pages_in_place(data, stated) >= most).then_some(stated)
}

/// How many branch and leaf pages of this size say that they are where they are.
pub fn pages_in_place(data: &[u8], page_size: u32) -> usize {
    let pages = data.chunks_exact(page_size.max(1) as usize).zip(0u64..).skip(2);
    pages.filter(|(page, id)| is_page(page, *id)).count()
}

fn is_page(page: &[u8], id: u64) -> bool {
    PageHeader::ref_from_prefix(page).is_ok_and(|(header, _)| {
        header.id.get() == id
            && matches!(PageKind::from_flags(header.flags.get()), Some(PageKind::Branch | PageKind::Leaf))
            && header.count.get() > 0
    })
}
