//! Runs of deletions, to find the accident among what is deleted every day.
//!
//! 1. A request that deletes at least ten keys at once is a run of its own, together with others like it that follow closely.
//! 2. Of all other deletions, a run is a burst: a stretch in which they come about three times as often as over the whole log, or more
//!    (J. Kleinberg, "Bursty and Hierarchical Structure in Streams", 2002: two states, a factor of 3), and what is right before
//!    and after it.
//! 3. If there is neither, deletions that follow closely are a run. "Closely": at most 50 entries, or 20 times the usual distance,
//!    between two.
//!
//! A run of weight has at least a tenth of the keys of the largest one. The newest of these is the one that is meant, if every other
//! one has less than half of its keys. Otherwise nobody but the user can know which is meant.

use std::collections::BTreeMap;

use crate::etcd::apply::{Machine, Written};
use crate::filter::Filter;
use crate::k8s::KeyLayout;
use crate::member::ReadLog;
use crate::text::ByteText;

use super::document::{DeletedResource, DeletionRun};
use super::error::ReplayError;
use super::steps::{Step, run};

/// Keys that one request deletes, from which on it is a run of its own.
const MANY: u64 = 10;
/// Entries between two deletions that follow closely, at least; and how many times the usual distance.
const CLOSE: u64 = 50;
const CLOSE_FACTOR: u64 = 20;
/// How much more often deletions come in a burst.
const BURST: f64 = 3.0;
/// How many times the usual distance a deletion may be from a burst that it belongs to.
const EDGE: u64 = 5;
/// Deletions of which a burst has at least one more.
const FEW: usize = 5;

/// Which deletions count.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Deletions {
    /// Only keys that begin with this.
    pub prefix: Vec<u8>,
    pub filter: Filter,
}

/// What one entry deletes of what counts.
#[derive(Clone, Debug, Default)]
struct Event {
    index: u64,
    keys: u64,
    bytes: u64,
    resources: BTreeMap<(String, Vec<u8>), u64>,
    first_key: Vec<u8>,
}

/// All runs after the machine's entry, in the order of the log.
///
/// # Errors
/// The effect of an entry can't be told; entries are missing.
pub fn runs<'a>(
    machine: &Machine<'a>,
    log: &ReadLog<'a>,
    until: u64,
    wanted: &Deletions,
) -> Result<Vec<DeletionRun>, ReplayError> {
    let span = until.saturating_sub(machine.index);
    let events = events(machine, log, until, wanted)?;
    let (many, few): (Vec<_>, Vec<_>) = events.iter().partition(|event| event.keys >= MANY);
    let mut runs = closely(&many);
    let bursts = bursts(&few, span);
    let found = if runs.is_empty() && bursts.is_empty() { closely(&few) } else { bursts };
    runs.extend(found);
    let mut runs: Vec<_> = runs.into_iter().map(DeletionRun::of).collect();
    runs.sort_by_key(|run| run.first_index);
    Ok(runs)
}

/// The run that is meant.
///
/// # Errors
/// There is none; or several are of like weight.
pub fn meant(runs: &[DeletionRun]) -> Result<&DeletionRun, ReplayError> {
    let largest = runs.iter().map(|run| run.keys).max().unwrap_or(0);
    let of_weight = || runs.iter().filter(|run| run.keys.saturating_mul(10) >= largest);
    let newest = of_weight().next_back().ok_or(ReplayError::NoDeletions)?;
    let is_like = |run: &&DeletionRun| run.keys.saturating_mul(2) >= newest.keys;
    if of_weight().filter(is_like).count() > 1 {
        return Err(ReplayError::SeveralRuns(of_weight().cloned().collect()));
    }
    Ok(newest)
}

fn events<'a>(
    machine: &Machine<'a>,
    log: &ReadLog<'a>,
    until: u64,
    wanted: &Deletions,
) -> Result<Vec<Event>, ReplayError> {
    let layout = KeyLayout::new();
    let mut events: Vec<Event> = Vec::new();
    let now = std::cell::RefCell::new(Event::default());
    let mut dry = machine.clone();
    let mut sink = |written: Written<'a>| {
        let key = written.change.key;
        let object = layout.classify(key, None);
        if written.change.put.is_some() || !key.starts_with(&wanted.prefix) || !wanted.filter.admits(&object)
        {
            return;
        }
        let mut event = now.borrow_mut();
        if event.keys == 0 {
            event.first_key = key.to_vec();
        }
        event.keys = event.keys.saturating_add(1);
        event.bytes =
            event.bytes.saturating_add(written.before.map_or(0, |before| before.value.len() as u64));
        let resource = (object.group.to_owned(), object.resource.to_vec());
        let keys = event.resources.entry(resource).or_default();
        *keys = keys.saturating_add(1);
    };
    run(&mut dry, log, until, &mut sink, &mut |seen: Step<'_, '_>| {
        let event = now.take();
        if event.keys > 0 {
            events.push(Event { index: seen.entry.index, ..event });
        }
        true
    })?;
    Ok(events)
}

/// Events that follow closely.
fn closely<'e>(events: &[&'e Event]) -> Vec<Vec<&'e Event>> {
    let close = close(events);
    let mut runs: Vec<Vec<&Event>> = Vec::new();
    for event in events {
        let follows = |run: &&mut Vec<&Event>| {
            run.last().is_some_and(|last| event.index.saturating_sub(last.index) <= close)
        };
        match runs.last_mut().filter(follows) {
            Some(run) => run.push(event),
            None => runs.push(vec![event]),
        }
    }
    runs
}

/// The most entries between two events that follow closely.
fn close(events: &[&Event]) -> u64 {
    usual(events).saturating_mul(CLOSE_FACTOR).max(CLOSE)
}

/// The usual distance: the median.
fn usual(events: &[&Event]) -> u64 {
    let mut distances: Vec<u64> = distances(events).collect();
    distances.sort_unstable();
    distances.get(distances.len() / 2).copied().unwrap_or(0)
}

fn distances(events: &[&Event]) -> impl Iterator<Item = u64> {
    events.iter().zip(events.iter().skip(1)).map(|(before, event)| event.index.saturating_sub(before.index))
}

/// Stretches in which events come more often than they do over `span` entries: the cheapest sequence of two states, by Viterbi's
/// method, where a distance costs what its state's exponential distribution gives it, and the change to the faster state a logarithm.
#[expect(clippy::cast_precision_loss, reason = "distances are small")]
fn bursts<'e>(events: &[&'e Event], span: u64) -> Vec<Vec<&'e Event>> {
    if events.len() <= FEW {
        return Vec::new();
    }
    let count = events.len() as f64;
    let slow = count / span.max(1) as f64;
    let fast = slow * BURST;
    let change = count.ln();
    let cost = |rate: f64, distance: u64| rate.mul_add(distance as f64, -rate.ln());
    // the cost of being in each state after each distance, and whether the state before was the fast one
    let (mut in_slow, mut in_fast) = (0.0_f64, change);
    let mut from: Vec<(bool, bool)> = Vec::new();
    for distance in distances(events) {
        let slow_from_fast = in_fast < in_slow;
        let fast_from_fast = in_fast <= in_slow + change;
        let next_slow = in_slow.min(in_fast) + cost(slow, distance);
        let next_fast = in_fast.min(in_slow + change) + cost(fast, distance);
        (in_slow, in_fast) = (next_slow, next_fast);
        from.push((slow_from_fast, fast_from_fast));
    }
    let mut is_fast = in_fast < in_slow;
    let mut states: Vec<bool> = Vec::with_capacity(from.len());
    for (slow_from_fast, fast_from_fast) in from.into_iter().rev() {
        states.push(is_fast);
        is_fast = if is_fast { fast_from_fast } else { slow_from_fast };
    }
    states.reverse();
    let mut in_burst = vec![false; events.len()];
    for (number, _) in states.iter().enumerate().filter(|(_, is_fast)| **is_fast) {
        // both ends of a short distance are in the burst
        in_burst.iter_mut().skip(number).take(2).for_each(|event| *event = true);
    }
    let fast_ones: Vec<&Event> =
        events.iter().zip(&in_burst).filter(|(_, in_burst)| **in_burst).map(|(event, _)| *event).collect();
    closely(&fast_ones).into_iter().map(|burst| with_edges(events, burst)).collect()
}

/// A burst with the events right before and after it: the states change a little late where its first distances are long.
fn with_edges<'e>(events: &[&'e Event], burst: Vec<&'e Event>) -> Vec<&'e Event> {
    let near = usual(&burst).max(1).saturating_mul(EDGE);
    let (Some(first), Some(last)) = (burst.first(), burst.last()) else { return burst };
    let mut from = events.partition_point(|event| event.index < first.index);
    let mut to = events.partition_point(|event| event.index <= last.index);
    let index = |number: usize| events.get(number).map(|event| event.index);
    let is_near = |before: usize, after: usize| {
        index(before).zip(index(after)).is_some_and(|(before, after)| after.saturating_sub(before) <= near)
    };
    while from > 0 && is_near(from.saturating_sub(1), from) {
        from = from.saturating_sub(1);
    }
    while to > 0 && is_near(to.saturating_sub(1), to) {
        to = to.saturating_add(1);
    }
    events.get(from..to).map(<[&Event]>::to_vec).unwrap_or(burst)
}

impl DeletionRun {
    fn of(events: Vec<&Event>) -> Self {
        let sum = |of: fn(&Event) -> u64| events.iter().map(|event| of(event)).fold(0, u64::saturating_add);
        let mut resources: BTreeMap<(String, Vec<u8>), u64> = BTreeMap::new();
        for (resource, keys) in events.iter().flat_map(|event| &event.resources) {
            let sum = resources.entry(resource.clone()).or_default();
            *sum = sum.saturating_add(*keys);
        }
        let row = |((group, resource), keys)| DeletedResource { group, resource: ByteText(resource), keys };
        let mut resources: Vec<_> = resources.into_iter().map(row).collect();
        resources.sort_by_key(|row| std::cmp::Reverse(row.keys));
        Self {
            first_index: events.first().map_or(0, |event| event.index),
            last_index: events.last().map_or(0, |event| event.index),
            entries: events.len() as u64,
            keys: sum(|event| event.keys),
            bytes: sum(|event| event.bytes),
            resources,
            first_key: events.first().map(|event| ByteText(event.first_key.clone())).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(parts: impl IntoIterator<Item = (u64, u64)>) -> Vec<Event> {
        parts.into_iter().map(|(index, keys)| Event { index, keys, ..Event::default() }).collect()
    }

    fn found(events: &[Event], span: u64) -> Vec<(u64, u64)> {
        let all: Vec<_> = events.iter().collect();
        bursts(&all, span)
            .into_iter()
            .map(DeletionRun::of)
            .map(|run| (run.first_index, run.last_index))
            .collect()
    }

    #[test]
    fn a_burst_is_found_among_others() {
        let strays = [(700, 1), (703, 1)];
        let burst = (900..1300).step_by(2).map(|index| (index, 1));
        let late = [(1400, 1)];
        let all = events(strays.into_iter().chain(burst).chain(late));
        assert_eq!(found(&all, 1500), [(900, 1298)]);
    }

    #[test]
    fn what_always_comes_is_no_burst() {
        let steady = events((0..1000).step_by(10).map(|index| (index, 1)));
        assert!(found(&steady, 1000).is_empty());
    }

    #[test]
    fn the_newest_of_weight_is_meant_unless_another_is_like_it() {
        let run = |first_index, keys| DeletionRun {
            first_index,
            last_index: first_index + 1,
            entries: 2,
            keys,
            bytes: 0,
            resources: Vec::new(),
            first_key: ByteText::default(),
        };
        let meant_of = |runs: &[DeletionRun]| meant(runs).map(|run| run.first_index).ok();
        assert_eq!(meant_of(&[run(5, 3), run(50, 200), run(500, 4)]), Some(50), "strays on both sides");
        assert_eq!(meant_of(&[run(5, 90), run(50, 200)]), Some(50));
        assert_eq!(meant_of(&[run(5, 150), run(50, 200)]), None, "two of like weight");
        assert_eq!(meant_of(&[run(5, 200), run(50, 30)]), None, "the larger one is older");
        assert_eq!(meant_of(&[run(5, 1)]), Some(5));
        assert_eq!(meant_of(&[]), None);
    }
}
