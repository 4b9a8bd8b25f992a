//! When an object was created, as far as its value says.
//!
//! The API server sets `metadata.creationTimestamp` when it creates an object, whatever the client sent, and never again
//! (kubernetes `apiserver/pkg/registry/rest/meta.go`, `FillObjectMetaSystemFields`). So it is the time of the record's
//! create revision, to the second, by the API server's clock. Read of protobuf only, which is what built-in objects are
//! stored as: there it stands near the beginning.

use super::value::PROTOBUF_MAGIC;
use super::wire::{protobuf_field, protobuf_varint};

/// The end of the year 9999: no later time is one.
const LAST_SECOND: u64 = 253_402_300_799;

/// Seconds since 1970. `None` where the value is not protobuf, or has no such field.
///
/// `runtime.Unknown` has the object in field 2 (`raw`); every object its metadata in field 1; `ObjectMeta` the timestamp
/// in field 8; and `Time` the seconds in field 1 (`apimachinery/pkg/{runtime,apis/meta/v1}/generated.proto`).
#[must_use]
pub fn creation_seconds(value: &[u8]) -> Option<u64> {
    let object = protobuf_field(value.strip_prefix(PROTOBUF_MAGIC)?, 2)?;
    let time = protobuf_field(protobuf_field(object, 1)?, 8)?;
    protobuf_varint(time, 1).filter(|seconds| (1..=LAST_SECOND).contains(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let len = u8::try_from(content.len()).unwrap();
        [&[number << 3 | 2, len], content].concat()
    }

    fn object(time: &[u8]) -> Vec<u8> {
        let metadata = [field(1, b"web-1"), field(8, time)].concat();
        let kind = field(1, b"");
        [PROTOBUF_MAGIC, &kind, &field(2, &field(1, &metadata))].concat()
    }

    #[test]
    fn the_seconds_are_read() {
        assert_eq!(creation_seconds(&object(&[0x08, 0x80, 0xe2, 0xcf, 0xaa, 0x06])), Some(1_700_000_000));
    }

    #[test]
    fn what_is_no_time_is_none() {
        let (zero, without, negative) = (
            &[0x08, 0x00][..],
            &[][..],
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01][..],
        );
        for time in [zero, without, negative, &[0x08], &[0x08, 0x80], &[0x0a, 0x01, 0x01], &[0x0b]] {
            assert_eq!(creation_seconds(&object(time)), None, "{time:?}");
        }
        assert_eq!(creation_seconds(b""), None);
        assert_eq!(creation_seconds(b"{\"metadata\":{}}"), None);
        let whole = object(&[0x08, 0x80, 0xe2, 0xcf, 0xaa, 0x06]);
        for len in 0..whole.len() {
            assert_eq!(creation_seconds(&whole[..len]), None, "cut at {len}");
        }
    }
}
