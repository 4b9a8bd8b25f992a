//! A damaged file, opened: its page size found out, its metas kept apart from its bytes, every page of it readable.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use thiserror::Error;

use crate::bolt::format::{MAX_PAGE_SIZE, MIN_PAGE_SIZE, PageHeader, PageKind};
use crate::bolt::meta::{Meta, MetaError};
use crate::bolt::open::{Lock, OpenError, map_file};
use crate::bolt::{Db, PageId};
use crate::etcd::data_dir;
use crate::source::{Reason, SourceError};
use zerocopy::FromBytes;

/// Bytes that are read at a time from a disk that fails.
const BLOCK: usize = 4096;

/// A damaged file.
#[derive(Debug)]
pub struct Wreck {
    /// Where it lies.
    pub path: PathBuf,
    /// Its bytes, under a meta that was made up where none could be believed; its high water mark is the file's end.
    pub db: Db,
    /// Its own metas.
    pub metas: [Result<Meta, MetaError>; 2],
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
    /// No page of it is one of bbolt's.
    #[error("{}: nothing in it looks like a page of bbolt's, at any page size: it is another kind of file, or all is lost of it", .0.display())]
    NoPages(PathBuf),
    /// The disk gives nothing.
    #[error("{}: can't be read from the disk: {error}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Opens a file, a snapshot, or the db of a data dir, whatever has become of it. With `disk_errors`, it is copied block by
/// block into a temporary file beside `scratch` first, so that what the disk does not give is a finding, and no fault.
///
/// # Errors
/// See [`WreckError`].
pub fn open(path: &Path, lock: Lock, disk_errors: Option<&Path>) -> Result<Wreck, WreckError> {
    let fail = |path: &Path, reason| SourceError { path: path.to_owned(), reason };
    let path = data_dir::resolve(path).map_err(|error| fail(path, Reason::Io { error }))?;
    let mapping = map_file(&path, lock).map_err(|error| fail(&path, Reason::Open { error }))?;
    let (data, unreadable) = match disk_errors {
        None => (mapping.bytes(), Vec::new()),
        Some(scratch) => {
            let disk = |error| WreckError::Disk { path: path.clone(), error };
            let (copy, unreadable) = copy_what_can_be_read(&path, scratch).map_err(disk)?;
            let copy = map_file(copy.path(), Lock::None).map_err(|error| match error {
                OpenError::Io(error) => disk(error),
                error => fail(&path, Reason::Open { error }).into(),
            })?;
            (copy.bytes(), unreadable)
        }
    };
    let wreck = Wreck::new(path.clone(), data).ok_or(WreckError::NoPages(path))?;
    Ok(Wreck { read_without_lock: lock == Lock::None, unreadable, ..wreck })
}

impl Wreck {
    /// These bytes; `None` where no page of them is one of bbolt's.
    #[must_use]
    pub fn new(path: PathBuf, data: Bytes) -> Option<Self> {
        let metas = read_metas(&data);
        let known = metas.iter().filter_map(|slot| slot.ok()).max_by_key(|meta| meta.txid);
        let page_size = known.map(|meta| meta.page_size).or_else(|| page_size_of(&data))?;
        let high_water_mark = data.len() as u64 / u64::from(page_size);
        let made_up =
            Meta { page_size, root: PageId(0), sequence: 0, freelist: None, high_water_mark, txid: 0 };
        let active = Meta { high_water_mark, ..known.unwrap_or(made_up) };
        let db = Db::assuming(data, metas, active);
        let page_size_derived = known.is_none();
        Some(Self { path, db, metas, page_size_derived, read_without_lock: false, unreadable: Vec::new() })
    }
}

/// Both metas, each by itself: the second where the first says that it lies, or wherever it is found.
fn read_metas(data: &[u8]) -> [Result<Meta, MetaError>; 2] {
    match crate::bolt::meta::Metas::read(data) {
        Ok(metas) => metas.slots,
        Err(errors) => errors.map(Err),
    }
}

/// The page size at which most pages say that they are where they are. At another one, none but the first does.
fn page_size_of(data: &[u8]) -> Option<u32> {
    let sizes = (MIN_PAGE_SIZE.trailing_zeros()..=MAX_PAGE_SIZE.trailing_zeros()).map(|shift| 1u32 << shift);
    let fits = |&size: &u32| {
        let pages = data.chunks_exact(size as usize).zip(0u64..).skip(2);
        pages.filter(|(page, id)| is_page(page, *id)).count()
    };
    let (size, found) = sizes.map(|size| (size, fits(&size))).max_by_key(|&(_, found)| found)?;
    (found > 0).then_some(size)
}

fn is_page(page: &[u8], id: u64) -> bool {
    PageHeader::ref_from_prefix(page).is_ok_and(|(header, _)| {
        header.id.get() == id
            && matches!(PageKind::from_flags(header.flags.get()), Some(PageKind::Branch | PageKind::Leaf))
            && header.count.get() > 0
    })
}

/// Copies a file block by block; blocks that the disk does not give stay zeros.
fn copy_what_can_be_read(
    path: &Path,
    folder: &Path,
) -> io::Result<(tempfile::NamedTempFile, Vec<(u64, u64)>)> {
    let source = File::open(path)?;
    let size = source.metadata()?.len();
    let mut copy = tempfile::Builder::new().prefix(".etcd-medic-").suffix(".readable").tempfile_in(folder)?;
    copy.as_file().set_len(size)?;
    let mut unreadable: Vec<(u64, u64)> = Vec::new();
    let (mut offset, mut block) = (0, vec![0; 256 * BLOCK]);
    let mut step = block.len();
    while offset < size {
        let want = usize::try_from(size - offset).unwrap_or(usize::MAX).min(step);
        let part = block.get_mut(..want).unwrap_or_default();
        match source.read_at(part, offset) {
            Ok(0) => break,
            Ok(read) => {
                copy.seek(SeekFrom::Start(offset))?;
                copy.write_all(part.get(..read).unwrap_or_default())?;
                offset += read as u64;
                step = 256 * BLOCK;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // a large piece failed: block by block from here
            Err(_) if step > BLOCK => step = BLOCK,
            Err(_) => {
                match unreadable.last_mut() {
                    Some((start, bytes)) if *start + *bytes == offset => *bytes += want as u64,
                    _ => unreadable.push((offset, want as u64)),
                }
                offset += want as u64;
            }
        }
    }
    Ok((copy, unreadable))
}
