//! A folder that is open, with its path for messages.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use crate::platform::FolderHandle;

use super::{OutputError, folder_of};

#[derive(Debug)]
pub struct Folder {
    handle: FolderHandle,
    path: PathBuf,
}

impl Folder {
    /// Opens the folder that a user named, also by a link.
    ///
    /// # Errors
    /// [`OutputError::NoFolder`]; the operating system's.
    pub fn open(path: &Path) -> Result<Self, OutputError> {
        let handle = FolderHandle::open(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => OutputError::NoFolder(path.to_owned()),
            _ => OutputError::io(path)(error),
        })?;
        Ok(Self { handle, path: path.to_owned() })
    }

    /// Opens the folder that is a command's target: folders on the way to it may be links, it may not.
    ///
    /// # Errors
    /// [`OutputError::NoFolder`], [`OutputError::Link`], [`OutputError::NotAFolder`]; the operating system's.
    pub fn target(path: &Path) -> Result<Self, OutputError> {
        match path.file_name() {
            Some(name) => Self::open(folder_of(path))?.enter(name),
            // `/`, `.` and what ends in `..`
            None => Self::open(path),
        }
    }

    /// The same, and makes it where it is missing.
    ///
    /// # Errors
    /// As [`Folder::target`].
    pub fn target_made(path: &Path) -> Result<Self, OutputError> {
        if let Some(name) = path.file_name() {
            Self::open(folder_of(path))?.make(name)?;
        }
        Self::target(path)
    }

    /// Opens the folder `name` in this one, and makes it where it is missing.
    ///
    /// # Errors
    /// [`OutputError::Link`], [`OutputError::NotAFolder`]; the operating system's.
    pub fn below(&self, name: &OsStr) -> Result<Self, OutputError> {
        self.make(name)?;
        self.enter(name)
    }

    /// Makes a folder for its owner only, as values may be secret.
    fn make(&self, name: &OsStr) -> Result<(), OutputError> {
        match self.handle.make(name) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                Err(OutputError::io(&self.path_of(name))(error))
            }
            _ => Ok(()),
        }
    }

    fn enter(&self, name: &OsStr) -> Result<Self, OutputError> {
        let path = self.path_of(name);
        match self.handle.enter(name) {
            Ok(handle) => Ok(Self { handle, path }),
            Err(error) => Err(match (self.link_at(name), error.kind()) {
                (Some(to), _) => OutputError::Link { path, to },
                (None, ErrorKind::NotADirectory) => OutputError::NotAFolder(path),
                (None, ErrorKind::NotFound) => OutputError::NoFolder(path),
                (None, _) => OutputError::io(&path)(error),
            }),
        }
    }

    /// Whether nothing is in it.
    ///
    /// # Errors
    /// The operating system's.
    pub fn is_empty(&self) -> Result<bool, OutputError> {
        self.handle.is_empty().map_err(OutputError::io(&self.path))
    }

    /// The path that it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a name in it.
    pub fn path_of(&self, name: &OsStr) -> PathBuf {
        // the path as the user wrote it
        if self.path == Path::new(".") { PathBuf::from(name) } else { self.path.join(name) }
    }

    /// Waits until all that was written on its file system is on the disk: for many files, each of which would otherwise wait.
    ///
    /// # Errors
    /// The operating system's.
    pub fn sync_all(&self) -> Result<(), OutputError> {
        self.handle.sync_all().map_err(OutputError::io(&self.path))
    }

    /// Refuses to begin what can't be finished for lack of room.
    ///
    /// # Errors
    /// [`OutputError::NoSpace`].
    pub fn check_space(&self, needed: u64) -> Result<(), OutputError> {
        // a file system that does not say is tried
        match self.handle.room() {
            Some(room) if room.available < needed => {
                let (folder, available) = (self.path.clone(), room.available);
                Err(OutputError::NoSpace { folder, needed, available })
            }
            _ => Ok(()),
        }
    }

    /// Whether both are on one file system.
    ///
    /// # Errors
    /// The operating system's.
    pub fn is_beside(&self, other: &Self) -> Result<bool, OutputError> {
        self.handle.is_beside(&other.handle).map_err(OutputError::io(&self.path))
    }
}

/// What is done by a name in it, without words for errors.
impl Deref for Folder {
    type Target = FolderHandle;

    fn deref(&self) -> &FolderHandle {
        &self.handle
    }
}
