//! What came out of a packed file: the db, the log of its member, or why there is none.

use std::fs::File;

use crate::content::packing::ArchiveFormat;
use crate::input::packed::{Packed, UnpackedLog};

use super::error::{SHOWN, UnpackError};
use super::member::log_of;

/// The first names of a list that may be long.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    pub(super) first: Vec<String>,
    pub(super) count: u64,
}

impl Names {
    pub(super) fn push(&mut self, name: &str) {
        self.count = self.count.saturating_add(1);
        if self.first.len() < SHOWN {
            self.first.push(name.to_owned());
        }
    }
}

/// What came out of a packed file.
pub struct Unpacked {
    pub(super) format: ArchiveFormat,
    /// The likeliest db, in a file without a name: it is gone when it is closed.
    pub(super) db: Option<(File, Packed)>,
    /// The folder of the log of that db's member, if it is at a member's place.
    pub(super) wal: Option<String>,
    /// The file that was asked for.
    pub(super) member: Option<String>,
    pub(super) dbs: Names,
    pub(super) files: Names,
    /// Dbs at a member's place.
    pub(super) num_members: usize,
    pub(super) logs: Vec<UnpackedLog>,
    /// Why the first file that could not be read could not.
    pub(super) unread: Option<UnpackError>,
}

/// A db, what it came out of, and the log of its member: `None` for a db by itself.
pub type UnpackedDb = (File, Packed, Option<UnpackedLog>);

impl Unpacked {
    /// The db.
    ///
    /// # Errors
    /// There is none, or several are; not the one that was asked for.
    pub fn into_db(self) -> Result<UnpackedDb, UnpackError> {
        let Self { format, db, wal, member, dbs, files, logs, unread, .. } = self;
        if let Some(error) = unread.filter(|_| db.is_none()) {
            return Err(error);
        }
        let Names { first: names, count } = dbs;
        match (db, member) {
            (Some((file, from)), named) if named.is_some() || count <= 1 => {
                let log = logs.into_iter().find(|log| Some(&log.folder) == wal.as_ref());
                Ok((file, from, log))
            }
            (Some(_), _) => Err(UnpackError::Several { format, names, count }),
            (None, Some(member)) => Err(UnpackError::NoSuchMember { format, member, names, count }),
            (None, None) => Err(UnpackError::NoDb { format, names: files.first, count: files.count }),
        }
    }

    /// The log, and the db of its member, if that came out, too.
    ///
    /// # Errors
    /// There is none, or several are; not the one that was asked for.
    pub fn into_log(self) -> Result<(UnpackedLog, Option<(File, Packed)>), UnpackError> {
        let Self { format, db, wal, member, dbs, files, num_members, logs, unread } = self;
        let mut logs: Vec<_> = logs.into_iter().filter(UnpackedLog::has_segments).collect();
        if let Some(member) = &member {
            logs.retain(|log| log.folder == log_of(member));
        } else if num_members > 1 {
            return Err(UnpackError::Several { format, names: dbs.first, count: dbs.count });
        }
        // others are copies that somebody keeps beside it
        let is_usual = |log: &UnpackedLog| log.folder.rsplit('/').next() == Some("wal");
        if logs.iter().any(is_usual) {
            logs.retain(is_usual);
        }
        let count = logs.len() as u64;
        let mut found = logs.into_iter();
        match (found.next(), member) {
            (Some(log), _) if count == 1 => {
                let is_its = wal.as_ref() == Some(&log.folder);
                Ok((log, db.filter(|_| is_its)))
            }
            (Some(first), _) => {
                let names = [first].into_iter().chain(found).map(|log| log.folder).take(SHOWN).collect();
                Err(UnpackError::SeveralLogs { format, names, count })
            }
            (None, Some(member)) => {
                Err(UnpackError::NoLogBeside { format, member, names: dbs.first, count: dbs.count })
            }
            (None, None) => {
                Err(unread.unwrap_or(UnpackError::NoLog { format, names: files.first, count: files.count }))
            }
        }
    }
}
