//! Time travel beside a real etcd: what it answers at each revision, and what it has dropped.
//!
//! `tests/support/peers.rs` says how etcd is found and run.
#![cfg(test)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use support::corpus::from_base64;
use support::peers::{
    Key, Member, Peer, fingerprint, medic, medic_json, number, parse, text, untouched, with_each_etcd,
};
use support::workshop::{Base, NO_ROOT, PATTERNS};

with_each_etcd!(
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
            lease: number(&line["lease"]),
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
    all_deleted_come_back(&mut member);

    // and etcd's own tools find none of them
    assert_eq!(medic_json(0, ["status".as_ref(), &*member.db()])["files"][0]["keys"], 0);
    let cure = member.folder().join("defragged.db");
    let defrag = medic(["defrag".as_ref(), &*member.db(), "-o".as_ref(), &*cure]);
    assert_eq!(defrag.status.code(), Some(0), "{defrag:?}");
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
    all_deleted_come_back(&mut member);
}

/// Deletes what begins so, and compacts. Gives what was deleted, and the revision that it was compacted at.
fn delete_and_compact(member: &Member, prefix: &str) -> (BTreeMap<Vec<u8>, Key>, i64) {
    let mut before = member.keys(&[]);
    before.retain(|key, _| key.starts_with(prefix.as_bytes()));
    // etcd writes to its file every 100 ms; what is deleted within one of these spans never was in it
    std::thread::sleep(std::time::Duration::from_secs(1));
    member.ctl(["del", "--prefix", prefix]);
    let last = member.revision();
    member.ctl(["compact", "--physical", &last.to_string()]);
    (before, last)
}

/// Deletes and compacts all keys, stops, and looks for them in the db and in a snapshot.
fn all_deleted_come_back(member: &mut Member) {
    let (before, last) = delete_and_compact(member, "");
    // a snapshot is a copy of every page, free ones among them
    let snapshot = member.snapshot("snapshot.db");
    member.stop();
    for file in [member.db(), snapshot] {
        untouched(&file, || comes_back(member, &file, &before, last));
    }
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
        let (gone, last) = delete_and_compact(&member, "/gone");
        member.stop();
        assert_eq!(gone.len(), 240);
        let db = member.db();
        assert_eq!(keys_at(&db, &["--deleted"]), gone, "time travel has all of them");
        assert_eq!(
            keys_at(&db, &["--from", "free"]).into_iter().filter(|(key, _)| gone.contains_key(key)).count(),
            240
        );
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
                revives_nothing(&bytes, flag, &of, &gone);
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
        assert!(
            message.contains("may have been deleted: with --strict, no copy is made of that"),
            "{of}: {message}"
        );
        return;
    }
    let report = parse(&output.stdout);
    let keys = keys_at(&saved, &[]);
    let revived: Vec<_> = keys.keys().filter(|key| gone.contains_key(*key)).collect();
    if flag.is_some() || !of.contains("cut") {
        assert!(revived.is_empty(), "{of}: {} keys that were deleted are back: {revived:?}", revived.len());
        return;
    }
    // tombstones and the bucket `meta` were in the part that is gone: nothing in the rest tells these keys from others
    let doubtful = number(&report["recovered"]["doubtful"]);
    assert!(revived.len() as i64 <= doubtful, "{of}: {} back, {doubtful} doubtful", revived.len());
    assert!(revived.is_empty() || output.status.code() == Some(1), "{of}");
}

fn comes_back(member: &Member, db: &Path, before: &BTreeMap<Vec<u8>, Key>, last: i64) {
    let db = db.to_owned();
    assert_eq!(keys_at(&db, &[]).len(), 0, "nothing exists");
    let deleted = medic_json(0, ["keys".as_ref(), &*db, "--deleted".as_ref()]);
    let rows = deleted["deleted"].as_array().expect("rows");
    let names: Vec<_> = rows.iter().map(|row| row["key"].as_str().expect("text").as_bytes()).collect();
    assert!(names.into_iter().eq(before.keys()), "every deleted key is listed, in order");
    for (row, key) in rows.iter().zip(before.values()) {
        assert_eq!(number(&row["recoverable"]["mod_revision"]), key.mod_revision, "the last value: {row}");
        assert_ne!(row["recoverable"]["origin"], "live", "compacted: {row}");
        assert!(row["deleted_at"].is_null() || number(&row["deleted_at"]) == last, "{row}");
    }
    for flags in [&["--from", "free"][..], &["--from", "any"], &["--deleted"]] {
        assert_eq!(&keys_at(&db, flags), before, "export {flags:?}: byte for byte");
    }
    for (key, was) in before.iter().step_by(17) {
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
        assert!(history["exists"] == false && history["compact_revision"] == last, "{history}");
    }
    // a folder of files holds the same
    let folder = member.folder().join("lost");
    let _ = fs::remove_dir_all(&folder);
    let args = ["export", db.to_str().expect("text"), "--deleted", "--format", "raw", "-o"];
    let exported = medic(args.iter().map(Path::new).chain([folder.as_path()]));
    assert_eq!(exported.status.code(), Some(0), "{exported:?}");
    let mut files = Vec::new();
    collect(&folder, &mut files);
    let mut values: Vec<_> = files.iter().map(|path| fingerprint(&fs::read(path).expect("a file"))).collect();
    let mut expected: Vec<_> = before.values().map(|key| key.value.clone()).collect();
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
