//! From a path to bytes: opened read-only, locked as bbolt locks, mapped.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use memmap2::{Mmap, MmapOptions};
use thiserror::Error;

use crate::platform::{self, memory};

use super::lock::{Lock, LockedFile};

/// Why a file could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The operating system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A folder, a pipe, a device.
    #[error("is not a regular file")]
    NotAFile,
    /// Another process holds bbolt's lock: it may be writing, or, where the exclusive lock was asked for, reading.
    #[error("is locked by another process")]
    Locked,
    /// The file system knows no such lock.
    #[error("could not be locked: {0}")]
    LockUnsupported(io::Error),
}

impl From<TryLockError> for OpenError {
    fn from(error: TryLockError) -> Self {
        match error {
            TryLockError::WouldBlock => Self::Locked,
            TryLockError::Error(error) => Self::LockUnsupported(error),
        }
    }
}

/// A file in memory, and the lock that it lives under, which is held until the last view of its bytes is gone.
#[derive(Clone, Debug)]
pub struct Mapping(Arc<LockedMap>);

#[derive(Debug)]
struct LockedMap {
    /// `None` for an empty file, which can't be mapped.
    map: Option<Mmap>,
    file: LockedFile,
    lock: Lock,
}

impl Drop for LockedMap {
    fn drop(&mut self) {
        self.map.iter_mut().for_each(memory::release);
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        self.0.map.as_deref().unwrap_or_default()
    }
}

impl Mapping {
    /// The bytes, as views that may outlive this.
    pub fn bytes(&self) -> Bytes {
        Bytes::from_owner(self.clone())
    }

    /// Brings a range of bytes into memory at once, where the system has a way to.
    pub fn populate(&self, offset: u64, len: u64) {
        if let Some(map) = &self.0.map {
            memory::populate(map, offset, len);
        }
    }
}

impl Mapping {
    pub fn file(&self) -> &File {
        &self.0.file
    }

    /// The file, whose lock may be held for longer than its bytes are read.
    pub fn locked_file(&self) -> LockedFile {
        self.0.file.clone()
    }

    /// The lock that it is held under.
    pub fn lock(&self) -> Lock {
        self.0.lock
    }
}

/// Maps the file at `path` read-only.
///
/// # Errors
/// See [`OpenError`]; nothing is ever written, created or waited for.
pub fn map_file(path: &Path, lock: Lock) -> Result<Mapping, OpenError> {
    // asked before opening: to open a pipe would wait for its writer
    if !path.metadata()?.is_file() {
        return Err(OpenError::NotAFile);
    }
    let file = LockedFile::from(File::open(path)?);
    let file = match file.take(lock).map_err(OpenError::from) {
        Err(OpenError::LockUnsupported(error))
            if lock == Lock::Exclusive && platform::lock_needs_writing(&error) =>
        {
            let file = LockedFile::from(File::options().read(true).write(true).open(path)?);
            file.take(lock)?;
            file
        }
        taken => taken.map(|()| file)?,
    };
    let map = if file.metadata()?.len() == 0 { None } else { Some(map(&file)?) };
    Ok(Mapping(Arc::new(LockedMap { map, file, lock })))
}

/// Maps a file that is open, read-only: one of our own, which nobody else knows, or one whose lock is held.
///
/// # Errors
/// The operating system's.
pub fn map_opened(file: File) -> io::Result<Mapping> {
    let map = if file.metadata()?.len() == 0 { None } else { Some(map(&file)?) };
    Ok(Mapping(Arc::new(LockedMap { map, file: file.into(), lock: Lock::None })))
}

#[expect(unsafe_code, reason = "the one place where a file becomes memory")]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the mapping is shared and read-only, and the bytes are only ever read as `&[u8]`. Rust asks that they
    // do not change meanwhile: bbolt's own lock, held by the caller, keeps every program that honours it from
    // writing; under `Lock::None` the user took that on. No number read is trusted twice: what was checked is used
    // from the value that was checked, or is checked again. Were the file cut short by another program meanwhile,
    // the system would end this one (Unix: SIGBUS); nothing has been written to the input by then.
    unsafe { MmapOptions::new().map(file) }
}
