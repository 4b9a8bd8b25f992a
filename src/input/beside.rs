//! The log of a member, beside its db: opened and read whole.

use std::path::Path;

use crate::etcd::data_dir;
use crate::member::Log;

use super::UnpackOptions;
use super::log_error::LogError;
use super::log_files::LogFiles;
use super::packed::UnpackedLog;

/// Where a db is.
#[derive(Clone, Copy, Debug)]
pub struct DbPlace<'a> {
    /// Its path, or that of the archive that it came out of.
    pub path: &'a Path,
    /// The log that came out of the same archive, if the db was at a member's place there.
    pub unpacked: Option<&'a UnpackedLog>,
    /// Limits for what is unpacked beside it.
    pub limits: Option<&'a UnpackOptions>,
}

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
    /// Its files, and what is beside them.
    pub files: LogFiles,
}

impl<'a> DbPlace<'a> {
    /// Of a file that is not packed.
    pub fn at(path: &'a Path) -> Self {
        Self { path, unpacked: None, limits: None }
    }

    /// The log of the db's member, or the one in `wal_dir`, if that is named; `None` for a db by itself.
    pub fn log_files(self, wal_dir: Option<&Path>) -> Option<Result<LogFiles, LogError>> {
        let Self { path, unpacked, limits } = self;
        let found = match (wal_dir, unpacked) {
            (Some(wal_dir), _) => LogFiles::of_path(wal_dir, limits.unwrap_or(&UnpackOptions::default())),
            (None, Some(log)) => LogFiles::of_unpacked(path, log),
            (None, None) => LogFiles::of_folder(&data_dir::member_folder(path)?.join("wal")),
        };
        Some(found.map(|files| match unpacked {
            Some(log) => files.with_heads_of(log),
            None => files.with_db(path),
        }))
    }
}

impl Beside {
    /// Looks beside a db; the log is in the folder `wal_dir`, if that is named. What is packed is a copy: etcd goes on with another.
    pub fn of(db: DbPlace<'_>, wal_dir: Option<&Path>) -> Self {
        let found = match wal_dir {
            Some(folder) => Some(LogFiles::of_folder(folder).map(|files| files.with_db(db.path))),
            None => db.log_files(None),
        };
        let read = |files: LogFiles| match Log::read(&files.segments()) {
            Ok(log) => Ok(MemberLog { log, files }),
            Err(fault) => Err(LogError::Damaged { folder: files.folder, fault }),
        };
        match found.map(|found| found.and_then(read)) {
            None => Self::Nothing,
            Some(Ok(log)) => Self::Log(log),
            Some(Err(error)) => Self::Unreadable(error),
        }
    }
}
