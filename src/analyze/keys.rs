//! The keys, summed up: by state and by resource.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::Serialize;

use crate::etcd::{Gap, Gaps};
use crate::filter::Filter;
use crate::k8s::{Encoding, GroupResource, ValueKind};
use crate::scan::Scan;
use crate::scan::key_state::{KeyState, NONE};
use crate::scan::keyspace::Keyspace;
use crate::scan::record::RecordSum;
use crate::scan::shard::Shard;
use crate::scan::tenants::Tenants;
use crate::scan::timeline::{Span, Timeline};
use crate::text::ByteText;

use super::histogram::Histogram;
use super::homes::{HomeSum, Homes, NamespaceUse, TenantUse};
use super::retention::Witnesses;
use super::share::apportion;
use super::top::{Top, TopObject, Whole};

/// How many records, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Records {
    /// How many.
    pub records: u64,
    /// Bytes of their elements, keys and values.
    pub bytes: u64,
    /// With their share of headers, slack and branch pages: what they take of the file.
    pub disk_bytes: u64,
}

/// The records of the `key` bucket by their state.
#[derive(Clone, Debug, Serialize)]
pub struct Mvcc {
    /// The current revision.
    pub revision: i64,
    /// Revisions up to this one are gone; -1 where the file was never compacted.
    pub compact_revision: i64,
    /// Runs of revisions that never existed, as a restore with `--bump-revision` leaves them; ascending.
    pub gaps: Vec<Gap>,
    /// The compaction that was finished last.
    pub finished_compact_revision: Option<i64>,
    /// The compaction that was begun last: above the finished one, it was cut short.
    pub scheduled_compact_revision: Option<i64>,
    /// Distinct keys, deleted ones included.
    pub distinct_keys: u64,
    /// The newest record of each key that exists.
    pub live: Records,
    /// Older records.
    pub superseded: Records,
    /// Records of deletions.
    pub tombstones: Records,
    /// Entries that are no records.
    pub unreadable: Records,
}

/// One resource.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ResourceUse {
    /// API group; empty for the core group, and for what isn't Kubernetes'.
    pub group: String,
    /// The resource; for what isn't Kubernetes', its leading path.
    pub resource: ByteText,
    /// Keys that exist.
    pub objects: u64,
    /// Records of these and of deleted keys.
    pub records: u64,
    /// Bytes (elements, keys, values) of the newest record of each key that exists.
    pub live_bytes: u64,
    /// Bytes of older records.
    pub history_bytes: u64,
    /// Number of tombstones.
    pub tombstones: u64,
    /// Bytes of tombstones.
    pub tombstone_bytes: u64,
    /// What all its records take of the file.
    pub disk_bytes: u64,
    /// Bytes of the keys that exist, as clients see them.
    pub key_bytes: u64,
    /// Bytes of their values.
    pub total_value_bytes: u64,
    /// How the values of keys that exist are encoded: name, and number of objects.
    pub encodings: BTreeMap<String, u64>,
    /// Records kept of each key that exists.
    pub revisions_per_object: Histogram,
    /// Bytes of the values of keys that exist.
    pub value_bytes: Histogram,
}

/// All that the keys add up to.
#[derive(Debug)]
pub struct KeySums<'a> {
    /// By state.
    pub live: Records,
    /// By state.
    pub superseded: Records,
    /// By state.
    pub tombstones: Records,
    /// By state.
    pub unreadable: Records,
    /// Resources that the filter lets through, the largest on disk first.
    pub resources: Vec<ResourceUse>,
    /// Tenants of the keys that the filter lets through, the largest on disk first; none where the file has only one.
    pub tenants: Vec<TenantUse>,
    /// Namespaces of the keys that the filter lets through, the largest on disk first.
    pub namespaces: Vec<NamespaceUse>,
    /// The largest objects that the filter lets through, by any metric.
    pub top_objects: Vec<TopObject>,
    /// Keys attached to each lease, by its id: number and bytes of the newest records.
    pub leases: BTreeMap<i64, (u64, u64)>,
    /// The timeline of all records, and of each resource.
    pub timelines: Timelines,
    /// Objects that say when they were created.
    pub witnesses: Witnesses<'a>,
}

/// The records over the revisions, and whose they are in the span with most bytes.
#[derive(Debug, Default)]
pub struct Timelines {
    /// All records.
    pub all: Timeline,
    /// The number of the span with most bytes, the earliest of several.
    pub peak: usize,
    /// The resource that has most bytes in that span, as (group, resource, its records and bytes).
    pub in_peak: Option<(String, ByteText, Span)>,
}

impl Timelines {
    fn of(keyspace: &Keyspace<'_>) -> Self {
        let mut all = Timeline::default();
        let rows = || keyspace.shards().iter().flat_map(|shard| shard.resources().iter().zip(shard.rows()));
        rows().for_each(|(_, row)| all.append(&row.timeline));
        let largest_last = all.spans().into_iter().enumerate().rev().max_by_key(|(_, span)| span.bytes);
        let peak = largest_last.map_or(0, |(number, _)| number);
        let mut in_peak: BTreeMap<GroupResource<'_>, Span> = BTreeMap::new();
        for (&resource, row) in rows() {
            if let Some(span) = row.timeline.spans().get(peak).filter(|span| span.records > 0) {
                in_peak.entry(resource).or_default().add(span);
            }
        }
        // the first of several
        let largest = in_peak.into_iter().rev().max_by_key(|(_, span)| span.bytes);
        let owned = |(GroupResource { group, resource }, span): (GroupResource<'_>, Span)| {
            (group.to_owned(), ByteText::from(resource), span)
        };
        Self { all, peak, in_peak: largest.map(owned) }
    }
}

/// Sums up the keys. `disk_bytes` is what the whole bucket takes of the file; it is shared out to the byte.
#[must_use]
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

/// What one resource's keys in one shard add up to.
#[derive(Clone, Debug, Default)]
struct ResourceSum {
    objects: u64,
    records: u64,
    own_bytes: u64,
    leaf_bytes: u64,
    live_bytes: u64,
    key_bytes: u64,
    tombstones: RecordSum,
    encodings: [u64; ValueKind::ALL.len()],
    providers: BTreeMap<String, u64>,
    revisions: Vec<u32>,
    values: Vec<u32>,
}

/// What one shard's keys add up to.
struct ShardSums<'s, 'a> {
    resources: Vec<ResourceSum>,
    /// One for each home of the shard, and one behind them for what has none.
    homes: Vec<HomeSum>,
    rest: HomeSum,
    top: Top<'s, 'a>,
    leases: Vec<(u64, u64)>,
    live: (u64, u64, u64),
    witnesses: Witnesses<'a>,
}

impl<'s, 'a> ShardSums<'s, 'a> {
    fn of(shard: &'s Shard<'a>, filter: &Filter, top: usize, revision: i64, gaps: &Gaps) -> Self {
        let mut sums = Self {
            resources: vec![ResourceSum::default(); shard.resources().len()],
            homes: vec![HomeSum::default(); shard.homes().len() + 1],
            rest: HomeSum::default(),
            top: Top::new(top),
            leases: vec![(0, 0); shard.leases().len()],
            live: (0, 0, 0),
            witnesses: Witnesses::before(revision, gaps),
        };
        for (sum, row) in sums.resources.iter_mut().zip(shard.rows()) {
            sum.tombstones = row.tombstones;
            sum.key_bytes = row.live_key_bytes;
        }
        let admitted: Vec<bool> =
            shard.resources().iter().map(|resource| filter.admits_resource(resource)).collect();
        for key in shard.keys() {
            sums.add_to_resource(key);
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

    fn add_to_resource(&mut self, key: &KeyState<'a>) {
        let Some(sum) = self.resources.get_mut(usize::from(key.resource)) else { return };
        sum.records += u64::from(key.records);
        sum.own_bytes += key.own_bytes;
        sum.leaf_bytes += key.leaf_bytes;
        if !key.is_live() {
            return;
        }
        let live = key.newest_own_bytes();
        sum.objects += 1;
        sum.live_bytes += live;
        sum.revisions.push(key.records);
        sum.values.push(key.value_len());
        if let Some(count) = sum.encodings.get_mut(key.encoding as usize) {
            *count += 1;
        }
        if key.encoding == ValueKind::Encrypted {
            let provider = match Encoding::of(key.newest().value) {
                Encoding::Encrypted { prefix } => prefix.to_owned(),
                _ => ValueKind::Encrypted.name().to_owned(),
            };
            *sum.providers.entry(provider).or_default() += 1;
        }
        self.live.0 += 1;
        self.live.1 += live;
        self.live.2 += u64::from(key.newest_leaf_bytes);
        if let Some((keys, bytes)) = self.leases.get_mut(key.lease as usize) {
            *keys += 1;
            *bytes += live;
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
    leases: BTreeMap<i64, (u64, u64)>,
    live: (u64, u64, u64),
    tombstones: RecordSum,
    witnesses: Witnesses<'a>,
}

impl<'s, 'a> Merged<'s, 'a> {
    fn new(revision: i64, top: usize, gaps: &Gaps) -> Self {
        Self {
            resources: BTreeMap::new(),
            homes: Homes::default(),
            top: Top::new(top),
            leases: BTreeMap::new(),
            live: (0, 0, 0),
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
        for (&lease, (keys, bytes)) in shard.leases().iter().zip(sums.leases) {
            let sum = self.leases.entry(lease).or_default();
            *sum = (sum.0 + keys, sum.1 + bytes);
        }
        self.live = (self.live.0 + sums.live.0, self.live.1 + sums.live.1, self.live.2 + sums.live.2);
        self.tombstones.add(&shard.tombstones);
        self.witnesses.append(&sums.witnesses);
    }

    fn finish(self, scan: &Scan<'a>, filter: &Filter, disk_bytes: u64) -> KeySums<'a> {
        let unreadable = scan.keyspace.unreadable;
        let records: u64 = self.resources.values().map(|sum| sum.records).sum();
        let own_bytes: u64 = self.resources.values().map(|sum| sum.own_bytes).sum();
        let leaf_bytes: u64 = self.resources.values().map(|sum| sum.leaf_bytes).sum();
        let (live, tombstones) = (self.live, self.tombstones);
        let states = [
            live,
            (
                records - live.0 - tombstones.records,
                own_bytes - live.1 - tombstones.own_bytes,
                leaf_bytes - live.2 - tombstones.leaf_bytes,
            ),
            (tombstones.records, tombstones.own_bytes, tombstones.leaf_bytes),
            (unreadable.records, unreadable.own_bytes, unreadable.leaf_bytes),
        ];
        let disk = apportion(disk_bytes, &states.map(|(_, _, leaf_bytes)| leaf_bytes));
        let state = |number: usize| -> Records {
            let Some((&(records, bytes, _), &disk_bytes)) = states.get(number).zip(disk.get(number)) else {
                return Records::default();
            };
            Records { records, bytes, disk_bytes }
        };
        let tenants = Tenants::of(&scan.keyspace);
        let whole = Whole {
            layout: &scan.layout,
            tenants,
            leaf_bytes: leaf_bytes + unreadable.leaf_bytes,
            disk_bytes,
        };
        let (tenants, namespaces) = self.homes.finish(tenants, unreadable.leaf_bytes, disk_bytes);
        KeySums {
            live: state(0),
            superseded: state(1),
            tombstones: state(2),
            unreadable: state(3),
            resources: resources(self.resources, filter, unreadable.leaf_bytes, disk_bytes),
            tenants,
            namespaces,
            top_objects: self.top.finish(whole),
            leases: self.leases.into_iter().filter(|(_, (keys, _))| *keys > 0).collect(),
            timelines: Timelines::of(&scan.keyspace),
            witnesses: self.witnesses,
        }
    }
}

impl ResourceSum {
    fn append(&mut self, other: Self) {
        self.objects += other.objects;
        self.records += other.records;
        self.own_bytes += other.own_bytes;
        self.leaf_bytes += other.leaf_bytes;
        self.live_bytes += other.live_bytes;
        self.key_bytes += other.key_bytes;
        self.tombstones.add(&other.tombstones);
        for (count, more) in self.encodings.iter_mut().zip(other.encodings) {
            *count += more;
        }
        for (provider, count) in other.providers {
            *self.providers.entry(provider).or_default() += count;
        }
        self.revisions.extend(other.revisions);
        self.values.extend(other.values);
    }

    fn finish(
        mut self,
        GroupResource { group, resource }: GroupResource<'_>,
        disk_bytes: u64,
    ) -> ResourceUse {
        let mut encodings = self.providers;
        for (kind, count) in ValueKind::ALL.into_iter().zip(self.encodings) {
            if count > 0 && kind != ValueKind::Encrypted {
                encodings.insert(kind.name().to_owned(), count);
            }
        }
        let total_value_bytes = self.values.iter().map(|&len| u64::from(len)).sum();
        let (revisions, values) = (&mut self.revisions, &mut self.values);
        let (revisions, values) = rayon::join(|| Histogram::of(revisions), || Histogram::of(values));
        ResourceUse {
            group: group.to_owned(),
            resource: resource.into(),
            objects: self.objects,
            records: self.records,
            live_bytes: self.live_bytes,
            history_bytes: self.own_bytes - self.live_bytes - self.tombstones.own_bytes,
            tombstones: self.tombstones.records,
            tombstone_bytes: self.tombstones.own_bytes,
            disk_bytes,
            key_bytes: self.key_bytes,
            total_value_bytes,
            encodings,
            revisions_per_object: revisions,
            value_bytes: values,
        }
    }
}

fn resources(
    sums: BTreeMap<GroupResource<'_>, ResourceSum>,
    filter: &Filter,
    unreadable: u64,
    disk_bytes: u64,
) -> Vec<ResourceUse> {
    let weights: Vec<u64> = sums.values().map(|sum| sum.leaf_bytes).chain([unreadable]).collect();
    let disk = apportion(disk_bytes, &weights);
    let rows: Vec<_> =
        sums.into_iter().zip(disk).filter(|((name, _), _)| filter.admits_resource(name)).collect();
    let mut rows: Vec<_> = rows.into_par_iter().map(|((name, sum), disk)| sum.finish(name, disk)).collect();
    rows.sort_by(|a, b| (b.disk_bytes, &a.group, &a.resource).cmp(&(a.disk_bytes, &b.group, &b.resource)));
    rows
}
