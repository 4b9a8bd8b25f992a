//! Each form, on each command: the same answer as unpacked.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::support::fixture;
use super::support::packing::{forms, tar, zstd};
use super::support::program::{Ran, path_in, program, run};

/// What a command says of a file, with this path in place of its own; and the copy that it made.
fn answer(folder: &TempDir, file: &str, command: &[&str]) -> (i32, String, Option<Vec<u8>>) {
    let (path, copy) = (path_in(folder, file), path_in(folder, "copy.db"));
    let args = command.iter().map(|word| match *word {
        "FILE" => path.clone(),
        "COPY" => copy.clone(),
        word => word.to_owned(),
    });
    let Ran { code, out, err } = run(args);
    assert!(code < 2, "{command:?} {file}: {err}");
    let made = fs::read(&copy).ok();
    let _ = fs::remove_file(&copy);
    (code, out.replace(&path, "FILE"), made)
}

const COMMANDS: [&[&str]; 14] = [
    &["status", "--output", "json", "FILE"],
    &["check", "--output", "json", "FILE"],
    &["analyze", "--output", "json", "FILE"],
    &["analyze", "FILE"],
    &["pages", "--output", "json", "FILE"],
    &["page", "--output", "json", "FILE", "0"],
    &["buckets", "--output", "json", "FILE"],
    &["hash", "--output", "json", "FILE"],
    &["plan", "--output", "json", "FILE"],
    &["cleanup", "--output", "json", "--as-of", "2026-01-01T00:00:00Z", "FILE"],
    &["keys", "--output", "json", "FILE"],
    &["get", "--output", "json", "FILE", "/registry/namespaces/default"],
    &["defrag", "--output", "json", "FILE", "-o", "COPY"],
    &["salvage", "--output", "json", "FILE", "-o", "COPY"],
];

/// Times are of the file that was named: a packed one has its own.
fn without_times(out: &str) -> String {
    let is_time = |line: &&str| ["\"modified\"", "seconds\""].iter().any(|name| line.contains(name));
    out.lines().filter(|line| !is_time(line)).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_command_answers_as_for_the_unpacked_file() {
    let db = fixture("k8s-3.6/snapshot.db");
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("plain.db"), &db).unwrap();
    for (name, bytes) in
        forms(&db).iter().filter(|(name, _)| ["zstd", "zip as a stream", "tar.gz"].contains(name))
    {
        fs::write(folder.path().join("packed"), bytes).unwrap();
        for command in COMMANDS {
            let (code, out, copy) = answer(&folder, "packed", command);
            let (plain_code, plain_out, plain_copy) = answer(&folder, "plain.db", command);
            assert_eq!(code, plain_code, "{name}: {command:?}");
            assert_eq!(without_times(&out), without_times(&plain_out), "{name}: {command:?}");
            assert!(copy == plain_copy, "{name}: {command:?}: the copies differ");
        }
    }
}

#[test]
fn every_form_is_read_from_a_file_and_from_standard_input() {
    let db = fixture("k8s-3.6/snapshot.db");
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("plain.db"), &db).unwrap();
    let hash = ["hash", "--output", "json", "FILE"];
    let expected = answer(&folder, "plain.db", &hash);
    let unpacked = folder.path().join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let tmp_dir = unpacked.to_str().unwrap();
    for (name, bytes) in forms(&db).into_iter().chain([("not packed", db.clone())]) {
        let packed = folder.path().join("packed");
        fs::write(&packed, &bytes).unwrap();
        assert_eq!(answer(&folder, "packed", &hash), expected, "{name}");
        let stdin = Stdio::from(fs::File::open(&packed).unwrap());
        let output =
            program().args(["hash", "--output", "json", "-", "--tmp-dir", tmp_dir]).stdin(stdin).output();
        let Ran { code, out, err } = output.unwrap().into();
        assert_eq!(code, expected.0, "{name}: {err}");
        assert_eq!(out.replace("\"-\"", "\"FILE\""), expected.1, "{name}");
        assert_eq!(unpacked.read_dir().unwrap().count(), 0, "{name}: something was left");
    }
}

#[test]
fn the_file_of_an_archive_is_said_and_can_be_chosen() {
    let (old, new) = (fixture("k8s-frag/frag.db"), fixture("k8s-3.6/snapshot.db"));
    let folder = TempDir::new().unwrap();
    let archive = path_in(&folder, "both.tar");
    fs::write(&archive, tar(&[("a.txt", b"text"), ("old db", &old), ("new.db", &new)])).unwrap();
    let ran = run(["status", &archive]);
    assert_eq!(ran.code, 2, "{}", ran.out);
    for part in ["`old db`", "`new.db`", "--member", "etcd-medic status --member 'old db' "] {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
    for (member, bytes) in [("old db", old.len()), ("new.db", new.len())] {
        let ran = run(["status", "--output", "json", "--member", member, &archive]);
        assert!(ran.code < 2, "{}", ran.err);
        assert!(ran.out.contains(&format!("\"file_bytes\": {bytes}")), "{}", ran.out);
        assert!(ran.err.contains(&format!("its file {member} is read")), "{}", ran.err);
    }
    let ran = run(["status", "--member", "other.db", &archive]);
    assert!(ran.code == 2 && ran.err.contains("has no file `other.db`"), "{}", ran.err);
}

#[test]
fn a_packed_file_is_never_replaced_by_a_copy() {
    let db = fixture("k8s-frag/frag.db");
    let folder = TempDir::new().unwrap();
    let packed = path_in(&folder, "frag.db.zst");
    let bytes = zstd(&db);
    fs::write(&packed, &bytes).unwrap();
    for args in [
        vec!["defrag", "--in-place", &packed],
        vec!["defrag", &packed, "-o", &packed],
        vec!["defrag", &packed, "-o", &packed, "--force"],
        vec!["salvage", &packed, "-o", &packed, "--force"],
    ] {
        let ran = run(&args);
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.out);
        assert_eq!(fs::read(&packed).unwrap(), bytes, "{args:?}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 1, "{args:?}");
    }
    assert!(run(["defrag", "--in-place", &packed]).err.contains("is packed"), "the reason");
}

#[test]
fn a_folder_stands_for_the_backups_in_it_the_oldest_first() {
    let db = fixture("k8s-frag/frag.db");
    let folder = TempDir::new().unwrap();
    let now = SystemTime::now();
    for (name, bytes, days) in [
        ("monday.db", db.clone(), 3),
        ("tuesday.db.zst", zstd(&db), 2),
        ("wednesday.tar", tar(&[("snapshot.db", &db)]), 1),
        ("broken.gz", b"\x1f\x8b\x08 broken".to_vec(), 4),
        (".hidden", b"text".to_vec(), 0),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(now - Duration::from_secs(days * 86_400)).unwrap();
    }
    let ran = run(["status", folder.path().to_str().unwrap()]);
    assert_eq!(ran.code, 2, "{}", ran.out);
    let places = ["monday.db", "tuesday.db.zst", "wednesday.tar"].map(|name| ran.out.find(name).expect(name));
    assert!(places.is_sorted(), "{}", ran.out);
    assert!(ran.err.contains("broken.gz") && !ran.err.contains(".hidden"), "{}", ran.err);
}
