//! Whether an object is garbage, by its fields and by the size of its value.

use std::collections::HashSet;

use crate::clock::Clock;
use crate::k8s::GroupResource;
use crate::k8s::object::{ObjectFields, ObjectKind};
use crate::scan::key_state::KeyState;

use super::class::GarbageClass;
use super::limits::GarbageLimits;

/// Tells what is garbage.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) clock: Clock,
    pub(super) limits: GarbageLimits,
    /// etcd's leases that exist.
    pub(super) leases: HashSet<i64>,
}

/// What an object turned out to be.
pub(super) enum Judgement {
    Garbage(GarbageClass),
    Needed,
    Undated,
}

impl Judge {
    pub(super) fn judge(&self, kind: ObjectKind, object: &ObjectFields) -> Judgement {
        let garbage =
            |class: GarbageClass, is: bool| if is { Judgement::Garbage(class) } else { Judgement::Needed };
        match kind {
            ObjectKind::Event => self.by_age(GarbageClass::OldEvents, object, self.limits.event_age_seconds),
            ObjectKind::Lease => {
                self.by_age(GarbageClass::StaleLeases, object, self.limits.lease_age_seconds)
            }
            ObjectKind::Job => garbage(GarbageClass::FinishedJobs, object.finished),
            ObjectKind::Pod => garbage(GarbageClass::FinishedPods, object.finished),
            ObjectKind::ReplicaSet => garbage(GarbageClass::EmptyReplicaSets, object.is_at_zero()),
        }
    }

    fn by_age(&self, class: GarbageClass, object: &ObjectFields, limit: u64) -> Judgement {
        match self.clock.age(object.times()) {
            Some(age) if age.unsigned_abs() > limit => Judgement::Garbage(class),
            Some(_) => Judgement::Needed,
            None => Judgement::Undated,
        }
    }

    /// A class that is told by the size of the value.
    pub(super) fn by_size(&self, resource: GroupResource<'_>, key: &KeyState<'_>) -> Option<GarbageClass> {
        let class = match (resource.group, resource.resource) {
            ("", b"configmaps") => GarbageClass::LargeConfigMaps,
            ("", b"secrets") => GarbageClass::LargeSecrets,
            _ => return None,
        };
        (u64::from(key.value_len()) >= self.limits.large_bytes).then_some(class)
    }
}
