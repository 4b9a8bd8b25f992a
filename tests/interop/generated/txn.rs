//! Transactions by chance: compares of every sort, branches, and transactions within.

use serde_json::{Value, json};

use crate::support::gateway::bytes;

use super::requests::{NO_KEY, NO_LEASE, Requests};

/// Levels below the outermost one.
const MAX_DEPTH: u32 = 3;

/// A transaction. No key is written twice in it: etcd would refuse that before it makes an entry.
pub fn txn(requests: &mut Requests) -> Value {
    let mut keys: Vec<Vec<u8>> = (0..24).map(|number| format!("k/{number:02}").into_bytes()).collect();
    for at in (1..keys.len()).rev() {
        keys.swap(at, requests.random.index(at + 1));
    }
    txn_with(requests, &mut keys, 0)
}

fn txn_with(requests: &mut Requests, keys: &mut Vec<Vec<u8>>, depth: u32) -> Value {
    let compares: Vec<_> = (0..requests.random.below(3)).map(|_| compare(requests)).collect();
    let mut branch = || -> Vec<_> {
        (0..requests.random.below(4)).filter_map(|_| operation(requests, keys, depth)).collect()
    };
    let [success, failure] = [branch(), branch()];
    json!({"compare": compares, "success": success, "failure": failure})
}

fn operation(requests: &mut Requests, keys: &mut Vec<Vec<u8>>, depth: u32) -> Option<Value> {
    let key = bytes(&keys.pop()?);
    Some(match requests.random.below(30) {
        0..=11 => {
            let (value, lease) = (requests.value(), requests.lease().to_string());
            json!({"request_put": {"key": key, "value": value, "lease": lease}})
        }
        12..=16 => json!({"request_delete_range": {"key": key}}),
        17 | 18 => {
            let (key, range_end) = requests.range();
            json!({"request_delete_range": {"key": key, "range_end": range_end}})
        }
        19 => json!({"request_put": {"key": key, "ignore_value": true}}),
        20 | 21 => json!({"request_range": {"key": key}}),
        22 => one_that_is_refused(requests, key, depth),
        _ if depth < MAX_DEPTH => json!({"request_txn": txn_with(requests, keys, depth + 1)}),
        _ => json!({"request_put": {"key": key, "value": requests.value()}}),
    })
}

/// Where its branch is chosen, the whole transaction is refused.
fn one_that_is_refused(requests: &mut Requests, key: Value, depth: u32) -> Value {
    match requests.random.below(4) {
        0 => json!({"request_put": {"key": key, "lease": NO_LEASE.to_string()}}),
        1 => json!({"request_put": {"key": bytes(NO_KEY), "ignore_lease": true, "value": "AA=="}}),
        kind if depth > 0 || requests.checks_outer_ranges() => {
            let revision = if kind == 2 { 1 } else { requests.revision + 1000 };
            json!({"request_range": {"key": key, "revision": revision.to_string()}})
        }
        _ => json!({"request_range": {"key": key}}),
    }
}

fn compare(requests: &mut Requests) -> Value {
    let result = requests.random.one_of(&["EQUAL", "NOT_EQUAL", "GREATER", "LESS"]);
    let revision = match requests.random.below(3) {
        0 => 0,
        _ => requests.revision - requests.random.below(40).cast_signed(),
    };
    let mut compare = match requests.random.below(5) {
        0 => json!({"target": "VERSION", "version": requests.random.below(4).to_string()}),
        1 => json!({"target": "CREATE", "create_revision": revision.to_string()}),
        2 => json!({"target": "MOD", "mod_revision": revision.to_string()}),
        3 => json!({"target": "VALUE", "value": requests.value()}),
        _ => json!({"target": "LEASE", "lease": requests.lease().to_string()}),
    };
    let (key, range_end) = match requests.random.below(4) {
        0 => requests.range(),
        1 => (bytes(NO_KEY), Value::Null),
        _ => (requests.key(), Value::Null),
    };
    compare["result"] = json!(result);
    compare["key"] = key;
    if !range_end.is_null() {
        compare["range_end"] = range_end;
    }
    compare
}
