//! The stored freelist, where a file has one. It is reported on, and never trusted.

#![deny(clippy::arithmetic_side_effects)]

use std::sync::Arc;

use super::claims::Claims;
use super::db::Db;
use super::fault::{Fault, FaultKind, Findings};
use super::format::{FREELIST_COUNT_IN_FIRST_SLOT, PAGE_HEADER_SIZE, PageId};
use super::page::Page;

/// The pages that a stored freelist names.
#[derive(Clone, Debug)]
pub struct FreedPages {
    /// The freelist's own first page.
    pub page: PageId,
    /// How many pages it takes, by its header.
    pub span: u64,
    /// How many of them no node of the tree claims, once the tree was walked.
    pub own_pages: u64,
    freed: Arc<Claims>,
    /// Number of ids that it holds, doubles and strays included.
    pub num_ids: u64,
}

impl FreedPages {
    /// Reads the freelist that the active meta names: `None` where it names none, as etcd's files do, or where it
    /// can't be read. What is wrong with it goes to `findings`; the ids that make sense are kept.
    pub fn read(db: &Db, findings: &mut Findings, max_faults: usize) -> Option<Self> {
        let id = db.meta().freelist?;
        let mut fault = |kind, page, offset| {
            let fault = Fault { kind, page: Some(page), offset: Some(offset), bucket: None, lost: None };
            findings.push(fault, max_faults);
        };
        let found = db.page(id).and_then(|page| Ok((page, page.freelist()?)));
        let (page, ids) = found
            .inspect_err(|error| fault(FaultKind::Freelist { error: error.kind }, id, error.offset))
            .ok()?;
        let freed = Claims::new(db.num_pages());
        let high_water_mark = db.high_water_mark();
        for (slot, id) in ids.iter().enumerate() {
            let offset = slot_offset(&page, slot);
            let id = PageId(id.get());
            if !(2..high_water_mark).contains(&id.0) {
                fault(FaultKind::FreelistOutOfBounds { high_water_mark }, id, offset);
            } else if !freed.insert(id) && id.0 < freed.num_pages() {
                fault(FaultKind::FreelistDuplicate, id, offset);
            }
        }
        let span = u64::from(page.header().overflow.get()).saturating_add(1);
        let freed = Arc::new(freed);
        Some(Self { page: id, span, own_pages: 0, freed, num_ids: ids.len() as u64 })
    }

    /// Whether the freelist has this page.
    pub fn contains(&self, page: PageId) -> bool {
        self.freed.contains(page)
    }

    /// Whether the freelist has one of the `len` pages from `first` on.
    pub fn contains_any(&self, first: PageId, len: u64) -> bool {
        (first.0..first.0.saturating_add(len)).any(|id| self.freed.contains(PageId(id)))
    }
}

/// Where an id is in the file. A count of 0xFFFF in the header leaves the first slot to the real count.
fn slot_offset(page: &Page<'_>, slot: usize) -> u64 {
    let counted_in_slot = usize::from(page.header().count.get() == FREELIST_COUNT_IN_FIRST_SLOT);
    let slots = (slot.saturating_add(counted_in_slot) as u64).saturating_mul(8);
    page.offset().saturating_add(PAGE_HEADER_SIZE as u64).saturating_add(slots)
}
