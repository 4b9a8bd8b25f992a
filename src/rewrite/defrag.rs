//! A defrag: read, plan, write, prove, put in place.

use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::bolt::open::{Lock, OpenError, map_file};
use crate::bolt::write::{self, Packing, Plan, PlanError, Settings, WriteError};
use crate::bolt::{Db, FormatError};
use crate::etcd::hash::{self, Rule};
use crate::etcd::schema::{KEY_BUCKET, State};
use crate::etcd::trailer::{self, Trailer};
use crate::source::Source;

use super::content::{Content, first_fault};
use super::output::{self, Output, OutputError};
use super::place::Place;
use super::verify::{self, Compared, Mismatch};

/// The most pages of a node, unless asked otherwise: docs/packing.md has the measurements behind it.
pub const DEFAULT_MAX_NODE_PAGES: u32 = 4;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where the copy goes.
    pub destination: Destination,
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

/// What was done.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The file that was read.
    pub source: SourceFile,
    /// The copy.
    pub target: TargetFile,
    /// Records that were left out.
    pub dropped: Dropped,
    /// Bytes that the source has more than the copy; negative where it has fewer.
    pub saved_bytes: i64,
    /// Whether the copy was compared with its source, entry by entry.
    pub verified: bool,
    /// What was compared.
    pub verification: Option<Verification>,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// Where the source is kept, if the copy took its place.
    pub kept_old: Option<String>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Wall time of all of it.
    pub elapsed_seconds: f64,
}

/// The file that was read.
#[derive(Clone, Debug, Serialize)]
pub struct SourceFile {
    /// Its path.
    pub path: String,
    /// Its bytes, tail and trailer included.
    pub file_bytes: u64,
    /// Bytes of a page.
    pub page_size: u64,
    /// Records: entries of the `key` bucket; for a file that isn't etcd's, entries of all buckets.
    pub records: u64,
}

/// The copy.
#[derive(Clone, Debug, Serialize)]
pub struct TargetFile {
    /// Its path.
    pub path: String,
    /// Its bytes, trailer included.
    pub file_bytes: u64,
    /// Bytes of a page.
    pub page_size: u64,
    /// The most pages of a node.
    pub max_node_pages: u32,
    /// Whether nodes of several pages are only those that bbolt will not split.
    pub steady: bool,
    /// Records: entries of the `key` bucket; for a file that isn't etcd's, entries of all buckets.
    pub records: u64,
    /// Bytes of its entries: elements, keys and values. No file can be smaller.
    pub entry_bytes: u64,
    /// The SHA-256 that was appended, in hexadecimal digits.
    pub sha256: Option<String>,
}

/// Records that were left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// Older revisions.
    pub superseded: u64,
    /// Deletions.
    pub tombstones: u64,
}

/// What was found equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Buckets.
    pub buckets: u64,
    /// Entries of all buckets.
    pub entries: u64,
    /// HashKV of both files; `null` for a file that isn't etcd's.
    pub hash_kv: Option<u32>,
}

/// Why there is no copy, and what to do next. The source is as it was.
#[derive(Debug, Error)]
pub enum DefragError {
    /// A damaged source.
    #[error(
        "{path}: is damaged, so a copy would lose what can't be read ({first}{}): see all of it with `etcd-medic check \
         {path}`; nothing was written", more(*count)
    )]
    Damaged {
        /// The source.
        path: String,
        /// The first fault.
        first: String,
        /// How many.
        count: u64,
    },
    /// A snapshot that was changed.
    #[error(
        "{path}: its SHA-256 is not that of its content: it was cut short or changed; take another snapshot, or go on \
         with --skip-hash-check if you know why"
    )]
    Trailer {
        /// The source.
        path: String,
    },
    /// Something that can't be written.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The target.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The copy is not what it should be: a mistake of this program's, or the source changed.
    #[error("the copy was thrown away, as it is not equal to its source: {0}")]
    Mismatch(#[from] Mismatch),
    /// The source changed, or is out of order.
    #[error("{0}; the copy was thrown away")]
    Source(WriteError),
    /// The copy can't be opened.
    #[error("the copy can't be opened again: {0}")]
    Reopen(OpenError),
    /// The copy is no bbolt file.
    #[error("the copy can't be read again: {0}")]
    Reread(FormatError),
    /// The source was read without a lock, so another may be writing to it.
    #[error(
        "--in-place needs bbolt's lock, so that no etcd writes to the file meanwhile: leave --no-lock out"
    )]
    InPlaceWithoutLock,
    /// The file that --force would replace is a running etcd's.
    #[error(
        "{path}: is locked by {who}, which would go on with the old file: nothing was replaced; stop it first, or name \
         another file"
    )]
    TargetInUse {
        /// The target.
        path: String,
        /// Who has it.
        who: String,
    },
    /// Somebody opened the file that is to be replaced meanwhile.
    #[error(
        "{path}: {who} was started meanwhile and waits for it; it would go on with the old file. Nothing was replaced: \
         stop it, and run this again"
    )]
    Awaited {
        /// The file.
        path: String,
        /// Who waits.
        who: String,
    },
}

fn more(count: u64) -> String {
    if count > 1 { format!(", and {} more", count - 1) } else { String::new() }
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
/// See [`DefragError`]. In each case the source is as it was, there is no temporary file, and what stood at the target
/// still does.
pub fn defrag(source: &Source, request: &Request, progress: Progress<'_>) -> Result<Report, DefragError> {
    let began = Instant::now();
    let place = Place::of(source, &request.destination)?;
    let trailer = trailer::trailer_size(source.db.file_size());
    if trailer > 0 && !request.skip_hash_check && trailer::verify(source.db.data()) == Trailer::Invalid {
        return Err(DefragError::Trailer { path: source.path.display().to_string() });
    }
    // what takes the place of a snapshot is one, too
    let in_place = matches!(request.destination, Destination::InPlace { .. });
    let request = &Request { snapshot: request.snapshot || (in_place && trailer > 0), ..request.clone() };
    let state = State::read(&source.db);
    let content = read(source, progress)?;
    let settings = settings_of(&source.db, state.key_bucket.is_some(), request.layout);
    let plan = write::plan(&content, settings)?;
    let mut report = report(source, &state, &content, &plan, request);
    if !request.dry_run {
        write_and_prove(source, content, &plan, request, &place, progress, &mut report)?;
    }
    report.elapsed_seconds = began.elapsed().as_secs_f64();
    Ok(report)
}

/// Reads what a source holds.
///
/// # Errors
/// [`DefragError::Damaged`].
pub fn read<'a>(source: &'a Source, progress: Progress<'_>) -> Result<Content<'a>, DefragError> {
    (progress.begin)("reading", source.db.num_pages() * source.db.page_size());
    Content::read(&source.db, progress.advance).map_err(|findings| DefragError::Damaged {
        path: source.path.display().to_string(),
        first: first_fault(&findings),
        count: findings.count,
    })
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
) -> Report {
    let records = records_of(content);
    let file_bytes = plan.file_bytes() + if request.snapshot { trailer::TRAILER_SIZE as u64 } else { 0 };
    let source_file = SourceFile {
        path: source.path.display().to_string(),
        file_bytes: source.db.file_size(),
        page_size: source.db.page_size(),
        records,
    };
    let target = match &request.destination {
        Destination::File { path, .. } => path,
        Destination::InPlace { .. } => &source.path,
    };
    let target = TargetFile {
        path: target.display().to_string(),
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
        dropped: Dropped::default(),
        verified: false,
        verification: None,
        dry_run: request.dry_run,
        kept_old: None,
        warnings: warnings(source, state),
        elapsed_seconds: 0.0,
    }
}

/// Entries of the `key` bucket; of all buckets where there is none.
#[must_use]
pub fn records_of(content: &Content<'_>) -> u64 {
    content.num_entries_of(KEY_BUCKET).unwrap_or_else(|| content.num_entries())
}

fn warnings(source: &Source, state: &State<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    for (slot, meta) in source.db.metas().slots.iter().enumerate() {
        if let Err(error) = meta {
            warnings.push(format!(
                "meta {slot} of the source is not valid ({error}): what its last transaction wrote may be missing"
            ));
        }
    }
    let (size, claimed) =
        (source.db.file_size(), source.db.high_water_mark().saturating_mul(source.db.page_size()));
    if size < claimed {
        warnings.push(format!(
            "the source has {size} bytes, its high water mark claims {claimed}: it was cut short, but nothing that is in \
             use was lost"
        ));
    }
    if source.read_without_lock {
        warnings.push(
            "the source was read without a lock: if etcd was writing to it, stop etcd and do it again"
                .to_owned(),
        );
    }
    for alarm in &state.alarms {
        warnings.push(format!(
            "alarm {} of member {:x} is still raised in the copy: once etcd runs and has room, `etcdctl alarm disarm`",
            alarm.name(),
            alarm.member_id
        ));
    }
    warnings
}

fn write_and_prove(
    source: &Source,
    content: Content<'_>,
    plan: &Plan,
    request: &Request,
    place: &Place,
    progress: Progress<'_>,
    report: &mut Report,
) -> Result<(), DefragError> {
    output::check_space(&place.folder, report.target.file_bytes)?;
    let output = Output::begin(&place.folder, &place.target, plan.file_bytes())?;
    (progress.begin)("writing", plan.file_bytes());
    write::write(plan, &content, output.file(), progress.advance).map_err(|error| match error {
        WriteError::Io(error) => OutputError::io(&place.folder)(error).into(),
        error => DefragError::Source(error),
    })?;
    // its memory is not needed any more: the proof reads both files afresh
    drop(content);
    if !output.copy_ownership(&source.path)? {
        report.warnings.push(format!(
            "the copy belongs to whoever ran this: give it to the source's owner with `chown --reference={} {}`",
            report.source.path, report.target.path
        ));
    }
    let copy = map_file(output.path(), Lock::None).map_err(DefragError::Reopen)?;
    let copy = Db::of_mapping(copy).map_err(DefragError::Reread)?;
    // the disk is busy with what was written, the processors with the proof
    let (flushed, verification) = std::thread::scope(|scope| {
        let flushing = scope.spawn(|| seal(&output, &copy, request.snapshot));
        let verification = request.verify.then(|| prove(&source.db, &copy, progress)).transpose();
        let flushed = flushing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (flushed, verification)
    });
    report.verification = verification?;
    report.target.sha256 = flushed?;
    report.verified = report.verification.is_some();
    drop(copy);
    report.kept_old = place.put(output)?.map(|old| old.display().to_string());
    Ok(())
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
/// bytes.
///
/// # Errors
/// The first difference.
pub fn prove(source: &Db, copy: &Db, progress: Progress<'_>) -> Result<Verification, Mismatch> {
    (progress.begin)("verifying", copy.file_size());
    let source_hash = hash::hash_kv_of(source, &State::read(source));
    let state = State::read(copy);
    let rule =
        state.key_bucket.map(|bucket| Rule::new(copy, &bucket, state.compact_revision(), i64::MAX, None));
    let Compared { buckets, entries, hash_kv } =
        verify::compare(source, copy, rule.as_ref(), progress.advance)?;
    if hash_kv != source_hash {
        return Err(Mismatch::HashKv { source_hash, copy_hash: hash_kv });
    }
    Ok(Verification { buckets, entries, hash_kv })
}
