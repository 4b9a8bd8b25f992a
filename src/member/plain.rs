//! Segments as an etcd without trouble writes them: they are read beside each other, each by itself, and then only joined. Any other
//! is read in its turn.

#![deny(clippy::arithmetic_side_effects)]

use super::conf_change::ConfChange;
use super::log::Segment;
use super::message::{EntryData, HardState, Metadata, RaftEntry, Snapshot};
use super::record::{RecordType, WalRecord, WalRecords};
use super::stretch::push_message;

/// A segment with more snapshot records is read in its turn, where few of them are kept.
const MAX_SNAPSHOTS: usize = 100;
/// A segment with more changes of the term or of the members is read in its turn, as there may be too many of them in all.
const MAX_TURNS: usize = 1000;
/// A segment with smaller entries is read in its turn: here, all segments are kept beside what they are joined to.
const MIN_BYTES_AN_ENTRY: usize = 64;

/// What is in a segment that has no fault in itself, and whose entries follow each other.
#[derive(Debug)]
pub(super) struct PlainSegment<'a> {
    /// The checksum that it begins with, which must be that of the segment before.
    pub crc_before: u32,
    pub crc: u32,
    pub metadata: Metadata,
    /// Its first and its last.
    pub states: Option<(HardState, HardState)>,
    pub snapshots: Vec<Snapshot>,
    /// The first index; 0 for no entries.
    pub first: u64,
    /// Where a term begins, as (index, term).
    pub terms: Vec<(u64, u64)>,
    pub changes: Vec<(u64, ConfChange)>,
    /// The message of each entry.
    pub messages: Vec<&'a [u8]>,
}

/// The next record, or that there is none; nothing where there is a fault.
fn next_plain<'a>(records: &mut WalRecords<'a>) -> Option<Option<WalRecord<'a>>> {
    records.next_record().ok().filter(|_| !records.has_odd_padding())
}

impl<'a> PlainSegment<'a> {
    /// Reads a segment; `None` where anything in it needs the segments before to be judged, or is a fault.
    pub(super) fn read(segment: &Segment<'a>, is_last: bool) -> Option<Self> {
        let mut records = WalRecords::of(segment.data, None);
        let head = next_plain(&mut records)??;
        let metadata = next_plain(&mut records)??;
        if metadata.kind != RecordType::Metadata {
            return None;
        }
        let mut plain = Self {
            crc_before: head.crc,
            crc: head.crc,
            metadata: Metadata::parse(metadata.data).ok()?,
            states: None,
            snapshots: Vec::new(),
            first: 0,
            terms: Vec::new(),
            changes: Vec::new(),
            messages: Vec::new(),
        };
        while let Some(record) = next_plain(&mut records)? {
            plain.take(&record)?;
        }
        let ends_well = records.end().ok()?.may_end(is_last);
        plain.crc = records.crc()?;
        let entries_bytes = plain.messages.len().saturating_mul(MIN_BYTES_AN_ENTRY);
        (ends_well && entries_bytes <= segment.data.len()).then_some(plain)
    }

    fn take(&mut self, record: &WalRecord<'a>) -> Option<()> {
        match record.kind {
            RecordType::Entry => self.take_entry(record.data),
            RecordType::State => self.take_state(HardState::parse(record.data).ok()?),
            RecordType::Snapshot => {
                self.snapshots.push(Snapshot::parse(record.data).ok()?);
                (self.snapshots.len() <= MAX_SNAPSHOTS).then_some(())
            }
            RecordType::Checksum => None,
            RecordType::Metadata => (Metadata::parse(record.data).ok()? == self.metadata).then_some(()),
        }
    }

    fn take_state(&mut self, state: HardState) -> Option<()> {
        let (first, last) = self.states.unwrap_or((state, state));
        self.states = Some((first, state));
        state.goes_back(&last).is_none().then_some(())
    }

    fn take_entry(&mut self, message: &'a [u8]) -> Option<()> {
        let entry = RaftEntry::parse(message).ok()?;
        match self.last() {
            None => self.first = entry.index,
            Some(last) if last.checked_add(1) == Some(entry.index) => {}
            Some(_) => return None,
        }
        match self.terms.last() {
            Some(&(_, term)) if term == entry.term => {}
            Some(&(_, term)) if term > entry.term => return None,
            _ => self.terms.push((entry.index, entry.term)),
        }
        if let EntryData::ConfChange(change, _) = entry.content {
            self.changes.push((entry.index, change));
        }
        push_message(&mut self.messages, message);
        let turns = self.terms.len().saturating_add(self.changes.len());
        (turns <= MAX_TURNS).then_some(())
    }

    /// The last index.
    pub(super) fn last(&self) -> Option<u64> {
        self.first.checked_add(self.messages.len() as u64)?.checked_sub(1).filter(|_| self.first > 0)
    }
}
