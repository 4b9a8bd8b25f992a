//! A db that a user named, opened.

#![warn(missing_docs)]

use std::path::{Path, PathBuf};

use crate::bolt::open::Lock;
use crate::bolt::{Db, probe};
use crate::owner::Owner;

use super::error::{Reason, SourceError};
use super::mapped::Mapped;

/// An opened file.
#[derive(Debug)]
pub struct DbFile {
    /// The path of the db itself.
    pub path: PathBuf,
    /// The db.
    pub db: Db,
    /// Whether it was read without a lock.
    pub read_without_lock: bool,
}

impl DbFile {
    /// Opens a db, a snapshot, or the db of a data dir.
    ///
    /// # Errors
    /// It does not exist, another program is writing to it, or it is no bbolt file.
    pub fn open(path: &Path, lock: Lock) -> Result<Self, SourceError> {
        let mapped = Mapped::open(path, lock)?;
        mapped.refuse_other_content()?;
        let Mapped { path, data, read_without_lock, .. } = mapped;
        let db = Db::of_mapping(data.clone()).map_err(|error| {
            let has_pages = probe::page_size_of(data.as_ref()).is_some();
            SourceError::new(&path, Reason::Format { error, has_pages })
        })?;
        Ok(Self { path, db, read_without_lock })
    }

    /// The program that the file belongs to.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner::of(&self.db).at(&self.path)
    }
}
