//! The values of the `key` bucket: protobuf `mvccpb.KeyValue` (`api/mvccpb/kv.proto`), read without a copy.

#![deny(clippy::arithmetic_side_effects)]

use prost::encoding::{DecodeContext, decode_key, encode_varint, encoded_len_varint, skip_field};
use thiserror::Error;

use crate::protobuf::{self, WireError};

/// One record's content. A tombstone's has the key only.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KeyValue<'a> {
    pub key: &'a [u8],
    /// The revision (main) at which the key was created last.
    pub create_revision: i64,
    /// The revision (main) of this record.
    pub mod_revision: i64,
    /// How many times the key was put since it was created, this one included.
    pub version: i64,
    pub value: &'a [u8],
    /// The lease that the key is attached to; 0 for none.
    pub lease: i64,
}

/// The fields' tags, each with its wire type: number << 3, and 0 for a varint or 2 for bytes.
const KEY: u8 = 1 << 3 | 2;
const CREATE_REVISION: u8 = 2 << 3;
const MOD_REVISION: u8 = 3 << 3;
const VERSION: u8 = 4 << 3;
const VALUE: u8 = 5 << 3 | 2;
const LEASE: u8 = 6 << 3;

/// Bytes that are no `KeyValue`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("no mvccpb.KeyValue: {0}")]
pub struct DecodeError(&'static str);

impl DecodeError {
    /// A key after the first: protobuf takes the last one, and etcd never writes two.
    pub const KEY_TWICE: Self = Self("its key stands twice");
}

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
        // Each of a file's records comes through here: by a library's general means, this alone took a fifth of all
        // instructions of a scan. The tests hold it against what prost makes of the same bytes.
        while let Some((&tag, behind)) = rest.split_first() {
            let field = rest;
            rest = behind;
            let tag = if tag < 0x80 { tag } else { long_tag(field, &mut rest)? };
            match tag {
                KEY => found.key = take_bytes(&mut rest)?,
                CREATE_REVISION => found.create_revision = take_int(&mut rest)?,
                MOD_REVISION => found.mod_revision = take_int(&mut rest)?,
                VERSION => found.version = take_int(&mut rest)?,
                VALUE => found.value = take_bytes(&mut rest)?,
                LEASE => found.lease = take_int(&mut rest)?,
                _ => rest = skip_unknown(field)?,
            }
        }
        Ok(found)
    }

    /// The key of a message that [`KeyValue::parse`] accepted: etcd writes it first, so one look is enough.
    #[inline]
    pub fn key_of(message: &'a [u8]) -> &'a [u8] {
        match *message {
            // field 1, length-delimited, a length below 128, and no second key after it: the next field is higher
            [0x0a, len @ 0..=0x7f, ref rest @ ..] => match rest.split_at_checked(usize::from(len)) {
                Some((key, [] | [0x10, ..])) => key,
                _ => Self::parse(message).map(|kv| kv.key).unwrap_or_default(),
            },
            _ => Self::parse(message).map(|kv| kv.key).unwrap_or_default(),
        }
    }

    /// Bytes of the message.
    pub fn encoded_len(&self) -> usize {
        let bytes = |bytes: &[u8]| match bytes.len() {
            0 => 0,
            len => encoded_len_varint(len as u64).saturating_add(len).saturating_add(1),
        };
        let number = |&(_, number): &(u8, i64)| match number {
            0 => 0,
            number => encoded_len_varint(number.cast_unsigned()).saturating_add(1),
        };
        let numbers = self.numbers();
        let numbers = numbers.iter().map(number).fold(0, usize::saturating_add);
        bytes(self.key).saturating_add(bytes(self.value)).saturating_add(numbers)
    }

    /// Writes the message as etcd does: fields in their order, 0 and empty ones left out.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let bytes = |tag: u8, bytes: &[u8], out: &mut Vec<u8>| {
            if !bytes.is_empty() {
                out.push(tag);
                encode_varint(bytes.len() as u64, out);
                out.extend_from_slice(bytes);
            }
        };
        let number = |(tag, number): (u8, i64), out: &mut Vec<u8>| {
            if number != 0 {
                out.push(tag);
                encode_varint(number.cast_unsigned(), out);
            }
        };
        let [create_revision, mod_revision, version, lease] = self.numbers();
        bytes(KEY, self.key, out);
        number(create_revision, out);
        number(mod_revision, out);
        number(version, out);
        bytes(VALUE, self.value, out);
        number(lease, out);
    }

    /// Its numbers, each with its tag.
    fn numbers(&self) -> [(u8, i64); 4] {
        [
            (CREATE_REVISION, self.create_revision),
            (MOD_REVISION, self.mod_revision),
            (VERSION, self.version),
            (LEASE, self.lease),
        ]
    }

    /// Whether a put's value marks a revision, and holds no key: `etcdutl snapshot restore --bump-revision` raises the
    /// current revision by a record without a single byte of value (`etcdutl/snapshot/v3_snapshot.go`,
    /// `unsafeBumpBucketsRevision`). etcd reads it as a put of the empty key, which no client can name.
    #[inline]
    pub fn is_revision_mark(message: &[u8]) -> bool {
        message.is_empty()
    }

    /// Whether a message can be read to its end, and has one key, which is first; or only marks a revision.
    pub fn is_readable(message: &[u8]) -> bool {
        let whole = KeyValue::parse(message).ok().zip(KeyValue::leading_key(message));
        Self::is_revision_mark(message)
            || whole.is_some_and(|(kv, leading)| {
                kv.key.as_ptr() == leading.as_ptr() && kv.key.len() == leading.len()
            })
    }

    /// The key of a message that begins with it, as all that etcd writes do, whatever lies after it.
    #[inline]
    pub fn leading_key(message: &'a [u8]) -> Option<&'a [u8]> {
        let (&KEY, mut rest) = message.split_first()? else { return None };
        take_bytes(&mut rest).ok()
    }
}

/// A tag of several bytes: an unknown field's, whose tag is none of `KeyValue`'s; or one of these, written with more bytes than
/// it needs, which etcd's decoder takes, too.
#[cold]
fn long_tag<'a>(field: &'a [u8], rest: &mut &'a [u8]) -> Result<u8, DecodeError> {
    let mut behind = field;
    let (number, wire_type) = decode_key(&mut behind).map_err(|_| DecodeError("a field tag is damaged"))?;
    *rest = behind;
    let known = u8::try_from(number).ok().filter(|&number| number <= 6);
    let tag = known.and_then(|number| number.checked_mul(8)?.checked_add(wire_type as u8));
    Ok(tag.unwrap_or(u8::MAX))
}

/// Steps over a field that is none of `KeyValue`'s.
#[cold]
fn skip_unknown(field: &[u8]) -> Result<&[u8], DecodeError> {
    let mut rest = field;
    let (tag, wire_type) = decode_key(&mut rest).map_err(|_| DecodeError("a field tag is damaged"))?;
    if tag <= 6 {
        return Err(DecodeError("a field is of the wrong wire type"));
    }
    skip_field(wire_type, tag, &mut rest, DecodeContext::default())
        .map_err(|_| DecodeError("an unknown field can't be stepped over"))?;
    Ok(rest)
}

#[inline]
fn take_int(rest: &mut &[u8]) -> Result<i64, DecodeError> {
    protobuf::take_varint(rest).map(u64::cast_signed).ok_or(DecodeError("a number does not end"))
}

#[inline]
fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    protobuf::take_bytes(rest).map_err(|error| match error {
        WireError::Length => DecodeError("a length does not end"),
        _ => DecodeError("a length passes the end"),
    })
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

    /// The same message, as prost reads it.
    #[derive(Clone, PartialEq, prost::Message)]
    struct ByProst {
        #[prost(bytes = "vec", tag = "1")]
        key: Vec<u8>,
        #[prost(int64, tag = "2")]
        create_revision: i64,
        #[prost(int64, tag = "3")]
        mod_revision: i64,
        #[prost(int64, tag = "4")]
        version: i64,
        #[prost(bytes = "vec", tag = "5")]
        value: Vec<u8>,
        #[prost(int64, tag = "6")]
        lease: i64,
    }

    fn by_prost(message: &[u8]) -> Option<ByProst> {
        <ByProst as prost::Message>::decode(message).ok()
    }

    fn by_us(message: &[u8]) -> Option<ByProst> {
        let kv = KeyValue::parse(message).ok()?;
        let KeyValue { key, create_revision, mod_revision, version, value, lease } = kv;
        let (key, value) = (key.to_vec(), value.to_vec());
        Some(ByProst { key, create_revision, mod_revision, version, value, lease })
    }

    /// Every message that is one byte off a sound one (changed, left out, put in) is read as prost reads it.
    #[test]
    fn prost_reads_the_same() {
        let mut accepted = 0;
        let mut compare = |message: &[u8]| {
            accepted += u32::from(by_us(message).is_some());
            assert_eq!(by_us(message), by_prost(message), "{message:02x?}");
        };
        compare(&[MESSAGE, b"\x38\x07\x42\x02ab"].concat());
        // tags with more bytes than they need; one that is too large
        for tag in [
            &b"\x8a\x00"[..],
            b"\x8a\x80\x00",
            b"\x88\x00",
            b"\x8a\x80\x80\x80\x10",
            b"\x80\x00",
            b"\xba\x00",
        ] {
            compare(&[tag, b"\x02/a\x10\x02"].concat());
        }
        for (at, byte) in (0..MESSAGE.len()).flat_map(|at| (0..=u8::MAX).map(move |byte| (at, byte))) {
            let mut changed = MESSAGE.to_vec();
            changed[at] = byte;
            compare(&changed);
            changed = MESSAGE.to_vec();
            changed.insert(at, byte);
            compare(&changed);
            changed = MESSAGE.to_vec();
            changed.remove(at);
            compare(&changed);
        }
        assert!(accepted > 1000, "{accepted}");
    }
}
