//! A db with all that a log says besides: each revision that its entries made, whatever was compacted since.

use std::io;

use crate::bolt::Db;
use crate::bolt::open::map_opened;
use crate::bolt::write;
use crate::copy::{CopyError, Layout, Progress};
use crate::etcd::apply::{Change, Machine, Rules, Version, Written};
use crate::etcd::schema::KEY_BUCKET;
use crate::input::{DbFile, LogFiles};
use crate::member::ReadLog;
use crate::output::OutputError;

use super::base::Base;
use super::compare::are_among;
use super::content::{Content, NewRecord};
use super::error::ReplayError;
use super::start::check_history;
use super::steps;
use super::writer::{self, usual};
use super::{small, until};

/// Makes such a db, in a file without a name. From a log that has all entries, nothing is compacted in it; else it is as far as the
/// db's own is, and goes on to the log's end.
///
/// # Errors
/// The db can't be read whole, the log is of another history, or the file can't be written.
pub fn unfold(
    file: &DbFile,
    log_files: &LogFiles,
    version: Option<Version>,
    progress: Progress<'_>,
) -> Result<Db, ReplayError> {
    (progress.begin)("reading", file.db.file_size());
    let base = Base::read(&file.db, progress.advance)?;
    let log = log_files.read();
    check_history(&base, &log)?;
    let version = version.or_else(|| base.state.cluster_minor().map(usual)).unwrap_or(writer::OLDEST);
    let rules = Rules::of(version);
    let committed = until::committed(&log, log_files, base.index, &base.machine(rules).members, base.index);
    let nothing = Base::nothing();
    let (base, mut machine, mut records) = match from_the_first(&base, &log, rules) {
        Some((machine, records)) => (&nothing, machine, records),
        None => {
            let held = base.entries(KEY_BUCKET).iter().copied().map(NewRecord::Held).collect();
            (&base, base.machine(rules), held)
        }
    };
    // what can't be applied ends it: all before is there
    extend(&mut machine, &log, committed, &mut records).ok();
    machine.store.compact_revision = base.state.compact_revision();
    let content = Content::new(records, 0, small::buckets(base, &machine));
    written(&content, file, progress)
}

/// All that the entries made up to the db's own; `None` where they are not all there, or it is not what the db has.
fn from_the_first<'a>(
    base: &Base<'a>,
    log: &ReadLog<'a>,
    rules: Rules,
) -> Option<(Machine<'a>, Vec<NewRecord<'a>>)> {
    let mut machine = Machine::empty(rules);
    let mut changes: Vec<Change<'a>> = Vec::new();
    steps::run(&mut machine, log, base.index, &mut |written| changes.push(written.change), &mut |_| true)
        .ok()?;
    let is_its = machine.store.revision == base.revision
        && are_among(base.entries(KEY_BUCKET), &changes, machine.store.revision);
    is_its.then(|| (machine, changes.into_iter().map(NewRecord::Changed).collect()))
}

fn extend<'a>(
    machine: &mut Machine<'a>,
    log: &ReadLog<'a>,
    until: u64,
    records: &mut Vec<NewRecord<'a>>,
) -> Result<(), ReplayError> {
    let mut sink = |written: Written<'a>| records.push(NewRecord::Changed(written.change));
    steps::run(machine, log, until, &mut sink, &mut |_| true).map(|_| ())
}

fn written(content: &Content<'_>, of: &DbFile, progress: Progress<'_>) -> Result<Db, ReplayError> {
    let failed = |error: io::Error| CopyError::from(OutputError::io(&std::env::temp_dir())(error));
    let plan = write::plan(content, Layout::default().settings(&of.db, true)).map_err(CopyError::from)?;
    let file = tempfile::tempfile().map_err(failed)?;
    (progress.begin)("writing", plan.node_bytes());
    write::write(&plan, content, &file, progress.advance).map_err(CopyError::Source)?;
    let mapping = map_opened(file).map_err(failed)?;
    Ok(Db::of_mapping(mapping).map_err(CopyError::Reread)?)
}
