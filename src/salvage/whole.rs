//! Whether all that the file held is in the copy.

#![deny(clippy::arithmetic_side_effects)]

use crate::bolt::Db;
use crate::scan::root::RootFault;
use crate::scan::structure::Structure;

use super::find::{Finds, RootSource};
use super::lost::Lost;
use super::open::Wreck;
use super::records::{Found, Tier};

/// Whether the active root led to all that it should.
pub(super) fn is_sound(finds: &Finds<'_>) -> bool {
    finds.root.from == RootSource::ActiveMeta
        && finds.buckets.iter().all(|bucket| bucket.first_gaps.is_empty())
}

/// Whether something was found that only a newer state may have, whose meta is lost.
fn has_newer(finds: &Finds<'_>) -> bool {
    let last = finds.records.last().map(Found::order);
    let is_newer = |left: &Found<'_>| Some(left.order()) > last;
    let of_others = || finds.unreached.entries > 0 && !finds.is_etcd;
    finds.newer_may_be_lost && (of_others() || finds.left.iter().any(is_newer))
}

/// Whether the active root alone led to all that the file held, and what else was found agrees with it.
pub(super) fn is_whole(wreck: &Wreck, finds: &Finds<'_>, lost: &[Lost]) -> bool {
    lost.is_empty()
        && finds.readable
        && wreck.unreadable.is_empty()
        && !has_newer(finds)
        && !finds.auth_disabled
        && finds.malformed == 0
        && finds.restored_flags == 0
        && finds.conflicts.is_empty()
        && is_sound(finds)
        && finds.records.iter().all(|found| found.tier != Tier::Free)
        && finds.buckets.iter().all(|bucket| bucket.from_orphans == 0)
}

/// Whether other commands would read all of it, too: where a reference is wrong, or a number, what it should have led to may be what
/// was found, or may not.
pub(super) fn is_readable(wreck: &Wreck) -> bool {
    let Ok(db) = Db::new(wreck.db.data().clone()) else { return false };
    let structure = Structure::of(&db);
    structure.findings.of_trees == 0 && RootFault::find(&db, &structure).is_none()
}
