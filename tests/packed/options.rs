//! Options for packed files, given where they cannot apply, are refused; those that only limit are not.

use std::process::Stdio;

use super::support::fixture;
use super::support::packing::{gzip, tar, zstd};
use super::support::program::{Ran, folder_of, path_in, program, run};

const COMMANDS: [&[&str]; 13] = [
    &["analyze", "FILE"],
    &["status", "FILE"],
    &["check", "FILE"],
    &["pages", "FILE"],
    &["page", "FILE", "0"],
    &["buckets", "FILE"],
    &["hash", "FILE"],
    &["plan", "FILE"],
    &["cleanup", "FILE"],
    &["keys", "FILE"],
    &["get", "FILE", "/registry/namespaces/default"],
    &["defrag", "FILE", "-o", "COPY"],
    &["salvage", "FILE", "-o", "COPY"],
];

#[test]
fn a_member_of_what_is_no_archive_is_refused() {
    let db = fixture("k8s-3.6/snapshot.db");
    let folder = folder_of(&[("plain.db", &db), ("db.gz", &gzip(&db)), ("etcd/member/snap/db", &db)]);
    let copy = path_in(&folder, "copy.db");
    for file in ["plain.db", "db.gz", "etcd"] {
        let path = path_in(&folder, file);
        for command in COMMANDS {
            let words = command.iter().map(|&word| match word {
                "FILE" => path.as_str(),
                "COPY" => copy.as_str(),
                word => word,
            });
            let ran = run(words.chain(["--member", "other.db"]));
            assert_eq!(ran.code, 2, "{command:?} {file}: {}", ran.out);
            let says = "no archive, so there is no file other.db in it: leave --member out";
            assert!(ran.err.contains(says), "{command:?} {file}: {}", ran.err);
            assert!(!std::path::Path::new(&copy).exists(), "{command:?} {file}");
        }
    }
    let stdin = Stdio::from(std::fs::File::open(path_in(&folder, "plain.db")).unwrap());
    let Ran { code, err, .. } =
        program().args(["hash", "-", "--member", "other.db"]).stdin(stdin).output().unwrap().into();
    assert!(code == 2 && err.contains("leave --member out"), "{err}");
}

#[test]
fn a_member_is_refused_by_a_command_that_reads_no_file() {
    let folder = folder_of(&[]);
    let made = path_in(&folder, "made.db");
    for command in [
        vec!["schema", "hash"],
        vec!["completions", "bash"],
        vec!["man", &made],
        vec!["synth", "-o", &made, "--keys", "500"],
    ] {
        let ran = run([&command[..], &["--member", "db"]].concat());
        assert!(
            ran.code == 2 && ran.err.contains("leave it out") && ran.out.is_empty(),
            "{command:?}: {}",
            ran.err
        );
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn limits_hold_for_whatever_comes() {
    let db = fixture("k8s-3.6/snapshot.db");
    let folder = folder_of(&[("plain.db", &db), ("db.zst", &zstd(&db)), ("db.tar", &tar(&[("db", &db)]))]);
    let tmp = folder.path().to_str().unwrap();
    for file in ["plain.db", "db.zst", "db.tar"] {
        let ran = run([
            "hash",
            &path_in(&folder, file),
            "--tmp-dir",
            tmp,
            "--max-unpacked",
            "1GiB",
            "--max-window",
            "1GiB",
        ]);
        assert!(ran.code < 2, "{file}: {}", ran.err);
    }
}

#[test]
fn standard_input_is_salvaged_but_not_block_by_block() {
    let db = fixture("k8s-frag/frag.db");
    let folder = folder_of(&[("db.gz", &gzip(&db)), ("plain.db", &db)]);
    for file in ["db.gz", "plain.db"] {
        let salvage = |saved: &str, options: &[&str]| -> Ran {
            let stdin = Stdio::from(std::fs::File::open(path_in(&folder, file)).unwrap());
            let mut command = program();
            command.args(["salvage", "-", "-o", saved]).args(options).stdin(stdin).output().unwrap().into()
        };
        let saved = path_in(&folder, &format!("{file}.saved"));
        let ran = salvage(&saved, &[]);
        assert!(ran.code < 2, "{file}: {}", ran.err);
        assert_eq!(run(["check", &saved]).code, 0);
        let refused = salvage(&path_in(&folder, "other"), &["--disk-errors"]);
        assert!(refused.code == 2 && refused.err.contains("name the file"), "{file}: {}", refused.err);
    }
}
