//! What Linux says of other users of a file.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

use super::Waiting;

/// Who holds a lock on this file, or waits for an exclusive one, by Linux' own table: `etcd (process 4711)`.
pub(super) fn lock_user(file: &File, waiting: Waiting) -> Option<String> {
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
#[expect(unsafe_code, reason = "leases are asked for by fcntl(2), for which there is no safe function")]
pub(super) fn is_open_for_writing(file: &File) -> Option<bool> {
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
pub(super) fn writer_in_proc(file: &File) -> Option<String> {
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

fn names_in(folder: &str) -> impl Iterator<Item = String> {
    let names = crate::platform::names_in(folder.as_ref()).into_iter().flatten().filter_map(Result::ok);
    names.map(|name| name.to_string_lossy().into_owned())
}

fn process_name(pid: &str) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name = if name.trim().is_empty() { "a process" } else { name.trim() };
    format!("{name} (process {pid})")
}
