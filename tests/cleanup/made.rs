//! Hand-made files: each encoding, lies, and the edges of what counts.

use etcd_medic::internals::bolt::Db;
use etcd_medic::internals::cleanup::{
    ClassUse, Cleanup, CleanupError, CleanupRequest, GarbageLimits, cleanup,
};
use etcd_medic::internals::etcd::schema::State;
use etcd_medic::internals::etcd::trailer::Trailer;
use etcd_medic::internals::owner::{NoKeys, Owner};
use etcd_medic::internals::scan::{ScanOptions, scan};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::corpora::cleanup_of;
use super::support::builder::{Entry, FileBuilder, bucket, plain};
use super::support::etcd_file::{LEASE, file_of, put, tombstone};
use super::support::fixture;

/// The file's time in all of these.
pub const NOW: &str = "2026-03-01T12:00:00Z";

/// The row of a class.
pub fn class<'c>(found: &'c Cleanup, name: &str) -> &'c ClassUse {
    found.classes.iter().find(|row| row.class == name).unwrap_or_else(|| panic!("no {name}"))
}

/// Records of keys, each created at the revision that it stands at: (key, value).
pub fn created(objects: &[(&str, Vec<u8>)]) -> Vec<Entry> {
    let number = |at: usize| i64::try_from(at).expect("few") + 3;
    let records = objects.iter().enumerate();
    records.map(|(at, (key, value))| put(number(at), key.as_bytes(), number(at), 1, value, 0)).collect()
}

/// What is found among these records.
fn found_in(records: &[Entry], thresholds: GarbageLimits, as_of: Option<&str>) -> Cleanup {
    let db = Db::new(file_of(4096, records, 4).bytes()).expect("a db");
    cleanup_of(&db, thresholds, as_of.map(|time| time.parse().expect("RFC 3339")))
}

fn usual(records: &[Entry]) -> Cleanup {
    found_in(records, GarbageLimits::default(), None)
}

fn json(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("JSON")
}

/// An object of this kind, of this age, with more fields.
pub fn object(api_version: &str, kind: &str, made: &str, more: &Value) -> Vec<u8> {
    let mut value = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a", "creationTimestamp": made}});
    for (name, field) in more.as_object().expect("fields") {
        value[name] = field.clone();
    }
    json(&value)
}

fn event(made: &str, more: &Value) -> Vec<u8> {
    object("v1", "Event", made, more)
}

fn lease(made: &str, renewed: &str) -> Vec<u8> {
    object("coordination.k8s.io/v1", "Lease", made, &json!({"spec": {"renewTime": renewed}}))
}

#[test]
fn events_are_old_by_the_last_of_their_times() {
    let last = |time: &str| json!({"lastTimestamp": time});
    let found = usual(&created(&[
        ("/registry/events/a/old", event("2026-03-01T10:00:00Z", &last("2026-03-01T10:59:59Z"))),
        ("/registry/events/a/an-hour", event("2026-03-01T10:00:00Z", &last("2026-03-01T11:00:00Z"))),
        (
            "/registry/events/b/null",
            event("2026-03-01T10:00:00Z", &json!({"lastTimestamp": null, "eventTime": null})),
        ),
        (
            "/registry/events/b/series",
            event("2026-03-01T10:00:00Z", &json!({"series": {"lastObservedTime": "2026-03-01T11:30:00.5Z"}})),
        ),
        (
            "/registry/events/b/new",
            object(
                "events.k8s.io/v1",
                "Event",
                "2026-03-01T10:00:00Z",
                &json!({"deprecatedLastTimestamp": "2026-03-01T11:30:00Z"}),
            ),
        ),
        ("/registry/leases/kube-node-lease/n", lease("2026-01-01T00:00:00Z", NOW)),
    ]));
    assert_eq!(found.as_of.time.as_deref(), Some(NOW));
    assert_eq!(found.as_of.renewed.as_deref(), Some(NOW));
    let names: Vec<_> = class(&found, "old-events").top.iter().map(|top| top.name.to_string()).collect();
    assert_eq!(
        (names.len(), names.contains(&"old".to_owned()), names.contains(&"null".to_owned())),
        (2, true, true)
    );
    assert_eq!(class(&found, "stale-leases").sum.objects, 0);
    assert_eq!((found.objects_read, found.doubtful_times), (6, 0));
}

/// A few liars neither move the file's time nor make anything old.
#[test]
fn lying_times_make_no_nonsense() {
    let mut objects = Vec::new();
    let names: Vec<_> = (0..20).map(|number| format!("/registry/events/a/honest-{number:02}")).collect();
    objects.extend(names.iter().map(|name| (name.as_str(), event(NOW, &json!({})))));
    let last = |time: &str| json!({"lastTimestamp": time});
    objects.extend([
        ("/registry/events/a/year-9999", event(NOW, &last("9999-12-31T23:59:59Z"))),
        ("/registry/events/a/year-2090", event(NOW, &last("2090-01-01T00:00:00Z"))),
        ("/registry/events/a/negative", event(NOW, &last("-000001-01-01T00:00:00Z"))),
        ("/registry/events/a/epoch", event(NOW, &last("1970-01-01T00:00:00Z"))),
        ("/registry/events/a/born-9999", event("9999-01-01T00:00:00Z", &json!({}))),
        ("/registry/events/a/born-2090", event("2090-01-01T00:00:00Z", &json!({}))),
        ("/registry/leases/a/ahead", lease(NOW, "2089-01-01T00:00:00Z")),
        ("/registry/leases/a/now-1", lease(NOW, NOW)),
        ("/registry/leases/a/now-2", lease(NOW, NOW)),
        ("/registry/leases/a/now-3", lease(NOW, NOW)),
    ]);
    let found = usual(&created(&objects));
    assert_eq!(found.as_of.time.as_deref(), Some(NOW));
    assert_eq!(class(&found, "old-events").sum.objects, 0);
    assert_eq!(class(&found, "stale-leases").sum.objects, 0);
    assert_eq!(found.doubtful_times, 7);
    // those with no other time have none
    assert_eq!(found.unread.iter().map(|row| row.undated).sum::<u64>(), 2);
    // and as of any time that is asked for, nothing is counted that could not be dated
    for as_of in ["-009999-01-02T01:59:59Z", "1970-01-01T00:00:00Z", "9999-12-30T22:00:00Z"] {
        let found = found_in(&created(&objects), GarbageLimits::default(), Some(as_of));
        let old = class(&found, "old-events").sum.objects;
        let future = as_of.starts_with("9999");
        assert_eq!(old, if future { 25 } else { 0 }, "{as_of}");
        assert_eq!(found.as_of.source, Some("option"));
    }
}

#[test]
fn without_a_time_nothing_has_an_age() {
    let records = created(&[
        ("/registry/events/a/x", event("1970-01-01T00:00:00Z", &json!({}))),
        ("/registry/events/a/y", json(&json!({"apiVersion": "v1", "kind": "Event"}))),
        ("/registry/leases/a/z", json(&json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}))),
        (
            "/registry/pods/a/w",
            object("v1", "Pod", "1969-01-01T00:00:00Z", &json!({"status": {"phase": "Failed"}})),
        ),
    ]);
    let found = usual(&records);
    assert_eq!((found.as_of.time.as_ref(), found.as_of.source), (None, None));
    assert_eq!(class(&found, "old-events").sum.objects + class(&found, "stale-leases").sum.objects, 0);
    assert_eq!(class(&found, "finished-pods").sum.objects, 1);
    assert_eq!(found.unread.iter().map(|row| row.undated).sum::<u64>(), 3);
}

#[test]
fn leases_are_stale_from_a_day_on() {
    let found = usual(&created(&[
        ("/registry/leases/a/day", lease("2026-01-01T00:00:00Z", "2026-02-28T12:00:00.000001Z")),
        ("/registry/leases/a/longer", lease("2026-01-01T00:00:00Z", "2026-02-28T11:59:59Z")),
        (
            "/registry/leases/a/never",
            object("coordination.k8s.io/v1", "Lease", "2026-01-01T00:00:00Z", &json!({})),
        ),
        ("/registry/leases/a/new", object("coordination.k8s.io/v1", "Lease", NOW, &json!({"spec": null}))),
        ("/registry/leases/a/now", lease(NOW, NOW)),
        ("/registry/leases/a/now2", lease(NOW, NOW)),
    ]));
    let stale = class(&found, "stale-leases");
    let names: Vec<_> = stale.top.iter().map(|top| top.command.as_str()).collect();
    assert_eq!(stale.sum.objects, 2, "{names:?}");
    assert!(names.contains(&"kubectl delete leases.coordination.k8s.io longer --namespace a"), "{names:?}");
}

#[test]
fn what_cannot_be_read_is_counted_and_not_guessed() {
    let failed = object("v1", "Pod", NOW, &json!({"status": {"phase": "Failed"}}));
    let found = usual(&created(&[
        ("/registry/pods/a/plain", failed.clone()),
        ("/registry/pods/a/encrypted", b"k8s:enc:kms:v2:key:\"phase\":\"Failed\"".to_vec()),
        ("/registry/pods/a/cut", failed[..failed.len() - 1].to_vec()),
        ("/registry/pods/a/empty", Vec::new()),
        ("/registry/pods/a/other", object("v1", "Event", NOW, &json!({"status": {"phase": "Failed"}}))),
        ("/registry/secrets/a/encrypted", b"k8s:enc:aescbc:v1:key:xxxx".to_vec()),
        ("/app/encrypted", b"k8s:enc:aescbc:v1:key:xxxx".to_vec()),
    ]));
    assert_eq!(class(&found, "finished-pods").sum.objects, 1);
    let unread: Vec<_> = found
        .unread
        .iter()
        .map(|row| (row.resource.to_string(), row.encrypted, row.malformed, row.undated))
        .collect();
    let expected = [("/app", 1, 0, 0), ("pods", 1, 3, 0), ("secrets", 1, 0, 0)];
    assert_eq!(unread, expected.map(|(name, a, b, c)| (name.to_owned(), a, b, c)));
    assert_eq!(found.objects_read, 1);
}

#[test]
fn history_is_that_of_the_same_key() {
    let key = b"/registry/pods/a/b";
    let pod = |phase: &str| object("v1", "Pod", NOW, &json!({"status": {"phase": phase}}));
    let records = [
        put(3, key, 3, 1, &pod("Running"), 0),
        put(4, key, 3, 2, &pod("Failed"), 0),
        tombstone(5, key),
        put(6, key, 6, 1, &pod("Pending"), 0),
        put(7, key, 6, 2, &pod("Succeeded"), 0),
        put(8, b"/registry/pods/a/deleted", 8, 1, &pod("Failed"), 0),
        tombstone(9, b"/registry/pods/a/deleted"),
        put(10, b"/registry/pods/c/runs", 10, 1, &pod("Failed"), 0),
        put(11, b"/registry/pods/c/runs", 10, 2, &pod("Running"), 0),
    ];
    let found = usual(&records);
    let pods = class(&found, "finished-pods");
    let bytes = |at: usize| (16 + records[at].key.len() + records[at].value.len()) as u64;
    let sums = (pods.sum.objects, pods.sum.live_bytes, pods.sum.history_bytes);
    assert_eq!(sums, (1, bytes(4), (0..4).map(bytes).sum()));
    assert_eq!(pods.namespaces.len(), 1);
    assert_eq!((found.total.live_bytes, found.total.history_bytes), (sums.1, sums.2));
    assert!(pods.sum.disk_bytes > sums.1 + sums.2, "its share of headers, slack and branches");
}

#[test]
fn size_counts_from_the_threshold_on() {
    let of = |len: usize| vec![b'x'; len];
    let records = created(&[
        ("/registry/configmaps/a/below", of(999)),
        ("/registry/configmaps/a/at", of(1000)),
        ("/registry/secrets/a/above", of(1001)),
        ("/registry/secrets/a/below", of(999)),
        ("/registry/example.org/configmaps/a/custom", of(2000)),
        ("/configmaps/a/foreign", of(2000)),
    ]);
    let found = found_in(&records, GarbageLimits { large_bytes: 1000, ..GarbageLimits::default() }, None);
    let names = |name: &str| -> Vec<String> {
        class(&found, name).top.iter().map(|top| format!("{} {}", top.name, top.value_bytes)).collect()
    };
    assert_eq!(names("large-configmaps"), ["at 1000"]);
    assert_eq!(names("large-secrets"), ["above 1001"]);
    assert_eq!(found.objects_read, 0, "not looked into");
}

#[test]
fn leases_of_etcd() {
    let value = b"plain";
    let records = [
        put(3, b"/registry/events/a/b", 3, 1, &event(NOW, &json!({})), 77),
        put(4, b"/app/x y", 4, 1, value, -5),
        put(5, b"/app/other", 5, 1, value, 0),
    ];
    let found = usual(&records);
    // the one lease of the file has no key
    let unused = class(&found, "leases-without-keys");
    assert_eq!((unused.sum.objects, unused.commands.len()), (1, 1));
    let lost = class(&found, "keys-of-lost-leases");
    let commands: Vec<_> = lost.top.iter().map(|top| top.command.as_str()).collect();
    assert_eq!(commands, ["kubectl delete events b --namespace a", ""]);
    assert!(lost.commands.is_empty());
    assert_eq!(found.total.objects, 2);

    let attached = usual(&[put(3, b"/app/x", 3, 1, value, LEASE), put(4, b"/app/y", 4, 1, value, 0)]);
    assert_eq!(class(&attached, "leases-without-keys").sum.objects, 0);
    assert_eq!(class(&attached, "keys-of-lost-leases").sum.objects, 0);
}

#[test]
fn custom_resources_are_a_flood_by_number_share_or_revisions() {
    let limits = GarbageLimits { flood_objects: 30, ..GarbageLimits::default() };
    let names: Vec<String> =
        (0..30)
            .flat_map(|number| {
                ["example.org/many", "example.org/big", "wgpolicyk8s.io/churn"]
                    .map(|resource| format!("/registry/{resource}/ns/object-{number:02}"))
            })
            .chain((0..29).map(|number| format!("/registry/example.org/few/ns/object-{number:02}")))
            // built-in; and nobody's
            .chain((0..40).map(|number| {
                format!("/registry/apiextensions.k8s.io/customresourcedefinitions/x{number:02}")
            }))
            .chain((0..40).map(|number| format!("/example.org/many/object-{number:02}")))
            .collect();
    let mut records = Vec::new();
    for name in &names {
        let small_share = name.contains("big") || name.contains("churn");
        if small_share && !name.ends_with("00") {
            continue;
        }
        let (revisions, bytes) = match name {
            name if name.contains("big") => (1, 1 << 20),
            name if name.contains("churn") => (1000, 1),
            _ => (1, 10),
        };
        let first = i64::try_from(records.len()).expect("few") + 3;
        let value = vec![b'x'; bytes];
        records.extend(
            (0..revisions).map(|more| put(first + more, name.as_bytes(), first, more + 1, &value, 0)),
        );
    }
    let found = found_in(&records, limits, None);
    let floods = found.classes.iter().filter(|row| row.class == "custom-resource-flood");
    let floods: Vec<_> = floods
        .map(|row| (row.resource.as_deref().expect("a resource"), row.reasons.as_slice(), row.sum.objects))
        .collect();
    assert_eq!(
        floods,
        [
            ("big.example.org", &["share"][..], 1),
            ("many.example.org", &["objects"][..], 30),
            ("churn.wgpolicyk8s.io", &["revisions"][..], 1),
        ]
    );
    let commands = found.classes.iter().filter(|row| row.resource.is_some()).flat_map(|row| &row.commands);
    assert!(
        commands.clone().all(|command| command.starts_with("kubectl get ")),
        "{:?}",
        commands.collect::<Vec<_>>()
    );
    // the 40 definitions are a built-in resource's, and as many as make a flood here
    let built_in = class(&found, "built-in-flood");
    let name = "customresourcedefinitions.apiextensions.k8s.io";
    assert_eq!((built_in.resource.as_deref(), built_in.sum.objects), (Some(name), 40));
    assert_eq!(found.total.objects, 72);
}

/// Names of keys are hostile: none gets into a command that a shell would read otherwise.
#[test]
fn names_that_are_not_plain_get_no_command() {
    let records = created(&[
        ("/registry/secrets/a/$(reboot)", vec![b'x'; 50]),
        ("/registry/secrets/--all/x", vec![b'x'; 50]),
        ("/registry/secrets/a/b c", vec![b'x'; 50]),
        ("/registry/secrets/a/\u{1b}[31m", vec![b'x'; 50]),
        ("/registry/secrets/a/fine.1", vec![b'x'; 50]),
        ("/registry/example.org/things;reboot/a/b", vec![b'x'; 50]),
    ]);
    let limits = GarbageLimits { large_bytes: 50, flood_objects: 1, ..GarbageLimits::default() };
    let found = found_in(&records, limits, None);
    let commands: Vec<_> =
        class(&found, "large-secrets").top.iter().map(|top| top.command.as_str()).collect();
    assert_eq!(commands.iter().filter(|command| !command.is_empty()).count(), 1, "{commands:?}");
    assert!(commands.contains(&"kubectl delete secrets fine.1 --namespace a"));
    let flood = class(&found, "custom-resource-flood");
    assert_eq!(flood.resource.as_deref(), Some("things;reboot.example.org"));
    assert!(flood.commands.is_empty() && flood.top.iter().all(|top| top.command.is_empty()));
}

#[test]
fn a_file_without_keys_is_refused() {
    let mut file = FileBuilder::new(1024);
    let leaf = file.leaf(&[plain("key", "value")]);
    let root = file.leaf(&[bucket("data", leaf)]);
    file.root(root);
    let db = Db::new(file.bytes()).expect("a db");
    let state = State::read(&db);
    let scan = scan(&db, &state, ScanOptions::default());
    let thresholds = GarbageLimits::default();
    let request =
        CleanupRequest { path: "db".as_ref(), trailer: Trailer::None, thresholds, as_of: None, top: 5 };
    assert_eq!(cleanup(&db, &state, &scan, &request).err(), Some(CleanupError::NoKeys(NoKeys(Owner::Other))));
}

/// Of a damaged file, what can be read is counted; no byte of it makes anything panic.
#[test]
fn a_damaged_file_still_tells() {
    let last = |time: &str| json!({"lastTimestamp": time});
    let names: Vec<_> = (0..40).map(|number| format!("/registry/events/a/{number:02}")).collect();
    let old = event("2026-03-01T08:00:00Z", &last("2026-03-01T08:00:00Z"));
    let mut objects: Vec<_> = names.iter().map(|name| (name.as_str(), old.clone())).collect();
    objects.push(("/registry/leases/a/b", lease(NOW, NOW)));
    let mut file = file_of(1024, &created(&objects), 4);
    let whole = cleanup_of(&Db::new(file.bytes()).expect("a db"), GarbageLimits::default(), None);
    assert_eq!((class(&whole, "old-events").sum.objects, whole.health.sound), (40, true));
    file.header(3).flags.set(0x7777);
    let found = cleanup_of(&Db::new(file.bytes()).expect("a db"), GarbageLimits::default(), None);
    assert_eq!((class(&found, "old-events").sum.objects, found.health.sound), (36, false));

    let bytes = file_of(1024, &created(&objects[36..]), 4).bytes();
    for at in (0..bytes.len()).step_by(3) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0xff;
        let Ok(db) = Db::new(bytes) else { continue };
        let state = State::read(&db);
        let scan = scan(&db, &state, ScanOptions::default());
        let (trailer, thresholds) = (Trailer::None, GarbageLimits::default());
        let request = CleanupRequest { path: "db".as_ref(), trailer, thresholds, as_of: None, top: 3 };
        if let Ok(found) = cleanup(&db, &state, &scan, &request) {
            assert!(found.total.objects <= 5, "byte {at}");
        }
    }
}

/// The rows of a class name the largest objects, whatever the number asked for.
#[test]
fn top_is_the_head_of_all() {
    let db = Db::new(fixture("k8s-frag/frag.db")).expect("a db");
    let state = State::read(&db);
    let scan = scan(&db, &state, ScanOptions::default());
    let as_of: Timestamp = "2099-01-01T00:00:00Z".parse().expect("RFC 3339");
    let of = |top: usize| {
        let (trailer, thresholds) =
            (Trailer::None, GarbageLimits { large_bytes: 1, ..GarbageLimits::default() });
        let request = CleanupRequest { path: "db".as_ref(), trailer, thresholds, as_of: Some(as_of), top };
        cleanup(&db, &state, &scan, &request).expect("an etcd file")
    };
    let all = of(usize::MAX);
    for top in [0, 1, 7, 100] {
        for (some, all) in of(top).classes.iter().zip(&all.classes) {
            let keys = |row: &ClassUse| row.top.iter().map(|top| top.key.to_string()).collect::<Vec<_>>();
            let mut expected = keys(all);
            let bytes = |row: &ClassUse| {
                row.top.iter().map(|top| top.live_bytes + top.history_bytes).collect::<Vec<_>>()
            };
            assert!(bytes(all).is_sorted_by(|a, b| a >= b), "{}", all.class);
            expected.truncate(top);
            assert_eq!(keys(some), expected, "{} {top}", all.class);
            assert_eq!(some.sum, all.sum, "{} {top}", all.class);
        }
    }
}
