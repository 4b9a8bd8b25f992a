//! What was saved of damaged files, beside real etcd: it starts from it, and has the keys that could be saved.
//!
//! `tests/support/peers.rs` says how etcd is found and run, `tests/support/workshop.rs` what is done to the file.

mod lacking;
mod logged;
mod road;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::time::Duration;

use crate::support::anatomy::Items;
use crate::support::peers::{Member, Peer, medic_json, number, parse, with_each_newest_etcd};
use crate::support::workshop::{Base, Damage, NO_ROOT, PATTERNS, frag};
use etcd_medic::internals::etcd::{KeyValue, RecordKey};
use tempfile::TempDir;

with_each_newest_etcd!(starts_from_what_was_saved, leases_and_users_come_back);

/// The damage that everything else fails at, and all after which nothing that stands may be missing.
const NAMES: [&str; 8] = [
    "half-cut",
    "leaf-zeroed",
    "key-root-zeroed",
    "metas-zeroed",
    "cycle",
    "referenced-twice",
    "pages-zeroed",
    "garbage-table",
];

fn starts_from_what_was_saved(peer: &Peer) {
    let base = frag();
    for name in NAMES {
        let pattern = PATTERNS.iter().find(|pattern| pattern.name == name).expect("a pattern");
        let damage = base.damaged(pattern).expect("damaged");
        saved_and_started(peer, &base, &damage);
    }
}

fn saved_and_started(peer: &Peer, base: &Base, damage: &Damage) {
    let folder = TempDir::new().expect("a folder");
    let [source, saved] = ["damaged.db", "saved.db"].map(|name| folder.path().join(name));
    fs::write(&source, &damage.bytes).expect("a file");
    let args = ["salvage", "--snapshot", "-o"].map(OsStr::new);
    let report = medic_json(1, args.into_iter().chain([saved.as_os_str(), source.as_os_str()]));
    assert_eq!(report["verified"], true, "{}: {report}", damage.name);

    let member = peer.start_on(peer.restore(&saved, &[]), &[], None);
    let keys = member.keys(&[]);
    assert_eq!(keys.len() as i64, number(&report["target"]["keys"]), "{}: keys", damage.name);
    let possible = newest(base, &damage.possible);
    let all = newest(base, &damage.all);
    // a key is there if its newest record stands; what else is there must have been in the file, alive or not
    for (key, newest) in possible.iter().filter(|(key, newest)| all.get(*key) == Some(newest)) {
        match newest {
            (revision, false) => {
                let found = keys.get(key).unwrap_or_else(|| panic!("{}: {key:?} is gone", damage.name));
                assert_eq!(found.mod_revision, *revision, "{}: {key:?}", damage.name);
            }
            (_, true) => assert!(!keys.contains_key(key), "{}: {key:?} was deleted", damage.name),
        }
    }
    if damage.name != "half-cut" {
        let stale = keys.keys().filter(|key| !all.contains_key(*key)).count();
        assert_eq!(stale, 0, "{}: keys that were deleted came back", damage.name);
    }
    member.ctl(["put", "/after/the/salvage", "throw-away text"]);
    assert!(member.ctl(["get", "/after/the/salvage"]).contains("throw-away text"), "{}", damage.name);
}

/// Leases and users on pages of their own, some of them revoked and removed; then their trees are damaged. etcd starts from what was
/// saved, has those that were there, and none that was not.
fn leases_and_users_come_back(peer: &Peer) {
    let mut member = peer.start(&[]);
    let granted: Vec<String> = (0..140).map(|_| member.grant(36_000)).collect();
    for (number, lease) in granted.iter().enumerate().step_by(4) {
        member.ctl(["put", &format!("/app/{number}"), "throw-away text", &format!("--lease={lease}")]);
    }
    for user in 0..14 {
        member.ctl(["user", "add", &format!("user-{user:02}:throw-away")]);
    }
    // what is revoked within the same 100 ms as it was granted never was in the file
    std::thread::sleep(Duration::from_secs(1));
    granted.iter().skip(1).step_by(5).for_each(|lease| drop(member.ctl(["lease", "revoke", lease])));
    member.ctl(["user", "delete", "user-07"]);
    for round in 0..4 {
        std::thread::sleep(Duration::from_millis(300));
        member.ctl(["put", "/app/last", &format!("round {round}")]);
    }
    let (leases, users, keys) = (leases_of(&member), users_of(&member), member.keys(&[]));
    assert_eq!((leases.len(), users.lines().count()), (112, 13));
    member.stop();
    let db = fs::read(member.db()).expect("the db");
    // the root of the leases is a branch, that of the users a leaf, which has all of them
    for (bucket, names) in
        [("lease", &["key-root-zeroed", "root-leaf-zeroed", "no-root"][..]), ("authUsers", &["no-root"])]
    {
        let base = Base::of_bucket(bucket, db.clone(), Some(bucket));
        let patterns = PATTERNS.iter().chain([&NO_ROOT]);
        for pattern in patterns.filter(|pattern| names.contains(&pattern.name)) {
            let of = format!("{bucket}: {}", pattern.name);
            let damage =
                base.damaged(pattern).unwrap_or_else(|| panic!("{of}: the bucket has no page of its own"));
            let folder = TempDir::new().expect("a folder");
            let [source, saved] = ["damaged.db", "saved.db"].map(|name| folder.path().join(name));
            fs::write(&source, &damage.bytes).expect("a file");
            let args = ["salvage", "--snapshot", "-o"].map(OsStr::new);
            medic_json(1, args.into_iter().chain([saved.as_os_str(), source.as_os_str()]));
            let after = peer.start_on(peer.restore(&saved, &[]), &[], None);
            assert_eq!(leases_of(&after), leases, "{of}");
            assert_eq!(after.keys(&[]), keys, "{of}");
            assert_eq!(users_of(&after), users, "{of}");
        }
    }
}

fn leases_of(member: &Member) -> BTreeSet<i64> {
    let answer = parse(member.ctl(["lease", "list", "-w", "json"]).as_bytes());
    answer["leases"].as_array().into_iter().flatten().map(|lease| number(&lease["id"])).collect()
}

fn users_of(member: &Member) -> String {
    member.ctl(["user", "list"])
}

/// Each key's newest record: its revision, and whether it is a tombstone.
fn newest(base: &Base, items: &Items) -> BTreeMap<Vec<u8>, (i64, bool)> {
    let mut newest = BTreeMap::new();
    for item in items.iter().filter(|item| item.bucket == base.bucket) {
        let place = RecordKey::parse(&item.key).expect("a record of a sound file");
        let kv = KeyValue::parse(&item.value).expect("a record of a sound file");
        let record = newest.entry(kv.key.to_vec()).or_insert((0, false));
        *record = (*record).max((place.revision.main, place.tombstone));
    }
    newest
}
