//! What shows that a lease still existed, or was gone.
//!
//! etcd names leases by a counter that only rises: of an id, the two highest bytes are the member's that granted it, the others
//! begin with the time of that member's start and count up (`pkg/idutil/id.go`; `v3_server.go`, `LeaseGrant`). And a lease that is
//! revoked or expires takes its keys with it (`lessor.go`, `Revoke`). So a lease that was found in a leaf that no root reaches
//!
//! 1. existed, if a key that exists is attached to it;
//! 2. was gone, if a whole leaf of any age has a lease before it and a later one of the same member after it, but not the lease
//!    itself;
//! 3. was gone, if all keys that were last attached to it are deleted, as records of the state show;
//! 4. is not taken if its leaf has another lease that was gone, by 2 or 3, or because the tree covers its id and does not have it:
//!    that leaf is old, and leases that were not removed since are in a later leaf, too.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use crate::bolt::orphan::OrphanLeaf;
use crate::etcd::KeyValue;

use super::found::Found;
use super::kinds::lease_id;
use crate::ranges::Ranges;

/// Bits of an id below the member's.
const COUNTER_BITS: u32 = 48;

/// What is known of leases.
#[derive(Debug, Default)]
pub struct Leases {
    /// Leases of keys that exist.
    needed: HashSet<u64>,
    /// Leases that had keys, all of which are deleted.
    ended: HashSet<u64>,
    /// Ranges of ids, first and last, in which some leaf had none.
    empty: Ranges<u64>,
}

impl Leases {
    /// Gathers it from the records that were saved, those that were left out, and the leaves of leases.
    pub fn of<'l, 'a: 'l>(
        saved: &[Found<'a>],
        left_out: &[Found<'a>],
        leaves: impl Iterator<Item = &'l OrphanLeaf<'a>>,
    ) -> Self {
        let empty = leaves.filter(|leaf| leaf.whole).flat_map(empty_ranges).collect();
        let mut leases = Self { empty: Ranges::of(empty), ..Self::default() };
        leases.see_records(saved, left_out);
        leases
    }

    fn see_records(&mut self, saved: &[Found<'_>], left_out: &[Found<'_>]) {
        let mut newest: HashMap<&[u8], &Found<'_>, RandomState> = HashMap::default();
        for found in saved {
            newest.insert(KeyValue::leading_key(found.entry.value).unwrap_or_default(), found);
        }
        let lease_of = |found: &Found<'_>| {
            let kv = KeyValue::parse(found.entry.value).ok().filter(|_| !found.place.tombstone)?;
            Some(kv.lease.cast_unsigned()).filter(|&lease| lease != 0)
        };
        self.needed = newest.values().filter_map(|found| lease_of(found)).collect();
        // the last put of each key that is deleted now
        let mut last: HashMap<&[u8], &Found<'_>, RandomState> = HashMap::default();
        for found in left_out.iter().chain(saved).filter(|found| !found.place.tombstone) {
            let key = KeyValue::leading_key(found.entry.value).unwrap_or_default();
            if newest.get(key).is_some_and(|newest| newest.place.tombstone && found.order() < newest.order())
            {
                let put = last.entry(key).or_insert(found);
                if put.order() < found.order() {
                    *put = found;
                }
            }
        }
        let ended = last.values().filter_map(|found| lease_of(found));
        self.ended = ended.filter(|lease| !self.needed.contains(lease)).collect();
    }

    /// Whether a key that exists is attached to it: 1.
    pub fn is_needed(&self, id: u64) -> bool {
        self.needed.contains(&id)
    }

    /// Whether it was gone for sure: 2 and 3.
    pub fn is_gone(&self, id: u64) -> bool {
        !self.is_needed(id) && (self.ended.contains(&id) || self.empty.cover(id, id))
    }

    /// Whether a leaf was written before some of its leases were gone: 4.
    pub fn is_old(&self, leaf: &OrphanLeaf<'_>) -> bool {
        leaf.entries.iter().filter_map(lease_id).any(|id| self.is_gone(id))
    }
}

/// Ranges of ids, first and last, that a leaf does not have between two that it has.
fn empty_ranges(leaf: &OrphanLeaf<'_>) -> Vec<(u64, u64)> {
    let ids: Vec<u64> = leaf.entries.iter().filter_map(lease_id).collect();
    let range = |pair: &[u64]| {
        let [before, after] = *pair else { return None };
        // only ids of the later one's member: the counter of another member says nothing about them
        let first_of_member = after & (u64::MAX << COUNTER_BITS);
        let range = (before.saturating_add(1).max(first_of_member), after.saturating_sub(1));
        (range.0 <= range.1).then_some(range)
    };
    ids.windows(2).filter_map(range).collect()
}

/// The last lease of each member, so that later ones are known.
#[derive(Debug, Default)]
pub struct Newest(HashMap<u64, u64>);

impl Newest {
    pub fn of(ids: impl Iterator<Item = u64>) -> Self {
        let mut newest: HashMap<u64, u64> = HashMap::new();
        for id in ids {
            let last = newest.entry(id >> COUNTER_BITS).or_insert(id);
            *last = id.max(*last);
        }
        Self(newest)
    }

    /// Whether a lease was granted later than all of these.
    pub fn is_before(&self, id: u64) -> bool {
        self.0.get(&(id >> COUNTER_BITS)).is_none_or(|&last| last < id)
    }
}
