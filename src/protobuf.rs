//! Protobuf's wire format: the fields of a message, one by one, without a copy and without recursion; and fields added to one.
//!
//! What a field means is its reader's to say: etcd's records, the log's messages, Kubernetes' envelopes.

#![deny(clippy::arithmetic_side_effects)]

use prost::encoding::encode_varint;
use thiserror::Error;

/// Bytes that are no protobuf message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum WireError {
    /// A field's number is 0 or too large, or its tag does not end.
    #[error("a field tag is damaged")]
    Tag,
    /// A varint that does not end, or is above 64 bits.
    #[error("a number does not end")]
    Number,
    /// A length that does not end.
    #[error("a length does not end")]
    Length,
    /// A field that is longer than what is left.
    #[error("a length passes the end")]
    PastTheEnd,
    /// A group, which nothing that we read has.
    #[error("a field is of a wire type that is not in use")]
    WireType,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field<'a> {
    /// Its number, from 1 on.
    pub number: u32,
    pub value: Value<'a>,
}

/// The content of a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value<'a> {
    /// A number, a bool, an enum.
    Varint(u64),
    /// Bytes, a string, a message.
    Bytes(&'a [u8]),
    /// Four or eight bytes of fixed size.
    Fixed(&'a [u8]),
}

/// The fields of a message, in their order. Nothing comes after an error.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

/// The largest number of a field.
const MAX_NUMBER: u64 = (1 << 29) - 1;

impl<'a> Fields<'a> {
    pub fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    #[inline]
    fn next_field(&mut self) -> Result<Field<'a>, WireError> {
        let tag = take_varint(&mut self.rest).ok_or(WireError::Tag)?;
        let number = tag >> 3;
        if number == 0 || number > MAX_NUMBER {
            return Err(WireError::Tag);
        }
        let value = match tag & 7 {
            0 => Value::Varint(take_varint(&mut self.rest).ok_or(WireError::Number)?),
            1 => Value::Fixed(take(&mut self.rest, 8)?),
            2 => Value::Bytes(take_bytes(&mut self.rest)?),
            5 => Value::Fixed(take(&mut self.rest, 4)?),
            _ => return Err(WireError::WireType),
        };
        Ok(Field { number: u32::try_from(number).map_err(|_| WireError::Tag)?, value })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.next_field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Bytes behind their length.
///
/// # Errors
/// The length does not end, or passes the end.
#[inline]
pub fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], WireError> {
    let len = take_varint(rest).ok_or(WireError::Length)?;
    take(rest, len)
}

#[inline]
fn take<'a>(rest: &mut &'a [u8], len: u64) -> Result<&'a [u8], WireError> {
    let split = usize::try_from(len).ok().and_then(|len| rest.split_at_checked(len));
    let (bytes, behind) = split.ok_or(WireError::PastTheEnd)?;
    *rest = behind;
    Ok(bytes)
}

/// A base 128 varint, its lowest seven bits first; `None` where it does not end, or is above 64 bits.
/// A number of 7 bits a byte, the low ones first. Most are short: those of one byte, and of up to eight, are read without a loop.
#[inline]
pub fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let (&first, behind) = rest.split_first()?;
    if first < 0x80 {
        *rest = behind;
        return Some(first.into());
    }
    let Some(&word) = rest.first_chunk() else { return take_long_varint(rest) };
    let word = u64::from_le_bytes(word);
    // the last byte is the first without its high bit
    let last = (!word & 0x8080_8080_8080_8080).trailing_zeros();
    if last >= u64::BITS {
        return take_long_varint(rest);
    }
    let len = usize::try_from(last / 8).ok()?.checked_add(1)?;
    *rest = rest.get(len..)?;
    Some(joined(word & (u64::MAX >> u64::BITS.wrapping_sub(1).wrapping_sub(last))))
}

/// The seven low bits of each byte, side by side.
#[inline]
fn joined(word: u64) -> u64 {
    let pairs = (word & 0x7f00_7f00_7f00_7f00) >> 1 | word & 0x007f_007f_007f_007f;
    let fours = (pairs & 0x3fff_0000_3fff_0000) >> 2 | pairs & 0x0000_3fff_0000_3fff;
    (fours & 0x0fff_ffff_0000_0000) >> 4 | fours & 0x0000_0000_0fff_ffff
}

fn take_long_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            // the tenth byte has room for one bit only
            return (shift < 63 || byte <= 1).then_some(value);
        }
    }
    None
}

/// Adds a field of a number to a message.
pub fn put_number(message: &mut Vec<u8>, field: u32, value: u64) {
    encode_varint(u64::from(field) << 3, message);
    encode_varint(value, message);
}

/// Adds a field of bytes, a string, or a message to a message.
pub fn put_bytes(message: &mut Vec<u8>, field: u32, value: &[u8]) {
    encode_varint(u64::from(field) << 3 | 2, message);
    encode_varint(value.len() as u64, message);
    message.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(message: &[u8]) -> Result<Vec<Field<'_>>, WireError> {
        Fields::of(message).collect()
    }

    #[test]
    fn every_wire_type_is_read() {
        let message = b"\x08\xac\x02\x12\x02ab\x1d1234\x2112345678\x80\x01\x07";
        let expected = [
            (1, Value::Varint(300)),
            (2, Value::Bytes(b"ab")),
            (3, Value::Fixed(b"1234")),
            (4, Value::Fixed(b"12345678")),
            (16, Value::Varint(7)),
        ];
        assert_eq!(
            fields(message),
            Ok(expected.into_iter().map(|(number, value)| Field { number, value }).collect())
        );
        assert_eq!(fields(b""), Ok(vec![]));
    }

    #[test]
    fn every_number_that_lies_is_an_error() {
        for (message, error) in [
            (&b"\x00"[..], WireError::Tag),
            (b"\x80", WireError::Tag),
            (b"\xff\xff\xff\xff\x7f\x00", WireError::Tag),
            (b"\x08", WireError::Number),
            (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", WireError::Number),
            (b"\x12\xff", WireError::Length),
            (b"\x12\x03ab", WireError::PastTheEnd),
            (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", WireError::PastTheEnd),
            (b"\x1d123", WireError::PastTheEnd),
            (b"\x211234567", WireError::PastTheEnd),
            (b"\x0b", WireError::WireType),
            (b"\x0c", WireError::WireType),
        ] {
            assert_eq!(fields(message), Err(error), "{message:02x?}");
        }
    }

    /// Of every length, with and without bytes after it, and as prost reads it.
    #[test]
    fn numbers_of_every_length_are_read() {
        let mut numbers: Vec<u64> =
            (0..64).flat_map(|bit| [1 << bit, (1 << bit) - 1, u64::MAX >> bit]).collect();
        numbers.push(0x0123_4567_89ab_cdef);
        for number in numbers {
            let mut encoded = Vec::new();
            encode_varint(number, &mut encoded);
            for after in [&b""[..], b"\x05", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"] {
                let bytes = [&encoded[..], after].concat();
                let mut rest = &bytes[..];
                assert_eq!((take_varint(&mut rest), rest), (Some(number), after), "{number:x}");
            }
            // cut short; and longer than need be, which protobuf allows
            assert_eq!(take_varint(&mut &encoded[..encoded.len() - 1]), None, "{number:x}");
            for zeros in 1..=10_usize.saturating_sub(encoded.len()) {
                let mut longer = encoded.clone();
                *longer.last_mut().expect("a byte") |= 0x80;
                longer.extend(vec![0x80; zeros - 1]);
                longer.push(0);
                assert_eq!(take_varint(&mut &longer[..]), Some(number), "{longer:02x?}");
            }
        }
    }

    #[test]
    fn nothing_comes_after_an_error() {
        let mut fields = Fields::of(b"\x0b\x08\x01");
        assert_eq!(fields.next(), Some(Err(WireError::WireType)));
        assert_eq!(fields.next(), None);
    }
}
