//! bbolt's lock on a file.

use std::fs::{File, TryLockError};
use std::ops::Deref;
use std::sync::Arc;

use crate::platform;

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

/// An open file, and the lock that was taken on it. The lock is given back when the last clone is dropped. To close the file alone
/// is not enough: a process that is just being started has all of its parent's files, and their locks, until its program begins.
#[derive(Clone, Debug)]
pub struct LockedFile(Arc<Held>);

#[derive(Debug)]
struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        // the file is closed in any case
        let _ = platform::unlock(&self.0);
    }
}

impl From<File> for LockedFile {
    fn from(file: File) -> Self {
        Self(Arc::new(Held(file)))
    }
}

impl Deref for LockedFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0.0
    }
}

impl LockedFile {
    /// Asks for the lock, without waiting.
    ///
    /// # Errors
    /// [`TryLockError::WouldBlock`] if another process has it; the operating system's, also where a file system knows no locks.
    pub fn take(&self, lock: Lock) -> Result<(), TryLockError> {
        match lock {
            Lock::Shared => platform::try_lock(self, false),
            Lock::Exclusive => platform::try_lock(self, true),
            Lock::None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a process has it that is being started: by a second descriptor of the same open file.
    #[test]
    fn a_lock_ends_with_its_file_though_another_process_has_the_file_open() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("db");
        for (held, wanted) in [(Lock::Exclusive, Lock::Shared), (Lock::Shared, Lock::Exclusive)] {
            let held_file = LockedFile::from(File::create(&path).expect("made"));
            held_file.take(held).expect("free");
            let inherited = held_file.try_clone().expect("a second descriptor");
            let wants = LockedFile::from(File::options().read(true).write(true).open(&path).expect("opened"));
            let clone = held_file.clone();
            drop(held_file);
            assert!(matches!(wants.take(wanted), Err(TryLockError::WouldBlock)), "a clone still holds it");
            drop(clone);
            wants.take(wanted).expect("free again");
            drop(inherited);
        }
    }
}
