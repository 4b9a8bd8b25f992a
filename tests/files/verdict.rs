//! One verdict: whatever a file is, every command says the same of it, by its exit code and in its document.

use std::fs;
use std::io::{Write, stderr};
use std::path::Path;

use crate::support::content::{assert_equal_contents, contents};
use crate::support::corpus::Corpus;
use crate::support::memory::{Tree, open};
use crate::support::mutate::mutate;
use crate::support::peers::{assert_bbolt_accepts, with_each_etcd};
use crate::support::program::{Ran, run};
use crate::support::random::Random;
use crate::support::workshop::{NO_ROOT, PATTERNS, bases, seeds};
use crate::support::{etcd_file, fixture, lies, names_in, testdata};
use rayon::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

with_each_etcd!(etcd_runs_with_a_value_beside_its_buckets);

/// What a file is to all commands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Verdict {
    /// Nothing is wrong.
    Sound,
    /// Something is, and a copy loses nothing.
    Readable,
    /// A copy would lose something.
    Damaged,
    /// It can't be opened.
    NoDb,
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or(Value::Null)
}

/// Asks every command that says anything of it.
fn verdict_of(path: &Path, of: &str) -> Verdict {
    let ask =
        |args: &[&str]| run(args.iter().copied().chain([path.to_str().expect("UTF-8"), "--output", "json"]));
    let check = ask(&["check"]);
    let others = [&["analyze"][..], &["status"], &["hash"], &["cleanup"], &["buckets"]].map(ask);
    let copies = [&["plan"][..], &["plan", "--skip-hash-check"], &["defrag", "--dry-run"]].map(ask);
    let skipping = ask(&["defrag", "--dry-run", "--skip-hash-check"]);
    let [analyze, status, hash, cleanup, buckets] = &others;
    let [plan, plan_all_the_same, defrag] = &copies;
    if check.code == 2 {
        let all = others.iter().chain(&copies).chain([&skipping]);
        assert_eq!(all.map(|ran| ran.code).collect::<Vec<_>>(), [2; 9], "{of}: {check:?}");
        return Verdict::NoDb;
    }
    let checked = json(&check);
    let sound = checked["sound"] == true;
    let code = i32::from(!sound);
    assert_eq!([check.code, analyze.code, hash.code], [code; 3], "{of}: {check:?} {hash:?}");
    assert_eq!(buckets.code, 0, "{of}");
    let verdict =
        |value: &Value, count: &str| [&value["sound"], &value["readable"], &value[count]].map(Value::clone);
    let expected = verdict(&checked, "num_findings");
    assert_eq!(verdict(&json(analyze)["health"], "num_faults"), expected, "{of}: analyze");
    assert_eq!(verdict(&json(hash), "num_faults"), expected, "{of}: hash");
    let row = &json(status)["files"][0];
    assert_eq!(
        (&row["sound"], status.code),
        (&Value::Bool(sound), code.max(i32::from(row["level"] != "ok"))),
        "{of}: status"
    );
    if json(analyze)["file"]["is_etcd"] == true {
        assert_eq!(cleanup.code, code, "{of}: cleanup");
        assert_eq!(verdict(&json(cleanup)["health"], "num_faults"), expected, "{of}: cleanup");
    }
    // what makes copies refuses what they would lose, and a snapshot that was changed
    let readable = checked["readable"] == true;
    let changed = json(analyze)["file"]["snapshot_trailer"] == "invalid";
    let refused = |refused: bool| if refused { 2 } else { 0 };
    assert_eq!([plan.code, defrag.code], [refused(!readable || changed); 2], "{of}: {plan:?} {defrag:?}");
    assert_eq!([plan_all_the_same.code, skipping.code], [refused(!readable); 2], "{of}: {skipping:?}");
    // what salvages finds nothing missing where nothing is wrong, and never all where a copy would lose something
    let salvage = ask(&["salvage", "--dry-run", "-o", "unused.db"]);
    assert!(!sound || salvage.code == 0, "{of}: {salvage:?}");
    assert!(readable || salvage.code > 0, "{of}: {salvage:?}");
    if readable {
        let of_structure = &checked["structural_faults"];
        assert_eq!(&json(plan_all_the_same)["structural_faults"], of_structure, "{of}: plan");
        assert_eq!(&json(&skipping)["source"]["structural_faults"], of_structure, "{of}: defrag");
        return if sound { Verdict::Sound } else { Verdict::Readable };
    }
    let count = checked["num_findings"].as_u64().expect("a number");
    let more = if count > 1 { format!(", and {} more)", count - 1) } else { ")".to_owned() };
    for ran in [plan_all_the_same, &skipping] {
        let said = ran.err.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("is damaged, so a copy would lose") && said.contains(&more), "{of}: {said}");
    }
    Verdict::Damaged
}

fn verdict_of_bytes(bytes: &[u8], of: &str) -> Verdict {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("a.db");
    fs::write(&path, bytes).expect("written");
    verdict_of(&path, of)
}

/// Each of these, and how many there are of each verdict.
fn verdicts_of(files: Vec<(String, Vec<u8>)>) -> [usize; 4] {
    let found: Vec<_> = files.par_iter().map(|(of, bytes)| verdict_of_bytes(bytes, of)).collect();
    [Verdict::Sound, Verdict::Readable, Verdict::Damaged, Verdict::NoDb]
        .map(|verdict| found.iter().filter(|&&one| one == verdict).count())
}

fn files_of_testdata() -> Vec<(String, Vec<u8>)> {
    let folders = ["bolt", "bolt/damaged", "etcd-3.4", "etcd-3.5", "k8s-3.5", "k8s-3.6", "k8s-frag"];
    let names = folders.iter().flat_map(|folder| {
        let names = [names_in(folder, ".db"), names_in(folder, ".db.zst")].concat();
        names.into_iter().map(move |name| format!("{folder}/{name}.db"))
    });
    // 84 MB of mostly free pages
    names.filter(|name| !name.contains("freelist-ffff")).map(|name| (name.clone(), fixture(&name))).collect()
}

#[test]
fn of_every_file() {
    let [sound, readable, damaged, no_db] = verdicts_of(files_of_testdata());
    assert!(sound > 20 && damaged >= 3, "{sound}, {readable}, {damaged}");
    assert_eq!(no_db, 0);
    let Some(folder) = std::env::var_os("ETCD_MEDIC_CORPORA") else {
        let _ =
            writeln!(stderr(), "LEFT OUT: the large corpora. ETCD_MEDIC_CORPORA=FOLDER names where they are");
        return;
    };
    for corpus in Corpus::all_in(&testdata("").join("..").join(folder)) {
        for name in corpus.truth.files.keys() {
            assert_eq!(verdict_of(corpus.file(name).path(), name), Verdict::Sound, "{name}");
        }
    }
}

/// Every pattern of damage, done to every file.
#[test]
fn of_every_pattern_of_damage() {
    let damages = bases().into_par_iter().flat_map_iter(|base| {
        let damaged = |pattern| {
            Some((format!("{}: {}", base.name, pattern_name(pattern)), base.damaged(pattern)?.bytes))
        };
        PATTERNS.iter().chain([&NO_ROOT]).filter_map(damaged).collect::<Vec<_>>()
    });
    let [sound, readable, damaged, no_db] = verdicts_of(damages.collect());
    assert!(readable > 10 && damaged > 100 && no_db > 10, "{sound}, {readable}, {damaged}, {no_db}");
}

fn pattern_name(pattern: &crate::support::workshop::Pattern) -> &'static str {
    pattern.name
}

/// Each number that lies; and files in which several do.
#[test]
fn of_every_lie() {
    let lying = lies::cases().map(|case| {
        let mut file = lies::sample();
        (case.lie)(&mut file);
        (case.name.to_owned(), file.bytes())
    });
    let [_, readable, damaged, _] = verdicts_of(lying.collect());
    assert!(readable > 10 && damaged > 50, "{readable}, {damaged}");
    let seeds = seeds();
    let mut random = Random(13);
    let changed = seeds.iter().map(|(name, bytes)| {
        let mut bytes = bytes.clone();
        mutate(&mut bytes, &mut random, 128 << 10);
        (format!("{name}, changed"), bytes)
    });
    let [_, _, damaged, _] = verdicts_of(changed.collect());
    assert!(damaged > 50, "{damaged}");
}

/// A value beside the buckets of the root bucket, with names all over and around theirs.
const VALUES: [(&[u8], &[u8]); 5] =
    [(b"a stray", b"hello"), (b"keys", b""), (b"n", &[0; 16]), (b"zz", &[7; 3000]), (b"\xff\0", b"\0")];

/// Values beside the buckets are no fault of anybody's: bbolt takes them, and so do copies, which have them.
#[test]
fn values_beside_buckets_are_kept() {
    for (name, bytes) in files_of_testdata() {
        if name.contains("damaged/") {
            continue;
        }
        let db = open(bytes);
        let found = contents(&db);
        let mut tree = Tree::of(&found);
        for (key, value) in VALUES {
            tree.put(0, key, value);
        }
        let folder = TempDir::new().expect("a folder");
        let [source, copy] = ["source.db", "copy.db"].map(|name| folder.path().join(name));
        let page_size = u32::try_from(db.page_size()).expect("small");
        fs::write(&source, tree.file(page_size)).expect("written");
        assert_eq!(verdict_of(&source, &name), Verdict::Sound, "{name}");
        assert_bbolt_accepts(&source, &name);
        let ran = run([Path::new("defrag"), &source, Path::new("-o"), &copy]);
        assert_eq!(ran.code, 0, "{name}: {ran:?}");
        let (before, after) = [&source, &copy].map(|path| open(fs::read(path).expect("read"))).into();
        assert_equal_contents(&contents(&after), &contents(&before), &name);
        let hash = json(&run(["hash", source.to_str().expect("UTF-8"), "--output", "json"]));
        assert_eq!(hash["values_left_out"], VALUES.len(), "{name}");
        let plan = json(&run(["plan", source.to_str().expect("UTF-8"), "--output", "json"]));
        assert_eq!(plan["estimates"], serde_json::json!([]), "{name}: other tools end there");
        let said = run([Path::new("hash"), &copy]).out;
        assert!(said.contains("5 plain values: "), "{name}: {said}");
    }
}

/// Of what tells that buckets are lost, nobody makes a copy: names of etcd's buckets that are plain values; another leaf in the root
/// bucket's place.
#[test]
fn buckets_that_are_lost_are_not_left_out() {
    let root = open(etcd_file::large().bytes()).meta().root.0;
    for index in 0..10 {
        let mut file = etcd_file::large();
        file.leaf_element(root, index).flags.set(0);
        assert_eq!(
            verdict_of_bytes(&file.bytes(), &format!("flag {index}")),
            Verdict::Damaged,
            "flag {index}"
        );
    }
    for (of, mut file) in [("etcd's", etcd_file::large()), ("another's", lies::sample())] {
        let leaf = (2..file.num_pages()).find(|&page| page != root && is_plain_leaf(&mut file, page));
        file.metas(|meta| meta.root.root.set(leaf.expect("a leaf of values")));
        assert_eq!(verdict_of_bytes(&file.bytes(), of), Verdict::Damaged, "{of}");
    }
}

fn is_plain_leaf(file: &mut crate::support::builder::FileBuilder, page: u64) -> bool {
    let (flags, count) = (file.header(page).flags.get(), file.header(page).count.get());
    flags == 2 && count > 0 && file.leaf_element(page, 0).flags.get() == 0
}

/// A snapshot that was changed is said to be one by all; what makes copies of it is told to.
#[test]
fn snapshots_that_were_changed() {
    let mut bytes = fixture("etcd-3.5/etcd-3.5.1-kv.snapshot.db");
    assert_eq!(verdict_of_bytes(&bytes, "a snapshot"), Verdict::Sound);
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert_eq!(verdict_of_bytes(&bytes, "a changed one"), Verdict::Readable);
    bytes.truncate(last);
    assert_eq!(verdict_of_bytes(&bytes, "one cut short"), Verdict::Readable);
}

/// etcd starts from a file with such a value, has its keys, and lives on: it is sound.
fn etcd_runs_with_a_value_beside_its_buckets(peer: &crate::support::peers::Peer) {
    let mut member = peer.start(&[]);
    member.ctl(["put", "/app/one", "throw-away text"]);
    member.stop();
    let db = open(fs::read(member.db()).expect("the db"));
    let mut tree = Tree::of(&contents(&db));
    tree.put(0, b"a stray", b"hello");
    fs::write(member.db(), tree.file(4096)).expect("written");
    let data_dir = member.data_dir().to_owned();
    assert_eq!(verdict_of(&data_dir, "a data dir"), Verdict::Sound);
    let ran = run([Path::new("defrag"), Path::new("--in-place"), &data_dir]);
    assert_eq!(ran.code, 0, "{ran:?}");
    member.restart();
    assert!(member.ctl(["get", "/app/one"]).contains("throw-away text"));
    member.ctl(["put", "/app/two", "throw-away text"]);
    member.stop();
    let values = contents(&open(fs::read(member.db()).expect("the db")))[0]
        .entries
        .iter()
        .filter(|entry| entry.1.is_some())
        .count();
    assert_eq!(values, 1, "the value is still there");
}
