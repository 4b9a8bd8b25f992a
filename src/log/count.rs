//! Entries counted: by kind, by resource, by key.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use foldhash::fast::RandomState;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::etcd::apply::Refused;
use crate::k8s::KeyLayout;
use crate::member::ReadLog;
use crate::member::message::RaftEntry;
use crate::text::ByteStr;

use super::for_each;
use super::known::Effects;
use super::line::{EntryKind, LogLine};
use super::select::LogSelect;

/// Writes of a key, or of the keys of a resource, that were asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyWriteCounts {
    pub puts: u64,
    pub deletes: u64,
    /// Bytes of the values that were to be put.
    pub value_bytes: u64,
}

/// What was counted.
#[derive(Debug, Default)]
pub struct Counter<'a> {
    pub entries: u64,
    pub kinds: BTreeMap<EntryKind, u64>,
    pub effects_known: u64,
    pub writes: u64,
    pub refused: u64,
    pub refused_by: BTreeMap<Refused, u64>,
    /// By group and resource.
    pub resources: HashMap<(&'a str, ByteStr<'a>), KeyWriteCounts, RandomState>,
    pub keys: HashMap<&'a [u8], KeyWriteCounts, RandomState>,
}

impl KeyWriteCounts {
    /// Puts and deletions.
    pub fn writes(&self) -> u64 {
        self.puts.saturating_add(self.deletes)
    }

    fn add(&mut self, more: Self) {
        for (count, more) in [
            (&mut self.puts, more.puts),
            (&mut self.deletes, more.deletes),
            (&mut self.value_bytes, more.value_bytes),
        ] {
            *count = count.saturating_add(more);
        }
    }
}

impl<'a> Counter<'a> {
    /// Counts the entries that were asked for. Where the effect of none is known, several threads do.
    pub fn of(log: &ReadLog<'a>, known: &mut Effects<'a>, select: &LogSelect) -> Self {
        if known.is_nothing() {
            return Self::without_effects(log, select);
        }
        let mut counter = Self::default();
        for_each(log, known, select, |line| {
            counter.add(&line);
            Ok::<(), std::convert::Infallible>(())
        })
        .unwrap_or_else(|never| match never {});
        counter
    }

    fn without_effects(log: &ReadLog<'a>, select: &LogSelect) -> Self {
        let len = usize::try_from(log.num_entries()).unwrap_or(usize::MAX);
        let len = len.div_ceil(rayon::current_num_threads().max(1)).max(1);
        let parts: Vec<&[&'a [u8]]> =
            log.stretches.iter().flat_map(|stretch| stretch.messages().chunks(len)).collect();
        let counted = parts.par_iter().map(|messages| Self::of_messages(messages, select));
        counted.reduce(Self::default, Self::and)
    }

    fn of_messages(messages: &[&'a [u8]], select: &LogSelect) -> Self {
        let layout = KeyLayout::new();
        let mut counter = Self::default();
        let entries = messages.iter().filter_map(|message| RaftEntry::parse(message).ok());
        for entry in entries.filter(|entry| select.indices.contains(&entry.index)) {
            let line = LogLine::of(&entry, None, &layout);
            if select.admits(&line) {
                counter.add(&line);
            }
        }
        counter
    }

    fn add(&mut self, line: &LogLine<'a>) {
        let count = |counter: &mut u64, more: u64| *counter = counter.saturating_add(more);
        count(&mut self.entries, 1);
        count(self.kinds.entry(line.kind).or_default(), 1);
        count(&mut self.effects_known, u64::from(line.effect_known));
        count(&mut self.writes, u64::from(line.revision.is_some()));
        if let Some(reason) = line.refused {
            count(&mut self.refused, 1);
            count(self.refused_by.entry(reason).or_default(), 1);
        }
        for operation in line.operations.iter().filter(|operation| operation.kind != EntryKind::Range) {
            let is_put = operation.kind == EntryKind::Put;
            let counts = KeyWriteCounts {
                puts: u64::from(is_put),
                deletes: u64::from(!is_put),
                value_bytes: operation.value_bytes.unwrap_or(0),
            };
            self.resources.entry((operation.group, operation.resource)).or_default().add(counts);
            self.keys.entry(operation.key.0).or_default().add(counts);
        }
    }

    /// Both together.
    fn and(mut self, other: Self) -> Self {
        for (count, more) in [
            (&mut self.entries, other.entries),
            (&mut self.effects_known, other.effects_known),
            (&mut self.writes, other.writes),
            (&mut self.refused, other.refused),
        ] {
            *count = count.saturating_add(more);
        }
        let counts = other.kinds.into_iter();
        counts.for_each(|(kind, more)| *self.kinds.entry(kind).or_default() += more);
        let counts = other.refused_by.into_iter();
        counts.for_each(|(reason, more)| *self.refused_by.entry(reason).or_default() += more);
        merge(&mut self.resources, other.resources);
        merge(&mut self.keys, other.keys);
        self
    }
}

fn merge<K: Eq + Hash>(
    counts: &mut HashMap<K, KeyWriteCounts, RandomState>,
    more: HashMap<K, KeyWriteCounts, RandomState>,
) {
    more.into_iter().for_each(|(key, more)| counts.entry(key).or_default().add(more));
}
