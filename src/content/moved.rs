//! A db whose bytes are no longer where they were: after something else, or with carriage returns in it.
//!
//! Both are proved rather than guessed: by a meta whose checksum is right, and by pages that are where they say once it is undone.

use memchr::memmem;
use zerocopy::FromBytes;

use crate::bolt::format::{MAGIC, MAX_PAGE_SIZE, PAGE_HEADER_SIZE, PageHeader};
use crate::bolt::meta::{Meta, Metas};
use crate::bolt::probe::pages_in_place;
use crate::etcd::trailer::trailer_size;

use super::FileContent;

/// Bytes of a file that are looked at for changed line ends: both metas, whatever the page size, and some pages.
const LOOKED_AT: usize = MAX_PAGE_SIZE as usize + (MAX_PAGE_SIZE as usize >> 4);

/// Bytes in which the first meta is, even if each of its bytes were a line feed.
const FIRST_META: usize = 256;

/// What is wrong with a db that has a valid meta where one belongs. Costs nothing where nothing is odd.
pub fn of_db(data: &[u8], metas: &Metas) -> Option<FileContent> {
    let size = data.len() as u64;
    let is_odd = !size.is_multiple_of(512) && trailer_size(size) == 0;
    let is_damaged = metas.slots.iter().any(Result::is_err);
    if !is_odd && !is_damaged && root_is_in_place(data, &metas.active) {
        return None;
    }
    if let Some(content) = line_ends(data) {
        return Some(content);
    }
    // the meta that was taken for the second is a first one, and the file begins with it
    let second_is_first = is_damaged && id_at(data, metas.active.page_size as usize) == Some(0);
    begins_at(data).filter(|_| second_is_first).map(FileContent::Begins)
}

fn root_is_in_place(data: &[u8], meta: &Meta) -> bool {
    let at = meta.root.0.checked_mul(u64::from(meta.page_size));
    at.and_then(|at| usize::try_from(at).ok()).and_then(|at| id_at(data, at)) == Some(meta.root.0)
}

fn id_at(data: &[u8], at: usize) -> Option<u64> {
    let (header, _) = PageHeader::ref_from_prefix(data.get(at..)?).ok()?;
    Some(header.id.get())
}

/// Where a bbolt file begins that does not begin at the first byte: by the first valid meta in it that says which of the two it is.
pub fn begins_at(data: &[u8]) -> Option<u64> {
    memmem::find_iter(data, &MAGIC.to_le_bytes()).find_map(|magic| {
        let page = magic.checked_sub(PAGE_HEADER_SIZE)?;
        let meta = Meta::read(data, page).ok()?;
        let id = id_at(data, page).filter(|id| *id < 2)?;
        let begin = (page as u64).checked_sub(id.checked_mul(u64::from(meta.page_size))?)?;
        (begin > 0).then_some(begin)
    })
}

/// Whether a db that begins further on has more of its pages in their places than this file has of its own, of this size: by chance, one
/// page or two of a db that was moved lie where they would belong.
pub fn has_more_pages(data: &[u8], page_size: u32) -> bool {
    let moved = begins_at(data).and_then(|at| data.get(usize::try_from(at).ok()?..));
    let its_size = |moved: &[u8]| Metas::read(moved).map(|metas| metas.active.page_size);
    moved.is_some_and(|moved| {
        its_size(moved).is_ok_and(|size| pages_in_place(moved, size) > pages_in_place(data, page_size))
    })
}

/// A db in which each line feed got a carriage return before it: it has both metas, and more of its pages lie where they belong, once
/// these are taken out again.
pub fn line_ends(data: &[u8]) -> Option<FileContent> {
    let part = data.get(..LOOKED_AT).unwrap_or(data);
    // most files are no such db: a copy of the first bytes is enough to see that
    Meta::read(&without_carriage_returns(data.get(..FIRST_META).unwrap_or(data))?, 0).ok()?;
    let undone = without_carriage_returns(part)?;
    if undone.len() == part.len() {
        return None;
    }
    let metas = Metas::read(&undone).ok().filter(|metas| metas.slots.iter().all(Result::is_ok))?;
    let page_size = metas.active.page_size;
    let before = pages_in_place(part, page_size);
    (pages_in_place(&undone, page_size) > before).then_some(FileContent::LineEnds)
}

fn without_carriage_returns(data: &[u8]) -> Option<Vec<u8>> {
    let mut undone = Vec::with_capacity(data.len());
    let mut rest = data;
    while let Some(at) = memmem::find(rest, b"\r\n") {
        let (before, from) = rest.split_at_checked(at)?;
        undone.extend_from_slice(before);
        rest = from.get(1..)?;
    }
    undone.extend_from_slice(rest);
    Some(undone)
}

/// The magic number and what is beside it, as it looks where each byte that is no UTF-8 was replaced by U+FFFD.
pub fn was_taken_for_text(data: &[u8]) -> bool {
    let start = data.get(..1024).unwrap_or(data);
    memmem::find(start, "\u{fffd}\u{fffd}\u{c}\u{fffd}\u{2}".as_bytes()).is_some()
}
