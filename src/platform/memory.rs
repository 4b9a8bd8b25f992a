//! Hints about mapped pages (Linux, madvise(2)).

use memmap2::{Advice, Mmap, UncheckedAdvice};
use rayon::prelude::*;

/// Bytes that a thread gives back at once when a mapping ends.
const RELEASED_AT_ONCE: usize = 32 << 20;

/// Brings a range of bytes into memory at once, rather than page by page as each is touched: half the cost, and one long read
/// instead of many short ones where the file is not in the page cache.
pub fn populate(map: &Mmap, offset: u64, len: u64) {
    if let (Ok(offset), Ok(len)) = (usize::try_from(offset), usize::try_from(len)) {
        // only a hint: an older kernel refuses it, and the pages come when they are touched
        let _ = map.advise_range(Advice::PopulateRead, offset, len.min(map.len().saturating_sub(offset)));
    }
}

/// Gives the pages of a mapping that ends back on all threads: the system takes a sixth of a whole scan's time to do it on one.
pub fn release(map: &mut Mmap) {
    if map.len() <= RELEASED_AT_ONCE {
        return;
    }
    let map = &*map;
    let parts = (0..map.len()).into_par_iter().step_by(RELEASED_AT_ONCE);
    parts.for_each(|start| release_part(map, start, RELEASED_AT_ONCE.min(map.len().saturating_sub(start))));
}

#[expect(unsafe_code, reason = "the mapping's own pages")]
fn release_part(map: &Mmap, start: usize, len: usize) {
    // SAFETY: nobody has a view of the mapping any more, as `release` had it alone; and a page of a file that is mapped shared
    // and read-only would come back from the file, with the same bytes.
    let _ = unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, start, len) };
}
