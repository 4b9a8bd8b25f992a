//! The db that a replay begins with: its buckets as they are, and the state that they make.

use std::collections::HashMap;

use prost::Message;

use crate::bolt::Db;
use crate::bolt::bucket::BucketId;
use crate::bolt::fault::Findings;
use crate::bolt::page::Entry;
use crate::bolt::walk::{Subtree, Walker};
use crate::etcd::apply::alarms::Alarms;
use crate::etcd::apply::members::{MemberRow, Members, USUAL_MAX_LEARNERS};
use crate::etcd::apply::store::LeaseTime;
use crate::etcd::apply::{LiveKey, LiveKeys, Machine, Rules, Store};
use crate::etcd::schema::{KEY_BUCKET, LEASE_BUCKET, Lease, META_BUCKET, State};
use crate::etcd::{KeyValue, RecordKey, current_revision};
use crate::member::ConfState;
use crate::scan::root::{RootFault, num_values};
use crate::scan::structure::{self, Structure};
use crate::units::count;

use super::error::ReplayError;

/// Faults that are looked for: one is enough.
const MAX_FAULTS: usize = 1;

/// A plain entry of a bucket, where it is in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held<'a> {
    pub key: &'a [u8],
    pub value: &'a [u8],
}

/// A bucket of the db, in order.
#[derive(Clone, Debug)]
pub struct HeldBucket<'a> {
    pub name: &'a [u8],
    pub sequence: u64,
    pub entries: Vec<Held<'a>>,
}

/// The db that a replay begins with.
#[derive(Debug)]
pub struct Base<'a> {
    pub state: State<'a>,
    pub buckets: Vec<HeldBucket<'a>>,
    pub index: u64,
    pub revision: i64,
    /// Faults that no copy takes over.
    pub harmless: Findings,
}

impl Held<'_> {
    /// Whether it is a record of the bucket `key` that can be read.
    pub fn is_record(&self) -> bool {
        RecordKey::parse(self.key).is_some() && KeyValue::is_readable(self.value)
    }
}

impl<'a> Base<'a> {
    /// Reads a db whole, to which entries can be applied.
    ///
    /// # Errors
    /// As [`Base::whole`]; it does not say which entry it is at, or permissions would decide.
    pub fn read(db: &'a Db, progress: &(dyn Fn(u64) + Sync)) -> Result<Self, ReplayError> {
        let base = Self::whole(db, progress)?;
        if base.state.auth_enabled {
            return Err(ReplayError::AuthEnabled);
        }
        base.state.consistent_index.ok_or(ReplayError::NoIndex)?;
        Ok(base)
    }

    /// Reads a db whole.
    ///
    /// # Errors
    /// It is damaged, or is not etcd's.
    pub fn whole(db: &'a Db, progress: &(dyn Fn(u64) + Sync)) -> Result<Self, ReplayError> {
        let (buckets, whole) = structure::walk(db, MAX_FAULTS, |walker| read_buckets(walker, progress));
        if let Some(fault) = &whole.findings.first_of_trees {
            return Err(ReplayError::BaseDamaged(fault.in_words()));
        }
        if let Some(fault) = RootFault::find(db, &whole) {
            return Err(ReplayError::BaseDamaged(fault.to_string()));
        }
        let state = State::read(db);
        if state.key_bucket.is_none() {
            return Err(ReplayError::BaseNotEtcd);
        }
        if let Some(odd) = odd(db, &whole, &state) {
            return Err(ReplayError::BaseOdd(odd));
        }
        let index = state.consistent_index.unwrap_or(0);
        let records = buckets.iter().find(|bucket| bucket.name == KEY_BUCKET);
        let newest = records.and_then(|records| RecordKey::parse(records.entries.last()?.key));
        let newest = newest.map_or(0, |place| place.revision.main);
        let revision = current_revision(newest, state.compact_revision());
        Ok(Self { state, buckets, index, revision, harmless: whole.findings })
    }

    /// A db that has nothing yet.
    pub fn nothing() -> Self {
        Self {
            state: State::default(),
            buckets: Vec::new(),
            index: 0,
            revision: 1,
            harmless: Findings::default(),
        }
    }

    /// The entries of a bucket.
    pub fn entries(&self, name: &[u8]) -> &[Held<'a>] {
        self.buckets.iter().find(|bucket| bucket.name == name).map_or(&[], |bucket| &bucket.entries)
    }

    /// The state of an etcd that has just started from it.
    pub fn machine(&self, rules: Rules) -> Machine<'a> {
        let leases = self
            .state
            .leases
            .iter()
            .map(|lease| (lease.id, LeaseTime { ttl: lease.ttl, remaining: lease.remaining_ttl }));
        let store = Store {
            keys: live_keys(self.entries(KEY_BUCKET)),
            revision: self.revision,
            compact_revision: self.state.compact_revision(),
            leases: leases.collect(),
            ..Store::default()
        };
        let alarms = self.state.alarms.iter().map(|alarm| (alarm.alarm, alarm.member_id));
        Machine {
            rules,
            store,
            alarms: Alarms::of(alarms),
            members: self.members(),
            index: self.index,
            term: self.state.term.unwrap_or(0),
            keeps_checkpoints: self.state.leases.iter().any(|lease| lease.remaining_ttl != 0),
        }
    }

    fn members(&self) -> Members {
        let rows = self.entries(b"members").iter().filter_map(|entry| {
            let row: MemberRow = serde_json::from_slice(entry.value).ok()?;
            Some((row.id, row))
        });
        let rows: std::collections::BTreeMap<_, _> = rows.collect();
        let removed = self.entries(b"members_removed").iter();
        let removed =
            removed.filter_map(|entry| u64::from_str_radix(str::from_utf8(entry.key).ok()?, 16).ok());
        let (learners, voters): (Vec<_>, Vec<_>) = rows.values().partition(|row| row.is_learner);
        let ids = |rows: Vec<&MemberRow>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
        let max_learners = learners.len().max(USUAL_MAX_LEARNERS);
        let by_rows = ConfState::new(ids(voters), ids(learners));
        // raft knows of a learner whose row forgot it (etcd#21694); after a restore its list is still the old cluster's
        let by_raft = self.state.raft_config().filter(|config| config.members() == by_rows.members());
        Members {
            max_learners,
            config: by_raft.unwrap_or(by_rows),
            removed: removed.collect(),
            rows,
            cluster_version: self.state.cluster_version.clone(),
            downgrade: None,
            changed: false,
        }
    }

    /// The entry of the bucket `lease` for a lease, if it says the same.
    pub fn lease_entry(&self, lease: &Lease) -> Option<Held<'a>> {
        let is_same = |entry: &&Held<'_>| Lease::decode(entry.value).is_ok_and(|found| found == *lease);
        self.entries(LEASE_BUCKET).iter().find(is_same).copied()
    }

    /// Whether the etcd that has come to this state writes this key into the bucket `meta`, which etcd 3.4 does not have.
    pub fn writes_meta(&self, key: &[u8], machine: &Machine<'_>) -> bool {
        match self.buckets.is_empty() {
            true => machine.members.speaks_at_least(5),
            false => self.entries(META_BUCKET).iter().any(|entry| entry.key == key),
        }
    }
}

/// What a db has that etcd never writes, so that a replay does not know what becomes of it.
fn odd(db: &Db, whole: &Structure<'_>, state: &State<'_>) -> Option<String> {
    if let Some((bucket, entries)) = state.undecodable.first() {
        return Some(format!("{} of the bucket `{bucket}` can't be read", count(*entries, "entry")));
    }
    if whole.buckets.iter().any(|bucket| bucket.parent.is_some_and(|parent| parent != BucketId::ROOT)) {
        return Some("a bucket within a bucket".to_owned());
    }
    match num_values(db) {
        0 => None,
        values => Some(format!("{} beside its buckets", count(values, "value"))),
    }
}

fn read_buckets<'a>(walker: &mut Walker<'a>, progress: &(dyn Fn(u64) + Sync)) -> Vec<HeldBucket<'a>> {
    let mut buckets = Vec::new();
    for id in (0..).map(BucketId) {
        let Some(bucket) = walker.bucket(id).copied() else { break };
        let Some(mut walk) = walker.walk_bucket(id) else { break };
        let mut entries = Vec::new();
        while let Some(parts) = walk.next_window(|subtree| read_entries(subtree, progress)) {
            parts.into_iter().for_each(|part| entries.extend(part));
        }
        // the entries of the root bucket are buckets
        if id != BucketId::ROOT {
            buckets.push(HeldBucket { name: bucket.name, sequence: bucket.sequence, entries });
        }
    }
    buckets
}

fn read_entries<'a>(subtree: &mut Subtree<'_, 'a>, progress: &(dyn Fn(u64) + Sync)) -> Vec<Held<'a>> {
    let leaves = subtree.filter_map(|node| node.leaf());
    let entries = leaves.flat_map(|leaf| leaf.entries().filter_map(Result::ok));
    let held = |entry: Entry<'a>| {
        progress(entry.own_bytes());
        Held { key: entry.key, value: entry.value }
    };
    entries.filter(|entry| !entry.is_bucket()).map(held).collect()
}

/// The keys that exist after these records.
pub(super) fn live_keys<'a>(records: &[Held<'a>]) -> LiveKeys<'a> {
    let mut newest: HashMap<&'a [u8], LiveKey<'a>, foldhash::fast::RandomState> = HashMap::default();
    for record in records {
        let Some(place) = RecordKey::parse(record.key) else { continue };
        // a record without a byte of value only marks a revision
        if KeyValue::is_revision_mark(record.value) {
            continue;
        }
        let Ok(kv) = KeyValue::parse(record.value) else { continue };
        if place.tombstone {
            newest.remove(kv.key);
            continue;
        }
        newest.insert(kv.key, LiveKey::of(&kv));
    }
    newest.into_iter().collect()
}
