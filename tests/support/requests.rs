//! Requests as etcd writes them into its log, byte by byte.

use super::member_log::{bytes_field, varint};

/// A message of these numbers and bytes, by their fields; a 0 is left out, as etcd does.
pub fn message(fields: &[(u64, Field<'_>)]) -> Vec<u8> {
    let mut message = Vec::new();
    for (number, field) in fields {
        match field {
            Number(0) => {}
            Number(value) => varint(&mut message, *number, *value),
            Bytes(value) => bytes_field(&mut message, *number, value),
        }
    }
    message
}

#[derive(Clone, Copy)]
pub enum Field<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

pub use Field::{Bytes, Number};

/// A request with its header, as of this user.
pub fn request(field: u64, body: &[u8], user: &[u8]) -> Vec<u8> {
    let header = message(&[(1, Number(77)), (2, Bytes(user)), (3, Number(5))]);
    message(&[(1, Number(0)), (field, Bytes(body)), (100, Bytes(&header))])
}

pub fn put(key: &[u8], value: &[u8], lease: u64) -> Vec<u8> {
    message(&[(1, Bytes(key)), (2, Bytes(value)), (3, Number(lease))])
}

pub fn delete(key: &[u8], range_end: &[u8]) -> Vec<u8> {
    message(&[(1, Bytes(key)), (2, Bytes(range_end))])
}

/// A comparison of the version of a key, or of those of a range.
pub fn compare_version(key: &[u8], range_end: &[u8], result: u64, version: u64) -> Vec<u8> {
    message(&[(1, Number(result)), (3, Bytes(key)), (4, Number(version)), (64, Bytes(range_end))])
}

/// A transaction of these compares, and operations as (field of a `RequestOp`, message).
pub fn txn(compares: &[Vec<u8>], then: &[(u64, Vec<u8>)], otherwise: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut built = Vec::new();
    compares.iter().for_each(|compare| bytes_field(&mut built, 1, compare));
    for (field, ops) in [(2, then), (3, otherwise)] {
        for (op, body) in ops {
            bytes_field(&mut built, field, &message(&[(*op, Bytes(body))]));
        }
    }
    built
}

/// Some of each sort, by name.
pub fn all() -> Vec<(String, Vec<Vec<u8>>)> {
    let grant = |id| request(8, &message(&[(1, Number(60)), (2, Number(id))]), b"");
    let alarm = |action| request(10, &message(&[(1, Number(action)), (2, Number(9)), (3, Number(1))]), b"");
    let keys = vec![
        request(4, &put(b"a", b"1", 0), b""),
        request(4, &put(b"b", b"2", 0), b""),
        request(5, &delete(b"a", b"c"), b""),
    ];
    let leases = vec![
        grant(7),
        request(4, &put(b"a", b"1", 7), b""),
        request(4, &put(b"b", b"1", 8), b""),
        request(9, &message(&[(1, Number(7))]), b""),
    ];
    let inner = txn(&[], &[(2, put(b"d", b"4", 0))], &[]);
    let txns = vec![
        request(6, &txn(&[compare_version(b"a", b"", 0, 0)], &[(2, put(b"a", b"1", 0))], &[]), b""),
        request(
            6,
            &txn(&[compare_version(b"a", b"\0", 1, 0)], &[(3, delete(b"a", b""))], &[(4, inner.clone())]),
            b"",
        ),
        alarm(1),
        request(6, &txn(&[], &[(4, inner)], &[]), b""),
        alarm(2),
        request(7, &message(&[(1, Number(2))]), b""),
    ];
    let others = vec![
        request(1300, &message(&[(1, Bytes(b"3.6.0"))]), b""),
        request(1302, &message(&[(1, Number(1)), (2, Bytes(b"3.5.0"))]), b""),
        message(&[(1, Number(3)), (2, Bytes(b"PUT")), (3, Bytes(b"/0/version")), (4, Bytes(b"3.5.0"))]),
        request(1100, &message(&[(1, Bytes(b"eve"))]), b"root"),
    ];
    [("keys", keys), ("leases", leases), ("txns", txns), ("others", others)]
        .map(|(name, requests)| (name.to_owned(), requests))
        .to_vec()
}
