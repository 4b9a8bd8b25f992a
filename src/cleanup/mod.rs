//! What could be deleted, and how: garbage that objects' own fields tell of, with the bytes that it takes.
//!
//! | file | what is in it |
//! |---|---|
//! | [`class`] | the classes: why, what deleting means, what prevents it, and the commands |
//! | `sums` | bytes by class and namespace, and the largest objects |
//! | [`floods`] | resources in great numbers |
//!
//! Only values of the few kinds that [`crate::k8s::object`] reads are looked into, and those of floods for when they were created,
//! of live records alone. Encrypted
//! values are counted and never guessed; nothing of a value is shown.

pub mod class;
pub mod floods;
mod sums;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use jiff::Timestamp;
use prost::Message;
use rayon::prelude::*;
use serde::Serialize;
use thiserror::Error;

use crate::analyze;
use crate::bolt::Db;
use crate::bolt::format::ELEMENT_SIZE;
use crate::clock::{AsOf, Clock};
use crate::etcd::schema::State;
use crate::etcd::trailer::Trailer;
use crate::k8s::object::{self, Kind, Object, Unreadable};
use crate::k8s::{GroupResource, ValueKind, resource_name};
use crate::owner::{NoKeys, Owner};
use crate::scan::Scan;
use crate::scan::health::Health;
use crate::scan::key_state::KeyState;
use crate::scan::shard::Shard;
use crate::scan::tenants::Tenants;
use crate::text::ByteText;

use class::Class;
use floods::{Ages, Candidate, Flooded};
use sums::{Disk, Place, Sum, Sums};

/// From where on something counts as garbage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Thresholds {
    /// Events seen last longer ago than this are old.
    pub event_age_seconds: u64,
    /// Lease objects not renewed for longer than this are stale.
    pub lease_age_seconds: u64,
    /// ConfigMaps and Secrets of this size and more are large.
    pub large_bytes: u64,
    /// Resources of this many objects and more are a flood, whatever their size.
    pub flood_objects: u64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            event_age_seconds: 3600,
            lease_age_seconds: 86400,
            large_bytes: 256 << 10,
            flood_objects: 10_000,
        }
    }
}

/// What is asked for, beside the file.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// The file's path.
    pub path: &'r Path,
    /// What stands behind the db.
    pub trailer: Trailer,
    /// From where on something counts as garbage.
    pub thresholds: Thresholds,
    /// The file's time, where it is not to be told from its objects.
    pub as_of: Option<Timestamp>,
    /// How many objects of each class to name.
    pub top: usize,
}

/// What could be deleted.
#[derive(Clone, Debug, Serialize)]
pub struct Cleanup {
    /// The file's path.
    pub path: ByteText,
    /// Its size.
    pub file_bytes: u64,
    /// Whether nothing is wrong with the file: if something is, figures are of what could be read.
    pub health: Health,
    /// When the file was written last.
    pub as_of: AsOf,
    /// From where on something counts as garbage.
    pub thresholds: Thresholds,
    /// Objects of which fields were read.
    pub objects_read: u64,
    /// Of these, objects that state a time which can't be: before Kubernetes, or behind the file's time.
    pub doubtful_times: u64,
    /// All classes together, each key once.
    pub total: Use,
    /// The classes, and then the floods: the thousand largest, where there are more.
    pub classes: Vec<ClassUse>,
    /// Floods that are not among these.
    pub more_floods: u64,
    /// Values that tell nothing.
    pub unread: Vec<Unread>,
}

/// Objects, and what they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Use {
    /// Keys that exist.
    pub objects: u64,
    /// Bytes (elements, keys, values) of their newest records.
    pub live_bytes: u64,
    /// Bytes of their other records.
    pub history_bytes: u64,
    /// What all these records take of the file.
    pub disk_bytes: u64,
}

/// One class.
#[derive(Clone, Debug, Serialize)]
pub struct ClassUse {
    /// Its name.
    pub class: &'static str,
    /// A flood's resource, as kubectl takes it; `null` for other classes.
    pub resource: Option<String>,
    /// What makes it a flood: `objects`, `share`, `revisions`; empty for other classes.
    pub reasons: Vec<&'static str>,
    /// Objects, and what they take.
    #[serde(flatten)]
    pub sum: Use,
    /// Why it is garbage.
    pub why: String,
    /// What deleting it means.
    pub deleting: &'static str,
    /// What keeps it from coming back.
    pub prevention: &'static str,
    /// How to clean it up; empty where there is nothing, or no command for all.
    pub commands: Vec<String>,
    /// How old a flood's objects are; `null` for other classes.
    pub ages: Option<Ages>,
    /// By namespace, the largest first.
    pub namespaces: Vec<NamespaceUse>,
    /// The largest objects.
    pub top: Vec<TopObject>,
}

/// A class's objects in one namespace.
#[derive(Clone, Debug, Serialize)]
pub struct NamespaceUse {
    /// Whose it is; `null` where the file has one tenant only, and for what isn't Kubernetes'.
    pub tenant: Option<ByteText>,
    /// Its name; `null` for what has none.
    pub namespace: Option<ByteText>,
    /// Objects, and what they take.
    #[serde(flatten)]
    pub sum: Use,
}

/// One of a class's largest objects.
#[derive(Clone, Debug, Serialize)]
pub struct TopObject {
    /// The etcd key.
    pub key: ByteText,
    /// Whose it is; `null` where the file has one tenant only, and for what isn't Kubernetes'.
    pub tenant: Option<ByteText>,
    /// Namespace, where it has one.
    pub namespace: Option<ByteText>,
    /// Name.
    pub name: ByteText,
    /// Bytes of its newest record.
    pub live_bytes: u64,
    /// Bytes of its other records.
    pub history_bytes: u64,
    /// Bytes of its value.
    pub value_bytes: u64,
    /// What deletes this one; empty where its names are not plain.
    pub command: String,
}

/// Values of one resource that tell nothing, or not enough.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Unread {
    /// API group.
    pub group: String,
    /// Resource, or leading path.
    pub resource: ByteText,
    /// Encrypted values, whatever the resource.
    pub encrypted: u64,
    /// Bytes of their newest records.
    pub encrypted_bytes: u64,
    /// Values that break off, are damaged, or are of another kind than their key says; only of the resources that are
    /// looked into.
    pub malformed: u64,
    /// Events and Leases without a time that can be believed.
    pub undated: u64,
}

/// Why there is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum CleanupError {
    /// Without a `key` bucket, there are no objects.
    #[error(transparent)]
    NoKeys(NoKeys),
}

/// Looks through a file that was scanned.
///
/// # Errors
/// The file is not etcd's.
pub fn cleanup(
    db: &Db,
    state: &State<'_>,
    scan: &Scan<'_>,
    request: &Request<'_>,
) -> Result<Cleanup, CleanupError> {
    let key_bucket = scan.key_bucket.ok_or_else(|| CleanupError::NoKeys(NoKeys(Owner::of(db))))?;
    let disk = analyze::buckets(scan).get(key_bucket.0 as usize).map_or(0, |bucket| bucket.disk_bytes);
    let (clock, as_of) = Clock::of(&scan.keyspace, request.as_of);
    let judge =
        Judge { clock, limits: request.thresholds, leases: state.leases.iter().map(|l| l.id).collect() };
    let shards = scan.keyspace.shards();
    let found: Vec<Found<'_, '_>> =
        shards.par_iter().map(|shard| Found::of(shard, &judge, request.top)).collect();
    let mut all = Found::new(request.top);
    found.into_iter().for_each(|more| all.append(more));
    let unread = all.unread();
    let (objects_read, doubtful_times) = (all.objects_read, all.doubtful_times);
    let whole = all.every_key.leaf_bytes + scan.keyspace.unreadable.leaf_bytes;
    let disk = Disk { bytes: disk, whole };
    let Classes { total, rows: classes, more_floods } = all.classes(state, scan, disk, &judge, request.top);
    Ok(Cleanup {
        path: request.path.into(),
        file_bytes: db.file_size(),
        health: Health::of(db, state, scan, request.trailer),
        as_of,
        thresholds: request.thresholds,
        objects_read,
        doubtful_times,
        total,
        classes,
        more_floods,
        unread,
    })
}

/// The kind of a resource's objects, where fields of theirs are read.
fn kind_of(GroupResource { group, resource }: GroupResource<'_>) -> Option<Kind> {
    Kind::of(group, resource)
}

/// Tells what is garbage.
#[derive(Debug)]
struct Judge {
    clock: Clock,
    limits: Thresholds,
    /// etcd's leases that exist.
    leases: HashSet<i64>,
}

/// What an object turned out to be.
enum Verdict {
    Garbage(Class),
    Needed,
    Undated,
}

impl Judge {
    fn judge(&self, kind: Kind, object: &Object) -> Verdict {
        let garbage = |class: Class, is: bool| if is { Verdict::Garbage(class) } else { Verdict::Needed };
        match kind {
            Kind::Event => self.by_age(Class::OldEvents, object, self.limits.event_age_seconds),
            Kind::Lease => self.by_age(Class::StaleLeases, object, self.limits.lease_age_seconds),
            Kind::Job => garbage(Class::FinishedJobs, object.finished),
            Kind::Pod => garbage(Class::FinishedPods, object.finished),
            Kind::ReplicaSet => garbage(Class::EmptyReplicaSets, object.is_at_zero()),
        }
    }

    fn by_age(&self, class: Class, object: &Object, limit: u64) -> Verdict {
        match self.clock.age(object.times()) {
            Some(age) if age.unsigned_abs() > limit => Verdict::Garbage(class),
            Some(_) => Verdict::Needed,
            None => Verdict::Undated,
        }
    }

    /// A class that is told by the size of the value.
    fn by_size(&self, resource: GroupResource<'_>, key: &KeyState<'_>) -> Option<Class> {
        let class = match (resource.group, resource.resource) {
            ("", b"configmaps") => Class::LargeConfigMaps,
            ("", b"secrets") => Class::LargeSecrets,
            _ => return None,
        };
        (u64::from(key.value_len()) >= self.limits.large_bytes).then_some(class)
    }
}

/// What was found in some of the keys.
struct Found<'s, 'a> {
    top: usize,
    classes: BTreeMap<Class, Sums<'s, 'a>>,
    candidates: BTreeMap<GroupResource<'a>, Candidate>,
    unread: BTreeMap<GroupResource<'a>, Unread>,
    objects_read: u64,
    doubtful_times: u64,
    /// All keys, deleted ones included.
    every_key: Sum,
    attached: HashSet<i64>,
}

impl<'s, 'a> Found<'s, 'a> {
    fn new(top: usize) -> Self {
        Self {
            top,
            classes: BTreeMap::new(),
            candidates: BTreeMap::new(),
            unread: BTreeMap::new(),
            objects_read: 0,
            doubtful_times: 0,
            every_key: Sum::default(),
            attached: HashSet::new(),
        }
    }

    fn of(shard: &'s Shard<'a>, judge: &Judge, top: usize) -> Self {
        let mut found = Self::new(top);
        let kinds: Vec<_> = shard.resources().iter().map(|&resource| kind_of(resource)).collect();
        let mut candidates = vec![Candidate::default(); kinds.len()];
        for key in shard.keys() {
            let place = Place::of(shard, key);
            found.every_key.add(key);
            let mut classes = Vec::new();
            if key.is_live() {
                let kind = kinds.get(usize::from(key.resource)).copied().flatten();
                classes.extend(judge.by_size(place.resource, key));
                classes.extend(found.look_into(kind, &place, judge));
                classes.extend(found.lease_of(shard, key, judge));
            }
            if let Some(candidate) = candidates.get_mut(usize::from(key.resource)) {
                candidate.add(place.resource, key, !classes.is_empty());
            }
            for class in classes {
                found.classes.entry(class).or_insert_with(|| Sums::new(top)).add(place);
            }
        }
        found.candidates = shard.resources().iter().copied().zip(candidates).collect();
        found
    }

    /// The class that an object's fields put it into.
    fn look_into(&mut self, kind: Option<Kind>, place: &Place<'s, 'a>, judge: &Judge) -> Option<Class> {
        let key = place.key;
        if key.encoding == ValueKind::Encrypted {
            let unread = self.unread.entry(place.resource).or_default();
            unread.encrypted += 1;
            unread.encrypted_bytes += key.newest_own_bytes();
            return None;
        }
        let kind = kind?;
        match object::read(kind, key.newest().value) {
            Ok(object) => {
                self.objects_read += 1;
                self.doubtful_times += u64::from(object.times().any(|time| !judge.clock.believes(time)));
                match judge.judge(kind, &object) {
                    Verdict::Garbage(class) => return Some(class),
                    Verdict::Needed => {}
                    Verdict::Undated => self.unread.entry(place.resource).or_default().undated += 1,
                }
            }
            Err(Unreadable::Encrypted | Unreadable::Malformed | Unreadable::OtherKind) => {
                self.unread.entry(place.resource).or_default().malformed += 1;
            }
        }
        None
    }

    fn lease_of(&mut self, shard: &Shard<'a>, key: &KeyState<'a>, judge: &Judge) -> Option<Class> {
        let &lease = shard.leases().get(key.lease as usize)?;
        self.attached.insert(lease);
        (!judge.leases.contains(&lease)).then_some(Class::OrphanedKeys)
    }

    fn append(&mut self, more: Self) {
        let top = self.top;
        for (class, sums) in more.classes {
            self.classes.entry(class).or_insert_with(|| Sums::new(top)).append(sums);
        }
        for (resource, candidate) in more.candidates {
            self.candidates.entry(resource).or_default().append(&candidate);
        }
        for (resource, unread) in more.unread {
            let sum = self.unread.entry(resource).or_default();
            sum.encrypted += unread.encrypted;
            sum.encrypted_bytes += unread.encrypted_bytes;
            sum.malformed += unread.malformed;
            sum.undated += unread.undated;
        }
        self.objects_read += more.objects_read;
        self.doubtful_times += more.doubtful_times;
        self.every_key.append(&more.every_key);
        self.attached.extend(more.attached);
    }

    fn unread(&mut self) -> Vec<Unread> {
        let named = |(resource, unread): (GroupResource<'_>, Unread)| Unread {
            group: resource.group.to_owned(),
            resource: resource.resource.into(),
            ..unread
        };
        std::mem::take(&mut self.unread).into_iter().map(named).collect()
    }
}

/// Floods that have a row, the largest ones: with a low threshold, every custom resource is one.
const MAX_FLOODS: usize = 1000;

/// The classes, and what they come to.
struct Classes {
    total: Use,
    rows: Vec<ClassUse>,
    more_floods: u64,
}

/// The report's rows.
impl Found<'_, '_> {
    fn classes(
        mut self,
        state: &State<'_>,
        scan: &Scan<'_>,
        disk: Disk,
        judge: &Judge,
        top: usize,
    ) -> Classes {
        let limits = &judge.limits;
        let mut rows = Vec::new();
        for class in Class::FIXED {
            let sums = self.classes.remove(&class).unwrap_or_else(|| Sums::new(0));
            rows.push(row(class, sums, scan, disk, limits));
        }
        if let Some(row) = rows.iter_mut().find(|row| row.class == Class::LeasesWithoutKeys.name()) {
            let unused = state.leases.iter().filter(|lease| !self.attached.contains(&lease.id));
            row.sum = lease_use(unused);
            row.commands = commands(Class::LeasesWithoutKeys, &row.sum, limits, None);
        }
        let mut total = Sum::default();
        let mut floods = Vec::new();
        for (&resource, candidate) in &self.candidates {
            let flood = candidate.flood(&self.every_key, limits);
            total.append(if flood.is_some() { &candidate.all } else { &candidate.elsewhere });
            floods.extend(flood.map(|flood| (resource, flood, candidate.all.own_bytes)));
        }
        let more_floods = floods.len().saturating_sub(MAX_FLOODS);
        if more_floods > 0 {
            floods.sort_by_key(|&(_, _, bytes)| Reverse(bytes));
            floods.truncate(MAX_FLOODS);
        }
        let floods: BTreeMap<_, _> =
            floods.into_iter().map(|(resource, flood, _)| (resource, flood)).collect();
        let names: BTreeSet<_> = floods.keys().copied().collect();
        let mut found = floods::look_into(scan.keyspace.shards(), &names, judge.clock, top);
        for (resource, (class, reasons)) in floods {
            let Some(flooded) = found.remove(&resource) else { continue };
            rows.push(flood_row(class, resource, reasons, flooded, scan, disk, limits));
        }
        Classes { total: total.finish(disk), rows, more_floods: more_floods as u64 }
    }
}

fn row(class: Class, sums: Sums<'_, '_>, scan: &Scan<'_>, disk: Disk, limits: &Thresholds) -> ClassUse {
    let sum = sums.all.finish(disk);
    let tenants = Tenants::of(&scan.keyspace);
    ClassUse {
        class: class.name(),
        resource: None,
        reasons: Vec::new(),
        sum,
        why: class.why(limits),
        deleting: class.deleting(),
        prevention: class.prevention(),
        commands: commands(class, &sum, limits, None),
        ages: None,
        namespaces: sums.namespaces(disk, tenants),
        top: sums.top(&scan.layout, tenants),
    }
}

fn flood_row(
    class: Class,
    resource: GroupResource<'_>,
    reasons: Vec<&'static str>,
    flooded: Flooded<'_, '_>,
    scan: &Scan<'_>,
    disk: Disk,
    limits: &Thresholds,
) -> ClassUse {
    let ages = Some(flooded.ages());
    let row = row(class, flooded.sums, scan, disk, limits);
    let name = sums::kubectl_name(resource);
    let shown = ByteText::from(resource.resource).to_string();
    ClassUse {
        resource: Some(resource_name(resource.group, &shown)),
        reasons,
        commands: commands(class, &row.sum, limits, name.as_deref()),
        ages,
        ..row
    }
}

/// Where there is nothing, nothing is to be done.
fn commands(class: Class, sum: &Use, limits: &Thresholds, name: Option<&str>) -> Vec<String> {
    if sum.objects == 0 { Vec::new() } else { class.commands(limits, name) }
}

/// etcd's own leases: they stand in the `lease` bucket, under the 8 bytes of their ids, and have no history.
fn lease_use<'l>(leases: impl Iterator<Item = &'l crate::etcd::schema::Lease>) -> Use {
    let mut sum = Use::default();
    for lease in leases {
        sum.objects += 1;
        sum.live_bytes += (ELEMENT_SIZE + size_of::<i64>() + lease.encoded_len()) as u64;
    }
    sum.disk_bytes = sum.live_bytes;
    sum
}
