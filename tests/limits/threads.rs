//! Where no thread can be had, a command works on the one that there is, or says so: it never panics.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use super::support::fixture;
use super::support::program::{PROGRAM, Ran, plain};
use tempfile::TempDir;

/// Commands that read, and those that write.
const COMMANDS: [&[&str]; 9] = [
    &["status", "db"],
    &["analyze", "db"],
    &["check", "db"],
    &["hash", "db"],
    &["cleanup", "db"],
    &["export", "db", "-o", "-"],
    &["defrag", "db", "-o", "out/defragged", "--force"],
    &["salvage", "db", "-o", "out/salvaged", "--force"],
    &["synth", "-o", "out/synth", "--size", "1MiB", "--force"],
];

/// Somebody whom a limit on processes concerns, and who has no other: root is not.
const NOBODY: &str = "65534";

/// A folder that anybody may enter, with the program and a db, and one that anybody may write into.
fn folder() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let mode = |name: &str, mode| {
        fs::set_permissions(folder.path().join(name), Permissions::from_mode(mode)).expect("a mode");
    };
    fs::copy(PROGRAM, folder.path().join("etcd-medic")).expect("copied");
    fs::write(folder.path().join("db"), fixture("k8s-frag/frag.db")).expect("written");
    fs::create_dir(folder.path().join("out")).expect("made");
    mode("", 0o755);
    mode("db", 0o644);
    mode("out", 0o777);
    folder
}

/// A command under a limit on processes; its first thread is one.
fn limited(folder: &TempDir, processes: u32, args: &[&str]) -> Ran {
    let is_root = fs::metadata("/proc/self").expect("proc").uid() == 0;
    let mut command = if is_root {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "bash"]);
        command
    } else {
        plain("bash")
    };
    // the shell becomes the program
    let script = format!("ulimit -u {processes} && exec ./etcd-medic \"$@\"");
    command.args(["-c", &script, "bash"]).args(args).current_dir(folder.path()).env("RUST_BACKTRACE", "0");
    command.env_remove("RAYON_NUM_THREADS").output().expect("ran").into()
}

#[test]
fn no_thread_to_be_had_is_no_panic() {
    let folder = folder();
    let mut done = 0;
    for args in COMMANDS {
        for processes in (1..=8).chain([1000]) {
            let Ran { code, err, .. } = limited(&folder, processes, args);
            assert!(!err.contains("panicked"), "{args:?}, {processes}: {err}");
            assert!(code == 2 || processes > 1, "{args:?}: the limit is none");
            if code == 2 {
                assert!(err.contains("no thread could be started"), "{args:?}, {processes}: {err}");
            } else {
                done += 1;
            }
        }
    }
    // each of them where there is room
    assert!(done >= COMMANDS.len(), "{done}");
}
