//! Shapes of files that public reports show: many API servers in one etcd, kcp, restores with `--bump-revision`, floods of built-in
//! resources, members that raft does not know, and names that nothing has. Each rule is held over other inputs of its kind, too, and
//! over all real files.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use crate::support::corpus::Corpus;
use crate::support::documents::{self, Bytes};
use crate::support::memory::Tree;
use crate::support::program::{Ran, document, folder_of, path_in, run};
use crate::support::{etcd_file, fixture, names_in, testdata};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The first moment of a made-up cluster.
const START: i64 = 1_790_000_000;

/// Main revision, key, create revision, version, value.
type Record = (i64, Vec<u8>, i64, i64, Vec<u8>);

/// An etcd file in the making: records, and what the small buckets say.
struct Made {
    records: Vec<Record>,
    compacted: Option<(i64, i64)>,
    conf_state: String,
    members: Vec<(u64, &'static str)>,
}

impl Made {
    fn new() -> Self {
        Self { records: Vec::new(), compacted: None, conf_state: String::new(), members: Vec::new() }
    }

    /// Puts a key of version 1 at the next revision.
    fn put(&mut self, key: &str, value: impl Into<Vec<u8>>) {
        let revision = self.records.last().map_or(2, |(main, ..)| main + 1);
        self.records.push((revision, key.into(), revision, 1, value.into()));
    }

    fn bytes(&self) -> Vec<u8> {
        let mut tree = Tree::default();
        for name in ["alarm", "auth", "authRoles", "authUsers", "cluster"] {
            tree.bucket(0, name);
        }
        let key = tree.bucket(0, "key");
        for (main, etcd_key, create, version, value) in &self.records {
            let record = etcd_file::put(*main, etcd_key, *create, *version, value, 0);
            // a mark has no content at all
            let message = if etcd_key.is_empty() { Vec::new() } else { record.value };
            tree.put(key, etcd_file::revision(*main), message);
        }
        tree.bucket(0, "lease");
        let members = tree.bucket(0, "members");
        for (id, name) in &self.members {
            tree.put(members, format!("{id:016x}"), json!({"id": id, "name": name}).to_string());
        }
        let meta = tree.bucket(0, "meta");
        tree.put(meta, "consistent_index", 77u64.to_be_bytes());
        if let Some((scheduled, finished)) = self.compacted {
            tree.put(meta, "scheduledCompactRev", etcd_file::revision(scheduled));
            tree.put(meta, "finishedCompactRev", etcd_file::revision(finished));
        }
        if !self.conf_state.is_empty() {
            tree.put(meta, "confState", &self.conf_state);
        }
        tree.file(4096)
    }

    fn file(&self) -> (TempDir, String) {
        let folder = folder_of(&[("db", &self.bytes())]);
        let path = path_in(&folder, "db");
        (folder, path)
    }
}

/// An object as the API server stores it; a namespace of `""` is none.
fn object(api_version: &str, kind: &str, namespace: &str, name: &str, second: i64) -> Vec<u8> {
    let time = jiff::Timestamp::from_second(START + second).expect("a time").to_string();
    let mut metadata = json!({"name": name, "creationTimestamp": time});
    if !namespace.is_empty() {
        metadata["namespace"] = json!(namespace);
    }
    json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "z": "x".repeat(200)})
        .to_string()
        .into()
}

fn from_fixture(name: &str) -> (TempDir, String) {
    let folder = folder_of(&[("db", &fixture(name))]);
    let path = path_in(&folder, "db");
    (folder, path)
}

fn text(bytes: &Bytes) -> &str {
    match bytes {
        Bytes::Text(text) => text,
        Bytes::Other(_) => panic!("{bytes:?}"),
    }
}

fn analyze(path: &str, options: &[&str]) -> documents::Analyze {
    document("analyze", path, options)
}

/// Objects by resource, with its group.
fn resources(report: &documents::Analyze) -> BTreeMap<String, u64> {
    let name = |row: &documents::Resource| match row.group.as_str() {
        "" => text(&row.resource).to_owned(),
        group => format!("{}.{group}", text(&row.resource)),
    };
    report.resources.iter().map(|row| (name(row), row.objects)).collect()
}

/// Objects by tenant.
fn tenants(report: &documents::Analyze) -> BTreeMap<Option<&str>, u64> {
    report.tenants.iter().map(|row| (row.tenant.as_ref().map(text), row.objects)).collect()
}

/// Both tables add up to the records' bytes, and every row of a namespace is one of a tenant's.
#[track_caller]
fn assert_tenants_add_up(report: &documents::Analyze, of: &str) {
    let mvcc = report.mvcc.as_ref().expect("etcd's");
    let bucket =
        report.buckets.iter().find(|bucket| bucket.name == Bytes::Text("key".to_owned())).expect("key");
    let whole = (bucket.disk_bytes - mvcc.unreadable.disk_bytes, mvcc.live.records);
    let namespaces = report.namespaces.iter().map(|row| (row.disk_bytes, row.objects));
    let sum = |rows: &mut dyn Iterator<Item = (u64, u64)>| {
        rows.fold((0, 0), |(bytes, objects), row| (bytes + row.0, objects + row.1))
    };
    assert_eq!(sum(&mut namespaces.into_iter()), whole, "{of}: namespaces");
    if report.tenants.is_empty() {
        assert!(report.namespaces.iter().all(|row| row.tenant.is_none()), "{of}: one tenant needs no name");
        return;
    }
    let rows = report.tenants.iter().map(|row| (row.disk_bytes, row.objects));
    assert_eq!(sum(&mut rows.into_iter()), whole, "{of}: tenants");
    for row in &report.tenants {
        let own = report.namespaces.iter().filter(|namespace| namespace.tenant == row.tenant);
        assert_eq!(own.map(|namespace| namespace.objects).sum::<u64>(), row.objects, "{of}: {row:?}");
    }
}

#[test]
fn twenty_tenants_are_told_apart() {
    let (_folder, path) = from_fixture("field/tenants-20/db");
    let report = analyze(&path, &[]);
    let expected = [("events", 200), ("namespaces", 160), ("pods", 100)];
    assert_eq!(resources(&report), expected.map(|(name, objects)| (name.to_owned(), objects)).into());
    let names: Vec<_> = (0..20).map(|number| format!("/tcp_tenant-{number:02}")).collect();
    assert_eq!(tenants(&report), names.iter().map(|name| (Some(name.as_str()), 23)).collect());
    assert_tenants_add_up(&report, "tenants-20");
    assert!(report.top_objects.iter().all(|object| object.tenant.is_some()));
    let out = run(["analyze", &path]).out;
    assert!(out.contains("Tenants (20 rows)") && out.contains(" tenant          namespace"), "{out}");
}

/// Prefixes of every shape, each with objects that tell it, and others that do not: encrypted ones, and some without a value.
#[test]
fn a_hundred_tenants_are_told_apart_whatever_their_prefixes() {
    let prefix = |number: u32| match number % 5 {
        0 => format!("/tenant-{number}"),
        1 => format!("/a/b/c/tenant-{number}"),
        2 => format!("/registry/t{number}"),
        3 => format!("tenant{number}.example.com"),
        _ => format!("/k8s/{number}/registry"),
    };
    let mut made = Made::new();
    for number in 0..100 {
        let prefix = prefix(number);
        made.put(&format!("{prefix}/namespaces/shop"), object("v1", "Namespace", "", "shop", 0));
        made.put(&format!("{prefix}/configmaps/shop/c"), object("v1", "ConfigMap", "shop", "c", 0));
        made.put(&format!("{prefix}/secrets/shop/s"), "k8s:enc:aescbc:v1:key:0123456789");
        made.put(&format!("{prefix}/a.b.io/oxen/shop/o"), object("a.b.io/v1", "Ox", "shop", "o", 0));
    }
    made.put("/app/sessions/1", "not Kubernetes'");
    let (_folder, path) = made.file();
    let report = analyze(&path, &[]);
    let expected =
        [("/app", 1), ("configmaps", 100), ("namespaces", 100), ("oxen.a.b.io", 100), ("secrets", 100)];
    assert_eq!(resources(&report), expected.map(|(name, objects)| (name.to_owned(), objects)).into());
    let names: Vec<_> = (0..100).map(prefix).collect();
    let expected = names.iter().map(|name| (Some(name.as_str()), 4)).chain([(None, 1)]);
    assert_eq!(tenants(&report), expected.collect());
    assert_tenants_add_up(&report, "a hundred tenants");
    // each in a folder of its own, under names that do not meet
    let folder = TempDir::new().expect("a folder");
    let out = folder.path().join("out").display().to_string();
    let ran = run(["export", &path, "--resource", "cm", "-o", &out]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let tenants = Path::new(&out).read_dir().expect("a folder").count();
    assert_eq!(tenants, 100);
}

#[test]
fn kcps_objects_are_what_they_say() {
    let (_folder, path) = from_fixture("field/kcp/db");
    let report = analyze(&path, &[]);
    let expected = [("configmaps", 30), ("events", 30), ("secrets", 30)];
    assert_eq!(resources(&report), expected.map(|(name, objects)| (name.to_owned(), objects)).into());
    let clusters = ["5feceb66ffc86f38", "6b86b273ff34fce1", "d4735e3a265e16ee"];
    assert_eq!(tenants(&report), clusters.map(|cluster| (Some(cluster), 30)).into());
    assert_tenants_add_up(&report, "kcp");
    let cleanup: documents::Cleanup = document("cleanup", &path, &["--as-of", "2027-01-01T00:00:00Z"]);
    let events = cleanup.classes.iter().find(|class| class.class == "old-events").expect("a class");
    assert_eq!(events.objects, 30);
    assert_eq!(events.namespaces.iter().filter(|row| row.tenant.is_some()).count(), 3);
}

/// Other groups, cluster-wide objects, custom resources with each mark and without one; objects that tell nothing are read by those
/// that do.
#[test]
fn kcp_with_other_groups_and_custom_resources() {
    let identity = "cbf732f90c9b7eac67e3d8f8e4c22cf8de0e36acefab6bbab738a85535c0d4cf";
    let mut made = Made::new();
    for cluster in ["root", "root:org:ws", "2cynbfy2m0wtjqcs", "system:admin"] {
        let mut put = |path: &str, api_version: &str, kind: &str, namespace: &str, name: &str| {
            let tail = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") };
            let path = path.replace("CLUSTER", cluster);
            made.put(&format!("/registry/{path}/{tail}"), object(api_version, kind, namespace, name, 0));
        };
        put("apps/deployments/CLUSTER", "apps/v1", "Deployment", "shop", "web");
        put(
            "rbac.authorization.k8s.io/clusterroles/CLUSTER",
            "rbac.authorization.k8s.io/v1",
            "ClusterRole",
            "",
            "admin",
        );
        put("rbac.authorization.k8s.io/roles/CLUSTER", "rbac.authorization.k8s.io/v1", "Role", "shop", "r");
        put("coordination.k8s.io/leases/CLUSTER", "coordination.k8s.io/v1", "Lease", "shop", "l");
        put("apis.kcp.io/apibindings/customresources/CLUSTER", "apis.kcp.io/v1alpha1", "APIBinding", "", "b");
        put("a.b.io/oxen/customresources/CLUSTER", "a.b.io/v1", "Ox", "shop", "o");
        put(
            &format!("tenancy.kcp.io/workspaces/{identity}/CLUSTER"),
            "tenancy.kcp.io/v1alpha1",
            "Workspace",
            "",
            "w",
        );
        put(&format!("c.d.io/cows/{identity}/CLUSTER"), "c.d.io/v1", "Cow", "shop", "c");
        put("e.f.io/sheep/CLUSTER", "e.f.io/v1", "Sheep", "shop", "s");
        put("e.f.io/flocks/CLUSTER", "e.f.io/v1", "Flock", "", "f");
        made.put(&format!("/registry/core/secrets/{cluster}/shop/s"), "k8s:enc:kms:v2:k:0123456789");
    }
    let (_folder, path) = made.file();
    let report = analyze(&path, &[]);
    let found = resources(&report);
    assert!(found.values().all(|&objects| objects == 4), "{found:?}");
    let names: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    let expected = [
        "apibindings.apis.kcp.io",
        "clusterroles.rbac.authorization.k8s.io",
        "cows.c.d.io",
        "deployments.apps",
        "flocks.e.f.io",
        "leases.coordination.k8s.io",
        "oxen.a.b.io",
        "roles.rbac.authorization.k8s.io",
        "secrets",
        "sheep.e.f.io",
        "workspaces.tenancy.kcp.io",
    ];
    assert_eq!(names, expected.into());
    let clusters = ["2cynbfy2m0wtjqcs", "root", "root:org:ws", "system:admin"];
    assert_eq!(tenants(&report), clusters.map(|cluster| (Some(cluster), 11)).into());
    let namespaces: BTreeSet<_> =
        report.namespaces.iter().map(|row| row.namespace.as_ref().map(text)).collect();
    assert_eq!(namespaces, [None, Some("shop")].into(), "no cluster is taken for a namespace");
}

/// A thousand objects put three times each, and some later; written with jumps of the current revision at some points.
struct Bumped {
    /// Revisions in front of which there is a jump, and how far it goes.
    jumps: Vec<(i64, i64)>,
    /// With a mark, as etcdutl leaves one, and the compaction that it asks for.
    marked: bool,
}

impl Bumped {
    fn file(&self) -> Made {
        let moved = |revision: i64| {
            revision + self.jumps.iter().filter(|(from, _)| *from <= revision).map(|(_, by)| by).sum::<i64>()
        };
        let mut made = Made::new();
        for round in 0..3i64 {
            for number in 0..1000i64 {
                let revision = 2 + round * 1000 + number;
                let name = format!("c{number}");
                let value = protobuf_config_map(&name, number * 10);
                let key = format!("/registry/configmaps/ns/{name}");
                made.records.push((moved(revision), key.into(), moved(2 + number), round + 1, value));
            }
        }
        for number in 0..5 {
            let revision = 3002 + number;
            let value = protobuf_config_map("last", 86_400 + number);
            let key = format!("/registry/configmaps/ns/last{number}");
            made.records.push((moved(revision), key.into(), moved(revision), 1, value));
        }
        if self.marked {
            for &(from, _) in &self.jumps {
                // in place of the record that was there, so that as many revisions exist
                let mark = (moved(from), Vec::new(), 0, 0, Vec::new());
                let place = made.records.iter().position(|record| record.0 == mark.0).expect("a record");
                made.records[place] = mark;
            }
            let last = moved(self.jumps.last().expect("one").0);
            made.compacted = Some((last, 0));
        }
        made
    }
}

/// A ConfigMap as the API server stores it.
fn protobuf_config_map(name: &str, second: i64) -> Vec<u8> {
    wire::config_map(name, START + second)
}

/// Just enough of Kubernetes' protobuf to write an object's metadata.
mod wire {
    use prost::encoding::{bytes, int64};

    fn field(number: u32, content: Vec<u8>) -> Vec<u8> {
        let mut message = Vec::new();
        bytes::encode(number, &content, &mut message);
        message
    }

    pub fn config_map(name: &str, created: i64) -> Vec<u8> {
        let mut time = Vec::new();
        int64::encode(1, &created, &mut time);
        let metadata = [field(1, name.into()), field(3, b"ns".to_vec()), field(8, time)].concat();
        let type_meta = [field(1, b"v1".to_vec()), field(2, b"ConfigMap".to_vec())].concat();
        let object = [field(1, metadata), field(2, vec![b'x'; 200])].concat();
        [b"k8s\0".to_vec(), field(1, type_meta), field(2, object)].concat()
    }
}

#[test]
fn revisions_that_never_existed_change_no_figure() {
    let plain = Bumped { jumps: Vec::new(), marked: false };
    let (_folder, path) = plain.file().file();
    let before = analyze(&path, &[]);
    let expected = before.retention.as_ref().expect("retention");
    assert_eq!(expected.revisions, 3005);
    let billion = 1_000_000_000;
    for jumps in [
        vec![(3002, billion)],
        vec![(3002, 4 * billion)],
        vec![(3002, 4_000_000_000_000)],
        vec![(1500, 100_000)],
        vec![(700, billion), (1500, 3), (2300, 5 * billion), (3003, 70_000)],
        (1..=15).map(|number| (number * 180, 10 * billion)).collect(),
    ] {
        let (_folder, path) = Bumped { jumps: jumps.clone(), marked: false }.file().file();
        let report = analyze(&path, &[]);
        let found = report.retention.as_ref().expect("retention");
        let small: i64 = jumps.iter().map(|(_, by)| by).filter(|&&by| by <= 65_536).sum();
        assert_eq!(found.revisions, expected.revisions + small.unsigned_abs(), "{jumps:?}");
        assert_rates_alike(found, expected, &jumps);
        let gaps: Vec<_> = report
            .mvcc
            .as_ref()
            .expect("etcd's")
            .gaps
            .iter()
            .map(|gap| (gap.first_revision, gap.last_revision))
            .collect();
        assert_eq!(gaps.len(), jumps.iter().filter(|(_, by)| *by > 65_536).count(), "{jumps:?}");
        assert_timeline_skips(&report, &gaps);
        assert!(report.advice.iter().all(|advice| advice.kind != "flood"), "{jumps:?}: {:?}", report.advice);
    }
}

fn assert_rates_alike(found: &documents::Retention, expected: &documents::Retention, of: &[(i64, i64)]) {
    let close = |a: f64, b: f64| (a - b).abs() < b * 0.08;
    let bytes = |retention: &documents::Retention| retention.bytes_per_revision.expect("known");
    assert!(close(bytes(found), bytes(expected)), "{of:?}: {found:?}");
    let (rate, as_without) = (found.rate.as_ref().expect("a rate"), expected.rate.as_ref().expect("a rate"));
    assert!(
        close(rate.revisions_per_hour, as_without.revisions_per_hour),
        "{of:?}: {rate:?}, {as_without:?}"
    );
}

/// Every span lies on one side of each gap, and they hold all records.
fn assert_timeline_skips(report: &documents::Analyze, gaps: &[(i64, i64)]) {
    let timeline = report.timeline.as_ref().expect("a timeline");
    assert!(timeline.bins.len() > 10 && timeline.bins.len() <= 60, "{}", timeline.bins.len());
    for bin in &timeline.bins {
        let crosses = |&(first, last): &(i64, i64)| bin.first_revision <= last && bin.last_revision >= first;
        assert!(!gaps.iter().any(crosses), "{bin:?}: {gaps:?}");
    }
    assert_eq!(timeline.bins.iter().map(|bin| bin.records).sum::<u64>(), 3005);
}

/// What etcdutl leaves: a mark, and a compaction to it, which takes all history before it.
#[test]
fn a_mark_shows_a_gap_below_the_compact_revision() {
    for by in [100_000, 1_000_000_000, 4_000_000_000] {
        let bumped = Bumped { jumps: vec![(3003, by)], marked: true };
        let (_folder, path) = bumped.file().file();
        let report = analyze(&path, &[]);
        let mvcc = report.mvcc.as_ref().expect("etcd's");
        let gaps: Vec<_> = mvcc.gaps.iter().map(|gap| (gap.first_revision, gap.last_revision)).collect();
        assert_eq!(gaps, [(3003, 3002 + by)], "{by}");
        assert_eq!(report.retention.as_ref().expect("retention").revisions, 3, "since the mark");
        assert_timeline_skips(&report, &gaps);
        let cut = report.advice.iter().find(|advice| advice.kind == "compaction-cut-short").expect("advice");
        assert!(cut.text.contains("--bump-revision --mark-compacted"), "{}", cut.text);
        assert!(!cut.text.contains("not finished"), "{}", cut.text);
    }
}

/// Below the compact revision, what is missing was compacted.
#[test]
fn what_a_compaction_removed_is_no_gap() {
    let mut made = Bumped { jumps: vec![(1500, 5_000_000)], marked: false }.file();
    let last = made.records.last().expect("one").0;
    made.compacted = Some((last, last));
    let (_folder, path) = made.file();
    assert!(analyze(&path, &[]).mvcc.expect("etcd's").gaps.is_empty());
}

/// So many objects of a resource, an even pace apart; in the order of their names or against it.
fn flood(path: &str, api_version: &str, kind: &str, namespace: &str, count: i64, backwards: bool) -> Made {
    let mut made = Made::new();
    made.put("/registry/namespaces/default", object("v1", "Namespace", "", "default", 0));
    for number in 0..count {
        let name = format!("o-{number:05}");
        let tail = if namespace.is_empty() { name.clone() } else { format!("{namespace}/{name}") };
        let second = if backwards { (count - 1 - number) * 900 } else { number * 900 };
        made.put(&format!("/registry/{path}/{tail}"), object(api_version, kind, namespace, &name, second));
    }
    made
}

#[test]
fn any_resource_may_be_a_flood_and_its_objects_have_ages() {
    let cases = [
        (
            "certificatesigningrequests",
            "certificates.k8s.io/v1",
            "CertificateSigningRequest",
            "",
            "built-in-flood",
        ),
        ("configmaps", "v1", "ConfigMap", "shop", "built-in-flood"),
        ("clusterroles", "rbac.authorization.k8s.io/v1", "ClusterRole", "", "built-in-flood"),
        ("services/specs", "v1", "Service", "shop", "built-in-flood"),
        ("pods", "v1", "Pod", "shop", "built-in-flood"),
    ];
    for (path, api_version, kind, namespace, class) in cases {
        for backwards in [false, true] {
            let (_folder, file) = flood(path, api_version, kind, namespace, 1500, backwards).file();
            let found: documents::Cleanup = document("cleanup", &file, &[]);
            let newest = jiff::Timestamp::from_second(START + 1499 * 900).expect("a time").to_string();
            assert_eq!(found.as_of.time.as_deref(), Some(newest.as_str()), "{path}");
            let flood =
                found.classes.iter().find(|row| row.class == class).unwrap_or_else(|| panic!("{path}"));
            assert_eq!((flood.objects, found.total.objects), (1500, 1500), "{path}");
            let ages = flood.ages.as_ref().expect("ages");
            let older: Vec<_> = ages.older.iter().map(|row| (row.than_seconds, row.objects)).collect();
            assert_eq!(older, [(3600, 1495), (86_400, 1403), (604_800, 827), (2_592_000, 0)], "{path}");
            assert_eq!((ages.undated, ages.newest.as_deref()), (0, Some(newest.as_str())), "{path}");
            let out = run(["cleanup", &file]).out;
            assert!(out.contains("1,403 older than 1d, 827 older than 7d"), "{out}");
        }
    }
}

#[test]
fn what_every_cluster_has_is_no_flood() {
    // many objects that are no great part of the file, and a great part that is few objects
    let mut made = flood("configmaps", "v1", "ConfigMap", "shop", 600, false);
    for number in 0..60 {
        made.put(&format!("/registry/secrets/shop/s{number}"), vec![b'x'; 20_000]);
    }
    let (_folder, path) = made.file();
    let found: documents::Cleanup = document("cleanup", &path, &[]);
    assert!(found.classes.iter().all(|row| row.ages.is_none()), "{:?}", found.classes);
    let limit: documents::Cleanup = document("cleanup", &path, &["--flood-objects", "600"]);
    let flood = limit.classes.iter().find(|row| row.class == "built-in-flood").expect("a flood");
    assert_eq!(
        (flood.resource.as_deref(), flood.reasons.as_slice()),
        (Some("configmaps"), &["objects".to_owned()][..])
    );
}

#[test]
fn a_member_that_raft_does_not_know_is_named() {
    let (one, gone) = (0xddd6_7b31_2462_fd7b_u64, 0x3bf5_7b74_1b7b_c34d_u64);
    let mut made = Made::new();
    made.put("key", "value");
    made.members = vec![(one, "m1"), (gone, "gone")];
    for (conf_state, is_known) in [
        (format!(r#"{{"voters":[{one}],"auto_leave":false}}"#), false),
        (format!(r#"{{"voters":[{one}],"learners":[{gone}]}}"#), true),
        (format!(r#"{{"voters":[{one}],"voters_outgoing":[{one},{gone}]}}"#), true),
        (format!(r#"{{"voters":[{one}],"learners_next":[{gone}]}}"#), true),
        (r#"{"voters":[]}"#.to_owned(), true),
        (r#"{"voters":"all"}"#.to_owned(), true),
        (String::new(), true),
    ] {
        made.conf_state = conf_state;
        let (_folder, path) = made.file();
        let (check, report): (documents::Check, _) = (document("check", &path, &[]), analyze(&path, &[]));
        assert!(check.sound, "etcd of the same version goes on with it");
        let expected = if is_known { vec![] } else { vec![format!("{gone:x}")] };
        assert_eq!(report.file.members_not_in_conf_state, expected, "{}", made.conf_state);
        assert_eq!(
            check.notes.iter().filter(|note| note.kind == "member-not-in-confstate").count(),
            expected.len()
        );
        let advice = report.advice.iter().filter(|advice| advice.kind == "member-not-in-confstate");
        assert_eq!(advice.count(), expected.len());
        let out = run(["check", &path]).out;
        assert_eq!(out.contains("3bf57b741b7bc34d (gone)"), !is_known, "{out}");
    }
}

fn refused(args: &[&str]) -> Ran {
    let ran = run(args);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}: {}", ran.err);
    ran
}

#[test]
fn a_name_that_nothing_has_is_an_error_with_the_nearest() {
    let (_folder, path) = from_fixture("k8s-3.5/k8s.db");
    for (args, nearest) in [
        (&["analyze", &path, "--resource", "podz"][..], "pods"),
        (&["analyze", &path, "--resource", "deploymnets.apps"], "deployments.apps"),
        (&["analyze", &path, "--namespace", "kube-sytem"], "kube-system"),
        (&["keys", &path, "--resource", "confgmaps"], "configmaps"),
        (&["keys", &path, "--deleted", "--resource", "confgmaps"], "configmaps"),
        (&["keys", &path, "--from", "any", "-n", "defalt"], "default"),
        (&["keys", &path, "/registry/pod/"], "/registry/pods/"),
        (&["keys", &path, "/registrx/pods/"], "/registry/"),
        (&["keys", &path, "/registry/pods/kube-sys/"], "/registry/pods/kube-system/"),
        (&["export", &path, "/registry/secret/", "-o", "-"], "/registry/secrets/"),
        (&["export", &path, "--resource", "svcs", "-o", "-"], "services"),
    ] {
        let ran = refused(args);
        assert!(
            ran.err.contains("in this file. The nearest: ") && ran.err.contains(nearest),
            "{args:?}: {}",
            ran.err
        );
    }
    refused(&["analyze", &path, "--namespace", ""]);
    refused(&["analyze", &path, "--resource", ""]);
}

#[test]
fn a_resource_is_called_as_kubectl_calls_it() {
    let (_folder, path) = from_fixture("k8s-3.5/k8s.db");
    let keys = |word: &str| {
        let ran = run(["keys", &path, "--resource", word]);
        assert_eq!(ran.code, 0, "{word}: {}", ran.err);
        ran.out
    };
    for words in [
        &["pods", "pod", "Pod", "po"][..],
        &["deployments.apps", "deployments", "deploy", "Deployment", "apps/deployments", "deploy.v1.apps"],
        &["configmaps", "cm"],
        &["storageclasses.storage.k8s.io", "sc", "storageclass"],
        &["nodes", "no"],
        &["customresourcedefinitions.apiextensions.k8s.io", "crd", "crds"],
    ] {
        let expected = keys(words[0]);
        assert!(!expected.is_empty(), "{words:?}");
        words.iter().for_each(|word| assert_eq!(keys(word), expected, "{word}"));
    }
    let pods = run(["keys", &path, "--resource", "po", "--namespace", "kube-system"]).out;
    assert!(
        !pods.is_empty() && pods.lines().all(|key| key.starts_with("/registry/pods/kube-system/")),
        "{pods}"
    );
}

/// Custom resources have the names that their definitions in the file give them.
#[test]
fn a_custom_resource_is_called_as_its_definition_says() {
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "oxen.a.b.io"},
        "spec": {"group": "a.b.io", "names": {"plural": "oxen", "singular": "ox", "kind": "Ox", "shortNames": ["cattle"]}}});
    let mut made = Made::new();
    made.put("/registry/apiextensions.k8s.io/customresourcedefinitions/oxen.a.b.io", definition.to_string());
    made.put("/registry/a.b.io/oxen/shop/o", object("a.b.io/v1", "Ox", "shop", "o", 0));
    made.put("/registry/pods/shop/o", object("v1", "Pod", "shop", "o", 0));
    let (_folder, path) = made.file();
    for word in ["oxen", "ox", "Ox", "cattle", "cattle.a.b.io", "oxen.a.b.io", "oxen.v1.a.b.io"] {
        let ran = run(["keys", &path, "--resource", word]);
        assert_eq!(ran.out, "/registry/a.b.io/oxen/shop/o\n", "{word}: {}", ran.err);
    }
    refused(&["keys", &path, "--resource", "cow"]);
}

/// What is known of a key at one revision must not hide what it was at another.
#[test]
fn keys_of_a_resource_are_those_that_exist() {
    let (_folder, path) = from_fixture("k8s-3.5/k8s.db");
    for options in
        [&[][..], &["--deleted"], &["--from", "free"], &["--from", "any"], &["--from", "older-root"]]
    {
        let all = run([&["keys", &path][..], options].concat()).out;
        for (word, prefix) in
            [("pods", "/registry/pods/"), ("ev", "/registry/events/"), ("svc", "/registry/services/specs/")]
        {
            let ran = run([&["keys", &path, "--resource", word], options].concat());
            let expected: String = all
                .lines()
                .filter(|key| key.starts_with(prefix))
                .fold(String::new(), |all, key| all + key + "\n");
            assert_eq!(ran.out, expected, "{word} {options:?}: {}", ran.err);
        }
    }
}

/// Every real file that the tests have, by the name it is told by.
fn all_real_files() -> Vec<(String, TempDir, String)> {
    let mut files = Vec::new();
    let mut add = |name: String, bytes: Vec<u8>| {
        let folder = folder_of(&[("db", &bytes)]);
        let path = path_in(&folder, "db");
        files.push((name, folder, path));
    };
    for name in
        ["k8s-3.5/k8s.db", "k8s-3.6/k8s.db", "k8s-frag/frag.db", "field/tenants-20/db", "field/kcp/db"]
    {
        add(name.to_owned(), fixture(name));
    }
    for folder in ["etcd-3.4", "etcd-3.5"] {
        for name in names_in(folder, ".snapshot.db.zst") {
            add(format!("{folder}/{name}"), fixture(&format!("{folder}/{name}.snapshot.db")));
        }
    }
    match std::env::var("ETCD_MEDIC_CORPORA") {
        Ok(folder) => {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            for corpus in Corpus::all_in(&folder) {
                for name in corpus.truth.files.keys() {
                    add(
                        format!("{}/{name}", corpus.name()),
                        std::fs::read(corpus.file(name).path()).expect("read"),
                    );
                }
            }
        }
        // past the test harness, which would keep it to itself
        Err(_) => {
            let said = "ETCD_MEDIC_CORPORA is not set: the large corpora are left out";
            let _ = writeln!(std::io::stderr(), "{said}");
        }
    }
    assert!(testdata("field").is_dir());
    files
}

/// In every file: tables add up; each row is what its own names give; the names of all commands agree; and times do.
#[test]
fn rules_hold_in_every_real_file() {
    for (name, _folder, path) in all_real_files() {
        let report = analyze(&path, &["--top", "1000000"]);
        assert_tenants_add_up(&report, &name);
        let keys: BTreeSet<_> = report.top_objects.iter().map(|object| format!("{:?}", object.key)).collect();
        assert_eq!(keys.len(), report.top_objects.len(), "{name}: each key once");
        assert!(report.mvcc.as_ref().expect("etcd's").gaps.is_empty(), "{name}: nobody has bumped it");
        // of the large files, a few
        let few = if report.file.file_bytes > 16 << 20 { 3 } else { usize::MAX };
        for row in report.resources.iter().take(few) {
            let word = match row.group.as_str() {
                "" => text(&row.resource).to_owned(),
                group => format!("{}.{group}", text(&row.resource)),
            };
            let narrowed = analyze(&path, &["--resource", &word]);
            let objects: u64 = narrowed.resources.iter().map(|row| row.objects).sum();
            assert!(objects >= row.objects, "{name}: {word}");
            let listed: documents::Keys = document("keys", &path, &["--resource", &word]);
            assert_eq!(listed.num_keys, objects, "{name}: {word}");
        }
        for row in report.namespaces.iter().filter_map(|row| row.namespace.as_ref().map(text)).take(3) {
            let listed: documents::Keys = document("keys", &path, &["--namespace", row]);
            let own =
                report.namespaces.iter().filter(|other| other.namespace.as_ref().map(text) == Some(row));
            assert_eq!(listed.num_keys, own.map(|row| row.objects).sum::<u64>(), "{name}: {row}");
        }
        let status: documents::Status = document("status", &path, &[]);
        let cleanup: documents::Cleanup = document("cleanup", &path, &[]);
        assert_eq!(status.files[0].time, cleanup.as_of.time, "{name}");
        assert!(status.files[0].etcd_version.is_some(), "{name}");
        let kubernetes = report
            .resources
            .iter()
            .any(|row| text(&row.resource) == "configmaps" || text(&row.resource) == "pods");
        assert_eq!(status.files[0].time.is_some(), kubernetes, "{name}: objects tell the time");
        refused(&["analyze", &path, "--resource", "nosuchthing"]);
        refused(&["keys", &path, "/no/such/prefix"]);
        let _: Value = serde_json::from_str(&run(["keys", &path, "--output", "json"]).out).expect("JSON");
    }
}
