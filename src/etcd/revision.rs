//! The keys of the `key` bucket: revisions (`server/storage/mvcc/revision.go`).

#![deny(clippy::arithmetic_side_effects)]

use std::fmt;

/// When a change happened: `main` counts transactions, `sub` the changes within one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Revision {
    pub main: i64,
    /// The change within it.
    pub sub: i64,
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.main, self.sub)
    }
}

impl Revision {
    /// Bytes of it: those of a put's key.
    pub const LEN: usize = 17;

    /// Reads the 17 bytes: main (8, big-endian), `_`, sub (8, big-endian). `None` where they are anything else, or a
    /// number is negative, as etcd asserts (`BytesToBucketKey`).
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Revision::LEN] = bytes.try_into().ok()?;
        let (main, rest) = bytes.split_first_chunk::<8>()?;
        let (&[separator], rest) = rest.split_first_chunk::<1>()?;
        let sub: &[u8; 8] = rest.try_into().ok()?;
        let revision = Self { main: i64::from_be_bytes(*main), sub: i64::from_be_bytes(*sub) };
        (separator == b'_' && revision.main >= 0 && revision.sub >= 0).then_some(revision)
    }

    /// The 17 bytes that [`Revision::parse`] reads.
    pub fn to_bytes(self) -> [u8; Revision::LEN] {
        let mut bytes = [b'_'; Self::LEN];
        let (main, rest) = bytes.split_at_mut(8);
        main.copy_from_slice(&self.main.to_be_bytes());
        if let Some((_, sub)) = rest.split_first_mut() {
            sub.copy_from_slice(&self.sub.to_be_bytes());
        }
        bytes
    }
}

/// A key of the `key` bucket: a revision, and whether it deleted its key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordKey {
    /// The revision of the change.
    pub revision: Revision,
    /// Whether the record is a tombstone: its key ends in `t`.
    pub tombstone: bool,
}

impl RecordKey {
    /// Reads the 17 bytes of a put's key, or the 18 of a tombstone's.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (revision, mark) = bytes.split_at_checked(Revision::LEN)?;
        let tombstone = match mark {
            [] => false,
            [b't'] => true,
            _ => return None,
        };
        Some(Self { revision: Revision::parse(revision)?, tombstone })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUT: &[u8] = b"\0\0\0\0\0\0\x01\x02_\0\0\0\0\0\0\0\x03";

    #[test]
    fn puts_and_tombstones_are_told_apart() {
        let revision = Revision { main: 258, sub: 3 };
        assert_eq!(RecordKey::parse(PUT), Some(RecordKey { revision, tombstone: false }));
        let tombstone = [PUT, b"t"].concat();
        assert_eq!(RecordKey::parse(&tombstone), Some(RecordKey { revision, tombstone: true }));
        assert_eq!(revision.to_string(), "258.3");
        assert_eq!(revision.to_bytes(), PUT);
    }

    #[test]
    fn anything_else_is_malformed() {
        for len in 0..PUT.len() {
            assert_eq!(RecordKey::parse(PUT.get(..len).unwrap()), None, "{len} bytes");
        }
        assert_eq!(RecordKey::parse(&[PUT, b"x"].concat()), None);
        assert_eq!(RecordKey::parse(&[PUT, b"tt"].concat()), None);
        assert_eq!(RecordKey::parse(b"\0\0\0\0\0\0\x01\x02-\0\0\0\0\0\0\0\x03"), None, "separator");
        assert_eq!(RecordKey::parse(b"\xff\0\0\0\0\0\x01\x02_\0\0\0\0\0\0\0\x03"), None, "negative");
    }
}
