//! What differs from version to version.

use std::fmt;
use std::str::FromStr;

/// A version of etcd.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
}

impl Version {
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for Version {
    type Err = String;

    /// Reads `3.5.9`; `v3.5.9` and `3.8.0-alpha.0`, too.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || format!("`{text}` is no version of etcd, such as 3.5.9");
        let numbers = text.strip_prefix('v').unwrap_or(text);
        let numbers = numbers.split_once('-').map_or(numbers, |(numbers, _)| numbers);
        let parts: Vec<u32> =
            numbers.split('.').map(str::parse).collect::<Result<_, _>>().map_err(|_| error())?;
        match *parts {
            [major, minor, patch] => Ok(Self { major, minor, patch }),
            _ => Err(error()),
        }
    }
}

/// How requests are applied. Each rule is that of a member that nobody waits for: the one that a client asked may differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// Whether puts in transactions within transactions count, when NOSPACE refuses what takes space (etcd#22139: from 3.5.33,
    /// 3.6.14 and 3.7.1 on; `server/storage/quota.go`, `costTxnReq`).
    pub nested_cost: bool,
    /// Whether a range of a transaction's outermost level is still there when it is checked (from 3.7 on;
    /// `server/etcdserver/server.go`, `removeNeedlessRangeReqs`).
    pub outer_ranges_checked: bool,
    /// Whether all alarms that are set are in force (from 3.6 on), rather than the kind that was raised last
    /// (`server/etcdserver/apply.go`, `Alarm`).
    pub all_alarms_in_force: bool,
    /// Whether an alarm of no kind can be raised: it refuses nothing (until 3.4; etcd#13084).
    pub raises_no_kind: bool,
    /// Whether a compaction keeps a tombstone of its very revision (from 3.4.34, 3.5.16 and 3.6 on).
    pub keeps_tombstone_at_compaction: bool,
    /// Whether a learner is one after a change of its URLs, too (from 3.5.31, 3.6.12 and 3.7 on; etcd#21694;
    /// `server/etcdserver/api/membership/cluster.go`, `UpdateRaftAttributes`).
    pub keeps_learner_at_update: bool,
}

impl Rules {
    /// The rules of a version.
    pub fn of(version: Version) -> Self {
        let Version { major, minor, patch } = version;
        let from_patch = |first: u32| patch >= first;
        let (nested_cost, tombstone, learner) = match (major, minor) {
            (..=2, _) | (3, ..=3) => (false, false, false),
            (3, 4) => (false, from_patch(34), false),
            (3, 5) => (from_patch(33), from_patch(16), from_patch(31)),
            (3, 6) => (from_patch(14), true, from_patch(12)),
            (3, 7) => (from_patch(1), true, true),
            _ => (true, true, true),
        };
        let is_at_least = |first: u32| (major, minor) >= (3, first);
        Self {
            nested_cost,
            outer_ranges_checked: is_at_least(7),
            all_alarms_in_force: is_at_least(6),
            raises_no_kind: !is_at_least(5),
            keeps_tombstone_at_compaction: tombstone,
            keeps_learner_at_update: learner,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!("3.5.9".parse(), Ok(Version::new(3, 5, 9)));
        assert_eq!("v3.8.0-alpha.0".parse(), Ok(Version::new(3, 8, 0)));
        for text in ["", "3", "3.5", "3.5.x", "3.5.9.1", "-1.2.3", "3.5.4294967296"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }

    #[test]
    fn rules_change_with_their_patches() {
        for (last_without, first_with) in
            [((3, 5, 32), (3, 5, 33)), ((3, 6, 13), (3, 6, 14)), ((3, 7, 0), (3, 7, 1))]
        {
            let rules = |(major, minor, patch)| Rules::of(Version::new(major, minor, patch));
            assert!(!rules(last_without).nested_cost && rules(first_with).nested_cost, "{first_with:?}");
        }
        assert!(!Rules::of(Version::new(3, 4, 45)).nested_cost);
        assert!(Rules::of(Version::new(3, 8, 0)).nested_cost);
        assert!(!Rules::of(Version::new(3, 6, 16)).outer_ranges_checked);
        assert!(Rules::of(Version::new(3, 7, 1)).outer_ranges_checked);
    }
}
