//! The folder for what comes out, and the room in it.

use std::env;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FsWord, fstatfs, fstatvfs};

use super::error::UnpackError;
use crate::input::UnpackOptions;

/// The part of a disk that is left free.
const LEFT_FREE: u64 = 20;
/// File systems in memory (Linux, `include/uapi/linux/magic.h`): tmpfs and ramfs.
const IN_MEMORY: [FsWord; 2] = [0x0102_1994, 0x8584_58f6];

/// A folder in which a file without a name could be made.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) folder: PathBuf,
    pub(super) in_memory: bool,
}

impl Place {
    /// The folder that was asked for, or the first of the usual ones in which a file can be made; at last the packed file's own.
    pub(super) fn choose(beside: Option<&Path>, options: &UnpackOptions) -> Result<Self, UnpackError> {
        let folders = match &options.folder {
            Some(folder) => vec![folder.clone()],
            None => usual_folders(beside),
        };
        let mut failed = None;
        for folder in folders {
            match tempfile::tempfile_in(&folder) {
                Ok(file) => {
                    let in_memory = is_in_memory(&file);
                    return Ok(Self { folder, in_memory });
                }
                Err(error) => failed = Some(UnpackError::NoFolder { folder, error }),
            }
        }
        Err(failed.unwrap_or_else(|| UnpackError::NoFolder {
            folder: PathBuf::from("/tmp"),
            error: io::ErrorKind::NotFound.into(),
        }))
    }

    /// A file without a name in it.
    pub(super) fn file(&self) -> Result<File, UnpackError> {
        tempfile::tempfile_in(&self.folder).map_err(|error| self.failed(error))
    }

    /// Refuses to write so many bytes more, if that would take the last part of the disk.
    pub(super) fn need(&self, file: &File, bytes: u64) -> Result<(), UnpackError> {
        // a file system that does not say what it has is full when it says so
        let Ok(disk) = fstatvfs(file) else { return Ok(()) };
        let left = disk.f_bavail.saturating_sub(disk.f_blocks.checked_div(LEFT_FREE).unwrap_or(0));
        if left.saturating_mul(disk.f_frsize) < bytes {
            return Err(UnpackError::NoSpace { folder: self.folder.clone() });
        }
        Ok(())
    }

    pub(super) fn failed(&self, error: io::Error) -> UnpackError {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                UnpackError::NoSpace { folder: self.folder.clone() }
            }
            _ => UnpackError::Write { folder: self.folder.clone(), error },
        }
    }
}

fn usual_folders(beside: Option<&Path>) -> Vec<PathBuf> {
    let named = env::var_os("TMPDIR").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let beside = beside.map(|folder| match folder.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => folder.to_owned(),
    });
    named.into_iter().chain(["/var/tmp", "/tmp"].map(PathBuf::from)).chain(beside).collect()
}

fn is_in_memory(file: &File) -> bool {
    fstatfs(file).is_ok_and(|of| IN_MEMORY.contains(&of.f_type))
}
