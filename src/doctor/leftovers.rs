//! What else is to be known of a directory: what lies in it that no start needs, whose it is, whom it names.

use std::path::{Path, PathBuf};

use crate::etcd::schema::State;
use crate::member::ReadLog;
use crate::platform::{Facts, FolderHandle, names_in};
use crate::shell::ShellCommand;
use crate::text::shown;
use crate::units::{bytes, count};

use super::files::{DbState, MemberFiles};
use super::finding::Finding;

/// Room that a start needs at once: a segment of the log, and the next one.
const ROOM: u64 = 2 * 64_000_000;

/// What is found.
pub fn of(files: &MemberFiles, log: Option<&ReadLog<'_>>) -> Vec<Finding> {
    let mut findings: Vec<_> = strangers(files, log).into_iter().chain(owners(files)).collect();
    for index in files.received.keys() {
        let message = format!("snap/{index:016x}.snap.db is a db that the leader sent, as of entry {index}");
        findings.push(Finding::new("leftover", message));
    }
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
            let message = format!("{} is left of {what}", shown(&folder.join(first)));
            let look = ShellCommand::new("etcd-medic log --broken").path(&files.named).to_string();
            let commands = if folder.ends_with("wal") { vec![look] } else { Vec::new() };
            findings.push(Finding { commands, ..Finding::new("leftover", message) });
        }
    }
    findings
}

/// Members of the db that its log and its snapshots do not know.
fn strangers(files: &MemberFiles, log: Option<&ReadLog<'_>>) -> Option<Finding> {
    let DbState::Sound(db) = &files.db else { return None };
    let state = State::read(db);
    let known = log?.log.config_at(state.consistent_index?, &files.heads())?.members();
    let strange: Vec<_> = state.members.iter().filter(|member| !known.contains(&member.id.0)).collect();
    let first = strange.first()?;
    let message = format!(
        "its db has {} that its log does not know, such as {:x}: etcd 3.6 lists them, and 3.7 waits for them; 3.5.26 and later 3.5 remove \
         them at a start",
        count(strange.len() as u64, "member"),
        first.id
    );
    Some(Finding::new("strangers", message))
}

/// Whether the files are of several owners: etcd runs as one of them.
fn owners(files: &MemberFiles) -> Option<Finding> {
    let folders = [files.folder.clone(), files.folder.join("snap"), files.folder.join("wal")];
    let within =
        |folder: &PathBuf| names(folder).into_iter().map(|name| folder.join(name)).collect::<Vec<_>>();
    let paths: Vec<_> = folders.iter().flat_map(within).chain([files.folder.clone()]).collect();
    let owned = paths.iter().filter_map(|path| Some((path, Facts::at(path).ok()?.owner()?)));
    let (one, first) = owned.clone().min_by_key(|(_, owner)| *owner)?;
    let (other, last) = owned.max_by_key(|(_, owner)| *owner)?;
    let message = || {
        format!(
            "{} is of user {first}, and {} of user {last}: etcd must be able to write to all",
            shown(one),
            shown(other)
        )
    };
    (first != last).then(|| Finding::new("owners-differ", message()))
}

fn names(folder: &Path) -> Vec<String> {
    let names = names_in(folder).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<_> = names.filter_map(|name| name.into_string().ok()).collect();
    names.sort_unstable();
    names
}
