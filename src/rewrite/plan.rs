//! The sizes that a defrag would give, without writing: for each length of history, and each layout.
//!
//! One scan remembers the size of each record, and which of the compactions in question would drop it
//! ([`crate::scan::outline`]). Then each choice is a packing of sizes.

#![warn(missing_docs)]

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::Serialize;

use crate::bolt::write::{self, Packing, Plan, Settings};
use crate::copy::{CopyError, DEFAULT_MAX_NODE_PAGES, Layout, Progress};
use crate::etcd::schema::{KEY_BUCKET, State};
use crate::input::DbFile;
use crate::k8s::GroupResource;
use crate::owner::Owner;
use crate::scan::resource_row::DroppedRecords;
use crate::scan::root::num_values;
use crate::scan::{Scan, ScanOptions, scan};
use crate::text::ByteText;
use crate::units::count;

use super::changes::{ChangeError, Changes, History, compaction_of};
use super::content::CopyContent;
use super::defrag::{read, records_of};
use super::error::DefragError;
use super::planned::{Planned, Records};

/// Lengths of history that are always planned, beside all of it.
const KEEP_REVISIONS: [u64; 5] = [10_000, 5_000, 1_000, 100, 0];

/// Spans that are tried beside the one that was asked for.
const NODE_PAGES: [u32; 5] = [1, 2, 4, 8, 16];

/// The sizes of the copies that `defrag` would write without `--snapshot`, to the byte.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PlanReport {
    /// The file that was read.
    pub path: ByteText,
    /// Its size, tail and trailer included.
    pub now_bytes: u64,
    /// Faults of its structure, which no copy has.
    pub structural_faults: u64,
    /// Bytes of all entries (elements, keys and values): no file that has them can be smaller.
    pub entry_bytes: u64,
    /// The current revision; `null` for a file that isn't etcd's.
    pub revision: Option<i64>,
    /// Revisions up to this one are gone already; -1 where it was never compacted, `null` for a file that isn't etcd's.
    pub compact_revision: Option<i64>,
    /// What `defrag` would write, by the history that it keeps: first all of it, then the newest 10,000, 5,000, 1,000, 100
    /// and 0 revisions, then what `--keep-revisions` and `--compact-to` ask for. For a file that isn't etcd's, the first
    /// only.
    pub choices: Vec<Choice>,
    /// Whose history the choices drop, by resource: those with most of it first.
    pub history: Vec<ResourceHistory>,
    /// Copies with all history, by the most pages of a node, ascending.
    pub node_pages: Vec<NodePages>,
    /// About what other tools would make of the file; empty where plain values are beside the buckets, at which these tools
    /// end. Later versions may estimate better.
    pub estimates: Vec<Estimate>,
    /// What the user should know, such as of entries that are no records, so that there are no choices.
    pub warnings: Vec<String>,
    /// Whose the file is.
    #[serde(skip)]
    pub owner: Owner,
}

/// A copy, with the `--page-size`, `--max-node-pages` and `--steady` that were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Choice {
    /// `defrag --keep-revisions`; `null` for all history, or where a revision was asked for.
    pub keep_revisions: Option<u64>,
    /// `defrag --compact-to`, or the revision that `keep_revisions` comes to; `null` where nothing is compacted.
    pub compact_to: Option<i64>,
    /// Size of the copy.
    pub file_bytes: u64,
    /// Records in it: entries of the `key` bucket; for a file that isn't etcd's, entries of all buckets.
    pub records: u64,
    /// Bytes of all its entries: elements, keys and values.
    pub entry_bytes: u64,
}

/// One resource's part in what the choices drop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ResourceHistory {
    /// The API group; empty for the core group, and for what isn't Kubernetes'.
    pub group: String,
    /// The plural name of the resource (`pods`); for what isn't Kubernetes', its leading path (`/app`).
    pub resource: ByteText,
    /// What each choice drops of it, in the order of `choices`.
    pub dropped: Vec<DroppedHistory>,
}

/// Records that a choice drops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DroppedHistory {
    /// Superseded records and tombstones.
    pub records: u64,
    /// Bytes of these: elements, keys and values.
    pub bytes: u64,
}

/// A copy with nodes of at most some pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NodePages {
    /// `--max-node-pages`: 1, 2, 4, 8, 16, and the one that was given.
    pub max_node_pages: u32,
    /// Whether it is with `--steady`: the last row, of the `--max-node-pages` that was given.
    pub steady: bool,
    /// Size of the copy.
    pub file_bytes: u64,
    /// Whether `defrag` takes it without `--max-node-pages`.
    pub default: bool,
}

/// About what another tool would make of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Estimate {
    /// `etcdutl defrag` (of etcd's files only) or `bbolt compact`.
    pub tool: &'static str,
    /// Bytes of the pages that it would allocate. What it leaves after them in the file is not counted.
    pub file_bytes: u64,
}

/// Plans every choice: the usual ones, and these.
///
/// # Errors
/// A damaged file; a revision out of range; something that bbolt could not have.
pub fn plan(
    source: &DbFile,
    asked: &[History],
    layout: Layout,
    progress: Progress<'_>,
) -> Result<PlanReport, DefragError> {
    let mut report = plan_of(source, asked, layout, progress)?;
    if report.structural_faults > 0 {
        let faults = count(report.structural_faults, "fault");
        let warning = format!("{faults} of the file's structure, which no copy has: see `etcd-medic check`");
        report.warnings.push(warning);
    }
    // backend.go, `defragdb`, and compact.go end at a value where they expect a bucket
    if num_values(&source.db) > 0 {
        report.estimates.clear();
    }
    Ok(report)
}

fn plan_of(
    source: &DbFile,
    asked: &[History],
    layout: Layout,
    progress: Progress<'_>,
) -> Result<PlanReport, DefragError> {
    let state = State::read(&source.db);
    let settings = layout.settings(&source.db, state.key_bucket.is_some());
    if state.key_bucket.is_none() {
        if !asked.is_empty() {
            return Err(DefragError::change(source, ChangeError::NotEtcd));
        }
        let content = read(source, &Changes::default(), progress)?;
        let report = Copies { source, settings, layout }.of_all(&content, records_of(&content))?;
        return Ok(PlanReport { structural_faults: content.harmless.count, ..report });
    }
    let wanted = wanted(source, &state, asked)?;
    let mut compactions: Vec<i64> = wanted.iter().filter_map(|(_, compaction)| *compaction).collect();
    compactions.sort_unstable();
    compactions.dedup();
    (progress.begin)("reading", source.db.num_pages() * source.db.page_size());
    let options = ScanOptions { max_findings: 0, outline: Some(&compactions), progress: progress.advance };
    let scan = scan(&source.db, &state, options);
    if !scan.is_readable() {
        read(source, &Changes::default(), progress)?;
    }
    let mut report = plan_of_etcd(&Copies { source, settings, layout }, &scan, &compactions, &wanted)?;
    report.structural_faults = scan.structure.count;
    report.revision = Some(scan.keyspace.max_revision.max(state.compact_revision()).max(1));
    report.compact_revision = Some(state.compact_revision());
    Ok(report)
}

/// A length of history, and the compaction that it comes to.
type Wanted = (History, Option<i64>);

fn wanted(source: &DbFile, state: &State<'_>, asked: &[History]) -> Result<Vec<Wanted>, DefragError> {
    let usual = KEEP_REVISIONS.map(History::Newest);
    let mut histories = vec![History::All];
    for &history in usual.iter().chain(asked) {
        if !histories.contains(&history) {
            histories.push(history);
        }
    }
    let compaction = |history| {
        compaction_of(&source.db, state, history).map_err(|error| DefragError::change(source, error))
    };
    histories.into_iter().map(|history| Ok((history, compaction(history)?))).collect()
}

fn plan_of_etcd(
    copies: &Copies<'_>,
    scan: &Scan<'_>,
    compactions: &[i64],
    wanted: &[Wanted],
) -> Result<PlanReport, DefragError> {
    let db = &copies.source.db;
    let others = |changes| {
        let content = CopyContent::read_all_but(db, Some(KEY_BUCKET), &changes, &|_| {});
        content.map_err(|unreadable| DefragError::damaged(copies.source, unreadable))
    };
    let (plain, marked) = (others(Changes::default())?, others(Changes::marks_only(0))?);
    let empty = Default::default();
    let outline = scan.keyspace.outline.as_ref().unwrap_or(&empty);
    let all = Planned::new(&plain, Records::all(outline));
    let mut report = copies.of_all(&all, outline.num_entries() as u64)?;
    let unreadable = scan.keyspace.unreadable.records;
    if unreadable > 0 {
        report.warnings.push(format!(
            "{unreadable} entries of the bucket key are no records, so there is no telling what a compaction would drop, and \
             `defrag` refuses one: see `etcd-medic check`"
        ));
        return Ok(report);
    }
    let plans: Vec<_> = (0..compactions.len())
        .into_par_iter()
        .map(|number| {
            let records = Records::kept(outline, number);
            let count = records.count() as u64;
            Ok((count, write::plan(&Planned::new(&marked, records), copies.settings)?))
        })
        .collect::<Result<_, CopyError>>()?;
    let by_revision: BTreeMap<i64, &(u64, Plan)> = compactions.iter().copied().zip(&plans).collect();
    for (history, compaction) in wanted.iter().skip(1) {
        let Some(everything) = report.choices.first().copied() else { break };
        let planned = compaction.and_then(|revision| by_revision.get(&revision));
        let keep_revisions = if let History::Newest(revisions) = history { Some(*revisions) } else { None };
        let choice = planned.map_or(everything, |(records, plan)| Choice {
            file_bytes: plan.file_bytes(),
            records: *records,
            entry_bytes: plan.entry_bytes,
            ..everything
        });
        report.choices.push(Choice { keep_revisions, compact_to: *compaction, ..choice });
    }
    report.history = history_of(scan, compactions, &report.choices);
    Ok(report)
}

/// What each choice drops, by resource.
fn history_of(scan: &Scan<'_>, compactions: &[i64], choices: &[Choice]) -> Vec<ResourceHistory> {
    let mut sums: BTreeMap<_, Vec<DroppedRecords>> = BTreeMap::new();
    for shard in scan.keyspace.shards() {
        for (resource, row) in shard.resources().iter().zip(shard.rows()) {
            let sum = sums.entry(*resource).or_default();
            sum.resize(compactions.len(), DroppedRecords::default());
            for (sum, dropped) in sum.iter_mut().zip(&row.dropped) {
                sum.records += dropped.records;
                sum.own_bytes += dropped.own_bytes;
            }
        }
    }
    let of_choice = |sum: &[DroppedRecords], choice: &Choice| {
        let number = compactions.binary_search(&choice.compact_to?).ok()?;
        sum.get(number).map(|dropped| DroppedHistory { records: dropped.records, bytes: dropped.own_bytes })
    };
    let row = |(resource, sum): (GroupResource<'_>, Vec<DroppedRecords>)| ResourceHistory {
        group: resource.group.to_owned(),
        resource: ByteText::from(resource.resource),
        dropped: choices.iter().map(|choice| of_choice(&sum, choice).unwrap_or_default()).collect(),
    };
    let mut rows: Vec<_> = sums.into_iter().map(row).collect();
    rows.retain(|row| row.dropped.iter().any(|dropped| dropped.records > 0));
    let most =
        |row: &ResourceHistory| row.dropped.get(KEEP_REVISIONS.len()).map_or(0, |dropped| dropped.bytes);
    rows.sort_by_key(|row| std::cmp::Reverse(most(row)));
    rows
}

/// The copies of one file.
struct Copies<'s> {
    source: &'s DbFile,
    settings: Settings,
    layout: Layout,
}

impl Copies<'_> {
    /// Those that hold all that the file holds.
    fn of_all(&self, content: &impl write::EntrySource, records: u64) -> Result<PlanReport, CopyError> {
        let plan = |packing| write::plan(content, Settings { packing, ..self.settings });
        let layout = self.layout;
        let mut spans = NODE_PAGES.to_vec();
        spans.push(layout.max_node_pages);
        spans.sort_unstable();
        spans.dedup();
        let spans = spans.into_iter().map(|pages| (pages, false)).chain([(layout.max_node_pages, true)]);
        let node_pages = spans.collect::<Vec<_>>().into_par_iter().map(|(max_node_pages, steady)| {
            let file_bytes = plan(Packing::Optimal { max_node_pages, steady })?.file_bytes();
            let default = max_node_pages == DEFAULT_MAX_NODE_PAGES && !steady;
            Ok(NodePages { max_node_pages, steady, file_bytes, default })
        });
        // etcd: backend.go, `defragdb`; bbolt: compact.go
        let owner = self.source.owner();
        let tools = [("etcdutl defrag", 0.9), ("bbolt compact", 1.0)];
        let tools = tools.get(usize::from(!owner.is_etcd())..).unwrap_or_default();
        let estimates = tools.par_iter().map(|&(tool, fill)| {
            Ok(Estimate { tool, file_bytes: plan(Packing::AsBbolt { fill })?.file_bytes() })
        });
        let node_pages = node_pages.collect::<Result<_, CopyError>>()?;
        let estimates = estimates.collect::<Result<_, CopyError>>()?;
        let planned = write::plan(content, self.settings)?;
        let (file_bytes, entry_bytes) = (planned.file_bytes(), planned.entry_bytes);
        Ok(PlanReport {
            path: self.source.path.as_path().into(),
            now_bytes: self.source.db.file_size(),
            structural_faults: 0,
            entry_bytes,
            revision: None,
            compact_revision: None,
            choices: vec![Choice {
                keep_revisions: None,
                compact_to: None,
                file_bytes,
                records,
                entry_bytes,
            }],
            history: Vec::new(),
            node_pages,
            estimates,
            warnings: Vec::new(),
            owner,
        })
    }
}
