//! The log of a member, beside its db: opened and read whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::bolt::open::{Lock, OpenError, map_file};
use crate::etcd::data_dir;
use crate::member::log::Segment;
use crate::member::message::Snapshot;
use crate::member::names::{SegmentName, parse_snap};
use crate::member::{Log, LogFault, snap};
use crate::text::shown;

/// What is beside a db.
#[derive(Debug)]
pub enum Beside {
    /// No log: the file is a copy or a snapshot, not in a member directory.
    Nothing,
    /// The log of its member.
    Log(MemberLog),
    /// The log of its member can't be read whole.
    Unreadable(LogError),
}

/// A member's log, read whole.
#[derive(Debug)]
pub struct MemberLog {
    pub log: Log,
    /// The heads of the `.snap` files that can be read.
    pub snaps: Vec<Snapshot>,
}

/// Why a log can't be read whole.
#[derive(Debug, Error)]
pub enum LogError {
    /// It is not there.
    #[error("there is no log in {}, where etcd keeps it unless it was told another folder", shown(folder))]
    Missing {
        /// Where it should be.
        folder: PathBuf,
    },
    /// A file or folder can't be read.
    #[error("the log can't be read: {}: {error}", shown(path))]
    Io { path: PathBuf, error: OpenError },
    #[error("the log in {} can't be read to its end: {fault}", shown(folder))]
    Damaged { folder: PathBuf, fault: LogFault },
}

impl Beside {
    /// Looks beside the db at `db`; the log is in `wal_dir`, if that is named.
    pub fn of(db: &Path, wal_dir: Option<&Path>) -> Self {
        let member = data_dir::member_folder(db);
        let wal = match (wal_dir, &member) {
            (Some(wal_dir), _) => wal_dir.to_owned(),
            (None, Some(member)) => member.join("wal"),
            (None, None) => return Self::Nothing,
        };
        match read_log(&wal) {
            Ok(log) => Self::Log(MemberLog { log, snaps: read_snaps(db.parent()) }),
            Err(error) => Self::Unreadable(error),
        }
    }
}

fn read_log(folder: &Path) -> Result<Log, LogError> {
    let names = names_in(folder).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => LogError::Missing { folder: folder.to_owned() },
        _ => LogError::Io { path: folder.to_owned(), error: error.into() },
    })?;
    let mut files = Vec::new();
    for name in names.into_iter().filter(|name| SegmentName::is_taken_for_one(name)) {
        let path = folder.join(&name);
        let data = map_file(&path, Lock::None).map_err(|error| LogError::Io { path, error })?;
        files.push((name, data));
    }
    if files.is_empty() {
        return Err(LogError::Missing { folder: folder.to_owned() });
    }
    let segments: Vec<_> = files.iter().map(|(name, data)| Segment { name, data: data.as_ref() }).collect();
    Log::read(&segments).map_err(|fault| LogError::Damaged { folder: folder.to_owned(), fault })
}

/// The heads of the `.snap` files beside the db. Those that can't be read are left out.
fn read_snaps(folder: Option<&Path>) -> Vec<Snapshot> {
    let Some(folder) = folder else { return Vec::new() };
    let names = names_in(folder).unwrap_or_default();
    let read = |name: &String| {
        let (term, index) = parse_snap(name)?;
        let file = map_file(&folder.join(name), Lock::None).ok()?;
        let snapshot = snap::parse(file.as_ref()).ok()?;
        ((snapshot.term, snapshot.index) == (term, index)).then_some(snapshot)
    };
    names.iter().filter_map(read).collect()
}

/// The names in a folder that are text; a segment's is.
fn names_in(folder: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(folder)?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.collect()
}
