//! What is sound at a fault of a segment, and after it.
//!
//! A record's checksum is that of its own data and all before, so a record is proved by the checksum that the one before it
//! holds, whether that one is sound or not. Frames begin at multiples of eight bytes.

#![deny(clippy::arithmetic_side_effects)]

use crate::protobuf::{take_bytes, take_varint};

use super::fault::LogFaultKind;
use super::frame::Frames;
use super::record::{RecordType, WalRecord, WalRecords};

/// Bytes that frames are aligned to.
const STEP: usize = 8;
/// How often, all in all, a segment's bytes are summed to prove what may be a record. Frames that were made to lie within each other
/// can't make the search long.
const MAX_PROOFS: usize = 4;

/// Bytes of a segment that may still be summed.
#[derive(Debug)]
pub struct Proofs(usize);

impl Proofs {
    pub fn of(segment: &[u8]) -> Self {
        Self(segment.len().saturating_mul(MAX_PROOFS))
    }
}

/// The records after the next one that is proved by the one before it, from a fault at this offset on.
pub fn resync<'a>(
    segment: &'a [u8],
    fault_at: u64,
    kind: LogFaultKind,
    proofs: &mut Proofs,
) -> Option<WalRecords<'a>> {
    let begin = match kind {
        LogFaultKind::BehindTheEnd { behind } => behind,
        LogFaultKind::EndNotMarked => return None,
        _ => fault_at,
    };
    let first = usize::try_from(begin).ok()?;
    let first = first.checked_sub(first.checked_rem(STEP)?)?;
    for at in (first..segment.len()).step_by(STEP) {
        let Some((crc, behind)) = frame_at(segment, at) else { continue };
        let mut records = WalRecords::behind(segment, behind, crc);
        let Some(len) = next_len(segment, behind) else { continue };
        proofs.0 = proofs.0.checked_sub(len)?;
        if matches!(records.clone().next_record(), Ok(Some(_))) {
            // the record that is proved is read by whoever asked
            records = WalRecords::behind(segment, behind, crc);
            return Some(records);
        }
    }
    None
}

/// The record at this offset, whatever its frame's length field says: a record tells its own length, and its checksum proves it, where
/// that of the records before is known. Gives what comes after it, too.
pub fn by_its_own_length<'a>(
    segment: &'a [u8],
    fault_at: u64,
    crc: Option<u32>,
    proofs: &mut Proofs,
) -> Option<(WalRecord<'a>, WalRecords<'a>)> {
    let at = usize::try_from(fault_at).ok()?;
    let begin = at.checked_add(STEP)?;
    let rest = segment.get(begin..)?;
    let len = record_len(rest)?;
    proofs.0 = proofs.0.checked_sub(len)?;
    let record = WalRecord::parse(rest.get(..len)?, fault_at).ok()?;
    let is_proved =
        record.kind != RecordType::Checksum && crc32c::crc32c_append(crc?, record.data) == record.crc;
    let end = begin.checked_add(len)?.checked_next_multiple_of(STEP)?;
    is_proved.then(|| (record, WalRecords::behind(segment, end, record.crc)))
}

/// Bytes of a record by its fields: a type, a checksum, and data with its length.
fn record_len(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    for tag in [0x08, 0x10, 0x1a] {
        rest = rest.strip_prefix(&[tag])?;
        match tag {
            0x1a => drop(take_bytes(&mut rest).ok()?),
            _ => drop(take_varint(&mut rest)?),
        }
    }
    bytes.len().checked_sub(rest.len())
}

/// The checksum that what may be a record at this offset holds, and where it ends.
fn frame_at(segment: &[u8], at: usize) -> Option<(u32, usize)> {
    let mut frames = Frames::at(segment, at);
    let frame = frames.next_frame().ok()??;
    let record = WalRecord::parse(frame.record, frame.begin as u64).ok()?;
    Some((record.crc, frame.end))
}

/// Bytes of the frame at this offset, if there is one.
fn next_len(segment: &[u8], at: usize) -> Option<usize> {
    let mut frames = Frames::at(segment, at);
    let frame = frames.next_frame().ok()??;
    frame.end.checked_sub(frame.begin)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame that holds a record with this checksum and these bytes of data.
    fn frame(crc: u32, data: &[u8]) -> Vec<u8> {
        let mut record = vec![8, 2, 16];
        prost::encoding::encode_varint(crc.into(), &mut record);
        record.push(26);
        prost::encoding::encode_varint(data.len() as u64, &mut record);
        record.extend_from_slice(data);
        let padding = record.len().wrapping_neg() % 8;
        let marks = if padding == 0 { 0 } else { 0x80 | padding as u64 };
        let len = record.len() as u64 | marks << 56;
        [&len.to_le_bytes()[..], &record, &[0; 8][..padding]].concat()
    }

    /// Each fault is followed by frames that span all that comes after, and then by one that is proved.
    #[test]
    fn frames_within_each_other_do_not_make_it_long() {
        const UNITS: usize = 500;
        let mut segment = Vec::new();
        for _ in 0..UNITS {
            let trap = [frame(1, b"x"), frame(2, &segment)].concat();
            let proved = frame(crc32c::crc32c_append(3, b"y"), b"y");
            segment = [&trap[..trap.len() - segment.len()], &frame(3, b"x"), &proved, &segment].concat();
        }
        let all_found = |is_shared: bool| {
            let (mut proofs, mut at, mut found) = (Proofs::of(&segment), 0, 0);
            while let Some(mut records) = resync(&segment, at, LogFaultKind::LengthField, &mut proofs) {
                records.next_record().expect("proved");
                at = records.position();
                found += 1;
                proofs = if is_shared { proofs } else { Proofs::of(&segment) };
            }
            found
        };
        assert!(all_found(false) > UNITS / 2);
        let found = all_found(true);
        assert!((1..20).contains(&found), "{found}: all in all, each byte is summed {MAX_PROOFS} times");
    }
}
