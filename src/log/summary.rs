//! What all entries of a log come to.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::etcd::HexId;
use crate::etcd::apply::Refused;
use crate::member::ReadLog;
use crate::text::{ByteStr, ByteText};
use crate::top_n::largest;

use super::broken::BrokenCopy;
use super::count::{Counter, KeyWriteCounts};

/// What a log holds.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LogSummary {
    /// The folder of the log.
    pub path: ByteText,
    /// The member whose log it is, in hexadecimal digits.
    pub member_id: HexId,
    /// Its cluster, in hexadecimal digits.
    pub cluster_id: HexId,
    /// The first entry that is there; `null` for none.
    pub first_index: Option<u64>,
    /// The last entry, or that of a snapshot after it.
    pub last_index: u64,
    /// The term of the last entry.
    pub last_term: u64,
    /// The last entry that the member knew to be committed.
    pub commit: u64,
    /// Entries that were asked for.
    pub entries: u64,
    /// The same by kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Entries whose effect is known.
    pub effects_known: u64,
    /// Entries that made a revision, of these.
    pub writes: u64,
    /// Entries that etcd refused, of these.
    pub refused: u64,
    /// The same by reason.
    pub refused_by: BTreeMap<Refused, u64>,
    /// Resources, the one that most bytes were written of first.
    pub resources: Vec<ResourceWrites>,
    /// The 20 keys that were written most often.
    pub busiest_keys: Vec<KeyWrites>,
    /// What is wrong with the log, the first 100.
    pub faults: Vec<LogFaultReport>,
    /// All that is wrong.
    pub num_faults: u64,
    /// Runs of entries without a gap, as first and last index: one, in a sound log.
    pub stretches: Vec<[u64; 2]>,
    /// Entries of another member or cluster, which are left out.
    pub foreign_entries: u64,
    /// Copies that etcd made when it repaired the log, with whole records that it cut off.
    pub broken_copies: Vec<BrokenCopy>,
}

/// Writes of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ResourceWrites {
    /// The API group.
    pub group: String,
    /// The resource; for keys that are not Kubernetes', their leading path.
    pub resource: String,
    /// Puts that were asked for.
    pub puts: u64,
    /// Deletions that were asked for.
    pub deletes: u64,
    /// Bytes of the values that were to be put.
    pub value_bytes: u64,
}

/// Writes of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct KeyWrites {
    /// The key.
    pub key: ByteText,
    /// Puts and deletions that were asked for.
    pub writes: u64,
    /// Bytes of the values that were to be put.
    pub value_bytes: u64,
}

/// Something that is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LogFaultReport {
    /// The file.
    pub segment: String,
    /// Where in it.
    pub offset: u64,
    /// What is wrong.
    pub message: String,
}

/// Keys that are named.
const BUSIEST: usize = 20;

impl ResourceWrites {
    fn name(&self) -> (&str, &str) {
        (&self.group, &self.resource)
    }
}

impl LogSummary {
    /// Of the folder of a log, and its entries that were counted.
    pub fn new(
        path: ByteText,
        log: &ReadLog<'_>,
        counted: Counter<'_>,
        broken_copies: Vec<BrokenCopy>,
    ) -> Self {
        let resource = |((group, resource), row): ((&str, ByteStr<'_>), KeyWriteCounts)| ResourceWrites {
            group: group.to_owned(),
            resource: resource.to_string(),
            puts: row.puts,
            deletes: row.deletes,
            value_bytes: row.value_bytes,
        };
        let mut resources: Vec<_> = counted.resources.into_iter().map(resource).collect();
        resources.sort_by(|a, b| b.value_bytes.cmp(&a.value_bytes).then_with(|| a.name().cmp(&b.name())));
        let mut keys: Vec<_> = counted.keys.into_iter().collect();
        keys.sort_unstable_by_key(|(key, _)| *key);
        let busiest = largest(BUSIEST, keys, |(_, counts)| (counts.writes(), counts.value_bytes));
        let writes = |(key, counts): (&[u8], KeyWriteCounts)| KeyWrites {
            key: ByteText::from(key),
            writes: counts.writes(),
            value_bytes: counts.value_bytes,
        };
        let fault = |fault: &crate::member::LogFault| LogFaultReport {
            segment: fault.segment.clone(),
            offset: fault.offset,
            message: fault.kind.to_string(),
        };
        let last_index = log.log.last_index();
        Self {
            path,
            member_id: HexId(log.log.metadata.node_id),
            cluster_id: HexId(log.log.metadata.cluster_id),
            first_index: log.stretches.first().map(|stretch| stretch.first_index()),
            last_index,
            last_term: log.log.term_at(last_index).unwrap_or(0),
            commit: log.log.state.commit,
            entries: counted.entries,
            kinds: counted.kinds.into_iter().map(|(kind, entries)| (kind.name(), entries)).collect(),
            effects_known: counted.effects_known,
            writes: counted.writes,
            refused: counted.refused,
            refused_by: counted.refused_by,
            resources,
            busiest_keys: busiest.into_iter().map(writes).collect(),
            faults: log.faults.iter().map(fault).collect(),
            num_faults: log.num_faults,
            stretches: log
                .stretches
                .iter()
                .map(|stretch| [stretch.first_index(), stretch.last_index()])
                .collect(),
            foreign_entries: log.foreign_entries,
            broken_copies,
        }
    }
}
