//! Leases, and the keys that are attached to them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::etcd::HexId;
use crate::etcd::schema::State;
use crate::top_n::largest;

/// Leases.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LeasesUse {
    /// Leases in the `lease` bucket.
    pub count: u64,
    /// Keys that exist, and whose newest record names a lease that exists.
    pub attached_keys: u64,
    /// Bytes of these keys' newest records.
    pub attached_bytes: u64,
    /// Leases that no key is attached to.
    pub without_keys: u64,
    /// Keys that exist, and whose newest record names a lease that does not: they never expire.
    pub orphaned_keys: u64,
    /// Bytes of these keys' newest records.
    pub orphaned_bytes: u64,
    /// At most `--top` leases: most keys first, then by id.
    pub top: Vec<LeaseInfo>,
}

/// One lease.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LeaseInfo {
    /// Its id, in hexadecimal digits.
    pub id: HexId,
    /// The time to live that was granted, in seconds; `null` where the lease does not exist.
    pub ttl_seconds: Option<i64>,
    /// Keys attached to it.
    pub keys: u64,
    /// Bytes of their newest records.
    pub bytes: u64,
}

/// Keys attached to a lease.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttachedKeys {
    pub keys: u64,
    /// Bytes of their newest records.
    pub bytes: u64,
}

impl AttachedKeys {
    pub(super) fn add(&mut self, more: Self) {
        self.keys += more.keys;
        self.bytes += more.bytes;
    }
}

impl LeasesUse {
    /// Of the leases that exist and those that keys are attached to, by their ids; `top` of them are named.
    pub fn of(state: &State<'_>, attached: &BTreeMap<i64, AttachedKeys>, top: usize) -> Self {
        let ttls: BTreeMap<i64, i64> = state.leases.iter().map(|lease| (lease.id, lease.ttl)).collect();
        let (mut existing, mut orphaned) = (AttachedKeys::default(), AttachedKeys::default());
        for (lease, &keys) in attached {
            if ttls.contains_key(lease) { existing.add(keys) } else { orphaned.add(keys) }
        }
        let rows = attached.iter().map(|(&id, &AttachedKeys { keys, bytes })| LeaseInfo {
            id: id.into(),
            ttl_seconds: ttls.get(&id).copied(),
            keys,
            bytes,
        });
        Self {
            count: ttls.len() as u64,
            attached_keys: existing.keys,
            attached_bytes: existing.bytes,
            without_keys: ttls.keys().filter(|lease| !attached.contains_key(lease)).count() as u64,
            orphaned_keys: orphaned.keys,
            orphaned_bytes: orphaned.bytes,
            top: largest(top, rows, |lease| lease.keys),
        }
    }
}
