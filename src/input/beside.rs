//! The log of a member, beside its db: opened and read whole.

use std::path::Path;

use crate::etcd::data_dir;
use crate::member::Log;

use super::log_files::{LogError, LogFiles};

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
            Ok(MemberLog { log, files }) => Self::Log(MemberLog { log, files: files.with_db(db) }),
            Err(error) => Self::Unreadable(error),
        }
    }
}

fn read_log(folder: &Path) -> Result<MemberLog, LogError> {
    let files = LogFiles::of_folder(folder)?;
    let log = Log::read(&files.segments())
        .map_err(|fault| LogError::Damaged { folder: folder.to_owned(), fault })?;
    Ok(MemberLog { log, files })
}
