//! Each form, on each command: the same answer as unpacked.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::support::documents::{FolderHashes, Hash, parse};
use super::support::packing::{forms, tar, zstd};
use super::support::program::{Ran, document, folder_of, path_in, program, run};
use super::support::random::Random;
use super::support::{fixture, testdata};

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

/// zstd keeps bytes that do not become smaller as they are: the magic number of the first meta may then be where it was.
#[test]
fn a_db_whose_values_do_not_become_smaller() {
    let db = [fixture("etcd-3.5/etcd-3.5.1-kv.db"), Random(15).bytes(1 << 20)].concat();
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("plain.db"), &db).unwrap();
    let hash = ["hash", "--output", "json", "FILE"];
    let expected = answer(&folder, "plain.db", &hash);
    let levels = (1..=19).map(|level| ("zstd, each level", ::zstd::encode_all(&db[..], level).unwrap()));
    for (name, bytes) in forms(&db).into_iter().chain(levels) {
        fs::write(folder.path().join("packed"), &bytes).unwrap();
        assert_eq!(answer(&folder, "packed", &hash), expected, "{name}");
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

/// Nobody chose the attributes of what was unpacked: its copies are for their owner only, as they may hold Secrets.
#[test]
fn a_copy_of_a_packed_file_is_not_for_others() {
    let folder = folder_of(&[("frag.db.zst", &zstd(&fixture("k8s-frag/frag.db")))]);
    let (packed, copy) = (path_in(&folder, "frag.db.zst"), path_in(&folder, "copy.db"));
    for command in ["defrag", "salvage"] {
        for file in [packed.as_str(), "-"] {
            let stdin = Stdio::from(fs::File::open(&packed).unwrap());
            let ran: Ran = program().args([command, file, "-o", &copy]).stdin(stdin).output().unwrap().into();
            assert!(ran.code < 2, "{command} {file}: {}", ran.err);
            assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600, "{command} {file}");
            fs::remove_file(&copy).unwrap();
        }
    }
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
    let path = folder.path().to_str().unwrap();
    for command in ["status", "hash"] {
        for output in ["text", "json"] {
            let ran = run([command, "--output", output, path]);
            assert_eq!(ran.code, 2, "{}", ran.out);
            let names = ["monday.db", "tuesday.db.zst", "wednesday.tar"];
            let places = names.map(|name| ran.out.find(name).expect(name));
            assert!(places.is_sorted(), "{}", ran.out);
            assert!(ran.err.contains("broken.gz") && !ran.err.contains(".hidden"), "{}", ran.err);
            if output == "text" {
                assert_eq!(ran.out.lines().count(), 1 + names.len(), "{}", ran.out);
            }
        }
    }
    let ran = run(["hash", "--output", "json", path]);
    let all: FolderHashes = parse("hash", &ran.out);
    let one: Hash = document("hash", &path_in(&folder, "monday.db"), &[]);
    assert_eq!(all.files.len(), 3);
    assert!(all.errors[0].path.ends_with("broken.gz") && all.errors.len() == 1);
    let hash_kv = one.hash_kv.map(|of| of.hash);
    assert!(all.files.iter().all(|file| file.hash_kv.as_ref().map(|of| of.hash) == hash_kv));
    assert!(all.files.iter().all(|file| file.buckets.len() == one.buckets.len()));
    fs::remove_file(folder.path().join("broken.gz")).unwrap();
    assert_eq!(run(["hash", path]).code, 0);
    // a revision that a file does not have is an error of that file
    let ran = run(["hash", "--rev", "1", path]);
    assert!(ran.code == 2 && ran.out.is_empty() && ran.err.matches("revision").count() >= 3, "{}", ran.err);
}

/// Every file of `testdata`, each in another form.
#[test]
fn every_file_answers_in_its_form_as_unpacked() {
    let files = dbs_below(&testdata(""));
    assert!(files.len() > 40, "{files:?}");
    let folder = TempDir::new().unwrap();
    for (number, path) in files.iter().enumerate() {
        let db = match path.extension() {
            Some(ending) if ending == "zst" => ::zstd::decode_all(fs::File::open(path).unwrap()).unwrap(),
            _ => fs::read(path).unwrap(),
        };
        fs::write(folder.path().join("plain.db"), &db).unwrap();
        let forms = forms(&db);
        let (form, bytes) = &forms[number % forms.len()];
        fs::write(folder.path().join("packed"), bytes).unwrap();
        for command in COMMANDS {
            let of = format!("{}, {form}: {command:?}", path.display());
            let packed = any_answer(&folder, "packed", command);
            let plain = any_answer(&folder, "plain.db", command);
            assert_eq!(packed.code, plain.code, "{of}: {}{}", packed.err, plain.err);
            assert_eq!(without_times(&packed.out), without_times(&plain.out), "{of}");
            assert_eq!(without_what_is_read(&packed.err), plain.err, "{of}");
        }
    }
}

/// Backups as k3s, RKE2 and kops keep them.
#[test]
fn of_the_field() {
    let path = |name: &str| testdata("field/compressed").join(name).display().to_string();
    let hashes = ["etcd.backup.gz", "on-demand-node1-1642532094.zip"].map(|name| run(["hash", &path(name)]));
    assert!(hashes.iter().all(|ran| ran.code == 0 && ran.out == hashes[0].out), "{hashes:?}");
    let ran = run(["status", &path("state.db.zst")]);
    assert!(ran.code == 2 && ran.err.contains("SQLite"), "{}", ran.err);
}

fn dbs_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(dbs_below(&path));
        } else if (name.ends_with(".db") || name.ends_with(".db.zst")) && name != "state.db.zst" {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn any_answer(folder: &TempDir, file: &str, command: &[&str]) -> Ran {
    let (path, copy) = (path_in(folder, file), path_in(folder, "copy.db"));
    let args = command.iter().map(|word| match *word {
        "FILE" => path.clone(),
        "COPY" => copy.clone(),
        word => word.to_owned(),
    });
    let Ran { code, out, err } = run(args);
    let _ = fs::remove_file(&copy);
    Ran { code, out: out.replace(&path, "FILE"), err: err.replace(&path, "FILE") }
}

fn without_what_is_read(err: &str) -> String {
    let lines = err.lines().filter(|line| !(line.contains(": its file ") && line.ends_with(" is read")));
    lines.map(|line| format!("{line}\n")).collect()
}
