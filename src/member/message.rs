//! What a record holds (`api/etcdserverpb/etcdserver.proto` `Metadata`, `walpb/record.proto` `Snapshot`; raft's
//! `raftpb/raft.proto`: `Entry`, `HardState`, `ConfState`, `ConfChange`).
//!
//! A record's type has no checksum. So these messages are read strictly: a field that is not one of theirs, or a number that
//! raft never writes, tells that the bytes are another message.

#![deny(clippy::arithmetic_side_effects)]

use crate::protobuf::{Fields, Value};

use super::conf_change::ConfChange;
use super::conf_state::ConfState;
use super::fault::MessageError;
use super::numbers::{Read, numbers, set};

/// Whose log it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metadata {
    pub node_id: u64,
    pub cluster_id: u64,
}

/// An entry of raft's log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RaftEntry<'a> {
    /// Its index, from 1 on.
    pub index: u64,
    /// The term in which a leader wrote it.
    pub term: u64,
    pub content: EntryData<'a>,
}

/// What an entry holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryData<'a> {
    /// A request; nothing in a new leader's first entry.
    Request(&'a [u8]),
    /// A change of the members, and the member as JSON.
    ConfChange(ConfChange, &'a [u8]),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HardState {
    pub term: u64,
    /// For whom this member voted in it; 0 for nobody.
    pub vote: u64,
    /// The last entry that this member knew to be committed.
    pub commit: u64,
}

/// A snapshot was made or received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// The last entry that it holds the effect of.
    pub index: u64,
    pub term: u64,
    /// The members at that point; from 3.5 on, but for index 0.
    pub config: Option<ConfState>,
}

impl Metadata {
    /// Reads a message.
    ///
    /// # Errors
    /// Other fields, no id.
    pub fn parse(message: &[u8]) -> Read<Self> {
        let [node_id, cluster_id] = numbers(message)?;
        if node_id == 0 {
            return Err(MessageError::Missing("member id"));
        }
        Ok(Self { node_id, cluster_id })
    }
}

impl<'a> RaftEntry<'a> {
    /// Reads a message. A type that is not written means the same as 0, as 3.7 has it.
    ///
    /// # Errors
    /// Other fields; a type that every etcd refuses (`unknown entry type`); no index or term.
    pub fn parse(message: &'a [u8]) -> Read<Self> {
        let mut found = [None; 3];
        let mut data = None;
        for field in Fields::of(message) {
            let field = field?;
            match field.value {
                Value::Varint(value) => set(&mut found, field.number, value)?,
                Value::Bytes(bytes) if field.number == 4 && data.is_none() => data = Some(bytes),
                _ => return Err(MessageError::Field(field.number)),
            }
        }
        let [kind, term, index] = found.map(Option::unwrap_or_default);
        if index == 0 || term == 0 {
            return Err(MessageError::Missing("index or term"));
        }
        let data = data.unwrap_or_default();
        let content = match kind {
            0 => EntryData::Request(data),
            1 => {
                let (change, context) = ConfChange::parse(data)?;
                EntryData::ConfChange(change, context)
            }
            _ => return Err(MessageError::Value("entry type")),
        };
        Ok(Self { index, term, content })
    }
}

impl HardState {
    /// What is smaller in it than in the one before, if anything: its name, from, to.
    pub(super) fn goes_back(&self, before: &Self) -> Option<(&'static str, u64, u64)> {
        let numbers = [("term", before.term, self.term), ("commit", before.commit, self.commit)];
        numbers.into_iter().find(|(_, from, to)| from > to)
    }
    /// Reads a message. An empty state is never written (`wal.go`, `saveState`), and a vote or commit needs a term.
    ///
    /// # Errors
    /// Other fields, no term.
    pub fn parse(message: &[u8]) -> Read<Self> {
        let [term, vote, commit] = numbers(message)?;
        if term == 0 {
            return Err(MessageError::Missing("term"));
        }
        Ok(Self { term, vote, commit })
    }
}

impl Snapshot {
    /// Reads a message.
    ///
    /// # Errors
    /// Other fields; an index without a term, or the reverse.
    pub fn parse(message: &[u8]) -> Read<Self> {
        let mut found = [None; 2];
        let mut config = None;
        for field in Fields::of(message) {
            let field = field?;
            match field.value {
                Value::Varint(value) => set(&mut found, field.number, value)?,
                Value::Bytes(bytes) if field.number == 3 && config.is_none() => {
                    config = Some(ConfState::parse(bytes)?);
                }
                _ => return Err(MessageError::Field(field.number)),
            }
        }
        let [index, term] = found.map(Option::unwrap_or_default);
        if (index == 0) != (term == 0) {
            return Err(MessageError::Value("term"));
        }
        Ok(Self { index, term, config })
    }
}

#[cfg(test)]
mod tests {
    use super::super::conf_change::ConfChangeType;
    use super::*;

    #[test]
    fn what_each_version_writes_is_read() {
        // 3.4 to 3.6 write the type always, 3.7 where it is not 0
        let entry = RaftEntry { index: 300, term: 2, content: EntryData::Request(b"ab") };
        assert_eq!(RaftEntry::parse(b"\x08\x00\x10\x02\x18\xac\x02\x22\x02ab"), Ok(entry));
        assert_eq!(RaftEntry::parse(b"\x10\x02\x18\xac\x02\x22\x02ab"), Ok(entry));
        let empty = RaftEntry { index: 2, term: 2, content: EntryData::Request(b"") };
        assert_eq!(RaftEntry::parse(b"\x08\x00\x10\x02\x18\x02"), Ok(empty));
        let change = EntryData::ConfChange(ConfChange { kind: ConfChangeType::Remove, node_id: 9 }, b"");
        let bytes = b"\x08\x01\x10\x01\x18\x01\x22\x08\x08\x05\x10\x01\x18\x09\x22\x00";
        assert_eq!(RaftEntry::parse(bytes), Ok(RaftEntry { index: 1, term: 1, content: change }));
        assert_eq!(Metadata::parse(b"\x08\x07\x10\x09"), Ok(Metadata { node_id: 7, cluster_id: 9 }));
        assert_eq!(
            HardState::parse(b"\x08\x01\x10\x02\x18\x03"),
            Ok(HardState { term: 1, vote: 2, commit: 3 })
        );
        let snapshot = Snapshot::parse(b"\x08\x05\x10\x02\x1a\x04\x08\x07\x28\x00").expect("a snapshot");
        assert_eq!((snapshot.index, snapshot.term), (5, 2));
        assert_eq!(snapshot.config.map(|config| config.members().len()), Some(1));
        assert_eq!(Snapshot::parse(b"\x08\x00\x10\x00"), Ok(Snapshot { index: 0, term: 0, config: None }));
    }

    #[test]
    fn every_number_that_lies_is_an_error() {
        for entry in [
            &b""[..],
            b"\x08\x00\x10\x02\x18\x00",         // index 0
            b"\x08\x00\x10\x00\x18\x02",         // term 0
            b"\x08\x02\x10\x02\x18\x02",         // type 2: every version refuses it
            b"\x08\x03\x10\x02\x18\x02",         // type 3
            b"\x08\x00\x10\x02\x18\x02\x18\x03", // two indices
            b"\x08\x00\x10\x02\x18\x02\x28\x03", // field 5
            b"\x08\x00\x10\x02\x1a\x01a",        // an index of another wire type
            b"\x08\x01\x10\x02\x18\x02",         // a change of nobody
        ] {
            assert!(RaftEntry::parse(entry).is_err(), "{entry:02x?}");
        }
        for change in [
            &b"\x08\x05\x10\x04\x18\x09"[..], // kind 4
            b"\x08\x05\x10\x01\x18\x00",      // member 0
            b"\x08\x05\x10\x01",              // no member
            b"\x08\x05\x10\x01\x18\x09\x28\x01",
        ] {
            assert!(ConfChange::parse(change).is_err(), "{change:02x?}");
        }
        for state in [&b""[..], b"\x08\x00\x10\x02\x18\x05", b"\x10\x02\x18\x05", b"\x08\x01\x20\x01"] {
            assert!(HardState::parse(state).is_err(), "{state:02x?}");
        }
        for metadata in [&b""[..], b"\x08\x00\x10\x09", b"\x08\x07\x10\x09\x18\x01"] {
            assert!(Metadata::parse(metadata).is_err(), "{metadata:02x?}");
        }
        for snapshot in [&b"\x08\x05\x10\x00"[..], b"\x08\x00\x10\x05", b"\x08\x05\x10\x02\x18\x07"] {
            assert!(Snapshot::parse(snapshot).is_err(), "{snapshot:02x?}");
        }
    }
}
