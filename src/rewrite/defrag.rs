//! A defrag: read, plan, write, prove, put in place.

use std::os::unix::fs::FileExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use sha2::{Digest, Sha256};

use crate::bolt::Db;
use crate::bolt::open::{Lock, map_file};
use crate::bolt::write::{self, Packing, Plan, Settings, WriteError};
use crate::etcd::hash::{self, Rule};
use crate::etcd::schema::{Alarm, KEY_BUCKET, State};
use crate::etcd::trailer::{self, Trailer};
use crate::output::{Output, OutputError, Target};
use crate::source::Source;
use crate::text::{ByteText, shown};

use super::changes::{Changes, Wish, compaction_of};
use super::content::Content;
use super::guard::Surroundings;
use super::notes;
use super::outcome::{Compaction, Disarmed, Dropped, LeftOut, Report, SourceFile, TargetFile, Verification};
use super::verify::{self, Compared, Mismatch};

pub use super::error::DefragError;

/// The most pages of a node, unless asked otherwise: docs/packing.md has the measurements behind it.
pub const DEFAULT_MAX_NODE_PAGES: u32 = 4;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where the copy goes.
    pub destination: Destination,
    /// What is to be different from the source.
    pub wish: Wish,
    /// How it is laid out.
    pub layout: Layout,
    /// Whether to compare the copy with its source.
    pub verify: bool,
    /// Whether to do nothing but plan.
    pub dry_run: bool,
    /// Whether to append a SHA-256, as snapshots have it.
    pub snapshot: bool,
    /// Whether to take a snapshot whose SHA-256 is not its own.
    pub skip_hash_check: bool,
    /// Where the member's log lies, if not beside its db.
    pub wal_dir: Option<PathBuf>,
}

/// Where a copy goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Destination {
    /// To this path.
    File {
        /// The path.
        path: PathBuf,
        /// Whether to replace what stands there.
        force: bool,
    },
    /// To where its source is.
    InPlace {
        /// Whether to keep the source, under another name.
        keep_old: bool,
    },
    /// To no file: a dry run, whatever else is asked for.
    Nowhere,
}

/// How a copy is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Bytes of a page; the source's, if not given.
    pub page_size: Option<u32>,
    /// The most pages of a node.
    pub max_node_pages: u32,
    /// Whether nodes of several pages are only those that bbolt will not split.
    pub steady: bool,
}

impl Default for Layout {
    fn default() -> Self {
        Self { page_size: None, max_node_pages: DEFAULT_MAX_NODE_PAGES, steady: false }
    }
}

/// Bytes done, by what is being done.
#[derive(Clone, Copy)]
pub struct Progress<'p> {
    /// Begins a step of so many bytes.
    pub begin: &'p (dyn Fn(&'static str, u64) + Sync),
    /// So many more are done.
    pub advance: &'p (dyn Fn(u64) + Sync),
}

/// Writes a copy of `source` without free pages and with as little slack as can be.
///
/// # Errors
/// See [`DefragError`]. But for [`OutputError::Unsynced`] and [`OutputError::Remains`], the source is as it was, there is no
/// temporary file, and the target is as it was.
pub fn defrag(source: &Source, request: &Request, progress: Progress<'_>) -> Result<Report, DefragError> {
    let began = Instant::now();
    let target = target(source, &request.destination)?;
    check_trailer(source, request.skip_hash_check)?;
    let trailer = trailer::trailer_size(source.db.file_size());
    // what takes the place of a snapshot is one, too
    let in_place = matches!(request.destination, Destination::InPlace { .. });
    let request = &Request {
        snapshot: request.snapshot || (in_place && trailer > 0),
        dry_run: request.dry_run || target.is_none(),
        ..request.clone()
    };
    let state = State::read(&source.db);
    let surroundings = Surroundings::of(&source.path, &state, request.wal_dir.as_deref());
    // a revision that is out of range has an error of its own
    let compaction = compaction_of(&source.db, &state, request.wish.history).ok().flatten();
    let refusal = surroundings.refusal(&request.wish, compaction);
    if let Some(refusal) = refusal.clone().filter(|_| in_place) {
        return Err(DefragError::Refused { path: shown(&source.path).into_owned(), refusal });
    }
    let changes = changes_of(source, &state, &request.wish)?;
    let content = read(source, &changes, progress)?;
    // the proof finds out by itself what is kept: until then, its memory is not needed
    let changes = changes.without_kept();
    let settings = settings_of(&source.db, state.key_bucket.is_some(), request.layout);
    let plan = write::plan(&content, settings)?;
    let mut report = report(source, &state, &content, &plan, request, &changes);
    report.members = surroundings.num_members(&request.wish);
    report.warnings.extend(notes::of_log(&surroundings.tail, request));
    report.refused_in_place = refusal;
    if let Some(target) = target.filter(|_| !request.dry_run) {
        check_confirmed(report.left_out.as_ref(), &request.wish)?;
        write_and_prove(source, content, &plan, request, (target, &changes), progress, &mut report)?;
    }
    report.elapsed_seconds = began.elapsed().as_secs_f64();
    Ok(report)
}

/// `None` for a copy that goes nowhere.
fn target(source: &Source, destination: &Destination) -> Result<Option<Target>, OutputError> {
    match destination {
        Destination::File { path, force } => Target::new(path, Some(&source.path), *force).map(Some),
        Destination::InPlace { keep_old } => {
            let mapping = source.db.mapping().ok_or(OutputError::NotLocked)?;
            Target::in_place(&source.path, mapping, *keep_old).map(Some)
        }
        Destination::Nowhere => Ok(None),
    }
}

fn changes_of<'a>(source: &'a Source, state: &State<'a>, wish: &Wish) -> Result<Changes<'a>, DefragError> {
    Changes::of(&source.db, state, wish).map_err(|error| DefragError::change(source, error))
}

/// Keys are given up only by somebody who has counted them.
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
    source: &'a Source,
    changes: &Changes<'a>,
    progress: Progress<'_>,
) -> Result<Content<'a>, DefragError> {
    (progress.begin)("reading", source.db.num_pages() * source.db.page_size());
    Content::read(&source.db, changes, progress.advance)
        .map_err(|unreadable| DefragError::damaged(source, unreadable))
}

/// Whether a snapshot is what was taken.
///
/// # Errors
/// [`DefragError::Trailer`], unless that is not to be looked at.
pub fn check_trailer(source: &Source, skip: bool) -> Result<(), DefragError> {
    let invalid = !skip && trailer::verify(source.db.data()) == Trailer::Invalid;
    if invalid { Err(DefragError::Trailer { path: shown(&source.path).into_owned() }) } else { Ok(()) }
}

/// How a source's copy is laid out: without a stored freelist for etcd's files, like the source for others.
#[must_use]
pub fn settings_of(db: &Db, is_etcd: bool, layout: Layout) -> Settings {
    Settings {
        page_size: layout.page_size.unwrap_or(db.meta().page_size),
        packing: Packing::Optimal { max_node_pages: layout.max_node_pages, steady: layout.steady },
        freelist: !is_etcd && db.meta().freelist.is_some(),
    }
}

fn report(
    source: &Source,
    state: &State<'_>,
    content: &Content<'_>,
    plan: &Plan,
    request: &Request,
    changes: &Changes<'_>,
) -> Report {
    let records = records_of(content);
    let source_records = if state.key_bucket.is_some() { content.left.source_records } else { records };
    let file_bytes = plan.file_bytes() + if request.snapshot { trailer::TRAILER_SIZE as u64 } else { 0 };
    let source_file = SourceFile {
        path: source.path.as_path().into(),
        file_bytes: source.db.file_size(),
        page_size: source.db.page_size(),
        records: source_records,
        structural_faults: content.harmless.count,
    };
    let target = match &request.destination {
        Destination::File { path, .. } => path.as_path(),
        Destination::InPlace { .. } => source.path.as_path(),
        Destination::Nowhere => Path::new(""),
    };
    let target = TargetFile {
        path: target.into(),
        file_bytes,
        page_size: plan.page_size,
        max_node_pages: request.layout.max_node_pages,
        steady: request.layout.steady,
        records,
        entry_bytes: plan.entry_bytes,
        sha256: None,
    };
    Report {
        saved_bytes: source_file.file_bytes.cast_signed().saturating_sub(file_bytes.cast_signed()),
        source: source_file,
        target,
        dropped: Dropped { superseded: content.left.superseded, tombstones: content.left.tombstones },
        compaction: changes.compaction().map(|revision| compaction(source, state, revision)),
        disarmed: content.left.alarms.iter().map(disarmed).collect(),
        left_out: LeftOut::of(&request.wish.drop_prefixes, &content.left.keys),
        members: 0,
        refused_in_place: None,
        before_etcdutl: state.cluster_minor().is_some_and(|minor| minor < 5),
        verified: false,
        verification: None,
        dry_run: request.dry_run,
        kept_old: None,
        warnings: notes::of(source, &content.harmless, state, &request.wish, changes),
        owner: source.owner(),
        elapsed_seconds: 0.0,
    }
}

fn compaction(source: &Source, state: &State<'_>, revision: i64) -> Compaction {
    Compaction {
        revision,
        source_compact_revision: state.compact_revision(),
        current_revision: state.current_revision(&source.db),
        finishes_earlier: state.scheduled_compact_revision > state.finished_compact_revision,
    }
}

fn disarmed(alarm: &Alarm) -> Disarmed {
    Disarmed { member_id: alarm.member_id, alarm: alarm.name() }
}

/// Entries of the `key` bucket; of all buckets where there is none, the buckets themselves apart.
#[must_use]
pub fn records_of(content: &Content<'_>) -> u64 {
    let pairs = || content.num_entries().saturating_sub(content.num_buckets());
    content.num_entries_of(KEY_BUCKET).unwrap_or_else(pairs)
}

fn write_and_prove(
    source: &Source,
    content: Content<'_>,
    plan: &Plan,
    request: &Request,
    (target, changes): (Target, &Changes<'_>),
    progress: Progress<'_>,
    report: &mut Report,
) -> Result<(), DefragError> {
    target.check_space(report.target.file_bytes)?;
    let output = target.begin(plan.file_bytes())?;
    (progress.begin)("writing", plan.file_bytes());
    write::write(plan, &content, output.file(), progress.advance).map_err(|error| match error {
        WriteError::Io(error) => OutputError::io(output.target())(error).into(),
        error => DefragError::Source(error),
    })?;
    // its memory is not needed any more: the proof reads both files afresh
    drop(content);
    if let Some(mapping) = source.db.mapping() {
        report.warnings.extend(output.copy_attributes(mapping.file())?);
    }
    let copy = map_file(output.path(), Lock::None).map_err(DefragError::Reopen)?;
    let copy = Db::of_mapping(copy).map_err(DefragError::Reread)?;
    // the disk is busy with what was written, the processors with the proof
    let (sealed, verification) = seal_while(&output, &copy, request.snapshot, || {
        request.verify.then(|| prove(&source.db, &copy, changes, progress)).transpose()
    });
    report.verification = verification?;
    report.target.sha256 = sealed?;
    report.verified = report.verification.is_some();
    drop(copy);
    report.kept_old = output.commit()?.map(|old| ByteText::from(old.as_path()));
    Ok(())
}

/// Seals a copy while something else is done; afterwards, where no thread can be had.
pub(crate) fn seal_while<T>(
    output: &Output,
    copy: &Db,
    snapshot: bool,
    work: impl FnOnce() -> T,
) -> (Result<Option<String>, OutputError>, T) {
    let seal = || seal(output, copy, snapshot);
    thread::scope(|scope| {
        let sealing = thread::Builder::new().spawn_scoped(scope, seal);
        let done = work();
        let sealed = match sealing {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(_) => seal(),
        };
        (sealed, done)
    })
}

/// Appends the SHA-256 of a snapshot, and waits until all is on the disk.
pub(crate) fn seal(output: &Output, copy: &Db, snapshot: bool) -> Result<Option<String>, OutputError> {
    let digest = snapshot.then(|| Sha256::digest(copy.data()));
    if let Some(digest) = &digest {
        output.file().write_all_at(digest, copy.file_size()).map_err(OutputError::io(output.path()))?;
    }
    output.sync()?;
    Ok(digest.map(|digest| digest.iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// Compares the copy with its source: every bucket, every entry, and the hash that etcd would make of each, from its own
/// bytes. What was to be changed is taken into account, and what a compaction keeps is read from the source again.
///
/// # Errors
/// The first difference.
pub fn prove(
    source: &Db,
    copy: &Db,
    changes: &Changes<'_>,
    progress: Progress<'_>,
) -> Result<Verification, Mismatch> {
    (progress.begin)("verifying", copy.file_size());
    let (source_state, state) = (State::read(source), State::read(copy));
    let expected = changes.compaction().unwrap_or_else(|| source_state.compact_revision());
    if let Some(revision) = changes.compaction() {
        let marks = (state.scheduled_compact_revision, state.finished_compact_revision);
        if marks != (Some(revision), Some(revision)) {
            let (expected, found) = (Some(revision), marks.0.min(marks.1));
            return Err(Mismatch::Compaction { expected, found });
        }
    }
    let source_hash = source_state.key_bucket.as_ref().map(|key_bucket| {
        let is_lost = |value: &[u8]| changes.left_out(value).is_some();
        hash::hash_kv_without(source, key_bucket, expected, i64::MAX, &is_lost)
    });
    let changes = changes.afresh(source, &source_state);
    let rule =
        state.key_bucket.map(|bucket| Rule::new(copy, &bucket, state.compact_revision(), i64::MAX, None));
    let Compared { buckets, entries, hash_kv } =
        verify::compare(source, copy, &changes, rule.as_ref(), progress.advance)?;
    if hash_kv != source_hash {
        return Err(Mismatch::HashKv { source_hash, copy_hash: hash_kv });
    }
    Ok(Verification { buckets, entries: entries + changes.marks().len() as u64, hash_kv })
}
