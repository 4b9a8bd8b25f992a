//! From a path that a user named to bytes: the path resolved, the lock taken, the bytes mapped.

#[cfg(feature = "packed")]
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::bolt::lock::Lock;
use crate::bolt::open::{Mapping, OpenError, map_file, map_opened};
use crate::content;
#[cfg(feature = "packed")]
use crate::content::FileContent;
use crate::content::folder::FolderContent;
use crate::etcd::data_dir;
use crate::platform::FileAt;
use crate::platform::processes;

use super::OpenOptions;
use super::error::{Reason, SourceError};
use super::named::Named;
use super::packed::{Packed, UnpackedLog};
use super::readable;
#[cfg(feature = "packed")]
use super::unpack::{self, Unpacked};

/// The bytes of a file.
#[derive(Clone, Debug)]
pub struct Mapped {
    /// The path of the file itself, also where a data dir was named.
    pub path: PathBuf,
    pub data: Mapping,
    /// Parts that the disk did not give, as (byte offset, bytes): they are zeros here.
    pub unreadable: Vec<(u64, u64)>,
    pub read_without_lock: bool,
    /// What it was unpacked from, if it was packed.
    pub packed: Option<Packed>,
    /// The log of its member, if the db came out of an archive from a member's place.
    pub log: Option<UnpackedLog>,
    pub named: Named,
}

impl Mapped {
    /// Maps a db, a snapshot, or the db of a data dir; what is packed is unpacked first, and `progress` is told the bytes that
    /// came out.
    ///
    /// # Errors
    /// It does not exist, another program is writing to it, or it is packed and no db came out.
    pub fn open(path: &Path, options: &OpenOptions, progress: &dyn Fn(u64)) -> Result<Self, SourceError> {
        #[cfg(feature = "packed")]
        if options.standard_input && path == Path::new("-") {
            return Self::of_standard_input(options, progress);
        }
        Self::of_file(path, options)?.unpacked(options, progress)
    }

    #[cfg(feature = "packed")]
    fn of_standard_input(options: &OpenOptions, progress: &dyn Fn(u64)) -> Result<Self, SourceError> {
        let named = Named::new(Path::new("-"), options);
        let unpacked = unpack::of_stream(&mut std::io::stdin().lock(), &options.unpack, progress)
            .map_err(|error| SourceError::of(&named, Reason::Unpack(error)))?;
        Self::of_unpacked(named, unpacked)
    }

    /// What comes out of it, if it is packed.
    ///
    /// # Errors
    /// No db comes out of it.
    pub fn unpacked(self, options: &OpenOptions, progress: &dyn Fn(u64)) -> Result<Self, SourceError> {
        #[cfg(feature = "packed")]
        if let Some(FileContent::Packed { packing, .. }) = content::of(self.data.as_ref())
            && packing.can_be_unpacked()
        {
            let named = Named { packing: Some(packing), ..self.named };
            let unpacked = unpack::of_bytes(&self.path, self.data.as_ref(), &options.unpack, progress)
                .map_err(|error| SourceError::of(&named, Reason::Unpack(error)))?;
            let unpacked = Self::of_unpacked(named, unpacked)?;
            return Ok(Self { read_without_lock: self.read_without_lock, ..unpacked });
        }
        let _ = (options, progress);
        Ok(self)
    }

    #[cfg(feature = "packed")]
    fn of_unpacked(named: Named, unpacked: Unpacked) -> Result<Self, SourceError> {
        let unpacked = unpacked.into_db();
        let (file, from, log) = unpacked.map_err(|error| SourceError::of(&named, Reason::Unpack(error)))?;
        Self::of_parts(named, file, from, log)
    }

    /// Of a db that came out of a packed file.
    #[cfg(feature = "packed")]
    pub(super) fn of_parts(
        named: Named,
        file: File,
        from: Packed,
        log: Option<UnpackedLog>,
    ) -> Result<Self, SourceError> {
        let data = map_opened(file).map_err(|error| SourceError::of(&named, Reason::Scratch(error)))?;
        let (path, packed) = (named.path.clone(), Some(from));
        Ok(Self { path, data, unreadable: Vec::new(), read_without_lock: false, packed, log, named })
    }

    /// Maps a db, a snapshot, the db of a data dir, or a packed file, and touches none of its bytes.
    ///
    /// # Errors
    /// It does not exist, or another program is writing to it.
    pub fn of_file(path: &Path, options: &OpenOptions) -> Result<Self, SourceError> {
        let lock = options.lock;
        let path = data_dir::resolve(path).map_err(|error| {
            let reason = match path.is_dir() {
                true => Reason::Folder { error, folder: FolderContent::of(path) },
                false => Reason::Io(error),
            };
            SourceError::new(path, reason)
        })?;
        let data = map_file(&path, lock).map_err(|error| {
            let reason = match error {
                OpenError::Locked => Reason::Locked { by: processes::lock_holder(&path) },
                error => Reason::Open(error),
            };
            SourceError::new(&path, reason)
        })?;
        let read_without_lock = lock == Lock::None;
        let named = Named { is_standard_input: false, ..Named::new(&path, options) };
        Ok(Self { path, data, unreadable: Vec::new(), read_without_lock, packed: None, log: None, named })
    }

    /// The same, from a copy of what a failing disk still gives: a file without a name in this folder. Not one byte of the mapping
    /// is touched, as what the disk does not give would end the program.
    ///
    /// # Errors
    /// The copy can't be written, or the disk gives nothing.
    pub fn readable(self, folder: &Path, progress: &dyn Fn(u64)) -> Result<Self, SourceError> {
        let scratch = |error| SourceError::new(folder, Reason::Scratch(error));
        let read_at = |part: &mut [u8], offset| self.data.file().read_at(part, offset);
        let size = self.size();
        let found = readable::copy(&read_at, size, folder, progress).map_err(scratch)?;
        if size > 0 && found.unreadable == [(0, size)] {
            return Err(SourceError::new(&self.path, Reason::Disk { size }));
        }
        let data = map_opened(found.copy).map_err(scratch)?;
        Ok(Self { data, unreadable: found.unreadable, ..self })
    }

    /// Refuses what is no db, sound or damaged, and a file of an archive where there is none: every command says the same of it.
    ///
    /// # Errors
    /// What it is.
    pub fn refuse_other_content(&self) -> Result<(), SourceError> {
        if let Some(content) = content::of(self.data.as_ref()) {
            return Err(SourceError::of(&self.named, Reason::Content(content)));
        }
        let is_of_archive = self.packed.as_ref().is_some_and(|packed| !packed.member.is_empty());
        match self.named.unpack.member.clone().filter(|_| !is_of_archive) {
            Some(member) => Err(SourceError::of(&self.named, Reason::NoArchive(member))),
            None => Ok(()),
        }
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.data.as_ref().len() as u64
    }
}
