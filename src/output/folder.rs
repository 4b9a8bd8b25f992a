//! An open folder. Everything in it is done by its descriptor and one name, so no link leads elsewhere, and it remains the same folder
//! if another one gets its path.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, Mode, OFlags, RenameFlags, Stat, fstat, fstatvfs, fsync, linkat, mkdirat, openat,
    readlinkat, renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

use super::{OutputError, folder_of};

#[derive(Debug)]
pub struct Folder {
    descriptor: OwnedFd,
    path: PathBuf,
}

const OPEN_FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Folder {
    /// Opens the folder that a user named, also by a link.
    ///
    /// # Errors
    /// [`OutputError::NoFolder`]; the operating system's.
    pub fn open(path: &Path) -> Result<Self, OutputError> {
        let descriptor = openat(CWD, path, OPEN_FOLDER, Mode::empty()).map_err(|error| match error {
            Errno::NOENT | Errno::NOTDIR => OutputError::NoFolder(path.to_owned()),
            error => OutputError::io(path)(error),
        })?;
        Ok(Self { descriptor, path: path.to_owned() })
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
        match mkdirat(self, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(OutputError::io(&self.path_of(name))(error)),
        }
    }

    fn enter(&self, name: &OsStr) -> Result<Self, OutputError> {
        let path = self.path_of(name);
        let opened = openat(self, name, OPEN_FOLDER | OFlags::NOFOLLOW, Mode::empty());
        match opened {
            Ok(descriptor) => Ok(Self { descriptor, path }),
            Err(error) => Err(match (self.link_at(name), error) {
                (Some(to), _) => OutputError::Link { path, to },
                (None, Errno::NOTDIR) => OutputError::NotAFolder(path),
                (None, Errno::NOENT) => OutputError::NoFolder(path),
                (None, error) => OutputError::io(&path)(error),
            }),
        }
    }

    /// Whether nothing is in it.
    ///
    /// # Errors
    /// The operating system's.
    pub fn is_empty(&self) -> Result<bool, OutputError> {
        let entries = Dir::read_from(self).map_err(OutputError::io(&self.path))?;
        for entry in entries {
            let entry = entry.map_err(OutputError::io(&self.path))?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                return Ok(false);
            }
        }
        Ok(true)
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

    /// Where the link `name` leads to; `None` where it is none.
    pub fn link_at(&self, name: &OsStr) -> Option<PathBuf> {
        let to = readlinkat(self, name, Vec::new()).ok()?;
        Some(PathBuf::from(OsString::from_vec(to.into_bytes())))
    }

    /// What has this name; a link is not followed.
    ///
    /// # Errors
    /// The operating system's, if it is not there as well.
    pub fn look_at(&self, name: &OsStr) -> io::Result<Stat> {
        Ok(statat(self, name, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Opens a file in it for reading; a link is not followed, a pipe not waited for.
    ///
    /// # Errors
    /// The operating system's.
    pub fn open_file(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(openat(self, name, flags, Mode::empty())?.into())
    }

    /// Makes a file of this name, which must be free.
    ///
    /// # Errors
    /// The operating system's.
    pub fn make_file(&self, name: &OsStr, mode: Mode) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(self, name, flags, mode)?.into())
    }

    /// Gives what has a name a second one, which must be free.
    ///
    /// # Errors
    /// The operating system's.
    pub fn link(&self, name: &OsStr, to: &Self, second: &OsStr) -> io::Result<()> {
        Ok(linkat(self, name, to, second, AtFlags::empty())?)
    }

    /// Renames, and replaces a file that has the new name.
    ///
    /// # Errors
    /// The operating system's.
    pub fn rename(&self, name: &OsStr, to: &Self, new: &OsStr) -> io::Result<()> {
        Ok(renameat(self, name, to, new)?)
    }

    /// Renames where the new name is free.
    ///
    /// # Errors
    /// The operating system's; [`is_unsupported`] where the file system knows no such rename.
    pub fn rename_if_free(&self, name: &OsStr, to: &Self, new: &OsStr) -> io::Result<()> {
        Ok(renameat_with(self, name, to, new, RenameFlags::NOREPLACE)?)
    }

    /// Exchanges two names at once.
    ///
    /// # Errors
    /// The operating system's; [`is_unsupported`] where the file system knows no such rename.
    pub fn exchange(&self, name: &OsStr, with: &Self, other: &OsStr) -> io::Result<()> {
        Ok(renameat_with(self, name, with, other, RenameFlags::EXCHANGE)?)
    }

    /// Removes a name of a file.
    ///
    /// # Errors
    /// The operating system's.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(self, name, AtFlags::empty())?)
    }

    /// Waits until its names are on the disk.
    ///
    /// # Errors
    /// The operating system's.
    pub fn sync(&self) -> io::Result<()> {
        Ok(fsync(self)?)
    }

    /// Waits until all that was written on its file system is on the disk: for many files, each of which would otherwise wait.
    ///
    /// # Errors
    /// The operating system's.
    pub fn sync_all(&self) -> Result<(), OutputError> {
        #[cfg(target_os = "linux")]
        let synced = rustix::fs::syncfs(self);
        #[cfg(not(target_os = "linux"))]
        let synced = fsync(self);
        synced.map_err(OutputError::io(&self.path))
    }

    /// Refuses to begin what can't be finished for lack of room.
    ///
    /// # Errors
    /// [`OutputError::NoSpace`].
    pub fn check_space(&self, needed: u64) -> Result<(), OutputError> {
        // a file system that does not say is tried; of one in memory without a limit, every number is 0
        let Ok(found) = fstatvfs(self) else { return Ok(()) };
        if found.f_blocks == 0 {
            return Ok(());
        }
        let available = found.f_bavail.saturating_mul(found.f_frsize);
        if available >= needed {
            return Ok(());
        }
        Err(OutputError::NoSpace { folder: self.path.clone(), needed, available })
    }

    /// Whether both are on one file system.
    ///
    /// # Errors
    /// The operating system's.
    pub fn is_beside(&self, other: &Self) -> Result<bool, OutputError> {
        let device =
            |folder: &Self| fstat(folder).map(|stat| stat.st_dev).map_err(OutputError::io(&folder.path));
        Ok(device(self)? == device(other)?)
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Whether a file system, or an older Linux, can't exchange names, or rename only if the name is free.
pub fn is_unsupported(error: &io::Error) -> bool {
    let unsupported = [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOTSUP].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|error| unsupported.contains(&error))
}
