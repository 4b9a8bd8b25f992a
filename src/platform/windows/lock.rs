//! bbolt's lock (bbolt's `bolt_windows.go`, `flock`): of one byte that no file has, so that nobody is kept from reading. Rust's own
//! `File::lock` locks all others, against reading, too.

use std::fs::{File, TryLockError};
use std::io;
use std::os::windows::io::AsRawHandle;

use windows_sys::Win32::Foundation::{ERROR_IO_PENDING, ERROR_LOCK_VIOLATION};
use windows_sys::Win32::Storage::FileSystem::{
    LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx, UnlockFileEx,
};
use windows_sys::Win32::System::IO::OVERLAPPED;

fn locked_byte() -> OVERLAPPED {
    let mut at = OVERLAPPED::default();
    at.Anonymous.Anonymous.Offset = u32::MAX;
    at.Anonymous.Anonymous.OffsetHigh = u32::MAX;
    at
}

/// Asks for bbolt's lock without waiting.
///
/// # Errors
/// [`TryLockError::WouldBlock`] if another process has it.
#[expect(unsafe_code, reason = "no safe function locks a byte of choice")]
pub fn try_lock(file: &File, exclusive: bool) -> Result<(), TryLockError> {
    let flags = LOCKFILE_FAIL_IMMEDIATELY | if exclusive { LOCKFILE_EXCLUSIVE_LOCK } else { 0 };
    let mut at = locked_byte();
    // SAFETY: the handle is open for as long as `file` is borrowed, and was opened for calls that wait: `at` is not used after it.
    let locked = unsafe { LockFileEx(file.as_raw_handle(), flags, 0, 1, 0, &raw mut at) };
    if locked != 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error().map(i32::cast_unsigned) {
        Some(ERROR_LOCK_VIOLATION | ERROR_IO_PENDING) => Err(TryLockError::WouldBlock),
        _ => Err(TryLockError::Error(error)),
    }
}

/// Gives it back.
///
/// # Errors
/// The operating system's.
#[expect(unsafe_code, reason = "no safe function unlocks a byte of choice")]
pub fn unlock(file: &File) -> io::Result<()> {
    let mut at = locked_byte();
    // SAFETY: as in `try_lock`.
    let unlocked = unsafe { UnlockFileEx(file.as_raw_handle(), 0, 1, 0, &raw mut at) };
    if unlocked == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
