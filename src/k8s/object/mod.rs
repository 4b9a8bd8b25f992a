//! An object's own fields: when it was made and last seen, whether it is finished.
//!
//! | file | what is in it |
//! |---|---|
//! | `protobuf` | Kubernetes' protobuf, by prost's wire format |
//! | `fields` | JSON (serde_json) and CBOR (ciborium), by one model |
//!
//! Only the few fields that tell garbage from what is needed are read; no text of an object outlives the reading, and
//! memory does not grow with a value, whatever it claims. `k8s-pb` has all types of Kubernetes' protobuf, but builds
//! each object as a whole: two bytes of a hostile value become an empty container of hundreds. So it is what the tests
//! write objects with, and count them again.

#![deny(clippy::arithmetic_side_effects)]

mod fields;
mod protobuf;
#[cfg(test)]
mod tests;

pub(super) use fields::seconds_of_text;

use thiserror::Error;

use super::value::{Encoding, TypeMeta};

/// A kind of object of which fields are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ObjectKind {
    /// `events`, of both API groups.
    Event,
    /// `jobs.batch`.
    Job,
    /// `replicasets.apps`.
    ReplicaSet,
    /// `pods`.
    Pod,
    /// `leases.coordination.k8s.io`.
    Lease,
}

impl ObjectKind {
    pub const ALL: [Self; 5] = [Self::Event, Self::Job, Self::ReplicaSet, Self::Pod, Self::Lease];

    /// The kind of a resource's objects.
    pub fn of(group: &str, resource: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.resource().as_bytes() == resource && kind.is_in(group))
    }

    /// The plural, as the API has it.
    pub fn resource(self) -> &'static str {
        match self {
            Self::Event => "events",
            Self::Job => "jobs",
            Self::ReplicaSet => "replicasets",
            Self::Pod => "pods",
            Self::Lease => "leases",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Event => "Event",
            Self::Job => "Job",
            Self::ReplicaSet => "ReplicaSet",
            Self::Pod => "Pod",
            Self::Lease => "Lease",
        }
    }

    /// Whether objects of this kind were ever stored in this group: workloads began in `extensions`.
    fn is_in(self, group: &str) -> bool {
        match self {
            Self::Event => ["", "events.k8s.io"].contains(&group),
            Self::Job => ["batch", "extensions"].contains(&group),
            Self::ReplicaSet => ["apps", "extensions"].contains(&group),
            Self::Pod => group.is_empty(),
            Self::Lease => group == "coordination.k8s.io",
        }
    }

    /// Whether a value that says this of itself is such an object.
    fn is_named(self, meta: &TypeMeta<'_>) -> bool {
        meta.kind == self.name() && self.is_in(meta.group)
    }
}

/// A point in time as an object states it, in seconds since 1970: any number, for all that is known.
pub type Seconds = i64;

/// What an object says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ObjectFields {
    /// `metadata.creationTimestamp`, which the API server sets.
    pub created: Option<Seconds>,
    /// An Event's times, whichever it has: `firstTimestamp`, `lastTimestamp`, `eventTime`, `series.lastObservedTime`.
    pub seen: [Option<Seconds>; 4],
    /// A Lease's `spec.renewTime`.
    pub renewed: Option<Seconds>,
    /// A Job's condition `Complete` or `Failed` is `True`; a Pod's phase is `Succeeded` or `Failed`.
    pub finished: bool,
    /// `spec.replicas`; 1 where it is not said, as the API server has it.
    pub replicas_wanted: Option<i64>,
    /// `status.replicas`; 0 where it is not said.
    pub replicas: Option<i64>,
    /// Its controller, among `metadata.ownerReferences`, is a Deployment.
    pub by_deployment: bool,
}

impl ObjectFields {
    /// Every time that it states.
    pub fn times(&self) -> impl Iterator<Item = Seconds> {
        self.seen.into_iter().chain([self.created, self.renewed]).flatten()
    }

    /// Whether it is a ReplicaSet of a Deployment that wants no replicas and has none.
    pub fn is_at_zero(&self) -> bool {
        self.by_deployment
            && self.replicas_wanted.is_some_and(|replicas| replicas == 0)
            && self.replicas.unwrap_or(0) == 0
    }
}

/// Why a value tells nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum UnreadableObject {
    /// It is encrypted at rest.
    #[error("encrypted")]
    Encrypted,
    /// It breaks off, or is not built as its encoding demands.
    #[error("malformed")]
    Malformed,
    /// It is an object of another kind than its key says.
    #[error("of another kind")]
    OtherKind,
}

/// Reads an object of this kind.
///
/// # Errors
/// The value is encrypted, damaged, or of another kind.
pub fn read(kind: ObjectKind, value: &[u8]) -> Result<ObjectFields, UnreadableObject> {
    match Encoding::of(value) {
        Encoding::Protobuf => protobuf::read(kind, value),
        Encoding::Json => fields::from_json(kind, value),
        Encoding::Cbor => fields::from_cbor(kind, value),
        Encoding::Encrypted { .. } => Err(UnreadableObject::Encrypted),
        Encoding::Other => Err(UnreadableObject::Malformed),
    }
}

fn is_finished_phase(phase: &[u8]) -> bool {
    matches!(phase, b"Succeeded" | b"Failed")
}

/// `Complete` or `Failed`: the two that end a Job (`batch/v1/types.go`, `JobConditionType`).
fn is_finished_condition(condition: &[u8], status: &[u8]) -> bool {
    matches!(condition, b"Complete" | b"Failed") && status == b"True"
}
