//! The folder for what comes out, and the room in it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::error::UnpackError;
use crate::input::UnpackOptions;
use crate::platform;

/// The part of a disk that is left free.
const LEFT_FREE: u64 = 20;
/// A folder in which a file without a name could be made.
#[derive(Debug)]
pub(super) struct SpoolFolder {
    pub(super) folder: PathBuf,
    pub(super) in_memory: bool,
}

impl SpoolFolder {
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
                    let in_memory = platform::is_in_memory(&file);
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
        let Some(room) = platform::room(file, &self.folder) else { return Ok(()) };
        let left = room.available.saturating_sub(room.total.checked_div(LEFT_FREE).unwrap_or(0));
        if left < bytes {
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
    let beside = beside.map(|folder| match folder.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => folder.to_owned(),
    });
    platform::temporary_folders().into_iter().chain(beside).collect()
}
