//! A salvage: search, write, prove, put in place, report.

#![deny(clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::time::Instant;

use thiserror::Error;

use crate::bolt::bucket::{Bucket, BucketId, BucketRoot, path_of};
use crate::bolt::open::{Lock, OpenError, map_file};
use crate::bolt::walk::{Setup, Subtree, Walker, walk};
use crate::bolt::write::{self, EntrySource, PlanError, ValueSize, WriteError};
use crate::bolt::{Db, FormatError, PageId};
use crate::etcd::schema::State;
use crate::etcd::trailer::TRAILER_SIZE;
use crate::etcd::{current_revision, hash};
use crate::output::{OutputError, Target};
use crate::owner::Owner;
use crate::rewrite::content::first_fault;
use crate::rewrite::defrag::{Layout, Progress, seal_while, settings_of};
use crate::shell::ShellCommand;
use crate::text::{ByteText, shown};
use crate::units::count;

use super::assemble::{Saved, SavedBucket};
use super::document::{
    BucketReport, ConflictReport, Dropped, Recovered, Report, SourceFile, TargetFile, Unreached,
};
use super::find::{self, Finds, Trust};
use super::lacks;
use super::lost;
use super::notes;
use super::open::{Wreck, WreckError};
use super::records::{Found, Tier};
use super::restore;
use super::whole::{is_sound, is_whole};

/// Conflicts and gaps of small buckets that are listed.
const MAX_LISTED: usize = 100;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Request {
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
}

/// Why there is no copy, and what to do next. The source is as it was.
#[derive(Debug, Error)]
pub enum SalvageError {
    /// The file.
    #[error(transparent)]
    Wreck(#[from] WreckError),
    /// Nothing to be saved.
    #[error("{path}: no entry of any bucket can be found in it; look for {}", owner.backup())]
    Nothing {
        /// The source.
        path: String,
        /// Whose it is.
        owner: Owner,
    },
    /// Nothing that has a place.
    #[error(
        "{path}: the root bucket is lost. {}{} can be read, but nothing tells where they belong: --best-effort puts them into a bucket \
         of their own",
        count(*entries, "entry"),
        inside(*buckets)
    )]
    Unplaced {
        /// The source.
        path: String,
        /// Plain entries that can be read.
        entries: u64,
        /// The buckets among which they are.
        buckets: u64,
        /// What takes them.
        next: ShellCommand,
    },
    /// Something that can't be written.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The target.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The source changed.
    #[error("{0}; the copy was thrown away")]
    Source(WriteError),
    /// The copy can't be opened.
    #[error("the copy can't be opened again: {0}")]
    Reopen(OpenError),
    /// The copy is no bbolt file.
    #[error("the copy can't be read again: {0}")]
    Reread(FormatError),
    /// The copy is not what it should be.
    #[error("the copy was thrown away, as it is not what was saved: {0}")]
    Mismatch(String),
    /// The user wanted nothing doubtful.
    #[error(
        "{path}: {what}: with --strict, no copy is made of that. Look at it with --dry-run; without --strict, what nothing speaks \
         against is taken"
    )]
    Doubtful {
        /// The source.
        path: String,
        /// What is doubtful.
        what: String,
    },
}

impl SalvageError {
    /// The command to go on with, where there is one.
    #[must_use]
    pub fn next(&self) -> Option<ShellCommand> {
        match self {
            Self::Wreck(error) => error.next(),
            Self::Unplaced { next, .. } => Some(next.clone()),
            _ => None,
        }
    }
}

fn inside(buckets: u64) -> String {
    if buckets == 0 { String::new() } else { format!(" in {}", count(buckets, "bucket")) }
}

/// Saves what can be saved.
///
/// # Errors
/// See [`SalvageError`]. The source is as it was, there is no temporary file, and, but for [`OutputError::Unsynced`] and
/// [`OutputError::Remains`], the target is as it was.
pub fn salvage(wreck: &Wreck, request: &Request, progress: Progress<'_>) -> Result<Report, SalvageError> {
    let began = Instant::now();
    let target = || Target::new(&request.target, Some(&wreck.path), request.force);
    let target = (!request.dry_run).then(target).transpose()?;
    (progress.begin)("searching", wreck.db.file_size());
    let mut finds = find::find(wreck, request.trust, progress.advance);
    finds.auth_disabled = request.disable_auth && lacks::disable_auth(&mut finds.buckets);
    let saved = Saved::of(&finds.buckets);
    let entries =
        |bucket: &write::source::BucketSpec| bucket.entries.end.saturating_sub(bucket.entries.start);
    let entries: u64 = saved.buckets().iter().skip(1).map(entries).sum();
    let path = shown(&wreck.path).into_owned();
    if entries == 0 && finds.unreached.entries > 0 && !is_sound(&finds) {
        let Unreached { entries, buckets, .. } = finds.unreached;
        let next = ShellCommand::new("etcd-medic salvage").path(&wreck.path).and("-o").path(&request.target);
        let next = next.and("--best-effort").and(if request.force { "--force" } else { "" });
        return Err(SalvageError::Unplaced { path, entries, buckets, next });
    }
    if entries == 0 && request.trust == Trust::Strict && !finds.left.is_empty() {
        let what = format!("each of the {} records that were found may have been deleted", finds.left.len());
        return Err(SalvageError::Doubtful { path, what });
    }
    if entries == 0 && !is_sound(&finds) {
        return Err(SalvageError::Nothing { path, owner: Owner::of(&wreck.db).at(&wreck.path) });
    }
    let plan = write::plan(&saved, settings_of(&wreck.db, finds.is_etcd, request.layout))?;
    let mut report = report(wreck, &finds, &plan, request);
    let Some(target) = target else {
        report.elapsed_seconds = began.elapsed().as_secs_f64();
        return Ok(report);
    };
    if request.trust == Trust::Strict && report.num_conflicts > 0 {
        let what = format!("{} revisions were found with two contents", report.num_conflicts);
        return Err(SalvageError::Doubtful { path, what });
    }
    target.check_space(report.target.file_bytes)?;
    let output = target.begin(plan.file_bytes())?;
    (progress.begin)("writing", plan.file_bytes());
    write::write(&plan, &saved, output.file(), progress.advance).map_err(|error| match error {
        WriteError::Io(error) => OutputError::io(output.target())(error).into(),
        error => SalvageError::Source(error),
    })?;
    let file = File::open(&wreck.path).map_err(OutputError::io(&wreck.path))?;
    report.warnings.extend(output.copy_attributes(&file)?);
    let copy = map_file(output.path(), Lock::None).map_err(SalvageError::Reopen)?;
    let copy = Db::of_mapping(copy).map_err(SalvageError::Reread)?;
    let (sealed, proved) = seal_while(&output, &copy, request.snapshot, || {
        (progress.begin)("verifying", copy.file_size());
        prove(&saved, &copy, progress)
    });
    proved.map_err(SalvageError::Mismatch)?;
    report.target.sha256 = sealed?;
    report.hash_kv = hash::hash_kv_of(&copy, &State::read(&copy));
    report.verified = true;
    drop(copy);
    output.commit()?;
    report.elapsed_seconds = began.elapsed().as_secs_f64();
    Ok(report)
}

/// Walks the copy, and compares each of its entries with what was saved.
fn prove(saved: &Saved<'_>, copy: &Db, progress: Progress<'_>) -> Result<(), String> {
    let setup = Setup { max_faults: 1, ..Setup::default() };
    let (compared, walked) = walk(copy, setup, |walker| compare(saved, walker, progress));
    compared?;
    match (walked.findings.count, walked.buckets.len().saturating_sub(saved.buckets().len())) {
        (0, 0) => Ok(()),
        (0, more) => Err(format!("{more} buckets too many")),
        _ => Err(first_fault(&walked.findings)),
    }
}

fn compare<'c>(saved: &Saved<'_>, walker: &mut Walker<'c>, progress: Progress<'_>) -> Result<(), String> {
    for (number, spec) in (0u32..).zip(saved.buckets()) {
        let Some(mut walk) = walker.walk_bucket(BucketId(number)) else {
            return Err(format!("bucket {number} is missing"));
        };
        let mut next = spec.entries.start;
        let read = |subtree: &mut Subtree<'_, 'c>| {
            let leaves = subtree.filter_map(|node| node.leaf());
            leaves.flat_map(|leaf| leaf.entries().filter_map(Result::ok)).collect::<Vec<_>>()
        };
        while let Some(window) = walk.next_window(read) {
            for entry in window.into_iter().flatten() {
                (progress.advance)(entry.own_bytes());
                let is_bucket = matches!(saved.sizes(next).value, ValueSize::Bucket(_));
                let mut scratch = Vec::new();
                let expected = saved.entry(next, &mut scratch).filter(|_| next < spec.entries.end);
                let same = expected.is_some_and(|expected| {
                    expected.key == entry.key
                        && is_bucket == entry.is_bucket()
                        && (is_bucket || expected.value == entry.value)
                });
                if !same {
                    return Err(format!(
                        "entry {} of bucket {number} differs",
                        next.saturating_sub(spec.entries.start)
                    ));
                }
                next = next.saturating_add(1);
            }
        }
        if next != spec.entries.end {
            return Err(format!("bucket {number} ends too early"));
        }
    }
    Ok(())
}

fn report(wreck: &Wreck, finds: &Finds<'_>, plan: &write::Plan, request: &Request) -> Report {
    let lost = lost::lost(finds);
    let affected = lost::affected(finds, &lost);
    let trailer = if request.snapshot { TRAILER_SIZE as u64 } else { 0 };
    let newest = finds.records.last().map_or(0, |found| found.place.revision.main);
    let compacted = finds.compacted.unwrap_or(-1);
    let recovered = if finds.is_etcd { recovered(finds) } else { Recovered::of_buckets(&finds.buckets) };
    let target = TargetFile {
        path: request.target.as_path().into(),
        file_bytes: plan.file_bytes().saturating_add(trailer),
        page_size: plan.page_size,
        records: if finds.is_etcd { finds.records.len() as u64 } else { recovered.sum() },
        buckets: finds.buckets.len().saturating_sub(1) as u64,
        keys: live_keys(&finds.records),
        revision: finds.is_etcd.then(|| current_revision(newest, compacted)),
        sha256: None,
    };
    let source = SourceFile {
        path: wreck.path.as_path().into(),
        file_bytes: wreck.db.file_size(),
        page_size: wreck.db.page_size(),
        page_size_derived: wreck.page_size_derived,
        root: finds.root,
        unreadable: wreck.unreadable.clone(),
        searched: finds.searched,
    };
    let whole = is_whole(wreck, finds, &lost);
    let restore = restore::restore(finds, &lost, whole, &wreck.path, request);
    let conflicts = finds.conflicts.iter().take(MAX_LISTED).map(|conflict| ConflictReport {
        revision: conflict.revision.to_string(),
        taken: conflict.taken,
        other: conflict.other,
    });
    Report {
        dropped: Dropped { free: finds.left.len() as u64, malformed: finds.malformed },
        recovered,
        unreached: finds.unreached.clone(),
        buckets: buckets(finds),
        warnings: notes::of(wreck, finds, request),
        lost,
        affected,
        derived: finds.derived.clone(),
        conflicts: conflicts.collect(),
        num_conflicts: finds.conflicts.len() as u64,
        verified: false,
        hash_kv: None,
        dry_run: request.dry_run,
        restore,
        lacks: lacks::lacks(finds, &request.target),
        source,
        target,
        elapsed_seconds: 0.0,
        owner: owner_of(finds),
        whole,
    }
}

fn live_keys(records: &[Found<'_>]) -> u64 {
    let mut live: std::collections::HashMap<&[u8], bool> = std::collections::HashMap::new();
    for found in records {
        let key = crate::etcd::KeyValue::leading_key(found.entry.value).unwrap_or_default();
        live.insert(key, !found.place.tombstone);
    }
    live.values().filter(|&&live| live).count() as u64
}

fn recovered(finds: &Finds<'_>) -> Recovered {
    let mut counts: BTreeMap<Tier, u64> = BTreeMap::new();
    for found in &finds.records {
        let count = counts.entry(found.tier).or_default();
        *count = count.saturating_add(1);
    }
    let count = |tier| counts.get(&tier).copied().unwrap_or(0);
    Recovered {
        reachable: count(Tier::Reachable),
        older_root: count(Tier::OlderRoot),
        orphan: count(Tier::Orphan),
        doubtful: finds.records.iter().filter(|found| finds.is_doubtful(found)).count() as u64,
        free: count(Tier::Free),
    }
}

fn buckets(finds: &Finds<'_>) -> Vec<BucketReport> {
    let paths = paths(&finds.buckets);
    let all = finds.buckets.iter().zip(paths).skip(1);
    all.map(|(bucket, path)| BucketReport {
        name: ByteText::from(path.as_slice()),
        entries: bucket.num_values(),
        from: Some(bucket.tier).filter(|_| !bucket.is_made),
        gaps: bucket.gaps.all().iter().take(MAX_LISTED).map(|gap| gap.page.0).collect(),
        why: bucket.gaps.all().first().map(|gap| gap.why.clone()),
        older_root: bucket.from_others,
        orphan: bucket.from_orphans,
        left_out: bucket.left,
        conflicts: bucket.conflicts,
    })
    .collect()
}

/// The path of each bucket, as other commands have it.
fn paths(buckets: &[SavedBucket<'_>]) -> Vec<Vec<u8>> {
    let id = |number: usize| u32::try_from(number).ok().map(BucketId);
    let root = BucketRoot::Page(PageId(0));
    let buckets = buckets.iter().map(|bucket| Bucket {
        parent: bucket.parent.and_then(id),
        name: bucket.name,
        sequence: bucket.sequence,
        root,
    });
    let buckets: Vec<_> = buckets.collect();
    (0..buckets.len()).filter_map(id).map(|id| path_of(&buckets, id)).collect()
}

pub(super) fn owner_of(finds: &Finds<'_>) -> Owner {
    if finds.is_etcd { Owner::Etcd } else { Owner::Other }
}
