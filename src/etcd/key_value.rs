//! The values of the `key` bucket: protobuf `mvccpb.KeyValue` (`api/mvccpb/kv.proto`), read without a copy.

#![deny(clippy::arithmetic_side_effects)]

use prost::encoding::{WireType, decode_key, decode_varint, skip_field};
use thiserror::Error;

/// One record's content. A tombstone's has the key only.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KeyValue<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The revision (main) at which the key was created last.
    pub create_revision: i64,
    /// The revision (main) of this record.
    pub mod_revision: i64,
    /// How many times the key was put since it was created, this one included.
    pub version: i64,
    /// The value.
    pub value: &'a [u8],
    /// The lease that the key is attached to; 0 for none.
    pub lease: i64,
}

/// Bytes that are no `KeyValue`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("no mvccpb.KeyValue: {0}")]
pub struct DecodeError(&'static str);

impl<'a> KeyValue<'a> {
    /// Reads a message. Fields may come in any order and a later one wins, as protobuf has it; unknown fields are
    /// stepped over.
    ///
    /// # Errors
    /// A length past the end, a varint that does not end, a field of another wire type.
    #[inline]
    pub fn parse(message: &'a [u8]) -> Result<Self, DecodeError> {
        let mut found = Self::default();
        let mut rest = message;
        while !rest.is_empty() {
            let (tag, wire_type) =
                decode_key(&mut rest).map_err(|_| DecodeError("a field tag is damaged"))?;
            match (tag, wire_type) {
                (1, WireType::LengthDelimited) => found.key = take_bytes(&mut rest)?,
                (2, WireType::Varint) => found.create_revision = take_int(&mut rest)?,
                (3, WireType::Varint) => found.mod_revision = take_int(&mut rest)?,
                (4, WireType::Varint) => found.version = take_int(&mut rest)?,
                (5, WireType::LengthDelimited) => found.value = take_bytes(&mut rest)?,
                (6, WireType::Varint) => found.lease = take_int(&mut rest)?,
                (1..=6, _) => return Err(DecodeError("a field is of the wrong wire type")),
                (tag, wire_type) => {
                    skip_field(wire_type, tag, &mut rest, prost::encoding::DecodeContext::default())
                        .map_err(|_| DecodeError("an unknown field can't be stepped over"))?
                }
            }
        }
        Ok(found)
    }

    /// The key of a message that [`KeyValue::parse`] accepted: etcd writes it first, so one look is enough.
    #[inline]
    #[must_use]
    pub fn key_of(message: &'a [u8]) -> &'a [u8] {
        match *message {
            // field 1, length-delimited, a length below 128, and no second key behind it: the next field is higher
            [0x0a, len @ 0..=0x7f, ref rest @ ..] => match rest.split_at_checked(usize::from(len)) {
                Some((key, [] | [0x10, ..])) => key,
                _ => Self::parse(message).map(|kv| kv.key).unwrap_or_default(),
            },
            _ => Self::parse(message).map(|kv| kv.key).unwrap_or_default(),
        }
    }
}

#[inline]
fn take_int(rest: &mut &[u8]) -> Result<i64, DecodeError> {
    decode_varint(rest).map(u64::cast_signed).map_err(|_| DecodeError("a number does not end"))
}

#[inline]
fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let len = decode_varint(rest).map_err(|_| DecodeError("a length does not end"))?;
    let split = usize::try_from(len).ok().and_then(|len| rest.split_at_checked(len));
    let (bytes, behind) = split.ok_or(DecodeError("a length passes the end"))?;
    *rest = behind;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// key `/a`, create 2, mod 300, version 4, value `hello`, lease -1.
    const MESSAGE: &[u8] =
        b"\x0a\x02/a\x10\x02\x18\xac\x02\x20\x04\x2a\x05hello\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";

    #[test]
    fn every_field_is_read() {
        let expected = KeyValue {
            key: b"/a",
            create_revision: 2,
            mod_revision: 300,
            version: 4,
            value: b"hello",
            lease: -1,
        };
        assert_eq!(KeyValue::parse(MESSAGE), Ok(expected));
        let extended = [MESSAGE, b"\x38\x07\x42\x02ab"].concat();
        assert_eq!(KeyValue::parse(&extended), Ok(expected), "unknown fields 7 and 8");
    }

    #[test]
    fn a_message_cut_short_is_an_error_or_another_message() {
        let whole = KeyValue::parse(MESSAGE);
        for len in 0..MESSAGE.len() {
            assert_ne!(KeyValue::parse(MESSAGE.get(..len).unwrap()), whole, "{len} bytes");
        }
        assert!(KeyValue::parse(b"\x0a\x05/a").is_err(), "length past the end");
        assert!(
            KeyValue::parse(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").is_err(),
            "length of 2^64 - 1"
        );
        assert!(KeyValue::parse(b"\x12\x01a").is_err(), "wire type");
        assert!(KeyValue::parse(b"\x00").is_err(), "tag 0");
    }
}
