//! The stored freelist, where a file has one. It is reported on, and never trusted.

#![deny(clippy::arithmetic_side_effects)]

use super::claims::Claims;
use super::db::Db;
use super::fault::{Fault, FaultKind};
use super::format::PageId;
use super::page::Page;
use super::walk::Findings;

/// The pages that a stored freelist names.
#[derive(Debug)]
pub struct FreedPages {
    /// The pages that the freelist itself takes: the first, and how many.
    pub own_pages: Option<(PageId, u64)>,
    freed: Claims,
    /// Number of ids that it holds, doubles and strays included.
    pub num_ids: u64,
    /// Bytes of its pages that hold neither header nor ids.
    pub slack: u64,
}

impl FreedPages {
    /// Reads the freelist that the active meta names: `None` where it names none, as etcd's files do. What is wrong
    /// with it goes to `findings`; the ids that make sense are kept.
    pub fn read(db: &Db, findings: &mut Findings, max_faults: usize) -> Option<Self> {
        let id = db.meta().freelist?;
        let mut freed = Self { own_pages: None, freed: Claims::new(db.num_pages()), num_ids: 0, slack: 0 };
        let mut fault = |kind, page, offset| {
            let fault = Fault { kind, page: Some(page), offset: Some(offset), bucket: None };
            findings.push(fault, max_faults);
        };
        let page = match db.page(id) {
            Ok(page) => page,
            Err(error) => {
                fault(FaultKind::Freelist { error: error.kind }, id, error.offset);
                return Some(freed);
            }
        };
        freed.own_pages = Some((id, u64::from(page.header().overflow.get()).saturating_add(1)));
        let ids = page.freelist().unwrap_or_else(|error| {
            fault(FaultKind::Freelist { error: error.kind }, id, error.offset);
            &[]
        });
        freed.num_ids = ids.len() as u64;
        freed.slack = slack(&page, ids.len());
        let high_water_mark = db.high_water_mark();
        for (slot, id) in ids.iter().enumerate() {
            let offset = slot_offset(&page, slot, ids.len());
            let id = PageId(id.get());
            if !(2..high_water_mark).contains(&id.0) {
                fault(FaultKind::FreelistOutOfBounds { high_water_mark }, id, offset);
            } else if !freed.freed.insert(id) && id.0 < freed.freed.num_pages() {
                fault(FaultKind::FreelistDuplicate, id, offset);
            }
        }
        Some(freed)
    }

    /// Whether the freelist has this page.
    #[must_use]
    pub fn contains(&self, page: PageId) -> bool {
        self.freed.contains(page)
    }

    /// Whether the freelist has one of the `len` pages from `first` on.
    #[must_use]
    pub fn contains_any(&self, first: PageId, len: u64) -> bool {
        (first.0..first.0.saturating_add(len)).any(|id| self.freed.contains(PageId(id)))
    }
}

fn slack(page: &Page<'_>, num_ids: usize) -> u64 {
    let ids = (num_ids as u64).saturating_mul(8);
    (page.bytes().len() as u64).saturating_sub(ids).saturating_sub(super::format::PAGE_HEADER_SIZE as u64)
}

/// Where an id stands in the file. A count of 0xFFFF and above takes the first slot for itself.
fn slot_offset(page: &Page<'_>, slot: usize, num_ids: usize) -> u64 {
    let counted_in_slot = usize::from(num_ids >= 0xFFFF);
    let slots = (slot.saturating_add(counted_in_slot) as u64).saturating_mul(8);
    page.offset().saturating_add(super::format::PAGE_HEADER_SIZE as u64).saturating_add(slots)
}
