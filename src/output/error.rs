//! What can go wrong with an output, and what to do next.

#![warn(missing_docs)]

use std::io;
use std::path::{Path, PathBuf};

use crate::text::shown;
use thiserror::Error;

/// Why an output could not be made. But for [`OutputError::Unsynced`] and [`OutputError::Remains`], which come after the file
/// has its name, the target is as it was.
#[derive(Debug, Error)]
pub enum OutputError {
    /// There is a file already.
    #[error("{}: exists already", shown(.0))]
    Exists(PathBuf),
    /// There is a symbolic link, which is never followed.
    #[error(
        "{}: is a symbolic link to {}, and is neither followed nor replaced: name that itself, or another",
        shown(path),
        shown(to)
    )]
    Link {
        /// The link.
        path: PathBuf,
        /// What it says.
        to: PathBuf,
    },
    /// There is a folder.
    #[error("{}: is a folder: name the file to write", shown(.0))]
    IsFolder(PathBuf),
    /// There is a folder with something in it.
    #[error("{}: is there, and is not empty. Nothing is put into it: name another, or move it away", shown(.0))]
    NotEmpty(PathBuf),
    /// There is a file in place of a folder.
    #[error("{}: is no folder: move it away, or choose another folder", shown(.0))]
    NotAFolder(PathBuf),
    /// There is a device, a pipe, or a socket.
    #[error("{}: is no regular file, and is not replaced by one: name another", shown(.0))]
    NotAFile(PathBuf),
    /// The target is the source itself, by whatever name.
    #[error("{}: is the source itself, which is never written to", shown(.0))]
    IsSource(PathBuf),
    /// The source is packed, and a copy is not.
    #[error("{}: is packed, and a copy would not be: it can't take its place", shown(.0))]
    IsPacked(PathBuf),
    /// The folder is missing.
    #[error("{}: there is no such folder to write into: make it first, or name another", shown(.0))]
    NoFolder(PathBuf),
    /// Another process has the file that would be replaced.
    #[error(
        "{}: is in use by {who}, which would go on with the old file. Nothing was replaced: stop it, and run this again, \
         or name another file",
        shown(path)
    )]
    InUse {
        /// The target.
        path: PathBuf,
        /// Who has it locked, waits for its lock, or has it open for writing.
        who: String,
    },
    /// The file that would be replaced is not what it was at the beginning.
    #[error("{}: {how}. Nothing was replaced: look at it, and run this again{}", shown(path), also_kept(kept.as_deref()))]
    Changed {
        /// The target.
        path: PathBuf,
        /// What is different.
        how: &'static str,
        /// The second name of the file that was read, where that is its last.
        kept: Option<PathBuf>,
    },
    /// The source may be written to meanwhile.
    #[error(
        "a copy takes its source's place only under bbolt's lock, so that nobody writes to the file meanwhile"
    )]
    NotLocked,
    /// Not enough room.
    #[error("{}: {needed} bytes are needed, {available} are free there", shown(folder))]
    NoSpace {
        /// Where it was to be written.
        folder: PathBuf,
        /// Bytes of the output.
        needed: u64,
        /// Bytes that are free.
        available: u64,
    },
    /// The operating system said no.
    #[error("{}: {error}", shown(path))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Two names were exchanged, and could not be exchanged back.
    #[error(
        "{}: {why} And the file that had this name could not get it back ({error}): it is now {}. Move it back before \
         anything is started",
        shown(path),
        shown(old)
    )]
    Exchanged {
        /// The target: it is the new file.
        path: PathBuf,
        /// Where the old file is.
        old: PathBuf,
        /// Why it was to be undone.
        why: Box<OutputError>,
        /// Why it could not.
        error: io::Error,
    },
    /// The file has its name, but its folder could not be flushed to the disk.
    #[error(
        "{}: the folder could not be flushed to the disk ({error}): after a power loss, names in it may be as before. \
         Make sure that the disk is well{}",
        shown(folder),
        also_kept(old.as_deref())
    )]
    Unsynced {
        /// The folder.
        folder: PathBuf,
        /// Why.
        error: io::Error,
        /// Where the old file is, if it was to be removed.
        old: Option<PathBuf>,
    },
    /// The file has its name, but a name of the old file could not be removed.
    #[error("{}: this name of the old file could not be removed: {error}", shown(old))]
    Remains {
        /// The name.
        old: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl OutputError {
    /// An error of the operating system's, at this path.
    pub fn io<E: Into<io::Error>>(path: &Path) -> impl FnOnce(E) -> Self + '_ {
        |error| Self::Io { path: path.to_owned(), error: error.into() }
    }
}

fn also_kept(old: Option<&Path>) -> String {
    old.map(|old| format!(". The old file is still there, as {}", shown(old))).unwrap_or_default()
}
