//! A salvage: search, copy, report.

use std::fs::File;
use std::time::Instant;

use crate::bolt::Db;
use crate::bolt::write;
use crate::copy::{self, CopyError, Order, Progress, proof};
use crate::etcd::hash;
use crate::etcd::schema::State;
use crate::input::LogFiles;
use crate::output::{OutputError, Target};
use crate::owner::Owner;
use crate::text::shown;

use super::assemble::Saved;
use super::document::SalvageReport;
use super::error::SalvageError;
use super::find;
use super::finds::Finds;
use super::from_log::{self, LogArena};
use super::lacks;
use super::open::Wreck;
use super::request::{SalvageRequest, Trust};
use super::summary::Summary;
use super::unreached::Unreached;

/// Saves what can be saved.
///
/// # Errors
/// See [`SalvageError`]. The source is as it was, there is no temporary file, and, but for [`OutputError::Unsynced`] and
/// [`OutputError::Remains`], the target is as it was.
pub fn salvage(
    wreck: &Wreck,
    log: Option<&LogFiles>,
    request: &SalvageRequest,
    progress: Progress<'_>,
) -> Result<SalvageReport, SalvageError> {
    let began = Instant::now();
    let target = || Target::new(&request.target, Some(&wreck.path), request.force);
    let target = (!request.dry_run).then(target).transpose().map_err(CopyError::from)?;
    (progress.begin)("searching", wreck.db.file_size());
    // what is made of the log lives as long as what is found
    let arena = LogArena::default();
    let mut finds = find::find(wreck, request.trust, progress.advance);
    if let Some(log) = log {
        from_log::complete(&mut finds, wreck, log, request, &arena);
    }
    finds.auth_disabled = request.disable_auth && lacks::disable_auth(&mut finds.buckets);
    let saved = Saved::of(&finds.buckets);
    check_found(wreck, request, &finds, saved.num_entries())?;
    let settings = request.layout.settings(&wreck.db, finds.is_etcd);
    let plan = write::plan(&saved, settings).map_err(CopyError::from)?;
    let copied = match target {
        Some(target) => {
            check_conflicts(wreck, request, &finds)?;
            let open = || File::open(&wreck.path).map_err(OutputError::io(&wreck.path));
            let file = (!wreck.named.is_unpacked() && !wreck.is_gone)
                .then(open)
                .transpose()
                .map_err(CopyError::from)?;
            let beside = || log.filter(|_| wreck.is_gone).and_then(LogFiles::any_file);
            let (snapshot, attributes_of) = (request.snapshot, file.as_ref().or_else(beside));
            let order = Order { target, plan: &plan, snapshot, attributes_of };
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

/// Refuses a copy without an entry, unless the file is sound and empty.
fn check_found(
    wreck: &Wreck,
    request: &SalvageRequest,
    finds: &Finds<'_>,
    entries: u64,
) -> Result<(), SalvageError> {
    let path = shown(&wreck.path).into_owned();
    if entries == 0 && finds.unreached.entries > 0 && !finds.is_sound() {
        let Unreached { entries, buckets, .. } = finds.unreached;
        let next =
            wreck.named.ours("etcd-medic salvage").and("-o").path(&request.target).and("--best-effort");
        let next = next.and(if request.force { "--force" } else { "" });
        let next = next.and(if request.disk_errors { "--disk-errors" } else { "" });
        return Err(SalvageError::Unplaced { path, entries, buckets, next });
    }
    if entries == 0 && request.trust == Trust::Strict && !finds.left_out.is_empty() {
        let what =
            format!("each of the {} records that were found may have been deleted", finds.left_out.len());
        return Err(SalvageError::Doubtful { path, what });
    }
    if entries == 0 && !finds.is_sound() {
        let log = finds.log.as_ref().and_then(|log| log.unused_because.clone());
        return Err(SalvageError::Nothing { path, log, owner: Owner::of(&wreck.db).at(&wreck.path) });
    }
    Ok(())
}

/// Refuses revisions with two contents in strict mode: one of the two is wrong.
fn check_conflicts(wreck: &Wreck, request: &SalvageRequest, finds: &Finds<'_>) -> Result<(), SalvageError> {
    if request.trust != Trust::Strict || finds.conflicts.is_empty() {
        return Ok(());
    }
    let what = format!("{} revisions were found with two contents", finds.conflicts.len());
    Err(SalvageError::Doubtful { path: shown(&wreck.path).into_owned(), what })
}
