//! A file that a user named, opened: the path resolved, the lock taken, the bytes mapped, the metas read.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::bolt::open::{Lock, Mapping, OpenError, map_file};
use crate::bolt::{Db, FormatError, probe};
use crate::content::folder::Folder;
use crate::content::{self, Content};
use crate::etcd::data_dir;
use crate::shell::Command;
use crate::text::shown;

/// An opened file.
#[derive(Debug)]
pub struct Source {
    /// The path of the db itself.
    pub path: PathBuf,
    /// The db.
    pub db: Db,
    /// Whether it was read without a lock.
    pub read_without_lock: bool,
}

/// Why a file could not be opened, and what to do next.
#[derive(Debug, Error)]
#[error("{}: {reason}", shown(path))]
pub struct SourceError {
    /// The path that was tried.
    pub path: PathBuf,
    /// Why.
    pub reason: Reason,
}

/// Why a file could not be opened.
#[derive(Debug, Error)]
pub enum Reason {
    /// It does not exist, or can't be read.
    #[error("{error}{}", io_advice(error))]
    Io {
        /// Why.
        error: std::io::Error,
    },
    /// A folder that is no data dir.
    #[error("{error}; {}", folder.words())]
    Folder {
        /// What is missing.
        error: std::io::Error,
        /// What lies in it.
        folder: Folder,
    },
    /// It could not be mapped or locked.
    #[error("{error}{}", advice(error))]
    Open {
        /// Why.
        error: OpenError,
    },
    /// It is no db.
    #[error(transparent)]
    Content(Content),
    /// It is a db that nothing can be read from in order.
    #[error("{}", damage(error, *has_pages))]
    Format {
        /// Why.
        error: FormatError,
        /// Whether pages of bbolt's lie in it.
        has_pages: bool,
    },
}

impl SourceError {
    /// The command to go on with, where there is one.
    #[must_use]
    pub fn next(&self) -> Option<Command> {
        match &self.reason {
            Reason::Folder { folder, .. } if !folder.dbs.is_empty() => {
                let status = Command::new("etcd-medic status");
                Some(folder.dbs.iter().fold(status, |command, db| command.path(db)))
            }
            Reason::Open { error: OpenError::Locked { .. } } => {
                Some(Command::new("etcdctl snapshot save snapshot.db"))
            }
            Reason::Content(content) => content.unpack(&self.path),
            Reason::Format { has_pages: true, .. } => {
                Some(Command::new("etcd-medic salvage").path(&self.path).and("-o saved.db"))
            }
            _ => None,
        }
    }
}

impl Source {
    /// Opens a db, a snapshot, or the db of a data dir.
    ///
    /// # Errors
    /// It does not exist, is held by somebody who writes, or is no bbolt file.
    pub fn open(path: &Path, lock: Lock) -> Result<Self, SourceError> {
        let (path, data) = map(path, lock)?;
        refuse_other_content(&path, data.as_ref())?;
        let db = Db::of_mapping(data.clone()).map_err(|error| {
            let has_pages = probe::page_size_of(data.as_ref()).is_some();
            SourceError { path: path.clone(), reason: Reason::Format { error, has_pages } }
        })?;
        Ok(Self { path, db, read_without_lock: lock == Lock::None })
    }
}

/// The bytes of a file, or of the db of a data dir, and its path.
///
/// # Errors
/// It does not exist, or is held by somebody who writes.
pub fn map(path: &Path, lock: Lock) -> Result<(PathBuf, Mapping), SourceError> {
    let fail = |path: &Path, reason| SourceError { path: path.to_owned(), reason };
    let path = data_dir::resolve(path).map_err(|error| {
        let folder = path.is_dir().then(|| Folder::of(path));
        let reason = match folder {
            Some(folder) => Reason::Folder { error, folder },
            None => Reason::Io { error },
        };
        fail(path, reason)
    })?;
    let data = map_file(&path, lock).map_err(|error| fail(&path, Reason::Open { error }))?;
    Ok((path, data))
}

/// Refuses what is no db, sound or damaged: every command says the same of it.
///
/// # Errors
/// What it is.
pub fn refuse_other_content(path: &Path, data: &[u8]) -> Result<(), SourceError> {
    match content::of(data) {
        Some(content) => Err(SourceError { path: path.to_owned(), reason: Reason::Content(content) }),
        None => Ok(()),
    }
}

fn io_advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            ": check the path; name a db file, a snapshot, or an etcd data dir (its member/snap/db is read)"
        }
        std::io::ErrorKind::PermissionDenied => {
            ": read it as its owner; etcd keeps its files to itself (0600)"
        }
        _ => "",
    }
}

fn advice(error: &OpenError) -> &'static str {
    match error {
        OpenError::Locked { .. } => {
            ": a running etcd keeps its db locked. `--no-lock` reads all the same, but what it reads may be changing. Stop \
             etcd, or take a snapshot of it:"
        }
        OpenError::LockUnsupported(_) => ": if nobody writes to it, read it with `--no-lock`",
        OpenError::NotAFile => ": name a db file, a snapshot, or an etcd data dir",
        OpenError::Io(error) => io_advice(error),
    }
}

fn damage(error: &FormatError, has_pages: bool) -> String {
    let what = match error {
        FormatError::NotBolt => {
            "its meta pages are gone, and with them what says where all else is".to_owned()
        }
        error => error.to_string(),
    };
    let then = if has_pages {
        "keep a copy of it. A snapshot, or another member's db, may have more than what can be saved of it:"
    } else {
        "no other page of bbolt's lies in it: look for a snapshot, or another member's db"
    };
    format!("{what}; {then}")
}
