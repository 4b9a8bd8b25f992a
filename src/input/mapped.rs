//! From a path that a user named to bytes: the path resolved, the lock taken, the bytes mapped.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::bolt::open::{Lock, Mapping, OpenError, map_file, map_opened};
use crate::content;
use crate::content::folder::FolderContent;
use crate::etcd::data_dir;
use crate::processes;

use super::error::{Reason, SourceError};
use super::readable;

/// The bytes of a file.
#[derive(Debug)]
pub struct Mapped {
    /// The path of the file itself, also where a data dir was named.
    pub path: PathBuf,
    pub data: Mapping,
    /// Parts that the disk did not give, as (byte offset, bytes): they are zeros here.
    pub unreadable: Vec<(u64, u64)>,
    pub read_without_lock: bool,
}

impl Mapped {
    /// Maps a db, a snapshot, or the db of a data dir.
    ///
    /// # Errors
    /// It does not exist, or another program is writing to it.
    pub fn open(path: &Path, lock: Lock) -> Result<Self, SourceError> {
        let path = data_dir::resolve(path).map_err(|error| {
            let reason = match path.is_dir() {
                true => Reason::Folder { error, folder: FolderContent::of(path) },
                false => Reason::Io(error),
            };
            SourceError::new(path, reason)
        })?;
        let data = map_file(&path, lock).map_err(|error| {
            let reason = match error {
                OpenError::Locked => Reason::Locked { by: processes::lock_holder(&path) },
                error => Reason::Open(error),
            };
            SourceError::new(&path, reason)
        })?;
        Ok(Self { path, data, unreadable: Vec::new(), read_without_lock: lock == Lock::None })
    }

    /// The same, from a copy of what a failing disk still gives: a file without a name in this folder. Not one byte of the mapping
    /// is touched, as what the disk does not give would end the program.
    ///
    /// # Errors
    /// The copy can't be written, or the disk gives nothing.
    pub fn readable(self, folder: &Path, progress: &dyn Fn(u64)) -> Result<Self, SourceError> {
        let scratch = |error| SourceError::new(folder, Reason::Scratch(error));
        let read_at = |part: &mut [u8], offset| self.data.file().read_at(part, offset);
        let size = self.size();
        let found = readable::copy(&read_at, size, folder, progress).map_err(scratch)?;
        if size > 0 && found.unreadable == [(0, size)] {
            return Err(SourceError::new(&self.path, Reason::Disk { size }));
        }
        let data = map_opened(found.copy).map_err(scratch)?;
        Ok(Self { data, unreadable: found.unreadable, ..self })
    }

    /// Refuses what is no db, sound or damaged: every command says the same of it.
    ///
    /// # Errors
    /// What it is.
    pub fn refuse_other_content(&self) -> Result<(), SourceError> {
        let content = content::of(self.data.as_ref());
        content.map_or(Ok(()), |content| Err(SourceError::new(&self.path, Reason::Content(content))))
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.data.as_ref().len() as u64
    }
}
