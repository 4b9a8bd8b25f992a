//! Objects written by `k8s-pb`, serde_json and ciborium, read by this module; then the same ones broken and lying.

use ciborium::Value as Cbor;
use k8s_pb::api::apps::v1::{ReplicaSet, ReplicaSetSpec, ReplicaSetStatus};
use k8s_pb::api::batch::v1::{Job, JobCondition, JobStatus};
use k8s_pb::api::coordination::v1::{Lease, LeaseSpec};
use k8s_pb::api::core::v1::{self as core, Pod, PodStatus};
use k8s_pb::api::events::v1 as events;
use k8s_pb::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference, Time as MetaTime};
use prost::Message;
use serde_json::{Value, json};

use super::*;

const CREATED: Seconds = 1_700_000_000;
const FIRST: Seconds = CREATED + 1;
const LAST: Seconds = CREATED + 2;
const EVENT: Seconds = CREATED + 3;
const SERIES: Seconds = CREATED + 4;

fn time(seconds: Seconds) -> Option<MetaTime> {
    Some(MetaTime { seconds: Some(seconds), nanos: Some(0) })
}

fn micro(seconds: Seconds) -> Option<MicroTime> {
    Some(MicroTime { seconds: Some(seconds), nanos: Some(999_999_000) })
}

fn metadata() -> Option<ObjectMeta> {
    Some(ObjectMeta {
        name: Some("name".to_owned()),
        namespace: Some("default".to_owned()),
        creation_timestamp: time(CREATED),
        finalizers: vec!["x".to_owned()],
        ..ObjectMeta::default()
    })
}

/// `runtime.Unknown` as the API server writes it, with its two empty fields at the end.
fn envelope(api_version: &str, kind: &str, object: &impl Message) -> Vec<u8> {
    let mut value = PROTOBUF.to_vec();
    let mut meta = Vec::new();
    prost::encoding::string::encode(1, &api_version.to_owned(), &mut meta);
    prost::encoding::string::encode(2, &kind.to_owned(), &mut meta);
    prost::encoding::bytes::encode(1, &meta, &mut value);
    prost::encoding::bytes::encode(2, &object.encode_to_vec(), &mut value);
    prost::encoding::bytes::encode(3, &Vec::new(), &mut value);
    prost::encoding::bytes::encode(4, &Vec::new(), &mut value);
    value
}

const PROTOBUF: &[u8] = b"k8s\0";

/// As Kubernetes' encoder has it: strings and keys are byte strings.
fn cbor(value: &Value) -> Vec<u8> {
    fn convert(value: &Value) -> Cbor {
        let bytes = |text: &str| Cbor::Bytes(text.as_bytes().to_vec());
        match value {
            Value::Null => Cbor::Null,
            Value::Bool(is) => Cbor::Bool(*is),
            Value::Number(number) => Cbor::Integer(number.as_i64().unwrap().into()),
            Value::String(text) => bytes(text),
            Value::Array(items) => Cbor::Array(items.iter().map(convert).collect()),
            Value::Object(map) => {
                Cbor::Map(map.iter().map(|(key, value)| (bytes(key), convert(value))).collect())
            }
        }
    }
    let mut encoded = vec![0xd9, 0xd9, 0xf7];
    ciborium::into_writer(&convert(value), &mut encoded).unwrap();
    encoded
}

fn json_and_cbor(value: &Value) -> [Vec<u8>; 2] {
    [serde_json::to_vec(value).unwrap(), cbor(value)]
}

fn rfc3339(seconds: Seconds) -> String {
    jiff::Timestamp::from_second(seconds).unwrap().to_string()
}

/// Each kind in each encoding, with what it says.
fn samples() -> Vec<(ObjectKind, Vec<u8>, ObjectFields)> {
    let mut samples = Vec::new();
    let mut add = |kind, protobuf: Vec<u8>, value: Value, expected: ObjectFields| {
        let [json, cbor] = json_and_cbor(&value);
        samples.extend([protobuf, json, cbor].map(|value| (kind, value, expected)));
    };
    let meta = json!({"name": "name", "namespace": "default", "creationTimestamp": rfc3339(CREATED),
        "labels": {"creationTimestamp": "x"}, "finalizers": ["x"]});
    let event = ObjectFields {
        created: Some(CREATED),
        seen: [Some(FIRST), Some(LAST), Some(EVENT), Some(SERIES)],
        ..ObjectFields::default()
    };
    let core_event = core::Event {
        metadata: metadata(),
        first_timestamp: time(FIRST),
        last_timestamp: time(LAST),
        event_time: micro(EVENT),
        series: Some(core::EventSeries { count: Some(3), last_observed_time: micro(SERIES) }),
        count: Some(7),
        message: Some("a message".to_owned()),
        ..core::Event::default()
    };
    let series = json!({"count": 3, "lastObservedTime": "2023-11-14T22:13:24.999999Z"});
    add(
        ObjectKind::Event,
        envelope("v1", "Event", &core_event),
        json!({"kind": "Event", "apiVersion": "v1", "metadata": meta, "firstTimestamp": rfc3339(FIRST),
            "lastTimestamp": rfc3339(LAST), "eventTime": "2023-11-14T22:13:23.999999Z", "series": series}),
        event,
    );
    let new_event = events::Event {
        metadata: metadata(),
        deprecated_first_timestamp: time(FIRST),
        deprecated_last_timestamp: time(LAST),
        event_time: micro(EVENT),
        series: Some(events::EventSeries { count: Some(3), last_observed_time: micro(SERIES) }),
        ..events::Event::default()
    };
    add(
        ObjectKind::Event,
        envelope("events.k8s.io/v1", "Event", &new_event),
        json!({"kind": "Event", "apiVersion": "events.k8s.io/v1", "metadata": meta, "series": series,
            "deprecatedFirstTimestamp": rfc3339(FIRST), "deprecatedLastTimestamp": rfc3339(LAST),
            "eventTime": "2023-11-14T22:13:23.999999Z"}),
        event,
    );
    for (condition, status, finished) in [
        ("Complete", "True", true),
        ("Failed", "True", true),
        ("Failed", "False", false),
        ("Suspended", "True", false),
    ] {
        let other = JobCondition {
            r#type: Some("SuccessCriteriaMet".to_owned()),
            status: Some("True".to_owned()),
            ..JobCondition::default()
        };
        let told = JobCondition {
            r#type: Some(condition.to_owned()),
            status: Some(status.to_owned()),
            ..JobCondition::default()
        };
        let status_of = JobStatus { conditions: vec![other.clone(), told, other], ..JobStatus::default() };
        let job = Job { metadata: metadata(), status: Some(status_of), ..Job::default() };
        let other = json!({"type": "SuccessCriteriaMet", "status": "True"});
        let told = json!({"status": status, "type": condition, "reason": "x"});
        add(
            ObjectKind::Job,
            envelope("batch/v1", "Job", &job),
            json!({"kind": "Job", "apiVersion": "batch/v1", "metadata": meta,
                "status": {"conditions": [other, told, other]}}),
            ObjectFields { created: Some(CREATED), finished, ..ObjectFields::default() },
        );
    }
    for (phase, finished) in [("Succeeded", true), ("Failed", true), ("Running", false), ("", false)] {
        let status = PodStatus { phase: Some(phase.to_owned()), ..PodStatus::default() };
        let pod = Pod { metadata: metadata(), status: Some(status), ..Pod::default() };
        add(
            ObjectKind::Pod,
            envelope("v1", "Pod", &pod),
            json!({"kind": "Pod", "apiVersion": "v1", "metadata": meta, "spec": {"nodeName": "a"},
                "status": {"phase": phase, "conditions": null}}),
            ObjectFields { created: Some(CREATED), finished, ..ObjectFields::default() },
        );
    }
    for (kind, controller, wanted, replicas) in [
        ("Deployment", true, Some(0), Some(0)),
        ("Deployment", true, Some(0), None),
        ("Deployment", true, None, Some(0)),
        ("Deployment", true, Some(0), Some(2)),
        ("Deployment", false, Some(0), Some(0)),
        ("Rollout", true, Some(0), Some(0)),
        ("Deployment", true, Some(-1), Some(i32::MAX)),
    ] {
        let owner = OwnerReference {
            kind: Some(kind.to_owned()),
            controller: Some(controller),
            ..OwnerReference::default()
        };
        let set = ReplicaSet {
            metadata: metadata().map(|metadata| ObjectMeta { owner_references: vec![owner], ..metadata }),
            spec: Some(ReplicaSetSpec { replicas: wanted, ..ReplicaSetSpec::default() }),
            status: Some(ReplicaSetStatus { replicas, ..ReplicaSetStatus::default() }),
        };
        let mut owned = meta.clone();
        owned["ownerReferences"] = json!([{"kind": kind, "controller": controller, "name": "a"}]);
        let expected = ObjectFields {
            created: Some(CREATED),
            replicas_wanted: Some(wanted.unwrap_or(1).into()),
            replicas: replicas.map(Into::into),
            by_deployment: kind == "Deployment" && controller,
            ..ObjectFields::default()
        };
        assert_eq!(
            expected.is_at_zero(),
            expected.by_deployment && wanted == Some(0) && replicas.unwrap_or(0) == 0
        );
        add(
            ObjectKind::ReplicaSet,
            envelope("apps/v1", "ReplicaSet", &set),
            json!({"kind": "ReplicaSet", "apiVersion": "apps/v1", "metadata": owned, "spec": {"replicas": wanted},
                "status": {"replicas": replicas}}),
            expected,
        );
    }
    let lease = Lease {
        metadata: metadata(),
        spec: Some(LeaseSpec {
            holder_identity: Some("me".to_owned()),
            acquire_time: micro(FIRST),
            renew_time: micro(LAST),
            ..LeaseSpec::default()
        }),
    };
    add(
        ObjectKind::Lease,
        envelope("coordination.k8s.io/v1", "Lease", &lease),
        json!({"kind": "Lease", "apiVersion": "coordination.k8s.io/v1", "metadata": meta,
            "spec": {"renewTime": "2023-11-14T22:13:22.5Z", "acquireTime": "no time, and not asked for"}}),
        ObjectFields { created: Some(CREATED), renewed: Some(LAST), ..ObjectFields::default() },
    );
    samples
}

#[test]
fn every_kind_is_read_from_every_encoding() {
    for (kind, value, expected) in samples() {
        assert_eq!(read(kind, &value), Ok(expected), "{kind:?} {}", String::from_utf8_lossy(&value));
    }
}

#[test]
fn what_has_nothing_but_its_kind_is_an_object() {
    for (kind, api_version) in [
        (ObjectKind::Event, "v1"),
        (ObjectKind::Event, "events.k8s.io/v1beta1"),
        (ObjectKind::Job, "batch/v1"),
        (ObjectKind::Pod, "v1"),
        (ObjectKind::ReplicaSet, "extensions/v1beta1"),
        (ObjectKind::Lease, "coordination.k8s.io/v1"),
    ] {
        let wanted = (kind == ObjectKind::ReplicaSet).then_some(1);
        let expected = ObjectFields { replicas_wanted: wanted, ..ObjectFields::default() };
        let value = json!({"apiVersion": api_version, "kind": kind.name(), "metadata": null, "status": {}});
        for value in json_and_cbor(&value) {
            assert_eq!(read(kind, &value), Ok(expected), "{kind:?}");
        }
        // a zero time is an empty message
        let empty = core::Event { event_time: Some(MicroTime::default()), ..core::Event::default() };
        let value = if kind == ObjectKind::Event {
            envelope(api_version, "Event", &empty)
        } else {
            envelope(api_version, kind.name(), &Pod::default())
        };
        assert_eq!(read(kind, &value), Ok(expected), "{kind:?}");
    }
}

/// Broken off anywhere, a value tells nothing, or all that it told: where only the empty end is missing.
#[test]
fn every_truncation_is_malformed() {
    for (kind, value, expected) in samples() {
        for len in 0..value.len() {
            match read(kind, &value[..len]) {
                Ok(object) => {
                    assert!(value.starts_with(PROTOBUF) && value.len() - len <= 4, "{kind:?} cut at {len}");
                    assert_eq!(object, expected);
                }
                Err(error) => assert_eq!(error, UnreadableObject::Malformed, "{kind:?} cut at {len}"),
            }
        }
    }
}

/// No byte, changed to anything, makes the reader panic or hang.
#[test]
fn every_byte_may_lie() {
    for (kind, mut value, _) in samples() {
        for at in 0..value.len() {
            let was = value[at];
            for lie in [0x00, 0x01, 0x5f, 0x7f, 0x80, 0x9b, 0xbb, 0xdb, 0xff, was ^ 1, was ^ 0x20] {
                value[at] = lie;
                let _ = read(kind, &value);
            }
            value[at] = was;
        }
    }
}

#[test]
fn other_kinds_are_not_guessed() {
    let pod = envelope("v1", "Pod", &Pod::default());
    for kind in [ObjectKind::Event, ObjectKind::Job, ObjectKind::ReplicaSet, ObjectKind::Lease] {
        assert_eq!(read(kind, &pod), Err(UnreadableObject::OtherKind), "{kind:?}");
    }
    let foreign = envelope("example.org/v1", "Pod", &Pod::default());
    assert_eq!(read(ObjectKind::Pod, &foreign), Err(UnreadableObject::OtherKind));
    assert_eq!(read(ObjectKind::Pod, b"k8s:enc:aescbc:v1:key1:Pod"), Err(UnreadableObject::Encrypted));
    for value in [
        &b""[..],
        b"k8s\0",
        b"{}",
        b"{\"kind\":\"Pod\"}",
        b"[]",
        b"\xd9\xd9\xf7",
        b"\xd9\xd9\xf7\xa0",
        b"plain",
    ] {
        assert_eq!(read(ObjectKind::Pod, value), Err(UnreadableObject::Malformed), "{value:?}");
    }
    assert_eq!(ObjectKind::of("", b"pods"), Some(ObjectKind::Pod));
    for (group, resource) in [("metrics.k8s.io", &b"pods"[..]), ("", b"jobs"), ("", b"leases"), ("", b"pod")]
    {
        assert_eq!(ObjectKind::of(group, resource), None);
    }
}

#[test]
fn fields_of_a_wrong_type_are_malformed() {
    let base = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"creationTimestamp": "2024-01-01T00:00:00Z"},
        "status": {"phase": "Failed"}});
    let lies = [
        ("metadata", json!("text")),
        ("metadata", json!({"creationTimestamp": "yesterday"})),
        ("metadata", json!({"creationTimestamp": "99999-01-01T00:00:00Z"})),
        ("metadata", json!({"creationTimestamp": "9999-12-31T23:59:59"})),
        ("metadata", json!({"creationTimestamp": "9999-12-32T23:59:59Z"})),
        ("metadata", json!({"creationTimestamp": 7})),
        ("metadata", json!({"ownerReferences": {"kind": "Deployment"}})),
        ("metadata", json!({"ownerReferences": [7]})),
        ("status", json!({"phase": 7})),
        ("status", json!({"phase": ["Failed"]})),
        ("status", json!([])),
        ("kind", json!(7)),
    ];
    for (field, lie) in lies {
        let mut value = base.clone();
        value[field] = lie.clone();
        for value in json_and_cbor(&value) {
            assert_eq!(read(ObjectKind::Pod, &value), Err(UnreadableObject::Malformed), "{field} {lie}");
        }
    }
    // `status` as a number, as a group that never ends; a phase as a number; metadata one byte longer than all
    let raw = |bytes: &[u8]| {
        let mut value = b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12".to_vec();
        value.push(u8::try_from(bytes.len()).unwrap());
        value.extend(bytes);
        value
    };
    assert_eq!(read(ObjectKind::Pod, &raw(b"\x1a\x08\x0a\x06Failed")).map(|pod| pod.finished), Ok(true));
    for lie in [
        &b"\x18\x01"[..],
        b"\x1b",
        b"\x1a\x02\x08\x01",
        b"\x0a\x09\x42\x01\x08",
        b"\x00",
        b"\x1a\xff\xff\xff\xff\x0f",
    ] {
        assert_eq!(read(ObjectKind::Pod, &raw(lie)), Err(UnreadableObject::Malformed), "{lie:?}");
    }
}

/// Nested as deep as the file says: skipped by a counter or a bound, never by the stack.
#[test]
fn depth_costs_no_stack() {
    let deep = 1_000_000;
    let mut json = br#"{"apiVersion":"v1","kind":"Pod","spec":{"x":"#.to_vec();
    json.extend(std::iter::repeat_n(b'[', deep));
    let mut cbor = b"\xd9\xd9\xf7\xa1\x44spec\xa1\x41x".to_vec();
    cbor.extend(std::iter::repeat_n(0x81, deep));
    let mut tags = b"\xd9\xd9\xf7\xa1\x44spec\xa1\x41x".to_vec();
    tags.extend(std::iter::repeat_n(0xc1, deep));
    let mut groups = b"k8s\0".to_vec();
    groups.extend(std::iter::repeat_n(0x2b, deep));
    for value in [json, cbor, tags, groups] {
        assert_eq!(read(ObjectKind::Pod, &value), Err(UnreadableObject::Malformed));
    }
}

/// Lengths that no value has: nothing is set aside for them.
#[test]
fn claimed_lengths_are_not_believed() {
    for lie in [
        &b"\xd9\xd9\xf7\xbb\x7f\xff\xff\xff\xff\xff\xff\xff"[..],
        b"\xd9\xd9\xf7\xa1\x44kind\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\xd9\xd9\xf7\xa1\x44kind\x7b\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\xd9\xd9\xf7\xa1\x46status\xa1\x4aconditions\x9b\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\xd9\xd9\xf7\xbf",
        b"k8s\0\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"k8s\0\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    ] {
        assert_eq!(read(ObjectKind::Job, lie), Err(UnreadableObject::Malformed), "{lie:?}");
    }
}

/// Any time that RFC 3339 can write is a number: judged by who asks for an age.
#[test]
fn the_ends_of_time_are_times() {
    for (text, expected) in [
        ("9999-12-31T23:59:59Z", Seconds::MAX),
        ("9999-12-31T23:59:59.999999+01:00", Seconds::MAX),
        ("9999-12-30T00:00:00Z", 253_402_128_000),
        ("0001-01-01T00:00:00Z", -62_135_596_800),
        ("-009999-01-01T00:00:00Z", Seconds::MIN),
    ] {
        let value = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"creationTimestamp": text}});
        for value in json_and_cbor(&value) {
            assert_eq!(read(ObjectKind::Pod, &value).map(|pod| pod.created), Ok(Some(expected)), "{text}");
        }
    }
}
