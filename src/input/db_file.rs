//! A db that a user named, opened.

#![warn(missing_docs)]

use std::path::{Path, PathBuf};

use crate::bolt::{Db, probe};
use crate::etcd::trailer::{self, Trailer};
use crate::owner::Owner;

use super::OpenOptions;
use super::error::{Reason, SourceError};
use super::mapped::Mapped;
use super::packed::Packed;

/// An opened file.
#[derive(Debug)]
pub struct DbFile {
    /// The path of the db itself.
    pub path: PathBuf,
    /// The db.
    pub db: Db,
    /// Whether it was read without a lock.
    pub read_without_lock: bool,
    /// What it was unpacked from, if it was packed.
    pub packed: Option<Packed>,
}

impl DbFile {
    /// Opens a db, a snapshot, or the db of a data dir.
    ///
    /// # Errors
    /// It does not exist, another program is writing to it, or it is no bbolt file.
    pub fn open(path: &Path, options: &OpenOptions, progress: &dyn Fn(u64)) -> Result<Self, SourceError> {
        let mapped = Mapped::open(path, options, progress)?;
        mapped.refuse_other_content()?;
        let Mapped { path, data, read_without_lock, packed, .. } = mapped;
        let db = Db::of_mapping(data.clone()).map_err(|error| {
            let has_pages = probe::page_size_of(data.as_ref()).is_some();
            SourceError::new(&path, Reason::Format { error, has_pages })
        })?;
        Ok(Self { path, db, read_without_lock, packed })
    }

    /// Whether there is a snapshot's trailer, and whether it is right: reads the whole file, unless that was done while it was
    /// unpacked.
    #[must_use]
    pub fn trailer(&self) -> Trailer {
        let on_the_way = self.packed.as_ref().and_then(|packed| packed.trailer);
        on_the_way.unwrap_or_else(|| trailer::verify(self.db.data()))
    }

    /// The program that the file belongs to.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner::of(&self.db).at(&self.path)
    }
}
