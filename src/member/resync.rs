//! What is sound after a fault of a segment.
//!
//! A record's checksum is that of its own data and all before, so a record is proved by the checksum that the one before it
//! holds, whether that one is sound or not. Frames begin at multiples of eight bytes.

#![deny(clippy::arithmetic_side_effects)]

use super::fault::LogFaultKind;
use super::frame::Frames;
use super::record::{WalRecord, WalRecords};

/// Bytes that frames are aligned to.
const STEP: usize = 8;
/// How often, all in all, a segment's bytes are summed to prove what may be a record. Frames that were made to lie within each other
/// can't make the search long.
const MAX_PROOFS: usize = 4;

/// The records after the next one that is proved by the one before it, from a fault at this offset on.
pub fn resync(segment: &[u8], fault_at: u64, kind: LogFaultKind) -> Option<WalRecords<'_>> {
    let begin = match kind {
        LogFaultKind::BehindTheEnd { behind } => behind,
        LogFaultKind::EndNotMarked => return None,
        _ => fault_at,
    };
    let first = usize::try_from(begin).ok()?;
    let first = first.checked_sub(first.checked_rem(STEP)?)?;
    let mut budget = segment.len().saturating_mul(MAX_PROOFS);
    for at in (first..segment.len()).step_by(STEP) {
        let Some((crc, behind)) = frame_at(segment, at) else { continue };
        let mut records = WalRecords::behind(segment, behind, crc);
        let Some(len) = next_len(segment, behind) else { continue };
        budget = budget.checked_sub(len)?;
        if matches!(records.clone().next_record(), Ok(Some(_))) {
            // the record that is proved is read by whoever asked
            records = WalRecords::behind(segment, behind, crc);
            return Some(records);
        }
    }
    None
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
