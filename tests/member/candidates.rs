//! Several dbs that a replay may begin with: the newest that fits, whatever the order in which they are named.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::replayed::{Recorded, corpora, recorded};
use crate::support::program::{Ran, run};

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}", ran.err))
}

/// The names of the db that was taken, and of those that were not.
fn taken(report: &Value) -> (String, Vec<String>) {
    let name = |path: &Value| {
        Path::new(path.as_str().expect("a path")).file_name().expect("a name").to_string_lossy().into_owned()
    };
    let mut others: Vec<_> =
        report["passed_over"].as_array().expect("a list").iter().map(|one| name(&one["path"])).collect();
    others.sort();
    (name(&report["base"]), others)
}

#[test]
fn the_newest_that_fits() {
    let logs = recorded();
    let Some(Recorded { folder, .. }) = logs.iter().find(|log| log.name == "k8s-log-3.6.14") else { return };
    let log = text(&folder.path().join("m1"));
    let backups = tempfile::tempdir().expect("a folder");
    let path = |name: &str| text(&backups.path().join(name));
    let base = text(&folder.path().join("base.db"));
    for index in ["400", "800", "1200"] {
        let ran = run([
            "replay",
            &base,
            "--log",
            &log,
            "--until-index",
            index,
            "-o",
            &path(&format!("{index}.db")),
        ]);
        assert_eq!(ran.code, 0, "{}", ran.err);
    }
    fs::write(backups.path().join("torn.db"), &fs::read(path("800.db")).expect("a db")[..9000])
        .expect("written");
    fs::write(backups.path().join("notes.txt"), "no db").expect("written");
    let replay = |bases: &[&str], options: &[&str]| {
        run([&["replay"], bases, &["--log", &log, "--dry-run", "--output", "json"], options].concat())
    };
    let names = ["400.db", "800.db", "1200.db", "torn.db"].map(path);
    let [first, second, third, torn] = names.each_ref().map(String::as_str);
    let whole = json(&replay(&[&base], &[]));
    for (options, expected, passed_over) in [
        (&[][..], "1200.db", &[][..]),
        (&["--until-index", "1100"], "800.db", &["1200.db"]),
        (&["--until-index", "500"], "400.db", &["1200.db", "800.db"]),
    ] {
        for bases in [[first, second, third], [third, first, second]] {
            let report = json(&replay(&bases, options));
            let passed_over = passed_over.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(taken(&report), (expected.to_owned(), passed_over), "{options:?}");
            if options.is_empty() {
                assert_eq!(report["to"], whole["to"]);
            }
        }
    }
    // a folder of them; what is no db is named with the reason
    let folder = text(backups.path());
    let report = json(&replay(&[&folder], &["--until-index", "700"]));
    let (base, others) = taken(&report);
    assert_eq!(base, "400.db");
    assert!(["1200.db", "800.db", "notes.txt"].iter().all(|name| others.iter().any(|other| other == name)));
    let shown = run(["replay", &folder, "--log", &log, "--dry-run", "--until-index", "700"]).out;
    assert!(shown.contains("not from") && shown.contains("can't go back to 700"), "{shown}");
    // one that can only be read in part
    let ran = replay(&[torn, first], &[]);
    assert_eq!(taken(&json(&ran)).0, "400.db");
    let ran = replay(&[second, third], &["--until-index", "500"]);
    assert!(ran.code == 2 && ran.err.contains("can begin with none of them"), "{}", ran.err);
}

/// A backup from after the deletion does not know of it: the oldest says where to end.
#[test]
fn before_a_deletion() {
    for (name, folder, truth) in corpora("namespace-deleted") {
        let path = |below: &str| text(&folder.path().join(below));
        let end = &truth["before_the_run"];
        let log = path("m1");
        let last = truth["last_index_of_the_run"].as_u64().expect("an index");
        let middle = end["index"].as_u64().expect("an index") - 10;
        for (index, copy) in [(last + 5, "after.db"), (middle, "before.db")] {
            let index = index.to_string();
            let ran = run([
                "replay",
                &path("backup.db"),
                "--log",
                &log,
                "--until-index",
                &index,
                "-o",
                &path(copy),
            ]);
            assert_eq!(ran.code, 0, "{name}: {}", ran.err);
        }
        let bases = [path("after.db"), path("backup.db"), path("before.db")];
        let [after, backup, before] = bases.each_ref().map(String::as_str);
        let replay = ["replay", after, backup, before, "--log", &log, "--output", "json"];
        let ran =
            run([&replay[..], &["-o", &path("new.db"), "--before-deletes", "--namespace", "prod"]].concat());
        let report = json(&ran);
        assert_eq!(taken(&report), ("before.db".to_owned(), vec!["after.db".to_owned()]), "{name}");
        assert_eq!([&report["to"]["index"], &report["hash_kv"]], [&end["index"], &end["hashkv"]], "{name}");
        let listed = json(&run([&replay[..], &["--list-deletions", "--namespace", "prod"]].concat()));
        assert!(listed["deletions"].as_array().is_some_and(|runs| !runs.is_empty()), "{listed}");
    }
}
