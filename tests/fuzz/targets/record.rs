//! A record: its key, and its value against what prost makes of the same bytes.
#![no_main]

use etcd_medic::internals::etcd::key_value::KeyValue;
use etcd_medic::internals::etcd::{RecordKey, Revision};
use libfuzzer_sys::fuzz_target;
use prost::Message;

/// `api/mvccpb/kv.proto`
#[derive(Clone, PartialEq, Message)]
struct Reference {
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

fuzz_target!(|data: &[u8]| {
    if let Some(place) = RecordKey::parse(data) {
        let mark: &[u8] = if place.tombstone { b"t" } else { b"" };
        assert_eq!([&place.revision.to_bytes()[..], mark].concat(), data);
        assert_eq!(Revision::parse(&place.revision.to_bytes()), Some(place.revision));
    }
    let leading = KeyValue::leading_key(data);
    match (KeyValue::parse(data), Reference::decode(data)) {
        (Ok(ours), Ok(theirs)) => {
            assert_eq!((ours.key, ours.value), (theirs.key.as_slice(), theirs.value.as_slice()));
            let theirs = [theirs.create_revision, theirs.mod_revision, theirs.version, theirs.lease];
            assert_eq!([ours.create_revision, ours.mod_revision, ours.version, ours.lease], theirs);
            // a second key behind the first is a finding of its own
            if leading.is_none_or(|leading| leading == ours.key) {
                assert_eq!(KeyValue::key_of(data), ours.key);
            }
        }
        (Err(_), Err(_)) => {}
        (ours, theirs) => panic!("{ours:?}, but {theirs:?}"),
    }
});
