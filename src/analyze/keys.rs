//! The keys, summed up: by state, resource, tenant, namespace and lease.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::etcd::RevisionGaps;
use crate::filter::Filter;
use crate::k8s::GroupResource;
use crate::scan::Scan;
use crate::scan::key_state::{KeyState, NONE};
use crate::scan::key_sum::KeySum;
use crate::scan::record::RecordSum;
use crate::scan::shard::Shard;
use crate::scan::tenants::Tenants;

use super::homes::{Homes, NamespaceUse, TenantUse};
use super::leases::AttachedKeys;
use super::mvcc::StateSums;
use super::resources::{self, ResourceSum, ResourceUse};
use super::retention::Witnesses;
use super::share::DiskBytes;
use super::timeline::Timelines;
use super::top::{Top, TopObject, Whole};

/// All that the keys add up to.
#[derive(Debug)]
pub struct KeySums<'a> {
    pub states: StateSums,
    /// Resources that the filter lets through, the largest on disk first.
    pub resources: Vec<ResourceUse>,
    /// Tenants of the keys that the filter lets through, the largest on disk first; none where the file has only one.
    pub tenants: Vec<TenantUse>,
    /// Namespaces of the keys that the filter lets through, the largest on disk first.
    pub namespaces: Vec<NamespaceUse>,
    /// The largest objects that the filter lets through, by any metric.
    pub top_objects: Vec<TopObject>,
    /// Keys attached to each lease, by its id.
    pub leases: BTreeMap<i64, AttachedKeys>,
    /// The timeline of all records, and of each resource.
    pub timelines: Timelines,
    /// Objects that say when they were created.
    pub witnesses: Witnesses<'a>,
}

/// Sums up the keys. `disk_bytes` is what the whole bucket takes of the file; it is shared out to the byte.
pub fn sum_up<'a>(scan: &Scan<'a>, filter: &Filter, top: usize, disk_bytes: u64) -> KeySums<'a> {
    let keyspace = &scan.keyspace;
    let (revision, gaps) = (keyspace.max_revision, &scan.gaps);
    let sums: Vec<ShardSums<'_, '_>> =
        keyspace.shards().par_iter().map(|shard| ShardSums::of(shard, filter, top, revision, gaps)).collect();
    let mut merged = Merged::new(revision, top, gaps);
    for (sum, shard) in sums.into_iter().zip(keyspace.shards()) {
        merged.add(sum, shard);
    }
    merged.finish(scan, filter, disk_bytes)
}

/// What one shard's keys add up to.
struct ShardSums<'s, 'a> {
    resources: Vec<ResourceSum>,
    /// One for each home of the shard, and one after them for what has none.
    homes: Vec<KeySum>,
    rest: KeySum,
    top: Top<'s, 'a>,
    leases: Vec<AttachedKeys>,
    live: RecordSum,
    witnesses: Witnesses<'a>,
}

impl<'s, 'a> ShardSums<'s, 'a> {
    fn of(shard: &'s Shard<'a>, filter: &Filter, top: usize, revision: i64, gaps: &RevisionGaps) -> Self {
        let mut sums = Self {
            resources: shard.rows().iter().map(ResourceSum::of).collect(),
            homes: vec![KeySum::default(); shard.homes().len() + 1],
            rest: KeySum::default(),
            top: Top::new(top),
            leases: vec![AttachedKeys::default(); shard.leases().len()],
            live: RecordSum::default(),
            witnesses: Witnesses::before(revision, gaps),
        };
        let admitted: Vec<bool> =
            shard.resources().iter().map(|resource| filter.admits_resource(resource)).collect();
        for key in shard.keys() {
            sums.add(key);
            sums.witnesses.see(key);
            let admitted = admitted.get(usize::from(key.resource)).is_some_and(|&admitted| admitted);
            let admitted = admitted && filter.admits_namespace(shard.namespace(key));
            sums.add_to_home(key, admitted);
            if admitted {
                sums.top.rank(shard, key);
            }
        }
        sums
    }

    fn add(&mut self, key: &KeyState<'a>) {
        if let Some(sum) = self.resources.get_mut(usize::from(key.resource)) {
            sum.add(key);
        }
        if key.is_live() {
            let (own_bytes, leaf_bytes) = (key.newest_own_bytes(), key.newest_leaf_bytes.into());
            self.live.add(&RecordSum { records: 1, own_bytes, leaf_bytes });
            if let Some(attached) = self.leases.get_mut(key.lease as usize) {
                attached.add(AttachedKeys { keys: 1, bytes: own_bytes });
            }
        }
    }

    fn add_to_home(&mut self, key: &KeyState<'a>, admitted: bool) {
        let place = if key.home == NONE { self.homes.len() - 1 } else { key.home as usize };
        match self.homes.get_mut(place).filter(|_| admitted) {
            Some(sum) => sum.add(key),
            None => self.rest.add(key),
        }
    }
}

struct Merged<'s, 'a> {
    resources: BTreeMap<GroupResource<'a>, ResourceSum>,
    homes: Homes<'a>,
    top: Top<'s, 'a>,
    leases: BTreeMap<i64, AttachedKeys>,
    live: RecordSum,
    tombstones: RecordSum,
    witnesses: Witnesses<'a>,
}

impl<'s, 'a> Merged<'s, 'a> {
    fn new(revision: i64, top: usize, gaps: &RevisionGaps) -> Self {
        Self {
            resources: BTreeMap::new(),
            homes: Homes::default(),
            top: Top::new(top),
            leases: BTreeMap::new(),
            live: RecordSum::default(),
            tombstones: RecordSum::default(),
            witnesses: Witnesses::before(revision, gaps),
        }
    }

    fn add(&mut self, sums: ShardSums<'s, 'a>, shard: &Shard<'a>) {
        for (&resource, sum) in shard.resources().iter().zip(sums.resources) {
            self.resources.entry(resource).or_default().append(sum);
        }
        let homes = shard.homes().iter().copied().map(Some).chain([None]);
        for (home, sum) in homes.zip(&sums.homes) {
            let tenant = home.and_then(|home| shard.tenants().get(home.tenant as usize).copied());
            self.homes.add(tenant, home.and_then(|home| home.namespace), sum);
        }
        self.homes.add_rest(&sums.rest);
        self.top.append(sums.top);
        for (&lease, attached) in shard.leases().iter().zip(sums.leases) {
            self.leases.entry(lease).or_default().add(attached);
        }
        self.live.add(&sums.live);
        self.tombstones.add(&shard.tombstones);
        self.witnesses.append(&sums.witnesses);
    }

    fn finish(self, scan: &Scan<'a>, filter: &Filter, disk_bytes: u64) -> KeySums<'a> {
        let unreadable = scan.keyspace.unreadable;
        let mut all = RecordSum::default();
        for &ResourceSum { records, own_bytes, leaf_bytes, .. } in self.resources.values() {
            all.add(&RecordSum { records, own_bytes, leaf_bytes });
        }
        let mut superseded = all;
        superseded.subtract(&self.live);
        superseded.subtract(&self.tombstones);
        let tenants = Tenants::of(&scan.keyspace);
        let disk = DiskBytes { bytes: disk_bytes, leaf_bytes: all.leaf_bytes + unreadable.leaf_bytes };
        let whole = Whole { layout: &scan.layout, tenants, disk };
        let (tenants, namespaces) = self.homes.finish(tenants, unreadable.leaf_bytes, disk_bytes);
        KeySums {
            states: StateSums::of([self.live, superseded, self.tombstones, unreadable], disk_bytes),
            resources: resources::rows(self.resources, filter, unreadable.leaf_bytes, disk_bytes),
            tenants,
            namespaces,
            top_objects: self.top.finish(whole),
            leases: self.leases.into_iter().filter(|(_, attached)| attached.keys > 0).collect(),
            timelines: Timelines::of(&scan.keyspace),
            witnesses: self.witnesses,
        }
    }
}
