//! The files of a member's log, opened.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::bolt::lock::Lock;
use crate::bolt::open::{Mapping, OpenError, map_file};
use crate::etcd::data_dir;
use crate::member::log::Segment;
use crate::member::message::Snapshot;
use crate::member::names::{SegmentName, parse_snap, parse_snap_db};
use crate::member::{LogFault, ReadLog, snap};
use crate::platform;
use crate::text::shown;

/// Where the log of a data dir may lie below a folder: that may be the data dir, `member`, or `wal`.
const BELOW: [&str; 3] = ["member/wal", "wal", ""];
/// Where its db is, from the folder `member` on.
const DB: &str = "snap/db";

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

/// A log's files, and what is beside them.
#[derive(Debug)]
pub struct LogFiles {
    /// The folder that they are in.
    pub folder: PathBuf,
    files: Vec<(String, Mapping)>,
    /// The db of the same member, if it is beside the log.
    pub db: Option<PathBuf>,
    /// The heads of the `.snap` files that can be read.
    pub snaps: Vec<Snapshot>,
}

impl LogFiles {
    /// Opens the log that a path names: a data dir, `member`, or the folder of the log.
    ///
    /// # Errors
    /// There is none, or it can't be opened.
    pub fn open(path: &Path, wal_dir: Option<&Path>) -> Result<Self, LogError> {
        let folder = match wal_dir {
            Some(folder) => folder.to_owned(),
            None => {
                let mut folders = BELOW.into_iter().map(|below| path.join(below));
                let found = folders.find(|folder| has_segments(folder));
                found.unwrap_or_else(|| path.join("member/wal"))
            }
        };
        let mut log = Self::of_folder(&folder)?;
        let member = match wal_dir {
            Some(_) => ["member", ""]
                .into_iter()
                .map(|below| path.join(below))
                .find(|member| member.join(DB).is_file()),
            None => Some(data_dir::above(&folder)),
        };
        if let Some(member) = member {
            log.db = Some(member.join(DB)).filter(|db| db.is_file());
            log.snaps = read_snaps(&member.join("snap"));
        }
        Ok(log)
    }

    /// Opens the log of a member by its db, or a folder that should have one: the log that is named, or the one beside it, if there
    /// is one.
    ///
    /// # Errors
    /// The one that is named can't be opened.
    pub fn beside(db: &Path, named: Option<&Path>) -> Result<Option<Self>, LogError> {
        if let Some(named) = named {
            return Self::open(named, None).map(Some);
        }
        let folder = if db.is_dir() { Some(db.to_owned()) } else { data_dir::member_folder(db) };
        Ok(folder.and_then(|folder| Self::open(&folder, None).ok()))
    }

    /// Opens all segments in a folder.
    ///
    /// # Errors
    /// There is none, or one can't be opened.
    pub fn of_folder(folder: &Path) -> Result<Self, LogError> {
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
        Ok(Self { folder: folder.to_owned(), files, db: None, snaps: Vec::new() })
    }

    /// Where the db of the same member is, or should be.
    pub fn place_of_db(&self) -> PathBuf {
        data_dir::above(&self.folder).join(DB)
    }

    /// One of its files.
    pub fn any_file(&self) -> Option<&File> {
        self.files.first().map(|(_, mapping)| mapping.file())
    }

    /// The same, with what is beside this db.
    pub fn with_db(self, db: &Path) -> Self {
        Self { db: Some(db.to_owned()), snaps: db.parent().map(read_snaps).unwrap_or_default(), ..self }
    }

    /// The segments by their names, in order.
    fn named(&self) -> Vec<SegmentName> {
        let mut names: Vec<_> = self.files.iter().filter_map(|(name, _)| SegmentName::parse(name)).collect();
        names.sort_unstable();
        names
    }

    /// The first segment that is missing between two others.
    pub fn missing_segment(&self) -> Option<u64> {
        let names = self.named();
        let follows = |(before, after): (&SegmentName, &SegmentName)| {
            let expected = before.sequence.saturating_add(1);
            (expected != after.sequence).then_some(expected)
        };
        names.iter().zip(names.iter().skip(1)).find_map(follows)
    }

    /// The first entry, by the names; 0 for none. The first segment of all begins with entry 1, and is named after 0.
    pub fn first_index(&self) -> u64 {
        self.named().first().map_or(0, |name| name.first_index.max(1))
    }

    /// How many of the newest segments it takes to have this entry, and all after it, by their names.
    pub fn num_needed(&self, index: u64) -> usize {
        let names = self.named();
        let after = names.iter().filter(|name| name.first_index > index).count();
        after.saturating_add(1).min(names.len())
    }

    /// The newest segments; and, with them, files whose names are no segment's.
    pub fn newest(&self, segments: usize) -> Vec<Segment<'_>> {
        let names = self.named();
        let first = names.get(names.len().saturating_sub(segments)).copied();
        let is_newer = |segment: &Segment<'_>| {
            first.zip(SegmentName::parse(segment.name)).is_none_or(|(first, name)| first <= name)
        };
        self.segments().into_iter().filter(is_newer).collect()
    }

    pub fn num_segments(&self) -> usize {
        self.files.len()
    }

    /// Whether the db that came with the snapshot of this entry is there.
    pub fn has_received(&self, index: u64) -> bool {
        let folder = self.db.as_ref().and_then(|db| db.parent());
        let names = folder.and_then(|folder| names_in(folder).ok()).unwrap_or_default();
        names.iter().any(|name| parse_snap_db(name) == Some(index))
    }

    pub fn segments(&self) -> Vec<Segment<'_>> {
        self.files.iter().map(|(name, data)| Segment { name, data: data.as_ref() }).collect()
    }

    /// Reads them, as far as they can be read.
    pub fn read(&self) -> ReadLog<'_> {
        ReadLog::read(&self.segments())
    }
}

fn has_segments(folder: &Path) -> bool {
    names_in(folder).is_ok_and(|names| names.iter().any(|name| SegmentName::is_taken_for_one(name)))
}

/// The heads of the `.snap` files in a folder. Those that can't be read are left out.
fn read_snaps(folder: &Path) -> Vec<Snapshot> {
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
    let names = platform::names_in(folder)?;
    names.map(|name| Ok(name?.to_string_lossy().into_owned())).collect()
}
