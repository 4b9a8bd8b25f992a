//! What could not be saved, as far as it can be proved or limited.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use crate::etcd::{KeyValue, RecordKey};
use crate::k8s::KeyLayout;
use crate::text::ByteText;

use super::finds::Finds;
use super::found::{Found, Tier};
use super::gaps::Gap;
use crate::ranges::Ranges;

/// The first revision that can have a record: an empty etcd is at 1, and its first write makes 2 (`server/storage/mvcc/kvstore.go`,
/// `NewStore`).
const FIRST_WRITE: i64 = 2;

/// Keys that are named one by one.
const MAX_KEYS: usize = 1000;

/// A range of revisions with losses.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Lost {
    /// The first revision that may be affected.
    pub first_revision: i64,
    /// The last; `null` where its end is not known.
    pub last_revision: Option<i64>,
    /// Revisions of the range without any record, although each had one; `null` at or below the last compaction, which may
    /// have removed them.
    pub missing_revisions: Option<u64>,
    /// Records of the range that were found elsewhere.
    pub recovered: u64,
    /// The page that could not be read; `null` where the numbers alone show the loss.
    pub page: Option<u64>,
    /// Why it could not.
    pub why: String,
}

/// What the losses mean for keys.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Affected {
    /// Keys with a record missing between two that were found, as their versions show.
    pub proven_keys: u64,
    /// Keys that exist, and of which a newer record may be among what is lost.
    pub possibly_stale_keys: u64,
    /// The same by resource.
    pub possibly_stale: Vec<AffectedResource>,
    /// Keys of which only records were found that are not known to be of the state: deleted before, or lost.
    pub possibly_lost_keys: u64,
    /// The first 1,000 of the keys that are proven and possibly lost.
    pub keys: Vec<AffectedKey>,
}

/// One resource's keys.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AffectedResource {
    /// The API group; empty for the core group, and for what isn't Kubernetes'.
    pub group: String,
    /// The plural name of the resource (`pods`); for what isn't Kubernetes', its leading path (`/app`).
    pub resource: ByteText,
    /// Namespaces of these keys.
    pub namespaces: Vec<ByteText>,
    /// How many keys.
    pub keys: u64,
}

/// One key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AffectedKey {
    /// The key.
    pub key: ByteText,
    /// `record-missing` or `possibly-lost`.
    pub what: &'static str,
    /// The revision of the newest record found.
    pub revision: i64,
}

/// The ranges with losses, in order: one for each gap, and one for each run of revisions that no gap explains.
pub fn lost(finds: &Finds<'_>) -> Vec<Lost> {
    let compacted = finds.compacted.unwrap_or(0);
    let counts = Counts::of(&finds.records);
    let range = |gap: &Gap<'_>| {
        let (first_revision, last_revision) = range_of(gap);
        let missing = last_revision.map(|last| counts.missing(first_revision, last));
        Lost {
            first_revision,
            last_revision,
            missing_revisions: missing.filter(|_| first_revision > compacted),
            recovered: counts.found_elsewhere(gap),
            page: Some(gap.page.0),
            why: gap.why.clone(),
        }
    };
    let mut lost: Vec<_> = finds.gaps.all().iter().map(range).collect();
    lost.extend(unexplained(finds, compacted, &lost));
    lost.sort_by_key(|range| (range.first_revision, range.last_revision));
    lost
}

/// The revisions that a gap of the records may have: the first, and the last, if that is known.
pub(super) fn range_of(gap: &Gap<'_>) -> (i64, Option<i64>) {
    let main = |key: &[u8]| RecordKey::parse(key).map(|place| place.revision.main);
    (main(gap.lower).unwrap_or(FIRST_WRITE).max(FIRST_WRITE), gap.upper.and_then(main))
}

/// Running sums over the records, so that a range of them costs two look-ups: there may be as many ranges as records.
struct Counts<'f, 'a> {
    records: &'f [Found<'a>],
    /// Of the first N records: the number of different revisions (main), and of records found elsewhere than below the active root.
    sums: Vec<(u64, u64)>,
}

impl<'f, 'a> Counts<'f, 'a> {
    fn of(records: &'f [Found<'a>]) -> Self {
        let (mut last, mut sum) = (None, (0u64, 0u64));
        let mut sums = vec![sum];
        for found in records {
            let main = found.place.revision.main;
            sum.0 = sum.0.saturating_add(u64::from(last.replace(main) != Some(main)));
            sum.1 = sum.1.saturating_add(u64::from(found.tier > Tier::Reachable));
            sums.push(sum);
        }
        Self { records, sums }
    }

    fn up_to(&self, record: usize) -> (u64, u64) {
        self.sums.get(record).copied().unwrap_or_default()
    }

    /// Records in a gap that were found elsewhere. Keys are in the order of their revisions.
    fn found_elsewhere(&self, gap: &Gap<'_>) -> u64 {
        let below = |bound: &[u8]| self.records.partition_point(|found| found.entry.key < bound);
        let end = gap.upper.map_or(self.records.len(), below);
        self.up_to(end).1.saturating_sub(self.up_to(below(gap.lower)).1)
    }

    /// How many revisions of a range have no record.
    fn missing(&self, first: i64, last: i64) -> u64 {
        let start = self.records.partition_point(|found| found.place.revision.main < first);
        let end = self.records.partition_point(|found| found.place.revision.main <= last);
        let found = self.up_to(end).0.saturating_sub(self.up_to(start).0);
        let all = u64::try_from(last.saturating_sub(first).saturating_add(1)).unwrap_or(0);
        all.saturating_sub(found)
    }
}

pub(super) fn ranges_of(lost: &[Lost]) -> Ranges<i64> {
    let range = |lost: &Lost| (lost.first_revision, lost.last_revision.unwrap_or(i64::MAX));
    Ranges::of(lost.iter().map(range).collect())
}

/// Above the last compaction, each revision has a record: where one has none, it was lost, whatever the tree looks like.
fn unexplained(finds: &Finds<'_>, compacted: i64, gaps: &[Lost]) -> Vec<Lost> {
    let start = finds.records.partition_point(|found| found.place.revision.main <= compacted);
    let above = finds.records.get(start..).unwrap_or_default();
    let mut before = compacted.max(FIRST_WRITE.saturating_sub(1));
    let gaps = ranges_of(gaps);
    let mut lost = Vec::new();
    for found in above {
        let main = found.place.revision.main;
        let (first, last) = (before.saturating_add(1), main.saturating_sub(1));
        before = main;
        // a restore with --bump-revision leaves one large jump
        let is_jump = KeyValue::is_revision_mark(found.entry.value);
        if first <= last && !is_jump && !gaps.cover(first, last) {
            lost.push(Lost {
                first_revision: first,
                last_revision: Some(last),
                missing_revisions: u64::try_from(last.saturating_sub(first).saturating_add(1)).ok(),
                recovered: 0,
                page: None,
                why: "the tree goes on after them as if they had never existed".to_owned(),
            });
        }
    }
    lost
}

/// What the losses mean for keys.
pub fn affected(finds: &Finds<'_>, lost: &[Lost]) -> Affected {
    let mut affected = Affected::default();
    if lost.is_empty() {
        return affected;
    }
    let mut newest: Newest<'_, '_> = HashMap::new();
    let mut proven = Vec::new();
    for found in &finds.records {
        let Ok(kv) = KeyValue::parse(found.entry.value) else { continue };
        let version = if found.place.tombstone { 0 } else { kv.version };
        let follows = |before: i64| version == 0 || version == 1 || version == before.saturating_add(1);
        if let Some((_, before)) = newest.insert(kv.key, (found, version))
            && !follows(before)
        {
            proven.push(named(kv.key, "record-missing", found));
        }
    }
    let last_loss = lost.iter().map(|range| range.last_revision.unwrap_or(i64::MAX)).max().unwrap_or(0);
    affected.possibly_stale = possibly_stale(&newest, last_loss);
    let stale = affected.possibly_stale.iter().map(|row| row.keys);
    affected.possibly_stale_keys = stale.fold(0, u64::saturating_add);
    let ranges = ranges_of(lost);
    let mut gone: BTreeMap<&[u8], &Found<'_>> = BTreeMap::new();
    for found in &finds.left_out {
        let main = found.place.revision.main;
        if let Some(key) = KeyValue::leading_key(found.entry.value)
            && !newest.contains_key(key)
            && ranges.cover(main, main)
        {
            gone.insert(key, found);
        }
    }
    affected.proven_keys = proven.len() as u64;
    affected.possibly_lost_keys = gone.len() as u64;
    let gone = gone.into_iter().map(|(key, found)| named(key, "possibly-lost", found));
    affected.keys = proven.into_iter().chain(gone).take(MAX_KEYS).collect();
    affected
}

/// The newest record of each key, and its version.
type Newest<'f, 'a> = HashMap<&'f [u8], (&'f Found<'a>, i64)>;

/// Keys that exist and whose newest record is older than the last loss, by resource.
fn possibly_stale(newest: &Newest<'_, '_>, last_loss: i64) -> Vec<AffectedResource> {
    let live = newest.values().map(|(found, _)| *found).filter(|found| !found.place.tombstone);
    let live: Vec<_> =
        live.filter_map(|found| Some((found, KeyValue::parse(found.entry.value).ok()?))).collect();
    let mut layout = KeyLayout::new();
    for (_, kv) in &live {
        layout.learn(kv.key, kv.value);
    }
    let mut rows: BTreeMap<(String, ByteText), (u64, BTreeSet<ByteText>)> = BTreeMap::new();
    for (_, kv) in live.iter().filter(|(found, _)| found.place.revision.main < last_loss) {
        let object = layout.classify(kv.key, Some(kv.value));
        let row = rows.entry((object.group.to_owned(), ByteText::from(object.resource))).or_default();
        row.0 = row.0.saturating_add(1);
        row.1.extend(object.namespace.map(ByteText::from));
    }
    let row = |((group, resource), (keys, namespaces)): (_, (u64, BTreeSet<ByteText>))| AffectedResource {
        group,
        resource,
        keys,
        namespaces: namespaces.into_iter().collect(),
    };
    rows.into_iter().map(row).collect()
}

fn named(key: &[u8], what: &'static str, found: &Found<'_>) -> AffectedKey {
    AffectedKey { key: ByteText::from(key), what, revision: found.place.revision.main }
}
