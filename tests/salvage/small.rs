//! Small buckets with pages of their own: what is found of them in leaves that no root reaches, and that what was deleted stays so.

use std::io::{Write, stderr};

use etcd_medic::internals::bolt::Db;
use etcd_medic::internals::check::check;
use etcd_medic::internals::etcd::schema::State;
use etcd_medic::internals::etcd::trailer::Trailer;
use etcd_medic::internals::input::named::Named;
use etcd_medic::internals::salvage::document::{BucketReport, SalvageReport};
use etcd_medic::internals::salvage::error::SalvageError;
use etcd_medic::internals::salvage::request::Trust;
use etcd_medic::internals::scan::{ScanOptions, scan};
use serde_json::json;

use super::patterns::Sum;
use super::support::anatomy::{Item, Items};
use super::support::builder::{FileBuilder, bucket, inline_bucket, plain};
use super::support::etcd_file::{self, large, put, revision};
use super::support::workshop::{Base, Damage, NO_ROOT, PATTERNS};
use super::{Salvaged, damaged, salvage};

fn base_of(bucket: &'static str) -> Base {
    Base::of_bucket(&format!("large, {bucket}"), large().bytes(), Some(bucket))
}

fn no_root(base: &Base) -> Damage {
    base.damaged(&NO_ROOT).expect("every file has a root")
}

fn row<'r>(report: &'r SalvageReport, bucket: &str) -> &'r BucketReport {
    let row = report.buckets.iter().find(|row| row.name.0 == bucket.as_bytes());
    row.unwrap_or_else(|| panic!("{bucket}: {:?}", report.buckets))
}

fn in_bucket(items: &Items, bucket: &str) -> usize {
    Damage::count(items, bucket.as_bytes())
}

/// How many entries `--strict` takes, if it makes a copy at all: not where each record that was found may have been deleted.
fn strictly(damage: &Damage, bucket: &str) -> usize {
    match salvage(damage, Trust::Strict) {
        Ok(saved) => in_bucket(&saved.items, bucket),
        Err(SalvageError::Doubtful { .. }) => 0,
        Err(error) => panic!("{}: {error}", damage.name),
    }
}

/// Each pattern, done to a bucket of leases: every lease whose leaf stands is found, and none that was revoked comes back.
#[test]
fn leases_are_saved_and_none_comes_back() {
    let base = base_of("lease");
    assert!(base.dead.len() >= 40, "revoked leases lie in free pages: {}", base.dead.len());
    let mut done = 0;
    for pattern in PATTERNS.iter().chain([&NO_ROOT]) {
        let Some(damage) = base.damaged(pattern) else { continue };
        let saved = salvage(&damage, Trust::Usual).unwrap_or_else(|error| panic!("{}: {error}", damage.name));
        let sum = Sum::of(&base, &damage, &saved.items);
        let _ = writeln!(stderr(), "lease, {}: {sum:?}", damage.name);
        // with the newest leaves, the file has lost what tells revoked leases from others
        assert!(sum.revived == 0 || damage.name.contains("cut"), "{}: {sum:?}", damage.name);
        assert_eq!(sum.invented, 0, "{}", damage.name);
        // a child's page id that leads to another leaf: whether the page or the reference is damaged can't be told
        if damage.name != "garbage-branch" && !damage.name.contains("cut") {
            assert_eq!(sum.found, sum.possible, "{}", damage.name);
        }
        assert!(saved.sound, "{}", damage.name);
        done += 1;
    }
    assert!(done > 20, "{done}");
}

/// Below a branch that is lost, leaves stand for themselves: `--strict` takes none of them, `--best-effort` what was revoked, too.
#[test]
fn trust_in_leases() {
    let base = base_of("lease");
    for damage in [damaged(&base, "key-root-zeroed"), no_root(&base)] {
        let [usual, all] =
            [Trust::Usual, Trust::BestEffort].map(|trust| salvage(&damage, trust).expect("saved"));
        assert_eq!(strictly(&damage, "lease"), 0, "{}", damage.name);
        assert_eq!(in_bucket(&usual.items, "lease"), 160, "{}", damage.name);
        assert_eq!(in_bucket(&all.items, "lease"), 200, "{}", damage.name);
        let lease = row(&usual.report, "lease");
        assert_eq!((lease.orphan, lease.left_out, lease.conflicts), (160, 40, 0), "{}", damage.name);
        assert!(usual.report.warnings.iter().any(|warning| warning.starts_with("bucket lease: 160 entries")));
        assert!(!usual.report.is_whole() && !usual.report.restore.in_place);
    }
}

/// A leaf of its own that is zeroed: of its leases, those of keys that exist are taken from older versions of it. Of the others, nobody
/// can tell whether they were still there.
#[test]
fn leases_of_keys_that_exist_come_from_older_leaves() {
    let base = base_of("lease");
    let damage = damaged(&base, "leaf-zeroed");
    let saved = salvage(&damage, Trust::Usual).expect("saved");
    let lost: Vec<_> = damage.all.difference(&damage.possible).collect();
    let found = lost.iter().filter(|item| saved.items.contains(**item)).count();
    let needed: Vec<_> = etcd_file::leases().0.into_iter().step_by(3).map(|entry| entry.key).collect();
    let expected = lost.iter().filter(|item| needed.iter().any(|key| item.key == key[..])).count();
    assert!(expected > 3 && lost.len() == 20, "{expected} of {}", lost.len());
    assert_eq!(found, expected);
    assert_eq!(row(&saved.report, "lease").orphan, expected as u64);
}

/// What lies in no gap was deleted: the removed user stays removed. In a gap, nothing can be told, and that is said.
#[test]
fn users_roles_and_members() {
    for (name, entries) in [("authUsers", 24), ("authRoles", 40), ("members", 9)] {
        let base = base_of(name);
        for damage in [damaged(&base, "key-root-zeroed"), damaged(&base, "root-leaf-zeroed"), no_root(&base)]
        {
            let of = format!("{name}: {}", damage.name);
            let saved = salvage(&damage, Trust::Usual).expect("saved");
            let found =
                damage.all.iter().filter(|item| item.bucket == name && saved.items.contains(*item)).count();
            assert_eq!(found, entries, "{of}");
            let more = in_bucket(&saved.items, name) - found;
            assert_eq!(more, usize::from(name == "authUsers"), "{of}: the removed user is doubtful");
            assert_eq!(row(&saved.report, name).orphan, (found + more) as u64, "{of}");
            assert_eq!(strictly(&damage, name), 0, "{of}");
        }
        let leaf = damaged(&base, "leaf-zeroed");
        let saved = salvage(&leaf, Trust::Usual).expect("saved");
        assert_eq!(
            Sum::of(&base, &leaf, &saved.items).found,
            Damage::count(&leaf.possible, name.as_bytes()),
            "{name}"
        );
    }
}

/// Another bucket is damaged: nothing of this one is touched.
#[test]
fn whole_buckets_take_nothing() {
    let base = base_of("lease");
    let damage = damaged(&base, "leaf-zeroed");
    for trust in [Trust::Strict, Trust::Usual] {
        let saved = salvage(&damage, trust).expect("saved");
        for name in ["authUsers", "authRoles", "members"] {
            let row = row(&saved.report, name);
            assert_eq!((row.orphan, row.gaps.len()), (0, 0), "{name}");
            assert_eq!(in_bucket(&saved.items, name), in_bucket(&damage.all, name), "{name}");
        }
    }
    let all = salvage(&damage, Trust::BestEffort).expect("saved");
    assert_eq!(row(&all.report, "authUsers").orphan, 1, "the removed user is back");
}

/// Two values of one key: the copy of the lost page itself wins, and the other is counted.
#[test]
fn conflicts_are_settled_and_said() {
    let mut file = large();
    let other = [etcd_file::user(0), etcd_file::user_named("user-001", 77)];
    let page = file.leaf(&other);
    let base = Base::of_bucket("two values", file.bytes(), Some("authUsers"));
    let damage = damaged(&base, "key-root-zeroed");
    let saved = salvage(&damage, Trust::Usual).expect("saved");
    assert_eq!(row(&saved.report, "authUsers").conflicts, 1);
    let value = |saved: &Salvaged| {
        let item =
            saved.items.iter().find(|item| item.bucket == "authUsers" && item.key == "user-001").expect("it");
        item.value.clone()
    };
    assert_eq!(value(&saved), etcd_file::user(1).value, "the one that lies beside what is lost");
    // and now it says that it is the lost page
    let root = base.anatomy.nodes_of(b"authUsers").next().expect("a root").page;
    file.header(page).id.set(root);
    let base = Base::of_bucket("a copy", file.bytes(), Some("authUsers"));
    let saved = salvage(&damaged(&base, "key-root-zeroed"), Trust::Usual).expect("saved");
    assert_eq!(value(&saved), other[1].value, "the copy of what is lost");
}

/// A `meta` bucket on a page of its own.
fn with_meta(newer: u64) -> (FileBuilder, u64) {
    let mut file = FileBuilder::new(1024);
    let meta = |index: u64, compacted: i64| {
        [
            plain("confState", r#"{"voters":[4097],"auto_leave":false}"#),
            plain("consistent_index", index.to_be_bytes()),
            plain("finishedCompactRev", revision(compacted)),
            plain("scheduledCompactRev", revision(compacted)),
            plain("term", 3u64.to_be_bytes()),
        ]
    };
    if newer > 0 {
        file.leaf(&meta(newer - 1, 4));
        file.leaf(&meta(newer, 5));
        file.leaf(&meta(newer - 2, 3));
    }
    let page = file.leaf(&meta(100, 6));
    let records: Vec<_> =
        (4..30).map(|main| put(main, format!("/app/{main}").as_bytes(), main, 1, b"text", 0)).collect();
    let key = file.leaf(&records);
    let root = file.leaf(&[
        inline_bucket("cluster", &[plain("clusterVersion", "3.5.0")]),
        bucket("key", key),
        inline_bucket("members", &[etcd_file::member(0x1001), etcd_file::member(0x1002)]),
        bucket("meta", page),
    ]);
    file.root(root);
    (file, page)
}

fn derived(report: &SalvageReport) -> serde_json::Value {
    let rows = report.derived.iter().map(|row| (row.key.to_owned(), json!(row.value)));
    serde_json::Value::Object(rows.collect())
}

/// Of several older versions, the one with the highest consistent index is taken; and it is said that it is older.
#[test]
fn the_latest_version_of_meta_is_taken() {
    let (mut file, page) = with_meta(90);
    file.page_bytes(page).fill(0);
    let damage = Damage { bytes: file.bytes(), ..damaged(&base_of("lease"), "leaf-zeroed") };
    let saved = salvage(&damage, Trust::Usual).expect("saved");
    assert_eq!(derived(&saved.report), json!({"consistent_index": "90", "term": "3"}));
    assert_eq!(in_bucket(&saved.items, "meta"), 5);
    assert!(!saved.report.restore.in_place, "what was applied since would be applied again");
}

/// No version of it stands: what follows from the rest is derived, the rest is left out, and both are said.
#[test]
fn what_follows_from_the_rest_is_derived() {
    let (mut file, page) = with_meta(0);
    file.page_bytes(page).fill(0);
    let damage = Damage { bytes: file.bytes(), ..damaged(&base_of("lease"), "leaf-zeroed") };
    let saved = salvage(&damage, Trust::Usual).expect("saved");
    let voters = r#"{"voters":[4097,4098],"auto_leave":false}"#;
    assert_eq!(
        derived(&saved.report),
        json!({"consistent_index": null, "scheduledCompactRev": null, "confState": voters})
    );
    let meta: Vec<_> = saved.items.iter().filter(|item| item.bucket == "meta").collect();
    assert!(meta.len() == 1 && meta[0].key == "confState" && meta[0].value == voters.as_bytes(), "{meta:?}");
    assert!(!saved.report.restore.in_place && saved.report.restore.reason.contains("not known"));
    // a cluster before 3.5: the members of a restored snapshot may be others
    let at = damage.bytes.windows(5).position(|window| window == b"3.5.0").expect("the version");
    let mut bytes = damage.bytes.clone();
    bytes[at + 2] = b'4';
    let saved = salvage(&Damage { bytes, ..damage }, Trust::Usual).expect("saved");
    assert!(derived(&saved.report)["confState"].is_null() && in_bucket(&saved.items, "meta") == 0);
}

/// What leads to a bucket is damaged: its header is cut short, or it says that the bucket lies behind it, and nothing does.
#[test]
fn a_bucket_whose_header_is_damaged_is_made_of_its_leaves() {
    let base = base_of("lease");
    let root = base.anatomy.nodes[0].page;
    type Lie = fn(&mut FileBuilder, u64);
    let lies: [(&str, Lie); 2] = [
        ("cut short", |file, root| file.leaf_element(root, 6).value_size.set(8)),
        ("inline, and nothing there", |file, root| file.bucket_header(root, 6).root.set(0)),
    ];
    for (name, lie) in lies {
        let mut file = large();
        assert_eq!(&file.entry_bytes(root, 6)[..5], b"lease");
        lie(&mut file, root);
        let damage = Damage { bytes: file.bytes(), ..damaged(&base, "leaf-zeroed") };
        let saved = salvage(&damage, Trust::Usual).expect("saved");
        assert_eq!(in_bucket(&saved.items, "lease"), 160, "{name}");
        let row = row(&saved.report, "lease");
        assert!(row.orphan == 160 && !row.gaps.is_empty() && !saved.report.is_whole(), "{name}");
    }
}

/// The flag that makes an entry of the root bucket a bucket is gone: etcd would end at its start. All that was in it is saved.
#[test]
fn a_bucket_that_lost_its_flag() {
    let sound = Base::new("large", large().bytes());
    let root = sound.anatomy.nodes[0].page;
    for index in 0..10 {
        let mut file = large();
        file.leaf_element(root, index).flags.set(0);
        let damage = Damage { bytes: file.bytes(), ..damaged(&sound, "leaf-zeroed") };
        let db = Db::new(damage.bytes.clone()).expect("a db");
        let state = State::read(&db);
        let found = scan(&db, &state, ScanOptions::default());
        let checked = check(&Named::plain("db"), &db, &state, &found, Trailer::None, 1000);
        let kinds: Vec<_> = checked.findings.iter().map(|finding| finding.kind).collect();
        assert!(kinds.contains(&"values-in-root"), "{index}: {kinds:?}");
        let saved = salvage(&damage, Trust::Strict).expect("saved");
        assert_eq!(saved.items, sound.all, "{index}");
    }
}

/// Bytes all over a file in which no root leads to its small buckets, each changed by itself: whatever comes of it, no lease, user or
/// member is made up.
#[test]
fn bytes_that_lie_make_nothing_up() {
    let base = base_of("lease");
    let damage = no_root(&base);
    let mut saved_files = 0;
    for at in (0..damage.bytes.len()).step_by(41) {
        let mut bytes = damage.bytes.clone();
        bytes[at] ^= 0xff;
        let Ok(saved) = salvage(&Damage { bytes, ..damage.clone() }, Trust::Usual) else { continue };
        saved_files += 1;
        for (bucket, most) in [("lease", 200), ("authUsers", 25), ("authRoles", 40), ("members", 9)] {
            let found = in_bucket(&saved.items, bucket);
            // a name that was changed in key and value alike would be another's
            assert!(found <= most, "byte {at}: {found} in {bucket}");
        }
        let is_known = |item: &&Item| {
            base.all
                .iter()
                .chain(&base.dead)
                .any(|known| known.bucket == item.bucket && known.key == item.key)
        };
        let leases = saved.items.iter().filter(|item| item.bucket == "lease");
        assert_eq!(leases.filter(|item| !is_known(item)).count(), 0, "byte {at}: a lease of nobody's");
    }
    assert!(saved_files > 800, "{saved_files}");
}
