//! A change of the members (`raftpb/raft.proto`, `ConfChange`).

#![deny(clippy::arithmetic_side_effects)]

use crate::protobuf::{Fields, Value};

use super::fault::MessageError;
use super::numbers::{Read, set};

/// A change of the members.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConfChange {
    /// What becomes of the member.
    pub kind: ConfChangeType,
    pub node_id: u64,
}

/// What becomes of a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConfChangeType {
    Add,
    Remove,
    Update,
    /// It takes part, and does not vote.
    AddLearner,
}

impl ConfChange {
    /// Reads a `ConfChange`, and its context: the member, as JSON.
    ///
    /// # Errors
    /// Other fields, an unknown kind, no member.
    pub fn parse(message: &[u8]) -> Read<(Self, &[u8])> {
        let mut found = [None; 3];
        let mut context = None;
        for field in Fields::of(message) {
            let field = field?;
            match field.value {
                Value::Varint(value) => set(&mut found, field.number, value)?,
                Value::Bytes(bytes) if field.number == 4 && context.is_none() => context = Some(bytes),
                _ => return Err(MessageError::Field(field.number)),
            }
        }
        let [_, kind, node_id] = found.map(Option::unwrap_or_default);
        let kind = match kind {
            0 => ConfChangeType::Add,
            1 => ConfChangeType::Remove,
            2 => ConfChangeType::Update,
            3 => ConfChangeType::AddLearner,
            _ => return Err(MessageError::Value("kind of change")),
        };
        if node_id == 0 {
            return Err(MessageError::Missing("member id"));
        }
        Ok((Self { kind, node_id }, context.unwrap_or_default()))
    }
}
