//! From a path to bytes: opened read-only, locked as bbolt locks, mapped.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use memmap2::{Mmap, MmapOptions};
use thiserror::Error;

/// Whether to ask for bbolt's lock before reading.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Lock {
    /// Ask for it, shared and without waiting; refuse to read while somebody writes.
    #[default]
    Shared,
    /// Read all the same. What is read may be changing.
    None,
}

/// Why a file could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The operating system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A folder, a pipe, a device.
    #[error("is not a regular file")]
    NotAFile,
    /// Another process holds bbolt's lock, so it may be writing.
    #[error("is locked by {}", holder.as_deref().unwrap_or("another process"))]
    Locked {
        /// Who, where the system tells: `etcd (process 4711)`.
        holder: Option<String>,
    },
    /// The file system knows no such lock.
    #[error("could not be locked: {0}")]
    LockUnsupported(io::Error),
}

/// A file in memory, and the lock that it lives under, which is held until the last view of its bytes is gone.
#[derive(Clone, Debug)]
pub struct Mapping(Arc<LockedMap>);

#[derive(Debug)]
struct LockedMap {
    /// `None` for an empty file, which can't be mapped.
    map: Option<Mmap>,
    file: File,
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        self.0.map.as_deref().unwrap_or_default()
    }
}

impl Mapping {
    /// The bytes, as views that may outlive this.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        Bytes::from_owner(self.clone())
    }

    /// Brings a range of bytes into memory at once, rather than page by page as each is touched: half the cost, and
    /// one long read instead of many short ones where the file is not in the page cache.
    pub fn populate(&self, offset: u64, len: u64) {
        #[cfg(target_os = "linux")]
        if let (Some(map), Ok(offset), Ok(len)) = (&self.0.map, usize::try_from(offset), usize::try_from(len))
        {
            // only a hint: an older kernel refuses it, and the pages come when they are touched
            let _ = map.advise_range(
                memmap2::Advice::PopulateRead,
                offset,
                len.min(map.len().saturating_sub(offset)),
            );
        }
    }
}

impl Mapping {
    /// Who waits for an exclusive lock on this file: an etcd that was started meanwhile does, and would go on with this
    /// file, under whatever name it has by then. Processes of other users are seen by root only.
    #[must_use]
    pub fn waiting_for_lock(&self) -> Option<String> {
        lock_user(&self.0.file, Waiting::Yes).or_else(|| writer_of(&self.0.file))
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
    let file = File::open(path)?;
    if lock == Lock::Shared {
        match file.try_lock_shared() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::Locked { holder: lock_user(&file, Waiting::No) });
            }
            Err(TryLockError::Error(error)) => return Err(OpenError::LockUnsupported(error)),
        }
    }
    Ok(map_opened(file)?)
}

/// Maps a file that is open, read-only: one of our own, which nobody else knows, or one whose lock is held.
///
/// # Errors
/// The operating system's.
pub fn map_opened(file: File) -> io::Result<Mapping> {
    let map = if file.metadata()?.len() == 0 { None } else { Some(map(&file)?) };
    Ok(Mapping(Arc::new(LockedMap { map, file })))
}

#[expect(unsafe_code, reason = "the one place where a file becomes memory")]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the mapping is shared and read-only, and the bytes are only ever read as `&[u8]`. Rust asks that they
    // do not change meanwhile: bbolt's own lock, held by the caller, keeps every program that honours it from
    // writing; under `Lock::None` the user took that on. No number read is trusted twice: what was checked is used
    // from the value that was checked, or is checked again. Were the file cut short by another program meanwhile,
    // the kernel would end this one with SIGBUS; nothing has been written to the input by then.
    unsafe { MmapOptions::new().map(file) }
}

/// Whether a process has a lock, or would like to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Yes,
    No,
}

/// Who holds an exclusive lock on this file, or waits for one, by Linux' own table: `etcd (process 4711)`.
#[cfg(target_os = "linux")]
fn lock_user(file: &File, waiting: Waiting) -> Option<String> {
    use std::os::unix::fs::MetadataExt;

    let inode = file.metadata().ok()?.ino().to_string();
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    // "1: FLOCK ADVISORY WRITE 4711 fd:01:123456 0 EOF", and "1: -> FLOCK …" of who waits: the inode is the last part
    // of the word behind the process
    let pid = locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_waiting = words.get(1) == Some(&"->");
        let words = words.get(if is_waiting { 2.. } else { 1.. })?;
        let place = words.get(4)?;
        let ours = place.rsplit(':').next() == Some(inode.as_str()) && words.get(2) == Some(&"WRITE");
        words.get(3).copied().filter(|_| ours && is_waiting == (waiting == Waiting::Yes))
    })?;
    Some(process_name(pid))
}

/// Another process that has this file open for writing. bbolt does not wait for its lock in the kernel, where the table
/// of locks would show it, but asks again every 50 ms (bolt_unix.go, `flock`): nothing but its open file tells of it.
#[cfg(target_os = "linux")]
fn writer_of(file: &File) -> Option<String> {
    use std::os::unix::fs::MetadataExt;

    let identity = |metadata: &std::fs::Metadata| (metadata.dev(), metadata.ino());
    let ours = identity(&file.metadata().ok()?);
    let is_other = |pid: &String| pid.parse::<u32>().is_ok_and(|pid| pid != std::process::id());
    names_in("/proc").filter(is_other).find_map(|pid| {
        names_in(&format!("/proc/{pid}/fd")).find_map(|descriptor| {
            let open = std::fs::metadata(format!("/proc/{pid}/fd/{descriptor}")).ok()?;
            let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{descriptor}")).ok()?;
            // "flags:\t0100002", in octal digits: how open(2) was asked
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
            let flags = u32::from_str_radix(flags.trim(), 8).ok()?;
            // read-only is 0; for writing 1, for both 2
            (identity(&open) == ours && flags & 3 != 0).then(|| process_name(&pid))
        })
    })
}

#[cfg(target_os = "linux")]
fn names_in(folder: &str) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}

/// `etcd (process 4711)`.
#[cfg(target_os = "linux")]
fn process_name(pid: &str) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name = if name.trim().is_empty() { "a process" } else { name.trim() };
    format!("{name} (process {pid})")
}

#[cfg(not(target_os = "linux"))]
fn lock_user(_file: &File, _waiting: Waiting) -> Option<String> {
    None
}

#[cfg(not(target_os = "linux"))]
fn writer_of(_file: &File) -> Option<String> {
    None
}
