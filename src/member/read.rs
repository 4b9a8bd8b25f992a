//! Reads all segments, one after the other, as etcd reads them at its start (`server/storage/wal/wal.go`, `ReadAll`,
//! `ValidSnapshotEntries`), and more strictly: whatever etcd would repair, refuse or pass over in silence is a fault.
//!
//! After a fault, what is sound is read on: the records after it in the same segment, where one leads to the next by its checksum,
//! and the next segments. So a log may come in several stretches, each without a gap.

#![deny(clippy::arithmetic_side_effects)]

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::fault::{LogFault, LogFaultKind};

use super::log::{Log, Segment};
use super::message::{EntryData, HardState, Metadata, RaftEntry, Snapshot};
use super::names::SegmentName;
use super::plain::PlainSegment;
use super::record::{RecordType, WalRecord, WalRecords};
use super::resync::{Proofs, by_its_own_length, resync};
use super::stretch::Stretch;

/// Faults that are kept; more are only counted.
const MAX_FAULTS: usize = 100;

/// Stretches that are kept, the newest: more gaps than that were made on purpose.
const MAX_STRETCHES: usize = 10_000;
/// Changes of the term and of the members that are kept: more were made on purpose.
const MAX_TURNS: usize = 100_000;
/// Snapshot records that are kept: the first ones, which say whether a restore began the log, and the newest. Nobody asks for others.
const MAX_SNAPSHOTS: usize = 1000;
const FIRST_SNAPSHOTS: usize = 16;
/// Snapshot records that are looked at for the one that an entry comes after: etcd writes it right before such an entry.
const RECENT_SNAPSHOTS: usize = 16;

/// A log, read as far as it can be.
#[derive(PartialEq, Debug)]
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
    /// Whether something is damaged after the last entry: more may have been there.
    pub ends_damaged: bool,
}

impl<'a> ReadLog<'a> {
    /// Reads all that can be read.
    pub fn read(segments: &[Segment<'a>]) -> Self {
        Self::read_with(segments, PlainSegment::read)
    }

    /// The same, one record after the other.
    pub fn read_serially(segments: &[Segment<'a>]) -> Self {
        Self::read_with(segments, |_, _| None)
    }

    fn read_with(
        segments: &[Segment<'a>],
        plain: impl Fn(&Segment<'a>, bool) -> Option<PlainSegment<'a>> + Sync,
    ) -> Self {
        let mut reader = Reader::default();
        let segments = reader.in_order(segments);
        let num_segments = segments.len();
        let is_last = |number: usize| number.checked_add(1) == Some(num_segments);
        let numbered = segments.par_iter().enumerate();
        let plain: Vec<_> = numbered.map(|(number, (_, segment))| plain(segment, is_last(number))).collect();
        let mut before: Option<SegmentName> = None;
        for (number, ((name, segment), plain)) in segments.iter().zip(plain).enumerate() {
            let follows = before.is_none_or(|before| before.sequence.checked_add(1) == Some(name.sequence));
            if let Some(before) = before.filter(|_| !follows) {
                let expected = before.sequence.saturating_add(1);
                reader.fault(segment, 0, LogFaultKind::MissingSegment { expected });
                reader.crc = None;
            }
            before = Some(*name);
            // whatever came before the oldest segment that is left was removed
            reader.may_begin_anywhere = number == 0 && name.sequence > 0;
            if let Some(plain) = plain.filter(|plain| reader.can_join(plain)) {
                reader.join(plain);
            } else {
                reader.read_segment(segment, is_last(number));
            }
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
        Self { log: self.log.clone(), stretches, faults, num_faults: 0, foreign_entries, ends_damaged: false }
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
    /// Changes of the term and of the members in the stretches before this one.
    turns_before: usize,
    entries_are_left_out: bool,
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

    /// Whether a segment that is sound in itself goes on with what was read before.
    fn can_join(&self, plain: &PlainSegment<'_>) -> bool {
        let begun = &self.now.entries;
        let first_term = plain.terms.first().map_or(u64::MAX, |(_, term)| *term);
        self.crc.is_none_or(|crc| crc == plain.crc_before)
            && self.metadata.is_none_or(|metadata| metadata == plain.metadata)
            && plain.states.is_none_or(|(first, _)| first.goes_back(&self.state).is_none())
            && self.turns_before.saturating_add(begun.num_turns()) < MAX_TURNS
            && (plain.first == 0
                || begun.can_extend(plain.first, first_term)
                || begun.first == 0 && (plain.first == 1 || self.may_begin_anywhere))
    }

    fn join(&mut self, plain: PlainSegment<'a>) {
        self.metadata = Some(plain.metadata);
        self.is_foreign = false;
        self.state = plain.states.map_or(self.state, |(_, last)| last);
        self.crc = Some(plain.crc);
        if let Some(last) = plain.last() {
            self.now.entries.extend(plain.first, last, &plain.terms, &plain.changes);
            self.is_interrupted = false;
        }
        plain.snapshots.into_iter().for_each(|snapshot| self.take_snapshot(snapshot));
        self.now.extend(plain.messages);
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
                    if records.has_odd_padding() {
                        self.fault(segment, at, LogFaultKind::Padding);
                    }
                    count = count.saturating_add(1);
                    continue;
                }
                Ok(None) => match records.end() {
                    _ if count < 2 => LogFaultKind::Head,
                    Ok(end) if !end.may_end(is_last) => LogFaultKind::EndNotMarked,
                    Ok(_) => {
                        self.crc = records.crc();
                        return;
                    }
                    Err(kind) => kind,
                },
                Err(kind) => kind,
            };
            let was_interrupted = self.is_interrupted;
            self.fault(segment, at, kind);
            if let Some((record, behind)) = by_its_own_length(segment.data, at, records.crc(), &mut proofs) {
                // nothing is missing
                self.is_interrupted = was_interrupted;
                if let Err(kind) = self.take(&record) {
                    self.fault(segment, at, kind);
                }
                records = behind;
                count = count.saturating_add(1);
                continue;
            }
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
                self.take_snapshot(Snapshot::parse(record.data).map_err(LogFaultKind::Message)?);
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
        if let Some((what, from, to)) = state.goes_back(&self.state) {
            return Err(LogFaultKind::GoesBack { what, from, to });
        }
        self.state = state;
        Ok(())
    }

    fn take_snapshot(&mut self, snapshot: Snapshot) {
        self.snapshots.push(snapshot);
        if self.snapshots.len() > MAX_SNAPSHOTS {
            self.snapshots.drain(FIRST_SNAPSHOTS..MAX_SNAPSHOTS / 2);
        }
    }

    fn take_entry(&mut self, entry: &RaftEntry<'_>, message: &'a [u8]) -> Result<(), LogFaultKind> {
        let is_first = self.may_begin_anywhere && self.now.entries.first == 0;
        // a snapshot that the leader sent takes the place of all entries up to its own
        let is_before =
            |snapshot: &Snapshot| snapshot.index > 0 && snapshot.index.checked_add(1) == Some(entry.index);
        let may_begin = is_first || self.snapshots.iter().rev().take(RECENT_SNAPSHOTS).any(is_before);
        let jumps = entry.index > self.now.entries.last.saturating_add(1);
        if jumps && may_begin {
            self.end_stretch();
        }
        if self.turns_before.saturating_add(self.now.entries.num_turns()) > MAX_TURNS {
            self.leave_out_all();
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

    /// What comes next is of another stretch.
    fn end_stretch(&mut self) {
        let before = std::mem::take(&mut self.now);
        if before.messages.is_empty() {
            return;
        }
        self.turns_before = self.turns_before.saturating_add(before.entries.num_turns());
        self.stretches.push(before);
        if self.stretches.len() > MAX_STRETCHES {
            self.stretches.drain(..MAX_STRETCHES / 2);
            self.turns_before = self.stretches.iter().map(|stretch| stretch.entries.num_turns()).sum();
            self.entries_are_left_out = true;
        }
    }

    /// Keeps none of the entries so far.
    fn leave_out_all(&mut self) {
        (self.now, self.stretches, self.turns_before) = (Stretch::default(), Vec::new(), 0);
        (self.entries_are_left_out, self.is_interrupted) = (true, true);
    }

    /// Begins another stretch with this entry.
    fn begin(&mut self, entry: &RaftEntry<'_>) {
        self.end_stretch();
        // nothing is before it that could contradict it
        let _ = self.now.entries.take(entry, 0, true);
    }

    fn finish(mut self, last: Option<&Segment<'_>>) -> ReadLog<'a> {
        let ends_damaged = self.is_interrupted;
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
        if self.entries_are_left_out {
            let first = self.stretches.first().unwrap_or(&self.now).first_index();
            let nothing = Segment { name: "wal", data: &[] };
            self.fault(last.unwrap_or(&nothing), 0, LogFaultKind::LeftOut { first });
        }
        let Self { mut stretches, now, faults, num_faults, foreign_entries, .. } = self;
        if !now.messages.is_empty() {
            stretches.push(now);
        }
        ReadLog { log, stretches, faults, num_faults, foreign_entries, ends_damaged }
    }
}
