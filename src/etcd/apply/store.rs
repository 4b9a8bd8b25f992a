//! Keys and leases, and what requests make of them.

use std::collections::BTreeMap;

use super::super::request::{KeyRange, Op, Put, Range, Txn};
use super::super::revision::{RecordKey, Revision};
use super::live::{KeyPut, LiveKey, LiveKeys};
use super::refused::Refused;
use super::rules::Rules;
use super::txn::Chosen;

/// The longest time that a lease can be granted for, in seconds (`server/lease/lessor.go`, `MaxLeaseTTL`).
const MAX_LEASE_TTL: i64 = 9_000_000_000;
/// The shortest, at etcd's usual election timeout of a second: a member's own setting (`server/etcdserver/server.go`, `minTTL`).
const USUAL_MIN_LEASE_TTL: i64 = 2;

/// Keys and leases.
#[derive(Clone, Debug)]
pub struct Store<'a> {
    pub keys: LiveKeys<'a>,
    pub revision: i64,
    /// -1 for never.
    pub compact_revision: i64,
    pub leases: BTreeMap<i64, LeaseTime>,
    /// The shortest time that a lease is granted for, in seconds.
    pub min_lease_ttl: i64,
    /// Whether every lease is taken to exist: where it is not known which did.
    pub assumes_leases: bool,
}

/// How long a lease lasts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeaseTime {
    /// Seconds.
    pub ttl: i64,
    /// What was left of it at a checkpoint that was kept, in seconds; 0 for none.
    pub remaining: i64,
}

/// A change of one key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change<'a> {
    pub revision: Revision,
    pub key: &'a [u8],
    /// `None` for a deletion.
    pub put: Option<NewValue<'a>>,
}

impl Change<'_> {
    /// Where it is in the bucket `key`.
    pub fn place(&self) -> RecordKey {
        RecordKey { revision: self.revision, tombstone: self.put.is_none() }
    }
}

/// What a put made of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewValue<'a> {
    pub create_revision: i64,
    pub version: i64,
    pub lease: i64,
    pub value: &'a [u8],
}

/// A change, and what the key was before it; `None` where it did not exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Written<'a> {
    pub change: Change<'a>,
    pub before: Option<LiveKey<'a>>,
}

/// Where changes go.
pub type Sink<'s, 'a> = &'s mut dyn FnMut(Written<'a>);

/// A transaction that was carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TxnDone {
    pub(super) changes: u64,
    /// Whether the member that was asked for it refused it.
    pub(super) diverges: bool,
}

impl Default for Store<'_> {
    /// A new etcd's.
    fn default() -> Self {
        Self {
            keys: LiveKeys::default(),
            revision: 1,
            compact_revision: -1,
            leases: BTreeMap::new(),
            min_lease_ttl: USUAL_MIN_LEASE_TTL,
            assumes_leases: false,
        }
    }
}

impl<'a> Store<'a> {
    pub(super) fn put(&mut self, put: &Put<'a>, sink: Sink<'_, 'a>) -> Result<u64, Refused> {
        self.check_put(put)?;
        let mut write = Write::new(self, sink);
        write.put(put);
        Ok(write.finish())
    }

    pub(super) fn delete(&mut self, keys: KeyRange<'a>, sink: Sink<'_, 'a>) -> u64 {
        let mut write = Write::new(self, sink);
        write.delete(keys);
        write.finish()
    }

    pub(super) fn txn(
        &mut self,
        txn: &Txn<'a>,
        rules: Rules,
        sink: Sink<'_, 'a>,
    ) -> Result<TxnDone, Refused> {
        let chosen = Chosen::of(txn, &self.keys);
        let mut diverges = false;
        for (op, is_outer) in &chosen.ops {
            match op {
                Op::Put(put) => self.check_put(put)?,
                Op::Range(range) => match self.check_range(range) {
                    Err(_) if *is_outer && !rules.outer_ranges_checked => diverges = true,
                    checked => checked?,
                },
                Op::Nothing | Op::Delete(_) | Op::Txn(_) => {}
            }
        }
        let mut write = Write::new(self, sink);
        for (op, _) in chosen.ops {
            match op {
                Op::Put(put) => write.put(put),
                Op::Delete(keys) => write.delete(*keys),
                Op::Nothing | Op::Range(_) | Op::Txn(_) => {}
            }
        }
        Ok(TxnDone { changes: write.finish(), diverges })
    }

    pub(super) fn compact(&mut self, revision: i64) -> Result<u64, Refused> {
        if revision <= self.compact_revision {
            return Err(Refused::Compacted);
        }
        if revision > self.revision {
            return Err(Refused::FutureRevision);
        }
        self.compact_revision = revision;
        Ok(0)
    }

    pub(super) fn grant(&mut self, id: i64, ttl: i64) -> Result<u64, Refused> {
        if id == 0 {
            return Err(Refused::LeaseNotFound);
        }
        if ttl > MAX_LEASE_TTL {
            return Err(Refused::LeaseTtl);
        }
        if self.leases.contains_key(&id) {
            return Err(Refused::LeaseExists);
        }
        self.leases.insert(id, LeaseTime { ttl: ttl.max(self.min_lease_ttl), remaining: 0 });
        Ok(0)
    }

    pub(super) fn revoke(&mut self, id: i64, sink: Sink<'_, 'a>) -> Result<u64, Refused> {
        if self.leases.remove(&id).is_none() && !self.assumes_leases {
            return Err(Refused::LeaseNotFound);
        }
        let keys = self.keys.of_lease(id);
        let mut write = Write::new(self, sink);
        keys.into_iter().for_each(|key| write.delete(KeyRange { key, range_end: &[] }));
        Ok(write.finish())
    }

    /// Takes note of what is left of leases' time; etcd ends at the first that does not exist.
    pub(super) fn checkpoint(&mut self, checkpoints: &[(i64, i64)], keeps: bool) {
        for (id, remaining) in checkpoints {
            let Some(lease) = self.leases.get_mut(id) else { return };
            if keeps {
                lease.remaining = *remaining;
            }
        }
    }

    /// Takes the changes of a revision back, the last of all first.
    pub fn undo(&mut self, changes: &[Written<'a>]) {
        for Written { change, before } in changes.iter().rev() {
            match before {
                Some(before) => self.keys.put(change.key, *before),
                None => {
                    self.keys.remove(change.key);
                }
            }
        }
        self.revision = self.revision.saturating_sub(i64::from(!changes.is_empty()));
    }

    fn check_put(&self, put: &Put<'_>) -> Result<(), Refused> {
        if put.lease != 0 && !self.assumes_leases && !self.leases.contains_key(&put.lease) {
            return Err(Refused::LeaseNotFound);
        }
        if (put.ignore_value || put.ignore_lease) && self.keys.get(put.key).is_none() {
            return Err(Refused::KeyNotFound);
        }
        Ok(())
    }

    fn check_range(&self, range: &Range<'_>) -> Result<(), Refused> {
        match range.revision {
            0 => Ok(()),
            revision if revision > self.revision => Err(Refused::FutureRevision),
            revision if revision < self.compact_revision => Err(Refused::Compacted),
            _ => Ok(()),
        }
    }
}

/// The changes of one request, which all have one revision.
struct Write<'s, 'a> {
    store: &'s mut Store<'a>,
    sink: Sink<'s, 'a>,
    next: Revision,
}

impl<'s, 'a> Write<'s, 'a> {
    fn new(store: &'s mut Store<'a>, sink: Sink<'s, 'a>) -> Self {
        let next = Revision { main: store.revision.saturating_add(1), sub: 0 };
        Self { store, sink, next }
    }

    fn put(&mut self, put: &Put<'a>) {
        let revision = self.next.main;
        let KeyPut { before, live } = self.store.keys.put_with(put.key, |before| {
            let (value, lease) = (before.map(|key| key.value), before.map(|key| key.lease));
            LiveKey {
                create_revision: before.map_or(revision, |key| key.create_revision),
                mod_revision: revision,
                version: before.map_or(0, |key| key.version).saturating_add(1),
                lease: lease.filter(|_| put.ignore_lease).unwrap_or(put.lease),
                value: value.filter(|_| put.ignore_value).unwrap_or(put.value),
            }
        });
        let LiveKey { create_revision, version, lease, value, .. } = live;
        self.change(put.key, Some(NewValue { create_revision, version, lease, value }), before);
    }

    fn delete(&mut self, range: KeyRange<'_>) {
        let keys: Vec<&'a [u8]> = self.store.keys.range(range).map(|(key, _)| key).collect();
        for key in keys {
            let before = self.store.keys.remove(key);
            self.change(key, None, before);
        }
    }

    fn change(&mut self, key: &'a [u8], put: Option<NewValue<'a>>, before: Option<LiveKey<'a>>) {
        (self.sink)(Written { change: Change { revision: self.next, key, put }, before });
        self.next.sub = self.next.sub.saturating_add(1);
    }

    fn finish(self) -> u64 {
        if self.next.sub > 0 {
            self.store.revision = self.next.main;
        }
        self.next.sub.cast_unsigned()
    }
}
