//! What was saved of damaged files, beside real etcd: it starts from it, and has the keys that could be saved.
//!
//! `tests/support/peers.rs` says how etcd is found and run, `tests/support/workshop.rs` what is done to the file.
#![cfg(test)]

mod support;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;

use etcd_medic::etcd::{KeyValue, RecordKey};
use support::anatomy::Items;
use support::peers::{Peer, medic_json, number, with_each_etcd};
use support::workshop::{Base, Damage, PATTERNS, frag};
use tempfile::TempDir;

with_each_etcd!(starts_from_what_was_saved);

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
