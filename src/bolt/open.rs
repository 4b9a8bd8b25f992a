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
    /// Ask for it as one who writes does: nobody else may read or write meanwhile. For a file that is to be replaced.
    Exclusive,
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
    /// Another process holds bbolt's lock: it may be writing, or, where the exclusive lock was asked for, reading.
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
    lock: Lock,
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
    /// The file itself.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.0.file
    }

    /// The lock that it is held under.
    #[must_use]
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
    let file = File::open(path)?;
    let file = match take_lock(&file, lock) {
        // NFS makes a lock of fcntl(2) of it, for which the file must be open for writing
        Err(OpenError::LockUnsupported(error)) if lock == Lock::Exclusive && is_not_for_writing(&error) => {
            let file = File::options().read(true).write(true).open(path)?;
            take_lock(&file, lock)?;
            file
        }
        taken => taken.map(|()| file)?,
    };
    let map = if file.metadata()?.len() == 0 { None } else { Some(map(&file)?) };
    Ok(Mapping(Arc::new(LockedMap { map, file, lock })))
}

fn is_not_for_writing(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::BADF.raw_os_error())
}

/// Asks for bbolt's lock on a file (bbolt's `bolt_unix.go`, `flock`), without waiting. It is held until the file is closed.
///
/// # Errors
/// [`OpenError::Locked`], [`OpenError::LockUnsupported`].
pub fn take_lock(file: &File, lock: Lock) -> Result<(), OpenError> {
    let taken = match lock {
        Lock::Shared => file.try_lock_shared(),
        Lock::Exclusive => file.try_lock(),
        Lock::None => Ok(()),
    };
    taken.map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::Locked { holder: lock_user(file, Waiting::No) },
        TryLockError::Error(error) => OpenError::LockUnsupported(error),
    })
}

/// Maps a file that is open, read-only: one of our own, which nobody else knows, or one whose lock is held.
///
/// # Errors
/// The operating system's.
pub fn map_opened(file: File) -> io::Result<Mapping> {
    let map = if file.metadata()?.len() == 0 { None } else { Some(map(&file)?) };
    Ok(Mapping(Arc::new(LockedMap { map, file, lock: Lock::None })))
}

/// Who else has this file open for writing, or waits for its lock. bbolt does not wait in the kernel, where the table of locks
/// would show it, but asks again every 50 ms (`bolt_unix.go`, `flock`), for as long as it takes: an etcd that was started
/// while this program has the lock goes on with this very file as soon as it is free, whatever name the file has by then.
/// `file` must be open for reading only.
#[must_use]
pub fn writer(file: &File) -> Option<String> {
    lock_user(file, Waiting::Yes).or_else(|| match is_open_for_writing(file) {
        Some(false) => None,
        Some(true) => Some(writer_in_proc(file).unwrap_or_else(|| "another process".to_owned())),
        None => writer_in_proc(file),
    })
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

/// Who holds a lock on this file, or waits for an exclusive one, by Linux' own table: `etcd (process 4711)`.
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
        let excludes = words.get(2) == Some(&"WRITE") || waiting == Waiting::No;
        let ours =
            place.rsplit(':').next() == Some(inode.as_str()) && words.first() == Some(&"FLOCK") && excludes;
        words.get(3).copied().filter(|_| ours && is_waiting == (waiting == Waiting::Yes))
    })?;
    Some(process_name(pid))
}

/// Whether anybody has this file open for writing, by the kernel's own count: it gives out a lease for reading only where
/// nobody has (fcntl(2), `F_SETLEASE`). `None` where it can't be asked: only for files of one's own or with `CAP_LEASE`, and
/// on local file systems.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "leases are asked for by fcntl(2), for which there is no safe function")]
fn is_open_for_writing(file: &File) -> Option<bool> {
    use std::os::fd::AsRawFd;

    // include/uapi/asm-generic/fcntl.h
    const F_SETSIG: libc::c_int = 10;
    // SAFETY: the descriptor is open for as long as `file` is borrowed; these commands take a number, and touch no memory.
    let set =
        |command: libc::c_int, number: libc::c_int| unsafe { libc::fcntl(file.as_raw_fd(), command, number) };
    // who opens it for writing while the lease is held sends a signal: not SIGIO, which would end this program, but one
    // that is ignored
    if set(F_SETSIG, libc::SIGURG) != 0 {
        return None;
    }
    if set(libc::F_SETLEASE, libc::F_RDLCK) == 0 {
        set(libc::F_SETLEASE, libc::F_UNLCK);
        return Some(false);
    }
    (io::Error::last_os_error().raw_os_error() == Some(libc::EAGAIN)).then_some(true)
}

/// Another process that has this file open for writing, by its list of open files. Those of other users are seen by root only,
/// those of other containers not at all.
#[cfg(target_os = "linux")]
fn writer_in_proc(file: &File) -> Option<String> {
    use std::os::unix::fs::MetadataExt;

    let identity = |metadata: &std::fs::Metadata| (metadata.dev(), metadata.ino());
    let ours = identity(&file.metadata().ok()?);
    let is_other = |pid: &String| pid.parse::<u32>().is_ok_and(|pid| pid != std::process::id());
    names_in("/proc").filter(is_other).find_map(|pid| {
        names_in(&format!("/proc/{pid}/fd")).find_map(|descriptor| {
            let open = std::fs::metadata(format!("/proc/{pid}/fd/{descriptor}")).ok()?;
            if identity(&open) != ours {
                return None;
            }
            let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{descriptor}")).ok()?;
            // "flags:\t0100002", in octal digits: how open(2) was asked
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
            let flags = u32::from_str_radix(flags.trim(), 8).ok()?;
            // read-only is 0; for writing 1, for both 2
            (flags & 3 != 0).then(|| process_name(&pid))
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
fn is_open_for_writing(_file: &File) -> Option<bool> {
    None
}

#[cfg(not(target_os = "linux"))]
fn writer_in_proc(_file: &File) -> Option<String> {
    None
}
