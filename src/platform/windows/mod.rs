//! Windows.

mod folder;
mod lock;
#[cfg(feature = "cli")]
pub mod signals;
#[cfg(feature = "packed")]
mod temporary;

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use winapi_util::file::{Information, information};

pub use folder::{FolderHandle, names_in};
pub use lock::{try_lock, unlock};
#[cfg(feature = "packed")]
pub use temporary::*;

use super::{FileKind, Room};

// windows-sys: Win32::Storage::FileSystem
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
const FILE_ATTRIBUTE_DIRECTORY: u64 = 0x10;
const FILE_ATTRIBUTE_DEVICE: u64 = 0x40;
const FILE_ATTRIBUTE_REPARSE_POINT: u64 = 0x400;
const FILE_SHARE_READ: u32 = 1;
const FILE_SHARE_WRITE: u32 = 2;

/// Reads and writes at an offset. Each moves the file's own position, which nothing here uses.
pub trait FileAt {
    /// # Errors
    /// The operating system's.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// # Errors
    /// The operating system's.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// # Errors
    /// The operating system's.
    fn write_all_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_at(bytes, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    bytes = bytes.get(written..).unwrap_or_default();
                    offset = offset.saturating_add(written as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl FileAt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.seek_read(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.seek_write(bytes, offset)
    }
}

/// What is known of a file without reading it.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    attributes: u64,
    /// The volume's number, and the file's in it.
    identity: (u64, u64),
    /// Bytes, and when they were last written, in units of 100 ns.
    content: (u64, Option<u64>),
    names: u64,
}

impl From<Information> for Facts {
    fn from(of: Information) -> Self {
        Self {
            attributes: of.file_attributes(),
            identity: (of.volume_serial_number(), of.file_index()),
            content: (of.file_size(), of.last_write_time()),
            names: of.number_of_links(),
        }
    }
}

impl Facts {
    /// # Errors
    /// The operating system's.
    pub fn of(file: &File) -> io::Result<Self> {
        Ok(information(file)?.into())
    }

    /// Of the file that a path leads to, also by a link.
    ///
    /// # Errors
    /// The operating system's.
    pub fn at(path: &Path) -> io::Result<Self> {
        Self::of(&open_any(path, 0)?)
    }

    /// The same, but of a link itself.
    fn at_link(path: &Path) -> io::Result<Self> {
        Self::of(&open_any(path, FILE_FLAG_OPEN_REPARSE_POINT)?)
    }

    pub fn kind(&self) -> FileKind {
        let is = |attribute| self.attributes & attribute != 0;
        if is(FILE_ATTRIBUTE_REPARSE_POINT) || is(FILE_ATTRIBUTE_DEVICE) {
            FileKind::Other
        } else if is(FILE_ATTRIBUTE_DIRECTORY) {
            FileKind::Folder
        } else {
            FileKind::File
        }
    }

    pub fn is_same_file(&self, other: &Self) -> bool {
        self.identity == other.identity
    }

    /// Whether nothing was written between the two.
    pub fn has_same_content(&self, other: &Self) -> bool {
        self.content == other.content
    }

    pub fn has_more_names(&self) -> bool {
        self.names > 1
    }

    /// The number of its owner, where the system has such.
    pub fn owner(&self) -> Option<u32> {
        None
    }

    /// Whether its owner may read and write it, where the system has such.
    pub fn owner_may_change(&self) -> Option<bool> {
        None
    }
}

/// A file or a folder, opened only to be asked about.
fn open_any(path: &Path, flags: u32) -> io::Result<File> {
    File::options().access_mode(0).custom_flags(FILE_FLAG_BACKUP_SEMANTICS | flags).open(path)
}

/// The bytes of a path, as they are shown and stored: with `/` between folders, as commands on all systems take it.
pub fn path_bytes(path: &Path) -> Cow<'_, [u8]> {
    let bytes = path.as_os_str().as_encoded_bytes();
    // in `\\?\C:\db` it is no separator
    if !bytes.contains(&b'\\') || bytes.starts_with(br"\\") {
        return Cow::Borrowed(bytes);
    }
    Cow::Owned(bytes.iter().map(|&byte| if byte == b'\\' { b'/' } else { byte }).collect())
}

/// The path that these bytes are. What is no Unicode in it is replaced.
pub fn path_of(bytes: &[u8]) -> Cow<'_, Path> {
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => Cow::Borrowed(Path::new(text)),
        Cow::Owned(text) => Cow::Owned(text.into()),
    }
}

/// No file must be open for writing to be locked.
pub fn lock_needs_writing(_error: &io::Error) -> bool {
    false
}

/// Reserves room for a new file.
///
/// # Errors
/// There is none.
pub fn reserve(file: &File, size: u64) -> io::Result<()> {
    file.set_len(size)
}

/// A new file has the rights of its folder, as any has.
///
/// # Errors
/// None.
pub fn copy_attributes(_from: &File, _to: &File, _in_place: bool) -> io::Result<Vec<String>> {
    Ok(Vec::new())
}

/// The room on the file system of a file in `folder`; `None` where it does not say.
pub fn room(_file: &File, folder: &Path) -> Option<Room> {
    let found = fs4::statvfs(folder).ok()?;
    Some(Room { available: found.available_space(), total: found.total_space() })
}

/// Whether a system can't exchange names.
pub fn is_unsupported(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}
