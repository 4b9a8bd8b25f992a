//! A file that appears whole or not at all.
//!
//! It is written under a temporary name beside its target, and takes the target's name when it is finished. Whatever
//! goes wrong before, the temporary file is removed and the target is as it was; only a kill that can't be caught
//! leaves the temporary file behind, which nothing ever takes for a db.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::text::shown;
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use tempfile::{NamedTempFile, TempPath};
use thiserror::Error;

/// What temporary files' names end in.
pub const TEMPORARY_SUFFIX: &str = ".etcd-medic-unfinished";

/// So many characters of the target's name stand in that of its temporary file.
const MAX_PREFIX: usize = 32;

/// Why an output could not be made, and what to do next.
#[derive(Debug, Error)]
pub enum OutputError {
    /// There is one already.
    #[error("{}: exists already: choose another name, or replace it with --force", shown(.0))]
    Exists(PathBuf),
    /// A folder stands there.
    #[error("{}: is a folder: name the file to write", shown(.0))]
    IsFolder(PathBuf),
    /// A device, a pipe, a socket stands there.
    #[error("{}: is no regular file, and is not replaced by one: name another", shown(.0))]
    NotAFile(PathBuf),
    /// The target is the source itself, by whatever name.
    #[error(
        "{}: is the source itself, which is never written to: name another file; for the db of a stopped etcd, \
         --in-place puts a verified copy in its place and keeps the old one",
        shown(.0)
    )]
    IsSource(PathBuf),
    /// The folder is missing.
    #[error("{}: there is no such folder to write into: make it first, or name another", shown(.0))]
    NoFolder(PathBuf),
    /// Not enough room.
    #[error(
        "{}: {needed} bytes are needed, {available} are free there: make room, or write to another disk with -o",
        shown(folder)
    )]
    NoSpace {
        /// Where it was to be written.
        folder: PathBuf,
        /// Bytes of the output.
        needed: u64,
        /// Bytes that are free.
        available: u64,
    },
    /// The operating system said no.
    #[error("{}: {error}{}", shown(path), advice(error))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl OutputError {
    /// An error of the operating system's, at this path.
    pub fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |error| Self::Io { path: path.to_owned(), error }
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            ": nothing can be written there; name a file in another folder with -o, or run as its owner"
        }
        io::ErrorKind::StorageFull => ": the disk is full; make room, or write to another one with -o",
        io::ErrorKind::QuotaExceeded => {
            ": the disk quota is used up; make room, or write to another disk with -o"
        }
        io::ErrorKind::FileTooLarge => {
            ": the file would pass a limit on file sizes; raise it (`ulimit -f`), or write to another disk with -o"
        }
        _ => "",
    }
}

/// Refuses a target that must not be written to.
///
/// # Errors
/// It exists and `force` is not given; it is a folder, or the source.
pub fn check_target(target: &Path, source: Option<&Path>, force: bool) -> Result<(), OutputError> {
    let folder = folder_of(target);
    if !folder.is_dir() {
        return Err(OutputError::NoFolder(folder.to_owned()));
    }
    // what a link points to decides whether it is the source; the link itself, whether something is there
    if let Ok(metadata) = target.metadata() {
        let same = |source: &Path| {
            let source = source.metadata().map_err(OutputError::io(source))?;
            Ok((metadata.dev(), metadata.ino()) == (source.dev(), source.ino()))
        };
        if source.map(same).transpose()? == Some(true) {
            return Err(OutputError::IsSource(target.to_owned()));
        }
        if metadata.is_dir() {
            return Err(OutputError::IsFolder(target.to_owned()));
        }
        if !metadata.is_file() {
            return Err(OutputError::NotAFile(target.to_owned()));
        }
    }
    if target.symlink_metadata().is_ok() && !force {
        return Err(OutputError::Exists(target.to_owned()));
    }
    Ok(())
}

/// The folder that a path lies in.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Refuses to begin what can't be finished for lack of room.
///
/// # Errors
/// Not enough room in the folder's file system.
pub fn check_space(folder: &Path, needed: u64) -> Result<(), OutputError> {
    // a file system that does not say is tried
    let Ok(found) = statvfs(folder) else { return Ok(()) };
    let available = found.f_bavail.saturating_mul(found.f_frsize);
    if available >= needed {
        return Ok(());
    }
    Err(OutputError::NoSpace { folder: folder.to_owned(), needed, available })
}

/// The temporary file of this process, for who has to end it early.
static UNFINISHED: Mutex<Option<PathBuf>> = Mutex::new(None);

fn unfinished() -> MutexGuard<'static, Option<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the temporary file, if there is one: for a process that is about to end by a signal.
pub fn remove_unfinished() {
    if let Some(path) = unfinished().take() {
        // it is ended either way
        let _ = fs::remove_file(path);
    }
}

/// A file in the making. Dropped unfinished, it is removed.
#[derive(Debug)]
pub struct Output {
    file: File,
    path: TempPath,
}

impl Output {
    /// Begins a file of `size` bytes in `folder`, named after `target`, and takes the room for it at once.
    ///
    /// # Errors
    /// The operating system's.
    pub fn begin(folder: &Path, target: &Path, size: u64) -> Result<Self, OutputError> {
        // a name may be as long as a file system allows: only its beginning leaves room for more
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let name: String = name.chars().take(MAX_PREFIX).collect();
        // held until the file's path is noted: a signal must not come between
        let mut unfinished = unfinished();
        let temporary = tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            .suffix(TEMPORARY_SUFFIX)
            .tempfile_in(folder)
            .map_err(OutputError::io(folder))?;
        let (file, path) = NamedTempFile::into_parts(temporary);
        *unfinished = Some(path.to_path_buf());
        drop(unfinished);
        let output = Self { file, path };
        output.reserve(size)?;
        Ok(output)
    }

    fn reserve(&self, size: u64) -> Result<(), OutputError> {
        match fallocate(&self.file, FallocateFlags::empty(), 0, size.max(1)) {
            Ok(()) => Ok(()),
            Err(error) => match io::Error::from(error) {
                // a file system that can't: the room is found out by writing
                error if error.kind() == io::ErrorKind::Unsupported => {
                    self.file.set_len(size).map_err(OutputError::io(self.path()))
                }
                error => Err(OutputError::io(self.path())(error)),
            },
        }
    }

    /// The file, to write to.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Its temporary path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it mode and owner of `source`. Whether the owner could be set: only root may give files away.
    ///
    /// # Errors
    /// The mode could not be set.
    pub fn copy_ownership(&self, source: &Path) -> Result<bool, OutputError> {
        let metadata = source.metadata().map_err(OutputError::io(source))?;
        let mine = self.file.metadata().map_err(OutputError::io(self.path()))?;
        let (uid, gid) = (metadata.uid(), metadata.gid());
        let owned = (mine.uid(), mine.gid()) == (uid, gid)
            || std::os::unix::fs::fchown(&self.file, Some(uid), Some(gid)).is_ok();
        let mode = Permissions::from_mode(metadata.permissions().mode() & 0o777);
        self.file.set_permissions(mode).map_err(OutputError::io(self.path()))?;
        Ok(owned)
    }

    /// Waits until all of it is on the disk.
    ///
    /// # Errors
    /// The operating system's.
    pub fn sync(&self) -> Result<(), OutputError> {
        self.file.sync_all().map_err(OutputError::io(self.path()))
    }

    /// Gives it the target's name, and waits until the folder is on the disk, too. What had the name before is
    /// replaced only with `replace`.
    ///
    /// # Errors
    /// The operating system's; [`OutputError::Exists`] where the target appeared meanwhile.
    pub fn finish(self, target: &Path, replace: bool) -> Result<(), OutputError> {
        // held while the name changes: a signal must not remove what is finished
        let mut unfinished = unfinished();
        let persisted = if replace { self.path.persist(target) } else { self.path.persist_noclobber(target) };
        persisted.map_err(|error| match error.error {
            error if error.kind() == io::ErrorKind::AlreadyExists => OutputError::Exists(target.to_owned()),
            error => OutputError::io(target)(error),
        })?;
        *unfinished = None;
        drop(unfinished);
        sync_folder(folder_of(target))
    }
}

/// Waits until a folder's names are on the disk.
///
/// # Errors
/// The operating system's.
pub fn sync_folder(folder: &Path) -> Result<(), OutputError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(OutputError::io(folder))
}
