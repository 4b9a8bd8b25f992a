//! Several dbs that a replay may begin with: the newest that fits is taken.

use crate::copy::Progress;
use crate::etcd::schema::State;
use crate::input::{DbFile, LogFiles};
use crate::text::ByteText;

use super::document::{PassedOver, ReplayReport};
use super::error::ReplayError;
use super::request::{ReplayRequest, Until};
use super::run::replay;

/// Rolls the newest db forward from which the replay can begin, and that is not beyond its end.
///
/// # Errors
/// None fits; or the new db can't be made.
pub fn replay_newest(
    files: &[DbFile],
    log: &LogFiles,
    request: &ReplayRequest,
    progress: Progress<'_>,
) -> Result<ReplayReport, ReplayError> {
    if let [file] = files {
        return replay(file, log, request, progress);
    }
    let index = |file: &&DbFile| State::read(&file.db).consistent_index;
    let mut newest_first: Vec<_> = files.iter().collect();
    newest_first.sort_by_key(|file| std::cmp::Reverse(index(file)));
    let until = end(&newest_first, log, request, progress)?;
    if request.list_deletions.is_some() {
        // all of them are wanted
        newest_first.reverse();
    }
    let request = ReplayRequest { until, ..request.clone() };
    let mut passed_over = Vec::new();
    for file in newest_first {
        match replay(file, log, &request, progress) {
            Ok(report) => return Ok(ReplayReport { passed_over, ..report }),
            Err(error) if is_about_base(&error) => passed_over
                .push(PassedOver { path: ByteText::from(file.path.as_path()), reason: error.to_string() }),
            Err(error) => return Err(error),
        }
    }
    Err(ReplayError::NoneFits(passed_over))
}

/// The end. Which run of deletions is meant is asked of the oldest db that fits: newer ones know only of later ones.
fn end(
    newest_first: &[&DbFile],
    log: &LogFiles,
    request: &ReplayRequest,
    progress: Progress<'_>,
) -> Result<Until, ReplayError> {
    if !matches!(request.until, Until::BeforeDelete(_) | Until::BeforeDeletes(_)) {
        return Ok(request.until.clone());
    }
    let dry = ReplayRequest { target: None, ..request.clone() };
    for file in newest_first.iter().rev() {
        match replay(file, log, &dry, progress) {
            Ok(report) => return Ok(Until::Index(report.to.index)),
            Err(error) if is_about_base(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(request.until.clone())
}

/// Whether another db may do.
fn is_about_base(error: &ReplayError) -> bool {
    !matches!(error, ReplayError::Log(_) | ReplayError::SeveralRuns(_) | ReplayError::Copy(_))
}
