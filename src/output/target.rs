//! Where a file goes. Rules for every command that writes:
//!
//! 1. The folder must exist.
//! 2. A symbolic link is refused, also with `force`, and the error says where it leads. Folders on the way may be links.
//! 3. A folder, a device, a pipe and the source itself are refused, also with `force`.
//! 4. A file that exists is replaced only with `force`, and only if no other process has it locked or open for writing. Its lock
//!    is held until it is replaced.

use std::ffi::{OsStr, OsString};

use std::fs::TryLockError;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bolt::lock::{Lock, LockedFile};

use crate::platform::{Facts, FileKind, processes};

use super::{Folder, OutputError, folder_of};

/// Where a file goes, once it is finished.
#[derive(Debug)]
pub struct Target {
    /// As the user named it.
    pub(super) path: PathBuf,
    pub(super) folder: Arc<Folder>,
    pub(super) name: OsString,
    /// Where it is made.
    pub(super) made_in: Arc<Folder>,
    /// The file that has the name now.
    pub(super) replaced: Option<Replaced>,
    pub(super) purpose: Purpose,
}

/// What the file is for its command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// The command's one result.
    Result,
    /// One of many files: the command reports when all are written.
    OneOfMany,
    /// It replaces its source, which is kept.
    InPlace,
    /// It replaces its source, which is removed.
    InsteadOf,
}

impl Target {
    /// The target at `path`, for the result of a command that reads `source`.
    ///
    /// # Errors
    /// See the rules above.
    pub fn new(path: &Path, source: Option<&Path>, force: bool) -> Result<Self, OutputError> {
        let folder = Arc::new(Folder::open(folder_of(path))?);
        // `/`, `.` and what ends in `..`
        let Some(name) = path.file_name() else { return Err(OutputError::IsFolder(path.to_owned())) };
        if let (Ok(target), Some(source)) = (Facts::at(path), source) {
            let source = Facts::at(source).map_err(OutputError::io(source))?;
            if target.is_same_file(&source) {
                return Err(OutputError::IsSource(path.to_owned()));
            }
        }
        let target = Self::below(&folder, name, force)?;
        Ok(Self { path: path.to_owned(), purpose: Purpose::Result, ..target })
    }

    /// The target `name` in a folder, for one of many files.
    ///
    /// # Errors
    /// See the rules above.
    pub fn below(folder: &Arc<Folder>, name: &OsStr, force: bool) -> Result<Self, OutputError> {
        let path = folder.path_of(name);
        let replaced = match folder.look_at(name) {
            Ok(found) => Some(Replaced::open(folder, name, &found, force)?),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(OutputError::io(&path)(error)),
        };
        let (folder, made_in) = (Arc::clone(folder), Arc::clone(folder));
        Ok(Self { path, folder, name: name.to_owned(), made_in, replaced, purpose: Purpose::OneOfMany })
    }

    /// Its path, as the user named it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses to begin what can't be finished for lack of room.
    ///
    /// # Errors
    /// [`OutputError::NoSpace`].
    pub fn check_space(&self, needed: u64) -> Result<(), OutputError> {
        self.made_in.check_space(needed)
    }
}

/// The file that is to be replaced, held under its lock.
#[derive(Debug)]
pub(super) struct Replaced {
    pub(super) file: LockedFile,
    /// As it was at the beginning.
    pub(super) was: Facts,
    /// Whether nobody else may read or write it meanwhile.
    pub(super) exclusive: bool,
}

impl Replaced {
    fn open(folder: &Folder, name: &OsStr, found: &Facts, force: bool) -> Result<Self, OutputError> {
        let path = folder.path_of(name);
        if let Some(to) = folder.link_at(name) {
            return Err(OutputError::Link { path, to });
        }
        match found.kind() {
            FileKind::File if !force => return Err(OutputError::Exists(path)),
            FileKind::File => {}
            FileKind::Folder => return Err(OutputError::IsFolder(path)),
            FileKind::Other => return Err(OutputError::NotAFile(path)),
        }
        let file = LockedFile::from(folder.open_file(name).map_err(OutputError::io(&path))?);
        match file.take(Lock::Exclusive) {
            // a file system without locks has no holder
            Ok(()) | Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => {
                let who = processes::lock_holder(&path);
                return Err(OutputError::InUse { path, who });
            }
        }
        let was = Facts::of(&file).map_err(OutputError::io(&path))?;
        let replaced = Self { file, was, exclusive: true };
        replaced.look(folder, name, &path)?;
        Ok(replaced)
    }

    /// Looks whether `name` leads to this file, whether that is as it was, and whether nobody else is about to write to it.
    ///
    /// # Errors
    /// [`OutputError::Changed`], [`OutputError::InUse`], with `path` for the file's name; the operating system's.
    pub(super) fn look(&self, folder: &Folder, name: &OsStr, path: &Path) -> Result<(), OutputError> {
        let changed = |how| OutputError::Changed { path: path.to_owned(), how, kept: None };
        let now = match folder.look_at(name) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(changed("nothing has this name any more"));
            }
            now => now.map_err(OutputError::io(path))?,
        };
        if !now.is_same_file(&self.was) {
            return Err(changed("another file has this name by now"));
        }
        if !now.has_same_content(&self.was) {
            return Err(changed("it was written to meanwhile"));
        }
        match processes::writer(&self.file) {
            None => Ok(()),
            Some(who) => Err(OutputError::InUse { path: path.to_owned(), who }),
        }
    }

    /// Whether the file at `name` is this one, and has another name as well.
    pub(super) fn has_another_name(&self, folder: &Folder, name: &OsStr) -> bool {
        folder.look_at(name).is_ok_and(|now| now.is_same_file(&self.was) && now.has_more_names())
    }
}
