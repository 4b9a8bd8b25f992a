//! What one key's records must look like, one behind the other.
//!
//! etcd derives these fields itself on every put (`kvstore_txn.go`, `put`; `key_index.go`): the first put after
//! nothing or after a tombstone has its own revision as create revision and version 1, every further one keeps the
//! create revision and counts the version up. Compaction may have dropped the beginning of a key's history, and
//! never leaves a gap in what it keeps.

#![deny(clippy::arithmetic_side_effects)]

use strum::IntoStaticStr;
use thiserror::Error;

use super::key_value::{DecodeError, KeyValue};
use super::revision::RecordKey;

/// The numbers that a record keeps of its key's history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counters {
    /// See [`KeyValue::create_revision`].
    pub create_revision: i64,
    /// See [`KeyValue::mod_revision`].
    pub mod_revision: i64,
    /// See [`KeyValue::version`].
    pub version: i64,
}

impl From<&KeyValue<'_>> for Counters {
    fn from(kv: &KeyValue<'_>) -> Self {
        let &KeyValue { create_revision, mod_revision, version, .. } = kv;
        Self { create_revision, mod_revision, version }
    }
}

/// The last record of a key that was seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Previous {
    /// None: the key's first record, or the first that compaction left.
    None,
    /// A put.
    Put {
        /// Its create revision.
        create_revision: i64,
        /// Its version.
        version: i64,
    },
    /// A deletion.
    Tombstone,
}

/// What contradicts itself in a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum RecordFault {
    /// Neither 17 nor 18 bytes of a revision.
    #[error("is no revision: its {len} bytes are not those of a put's or a tombstone's key")]
    RevisionMalformed {
        /// Bytes of the key.
        len: u64,
    },
    /// Two records of one revision: a put and a tombstone.
    #[error("revision {main}.{sub} stands twice: as a put, and as a tombstone")]
    RevisionTwice {
        /// Its main part.
        main: i64,
        /// Its sub part.
        sub: i64,
    },
    /// The value is no `KeyValue`.
    #[error("revision {main}.{sub}: {reason}")]
    KeyValueMalformed {
        /// Its main part.
        main: i64,
        /// Its sub part.
        sub: i64,
        /// Why.
        reason: DecodeError,
    },
    /// A `KeyValue` without a key.
    #[error("revision {main}.{sub}: its KeyValue has no key")]
    KeyEmpty {
        /// Its main part.
        main: i64,
        /// Its sub part.
        sub: i64,
    },
    /// A put must say the revision that its place says.
    #[error("revision {main}: its KeyValue says mod_revision {mod_revision}")]
    ModRevision {
        /// What its place says.
        main: i64,
        /// What it says.
        mod_revision: i64,
    },
    /// The create revision does not follow from the record before.
    #[error("revision {main}: create_revision {create_revision}, where the key's history gives {expected}")]
    CreateRevision {
        /// The record's revision.
        main: i64,
        /// What it says.
        create_revision: i64,
        /// What follows from the record before, or (for the oldest one kept) its own highest possible.
        expected: i64,
    },
    /// The version does not follow from the record before.
    #[error("revision {main}: version {version}, where the key's history gives {expected}")]
    Version {
        /// The record's revision.
        main: i64,
        /// What it says.
        version: i64,
        /// What follows from the record before, or (for the oldest one kept) the lowest possible.
        expected: i64,
    },
    /// A deletion of what was not there.
    #[error("revision {main}: a tombstone behind a tombstone of the same key")]
    TombstoneTwice {
        /// The record's revision.
        main: i64,
    },
    /// A key is attached to a lease that is not in the lease bucket.
    #[error("revision {main}: attached to lease {lease:016x}, which does not exist: the key never expires")]
    LeaseMissing {
        /// The record's revision.
        main: i64,
        /// The lease's id.
        lease: i64,
    },
}

/// Checks a record by itself and against the one before it of the same key: at most one fault, the first that etcd
/// would have had to commit.
#[inline]
#[must_use]
pub fn check(previous: Previous, key: RecordKey, counters: Counters) -> Option<RecordFault> {
    let main = key.revision.main;
    if key.tombstone {
        return (previous == Previous::Tombstone).then_some(RecordFault::TombstoneTwice { main });
    }
    let Counters { create_revision, mod_revision, version } = counters;
    if mod_revision != main {
        return Some(RecordFault::ModRevision { main, mod_revision });
    }
    let fresh = Expected { create_revision: main, version: 1 };
    let expected = match previous {
        Previous::Tombstone => fresh,
        Previous::Put { create_revision, version } => {
            Expected { create_revision, version: version.saturating_add(1) }
        }
        // the beginning may have been compacted: any that is possible will do
        Previous::None if version <= 1 || create_revision >= main => fresh,
        Previous::None => Expected { create_revision: create_revision.max(1), version },
    };
    if create_revision != expected.create_revision {
        let expected = expected.create_revision;
        return Some(RecordFault::CreateRevision { main, create_revision, expected });
    }
    let expected = expected.version;
    (version != expected).then_some(RecordFault::Version { main, version, expected })
}

struct Expected {
    create_revision: i64,
    version: i64,
}

#[cfg(test)]
mod tests {
    use super::super::revision::Revision;
    use super::*;

    fn put(main: i64, create_revision: i64, version: i64) -> (RecordKey, Counters) {
        let key = RecordKey { revision: Revision { main, sub: 0 }, tombstone: false };
        (key, Counters { create_revision, mod_revision: main, version })
    }

    fn check_put(previous: Previous, main: i64, create_revision: i64, version: i64) -> Option<RecordFault> {
        let (key, counters) = put(main, create_revision, version);
        check(previous, key, counters)
    }

    #[test]
    fn a_sound_history_has_no_fault() {
        assert_eq!(check_put(Previous::None, 5, 5, 1), None);
        assert_eq!(check_put(Previous::None, 9, 5, 3), None, "its beginning was compacted");
        assert_eq!(check_put(Previous::Put { create_revision: 5, version: 3 }, 12, 5, 4), None);
        assert_eq!(check_put(Previous::Tombstone, 13, 13, 1), None);
    }

    #[test]
    fn each_field_that_lies_is_named() {
        let previous = Previous::Put { create_revision: 5, version: 3 };
        let create = |main, create_revision, expected| {
            Some(RecordFault::CreateRevision { main, create_revision, expected })
        };
        assert_eq!(check_put(previous, 12, 6, 4), create(12, 6, 5));
        assert_eq!(check_put(Previous::Tombstone, 13, 5, 4), create(13, 5, 13));
        assert_eq!(check_put(Previous::None, 13, 14, 2), create(13, 14, 13), "created after itself");
        assert_eq!(check_put(Previous::None, 13, 0, 2), create(13, 0, 1));
        assert_eq!(check_put(Previous::None, 13, 5, 1), create(13, 5, 13), "version 1 is its own creation");
        let version = |version, expected| Some(RecordFault::Version { main: 12, version, expected });
        assert_eq!(check_put(previous, 12, 5, 5), version(5, 4));
        assert_eq!(check_put(Previous::None, 12, 12, 2), version(2, 1));
        let (key, counters) = put(12, 5, 4);
        let counters = Counters { mod_revision: 11, ..counters };
        assert_eq!(
            check(previous, key, counters),
            Some(RecordFault::ModRevision { main: 12, mod_revision: 11 })
        );
        let key = RecordKey { tombstone: true, ..key };
        assert_eq!(check(previous, key, counters), None);
        let twice = Some(RecordFault::TombstoneTwice { main: 12 });
        assert_eq!(check(Previous::Tombstone, key, counters), twice);
    }
}
