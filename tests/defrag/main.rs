//! `defrag` and `plan`: every sound file comes out smaller, sound and equal; whatever goes wrong, nothing is lost and
//! nothing is left behind.
//!
//! The files of `testdata/` are always read; those of the folder that `ETCD_MEDIC_CORPORA` names (relative to the
//! package), too.
#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod advised;
mod alarms;
mod bumped;
mod commit;
mod compaction;
mod damaged;
mod ended;
mod every_sound_file;
mod in_place;
mod json;
mod options;
mod outputs;
mod plans;
mod prefixes;
mod proof;
mod races;
mod surroundings;
mod targets;

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{Read, Write, stderr};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use etcd_medic::internals::bolt::Db;
use etcd_medic::internals::bolt::lock::Lock;
use etcd_medic::internals::bolt::open::map_file;
use etcd_medic::internals::copy::{CopyError, Destination, Progress};
use etcd_medic::internals::etcd::schema::State;
use etcd_medic::internals::etcd::trailer::{self, Trailer};
use etcd_medic::internals::output::{OutputError, unfinished::TEMPORARY_SUFFIX};
use etcd_medic::internals::rewrite::changes::Wish;
use etcd_medic::internals::rewrite::{
    defrag::{self},
    error::DefragError,
    request::DefragRequest,
};
use sha2::{Digest, Sha256};
use support::content::{assert_equal_contents, contents};
use support::corpus::Corpus;
use support::documents::{self, parse};
use support::peers::assert_bbolt_accepts;
use support::program::{PROGRAM, Ran, document, folder_of, path_in, plain, program, run};
use support::random::Random;
use support::{etcd_file, fixture, lies, memory, names_in, testdata};
use tempfile::TempDir;

/// Says loudly what this machine can't test; not by `eprintln!`, which the test harness would keep to itself.
fn left_out(what: &str, why: &str) {
    let _ = writeln!(stderr(), "LEFT OUT: {what}: {why}");
}

fn is_root() -> bool {
    let mine = tempfile::tempfile().expect("a temporary file");
    mine.metadata().expect("metadata").uid() == 0
}

fn digest(path: &Path) -> String {
    let bytes = map_file(path, Lock::None).expect("mapped");
    Sha256::digest(bytes.as_ref()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What can be seen of a file from outside: whether it was touched.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Seen {
    File { digest: String, modified: (i64, i64), mode: u32, inode: u64 },
    Link(PathBuf),
    Folder(u32),
    Other,
}

impl Seen {
    fn of(path: &Path) -> Self {
        let metadata = path.symlink_metadata().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mode = metadata.mode() & 0o7777;
        if metadata.is_symlink() {
            Self::Link(path.read_link().expect("a link"))
        } else if metadata.is_dir() {
            Self::Folder(mode)
        } else if metadata.is_file() {
            let modified = (metadata.mtime(), metadata.mtime_nsec());
            Self::File { digest: digest(path), modified, mode, inode: metadata.ino() }
        } else {
            Self::Other
        }
    }
}

/// Everything in a folder, at any depth, by its path within.
fn seen_in(folder: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut seen = BTreeMap::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in next.read_dir().expect("read") {
            let path = entry.expect("entry").path();
            let what = Seen::of(&path);
            if let Seen::Folder(_) = what {
                waiting.push(path.clone());
            }
            seen.insert(path.strip_prefix(folder).expect("below").to_owned(), what);
        }
    }
    seen
}

/// The names in a folder, in order.
fn names_of(folder: &Path) -> Vec<String> {
    let names = folder.read_dir().expect("read").map(|entry| entry.expect("entry").file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn open(path: &Path) -> Db {
    Db::of_mapping(map_file(path, Lock::None).expect("mapped")).expect("a bbolt file")
}

/// What `defrag` says of its work, as JSON.
fn defrag(source: &Path, options: &[&str]) -> documents::Defrag {
    document("defrag", text(source), options)
}

fn defrag_to(source: &Path, target: &Path, options: &[&str]) -> documents::Defrag {
    let report = defrag(source, &[&["-o", text(target)], options].concat());
    assert_eq!(report.target.path, text(target));
    assert_eq!(target.metadata().expect("written").len(), report.target.file_bytes);
    report
}

/// A copy is sound, as `check` and bbolt's own have it, and holds what its source holds, as an independent reading has it.
fn assert_copy(source: &Path, target: &Path, of: &str) {
    assert_bbolt_accepts(target, of);
    let checked: documents::Check = document("check", text(target), &[]);
    assert!(checked.sound && checked.findings.is_empty(), "{of}: {:?}", checked.findings);
    let (source, target) = (open(source), open(target));
    assert_equal_contents(&contents(&source), &contents(&target), of);
}

/// The path of a small sound file in a folder of its own, with mode 0640.
fn small() -> (TempDir, PathBuf) {
    let folder = folder_of(&[("source.db", &etcd_file::small().bytes())]);
    let path = folder.path().join("source.db");
    fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("its own");
    (folder, path)
}

/// What can't be done: exit code 2, a line that says why and what next, and everything as it was.
fn assert_refused(folder: &Path, args: &[&str], says: &[&str]) {
    let before = seen_in(folder);
    let ran = run(args);
    assert_says(&ran, args, says);
    assert_eq!(seen_in(folder), before, "{args:?}");
}

fn assert_says(ran: &Ran, args: &[&str], says: &[&str]) {
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}: {}", ran.err);
    // one line, and perhaps the command to go on with, on a line of its own
    let is_command = |line: &str| line.starts_with("     $ ");
    let lines: Vec<_> = ran.err.lines().collect();
    let expected =
        matches!(lines.as_slice(), [_]) || matches!(lines.as_slice(), [_, next] if is_command(next));
    assert!(ran.err.starts_with("etcd-medic: ") && expected, "{args:?}: {}", ran.err);
    for words in says {
        assert!(ran.err.contains(words), "{args:?}: no {words:?} in {}", ran.err);
    }
}

/// Runs the program behind a shell script that may mount what it likes without anybody else seeing it; `$1` is a
/// folder for it, the rest the program and its arguments. `None`, said loudly, where this machine does not allow it.
fn in_own_mounts(what: &str, script: &str, folder: &Path, args: &[&str]) -> Option<Ran> {
    let mut command = plain("unshare");
    command.args(if is_root() { &["--mount"][..] } else { &["--map-root-user", "--mount"] });
    command.args(["sh", "-c", script, "sh", text(folder), PROGRAM]).args(args);
    let Ok(output) = command.output() else {
        left_out(what, "there is no unshare");
        return None;
    };
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(99) || error.starts_with("unshare: ") {
        left_out(what, error.lines().next().unwrap_or("no mounts"));
        return None;
    }
    Some(output.into())
}
