//! What else is to be known of a directory: what lies in it that no start needs, whose it is, whom it names.

use std::path::{Path, PathBuf};

use crate::etcd::schema::{Member, State};
use crate::member::ReadLog;
use crate::member::names::snap_db_name;
use crate::platform::{Facts, FolderHandle, names_in};
use crate::shell::ShellCommand;
use crate::text::shown;
use crate::units::{bytes, count};

use super::case::MemberCase;
use super::files::{DbState, MemberFiles};
use super::finding::{Finding, exchange, log_option, restore_kept};

/// Room that a start needs at once: a segment of the log, and the next one.
const ROOM: u64 = 2 * 64_000_000;

/// What is found.
pub fn of(case: &MemberCase<'_>) -> Vec<Finding> {
    let files = case.files;
    let paths = paths(files);
    let of_files = owners(files, &paths).into_iter().chain(locked_out(&paths)).chain(full_disk(files));
    members(files, case.log).into_iter().chain(of_files).chain(left_behind(files)).collect()
}

/// A disk without room for a start.
fn full_disk(files: &MemberFiles) -> Option<Finding> {
    let room =
        FolderHandle::open(&files.wal()).or_else(|_| FolderHandle::open(&files.folder)).ok()?.room()?;
    let free = bytes(room.available);
    let message = || {
        format!(
            "the disk has {free} left: etcd makes its log in segments of 64 MB, two at a time, and ends where there is no room"
        )
    };
    (room.available < ROOM).then(|| Finding { is_problem: true, ..Finding::new("disk-full", message()) })
}

/// What lies in the directory that etcd never looks at again, or only once more.
fn left_behind(files: &MemberFiles) -> Vec<Finding> {
    let received = files.received.keys().map(|index| {
        let message =
            format!("snap/{} is a db that the leader sent, as of entry {index}", snap_db_name(*index));
        Finding::new("leftover", message)
    });
    let first = |folder: &Path, is_one: &dyn Fn(&str) -> bool, what: &str| {
        let name = names(folder).into_iter().find(|name| is_one(name))?;
        Some(Finding::new("leftover", format!("{} is left of {what}", shown(&folder.join(name)))))
    };
    let snap = files.folder.join("snap");
    let of_defrag = first(&snap, &|name| name.starts_with("db.tmp."), "a defragmentation that was ended");
    let of_snap = first(&snap, &|name| name.ends_with(".snap.broken"), "a snapshot that etcd could not read");
    let of_repair = first(
        &files.wal(),
        &|name| name.ends_with(".broken"),
        "a copy that etcd made before it cut its log, and may hold what it cut off",
    );
    let look = log_option(files, ShellCommand::new("etcd-medic log --broken").path(&files.named)).to_string();
    let of_repair = of_repair.map(|found| Finding { commands: vec![look], ..found });
    received.chain(of_defrag).chain(of_snap).chain(of_repair).collect()
}

/// Members of the db that its log and its snapshots do not know, or know otherwise.
fn members(files: &MemberFiles, log: Option<&ReadLog<'_>>) -> Vec<Finding> {
    let DbState::Sound(db) = &files.db else { return Vec::new() };
    let state = State::read(db);
    let config =
        log.zip(state.consistent_index).and_then(|(log, index)| log.log.config_at(index, &files.heads()));
    let Some(config) = config else { return Vec::new() };
    let known = config.members();
    let (rows, strange): (Vec<_>, Vec<_>) = state.members.iter().partition(|row| known.contains(&row.id.0));
    let of_strange = strange.first().map(|first| {
        let message = format!(
            "its db has {} that its log does not know, such as {:x}: etcd 3.6 lists them, and 3.7 waits for them; 3.5.26 and later 3.5 \
             remove them at a start",
            count(strange.len() as u64, "member"),
            first.id
        );
        Finding::new("strangers", message)
    });
    let is_promoted = |row: &&&Member| row.is_learner && config.voters().contains(&row.id.0);
    let of_promoted = rows.iter().find(is_promoted).map(|row| {
        let message = format!(
            "its db takes member {:x} for a learner, and its log says that it votes: etcd 3.6 and later go by the db",
            row.id
        );
        let restore = restore_kept(files).to_string();
        let commands = [vec![restore], exchange(files)].concat();
        Finding { commands, ..Finding::new("learner-promoted", message) }
    });
    of_strange.into_iter().chain(of_promoted).collect()
}

/// The folder `member`, and all that a start needs in it.
fn paths(files: &MemberFiles) -> Vec<PathBuf> {
    let folders = [files.folder.clone(), files.folder.join("snap"), files.wal()];
    let within =
        |folder: &PathBuf| names(folder).into_iter().map(|name| folder.join(name)).collect::<Vec<_>>();
    folders.iter().flat_map(within).chain([files.folder.clone()]).collect()
}

/// Whether the files are of several owners: etcd runs as one of them.
fn owners(files: &MemberFiles, paths: &[PathBuf]) -> Option<Finding> {
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
    let command = ShellCommand::new("chown -R --reference").path(&files.named).path(&files.folder);
    let command = files.wal_dir.iter().fold(command, |command, wal_dir| command.path(wal_dir)).to_string();
    (first != last).then(|| Finding { commands: vec![command], ..Finding::new("owners-differ", message()) })
}

/// Files that their owner may not read and write, as etcd must; root may.
fn locked_out(paths: &[PathBuf]) -> Option<Finding> {
    let lacks = |path: &&PathBuf| {
        Facts::at(path).is_ok_and(|facts| facts.owner() != Some(0) && facts.owner_may_change() == Some(false))
    };
    let locked: Vec<_> = paths.iter().filter(lacks).collect();
    let first = locked.first()?;
    let message = match locked.len() {
        1 => format!("the owner of {} may not read and write it, as etcd must", shown(first)),
        number => format!(
            "their owner may not read and write {}, as etcd must: such as {}",
            count(number as u64, "file"),
            shown(first)
        ),
    };
    let command = locked.iter().fold(ShellCommand::new("chmod u+rwX"), |command, path| command.path(path));
    Some(Finding {
        is_problem: true,
        commands: vec![command.to_string()],
        ..Finding::new("permissions", message)
    })
}

fn names(folder: &Path) -> Vec<String> {
    let names = names_in(folder).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<_> = names.filter_map(|name| name.into_string().ok()).collect();
    names.sort_unstable();
    names
}
