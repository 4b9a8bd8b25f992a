//! Targets that are refused, or replaced.

use super::*;

fn refused(folder: &TempDir, target: &Path, options: &[&str], says: &[&str]) {
    let source = path_in(folder, "source.db");
    let args = [&["defrag", &source, "-o", text(target)], options].concat();
    assert_refused(folder.path(), &args, says);
}

#[test]
fn that_exist() {
    let (folder, source) = small();
    let target = folder.path().join("copy.db");
    fs::write(&target, "precious").expect("written");
    refused(&folder, &target, &[], &[text(&target), "exists already", "--force"]);
    refused(&folder, &target, &["--snapshot"], &["exists already"]);
    let before = Seen::of(&source);
    defrag_to(&source, &target, &["--force"]);
    assert_copy(&source, &target, "--force");
    assert_eq!(
        (names_of(folder.path()), Seen::of(&source)),
        (vec!["copy.db".into(), "source.db".into()], before)
    );
}

#[test]
fn that_are_folders() {
    let (folder, _) = small();
    let target = folder.path().join("folder");
    fs::create_dir(&target).expect("made");
    for options in [&[][..], &["--force"]] {
        refused(&folder, &target, options, &[text(&target), "is a folder", "name the file"]);
        refused(&folder, Path::new(&format!("{}/", target.display())), options, &["is a folder"]);
        refused(&folder, folder.path(), options, &["is a folder"]);
        refused(&folder, Path::new("."), options, &["is a folder"]);
        refused(&folder, Path::new("/"), options, &["is a folder"]);
    }
}

#[test]
fn that_are_the_source() {
    let (folder, source) = small();
    let link = folder.path().join("link");
    symlink("source.db", &link).expect("linked");
    let link_to_link = folder.path().join("link-to-link");
    symlink(&link, &link_to_link).expect("linked");
    let hard = folder.path().join("hard");
    fs::hard_link(&source, &hard).expect("linked");
    fs::create_dir(folder.path().join("folder")).expect("made");
    let winding = folder.path().join("folder/../source.db");
    for target in [&source, &link, &link_to_link, &hard, &winding] {
        for options in [&[][..], &["--force"], &["--force", "--snapshot", "--no-verify"]] {
            refused(&folder, target, options, &[text(target), "is the source itself", "--in-place"]);
        }
    }
    // and by whichever name the source is given
    for name in [&link, &hard] {
        let args = ["defrag", text(name), "-o", text(&source), "--force"];
        assert_refused(folder.path(), &args, &["is the source itself"]);
    }
}

#[test]
fn that_are_links() {
    let (folder, _) = small();
    let dangling = folder.path().join("dangling");
    symlink("nowhere", &dangling).expect("linked");
    let other = folder.path().join("other");
    fs::write(&other, "precious").expect("written");
    let link = folder.path().join("link");
    symlink("other", &link).expect("linked");
    for options in [&[][..], &["--force"]] {
        refused(&folder, &link, options, &[text(&link), "is a symbolic link to other"]);
        refused(&folder, &dangling, options, &[text(&dangling), "is a symbolic link to nowhere"]);
    }
}

/// `-o /dev/null --force` as root would replace the device by a file.
#[test]
fn that_are_no_files() {
    let (folder, _) = small();
    let pipe = folder.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    if !made.is_ok_and(|status| status.success()) {
        left_out("a pipe as the target", "there is no mkfifo");
        return;
    }
    refused(&folder, &pipe, &[], &[text(&pipe)]);
    refused(&folder, &pipe, &["--force"], &[text(&pipe), "no regular file", "name "]);
    let link = folder.path().join("link");
    symlink("/dev/null", &link).expect("linked");
    refused(&folder, &link, &["--force"], &[text(&link), "is a symbolic link to /dev/null"]);
}

#[test]
fn in_folders_that_are_not_there() {
    let (folder, _) = small();
    let target = folder.path().join("no/such/copy.db");
    for options in [&[][..], &["--force"], &["--dry-run"]] {
        refused(
            &folder,
            &target,
            options,
            &[&path_in(&folder, "no/such"), "no such folder", "make it first"],
        );
    }
    let in_a_file = folder.path().join("source.db/copy.db");
    refused(&folder, &in_a_file, &[], &["no such folder"]);
}

#[test]
fn with_long_names() {
    let (folder, source) = small();
    let longest = folder.path().join("x".repeat(255));
    defrag_to(&source, &longest, &[]);
    assert_copy(&source, &longest, "a name of 255 bytes");
    let longer = folder.path().join("x".repeat(256));
    refused(&folder, &longer, &[], &["name too long"]);
}

/// As root nothing is read-only by its mode, so another user runs it then.
#[test]
fn in_folders_that_are_read_only() {
    let (folder, source) = small();
    let locked = folder.path().join("locked");
    fs::create_dir(&locked).expect("made");
    let mut command = plain(PROGRAM);
    if is_root() {
        use std::os::unix::process::CommandExt;
        // where others may read it and run it
        let copy = folder.path().join("program");
        fs::copy(PROGRAM, &copy).expect("copied");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("its own");
        fs::set_permissions(&source, Permissions::from_mode(0o644)).expect("its own");
        let as_nobody = |command: &mut Command| {
            command.uid(65534).gid(65534);
        };
        let mut probe = plain(&copy);
        as_nobody(&mut probe);
        if !probe.arg("--version").output().is_ok_and(|output| output.status.success()) {
            left_out("a folder that is read-only", "no other user may run the program here");
            return;
        }
        command = plain(&copy);
        as_nobody(&mut command);
    }
    fs::set_permissions(&locked, Permissions::from_mode(0o555)).expect("its own");
    let target = locked.join("copy.db");
    let before = seen_in(folder.path());
    let args = ["defrag", text(&source), "-o", text(&target)];
    let ran = Ran::from(command.args(args).output().expect("ran"));
    fs::set_permissions(&locked, Permissions::from_mode(0o755)).expect("its own");
    assert_says(&ran, &args, &[text(&locked), "Permission denied", "another folder with -o"]);
    fs::set_permissions(&locked, Permissions::from_mode(0o555)).expect("its own");
    assert_eq!(seen_in(folder.path()), before);
    fs::set_permissions(&locked, Permissions::from_mode(0o755)).expect("its own");
}

/// On a file system that is mounted read-only, even for root.
#[test]
fn on_file_systems_that_are_read_only() {
    let (folder, source) = small();
    let within = folder.path().join("mounted");
    fs::create_dir(&within).expect("made");
    let script = r#"mount -t tmpfs -o ro none "$1" || exit 99; shift; exec "$@""#;
    let target = within.join("copy.db");
    let args = ["defrag", text(&source), "-o", text(&target)];
    if let Some(ran) = in_own_mounts("a read-only file system", script, &within, &args) {
        assert_says(&ran, &args, &["Read-only file system", "another folder with -o"]);
    }
}
