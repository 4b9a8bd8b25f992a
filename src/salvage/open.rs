//! A damaged file, opened: its page size found out, its metas kept apart from its bytes, every page of it readable.

#![deny(clippy::arithmetic_side_effects)]

use std::cmp::Reverse;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bytes::Bytes;
use thiserror::Error;

use crate::bolt::meta::{Meta, MetaError};
use crate::bolt::open::{Lock, map_opened};
use crate::bolt::{Db, FormatError, PageId, probe};
use crate::copy::Progress;
use crate::scan::root::RootFault;
use crate::scan::structure::Structure;
use crate::shell::ShellCommand;
use crate::source::{self, Reason, SourceError};
use crate::text::shown;

use super::readable;

#[derive(Debug)]
pub struct Wreck {
    pub path: PathBuf,
    /// Its bytes, under a meta that was made up where none could be believed; its high water mark is the file's end.
    pub db: Db,
    pub metas: [Result<Meta, MetaError>; 2],
    /// What the metas say of which the checksum alone is wrong, the latest first.
    pub unsealed: Vec<Meta>,
    /// Names of the buckets that the copy has for what has no name any more.
    pub made_names: OnceLock<Vec<String>>,
    /// Whether the page size was told from the pages, as no meta told it.
    pub page_size_derived: bool,
    /// Whether it was read without a lock.
    pub read_without_lock: bool,
    /// Parts that the disk did not give, as (byte offset, bytes): they are zeros here.
    pub unreadable: Vec<(u64, u64)>,
}

/// Why a file can't be salvaged at all.
#[derive(Debug, Error)]
pub enum WreckError {
    /// It can't be opened.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// What the disk gives can't be kept.
    #[error("{}: {error}: what the disk gives can't be copied there", shown(folder))]
    Scratch { folder: PathBuf, error: io::Error },
}

/// Opens a file, a snapshot, or the db of a data dir, whatever has become of it. With a `scratch` folder, what can be read of it
/// is copied there first, into a file without a name, so that what the disk does not give is a finding, and no fault.
///
/// # Errors
/// See [`WreckError`].
pub fn open(
    path: &Path,
    lock: Lock,
    scratch: Option<&Path>,
    progress: Progress<'_>,
) -> Result<Wreck, WreckError> {
    let (path, mapping) = source::map(path, lock)?;
    let (data, unreadable) = match scratch {
        None => (mapping.bytes(), Vec::new()),
        Some(folder) => {
            // the mapping has its size and its lock; not one byte of it is touched
            let size = mapping.as_ref().len() as u64;
            (progress.begin)("reading", size);
            let source = File::open(&path).map_err(|error| SourceError::new(&path, Reason::Io(error)))?;
            let read_at = |part: &mut [u8], offset| source.read_at(part, offset);
            let scratch = |error| WreckError::Scratch { folder: folder.to_owned(), error };
            let found = readable::copy(&read_at, size, folder, progress.advance).map_err(scratch)?;
            if size > 0 && found.unreadable == [(0, size)] {
                return Err(SourceError::new(&path, Reason::Disk { size }).into());
            }
            (map_opened(found.copy).map_err(scratch)?.bytes(), found.unreadable)
        }
    };
    source::refuse_other_content(&path, &data)?;
    let error = Db::new(data.clone()).err();
    let nothing = || {
        let error = error.unwrap_or(FormatError::NotBolt);
        SourceError::new(&path, Reason::Format { error, has_pages: false })
    };
    let wreck = Wreck::new(path.clone(), data).ok_or_else(nothing)?;
    Ok(Wreck { read_without_lock: lock == Lock::None, unreadable, ..wreck })
}

impl WreckError {
    /// The command to go on with, where there is one.
    #[must_use]
    pub fn next(&self) -> Option<ShellCommand> {
        match self {
            Self::Source(error) => error.next(),
            _ => None,
        }
    }
}

impl Wreck {
    /// These bytes; `None` where no page of them is one of bbolt's.
    #[must_use]
    pub fn new(path: PathBuf, data: Bytes) -> Option<Self> {
        let metas = read_metas(&data);
        let known = metas.iter().filter_map(|slot| slot.ok()).max_by_key(|meta| meta.txid);
        let page_size = known.map(|meta| meta.page_size).or_else(|| probe::page_size_of(&data))?;
        let high_water_mark = (data.len() as u64).checked_div(u64::from(page_size)).unwrap_or(0);
        let made_up =
            Meta { page_size, root: PageId(0), sequence: 0, freelist: None, high_water_mark, txid: 0 };
        let active = Meta { high_water_mark, ..known.unwrap_or(made_up) };
        let unsealed = read_unsealed(&data, page_size);
        Some(Self {
            path,
            db: Db::assuming(data, metas, active),
            metas,
            unsealed,
            made_names: OnceLock::new(),
            page_size_derived: known.is_none(),
            read_without_lock: false,
            unreadable: Vec::new(),
        })
    }
}

impl Wreck {
    /// Whether a meta is damaged that may have been later than the one that is sound.
    #[must_use]
    pub fn newer_meta_may_be_lost(&self) -> bool {
        let sound = self.metas.iter().filter_map(|meta| meta.ok()).map(|meta| meta.txid).max();
        let is_older = |meta: &Meta| sound.is_some_and(|sound| meta.txid < sound);
        self.metas.iter().any(Result::is_err) && !self.unsealed.iter().any(is_older)
    }

    /// Whether other commands would read all of it: where a reference or a number is wrong, what was found may be what it should
    /// have led to, or may not.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        let Ok(db) = Db::new(self.db.data().clone()) else { return false };
        let structure = Structure::of(&db);
        structure.findings.of_trees == 0 && RootFault::find(&db, &structure).is_none()
    }
}

fn read_unsealed(data: &[u8], page_size: u32) -> Vec<Meta> {
    let places = [Some(0), usize::try_from(page_size).ok()].into_iter().flatten();
    let read = places.filter_map(|offset| Meta::read_despite_checksum(data, offset));
    let mut metas: Vec<_> = read.filter(|meta| meta.page_size == page_size).collect();
    metas.sort_by_key(|meta| Reverse(meta.txid));
    metas
}

/// Both metas, each by itself: the second where the first says that it lies, or wherever it is found.
fn read_metas(data: &[u8]) -> [Result<Meta, MetaError>; 2] {
    match crate::bolt::meta::Metas::read(data) {
        Ok(metas) => metas.slots,
        Err(errors) => errors.map(Err),
    }
}
