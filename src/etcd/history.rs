//! What one key's records must look like, one after the other.
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

/// What the last record of a key was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Previous {
    /// There is none: the next one is the key's first, or the first that compaction left.
    None,
    Put {
        create_revision: i64,
        version: i64,
    },
    Tombstone,
}

/// What contradicts itself in a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error, IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
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
    RevisionTwice { main: i64, sub: i64 },
    /// The value is no `KeyValue`.
    #[error("revision {main}.{sub}: {reason}")]
    KeyValueMalformed {
        main: i64,
        sub: i64,
        /// Why it can't be decoded.
        reason: DecodeError,
    },
    /// A `KeyValue` without a key.
    #[error("revision {main}.{sub}: its KeyValue has no key")]
    KeyEmpty { main: i64, sub: i64 },
    /// A put must say the revision that its place says.
    #[error("revision {main}: its KeyValue says mod_revision {mod_revision}")]
    ModRevision {
        /// What its place says.
        main: i64,
        mod_revision: i64,
    },
    /// The create revision does not follow from the record before.
    #[error("revision {main}: create_revision {create_revision}, where the key's history gives {expected}")]
    CreateRevision {
        main: i64,
        create_revision: i64,
        /// What follows from the record before, or (for the oldest one kept) its own highest possible.
        expected: i64,
    },
    /// The version does not follow from the record before.
    #[error("revision {main}: version {version}, where the key's history gives {expected}")]
    Version {
        main: i64,
        version: i64,
        /// What follows from the record before, or (for the oldest one kept) the lowest possible.
        expected: i64,
    },
    /// A deletion of what was not there.
    #[error("revision {main}: a tombstone behind a tombstone of the same key")]
    TombstoneTwice { main: i64 },
    /// A key is attached to a lease that is not in the lease bucket.
    #[error("revision {main}: attached to lease {lease:016x}, which does not exist: the key never expires")]
    LeaseMissing { main: i64, lease: i64 },
}

/// Checks a record by itself: a put must say the revision that its place says.
#[inline]
pub fn check_alone(place: RecordKey, kv: &KeyValue<'_>) -> Option<RecordFault> {
    let (main, mod_revision) = (place.revision.main, kv.mod_revision);
    (!place.tombstone && mod_revision != main).then_some(RecordFault::ModRevision { main, mod_revision })
}

/// Checks a record of revision `main` against the one before it of the same key: at most one fault, the first that
/// etcd would have had to commit.
#[inline]
pub fn check_next(previous: Previous, main: i64, next: Previous) -> Option<RecordFault> {
    let Previous::Put { create_revision, version } = next else {
        return (previous == Previous::Tombstone).then_some(RecordFault::TombstoneTwice { main });
    };
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

    fn check_put(previous: Previous, main: i64, create_revision: i64, version: i64) -> Option<RecordFault> {
        check_next(previous, main, Previous::Put { create_revision, version })
    }

    #[test]
    fn a_sound_history_has_no_fault() {
        assert_eq!(check_put(Previous::None, 5, 5, 1), None);
        assert_eq!(check_put(Previous::None, 9, 5, 3), None, "its beginning was compacted");
        assert_eq!(check_put(Previous::Put { create_revision: 5, version: 3 }, 12, 5, 4), None);
        assert_eq!(check_put(Previous::Tombstone, 13, 13, 1), None);
        assert_eq!(
            check_next(Previous::Put { create_revision: 5, version: 3 }, 14, Previous::Tombstone),
            None
        );
        assert_eq!(check_next(Previous::None, 14, Previous::Tombstone), None);
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
        let twice = Some(RecordFault::TombstoneTwice { main: 12 });
        assert_eq!(check_next(Previous::Tombstone, 12, Previous::Tombstone), twice);
    }

    #[test]
    fn a_put_says_the_revision_of_its_place() {
        let place = RecordKey { revision: Revision { main: 12, sub: 0 }, tombstone: false };
        let kv = KeyValue { mod_revision: 11, ..KeyValue::default() };
        let fault = Some(RecordFault::ModRevision { main: 12, mod_revision: 11 });
        assert_eq!(check_alone(place, &kv), fault);
        assert_eq!(check_alone(place, &KeyValue { mod_revision: 12, ..kv }), None);
        assert_eq!(check_alone(RecordKey { tombstone: true, ..place }, &KeyValue::default()), None);
    }
}
