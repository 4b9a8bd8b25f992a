//! The verdict on a file: whether it is sound, and whether it can be read whole. The one place for it: every command says this.
//!
//! *Sound*: nothing was found, in its structure, its records, and what only the whole shows. *Readable*: all that the active root has
//! can be read, so a copy loses nothing. Where it is readable and not sound, the faults are of what no copy takes over (a meta, the
//! stored freelist, a missing end of free pages, a snapshot's SHA-256), or of what records say.

use serde::Serialize;
use strum::IntoStaticStr;
use thiserror::Error;

use crate::bolt::Db;
use crate::etcd::schema::State;
use crate::etcd::trailer::{Trailer, trailer_size};

use super::Scan;
use super::key_state::{KeyState, NONE};

/// What was found wrong, in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Health {
    /// Whether `check` finds nothing at all.
    pub sound: bool,
    /// Whether all that the active root has can be read: a copy loses nothing, and `defrag` and `plan` take the file.
    pub readable: bool,
    /// Faults that `check` finds.
    pub num_faults: u64,
    /// Of these: faults of pages, elements, metas, the freelist, and of a file cut short.
    pub structural_faults: u64,
    /// Of these: faults of single records of the `key` bucket. Those of missing leases are in `num_faults` only.
    pub record_faults: u64,
}

impl Health {
    /// Of a file that was scanned.
    pub fn of(db: &Db, state: &State<'_>, scan: &Scan<'_>, trailer: Trailer) -> Self {
        let of_file = of_whole_file(db, state, trailer).count() as u64 + u64::from(scan.root_fault.is_some());
        let (structural_faults, record_faults) = (scan.structure.count, scan.num_record_faults);
        let orphans = orphans(state, scan).count() as u64;
        let num_faults = structural_faults + record_faults + of_file + orphans;
        Self {
            sound: num_faults == 0,
            readable: scan.is_readable(),
            num_faults,
            structural_faults,
            record_faults,
        }
    }
}

/// Faults that only the whole file shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error, IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[strum(serialize_all = "kebab-case")]
pub enum FileFault {
    /// The snapshot is not what was taken.
    #[error("the 32 bytes behind the db are not its SHA-256: the file was cut short or changed")]
    TrailerMismatch {
        /// Byte offset of these 32 bytes.
        offset: u64,
    },
    /// Neither a db nor a snapshot.
    #[error(
        "the file has {file_size} bytes: neither whole pages nor a SHA-256 behind them. It was cut short or added to"
    )]
    OddSize {
        /// Bytes of the file.
        file_size: u64,
        /// Where the pages end.
        offset: u64,
    },
    /// Entries of a small bucket of etcd's.
    #[error("{count} of its entries can't be decoded")]
    EntriesUndecodable { bucket: &'static str, count: u64 },
}

/// The faults that only the whole file shows.
pub fn of_whole_file<'s>(
    db: &Db,
    state: &'s State<'_>,
    trailer: Trailer,
) -> impl Iterator<Item = FileFault> + use<'s> {
    let file_size = db.file_size();
    let offset = file_size - trailer_size(file_size);
    let mismatch = (trailer == Trailer::Invalid).then_some(FileFault::TrailerMismatch { offset });
    let offset = db.high_water_mark().saturating_mul(db.page_size());
    // a file that ends before its last page is a fault of its structure already
    let is_odd = !file_size.is_multiple_of(512) && trailer_size(file_size) == 0 && file_size >= offset;
    let odd_size = is_odd.then_some(FileFault::OddSize { file_size, offset });
    let undecodable = state.undecodable.iter();
    let undecodable = undecodable.map(|&(bucket, count)| FileFault::EntriesUndecodable { bucket, count });
    mismatch.into_iter().chain(odd_size).chain(undecodable)
}

/// Keys whose newest record is attached to a lease that the `lease` bucket does not have.
pub fn orphans<'s, 'a>(state: &'s State<'_>, scan: &'s Scan<'a>) -> impl Iterator<Item = &'s KeyState<'a>> {
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
