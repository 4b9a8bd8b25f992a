//! Who is a member, as raft counts (`raftpb/raft.proto` `ConfState`; `confchange/confchange.go`).

#![deny(clippy::arithmetic_side_effects)]

use std::collections::BTreeSet;

use crate::protobuf::{Fields, Value};

use super::conf_change::{ConfChange, ConfChangeType};
use super::fault::MessageError;

/// More members than any cluster has.
const MAX_MEMBERS: usize = 10_000;

/// The members of a cluster, by their ids.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ConfState {
    voters: BTreeSet<u64>,
    /// Who takes part, and does not vote.
    learners: BTreeSet<u64>,
}

impl ConfState {
    /// Reads a `ConfState`. Who leaves or is about to join counts, too.
    ///
    /// # Errors
    /// Other fields.
    pub fn parse(message: &[u8]) -> Result<Self, MessageError> {
        let mut config = Self::default();
        for field in Fields::of(message) {
            let field = field?;
            match (field.number, field.value) {
                // voters, voters_outgoing
                (1 | 3, Value::Varint(id)) => config.voters.insert(id),
                // learners, learners_next
                (2 | 4, Value::Varint(id)) => config.learners.insert(id),
                // auto_leave
                (5, Value::Varint(0 | 1)) => continue,
                _ => return Err(MessageError::Field(field.number)),
            };
            if config.voters.len().saturating_add(config.learners.len()) > MAX_MEMBERS {
                return Err(MessageError::Value("number of members"));
            }
        }
        Ok(config)
    }

    /// Of these members.
    pub fn new(voters: impl IntoIterator<Item = u64>, learners: impl IntoIterator<Item = u64>) -> Self {
        Self { voters: voters.into_iter().collect(), learners: learners.into_iter().collect() }
    }

    pub fn voters(&self) -> &BTreeSet<u64> {
        &self.voters
    }

    pub fn learners(&self) -> &BTreeSet<u64> {
        &self.learners
    }

    /// The members after a change. etcd may have refused it: then it changed nothing (`etcdserver/server.go`,
    /// `applyConfChange`), and here are more members than there were, never fewer.
    pub fn apply(&mut self, change: ConfChange) {
        let id = change.node_id;
        match change.kind {
            ConfChangeType::Add => {
                self.learners.remove(&id);
                self.voters.insert(id);
            }
            ConfChangeType::AddLearner => {
                self.voters.remove(&id);
                self.learners.insert(id);
            }
            ConfChangeType::Remove => {
                self.voters.remove(&id);
                self.learners.remove(&id);
            }
            ConfChangeType::Update => {}
        }
    }

    /// All members, learners among them.
    pub fn members(&self) -> BTreeSet<u64> {
        self.voters.union(&self.learners).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(config: &ConfState) -> Vec<u64> {
        config.members().into_iter().collect()
    }

    #[test]
    fn all_lists_are_read() {
        let config =
            ConfState::parse(b"\x08\x01\x08\x02\x10\x03\x18\x04\x20\x05\x28\x01").expect("a ConfState");
        assert_eq!(members(&config), [1, 2, 3, 4, 5]);
        for message in [&b"\x0a\x01\x01"[..], b"\x30\x01", b"\x28\x02", b"\x08"] {
            assert!(ConfState::parse(message).is_err(), "{message:02x?}");
        }
    }

    #[test]
    fn changes_are_applied() {
        let mut config = ConfState::default();
        let mut apply = |kind, node_id| {
            config.apply(ConfChange { kind, node_id });
            members(&config)
        };
        assert_eq!(apply(ConfChangeType::Add, 1), [1]);
        assert_eq!(apply(ConfChangeType::AddLearner, 2), [1, 2]);
        assert_eq!(apply(ConfChangeType::Add, 2), [1, 2]);
        assert_eq!(apply(ConfChangeType::Update, 3), [1, 2]);
        assert_eq!(apply(ConfChangeType::Remove, 1), [2]);
        assert_eq!(apply(ConfChangeType::Remove, 1), [2]);
    }
}
