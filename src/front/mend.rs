//! Copies: packed, saved from a damaged file, or made up.

#![warn(missing_docs)]

use std::path::Path;

use crate::copy::Progress;
use crate::input::named::Named;
use crate::input::{DbFile, LogFiles};
use crate::output::folder_of;
use crate::replay;
use crate::replay::document::ReplayReport;
use crate::replay::error::ReplayError;
use crate::replay::request::ReplayRequest;
use crate::rewrite::defrag;
use crate::rewrite::error::DefragError;
use crate::rewrite::outcome::DefragReport;
use crate::rewrite::request::DefragRequest;
use crate::salvage::document::SalvageReport;
use crate::salvage::error::SalvageError;
use crate::salvage::open;
use crate::salvage::request::SalvageRequest;
use crate::salvage::run;
use crate::synth::{self, SynthError, SynthReport, SynthRequest};

impl DbFile {
    /// Writes a packed copy without free pages, and compares it with the file, entry by entry.
    ///
    /// # Errors
    /// See [`DefragError`]. The file is as it was, unless an error says where the copy and the old file are.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let target = folder.path().join("packed.db");
    /// let file = etcd_medic::open("testdata/k8s-frag/frag.db")?;
    /// let report = file.defrag(&etcd_medic::DefragRequest::to(&target), etcd_medic::Progress::SILENT)?;
    /// assert!(report.verified && report.target.file_bytes < report.source.file_bytes / 4);
    /// # Ok(())
    /// # }
    /// ```
    pub fn defrag(
        &self,
        request: &DefragRequest,
        progress: Progress<'_>,
    ) -> Result<DefragReport, DefragError> {
        defrag(self, request, progress)
    }

    /// Rolls the db forward along a log, into a new one.
    ///
    /// # Errors
    /// See [`ReplayError`]. Neither the file nor the log is changed.
    ///
    /// # Examples
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let file = etcd_medic::open("backup.db")?;
    /// let log = etcd_medic::LogFiles::open("/var/lib/etcd".as_ref(), None)?;
    /// let request = etcd_medic::ReplayRequest::to("new.db");
    /// let report = file.replay(&log, &request, etcd_medic::Progress::SILENT)?;
    /// println!("revision {} to {}", report.from.revision, report.to.revision);
    /// # Ok(())
    /// # }
    /// ```
    pub fn replay(
        &self,
        log: &LogFiles,
        request: &ReplayRequest,
        progress: Progress<'_>,
    ) -> Result<ReplayReport, ReplayError> {
        replay::run::replay(self, log, request, progress)
    }
}

/// Rolls a db forward along a log, into a new one: the newest of several that fits.
///
/// # Errors
/// None of them fits; else as [`DbFile::replay`].
pub fn replay_newest(
    files: &[DbFile],
    log: &LogFiles,
    request: &ReplayRequest,
    progress: Progress<'_>,
) -> Result<ReplayReport, ReplayError> {
    replay::candidates::replay_newest(files, log, request, progress)
}

/// Saves what can be saved of the file at `path` into a new one that etcd starts from.
///
/// # Errors
/// See [`SalvageError`]. The file is as it was.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let [damaged, target] = ["damaged.db", "saved.db"].map(|name| folder.path().join(name));
/// # let mut bytes = std::fs::read("testdata/k8s-frag/frag.db")?;
/// # bytes[..8192].fill(0);
/// # std::fs::write(&damaged, bytes)?;
/// let request = etcd_medic::SalvageRequest::to(&target);
/// let report = etcd_medic::salvage(&damaged, &request, etcd_medic::Progress::SILENT)?;
/// println!("{} records, {} keys", report.target.records, report.target.keys);
/// assert!(report.verified && etcd_medic::open(&target)?.check(&Default::default()).sound);
/// # Ok(())
/// # }
/// ```
pub fn salvage(
    path: impl AsRef<Path>,
    request: &SalvageRequest,
    progress: Progress<'_>,
) -> Result<SalvageReport, SalvageError> {
    let path = path.as_ref();
    let scratch = request.disk_errors.then(|| folder_of(&request.target));
    let named = request.log.as_deref().map(|log| {
        let mut options = request.open.clone();
        options.unpack.member.clone_from(&request.log_member);
        LogFiles::open_with(log, None, &options, progress.advance)
    });
    let named = named.transpose()?;
    let opened = open::open(path, &request.open, scratch, progress);
    let log = match (named, &opened) {
        (Some(log), _) => Some(log),
        (None, Ok(wreck)) if !path.is_dir() => wreck.place().log_files(None).and_then(Result::ok),
        // also where its db can't be read
        (None, _) => LogFiles::open_with(path, None, &request.open, progress.advance).ok(),
    };
    let wreck = match (opened, &log) {
        (Ok(wreck), _) => wreck,
        (Err(error), Some(log)) if error.leaves_nothing() => {
            open::nothing(Named { path: log.place_of_db(), ..error.named() })
        }
        (Err(error), _) => return Err(error.into()),
    };
    run::salvage(&wreck, log.as_ref(), request, progress)
}

/// Makes up the db of a Kubernetes cluster; the same one from the same request.
///
/// # Errors
/// See [`SynthError`].
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let target = folder.path().join("made.db");
/// let options = etcd_medic::SynthOptions::new(1, etcd_medic::Extent::Keys(500));
/// let request = etcd_medic::SynthRequest { target, force: false, snapshot: false, options };
/// assert_eq!(etcd_medic::synth(&request, etcd_medic::Progress::SILENT)?.keys, 485);
/// # Ok(())
/// # }
/// ```
pub fn synth(request: &SynthRequest, progress: Progress<'_>) -> Result<SynthReport, SynthError> {
    synth::synth(request, progress)
}
