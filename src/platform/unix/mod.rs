//! Unix: Linux, and with less of what only Linux has, macOS and the BSDs.

mod attributes;
mod folder;
#[cfg(feature = "cli")]
pub mod signals;
#[cfg(feature = "packed")]
mod temporary;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, Stat, StatVfs, fstat, statat};
use rustix::io::Errno;

pub use attributes::copy_attributes;
pub use folder::{FolderHandle, names_in};
pub use std::os::unix::fs::FileExt as FileAt;
#[cfg(feature = "packed")]
pub use temporary::*;

use super::{FileKind, Room};

/// What is known of a file without reading it.
#[derive(Clone, Copy, Debug)]
pub struct Facts(Stat);

impl Facts {
    /// # Errors
    /// The operating system's.
    pub fn of(file: &File) -> io::Result<Self> {
        Ok(Self(fstat(file)?))
    }

    /// Of the file that a path leads to, also by a link.
    ///
    /// # Errors
    /// The operating system's.
    pub fn at(path: &Path) -> io::Result<Self> {
        Ok(Self(statat(CWD, path, AtFlags::empty())?))
    }

    pub fn kind(&self) -> FileKind {
        match FileType::from_raw_mode(self.0.st_mode) {
            FileType::RegularFile => FileKind::File,
            FileType::Directory => FileKind::Folder,
            _ => FileKind::Other,
        }
    }

    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.0.st_dev, self.0.st_ino) == (other.0.st_dev, other.0.st_ino)
    }

    /// Whether nothing was written between the two.
    pub fn has_same_content(&self, other: &Self) -> bool {
        let content = |stat: &Stat| (stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
        content(&self.0) == content(&other.0)
    }

    pub fn has_more_names(&self) -> bool {
        self.0.st_nlink > 1
    }

    /// The number of its owner, where the system has such.
    pub fn owner(&self) -> Option<u32> {
        Some(self.0.st_uid)
    }

    /// Whether its owner may read and write it, where the system has such.
    pub fn owner_may_change(&self) -> Option<bool> {
        let needed = if self.kind() == FileKind::Folder { Mode::RWXU } else { Mode::RUSR | Mode::WUSR };
        Some(Mode::from_raw_mode(self.0.st_mode).contains(needed))
    }
}

/// The bytes of a path, as they are shown and stored.
pub fn path_bytes(path: &Path) -> Cow<'_, [u8]> {
    Cow::Borrowed(path.as_os_str().as_bytes())
}

/// The path that these bytes are.
pub fn path_of(bytes: &[u8]) -> Cow<'_, Path> {
    Cow::Borrowed(Path::new(OsStr::from_bytes(bytes)))
}

/// Asks for bbolt's lock without waiting (`bolt_unix.go`, `flock`).
///
/// # Errors
/// [`TryLockError::WouldBlock`] if another process has it.
pub fn try_lock(file: &File, exclusive: bool) -> Result<(), TryLockError> {
    if exclusive { file.try_lock() } else { file.try_lock_shared() }
}

/// Gives it back.
///
/// # Errors
/// The operating system's.
pub fn unlock(file: &File) -> io::Result<()> {
    file.unlock()
}

/// NFS makes a lock of fcntl(2) of it, for which the file must be open for writing.
pub fn lock_needs_writing(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::BADF.raw_os_error())
}

/// Reserves room for a new file.
///
/// # Errors
/// There is none.
pub fn reserve(file: &File, size: u64) -> io::Result<()> {
    match reserved(file, size) {
        // a file system that can't reserve: writing shows whether there is room
        Err(error) if error.kind() == io::ErrorKind::Unsupported => file.set_len(size),
        reserved => reserved,
    }
}

#[cfg(target_os = "linux")]
fn reserved(file: &File, size: u64) -> io::Result<()> {
    Ok(rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, size)?)
}

#[cfg(not(target_os = "linux"))]
fn reserved(_file: &File, _size: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What it says of its room; of one in memory without a limit, every number is 0.
#[expect(clippy::needless_pass_by_value, reason = "a result's value")]
fn room_of(found: StatVfs) -> Option<Room> {
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    (found.f_blocks > 0).then(|| Room { available: bytes(found.f_bavail), total: bytes(found.f_blocks) })
}

/// Whether a file system, or an older system, can't exchange names, or rename only if the name is free.
pub fn is_unsupported(error: &io::Error) -> bool {
    let unsupported = [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOTSUP].map(Errno::raw_os_error);
    error.kind() == io::ErrorKind::Unsupported
        || error.raw_os_error().is_some_and(|error| unsupported.contains(&error))
}
