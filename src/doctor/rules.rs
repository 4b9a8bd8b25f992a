//! What differs from patch to patch when a member starts.

use crate::etcd::apply::{Rules, Version};
use crate::etcd::schema::minor_of;
use crate::member::as_etcd::{LengthLimit, ReadRules};

/// How an etcd of a version starts. What differs between minors only is asked of the version itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StartRules {
    /// How it reads its log.
    pub log: ReadRules,
    /// How it applies what it reads, as far as a revision or an alarm depends on it.
    pub requests: Rules,
    /// Whether it puts a db that the leader sent into place: not 3.5.0 and 3.5.1 (etcd#13501).
    pub takes_received_db: bool,
    /// The minors whose storage version it takes. From 3.6 on; from 3.4.31 on, 3.4 too (`mvcc/kvstore.go`, `restore`).
    pub max_storage_minor: Option<u32>,
    /// Whether it removes members from the db that its v2 store does not have (from 3.5.26 on, 3.5 only; etcd#20995).
    pub removes_strangers: bool,
}

impl StartRules {
    pub fn of(version: Version) -> Self {
        let from = |minor, patch| version >= Version::new(3, minor, patch);
        let is_3_4 = !from(5, 0);
        Self {
            log: ReadRules {
                limit: if from(5, 7) { LengthLimit::File } else { LengthLimit::TenMib },
                is_cut_message_torn: !from(7, 0),
            },
            // neither changes a revision or an alarm
            requests: Rules {
                keeps_tombstone_at_compaction: true,
                keeps_learner_at_update: true,
                ..Rules::of(version)
            },
            takes_received_db: is_3_4 || from(5, 2),
            max_storage_minor: match version.minor {
                4 if version.patch >= 31 => Some(5),
                minor => from(6, 0).then_some(minor),
            },
            removes_strangers: from(5, 26) && !from(6, 0),
        }
    }

    /// Whether the db's storage version is too new for it.
    pub fn refuses_storage(&self, version: &str) -> bool {
        let minor = minor_of(version);
        minor.zip(self.max_storage_minor).is_some_and(|(minor, max)| minor > max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(minor: u32, patch: u32) -> StartRules {
        StartRules::of(Version::new(3, minor, patch))
    }

    /// Each with the last patch that is as those before it.
    #[test]
    fn starts_change_with_these_patches_only() {
        let mut changes = Vec::new();
        for (minor, last) in [(4, 45), (5, 35), (6, 16), (7, 3)] {
            let differs = |&patch: &u32| of(minor, patch) != of(minor, patch + 1);
            changes.extend((0..last).filter(differs).map(|patch| (minor, patch + 1)));
        }
        assert_eq!(changes, [(4, 31), (5, 2), (5, 7), (5, 26), (5, 33), (6, 14), (7, 1)]);
    }

    #[test]
    fn newer_storage_is_refused_where_it_is_looked_at() {
        assert!(!of(4, 30).refuses_storage("3.6.0") && of(4, 31).refuses_storage("3.6.0"));
        assert!(!of(4, 45).refuses_storage("3.5.0"));
        assert!(!of(5, 35).refuses_storage("3.7.0"));
        assert!(of(6, 16).refuses_storage("3.7.0") && !of(6, 16).refuses_storage("3.6.0"));
        assert!(!of(7, 3).refuses_storage("no version"));
    }
}
