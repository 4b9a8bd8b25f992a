//! A log of one segment, and a `.snap` file, made anew: field by field as etcd writes them (`server/storage/wal/{wal,encoder}.go`,
//! `api/snap/snapshotter.go`, `etcdutl/snapshot/v3_snapshot.go`).

#![deny(clippy::arithmetic_side_effects)]

use std::io::{self, Write};

use crate::protobuf::{put_bytes, put_number};

use super::conf_state::ConfState;
use super::message::{HardState, Metadata, Snapshot};

/// Bytes of a new segment: etcd makes room for so many at once (`wal.go`, `SegmentSizeBytes`).
pub const SEGMENT_BYTES: u64 = 64_000_000;

const METADATA: u64 = 1;
const ENTRY: u64 = 2;
const STATE: u64 = 3;
const CHECKSUM: u64 = 4;
const SNAPSHOT: u64 = 5;

/// The name of a segment.
pub fn segment_name(sequence: u64, first_index: u64) -> String {
    format!("{sequence:016x}-{first_index:016x}.wal")
}

/// The name of a `.snap` file.
pub fn snap_name(term: u64, index: u64) -> String {
    format!("{term:016x}-{index:016x}.snap")
}

/// A log in the making.
#[derive(Debug)]
pub struct WalWriter<W> {
    out: W,
    crc: u32,
    bytes: u64,
}

impl<W: Write> WalWriter<W> {
    /// Begins the log of a member.
    ///
    /// # Errors
    /// The writer's.
    pub fn begin(out: W, metadata: Metadata) -> io::Result<Self> {
        let mut log = Self { out, crc: 0, bytes: 0 };
        log.record(CHECKSUM, None)?;
        let mut message = Vec::new();
        put_number(&mut message, 1, metadata.node_id);
        put_number(&mut message, 2, metadata.cluster_id);
        log.record(METADATA, Some(&message))?;
        Ok(log)
    }

    /// Adds that a snapshot was made.
    ///
    /// # Errors
    /// The writer's.
    pub fn snapshot(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        let mut message = Vec::new();
        put_number(&mut message, 1, snapshot.index);
        put_number(&mut message, 2, snapshot.term);
        if let Some(config) = &snapshot.config {
            put_bytes(&mut message, 3, &conf_state(config));
        }
        self.record(SNAPSHOT, Some(&message))
    }

    /// Adds an entry, by its message.
    ///
    /// # Errors
    /// The writer's.
    pub fn entry(&mut self, message: &[u8]) -> io::Result<()> {
        self.record(ENTRY, Some(message))
    }

    /// Adds raft's state, which ends the log, and gives its bytes.
    ///
    /// # Errors
    /// The writer's.
    pub fn end(mut self, state: HardState, snapshot: Option<&Snapshot>) -> io::Result<u64> {
        let mut message = Vec::new();
        put_number(&mut message, 1, state.term);
        put_number(&mut message, 2, state.vote);
        put_number(&mut message, 3, state.commit);
        self.record(STATE, Some(&message))?;
        if let Some(snapshot) = snapshot {
            self.snapshot(snapshot)?;
        }
        self.out.flush()?;
        Ok(self.bytes)
    }

    /// A frame: the lengths of a record and of its padding, the record, the padding.
    fn record(&mut self, kind: u64, data: Option<&[u8]>) -> io::Result<()> {
        self.crc = crc32c::crc32c_append(self.crc, data.unwrap_or_default());
        let mut record = Vec::new();
        put_number(&mut record, 1, kind);
        put_number(&mut record, 2, self.crc.into());
        if let Some(data) = data {
            put_bytes(&mut record, 3, data);
        }
        let len = record.len() as u64;
        let padding = len.wrapping_neg() & 7;
        let marks = if padding == 0 { 0 } else { 0x80 | padding };
        record.resize(usize::try_from(len.saturating_add(padding)).unwrap_or(usize::MAX), 0);
        self.out.write_all(&(len | marks << 56).to_le_bytes())?;
        self.out.write_all(&record)?;
        self.bytes = self.bytes.saturating_add(8).saturating_add(record.len() as u64);
        Ok(())
    }
}

/// An entry that adds a member, as a restore begins with; `member` is its JSON.
pub fn add_member(index: u64, term: u64, node_id: u64, member: &[u8]) -> Vec<u8> {
    let mut change = Vec::new();
    for (field, value) in [(1, 0), (2, 0), (3, node_id)] {
        put_number(&mut change, field, value);
    }
    put_bytes(&mut change, 4, member);
    let mut message = head(1, term, index);
    put_bytes(&mut message, 4, &change);
    message
}

/// An entry without a request, as a new leader writes it.
pub fn empty_entry(index: u64, term: u64) -> Vec<u8> {
    head(0, term, index)
}

fn head(kind: u64, term: u64, index: u64) -> Vec<u8> {
    let mut message = Vec::new();
    for (field, value) in [(1, kind), (2, term), (3, index)] {
        put_number(&mut message, field, value);
    }
    message
}

fn conf_state(config: &ConfState) -> Vec<u8> {
    let mut message = Vec::new();
    config.voters().iter().for_each(|&id| put_number(&mut message, 1, id));
    config.learners().iter().for_each(|&id| put_number(&mut message, 2, id));
    put_number(&mut message, 5, 0);
    message
}

/// A `.snap` file, with the v2 store as JSON.
pub fn snap_file(index: u64, term: u64, config: &ConfState, store: &[u8]) -> Vec<u8> {
    let mut metadata = Vec::new();
    put_bytes(&mut metadata, 1, &conf_state(config));
    put_number(&mut metadata, 2, index);
    put_number(&mut metadata, 3, term);
    let mut data = Vec::new();
    put_bytes(&mut data, 1, store);
    put_bytes(&mut data, 2, &metadata);
    let mut file = Vec::new();
    put_number(&mut file, 1, crc32c::crc32c(&data).into());
    put_bytes(&mut file, 2, &data);
    file
}

#[cfg(test)]
mod tests {
    use super::super::log::Segment;
    use super::super::message::EntryData;
    use super::super::read::ReadLog;
    use super::super::snap;
    use super::*;

    /// Of every length of padding.
    #[test]
    fn what_is_written_is_read() {
        let config = ConfState::new([7, 9], [11]);
        for len in 0..20 {
            let metadata = Metadata { node_id: 7, cluster_id: u64::MAX };
            let mut bytes = Vec::new();
            let mut log = WalWriter::begin(&mut bytes, metadata).unwrap();
            log.snapshot(&Snapshot { index: 0, term: 0, config: None }).unwrap();
            log.entry(&add_member(1, 1, 7, &vec![b'a'; len])).unwrap();
            log.entry(&empty_entry(2, 300)).unwrap();
            let state = HardState { term: 300, vote: 7, commit: 2 };
            let snapshot = Snapshot { index: 2, term: 300, config: Some(config.clone()) };
            let written = log.end(state, Some(&snapshot)).unwrap();
            assert_eq!(written, bytes.len() as u64);
            let name = segment_name(0, 0);
            bytes.extend([0; 64]);
            let read = ReadLog::read(&[Segment { name: &name, data: &bytes }]);
            assert_eq!(read.faults, []);
            assert_eq!((read.log.metadata, read.log.state), (metadata, state));
            assert_eq!(read.log.snapshots.last(), Some(&snapshot));
            let entries: Vec<_> = read.stretches[0].entries().collect();
            assert!(
                matches!(entries[0].content, EntryData::ConfChange(_, context) if context == vec![b'a'; len])
            );
            assert_eq!((entries[1].index, entries[1].term), (2, 300));
        }
        let file = snap_file(5, 2, &config, b"{}");
        let (snapshot, store) = snap::parse_with_store(&file).unwrap();
        assert_eq!((snapshot, store), (Snapshot { index: 5, term: 2, config: Some(config) }, &b"{}"[..]));
    }
}
