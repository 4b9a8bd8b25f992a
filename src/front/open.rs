//! A path, opened.

#![warn(missing_docs)]

use std::path::Path;

use crate::copy::Progress;
use crate::input::{DbFile, OpenOptions, SourceError};

/// Opens a db, a snapshot, or the db of a data dir, to read it. Until it is dropped, it holds bbolt's shared lock, so no etcd
/// can start from the file.
///
/// # Errors
/// The file does not exist, is in use by a program that writes to it, or is no bbolt file whose trees can be read: then
/// [`salvage`](crate::salvage) may help.
///
/// # Examples
/// ```
/// let file = etcd_medic::open("testdata/k8s-frag/frag.db")?;
/// assert!(file.check(&Default::default()).sound);
/// # Ok::<(), etcd_medic::SourceError>(())
/// ```
pub fn open(path: impl AsRef<Path>) -> Result<DbFile, SourceError> {
    open_with(path, &OpenOptions::default(), Progress::SILENT)
}

/// Opens a db in any other way: under bbolt's exclusive lock, as [`DbFile::defrag`] needs it to replace the file; without a lock,
/// even if etcd has it open, so that what is read may be changing; a file of an archive; with limits for what is unpacked.
///
/// # Errors
/// As [`open`]; also if the file is packed and no db comes out of it, or another program holds a lock that is in the way.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut options = etcd_medic::OpenOptions::default();
/// options.unpack.max_unpacked = 1 << 30;
/// let file = etcd_medic::open_with("testdata/k8s-3.6/snapshot.db.zst", &options, etcd_medic::Progress::SILENT)?;
/// assert!(file.packed.is_some() && file.check(&Default::default()).sound);
///
/// # let folder = tempfile::tempdir()?;
/// # let db = folder.path().join("db");
/// # std::fs::copy("testdata/k8s-frag/frag.db", &db)?;
/// let file = etcd_medic::open_with(&db, &etcd_medic::Lock::Exclusive.into(), etcd_medic::Progress::SILENT)?;
/// let report = file.defrag(&etcd_medic::DefragRequest::in_place(), etcd_medic::Progress::SILENT)?;
/// println!("the old file is {}", report.kept_old.expect("kept"));
/// # Ok(())
/// # }
/// ```
pub fn open_with(
    path: impl AsRef<Path>,
    options: &OpenOptions,
    progress: Progress<'_>,
) -> Result<DbFile, SourceError> {
    DbFile::open(path.as_ref(), options, progress.advance)
}
