//! What was found, completed from the log of the member: its entries have checksums, and say again what the db has lost.

use std::sync::OnceLock;

use prost::Message;

use crate::bolt::page::Entry;
use crate::bolt::{Db, PageId};
use crate::etcd::apply::{Rules, Version};
use crate::etcd::schema::{KEY_BUCKET, Lease, minor_of};
use crate::input::LogFiles;
use crate::member::ReadLog;
use crate::ranges::Ranges;
use crate::replay::base::{Base, Held};
use crate::replay::writer;
use crate::scan::structure::Structure;

use super::covered::{self, Covered, Remains};
use super::encoded::Encoded;
use super::finds::Finds;
use super::found::{Found, Tier};
use super::gaps::{Gap, Gaps};
use super::kinds::Small;
use super::log_buckets;
use super::log_records::{self, Taking};
use super::log_use::LogUse;
use super::lost;
use super::open::Wreck;
use super::request::SalvageRequest;
use super::roots::RootSource;
use super::saved_bucket::SavedBucket;
use super::small;

/// Where what is made of a log is kept.
#[derive(Debug, Default)]
pub struct LogArena {
    older: OnceLock<Db>,
    bytes: OnceLock<Vec<u8>>,
}

/// Completes what was found, if something of it is missing.
pub fn complete<'a>(
    finds: &mut Finds<'a>,
    wreck: &Wreck,
    files: &'a LogFiles,
    request: &SalvageRequest,
    arena: &'a LogArena,
) {
    let is_others = !finds.is_etcd && (finds.buckets.len() > 1 || finds.unreached.entries > 0);
    let losses = lost::lost(finds);
    let is_whole = losses.is_empty() && finds.readable && !finds.newer_may_be_lost && finds.is_sound();
    let is_whole = is_whole && finds.malformed == 0 && finds.conflicts.is_empty();
    if is_others || is_whole && wreck.unreadable.is_empty() {
        return;
    }
    let log = files.read();
    let mut used = LogUse {
        path: files.folder.as_path().into(),
        first_index: log.log.first_index().unwrap_or(0),
        last_index: log.log.last_index(),
        from: None,
        unused_because: None,
        index: None,
        replaced: 0,
        unsure_revisions: 0,
        completes: false,
    };
    if !finds.is_etcd {
        let why = "nothing of the db can be read".to_owned();
        finds.gaps = Gaps::new(vec![Gap { lower: &[], upper: None, page: PageId(0), leaf: false, why }]);
    }
    let lost = lost::ranges_of(&lost::lost(finds));
    let material = Material { wreck, files, log: &log, lost: &lost, version: request.version };
    match material.cover(finds, &arena.older) {
        Ok((covered, rules)) => {
            let taking = Taking { rules, lost: &lost, trust: request.trust, is_moved: !knows_index(finds) };
            fill(finds, covered, wreck, taking, arena, &mut used);
        }
        Err(why) => used.unused_because = Some(why),
    }
    finds.log = Some(used);
}

struct Material<'m, 'a> {
    wreck: &'m Wreck,
    files: &'m LogFiles,
    log: &'m ReadLog<'a>,
    lost: &'m Ranges<i64>,
    version: Option<Version>,
}

impl<'a> Material<'_, 'a> {
    /// What the log says of the db, and by which rules.
    fn cover(&self, finds: &Finds<'a>, arena: &'a OnceLock<Db>) -> Result<(Vec<Covered<'a>>, Rules), String> {
        if is_auth_on(finds) {
            return Err("authentication is on: which requests it refused is not known".to_owned());
        }
        if let Some(ids) = member_ids(finds)
            && !ids.contains(&self.log.log.metadata.node_id)
            && !self.log.log.adds(self.log.log.metadata.node_id)
        {
            let id = self.log.log.metadata.node_id;
            return Err(format!("it is of member {id:x}, and the db knows no such member"));
        }
        let committed = self.log.log.committed(finds.consistent_index.unwrap_or(0), &self.files.snaps);
        let is_of_state = |tier| matches!(tier, Tier::Reachable | Tier::OlderRoot);
        let records: Vec<_> = finds.records.iter().filter(|found| is_of_state(found.tier)).collect();
        let held = |found: &&Found<'a>| Held { key: found.entry.key, value: found.entry.value };
        let records: Vec<_> = records.iter().map(held).collect();
        let remains = Remains {
            records: &records,
            lost: self.lost,
            compacted: finds.compacted.unwrap_or(0),
            index: finds.consistent_index.filter(|_| knows_index(finds)),
            shortest_lease: shortest_lease(finds),
            log_has_end: self.log.num_faults == 0
                && committed == self.log.log.last_index()
                && !self.files.snaps.iter().any(|snap| snap.index > committed),
            no_alarms: bucket(finds, Small::Alarm).is_none_or(|bucket| bucket.entries.is_empty()),
        };
        let older = if finds.readable && remains.index.is_none() { self.older(arena) } else { None };
        let rules = self.rules(finds);
        let covered = covered::covered(self.log, &remains, older, committed, &rules)?;
        Ok((covered, rules.first().copied().unwrap_or(Rules::of(writer::OLDEST))))
    }

    /// The root that is whole, and may not be the newest.
    fn older(&self, arena: &'a OnceLock<Db>) -> Option<Base<'a>> {
        let db = Db::new(self.wreck.db.data().clone()).ok()?;
        Base::read(arena.get_or_init(|| db), &|_| {}).ok()
    }

    /// Rules that may apply, the likeliest first. Which patches of 3.4 and 3.5 keep a tombstone of the compaction's own revision is
    /// known, but not which patch it was: it is not made up.
    fn rules(&self, finds: &Finds<'_>) -> Vec<Rules> {
        let of_db = bucket(finds, Small::Cluster).and_then(|bucket| bucket.value(b"clusterVersion"));
        let of_db = of_db.and_then(|value| str::from_utf8(value).ok()).and_then(minor_of);
        let minor = of_db.or_else(|| writer::minor_in(self.log));
        let is_sure = self.version.is_some() || minor >= Some(6);
        let mut rules = writer::possible_rules(self.version, minor);
        rules.iter_mut().for_each(|rules| rules.keeps_tombstone_at_compaction &= is_sure);
        rules
    }
}

/// Whether the db is at the entry that it says.
fn knows_index(finds: &Finds<'_>) -> bool {
    let meta_is_whole = |bucket: &SavedBucket<'_>| bucket.first_gaps.is_empty() && bucket.from_orphans == 0;
    finds.root.from == RootSource::ActiveMeta
        && !finds.root_is_older
        && !finds.newer_may_be_lost
        && bucket(finds, Small::Meta).is_some_and(meta_is_whole)
}

fn bucket<'f, 'a>(finds: &'f Finds<'a>, kind: Small) -> Option<&'f SavedBucket<'a>> {
    finds.buckets.iter().find(|bucket| bucket.is_of(kind))
}

fn is_auth_on(finds: &Finds<'_>) -> bool {
    let enabled = bucket(finds, Small::Auth).and_then(|auth| auth.value(b"authEnabled"));
    enabled.is_some_and(|value| value == [1])
}

/// The members that the db knows; `None` where that is lost.
fn member_ids(finds: &Finds<'_>) -> Option<Vec<u64>> {
    let bucket = bucket(finds, Small::Members).filter(|bucket| bucket.gaps.is_empty())?;
    let id = |entry: &Entry<'_>| u64::from_str_radix(str::from_utf8(entry.key).ok()?, 16).ok();
    Some(bucket.entries.iter().filter_map(id).collect()).filter(|ids: &Vec<u64>| !ids.is_empty())
}

fn shortest_lease(finds: &Finds<'_>) -> Option<i64> {
    let leases = bucket(finds, Small::Lease)?.entries.iter();
    leases.filter_map(|entry| Some(Lease::decode(entry.value).ok()?.ttl)).min()
}

/// Puts what the log says into what was found.
fn fill<'a>(
    finds: &mut Finds<'a>,
    mut covered: Vec<Covered<'a>>,
    wreck: &Wreck,
    taking: Taking<'_>,
    arena: &'a LogArena,
    used: &mut LogUse,
) {
    let num_gaps = finds.buckets.iter().map(|bucket| bucket.first_gaps.all().len()).sum();
    let state = covered.iter_mut().find_map(|covered| covered.state.take());
    let is_moved = taking.is_moved;
    if !finds.is_etcd {
        finds.is_etcd = true;
        small::add_missing(&mut finds.buckets);
    }
    if let Some((_, machine)) = state.as_deref() {
        finds.compacted = Some(machine.store.compact_revision).filter(|&revision| revision > 0);
        finds.compaction_is_known = true;
    }
    let mut encoded = Encoded::default();
    let plan = log_records::plan(finds, &covered, taking, &mut encoded);
    let buckets = state
        .as_deref()
        .map(|(base, machine)| log_buckets::plan(finds, base, machine, is_moved, &mut encoded));
    let mut entries = encoded.entries(&arena.bytes).into_iter();
    used.replaced = plan.replaced;
    plan.carry_out(finds, &covered, &mut entries);
    if let Some((_, machine)) = state.as_deref() {
        log_buckets::carry_out(finds, buckets.unwrap_or_default(), entries);
        finds.consistent_index = Some(machine.index);
        finds.derived.clear();
        used.index = Some(machine.index).filter(|_| is_moved);
    }
    used.from = covered.first().map(|covered| covered.from);
    used.unsure_revisions = covered.iter().map(|covered| covered.unsure.len() as u64).sum();
    let has_all = covered.iter().any(Covered::has_all);
    let has_the_end = covered.iter().any(|covered| covered.to == i64::MAX);
    let has_only_gaps = || num_faults(wreck) <= num_gaps;
    used.completes = (has_all || has_the_end && !is_moved && has_only_gaps()) && is_complete(finds, has_all);
}

/// Faults of the trees, as `check` counts them.
fn num_faults(wreck: &Wreck) -> usize {
    let db = Db::new(wreck.db.data().clone());
    let faults = db.map_or(u64::MAX, |db| Structure::of(&db).findings.of_trees);
    usize::try_from(faults).unwrap_or(usize::MAX)
}

/// Whether nothing is missing any more. Where the whole state is known, no bucket of etcd's lacks anything.
fn is_complete(finds: &Finds<'_>, state_is_known: bool) -> bool {
    let is_whole = |bucket: &SavedBucket<'_>| match Small::ALL.iter().any(|kind| bucket.is_of(*kind)) {
        true => state_is_known || bucket.first_gaps.is_empty() && bucket.from_orphans == 0,
        false => bucket.name == KEY_BUCKET || bucket.first_gaps.is_empty(),
    };
    let root_is_known = state_is_known || knows_index(finds);
    let others = finds.buckets.iter().skip(1).all(is_whole);
    let records = lost::lost(finds).is_empty() && finds.conflicts.is_empty() && finds.malformed == 0;
    root_is_known && others && records && !finds.has_newer()
}
