//! What needs an answer, and the way out that loses nothing, or the least.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::etcd::apply::{Rules, Version};
use crate::etcd::data_dir::DB_NAME;
use crate::member::names::snap_db_name;
use crate::replay::base::Base;
use crate::restore::error::RestoreError;
use crate::restore::kept;
use crate::restore::plan::MemberPlan;
use crate::shell::ShellCommand;

use super::case::MemberCase;
use super::files::{DbState, MemberFiles};
use super::trouble::Trouble;
use super::truth::Truth;

/// What needs an answer.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Finding {
    /// What it is: the trouble of a start, `strangers`, `learner-promoted`, `disk-full`, `owners-differ`,
    /// `permissions`, or `leftover`.
    pub kind: String,
    /// In plain words.
    pub message: String,
    /// Whether etcd does not start, or accepts no writes, before it is answered.
    pub is_problem: bool,
    /// What the way out loses; `null` for nothing.
    pub loses: Option<String>,
    /// The way out, as commands to paste, in this order, with etcd stopped.
    pub commands: Vec<String>,
    /// What never to do, and why.
    pub never: Vec<String>,
}

impl Finding {
    pub(super) fn new(kind: &str, message: String) -> Self {
        Self { kind: kind.to_owned(), message, ..Self::default() }
    }
}

/// What to do where a start does not end well.
pub fn of_start(
    case: &MemberCase<'_>,
    version: Version,
    (trouble, why): (Trouble, &str),
    truth: Option<&Truth>,
) -> Option<Finding> {
    let kind = serde_json::to_value(trouble).ok()?.as_str()?.to_owned();
    let message = why.to_owned();
    let WayOut { commands, loses } = WayOut::of(case, version, trouble, truth);
    Some(Finding { kind, message, is_problem: true, loses, commands, never: never(trouble) })
}

/// Commands, and what they lose.
#[derive(Default)]
struct WayOut {
    commands: Vec<String>,
    loses: Option<String>,
}

impl WayOut {
    fn of(case: &MemberCase<'_>, version: Version, trouble: Trouble, truth: Option<&Truth>) -> Self {
        let files = case.files;
        match trouble {
            Trouble::NewerVersion | Trouble::UnknownEntry => Self::default(),
            Trouble::Alarm => {
                Self { commands: vec![command("analyze", &files.named).to_string()], loses: None }
            }
            Trouble::ReceivedDbWaits => Self::put_in_place(case),
            // a start by this version would decide requests of the log otherwise
            _ => match truth
                .filter(|truth| Rules::of(truth.writer).nested_cost != Rules::of(version).nested_cost)
            {
                Some(truth) => Self::replayed(files, version, truth),
                None => Self::kept(case, version),
            },
        }
    }

    /// The db that the leader sent takes the place of the own one, as later patches do it; which stays.
    fn put_in_place(case: &MemberCase<'_>) -> Self {
        let (files, snap) = (case.files, case.files.folder.join("snap"));
        // that of the newest snapshot which is known to be committed, as etcd takes it
        let is_snapshot = |index: u64| {
            let log = case.log.map(|log| &log.log);
            log.is_some_and(|log| {
                index <= log.state.commit && log.snapshots.iter().any(|record| record.index == index)
            })
        };
        let index = files.received.keys().rev().find(|index| is_snapshot(**index));
        let Some(index) = index else { return Self::default() };
        let (own, received) = (snap.join(DB_NAME), snap.join(snap_db_name(*index)));
        let away = ShellCommand::new("mv").path(&own).path(&with_ending(&files.named, ".old-db"));
        let place = ShellCommand::new("mv").path(&received).path(&own);
        let away = Some(away.to_string()).filter(|_| !matches!(files.db, DbState::Missing));
        Self { commands: away.into_iter().chain([place.to_string()]).collect(), loses: None }
    }

    /// A directory of the same member, with a log that begins at its db.
    fn kept(case: &MemberCase<'_>, version: Version) -> Self {
        let files = case.files;
        let (received, plan) = planned(case, version);
        let restore = |cut: Option<u64>| {
            let restore = match received {
                None => restore_kept(files),
                Some(index) => kept_of(files, &files.folder.join("snap").join(snap_db_name(index))),
            };
            let restore = restore.and(&format!("--for {version}"));
            match cut {
                Some(last) => restore.and(&format!("--cut-log {last}")).to_string(),
                None => restore.to_string(),
            }
        };
        let (cut, loses) = match plan {
            Some(Err(RestoreError::Gap { last, first, end })) => {
                let (from, before) = (last.saturating_add(1), first.saturating_sub(1));
                let unread = if from == before { from.to_string() } else { format!("{from} to {before}") };
                let lost = format!(
                    "entries {from} to {end}, as {unread} can't be read: if another member has them, take that one"
                );
                (Some(last), Some(lost))
            }
            // whose it is can't be told from what is left
            Some(Err(RestoreError::WhoIsIt { .. } | RestoreError::NoIndex)) => return Self::anew(files),
            None => {
                let salvage =
                    command("salvage", &files.named).and("-o").path(Path::new("saved.db")).and("--dry-run");
                (None, Some(format!("what `{salvage}` lists, if it lists anything")))
            }
            Some(Ok(plan)) if plan.ends_damaged => {
                let last = plan.last_index;
                (
                    None,
                    Some(format!(
                        "what is damaged after entry {last}, if it was an entry: another member has it"
                    )),
                )
            }
            Some(_) => (None, None),
        };
        Self { commands: [vec![restore(cut)], exchange(files)].concat(), loses }
    }

    /// A member of a new cluster.
    fn anew(files: &MemberFiles) -> Self {
        let restore =
            command("restore", &files.named).and("--data-dir").path(&new_of(&files.named)).to_string();
        let loses =
            "the member's identity: it begins a new cluster, and other members must be added to it anew"
                .to_owned();
        Self { commands: [vec![restore], exchange(files)].concat(), loses: Some(loses) }
    }

    /// The log is applied by the rules of the etcd that wrote it, before another one starts.
    fn replayed(files: &MemberFiles, version: Version, truth: &Truth) -> Self {
        let rolled = with_ending(&files.named, ".rolled-forward.db");
        let replay = command("replay", &files.named).and("--log").path(log_of(files));
        let replay = replay.and(&format!("--etcd {} -o", truth.writer)).path(&rolled).to_string();
        let restore = kept_of(files, &rolled).and(&format!("--for {version}"));
        Self { commands: [vec![replay, restore.to_string()], exchange(files)].concat(), loses: None }
    }
}

/// What a restore of the same member would be made of; `None` where its db must be saved first.
type KeptPlan<'f> = Option<Result<MemberPlan<'f>, RestoreError>>;

/// By its own db; where entries are missing after that, by the newest db that the leader sent after which none is. Its index is said.
fn planned<'f>(case: &MemberCase<'f>, version: Version) -> (Option<u64>, KeptPlan<'f>) {
    let by = |db: &'f DbState| -> KeptPlan<'f> {
        let DbState::Sound(db) = db else { return None };
        let base = Base::whole(db, &|_| {}).ok()?;
        Some(kept::plan(&base, case.files.log.as_ref(), case.log, None, version.minor))
    };
    let own = by(&case.files.db);
    if matches!(own, Some(Ok(_))) {
        return (None, own);
    }
    let received = case.files.received.iter().rev().map(|(index, db)| (Some(*index), by(db)));
    received.into_iter().find(|(_, plan)| matches!(plan, Some(Ok(_)))).unwrap_or((None, own))
}

fn command(name: &str, path: &Path) -> ShellCommand {
    ShellCommand::new(&format!("etcd-medic {name}")).path(path)
}

/// The same member in a new directory.
pub(super) fn restore_kept(files: &MemberFiles) -> ShellCommand {
    let restore = command("restore", &files.named).and("--keep-identity");
    log_option(files, restore).and("--data-dir").path(&new_of(&files.named))
}

/// The same member in a new directory, with another db.
fn kept_of(files: &MemberFiles, db: &Path) -> ShellCommand {
    let restore = command("restore", db).and("--keep-identity --log").path(&files.named);
    log_option(files, restore).and("--data-dir").path(&new_of(&files.named))
}

/// With the folder of the log, where it is not in the data dir.
pub(super) fn log_option(files: &MemberFiles, command: ShellCommand) -> ShellCommand {
    match &files.wal_dir {
        Some(wal_dir) => command.and("--wal-dir").path(wal_dir),
        None => command,
    }
}

/// Where a command looks for the log.
pub(super) fn log_of(files: &MemberFiles) -> &Path {
    files.wal_dir.as_ref().unwrap_or(&files.named)
}

/// The new directory takes the place of the old one, which stays; likewise the folder of the log.
pub(super) fn exchange(files: &MemberFiles) -> Vec<String> {
    let named = &files.named;
    let owner = ShellCommand::new("chown -R --reference").path(named).path(&new_of(named)).to_string();
    let moved = |from: &Path, to: &Path| ShellCommand::new("mv").path(from).path(to).to_string();
    let mut commands = vec![owner, moved(named, &with_ending(named, ".old")), moved(&new_of(named), named)];
    if let Some(wal_dir) = &files.wal_dir {
        commands.extend(wal_dir.is_dir().then(|| moved(wal_dir, &with_ending(wal_dir, ".old"))));
        commands.push(moved(&named.join("member").join("wal"), wal_dir));
    }
    commands
}

fn new_of(named: &Path) -> PathBuf {
    with_ending(named, ".new")
}

/// A path beside this one.
pub(super) fn with_ending(named: &Path, ending: &str) -> PathBuf {
    let mut path = OsString::from(named.components().as_path());
    path.push(ending);
    path.into()
}

/// What others do in this case, and what becomes of it (tried on etcd 3.4 to 3.8).
fn never(trouble: Trouble) -> Vec<String> {
    let raise =
        "raise the db's consistent index: etcd starts then, and has silently lost all writes in between";
    let delete = "delete the log: it has what the db lacks, and a member of a cluster that comes back without it is refused";
    let force = "start with --force-new-cluster before that: it drops entries that were not known to be committed, and older patches \
                 leave the removed members in the db";
    let words = match trouble {
        Trouble::DbBehindSnapshot | Trouble::DbMissing => vec![raise, delete],
        Trouble::LogDamaged | Trouble::SegmentMissing | Trouble::SegmentsOfTwo | Trouble::CommitBeyondEnd => {
            vec![delete, force]
        }
        Trouble::DbAhead | Trouble::EmptyLog | Trouble::NoSnapshotRecord => vec![delete],
        Trouble::DbDamaged => vec![delete, force],
        Trouble::CutsLog => vec![
            delete,
            "start this etcd on it first: it cuts off what it can't read, with all that comes after",
        ],
        Trouble::JudgedOtherwise => {
            vec!["start this etcd on it first: what it decides otherwise is lost, without a message"]
        }
        _ => Vec::new(),
    };
    words.into_iter().map(str::to_owned).collect()
}
