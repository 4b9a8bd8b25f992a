//! Why a log can't be read, and what to do next.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::bolt::open::OpenError;
use crate::member::LogFault;
use crate::shell::ShellCommand;
use crate::text::{escape, shown};

#[cfg(feature = "packed")]
use super::named::Named;
#[cfg(feature = "packed")]
use super::unpack::error::UnpackError;

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
    /// A segment in an archive, or an archive that it is in, can't be read.
    #[error("the log in {} can't be read: its file {}: {reason}", shown(folder), escape(file.as_bytes()))]
    InArchive { folder: PathBuf, file: String, reason: String },
    /// No log comes out of an archive.
    #[cfg(feature = "packed")]
    #[error("{}: no folder, but {error}", shown(&named.path))]
    Unpack { named: Box<Named>, error: UnpackError },
    /// A db of an archive was named, and there is no archive.
    #[error("{}: no archive, so there is no file {} in it", shown(path), shown(Path::new(member)))]
    NoArchive { path: PathBuf, member: String },
    /// A file by itself.
    #[error("{}: no folder, and no archive of one: a log is in a folder of its own", shown(.0))]
    File(PathBuf),
}

impl LogError {
    /// Where the log is, or should be.
    pub fn path(&self) -> &Path {
        match self {
            Self::Missing { folder } | Self::Damaged { folder, .. } | Self::InArchive { folder, .. } => {
                folder
            }
            Self::Io { path, .. } | Self::NoArchive { path, .. } | Self::File(path) => path,
            #[cfg(feature = "packed")]
            Self::Unpack { named, .. } => &named.path,
        }
    }

    /// The command to go on with, where there is one.
    pub fn next(&self) -> Option<ShellCommand> {
        match self {
            #[cfg(feature = "packed")]
            Self::Unpack { named, error } => match error {
                UnpackError::Several { names, .. }
                | UnpackError::SeveralLogs { names, .. }
                | UnpackError::NoLogBeside { names, .. } => {
                    Some(named.with_member(names.first()?).ours("etcd-medic log --summary"))
                }
                error => error.next(named),
            },
            _ => None,
        }
    }
}
