//! Just enough protobuf and CBOR to reach two strings, without a copy and without recursion.

use crate::protobuf::{Fields, Value};

/// The first length-delimited field with this number of a protobuf message.
///
/// Protobuf says that the last of several wins; the API server's encoder writes each once, and
/// stopping at the first also reads a value whose end is lost.
pub(super) fn protobuf_field(message: &[u8], number: u32) -> Option<&[u8]> {
    Fields::of(message).map_while(Result::ok).find_map(|field| match field.value {
        Value::Bytes(bytes) if field.number == number => Some(bytes),
        _ => None,
    })
}

/// The first varint field with this number of a protobuf message.
pub(super) fn protobuf_varint(message: &[u8], number: u32) -> Option<u64> {
    Fields::of(message).map_while(Result::ok).find_map(|field| match field.value {
        Value::Varint(value) if field.number == number => Some(value),
        _ => None,
    })
}

/// Reads CBOR (RFC 8949) item by item. Indefinite lengths are refused: Kubernetes' encoder never
/// writes them, and without them stepping over an item needs a counter instead of a stack.
pub(super) struct Cbor<'a>(pub(super) &'a [u8]);

const BYTE_STRING: u8 = 2;
const TEXT_STRING: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const NULL: u8 = 0xf6;

impl<'a> Cbor<'a> {
    /// Enters a map; gives the number of its pairs.
    pub(super) fn map(&mut self) -> Option<u64> {
        match self.head()? {
            (MAP, pairs) => Some(pairs),
            _ => None,
        }
    }

    /// A string of either kind: Kubernetes writes all its strings, map keys too, as byte strings.
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        match self.head()? {
            (BYTE_STRING | TEXT_STRING, len) => take(&mut self.0, len),
            _ => None,
        }
    }

    /// A string, or `None` within for a null.
    pub(super) fn string_or_null(&mut self) -> Option<Option<&'a [u8]>> {
        match self.0.strip_prefix(&[NULL]) {
            Some(rest) => {
                self.0 = rest;
                Some(None)
            }
            None => self.string().map(Some),
        }
    }

    /// Steps over one item with all that is nested in it.
    pub(super) fn skip(&mut self) -> Option<()> {
        let mut pending = 1u64;
        while let Some(rest) = pending.checked_sub(1) {
            let nested = match self.head()? {
                (BYTE_STRING | TEXT_STRING, len) => take(&mut self.0, len).map(|_| 0)?,
                (ARRAY, items) => items,
                (MAP, pairs) => pairs.checked_mul(2)?,
                (TAG, _) => 1,
                _ => 0,
            };
            pending = rest.checked_add(nested)?;
        }
        Some(())
    }

    /// An item's major type and argument.
    fn head(&mut self) -> Option<(u8, u64)> {
        let byte = take_byte(&mut self.0)?;
        let argument = match byte & 0x1f {
            small @ 0..=23 => u64::from(small),
            24 => self.big_endian(1)?,
            25 => self.big_endian(2)?,
            26 => self.big_endian(4)?,
            27 => self.big_endian(8)?,
            _ => return None,
        };
        Some((byte >> 5, argument))
    }

    fn big_endian(&mut self, len: u64) -> Option<u64> {
        let bytes = take(&mut self.0, len)?;
        Some(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }
}

fn take_byte(bytes: &mut &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*first)
}

fn take<'a>(bytes: &mut &'a [u8], len: u64) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(usize::try_from(len).ok()?)?;
    *bytes = rest;
    Some(head)
}
