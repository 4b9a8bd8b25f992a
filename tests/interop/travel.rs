//! Time travel beside a real etcd: what it answers at each revision, and what it has dropped.
//!
//! `tests/support/peers.rs` says how etcd is found and run.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::corpus::from_base64;
use crate::support::peers::{
    Key, Member, Peer, assert_bbolt_accepts, fingerprint, from_hex, medic, medic_json, number, parse, text,
    untouched, with_each_newest_etcd,
};
use crate::support::workshop::{Base, NO_ROOT, PATTERNS};
use serde_json::Value;

with_each_newest_etcd!(
    every_revision_is_what_etcd_answers,
    deleted_and_compacted_keys_come_back,
    a_handful_of_keys_comes_back,
    a_salvage_revives_nothing,
);

/// The keys of a file at a revision, as `export` has them, byte for byte.
fn keys_at(file: &Path, flags: &[&str]) -> BTreeMap<Vec<u8>, Key> {
    let args = ["export".as_ref(), file, "--format".as_ref(), "raw".as_ref(), "-o".as_ref(), "-".as_ref()];
    let args = args.into_iter().chain(["--show-secrets"].iter().chain(flags).map(|flag| Path::new(*flag)));
    let output = medic(args);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    let lines = text(&output.stdout);
    let line = |line: &str| {
        let line = parse(line.as_bytes());
        let bytes = |field: &str| match &line[field] {
            Value::String(text) => text.clone().into_bytes(),
            other => from_base64(other["bytes"].as_str().expect("base64")),
        };
        let key = Key {
            create_revision: number(&line["create_revision"]),
            mod_revision: number(&line["mod_revision"]),
            version: number(&line["version"]),
            lease: from_hex(&line["lease"]).cast_signed(),
            value: fingerprint(&bytes("value")),
        };
        (bytes("key"), key)
    };
    lines.lines().map(line).collect()
}

fn every_revision_is_what_etcd_answers(peer: &Peer) {
    let mut member = peer.start(&[]);
    let middle = member.write_some_of_everything();
    let last = member.revision();
    member.ctl(["compact", &middle.to_string()]);
    let mut answers = BTreeMap::new();
    for revision in (middle..=last).step_by(2).chain([last]) {
        answers.insert(revision, member.keys(&["--rev", &revision.to_string()]));
    }
    let snapshot = member.snapshot("snapshot.db");
    member.stop();
    for file in [&snapshot, &member.db()] {
        untouched(file, || {
            for (revision, answer) in &answers {
                let rev = revision.to_string();
                assert_eq!(&keys_at(file, &["--rev", &rev]), answer, "at revision {revision}");
                let listed =
                    medic(["keys".as_ref(), file.as_path(), "--rev".as_ref(), rev.as_ref(), "-0".as_ref()]);
                // one of the keys has a zero byte in it
                let expected: Vec<u8> =
                    answer.keys().flat_map(|key| key.iter().copied().chain([0])).collect();
                assert_eq!(listed.stdout, expected, "keys at revision {revision}, in order");
            }
            assert_eq!(&keys_at(file, &[]), &answers[&last], "the current revision");
            for (rev, says) in [(middle - 1, "was compacted"), (last + 1, "is in the future")] {
                let rev = rev.to_string();
                let refused = medic(["keys".as_ref(), file.as_path(), "--rev".as_ref(), rev.as_ref()]);
                let message = text(&refused.stderr);
                assert!(refused.status.code() == Some(2) && message.contains(says), "{message}");
            }
        });
    }
}

/// All keys deleted, and history compacted, by etcd itself. What it wrote last of each must come back from its own pages.
fn deleted_and_compacted_keys_come_back(peer: &Peer) {
    let mut member = peer.start(&[]);
    for part in 0..6 {
        let put = |key| {
            format!(
                r#"put "/registry/configmaps/shop/c-{part}-{key}" "value {part} {key} {}""#,
                "x".repeat(300)
            )
        };
        member.txn(&(0..40).map(put).collect::<Vec<_>>());
    }
    let put = ["put", "/registry/configmaps/shop/c-0-0"];
    for round in 0..3 {
        member.ctl([put[0], put[1], &format!("round {round} {}", "long ".repeat(3000))]);
    }
    let found = all_deleted_come_back(peer, &mut member);
    assert!(found.iter().all(|found| *found >= 120), "{found:?} of 240");

    // and etcd's own tools find none of them
    assert_eq!(medic_json(0, ["status".as_ref(), &*member.db()])["files"][0]["keys"], 0);
    let cure = member.folder().join("defragged.db");
    let defrag = medic(["defrag".as_ref(), &*member.db(), "-o".as_ref(), &*cure]);
    assert_eq!(defrag.status.code(), Some(0), "{defrag:?}");
    assert_bbolt_accepts(&cure, "a copy of nothing but tombstones, or of less");
    let nothing = medic_json(0, ["keys".as_ref(), &*cure, "--deleted".as_ref()]);
    let gone = nothing["deleted"].as_array().expect("rows").iter();
    assert!(gone.clone().all(|row| row["recoverable"].is_null()), "a copy has no free pages: {nothing}");
}

/// So few that bbolt keeps the `key` bucket inside its root's leaf.
fn a_handful_of_keys_comes_back(peer: &Peer) {
    let mut member = peer.start(&[]);
    for key in 0..3 {
        member.ctl(["put", &format!("/app/{key}"), &format!("value {key}")]);
    }
    let found = all_deleted_come_back(peer, &mut member);
    // the whole db is four pages, and those that keep the tombstones write over all of them
    assert!(found == [3, 3] || peer.keeps_tombstone_of_compaction(), "{found:?}");
}

/// What was deleted, and then compacted.
struct Deleted {
    keys: BTreeMap<Vec<u8>, Key>,
    /// Their records, as they were stored.
    stored: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The revision of the deletion and of the compaction.
    at: i64,
}

impl Deleted {
    /// The keys whose last value this file still has, somewhere. The more etcd writes after a deletion, the more free pages
    /// it takes: with the tombstones that it keeps since 3.5.16, a compaction is more work.
    fn still_in(&self, file: &Path) -> BTreeMap<Vec<u8>, Key> {
        let bytes = fs::read(file).expect("the file");
        let is_there = |key: &Vec<u8>| memchr::memmem::find(&bytes, &self.stored[key]).is_some();
        self.keys
            .iter()
            .filter(|(key, _)| is_there(key))
            .map(|(key, was)| (key.clone(), was.clone()))
            .collect()
    }
}

/// Deletes what begins so, and compacts.
fn delete_and_compact(member: &Member, prefix: &str) -> Deleted {
    let (mut keys, stored) = (member.keys(&[]), member.stored());
    keys.retain(|key, _| key.starts_with(prefix.as_bytes()));
    // etcd writes to its file every 100 ms; what is deleted within one of these spans never was in it
    std::thread::sleep(std::time::Duration::from_secs(1));
    member.ctl(["del", "--prefix", prefix]);
    let at = member.revision();
    member.ctl(["compact", "--physical", &at.to_string()]);
    Deleted { keys, stored, at }
}

/// Deletes and compacts all keys, stops, and looks for them in the db and in a snapshot. Gives back of how many keys each
/// had the last value.
fn all_deleted_come_back(peer: &Peer, member: &mut Member) -> [usize; 2] {
    let deleted = delete_and_compact(member, "");
    // a snapshot is a copy of every page, free ones among them
    let snapshot = member.snapshot("snapshot.db");
    member.stop();
    for file in [&member.db(), &snapshot] {
        untouched(file, || comes_back(peer, member, file, &deleted));
    }
    [member.db(), snapshot].map(|file| deleted.still_in(&file).len())
}

/// What was deleted and compacted lies in free pages, and time travel brings it back; a salvage does not, whatever is damaged.
fn a_salvage_revives_nothing(peer: &Peer) {
    for kept in [0, 300] {
        let mut member = peer.start(&[]);
        for (prefix, keys) in [("/kept", kept), ("/gone", 240)] {
            for part in 0..keys / 20 {
                let put = |key| format!(r#"put "{prefix}/{part}-{key}" "{}""#, "x".repeat(300));
                member.txn(&(0..20).map(put).collect::<Vec<_>>());
            }
        }
        let deleted = delete_and_compact(&member, "/gone");
        member.stop();
        let (db, gone, last) = (member.db(), &deleted.keys, deleted.at);
        let there = deleted.still_in(&db);
        assert!(gone.len() == 240 && there.len() >= 120, "{} of {}", there.len(), gone.len());
        assert_eq!(keys_at(&db, &["--deleted"]), there, "time travel has all of them");
        let mut free = keys_at(&db, &["--from", "free"]);
        free.retain(|key, _| gone.contains_key(key));
        assert_eq!(free, there);
        let base = Base::of_bucket("deleted", fs::read(&db).expect("the db"), Some("key"));
        let damaged = [
            "key-root-zeroed",
            "root-leaf-zeroed",
            "metas-zeroed",
            "meta-checksums",
            "half-cut",
            "branch-zeroed",
            "tail-cut",
            "pages-zeroed",
        ];
        let damaged = PATTERNS.iter().filter(|pattern| damaged.contains(&pattern.name)).chain([&NO_ROOT]);
        let files =
            damaged.filter_map(|pattern| base.damaged(pattern)).map(|damage| (damage.name, damage.bytes));
        for (name, bytes) in files.chain([("sound", base.bytes.to_vec())]) {
            for flag in [None, Some("--strict")] {
                let of = format!("{kept} kept, {name}, {flag:?}, compacted at {last}");
                revives_nothing(&bytes, flag, &of, gone);
            }
        }
    }
}

fn revives_nothing(bytes: &[u8], flag: Option<&str>, of: &str, gone: &BTreeMap<Vec<u8>, Key>) {
    let folder = tempfile::tempdir().expect("a folder");
    let [damaged, saved] = ["damaged.db", "saved.db"].map(|name| folder.path().join(name));
    fs::write(&damaged, bytes).expect("written");
    let [command, output, to] =
        [["salvage"].as_slice(), &["--output", "json"], &["-o"]].map(|args| args.iter().map(Path::new));
    let args = command
        .chain(flag.map(Path::new))
        .chain(output)
        .chain(to)
        .chain([saved.as_path(), damaged.as_path()]);
    let output = medic(args);
    if flag.is_some() && output.status.code() == Some(2) {
        let message = text(&output.stderr);
        assert!(message.contains("may have been deleted: no copy is made of that"), "{of}: {message}");
        return;
    }
    let report = parse(&output.stdout);
    assert_bbolt_accepts(&saved, of);
    let keys = keys_at(&saved, &[]);
    let revived: Vec<_> = keys.keys().filter(|key| gone.contains_key(*key)).collect();
    let shown =
        || format!("{of}: {} keys that were deleted are back: {}", revived.len(), report["recovered"]);
    if flag.is_some() {
        assert!(revived.is_empty(), "{}", shown());
        return;
    }
    // where tombstones and the bucket `meta` are gone, nothing in the rest tells these keys from others: they are counted
    let doubtful = number(&report["recovered"]["doubtful"]);
    assert!(revived.len() as i64 <= doubtful, "{}", shown());
    assert!(revived.is_empty() || output.status.code() == Some(1), "{}", shown());
}

fn comes_back(peer: &Peer, member: &Member, db: &Path, deleted: &Deleted) {
    let there = deleted.still_in(db);
    assert_eq!(keys_at(db, &[]).len(), 0, "nothing exists");
    let listed = medic_json(0, ["keys".as_ref(), db, "--deleted".as_ref()]);
    let rows = listed["deleted"].as_array().expect("rows");
    let names: Vec<_> = rows.iter().map(|row| row["key"].as_str().expect("text").as_bytes()).collect();
    // a key without a value is known by its tombstone only
    let known = if peer.keeps_tombstone_of_compaction() { &deleted.keys } else { &there };
    assert!(names.into_iter().eq(known.keys()), "every deleted key is listed, in order");
    for (row, (key, was)) in rows.iter().zip(known) {
        let of = &row["recoverable"];
        let found = of["mod_revision"].as_i64().unwrap_or(0);
        let is_right =
            if there.contains_key(key) { found == was.mod_revision } else { found < was.mod_revision };
        assert!(is_right, "the last value that is there: {row}");
        assert_ne!(of["origin"], "live", "compacted: {row}");
        assert!(row["deleted_at"].is_null() || number(&row["deleted_at"]) == deleted.at, "{row}");
    }
    let mut expected = Vec::new();
    for flags in [&["--from", "free"][..], &["--from", "any"], &["--deleted"]] {
        let found = keys_at(db, flags);
        let (last, older): (BTreeMap<_, _>, _) =
            found.into_iter().partition(|(key, _)| there.contains_key(key));
        assert_eq!(last, there, "export {flags:?}: byte for byte");
        let is_older = |(key, found): (&Vec<u8>, &Key)| found.mod_revision < deleted.keys[key].mod_revision;
        assert!(older.iter().all(is_older), "export {flags:?}: {older:?}");
        expected = last.values().chain(older.values()).map(|key| key.value.clone()).collect();
    }
    for (key, was) in there.iter().step_by(17) {
        let key = std::str::from_utf8(key).expect("text");
        let get = |flags: &[&str]| medic(["get", db.to_str().expect("text"), key].iter().chain(flags));
        let found = get(&["--from", "free", "--format", "raw"]);
        assert_eq!(found.status.code(), Some(0), "{found:?}");
        assert_eq!(fingerprint(&found.stdout), was.value, "{key}");
        let missing = get(&[]);
        let message = text(&missing.stderr);
        assert!(missing.status.code() == Some(1) && missing.stdout.is_empty(), "{missing:?}");
        assert!(message.contains(&format!("its value of revision {}", was.mod_revision)), "{message}");
        let history = medic_json(0, ["history", db.to_str().expect("text"), key]);
        assert!(history["exists"] == false && history["compact_revision"] == deleted.at, "{history}");
    }
    // a folder of files holds the same
    let folder = member.folder().join("lost");
    let _ = fs::remove_dir_all(&folder);
    let args = ["export", db.to_str().expect("text"), "--deleted", "--format", "raw", "-o"];
    let exported = medic(args.iter().map(Path::new).chain([folder.as_path()]));
    assert_eq!(exported.status.code(), Some(i32::from(expected.is_empty())), "{exported:?}");
    let mut files = Vec::new();
    collect(&folder, &mut files);
    let mut values: Vec<_> = files.iter().map(|path| fingerprint(&fs::read(path).expect("a file"))).collect();
    values.sort();
    expected.sort();
    assert_eq!(values, expected);
}

fn collect(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in folder.read_dir().expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}
