//! A full disk, limits, and others who hold the file.

use super::*;

/// A file system of 400 KiB, and a copy of 900 KiB: seen beforehand.
#[test]
fn full_disks() {
    let folder = folder_of(&[("source.db", &fixture("k8s-frag/frag.db"))]);
    let within = folder.path().join("mounted");
    fs::create_dir(&within).expect("made");
    let source = path_in(&folder, "source.db");
    let target = within.join("copy.db");
    let args = ["defrag", &source, "-o", text(&target)];
    let before = seen_in(folder.path());
    // what is in it is gone with the mount: so listed by the script
    let script = r#"mount -t tmpfs -o size=400k none "$1" || exit 99
        folder=$1; shift; "$@"; code=$?; ls -A "$folder"; exit $code"#;
    if let Some(ran) = in_own_mounts("a full disk", script, &within, &args) {
        assert_says(&ran, &args, &["bytes are needed", "are free there", "make room"]);
    }
    // room for bytes, but not for a file
    let script = r#"mount -t tmpfs -o size=40m,nr_inodes=1 none "$1" || exit 99
        folder=$1; shift; "$@"; code=$?; ls -A "$folder"; exit $code"#;
    if let Some(ran) = in_own_mounts("a disk without inodes", script, &within, &args) {
        assert_says(&ran, &args, &["No space left on device", "the disk is full", "make room"]);
    }
    assert_eq!(seen_in(folder.path()), before);
}

/// A limit on file sizes: the signal that comes with it would end the program, and leave its temporary file.
#[test]
fn limits_on_file_sizes() {
    let folder = folder_of(&[
        ("source.db", &fixture("k8s-frag/frag.db")),
        ("data/member/snap/db", &fixture("k8s-frag/frag.db")),
    ]);
    let (source, target) = (path_in(&folder, "source.db"), path_in(&folder, "copy.db"));
    let before = seen_in(folder.path());
    let data = path_in(&folder, "data");
    for args in [&["defrag", &source, "-o", &target][..], &["defrag", &data, "--in-place"]] {
        // blocks of 512 bytes or of 1024, by the shell
        let script = r#"ulimit -f 100; exec "$0" "$@""#;
        let ran = Ran::from(plain("sh").args(["-c", script, PROGRAM]).args(args).output().expect("ran"));
        assert_says(&ran, args, &["File too large", "ulimit -f"]);
        assert_eq!(seen_in(folder.path()), before, "{args:?}");
    }
}

/// What was written is there, even if nobody can be told.
#[test]
fn full_standard_output() {
    let (folder, source) = small();
    let target = folder.path().join("copy.db");
    let out = File::options().write(true).open("/dev/full").expect("opened");
    let mut command = program();
    command.args(["defrag", text(&source), "-o", text(&target)]).stdout(out);
    let ran = Ran::from(command.output().expect("ran"));
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains(&format!("{} is written", target.display())), "{}", ran.err);
    assert_copy(&source, &target, "standard output is full");
    assert_eq!(names_of(folder.path()), ["copy.db", "source.db"]);
}

#[test]
fn a_lock_of_who_writes() {
    let (folder, source) = small();
    let holder = File::open(&source).expect("opened");
    holder.lock().expect("locked");
    let target = folder.path().join("copy.db");
    for args in [
        &["defrag", text(&source), "-o", text(&target)][..],
        &["defrag", text(&source), "--in-place"],
        &["plan", text(&source)],
    ] {
        assert_refused(
            folder.path(),
            args,
            &["is locked by", "etcdctl snapshot save", "Stop etcd", text(&source)],
        );
    }
    let report = defrag_to(&source, &target, &["--no-lock"]);
    assert!(report.read_without_lock);
    holder.unlock().expect("unlocked");
    defrag_to(&source, &folder.path().join("other.db"), &[]);
}

#[test]
fn a_lock_of_who_reads() {
    let (folder, source) = small();
    let holder = File::open(&source).expect("opened");
    holder.lock_shared().expect("locked");
    defrag_to(&source, &folder.path().join("copy.db"), &[]);
}
