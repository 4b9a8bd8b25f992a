//! The structure of a file that is walked whole: what comes before the walk of its buckets, and what is known after it. Whoever
//! walks all of a file begins and ends here, so that all of them count the same faults.

use crate::bolt::bucket::Bucket;
use crate::bolt::fault::{Fault, FaultKind, Findings};
use crate::bolt::freelist::FreedPages;
use crate::bolt::walk::{self, Setup, Walked, Walker};
use crate::bolt::{Db, PageId};

/// What it came to.
#[derive(Debug)]
pub struct Structure<'a> {
    /// Every bucket, in the order found; the first is the root bucket.
    pub buckets: Vec<Bucket<'a>>,
    /// All that is wrong.
    pub findings: Findings,
    /// Runs of pages that nothing refers to, in ascending order.
    pub unreached: Vec<(PageId, u64)>,
    /// Pages of these that the stored freelist does not have; 0 where there is none.
    pub leaked_pages: u64,
    /// The stored freelist, where there is one.
    pub freelist: Option<FreedPages>,
}

/// Walks a file: `read` walks each of its buckets, and makes something of their nodes. Findings beyond this number are only counted.
pub fn walk<'a, T>(
    db: &'a Db,
    max_findings: usize,
    read: impl FnMut(&mut Walker<'a>) -> T,
) -> (T, Structure<'a>) {
    let mut findings = of_file(db);
    let freed = FreedPages::read(db, &mut findings, max_findings);
    let (made, walked) = walk::walk(db, Setup { freed, max_faults: max_findings }, read);
    let Walked { buckets, findings: of_walk, unreached, freed: freelist } = walked;
    findings.append(of_walk, max_findings);
    let mut leaked_pages = 0;
    for (first, pages) in freelist.iter().flat_map(|freelist| leaked_runs(&unreached, freelist)) {
        leaked_pages += pages;
        let (page, offset) = (Some(first), Some(db.offset_of(first)));
        let kind = FaultKind::UnreachableUnfreed { pages };
        findings.push(Fault { kind, page, offset, bucket: None, lost: None }, max_findings);
    }
    (made, Structure { buckets, findings, unreached, leaked_pages, freelist })
}

impl<'a> Structure<'a> {
    /// Of a file of which nothing but this is asked.
    pub fn of(db: &'a Db) -> Self {
        walk(db, 0, Walker::walk_all).1
    }

    /// Pages that nothing refers to, and that are not known to be free: of a file without a stored freelist, all of them.
    pub fn not_known_free(&self) -> u64 {
        match self.freelist {
            Some(_) => self.leaked_pages,
            None => self.unreached.iter().map(|&(_, pages)| pages).sum(),
        }
    }
}

/// Faults of the file as a whole: a damaged meta, a missing end.
fn of_file(db: &Db) -> Findings {
    let mut findings = Findings::default();
    for (slot, meta) in db.metas().slots.iter().enumerate() {
        if let &Err(error) = meta {
            let page = PageId(slot as u64);
            let (kind, offset) = (FaultKind::Meta { slot, error }, Some(db.offset_of(page)));
            findings.push(Fault { kind, page: Some(page), offset, bucket: None, lost: None }, usize::MAX);
        }
    }
    let claimed = db.high_water_mark().saturating_mul(db.page_size());
    let file_size = db.file_size();
    if claimed > file_size {
        let (kind, offset) = (FaultKind::FileCutShort { file_size, claimed }, Some(file_size));
        findings.push(Fault { kind, page: None, offset, bucket: None, lost: None }, usize::MAX);
    }
    findings
}

/// Runs of pages that are neither reached nor free by the stored freelist.
pub fn leaked_runs<'s>(
    unreached: &'s [(PageId, u64)],
    freelist: &'s FreedPages,
) -> impl Iterator<Item = (PageId, u64)> + 's {
    let pages = unreached.iter().flat_map(|&(first, pages)| (first.0..first.0 + pages).map(PageId));
    let mut leaked = pages.filter(|&page| !freelist.contains(page)).peekable();
    std::iter::from_fn(move || {
        let first = leaked.next()?;
        let mut pages = 1;
        while leaked.next_if_eq(&PageId(first.0 + pages)).is_some() {
            pages += 1;
        }
        Some((first, pages))
    })
}
