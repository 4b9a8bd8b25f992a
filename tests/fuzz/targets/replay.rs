//! Requests, one after the other, applied by the rules of each version: what comes out are revisions without a gap, and the keys that
//! exist are those that the changes leave.
#![no_main]

use std::collections::BTreeMap;

use etcd_medic::internals::etcd::apply::{Machine, NewValue, Rules, Version};
use etcd_medic::internals::etcd::request::Request;
use libfuzzer_sys::fuzz_target;

/// Versions of all rules.
const VERSIONS: [Version; 5] = [
    Version::new(3, 4, 23),
    Version::new(3, 5, 1),
    Version::new(3, 5, 35),
    Version::new(3, 6, 16),
    Version::new(3, 7, 3),
];

/// Requests that lie behind their lengths, of two bytes.
fn requests(mut data: &[u8]) -> Vec<Request<'_>> {
    let mut requests = Vec::new();
    while let Some((len, rest)) = data.split_first_chunk::<2>() {
        let (request, behind) = rest.split_at(rest.len().min(u16::from_le_bytes(*len).into()));
        requests.extend(Request::parse(request));
        data = behind;
    }
    requests
}

fuzz_target!(|data: &[u8]| {
    let requests = requests(data);
    for version in VERSIONS {
        let mut machine = Machine::empty(Rules::of(version));
        let mut model: BTreeMap<&[u8], NewValue<'_>> = BTreeMap::new();
        for request in &requests {
            let before = machine.store.revision;
            let mut changes = 0;
            let applied = machine.request(request, &mut |written| {
                let change = written.change;
                assert_eq!((change.revision.main, change.revision.sub), (before + 1, changes));
                changes += 1;
                match change.put {
                    Some(put) => model.insert(change.key, put),
                    None => Some(model.remove(change.key).expect("what is deleted existed")),
                };
            });
            let Ok(applied) = applied else { break };
            assert_eq!(applied.changes, changes.unsigned_abs());
            assert_eq!(machine.store.revision, before + i64::from(changes > 0));
            assert_eq!(applied.revision, (changes > 0).then_some(before + 1));
            assert!(applied.refused.is_none() || changes == 0, "{applied:?}");
            assert!(machine.store.compact_revision <= machine.store.revision);
        }
        let live = machine.store.keys.iter().map(|(key, live)| (key, live.version, live.lease, live.value));
        assert!(live.eq(model.iter().map(|(key, put)| (*key, put.version, put.lease, put.value))));
    }
});
