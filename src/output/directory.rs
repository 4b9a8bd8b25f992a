//! A folder of files that appears whole or not at all: made under a temporary name beside its target, and renamed when all of it is on
//! the disk.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::unfinished::{TEMPORARY_SUFFIX, registry};
use super::{Folder, OutputError, folder_of};
use crate::platform::{FileKind, is_unsupported};
use crate::text::shown;

/// A folder in the making. Dropped before [`Directory::commit`], it is removed with all that is in it.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    parent: Folder,
    name: OsString,
    temporary: OsString,
    folder: Arc<Folder>,
}

impl Directory {
    /// Begins the folder, which only its owner can read.
    ///
    /// # Errors
    /// Something has this name that is not an empty folder; the operating system's.
    pub fn begin(path: &Path) -> Result<Self, OutputError> {
        let Some(name) = path.file_name() else { return Err(OutputError::NotEmpty(path.to_owned())) };
        let parent = Folder::open(folder_of(path))?;
        check_free(&parent, name, path)?;
        // held until its name is noted
        let mut registry = registry();
        let (temporary, folder) = (0..)
            .map(|number| {
                let prefix: String = name.to_string_lossy().chars().take(32).collect();
                OsString::from(format!(".{prefix}.{}-{number}{TEMPORARY_SUFFIX}", std::process::id()))
            })
            .find_map(|temporary| match parent.make(&temporary) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => None,
                made => Some(made.map(|()| temporary)),
            })
            .unwrap_or(Err(ErrorKind::AlreadyExists.into()))
            .map_err(OutputError::io(parent.path()))
            .and_then(|temporary| Ok((temporary.clone(), Arc::new(parent.below(&temporary)?))))?;
        registry.note_folder(folder.path().to_owned());
        drop(registry);
        Ok(Self { path: path.to_owned(), parent, name: name.to_owned(), temporary, folder })
    }

    /// The folder, to write into.
    pub fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }

    /// Gives it its name, when all of it is on the disk.
    ///
    /// # Errors
    /// Something has this name by now; the operating system's.
    pub fn commit(self) -> Result<(), OutputError> {
        let Self { path, parent, name, temporary, folder } = &self;
        folder.sync_all()?;
        check_free(parent, name, path)?;
        let mut registry = registry();
        // an empty folder is replaced, nothing else
        let renamed = match parent.rename_if_free(temporary, parent, name) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists || is_unsupported(&error) => {
                parent.rename(temporary, parent, name)
            }
            renamed => renamed,
        };
        renamed.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty | ErrorKind::NotADirectory => {
                OutputError::NotEmpty(path.clone())
            }
            _ => OutputError::io(path)(error),
        })?;
        registry.forget_folder(folder.path());
        registry.say_done(format!("{} is written", shown(path)));
        drop(registry);
        parent.sync().map_err(|error| OutputError::Unsynced {
            folder: parent.path().to_owned(),
            error,
            old: None,
        })
    }
}

/// Refuses what is there, unless it is a folder with nothing in it.
fn check_free(parent: &Folder, name: &OsStr, path: &Path) -> Result<(), OutputError> {
    if let Some(to) = parent.link_at(name) {
        return Err(OutputError::Link { path: path.to_owned(), to });
    }
    match parent.look_at(name) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(OutputError::io(path)(error)),
        Ok(found) if found.kind() != FileKind::Folder => Err(OutputError::NotAFolder(path.to_owned())),
        Ok(_) if Folder::open(path)?.is_empty()? => Ok(()),
        Ok(_) => Err(OutputError::NotEmpty(path.to_owned())),
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let mut registry = registry();
        if registry.forget_folder(self.folder.path()) {
            // what can't be removed stays, under a name that says what it is
            let _ = fs::remove_dir_all(self.folder.path());
        }
    }
}
