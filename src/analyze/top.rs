//! The largest keys, by each of three measures.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::k8s::KeyLayout;
use crate::scan::key_state::KeyState;
use crate::scan::shard::{PlacedKey, Shard};
use crate::scan::tenants::Tenants;
use crate::text::ByteText;
use crate::top_n::TopN;

use super::share::DiskBytes;

/// One of the largest keys.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TopObject {
    /// The first ranking that it is in.
    pub by: Metric,
    /// Its place in each ranking.
    pub ranks: Ranks,
    /// The etcd key.
    pub key: ByteText,
    /// The API group; empty for the core group, and for what isn't Kubernetes'.
    pub group: String,
    /// The plural name of the resource (`pods`); for what isn't Kubernetes', its leading path (`/app`).
    pub resource: ByteText,
    /// The tenant: the prefix of an API server (`/registry`), or kcp's logical cluster; `null` where the file has only one,
    /// and for what isn't Kubernetes'.
    pub tenant: Option<ByteText>,
    /// The namespace; `null` for objects without one, and for what isn't Kubernetes'.
    pub namespace: Option<ByteText>,
    /// The object's name.
    pub name: ByteText,
    /// Whether the key exists.
    pub live: bool,
    /// Bytes of its newest record (element, key and value); 0 where it was deleted.
    pub live_bytes: u64,
    /// Bytes of its other records, tombstones included.
    pub history_bytes: u64,
    /// Its records, tombstones included.
    pub revisions: u64,
    /// Bytes that they take of the file, rounded down.
    pub disk_bytes: u64,
    /// Bytes of its value; 0 where it was deleted.
    pub value_bytes: u64,
}

/// A key's place in each ranking, from 1 on; `null` where it is not among the first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Ranks {
    /// By bytes of the newest record.
    pub live_bytes: Option<u64>,
    /// By bytes of the other records.
    pub history_bytes: Option<u64>,
    /// By number of records.
    pub revisions: Option<u64>,
}

impl Ranks {
    /// The place by this measure.
    pub fn by(&self, metric: Metric) -> Option<u64> {
        match metric {
            Metric::LiveBytes => self.live_bytes,
            Metric::HistoryBytes => self.history_bytes,
            Metric::Revisions => self.revisions,
        }
    }

    fn set(&mut self, metric: Metric, rank: u64) {
        match metric {
            Metric::LiveBytes => self.live_bytes = Some(rank),
            Metric::HistoryBytes => self.history_bytes = Some(rank),
            Metric::Revisions => self.revisions = Some(rank),
        }
    }
}

/// What objects are ranked by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Bytes of the newest record.
    LiveBytes,
    /// Bytes of older records and tombstones.
    HistoryBytes,
    /// Number of records.
    Revisions,
}

impl Metric {
    pub const ALL: [Self; 3] = [Self::LiveBytes, Self::HistoryBytes, Self::Revisions];

    /// What a key has of it; `None` where that is no reason to name the key: nothing, or one record, which every key has.
    fn of(self, key: &KeyState<'_>) -> Option<u64> {
        let (value, nothing) = match self {
            Self::LiveBytes => (live_bytes(key), 0),
            Self::HistoryBytes => (key.own_bytes - live_bytes(key), 0),
            Self::Revisions => (u64::from(key.records), 1),
        };
        (value > nothing).then_some(value)
    }
}

fn live_bytes(key: &KeyState<'_>) -> u64 {
    if key.is_live() { key.newest_own_bytes() } else { 0 }
}

/// The largest keys by one metric, of equals those with the smaller key.
type Largest<'s, 'a> = TopN<u64, &'a [u8], PlacedKey<'s, 'a>>;

#[derive(Debug)]
pub(super) struct Top<'s, 'a> {
    largest: [Largest<'s, 'a>; Metric::ALL.len()],
}

/// What the rows are made with, beside the keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole<'l> {
    pub(super) layout: &'l KeyLayout<'l>,
    pub(super) tenants: Tenants,
    pub(super) disk: DiskBytes,
}

impl<'s, 'a> Top<'s, 'a> {
    pub(super) fn new(top: usize) -> Self {
        Self { largest: Metric::ALL.map(|_| TopN::new(top)) }
    }

    pub(super) fn rank(&mut self, shard: &'s Shard<'a>, key: &'s KeyState<'a>) {
        for (largest, metric) in self.largest.iter_mut().zip(Metric::ALL) {
            let Some(value) = metric.of(key) else { continue };
            // the key's own bytes are in the file, far away: they are asked for only where they may matter
            largest.add(value, || (key.key(), shard.placed(key)));
        }
    }

    pub(super) fn append(&mut self, more: Self) {
        for (largest, more) in self.largest.iter_mut().zip(more.largest) {
            largest.append(more);
        }
    }

    /// Each key once: by the first ranking that it is in, and its place there.
    pub(super) fn finish(self, whole: Whole<'_>) -> Vec<TopObject> {
        let mut places: BTreeMap<&[u8], (Ranks, PlacedKey<'_, '_>)> = BTreeMap::new();
        for (metric, largest) in Metric::ALL.into_iter().zip(self.largest) {
            for (rank, ranked) in (1..).zip(largest.into_items()) {
                places.entry(ranked.key.key()).or_insert((Ranks::default(), ranked)).0.set(metric, rank);
            }
        }
        let mut rows: Vec<_> =
            places.into_values().filter_map(|(ranks, ranked)| top_object(ranks, ranked, whole)).collect();
        rows.sort_by_key(|row| (row.by, row.ranks.by(row.by)));
        rows
    }
}

fn top_object(ranks: Ranks, ranked: PlacedKey<'_, '_>, whole: Whole<'_>) -> Option<TopObject> {
    let by = Metric::ALL.into_iter().find(|&metric| ranks.by(metric).is_some())?;
    let PlacedKey { key, resource, tenant, namespace } = ranked;
    let kv = key.newest();
    let live = live_bytes(key);
    Some(TopObject {
        by,
        ranks,
        key: kv.key.into(),
        group: resource.group.to_owned(),
        resource: resource.resource.into(),
        tenant: whole.tenants.name(tenant),
        namespace: namespace.map(ByteText::from),
        name: whole.layout.classify(kv.key, key.is_live().then_some(kv.value)).name.into(),
        live: key.is_live(),
        live_bytes: live,
        history_bytes: key.own_bytes - live,
        revisions: u64::from(key.records),
        disk_bytes: whole.disk.share_of(key.leaf_bytes),
        value_bytes: u64::from(key.value_len()),
    })
}
