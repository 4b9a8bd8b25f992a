//! Whether an object is garbage, by its fields and by the size of its value.

use std::collections::HashSet;

use crate::clock::Clock;
use crate::k8s::GroupResource;
use crate::k8s::object::{Kind, Object};
use crate::scan::key_state::KeyState;

use super::class::Class;
use super::rows::GarbageLimits;

/// Tells what is garbage.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) clock: Clock,
    pub(super) limits: GarbageLimits,
    /// etcd's leases that exist.
    pub(super) leases: HashSet<i64>,
}

/// What an object turned out to be.
pub(super) enum Verdict {
    Garbage(Class),
    Needed,
    Undated,
}

impl Judge {
    pub(super) fn judge(&self, kind: Kind, object: &Object) -> Verdict {
        let garbage = |class: Class, is: bool| if is { Verdict::Garbage(class) } else { Verdict::Needed };
        match kind {
            Kind::Event => self.by_age(Class::OldEvents, object, self.limits.event_age_seconds),
            Kind::Lease => self.by_age(Class::StaleLeases, object, self.limits.lease_age_seconds),
            Kind::Job => garbage(Class::FinishedJobs, object.finished),
            Kind::Pod => garbage(Class::FinishedPods, object.finished),
            Kind::ReplicaSet => garbage(Class::EmptyReplicaSets, object.is_at_zero()),
        }
    }

    fn by_age(&self, class: Class, object: &Object, limit: u64) -> Verdict {
        match self.clock.age(object.times()) {
            Some(age) if age.unsigned_abs() > limit => Verdict::Garbage(class),
            Some(_) => Verdict::Needed,
            None => Verdict::Undated,
        }
    }

    /// A class that is told by the size of the value.
    pub(super) fn by_size(&self, resource: GroupResource<'_>, key: &KeyState<'_>) -> Option<Class> {
        let class = match (resource.group, resource.resource) {
            ("", b"configmaps") => Class::LargeConfigMaps,
            ("", b"secrets") => Class::LargeSecrets,
            _ => return None,
        };
        (u64::from(key.value_len()) >= self.limits.large_bytes).then_some(class)
    }
}
