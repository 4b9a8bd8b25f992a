//! Records, and the checksum that rolls over all of them (`server/storage/wal/walpb/record.proto`, `pkg/crc`).
//!
//! A record's checksum is the CRC-32C of its data and that of all records before, since the log's first. A segment begins
//! with a record that holds the value of the segment before.

#![deny(clippy::arithmetic_side_effects)]

use crate::protobuf::{Fields, Value};

use super::fault::{LogFaultKind, MessageError};
use super::frame::{Frames, FramesEnd};

/// What a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordType {
    /// Whose log it is.
    Metadata,
    /// An entry of raft's log.
    Entry,
    /// Raft's term, vote and commit.
    State,
    /// The checksum so far.
    Checksum,
    /// A snapshot was made or received.
    Snapshot,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WalRecord<'a> {
    /// Where its frame begins.
    pub offset: u64,
    pub kind: RecordType,
    /// The checksum, its own data counted in.
    pub crc: u32,
    pub data: &'a [u8],
}

impl<'a> WalRecord<'a> {
    /// Reads a record. etcd writes its fields in order, and the first two always.
    ///
    /// # Errors
    /// No such message; a type that etcd does not know.
    pub fn parse(message: &'a [u8], offset: u64) -> Result<Self, LogFaultKind> {
        let (mut kind, mut crc, mut data) = (None, None, None);
        let mut last = 0;
        for field in Fields::of(message) {
            let field = field.map_err(|error| LogFaultKind::Record(error.into()))?;
            let unexpected = LogFaultKind::Record(MessageError::Field(field.number));
            if field.number <= last {
                return Err(unexpected);
            }
            last = field.number;
            match (field.number, field.value) {
                (1, Value::Varint(value)) => kind = Some(value),
                (2, Value::Varint(value)) => crc = Some(u32::try_from(value).map_err(|_| unexpected)?),
                (3, Value::Bytes(value)) => data = Some(value),
                _ => return Err(unexpected),
            }
        }
        let kind = match kind.ok_or(LogFaultKind::Record(MessageError::Missing("type")))? {
            1 => RecordType::Metadata,
            2 => RecordType::Entry,
            3 => RecordType::State,
            4 if data.is_some() => return Err(LogFaultKind::Record(MessageError::Field(3))),
            4 => RecordType::Checksum,
            5 => RecordType::Snapshot,
            other => return Err(LogFaultKind::RecordType(other)),
        };
        let crc = crc.ok_or(LogFaultKind::Record(MessageError::Missing("checksum")))?;
        Ok(Self { offset, kind, crc, data: data.unwrap_or_default() })
    }
}

/// The records of a segment, each with its checksum proved. Its first is the one that holds the checksum of the segment
/// before.
#[derive(Clone, Debug)]
pub struct WalRecords<'a> {
    frames: Frames<'a>,
    /// The checksum so far; `None` before the first segment that there is.
    crc: Option<u32>,
    at_head: bool,
    has_odd_padding: bool,
}

impl<'a> WalRecords<'a> {
    /// Of a segment, after one that ended with this checksum.
    pub fn of(segment: &'a [u8], crc: Option<u32>) -> Self {
        Self { frames: Frames::of(segment), crc, at_head: true, has_odd_padding: false }
    }

    /// Those from an offset on, after a record with this checksum.
    pub fn behind(segment: &'a [u8], offset: usize, crc: u32) -> Self {
        Self { frames: Frames::at(segment, offset), crc: Some(crc), at_head: false, has_odd_padding: false }
    }

    /// Where the next frame begins: where a fault is, if there is one.
    pub fn position(&self) -> u64 {
        self.frames.position() as u64
    }

    /// Whether the last record has padding that is not zeros, which etcd never writes, and does not mind.
    pub fn has_odd_padding(&self) -> bool {
        self.has_odd_padding
    }

    /// The checksum so far.
    pub fn crc(&self) -> Option<u32> {
        self.crc
    }

    /// The next record; `None` at the segment's end.
    ///
    /// # Errors
    /// What is wrong with it. Nothing comes after an error.
    pub fn next_record(&mut self) -> Result<Option<WalRecord<'a>>, LogFaultKind> {
        let mut frames = self.frames.clone();
        let Some(frame) = frames.next_frame()? else { return Ok(None) };
        let record = WalRecord::parse(frame.record, frame.begin as u64)?;
        if self.at_head {
            if record.kind != RecordType::Checksum {
                return Err(LogFaultKind::Head);
            }
            if self.crc.is_some_and(|crc| crc != record.crc) {
                return Err(LogFaultKind::Chain);
            }
        } else {
            if record.kind == RecordType::Checksum {
                return Err(LogFaultKind::NotAtTheHead);
            }
            let computed = crc32c::crc32c_append(self.crc.unwrap_or(0), record.data);
            if computed != record.crc {
                return Err(LogFaultKind::Checksum { stored: record.crc, computed });
            }
        }
        (self.crc, self.at_head, self.frames) = (Some(record.crc), false, frames);
        self.has_odd_padding = !frame.is_padded_with_zeros;
        Ok(Some(record))
    }

    /// How the segment ends, where there is no next record.
    ///
    /// # Errors
    /// Something lies after the end.
    pub fn end(&self) -> Result<FramesEnd, LogFaultKind> {
        self.frames.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read() {
        let record = WalRecord::parse(b"\x08\x02\x10\xff\xff\xff\xff\x0f\x1a\x02ab", 40);
        let expected = WalRecord { offset: 40, kind: RecordType::Entry, crc: u32::MAX, data: b"ab" };
        assert_eq!(record, Ok(expected));
        let checksum = WalRecord { offset: 0, kind: RecordType::Checksum, crc: 0, data: b"" };
        assert_eq!(WalRecord::parse(b"\x08\x04\x10\x00", 0), Ok(checksum));
    }

    #[test]
    fn every_number_that_lies_is_a_fault() {
        let message = |error| Err(LogFaultKind::Record(error));
        for (bytes, expected) in [
            (&b"\x08\x00\x10\x00"[..], Err(LogFaultKind::RecordType(0))),
            (b"\x08\x06\x10\x00", Err(LogFaultKind::RecordType(6))),
            (
                b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\x00",
                Err(LogFaultKind::RecordType(u64::MAX)),
            ),
            (b"\x10\x00", message(MessageError::Missing("type"))),
            (b"\x08\x02", message(MessageError::Missing("checksum"))),
            // a checksum of more than 32 bits
            (b"\x08\x02\x10\x80\x80\x80\x80\x10", message(MessageError::Field(2))),
            (b"\x10\x00\x08\x02", message(MessageError::Field(1))),
            (b"\x08\x02\x08\x02\x10\x00", message(MessageError::Field(1))),
            (b"\x08\x02\x10\x00\x18\x05", message(MessageError::Field(3))),
            (b"\x08\x02\x10\x00\x22\x00", message(MessageError::Field(4))),
            (b"\x08\x04\x10\x00\x1a\x00", message(MessageError::Field(3))),
        ] {
            assert_eq!(WalRecord::parse(bytes, 0), expected, "{bytes:02x?}");
        }
    }
}
