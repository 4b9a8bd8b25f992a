//! The hashes of a file's content: etcd's own two, and a fingerprint of each bucket, which is ours.

#![warn(missing_docs)]

use crc32fast::Hasher;
use serde::Serialize;
use thiserror::Error;

use crate::bolt::Db;
use crate::bolt::bucket::{Bucket, BucketId, path_of};
use crate::bolt::page::Leaf;
use crate::bolt::walk::{Setup, Subtree, Walker, walk};
use crate::etcd::RecordKey;
use crate::etcd::crc::Crc;
use crate::etcd::hash::{HashRun, Rule};
use crate::etcd::kept::Kept;
use crate::etcd::known_revisions::{RevisionError, current_revision, known_revision};
use crate::etcd::schema::{KEY_BUCKET, State};
use crate::etcd::trailer;
use crate::inspect;
use crate::owner::Owner;
use crate::scan::health::Health;
use crate::scan::{ScanOptions, scan};
use crate::text::ByteText;

/// The hashes of the content, as etcd's own tools make them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Hashes {
    /// Whether `check` finds nothing at all.
    pub sound: bool,
    /// Whether all that the hashes are of could be read. False: compare none of them.
    pub readable: bool,
    /// Faults that `check` finds.
    pub num_faults: u64,
    /// Plain values beside the buckets: they are in no hash, as etcd's own tools end at one.
    pub values_left_out: u64,
    /// As `etcdutl hashkv` and `etcdctl endpoint hashkv` print it; `null` for a file that isn't etcd's.
    pub hash_kv: Option<HashKv>,
    /// As `etcdutl snapshot status` prints it.
    pub snapshot_status: SnapshotStatus,
    /// All but the root bucket, by name, then those within these.
    pub buckets: Vec<BucketHash>,
    /// Whose the file is.
    #[serde(skip)]
    pub owner: Owner,
}

/// The hashes of one of several files.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FileHashes {
    /// Its path.
    pub path: ByteText,
    /// Its hashes.
    #[serde(flatten)]
    pub hashes: Hashes,
}

/// HashKV.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HashKv {
    /// CRC-32C.
    pub hash: u32,
    /// The revision that it was made at: `--rev`, or the current one.
    pub revision: i64,
    /// -1 where the file was never compacted; the scheduled one where a compaction was cut short.
    pub compact_revision: i64,
}

/// As `etcdutl snapshot status` has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SnapshotStatus {
    /// CRC-32C of each top-level bucket's name, keys and values; `etcdutl` prints it in hexadecimal, but for its JSON.
    pub hash: u32,
    /// The newest record's, whatever `--rev` says; 0 where there is none.
    pub revision: i64,
    /// Keys that exist: etcdutl's `totalKey` from 3.6 on (etcd's pull 19344); 0 for a file that isn't etcd's.
    pub total_key: u64,
    /// Entries of all top-level buckets: `totalKey` of older etcdutl, such as 3.5.1.
    pub total_entries: u64,
    /// Bytes of the pages below the high water mark.
    pub total_size: u64,
}

/// A bucket, and what its content can be compared by.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BucketHash {
    /// Its path: `outer/inner` for a bucket within another.
    pub name: ByteText,
    /// Entries that could be read, buckets among them.
    pub entries: u64,
    /// As in the document of `buckets`.
    pub fingerprint: String,
}

/// Why there is no hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum HashError {
    /// `--rev` was given, and the file is not etcd's.
    #[error("has no bucket `key` that can be read")]
    NoRevisions,
    /// No such revision.
    #[error(transparent)]
    Revision(#[from] RevisionError),
}

/// Hashes the whole file; HashKV at this revision, 0 for the current one. `progress` is called now and then with the
/// bytes of file that were read since.
///
/// # Errors
/// The file has no such revision, or none at all.
pub fn hashes(
    db: &Db,
    state: &State<'_>,
    revision: i64,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Hashes, HashError> {
    let Some(key_bucket) = &state.key_bucket else {
        if revision != 0 {
            return Err(HashError::NoRevisions);
        }
        return Ok(Content::read(db, None, progress).hashes(db, health(db, state), None, 0, 0));
    };
    let all = Kept::at(db, key_bucket, i64::MAX);
    let compact_revision = state.compact_revision();
    let current = current_revision(all.newest(), compact_revision);
    let revision = match revision {
        // as etcd has it
        0 => current,
        asked => known_revision(asked, compact_revision, current)?,
    };
    let known = Some(&all).filter(|all| revision >= all.newest());
    let rule = Rule::new(db, key_bucket, compact_revision, revision, known);
    let content = Content::read(db, Some(&rule), progress);
    let hash_kv = HashKv { hash: content.hash_kv.value(), revision, compact_revision };
    Ok(content.hashes(db, health(db, state), Some(hash_kv), all.newest(), all.num_keys()))
}

/// What `check` makes of the file.
fn health(db: &Db, state: &State<'_>) -> Health {
    let options = ScanOptions { max_findings: 0, ..ScanOptions::default() };
    let (scan, trailer) = rayon::join(|| scan(db, state, options), || trailer::verify(db.data()));
    Health::of(db, state, &scan, trailer)
}

/// What one pass over the file finds.
#[derive(Debug)]
struct Content {
    hash_kv: Crc,
    snapshot: Crc,
    total_entries: u64,
    values_in_root: u64,
    buckets: Vec<BucketHash>,
}

impl Content {
    fn read(db: &Db, rule: Option<&Rule<'_>>, progress: &(dyn Fn(u64) + Sync)) -> Self {
        walk(db, Setup::default(), |walker| Self::read_by(walker, rule, progress)).0
    }

    fn read_by(
        walker: &mut Walker<'_>,
        mut rule: Option<&Rule<'_>>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Self {
        let (mut snapshot, mut hash_kv) = (Crc::default(), Crc::of(KEY_BUCKET));
        let (mut total_entries, mut values_in_root) = (0, 0);
        let mut parts = Vec::new();
        for id in (0..).map(BucketId) {
            let Some(&bucket) = walker.bucket(id) else { break };
            let rule = if is_key_bucket(&bucket) { rule.take() } else { None };
            let Some(mut walk) = walker.walk_bucket(id) else { break };
            let mut whole = Part::default();
            while let Some(parts) = walk.next_window(|subtree| Part::of(subtree, rule)) {
                parts.iter().for_each(|part| whole.append(part));
                progress(parts.iter().map(|part| part.page_bytes).sum());
            }
            match bucket.parent {
                None => values_in_root = whole.entries,
                Some(BucketId::ROOT) => {
                    snapshot.update(bucket.name);
                    snapshot.append(whole.snapshot);
                    total_entries += whole.entries + whole.buckets;
                }
                Some(_) => {}
            }
            hash_kv.append(whole.hash_kv);
            parts.push(whole);
        }
        let buckets = bucket_hashes(walker.buckets(), parts);
        Self { hash_kv, snapshot, total_entries, values_in_root, buckets }
    }

    fn hashes(
        self,
        db: &Db,
        Health { sound, readable, num_faults, .. }: Health,
        hash_kv: Option<HashKv>,
        revision: i64,
        total_key: u64,
    ) -> Hashes {
        let Self { snapshot, total_entries, values_in_root, buckets, .. } = self;
        let (hash, total_size) = (snapshot.value(), db.high_water_mark().saturating_mul(db.page_size()));
        let snapshot_status = SnapshotStatus { hash, revision, total_key, total_entries, total_size };
        Hashes {
            sound,
            readable,
            num_faults,
            values_left_out: values_in_root,
            hash_kv,
            snapshot_status,
            buckets,
            owner: Owner::of(db),
        }
    }
}

fn is_key_bucket(bucket: &Bucket<'_>) -> bool {
    bucket.parent == Some(BucketId::ROOT) && bucket.name == KEY_BUCKET
}

fn bucket_hashes(buckets: &[Bucket<'_>], parts: Vec<Part>) -> Vec<BucketHash> {
    let ids = (0..).map(BucketId);
    let row = |(id, part): (BucketId, Part)| BucketHash {
        name: path_of(buckets, id).as_slice().into(),
        entries: part.entries + part.buckets,
        fingerprint: format!("{:08x}", part.fingerprint.finalize()),
    };
    ids.zip(parts).skip(1).map(row).collect()
}

/// What a part of a bucket adds to its hashes.
#[derive(Debug, Default)]
struct Part {
    snapshot: Crc,
    hash_kv: Crc,
    fingerprint: Hasher,
    entries: u64,
    buckets: u64,
    page_bytes: u64,
}

impl Part {
    fn of(subtree: &mut Subtree<'_, '_>, rule: Option<&Rule<'_>>) -> Self {
        let mut part = Self::default();
        for node in subtree {
            part.page_bytes += if node.inline { 0 } else { node.page().bytes().len() as u64 };
            if let Some(leaf) = node.leaf() {
                part.add_leaf(&leaf);
                if let Some(rule) = rule {
                    part.add_records(&leaf, rule);
                }
            }
        }
        part
    }

    fn add_leaf(&mut self, leaf: &Leaf<'_>) {
        let mut run = HashRun::new(leaf);
        for entry in leaf.entries().filter_map(Result::ok) {
            if entry.is_bucket() {
                // bbolt gives a bucket within a bucket as a key without a value
                run.add_key(&mut self.snapshot, &entry);
                self.buckets += 1;
            } else {
                run.add(&mut self.snapshot, &entry);
                inspect::add_to_fingerprint(&mut self.fingerprint, &entry);
                self.entries += 1;
            }
        }
        run.finish(&mut self.snapshot);
    }

    fn add_records(&mut self, leaf: &Leaf<'_>, rule: &Rule<'_>) {
        let mut run = HashRun::new(leaf);
        for entry in leaf.entries().filter_map(Result::ok) {
            let place = RecordKey::parse(entry.key).filter(|_| !entry.is_bucket());
            if place.is_some_and(|place| rule.takes(place, entry.value)) {
                run.add(&mut self.hash_kv, &entry);
            }
        }
        run.finish(&mut self.hash_kv);
    }

    fn append(&mut self, next: &Self) {
        self.snapshot.append(next.snapshot);
        self.hash_kv.append(next.hash_kv);
        self.fingerprint.combine(&next.fingerprint);
        self.entries += next.entries;
        self.buckets += next.buckets;
    }
}
