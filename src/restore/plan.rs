//! What the log and the `.snap` of the new directory will say.

use std::borrow::Cow;

use crate::etcd::apply::members::{MemberRow, go_json};
use crate::etcd::new_v2_store::new_v2_store;
use crate::member::ConfState;
use crate::member::message::{HardState, Metadata, Snapshot};
use crate::member::write::add_member;

use super::cluster::NewMembers;

/// The term in which a new cluster begins.
const FIRST_TERM: u64 = 1;

/// A log of one segment, and the `.snap` that goes with it.
#[derive(Debug)]
pub struct MemberPlan<'a> {
    pub metadata: Metadata,
    /// The snapshot record that the log begins with.
    pub first: Snapshot,
    /// The messages of its entries.
    pub entries: Vec<Cow<'a, [u8]>>,
    pub last_index: u64,
    pub state: HardState,
    /// The snapshot record that it ends with, if any.
    pub last: Option<Snapshot>,
    /// The entry that the db is at, with its term and the members then.
    pub at: Snapshot,
    /// The v2 store of the `.snap`, as JSON.
    pub store: Vec<u8>,
    /// The members, in the order of their ids.
    pub rows: Vec<MemberRow>,
    /// Entries that were requests of the API v2, and are written as empty ones.
    pub emptied: u64,
    /// Entries of the source's log that are not taken over.
    pub left_out: u64,
    /// Whether what came after its last entry is damaged.
    pub ends_damaged: bool,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl MemberPlan<'_> {
    /// The beginning of a new cluster: an entry for each member.
    pub fn of_new(members: NewMembers, minor: u32) -> Self {
        let NewMembers { rows, own_id, cluster_id } = members;
        let ids: Vec<u64> = rows.iter().map(|row| row.id).collect();
        let index = ids.len() as u64;
        let entries =
            (1..).zip(&rows).map(|(index, row)| add_member(index, FIRST_TERM, row.id, &go_json(row)));
        let config = ConfState::new(ids.iter().copied(), []);
        let at = Snapshot { index, term: FIRST_TERM, config: Some(config) };
        // the members' names come with their first start
        let unnamed: Vec<_> =
            rows.iter().map(|row| MemberRow { name: String::new(), ..row.clone() }).collect();
        Self {
            metadata: Metadata { node_id: own_id, cluster_id },
            first: Snapshot { index: 0, term: 0, config: None },
            entries: entries.map(Cow::Owned).collect(),
            last_index: index,
            state: HardState { term: FIRST_TERM, vote: ids.first().copied().unwrap_or(0), commit: index },
            last: Some(record(&at, minor)),
            store: new_v2_store(unnamed.iter(), &[], None),
            at,
            rows,
            emptied: 0,
            left_out: 0,
            ends_damaged: false,
            warnings: Vec::new(),
        }
    }
}

/// A snapshot as the log of a version has it: up to 3.4 it does not name the members.
pub fn record(snapshot: &Snapshot, minor: u32) -> Snapshot {
    let config = snapshot.config.clone().filter(|_| minor > 4);
    Snapshot { config, ..snapshot.clone() }
}
