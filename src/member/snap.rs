//! A `.snap` file: raft's snapshot, written by etcd up to 3.7 (`server/etcdserver/api/snap/snapshotter.go`,
//! `snappb/snap.proto`; raft's `Snapshot`).
//!
//! Its head is read here: index, term, and the members at that point, which a snapshot record of etcd 3.4 lacks. The v2 store is
//! JSON ([`crate::etcd::v2_store`]).

#![deny(clippy::arithmetic_side_effects)]

use crate::protobuf::{Fields, Value};

use super::conf_state::ConfState;
use super::fault::MessageError;
use super::message::Snapshot;

/// Reads a `.snap` file.
///
/// # Errors
/// Its checksum is not that of its content, or it is no such file.
pub fn parse(file: &[u8]) -> Result<Snapshot, MessageError> {
    parse_with_store(file).map(|(snapshot, _)| snapshot)
}

/// The same, with the v2 store that it holds, as JSON.
///
/// # Errors
/// Its checksum is not that of its content, or it is no such file.
pub fn parse_with_store(file: &[u8]) -> Result<(Snapshot, &[u8]), MessageError> {
    let (mut crc, mut data) = (None, None);
    for field in Fields::of(file) {
        let field = field?;
        match (field.number, field.value) {
            (1, Value::Varint(value)) if crc.is_none() => crc = u32::try_from(value).ok(),
            (2, Value::Bytes(value)) if data.is_none() => data = Some(value),
            (number, _) => return Err(MessageError::Field(number)),
        }
    }
    let data = data.ok_or(MessageError::Missing("data"))?;
    if crc != Some(crc32c::crc32c(data)) {
        return Err(MessageError::Value("checksum"));
    }
    let (mut metadata, mut store) = (None, &[][..]);
    for field in Fields::of(data) {
        let field = field?;
        match (field.number, field.value) {
            (1, Value::Bytes(value)) => store = value,
            (2, Value::Bytes(value)) if metadata.is_none() => metadata = Some(value),
            (number, _) => return Err(MessageError::Field(number)),
        }
    }
    Ok((parse_metadata(metadata.ok_or(MessageError::Missing("metadata"))?)?, store))
}

fn parse_metadata(message: &[u8]) -> Result<Snapshot, MessageError> {
    let (mut index, mut term, mut config) = (0, 0, None);
    for field in Fields::of(message) {
        let field = field?;
        match (field.number, field.value) {
            (1, Value::Bytes(state)) if config.is_none() => config = Some(ConfState::parse(state)?),
            (2, Value::Varint(value)) if index == 0 => index = value,
            (3, Value::Varint(value)) if term == 0 => term = value,
            (number, _) => return Err(MessageError::Field(number)),
        }
    }
    if index == 0 || term == 0 {
        return Err(MessageError::Missing("index or term"));
    }
    Ok(Snapshot { index, term, config })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A `.snap` of index 5, term 2, with members 7 and 9.
    fn file() -> Vec<u8> {
        let metadata = b"\x0a\x06\x08\x07\x08\x09\x28\x00\x10\x05\x18\x02";
        let data = [b"\x0a\x02{}\x12\x0c", &metadata[..]].concat();
        let mut file = vec![0x08];
        prost::encoding::encode_varint(crc32c::crc32c(&data).into(), &mut file);
        file.extend_from_slice(&[0x12, u8::try_from(data.len()).expect("short")]);
        [file, data].concat()
    }

    #[test]
    fn its_members_are_read() {
        let snapshot = parse(&file()).expect("a .snap");
        assert_eq!((snapshot.index, snapshot.term), (5, 2));
        let members = snapshot.config.expect("members").members();
        assert_eq!(members.into_iter().collect::<Vec<_>>(), [7, 9]);
    }

    #[test]
    fn what_is_there_twice_is_an_error() {
        // raft's metadata, then an index, then the members
        for twice in [&b"\x12\x0c\x0a\x06\x08\x07\x08\x09\x28\x00\x10\x05\x18\x02"[..], b"\x12\x02\x10\x06"] {
            let data = [&file()[8..], twice].concat();
            let mut file = vec![0x08];
            prost::encoding::encode_varint(crc32c::crc32c(&data).into(), &mut file);
            file.extend_from_slice(&[0x12, u8::try_from(data.len()).expect("short")]);
            assert_eq!(parse(&[file, data].concat()), Err(MessageError::Field(2)));
        }
    }

    #[test]
    fn content_of_another_type_is_an_error() {
        let data = b"\x08\x05\x12\x04\x10\x05\x18\x02";
        let mut file = vec![0x08];
        prost::encoding::encode_varint(crc32c::crc32c(data).into(), &mut file);
        file.extend_from_slice(&[0x12, 8]);
        assert_eq!(parse(&[&file[..], data].concat()), Err(MessageError::Field(1)));
    }

    #[test]
    fn one_that_was_cut_or_changed_is_none() {
        let file = file();
        for len in 0..file.len() {
            assert!(parse(&file[..len]).is_err(), "{len} bytes");
        }
        for at in 0..file.len() {
            for bit in 0..8 {
                let mut changed = file.clone();
                changed[at] ^= 1 << bit;
                assert!(parse(&changed).is_err(), "byte {at}, bit {bit}");
            }
        }
    }
}
