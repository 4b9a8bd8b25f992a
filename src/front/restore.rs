//! A member's directory from a db in any state: a damaged one is saved first, and a member's db first gets what its log has besides.

use std::path::{Path, PathBuf};

use crate::copy::Progress;
use crate::etcd::trailer::Trailer;
use crate::input::{DbFile, LogFiles, OpenOptions, SourceError};
use crate::output::Directory;
use crate::replay;
use crate::replay::error::ReplayError;
use crate::replay::request::ReplayRequest;
use crate::restore::document::RestoreReport;
use crate::restore::error::RestoreError;
use crate::restore::request::{Identity, RestoreRequest};
use crate::restore::run;
use crate::salvage::request::SalvageRequest;

use super::salvage;

/// The db that a directory is made from.
#[derive(Clone, Debug)]
pub struct RestoreSource<'p> {
    /// A db, a snapshot, or a data dir, in any state.
    pub path: &'p Path,
    /// How it is opened.
    pub open: OpenOptions,
    /// Whether a snapshot is taken whose SHA-256 does not fit.
    pub skip_hash_check: bool,
}

impl<'p> RestoreSource<'p> {
    /// What this path names.
    pub fn of(path: &'p Path) -> Self {
        Self { path, open: OpenOptions::default(), skip_hash_check: false }
    }
}

/// Makes a member's directory that etcd starts from. `log` is the log of the member, for a directory that keeps its identity; else the
/// log of a data dir is applied to its db first.
///
/// # Errors
/// See [`RestoreError`]. Nothing that was there was changed, and there is no directory.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let data_dir = folder.path().join("etcd");
/// let source = etcd_medic::RestoreSource::of("testdata/k8s-frag/frag.db".as_ref());
/// let request = etcd_medic::RestoreRequest::to(&data_dir);
/// let report = etcd_medic::restore(&source, None, &request, etcd_medic::Progress::SILENT)?;
/// assert!(report.verified && data_dir.join("member/snap/db").exists());
/// # Ok(())
/// # }
/// ```
pub fn restore(
    source: &RestoreSource<'_>,
    log: Option<&LogFiles>,
    request: &RestoreRequest,
    progress: Progress<'_>,
) -> Result<RestoreReport, RestoreError> {
    let file = match DbFile::open(source.path, &source.open, progress.advance) {
        Ok(file) => file,
        Err(error) if is_damage(&error) || error.leaves_nothing() && source.path.is_dir() => {
            return of_saved(source, log, request, progress);
        }
        Err(error) => return Err(error.into()),
    };
    if file.trailer() == Trailer::Invalid && !source.skip_hash_check {
        return Err(RestoreError::Trailer { path: file.path.clone() });
    }
    let is_new = matches!(request.identity, Identity::New(_));
    let own_log = || LogFiles::open_with(source.path, None, &source.open, progress.advance).ok();
    let restored = match own_log().filter(|_| is_new && source.path.is_dir()) {
        Some(own) if own.read().log.last_index() > 0 => of_replayed(&file, &own, source, request, progress),
        _ => run::restore(&file, log, request, progress),
    };
    match restored {
        Err(RestoreError::Base(ReplayError::BaseDamaged(_))) => of_saved(source, log, request, progress),
        restored => restored,
    }
}

fn is_damage(error: &SourceError) -> bool {
    matches!(error.reason, crate::input::Reason::Format { has_pages: true, .. })
}

/// A folder beside the new one, for a db that is made on the way. It is removed when it is dropped.
fn scratch(request: &RestoreRequest) -> Result<(Directory, PathBuf), RestoreError> {
    let folder = Directory::begin(&request.data_dir)?;
    let path = folder.folder().path().join("db");
    Ok((folder, path))
}

/// Of what can be saved of a damaged db.
fn of_saved(
    source: &RestoreSource<'_>,
    log: Option<&LogFiles>,
    request: &RestoreRequest,
    progress: Progress<'_>,
) -> Result<RestoreReport, RestoreError> {
    let (_scratch, saved) = scratch(request)?;
    let order = SalvageRequest { open: source.open.clone(), ..SalvageRequest::to(&saved) };
    let salvage = salvage(source.path, &order, progress)?;
    let file = DbFile::open(&saved, &source.open, progress.advance)?;
    let report = run::restore(&file, log, request, progress)?;
    Ok(RestoreReport { source: source.path.into(), salvage: Some(Box::new(salvage)), ..report })
}

/// Of a member's db, with what its log has besides.
fn of_replayed(
    file: &DbFile,
    log: &LogFiles,
    source: &RestoreSource<'_>,
    request: &RestoreRequest,
    progress: Progress<'_>,
) -> Result<RestoreReport, RestoreError> {
    let (_scratch, replayed) = scratch(request)?;
    let order = ReplayRequest::to(&replayed);
    let replay = replay::run::replay(file, log, &order, progress).map_err(RestoreError::Base)?;
    let file = DbFile::open(&replayed, &source.open, progress.advance)?;
    let report = run::restore(&file, None, request, progress)?;
    Ok(RestoreReport { source: source.path.into(), applied_entries: replay.entries, ..report })
}
