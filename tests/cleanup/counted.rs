//! The same figures, counted by other means: the file is read by `support::content`, keys are split by hand, objects
//! decoded as a whole by `k8s-pb`, serde_json and ciborium. Nothing of the library's own reading of objects is used.

use std::collections::{BTreeMap, BTreeSet};

use etcd_medic::internals::bolt::Db;
use etcd_medic::internals::cleanup::GarbageLimits;
use etcd_medic::internals::k8s::resources::{KUBERNETES, Resource, ResourceScope};
use k8s_pb::api::apps::v1::ReplicaSet;
use k8s_pb::api::batch::v1::Job;
use k8s_pb::api::coordination::v1::Lease;
use k8s_pb::api::core::v1::{Event, Pod};
use k8s_pb::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_pb::apimachinery::pkg::runtime::Unknown;
use prost::Message;
use serde_json::Value;

use super::support::content::contents;

/// etcd's record, by prost's own means.
#[derive(Clone, PartialEq, Eq, Message)]
struct Record {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(int64, tag = "2")]
    create_revision: i64,
    #[prost(bytes = "vec", tag = "5")]
    value: Vec<u8>,
    #[prost(int64, tag = "6")]
    lease: i64,
}

/// Objects, bytes of newest records, bytes of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub objects: u64,
    pub live: u64,
    pub history: u64,
}

/// A class's figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GarbageClass {
    pub sum: Sum,
    pub namespaces: BTreeMap<Option<String>, Sum>,
    pub keys: BTreeSet<String>,
}

/// What was counted.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// By the class's name; floods by `custom-resource-flood: <resource>` and `built-in-flood: <resource>`.
    pub classes: BTreeMap<String, GarbageClass>,
    pub total: Sum,
    pub now: Option<i64>,
    /// By resource: encrypted values, and their records' bytes.
    pub encrypted: BTreeMap<String, (u64, u64)>,
    pub malformed: u64,
    pub read: u64,
}

#[derive(Clone, Debug, Default)]
struct Key {
    live: Option<(Record, u64)>,
    bytes: u64,
    records: u64,
}

/// What a whole object says.
#[derive(Debug, Default)]
struct Facts {
    created: Option<i64>,
    times: Vec<i64>,
    renewed: Option<i64>,
    garbage: bool,
}

/// Counts a sound file whose keys stand under `/registry`.
pub fn count(db: &Db, limits: &GarbageLimits, as_of: Option<i64>) -> Counted {
    let buckets = contents(db);
    let bucket = |name: &[u8]| {
        buckets.iter().find(|bucket| bucket.parent == Some(0) && bucket.name == name).expect("a bucket")
    };
    let mut keys: BTreeMap<String, Key> = BTreeMap::new();
    for (revision, value) in &bucket(b"key").entries {
        let value = value.expect("no bucket");
        let bytes = 16 + revision.len() as u64 + value.len() as u64;
        let record = Record::decode(value).expect("a record");
        let key = keys.entry(String::from_utf8(record.key.clone()).expect("text")).or_default();
        key.live = (revision.len() == 17).then_some((record, bytes));
        key.bytes += bytes;
        key.records += 1;
    }
    let leases: BTreeSet<i64> = bucket(b"lease")
        .entries
        .iter()
        .map(|(id, _)| i64::from_be_bytes((*id).try_into().expect("8 bytes")))
        .collect();

    let mut counted = Counted::default();
    let mut facts: BTreeMap<&str, Facts> = BTreeMap::new();
    for (key, state) in &keys {
        let Some((record, bytes)) = &state.live else { continue };
        let (resource, ..) = place_of(key);
        if record.value.starts_with(b"k8s:enc:") {
            let sum = counted.encrypted.entry(resource).or_default();
            *sum = (sum.0 + 1, sum.1 + bytes);
        } else if ["events", "jobs", "pods", "replicasets", "leases"].contains(&resource.as_str()) {
            match facts_of(&resource, &record.value) {
                Some(found) => drop(facts.insert(key, found)),
                None => counted.malformed += 1,
            }
        }
    }
    counted.read = facts.len() as u64;
    counted.now = as_of.or_else(|| now(&keys, &facts));

    let mut attached = BTreeSet::new();
    let mut garbage = BTreeSet::new();
    let mut floods: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for (key, state) in &keys {
        let (resource, _, custom) = place_of(key);
        if custom {
            floods.entry(format!("custom-resource-flood: {resource}")).or_default().push(key);
        } else if let Some((name, _)) = built_in_of(key) {
            floods.entry(format!("built-in-flood: {name}")).or_default().push(key);
        }
        let Some((record, _)) = &state.live else { continue };
        let mut classes = Vec::new();
        if record.lease != 0 {
            attached.insert(record.lease);
            classes.extend((!leases.contains(&record.lease)).then_some("keys-of-lost-leases"));
        }
        let large = record.value.len() as u64 >= limits.large_bytes;
        let class = match (resource.as_str(), facts.get(key.as_str())) {
            ("configmaps", _) => large.then_some("large-configmaps"),
            ("secrets", _) => large.then_some("large-secrets"),
            ("events", Some(facts)) => {
                is_older(counted.now, facts, limits.event_age_seconds).then_some("old-events")
            }
            ("leases", Some(facts)) => {
                is_older(counted.now, facts, limits.lease_age_seconds).then_some("stale-leases")
            }
            ("jobs", Some(facts)) => facts.garbage.then_some("finished-jobs"),
            ("pods", Some(facts)) => facts.garbage.then_some("finished-pods"),
            ("replicasets", Some(facts)) => facts.garbage.then_some("replicasets-at-zero"),
            _ => None,
        };
        classes.extend(class);
        for class in classes {
            add(&mut counted, class, key, state);
            garbage.insert(key);
        }
    }
    let all: u64 = keys.values().map(|key| key.bytes).sum();
    for (class, of_resource) in floods {
        let states = || of_resource.iter().map(|key| &keys[*key]);
        let objects = states().filter(|state| state.live.is_some()).count() as u64;
        let bytes: u64 = states().map(|state| state.bytes).sum();
        let records: u64 = states().map(|state| state.records).sum();
        let revised = records >= 1000 && records >= 20 * of_resource.len() as u64;
        let flood = objects >= limits.flood_objects
            || if class.starts_with("custom") {
                (bytes >= 1 << 20 && bytes * 10 >= all) || revised
            } else {
                bytes >= 256 << 10 && bytes * 5 >= all * 2 && (objects >= 500 || revised)
            };
        if flood {
            for key in of_resource {
                add(&mut counted, &class, key, &keys[key]);
                garbage.insert(key);
            }
        }
    }
    for key in garbage {
        counted.total = plus(counted.total, &keys[key]);
    }
    let unused = bucket(b"lease")
        .entries
        .iter()
        .filter(|(id, _)| !attached.contains(&i64::from_be_bytes((*id).try_into().expect("8 bytes"))));
    for (id, value) in unused {
        let class = counted.classes.entry("leases-without-keys".to_owned()).or_default();
        class.sum.objects += 1;
        class.sum.live += (16 + id.len() + value.expect("no bucket").len()) as u64;
    }
    counted
}

fn add(counted: &mut Counted, class: &str, key: &str, state: &Key) {
    let class = counted.classes.entry(class.to_owned()).or_default();
    class.sum = plus(class.sum, state);
    let namespace = built_in_of(key).map_or_else(|| place_of(key).1, |(_, namespace)| namespace);
    let sum = class.namespaces.entry(namespace).or_default();
    *sum = plus(*sum, state);
    class.keys.insert(key.to_owned());
}

fn plus(sum: Sum, state: &Key) -> Sum {
    let live = state.live.as_ref().map_or(0, |(_, bytes)| *bytes);
    Sum {
        objects: sum.objects + u64::from(state.live.is_some()),
        live: sum.live + live,
        history: sum.history + state.bytes - live,
    }
}

/// The resource as kubectl takes it, the namespace, and whether it is a custom one.
fn place_of(key: &str) -> (String, Option<String>, bool) {
    let Some(path) = key.strip_prefix("/registry/") else { return (String::new(), None, false) };
    let parts: Vec<_> = path.split('/').collect();
    let namespace = |rest: &[&str]| (rest.len() > 1).then(|| rest[0].to_owned());
    if parts[0].contains('.') {
        let own = ["apiregistration.k8s.io", "apiextensions.k8s.io"].contains(&parts[0]);
        return (format!("{}.{}", parts[1], parts[0]), namespace(&parts[2..]), !own);
    }
    (parts[0].to_owned(), namespace(&parts[1..]), false)
}

/// A built-in resource as kubectl takes it, and the namespace: by the table of their paths.
fn built_in_of(key: &str) -> Option<(String, Option<String>)> {
    let path = key.strip_prefix("/registry/")?;
    let under =
        |resource: &&Resource| path.strip_prefix(resource.path).is_some_and(|rest| rest.starts_with('/'));
    let resource = KUBERNETES.iter().filter(under).max_by_key(|resource| resource.path.len())?;
    let rest = path.strip_prefix(resource.path)?.strip_prefix('/')?;
    let namespace = rest.split_once('/').filter(|_| resource.scope == ResourceScope::Namespaced);
    let name = match resource.group {
        "" => resource.resource.to_owned(),
        group => format!("{}.{group}", resource.resource),
    };
    Some((name, namespace.map(|(namespace, _)| namespace.to_owned())))
}

/// The latest creation that does not stand out of the nine created last (see `clock.rs`), and the median renewal of those not older than an hour before it.
fn now(keys: &BTreeMap<String, Key>, facts: &BTreeMap<&str, Facts>) -> Option<i64> {
    let live = keys.values().filter_map(|key| key.live.as_ref());
    let mut created: Vec<(i64, i64)> = live
        .filter_map(|(record, _)| {
            let created = created_of(&record.value).filter(|time| is_sensible(*time))?;
            Some((record.create_revision, created))
        })
        .collect();
    created.sort_unstable();
    let mut last: Vec<i64> = created.iter().rev().take(9).map(|(_, time)| *time).collect();
    last.sort_unstable();
    let created = last.get(last.len() / 2).and_then(|median| {
        let limit = median + 3 * (median - last[last.len() / 4]) + 60;
        last.iter().copied().filter(|time| *time <= limit).max()
    });
    let mut renewed: Vec<i64> = facts
        .values()
        .filter_map(|facts| facts.renewed)
        .filter(|time| is_sensible(*time) && created.is_none_or(|created| *time >= created - 3600))
        .collect();
    renewed.sort_unstable();
    created.max(renewed.get(renewed.len() / 2).copied())
}

fn is_sensible(time: i64) -> bool {
    // 2014 to 2099
    (1_388_534_400..4_102_444_800).contains(&time)
}

fn is_older(now: Option<i64>, facts: &Facts, age: u64) -> bool {
    let Some(now) = now else { return false };
    let all = facts.times.iter().copied().chain(facts.created).chain(facts.renewed);
    let latest = all.filter(|time| is_sensible(*time) && *time <= now + 3600).max();
    latest.is_some_and(|latest| now - latest > i64::try_from(age).expect("an age"))
}

/// Just the metadata of any object.
#[derive(Clone, PartialEq, Message)]
struct AnyObject {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
}

fn created_of(value: &[u8]) -> Option<i64> {
    if let Some(envelope) = value.strip_prefix(b"k8s\0") {
        let raw = Unknown::decode(envelope).ok()?.raw?;
        return AnyObject::decode(raw.as_slice()).ok()?.metadata?.creation_timestamp?.seconds;
    }
    let value = match value.strip_prefix(b"\xd9\xd9\xf7") {
        Some(cbor) => json_of(&ciborium::from_reader(cbor).ok()?),
        None => serde_json::from_slice(value).ok()?,
    };
    let text = value.pointer("/metadata/creationTimestamp")?.as_str()?;
    Some(text.parse::<jiff::Timestamp>().ok()?.as_second())
}

fn facts_of(resource: &str, value: &[u8]) -> Option<Facts> {
    if let Some(envelope) = value.strip_prefix(b"k8s\0") {
        let unknown = Unknown::decode(envelope).ok()?;
        return of_protobuf(resource, &unknown.type_meta?.api_version?, &unknown.raw?);
    }
    let value = match value.strip_prefix(b"\xd9\xd9\xf7") {
        Some(cbor) => json_of(&ciborium::from_reader(cbor).ok()?),
        None => serde_json::from_slice(value).ok()?,
    };
    Some(of_json(resource, &value))
}

fn of_protobuf(resource: &str, api_version: &str, raw: &[u8]) -> Option<Facts> {
    let created = |metadata: &Option<ObjectMeta>| {
        metadata.as_ref().and_then(|metadata| metadata.creation_timestamp.as_ref()?.seconds)
    };
    Some(match (resource, api_version) {
        ("events", "v1") => {
            let event = Event::decode(raw).ok()?;
            let times = [
                event.first_timestamp.and_then(|time| time.seconds),
                event.last_timestamp.and_then(|time| time.seconds),
                event.event_time.and_then(|time| time.seconds),
                event.series.and_then(|series| series.last_observed_time?.seconds),
            ];
            let times = times.into_iter().flatten().collect();
            Facts { created: created(&event.metadata), times, ..Facts::default() }
        }
        ("jobs", "batch/v1") => {
            let job = Job::decode(raw).ok()?;
            let conditions = job.status.map(|status| status.conditions).unwrap_or_default();
            let garbage = conditions.iter().any(|condition| {
                matches!(condition.r#type(), "Complete" | "Failed") && condition.status() == "True"
            });
            Facts { created: created(&job.metadata), garbage, ..Facts::default() }
        }
        ("pods", "v1") => {
            let pod = Pod::decode(raw).ok()?;
            let phase = pod.status.and_then(|status| status.phase).unwrap_or_default();
            let garbage = ["Succeeded", "Failed"].contains(&phase.as_str());
            Facts { created: created(&pod.metadata), garbage, ..Facts::default() }
        }
        ("replicasets", "apps/v1") => {
            let set = ReplicaSet::decode(raw).ok()?;
            let created = created(&set.metadata);
            let owners = set.metadata.map(|metadata| metadata.owner_references).unwrap_or_default();
            let owned = owners.iter().any(|owner| owner.kind() == "Deployment" && owner.controller());
            let wanted = set.spec.and_then(|spec| spec.replicas).unwrap_or(1);
            let has = set.status.and_then(|status| status.replicas).unwrap_or(0);
            Facts { created, garbage: owned && wanted == 0 && has == 0, ..Facts::default() }
        }
        ("leases", "coordination.k8s.io/v1") => {
            let lease = Lease::decode(raw).ok()?;
            let renewed = lease.spec.and_then(|spec| spec.renew_time?.seconds);
            Facts { created: created(&lease.metadata), renewed, ..Facts::default() }
        }
        _ => panic!("{resource} of {api_version}: not counted"),
    })
}

fn of_json(resource: &str, value: &Value) -> Facts {
    let time = |pointer: &str| {
        let text = value.pointer(pointer)?.as_str()?;
        Some(text.parse::<jiff::Timestamp>().expect("a time").as_second())
    };
    let list = |pointer: &str| value.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
    let number = |pointer: &str| value.pointer(pointer).and_then(Value::as_i64);
    let garbage = match resource {
        "jobs" => list("/status/conditions")
            .iter()
            .any(|one| (one["type"] == "Complete" || one["type"] == "Failed") && one["status"] == "True"),
        "pods" => value["status"]["phase"] == "Succeeded" || value["status"]["phase"] == "Failed",
        "replicasets" => {
            let owners = list("/metadata/ownerReferences");
            let owned = owners.iter().any(|one| one["kind"] == "Deployment" && one["controller"] == true);
            owned && number("/spec/replicas") == Some(0) && number("/status/replicas").unwrap_or(0) == 0
        }
        _ => false,
    };
    let times = ["/firstTimestamp", "/lastTimestamp", "/eventTime", "/series/lastObservedTime"];
    Facts {
        created: time("/metadata/creationTimestamp"),
        times: times.into_iter().filter_map(time).collect(),
        renewed: time("/spec/renewTime"),
        garbage,
    }
}

/// CBOR's values as JSON's: Kubernetes writes strings as bytes.
fn json_of(value: &ciborium::Value) -> Value {
    use ciborium::Value as Cbor;
    match value {
        Cbor::Bytes(bytes) => Value::String(String::from_utf8_lossy(bytes).into_owned()),
        Cbor::Text(text) => Value::String(text.clone()),
        Cbor::Bool(is) => Value::Bool(*is),
        Cbor::Integer(number) => i64::try_from(*number).map(Value::from).expect("a number"),
        Cbor::Array(items) => Value::Array(items.iter().map(json_of).collect()),
        Cbor::Map(pairs) => {
            let named = pairs
                .iter()
                .map(|(key, value)| (json_of(key).as_str().expect("a name").to_owned(), json_of(value)));
            Value::Object(named.collect())
        }
        _ => Value::Null,
    }
}
