//! What a log says: whose it is, how far it goes, who is a member.

#![deny(clippy::arithmetic_side_effects)]

use std::collections::BTreeSet;

use super::conf_change::{ConfChange, ConfChangeType};
use super::conf_state::ConfState;
use super::fault::LogFaultKind;
use super::message::{EntryData, HardState, Metadata, RaftEntry, Snapshot};

/// A file of the folder `wal/` that etcd takes for a segment.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    pub name: &'a str,
    pub data: &'a [u8],
}

/// What a log says, read whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    pub metadata: Metadata,
    pub state: HardState,
    /// The snapshot records, in their order.
    pub snapshots: Vec<Snapshot>,
    pub(super) entries: Entries,
}

/// Entries that follow each other: those that a later one did not replace.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Entries {
    /// The first index; 0 for none.
    pub(super) first: u64,
    pub(super) last: u64,
    /// Where a term begins, as (first index, term).
    terms: Vec<(u64, u64)>,
    /// Changes of the members, by their index.
    changes: Vec<(u64, ConfChange)>,
}

impl Log {
    /// The first entry that is there; `None` where there is none.
    pub fn first_index(&self) -> Option<u64> {
        Some(self.entries.first).filter(|&first| first > 0)
    }

    /// The last index that the log knows: its last entry's, or that of a snapshot after it.
    pub fn last_index(&self) -> u64 {
        let snapshots = self.snapshots.iter().map(|snapshot| snapshot.index);
        snapshots.fold(self.entries.last, u64::max)
    }

    /// The term of an entry, where the log tells.
    pub fn term_at(&self, index: u64) -> Option<u64> {
        let snapshot = self.snapshots.iter().rev().find(|snapshot| snapshot.index == index);
        let of_snapshot = snapshot.map(|snapshot| snapshot.term).filter(|&term| term > 0);
        self.entries.term_at(index).or(of_snapshot)
    }

    /// Whether an entry of the log adds this member.
    pub fn adds(&self, id: u64) -> bool {
        let adds =
            |change: &ConfChange| matches!(change.kind, ConfChangeType::Add | ConfChangeType::AddLearner);
        self.entries.changes.iter().any(|(_, change)| change.node_id == id && adds(change))
    }

    /// Whether the log holds nothing but the members with which it begins, as a restore writes it.
    pub fn is_restored_only(&self) -> bool {
        self.entries.first == 1 && self.entries.changes.len() as u64 == self.last_index()
    }

    /// The last entry that was surely committed, if the one at `known` was: the log says so; and what a member has in its log while it
    /// is the only one that votes, as its own copy is the majority.
    pub fn committed(&self, known: u64, snaps: &[Snapshot]) -> u64 {
        let last = self.last_index();
        let mut committed = known.max(self.state.commit).min(last);
        let Some((base, mut config)) = self.newest_config(committed, snaps) else { return committed };
        let is_alone = |config: &ConfState| config.voters().iter().eq([&self.metadata.node_id]);
        for &(index, change) in self.entries.changes.iter().filter(|(index, _)| *index > base) {
            if index > committed {
                if !is_alone(&config) {
                    return committed;
                }
                committed = index;
            }
            config.apply(change);
        }
        if is_alone(&config) { last } else { committed }
    }

    /// Whether the log tells who the members are, up to an entry that was committed.
    pub fn knows_members(&self, committed: u64, snaps: &[Snapshot]) -> bool {
        self.newest_config(committed.max(self.state.commit), snaps).is_some()
    }

    /// The members, where the log tells: as of entry `committed`, and whom entries after it would add. `snaps` has what
    /// `.snap` files say, for snapshot records that don't name the members.
    pub fn members(&self, committed: u64, snaps: &[Snapshot]) -> Option<BTreeSet<u64>> {
        let (base, mut config) = self.newest_config(committed, snaps)?;
        let behind = self.entries.changes.iter().copied().filter(|(index, _)| *index > base);
        let (certain, possible): (Vec<_>, Vec<_>) = behind.partition(|(index, _)| *index <= committed);
        certain.into_iter().for_each(|(_, change)| config.apply(change));
        let mut members = config.members();
        let adds =
            |change: &ConfChange| matches!(change.kind, ConfChangeType::Add | ConfChangeType::AddLearner);
        members.extend(possible.iter().filter(|(_, change)| adds(change)).map(|(_, change)| change.node_id));
        Some(members).filter(|members| !members.is_empty())
    }

    /// The members as of an entry, where the log tells.
    pub fn config_at(&self, index: u64, snaps: &[Snapshot]) -> Option<ConfState> {
        let (base, mut config) = self.newest_config(index, snaps)?;
        let changes = self.entries.changes.iter();
        let since = changes.filter(|(at, _)| *at > base && *at <= index);
        since.for_each(|(_, change)| config.apply(*change));
        Some(config).filter(|config| !config.members().is_empty())
    }

    /// The newest point at which all members are named, and after which every entry is there.
    fn newest_config(&self, committed: u64, snaps: &[Snapshot]) -> Option<(u64, ConfState)> {
        let named = |record: &Snapshot| {
            let same = |snap: &&Snapshot| (snap.index, snap.term) == (record.index, record.term);
            let by_file = || snaps.iter().find(same).and_then(|snap| snap.config.clone());
            Some((record.index, record.config.clone().or_else(by_file)?))
        };
        let records = self.snapshots.iter().filter(|record| (1..=committed).contains(&record.index));
        let known = records.filter_map(named).chain([(0, ConfState::default())]);
        known.filter(|(index, _)| self.entries.follow(*index)).max_by_key(|(index, _)| *index)
    }
}

impl Entries {
    /// Whether no entry between this index and the last one is missing.
    pub(super) fn follow(&self, index: u64) -> bool {
        self.last <= index || (1..=index.saturating_add(1)).contains(&self.first)
    }

    /// Changes of the term and of the members.
    pub(super) fn num_turns(&self) -> usize {
        self.terms.len().saturating_add(self.changes.len())
    }

    /// Whether an entry of this index and term comes next.
    pub(super) fn can_extend(&self, index: u64, term: u64) -> bool {
        let last_term = self.terms.last().map_or(0, |(_, term)| *term);
        self.first > 0 && self.last.checked_add(1) == Some(index) && last_term <= term
    }

    /// Takes entries that come next, or are the first.
    pub(super) fn extend(
        &mut self,
        first: u64,
        last: u64,
        terms: &[(u64, u64)],
        changes: &[(u64, ConfChange)],
    ) {
        if self.terms.is_empty() {
            self.first = first;
        }
        self.last = last;
        let begun = self.terms.last().map(|(_, term)| *term);
        self.terms.extend(terms.iter().filter(|(_, term)| Some(*term) != begun));
        self.changes.extend(changes);
    }

    pub(super) fn term_at(&self, index: u64) -> Option<u64> {
        if !(self.first..=self.last).contains(&index) {
            return None;
        }
        let begun = self.terms.partition_point(|(first, _)| *first <= index);
        self.terms.get(begun.checked_sub(1)?).map(|(_, term)| *term)
    }

    /// Takes an entry that follows the last one, or replaces one of them and all after it, which is what a leader does to entries
    /// that were never committed.
    ///
    /// # Errors
    /// There are entries missing between, unless it `may_begin` anew: then those before are dropped. Its index or term goes back
    /// behind what was committed.
    pub(super) fn take(
        &mut self,
        entry: &RaftEntry<'_>,
        committed: u64,
        may_begin: bool,
    ) -> Result<(), LogFaultKind> {
        let index = entry.index;
        let next = self.last.saturating_add(1);
        if index > next || self.first == 0 && index != 1 {
            if !may_begin {
                return Err(LogFaultKind::Gap { last: self.last, found: index });
            }
            *self = Self::default();
        } else if index < next && (index <= committed || index < self.first) {
            return Err(LogFaultKind::GoesBack { what: "index", from: self.last, to: index });
        }
        let kept_terms = self.terms.partition_point(|(first, _)| *first < index);
        let before = self.terms.get(..kept_terms).and_then(<[_]>::last).map_or(0, |(_, term)| *term);
        if before > entry.term {
            return Err(LogFaultKind::GoesBack { what: "term", from: before, to: entry.term });
        }
        self.terms.truncate(kept_terms);
        self.changes.truncate(self.changes.partition_point(|(at, _)| *at < index));
        if self.terms.is_empty() {
            self.first = index;
        }
        self.last = index;
        if before < entry.term || self.terms.is_empty() {
            self.terms.push((index, entry.term));
        }
        if let EntryData::ConfChange(change, _) = entry.content {
            self.changes.push((index, change));
        }
        Ok(())
    }
}
