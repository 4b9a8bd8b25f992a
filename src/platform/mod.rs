//! What systems do differently. Each name here means the same on all of them:
//!
//! | name | what it is | where a system can't do it |
//! |---|---|---|
//! | [`FileAt`] | reads and writes at an offset | |
//! | [`Facts`] | what a file is, its identity, whether it was written to | |
//! | [`FolderHandle`] | an open folder, and names in it | Windows: by paths, and names are exchanged in three steps |
//! | [`names_in`] | the names in a folder | |
//! | [`try_lock`], [`unlock`] | bbolt's lock | |
//! | [`reserve`], [`room`] | space on the disk | it is only tried |
//! | [`copy_attributes`] | mode, owner and extended attributes | Windows: a file has those of its folder |
//! | [`path_bytes`], [`path_of`] | a path as bytes | |
//! | [`memory`] | hints about mapped pages | nothing is done |
//! | [`processes`] | who else uses a file | only Linux says who |
//! | [`signals`] | what ends the program | Windows: Ctrl-C and a closed console; a bad disk ends it without a message |
//!
//! Nothing else in the crate has code for one system only. `unsafe` is here where a system's function has no safe one.

#[cfg_attr(not(target_os = "linux"), path = "memory_without_hints.rs")]
pub mod memory;
pub mod processes;

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;

/// What a name in a folder is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileKind {
    File,
    Folder,
    /// A link, a device, a pipe.
    Other,
}

/// Who may read a new file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Readers {
    Owner,
    /// Anybody, as far as the user's settings (umask) allow.
    Anybody,
}

/// Bytes of a file system.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// What this user may still write.
    pub available: u64,
    pub total: u64,
}
