//! Reads all segments, one after the other, as etcd reads them at its start (`server/storage/wal/wal.go`, `ReadAll`,
//! `ValidSnapshotEntries`), and more strictly: whatever etcd would repair, refuse or pass over in silence is a fault.
//!
//! After a fault, what is sound is read on: the records after it in the same segment, where one leads to the next by its checksum,
//! and the next segments. So a log may come in several stretches, each without a gap.

#![deny(clippy::arithmetic_side_effects)]

use super::fault::{LogFault, LogFaultKind};
use super::frame::FramesEnd;
use super::log::{Entries, Log, Segment};
use super::message::{EntryData, HardState, Metadata, RaftEntry, Snapshot};
use super::names::SegmentName;
use super::record::{RecordType, WalRecord, WalRecords};
use super::resync::{Proofs, resync};

/// Faults that are kept; more are only counted.
const MAX_FAULTS: usize = 100;

/// A log, read as far as it can be.
#[derive(Debug)]
pub struct ReadLog<'a> {
    /// What it says; of its entries, those of the last stretch.
    pub log: Log,
    /// Entries that follow each other, in the order in which they are in the log. A log without a fault has one stretch, or none, or
    /// after a snapshot that the leader sent another.
    pub stretches: Vec<Stretch<'a>>,
    /// The first faults, in the order of the log.
    pub faults: Vec<LogFault>,
    pub num_faults: u64,
    /// Entries of another member or cluster, which are left out.
    pub foreign_entries: u64,
}

/// Entries that follow each other.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stretch<'a> {
    entries: Entries,
    /// The message of each entry.
    messages: Vec<&'a [u8]>,
}

impl<'a> Stretch<'a> {
    /// The index of the first entry; 0 for none.
    pub fn first_index(&self) -> u64 {
        self.entries.first
    }

    /// The index of the last entry.
    pub fn last_index(&self) -> u64 {
        self.entries.last
    }

    /// An entry; `None` for one that is not in the stretch.
    pub fn entry(&self, index: u64) -> Option<RaftEntry<'a>> {
        let at = usize::try_from(index.checked_sub(self.entries.first)?).ok()?;
        RaftEntry::parse(self.messages.get(at)?).ok()
    }

    /// The term of an entry.
    pub fn term_at(&self, index: u64) -> Option<u64> {
        self.entries.term_at(index)
    }

    /// Its entries, in order.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = RaftEntry<'a>> {
        self.messages.iter().filter_map(|message| RaftEntry::parse(message).ok())
    }

    /// The messages of its entries, in order.
    pub fn messages(&self) -> &[&'a [u8]] {
        &self.messages
    }

    /// Begins with an entry.
    pub(super) fn begin(entry: &RaftEntry<'_>, message: &'a [u8]) -> Option<Self> {
        let mut begun = Self::default();
        begun.entries.take(entry, 0, true).ok()?;
        begun.push(entry.index, message);
        Some(begun)
    }

    /// Takes an entry that follows the last one, or replaces one of them; says whether it does.
    pub(super) fn goes_on(&mut self, entry: &RaftEntry<'_>, message: &'a [u8]) -> bool {
        let goes_on = self.entries.take(entry, 0, false).is_ok();
        if goes_on {
            self.push(entry.index, message);
        }
        goes_on
    }

    fn push(&mut self, index: u64, message: &'a [u8]) {
        let before = index.saturating_sub(self.entries.first);
        self.messages.truncate(usize::try_from(before).unwrap_or(usize::MAX));
        self.messages.push(message);
    }
}

impl<'a> ReadLog<'a> {
    /// Reads all that can be read.
    pub fn read(segments: &[Segment<'a>]) -> Self {
        let mut reader = Reader::default();
        let segments = reader.in_order(segments);
        let mut before: Option<SegmentName> = None;
        for (number, (name, segment)) in segments.iter().enumerate() {
            let follows = before.is_none_or(|before| before.sequence.checked_add(1) == Some(name.sequence));
            if let Some(before) = before.filter(|_| !follows) {
                let expected = before.sequence.saturating_add(1);
                reader.fault(segment, 0, LogFaultKind::MissingSegment { expected });
                reader.crc = None;
            }
            before = Some(*name);
            let is_last = number.checked_add(1) == Some(segments.len());
            // whatever came before the oldest segment that is left was removed
            reader.may_begin_anywhere = number == 0 && name.sequence > 0;
            reader.read_segment(segment, is_last);
        }
        reader.finish(segments.last().map(|(_, segment)| *segment))
    }

    /// The stretch that has this entry: the last one, where several do.
    pub fn stretch_with(&self, index: u64) -> Option<&Stretch<'a>> {
        let has = |stretch: &&Stretch<'a>| (stretch.first_index()..=stretch.last_index()).contains(&index);
        self.stretches.iter().rev().filter(|stretch| stretch.first_index() > 0).find(has)
    }

    /// Whether it has this very entry.
    pub fn has(&self, index: u64, message: &[u8]) -> bool {
        let of = |stretch: &Stretch<'a>| {
            let at = usize::try_from(index.checked_sub(stretch.entries.first)?).ok()?;
            stretch.messages.get(at).copied()
        };
        self.stretches.iter().filter_map(of).any(|found| found == message)
    }

    /// The same log, and these entries in place of its own.
    pub fn with_entries(&self, stretches: Vec<Stretch<'a>>) -> Self {
        let (faults, foreign_entries) = (Vec::new(), 0);
        Self { log: self.log.clone(), stretches, faults, num_faults: 0, foreign_entries }
    }

    /// Whether the log was begun by a restore: its first entries are the members, and a snapshot record follows them, of what was
    /// restored. Nothing else of that is in the log (`etcdutl/snapshot/v3_snapshot.go`, `saveWALAndSnap`).
    pub fn begins_with_restore(&self) -> bool {
        let Some(first) = self.stretches.iter().find(|stretch| stretch.first_index() == 1) else {
            return false;
        };
        let is_change = |entry: &RaftEntry<'_>| matches!(entry.content, EntryData::ConfChange(..));
        let changes = first.entries().take_while(is_change).count() as u64;
        changes > 0 && self.log.snapshots.iter().any(|snapshot| snapshot.index == changes)
    }

    /// Entries of all stretches.
    pub fn num_entries(&self) -> u64 {
        self.stretches.iter().map(|stretch| stretch.messages.len() as u64).fold(0, u64::saturating_add)
    }
}

impl Log {
    /// Reads a log that must be whole.
    ///
    /// # Errors
    /// The first fault.
    pub fn read(segments: &[Segment<'_>]) -> Result<Self, LogFault> {
        let ReadLog { log, faults, .. } = ReadLog::read(segments);
        match faults.into_iter().next() {
            Some(fault) => Err(fault),
            None => Ok(log),
        }
    }
}

/// What was read so far.
#[derive(Default)]
struct Reader<'a> {
    metadata: Option<Metadata>,
    state: HardState,
    snapshots: Vec<Snapshot>,
    stretches: Vec<Stretch<'a>>,
    now: Stretch<'a>,
    /// The checksum of the records so far; `None` where it is not known.
    crc: Option<u32>,
    may_begin_anywhere: bool,
    /// Whether the records are another member's.
    is_foreign: bool,
    /// Whether entries may be missing before the next one.
    is_interrupted: bool,
    foreign_entries: u64,
    faults: Vec<LogFault>,
    num_faults: u64,
}

impl<'a> Reader<'a> {
    fn fault(&mut self, segment: &Segment<'_>, offset: u64, kind: LogFaultKind) {
        self.num_faults = self.num_faults.saturating_add(1);
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(LogFault { segment: segment.name.to_owned(), offset, kind });
        }
        self.is_interrupted = true;
    }

    /// The segments by their names.
    fn in_order<'s>(&mut self, segments: &'s [Segment<'a>]) -> Vec<(SegmentName, &'s Segment<'a>)> {
        let mut named = Vec::with_capacity(segments.len());
        for segment in segments {
            match SegmentName::parse(segment.name) {
                Some(name) => named.push((name, segment)),
                None => self.fault(segment, 0, LogFaultKind::Name),
            }
        }
        named.sort_by_key(|(name, _)| *name);
        named
    }

    fn read_segment(&mut self, segment: &Segment<'a>, is_last: bool) {
        let mut records = WalRecords::of(segment.data, self.crc);
        let mut proofs = Proofs::of(segment.data);
        let mut count = 0_u64;
        loop {
            let at = records.position();
            let kind = match records.next_record() {
                Ok(Some(record)) => {
                    if count == 1 && record.kind != RecordType::Metadata {
                        self.fault(segment, at, LogFaultKind::Head);
                    }
                    if let Err(kind) = self.take(&record) {
                        self.fault(segment, at, kind);
                    }
                    count = count.saturating_add(1);
                    continue;
                }
                Ok(None) => match records.end() {
                    _ if count < 2 => LogFaultKind::Head,
                    Ok(FramesEnd::File) if is_last => LogFaultKind::EndNotMarked,
                    Ok(_) => {
                        self.crc = records.crc();
                        return;
                    }
                    Err(kind) => kind,
                },
                Err(kind) => kind,
            };
            self.fault(segment, at, kind);
            match resync(segment.data, at, kind, &mut proofs) {
                Some(sound) => records = sound,
                None => {
                    self.crc = None;
                    return;
                }
            }
            count = u64::MAX;
        }
    }

    fn take(&mut self, record: &WalRecord<'a>) -> Result<(), LogFaultKind> {
        match record.kind {
            RecordType::Checksum => Ok(()),
            RecordType::Metadata => {
                self.take_metadata(Metadata::parse(record.data).map_err(LogFaultKind::Message)?)
            }
            RecordType::Entry if self.is_foreign => {
                self.foreign_entries = self.foreign_entries.saturating_add(1);
                Ok(())
            }
            _ if self.is_foreign => Ok(()),
            RecordType::State => {
                self.take_state(HardState::parse(record.data).map_err(LogFaultKind::Message)?)
            }
            RecordType::Snapshot => {
                self.snapshots.push(Snapshot::parse(record.data).map_err(LogFaultKind::Message)?);
                Ok(())
            }
            RecordType::Entry => {
                let entry = RaftEntry::parse(record.data).map_err(LogFaultKind::Message)?;
                self.take_entry(&entry, record.data)
            }
        }
    }

    fn take_metadata(&mut self, metadata: Metadata) -> Result<(), LogFaultKind> {
        self.is_foreign = *self.metadata.get_or_insert(metadata) != metadata;
        if self.is_foreign { Err(LogFaultKind::OtherMember) } else { Ok(()) }
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

    fn take_entry(&mut self, entry: &RaftEntry<'_>, message: &'a [u8]) -> Result<(), LogFaultKind> {
        let is_first = self.may_begin_anywhere && self.now.entries.first == 0;
        // a snapshot that the leader sent takes the place of all entries up to its own
        let is_before =
            |snapshot: &Snapshot| snapshot.index > 0 && snapshot.index.checked_add(1) == Some(entry.index);
        let may_begin = is_first || self.snapshots.iter().any(is_before);
        let jumps = entry.index > self.now.entries.last.saturating_add(1);
        if jumps && may_begin && !self.now.messages.is_empty() {
            self.stretches.push(std::mem::take(&mut self.now));
        }
        let taken = self.now.entries.take(entry, self.state.commit, may_begin).or_else(|kind| {
            self.begin(entry);
            // after a fault it is expected that entries are missing: that fault was said
            if self.is_interrupted { Ok(()) } else { Err(kind) }
        });
        self.is_interrupted = false;
        self.now.push(entry.index, message);
        taken
    }

    /// Begins another stretch with this entry.
    fn begin(&mut self, entry: &RaftEntry<'_>) {
        let before = std::mem::take(&mut self.now);
        if !before.messages.is_empty() {
            self.stretches.push(before);
        }
        // nothing is before it that could contradict it
        let _ = self.now.entries.take(entry, 0, true);
    }

    fn finish(mut self, last: Option<&Segment<'_>>) -> ReadLog<'a> {
        let entries = self.now.entries.clone();
        let (state, snapshots) = (self.state, std::mem::take(&mut self.snapshots));
        let metadata = self.metadata.unwrap_or(Metadata { node_id: 0, cluster_id: 0 });
        let log = Log { metadata, state, snapshots, entries };
        let (commit, last_index) = (log.state.commit, log.last_index());
        let has_beginning = log.snapshots.iter().any(|snapshot| log.entries.follow(snapshot.index));
        let kind = match last {
            None => Some(LogFaultKind::NoSegments),
            Some(_) if self.metadata.is_none() => Some(LogFaultKind::Head),
            Some(_) if commit > last_index => {
                Some(LogFaultKind::CommitBeyondEnd { commit, last: last_index })
            }
            Some(_) if log.entries.first > 1 && !has_beginning => {
                Some(LogFaultKind::NoBeginning { first: log.entries.first })
            }
            Some(_) => None,
        };
        if let Some(kind) = kind {
            let nothing = Segment { name: "wal", data: &[] };
            let segment = last.unwrap_or(&nothing);
            self.fault(segment, segment.data.len() as u64, kind);
        }
        let Self { mut stretches, now, faults, num_faults, foreign_entries, .. } = self;
        if !now.messages.is_empty() {
            stretches.push(now);
        }
        ReadLog { log, stretches, faults, num_faults, foreign_entries }
    }
}
