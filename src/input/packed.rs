//! What a db was unpacked from.

#![warn(missing_docs)]

use std::path::PathBuf;

use crate::etcd::trailer::Trailer;

/// A packed file: what came out of it, and where that is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packed {
    /// The path of the db in the archives that it was in; empty where there was none.
    pub member: String,
    /// Whether the 32 bytes at its end are the SHA-256 of the rest; `None` where that was not looked at on the way.
    pub trailer: Option<Trailer>,
    /// The folder that the unpacked file is in, without a name.
    pub folder: PathBuf,
    /// Whether that folder is in memory.
    pub in_memory: bool,
}
