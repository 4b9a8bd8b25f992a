//! Why a start ends: the message that etcd prints, and what is wrong.

use std::fmt::Write;

use crate::etcd::apply::Version;
use crate::member::as_etcd::WalFailure;
use crate::member::log::Segment;

use super::trouble::Trouble;

/// What a start ends with.
pub(super) struct StartFailure {
    pub(super) trouble: Trouble,
    /// Its last message, `…` for what can't be known.
    pub(super) message: String,
    /// What is wrong, in words.
    pub(super) why: String,
}

impl StartFailure {
    pub(super) fn new(trouble: Trouble, message: impl Into<String>, why: impl Into<String>) -> Self {
        Self { trouble, message: message.into(), why: why.into() }
    }

    /// What a start says at a failure of the log, after `what` it could not do.
    pub(super) fn of_log(
        version: Version,
        what: &str,
        failure: WalFailure,
        segments: &[Segment<'_>],
    ) -> Self {
        let is_at_least = |minor| version >= Version::new(3, minor, 0);
        let mut words = format!("fatal: {what} | ");
        let name = |file: usize| segments.get(file).map_or("", |segment| segment.name);
        let said = match failure {
            WalFailure::Crc { file, position } if is_at_least(6) => write!(
                words,
                "walpb: crc mismatch: expected: … computed: …: in file '{}' at position: {position}",
                name(file)
            ),
            WalFailure::Crc { .. } => write!(words, "walpb: crc mismatch"),
            WalFailure::Chain if is_at_least(6) => write!(words, "walpb: crc mismatch"),
            WalFailure::Chain => write!(words, "wal: crc mismatch"),
            WalFailure::Message => write!(words, "proto: …"),
            WalFailure::TooLong => write!(words, "wal: max entry size limit exceeded"),
            WalFailure::NoFile { index } if is_at_least(6) => {
                write!(words, "…wal: file not found which matches the snapshot index '{index}'")
            }
            WalFailure::NoFile { .. } => write!(words, "wal: file not found"),
            WalFailure::Torn => write!(words, "unexpected EOF"),
            WalFailure::Gap { index } if is_at_least(6) => {
                write!(words, "wal: slice bounds out of range, snapshot[…], current entry[Index: {index}, …")
            }
            WalFailure::Gap { .. } => write!(words, "wal: slice bounds out of range"),
            WalFailure::Metadata => write!(words, "wal: conflicting metadata found"),
            WalFailure::SnapshotTerm => write!(words, "wal: snapshot mismatch"),
            WalFailure::RecordType(kind) if !is_at_least(7) => {
                write!(words, "unexpected block type {kind}")
            }
            WalFailure::RecordType(_) => write!(words, "unexpected block type …"),
        };
        // a string takes all that is written to it
        let trouble = match failure {
            WalFailure::Chain | WalFailure::NoFile { .. } | WalFailure::Gap { .. } => Trouble::SegmentMissing,
            WalFailure::Metadata => Trouble::SegmentsOfTwo,
            _ => Trouble::LogDamaged,
        };
        Self::new(trouble, said.map(|()| words).unwrap_or_default(), cause(failure, segments))
    }
}

/// What is wrong with a log, in words.
fn cause(failure: WalFailure, segments: &[Segment<'_>]) -> String {
    let name = |file: usize| segments.get(file).map_or("", |segment| segment.name);
    match failure {
        WalFailure::Crc { file, position } => {
            format!("a record of its log was changed: {}, byte {position}", name(file))
        }
        WalFailure::Chain => {
            "segments of its log do not follow each other: one is missing, or is of another log".to_owned()
        }
        WalFailure::Message => "a record of its log is damaged".to_owned(),
        WalFailure::TooLong => "a record of its log is longer than 10 MiB, or says so".to_owned(),
        WalFailure::NoFile { index } => {
            format!("the segments before entry {index} are missing, from which it would go on")
        }
        WalFailure::Torn => "a segment before the last one is cut".to_owned(),
        WalFailure::Gap { index } => format!("entries before {index} are missing in its log"),
        WalFailure::Metadata => "its log has segments of two members".to_owned(),
        WalFailure::SnapshotTerm => "its log and its snapshot are of different histories".to_owned(),
        WalFailure::RecordType(kind) => format!("its log has a record of the unknown type {kind}"),
    }
}
