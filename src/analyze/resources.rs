//! What each resource takes.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::Serialize;

use crate::filter::Filter;
use crate::k8s::{Encoding, GroupResource, ValueKind};
use crate::scan::key_state::KeyState;
use crate::scan::record::RecordSum;
use crate::scan::resource_row::ResourceRow;
use crate::text::ByteText;

use super::histogram::Histogram;
use super::share::apportion;

/// An API resource. What isn't Kubernetes' has a row by leading path. Keys are kept in 16 shards: of each, the first 64
/// leading paths have rows of their own, the others share the row `(other keys)`; beyond 4,096 rows of a shard, resources
/// share it, too.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ResourceUse {
    /// The API group; empty for the core group, and for what isn't Kubernetes'.
    pub group: String,
    /// The plural name of the resource (`pods`); for what isn't Kubernetes', its leading path (`/app`).
    pub resource: ByteText,
    /// Keys that exist.
    pub objects: u64,
    /// Records of these and of deleted keys.
    pub records: u64,
    /// Bytes of the newest record of each key that exists: element, key and value.
    pub live_bytes: u64,
    /// Bytes of older puts: elements, keys and values. Tombstones are not among them.
    pub history_bytes: u64,
    /// Records of deletions.
    pub tombstones: u64,
    /// Bytes of these: elements, keys and values.
    pub tombstone_bytes: u64,
    /// Bytes that all its records take of the file, with their share of headers, slack and branch pages.
    pub disk_bytes: u64,
    /// Bytes of the etcd keys that exist, without their values.
    pub key_bytes: u64,
    /// Bytes of the values of the keys that exist.
    pub total_value_bytes: u64,
    /// Number of objects by encoding, of those that occur: `protobuf`, `json`, `cbor`, `other`; for values that the API
    /// server encrypted, their prefix `k8s:enc:<provider>:<version>:<key name>` (`k8s:enc` where that shape is broken).
    pub encodings: BTreeMap<String, u64>,
    /// Records kept of each key that exists, its tombstones included.
    pub revisions_per_object: Histogram,
    /// Sizes of the values of the keys that exist, in bytes.
    pub value_bytes: Histogram,
}

/// What one resource's keys in one shard add up to.
#[derive(Clone, Debug, Default)]
pub(super) struct ResourceSum {
    objects: u64,
    pub(super) records: u64,
    pub(super) own_bytes: u64,
    pub(super) leaf_bytes: u64,
    live_bytes: u64,
    key_bytes: u64,
    tombstones: RecordSum,
    encodings: [u64; ValueKind::ALL.len()],
    providers: BTreeMap<String, u64>,
    revisions: Vec<u32>,
    values: Vec<u32>,
}

impl ResourceSum {
    /// Nothing but what was counted while records went by.
    pub(super) fn of(row: &ResourceRow) -> Self {
        Self { tombstones: row.tombstones, key_bytes: row.live_key_bytes, ..Self::default() }
    }

    pub(super) fn add(&mut self, key: &KeyState<'_>) {
        self.records += u64::from(key.records);
        self.own_bytes += key.own_bytes;
        self.leaf_bytes += key.leaf_bytes;
        if !key.is_live() {
            return;
        }
        self.objects += 1;
        self.live_bytes += key.newest_own_bytes();
        self.revisions.push(key.records);
        self.values.push(key.value_len());
        if let Some(count) = self.encodings.get_mut(key.encoding as usize) {
            *count += 1;
        }
        if key.encoding == ValueKind::Encrypted {
            let provider = match Encoding::of(key.newest().value) {
                Encoding::Encrypted { prefix } => prefix.to_owned(),
                _ => ValueKind::Encrypted.name().to_owned(),
            };
            *self.providers.entry(provider).or_default() += 1;
        }
    }

    pub(super) fn append(&mut self, other: Self) {
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

/// The resources that the filter lets through, the largest on disk first. They take `disk_bytes` with those that it doesn't,
/// and with entries that are no records.
pub(super) fn rows(
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
