//! An open folder. While it is open, nobody can rename or remove it, so that its path leads to it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::{self, Path, PathBuf};

use tempfile::TempPath;

use super::{
    FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, FILE_SHARE_READ, FILE_SHARE_WRITE, Facts, room,
};
use crate::platform::{FileKind, Readers, Room};

#[derive(Debug)]
pub struct FolderHandle {
    open: File,
    path: PathBuf,
}

/// The names in a folder.
///
/// # Errors
/// The operating system's.
pub fn names_in(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<OsString>> + use<>> {
    Ok(folder.read_dir()?.map(|entry| Ok(entry?.file_name())))
}

impl FolderHandle {
    /// Opens the folder that a path leads to, also by a link.
    ///
    /// # Errors
    /// The operating system's.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::open_with(path, 0)
    }

    fn open_with(path: &Path, flags: u32) -> io::Result<Self> {
        let path = path::absolute(path)?;
        let open = File::options()
            .read(true)
            // not FILE_SHARE_DELETE
            .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE)
            .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | flags)
            .open(&path)?;
        match Facts::of(&open)?.kind() {
            FileKind::Folder => Ok(Self { open, path }),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Opens the folder `name` in this one; a link is not followed.
    ///
    /// # Errors
    /// The operating system's.
    pub fn enter(&self, name: &OsStr) -> io::Result<Self> {
        Self::open_with(&self.path.join(name), FILE_FLAG_OPEN_REPARSE_POINT)
    }

    /// Makes a folder, with the rights of this one.
    ///
    /// # Errors
    /// The operating system's.
    pub fn make(&self, name: &OsStr) -> io::Result<()> {
        fs::create_dir(self.path.join(name))
    }

    /// Whether nothing is in it.
    ///
    /// # Errors
    /// The operating system's.
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.path.read_dir()?.next().transpose()?.is_none())
    }

    /// Where the link `name` leads to; `None` where it is none.
    pub fn link_at(&self, name: &OsStr) -> Option<PathBuf> {
        fs::read_link(self.path.join(name)).ok()
    }

    /// What has this name; a link is not followed.
    ///
    /// # Errors
    /// The operating system's, if it is not there as well.
    pub fn look_at(&self, name: &OsStr) -> io::Result<Facts> {
        Facts::at_link(&self.path.join(name))
    }

    /// Opens a file in it for reading; a link is not followed.
    ///
    /// # Errors
    /// The operating system's.
    pub fn open_file(&self, name: &OsStr) -> io::Result<File> {
        File::options().read(true).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT).open(self.path.join(name))
    }

    /// Makes a file of this name, which must be free. It has the rights of its folder, whoever is to read it.
    ///
    /// # Errors
    /// The operating system's.
    pub fn make_file(&self, name: &OsStr, _readers: Readers) -> io::Result<File> {
        File::options().read(true).write(true).create_new(true).open(self.path.join(name))
    }

    /// Gives what has a name a second one, which must be free.
    ///
    /// # Errors
    /// The operating system's.
    pub fn link(&self, name: &OsStr, to: &Self, second: &OsStr) -> io::Result<()> {
        fs::hard_link(self.path.join(name), to.path.join(second))
    }

    /// Renames, and replaces a file that has the new name.
    ///
    /// # Errors
    /// The operating system's.
    pub fn rename(&self, name: &OsStr, to: &Self, new: &OsStr) -> io::Result<()> {
        fs::rename(self.path.join(name), to.path.join(new))
    }

    /// Renames where the new name is free.
    ///
    /// # Errors
    /// The operating system's.
    pub fn rename_if_free(&self, name: &OsStr, to: &Self, new: &OsStr) -> io::Result<()> {
        // std's rename replaces
        let renamed = TempPath::try_from_path(self.path.join(name))?.persist_noclobber(to.path.join(new));
        renamed.or_else(|failed| {
            // the caller removes it
            failed.path.keep()?;
            Err(failed.error)
        })
    }

    /// Exchanges two names, in three steps, as Windows has no single one: between them, `other` is free. A file that is open can be
    /// renamed, but not be replaced.
    ///
    /// # Errors
    /// The operating system's; then both names are as they were, unless that failed, too.
    pub fn exchange(&self, name: &OsStr, with: &Self, other: &OsStr) -> io::Result<()> {
        let mut aside = name.to_owned();
        aside.push("-aside");
        with.rename_if_free(other, self, &aside)?;
        self.rename_if_free(name, with, other).inspect_err(|_| {
            let _ = self.rename_if_free(&aside, with, other);
        })?;
        self.rename_if_free(&aside, self, name)
    }

    /// Removes a name of a file.
    ///
    /// # Errors
    /// The operating system's.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    /// Windows writes names by itself, in order: there is nothing to wait for.
    ///
    /// # Errors
    /// None.
    pub fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    /// Waits until all files in it are on the disk, and those in folders in it.
    ///
    /// # Errors
    /// The operating system's.
    pub fn sync_all(&self) -> io::Result<()> {
        let mut folders = vec![self.path.clone()];
        while let Some(folder) = folders.pop() {
            for entry in folder.read_dir()? {
                let (entry, path) = entry.and_then(|entry| Ok((entry.file_type()?, entry.path())))?;
                if entry.is_dir() {
                    folders.push(path);
                } else if entry.is_file() {
                    File::options().write(true).open(path)?.sync_all()?;
                }
            }
        }
        Ok(())
    }

    /// The room on its file system; `None` where that does not say.
    pub fn room(&self) -> Option<Room> {
        room(&self.open, &self.path)
    }

    /// Whether both are on one volume.
    ///
    /// # Errors
    /// The operating system's.
    pub fn is_beside(&self, other: &Self) -> io::Result<bool> {
        Ok(Facts::of(&self.open)?.identity.0 == Facts::of(&other.open)?.identity.0)
    }
}
