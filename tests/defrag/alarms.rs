//! `--disarm`: the alarms that are named go, and nothing else.

use etcd_medic::internals::etcd::schema::Alarm;
use prost::Message;
use support::member_log::{FIRST_SEGMENT, log_of};
use support::memory::Tree;

use super::*;

const NOSPACE: i32 = 1;
const CORRUPT: i32 = 2;

fn key_of(member_id: u64, alarm: i32) -> Vec<u8> {
    Alarm { member_id, alarm }.encode_to_vec()
}

/// A file in which these keys stand in the `alarm` bucket.
fn file_of(alarms: &[Vec<u8>]) -> (TempDir, PathBuf) {
    let small = memory::open(etcd_file::small().bytes());
    let mut tree = Tree::of(&contents(&small));
    let bucket = tree.number("alarm");
    tree.clear(bucket);
    alarms.iter().for_each(|key| tree.put(bucket, key, ""));
    let folder = folder_of(&[("source.db", &tree.file(1024))]);
    let path = folder.path().join("source.db");
    (folder, path)
}

/// What `--disarm` leaves of these alarms, once all else was found equal; and what it said.
fn left_by(alarms: &[Vec<u8>], disarm: &str) -> (Vec<Vec<u8>>, documents::Defrag) {
    let (folder, source) = file_of(alarms);
    let target = folder.path().join("copy.db");
    let report = defrag_to(&source, &target, &[disarm]);
    assert!(report.verified && report.compaction.is_none() && report.left_out.is_none(), "{report:?}");
    let (before, after) = (open(&source), open(&target));
    let (mut before, mut after) = (contents(&before), contents(&after));
    let is_alarm = |name: &[u8]| name == b"alarm";
    let take = |buckets: &mut Vec<support::content::Content<'_>>| {
        let bucket = buckets.iter_mut().find(|bucket| is_alarm(bucket.name)).expect("a bucket alarm");
        std::mem::take(&mut bucket.entries).iter().map(|(key, _)| key.to_vec()).collect::<Vec<_>>()
    };
    let (had, left) = (take(&mut before), take(&mut after));
    assert_equal_contents(&before, &after, disarm);
    let mut expected = alarms.to_vec();
    expected.sort();
    assert_eq!(had, expected);
    assert_eq!(report.disarmed.len(), had.len() - left.len(), "{report:?}");
    (left, report)
}

fn said(report: &documents::Defrag) -> Vec<(u64, &str)> {
    report
        .disarmed
        .iter()
        .map(|gone| (u64::from_str_radix(&gone.member_id, 16).expect("an id"), gone.alarm.as_str()))
        .collect()
}

fn notes(report: &documents::Defrag, words: &str) -> usize {
    report.warnings.iter().filter(|note| note.contains(words)).count()
}

#[test]
fn by_name_and_of_every_member() {
    let first = u64::MAX - 5;
    let all = [key_of(7, NOSPACE), key_of(7, CORRUPT), key_of(first, NOSPACE), key_of(9, CORRUPT)];
    let only = |kind: i32| {
        let mut keys: Vec<_> =
            all.iter().filter(|key| Alarm::decode(&***key).expect("ours").alarm == kind).cloned().collect();
        keys.sort();
        keys
    };
    for option in ["--disarm", "--disarm=nospace"] {
        let (left, report) = left_by(&all, option);
        assert_eq!(left, only(CORRUPT), "{option}");
        assert_eq!(said(&report), [(7, "NOSPACE"), (first, "NOSPACE")], "{option}");
        assert_eq!(notes(&report, "CORRUPT of member 7 is still raised"), 1, "{report:?}");
        assert_eq!(notes(&report, "still raised"), 2, "{report:?}");
        assert_eq!(notes(&report, "NOSPACE is disarmed"), 1, "{report:?}");
    }
    let (left, report) = left_by(&all, "--disarm=corrupt");
    assert_eq!(left, only(NOSPACE));
    assert_eq!(said(&report), [(7, "CORRUPT"), (9, "CORRUPT")]);
    assert_eq!(notes(&report, "CORRUPT is disarmed"), 1, "{report:?}");
    for option in ["--disarm=nospace,corrupt", "--disarm=corrupt,nospace"] {
        let (left, report) = left_by(&all, option);
        assert_eq!(left, [[0u8; 0]; 0], "{option}");
        assert_eq!((report.disarmed.len(), notes(&report, "still raised")), (4, 0), "{option}");
    }
    let (folder, source) = file_of(&all);
    let report = defrag_to(&source, &folder.path().join("copy.db"), &[]);
    assert_copy(&source, &folder.path().join("copy.db"), "without it, they all stay");
    assert_eq!((report.disarmed.len(), notes(&report, "still raised")), (0, 4));
}

/// A file may hold any number of them: the first are named, the others counted.
#[test]
fn a_flood_of_them_is_counted() {
    let (folder, source) = file_of(&(1..=1000).map(|member| key_of(member, CORRUPT)).collect::<Vec<_>>());
    let report = defrag_to(&source, &folder.path().join("copy.db"), &[]);
    assert!(notes(&report, "still raised") < 20, "{report:?}");
    assert_eq!(notes(&report, "990 more alarms are still raised"), 1, "{report:?}");
}

#[test]
fn where_there_are_none() {
    for (alarms, option, names) in [
        (vec![], "--disarm", &["NOSPACE"][..]),
        (vec![], "--disarm=corrupt,nospace", &["CORRUPT", "NOSPACE"]),
        (vec![key_of(1, CORRUPT)], "--disarm", &["NOSPACE"]),
        (vec![key_of(1, NOSPACE)], "--disarm=corrupt", &["CORRUPT"]),
    ] {
        let (left, report) = left_by(&alarms, option);
        assert_eq!(left, alarms, "{option}");
        for name in names {
            assert_eq!(notes(&report, &format!("no alarm {name} is raised")), 1, "{report:?}");
        }
        assert_eq!(notes(&report, "is disarmed"), 0, "{report:?}");
    }
}

/// What no etcd writes is nobody's alarm, and stays.
#[test]
fn what_can_not_be_read_stays() {
    let odd = [vec![0xff], vec![0x08], b"NOSPACE".to_vec(), key_of(7, 0), key_of(7, 3), key_of(7, -1)];
    for option in ["--disarm", "--disarm=nospace,corrupt"] {
        let (left, report) = left_by(&odd, option);
        assert_eq!(left.len(), odd.len(), "{option}");
        assert!(report.disarmed.is_empty() && notes(&report, "no alarm NOSPACE") == 1, "{report:?}");
        let (left, report) = left_by(&[&odd[..], &[key_of(8, NOSPACE)]].concat(), option);
        assert_eq!((left.len(), said(&report)), (odd.len(), vec![(8, "NOSPACE")]), "{option}");
    }
}

/// An alarm may come back: the cure is said, and what was done.
#[test]
fn the_cure_is_said_should_it_come_back() {
    for folder in ["etcd-3.4/etcd-3.4.23", "etcd-3.5/etcd-3.5.1"] {
        let folder_of_it = folder_of(&[("source.db", &fixture(&format!("{folder}-nospace.db")))]);
        let source = folder_of_it.path().join("source.db");
        let target = folder_of_it.path().join("copy.db");
        let report = defrag_to(&source, &target, &["--disarm", "--compact-to", "current"]);
        assert_eq!(
            (report.disarmed.len(), notes(&report, "`etcdctl alarm disarm` clears it")),
            (1, 1),
            "{report:?}"
        );
        let report = defrag_to(&source, &target, &["--force"]);
        assert_eq!(notes(&report, "clears it"), 0, "{report:?}");
        // the text names it
        let ran = run(["defrag", text(&source), "-o", text(&target), "--force", "--disarm"]);
        assert!(ran.code == 0 && ran.out.contains("disarmed   NOSPACE of member "), "{}", ran.out);
    }
}

#[test]
fn by_other_names() {
    let (folder, source) = file_of(&[key_of(7, NOSPACE)]);
    let target = path_in(&folder, "copy.db");
    let before = seen_in(folder.path());
    for option in ["--disarm=", "--disarm=all", "--disarm=none", "--disarm=nospace,", "--disarm=1"] {
        let ran = run(["defrag", text(&source), "-o", &target, option]);
        assert_eq!((ran.code, ran.out.as_str(), ran.err.is_empty()), (2, "", false), "{option}");
    }
    assert_eq!(seen_in(folder.path()), before);
}

/// A member of several, changed alone, would differ from the others.
mod members {
    use super::*;

    fn file_with(members: u64) -> (TempDir, PathBuf) {
        file_of_members_and_voters(members, members)
    }

    /// A copy elsewhere is for as many members as there may be.
    #[test]
    fn are_counted() {
        for (members, voters, counted) in [(3, 1, 3), (3, 0, 3), (1, 3, 3), (1, 1, 1), (0, 0, 0)] {
            let (_folder, db) = file_of_members_and_voters(members, voters);
            let bare = db.with_file_name("bare.db");
            fs::copy(&db, &bare).expect("copied");
            let report = defrag(&bare, &["-o", "unused", "--dry-run", "--disarm"]);
            assert_eq!(report.members, counted, "{members} members, {voters} voters");
            let report = defrag(&bare, &["-o", "unused", "--dry-run", "--disarm", "--only-member"]);
            assert_eq!(report.members, counted.min(1), "{members} members, {voters} voters");
        }
    }

    fn file_of_members_and_voters(members: u64, voters: u64) -> (TempDir, PathBuf) {
        let small = memory::open(etcd_file::small().bytes());
        let mut tree = Tree::of(&contents(&small));
        let bucket = tree.number("members");
        tree.clear(bucket);
        for id in 1..=members {
            tree.put(
                bucket,
                format!("{id:x}"),
                format!(r#"{{"id":{id},"peerURLs":["http://127.0.0.1:2380"]}}"#),
            );
        }
        let voters: Vec<_> = (1..=voters).map(|id| id.to_string()).collect();
        let meta = tree.number("meta");
        tree.put(meta, "confState", format!(r#"{{"voters":[{}],"auto_leave":false}}"#, voters.join(",")));
        let ids: Vec<_> = (1..=members).collect();
        let log = log_of(1, &ids, 77);
        let wal = format!("data/member/wal/{FIRST_SEGMENT}");
        let folder = folder_of(&[("data/member/snap/db", &tree.file(1024)), (&wal, &log)]);
        let db = folder.path().join("data/member/snap/db");
        (folder, db)
    }

    const CHANGES: [&[&str]; 4] = [
        &["--compact-to", "current"],
        &["--keep-revisions", "2"],
        &["--disarm"],
        &["--compact-to", "current", "--drop-prefix", "/app/", "--confirm-keys", "1"],
    ];

    #[test]
    fn of_several_are_changed_together_only() {
        for options in CHANGES {
            let (folder, db) = file_with(3);
            let data = path_in(&folder, "data");
            let args = [&["defrag", &data, "--in-place"], options].concat();
            assert_refused(
                folder.path(),
                &args,
                &["one of 3 members", "--every-member", "-o FILE --snapshot"],
            );
            let dry = [&args[..], &["--dry-run"]].concat();
            assert_refused(folder.path(), &dry, &["one of 3 members"]);
            let old = digest(&db);
            // a plain defrag changes nothing that members could differ in
            let report = defrag(Path::new(&data), &["--in-place"]);
            assert_eq!((report.members, digest(Path::new(&report.kept_old.expect("kept")))), (3, old));
            let old = digest(&db);
            let together = [&["--in-place", "--every-member"], options].concat();
            let report = defrag(Path::new(&data), &together);
            assert!(report.verified, "{report:?}");
            assert_eq!((report.members, digest(Path::new(&report.kept_old.expect("kept")))), (3, old));
            let checked: documents::Check = document("check", text(&db), &[]);
            assert!(checked.sound, "{options:?}: {:?}", checked.findings);
        }
    }

    #[test]
    fn alone_are_changed_at_once() {
        for (members, options) in [1].iter().flat_map(|members| CHANGES.map(|options| (*members, options))) {
            let (folder, db) = file_with(members);
            let old = digest(&db);
            let report = defrag(&folder.path().join("data"), &[&["--in-place"], options].concat());
            assert!(report.verified && report.members == members, "{report:?}");
            assert_eq!(digest(Path::new(&report.kept_old.expect("kept"))), old);
            assert_ne!(digest(&db), old, "{options:?}");
        }
    }

    /// A copy elsewhere is for all of them; the report says so.
    #[test]
    fn may_have_a_copy_elsewhere() {
        for options in CHANGES {
            let (folder, db) = file_with(3);
            let [plain, snapshot] = ["plain.db", "snapshot.db"].map(|name| path_in(&folder, name));
            let ran = run([&["defrag", text(&db), "-o", &plain], options].concat());
            assert!(
                ran.code == 0 && ran.out.contains("must not go into one member of 3 alone"),
                "{}",
                ran.out
            );
            let ran = run([&["defrag", text(&db), "-o", &snapshot, "--snapshot"], options].concat());
            assert!(ran.code == 0 && ran.out.contains("restore all 3 members"), "{}", ran.out);
        }
        let (folder, db) = file_with(3);
        let target = path_in(&folder, "copy.db");
        let ran = run(["defrag", text(&db), "-o", &target, "--every-member"]);
        assert_eq!((ran.code, ran.out.as_str(), ran.err.is_empty()), (2, "", false));
    }
}
