//! How a file is opened.

#![warn(missing_docs)]

use std::path::PathBuf;

use crate::bolt::lock::Lock;

/// How a file is opened.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct OpenOptions {
    /// Whether to ask for bbolt's lock.
    pub lock: Lock,
    /// What is done with a packed file.
    pub unpack: UnpackOptions,
    /// Whether the path `-` means standard input.
    pub standard_input: bool,
}

impl From<Lock> for OpenOptions {
    fn from(lock: Lock) -> Self {
        Self { lock, ..Self::default() }
    }
}

/// Limits for a packed file, and where what comes out of it goes.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct UnpackOptions {
    /// The folder for what comes out. Where none is named: `$TMPDIR`, `/var/tmp`, `/tmp`, or the folder of the packed file, the
    /// first in which a file can be made.
    pub folder: Option<PathBuf>,
    /// The most bytes that may come out, all layers and all files of an archive together.
    pub max_unpacked: u64,
    /// The largest window of a compressed file, in bytes, which its decoder holds in memory. Where none is named: 128 MiB for
    /// zstd, and 64 MiB for xz.
    pub max_window: Option<u64>,
    /// The file of an archive that is meant, by its path in it.
    pub member: Option<String>,
}

impl Default for UnpackOptions {
    /// At most 64 GiB come out: eight times the largest quota that etcd's documentation advises.
    fn default() -> Self {
        Self { folder: None, max_unpacked: 64 << 30, max_window: None, member: None }
    }
}
