//! What a repair by etcd cut off. It copies the last segment to `<name>.broken`, and cuts off the segment where the first torn record
//! begins (`server/storage/wal/repair.go`), with all that comes after it. The copy keeps that.

#![deny(clippy::arithmetic_side_effects)]

use super::frame::Frames;
use super::log::Segment;
use super::message::{Metadata, RaftEntry};
use super::names::parse_broken;
use super::read::ReadLog;
use super::record::{RecordType, WalRecord, WalRecords};
use super::resync::{Proofs, resync};
use super::stretch::Stretch;

/// What only the copy of a segment holds.
#[derive(Debug)]
pub struct CutOff<'a> {
    /// The copy's file name.
    pub file: &'a str,
    /// Whole records.
    pub records: u64,
    /// The entries among them, in their order.
    pub stretches: Vec<Stretch<'a>>,
}

impl<'a> CutOff<'a> {
    /// Reads a copy; `None` for one of another member. `segments` are the log's as they are today.
    pub fn read(copy: Segment<'a>, segments: &[Segment<'_>], log: &ReadLog<'_>) -> Option<Self> {
        let original = segments.iter().find(|segment| parse_broken(copy.name) == Some(segment.name));
        let cut_at = original.map_or(0, |original| common(original.data, copy.data));
        let mut cut_off = Self { file: copy.name, records: 0, stretches: Vec::new() };
        let mut records = WalRecords::of(copy.data, None);
        let mut proofs = Proofs::of(copy.data);
        loop {
            let at = records.position();
            let kind = match records.next_record() {
                Ok(Some(record)) if is_of_another(&record, log) => return None,
                Ok(Some(record)) if record.offset < cut_at => continue,
                Ok(Some(record)) => {
                    cut_off.take(&record);
                    continue;
                }
                Ok(None) => match records.end() {
                    Ok(_) => return Some(cut_off),
                    Err(kind) => kind,
                },
                Err(kind) => kind,
            };
            match resync(copy.data, at, kind, &mut proofs) {
                Some(sound) => records = sound,
                None => return Some(cut_off),
            }
        }
    }

    fn take(&mut self, record: &WalRecord<'a>) {
        self.records = self.records.saturating_add(1);
        let entry = (record.kind == RecordType::Entry).then(|| RaftEntry::parse(record.data).ok()).flatten();
        let Some(entry) = entry else { return };
        if !self.stretches.last_mut().is_some_and(|stretch| stretch.goes_on(&entry, record.data)) {
            self.stretches.extend(Stretch::begin(&entry, record.data));
        }
    }

    /// The entries, each with its message.
    pub fn entries(&self) -> impl Iterator<Item = (RaftEntry<'a>, &'a [u8])> {
        let messages = self.stretches.iter().flat_map(|stretch| stretch.messages());
        messages.filter_map(|message| Some((RaftEntry::parse(message).ok()?, *message)))
    }

    /// The entries that the log does not have today: none of this index, or another one.
    pub fn lost(&self, log: &ReadLog<'_>) -> Vec<Stretch<'a>> {
        let mut lost: Vec<Stretch<'a>> = Vec::new();
        for (entry, message) in self.entries().filter(|(entry, message)| !log.has(entry.index, message)) {
            if !lost.last_mut().is_some_and(|stretch| stretch.goes_on(&entry, message)) {
                lost.extend(Stretch::begin(&entry, message));
            }
        }
        lost
    }
}

/// Bytes of the frames with which both begin.
fn common(original: &[u8], copy: &[u8]) -> u64 {
    let mut frames = Frames::of(original);
    let mut end = 0;
    while let Ok(Some(frame)) = frames.next_frame() {
        let range = frame.begin..frame.end;
        if original.get(range.clone()) != copy.get(range) {
            break;
        }
        end = frame.end;
    }
    end as u64
}

fn is_of_another(record: &WalRecord<'_>, log: &ReadLog<'_>) -> bool {
    record.kind == RecordType::Metadata && Metadata::parse(record.data).ok() != Some(log.log.metadata)
}
