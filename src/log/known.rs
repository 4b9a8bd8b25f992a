//! What became of an entry, where that can be known: from the first entry on where the log has it, else from a db on.

use crate::etcd::apply::{Applied, Machine, Rules, Version, Written};
use crate::member::ReadLog;
use crate::member::message::RaftEntry;
use crate::replay::base::Base;
use crate::replay::steps::run;
use crate::replay::writer::usual;

/// Keys of one entry that are remembered.
const MAX_KEYS: usize = 100;

/// Applies the entries that come by, as far as they follow each other.
#[derive(Debug)]
pub struct Effects<'a> {
    machine: Option<Machine<'a>>,
}

/// What became of an entry.
#[derive(Clone, Debug, Default)]
pub struct Effect<'a> {
    pub applied: Applied,
    /// The first keys that it deleted.
    pub deleted: Vec<&'a [u8]>,
}

impl<'a> Effects<'a> {
    /// Nothing is known.
    pub fn nothing() -> Self {
        Self { machine: None }
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.machine.is_none()
    }

    /// By the log alone, if it begins with the first entry and makes what the db has; else after the db's own entry.
    pub fn of_log(log: &ReadLog<'a>, base: Option<&Base<'a>>, named: Option<Version>) -> Self {
        let minor = base.and_then(|base| base.state.cluster_minor());
        let Some(version) = named.or_else(|| minor.map(usual)) else { return Self::nothing() };
        let rules = Rules::of(version);
        let begins_with_first = log.stretches.first().is_some_and(|stretch| stretch.first_index() == 1);
        // a log that a restore began does not have what was restored
        let makes = |base: &Base<'a>| {
            let mut machine = Machine::empty(rules);
            let ran = run(&mut machine, log, base.index, &mut |_| {}, &mut |_| true);
            ran.is_ok() && machine.store.revision == base.revision
        };
        let machine = match base {
            Some(base) if begins_with_first && makes(base) => Machine::empty(rules),
            Some(base) => base.machine(rules),
            None => return Self::nothing(),
        };
        Self { machine: Some(machine) }
    }

    /// Applies an entry; `None` where its effect is not known.
    pub(super) fn of(&mut self, entry: &RaftEntry<'a>) -> Option<Effect<'a>> {
        let machine = self.machine.as_mut()?;
        if entry.index <= machine.index {
            return None;
        }
        let mut deleted = Vec::new();
        let mut sink = |written: Written<'a>| {
            if written.change.put.is_none() && deleted.len() < MAX_KEYS {
                deleted.push(written.change.key);
            }
        };
        let Ok(applied) = machine.apply(entry, &mut sink) else {
            // nothing after it can be known
            self.machine = None;
            return None;
        };
        Some(Effect { applied, deleted })
    }
}
