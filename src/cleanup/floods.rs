//! Resources in great numbers.
//!
//! A custom resource is a flood by one of three measures, each far above what most clusters have: very many objects; a large share of
//! all records; or many records of each object, which is an update loop, or objects that come and go.
//!
//! Of the built-in ones, some have a large share in every cluster, and Leases are written again every few seconds: they are a flood
//! by very many objects, or where one alone has almost half of all bytes.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use crate::clock::{Clock, Seconds, text};
use crate::k8s::metadata::metadata;
use crate::k8s::resources::by_name;
use crate::k8s::{GroupResource, ValueKind};
use crate::scan::key_state::KeyState;
use crate::scan::key_sum::KeySum;
use crate::scan::shard::{PlacedKey, Shard};

use super::class::GarbageClass;
use super::limits::GarbageLimits;
use super::rows::{Ages, Older};
use super::sums::Sums;

/// A tenth of all records' bytes,
const SHARE: u64 = 10;
/// but not of next to nothing.
const SHARE_FROM_BYTES: u64 = 1 << 20;
/// Records of each object,
const REVISIONS: u64 = 20;
/// but not of next to none.
const REVISIONS_FROM_RECORDS: u64 = 1000;

/// Of a built-in resource: two fifths of all records' bytes,
const BUILT_IN_SHARE: (u64, u64) = (2, 5);
/// but not of next to nothing,
const BUILT_IN_SHARE_FROM_BYTES: u64 = 256 << 10;
/// nor of a few large objects.
const BUILT_IN_SHARE_FROM_OBJECTS: u64 = 500;

/// Objects older than an hour, a day, a week and 30 days are counted.
const AGES: [Seconds; 4] = [3600, 86_400, 7 * 86_400, 30 * 86_400];

/// What a resource's keys add up to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FloodCandidate {
    pub(super) all: KeySum,
    /// Keys, deleted ones included.
    keys: u64,
    /// Its keys that are in another class.
    pub(super) elsewhere: KeySum,
    kind: Option<GarbageClass>,
}

impl FloodCandidate {
    /// Adds a key; `elsewhere` says whether it is in another class, too.
    pub(super) fn add(&mut self, resource: GroupResource<'_>, key: &KeyState<'_>, elsewhere: bool) {
        // told by the first key of each resource
        self.kind = self.kind.or_else(|| kind_of(resource, key.key()));
        self.all.add(key);
        self.keys += 1;
        if elsewhere {
            self.elsewhere.add(key);
        }
    }

    pub(super) fn append(&mut self, more: &Self) {
        self.kind = self.kind.or(more.kind);
        self.all.append(&more.all);
        self.keys += more.keys;
        self.elsewhere.append(&more.elsewhere);
    }

    /// The class, and what makes it one, if anything does.
    pub(super) fn flood(
        &self,
        all: &KeySum,
        limits: &GarbageLimits,
    ) -> Option<(GarbageClass, Vec<&'static str>)> {
        let class = self.kind?;
        let sum = &self.all;
        let many = sum.objects > 0 && sum.objects >= limits.flood_objects;
        let revised = sum.records >= REVISIONS_FROM_RECORDS && sum.records / self.keys.max(1) >= REVISIONS;
        let (share, revised) = if class == GarbageClass::Flood {
            (sum.own_bytes >= SHARE_FROM_BYTES && sum.own_bytes >= all.own_bytes / SHARE, revised)
        } else {
            let (part, of) = BUILT_IN_SHARE;
            let dominant = sum.own_bytes >= BUILT_IN_SHARE_FROM_BYTES
                && u128::from(sum.own_bytes) * u128::from(of) >= u128::from(all.own_bytes) * u128::from(part);
            (dominant && sum.objects >= BUILT_IN_SHARE_FROM_OBJECTS, dominant && revised)
        };
        let reasons = [("objects", many), ("share", share), ("revisions", revised)];
        let reasons: Vec<_> =
            reasons.into_iter().filter_map(|(reason, is_so)| is_so.then_some(reason)).collect();
        (!reasons.is_empty()).then_some((class, reasons))
    }
}

/// Which flood a resource may be, told by one of its keys: a custom one's group is in the path. `None` for what isn't Kubernetes'.
fn kind_of(GroupResource { group, resource }: GroupResource<'_>, key: &[u8]) -> Option<GarbageClass> {
    let is_built_in = || str::from_utf8(resource).is_ok_and(|plural| by_name(group, plural).is_some());
    let in_path = || memchr::memmem::find(key, group.as_bytes()).is_some();
    if is_built_in() {
        Some(GarbageClass::BuiltInFlood)
    } else if group.contains('.') {
        Some(if in_path() { GarbageClass::Flood } else { GarbageClass::BuiltInFlood })
    } else {
        None
    }
}

/// What the keys of one flood add up to.
#[derive(Debug)]
pub(super) struct Flooded<'s, 'a> {
    pub(super) sums: Sums<'s, 'a>,
    older: [Older; AGES.len()],
    created: Option<(Seconds, Seconds)>,
    undated: u64,
}

impl<'s, 'a> Flooded<'s, 'a> {
    fn new(top: usize) -> Self {
        Self {
            sums: Sums::new(top),
            older: AGES.map(|span| Older { than_seconds: span.unsigned_abs(), objects: 0, live_bytes: 0 }),
            created: None,
            undated: 0,
        }
    }

    fn add(&mut self, place: PlacedKey<'s, 'a>, clock: Clock) {
        self.sums.add(place);
        if place.key.is_live() {
            let created = created(place.key).filter(|&time| clock.believes(time));
            self.add_age(created, clock, place.key.newest_own_bytes());
        }
    }

    fn add_age(&mut self, created: Option<Seconds>, clock: Clock, bytes: u64) {
        let Some((time, age)) = created.and_then(|time| Some((time, clock.age([time])?))) else {
            self.undated += 1;
            return;
        };
        for (older, span) in self.older.iter_mut().zip(AGES) {
            if age > span {
                older.objects += 1;
                older.live_bytes += bytes;
            }
        }
        let (first, last) = self.created.unwrap_or((time, time));
        self.created = Some((first.min(time), last.max(time)));
    }

    fn append(&mut self, more: Self) {
        self.sums.append(more.sums);
        for (older, more) in self.older.iter_mut().zip(more.older) {
            older.objects += more.objects;
            older.live_bytes += more.live_bytes;
        }
        self.created = match (self.created, more.created) {
            (Some((first, last)), Some((other, another))) => Some((first.min(other), last.max(another))),
            (one, other) => one.or(other),
        };
        self.undated += more.undated;
    }

    pub(super) fn ages(&self) -> Ages {
        let (oldest, newest) = self.created.unzip();
        Ages {
            older: self.older.to_vec(),
            oldest: oldest.and_then(text),
            newest: newest.and_then(text),
            undated: self.undated,
        }
    }
}

fn created(key: &KeyState<'_>) -> Option<Seconds> {
    let readable = matches!(key.encoding, ValueKind::Protobuf | ValueKind::Json | ValueKind::Cbor);
    readable.then(|| metadata(key.newest().value))??.created
}

/// Goes through the keys of these resources once more.
pub(super) fn look_into<'s, 'a>(
    shards: &'s [Shard<'a>],
    floods: &BTreeSet<GroupResource<'a>>,
    clock: Clock,
    top: usize,
) -> BTreeMap<GroupResource<'a>, Flooded<'s, 'a>> {
    let found: Vec<_> = shards.par_iter().map(|shard| in_shard(shard, floods, clock, top)).collect();
    let mut all: BTreeMap<_, Flooded<'_, '_>> = BTreeMap::new();
    for (resource, flooded) in found.into_iter().flatten() {
        all.entry(resource).or_insert_with(|| Flooded::new(top)).append(flooded);
    }
    all
}

fn in_shard<'s, 'a>(
    shard: &'s Shard<'a>,
    floods: &BTreeSet<GroupResource<'a>>,
    clock: Clock,
    top: usize,
) -> Vec<(GroupResource<'a>, Flooded<'s, 'a>)> {
    let new = |resource| floods.contains(resource).then(|| Flooded::new(top));
    let mut found: Vec<_> = shard.resources().iter().map(new).collect();
    for key in shard.keys() {
        if let Some(Some(flooded)) = found.get_mut(usize::from(key.resource)) {
            flooded.add(shard.placed(key), clock);
        }
    }
    let resources = shard.resources().iter().copied();
    resources.zip(found).filter_map(|(resource, flooded)| Some((resource, flooded?))).collect()
}
