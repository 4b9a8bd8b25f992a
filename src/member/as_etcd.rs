//! A log as an etcd reads it when it starts: as far as it reads, what it repairs, and at what it gives up
//! (`server/storage/wal/{wal,decoder,repair}.go`). [`super::read`](mod@super::read) reads more, and more strictly.

#![deny(clippy::arithmetic_side_effects)]

use crate::protobuf::{Fields, Value};

use super::log::Segment;

/// Bytes of a length field.
const WORD: usize = 8;
/// What a disk writes at once: a record of which one of these is all zeros was torn.
const SECTOR: usize = 512;
/// The longest record up to 3.5.6 (`maxWALEntrySizeLimit`).
const TEN_MIB: u64 = 10 << 20;

/// How long a record may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LengthLimit {
    /// Less than 10 MiB, else it is an error that is not repaired: up to 3.4 and 3.5.6.
    TenMib,
    /// What is left of the file, else it is taken for torn: from 3.5.7 and 3.6 on.
    File,
}

/// What differs between versions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadRules {
    pub limit: LengthLimit,
    /// Whether a message that ends within a field is taken for torn. Up to 3.6 the error for it is the same as for a file that ends
    /// within a record (gogo/protobuf's `io.ErrUnexpectedEOF`).
    pub is_cut_message_torn: bool,
}

/// Why a start ends at the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WalFailure {
    /// A record's checksum is wrong; the last sound one ends at this position of this file.
    Crc { file: usize, position: u64 },
    /// A file does not go on where the one before it ended.
    Chain,
    /// A record is no message.
    Message,
    /// A record is longer than may be.
    TooLong,
    /// No file begins at or before this snapshot.
    NoFile { index: u64 },
    /// A torn record in another file than the last, which a repair does not find.
    Torn,
    /// Entries are missing after the snapshot.
    Gap { index: u64 },
    /// Files of two members.
    Metadata,
    /// The snapshot record is of another term.
    SnapshotTerm,
    /// A type of record that it does not know.
    RecordType(u64),
}

/// Where reading stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stop {
    End,
    /// In this file, whose last sound record ends there.
    Torn {
        file: usize,
        offset: usize,
    },
    Failed(WalFailure),
}

#[derive(Clone, Copy, Debug)]
struct RawRecord<'a> {
    kind: u64,
    crc: u32,
    data: &'a [u8],
}

const METADATA: u64 = 1;
const ENTRY: u64 = 2;
const STATE: u64 = 3;
const CHECKSUM: u64 = 4;
const SNAPSHOT: u64 = 5;

/// A snapshot record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotRecord {
    pub index: u64,
    pub term: u64,
}

/// An entry, as it lies in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogEntry<'a> {
    pub index: u64,
    /// 0 for a request, 1 for a change of the members.
    pub kind: u64,
    pub data: &'a [u8],
}

/// What a start reads from its snapshot on.
#[derive(Clone, Debug, Default)]
pub struct ReadFrom<'a> {
    pub node_id: u64,
    pub term: u64,
    pub commit: u64,
    /// Those after the snapshot.
    pub entries: Vec<LogEntry<'a>>,
    /// The file that was repaired, and the offset at which it was cut.
    pub repaired: Option<(usize, usize)>,
}

struct Decoder<'s, 'a> {
    files: &'s [Segment<'a>],
    /// How far the last file goes, where it was cut.
    cut: Option<usize>,
    file: usize,
    offset: usize,
    crc: u32,
    rules: ReadRules,
}

impl<'a> Decoder<'_, 'a> {
    fn rest(&self) -> &'a [u8] {
        let Some(file) = self.files.get(self.file) else { return &[] };
        let is_last = self.is_last();
        let end = self.cut.filter(|_| is_last).unwrap_or(file.data.len());
        file.data.get(self.offset..end).unwrap_or_default()
    }

    fn is_last(&self) -> bool {
        self.file.checked_add(1) == Some(self.files.len())
    }

    fn torn(&self) -> Stop {
        Stop::Torn { file: self.file, offset: self.offset }
    }

    fn next(&mut self) -> Result<RawRecord<'a>, Stop> {
        loop {
            if self.file >= self.files.len() {
                return Err(Stop::End);
            }
            let rest = self.rest();
            let Some((field, after)) = rest.split_first_chunk::<WORD>() else {
                if rest.is_empty() {
                    self.next_file();
                    continue;
                }
                return Err(self.torn());
            };
            if *field == [0; WORD] {
                self.next_file();
                continue;
            }
            return self.record(*field, after);
        }
    }

    fn next_file(&mut self) {
        self.file = self.file.saturating_add(1);
        self.offset = 0;
    }

    fn record(&mut self, field: [u8; WORD], after: &'a [u8]) -> Result<RawRecord<'a>, Stop> {
        let number = u64::from_le_bytes(field);
        let len = number & ((1 << 56) - 1);
        let padding = if number >> 63 == 1 { number >> 56 & 7 } else { 0 };
        let whole = len.saturating_add(padding);
        if self.rules.limit == LengthLimit::TenMib && len >= TEN_MIB.saturating_sub(padding) {
            return Err(Stop::Failed(WalFailure::TooLong));
        }
        let frame = usize::try_from(whole).ok().and_then(|whole| after.get(..whole));
        let Some(frame) = frame else { return Err(self.torn()) };
        let message = usize::try_from(len).ok().and_then(|len| frame.get(..len)).unwrap_or_default();
        let is_torn = self.is_last() && has_zero_sector(frame, self.offset);
        let end = self.offset.saturating_add(WORD).saturating_add(frame.len());
        let record = parse(message).map_err(|unread| match unread {
            _ if is_torn => self.torn(),
            BadRecord::Cut if self.rules.is_cut_message_torn => self.torn(),
            BadRecord::Cut | BadRecord::Bad => Stop::Failed(WalFailure::Message),
        })?;
        if record.kind != CHECKSUM {
            self.crc = crc32c::crc32c_append(self.crc, record.data);
            if self.crc != record.crc {
                // etcd names the end of the last sound record
                let failure = WalFailure::Crc { file: self.file, position: self.offset as u64 };
                return Err(if is_torn { self.torn() } else { Stop::Failed(failure) });
            }
        }
        self.offset = end;
        Ok(record)
    }

    /// Takes a file's head. Whether it goes on where the one before it ended.
    fn take_head(&mut self, record: RawRecord<'_>) -> Result<(), Stop> {
        if self.crc != 0 && self.crc != record.crc {
            return Err(Stop::Failed(WalFailure::Chain));
        }
        self.crc = record.crc;
        Ok(())
    }
}

/// Whether one of the sectors that a record's bytes lie in has nothing but zeros of it.
fn has_zero_sector(frame: &[u8], offset: usize) -> bool {
    let mut at = offset.saturating_add(WORD);
    let mut rest = frame;
    while !rest.is_empty() {
        let in_sector = SECTOR.saturating_sub(at.checked_rem(SECTOR).unwrap_or(0)).min(rest.len());
        let (sector, after) = rest.split_at(in_sector);
        if sector.iter().all(|&byte| byte == 0) {
            return true;
        }
        at = at.saturating_add(in_sector);
        rest = after;
    }
    false
}

/// Why a message can't be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum BadRecord {
    /// It ends within a field.
    Cut,
    Bad,
}

/// Reads a record as the code does that gogo/protobuf makes (`walpb/record.pb.go`, `Unmarshal`).
fn parse(message: &[u8]) -> Result<RawRecord<'_>, BadRecord> {
    let mut record = RawRecord { kind: 0, crc: 0, data: &[] };
    let mut rest = message;
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        match (tag >> 3, tag & 7) {
            (1, 0) => record.kind = varint(&mut rest)?,
            // Go takes the low bits
            (2, 0) => {
                record.crc =
                    u32::try_from(varint(&mut rest)? & u64::from(u32::MAX)).map_err(|_| BadRecord::Bad)?;
            }
            (3, 2) => record.data = bytes(&mut rest)?,
            (0..=3, _) => return Err(BadRecord::Bad),
            (_, 0) => drop(varint(&mut rest)?),
            (_, 1) => drop(take(&mut rest, 8)?),
            (_, 2) => drop(bytes(&mut rest)?),
            (_, 3) => skip_group(&mut rest)?,
            (_, 5) => drop(take(&mut rest, 4)?),
            _ => return Err(BadRecord::Bad),
        }
    }
    Ok(record)
}

/// Skips a group that has begun, with those in it (`skipRecord`).
fn skip_group(rest: &mut &[u8]) -> Result<(), BadRecord> {
    let mut depth = 1_usize;
    while depth > 0 {
        match varint(rest)? & 7 {
            0 => drop(varint(rest)?),
            1 => drop(take(rest, 8)?),
            2 => drop(bytes(rest)?),
            3 => depth = depth.saturating_add(1),
            4 => depth = depth.saturating_sub(1),
            5 => drop(take(rest, 4)?),
            _ => return Err(BadRecord::Bad),
        }
    }
    Ok(())
}

fn varint(rest: &mut &[u8]) -> Result<u64, BadRecord> {
    let mut value = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let (&byte, behind) = rest.split_first().ok_or(BadRecord::Cut)?;
        *rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(BadRecord::Bad)
}

fn bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], BadRecord> {
    let len = i64::try_from(varint(rest)?).map_err(|_| BadRecord::Bad)?;
    take(rest, usize::try_from(len).map_err(|_| BadRecord::Bad)?)
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], BadRecord> {
    let (taken, behind) = rest.split_at_checked(len).ok_or(BadRecord::Cut)?;
    *rest = behind;
    Ok(taken)
}

/// Numbers 1 to `N` of a message, 0 where they are not there, and its field 3 or 4, if that is bytes.
fn numbers<const N: usize>(message: &[u8]) -> ([u64; N], &[u8]) {
    let (mut found, mut bytes) = ([0; N], &[][..]);
    for field in Fields::of(message).filter_map(Result::ok) {
        let number = usize::try_from(field.number).unwrap_or(0);
        match field.value {
            Value::Varint(value) => {
                if let Some(slot) = number.checked_sub(1).and_then(|at| found.get_mut(at)) {
                    *slot = value;
                }
            }
            Value::Bytes(value) if number == 3 || number == 4 => bytes = value,
            _ => {}
        }
    }
    (found, bytes)
}

fn snapshot_record(data: &[u8]) -> SnapshotRecord {
    let ([index, term], _) = numbers(data);
    SnapshotRecord { index, term }
}

/// The snapshot records up to the committed entry, of all files: what a start reads first. A torn record ends it.
///
/// # Errors
/// What ends the start with `discovery failed`.
pub fn snapshot_records(files: &[Segment<'_>], rules: ReadRules) -> Result<Vec<SnapshotRecord>, WalFailure> {
    let mut decoder = Decoder { files, cut: None, file: 0, offset: 0, crc: 0, rules };
    let (mut records, mut commit) = (Vec::new(), 0);
    loop {
        let taken = decoder.next().and_then(|record| {
            match record.kind {
                SNAPSHOT => records.push(snapshot_record(record.data)),
                STATE => ([_, _, commit], _) = numbers(record.data),
                CHECKSUM => decoder.take_head(record)?,
                _ => {}
            }
            Ok(())
        });
        match taken {
            Ok(()) => {}
            Err(Stop::End | Stop::Torn { .. }) => break,
            Err(Stop::Failed(failure)) => return Err(failure),
        }
    }
    records.retain(|record| record.index <= commit);
    Ok(records)
}

/// What a start reads after the snapshot of this index and term. A torn record in the last file is cut off, with all after it.
///
/// `files` are all segments, in order, and the first index of each.
///
/// # Errors
/// What ends the start with `failed to open WAL` or `failed to read WAL`.
pub fn read_from<'a>(
    files: &[Segment<'a>],
    first_indices: &[u64],
    from: (u64, u64),
    rules: ReadRules,
) -> Result<ReadFrom<'a>, WalFailure> {
    let begin = first_indices.iter().rposition(|&first| first <= from.0);
    let begin = begin.ok_or(WalFailure::NoFile { index: from.0 })?;
    let selected = files.get(begin..).unwrap_or_default();
    let mut cut = None;
    loop {
        let decoder = Decoder { files: selected, cut, file: 0, offset: 0, crc: 0, rules };
        match read_all(decoder, from) {
            Ok(mut read) => {
                read.repaired = cut.map(|cut| (files.len().saturating_sub(1), cut));
                return Ok(read);
            }
            Err(Stop::Torn { file, offset })
                if cut.is_none() && file.checked_add(1) == Some(selected.len()) =>
            {
                cut = Some(offset);
            }
            Err(Stop::Torn { .. } | Stop::End) => return Err(WalFailure::Torn),
            Err(Stop::Failed(failure)) => return Err(failure),
        }
    }
}

fn read_all<'a>(mut decoder: Decoder<'_, 'a>, (index, term): (u64, u64)) -> Result<ReadFrom<'a>, Stop> {
    let mut read = ReadFrom::default();
    let mut metadata = None;
    loop {
        let record = match decoder.next() {
            Ok(record) => record,
            Err(Stop::End) => return Ok(read),
            Err(stop) => return Err(stop),
        };
        match record.kind {
            ENTRY => take_entry(&mut read.entries, record.data, index)?,
            STATE => ([read.term, _, read.commit], _) = numbers(record.data),
            METADATA => {
                if *metadata.get_or_insert(record.data) != record.data {
                    return Err(Stop::Failed(WalFailure::Metadata));
                }
                ([read.node_id], _) = numbers(record.data);
            }
            CHECKSUM => decoder.take_head(record)?,
            SNAPSHOT => {
                let found = snapshot_record(record.data);
                if found.index == index && found.term != term {
                    return Err(Stop::Failed(WalFailure::SnapshotTerm));
                }
            }
            other => return Err(Stop::Failed(WalFailure::RecordType(other))),
        }
    }
}

/// A later entry of an index takes the place of the earlier one and all after it.
fn take_entry<'a>(entries: &mut Vec<LogEntry<'a>>, message: &'a [u8], after: u64) -> Result<(), Stop> {
    let ([kind, _, index], data) = numbers(message);
    let Some(before) = index.checked_sub(after).and_then(|distance| distance.checked_sub(1)) else {
        return Ok(());
    };
    let before = usize::try_from(before).ok().filter(|&before| before <= entries.len());
    let before = before.ok_or(Stop::Failed(WalFailure::Gap { index }))?;
    entries.truncate(before);
    entries.push(LogEntry { index, kind, data });
    Ok(())
}
