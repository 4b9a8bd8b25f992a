//! How etcd starts from the copy: commands that can be pasted, for each version of etcd.
//!
//! `snapshot restore` is part of `etcdctl` in 3.4 and of `etcdutl` from 3.5 on. `etcdutl` has `--bump-revision` from 3.5.10 on (etcd's
//! changelog), and an older etcd starts from what it restored (`tests/interop/salvage/road.rs`).

use std::path::Path;

use serde::Serialize;

use crate::owner::Owner;
use crate::shell::ShellCommand;

use super::finds::Finds;
use super::kinds::Small;
use super::lost::Lost;
use super::request::SalvageRequest;

/// More revisions than can have been given out after the last one that was saved.
const BUMP: i64 = 1_000_000_000;

/// Where the db lies in a data dir.
const DB: &str = "member/snap/db";

/// How etcd starts from the copy.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Restore {
    /// Whether the copy may take the db's place: nothing is missing.
    pub in_place: bool,
    /// The first of `commands`; empty for a file that isn't etcd's.
    pub command: String,
    /// Why so; for people.
    pub reason: String,
    /// One of them is to be run by `sh`. `NEW_DATA_DIR` and `DATA_DIR` are to be replaced, as `notes` say.
    pub commands: Vec<VersionCommand>,
    /// Commands to run once etcd runs: an alarm that is raised in the copy has to be disarmed.
    pub after_start: Vec<String>,
    /// What else has to be known.
    pub notes: Vec<String>,
}

/// A command, and the etcd that starts from what it does.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VersionCommand {
    /// The versions of etcd that start from it.
    pub etcd: &'static str,
    /// The command, for `sh`.
    pub command: String,
}

/// The file that was damaged.
#[derive(Clone, Copy, Debug)]
pub struct Source<'s> {
    pub path: &'s Path,
    /// Whether there is no such file.
    pub is_gone: bool,
}

/// A copy goes into the data dir only if it has all that the file held: etcd applies the later entries of the raft log to it.
pub fn restore(
    finds: &Finds<'_>,
    lost: &[Lost],
    whole: bool,
    source: Source<'_>,
    request: &SalvageRequest,
) -> Restore {
    if !finds.is_etcd {
        let program = Owner::Other.program();
        let reason = if whole {
            format!(
                "nothing is missing: with {program} stopped, keep its file under another name, and put the copy in its place"
            )
        } else {
            format!(
                "with {program} stopped, keep the damaged file, and put the copy in its place: only that program can tell \
                 whether what was saved is enough"
            )
        };
        return Restore {
            in_place: false,
            command: String::new(),
            reason,
            commands: Vec::new(),
            after_start: Vec::new(),
            notes: Vec::new(),
        };
    }
    let in_place = whole && finds.consistent_index.is_some();
    let newest_lost = lost.iter().any(|range| range.last_revision.is_none());
    let mut commands = Vec::new();
    let mut notes = Vec::new();
    if in_place && !request.snapshot {
        commands
            .push(VersionCommand { etcd: "any version, stopped", command: swap(source, &request.target) });
    }
    commands.extend(restores(newest_lost, request));
    if in_place && !request.snapshot && data_dir_of(source.path).is_none() {
        notes.push("DATA_DIR: the data dir that the damaged file came from".to_owned());
    }
    notes.push(
        "NEW_DATA_DIR: a directory that does not exist yet. A restore that fails leaves it there, and etcd starts from it with less than \
         it should have: remove it before the next try"
            .to_owned(),
    );
    notes.push(
        "a cluster of several members: restore each from this one file, with --name, --initial-cluster and \
         --initial-advertise-peer-urls as it had them (docs/recovery.md, \"One member, or all\")"
            .to_owned(),
    );
    let command = commands.first().map(|first| first.command.clone()).unwrap_or_default();
    let reason = reason(finds, whole).to_owned();
    Restore { in_place, command, reason, commands, after_start: after_start(finds), notes }
}

fn reason(finds: &Finds<'_>, whole: bool) -> &'static str {
    match (finds.consistent_index, whole) {
        (None, _) => {
            "the raft log up to which it was applied is not known (bucket meta is lost): restore every member from this one file"
        }
        (Some(_), true) => {
            "nothing is missing: with etcd stopped, it may take the place of member/snap/db, or be restored"
        }
        (Some(_), false) => {
            "records are missing or come from elsewhere, so the raft log must not be applied on top of it: restore every member \
             from this one file"
        }
    }
}

/// An alarm that is raised in the copy keeps etcd from taking writes (`server/etcdserver/apply/apply.go`, `applierV3Capped`).
fn after_start(finds: &Finds<'_>) -> Vec<String> {
    let mut alarms = finds.buckets.iter().filter(|bucket| bucket.is_of(Small::Alarm));
    let is_raised = alarms.any(|bucket| !bucket.entries.is_empty());
    is_raised.then(|| "etcdctl alarm disarm".to_owned()).into_iter().collect()
}

/// The damaged db goes out of `snap`, and the copy takes its place.
fn swap(source: Source<'_>, target: &Path) -> String {
    let folder = data_dir_of(source.path).unwrap_or(Path::new("DATA_DIR"));
    let db = folder.join(DB);
    if source.is_gone {
        return ShellCommand::new("mv").path(target).path(&db).to_string();
    }
    let kept = folder.join("member/db.damaged");
    ShellCommand::new("mv").path(&db).path(&kept).and("&& mv").path(target).path(&db).to_string()
}

/// The data dir that a db lies in, if it does.
fn data_dir_of(source: &Path) -> Option<&Path> {
    source.ends_with(DB).then(|| source.ancestors().nth(3)).flatten()
}

fn restores(newest_lost: bool, request: &SalvageRequest) -> Vec<VersionCommand> {
    // the check is skipped only where there is nothing to check
    let skip = if request.snapshot { "" } else { "--skip-hash-check" };
    let bump = if newest_lost { format!("--bump-revision {BUMP} --mark-compacted") } else { String::new() };
    let with = |tool: &str| {
        let restore =
            ShellCommand::new(tool).and("snapshot restore").path(&request.target).and(skip).and(&bump);
        restore.and("--data-dir NEW_DATA_DIR").to_string()
    };
    let command = |etcd, tool| VersionCommand { etcd, command: with(tool) };
    if newest_lost {
        vec![
            command("3.5.10 and later", "etcdutl"),
            command(
                "3.4, and 3.5 before 3.5.10, with the etcdutl of 3.5.10 or later for this one command",
                "etcdutl",
            ),
        ]
    } else {
        vec![command("3.5 and later", "etcdutl"), command("3.4", "etcdctl")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data dir is named where it is known, whatever its name.
    #[test]
    fn the_copy_goes_where_the_db_was() {
        let swap = |source: &str| {
            let source = Source { path: Path::new(source), is_gone: false };
            swap(source, Path::new("saved.db"))
        };
        let known = "mv '/a b/member/snap/db' '/a b/member/db.damaged' && mv saved.db '/a b/member/snap/db'";
        assert_eq!(swap("/a b/member/snap/db"), known);
        assert_eq!(
            swap("member/snap/db"),
            "mv member/snap/db member/db.damaged && mv saved.db member/snap/db"
        );
        let unknown =
            "mv DATA_DIR/member/snap/db DATA_DIR/member/db.damaged && mv saved.db DATA_DIR/member/snap/db";
        assert_eq!(swap("copy-of-db"), unknown);
        assert_eq!(swap("othermember/snap/db"), unknown);
        let gone = Source { path: Path::new("d/member/snap/db"), is_gone: true };
        assert_eq!(super::swap(gone, Path::new("saved.db")), "mv saved.db d/member/snap/db");
    }
}
