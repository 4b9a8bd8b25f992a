//! What `doctor` finds in a directory beside what is in the way of a start, and what its commands make of it.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::{Write, stderr};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::program::{pasted, run};
use crate::support::testdata;

/// A member whose db is behind its log, under an alarm.
const MEMBER: &str = "field/disarm-behind-its-log/etcd-3.5/member.tar.zst";

/// A data dir of its own.
struct Directory {
    folder: TempDir,
    /// The folder of its log, where it is not in the data dir.
    wal_dir: Option<PathBuf>,
}

impl Directory {
    fn new() -> Self {
        let unpacked = crate::support::members::unpack(&testdata(MEMBER));
        let folder = TempDir::new().expect("a folder");
        fs::create_dir(folder.path().join("data")).expect("made");
        fs::rename(unpacked.path().join("member"), folder.path().join("data/member")).expect("moved");
        Self { folder, wal_dir: None }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join("member").join(name)
    }

    /// What is found of the member.
    fn judged(&self) -> Value {
        let mut doctor: Vec<OsString> =
            ["doctor", "--etcd", "3.5.35", "--output", "json"].map(Into::into).into();
        doctor.extend(self.wal_dir.iter().flat_map(|wal_dir| ["--wal-dir".into(), wal_dir.into()]));
        doctor.push(self.path().into());
        let ran = run(doctor);
        let report: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}", ran.err));
        report["members"][0].clone()
    }

    /// The finding of a kind.
    fn finding(&self, kind: &str) -> Option<Value> {
        let judged = self.judged();
        judged["findings"].as_array().expect("findings").iter().find(|found| found["kind"] == kind).cloned()
    }

    /// Runs the commands that a finding prints, after which it is gone.
    fn cure(&self, kind: &str) -> Value {
        let found = self.finding(kind).unwrap_or_else(|| panic!("{kind}: {}", self.judged()));
        assert_eq!(found["loses"], Value::Null, "{found}");
        let commands = found["commands"].as_array().expect("commands");
        assert!(!commands.is_empty(), "{found}");
        for command in commands {
            let ran = pasted(command.as_str().expect("text"));
            assert!(ran.status.success(), "{command}: {ran:?}");
        }
        let after = self.finding(kind);
        assert!(after.is_none(), "{after:?}");
        found
    }
}

fn is_root(path: &Path) -> bool {
    fs::metadata(path).expect("there").uid() == 0
}

#[test]
fn files_of_several_owners() {
    let directory = Directory::new();
    assert_eq!(directory.finding("owners-differ"), None);
    if !is_root(&directory.path()) {
        writeln!(stderr(), "SKIPPED: only root can give a file to another user").expect("written");
        return;
    }
    chown(directory.file("wal/0000000000000000-0000000000000000.wal"), Some(1234), None).expect("given");
    let found = directory.cure("owners-differ");
    assert_eq!(found["is_problem"], false, "{found}");
}

#[test]
fn a_file_that_its_owner_can_not_write() {
    let directory = Directory::new();
    assert_eq!(directory.finding("permissions"), None);
    let (db, wal) = (directory.file("snap/db"), directory.file("wal"));
    for (path, mode) in [(&db, 0o400), (&wal, 0o500)] {
        if is_root(path) {
            chown(path, Some(1234), None).expect("given");
        }
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("set");
    }
    let found = directory.cure("permissions");
    assert!(found["is_problem"] == true && found["message"].to_string().contains("2 files"), "{found}");
    let mode = |path: &Path| fs::metadata(path).expect("there").mode() & 0o777;
    assert_eq!((mode(&db), mode(&wal)), (0o600, 0o700));
}

#[test]
fn what_others_left_behind() {
    let directory = Directory::new();
    assert_eq!(directory.finding("leftover"), None);
    for name in ["snap/db.tmp.123456", "snap/0000000000000002-0000000000000005.snap.broken"] {
        fs::write(directory.file(name), "text").expect("written");
        let found = directory.finding("leftover").expect("a finding");
        assert!(found["message"].to_string().contains(name), "{found}");
        assert_eq!(found["is_problem"], false, "{found}");
        fs::remove_file(directory.file(name)).expect("removed");
    }
}

/// The db that the leader sent is taken where the own one is of no use.
#[test]
fn a_whole_db_beside_a_damaged_one() {
    for damage in [Some(&[0x5a; 9000][..]), Some(&[]), None] {
        let directory = Directory::new();
        let before = directory.judged();
        let own = directory.file("snap/db");
        let index = before["db"]["consistent_index"].as_u64().expect("an index");
        fs::rename(&own, directory.file(&format!("snap/{index:016x}.snap.db"))).expect("renamed");
        if let Some(bytes) = damage {
            fs::write(&own, bytes).expect("written");
        }
        let damaged = directory.judged();
        let kind = damaged["starts"][0]["trouble"].as_str().unwrap_or_default().to_owned();
        if kind == "alarm" {
            // etcd itself makes a new db from its log
            assert!(damage.is_none(), "{damaged}");
            continue;
        }
        let found = directory.cure(&kind);
        assert!(found["commands"].to_string().contains(".snap.db"), "{found}");
        let after = directory.judged();
        assert_eq!(after["db"]["revision"], before["db"]["revision"], "{after}");
        assert_eq!(after["starts"][0]["revision"], before["starts"][0]["revision"], "{after}");
        assert!(directory.folder.path().join("data.old/member/wal").is_dir());
    }
}

/// etcd up to 3.5.19 does not write into the db that a learner was promoted (etcd#19557).
#[test]
fn a_learner_that_was_promoted() {
    let directory = Directory::new();
    assert_eq!(directory.finding("learner-promoted"), None);
    let db = directory.file("snap/db");
    let mut bytes = fs::read(&db).expect("read");
    let urls = br#""clientURLs":["http://127.0.0.1:25379"]"#;
    let flag = br#""isLearner":true                       "#;
    assert_eq!(urls.len(), flag.len());
    let places: Vec<_> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(urls)).collect();
    places.iter().for_each(|&at| bytes[at..at + urls.len()].copy_from_slice(flag));
    assert!(!places.is_empty());
    fs::write(&db, bytes).expect("written");
    let found = directory.cure("learner-promoted");
    assert_eq!(found["is_problem"], false, "{found}");
}

/// A log that is elsewhere (`etcd --wal-dir`) is read there, and its cure puts it there.
#[test]
fn a_log_that_is_elsewhere() {
    let mut directory = Directory::new();
    let before = directory.judged();
    let (elsewhere, name) =
        (directory.folder.path().join("its log"), "0000000000000000-0000000000000000.wal");
    fs::rename(directory.file("wal"), &elsewhere).expect("moved");
    assert_ne!(directory.judged()["starts"], before["starts"]);
    directory.wal_dir = Some(elsewhere.clone());
    assert_eq!(directory.judged()["starts"], before["starts"]);
    // a record that the db has the effect of
    let mut log = fs::read(elsewhere.join(name)).expect("read");
    let at = log.windows(9).position(|bytes| bytes == b"localhost").expect("the member's own address");
    log[at] ^= 0x10;
    fs::write(elsewhere.join(name), log).expect("written");
    let found = directory.cure("log-damaged");
    assert!(found["commands"].to_string().contains("--wal-dir"), "{found}");
    let after = directory.judged();
    assert_eq!(after["starts"][0]["revision"], before["starts"][0]["revision"], "{after}");
    assert!(!directory.file("wal").exists() && directory.folder.path().join("its log.old").is_dir());
}
