//! The file's own time: when it was written last, as its objects tell.
//!
//! A file may be weeks old, and "older than an hour" means an hour before it was taken. Objects state times, but a node
//! with a wrong clock, or a client that writes what it likes, must not move the file's time. So:
//!
//! 1. The API server itself sets `metadata.creationTimestamp`, in the order of etcd's create revisions. The median of
//!    those of the few objects that were created last is when the cluster created something last.
//! 2. In a quiet cluster that may be long ago, while Leases are renewed every few seconds. The median of the renewals
//!    that are no older than an hour before 1 is when Leases were renewed last.
//!
//! The later of the two is the file's time. A few lies move neither; what is stated beyond it is not believed.

use jiff::Timestamp;
use rayon::prelude::*;
use serde::Serialize;

use crate::k8s::object::{self, Kind, Object, Seconds};
use crate::scan::keyspace::{Keyspace, Shard};

use super::kind_of;

/// Kubernetes' first year. What claims to be older has no time, or a wrong one.
const FIRST: Seconds = 1_388_534_400;
/// The year 2100.
const END: Seconds = 4_102_444_800;
/// How far clocks of one cluster may be apart.
const TOLERANCE: Seconds = 3600;
/// Objects created last that are asked for their time.
const WITNESSES: usize = 9;

/// When the file was written last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AsOf {
    /// RFC 3339; `null` where no object tells and none was given: then nothing has an age.
    pub time: Option<String>,
    /// Who says so: `option`, `objects`, or `null`.
    pub source: Option<&'static str>,
    /// When the objects created last were created.
    pub created: Option<String>,
    /// When Leases were renewed last.
    pub renewed: Option<String>,
}

/// Tells an object's age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock(Option<Seconds>);

impl Clock {
    /// The clock of a file; `given` is believed without asking any object.
    pub(super) fn of(keyspace: &Keyspace<'_>, given: Option<Timestamp>) -> (Self, AsOf) {
        let found: Vec<Witnesses> = keyspace.shards().par_iter().map(Witnesses::of).collect();
        let mut all = Witnesses::default();
        found.into_iter().for_each(|more| all.append(more));
        let (created, renewed) = all.times();
        let time = given.map(Timestamp::as_second).or(created.max(renewed));
        let source = match (given, time) {
            (Some(_), _) => Some("option"),
            (None, Some(_)) => Some("objects"),
            (None, None) => None,
        };
        let as_of = AsOf {
            time: time.and_then(text),
            source,
            created: created.and_then(text),
            renewed: renewed.and_then(text),
        };
        (Self(time), as_of)
    }

    /// Seconds from the latest of these times to the file's; `None` where none of them can be believed.
    pub(super) fn age(self, times: impl IntoIterator<Item = Seconds>) -> Option<Seconds> {
        let latest = times.into_iter().filter(|&time| self.believes(time)).max()?;
        Some(self.0?.saturating_sub(latest).max(0))
    }

    /// Whether an object may state this time: within Kubernetes' years, and not behind the file's time by more than
    /// clocks differ.
    pub(super) fn believes(self, time: Seconds) -> bool {
        is_sensible(time) && self.0.is_none_or(|now| time <= now.saturating_add(TOLERANCE))
    }
}

fn is_sensible(time: Seconds) -> bool {
    (FIRST..END).contains(&time)
}

fn text(time: Seconds) -> Option<String> {
    Timestamp::from_second(time).ok().map(|time| time.to_string())
}

/// What tells the time.
#[derive(Debug, Default)]
struct Witnesses {
    /// Create revision and creation time of the objects created last, the last one first.
    created: Vec<(i64, Seconds)>,
    /// Renewals.
    renewed: Vec<Seconds>,
}

impl Witnesses {
    fn of(shard: &Shard<'_>) -> Self {
        let mut found = Self::default();
        for key in shard.keys().filter(|key| key.is_live()) {
            let Some(kind) = kind_of(shard.resource(key)) else { continue };
            let revision = key.create_revision();
            let is_late = found.created.len() < WITNESSES
                || found.created.last().is_some_and(|&(earliest, _)| revision > earliest);
            // most objects need not be read
            if !is_late && kind != Kind::Lease {
                continue;
            }
            if let Ok(object) = object::read(kind, key.newest().value) {
                found.add(revision, &object);
            }
        }
        found
    }

    fn add(&mut self, revision: i64, object: &Object) {
        self.renewed.extend(object.renewed.filter(|&time| is_sensible(time)));
        self.created.extend(object.created.filter(|&time| is_sensible(time)).map(|time| (revision, time)));
        self.keep_the_latest();
    }

    fn append(&mut self, more: Self) {
        self.renewed.extend(more.renewed);
        self.created.extend(more.created);
        self.keep_the_latest();
    }

    fn keep_the_latest(&mut self) {
        self.created.sort_unstable_by(|a, b| b.cmp(a));
        self.created.truncate(WITNESSES);
    }

    /// When an object was created last, and when Leases were renewed last.
    fn times(mut self) -> (Option<Seconds>, Option<Seconds>) {
        let created = median(self.created.into_iter().map(|(_, time)| time).collect());
        let earliest = created.map_or(Seconds::MIN, |created| created.saturating_sub(TOLERANCE));
        self.renewed.retain(|&time| time >= earliest);
        (created, median(self.renewed))
    }
}

/// The middle one; the later of two.
fn median(mut times: Vec<Seconds>) -> Option<Seconds> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Seconds = 1_700_000_000;

    fn witnesses(created: &[(i64, Seconds)], renewed: &[Seconds]) -> Witnesses {
        let mut found = Witnesses::default();
        let objects = created.iter().map(|&(revision, time)| (revision, Some(time), None));
        let leases = renewed.iter().map(|&time| (0, None, Some(time)));
        for (revision, created, renewed) in objects.chain(leases) {
            found.add(revision, &Object { created, renewed, ..Object::default() });
        }
        found
    }

    #[test]
    fn the_latest_created_tell_not_the_latest_time() {
        let mut created: Vec<_> = (0..100).map(|number| (number, NOW + number)).collect();
        created.push((3, NOW + 1_000_000));
        created.push((4, Seconds::MAX));
        created.push((200, END));
        created.push((201, -1));
        created.push((202, Seconds::MIN));
        assert_eq!(witnesses(&created, &[]).times(), (Some(NOW + 95), None));
        // three liars among the nine that were created last
        created.extend([(300, END - 1), (301, END - 1), (302, FIRST)]);
        let (time, _) = witnesses(&created, &[]).times();
        assert!(time.is_some_and(|time| (NOW + 90..NOW + 100).contains(&time)), "{time:?}");
    }

    #[test]
    fn renewals_tell_where_nothing_was_created_for_long() {
        let created = [(1, NOW)];
        let week = 7 * 86400;
        let renewed = [NOW + week, NOW + week - 8, NOW + week - 3, NOW - week, END - 1];
        assert_eq!(witnesses(&created, &renewed).times(), (Some(NOW), Some(NOW + week)));
        // one lease with a clock that is far ahead, among those that go on
        let renewed = [NOW - 9, NOW - 5, NOW - 3, NOW + week];
        assert_eq!(witnesses(&created, &renewed).times().1, Some(NOW - 3));
        assert_eq!(witnesses(&[], &[]).times(), (None, None));
    }

    #[test]
    fn ages_are_of_times_that_can_be_believed() {
        let clock = Clock(Some(NOW));
        assert_eq!(clock.age([NOW - 10, NOW - 5]), Some(5));
        assert_eq!(clock.age([NOW + TOLERANCE]), Some(0));
        assert_eq!(clock.age([NOW + TOLERANCE + 1, NOW - 7]), Some(7));
        let lies = [Seconds::MIN, Seconds::MAX, -1, 0, FIRST - 1, NOW + TOLERANCE + 1, END];
        assert_eq!(clock.age(lies), None);
        assert_eq!(Clock(None).age([NOW]), None);
    }
}
