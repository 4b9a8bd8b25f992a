//! A log, whole: all segments, one after the other, as etcd reads them at its start (`server/storage/wal/wal.go`, `ReadAll`,
//! `ValidSnapshotEntries`), and more strictly: whatever etcd would repair, refuse or pass over in silence is a fault.

#![deny(clippy::arithmetic_side_effects)]

use std::collections::BTreeSet;

use super::conf_change::{ConfChange, ConfChangeType};
use super::conf_state::ConfState;
use super::fault::{LogFault, LogFaultKind};
use super::frame::FramesEnd;
use super::message::{EntryData, HardState, Metadata, RaftEntry, Snapshot};
use super::names::SegmentName;
use super::record::{RecordType, WalRecord, WalRecords};

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
    entries: Entries,
}

/// The entries of a log: those that a later one did not replace.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Entries {
    /// The first index; 0 for none.
    first: u64,
    last: u64,
    /// Where a term begins, as (first index, term).
    terms: Vec<(u64, u64)>,
    /// Changes of the members, by their index.
    changes: Vec<(u64, ConfChange)>,
}

impl Log {
    /// Reads a log.
    ///
    /// # Errors
    /// The first fault.
    pub fn read(segments: &[Segment<'_>]) -> Result<Self, LogFault> {
        let segments = in_order(segments)?;
        let mut reader = Reader::default();
        let mut crc = None;
        for (number, (name, segment)) in segments.iter().enumerate() {
            let is_last = number.checked_add(1) == Some(segments.len());
            // whatever came before the oldest segment that is left was removed
            reader.may_begin_anywhere = number == 0 && name.sequence > 0;
            crc = reader.read_segment(segment, crc, is_last)?;
        }
        let (_, last) = segments.last().ok_or_else(|| no_segments("wal"))?;
        let fault = |kind| LogFault { segment: last.name.to_owned(), offset: last.data.len() as u64, kind };
        reader.finish().map_err(fault)
    }

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

    /// Whether the log holds nothing but the members with which it begins, as a restore writes it.
    pub fn is_restored_only(&self) -> bool {
        self.entries.first == 1 && self.entries.changes.len() as u64 == self.last_index()
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
    fn follow(&self, index: u64) -> bool {
        self.last <= index || (1..=index.saturating_add(1)).contains(&self.first)
    }

    fn term_at(&self, index: u64) -> Option<u64> {
        if !(self.first..=self.last).contains(&index) {
            return None;
        }
        let begun = self.terms.iter().rev().find(|(first, _)| *first <= index);
        begun.map(|(_, term)| *term)
    }

    /// Takes an entry. One with an index that was there before replaces that one and all after it, which is what a leader
    /// does to entries that were never committed.
    fn take(
        &mut self,
        entry: &RaftEntry<'_>,
        committed: u64,
        may_begin: impl FnOnce() -> bool,
    ) -> Result<(), LogFaultKind> {
        let index = entry.index;
        let next = self.last.saturating_add(1);
        if index > next || self.first == 0 && index != 1 {
            if !may_begin() {
                return Err(LogFaultKind::Gap { last: self.last, found: index });
            }
            *self = Self::default();
        } else if index < next {
            if index <= committed || index < self.first {
                return Err(LogFaultKind::GoesBack { what: "index", from: self.last, to: index });
            }
            self.terms.retain(|(first, _)| *first < index);
            self.changes.retain(|(at, _)| *at < index);
        }
        if self.terms.is_empty() {
            self.first = index;
        }
        self.last = index;
        match self.terms.last() {
            Some(&(_, term)) if term > entry.term => {
                return Err(LogFaultKind::GoesBack { what: "term", from: term, to: entry.term });
            }
            Some(&(_, term)) if term == entry.term => {}
            _ => self.terms.push((index, entry.term)),
        }
        if let EntryData::ConfChange(change) = entry.content {
            self.changes.push((index, change));
        }
        Ok(())
    }
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    metadata: Option<Metadata>,
    state: HardState,
    snapshots: Vec<Snapshot>,
    entries: Entries,
    may_begin_anywhere: bool,
}

impl Reader {
    /// Reads a segment after one that ended with this checksum; gives back its own.
    fn read_segment(
        &mut self,
        segment: &Segment<'_>,
        crc: Option<u32>,
        is_last: bool,
    ) -> Result<Option<u32>, LogFault> {
        let mut records = WalRecords::of(segment.data, crc);
        let mut count = 0u64;
        loop {
            let at = records.position();
            let fault = |kind| LogFault { segment: segment.name.to_owned(), offset: at, kind };
            let Some(record) = records.next_record().map_err(fault)? else {
                let end = records.end().map_err(fault)?;
                return match (count, end) {
                    (0 | 1, _) => Err(fault(LogFaultKind::Head)),
                    (_, FramesEnd::File) if is_last => Err(fault(LogFaultKind::EndNotMarked)),
                    _ => Ok(records.crc()),
                };
            };
            if count == 1 && record.kind != RecordType::Metadata {
                return Err(fault(LogFaultKind::Head));
            }
            self.take(&record).map_err(fault)?;
            count = count.saturating_add(1);
        }
    }

    fn take(&mut self, record: &WalRecord<'_>) -> Result<(), LogFaultKind> {
        match record.kind {
            RecordType::Checksum => Ok(()),
            RecordType::Metadata => {
                self.take_metadata(Metadata::parse(record.data).map_err(LogFaultKind::Message)?)
            }
            RecordType::State => {
                self.take_state(HardState::parse(record.data).map_err(LogFaultKind::Message)?)
            }
            RecordType::Snapshot => {
                self.snapshots.push(Snapshot::parse(record.data).map_err(LogFaultKind::Message)?);
                Ok(())
            }
            RecordType::Entry => {
                let entry = RaftEntry::parse(record.data).map_err(LogFaultKind::Message)?;
                let is_first = self.may_begin_anywhere && self.entries.first == 0;
                // a snapshot that the leader sent takes the place of all entries up to its own
                let is_before = |snapshot: &Snapshot| {
                    snapshot.index > 0 && snapshot.index.checked_add(1) == Some(entry.index)
                };
                let may_begin = || is_first || self.snapshots.iter().any(is_before);
                self.entries.take(&entry, self.state.commit, may_begin)
            }
        }
    }

    fn take_metadata(&mut self, metadata: Metadata) -> Result<(), LogFaultKind> {
        if *self.metadata.get_or_insert(metadata) == metadata {
            Ok(())
        } else {
            Err(LogFaultKind::OtherMember)
        }
    }

    fn take_state(&mut self, state: HardState) -> Result<(), LogFaultKind> {
        let before = self.state;
        for (what, from, to) in [("term", before.term, state.term), ("commit", before.commit, state.commit)] {
            if from > to {
                return Err(LogFaultKind::GoesBack { what, from, to });
            }
        }
        self.state = state;
        Ok(())
    }

    fn finish(self) -> Result<Log, LogFaultKind> {
        let Self { metadata, state, snapshots, entries, .. } = self;
        let metadata = metadata.ok_or(LogFaultKind::Head)?;
        let log = Log { metadata, state, snapshots, entries };
        let (commit, last) = (log.state.commit, log.last_index());
        if commit > last {
            return Err(LogFaultKind::CommitBeyondEnd { commit, last });
        }
        let has_beginning = log.snapshots.iter().any(|snapshot| log.entries.follow(snapshot.index));
        match log.entries.first {
            first @ 2.. if !has_beginning => Err(LogFaultKind::NoBeginning { first }),
            _ => Ok(log),
        }
    }
}

/// The segments by their names, none missing between.
fn in_order<'s, 'a>(segments: &'s [Segment<'a>]) -> Result<Vec<(SegmentName, &'s Segment<'a>)>, LogFault> {
    let mut named = Vec::with_capacity(segments.len());
    for segment in segments {
        let fault = || LogFault { segment: segment.name.to_owned(), offset: 0, kind: LogFaultKind::Name };
        named.push((SegmentName::parse(segment.name).ok_or_else(fault)?, segment));
    }
    named.sort_by_key(|(name, _)| *name);
    let pairs = named.iter().zip(named.iter().skip(1));
    for ((before, _), (name, segment)) in pairs {
        let expected = before.sequence.saturating_add(1);
        if name.sequence != expected {
            let kind = LogFaultKind::MissingSegment { expected };
            return Err(LogFault { segment: segment.name.to_owned(), offset: 0, kind });
        }
    }
    if named.is_empty() { Err(no_segments("wal")) } else { Ok(named) }
}

fn no_segments(folder: &str) -> LogFault {
    LogFault { segment: folder.to_owned(), offset: 0, kind: LogFaultKind::NoSegments }
}
