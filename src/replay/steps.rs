//! The entries one by one, and what became of them.

use std::collections::BTreeMap;

use crate::etcd::apply::{Applied, Machine, Refused, Unsupported, Written};
use crate::member::message::RaftEntry;
use crate::member::{ReadLog, Stretch};

use super::error::ReplayError;

/// Entries that are named one by one.
const NAMED: usize = 20;

/// What became of the entries so far.
#[derive(Clone, Debug, Default)]
pub struct StepTally {
    pub entries: u64,
    /// Entries that made a revision.
    pub writes: u64,
    pub refused: u64,
    pub by_reason: BTreeMap<Refused, u64>,
    /// The first entries at which members part.
    pub diverging: Vec<u64>,
    pub num_diverging: u64,
    /// Entries that the patch of the version decides.
    pub by_nested_cost: u64,
    /// Entries that the times of starts decide.
    pub by_alarms: u64,
}

impl StepTally {
    /// Whether another version, or a member that was started at another time, may have come to another state; by rules under which
    /// nothing of this goes unnoticed: those of 3.5 and before.
    pub fn depends_on_rules(&self) -> bool {
        self.by_nested_cost > 0 || self.by_alarms > 0 || self.num_diverging > 0
    }

    fn add(&mut self, index: u64, applied: &Applied) {
        let count = |counter: &mut u64, counts: bool| *counter = counter.saturating_add(u64::from(counts));
        count(&mut self.entries, true);
        count(&mut self.writes, applied.revision.is_some());
        count(&mut self.refused, applied.refused.is_some());
        count(&mut self.by_nested_cost, applied.by_nested_cost);
        count(&mut self.by_alarms, applied.by_alarms);
        count(&mut self.num_diverging, applied.diverges);
        if let Some(reason) = applied.refused {
            count(self.by_reason.entry(reason).or_default(), true);
        }
        if applied.diverges && self.diverging.len() < NAMED {
            self.diverging.push(index);
        }
    }
}

/// The entries of a log after an index, as far as none is missing.
pub struct Following<'l, 'a> {
    log: &'l ReadLog<'a>,
    stretch: Option<&'l Stretch<'a>>,
    next: u64,
}

impl<'l, 'a> Following<'l, 'a> {
    pub fn after(log: &'l ReadLog<'a>, index: u64) -> Self {
        Self { log, stretch: None, next: index.saturating_add(1) }
    }
}

impl<'a> Iterator for Following<'_, 'a> {
    type Item = RaftEntry<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next;
        let found = self.stretch.and_then(|stretch| stretch.entry(next)).or_else(|| {
            self.stretch = self.log.stretch_with(next);
            self.stretch.and_then(|stretch| stretch.entry(next))
        });
        self.next = next.saturating_add(1);
        found
    }
}

/// What is seen of each entry.
pub struct Step<'s, 'a> {
    pub entry: &'s RaftEntry<'a>,
    pub applied: &'s Applied,
    pub machine: &'s Machine<'a>,
}

/// Applies the entries after the machine's own, up to one. Each that was applied is shown to `look`, which may end it.
///
/// # Errors
/// The effect of an entry can't be told; entries are missing.
pub fn run<'a>(
    machine: &mut Machine<'a>,
    log: &ReadLog<'a>,
    until: u64,
    sink: &mut dyn FnMut(Written<'a>),
    look: &mut dyn FnMut(Step<'_, 'a>) -> bool,
) -> Result<StepTally, ReplayError> {
    let mut tally = StepTally::default();
    let mut entries = Following::after(log, machine.index);
    while machine.index < until {
        let Some(entry) = entries.next() else {
            let next =
                log.stretches.iter().map(Stretch::first_index).filter(|&first| first > machine.index).min();
            let last = log.log.last_index();
            return Err(ReplayError::Missing { index: machine.index, first: next.unwrap_or(0), last });
        };
        let unsupported = |why: Unsupported| ReplayError::Unsupported { index: entry.index, why };
        let applied = machine.apply(&entry, sink).map_err(unsupported)?;
        tally.add(entry.index, &applied);
        if !look(Step { entry: &entry, applied: &applied, machine }) {
            break;
        }
    }
    Ok(tally)
}
