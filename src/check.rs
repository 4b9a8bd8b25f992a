//! Every fault of the file: structure from the walk, records from the scan, and what only the whole shows.

#![warn(missing_docs)]

#[cfg(test)]
mod kinds;
pub mod log;
pub mod pattern;
pub mod touched;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use crate::bolt::Db;
use crate::bolt::bucket::{BucketId, short_path_of};
use crate::bolt::fault::Fault;
use crate::etcd::history::RecordFault;
use crate::etcd::schema::{KEY_BUCKET, State};
use crate::etcd::trailer::Trailer;
use crate::input::named::Named;
use crate::owner::Owner;
use crate::scan::Scan;
use crate::scan::health::{FileFault, Health, of_whole_file, orphans};
use crate::scan::key_state::KeyState;
use crate::scan::record::RecordFinding;
use crate::scan::root::{RootFault, num_values};
use crate::text::ByteText;
use crate::units::count;

use pattern::Pattern;
use touched::{Next, Touched};

/// Every fault of a file.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Checked {
    /// Whether nothing was found.
    pub sound: bool,
    /// Whether all that the active root has can be read: a copy loses nothing, and `defrag` and `plan` take the file.
    pub readable: bool,
    /// What was found: at most `--max-findings`. They are ordered by `offset` (`null` first), then `page`, `kind` and
    /// `message`. Where some were left out, those shown are not always the ones with the lowest offsets, but the same ones in
    /// every run. A fault hides what is below it: of a branch that can't be read, the whole subtree is missing from every
    /// figure, and its pages count as free or leaked.
    pub findings: Vec<Finding>,
    /// All that were found, those left out included.
    pub num_findings: u64,
    /// Of these: faults of pages, elements, metas, the freelist, and of a file cut short.
    pub structural_faults: u64,
    /// What was looked at.
    pub checked: Scope,
    /// What the findings add up to: of all that were found up to `--max-findings`.
    pub touched: Touched,
    /// What to do next; empty where nothing was found.
    pub next: Vec<Next>,
    /// What is no fault, but should be known.
    pub notes: Vec<Note>,
    /// Of a member's db: how it compares with the log beside it. `null` where it was not compared.
    pub log: Option<log::LogComparison>,
    /// Whose the file is.
    #[serde(skip)]
    pub owner: Owner,
}

/// What is no fault, but should be known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Note {
    /// What it is about.
    #[cfg_attr(test, schemars(extend("enum" = ["member-not-in-confstate", "value-beside-buckets"])))]
    pub kind: &'static str,
    /// For people.
    pub message: String,
}

fn notes(db: &Db, state: &State<'_>, scan: &Scan<'_>) -> Vec<Note> {
    let unknown = state.members_unknown_to_raft();
    let unknown = unknown
        .map(|member| Note { kind: "member-not-in-confstate", message: member.unknown_to_raft_text() });
    let is_etcd = scan.key_bucket.is_some() && scan.root_fault.is_none();
    let values = if is_etcd { num_values(db) } else { 0 };
    // defragdb and Hash of server/storage/backend/backend.go
    let values = (values > 0).then(|| Note {
        kind: "value-beside-buckets",
        message: format!(
            "{} in the root bucket: not etcd's own. etcd runs with it, and our copies keep it; etcd's own defrag and \
             `snapshot status` end there",
            count(values, "plain value")
        ),
    });
    unknown.chain(values).collect()
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Scope {
    /// Pages that something refers to.
    pub pages: u64,
    /// Readable records of the `key` bucket.
    pub records: u64,
    /// Entries of all buckets, buckets among them.
    pub entries: u64,
    /// Buckets among these.
    #[serde(skip)]
    pub buckets: u64,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Finding {
    /// What is wrong.
    #[cfg_attr(test, schemars(schema_with = "kinds::schema"))]
    pub kind: &'static str,
    /// The pattern of damage that it is part of.
    pub pattern: Pattern,
    /// The page; `null` where it concerns the file as a whole.
    pub page: Option<u64>,
    /// The byte of the file where it shows: of faults of pages, the page; of `element` and `key-…`, the element in the page's
    /// table; of `entry-flags`, `bucket-header` and faults of records, the key; of `lease-missing`, the newest record's key;
    /// of `freelist-duplicate` and `freelist-out-of-bounds`, the slot; of `odd-size`, the first byte after the last page; of
    /// `trailer-mismatch`, the 32 bytes. `null` where it has no single place.
    pub offset: Option<u64>,
    /// Path of the bucket (`outer/inner`); empty for the root bucket, `null` where there is none. Of a path above 500 bytes,
    /// the first 400 and the last 100.
    pub bucket: Option<Arc<ByteText>>,
    /// The etcd key of the record; `null` where there is none, or it could not be read.
    pub key: Option<ByteText>,
    /// What is wrong, for people.
    pub message: String,
}

/// Puts together all that is wrong with a file that was scanned, and what to do about it: `named` is for its commands.
pub fn check<'a>(
    named: &Named,
    db: &'a Db,
    state: &State<'a>,
    scan: &Scan<'a>,
    trailer: Trailer,
    max_findings: usize,
) -> Checked {
    let owner = Owner::of(db).at(&named.path);
    let mut paths = Paths { scan, known: BTreeMap::new() };
    let structure = scan.structure.faults.iter().map(|fault| of_structure(fault, &mut paths));
    let key_bucket = Arc::new(ByteText::from(KEY_BUCKET));
    let records = scan.records.iter().map(|finding| of_record(finding, &key_bucket));
    let mut findings: Vec<_> = structure.chain(records).collect();
    let root = scan.root_fault.as_ref().map(of_root);
    let whole: Vec<_> =
        of_whole_file(db, state, trailer).map(|fault| of_file(&fault, owner)).chain(root).collect();
    let of_whole = whole.iter().map(|finding| finding.pattern);
    // only those that are shown are put into words: a lost lease bucket makes an orphan of every event
    let mut orphans: Vec<_> = orphans(state, scan).map(|key| (offset_of(db, key), key)).collect();
    let health = Health::of(db, state, scan, trailer);
    orphans.sort_unstable_by_key(|(offset, _)| *offset);
    let (touched, next) = if health.sound {
        let newer = touched::is_written_past_end(db).then(|| touched::newer(db, state, scan)).flatten();
        (Touched { newer, ..Touched::default() }, Vec::new())
    } else {
        let orphaned = orphans.iter().map(|_| Pattern::LeaseMissing);
        let of_whole: Vec<_> = of_whole.chain(orphaned).collect();
        let of_records = scan.records.iter().filter_map(|finding| finding.key);
        let keys: BTreeSet<&[u8]> = of_records.chain(orphans.iter().map(|(_, key)| key.key())).collect();
        let touched = touched::touched(db, state, scan, &of_whole, &keys, owner);
        let next = touched::next(named, db, health, &touched, owner);
        (touched, next)
    };
    findings.extend(orphans.iter().take(max_findings).map(|(_, key)| of_orphan(db, key, &key_bucket)));
    findings.extend(whole);
    findings
        .sort_by(|a, b| (a.offset, a.page, a.kind, &a.message).cmp(&(b.offset, b.page, b.kind, &b.message)));
    findings.truncate(max_findings);
    Checked {
        sound: health.sound,
        readable: health.readable,
        findings,
        num_findings: health.num_faults,
        structural_faults: health.structural_faults,
        checked: Scope {
            pages: scan.reached_pages,
            records: scan.keyspace.num_records(),
            entries: scan.tallies.iter().map(|tally| tally.entries).sum(),
            buckets: scan.buckets.iter().filter(|bucket| bucket.parent.is_some()).count() as u64,
        },
        touched,
        next,
        notes: notes(db, state, scan),
        log: None,
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

fn of_file(fault: &FileFault, owner: Owner) -> Finding {
    let (pattern, offset, bucket) = match *fault {
        FileFault::TrailerMismatch { offset } | FileFault::OddSize { offset, .. } => {
            (Pattern::SnapshotChanged, Some(offset), None)
        }
        FileFault::EntriesUndecodable { bucket, .. } => (Pattern::GarbageInsidePage, None, Some(bucket)),
    };
    let bucket = bucket.map(|name| Arc::new(name.as_bytes().into()));
    let refused = matches!(fault, FileFault::OddSize { .. }) && owner.is_etcd();
    let message = format!("{fault}{}", if refused { ": `etcdutl snapshot restore` refuses it" } else { "" });
    Finding { kind: fault.into(), pattern, page: None, offset, bucket, key: None, message }
}

fn of_root(fault: &RootFault) -> Finding {
    Finding {
        kind: fault.into(),
        pattern: match fault {
            RootFault::RecordsInRoot { .. } | RootFault::NoBucketInRoot { .. } => Pattern::MixedGenerations,
            RootFault::ValuesInRoot { .. } => Pattern::GarbageInsidePage,
        },
        page: None,
        offset: None,
        bucket: Some(Arc::new(ByteText(Vec::new()))),
        key: None,
        message: fault.to_string(),
    }
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
