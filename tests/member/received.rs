//! A db that the leader sent, beside one that is missing, empty, or no db: every command says so, and the line that it prints puts it to use.

use std::fs;
use std::process::Command;

use etcd_medic::internals::etcd::schema::State;
use tempfile::TempDir;

use super::support::etcd_file;
use super::support::member_log::{FIRST_SEGMENT, LogBuilder, log_of};
use super::support::program::{Ran, program};

/// What the leader sent: its name says up to which entry.
const NAME: &str = "0000000000000007.snap.db";

const COMMANDS: &[&[&str]] = &[
    &["analyze"],
    &["status"],
    &["check"],
    &["pages"],
    &["buckets"],
    &["hash"],
    &["plan"],
    &["cleanup"],
    &["keys"],
    &["export", "-o", "exported"],
    &["defrag", "-o", "copy.db"],
    &["salvage", "-o", "saved.db"],
];

/// What may lie where the db belongs, and is none.
fn no_dbs() -> Vec<(&'static str, Option<Vec<u8>>)> {
    let sound = etcd_file::small().bytes();
    let mut lost = sound.clone();
    lost[..2048].fill(0xFF);
    lost[2048..].fill(0);
    vec![
        ("missing", None),
        ("empty", Some(Vec::new())),
        ("zeros", Some(vec![0; 4096])),
        ("text", Some(b"no space left on device\n".to_vec())),
        ("cut off", Some(sound[..40].to_vec())),
        ("both metas destroyed, and no page left", Some(lost)),
        ("gzip", Some(b"\x1f\x8b\x08\0\0\0\0\0".to_vec())),
    ]
}

struct Member(TempDir);

impl Member {
    /// A directory with this in place of its db, and this beside it.
    fn new(db: Option<&[u8]>, received: &[(&str, Vec<u8>)], log: Option<Vec<u8>>) -> Self {
        let folder = TempDir::new().expect("a folder");
        let snap = folder.path().join("member/snap");
        fs::create_dir_all(&snap).expect("made");
        if let Some(db) = db {
            fs::write(snap.join("db"), db).expect("written");
        }
        received.iter().for_each(|(name, bytes)| fs::write(snap.join(name), bytes).expect("written"));
        if let Some(log) = log {
            fs::create_dir(folder.path().join("member/wal")).expect("made");
            fs::write(folder.path().join("member/wal").join(FIRST_SEGMENT), log).expect("written");
        }
        Self(folder)
    }

    fn run(&self, command: &[&str], path: &str) -> Ran {
        let mut program = program();
        program.current_dir(self.0.path()).arg(command[0]).arg(path).args(&command[1..]);
        program.output().expect("ran").into()
    }
}

fn command_in(text: &str) -> &str {
    let mut commands = text.lines().filter_map(|line| line.strip_prefix("     $ "));
    commands.next().unwrap_or_else(|| panic!("no command: {text}"))
}

#[test]
fn every_command_says_so_and_the_line_puts_it_in_place() {
    let sent = etcd_file::small().bytes();
    for (name, db) in no_dbs() {
        for path in [".", "member", "member/snap", "member/snap/db"] {
            let member = Member::new(db.as_deref(), &[(NAME, sent.clone())], None);
            let mut said = Vec::new();
            for command in COMMANDS {
                let ran = member.run(command, path);
                assert_eq!(ran.code, 2, "{name}: {command:?} {path}: {ran:?}");
                assert!(
                    ran.err.contains(NAME) && ran.err.contains("It is whole"),
                    "{name}: {command:?}: {}",
                    ran.err
                );
                said.push(command_in(&ran.err).to_owned());
            }
            said.dedup();
            assert_eq!(said.len(), 1, "{name}: {said:?}");
            let ran =
                Command::new("sh").args(["-c", &said[0]]).current_dir(member.0.path()).output().expect("sh");
            assert!(ran.status.success(), "{name}: {ran:?}");
            assert_eq!(fs::read(member.0.path().join("member/snap/db")).expect("a db"), sent, "{name}");
            assert_eq!(member.run(&["check"], path).code, 0, "{name}");
            // what lay there is kept
            let kept = fs::read(member.0.path().join("member/db.damaged")).ok();
            assert_eq!(kept, db, "{name}");
        }
    }
}

/// The latest one that is a db counts, whatever else has such a name; and one that is damaged is not called whole.
#[test]
fn the_latest_that_is_one_is_told() {
    let sent = etcd_file::small().bytes();
    let mut damaged = sent.clone();
    let root =
        usize::try_from(etcd_medic::internals::bolt::Db::new(sent.clone()).expect("a db").meta().root.0)
            .expect("small");
    damaged[root * 1024..(root + 1) * 1024].fill(0);
    let say = |files: &[(&str, Vec<u8>)]| Member::new(None, files, None).run(&["check"], ".").err;
    let later = "00000000000000ff.snap.db";
    let said =
        say(&[(NAME, sent.clone()), (later, sent.clone()), ("zzzzzzzzzzzzzzzz.snap.db", sent.clone())]);
    assert!(said.contains(later) && !said.contains(NAME), "{said}");
    let said = say(&[(NAME, sent.clone()), (later, b"not a db".to_vec())]);
    assert!(said.contains(NAME) && !said.contains(later), "{said}");
    let mut leaf = sent.clone();
    let key_page = key_bucket_page(&sent);
    leaf[key_page * 1024 + 10..key_page * 1024 + 12].copy_from_slice(&u16::MAX.to_le_bytes());
    let said = say(&[(NAME, leaf)]);
    assert!(said.contains("It is damaged, too"), "{said}");
    assert!(command_in(&said).starts_with("etcd-medic check "), "{said}");
    // without its buckets, it is nobody's db
    let said = say(&[(NAME, damaged)]);
    assert!(!said.contains(NAME), "{said}");
}

fn key_bucket_page(bytes: &[u8]) -> usize {
    let db = etcd_medic::internals::bolt::Db::new(bytes.to_vec()).expect("a db");
    let bucket = State::read(&db).key_bucket.expect("a bucket");
    let etcd_medic::internals::bolt::bucket::BucketRoot::Page(page) = bucket.root else { panic!("inline") };
    usize::try_from(page.0).expect("small")
}

/// etcd does not start with a db that is older than what its log goes on from: then it is for a restore.
#[test]
fn one_that_is_older_than_the_log_is_for_a_restore() {
    let sent = etcd_file::small().bytes();
    let index = State::read(&etcd_medic::internals::bolt::Db::new(sent.clone()).expect("a db"))
        .consistent_index
        .expect("told");
    let of = |begin: u64| {
        let log = LogBuilder::new(1).snapshot(begin, None).entry_at(begin + 1, b"").state(begin + 1).last();
        let member = Member::new(None, &[(NAME, sent.clone())], Some(log));
        member.run(&["check"], ".").err
    };
    assert!(command_in(&of(index)).starts_with("cp -p "), "{}", of(index));
    let said = of(index + 1);
    assert!(said.contains(&format!("goes on from entry {}", index + 1)), "{said}");
    assert!(command_in(&said).starts_with("etcdutl snapshot restore --skip-hash-check "), "{said}");
    // a log from the first entry on leads anywhere
    let member = Member::new(Some(b""), &[(NAME, sent.clone())], Some(log_of(1, &[1], index + 5)));
    let said = member.run(&["check"], ".").err;
    assert!(command_in(&said).starts_with("mv "), "{said}");
}
