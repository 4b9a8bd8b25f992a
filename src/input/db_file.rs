//! A db that a user named, opened.

#![warn(missing_docs)]

use std::path::{Path, PathBuf};

use crate::bolt::{Db, probe};
use crate::etcd::trailer::{self, Trailer};
use crate::owner::Owner;

use super::OpenOptions;
use super::beside::DbPlace;
use super::error::{Reason, SourceError};
use super::mapped::Mapped;
use super::named::Named;
use super::packed::{Packed, UnpackedLog};

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
    /// The log of its member, if the db came out of an archive from a member's place.
    pub log: Option<UnpackedLog>,
    /// How it was named.
    pub named: Named,
}

impl DbFile {
    /// Opens a db, a snapshot, or the db of a data dir.
    ///
    /// # Errors
    /// It does not exist, another program is writing to it, or it is no bbolt file.
    pub fn open(path: &Path, options: &OpenOptions, progress: &dyn Fn(u64)) -> Result<Self, SourceError> {
        Self::of_mapped(Mapped::open(path, options, progress)?)
    }

    /// A db whose bytes are mapped.
    ///
    /// # Errors
    /// It is no bbolt file.
    pub(super) fn of_mapped(mapped: Mapped) -> Result<Self, SourceError> {
        mapped.refuse_other_content()?;
        let Mapped { path, data, read_without_lock, packed, log, named, .. } = mapped;
        let db = Db::of_mapping(data.clone()).map_err(|error| {
            let has_pages = probe::page_size_of(data.as_ref()).is_some();
            SourceError::of(&named, Reason::Format { error, has_pages })
        })?;
        Ok(Self { path, db, read_without_lock, packed, log, named })
    }

    /// Whether there is a snapshot's trailer, and whether it is right: reads the whole file, unless that was done while it was
    /// unpacked.
    #[must_use]
    pub fn trailer(&self) -> Trailer {
        let on_the_way = self.packed.as_ref().and_then(|packed| packed.trailer);
        on_the_way.unwrap_or_else(|| trailer::verify(self.db.data()))
    }

    /// Where it is: what is beside it depends on that.
    #[must_use]
    pub fn place(&self) -> DbPlace<'_> {
        DbPlace { path: &self.path, unpacked: self.log.as_ref(), limits: Some(&self.named.unpack) }
    }

    /// The program that the file belongs to.
    #[must_use]
    pub fn owner(&self) -> Owner {
        match Owner::of(&self.db) {
            Owner::Unknown if self.log.is_some() => Owner::Etcd,
            owner => owner.at(&self.path),
        }
    }
}
