//! Every fault of the file: structure from the walk, records from the scan, and what only the whole shows.

pub mod pattern;
pub mod touched;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use strum::IntoStaticStr;

use crate::bolt::Db;
use crate::bolt::bucket::for_each_entry;
use crate::bolt::fault::Fault;
use crate::bolt::walk::{Bucket, BucketId, BucketRoot, short_path_of};
use crate::etcd::history::RecordFault;
use crate::etcd::schema::{KEY_BUCKET, State};
use crate::etcd::trailer::{Trailer, trailer_size};
use crate::etcd::{KeyValue, RecordKey};
use crate::owner::Owner;
use crate::scan::Scan;
use crate::scan::keyspace::{KeyState, NONE};
use crate::scan::part::RecordFinding;
use crate::text::ByteText;

use pattern::Pattern;
use touched::{Next, Touched};

/// What a check came to.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// Whether nothing was found.
    pub sound: bool,
    /// What was found, by byte offset; at most as many as asked for.
    pub findings: Vec<Finding>,
    /// How many there are, those left out included.
    pub num_findings: u64,
    /// What was looked at.
    pub checked: Scope,
    /// What the damage touches, as far as the findings that were asked for tell.
    pub touched: Touched,
    /// Which command comes next; none where nothing was found.
    pub next: Vec<Next>,
    /// What is no fault, and to be known all the same.
    pub notes: Vec<Note>,
    /// Whose the file is.
    #[serde(skip)]
    pub owner: Owner,
}

/// What is no fault of the file's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What it is about, for programs.
    pub kind: &'static str,
    /// For people.
    pub message: String,
}

fn notes(state: &State<'_>) -> Vec<Note> {
    let unknown = state.members_unknown_to_raft();
    unknown
        .map(|member| Note { kind: "member-not-in-confstate", message: member.unknown_to_raft_text() })
        .collect()
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Scope {
    /// Reachable pages.
    pub pages: u64,
    /// Records of the `key` bucket.
    pub records: u64,
    /// Entries of all buckets.
    pub entries: u64,
    /// Buckets among these.
    #[serde(skip)]
    pub buckets: u64,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What is wrong, for programs.
    pub kind: &'static str,
    /// Which pattern of damage it is part of.
    pub pattern: Pattern,
    /// The page; `null` where it concerns the file as a whole.
    pub page: Option<u64>,
    /// Byte offset in the file.
    pub offset: Option<u64>,
    /// The bucket, where it is known: one path for all findings in it.
    pub bucket: Option<Arc<ByteText>>,
    /// The etcd key, where it could be read.
    pub key: Option<ByteText>,
    /// What is wrong, for people.
    pub message: String,
}

/// Whether [`check`] would find nothing.
#[must_use]
pub fn is_sound(db: &Db, state: &State<'_>, scan: &Scan<'_>, trailer: Trailer) -> bool {
    let scanned = scan.structure.count == 0 && scan.num_record_faults == 0;
    scanned
        && of_whole_file(db, state, scan, trailer, Owner::Unknown).next().is_none()
        && orphans(state, scan).next().is_none()
}

/// Faults that only the whole file shows.
#[derive(Clone, Copy, Debug, thiserror::Error, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
enum FileFault {
    #[error("the 32 bytes behind the db are not its SHA-256: the file was cut short or changed")]
    TrailerMismatch,
    #[error(
        "the file has {file_size} bytes: neither whole pages nor a SHA-256 behind them. It was cut short or added to{}",
        if owner.is_etcd() { ": `etcdutl snapshot restore` refuses it" } else { "" }
    )]
    OddSize { file_size: u64, owner: Owner },
    #[error(
        "{count} of the root bucket's entries are records, where the names of buckets belong: mixed generations; its leaf \
         was written again, by a node of the `key` bucket, and all buckets are lost"
    )]
    RecordsInRoot { count: u64 },
    #[error(
        "{count} of the root bucket's entries are plain values, where etcd has buckets only: it can't start where one of \
         its buckets is none"
    )]
    ValuesInRoot { count: u64 },
    #[error("{count} of its entries can't be decoded")]
    EntriesUndecodable { count: u64 },
}

/// Puts together all that is wrong with a file that was scanned, and what to do about it: `path` is for its commands.
#[must_use]
pub fn check<'a>(
    path: &Path,
    db: &'a Db,
    state: &State<'a>,
    scan: &Scan<'a>,
    trailer: Trailer,
    max_findings: usize,
) -> Checked {
    let owner = Owner::of(db).at(path);
    let mut paths = Paths { scan, known: BTreeMap::new() };
    let structure = scan.structure.faults.iter().map(|fault| of_structure(fault, &mut paths));
    let key_bucket = Arc::new(ByteText::from(KEY_BUCKET));
    let records = scan.records.iter().map(|finding| of_record(finding, &key_bucket));
    let mut findings: Vec<_> = structure.chain(records).collect();
    let whole: Vec<_> = of_whole_file(db, state, scan, trailer, owner).collect();
    let of_file: Vec<Pattern> = whole.iter().map(|finding: &Finding| finding.pattern).collect();
    // only those that are shown are put into words: a lost lease bucket makes an orphan of every event
    let mut orphans: Vec<_> = orphans(state, scan).map(|key| (offset_of(db, key), key)).collect();
    let num_findings =
        scan.structure.count + scan.num_record_faults + (whole.len() as u64) + (orphans.len() as u64);
    orphans.sort_unstable_by_key(|(offset, _)| *offset);
    let (touched, next) = if num_findings == 0 {
        let newer = touched::is_written_past_end(db).then(|| touched::newer(db, state, scan)).flatten();
        (Touched { newer, ..Touched::default() }, Vec::new())
    } else {
        let orphaned = orphans.iter().map(|_| Pattern::LeaseMissing);
        let of_file: Vec<_> = of_file.into_iter().chain(orphaned).collect();
        let named = scan.records.iter().filter_map(|finding| finding.key);
        let keys: BTreeSet<&[u8]> = named.chain(orphans.iter().map(|(_, key)| key.key())).collect();
        let touched = touched::touched(db, state, scan, &of_file, &keys, owner);
        let next = touched::next(path, db, scan, &touched, owner);
        (touched, next)
    };
    findings.extend(orphans.iter().take(max_findings).map(|(_, key)| of_orphan(db, key, &key_bucket)));
    findings.extend(whole);
    findings
        .sort_by(|a, b| (a.offset, a.page, a.kind, &a.message).cmp(&(b.offset, b.page, b.kind, &b.message)));
    findings.truncate(max_findings);
    Checked {
        sound: num_findings == 0,
        findings,
        num_findings,
        checked: Scope {
            pages: scan.reached_pages,
            records: scan.keyspace.num_records(),
            entries: scan.tallies.iter().map(|tally| tally.entries).sum(),
            buckets: scan.buckets.iter().filter(|bucket| bucket.parent.is_some()).count() as u64,
        },
        touched,
        next,
        notes: notes(state),
        owner,
    }
}

/// The paths of buckets, each made once.
struct Paths<'s, 'a> {
    scan: &'s Scan<'a>,
    known: BTreeMap<BucketId, Arc<ByteText>>,
}

impl Paths<'_, '_> {
    fn of(&mut self, id: BucketId) -> Option<Arc<ByteText>> {
        self.scan.buckets.get(id.0 as usize)?;
        let new = || Arc::new(ByteText(short_path_of(&self.scan.buckets, id)));
        Some(Arc::clone(self.known.entry(id).or_insert_with(new)))
    }
}

fn of_structure(fault: &Fault, paths: &mut Paths<'_, '_>) -> Finding {
    Finding {
        kind: (&fault.kind).into(),
        pattern: Pattern::of_structure(&fault.kind),
        page: fault.page.map(|page| page.0),
        offset: fault.offset,
        bucket: fault.bucket.and_then(|id| paths.of(id)),
        key: None,
        message: fault.kind.to_string(),
    }
}

fn of_record(finding: &RecordFinding<'_>, key_bucket: &Arc<ByteText>) -> Finding {
    Finding {
        kind: (&finding.fault).into(),
        pattern: Pattern::of_record(&finding.fault),
        page: Some(finding.at.page.0),
        offset: Some(finding.at.offset),
        bucket: Some(Arc::clone(key_bucket)),
        key: finding.key.map(ByteText::from),
        message: finding.fault.to_string(),
    }
}

fn of_whole_file(
    db: &Db,
    state: &State<'_>,
    scan: &Scan<'_>,
    trailer: Trailer,
    owner: Owner,
) -> impl Iterator<Item = Finding> + use<> {
    let new = |fault: FileFault, offset, bucket: Option<&str>| Finding {
        kind: (&fault).into(),
        pattern: match fault {
            FileFault::TrailerMismatch | FileFault::OddSize { .. } => Pattern::SnapshotChanged,
            FileFault::RecordsInRoot { .. } => Pattern::MixedGenerations,
            FileFault::ValuesInRoot { .. } | FileFault::EntriesUndecodable { .. } => {
                Pattern::GarbageInsidePage
            }
        },
        page: None,
        offset,
        bucket: bucket.map(|name| Arc::new(name.as_bytes().into())),
        key: None,
        message: fault.to_string(),
    };
    let trailer_at = db.file_size() - trailer_size(db.file_size());
    let mismatch =
        (trailer == Trailer::Invalid).then(|| new(FileFault::TrailerMismatch, Some(trailer_at), None));
    let file_size = db.file_size();
    let allocated = db.high_water_mark().saturating_mul(db.page_size());
    // a file that ends before its last page is a fault of its structure already
    let is_odd = !file_size.is_multiple_of(512) && trailer_size(file_size) == 0 && file_size >= allocated;
    let odd_size = is_odd.then(|| new(FileFault::OddSize { file_size, owner }, Some(allocated), None));
    let undecodable = state.undecodable.clone().into_iter();
    let undecodable = undecodable
        .map(move |(bucket, count)| new(FileFault::EntriesUndecodable { count }, None, Some(bucket)));
    let records = records_in_root(db, scan);
    let in_root = (records > 0).then(|| new(FileFault::RecordsInRoot { count: records }, None, Some("")));
    let values = values_in_root(db, scan);
    let values_in_root = (values > 0).then(|| new(FileFault::ValuesInRoot { count: values }, None, Some("")));
    mismatch.into_iter().chain(odd_size).chain(in_root).chain(values_in_root).chain(undecodable)
}

/// Values beside the buckets of an etcd file's root bucket, where etcd puts buckets only. Where the name of one of these is a value's,
/// it ends (`server/storage/backend/batch_tx.go`, `UnsafeCreateBucket`). In another program's file, they may be its own.
fn values_in_root(db: &Db, scan: &Scan<'_>) -> u64 {
    let entries = scan.tallies.first().map_or(0, |tally| tally.entries);
    let buckets = buckets_in_root(scan);
    if buckets == 0 || entries <= buckets {
        return 0;
    }
    let mut is_etcd = scan.key_bucket.is_some();
    for_each_entry(db, &root_bucket(db), |entry| is_etcd |= entry.key == KEY_BUCKET);
    if is_etcd { entries.saturating_sub(buckets) } else { 0 }
}

fn root_bucket<'a>(db: &Db) -> Bucket<'a> {
    let meta = db.meta();
    Bucket { parent: None, name: &[], sequence: meta.sequence, root: BucketRoot::Page(meta.root) }
}

fn buckets_in_root(scan: &Scan<'_>) -> u64 {
    scan.buckets.iter().filter(|bucket| bucket.parent == Some(BucketId::ROOT)).count() as u64
}

/// Entries of a root bucket without a single bucket that are records.
fn records_in_root(db: &Db, scan: &Scan<'_>) -> u64 {
    let entries = scan.tallies.first().map_or(0, |tally| tally.entries);
    if buckets_in_root(scan) > 0 || entries == 0 {
        return 0;
    }
    let mut records = 0;
    for_each_entry(db, &root_bucket(db), |entry| {
        let kv = KeyValue::parse(entry.value).ok().filter(|kv| !kv.key.is_empty());
        let record = RecordKey::parse(entry.key)
            .zip(kv)
            .is_some_and(|(place, kv)| place.tombstone || kv.mod_revision == place.revision.main);
        records += u64::from(record);
    });
    records
}

/// Keys whose newest record is attached to a lease that the `lease` bucket does not have.
fn orphans<'s, 'a>(state: &'s State<'_>, scan: &'s Scan<'a>) -> impl Iterator<Item = &'s KeyState<'a>> {
    let exists = |lease: i64| {
        let place =
            state.leases.binary_search_by_key(&lease.cast_unsigned(), |lease| lease.id.cast_unsigned());
        place.is_ok()
    };
    scan.keyspace.shards().iter().flat_map(move |shard| {
        let missing: Vec<bool> = shard.leases().iter().map(|&lease| !exists(lease)).collect();
        // mostly none is: then there is no need to look at each key
        let looked_at = missing.contains(&true).then(|| shard.keys()).into_iter().flatten();
        let attached = looked_at.filter(|key| key.is_live() && key.lease != NONE);
        attached.filter(move |key| missing.get(key.lease as usize).is_some_and(|&missing| missing))
    })
}

/// Where the record of an orphaned key lies: its key, a put's, lies right before its value.
fn offset_of(db: &Db, key: &KeyState<'_>) -> Option<u64> {
    db.offset_in_file(key.newest_bytes()).map(|offset| offset.saturating_sub(17))
}

fn of_orphan(db: &Db, key: &KeyState<'_>, key_bucket: &Arc<ByteText>) -> Finding {
    let kv = key.newest();
    let offset = offset_of(db, key);
    let fault = RecordFault::LeaseMissing { main: kv.mod_revision, lease: kv.lease };
    Finding {
        kind: (&fault).into(),
        pattern: Pattern::of_record(&fault),
        page: offset.map(|offset| offset / db.page_size()),
        offset,
        bucket: Some(Arc::clone(key_bucket)),
        key: Some(kv.key.into()),
        message: fault.to_string(),
    }
}
