//! A file that a user named, opened: the path resolved, the lock taken, the bytes mapped, the metas read.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::bolt::open::{Lock, OpenError, map_file};
use crate::bolt::{Db, FormatError};
use crate::etcd::data_dir;

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
#[error("{}: {reason}", path.display())]
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
    /// It could not be mapped or locked.
    #[error("{error}{}", advice(error))]
    Open {
        /// Why.
        error: OpenError,
    },
    /// It is no bbolt file that can be read.
    #[error("{error}{}", format_advice(error))]
    Format {
        /// Why.
        error: FormatError,
    },
}

impl Source {
    /// Opens a db, a snapshot, or the db of a data dir.
    ///
    /// # Errors
    /// It does not exist, is held by somebody who writes, or is no bbolt file.
    pub fn open(path: &Path, lock: Lock) -> Result<Self, SourceError> {
        let fail = |path: &Path, reason| SourceError { path: path.to_owned(), reason };
        let path = data_dir::resolve(path).map_err(|error| fail(path, Reason::Io { error }))?;
        let data = map_file(&path, lock).map_err(|error| fail(&path, Reason::Open { error }))?;
        let db = Db::of_mapping(data).map_err(|error| fail(&path, Reason::Format { error }))?;
        Ok(Self { path, db, read_without_lock: lock == Lock::None })
    }
}

fn io_advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        // a folder without a db says what to name by itself
        std::io::ErrorKind::NotFound if error.raw_os_error().is_some() => {
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
            ": a running etcd keeps its db locked. Take a snapshot (`etcdctl snapshot save FILE`) or stop etcd; \
             `--no-lock` reads all the same, but what it reads may be changing"
        }
        OpenError::LockUnsupported(_) => ": if nobody writes to it, read it with `--no-lock`",
        OpenError::NotAFile => ": name a db file, a snapshot, or an etcd data dir",
        OpenError::Io(error) => io_advice(error),
    }
}

fn format_advice(error: &FormatError) -> &'static str {
    match error {
        FormatError::Empty => ": nothing can be read from it; look for a snapshot, or another member's db",
        FormatError::NotBolt => {
            ": name etcd's db (member/snap/db in its data dir) or a snapshot; of one whose first pages are lost, \
             `etcd-medic salvage FILE -o DST` looks for the rest"
        }
        FormatError::NoValidMeta(..) => {
            ": keep a copy of it. `etcd-medic salvage FILE -o DST` finds the trees without them; a snapshot, or another \
             member's db, may have more"
        }
        FormatError::ByteSwapped => "",
    }
}
