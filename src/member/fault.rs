//! What can be wrong with a log.

use thiserror::Error;

use crate::protobuf::WireError;

/// A fault of a log, and where it is.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{segment}, byte {offset}: {kind}")]
pub struct LogFault {
    /// The segment's file name.
    pub segment: String,
    /// Where in it the damaged frame begins.
    pub offset: u64,
    /// The kind of fault.
    pub kind: LogFaultKind,
}

/// The kind of fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum LogFaultKind {
    /// There is no log at all.
    #[error("there is no segment")]
    NoSegments,
    /// A file that etcd takes for a segment, by its ending.
    #[error("the name is not a segment's")]
    Name,
    /// The number of a segment does not follow the one before.
    #[error("segment {expected} is missing")]
    MissingSegment {
        /// The number that should come here.
        expected: u64,
    },
    /// A frame that the end of the file cuts.
    #[error("a record is cut by the end of the file")]
    Cut,
    /// A length field whose padding is not that of its length.
    #[error("a length field is damaged")]
    LengthField,
    /// Padding that is not zero.
    #[error("the bytes between two records are not zero")]
    Padding,
    /// Zeros where the log should go on, and more of it after them.
    #[error("the log seems to end here, but byte {behind} is not zero")]
    BehindTheEnd {
        /// The first byte that is not zero.
        behind: u64,
    },
    /// The last segment ends with its last record. etcd keeps zeros after the log's end: either the file was cut, or etcd
    /// has repaired it (`server/storage/wal/repair.go`), and has not begun another segment since.
    #[error(
        "the file ends with a record, without the zeros that mark the log's end: it was cut, or repaired"
    )]
    EndNotMarked,
    /// Bytes that are no record.
    #[error("no record: {0}")]
    Record(MessageError),
    /// A type of record that etcd does not know.
    #[error("a record of the unknown type {0}")]
    RecordType(u64),
    /// A record whose checksum is not that of its data and all before.
    #[error("a record's checksum is {stored:08x}, that of its data {computed:08x}")]
    Checksum {
        /// What the record says.
        stored: u32,
        /// What its data has.
        computed: u32,
    },
    /// A segment that does not follow the one before.
    #[error(
        "the segment does not go on where the one before ends: another is missing, or it is of another log"
    )]
    Chain,
    /// A segment whose first records are not those of a segment's head.
    #[error("a segment begins with its checksum and the member's metadata: this one does not")]
    Head,
    /// A record that belongs to a segment's head.
    #[error("a record that only begins a segment")]
    NotAtTheHead,
    /// The data of a record.
    #[error("a record's data is not what its type says: {0}")]
    Message(MessageError),
    #[error("a record of another member or cluster")]
    OtherMember,
    /// An entry that does not follow the one before.
    #[error("entry {found} follows entry {last}: those between are missing")]
    Gap {
        /// The last entry before.
        last: u64,
        /// The next one that is there.
        found: u64,
    },
    /// More gaps than are kept apart, or more changes than are kept.
    #[error(
        "the log has more gaps, or changes of the term or of the members, than any etcd makes: only the entries from {first} on are read"
    )]
    LeftOut {
        /// The first entry that is kept.
        first: u64,
    },
    /// A log that etcd can't start from: what lies before its first entry is in no snapshot that it names.
    #[error(
        "the log begins with entry {first}, and names no snapshot of what was before: older segments are missing"
    )]
    NoBeginning { first: u64 },
    /// A term or a commit that goes back, which raft never does.
    #[error("the {what} goes back from {from} to {to}")]
    GoesBack {
        what: &'static str,
        /// The number before the step.
        from: u64,
        /// The number after it.
        to: u64,
    },
    /// The log lost its end: etcd has committed more than there is.
    #[error("entries up to {commit} were committed, and the last one here is {last}")]
    CommitBeyondEnd {
        /// The last entry known to be committed.
        commit: u64,
        last: u64,
    },
}

/// Bytes that are not the message that they should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum MessageError {
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A field that this message does not have, or that comes twice.
    #[error("field {0} is not expected there")]
    Field(u32),
    /// A field without which the message makes no sense.
    #[error("it has no {0}")]
    Missing(&'static str),
    /// A number that etcd never writes there.
    #[error("its {0} can't be")]
    Value(&'static str),
}
