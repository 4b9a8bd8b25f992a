//! What a defrag is asked to do.

#![warn(missing_docs)]

use std::path::PathBuf;

use crate::copy::{Destination, Layout};
use crate::etcd::trailer;
use crate::input::DbFile;

use super::changes::Wish;

/// What is to be done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DefragRequest {
    /// Where the copy goes.
    pub destination: Destination,
    /// What is to be different from the source.
    pub wish: Wish,
    /// How it is laid out.
    pub layout: Layout,
    /// Whether to compare the copy with its source.
    pub verify: bool,
    /// Whether to do nothing but plan.
    pub dry_run: bool,
    /// Whether to append a SHA-256, as snapshots have it.
    pub snapshot: bool,
    /// Whether to take a snapshot whose SHA-256 is not its own.
    pub skip_hash_check: bool,
    /// Where the member's log lies, if not beside its db.
    pub wal_dir: Option<PathBuf>,
}

impl DefragRequest {
    /// A verified copy at this path, which nothing has yet.
    pub fn to(path: impl Into<PathBuf>) -> Self {
        Self::at(Destination::File { path: path.into(), force: false })
    }

    /// A verified copy that replaces the file, which is kept under another name.
    #[must_use]
    pub fn in_place() -> Self {
        Self::at(Destination::InPlace { keep_old: true })
    }

    /// A verified copy there.
    #[must_use]
    pub fn at(destination: Destination) -> Self {
        Self {
            destination,
            wish: Wish::default(),
            layout: Layout::default(),
            verify: true,
            dry_run: false,
            snapshot: false,
            skip_hash_check: false,
            wal_dir: None,
        }
    }

    /// What that means for this source: what replaces a snapshot is one, too, and what goes nowhere is a dry run.
    pub(super) fn settled(&self, source: &DbFile) -> Self {
        let is_snapshot = trailer::trailer_size(source.db.file_size()) > 0;
        Self {
            snapshot: self.snapshot || (self.destination.is_in_place() && is_snapshot),
            dry_run: self.dry_run || self.destination == Destination::Nowhere,
            ..self.clone()
        }
    }
}
