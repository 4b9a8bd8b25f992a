//! `--in-place`.

use etcd_medic::rewrite::changes::Wish;

use super::*;

/// A data dir with a db of mode 0600, as etcd leaves it.
fn data_dir(bytes: &[u8]) -> (TempDir, PathBuf) {
    let files = [
        ("data/member/snap/db", bytes),
        ("data/member/snap/0000000000000001-0000000000000002.snap", b"raft"),
        ("data/member/wal/0.wal", b"wal"),
    ];
    let folder = folder_of(&files);
    let db = folder.path().join("data/member/snap/db");
    fs::set_permissions(&db, Permissions::from_mode(0o600)).expect("its own");
    (folder, db)
}

#[test]
fn the_old_file_is_kept_beside_snap() {
    let bytes = fixture("k8s-frag/frag.db");
    let (folder, db) = data_dir(&bytes);
    let data = folder.path().join("data");
    let member = data.join("member");
    let before = seen_in(&data);
    let report = defrag(&data, &["--in-place"]);
    assert_eq!(report.target.path, text(&db));
    let kept = member.join("db.before-defrag");
    assert_eq!(report.kept_old.0.as_deref(), Some(text(&kept)));
    assert_eq!(report.source.file_bytes, bytes.len() as u64);
    assert_eq!(report.target.file_bytes, db.metadata().expect("there").len());
    assert!(report.verified && report.saved_bytes > 0, "{report:?}");
    assert_eq!(db.metadata().expect("there").mode() & 0o7777, 0o600);
    assert_copy(&kept, &db, "in place");
    let mut after = seen_in(&data);
    // the same file under another name, untouched
    assert_eq!(
        after.remove(Path::new("member/db.before-defrag")),
        Some(before[Path::new("member/snap/db")].clone())
    );
    let changed: Vec<_> = after.iter().filter(|(path, seen)| before.get(*path) != Some(*seen)).collect();
    assert!(matches!(changed.as_slice(), [(path, _)] if *path == Path::new("member/snap/db")), "{changed:?}");
    assert_eq!(names_of(&member.join("snap")), ["0000000000000001-0000000000000002.snap", "db"]);

    // a second run: what was kept first stays
    let first = digest(&db);
    let report = defrag(&member, &["--in-place"]);
    assert_eq!(report.kept_old.0.as_deref(), Some(text(&member.join("db.before-defrag-2"))));
    assert_eq!((digest(&db), report.saved_bytes), (first, 0));
    let report = defrag(&db, &["--in-place"]);
    assert_eq!(report.kept_old.0.as_deref(), Some(text(&member.join("db.before-defrag-3"))));
    assert_eq!(fs::read(&kept).expect("kept"), bytes);
    assert_eq!(
        names_of(&member),
        ["db.before-defrag", "db.before-defrag-2", "db.before-defrag-3", "snap", "wal"]
    );
}

#[test]
fn the_old_file_may_be_discarded() {
    let (folder, db) = data_dir(&fixture("k8s-frag/frag.db"));
    let member = folder.path().join("data/member");
    let other = folder.path().join("other.db");
    defrag_to(&db, &other, &[]);
    let report = defrag(&folder.path().join("data"), &["--in-place", "--discard-old"]);
    assert_eq!((report.kept_old.0, digest(&db)), (None, digest(&other)));
    assert_eq!(names_of(&member), ["snap", "wal"]);
    assert_eq!(names_of(&member.join("snap")), ["0000000000000001-0000000000000002.snap", "db"]);
}

#[test]
fn a_file_of_its_own() {
    let (folder, source) = small();
    let bytes = fs::read(&source).expect("read");
    defrag(&source, &["--in-place"]);
    assert_eq!(names_of(folder.path()), ["source.db", "source.db.before-defrag"]);
    assert_eq!(fs::read(folder.path().join("source.db.before-defrag")).expect("kept"), bytes);
    assert_copy(&folder.path().join("source.db.before-defrag"), &source, "in place");
}

/// The db of a data dir may lie on another disk, behind a link: it is that file that is replaced, and kept.
#[test]
fn behind_a_link() {
    let bytes = fixture("k8s-frag/frag.db");
    let folder = folder_of(&[("disk/etcd/db", &bytes), ("data/member/wal/0.wal", b"wal")]);
    let snap = folder.path().join("data/member/snap");
    fs::create_dir(&snap).expect("made");
    symlink("../../../disk/etcd/db", snap.join("db")).expect("linked");
    let report = defrag(&folder.path().join("data"), &["--in-place"]);
    let kept = PathBuf::from(report.kept_old.0.expect("kept"));
    assert_eq!(fs::read(&kept).unwrap_or_else(|error| panic!("{}: {error}", kept.display())), bytes);
    assert!(snap.join("db").is_symlink(), "the link is still one");
    assert_eq!(names_of(&snap), ["db"]);
    assert_eq!(names_of(&folder.path().join("disk/etcd")), ["db", "db.before-defrag"]);
    assert_copy(&kept, &snap.join("db"), "behind a link");
}

#[test]
fn never_without_the_lock() {
    let (folder, _) = data_dir(&etcd_file::small().bytes());
    let before = seen_in(folder.path());
    for options in [&["--in-place"][..], &["--in-place", "--discard-old"], &["--in-place", "--dry-run"]] {
        let ran = run([&["defrag", &path_in(&folder, "data"), "--no-lock"], options].concat());
        assert_eq!(ran.code, 2, "{options:?}");
        assert!(ran.err.contains("leave --no-lock out"), "{}", ran.err);
    }
    assert_eq!(seen_in(folder.path()), before);
}

/// An etcd that was started meanwhile waits for the lock, and would go on with the old file.
#[test]
fn never_under_somebody_who_waits_for_the_lock() {
    let (folder, db) = data_dir(&etcd_file::small().bytes());
    let source = Source::open(&db, Lock::Shared).expect("opened");
    let waiting = thread::spawn({
        let db = db.clone();
        move || File::open(db).expect("opened").lock().expect("locked, in the end")
    });
    let mapping = source.db.mapping().expect("mapped");
    let until = Instant::now() + Duration::from_secs(10);
    while mapping.waiting_for_lock().is_none() {
        if Instant::now() > until {
            left_out("somebody who waits for the lock", "/proc/locks does not name them");
            drop(source);
            waiting.join().expect("locked");
            return;
        }
        sleep(Duration::from_millis(5));
    }
    let before = seen_in(folder.path());
    let request = Request {
        destination: Destination::InPlace { keep_old: true },
        wish: Wish::default(),
        layout: Layout::default(),
        verify: true,
        dry_run: false,
        snapshot: false,
        skip_hash_check: false,
        wal_dir: None,
    };
    let quiet = Progress { begin: &|_, _| {}, advance: &|_| {} };
    let refused = defrag::defrag(&source, &request, quiet).expect_err("refused");
    assert!(matches!(refused, DefragError::Awaited { .. }), "{refused}");
    assert!(refused.to_string().contains("Nothing was replaced"), "{refused}");
    assert_eq!(seen_in(folder.path()), before);
    // a copy elsewhere is nobody's concern
    let target = folder.path().join("copy.db");
    fs::write(&target, "old").expect("written");
    let request = Request { destination: Destination::File { path: target.clone(), force: true }, ..request };
    defrag::defrag(&source, &request, quiet).expect("copied");
    assert_copy(&db, &target, "somebody waits");
    drop(source);
    waiting.join().expect("locked");
}

/// What takes the place of a snapshot is a snapshot, too.
#[test]
fn a_snapshot_stays_one() {
    let folder = folder_of(&[("source.db", &fixture("k8s-frag/frag.db"))]);
    let (source, snapshot) = (folder.path().join("source.db"), folder.path().join("snapshot.db"));
    let first = defrag_to(&source, &snapshot, &["--snapshot"]);
    let bytes = fs::read(&snapshot).expect("written");
    let report = defrag(&snapshot, &["--in-place", "--discard-old"]);
    assert_eq!(report.target.sha256.0, first.target.sha256.0);
    assert_eq!(fs::read(&snapshot).expect("replaced"), bytes);
}
