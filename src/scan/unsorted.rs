//! Records on their way to the shards of their keys. Each key that is looked up waits for memory, twice: several are
//! looked up together, and wait together.

use crate::etcd::KeyValue;

use super::keyspace::Keyspace;
use super::record::{ScannedRecord, Shards};

/// Records that are looked up together: enough to wait for memory once, and few enough to stay in the cache meanwhile.
const TOGETHER: usize = 32;

/// Records whose keys were not looked up yet.
#[derive(Debug, Default)]
pub(super) struct Unsorted<'a>(Vec<Arrived<'a>>);

#[derive(Debug)]
struct Arrived<'a> {
    record: ScannedRecord<'a>,
    kv: KeyValue<'a>,
    shard: usize,
}

impl<'a> Unsorted<'a> {
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= TOGETHER
    }

    #[inline]
    pub(super) fn push(&mut self, record: ScannedRecord<'a>, kv: KeyValue<'a>, keyspace: &Keyspace<'a>) {
        let (shard, hash) = keyspace.place_of(kv.key);
        self.0.push(Arrived { record: ScannedRecord { hash, ..record }, kv, shard });
    }

    /// Moves all of them to their shards, in the order in which they came.
    pub(super) fn sort_into(&mut self, shards: &mut Shards<'a>, keyspace: &Keyspace<'a>) {
        let shard_of = |arrived: &Arrived<'_>| keyspace.shards().get(arrived.shard);
        let mut candidates = [None; TOGETHER];
        for (candidate, arrived) in candidates.iter_mut().zip(&self.0) {
            *candidate = shard_of(arrived).and_then(|shard| shard.prefetch_state(arrived.record.hash));
        }
        for (candidate, arrived) in candidates.iter().zip(&self.0) {
            if let (Some(number), Some(shard)) = (candidate, shard_of(arrived)) {
                shard.prefetch_key(*number);
            }
        }
        for Arrived { record, kv, shard } in self.0.drain(..) {
            let key = keyspace.known_key(shard, record.hash, &kv);
            if let Some(shard) = shards.get_mut(shard) {
                shard.push(ScannedRecord { key, ..record });
            }
        }
    }
}
