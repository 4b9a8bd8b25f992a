//! Why a file can't be opened, and what to do next.

#![warn(missing_docs)]

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::bolt::FormatError;
use crate::bolt::open::OpenError;
use crate::content::FileContent;
use crate::content::folder::FolderContent;
use crate::owner::Owner;
use crate::shell::ShellCommand;
use crate::text::shown;

use super::named::Named;
use super::received::Received;
#[cfg(feature = "packed")]
use super::unpack::error::UnpackError;

/// Why a file could not be opened, and what to do next.
#[derive(Debug, Error)]
#[error("{}: {}", shown(path), self.words())]
pub struct SourceError {
    /// The path that was tried.
    pub path: PathBuf,
    /// Why.
    pub reason: Reason,
    /// The program that the file belongs to.
    pub owner: Owner,
    /// A received db that could take its place.
    pub received: Option<Box<Received>>,
    /// How the file was named.
    named: Box<Named>,
}

/// Why a file could not be opened.
#[derive(Debug, Error)]
pub enum Reason {
    /// It does not exist, or can't be read.
    #[error("{}{}", .0, io_advice(.0))]
    Io(std::io::Error),
    /// A folder that is no data dir.
    #[error("{error}; {}", folder.words())]
    Folder {
        /// What is missing.
        error: std::io::Error,
        /// What lies in it.
        folder: FolderContent,
    },
    /// Another process has bbolt's lock on it.
    #[error("is locked by {by}")]
    Locked {
        /// The process: `etcd (process 4711)`.
        by: String,
    },
    /// It could not be mapped or locked.
    #[error("{}{}", .0, advice(.0))]
    Open(OpenError),
    /// It is no db.
    #[error(transparent)]
    Content(FileContent),
    /// It is a damaged db.
    #[error("{}", damage(error))]
    Format {
        /// Why.
        error: FormatError,
        /// Whether pages of bbolt's lie in it.
        has_pages: bool,
    },
    /// It is packed, and no db came out of it.
    #[cfg(feature = "packed")]
    #[error("not a bbolt file, but {0}")]
    Unpack(UnpackError),
    /// A file of an archive was asked for, and there is no archive.
    #[error("no archive, so there is no file {} in it", shown(Path::new(.0)))]
    NoArchive(String),
    /// What the disk gives can't be kept in this folder.
    #[error("{0}: what the disk gives can't be copied there")]
    Scratch(std::io::Error),
    /// The disk gives none of its bytes.
    #[error("the disk gives none of its {size} bytes")]
    Disk {
        /// How many it has.
        size: u64,
    },
}

impl SourceError {
    /// Adds the owner of the file at this path, and a received db beside it.
    #[must_use]
    pub fn new(path: &Path, reason: Reason) -> Self {
        Self::of(&Named::plain(path), reason)
    }

    /// The same, of a file that may be packed.
    #[must_use]
    pub fn of(named: &Named, reason: Reason) -> Self {
        let path = named.path.as_path();
        let owner = match &reason {
            Reason::Locked { .. } | Reason::Format { has_pages: true, .. } => Owner::of_file(path),
            _ => Owner::Unknown.at(path),
        };
        let received = if reason.leaves_nothing() { Received::beside(path).map(Box::new) } else { None };
        Self { path: path.to_owned(), reason, owner, received, named: Box::new(named.clone()) }
    }

    /// How the file was named.
    pub(crate) fn named(&self) -> Named {
        (*self.named).clone()
    }

    /// Whether there is no byte of a db in it.
    #[must_use]
    pub fn leaves_nothing(&self) -> bool {
        match &self.reason {
            Reason::Content(content) => content.has_nothing(),
            reason => reason.leaves_nothing(),
        }
    }

    /// The reason, and what to do. If there is a command for that, it follows.
    fn words(&self) -> String {
        let (reason, backup) = (&self.reason, self.owner.backup());
        if let Some(received) = &self.received {
            let reason = match reason {
                Reason::Io(_) | Reason::Folder { .. } => "there is no db here".to_owned(),
                Reason::Format { has_pages: true, .. } => {
                    format!("{reason}; what `etcd-medic salvage` saves of it may be newer than what follows")
                }
                reason => reason.to_string(),
            };
            return format!("{}. {received}", reason.trim_end_matches(':'));
        }
        match reason {
            Reason::Content(content) if self.first_step(content).is_some() => {
                let reason = reason.to_string();
                let reason = reason.trim_end_matches(':');
                match self.named.is_standard_input {
                    true => format!("{reason}. Keep it in a file first, and name that:"),
                    false => format!(
                        "{reason}. It came out of a packed file: unpack that first, and name what comes out:"
                    ),
                }
            }
            Reason::Content(content) if content.has_nothing() => format!("{reason}: look for {backup}"),
            Reason::Format { has_pages: true, .. } => {
                format!("{reason}; keep the file. More than what can be saved of it may be in {backup}:")
            }
            Reason::Format { .. } => {
                format!("{reason}; no other page of bbolt's lies in it: look for {backup}")
            }
            Reason::Disk { .. } => format!("{reason}: look for {backup}"),
            Reason::Folder { folder, .. } if !folder.dbs.is_empty() => {
                "is a folder: name a db in it:".to_owned()
            }
            reason => reason.to_string(),
        }
    }

    /// The command to go on with, where there is one.
    #[must_use]
    pub fn next(&self) -> Option<ShellCommand> {
        if let Some(received) = &self.received {
            return Some(received.next());
        }
        match &self.reason {
            Reason::Folder { folder, .. } if !folder.dbs.is_empty() => {
                let status = ShellCommand::new("etcd-medic status");
                Some(folder.dbs.iter().fold(status, |command, db| command.path(db)))
            }
            Reason::Locked { .. } if self.owner.is_etcd() => {
                Some(ShellCommand::new("etcdctl snapshot save snapshot.db"))
            }
            Reason::Content(content) => self.first_step(content).or_else(|| content.unpack(&self.path)),
            #[cfg(feature = "packed")]
            Reason::Unpack(error) => error.next(&self.named),
            Reason::Format { has_pages: true, .. } => {
                Some(self.named.ours("etcd-medic salvage").and("-o saved.db"))
            }
            _ => None,
        }
    }

    /// What comes before another program's command, where there is one for this content.
    fn first_step(&self, content: &FileContent) -> Option<ShellCommand> {
        content.unpack(&self.path).and_then(|_| self.named.plain_file_first())
    }
}

impl Reason {
    /// Whether the member has no db that can be read.
    fn leaves_nothing(&self) -> bool {
        match self {
            Self::Io(error) => error.kind() == std::io::ErrorKind::NotFound,
            Self::Folder { .. } | Self::Content(_) | Self::Format { .. } | Self::Disk { .. } => true,
            Self::Locked { .. } | Self::Open(_) | Self::Scratch(_) | Self::NoArchive(_) => false,
            #[cfg(feature = "packed")]
            Self::Unpack(error) => error.is_of_file(),
        }
    }
}

fn io_advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            ": check the path; name a db file, a snapshot, or an etcd data dir (its member/snap/db is read)"
        }
        std::io::ErrorKind::PermissionDenied => ": read it as the user that it belongs to",
        _ => "",
    }
}

fn advice(error: &OpenError) -> &'static str {
    match error {
        OpenError::Locked | OpenError::LockUnsupported(_) => "",
        OpenError::NotAFile => ": name a db file, or a folder that has one",
        OpenError::Io(error) => io_advice(error),
    }
}

fn damage(error: &FormatError) -> String {
    match error {
        FormatError::NotBolt => {
            "its meta pages are gone, and with them what says where all else is".to_owned()
        }
        error => error.to_string(),
    }
}
