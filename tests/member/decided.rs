//! Which changes a db takes where it is: what its directory tells of its members, and how far its log goes.

use std::fs;
use std::path::Path;

use etcd_medic::CheckOptions;
use etcd_medic::internals::etcd::schema::State;
use support::documents::{self, Defrag};
use support::etcd_file::{self, MEMBER};
use support::member_log::{ADD, ADD_LEARNER, REMOVE, log_of, snap};
use support::memory::{self, Tree};
use support::program::{PROGRAM, document, folder_of, path_in, plain, run};
use support::requests::{delete, put, request};
use tempfile::TempDir;

use super::*;

/// The consistent index of the small file, and the term that it says.
const INDEX: u64 = 77;

/// Changes of each kind.
const CHANGES: [&[&str]; 4] = [
    &["--compact-to", "current"],
    &["--keep-revisions", "2"],
    &["--disarm"],
    &["--compact-to", "current", "--drop-prefix", "/app/", "--confirm-keys", "1"],
];

/// What a db says of its members.
#[derive(Clone)]
struct Says {
    bucket: Vec<u64>,
    conf_state: Option<String>,
    version: &'static str,
    index: Option<u64>,
}

impl Default for Says {
    fn default() -> Self {
        Self { bucket: vec![MEMBER], conf_state: voters(&[MEMBER]), version: "3.5.0", index: Some(INDEX) }
    }
}

fn voters(ids: &[u64]) -> Option<String> {
    let ids: Vec<_> = ids.iter().map(u64::to_string).collect();
    Some(format!(r#"{{"voters":[{}],"auto_leave":false}}"#, ids.join(",")))
}

fn db(says: &Says) -> Vec<u8> {
    let small = memory::open(etcd_file::small().bytes());
    let mut tree = Tree::of(&support::content::contents(&small));
    let [meta, bucket, cluster] = ["meta", "members", "cluster"].map(|name| tree.number(name));
    tree.clear(bucket);
    for id in &says.bucket {
        tree.put(bucket, format!("{id:x}"), format!(r#"{{"id":{id},"peerURLs":["http://127.0.0.1:2380"]}}"#));
    }
    tree.take(meta, "confState");
    if let Some(conf_state) = &says.conf_state {
        tree.put(meta, "confState", conf_state);
    }
    tree.take(meta, "consistent_index");
    if let Some(index) = says.index {
        tree.put(meta, "consistent_index", index.to_be_bytes());
    }
    // 3.4 does not note the term
    if says.version.starts_with("3.4.") {
        tree.take(meta, "term");
    }
    tree.take(cluster, "clusterVersion");
    tree.put(cluster, "clusterVersion", says.version);
    tree.file(1024)
}

/// A data dir with this db, and this log.
fn data_dir(says: &Says, log: &[u8]) -> TempDir {
    let wal = format!("data/member/wal/{FIRST_SEGMENT}");
    folder_of(&[("data/member/snap/db", &db(says)), (&wal, log)])
}

/// A member of one that is where its log ends.
fn log() -> Vec<u8> {
    log_of(MEMBER, &[MEMBER], INDEX)
}

/// What a change where it is says; nothing is written.
fn tried(folder: &TempDir, options: &[&str]) -> support::program::Ran {
    run([&["defrag", "--in-place", "--dry-run", &path_in(folder, "data")], options].concat())
}

#[track_caller]
fn assert_taken(folder: &TempDir, of: &str) {
    for change in CHANGES {
        let ran = tried(folder, change);
        assert_eq!(ran.code, 0, "{of}: {change:?}: {}", ran.err);
    }
}

#[track_caller]
fn assert_refused(folder: &TempDir, says: &[&str]) {
    for change in CHANGES {
        let ran = tried(folder, change);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{change:?}: {}", ran.err);
        for words in says {
            assert!(ran.err.contains(words), "{change:?}: no {words:?} in {}", ran.err);
        }
    }
    // one that changes nothing is always taken
    let ran = tried(folder, &[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
}

/// The only member by whatever the user says.
#[track_caller]
fn assert_refused_for_its_members(folder: &TempDir, says: &[&str]) {
    assert_refused(folder, &[says, &["--every-member", "--only-member", "-o FILE --snapshot"]].concat());
    for change in CHANGES {
        for option in ["--every-member", "--only-member"] {
            let ran = tried(folder, &[change, &[option]].concat());
            assert_eq!(ran.code, 0, "{option} {change:?}: {}", ran.err);
        }
    }
}

mod by_members {
    use super::*;

    const OLD: [u64; 3] = [21, 22, 23];
    const OTHERS: [u64; 3] = [MEMBER, 31, 32];

    #[test]
    fn the_only_one() {
        assert_taken(&data_dir(&Says::default(), &log()), "all agree");
        // 3.4 has no confState
        let says = Says { conf_state: None, version: "3.4.0", ..Says::default() };
        assert_taken(&data_dir(&says, &log()), "3.4");
    }

    /// `etcdutl snapshot restore` leaves the snapshot's confState.
    #[test]
    fn three_restored_from_a_single_ones_snapshot() {
        let says = Says { bucket: OTHERS.to_vec(), conf_state: voters(&[21]), ..Says::default() };
        let log = log_of(MEMBER, &OTHERS, INDEX);
        assert_refused_for_its_members(&data_dir(&says, &log), &["one of 3 members"]);
    }

    #[test]
    fn one_restored_from_a_snapshot_of_three() {
        let says = Says { conf_state: voters(&OLD), ..Says::default() };
        assert_taken(&data_dir(&says, &log()), "confState is the snapshot's");
        let bucket = [&OLD[..], &[MEMBER]].concat();
        let says = Says { bucket: bucket.clone(), conf_state: voters(&OLD), ..Says::default() };
        assert_taken(&data_dir(&says, &log()), "restored by 3.4 from 3.5's");
        let says = Says { bucket, conf_state: None, version: "3.4.0", ..Says::default() };
        assert_taken(&data_dir(&says, &log()), "restored by 3.4");
        // 3.4 writes its own row at its first start
        let fresh =
            |index| Says { bucket: OLD.to_vec(), index: Some(index), conf_state: None, version: "3.4.0" };
        let mut log = LogBuilder::new(MEMBER).term(1).change(ADD, MEMBER).snapshot(1, None).state(1).last();
        assert_taken(&data_dir(&fresh(1), &log), "just restored by 3.4");
        assert_refused_in_doubt(&data_dir(&fresh(2), &log));
        log = log_of(MEMBER, &[MEMBER], 2);
        assert_refused_in_doubt(&data_dir(&fresh(2), &log));
    }

    fn assert_refused_in_doubt(folder: &TempDir) {
        assert_refused(folder, &["may be one of several", "names 3 (15, 16, 17)"]);
    }

    #[test]
    fn that_came_and_went() {
        let changed = |kind, id| LogBuilder::new(MEMBER).change(ADD, MEMBER).change(kind, id);
        let ended = |log: LogBuilder| log.entries_to(INDEX).state(INDEX).last();
        let says = Says::default();
        for kind in [ADD, ADD_LEARNER] {
            assert_refused_for_its_members(&data_dir(&says, &ended(changed(kind, 9))), &["one of 2 members"]);
            assert_taken(&data_dir(&says, &ended(changed(kind, 9).change(REMOVE, 9))), "removed again");
        }
        // after the db, by the only one that votes: what it has in its log is committed
        let removed_later =
            |kind| changed(kind, 9).entries_to(INDEX).state(INDEX).change(REMOVE, 9).empty_entry().last();
        let both = Says { bucket: vec![MEMBER, 9], ..Says::default() };
        let folder = data_dir(&both, &removed_later(ADD_LEARNER));
        assert_taken(&folder, "a learner, removed after the db");
        let report: Defrag = document("defrag", &path_in(&folder, "data"), &["--in-place", "--disarm"]);
        assert_eq!((report.members, report.applied.map(|applied| applied.entries)), (1, Some(2)));
        let removed = etcd_medic::open(path_in(&folder, "data")).expect("a db");
        let state = State::read(&removed.db);
        assert_eq!((state.members.len(), state.members_removed), (1, 1), "{:?}", state.members);
        // of one that votes, too, nobody knows
        assert_refused(&data_dir(&both, &removed_later(ADD)), &["one of 2 members"]);
        // a snapshot record says who is there
        let recorded = changed(ADD, 9).entries_to(50).snapshot(40, Some(&[MEMBER]));
        assert_taken(&data_dir(&says, &ended(recorded)), "one, by the snapshot record");
    }

    /// Whose log is of another member, or not of the db: nobody can tell.
    #[test]
    fn sources_that_contradict_each_other() {
        let says = Says::default();
        let other = data_dir(&says, &log_of(MEMBER, &[9], INDEX));
        assert_refused_for_its_members(
            &other,
            &["may be one of several", "the log of member", "names 1 (9)"],
        );
        let other = data_dir(&says, &log_of(9, &[9], INDEX));
        assert_refused_for_its_members(&other, &["may be one of several", "the log of member 9 names 1 (9)"]);
    }

    /// 3.4's snapshot records name nobody: its `.snap` does.
    #[test]
    fn by_the_snap_file_of_a_log_that_begins_later() {
        let says = Says { conf_state: None, version: "3.4.0", ..Says::default() };
        let log = LogBuilder::segment(MEMBER, 5, 60).entries_to(INDEX).snapshot(70, None).state(INDEX).last();
        let folder = |voters: &[u64]| {
            folder_of(&[
                ("data/member/snap/db", &db(&Says { bucket: vec![MEMBER, 9], ..says.clone() })),
                ("data/member/snap/0000000000000003-0000000000000046.snap", &snap(70, 3, voters)),
                ("data/member/wal/0000000000000003-000000000000003c.wal", &log),
            ])
        };
        assert_taken(&folder(&[MEMBER]), "one, by the .snap");
        assert_refused_for_its_members(&folder(&[MEMBER, 9]), &["one of 2 members"]);
        // without it, the db alone tells
        let without = folder(&[MEMBER]);
        fs::remove_file(without.path().join("data/member/snap/0000000000000003-0000000000000046.snap"))
            .expect("removed");
        assert_refused_for_its_members(&without, &["one of 2 members"]);
    }

    /// A copy by itself: its buckets must agree.
    #[test]
    fn of_a_file_by_itself() {
        let try_bare = |says: &Says, options: &[&str]| {
            let folder = folder_of(&[("copy.db", &db(says))]);
            run([&["defrag", "--in-place", "--disarm", &path_in(&folder, "copy.db")], options].concat())
        };
        let says = |bucket: &[u64], conf_state: Option<String>| Says {
            bucket: bucket.to_vec(),
            conf_state,
            ..Says::default()
        };
        for alone in [
            says(&[MEMBER], voters(&[MEMBER])),
            says(&[MEMBER], voters(&[21])),
            says(&[MEMBER], None),
            says(&[MEMBER], voters(&[])),
            says(&[], None),
        ] {
            let ran = try_bare(&alone, &[]);
            assert_eq!(ran.code, 0, "{:?} {:?}: {}", alone.bucket, alone.conf_state, ran.err);
        }
        let learner = Some(format!(r#"{{"voters":[{MEMBER}],"learners":[9],"auto_leave":false}}"#));
        for (refused, words) in [
            (says(&OTHERS, voters(&OTHERS)), "one of 3 members"),
            (says(&OTHERS, None), "one of 3 members"),
            (says(&OTHERS, voters(&OLD)), "one of 3 members"),
            (says(&OTHERS, voters(&[21])), "`members` names 3 ("),
            (says(&[MEMBER], voters(&OLD)), "names 3 (15, 16, 17)"),
            (says(&[MEMBER], learner), "names 2 (9, "),
            (says(&[MEMBER], Some("{".to_owned())), "`meta` can't be read"),
            (says(&[MEMBER], Some(r#"{"voters":[-1]}"#.to_owned())), "`meta` can't be read"),
            (says(&[MEMBER], Some(r#"{"voters":7}"#.to_owned())), "`meta` can't be read"),
            (says(&[MEMBER], Some("[]".to_owned())), "`meta` can't be read"),
        ] {
            let ran = try_bare(&refused, &[]);
            assert!(ran.code == 2 && ran.err.contains(words), "{words}: {}", ran.err);
            for option in ["--every-member", "--only-member"] {
                assert_eq!(try_bare(&refused, &[option]).code, 0, "{option}");
            }
        }
    }

    #[test]
    fn both_answers_at_once_are_none() {
        let folder = data_dir(&Says::default(), &log());
        let ran = tried(&folder, &["--disarm", "--every-member", "--only-member"]);
        assert_eq!((ran.code, ran.err.is_empty()), (2, false));
    }
}

mod by_the_log {
    use super::*;

    fn with_version(version: &'static str) -> Says {
        Says { version, ..Says::default() }
    }

    #[test]
    fn that_goes_on_beyond_the_db() {
        for last in [INDEX + 1, INDEX + 40] {
            let log = log_of(MEMBER, &[MEMBER], last);
            let numbers = format!("consistent index is {INDEX}, and the last entry of its log {last}");
            for (version, stop) in [("3.4.0", false), ("3.5.0", true), ("3.7.0", true)] {
                let folder = data_dir(&with_version(version), &log);
                assert_refused(&folder, &[&numbers, "start the etcd that ran here last"]);
                let ran = tried(&folder, &["--disarm"]);
                assert!(ran.err.contains("`etcdctl alarm disarm`"), "{}", ran.err);
                assert_eq!(ran.err.contains("stop it cleanly"), stop, "{version}: {}", ran.err);
                assert_eq!(ran.err.contains("etcd before 3.5"), !stop, "{version}: {}", ran.err);
                // these are about members
                for option in ["--every-member", "--only-member"] {
                    let ran = tried(&folder, &["--disarm", option]);
                    assert!(ran.code == 2 && ran.err.contains(&numbers), "{option}: {}", ran.err);
                }
            }
        }
        // a version that can't be told: only what is right for all
        let folder = data_dir(&with_version("unknown"), &log_of(MEMBER, &[MEMBER], INDEX + 1));
        let ran = tried(&folder, &["--compact-to", "current", "--disarm"]);
        for words in
            ["`etcdctl compact --physical --command-timeout=10m 9`, `etcdctl defrag", "alarm disarm`"]
        {
            assert!(ran.err.contains(words), "{words}: {}", ran.err);
        }
        assert!(!ran.err.contains("cleanly") && !ran.err.contains("before 3.5"), "{}", ran.err);
    }

    /// The entries that the db lacks are applied first: a put that the alarm refuses, a deletion, a new leader's entry.
    #[test]
    fn that_goes_on_with_what_can_be_applied() {
        let put = request(4, &put(b"/app/refused", b"text", 0), b"");
        let delete = request(5, &delete(b"/registry/pods/default/web-1", b""), b"");
        let log = LogBuilder::new(MEMBER).change(ADD, MEMBER).entries_to(INDEX).state(INDEX);
        let log = log.entry_at(INDEX + 1, &put).entry_at(INDEX + 2, &delete).term(4).empty_entry().last();
        for version in ["3.4.0", "3.5.0", "3.7.0"] {
            for (change, records) in CHANGES.into_iter().zip([5, 6, 9, 4]) {
                let folder = data_dir(&with_version(version), &log);
                let data = path_in(&folder, "data");
                let before = fs::read(folder.path().join("data/member/snap/db")).expect("a db");
                let dry: Defrag = document("defrag", &data, &[&["--in-place", "--dry-run"], change].concat());
                let report: Defrag = document("defrag", &data, &[&["--in-place"], change].concat());
                let applied = report.applied.expect("entries that the db lacked");
                assert_eq!((applied.from.index, applied.to.index), (INDEX, INDEX + 3));
                assert_eq!((applied.from.revision, applied.to.revision), (9, 10));
                let counts = (applied.entries, applied.writes, applied.refused, applied.records);
                assert_eq!(counts, (3, 1, 1, 1), "{version} {change:?}");
                assert_eq!(report.target.records, records, "{version} {change:?}");
                let left_out = report.left_out.iter().flat_map(|left_out| &left_out.keys);
                let gone = report.dropped.superseded
                    + report.dropped.tombstones
                    + left_out.map(|key| key.records).sum::<u64>();
                assert_eq!(report.source.records + applied.records - gone, records);
                assert!(report.verified && !dry.verified);
                assert_eq!(dry.target.file_bytes, report.target.file_bytes, "{version} {change:?}");
                let db = etcd_medic::open(&data).expect("a db");
                let state = State::read(&db.db);
                assert_eq!(state.consistent_index, Some(INDEX + 3));
                assert_eq!(state.term, (version != "3.4.0").then_some(4));
                assert_eq!(state.alarms.is_empty(), change.contains(&"--disarm"));
                assert!(db.check(&CheckOptions::default()).sound, "{version} {change:?}");
                let old = report.kept_old.expect("the old file");
                assert!(fs::read(old).expect("a db") == before, "the old one is kept as it was");
            }
        }
    }

    /// Of a member of several, an entry after the commit may be another's by tomorrow.
    #[test]
    fn that_goes_on_with_what_is_not_committed() {
        let log = |log: LogBuilder| log.entries_to(INDEX).state(INDEX).empty_entry().last();
        let alone = LogBuilder::new(MEMBER).change(ADD, MEMBER);
        assert_taken(&data_dir(&Says::default(), &log(alone.clone())), "its own copy is the majority");
        let folder = data_dir(&Says::default(), &log(alone.change(ADD, 9)));
        for option in ["--every-member", "--only-member"] {
            let ran = tried(&folder, &["--disarm", option]);
            let words = "the entries after 77 may not have been committed";
            assert!(ran.code == 2 && ran.err.contains(words), "{option}: {}", ran.err);
        }
    }

    /// What etcd never writes is not dropped without a word.
    #[test]
    fn of_a_db_with_odd_content() {
        let log = LogBuilder::new(MEMBER).change(ADD, MEMBER).entries_to(INDEX).state(INDEX).empty_entry();
        let log = log.last();
        let wal = format!("data/member/wal/{FIRST_SEGMENT}");
        let tree = || Tree::of(&support::content::contents(&memory::open(db(&Says::default()))));
        let mut odd_lease = tree();
        odd_lease.put(odd_lease.number("lease"), "short", "no lease");
        let mut odd_alarm = tree();
        odd_alarm.put(odd_alarm.number("alarm"), [0xff, 0xff], "");
        let mut odd_record = tree();
        odd_record.put(odd_record.number("key"), "no revision", "no record");
        for (tree, words) in [
            (odd_lease, "of the bucket `lease` can't be read"),
            (odd_alarm, "of the bucket `alarm` can't be read"),
            (odd_record, "no record with a readable key"),
        ] {
            let folder = folder_of(&[("data/member/snap/db", &tree.file(1024)), (&wal, &log)]);
            let ran = tried(&folder, &["--disarm"]);
            assert!(ran.code == 2 && ran.err.contains(words), "{words}: {}", ran.err);
        }
    }

    #[test]
    fn that_can_not_be_read_to_its_end() {
        let folder = |log: &[u8]| data_dir(&Says::default(), log);
        let doubt = ["its log may go on beyond it", "If etcd starts", "-o FILE --snapshot"];
        let refused =
            |folder: &TempDir, words: &str| assert_refused(folder, &[&doubt[..], &[words]].concat());
        let whole = log();
        let content = whole.len() - 4096;
        refused(&folder(&whole[..content]), "without the zeros");
        refused(&folder(&whole[..content - 3]), "cut by the end of the file");
        let mut flipped = whole.clone();
        flipped[content - 20] ^= 1;
        refused(&folder(&flipped), "byte ");
        let mut behind = whole.clone();
        behind[content + 2000] = 1;
        refused(&folder(&behind), "seems to end here");
        refused(&folder(b""), "a segment begins with");
        refused(&folder(&log_of(MEMBER, &[MEMBER], INDEX - 1)), "the log ends at entry 76");
        let beyond = LogBuilder::new(MEMBER).change(ADD, MEMBER).entries_to(INDEX).state(INDEX + 1).last();
        refused(&folder(&beyond), "entries up to 78 were committed");
        let other = LogBuilder::new(MEMBER).change(ADD, MEMBER).term(4).entries_to(INDEX).state(INDEX).last();
        refused(&folder(&other), "of term 3 by the db, and of term 4 in the log");
        let says = Says { index: None, ..Says::default() };
        refused(&data_dir(&says, &whole), "does not say how far");
    }

    #[test]
    fn that_is_not_there() {
        let folder = folder_of(&[("data/member/snap/db", &db(&Says::default()))]);
        assert_refused(&folder, &["there is no log in ", "--wal-dir"]);
        fs::create_dir(folder.path().join("data/member/wal")).expect("a folder");
        fs::write(folder.path().join("data/member/wal/0.tmp"), [0; 4096]).expect("a file");
        assert_refused(&folder, &["there is no log in "]);
        fs::remove_dir_all(folder.path().join("data/member/wal")).expect("removed");
        fs::write(folder.path().join("data/member/wal"), "").expect("a file");
        assert_refused(&folder, &["the log can't be read"]);
    }

    #[test]
    fn that_lies_elsewhere() {
        let name = |folder: &str| format!("{folder}/{FIRST_SEGMENT}");
        let folder = folder_of(&[
            ("data/member/snap/db", &db(&Says::default())),
            (&name("log"), &log()),
            (&name("longer"), &log_of(MEMBER, &[MEMBER], INDEX + 1)),
        ]);
        let tried = |wal: &str| tried(&folder, &["--disarm", "--wal-dir", &path_in(&folder, wal)]);
        assert_eq!(tried("log").code, 0, "{}", tried("log").err);
        assert!(tried("longer").err.contains("the last entry of its log 78"));
        assert!(tried("nowhere").err.contains("there is no log in "));
        // also beside a copy by itself
        fs::write(folder.path().join("copy.db"), db(&Says::default())).expect("written");
        let copy = path_in(&folder, "copy.db");
        let ran = run(["defrag", "--in-place", "--disarm", &copy, "--wal-dir", &path_in(&folder, "longer")]);
        assert!(ran.code == 2 && ran.err.contains("the last entry of its log 78"), "{}", ran.err);
        // or behind a link
        std::os::unix::fs::symlink(folder.path().join("log"), folder.path().join("data/member/wal"))
            .expect("a link");
        assert_taken(&folder, "behind a link");
    }

    /// A copy to a file is always written. Where it can't go beside the log, that is said, and what it lacks.
    #[test]
    fn and_a_copy_to_a_file() {
        let folder = data_dir(&Says::default(), &log_of(MEMBER, &[MEMBER], INDEX + 9));
        let data = path_in(&folder, "data");
        let copy = path_in(&folder, "copy.db");
        let lacks = |report: &Defrag| {
            report.warnings.iter().filter(|note| note.contains("goes on to entry 86")).count()
        };
        for (options, said) in [
            (&[][..], 0),
            (&["--snapshot"], 1),
            (&["--disarm"], 1),
            (&["--disarm", "--snapshot"], 1),
            (&["--compact-to", "current"], 1),
        ] {
            let args = [&["-o", &copy, "--force"], options].concat();
            let report: Defrag = document("defrag", &data, &args);
            assert_eq!(lacks(&report), said, "{options:?}: {:?}", report.warnings);
            let ran = run([&["defrag", &data], &args[..]].concat());
            let next = if options.is_empty() {
                "move "
            } else if options.contains(&"--snapshot") {
                "etcdutl snapshot restore"
            } else {
                "must not go beside the log"
            };
            let words = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.contains(next), "{options:?}: {}", ran.out);
        }
        // at the log's end, there is nothing to say
        let folder = data_dir(&Says::default(), &log());
        let report: Defrag = document(
            "defrag",
            &path_in(&folder, "data"),
            &["-o", &copy, "--force", "--disarm", "--snapshot"],
        );
        assert_eq!(report.warnings.iter().filter(|note| note.contains("the log")).count(), 0, "{report:?}");
        assert_eq!(report.members, 1);
    }
}

/// `analyze` advises only what the program takes on that very directory.
#[test]
fn what_is_advised_is_taken() {
    let three = log_of(MEMBER, &[MEMBER, 8, 9], INDEX);
    let cases: [(&str, Vec<u8>, &str); 5] = [
        ("alone", log(), "--compact-to current --disarm --in-place --steady"),
        ("one of three", three, "--snapshot -o"),
        ("beyond", log_of(MEMBER, &[MEMBER], INDEX + 1), "etcdctl compact --physical"),
        ("cut", log()[..100].to_vec(), "--snapshot -o"),
        ("damaged", vec![0; 100], "--snapshot -o"),
    ];
    for (name, log, expected) in cases {
        let folder = data_dir(&Says::default(), &log);
        let command = nospace_advice(&path_in(&folder, "data"));
        assert!(command.contains(expected), "{name}: {command}");
        if command.starts_with("etcd-medic") {
            take(&command);
        }
    }
    let folder = folder_of(&[("data/member/snap/db", &db(&Says::default()))]);
    let command = nospace_advice(&path_in(&folder, "data"));
    assert!(command.contains("--snapshot -o"), "no log: {command}");
    take(&command);
}

pub fn nospace_advice(data: &str) -> String {
    let report: documents::Analyze = document("analyze", data, &[]);
    let advice = report.advice.into_iter().find(|advice| advice.kind == "alarm-nospace");
    advice.unwrap_or_else(|| panic!("{data}: NOSPACE is raised")).command
}

/// Runs a printed command as a shell does.
pub fn take(command: &str) {
    let programs = Path::new(PROGRAM).parent().expect("a folder");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let ran = plain("sh").args(["-c", command]).env("PATH", path).output().expect("sh");
    assert!(ran.status.success(), "{command}: {ran:?}");
}
