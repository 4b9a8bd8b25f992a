//! `--in-place`.

use super::*;

/// A data dir with a db of mode 0600, as etcd leaves it.
pub(super) fn data_dir(bytes: &[u8]) -> (TempDir, PathBuf) {
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
    assert_eq!(report.kept_old.as_deref(), Some(text(&kept)));
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
    assert_eq!(report.kept_old.as_deref(), Some(text(&member.join("db.before-defrag-2"))));
    assert_eq!((digest(&db), report.saved_bytes), (first, 0));
    let report = defrag(&db, &["--in-place"]);
    assert_eq!(report.kept_old.as_deref(), Some(text(&member.join("db.before-defrag-3"))));
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
    assert_eq!((report.kept_old, digest(&db)), (None, digest(&other)));
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
    let kept = PathBuf::from(report.kept_old.expect("kept"));
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
    let request = DefragRequest::in_place();
    let quiet = Progress::SILENT;
    let source = etcd_medic::open_with(&db, &Lock::Exclusive.into(), Progress::SILENT).expect("opened");
    // as bbolt waits: it asks again and again
    let waiting = File::options().read(true).write(true).open(&db).expect("opened");
    assert!(waiting.try_lock().is_err());
    let before = seen_in(folder.path());
    let refused = defrag::defrag(&source, &request, quiet).expect_err("refused");
    assert!(matches!(refused, DefragError::Copy(CopyError::Output(OutputError::InUse { .. }))), "{refused}");
    assert!(refused.to_string().contains("Nothing was replaced"), "{refused}");
    assert_eq!(seen_in(folder.path()), before);
    // a copy elsewhere is nobody's concern
    let target = folder.path().join("copy.db");
    fs::write(&target, "old").expect("written");
    let elsewhere = Destination::File { path: target.clone(), force: true };
    defrag::defrag(&source, &DefragRequest::at(elsewhere), quiet).expect("copied");
    assert_copy(&db, &target, "somebody waits");
}

/// Under a shared lock, as a dry run has it, others may read: nothing is replaced then.
#[test]
fn never_under_a_shared_lock() {
    let (folder, db) = data_dir(&etcd_file::small().bytes());
    let source = etcd_medic::open(&db).expect("opened");
    let before = seen_in(folder.path());
    let mut request = DefragRequest::at(Destination::InPlace { keep_old: false });
    request.dry_run = true;
    let quiet = Progress::SILENT;
    defrag::defrag(&source, &request, quiet).expect("a dry run");
    request.dry_run = false;
    let refused = defrag::defrag(&source, &request, quiet).expect_err("refused");
    assert!(matches!(refused, DefragError::Copy(CopyError::Output(OutputError::NotLocked))), "{refused}");
    assert_eq!(seen_in(folder.path()), before);
}

/// Where the program is started inside of the data dir, `snap` has no name before it.
#[test]
fn by_a_relative_path() {
    let bytes = fixture("k8s-frag/frag.db");
    for (started_in, named) in [
        ("data/member", "snap/db"),
        ("data/member", "snap"),
        ("data/member/snap", "db"),
        ("data/member/snap", "./db"),
        ("data", "."),
        ("", "data"),
    ] {
        let (folder, db) = data_dir(&bytes);
        let mut command = program();
        command.current_dir(folder.path().join(started_in)).args(["defrag", "--in-place", named]);
        let ran = Ran::from(command.output().expect("ran"));
        assert_eq!(ran.code, 0, "{started_in}, {named}: {}", ran.err);
        let member = folder.path().join("data/member");
        assert_eq!(names_of(&member), ["db.before-defrag", "snap", "wal"], "{started_in}, {named}");
        assert_eq!(names_of(&member.join("snap")), ["0000000000000001-0000000000000002.snap", "db"]);
        assert_copy(&member.join("db.before-defrag"), &db, named);
        let kept = ran.out.lines().find_map(|line| line.strip_prefix("old file   kept as ")).expect("said");
        let kept = folder.path().join(started_in).join(kept);
        assert!(kept.exists(), "{started_in}, {named}: {}", kept.display());
    }
}

/// Mode, owner, ACL and extended attributes are as before, or a note says which are not.
#[test]
fn attributes_are_kept() {
    use std::os::unix::fs::chown;
    let (folder, db) = data_dir(&fixture("k8s-frag/frag.db"));
    if is_root() {
        chown(&db, Some(1234), Some(2345)).expect("given away");
    }
    fs::set_permissions(&db, Permissions::from_mode(0o2640)).expect("its own");
    let acl = [
        &[2, 0, 0, 0][..],
        &[1, 0, 6, 0, 255, 255, 255, 255],
        &[2, 0, 4, 0, 0xe8, 3, 0, 0],
        &[4, 0, 0, 0, 255, 255, 255, 255],
        &[16, 0, 4, 0, 255, 255, 255, 255],
        &[32, 0, 0, 0, 255, 255, 255, 255],
    ]
    .concat();
    let file = File::open(&db).expect("opened");
    let mut set = Vec::new();
    for (name, value) in [
        ("user.note", &b"kept"[..]),
        ("security.selinux", b"system_u:object_r:container_file_t:s0:c1,c2"),
        ("system.posix_acl_access", &acl),
    ] {
        match rustix::fs::fsetxattr(&file, name, value, rustix::fs::XattrFlags::empty()) {
            Ok(()) => set.push((name, value)),
            Err(error) => left_out(name, &error.to_string()),
        }
    }
    let metadata = |path: &Path| {
        let metadata = path.metadata().expect("there");
        (metadata.mode(), metadata.uid(), metadata.gid())
    };
    let before = metadata(&db);
    let value = |path: &Path, name: &str| {
        let mut value = vec![0; 4096];
        let bytes = rustix::fs::getxattr(path, name, &mut *value).unwrap_or(0);
        value.truncate(bytes);
        value
    };
    for (command, target) in [("defrag", "copy.db"), ("salvage", "saved.db"), ("defrag", "in place")] {
        let in_place = target == "in place";
        let path = if in_place { db.clone() } else { folder.path().join(target) };
        let args = if in_place { vec!["--in-place"] } else { vec!["-o", text(&path)] };
        let ran = run([&[command, text(&db)], &args[..]].concat());
        assert_eq!(ran.code, 0, "{command}: {}", ran.err);
        // set-group-ID has no place on a new file
        let expected = if in_place { before } else { (before.0 & !0o7000, before.1, before.2) };
        assert_eq!(metadata(&path), expected, "{command}, {target}");
        for (name, expected) in &set {
            assert_eq!(value(&path, name), *expected, "{command}, {target}: {name}");
        }
        assert!(!ran.out.contains("attributes"), "{}", ran.out);
    }
}

/// Others than the owner may read what the folder's ACL says of new files: not the copy.
#[test]
fn a_folder_s_acl_gives_nobody_more() {
    let (folder, db) = data_dir(&fixture("k8s-frag/frag.db"));
    let member = folder.path().join("data/member");
    let default = [
        &[2, 0, 0, 0][..],
        &[1, 0, 6, 0, 255, 255, 255, 255],
        &[2, 0, 6, 0, 0xe8, 3, 0, 0],
        &[4, 0, 0, 0, 255, 255, 255, 255],
        &[16, 0, 6, 0, 255, 255, 255, 255],
        &[32, 0, 0, 0, 255, 255, 255, 255],
    ]
    .concat();
    let opened = File::open(&member).expect("opened");
    let flags = rustix::fs::XattrFlags::empty();
    if let Err(error) = rustix::fs::fsetxattr(&opened, "system.posix_acl_default", &default, flags) {
        left_out("a folder's ACL", &error.to_string());
        return;
    }
    fs::set_permissions(&db, Permissions::from_mode(0o640)).expect("its own");
    defrag(&db, &["--in-place"]);
    let mut value = vec![0; 4096];
    let acl = rustix::fs::getxattr(&db, "system.posix_acl_access", &mut *value);
    assert!(acl.is_err(), "an ACL that the old file did not have: {:?}", &value[..acl.unwrap_or(0)]);
    assert_eq!(db.metadata().expect("there").mode() & 0o7777, 0o640);
}

/// On a file system that has none of them, the note names what is lost; and the group gets no more than it had.
#[test]
fn attributes_that_cannot_be_kept_are_named() {
    let (folder, db) = data_dir(&fixture("k8s-frag/frag.db"));
    let file = File::open(&db).expect("opened");
    if rustix::fs::fsetxattr(&file, "user.note", b"kept", rustix::fs::XattrFlags::empty()).is_err() {
        left_out("attributes that are lost", "this file system has none");
        return;
    }
    let within = folder.path().join("mounted");
    fs::create_dir(&within).expect("made");
    // ramfs knows no extended attributes
    let script = r#"mount -t ramfs none "$1" || exit 99; shift; exec "$@""#;
    let target = within.join("copy.db");
    let args = ["defrag", text(&db), "-o", text(&target)];
    if let Some(ran) = in_own_mounts("a file system without attributes", script, &within, &args) {
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(ran.out.contains("user.note"), "{}", ran.out);
    }
}

/// What takes the place of a snapshot is a snapshot, too.
#[test]
fn a_snapshot_stays_one() {
    let folder = folder_of(&[("source.db", &fixture("k8s-frag/frag.db"))]);
    let (source, snapshot) = (folder.path().join("source.db"), folder.path().join("snapshot.db"));
    let first = defrag_to(&source, &snapshot, &["--snapshot"]);
    let bytes = fs::read(&snapshot).expect("written");
    let report = defrag(&snapshot, &["--in-place", "--discard-old"]);
    assert_eq!(report.target.sha256, first.target.sha256);
    assert_eq!(fs::read(&snapshot).expect("replaced"), bytes);
}
