//! A defrag: read, plan, copy, report.

#![warn(missing_docs)]

use std::mem::take;
use std::time::Instant;

use crate::bolt::Db;
use crate::bolt::fault::Findings;
use crate::bolt::write::{self, EntrySource, Plan};
use crate::copy::{self, Copied, CopyError, Mismatch, Order, Progress};
use crate::etcd::HexId;
use crate::etcd::schema::{Alarm, KEY_BUCKET, State};
use crate::etcd::trailer::Trailer;
use crate::input::{DbFile, LogFiles};
use crate::output::Target;
use crate::text::shown;

use super::changes::{Changes, Revisions, Wish, compaction_of};
use super::content::{CopyContent, Omitted, Unreadable};
use super::error::DefragError;
use super::forward::{self, Changed, Forward, Hindrance};
use super::guard::{Refusal, Surroundings};
use super::notes;
use super::outcome::{
    AppliedTail, CompactedAway, Compaction, DefragCopy, DefragReport, DefragSource, Disarmed, LeftOut,
    Verification,
};
use super::request::DefragRequest;
use super::verify;

/// Writes a copy of `source` without free pages and with as little slack as possible.
///
/// # Errors
/// See [`DefragError`]. But for [`crate::output::OutputError::Unsynced`] and [`crate::output::OutputError::Remains`], the source is
/// as it was, there is no temporary file, and the target is as it was.
pub fn defrag(
    source: &DbFile,
    request: &DefragRequest,
    progress: Progress<'_>,
) -> Result<DefragReport, DefragError> {
    let began = Instant::now();
    let target = request.destination.target(source).map_err(CopyError::from)?;
    check_trailer(source, request.skip_hash_check)?;
    let request = &request.settled(source);
    let state = State::read(&source.db);
    let surroundings = Surroundings::of(source.place(), &state, request.wal_dir.as_deref());
    // a revision that is out of range has an error of its own
    let compaction = compaction_of(&source.db, &state, request.wish.history).ok().flatten();
    let refusal = surroundings.refusal(&request.wish, compaction);
    let target = target.filter(|_| !request.dry_run);
    let job = Job { source, request, surroundings: &surroundings, target, progress };
    let report = match refusal {
        Some(refusal) if request.destination.is_in_place() => match (&refusal, &surroundings.log) {
            (Refusal::BehindItsLog { .. }, Some(log)) => job.at_logs_end(log, refusal)?,
            _ => return Err(DefragError::refused(source, refusal)),
        },
        refusal => job.where_it_is(state, refusal)?,
    };
    Ok(DefragReport { elapsed_seconds: began.elapsed().as_secs_f64(), ..report })
}

/// What is to be done, to what.
struct Job<'a, 'p> {
    source: &'a DbFile,
    request: &'a DefragRequest,
    surroundings: &'a Surroundings,
    /// `None` for a dry run.
    target: Option<Target>,
    progress: Progress<'p>,
}

impl<'a> Job<'a, '_> {
    /// A copy of the db as it is.
    fn where_it_is(
        mut self,
        state: State<'a>,
        refusal: Option<Refusal>,
    ) -> Result<DefragReport, DefragError> {
        let Self { source, request, progress, .. } = self;
        let changes = Changes::of(&source.db, &state, &request.wish);
        let changes = changes.map_err(|error| DefragError::change(source, error))?;
        let mut content = read(source, &changes, progress)?;
        // the proof reads again what is kept: until then, its memory is not needed
        let changes = changes.without_kept();
        let (omitted, harmless) = (take(&mut content.omitted), take(&mut content.harmless));
        let records = records_of(&content);
        let prove = |copy: &_| verify::prove(&source.db, copy, &changes, progress);
        let made = self.make(content, state.key_bucket.is_some(), &omitted, prove)?;
        let revisions = Revisions::of(&source.db, &state);
        let at = At { state, revisions, changes, records, omitted, harmless, applied: None };
        Ok(self.report(at, made, refusal, Vec::new()))
    }

    /// A copy of the db as it is where its log ends.
    fn at_logs_end(mut self, log: &'a LogFiles, refusal: Refusal) -> Result<DefragReport, DefragError> {
        let Self { source, request, progress, .. } = self;
        (progress.begin)("reading", source.db.num_pages() * source.db.page_size());
        let mut forward = Forward::read(source, log, progress).map_err(|hindrance| match hindrance {
            Hindrance::Damaged(first) => DefragError::damaged(source, Unreadable { first }),
            Hindrance::Other(reason) => DefragError::refused(source, refusal.not_applied(reason)),
        })?;
        let (state, revisions) = (take(&mut forward.state), forward.revisions);
        let (harmless, warnings) = (take(&mut forward.harmless), take(&mut forward.warnings));
        let applied = Some(forward.applied);
        let change = |error| DefragError::change(source, error);
        let changes = Changes::at(revisions, &state, &request.wish).map_err(change)?;
        let Changed { content, omitted } = forward.change(&changes).map_err(change)?;
        let prove = |copy: &_| forward::prove(&content, copy, progress);
        let made = self.make(&content, true, &omitted, prove)?;
        let records = content.num_records();
        let at = At { state, revisions, changes, records, omitted, harmless, applied };
        Ok(self.report(at, made, None, warnings))
    }

    /// Writes it, unless this is a dry run.
    fn make(
        &mut self,
        content: impl EntrySource,
        is_etcd: bool,
        omitted: &Omitted<'_>,
        prove: impl FnOnce(&Db) -> Result<Verification, Mismatch>,
    ) -> Result<Made, DefragError> {
        let Self { source, request, progress, .. } = *self;
        let plan = write::plan(&content, request.layout.settings(&source.db, is_etcd));
        let plan = plan.map_err(CopyError::from)?;
        let left_out = LeftOut::of(&request.wish.drop_prefixes, &omitted.keys);
        let Some(target) = self.target.take() else { return Ok(Made { plan, left_out, copied: None }) };
        check_confirmed(left_out.as_ref(), &request.wish)?;
        // what was unpacked has attributes that nobody chose
        let mapping = source.db.mapping().filter(|_| !source.named.is_unpacked());
        let attributes_of = mapping.map(|mapping| mapping.file());
        let order = Order { target, plan: &plan, snapshot: request.snapshot, attributes_of };
        let prove = |copy: &_| request.verify.then(|| prove(copy)).transpose();
        let copied = copy::make(order, content, progress, prove)?;
        Ok(Made { plan, left_out, copied: Some(copied) })
    }
}

/// Keys are left out only if the user gave their number.
fn check_confirmed(left_out: Option<&LeftOut>, wish: &Wish) -> Result<(), DefragError> {
    let Some(left_out) = left_out else { return Ok(()) };
    let keys = left_out.keys.len() as u64;
    let records = left_out.keys.iter().map(|key| key.records).sum();
    let confirmed = wish.confirmed_keys;
    if confirmed == Some(keys) { Ok(()) } else { Err(DefragError::Unconfirmed { keys, records, confirmed }) }
}

/// Reads what the copy of a source is to hold.
///
/// # Errors
/// [`DefragError::Damaged`].
pub fn read<'a>(
    source: &'a DbFile,
    changes: &Changes<'a>,
    progress: Progress<'_>,
) -> Result<CopyContent<'a>, DefragError> {
    (progress.begin)("reading", source.db.num_pages() * source.db.page_size());
    CopyContent::read(&source.db, changes, progress.advance)
        .map_err(|unreadable| DefragError::damaged(source, unreadable))
}

/// Whether a snapshot is what was taken.
///
/// # Errors
/// [`DefragError::Trailer`], unless that is not to be looked at.
pub fn check_trailer(source: &DbFile, skip: bool) -> Result<(), DefragError> {
    let invalid = !skip && source.trailer() == Trailer::Invalid;
    if invalid { Err(DefragError::Trailer { path: shown(&source.path).into_owned() }) } else { Ok(()) }
}

/// A db that is to be changed: what it says, and what becomes of it.
struct At<'a> {
    state: State<'a>,
    revisions: Revisions,
    changes: Changes<'a>,
    /// Records of the copy.
    records: u64,
    omitted: Omitted<'a>,
    harmless: Findings,
    applied: Option<AppliedTail>,
}

/// The copy, and its plan.
struct Made {
    plan: Plan,
    left_out: Option<LeftOut>,
    /// `None` for a dry run.
    copied: Option<Copied<Option<Verification>>>,
}

impl Job<'_, '_> {
    fn report(
        &self,
        at: At<'_>,
        made: Made,
        refusal: Option<Refusal>,
        of_entries: Vec<String>,
    ) -> DefragReport {
        let Self { source, request, surroundings, .. } = self;
        let At { ref state, revisions, ref changes, .. } = at;
        let mut warnings = of_entries;
        warnings.extend(notes::of(source, &at.harmless, state, &request.wish, changes));
        warnings.extend(notes::of_log(&surroundings.tail, request));
        let Made { plan, left_out, copied } = made;
        let copied = copied.unwrap_or_default();
        warnings.extend(copied.warnings);
        let (source_file, target) =
            (self.source_file(&at), self.target_file(&plan, at.records, copied.sha256));
        DefragReport {
            saved_bytes: source_file.file_bytes.cast_signed().saturating_sub(target.file_bytes.cast_signed()),
            source: source_file,
            target,
            applied: at.applied,
            dropped: CompactedAway { superseded: at.omitted.superseded, tombstones: at.omitted.tombstones },
            compaction: changes.compaction().map(|revision| compaction(revisions, revision)),
            disarmed: at.omitted.alarms.iter().map(disarmed).collect(),
            members: surroundings.num_members(&request.wish),
            before_etcdutl: state.cluster_minor().is_some_and(|minor| minor < 5),
            verified: copied.proof.is_some(),
            verification: copied.proof,
            dry_run: request.dry_run,
            kept_old: copied.kept_old,
            warnings,
            owner: source.owner(),
            left_out,
            refused_in_place: refusal,
            elapsed_seconds: 0.0,
        }
    }

    fn source_file(&self, at: &At<'_>) -> DefragSource {
        let is_etcd = at.state.key_bucket.is_some();
        DefragSource {
            path: self.source.path.as_path().into(),
            file_bytes: self.source.db.file_size(),
            page_size: self.source.db.page_size(),
            records: if is_etcd { at.omitted.source_records } else { at.records },
            structural_faults: at.harmless.count,
        }
    }

    fn target_file(&self, plan: &Plan, records: u64, sha256: Option<String>) -> DefragCopy {
        let Self { request, source, .. } = self;
        DefragCopy {
            path: request.destination.path(&source.path).into(),
            file_bytes: copy::file_bytes(plan, request.snapshot),
            page_size: plan.page_size,
            max_node_pages: request.layout.max_node_pages,
            steady: request.layout.steady,
            records,
            entry_bytes: plan.entry_bytes,
            sha256,
        }
    }
}

fn compaction(before: Revisions, revision: i64) -> Compaction {
    Compaction {
        revision,
        source_compact_revision: before.compact,
        current_revision: before.current,
        finishes_earlier: before.unfinished,
    }
}

fn disarmed(alarm: &Alarm) -> Disarmed {
    Disarmed { member_id: HexId(alarm.member_id), alarm: alarm.name() }
}

/// Entries of the `key` bucket; of all buckets where there is none, the buckets themselves apart.
pub fn records_of(content: &CopyContent<'_>) -> u64 {
    let pairs = || content.num_entries().saturating_sub(content.num_buckets());
    content.num_entries_of(KEY_BUCKET).unwrap_or_else(pairs)
}
