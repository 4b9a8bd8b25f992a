//! A replay: read, find the end, apply, write, report.

use std::fs::File;
use std::time::Instant;

use crate::copy::{CopyError, Progress};
use crate::input::{DbFile, LogFiles};
use crate::output::{OutputError, Target};
use crate::text::ByteText;

use super::content::Content;
use super::deletions;
use super::document::{KnownBy, Point, ReplayCopy, ReplayReport, RulesReport};
use super::error::ReplayError;
use super::request::ReplayRequest;
use super::start::Start;
use super::steps::StepTally;
use super::until;
use super::write::{NewDb, write_content};

/// Rolls a db forward.
///
/// # Errors
/// See [`ReplayError`]. Neither the db nor the log is changed, and there is no temporary file.
pub fn replay(
    file: &DbFile,
    log_files: &LogFiles,
    request: &ReplayRequest,
    progress: Progress<'_>,
) -> Result<ReplayReport, ReplayError> {
    let began = Instant::now();
    let target = request.target.as_ref().map(|path| Target::new(path, Some(&file.path), request.force));
    let target = target.transpose().map_err(CopyError::from)?;
    (progress.begin)("reading", file.db.file_size());
    let mut start = Start::read(&file.db, log_files, request.version, progress.advance)?;
    let Start { machine, log, committed, .. } = &start;
    let until = until::find(&request.until, machine, log, *committed)?;
    let from = Point::of(machine);
    let wanted = request.list_deletions.as_ref();
    let listed = wanted.map(|wanted| deletions::runs(machine, log, *committed, wanted)).transpose()?;
    let mut records = target.is_some().then(|| start.records());
    let tally = start.run(until, records.as_mut())?;
    let report = Report { file, log_files, start: &start, tally, from };
    let mut report = ReplayReport { deletions: listed.unwrap_or_default(), ..report.make() };
    if let Some((target, mut records)) = target.zip(records) {
        start.compact(&mut records);
        write_copy(file, request, target, &start.content(records.list), &mut report, progress)?;
    }
    Ok(ReplayReport { elapsed_seconds: began.elapsed().as_secs_f64(), ..report })
}

fn write_copy(
    file: &DbFile,
    request: &ReplayRequest,
    target: Target,
    content: &Content<'_>,
    report: &mut ReplayReport,
    progress: Progress<'_>,
) -> Result<(), ReplayError> {
    let attributes = File::open(&file.path).map_err(OutputError::io(&file.path)).map_err(CopyError::from)?;
    let (layout, snapshot, attributes_of) = (request.layout, request.snapshot, Some(&attributes));
    let how = NewDb { target, layout, snapshot, attributes_of };
    let (copied, file_bytes) = write_content(content, &file.db, how, progress)?;
    report.hash_kv = copied.proof;
    report.verified = true;
    report.warnings.extend(copied.warnings);
    report.target = request.target.as_ref().map(|path| ReplayCopy {
        path: ByteText::from(path.as_path()),
        file_bytes,
        records: content.num_records(),
        sha256: copied.sha256,
    });
    Ok(())
}

struct Report<'r, 'a> {
    file: &'r DbFile,
    log_files: &'r LogFiles,
    start: &'r Start<'a>,
    tally: StepTally,
    from: Point,
}

impl Report<'_, '_> {
    fn make(self) -> ReplayReport {
        let warnings = warnings(self.start, &self.tally);
        let Self { file, log_files, start, tally, from } = self;
        let Start { log, machine, writer, committed, .. } = start;
        ReplayReport {
            base: ByteText::from(file.path.as_path()),
            passed_over: Vec::new(),
            log: ByteText::from(log_files.folder.as_path()),
            from,
            to: Point::of(machine),
            entries: tally.entries,
            writes: tally.writes,
            refused: tally.refused,
            refused_by: tally.by_reason,
            keys: machine.store.keys.len() as u64,
            committed_index: *committed,
            last_index: log.log.last_index(),
            rules: RulesReport {
                etcd: writer.version.to_string(),
                known_by: writer.known_by,
                decided_entries: if writer.known_by == KnownBy::NoDifference {
                    0
                } else {
                    tally.by_nested_cost
                },
            },
            diverging_entries: tally.diverging,
            num_diverging_entries: tally.num_diverging,
            deletions: Vec::new(),
            hash_kv: None,
            target: None,
            verified: false,
            warnings,
            elapsed_seconds: 0.0,
        }
    }
}

/// What the user should know of the entries that were applied.
pub fn warnings(start: &Start<'_>, tally: &StepTally) -> Vec<String> {
    let mut warnings = Vec::new();
    let Start { log, machine, writer, committed, .. } = start;
    if tally.by_nested_cost > 0 && writer.known_by == KnownBy::MinorVersion {
        warnings.push(format!(
            "{} entries are refused by some patches of etcd 3.{}, and not by others: the rules of {} were taken, as \
             nothing shows which patch wrote the log. Name it to be sure",
            tally.by_nested_cost, writer.version.minor, writer.version
        ));
    }
    if tally.by_alarms > 0 {
        warnings.push(format!(
            "{} entries came while alarms of both kinds were set: up to etcd 3.5 what is refused then depends on when \
             the member was started, so they are not sure",
            tally.by_alarms
        ));
    }
    if tally.num_diverging > 0 {
        warnings.push(format!(
            "{} transactions read at a revision that does not exist: the member that was asked refused them, the \
             others carried them out (etcd#18667). They were carried out here",
            tally.num_diverging
        ));
    }
    if let Some(fault) = log.faults.first() {
        warnings.push(format!("the log has {} faults; the first: {fault}", log.num_faults));
    }
    if machine.index < log.log.last_index() && machine.index == *committed {
        warnings.push(format!(
            "the log goes on to entry {}: the entries after {} may not have been committed",
            log.log.last_index(),
            machine.index
        ));
    }
    warnings
}
