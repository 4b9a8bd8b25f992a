//! A defrag: read, plan, copy, report.

#![warn(missing_docs)]

use std::mem::take;
use std::time::Instant;

use crate::bolt::fault::Findings;
use crate::bolt::write::{self, Plan};
use crate::copy::{self, Copied, CopyError, Order, Progress};
use crate::etcd::HexId;
use crate::etcd::schema::{Alarm, KEY_BUCKET, State};
use crate::etcd::trailer::Trailer;
use crate::input::DbFile;
use crate::text::shown;

use super::changes::{Changes, Wish, compaction_of};
use super::content::{CopyContent, Omitted};
use super::error::DefragError;
use super::guard::{Refusal, Surroundings};
use super::notes;
use super::outcome::{
    CompactedAway, Compaction, DefragCopy, DefragReport, DefragSource, Disarmed, LeftOut, Verification,
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
    let surroundings = Surroundings::of(&source.path, &state, request.wal_dir.as_deref());
    // a revision that is out of range has an error of its own
    let compaction = compaction_of(&source.db, &state, request.wish.history).ok().flatten();
    let refusal = surroundings.refusal(&request.wish, compaction);
    if let Some(refusal) = refusal.clone().filter(|_| request.destination.is_in_place()) {
        return Err(DefragError::Refused { path: shown(&source.path).into_owned(), refusal });
    }
    let changes = Changes::of(&source.db, &state, &request.wish);
    let changes = changes.map_err(|error| DefragError::change(source, error))?;
    let mut content = read(source, &changes, progress)?;
    // the proof reads again what is kept: until then, its memory is not needed
    let changes = changes.without_kept();
    let plan = write::plan(&content, request.layout.settings(&source.db, state.key_bucket.is_some()));
    let plan = plan.map_err(CopyError::from)?;
    let records = records_of(&content);
    let (omitted, harmless) = (take(&mut content.omitted), take(&mut content.harmless));
    let left_out = LeftOut::of(&request.wish.drop_prefixes, &omitted.keys);
    let copied = match target.filter(|_| !request.dry_run) {
        Some(target) => {
            check_confirmed(left_out.as_ref(), &request.wish)?;
            // what was unpacked has attributes that nobody chose
            let mapping = source.db.mapping().filter(|_| !source.named.is_unpacked());
            let attributes_of = mapping.map(|mapping| mapping.file());
            let order = Order { target, plan: &plan, snapshot: request.snapshot, attributes_of };
            let prove = |copy: &_| {
                request.verify.then(|| verify::prove(&source.db, copy, &changes, progress)).transpose()
            };
            Some(copy::make(order, content, progress, prove)?)
        }
        None => None,
    };
    let done = Done {
        source,
        state,
        request,
        surroundings,
        refusal,
        changes,
        plan,
        records,
        omitted,
        left_out,
        harmless,
    };
    Ok(DefragReport { elapsed_seconds: began.elapsed().as_secs_f64(), ..done.report(copied) })
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

/// All that a report needs, but for the copy.
struct Done<'a> {
    source: &'a DbFile,
    state: State<'a>,
    request: &'a DefragRequest,
    surroundings: Surroundings,
    refusal: Option<Refusal>,
    changes: Changes<'a>,
    plan: Plan,
    /// Records of the copy.
    records: u64,
    omitted: Omitted<'a>,
    left_out: Option<LeftOut>,
    harmless: Findings,
}

impl Done<'_> {
    fn report(self, copied: Option<Copied<Option<Verification>>>) -> DefragReport {
        let Self { source, ref state, request, ref surroundings, ref changes, .. } = self;
        let mut warnings = notes::of(source, &self.harmless, state, &request.wish, changes);
        warnings.extend(notes::of_log(&surroundings.tail, request));
        let copied = copied.unwrap_or_default();
        warnings.extend(copied.warnings);
        let source_file = self.source_file();
        let target = self.target_file(copied.sha256);
        DefragReport {
            saved_bytes: source_file.file_bytes.cast_signed().saturating_sub(target.file_bytes.cast_signed()),
            source: source_file,
            target,
            dropped: CompactedAway {
                superseded: self.omitted.superseded,
                tombstones: self.omitted.tombstones,
            },
            compaction: changes.compaction().map(|revision| compaction(source, state, revision)),
            disarmed: self.omitted.alarms.iter().map(disarmed).collect(),
            members: surroundings.num_members(&request.wish),
            before_etcdutl: state.cluster_minor().is_some_and(|minor| minor < 5),
            verified: copied.proof.is_some(),
            verification: copied.proof,
            dry_run: request.dry_run,
            kept_old: copied.kept_old,
            warnings,
            owner: source.owner(),
            left_out: self.left_out,
            refused_in_place: self.refusal,
            elapsed_seconds: 0.0,
        }
    }

    fn source_file(&self) -> DefragSource {
        let is_etcd = self.state.key_bucket.is_some();
        DefragSource {
            path: self.source.path.as_path().into(),
            file_bytes: self.source.db.file_size(),
            page_size: self.source.db.page_size(),
            records: if is_etcd { self.omitted.source_records } else { self.records },
            structural_faults: self.harmless.count,
        }
    }

    fn target_file(&self, sha256: Option<String>) -> DefragCopy {
        let Self { request, plan, .. } = self;
        DefragCopy {
            path: request.destination.path(&self.source.path).into(),
            file_bytes: copy::file_bytes(plan, request.snapshot),
            page_size: plan.page_size,
            max_node_pages: request.layout.max_node_pages,
            steady: request.layout.steady,
            records: self.records,
            entry_bytes: plan.entry_bytes,
            sha256,
        }
    }
}

fn compaction(source: &DbFile, state: &State<'_>, revision: i64) -> Compaction {
    Compaction {
        revision,
        source_compact_revision: state.compact_revision(),
        current_revision: state.current_revision(&source.db),
        finishes_earlier: state.scheduled_compact_revision > state.finished_compact_revision,
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
