//! What lies in a directory that no start needs, or that a start has no room for.

use std::path::Path;

use crate::platform::{FolderHandle, names_in};
use crate::shell::ShellCommand;
use crate::units::bytes;

use super::files::MemberFiles;
use super::finding::Finding;

/// Room that a start needs at once: a segment of the log, and the next one.
const ROOM: u64 = 2 * 64_000_000;

/// What is found.
pub fn of(files: &MemberFiles) -> Vec<Finding> {
    let mut findings = Vec::new();
    let room = FolderHandle::open(&files.folder).ok().and_then(|folder| folder.room());
    if let Some(room) = room.filter(|room| room.available < ROOM) {
        let free = bytes(room.available);
        let message = format!(
            "the disk has {free} left: etcd makes its log in segments of 64 MB, two at a time, and ends where there is no room"
        );
        findings.push(Finding { is_problem: true, ..Finding::new("disk-full", message) });
    }
    for (folder, ending, what) in [
        ("snap", "db.tmp.", "a defragmentation that was ended"),
        ("snap", ".snap.broken", "a snapshot that etcd could not read"),
        ("wal", ".broken", "a copy that etcd made before it cut its log, and may hold what it cut off"),
    ] {
        let folder = files.folder.join(folder);
        let is_one = |name: &String| {
            if ending.ends_with('.') { name.starts_with(ending) } else { name.ends_with(ending) }
        };
        let names: Vec<_> = names(&folder).into_iter().filter(is_one).collect();
        if let Some(first) = names.first() {
            let message = format!("{} is left of {what}", folder.join(first).display());
            let look = ShellCommand::new("etcd-medic log --broken").path(&files.named).to_string();
            let commands = if folder.ends_with("wal") { vec![look] } else { Vec::new() };
            findings.push(Finding { commands, ..Finding::new("leftover", message) });
        }
    }
    findings
}

fn names(folder: &Path) -> Vec<String> {
    let names = names_in(folder).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<_> = names.filter_map(|name| name.into_string().ok()).collect();
    names.sort_unstable();
    names
}
