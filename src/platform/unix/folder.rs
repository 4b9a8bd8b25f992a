//! An open folder. Everything in it is done by its descriptor and one name, so no link leads elsewhere, and it remains the same folder
//! if another one gets its path.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, Mode, OFlags, fstat, fstatvfs, fsync, linkat, mkdirat, openat, readlinkat, renameat,
    statat, unlinkat,
};

use super::{Facts, room_of};
use crate::platform::{Readers, Room};

#[derive(Debug)]
pub struct FolderHandle(OwnedFd);

/// The names in a folder. (Those of the standard library panic where a disk fails when the folder is closed.)
///
/// # Errors
/// The operating system's.
pub fn names_in(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<OsString>> + use<>> {
    Ok(names(Dir::new(FolderHandle::open(folder)?.0)?))
}

fn names(entries: Dir) -> impl Iterator<Item = io::Result<OsString>> + use<> {
    entries.filter_map(|entry| match entry {
        Ok(entry) => match entry.file_name().to_bytes() {
            b"." | b".." => None,
            name => Some(Ok(OsString::from_vec(name.to_vec()))),
        },
        Err(error) => Some(Err(error.into())),
    })
}

const OPEN_FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl FolderHandle {
    /// Opens the folder that a path leads to, also by a link.
    ///
    /// # Errors
    /// The operating system's.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(openat(CWD, path, OPEN_FOLDER, Mode::empty())?))
    }

    /// Opens the folder `name` in this one; a link is not followed.
    ///
    /// # Errors
    /// The operating system's.
    pub fn enter(&self, name: &OsStr) -> io::Result<Self> {
        Ok(Self(openat(&self.0, name, OPEN_FOLDER | OFlags::NOFOLLOW, Mode::empty())?))
    }

    /// Makes a folder for its owner only.
    ///
    /// # Errors
    /// The operating system's.
    pub fn make(&self, name: &OsStr) -> io::Result<()> {
        Ok(mkdirat(&self.0, name, Mode::RWXU)?)
    }

    /// Whether nothing is in it.
    ///
    /// # Errors
    /// The operating system's.
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(names(Dir::read_from(&self.0)?).next().transpose()?.is_none())
    }

    /// Where the link `name` leads to; `None` where it is none.
    pub fn link_at(&self, name: &OsStr) -> Option<PathBuf> {
        let to = readlinkat(&self.0, name, Vec::new()).ok()?;
        Some(PathBuf::from(OsString::from_vec(to.into_bytes())))
    }

    /// What has this name; a link is not followed.
    ///
    /// # Errors
    /// The operating system's, if it is not there as well.
    pub fn look_at(&self, name: &OsStr) -> io::Result<Facts> {
        Ok(Facts(statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    /// Opens a file in it for reading; a link is not followed, a pipe not waited for.
    ///
    /// # Errors
    /// The operating system's.
    pub fn open_file(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(openat(&self.0, name, flags, Mode::empty())?.into())
    }

    /// Makes a file of this name, which must be free.
    ///
    /// # Errors
    /// The operating system's.
    pub fn make_file(&self, name: &OsStr, readers: Readers) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = match readers {
            Readers::Owner => Mode::RUSR | Mode::WUSR,
            Readers::Anybody => Mode::from_bits_truncate(0o666),
        };
        Ok(openat(&self.0, name, flags, mode)?.into())
    }

    /// Gives what has a name a second one, which must be free.
    ///
    /// # Errors
    /// The operating system's.
    pub fn link(&self, name: &OsStr, to: &Self, second: &OsStr) -> io::Result<()> {
        Ok(linkat(&self.0, name, &to.0, second, AtFlags::empty())?)
    }

    /// Renames, and replaces a file that has the new name.
    ///
    /// # Errors
    /// The operating system's.
    pub fn rename(&self, name: &OsStr, to: &Self, new: &OsStr) -> io::Result<()> {
        Ok(renameat(&self.0, name, &to.0, new)?)
    }

    /// Renames where the new name is free.
    ///
    /// # Errors
    /// The operating system's; [`is_unsupported`](super::is_unsupported) where the file system knows no such rename.
    pub fn rename_if_free(&self, name: &OsStr, to: &Self, new: &OsStr) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_vendor = "apple"))]
        return Ok(rustix::fs::renameat_with(&self.0, name, &to.0, new, rustix::fs::RenameFlags::NOREPLACE)?);
        #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
        return unsupported(name, to, new);
    }

    /// Exchanges two names at once.
    ///
    /// # Errors
    /// The operating system's; [`is_unsupported`](super::is_unsupported) where the file system knows no such rename.
    pub fn exchange(&self, name: &OsStr, with: &Self, other: &OsStr) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_vendor = "apple"))]
        return Ok(rustix::fs::renameat_with(
            &self.0,
            name,
            &with.0,
            other,
            rustix::fs::RenameFlags::EXCHANGE,
        )?);
        #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
        return unsupported(name, with, other);
    }

    /// Removes a name of a file.
    ///
    /// # Errors
    /// The operating system's.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Waits until its names are on the disk.
    ///
    /// # Errors
    /// The operating system's.
    pub fn sync(&self) -> io::Result<()> {
        Ok(fsync(&self.0)?)
    }

    /// Waits until all that was written on its file system is on the disk: for many files, each of which would otherwise wait.
    ///
    /// # Errors
    /// The operating system's.
    pub fn sync_all(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        return Ok(rustix::fs::syncfs(&self.0)?);
        #[cfg(not(target_os = "linux"))]
        return self.sync();
    }

    /// The room on its file system; `None` where that does not say.
    pub fn room(&self) -> Option<Room> {
        fstatvfs(&self.0).ok().and_then(room_of)
    }

    /// Whether both are on one file system.
    ///
    /// # Errors
    /// The operating system's.
    pub fn is_beside(&self, other: &Self) -> io::Result<bool> {
        Ok(fstat(&self.0)?.st_dev == fstat(&other.0)?.st_dev)
    }
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn unsupported(_name: &OsStr, _to: &FolderHandle, _new: &OsStr) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
