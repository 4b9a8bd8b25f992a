//! What the program prints of files that give it reason to name commands of etcd's: nothing is run here.

use std::fs::{self, File};
use std::path::Path;

use super::forms::{Forms, forms_in, lines_in, lines_of};
use crate::support::member_log::{FIRST_SEGMENT, log_of};
use crate::support::program::{Ran, program};
use crate::support::workshop::{PATTERNS, frag};
use crate::support::{etcd_file, fixture};
use tempfile::TempDir;

/// Lines of shell that the program prints, as text and as JSON.
pub fn printed(folder: &Path, args: &[&str]) -> Vec<String> {
    let run = |more: &[&str]| -> Ran {
        // so wide that no sentence is wrapped within a word
        let mut program = program();
        program.current_dir(folder).env("COLUMNS", "200").args(args).args(more);
        program.output().expect("ran").into()
    };
    let text = run(&[]);
    let mut lines: Vec<String> = [&text.out, &text.err].into_iter().flat_map(|said| lines_in(said)).collect();
    // what was written is in the way of the next
    for made in ["out.db", "made.db"] {
        let _ = fs::remove_file(folder.join(made));
    }
    let json = run(&["--output", "json"]);
    lines.extend(lines_in(&json.err));
    lines.extend(serde_json::from_str(&json.out).iter().flat_map(lines_of));
    lines
}

/// Of all commands, over files that are damaged, locked, full, and of several members.
pub fn forms() -> Forms {
    let folder = TempDir::new().expect("a folder");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, bytes).expect("written");
    };
    let mut lines = Vec::new();
    for file in ["etcd-3.4/etcd-3.4.23-nospace.db", "etcd-3.5/etcd-3.5.1-nospace.db", "k8s-frag/frag.db"] {
        write("whole.db", &fixture(file));
        lines.extend(each_command(folder.path(), "whole.db"));
    }
    let mut changed = fixture("etcd-3.5/etcd-3.5.1-kv.snapshot.db");
    *changed.last_mut().expect("a byte") ^= 1;
    write("whole.db", &changed);
    lines.extend(each_command(folder.path(), "whole.db"));
    let base = frag();
    for damage in PATTERNS.iter().filter_map(|pattern| base.damaged(pattern)) {
        write("damaged.db", &damage.bytes);
        for args in [&["check"][..], &["defrag", "--dry-run"], &["salvage", "-o", "out.db"]] {
            lines.extend(printed(folder.path(), &[args, &["damaged.db"]].concat()));
        }
    }
    // a full member whose log goes on beyond its db, and one whose log can't be read
    let db = fixture("etcd-3.5/etcd-3.5.1-nospace.db");
    for log in [log_of(etcd_file::MEMBER, &[etcd_file::MEMBER], 10_000), b"no log".to_vec()] {
        write("data/member/snap/db", &db);
        write(&format!("data/member/wal/{FIRST_SEGMENT}"), &log);
        lines.extend(each_command(folder.path(), "data"));
    }
    let held = File::open(folder.path().join("whole.db")).expect("opened");
    held.lock().expect("locked");
    lines.extend(printed(folder.path(), &["analyze", "whole.db"]));
    lines.iter().flat_map(|line| forms_in(line)).collect()
}

fn each_command(folder: &Path, file: &str) -> Vec<String> {
    let commands: [&[&str]; 15] = [
        &["analyze"],
        &["check"],
        &["status"],
        &["cleanup"],
        &["plan"],
        &["hash"],
        &["defrag", "--snapshot", "-o", "out.db"],
        &["defrag", "--compact-to", "current", "--disarm", "--dry-run"],
        &["defrag", "--only-member", "--in-place", "--compact-to", "current", "--disarm", "--dry-run"],
        &["defrag", "--only-member", "--in-place", "--drop-prefix", "/", "--dry-run"],
        &["salvage", "-o", "out.db"],
        &["salvage", "--snapshot", "-o", "out.db"],
        &["salvage", "--strict", "-o", "out.db"],
        &["salvage", "--disable-auth", "-o", "out.db"],
        &["synth", "--keys", "500", "--snapshot", "-o", "made.db"],
    ];
    let mut lines = Vec::new();
    for command in commands {
        let file = if command[0] == "synth" { None } else { Some(file) };
        lines.extend(printed(folder, &command.iter().copied().chain(file).collect::<Vec<_>>()));
    }
    lines
}
