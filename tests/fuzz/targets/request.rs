//! An entry's request: what it means, against what prost makes of the same bytes.
#![no_main]

use etcd_medic::internals::etcd::request::{Action, KeyRange, Op, Request, Txn};
use libfuzzer_sys::fuzz_target;
use prost::Message;

/// `api/etcdserverpb/raft_internal.proto`, as far as it is about keys and leases.
#[derive(Clone, PartialEq, Message)]
struct Reference {
    #[prost(message, optional, tag = "4")]
    put: Option<Put>,
    #[prost(message, optional, tag = "5")]
    delete: Option<Keys>,
    #[prost(message, optional, tag = "6")]
    txn: Option<Branches>,
    #[prost(message, optional, tag = "7")]
    compact: Option<One>,
    #[prost(message, optional, tag = "8")]
    grant: Option<Grant>,
    #[prost(message, optional, tag = "9")]
    revoke: Option<One>,
    #[prost(message, optional, tag = "100")]
    header: Option<Header>,
}

#[derive(Clone, PartialEq, Message)]
struct Header {
    #[prost(bytes = "vec", tag = "2")]
    user: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Put {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
    #[prost(int64, tag = "3")]
    lease: i64,
    #[prost(bool, tag = "5")]
    ignore_value: bool,
    #[prost(bool, tag = "6")]
    ignore_lease: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Keys {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    range_end: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct One {
    #[prost(int64, tag = "1")]
    number: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Grant {
    #[prost(int64, tag = "1")]
    ttl: i64,
    #[prost(int64, tag = "2")]
    id: i64,
}

/// A transaction: its parts as they are.
#[derive(Clone, PartialEq, Message)]
struct Branches {
    #[prost(bytes = "vec", repeated, tag = "1")]
    compares: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    success: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "3")]
    failure: Vec<Vec<u8>>,
}

fuzz_target!(|data: &[u8]| {
    let Ok(request) = Request::parse(data) else { return };
    if let Action::Txn(txn) = &request.action {
        assert_eq!(num_ops(txn), ops_one_by_one(txn));
    }
    if matches!(request.action, Action::V2(_) | Action::Nothing) {
        return;
    }
    let theirs = Reference::decode(data).expect("a request");
    assert_eq!(request.user, theirs.header.unwrap_or_default().user);
    match request.action {
        Action::Put(ours) => {
            let theirs = theirs.put.expect("a put");
            assert_eq!((ours.key, ours.value), (theirs.key.as_slice(), theirs.value.as_slice()));
            let ours = (ours.lease, ours.ignore_value, ours.ignore_lease);
            assert_eq!(ours, (theirs.lease, theirs.ignore_value, theirs.ignore_lease));
        }
        Action::Delete(KeyRange { key, range_end }) => {
            let theirs = theirs.delete.expect("a deletion");
            assert_eq!((key, range_end), (theirs.key.as_slice(), theirs.range_end.as_slice()));
        }
        Action::Txn(ours) => {
            let theirs = theirs.txn.expect("a transaction");
            let theirs = [theirs.compares.len(), theirs.success.len(), theirs.failure.len()];
            assert_eq!([ours.compares.len(), ours.success.len(), ours.failure.len()], theirs);
        }
        Action::Compact { revision } => assert_eq!(Some(revision), theirs.compact.map(|one| one.number)),
        Action::LeaseRevoke { id } => assert_eq!(Some(id), theirs.revoke.map(|one| one.number)),
        Action::LeaseGrant { id, ttl } => {
            assert_eq!(Some((id, ttl)), theirs.grant.map(|grant| (grant.id, grant.ttl)));
        }
        _ => {}
    }
});

fn num_ops(txn: &Txn<'_>) -> usize {
    let mut count = 0;
    txn.all_ops(&mut |_| count += 1);
    count
}

/// The same without recursion.
fn ops_one_by_one(txn: &Txn<'_>) -> usize {
    let (mut waiting, mut count) = (vec![txn], 0);
    while let Some(txn) = waiting.pop() {
        for op in txn.success.iter().chain(&txn.failure) {
            match op {
                Op::Txn(inner) => waiting.push(inner),
                _ => count += 1,
            }
        }
    }
    count
}
