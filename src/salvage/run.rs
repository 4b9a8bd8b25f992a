//! A salvage: search, copy, report.

#![warn(missing_docs)]
#![deny(clippy::arithmetic_side_effects)]

use std::fs::File;
use std::path::PathBuf;
use std::time::Instant;

use crate::bolt::Db;
use crate::bolt::write;
use crate::copy::{self, CopyError, Layout, Order, Progress, proof};
use crate::etcd::hash;
use crate::etcd::schema::State;
use crate::output::{OutputError, Target};
use crate::owner::Owner;
use crate::shell::ShellCommand;
use crate::text::shown;

use super::assemble::Saved;
use super::document::{SalvageReport, Unreached};
use super::find::{self, Finds, Trust};
use super::lacks;
use super::open::Wreck;
use super::summary::Summary;
use super::whole::is_sound;

pub use super::error::SalvageError;

/// What is to be done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SalvageRequest {
    /// Where the copy goes.
    pub target: PathBuf,
    /// Whether to replace what stands there.
    pub force: bool,
    /// How much is believed.
    pub trust: Trust,
    /// Whether to turn authentication off in the copy.
    pub disable_auth: bool,
    /// How the copy is laid out.
    pub layout: Layout,
    /// Whether to append a SHA-256, as snapshots have it.
    pub snapshot: bool,
    /// Whether to do nothing but search.
    pub dry_run: bool,
    /// Whether to copy first what a failing disk still gives.
    pub disk_errors: bool,
    /// Whether to read although a program may be writing to the file.
    pub without_lock: bool,
}

impl SalvageRequest {
    /// A copy at this path, which nothing has yet, of what nothing speaks against.
    pub fn to(target: impl Into<PathBuf>) -> Self {
        Self {
            target: target.into(),
            force: false,
            trust: Trust::Usual,
            disable_auth: false,
            layout: Layout::default(),
            snapshot: false,
            dry_run: false,
            disk_errors: false,
            without_lock: false,
        }
    }
}

/// Saves what can be saved.
///
/// # Errors
/// See [`SalvageError`]. The source is as it was, there is no temporary file, and, but for [`OutputError::Unsynced`] and
/// [`OutputError::Remains`], the target is as it was.
pub fn salvage(
    wreck: &Wreck,
    request: &SalvageRequest,
    progress: Progress<'_>,
) -> Result<SalvageReport, SalvageError> {
    let began = Instant::now();
    let target = || Target::new(&request.target, Some(&wreck.path), request.force);
    let target = (!request.dry_run).then(target).transpose().map_err(CopyError::from)?;
    (progress.begin)("searching", wreck.db.file_size());
    let mut finds = find::find(wreck, request.trust, progress.advance);
    finds.auth_disabled = request.disable_auth && lacks::disable_auth(&mut finds.buckets);
    let saved = Saved::of(&finds.buckets);
    check_found(wreck, request, &finds, saved.num_entries())?;
    let settings = request.layout.settings(&wreck.db, finds.is_etcd);
    let plan = write::plan(&saved, settings).map_err(CopyError::from)?;
    let copied = match target {
        Some(target) => {
            check_conflicts(wreck, request, &finds)?;
            let file =
                File::open(&wreck.path).map_err(OutputError::io(&wreck.path)).map_err(CopyError::from)?;
            let order = Order { target, plan: &plan, snapshot: request.snapshot, attributes_of: Some(&file) };
            let prove = |copy: &Db| {
                (progress.begin)("verifying", copy.file_size());
                proof::against(&saved, copy, progress.advance)?;
                Ok(hash::hash_kv_of(copy, &State::read(copy)))
            };
            Some(copy::make(order, &saved, progress, prove)?)
        }
        None => None,
    };
    let report = Summary { wreck, request, finds: &finds, plan: &plan }.report(copied);
    Ok(SalvageReport { elapsed_seconds: began.elapsed().as_secs_f64(), ..report })
}

/// Whether there is anything to be saved, as much as it is trusted.
fn check_found(
    wreck: &Wreck,
    request: &SalvageRequest,
    finds: &Finds<'_>,
    entries: u64,
) -> Result<(), SalvageError> {
    let path = shown(&wreck.path).into_owned();
    if entries == 0 && finds.unreached.entries > 0 && !is_sound(finds) {
        let Unreached { entries, buckets, .. } = finds.unreached;
        let next = ShellCommand::new("etcd-medic salvage").path(&wreck.path).and("-o").path(&request.target);
        let next = next.and("--best-effort").and(if request.force { "--force" } else { "" });
        return Err(SalvageError::Unplaced { path, entries, buckets, next });
    }
    if entries == 0 && request.trust == Trust::Strict && !finds.left.is_empty() {
        let what = format!("each of the {} records that were found may have been deleted", finds.left.len());
        return Err(SalvageError::Doubtful { path, what });
    }
    if entries == 0 && !is_sound(finds) {
        return Err(SalvageError::Nothing { path, owner: Owner::of(&wreck.db).at(&wreck.path) });
    }
    Ok(())
}

/// A revision has one content: of two, one is wrong.
fn check_conflicts(wreck: &Wreck, request: &SalvageRequest, finds: &Finds<'_>) -> Result<(), SalvageError> {
    if request.trust != Trust::Strict || finds.conflicts.is_empty() {
        return Ok(());
    }
    let what = format!("{} revisions were found with two contents", finds.conflicts.len());
    Err(SalvageError::Doubtful { path: shown(&wreck.path).into_owned(), what })
}
