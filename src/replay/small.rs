//! The small buckets after a replay: what the log did not change stays as it is, to the byte.

use prost::Message;

use crate::etcd::apply::Machine;
use crate::etcd::apply::members::go_json;
use crate::etcd::revision::Revision;
use crate::etcd::schema::{
    Alarm, ETCD_BUCKETS, FINISHED_COMPACT, KEY_BUCKET, LEASE_BUCKET, Lease, META_BUCKET, SCHEDULED_COMPACT,
};
use crate::member::ConfState;

use super::base::{Base, Held};
use super::content::{SmallBucket, SmallEntry};

/// The small buckets of the new db.
pub fn buckets<'a>(base: &Base<'a>, machine: &Machine<'a>) -> Vec<SmallBucket<'a>> {
    let others = base.buckets.iter().filter(|bucket| !ETCD_BUCKETS.contains(&bucket.name));
    let names = ETCD_BUCKETS.into_iter().chain(others.map(|bucket| bucket.name));
    let buckets = names.filter(|name| *name != KEY_BUCKET).filter_map(|name| {
        let held = base.buckets.iter().find(|bucket| bucket.name == name);
        let entries = entries(name, base, machine);
        // a bucket that the db did not have is made where the log put something into it
        if held.is_none() && entries.is_empty() {
            return None;
        }
        Some(SmallBucket { name: name.to_vec(), sequence: held.map_or(0, |held| held.sequence), entries })
    });
    buckets.collect()
}

fn entries<'a>(name: &[u8], base: &Base<'a>, machine: &Machine<'a>) -> Vec<SmallEntry<'a>> {
    let mut made = match name {
        META_BUCKET => meta(base, machine),
        LEASE_BUCKET => leases(base, machine),
        b"alarm" => alarms(machine),
        b"members" if machine.members.changed => members(base, machine),
        b"members_removed" if machine.members.changed => removed(machine),
        b"cluster" if machine.members.changed => cluster(base, machine),
        _ => base.entries(name).iter().copied().map(SmallEntry::Held).collect(),
    };
    sort(&mut made);
    made
}

/// Puts entries into the order of a bucket.
pub fn sort(entries: &mut [SmallEntry<'_>]) {
    entries.sort_by(|a, b| a.key().cmp(b.key()));
}

fn leases<'a>(base: &Base<'a>, machine: &Machine<'a>) -> Vec<SmallEntry<'a>> {
    let leases = machine.store.leases.iter().map(|(&id, time)| {
        let lease = Lease { id, ttl: time.ttl, remaining_ttl: time.remaining };
        let made = || SmallEntry::Made { key: id.to_be_bytes().to_vec(), value: lease.encode_to_vec() };
        base.lease_entry(&lease).map_or_else(made, SmallEntry::Held)
    });
    leases.collect()
}

fn alarms<'a>(machine: &Machine<'a>) -> Vec<SmallEntry<'a>> {
    let alarms = machine.alarms.iter().map(|(alarm, member_id)| Alarm { member_id, alarm });
    alarms.map(|alarm| SmallEntry::Made { key: alarm.encode_to_vec(), value: Vec::new() }).collect()
}

fn members<'a>(base: &Base<'a>, machine: &Machine<'a>) -> Vec<SmallEntry<'a>> {
    let held = base.entries(b"members");
    let rows = machine.members.rows.iter().map(|(id, row)| {
        let key = hex_id(*id);
        let is_same = |entry: &&Held<'_>| {
            entry.key == key && serde_json::from_slice(entry.value).is_ok_and(|found| *row == found)
        };
        match held.iter().find(is_same) {
            Some(entry) => SmallEntry::Held(*entry),
            None => SmallEntry::Made { key, value: go_json(row) },
        }
    });
    rows.collect()
}

fn removed<'a>(machine: &Machine<'a>) -> Vec<SmallEntry<'a>> {
    let removed = machine.members.removed.iter();
    removed.map(|id| SmallEntry::Made { key: hex_id(*id), value: b"removed".to_vec() }).collect()
}

/// The name of a member's row (`server/storage/schema/membership.go`, `BackendMemberKey`).
pub fn hex_id(id: u64) -> Vec<u8> {
    format!("{id:x}").into_bytes()
}

/// As etcd stores it (`server/etcdserver/version/downgrade.go`, `DowngradeInfo`).
#[derive(serde::Serialize)]
struct Downgrade<'v> {
    #[serde(rename = "target-version")]
    target: &'v str,
    enabled: bool,
}

fn cluster<'a>(base: &Base<'a>, machine: &Machine<'a>) -> Vec<SmallEntry<'a>> {
    let members = &machine.members;
    let version = members
        .cluster_version
        .as_ref()
        .map(|version| (&b"clusterVersion"[..], version.clone().into_bytes()));
    let downgrade = members.downgrade.as_ref().map(|(enabled, version)| {
        let target = if *enabled { version.as_str() } else { "" };
        (&b"downgrade"[..], go_json(&Downgrade { target, enabled: *enabled }))
    });
    replaced(base, b"cluster", version.into_iter().chain(downgrade))
}

fn meta<'a>(base: &Base<'a>, machine: &Machine<'a>) -> Vec<SmallEntry<'a>> {
    let mut changed: Vec<(&[u8], Vec<u8>)> = Vec::new();
    if machine.index != base.index {
        changed.push((b"consistent_index", machine.index.to_be_bytes().to_vec()));
        // 3.4 writes none
        if base.writes_meta(b"term", machine) {
            changed.push((b"term", machine.term.to_be_bytes().to_vec()));
        }
    }
    if machine.members.changed && base.writes_meta(b"confState", machine) {
        changed.push((b"confState", conf_state_json(&machine.members.config)));
    }
    if machine.store.compact_revision != base.state.finished_compact_revision.unwrap_or(-1) {
        let revision = Revision { main: machine.store.compact_revision, sub: 0 }.to_bytes().to_vec();
        changed.push((SCHEDULED_COMPACT, revision.clone()));
        changed.push((FINISHED_COMPACT, revision));
    }
    replaced(base, META_BUCKET, changed.into_iter())
}

/// A `ConfState` as etcd stores it (`server/storage/schema/confstate.go`: JSON).
pub fn conf_state_json(config: &ConfState) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Stored {
        voters: Vec<u64>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        learners: Vec<u64>,
        auto_leave: bool,
    }
    go_json(&Stored {
        voters: config.voters().iter().copied().collect(),
        learners: config.learners().iter().copied().collect(),
        auto_leave: false,
    })
}

/// A bucket's entries, with these in place of those of the same keys.
pub fn replaced<'a, 'k>(
    base: &Base<'a>,
    name: &[u8],
    made: impl Iterator<Item = (&'k [u8], Vec<u8>)>,
) -> Vec<SmallEntry<'a>> {
    let mut entries: Vec<_> = base.entries(name).iter().copied().map(SmallEntry::Held).collect();
    for (key, value) in made {
        entries.retain(|entry| entry.key() != key);
        entries.push(SmallEntry::Made { key: key.to_vec(), value });
    }
    entries
}
