//! What could be deleted, and how: garbage that objects' own fields tell of, with the bytes that it takes.
//!
//! | file | what is in it |
//! |---|---|
//! | [`class`] | the classes: why, what deleting means, what prevents it, and the commands |
//! | `gather` | one pass over all keys |
//! | `judge`, `limits` | whether an object is garbage, and from where on |
//! | `sums` | bytes by class and namespace, and the largest objects |
//! | [`floods`] | resources in great numbers |
//! | `classes`, `rows` | the rows of the answer: how they are made, and what they say |
//!
//! Only values of the few kinds that [`crate::k8s::object`] reads are looked into, and those of floods for when they were created,
//! of live records alone. Encrypted
//! values are counted and never guessed; nothing of a value is shown.

pub mod class;
mod classes;
pub mod floods;
mod gather;
mod judge;
mod limits;
mod rows;
mod sums;

use std::path::Path;

use jiff::Timestamp;
use rayon::prelude::*;
use thiserror::Error;

use crate::analyze;
use crate::analyze::share::DiskBytes;
use crate::bolt::Db;
use crate::clock::Clock;
use crate::etcd::schema::State;
use crate::etcd::trailer::Trailer;
use crate::owner::{NoKeys, Owner};
use crate::scan::Scan;
use crate::scan::health::Health;

use classes::Classes;
use gather::Gathered;
use judge::Judge;
pub use limits::GarbageLimits;
pub use rows::{Ages, ClassNamespace, ClassUse, Cleanup, LargestObject, Older, Unread, Use};

/// What is asked for, beside the file.
#[derive(Clone, Copy, Debug)]
pub struct CleanupRequest<'r> {
    /// The file's path.
    pub path: &'r Path,
    /// What follows the db in its file.
    pub trailer: Trailer,
    /// From where on something counts as garbage.
    pub thresholds: GarbageLimits,
    /// The file's time, where it is not to be told from its objects.
    pub as_of: Option<Timestamp>,
    /// How many objects of each class to name.
    pub top: usize,
}

/// Why there is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum CleanupError {
    /// Without a `key` bucket, there are no objects.
    #[error(transparent)]
    NoKeys(NoKeys),
}

/// Looks through a file that was scanned.
///
/// # Errors
/// The file is not etcd's.
pub fn cleanup(
    db: &Db,
    state: &State<'_>,
    scan: &Scan<'_>,
    request: &CleanupRequest<'_>,
) -> Result<Cleanup, CleanupError> {
    let key_bucket = scan.key_bucket.ok_or_else(|| CleanupError::NoKeys(NoKeys(Owner::of(db))))?;
    let disk = analyze::buckets(scan).get(key_bucket.0 as usize).map_or(0, |bucket| bucket.disk_bytes);
    let (clock, as_of) = Clock::of(&scan.keyspace, request.as_of);
    let judge =
        Judge { clock, limits: request.thresholds, leases: state.leases.iter().map(|l| l.id).collect() };
    let shards = scan.keyspace.shards();
    let found: Vec<Gathered<'_, '_>> =
        shards.par_iter().map(|shard| Gathered::of(shard, &judge, request.top)).collect();
    let mut all = Gathered::new(request.top);
    found.into_iter().for_each(|more| all.append(more));
    let unread = all.unread();
    let (objects_read, doubtful_times) = (all.objects_read, all.doubtful_times);
    let leaf_bytes = all.every_key.leaf_bytes + scan.keyspace.unreadable.leaf_bytes;
    let disk = DiskBytes { bytes: disk, leaf_bytes };
    let Classes { total, rows: classes, more_floods } = all.classes(state, scan, disk, &judge, request.top);
    Ok(Cleanup {
        path: request.path.into(),
        file_bytes: db.file_size(),
        health: Health::of(db, state, scan, request.trailer),
        as_of,
        thresholds: request.thresholds,
        objects_read,
        doubtful_times,
        total,
        classes,
        more_floods,
        unread,
    })
}
