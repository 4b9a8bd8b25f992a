//! A damaged file, opened: its page size is determined, its metas are kept apart, and every page of it can be read.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bytes::Bytes;

use crate::bolt::meta::{Meta, MetaError};
use crate::bolt::{Db, FormatError, PageId, probe};
use crate::copy::Progress;
use crate::input::beside::DbPlace;
use crate::input::mapped::Mapped;
use crate::input::named::Named;
use crate::input::packed::{Packed, UnpackedLog};
use crate::input::{OpenOptions, Reason, SourceError};
use crate::scan::root::RootFault;
use crate::scan::structure::Structure;

/// The page size of a copy of nothing: that of nearly every machine.
const USUAL_PAGE_SIZE: u32 = 4096;

#[derive(Debug)]
pub struct Wreck {
    pub path: PathBuf,
    /// Its pages, up to the end of the file. If no meta is valid, one was made up.
    pub db: Db,
    pub metas: [Result<Meta, MetaError>; 2],
    /// Metas of which only the checksum is wrong, the latest first.
    pub unsealed: Vec<Meta>,
    /// Names of the buckets that the copy has for trees without a name.
    pub made_names: OnceLock<Vec<String>>,
    /// Whether the page size was derived from the pages, as no meta is valid.
    pub page_size_derived: bool,
    /// Whether it was read without a lock.
    pub read_without_lock: bool,
    /// Parts that the disk did not give, as (byte offset, bytes): they are zeros here.
    pub unreadable: Vec<(u64, u64)>,
    pub named: Named,
    pub packed: Option<Packed>,
    /// The log of its member, if the file came out of an archive from a member's place.
    pub log: Option<UnpackedLog>,
    /// Whether there is no such file, or nothing of a db in it.
    pub is_gone: bool,
}

/// What is left of a db that is gone: two pages of zeros.
pub fn nothing(named: Named) -> Wreck {
    const PAGES: [u8; 2 * USUAL_PAGE_SIZE as usize] = [0; 2 * USUAL_PAGE_SIZE as usize];
    let wreck = Wreck::of(named.path.clone(), Bytes::from_static(&PAGES), USUAL_PAGE_SIZE);
    Wreck { is_gone: true, named, ..wreck }
}

/// Opens a file, a snapshot, or the db of a data dir, however damaged. With a `scratch` folder, what can be read of it is copied
/// there first, into a file without a name, so that parts that the disk does not give are findings, not faults.
///
/// # Errors
/// See [`SourceError`].
pub fn open(
    path: &Path,
    options: &OpenOptions,
    scratch: Option<&Path>,
    progress: Progress<'_>,
) -> Result<Wreck, SourceError> {
    let mapped = match scratch {
        None => Mapped::open(path, options, progress.advance)?,
        Some(folder) => {
            let mapped = Mapped::of_file(path, options)?;
            (progress.begin)("reading", mapped.size());
            mapped.readable(folder, progress.advance)?.unpacked(options, progress.advance)?
        }
    };
    mapped.refuse_other_content()?;
    let Mapped { path, data, unreadable, read_without_lock, packed, log, named } = mapped;
    let nothing = || {
        let error = Db::new(data.bytes()).err().unwrap_or(FormatError::NotBolt);
        SourceError::of(&named, Reason::Format { error, has_pages: false })
    };
    let wreck = Wreck::new(path.clone(), data.bytes()).ok_or_else(nothing)?;
    Ok(Wreck { read_without_lock, unreadable, packed, log, named, ..wreck })
}

impl Wreck {
    /// Where it is.
    pub fn place(&self) -> DbPlace<'_> {
        DbPlace { path: &self.path, unpacked: self.log.as_ref(), limits: Some(&self.named.unpack) }
    }

    /// These bytes; `None` where no page of them is one of bbolt's.
    pub fn new(path: PathBuf, data: Bytes) -> Option<Self> {
        let page_size = newest(&read_metas(&data)).map(|meta| meta.page_size);
        let page_size = page_size.or_else(|| probe::page_size_of(&data))?;
        Some(Self::of(path, data, page_size))
    }

    fn of(path: PathBuf, data: Bytes, page_size: u32) -> Self {
        let metas = read_metas(&data);
        let known = newest(&metas);
        let high_water_mark = (data.len() as u64).checked_div(u64::from(page_size)).unwrap_or(0);
        let made_up =
            Meta { page_size, root: PageId(0), sequence: 0, freelist: None, high_water_mark, txid: 0 };
        let active = Meta { high_water_mark, ..known.unwrap_or(made_up) };
        let unsealed = read_unsealed(&data, page_size);
        let named = Named::plain(&path);
        Self {
            path,
            db: Db::assuming(data, metas, active),
            metas,
            unsealed,
            made_names: OnceLock::new(),
            page_size_derived: known.is_none(),
            read_without_lock: false,
            unreadable: Vec::new(),
            named,
            packed: None,
            log: None,
            is_gone: false,
        }
    }
}

impl Wreck {
    /// Whether a meta is damaged that may have been later than the one that is sound.
    pub fn newer_meta_may_be_lost(&self) -> bool {
        let sound = self.metas.iter().filter_map(|meta| meta.ok()).map(|meta| meta.txid).max();
        let is_older = |meta: &Meta| sound.is_some_and(|sound| meta.txid < sound);
        self.metas.iter().any(Result::is_err) && !self.unsealed.iter().any(is_older)
    }

    /// Whether other commands would read all of it: where a reference or a number is wrong, what was found may be what it should
    /// have led to, or may not.
    pub fn is_readable(&self) -> bool {
        let Ok(db) = Db::new(self.db.data().clone()) else { return false };
        let structure = Structure::of(&db);
        structure.findings.of_trees == 0 && RootFault::find(&db, &structure).is_none()
    }
}

fn newest(metas: &[Result<Meta, MetaError>; 2]) -> Option<Meta> {
    metas.iter().filter_map(|slot| slot.as_ref().ok()).max_by_key(|meta| meta.txid).copied()
}

fn read_unsealed(data: &[u8], page_size: u32) -> Vec<Meta> {
    let places = [Some(0), usize::try_from(page_size).ok()].into_iter().flatten();
    let read = places.filter_map(|offset| Meta::read_despite_checksum(data, offset));
    let mut metas: Vec<_> = read.filter(|meta| meta.page_size == page_size).collect();
    metas.sort_by_key(|meta| Reverse(meta.txid));
    metas
}

/// Both metas: the second where the first says, or wherever it is found.
fn read_metas(data: &[u8]) -> [Result<Meta, MetaError>; 2] {
    match crate::bolt::meta::Metas::read(data) {
        Ok(metas) => metas.slots,
        Err(errors) => errors.map(Err),
    }
}
