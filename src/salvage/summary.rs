//! The report, from what was found and made.

use std::collections::{BTreeMap, HashMap};

use crate::bolt::PageId;
use crate::bolt::bucket::{Bucket, BucketId, BucketRoot, path_of};
use crate::bolt::write::Plan;
use crate::copy::{Copied, file_bytes};
use crate::etcd::{KeyValue, current_revision};
use crate::text::ByteText;

use super::document::{
    BucketReport, ConflictReport, NotTaken, Recovered, SalvageCopy, SalvageReport, SalvageSource,
};
use super::finds::Finds;
use super::found::{Found, Tier};
use super::lacks;
use super::lost::{self, Lost};
use super::notes;
use super::open::Wreck;
use super::request::SalvageRequest;
use super::restore::{self, Source};
use super::saved_bucket::SavedBucket;

/// Conflicts and gaps of small buckets that are listed.
const MAX_LISTED: usize = 100;

/// All that a report needs, but for the copy.
pub(super) struct Summary<'s> {
    pub(super) wreck: &'s Wreck,
    pub(super) request: &'s SalvageRequest,
    pub(super) finds: &'s Finds<'s>,
    pub(super) plan: &'s Plan,
}

impl Summary<'_> {
    /// The report, with what the proof gives: HashKV of the copy.
    pub(super) fn report(self, copied: Option<Copied<Option<u32>>>) -> SalvageReport {
        let Self { wreck, request, finds, .. } = self;
        let verified = copied.is_some();
        let copied = copied.unwrap_or_default();
        let lost = lost::lost(finds);
        let affected = lost::affected(finds, &lost);
        let recovered = recovered(finds);
        let whole = is_whole(wreck, finds, &lost);
        let restore = restore::restore(
            finds,
            &lost,
            whole,
            Source { path: &wreck.path, is_gone: wreck.is_gone },
            request,
        );
        let conflicts = finds.conflicts.iter().take(MAX_LISTED).map(|conflict| ConflictReport {
            revision: conflict.revision.to_string(),
            taken: conflict.taken,
            other: conflict.other,
        });
        SalvageReport {
            dropped: NotTaken { free: finds.left_out.len() as u64, malformed: finds.malformed },
            recovered,
            unreached: finds.unreached.clone(),
            buckets: buckets(finds),
            warnings: [notes::of(wreck, finds, request), copied.warnings].concat(),
            lost,
            affected,
            derived: finds.derived.clone(),
            conflicts: conflicts.collect(),
            num_conflicts: finds.conflicts.len() as u64,
            verified,
            hash_kv: copied.proof,
            dry_run: request.dry_run,
            restore,
            lacks: lacks::lacks(finds, &request.target),
            source: source_file(wreck, finds),
            target: self.target_file(&recovered, copied.sha256),
            elapsed_seconds: 0.0,
            owner: finds.owner(),
            packed: wreck.packed.clone(),
            log: finds.log.clone(),
            whole,
        }
    }

    fn target_file(&self, recovered: &Recovered, sha256: Option<String>) -> SalvageCopy {
        let Self { finds, plan, request, .. } = self;
        let newest = finds.records.last().map_or(0, |found| found.place.revision.main);
        let compacted = finds.compacted.unwrap_or(-1);
        SalvageCopy {
            path: request.target.as_path().into(),
            file_bytes: file_bytes(plan, request.snapshot),
            page_size: plan.page_size,
            records: if finds.is_etcd { finds.records.len() as u64 } else { recovered.sum() },
            buckets: finds.buckets.len().saturating_sub(1) as u64,
            keys: live_keys(&finds.records),
            revision: finds.is_etcd.then(|| current_revision(newest, compacted)),
            sha256,
        }
    }
}

fn source_file(wreck: &Wreck, finds: &Finds<'_>) -> SalvageSource {
    SalvageSource {
        path: wreck.path.as_path().into(),
        file_bytes: if wreck.is_gone { 0 } else { wreck.db.file_size() },
        page_size: wreck.db.page_size(),
        page_size_derived: wreck.page_size_derived,
        root: finds.root,
        unreadable: wreck.unreadable.clone(),
        searched: finds.searched,
    }
}

fn live_keys(records: &[Found<'_>]) -> u64 {
    let mut live: HashMap<&[u8], bool> = HashMap::new();
    for found in records {
        let key = KeyValue::leading_key(found.entry.value).unwrap_or_default();
        live.insert(key, !found.place.tombstone);
    }
    live.values().filter(|&&live| live).count() as u64
}

/// Where the records of the copy come from; of a file that is not etcd's, the entries of all buckets.
fn recovered(finds: &Finds<'_>) -> Recovered {
    let counts = if finds.is_etcd { of_records(&finds.records) } else { of_buckets(&finds.buckets) };
    let count = |tier| counts.get(&tier).copied().unwrap_or(0);
    Recovered {
        reachable: count(Tier::Reachable),
        older_root: count(Tier::OlderRoot),
        orphan: count(Tier::Orphan),
        doubtful: finds.records.iter().filter(|found| finds.is_doubtful(found)).count() as u64,
        log: count(Tier::Log),
        free: count(Tier::Free),
    }
}

fn of_records(records: &[Found<'_>]) -> BTreeMap<Tier, u64> {
    let mut counts = BTreeMap::new();
    records.iter().for_each(|found| add(&mut counts, found.tier, 1));
    counts
}

fn of_buckets(buckets: &[SavedBucket<'_>]) -> BTreeMap<Tier, u64> {
    let mut counts = BTreeMap::new();
    for bucket in buckets {
        let all = bucket.entries.iter().filter(|entry| !entry.is_bucket()).count() as u64;
        let orphan = bucket.from_orphans.min(all);
        let others = bucket.from_others.min(all.saturating_sub(orphan));
        add(&mut counts, bucket.tier, all.saturating_sub(orphan).saturating_sub(others));
        add(&mut counts, Tier::OlderRoot, others);
        add(&mut counts, Tier::Orphan, orphan);
    }
    counts
}

fn add(counts: &mut BTreeMap<Tier, u64>, tier: Tier, entries: u64) {
    let count = counts.entry(tier).or_default();
    *count = count.saturating_add(entries);
}

fn buckets(finds: &Finds<'_>) -> Vec<BucketReport> {
    let paths = paths(&finds.buckets);
    let all = finds.buckets.iter().zip(paths).skip(1);
    all.map(|(bucket, path)| BucketReport {
        name: ByteText::from(path.as_slice()),
        entries: bucket.num_values(),
        from: Some(bucket.tier).filter(|_| !bucket.is_made),
        gaps: bucket.gaps.all().iter().take(MAX_LISTED).map(|gap| gap.page.0).collect(),
        why: bucket.gaps.all().first().map(|gap| gap.why.clone()),
        older_root: bucket.from_others,
        orphan: bucket.from_orphans,
        log: bucket.from_log,
        left_out: bucket.left_out,
        conflicts: bucket.conflicts,
    })
    .collect()
}

/// The path of each bucket, as other commands have it.
fn paths(buckets: &[SavedBucket<'_>]) -> Vec<Vec<u8>> {
    let id = |number: usize| u32::try_from(number).ok().map(BucketId);
    let root = BucketRoot::Page(PageId(0));
    let buckets = buckets.iter().map(|bucket| Bucket {
        parent: bucket.parent.and_then(id),
        name: bucket.name,
        sequence: bucket.sequence,
        root,
    });
    let buckets: Vec<_> = buckets.collect();
    (0..buckets.len()).filter_map(id).map(|id| path_of(&buckets, id)).collect()
}

/// Whether the active root led to all that the file held, and nothing else that was found contradicts it; or the log gave the rest.
fn is_whole(wreck: &Wreck, finds: &Finds<'_>, lost: &[Lost]) -> bool {
    if finds.log.as_ref().is_some_and(|log| log.completes) {
        return !finds.auth_disabled && finds.records.iter().all(|found| found.tier != Tier::Free);
    }
    lost.is_empty()
        && finds.readable
        && wreck.unreadable.is_empty()
        && !(finds.newer_may_be_lost && finds.has_newer())
        && !finds.auth_disabled
        && finds.malformed == 0
        && finds.restored_flags == 0
        && finds.conflicts.is_empty()
        && finds.is_sound()
        && finds.records.iter().all(|found| found.tier != Tier::Free)
        && finds.buckets.iter().all(|bucket| bucket.from_orphans == 0)
}
