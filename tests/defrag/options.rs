//! What the options do, and which do not go together.

use super::*;

#[test]
fn mode_follows_the_source() {
    let (folder, source) = small();
    for mode in [0o600, 0o640, 0o644, 0o400, 0o660] {
        fs::set_permissions(&source, Permissions::from_mode(mode)).expect("its own");
        // not even for a moment it may be read by others: a copy begins with 0600
        let target = folder.path().join(format!("copy-{mode:o}.db"));
        defrag_to(&source, &target, &[]);
        assert_eq!(target.metadata().expect("written").mode() & 0o7777, mode, "{mode:o}");
    }
    // what is replaced has no say
    let target = folder.path().join("copy-644.db");
    defrag_to(&source, &target, &["--force"]);
    assert_eq!(target.metadata().expect("written").mode() & 0o7777, 0o660);
    // a program's right of its own has no place on a db
    fs::set_permissions(&source, Permissions::from_mode(0o4755)).expect("its own");
    defrag_to(&source, &target, &["--force"]);
    assert_eq!(target.metadata().expect("written").mode() & 0o7777, 0o755);
}

#[test]
fn owner_follows_the_source() {
    if !is_root() {
        left_out("the copy's owner", "only root may give files away");
        return;
    }
    let (folder, source) = small();
    std::os::unix::fs::chown(&source, Some(4711), Some(4712)).expect("given away");
    let target = folder.path().join("copy.db");
    let report = defrag_to(&source, &target, &[]);
    let metadata = target.metadata().expect("written");
    assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o777), (4711, 4712, 0o640));
    assert!(!report.warnings.iter().any(|text| text.contains("chown")), "{:?}", report.warnings);
}

#[test]
fn a_data_dir_as_the_source() {
    let bytes = etcd_file::small().bytes();
    let folder = folder_of(&[("data/member/snap/db", &bytes), ("data/member/wal/0.wal", b"wal")]);
    let before = seen_in(&folder.path().join("data"));
    for (number, dir) in ["data", "data/member", "data/member/snap"].into_iter().enumerate() {
        let target = folder.path().join(format!("copy-{number}.db"));
        let report = defrag_to(&folder.path().join(dir), &target, &[]);
        assert_eq!(report.source.path, path_in(&folder, "data/member/snap/db"));
        assert_copy(&folder.path().join("data/member/snap/db"), &target, dir);
    }
    assert_eq!(seen_in(&folder.path().join("data")), before);
}

#[test]
fn a_relative_target() {
    let (folder, source) = small();
    let within = TempDir::new().expect("a folder");
    let ran: Ran = program()
        .current_dir(within.path())
        .args(["defrag", text(&source), "-o", "copy.db"])
        .output()
        .expect("ran")
        .into();
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(names_of(within.path()), ["copy.db"]);
    assert_eq!(names_of(folder.path()), ["source.db"]);
}

#[test]
fn a_dry_run_writes_nothing_and_says_the_same() {
    let (folder, source) = small();
    let target = folder.path().join("copy.db");
    let before = seen_in(folder.path());
    let dry = defrag(&source, &["-o", text(&target), "--dry-run"]);
    assert!(dry.dry_run && !dry.verified && dry.verification.is_none(), "{dry:?}");
    let in_place = defrag(&source, &["--in-place", "--dry-run"]);
    assert!(in_place.dry_run && in_place.kept_old.is_none(), "{in_place:?}");
    let ran = run(["defrag", text(&source), "-o", text(&target), "--dry-run"]);
    assert!(ran.code == 0 && ran.out.contains("nothing was written"), "{}", ran.out);
    assert_eq!(seen_in(folder.path()), before);
    let done = defrag_to(&source, &target, &[]);
    assert_eq!(dry.target.file_bytes, done.target.file_bytes);
    let with_trailer = defrag(&source, &["-o", text(&folder.path().join("new")), "--dry-run", "--snapshot"]);
    assert_eq!(with_trailer.target.file_bytes, done.target.file_bytes + 32);
    // what would be refused is refused
    assert_eq!(run(["defrag", text(&source), "-o", text(&target), "--dry-run"]).code, 2);
}

#[test]
fn without_verification() {
    let (folder, source) = small();
    let target = folder.path().join("copy.db");
    let report = defrag_to(&source, &target, &["--no-verify"]);
    assert!(!report.verified && report.verification.is_none());
    assert_copy(&source, &target, "--no-verify");
}

#[test]
fn as_text() {
    let (folder, source) = small();
    let target = path_in(&folder, "copy.db");
    let ran = run(["defrag", text(&source), "-o", &target]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    for words in ["before", "after", "saved", "verified", "yes: ", "entries", "equal", "next", &target] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    let ran = run(["plan", text(&source)]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    for words in
        ["--max-node-pages 1", "--max-node-pages 16", "the default", "bbolt compact", "etcdutl defrag"]
    {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
}

#[test]
fn wrong_use_is_2() {
    let (folder, source) = small();
    let (source, target) = (text(&source), path_in(&folder, "copy.db"));
    let before = seen_in(folder.path());
    let wrong: [&[&str]; 14] = [
        &["defrag"],
        &["defrag", source],
        &["defrag", source, "-o"],
        &["defrag", source, "--in-place", "-o", &target],
        &["defrag", source, "--in-place", "--force"],
        &["defrag", source, "--in-place", "--snapshot"],
        &["defrag", source, "--in-place", "--no-verify"],
        &["defrag", source, "-o", &target, "--discard-old"],
        &["defrag", source, "-o", &target, "--page-size", "4095"],
        &["defrag", source, "-o", &target, "--page-size", "256"],
        &["defrag", source, "-o", &target, "--max-node-pages", "0"],
        &["defrag", source, "-o", &target, "--max-node-pages", "257"],
        &["plan"],
        &["plan", source, "--page-size", "many"],
    ];
    for args in wrong {
        let ran = run(args);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}");
        assert!(!ran.err.is_empty(), "{args:?}");
    }
    assert_eq!(seen_in(folder.path()), before);
}

/// The same file, whatever the number of threads.
#[test]
fn threads_make_no_difference() {
    let folder = folder_of(&[("source.db", &fixture("k8s-3.5/k8s.db"))]);
    let source = path_in(&folder, "source.db");
    let digests = ["1", "2", "8"].map(|threads| {
        let target = folder.path().join(threads);
        let mut command = program();
        command.env("RAYON_NUM_THREADS", threads).args(["defrag", &source, "-o", text(&target)]);
        assert_eq!(Ran::from(command.output().expect("ran")).code, 0);
        digest(&target)
    });
    assert!(digests.iter().all(|other| *other == digests[0]), "{digests:?}");
}

/// A dry run says the same whether a place is named or not, and writes nothing.
#[test]
fn a_dry_run_needs_no_place() {
    let (folder, source) = small();
    let before = seen_in(folder.path());
    let nowhere = defrag(&source, &["--dry-run", "--compact-to", "current"]);
    let target = folder.path().join("copy.db");
    let named = defrag(&source, &["--dry-run", "--compact-to", "current", "-o", text(&target)]);
    assert!(nowhere.dry_run && nowhere.target.path.is_empty(), "{nowhere:?}");
    assert_eq!(nowhere.target.file_bytes, named.target.file_bytes);
    assert_eq!(nowhere.saved_bytes, named.saved_bytes);
    let said = run(["defrag", "--dry-run", text(&source)]);
    let words: Vec<_> = said.out.split_whitespace().collect();
    assert!(words.join(" ").contains("without --dry-run and with -o DST writes it"), "{}", said.out);
    assert_eq!(run(["defrag", text(&source)]).code, 2, "where to?");
    assert_eq!(seen_in(folder.path()), before);
}
