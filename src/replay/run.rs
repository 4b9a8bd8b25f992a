//! A replay: read, find the end, apply, write, report.

use std::fs::File;
use std::time::Instant;

use crate::bolt::Db;
use crate::bolt::write;
use crate::copy::{self, CopyError, Order, Progress, proof};
use crate::etcd::apply::{Machine, Rules, Written};
use crate::etcd::hash;
use crate::etcd::schema::{KEY_BUCKET, State};
use crate::input::{DbFile, LogFiles, OpenOptions};
use crate::member::ReadLog;
use crate::output::{OutputError, Target};
use crate::text::ByteText;

use super::base::Base;
use super::compact::compact;
use super::content::{Content, NewRecord};
use super::deletions;
use super::document::{Point, ReplayCopy, ReplayReport, RulesReport};
use super::error::ReplayError;
use super::request::ReplayRequest;
use super::small;
use super::steps::{self, StepTally};
use super::until;
use super::writer::{self, KnownBy, LogWriter, Witness};

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
    let base = Base::read(&file.db, progress.advance)?;
    let log = log_files.read();
    check_history(&base, &log)?;
    let witness = witness(log_files);
    let mut machine = base.machine(Rules::of(request.version.unwrap_or(writer::OLDEST)));
    let known = base.index.max(witness.map_or(0, |witness| witness.index));
    let committed = until::committed(&log, log_files, known, &machine.members, base.index);
    let writer = writer::find(request.version, &base.state, &machine, &log, committed, witness)?;
    machine.rules = writer.rules;
    let shortest = witness.and_then(|witness| witness.shortest_lease).into_iter();
    let shortest = shortest.chain(machine.store.leases.values().map(|lease| lease.ttl)).min();
    // a member that granted one for less has a shorter election timeout
    machine.store.min_lease_ttl = machine.store.min_lease_ttl.min(shortest.unwrap_or(i64::MAX)).max(1);
    // likewise, one that has more learners may have them
    let learners = witness.map_or(0, |witness| witness.num_learners);
    machine.members.max_learners = machine.members.max_learners.max(learners);
    let until = until::find(&request.until, &machine, &log, committed)?;
    let from = point(&machine);
    let wanted = request.list_deletions.as_ref();
    let listed = wanted.map(|wanted| deletions::runs(&machine, &log, committed, wanted)).transpose()?;
    let mut records = Vec::new();
    if target.is_some() {
        records.extend(base.entries(KEY_BUCKET).iter().copied().map(NewRecord::Held));
    }
    let tally = match target {
        // nothing but what exists is kept in memory
        None => steps::run(&mut machine, &log, until, &mut |_| {}, &mut |_| true)?,
        Some(_) => {
            let mut sink = |written| keep(&mut records, written);
            steps::run(&mut machine, &log, until, &mut sink, &mut |_| true)?
        }
    };
    let report = Report { file, log_files, log: &log, machine: &machine, tally, writer, committed, from };
    let mut report = ReplayReport { deletions: listed.unwrap_or_default(), ..report.make() };
    if let Some(target) = target {
        if machine.store.compact_revision != base.state.finished_compact_revision.unwrap_or(-1) {
            compact(&mut records, machine.store.compact_revision, machine.rules);
        }
        let sequence =
            base.buckets.iter().find(|bucket| bucket.name == KEY_BUCKET).map_or(0, |bucket| bucket.sequence);
        let content = Content::new(records, sequence, small::buckets(&base, &machine));
        write_copy(file, request, target, &content, &mut report, progress)?;
    }
    Ok(ReplayReport { elapsed_seconds: began.elapsed().as_secs_f64(), ..report })
}

fn keep<'a>(records: &mut Vec<NewRecord<'a>>, written: Written<'a>) {
    records.push(NewRecord::Changed(written.change));
}

fn write_copy(
    file: &DbFile,
    request: &ReplayRequest,
    target: Target,
    content: &Content<'_>,
    report: &mut ReplayReport,
    progress: Progress<'_>,
) -> Result<(), ReplayError> {
    let plan = write::plan(content, request.layout.settings(&file.db, true)).map_err(CopyError::from)?;
    let attributes = File::open(&file.path).map_err(OutputError::io(&file.path)).map_err(CopyError::from)?;
    let attributes_of = Some(&attributes);
    let order = Order { target, plan: &plan, snapshot: request.snapshot, attributes_of };
    let prove = |copy: &Db| {
        (progress.begin)("verifying", copy.file_size());
        proof::against(content, copy, progress.advance)?;
        Ok(hash::hash_kv_of(copy, &State::read(copy)))
    };
    let copied = copy::make(order, content, progress, prove)?;
    report.hash_kv = copied.proof;
    report.verified = true;
    report.warnings.extend(copied.warnings);
    report.target = request.target.as_ref().map(|path| ReplayCopy {
        path: ByteText::from(path.as_path()),
        file_bytes: copy::file_bytes(&plan, request.snapshot),
        records: content.num_records(),
        sha256: copied.sha256,
    });
    Ok(())
}

/// Refuses a log that can't be of the db's history: by the term of the entry that the db is at, and by the members.
pub(super) fn check_history(base: &Base<'_>, log: &ReadLog<'_>) -> Result<(), ReplayError> {
    let of_log = log.stretch_with(base.index).and_then(|stretch| stretch.term_at(base.index));
    let of_log = of_log.or_else(|| log.log.term_at(base.index));
    if let (Some(of_db), Some(of_log)) = (base.state.term, of_log)
        && of_db != of_log
    {
        let index = base.index;
        let text = format!("entry {index} is of term {of_db} by the db, and of term {of_log} in the log");
        return Err(ReplayError::OtherHistory(text));
    }
    let id = log.log.metadata.node_id;
    let is_known = base.state.members.is_empty()
        || base.state.members.iter().any(|member| member.id.0 == id)
        || log.log.adds(id);
    if is_known {
        return Ok(());
    }
    Err(ReplayError::OtherHistory(format!("it is of member {id:x}, and the db knows no such member")))
}

/// The db beside the log, if it can be read: what its member made of these entries.
fn witness(log: &LogFiles) -> Option<Witness> {
    let options = OpenOptions { lock: crate::bolt::open::Lock::None, ..OpenOptions::default() };
    let file = DbFile::open(log.db.as_ref()?, &options, &|_| {}).ok()?;
    let state = State::read(&file.db);
    Some(Witness {
        index: state.consistent_index?,
        revision: state.current_revision(&file.db),
        shortest_lease: state.leases.iter().map(|lease| lease.ttl).min(),
        num_learners: state.members.iter().filter(|member| member.is_learner).count(),
    })
}

fn point(machine: &Machine<'_>) -> Point {
    let store = &machine.store;
    Point {
        index: machine.index,
        term: machine.term,
        revision: store.revision,
        compact_revision: store.compact_revision,
    }
}

struct Report<'r, 'a> {
    file: &'r DbFile,
    log_files: &'r LogFiles,
    log: &'r ReadLog<'a>,
    machine: &'r Machine<'a>,
    tally: StepTally,
    writer: LogWriter,
    committed: u64,
    from: Point,
}

impl Report<'_, '_> {
    fn make(self) -> ReplayReport {
        let warnings = self.warnings();
        let Self { file, log_files, log, machine, tally, writer, committed, from } = self;
        ReplayReport {
            base: ByteText::from(file.path.as_path()),
            log: ByteText::from(log_files.folder.as_path()),
            from,
            to: point(machine),
            entries: tally.entries,
            writes: tally.writes,
            refused: tally.refused,
            refused_by: tally.by_reason,
            keys: machine.store.keys.len() as u64,
            committed_index: committed,
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

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let Self { log, machine, tally, writer, .. } = self;
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
        if machine.index < log.log.last_index() && machine.index == self.committed {
            warnings.push(format!(
                "the log goes on to entry {}: the entries after {} may not have been committed",
                log.log.last_index(),
                machine.index
            ));
        }
        warnings
    }
}
