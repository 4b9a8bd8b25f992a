//! The patches of a minor version that do otherwise than the one that was asked for.

use crate::etcd::apply::Version;

use super::rules::StartRules;
use super::start::{OtherPatches, StartReport};
use super::versions::READ;

/// The patches of a version's minor that do otherwise than `start` says of it.
pub fn others(
    version: Version,
    start: &StartReport,
    start_of: impl Fn(Version) -> StartReport,
) -> Vec<OtherPatches> {
    let read = READ.iter().find(|read| (read.major, read.minor) == (version.major, version.minor));
    let mut groups: Vec<Group> = Vec::new();
    for patch in (0..=read.map_or(0, |read| read.patch)).filter(|_| read.is_some()) {
        let version = Version { patch, ..version };
        let rules = StartRules::of(version);
        match groups.last_mut() {
            Some(group) if group.rules == rules => group.last = version,
            _ => groups.push(Group { first: version, last: version, rules, start: start_of(version) }),
        }
    }
    groups.dedup_by(|next, group| {
        let is_same = next.start.does_as(&group.start);
        if is_same {
            group.last = next.last;
        }
        is_same
    });
    groups.into_iter().filter(|group| !group.start.does_as(start)).map(OtherPatches::from).collect()
}

/// Patches that start by the same rules.
struct Group {
    first: Version,
    last: Version,
    rules: StartRules,
    start: StartReport,
}

impl From<Group> for OtherPatches {
    fn from(Group { first, last, start, .. }: Group) -> Self {
        let StartReport { starts, revision, accepts_writes, why, .. } = start;
        Self { first: first.to_string(), last: last.to_string(), starts, revision, accepts_writes, why }
    }
}
