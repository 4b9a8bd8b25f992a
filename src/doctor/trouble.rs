//! What is in the way of a start.

use serde::Serialize;

/// What is in the way of a start, or of its writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    /// The db can't be read whole.
    DbDamaged,
    /// There is no db, and the log does not reach back to its first entry.
    DbMissing,
    /// The db is older than the snapshot that the start goes on from.
    DbBehindSnapshot,
    /// A db that the leader sent waits to be put in place.
    ReceivedDbWaits,
    /// The db has the effect of entries that the log lacks.
    DbAhead,
    /// A record of the log is damaged.
    LogDamaged,
    /// Segments of the log are missing.
    SegmentMissing,
    /// The log has segments of two members.
    SegmentsOfTwo,
    /// The log says nothing.
    EmptyLog,
    /// The log has no snapshot record.
    NoSnapshotRecord,
    /// The log says that more was committed than it has.
    CommitBeyondEnd,
    /// A newer etcd wrote the directory.
    NewerVersion,
    /// A request of the API v2 is in the log.
    V2Request,
    /// Keys of the API v2 are in the snapshot.
    V2Content,
    /// The log has an entry that no etcd writes.
    UnknownEntry,
    /// The db has members that raft does not know.
    Strangers,
    /// The log does not say who votes.
    NoVoters,
    /// An alarm is set.
    Alarm,
    /// etcd cuts its log, and entries that can be read are behind the cut.
    CutsLog,
    /// Requests of the log would be decided otherwise than by the etcd that wrote them.
    JudgedOtherwise,
}
