//! What of a record is not what its entry wrote.

use crate::etcd::KeyValue;
use crate::etcd::apply::{Change, NewValue};

use super::base::Held;

/// Differences that are looked at one by one.
pub(super) const MAX_DIFFERENCES: usize = 100;

/// A record that is not what its entry wrote.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Difference<'a> {
    pub revision: i64,
    pub sub: i64,
    pub key: &'a [u8],
    /// The entry that wrote it.
    pub index: u64,
    /// What differs.
    pub what: &'static str,
}

/// What of a record is not what was written.
pub(super) fn difference(change: &Change<'_>, record: &Held<'_>) -> Option<&'static str> {
    let Ok(kv) = KeyValue::parse(record.value) else { return Some("record") };
    let Some(NewValue { create_revision, version, lease, value }) = change.put else {
        return (kv != KeyValue { key: change.key, ..KeyValue::default() }).then_some("tombstone");
    };
    let parts = [
        ("value", kv.value == value),
        ("lease", kv.lease == lease),
        ("version", kv.version == version),
        ("create_revision", kv.create_revision == create_revision),
        ("mod_revision", kv.mod_revision == change.revision.main),
    ];
    parts.into_iter().find_map(|(what, is_same)| (!is_same).then_some(what))
}
