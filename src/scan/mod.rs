//! One pass over the file, from which `status`, `check` and `analyze` take what they show.
//!
//! ```text
//!   bolt::walk ── subtrees, on all threads ──► part: tallies, and records by shard of their key
//!                                                │ a window at a time, in the order of revisions
//!                                                ▼
//!                 keyspace: for each key, what its history adds up to (shards, on all threads)
//! ```
//!
//! | file | what is in it |
//! |---|---|
//! | `part`, [`record`] | what one thread makes of a subtree; a record on its way to its shard |
//! | `unsorted` | records whose keys are looked up together, on their way to the shards |
//! | [`keyspace`], [`shard`] | all keys; a part of them, to which records are added |
//! | [`key_state`], [`key_sum`] | what the records of one key add up to, and of several |
//! | [`resource_row`] | what is counted for a resource while records go by |
//! | `folders`, `numbered` | a key's resource by its path; things that have numbers |
//! | [`tenants`] | the clusters that share a file |
//! | [`outline`], [`timeline`] | sizes of all records, for the plan of a copy; records over the revisions |
//! | [`tally`], [`structure`], [`root`] | a bucket's nodes in numbers; pages and faults of the whole file; lost buckets |
//! | [`health`] | the verdict |
//!
//! Results are the same whatever the number of threads: parts are taken in the order of the tree, and each shard
//! sees its records in the order of revisions. Memory grows with the number of distinct keys, not with records.

mod folders;
pub mod health;
pub mod key_state;
pub mod key_sum;
pub mod keyspace;
mod numbered;
pub mod outline;
mod part;
pub mod record;
pub mod resource_row;
pub mod root;
pub mod shard;
pub mod structure;
pub mod tally;
pub mod tenants;
pub mod timeline;
mod unsorted;

use crate::bolt::bucket::{Bucket, BucketId};
use crate::bolt::fault::Findings;
use crate::bolt::freelist::FreedPages;
use crate::bolt::walk::Walker;
use crate::bolt::{Db, PageId};
use crate::etcd::RevisionGaps;
use crate::etcd::current_revision;
use crate::etcd::schema::{KEY_BUCKET, State};
use crate::k8s::KeyLayout;

use keyspace::Keyspace;
use part::ScanPart;
use record::RecordFinding;
use root::RootFault;
use structure::Structure;
use tally::Tally;
use timeline::Bins;

#[derive(Clone, Copy)]
pub struct ScanOptions<'p> {
    /// Findings beyond this many are only counted.
    pub max_findings: usize,
    /// The sizes of all records are kept, and what compactions to these revisions (which ascend) would drop, for the plan
    /// of a copy: see [`outline`].
    pub outline: Option<&'p [i64]>,
    /// Called now and then with the bytes of file that were read since the last call.
    pub progress: &'p (dyn Fn(u64) + Sync),
}

impl Default for ScanOptions<'_> {
    fn default() -> Self {
        Self { max_findings: usize::MAX, outline: None, progress: &|_| {} }
    }
}

/// What one pass found.
#[derive(Debug)]
pub struct Scan<'a> {
    /// Every bucket, in the order found; the first is the root bucket.
    pub buckets: Vec<Bucket<'a>>,
    /// What each of them adds up to.
    pub tallies: Vec<Tally>,
    /// Which of them is etcd's `key` bucket.
    pub key_bucket: Option<BucketId>,
    /// The keys of the `key` bucket; empty where there is none.
    pub keyspace: Keyspace<'a>,
    /// Runs of revisions that never existed.
    pub gaps: RevisionGaps,
    /// How keys were read as Kubernetes' objects, prefixes learned from this file included.
    pub layout: KeyLayout<'a>,
    /// Runs of pages that nothing refers to, in ascending order.
    pub unreached: Vec<(PageId, u64)>,
    /// Pages that somebody refers to: metas, freelist, nodes, and pages that could not be read as a node.
    pub reached_pages: u64,
    /// The stored freelist, where there is one.
    pub freelist: Option<FreedPages>,
    pub structure: Findings,
    /// Buckets that are lost, as the root bucket shows.
    pub root_fault: Option<RootFault>,
    leaked_pages: u64,
    /// Faults of records, in the order of the tree, at most as many as asked for.
    pub records: Vec<RecordFinding<'a>>,
    /// How many faults of records there were.
    pub num_record_faults: u64,
}

/// Scans the whole file.
pub fn scan<'a>(db: &'a Db, state: &State<'a>, options: ScanOptions<'_>) -> Scan<'a> {
    let mut layout = KeyLayout::new();
    let gaps = RevisionGaps::find(db, state);
    let found = scan_as(db, state, (&layout, &gaps), options);
    // Another `--etcd-prefix` than the known ones shows in the values only. Such a file is read again, so that
    // everything that depends on what a key is (not the tables alone) is right from its first record on.
    if found.keyspace.learn(&mut layout) {
        return scan_as(db, state, (&layout, &gaps), options);
    }
    found
}

/// What is made of the nodes.
struct Read<'a> {
    tallies: Vec<Tally>,
    key_bucket: Option<BucketId>,
    keyspace: Keyspace<'a>,
    records: RecordFindings<'a>,
}

fn scan_as<'a>(
    db: &'a Db,
    state: &State<'a>,
    (layout, gaps): (&KeyLayout<'a>, &RevisionGaps),
    options: ScanOptions<'_>,
) -> Scan<'a> {
    let (read, whole) = structure::walk(db, options.max_findings, |walker| {
        let keyspace = Keyspace::new(Bins::over(state.revision_range(db), gaps), options.outline);
        read(walker, state, (keyspace, layout), options)
    });
    let Read { tallies, key_bucket, keyspace, records } = read;
    let root_entries = tallies.first().map_or(0, |tally: &Tally| tally.entries);
    let in_root = whole.buckets.iter().filter(|bucket| bucket.parent == Some(BucketId::ROOT)).count() as u64;
    // mostly there are buckets only: then there is no need to look
    let root_fault = (root_entries > in_root).then(|| RootFault::find(db, &whole)).flatten();
    let Structure { buckets, findings: structure, unreached, leaked_pages, freelist } = whole;
    let reached_pages = db.num_pages() - unreached.iter().map(|&(_, pages)| pages).sum::<u64>();
    Scan {
        buckets,
        tallies,
        key_bucket,
        keyspace,
        gaps: gaps.clone(),
        layout: layout.clone(),
        unreached,
        reached_pages,
        freelist,
        structure,
        root_fault,
        leaked_pages,
        records: records.first,
        num_record_faults: records.count,
    }
}

/// Walks each bucket: records of the `key` bucket go into the keyspace, and what is in all of them into a tally each.
fn read<'a>(
    walker: &mut Walker<'a>,
    state: &State<'a>,
    (mut keyspace, layout): (Keyspace<'a>, &KeyLayout<'a>),
    options: ScanOptions<'_>,
) -> Read<'a> {
    let mut tallies = Vec::new();
    let mut key_bucket = None;
    let mut records = RecordFindings::default();
    while let Some(&bucket) = walker.buckets().get(tallies.len()) {
        let id = BucketId(u32::try_from(tallies.len()).unwrap_or(u32::MAX));
        let is_key_bucket = key_bucket.is_none()
            && state.key_bucket.is_some()
            && bucket.parent == Some(BucketId::ROOT)
            && bucket.name == KEY_BUCKET;
        let mut tally = Tally::default();
        let read = |part: &ScanPart<'_>| (options.progress)(part.tally.page_bytes);
        let Some(mut walk) = walker.walk_bucket(id) else { break };
        if is_key_bucket {
            key_bucket = Some(id);
            while let Some(mut parts) = walk.next_window(|subtree| part::with_records(subtree, &keyspace)) {
                parts.iter().for_each(|part| tally.append(&part.tally));
                parts.iter().for_each(read);
                let of_parts = parts.iter_mut().map(|part| &mut part.records).collect();
                let faults = keyspace.absorb(of_parts, layout);
                records.append(parts.into_iter().flat_map(|part| part.faults), options.max_findings);
                records.append(faults, options.max_findings);
            }
        } else {
            while let Some(parts) = walk.next_window(part::tally_only) {
                parts.iter().for_each(|part| tally.append(&part.tally));
                parts.iter().for_each(read);
            }
        }
        tallies.push(tally);
    }
    keyspace.finish();
    Read { tallies, key_bucket, keyspace, records }
}

#[derive(Default)]
struct RecordFindings<'a> {
    first: Vec<RecordFinding<'a>>,
    count: u64,
}

impl<'a> RecordFindings<'a> {
    fn append(&mut self, found: impl IntoIterator<Item = RecordFinding<'a>>, max: usize) {
        for finding in found {
            self.count += 1;
            if self.first.len() < max {
                self.first.push(finding);
            }
        }
    }
}

impl Scan<'_> {
    /// Free pages as bbolt counts them: those that the stored freelist has, or, without one, all that nothing
    /// refers to.
    pub fn free_pages(&self) -> u64 {
        let unreached: u64 = self.unreached.iter().map(|&(_, pages)| pages).sum();
        unreached - self.leaked_pages()
    }

    /// Pages that are neither reached nor in the stored freelist; 0 where there is none.
    pub fn leaked_pages(&self) -> u64 {
        self.leaked_pages
    }

    /// Whether all that the active root has can be read.
    pub fn is_readable(&self) -> bool {
        self.structure.of_trees == 0 && self.root_fault.is_none()
    }

    /// The current revision, as [`crate::etcd::current_revision`] has it.
    pub fn current_revision(&self, state: &State<'_>) -> i64 {
        current_revision(self.keyspace.max_revision, state.compact_revision())
    }

    /// All tallies in one.
    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        self.tallies.iter().for_each(|tally| total.append(tally));
        total
    }

    /// The `key` bucket's tally.
    pub fn key_tally(&self) -> Option<&Tally> {
        self.tallies.get(self.key_bucket?.0 as usize)
    }
}
