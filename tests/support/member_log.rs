//! A member's log made byte by byte, so that any of its numbers can lie.

use etcd_medic::internals::member::frame::Frames;
use etcd_medic::internals::member::record::{RecordType, WalRecord};
use prost::encoding::encode_varint;

pub const METADATA: u64 = 1;
pub const ENTRY: u64 = 2;
pub const STATE: u64 = 3;
pub const CHECKSUM: u64 = 4;
pub const SNAPSHOT: u64 = 5;

/// Kinds of changes of members.
pub const ADD: u64 = 0;
pub const REMOVE: u64 = 1;
pub const UPDATE: u64 = 2;
pub const ADD_LEARNER: u64 = 3;

/// The name of a log's only segment.
pub const FIRST_SEGMENT: &str = "0000000000000000-0000000000000000.wal";

/// A segment as it grows.
#[derive(Clone)]
pub struct LogBuilder {
    bytes: Vec<u8>,
    crc: u32,
    next: u64,
    term: u64,
}

pub fn varint(bytes: &mut Vec<u8>, field: u64, value: u64) {
    encode_varint(field << 3, bytes);
    encode_varint(value, bytes);
}

pub fn bytes_field(bytes: &mut Vec<u8>, field: u64, value: &[u8]) {
    encode_varint(field << 3 | 2, bytes);
    encode_varint(value.len() as u64, bytes);
    bytes.extend_from_slice(value);
}

/// A message whose fields are these numbers, from field 1 on.
pub fn numbers(values: &[u64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    values.iter().zip(1..).for_each(|(value, field)| varint(&mut bytes, field, *value));
    bytes
}

/// A `ConfState` of these voters.
pub fn conf_state(voters: &[u64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    voters.iter().for_each(|voter| varint(&mut bytes, 1, *voter));
    varint(&mut bytes, 5, 0);
    bytes
}

/// A `.snap` file with these voters.
pub fn snap(index: u64, term: u64, voters: &[u64]) -> Vec<u8> {
    let mut metadata = Vec::new();
    bytes_field(&mut metadata, 1, &conf_state(voters));
    varint(&mut metadata, 2, index);
    varint(&mut metadata, 3, term);
    let mut data = Vec::new();
    bytes_field(&mut data, 1, b"{}");
    bytes_field(&mut data, 2, &metadata);
    let mut file = Vec::new();
    varint(&mut file, 1, crc32c::crc32c(&data).into());
    bytes_field(&mut file, 2, &data);
    file
}

impl LogBuilder {
    /// The first segment of a new member's log.
    pub fn new(node_id: u64) -> Self {
        Self::segment(node_id, 0, 1).record(SNAPSHOT, Some(&numbers(&[0, 0])))
    }

    /// A segment behind one that ended with this checksum, whose next entry has this index.
    pub fn segment(node_id: u64, crc: u32, next: u64) -> Self {
        let begun = Self { bytes: Vec::new(), crc, next, term: 3 };
        begun.record(CHECKSUM, None).record(METADATA, Some(&numbers(&[node_id, 0xc1])))
    }

    /// A frame with this record.
    pub fn record(mut self, kind: u64, data: Option<&[u8]>) -> Self {
        self.crc = crc32c::crc32c_append(self.crc, data.unwrap_or_default());
        let mut record = numbers(&[kind, self.crc.into()]);
        if let Some(data) = data {
            bytes_field(&mut record, 3, data);
        }
        self.frame(&record)
    }

    /// A frame with these bytes.
    pub fn frame(mut self, record: &[u8]) -> Self {
        let padding = record.len().wrapping_neg() % 8;
        let marks = if padding == 0 { 0 } else { 0x80 | padding as u64 };
        self.bytes.extend_from_slice(&(record.len() as u64 | marks << 56).to_le_bytes());
        self.bytes.extend_from_slice(record);
        self.bytes.extend_from_slice(&[0; 8][..padding]);
        self
    }

    /// An entry of any index.
    pub fn entry_at(mut self, index: u64, data: &[u8]) -> Self {
        let mut message = numbers(&[0, self.term, index]);
        bytes_field(&mut message, 4, data);
        self.next = index + 1;
        self.record(ENTRY, Some(&message))
    }

    /// Entries up to this index.
    pub fn entries_to(mut self, last: u64) -> Self {
        while self.next <= last {
            let index = self.next;
            self = self.entry_at(index, b"a request");
        }
        self
    }

    /// A new leader's first, empty entry.
    pub fn empty_entry(mut self) -> Self {
        let message = numbers(&[0, self.term, self.next]);
        self.next += 1;
        self.record(ENTRY, Some(&message))
    }

    /// A change of the members.
    pub fn change(mut self, kind: u64, node_id: u64) -> Self {
        let mut message = numbers(&[1, self.term, self.next]);
        let mut change = numbers(&[self.next, kind, node_id]);
        bytes_field(&mut change, 4, b"{}");
        bytes_field(&mut message, 4, &change);
        self.next += 1;
        self.record(ENTRY, Some(&message))
    }

    pub fn term(mut self, term: u64) -> Self {
        self.term = term;
        self
    }

    pub fn state(self, commit: u64) -> Self {
        let message = numbers(&[self.term, 7, commit]);
        self.record(STATE, Some(&message))
    }

    /// A snapshot record; from 3.5 on with its voters.
    pub fn snapshot(self, index: u64, voters: Option<&[u64]>) -> Self {
        let mut message = numbers(&[index, self.term]);
        if let Some(voters) = voters {
            bytes_field(&mut message, 3, &conf_state(voters));
        }
        self.record(SNAPSHOT, Some(&message))
    }

    /// The term of its entries, and the index of the next.
    pub fn place(&self) -> (u64, u64) {
        (self.term, self.next)
    }

    pub fn crc(&self) -> u32 {
        self.crc
    }

    /// Its bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The segment, without the zeros behind its end.
    pub fn bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The segment as the last of a log.
    pub fn last(self) -> Vec<u8> {
        [self.bytes, vec![0; 4096]].concat()
    }
}

/// A log up to this entry, all of it committed, that begins with these members.
pub fn log_of(node_id: u64, members: &[u64], last: u64) -> Vec<u8> {
    let begun = members.iter().fold(LogBuilder::new(node_id), |log, id| log.change(ADD, *id));
    begun.entries_to(last).state(last).last()
}

/// A record's type and data.
pub type Record = (u64, Vec<u8>);

/// The records of a segment as far as its frames can be followed, and where they end.
pub fn records_of(segment: &[u8]) -> (Vec<Record>, usize) {
    let mut frames = Frames::of(segment);
    let (mut records, mut end) = (Vec::new(), 0);
    while let Ok(Some(frame)) = frames.next_frame() {
        let Ok(record) = WalRecord::parse(frame.record, 0) else { break };
        let kind = match record.kind {
            RecordType::Metadata => METADATA,
            RecordType::Entry => ENTRY,
            RecordType::State => STATE,
            RecordType::Checksum => CHECKSUM,
            RecordType::Snapshot => SNAPSHOT,
        };
        records.push((kind, if kind == CHECKSUM { Vec::new() } else { record.data.to_vec() }));
        end = frame.end;
    }
    (records, end)
}

/// The first segment of a log with these records, without zeros behind its end.
pub fn segment_of(records: &[Record]) -> Vec<u8> {
    segment_after(0, records).0
}

/// A segment with these records that comes after one that ended with this checksum, and its own last checksum.
pub fn segment_after(crc: u32, records: &[Record]) -> (Vec<u8>, u32) {
    let built = LogBuilder { bytes: Vec::new(), crc, next: 1, term: 1 };
    let add =
        |built: LogBuilder, (kind, data): &Record| built.record(*kind, (*kind != CHECKSUM).then_some(data));
    let built = records.iter().fold(built, add);
    (built.bytes, built.crc)
}

/// The frames of a segment that can be followed, with the checksums that their data has; and what lies behind them.
pub fn with_right_checksums(segment: &[u8]) -> Vec<u8> {
    let (records, end) = records_of(segment);
    [segment_of(&records), segment[end..].to_vec()].concat()
}
