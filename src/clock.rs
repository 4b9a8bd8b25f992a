//! The file's own time: when it was written last, as its objects tell.
//!
//! A file may be weeks old, and "older than an hour" means an hour before it was taken. Objects state times, but a node
//! with a wrong clock, or a client that writes what it likes, must not move the file's time. So:
//!
//! 1. The API server itself sets `metadata.creationTimestamp` of every object, in the order of etcd's create revisions. Of the few
//!    objects that were created last, the latest that does not stand out from the others is when the cluster created something last.
//!    Where create revisions and times contradict each other throughout, as in a mirror's etcd, into which the objects were put
//!    afresh in some other order, the objects with the latest times are asked instead.
//! 2. In a quiet cluster that may be long ago, while Leases are renewed every few seconds. The median of the renewals
//!    that are no older than an hour before 1 is when Leases were renewed last.
//!
//! The later of the two is the file's time. A few lies move neither; what is stated beyond it is not believed.

use std::cmp::Reverse;

use jiff::Timestamp;
use rayon::prelude::*;
use serde::Serialize;

use crate::k8s::metadata::metadata;
use crate::k8s::object::{self, ObjectKind};
use crate::k8s::{GroupResource, ValueKind};
use crate::scan::key_state::KeyState;
use crate::scan::keyspace::Keyspace;
use crate::scan::shard::Shard;

pub use crate::k8s::object::Seconds;

/// Kubernetes' first year. What claims to be older has no time, or a wrong one.
const FIRST: Seconds = 1_388_534_400;
const END: Seconds = 4_102_444_800;
/// How far clocks of one cluster may be apart.
const TOLERANCE: Seconds = 3600;
/// How far clocks are apart where somebody sees to them.
const CLOCK_SLACK: Seconds = 60;
/// Objects created last that are asked for their time.
const WITNESSES: usize = 9;
/// Of each shard, about as many objects are asked whether times grow with revisions;
const SAMPLE: usize = 16;
/// and this many pairs of them must tell.
const ENOUGH_PAIRS: u64 = 20;

/// When the file was written last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AsOf {
    /// The time that ages are measured from: RFC 3339 in UTC; `null` where it is not known, and nothing has an age.
    pub time: Option<String>,
    /// Where that is from: `option` (`--as-of`) or `objects`; `null` with `time`.
    pub source: Option<&'static str>,
    /// The latest creation that is no outlier, of the nine objects created last; `null` where there is none.
    pub created: Option<String>,
    /// The median renewal of the Leases renewed no earlier than an hour before `created`; `null` where there is none.
    pub renewed: Option<String>,
}

/// Tells an object's age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock(Option<Seconds>);

impl Clock {
    /// The clock of a file; `given` is believed without asking any object.
    pub fn of(keyspace: &Keyspace<'_>, given: Option<Timestamp>) -> (Self, AsOf) {
        let of_shards = |by: By| {
            let found: Vec<Witnesses> =
                keyspace.shards().par_iter().map(|shard| Witnesses::of(shard, by)).collect();
            found.into_iter().fold(Witnesses::new(by), Witnesses::append)
        };
        let found = of_shards(By::Revision);
        let found = if found.contradict_revisions() { of_shards(By::Time) } else { found };
        let (created, renewed) = found.times();
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
    pub fn age(self, times: impl IntoIterator<Item = Seconds>) -> Option<Seconds> {
        let latest = times.into_iter().filter(|&time| self.believes(time)).max()?;
        Some(self.0?.saturating_sub(latest).max(0))
    }

    /// Whether an object may state this time: within Kubernetes' years, and not behind the file's time by more than
    /// clocks differ.
    pub fn believes(self, time: Seconds) -> bool {
        is_sensible(time) && self.0.is_none_or(|now| time <= now.saturating_add(TOLERANCE))
    }
}

fn is_sensible(time: Seconds) -> bool {
    (FIRST..END).contains(&time)
}

/// A time as RFC 3339 has it.
pub fn text(time: Seconds) -> Option<String> {
    Timestamp::from_second(time).ok().map(|time| time.to_string())
}

/// Which objects are the latest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    /// Those with the highest create revisions.
    Revision,
    /// Those with the latest times.
    Time,
}

/// What tells the time.
#[derive(Debug)]
struct Witnesses {
    by: By,
    /// Create revision and creation time of the latest objects, the last one first.
    created: Vec<(i64, Seconds)>,
    /// The same of some of all objects.
    sample: Vec<(i64, Seconds)>,
    renewed: Vec<Seconds>,
}

impl Witnesses {
    fn new(by: By) -> Self {
        Self { by, created: Vec::new(), sample: Vec::new(), renewed: Vec::new() }
    }

    fn of(shard: &Shard<'_>, by: By) -> Self {
        let mut found = Self::new(by);
        let leases: Vec<bool> = shard.resources().iter().map(is_lease).collect();
        let step = (shard.keys().count() / SAMPLE).max(1);
        for (number, key) in shard.keys().enumerate().filter(|(_, key)| key.is_live()) {
            let revision = key.create_revision();
            let is_late = found.created.len() < WITNESSES
                || found.created.last().is_some_and(|&(earliest, _)| revision > earliest);
            let is_sample = number % step == 0;
            // most objects need not be read
            if is_late || is_sample || by == By::Time {
                found.add_created(revision, created(key), is_sample);
            }
            if leases.get(usize::from(key.resource)).is_some_and(|&is_lease| is_lease)
                && let Ok(lease) = object::read(ObjectKind::Lease, key.newest().value)
            {
                found.add_renewed(lease.renewed);
            }
        }
        found
    }

    fn add_created(&mut self, revision: i64, time: Option<Seconds>, is_sample: bool) {
        let Some(time) = time.filter(|&time| is_sensible(time)) else { return };
        self.created.push((revision, time));
        if is_sample {
            self.sample.push((revision, time));
        }
        self.keep_the_latest();
    }

    fn add_renewed(&mut self, time: Option<Seconds>) {
        self.renewed.extend(time.filter(|&time| is_sensible(time)));
    }

    fn append(mut self, more: Self) -> Self {
        self.renewed.extend(more.renewed);
        self.created.extend(more.created);
        self.sample.extend(more.sample);
        self.keep_the_latest();
        self
    }

    fn keep_the_latest(&mut self) {
        match self.by {
            By::Revision => self.created.sort_unstable_by_key(|&latest| Reverse(latest)),
            By::Time => self.created.sort_unstable_by_key(|&(revision, time)| Reverse((time, revision))),
        }
        self.created.truncate(WITNESSES);
    }

    /// Whether times do not grow with create revisions: of all pairs in the sample, hardly more do than do not. Where some of several
    /// API servers have a clock that is wrong, most pairs still do.
    fn contradict_revisions(&self) -> bool {
        let (mut agree, mut contradict) = (0u64, 0u64);
        for (number, (revision, time)) in self.sample.iter().enumerate() {
            for (other_revision, other_time) in self.sample.iter().skip(number + 1) {
                match revision.cmp(other_revision).is_lt() == time.cmp(other_time).is_lt() {
                    _ if revision == other_revision || time == other_time => {}
                    true => agree += 1,
                    false => contradict += 1,
                }
            }
        }
        agree + contradict >= ENOUGH_PAIRS && agree * 3 < contradict * 5
    }

    /// When an object was created last, and when Leases were renewed last.
    fn times(mut self) -> (Option<Seconds>, Option<Seconds>) {
        let created = latest_of(self.created.into_iter().map(|(_, time)| time).collect());
        let earliest = created.map_or(Seconds::MIN, |created| created.saturating_sub(TOLERANCE));
        self.renewed.retain(|&time| time >= earliest);
        (created, median(self.renewed))
    }
}

fn is_lease(resource: &GroupResource<'_>) -> bool {
    ObjectKind::of(resource.group, resource.resource) == Some(ObjectKind::Lease)
}

fn created(key: &KeyState<'_>) -> Option<Seconds> {
    let readable = matches!(key.encoding, ValueKind::Protobuf | ValueKind::Json | ValueKind::Cbor);
    readable.then(|| metadata(key.newest().value))??.created
}

/// The latest that does not stand out: not further behind the median than three times as far as a quarter of them stands before it,
/// which is more than an even pace makes, and a minute.
fn latest_of(mut times: Vec<Seconds>) -> Option<Seconds> {
    times.sort_unstable();
    let at = |index: usize| times.get(index).copied();
    let (median, quarter) = (at(times.len() / 2)?, at(times.len() / 4)?);
    let limit =
        median.saturating_add(median.saturating_sub(quarter).saturating_mul(3)).saturating_add(CLOCK_SLACK);
    times.iter().copied().filter(|&time| time <= limit).max()
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
        let mut found = Witnesses::new(By::Revision);
        created.iter().for_each(|&(revision, time)| found.add_created(revision, Some(time), true));
        renewed.iter().for_each(|&time| found.add_renewed(Some(time)));
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
        assert_eq!(witnesses(&created, &[]).times(), (Some(NOW + 99), None));
        // three liars among the nine that were created last
        created.extend([(300, END - 1), (301, END - 1), (302, FIRST)]);
        let (time, _) = witnesses(&created, &[]).times();
        assert!(time.is_some_and(|time| (NOW + 90..NOW + 100).contains(&time)), "{time:?}");
    }

    #[test]
    fn at_an_even_pace_the_newest_is_the_latest() {
        for pace in [0, 1, 900, 86_400, 30 * 86_400] {
            let mut created: Vec<_> = (0..20).map(|number| (number, NOW + number * pace)).collect();
            assert_eq!(witnesses(&created, &[]).times().0, Some(NOW + 19 * pace), "each {pace} s");
            // one whose clock is a hundred years ahead
            created.push((20, NOW + 50 * 365 * 86_400));
            assert!(witnesses(&created, &[]).times().0.is_some_and(|time| time <= NOW + 19 * pace), "{pace}");
        }
        // an hour ahead, where all others came in a minute
        let mut created: Vec<_> = (0..8).map(|number| (number, NOW + number)).collect();
        created.push((8, NOW + 3600));
        assert_eq!(witnesses(&created, &[]).times().0, Some(NOW + 7));
        for few in 1..4 {
            let created: Vec<_> = (0..few).map(|number| (number, NOW + number)).collect();
            assert_eq!(witnesses(&created, &[]).times().0, Some(NOW + few - 1), "{few}");
        }
    }

    #[test]
    fn a_mirror_is_told_from_clocks_that_are_wrong() {
        let of = |time: &dyn Fn(i64) -> Seconds| {
            let created: Vec<_> = (0..60).map(|number| (number, NOW + time(number))).collect();
            witnesses(&created, &[]).contradict_revisions()
        };
        assert!(!of(&|number| number * 900), "in order");
        assert!(of(&|number| -number * 900), "in the order of names, which is that of time backwards");
        assert!(of(&|number| number * 37 % 61 * 900), "in any order");
        assert!(!of(&|_| 0), "all at once");
        for servers in [2, 3, 5] {
            let skewed = |number: i64| number * 900 + if number % servers == 0 { 365 * 86_400 } else { 0 };
            assert!(!of(&skewed), "one of {servers} API servers is a year ahead");
        }
        assert!(!witnesses(&[(1, NOW + 9), (2, NOW)], &[]).contradict_revisions(), "too few to tell");
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
