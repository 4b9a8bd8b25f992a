//! What can be cleaned up: why it is garbage, what deleting it means, what keeps it from coming back, and how.
//!
//! Commands ask the running cluster afresh rather than name what this file holds, which may be gone or in use by now.
//! Each fact names where it was read, in kubernetes and its website unless said otherwise.

use crate::units::bytes;

use super::limits::GarbageLimits;

/// A class of what could be deleted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum GarbageClass {
    /// Events that were seen last long ago.
    OldEvents,
    /// Jobs that completed or failed.
    FinishedJobs,
    /// Pods that succeeded or failed.
    FinishedPods,
    /// ReplicaSets of Deployments without replicas.
    EmptyReplicaSets,
    /// `coordination.k8s.io` Leases that nobody renews.
    StaleLeases,
    /// Keys attached to leases of etcd's that do not exist.
    OrphanedKeys,
    /// Leases of etcd's that no key is attached to.
    LeasesWithoutKeys,
    LargeConfigMaps,
    LargeSecrets,
    /// One kind of custom resources.
    Flood,
    /// One kind of built-in resources.
    BuiltInFlood,
}

impl GarbageClass {
    /// Those that every report has a row of.
    pub const FIXED: [Self; 9] = [
        Self::OldEvents,
        Self::FinishedJobs,
        Self::FinishedPods,
        Self::EmptyReplicaSets,
        Self::StaleLeases,
        Self::OrphanedKeys,
        Self::LeasesWithoutKeys,
        Self::LargeConfigMaps,
        Self::LargeSecrets,
    ];

    /// Its name, for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::OldEvents => "old-events",
            Self::FinishedJobs => "finished-jobs",
            Self::FinishedPods => "finished-pods",
            Self::EmptyReplicaSets => "replicasets-at-zero",
            Self::StaleLeases => "stale-leases",
            Self::OrphanedKeys => "keys-of-lost-leases",
            Self::LeasesWithoutKeys => "leases-without-keys",
            Self::LargeConfigMaps => "large-configmaps",
            Self::LargeSecrets => "large-secrets",
            Self::Flood => "custom-resource-flood",
            Self::BuiltInFlood => "built-in-flood",
        }
    }

    /// Why it is garbage.
    pub(super) fn why(self, limits: &GarbageLimits) -> String {
        match self {
            Self::OldEvents => format!(
                "Events seen last more than {} before the file's time: the API server gives each a lease and etcd \
                 deletes it when that ends, one hour after its last write by default",
                span(limits.event_age_seconds)
            ),
            Self::FinishedJobs => {
                "Jobs whose condition Complete or Failed is True: they never run again, and stay until somebody \
                 deletes them unless they set ttlSecondsAfterFinished"
            }
            .to_owned(),
            Self::FinishedPods => {
                "Pods in phase Succeeded or Failed: their containers have ended, and the objects stay until their \
                 owner goes or the Pod garbage collector has more than its threshold of them"
            }
            .to_owned(),
            Self::EmptyReplicaSets => {
                "ReplicaSets of a Deployment that want no replicas and have none: old revisions, kept for \
                 `kubectl rollout undo`, 10 for each Deployment by default"
            }
            .to_owned(),
            Self::StaleLeases => format!(
                "Lease objects (coordination.k8s.io) not renewed for more than {} before the file's time: a holder \
                 that is alive renews its own every few seconds",
                span(limits.lease_age_seconds)
            ),
            Self::OrphanedKeys => {
                "Keys attached to leases of etcd's that do not exist: nothing will ever expire them. They may also \
                 stand in another class here"
            }
            .to_owned(),
            Self::LeasesWithoutKeys => {
                "Leases of etcd's that no key is attached to: they keep nothing alive and expire by themselves, \
                 unless a client keeps them alive"
            }
            .to_owned(),
            Self::LargeConfigMaps => {
                format!("ConfigMaps whose value takes {} or more: each update writes it anew", bytes(limits.large_bytes))
            }
            Self::LargeSecrets => format!(
                "Secrets whose value takes {} or more, names and sizes only: each update writes it anew. An encrypted \
                 one is as large as its ciphertext",
                bytes(limits.large_bytes)
            ),
            Self::Flood => format!(
                "A custom resource in great numbers: {} objects or more, or a tenth of all records' bytes (from 1 MiB \
                 on), or 20 records and more of each object (from 1,000 on). Its history here includes that of deleted \
                 objects",
                crate::units::grouped(limits.flood_objects)
            ),
            Self::BuiltInFlood => format!(
                "A built-in resource in great numbers: {} objects or more, or two fifths of all records' bytes (from 256 KiB \
                 on) with 500 objects or more, or with 20 records and more of each object (from 1,000 on). Its history here \
                 includes that of deleted objects, and its objects may also stand in another class here",
                crate::units::grouped(limits.flood_objects)
            ),
        }
    }

    /// What deleting it means.
    pub(super) fn deleting(self) -> &'static str {
        match self {
            Self::OldEvents => "Nothing depends on Events; what they tell of the past is lost.",
            Self::FinishedJobs => {
                "Their Pods go with them, and the logs. A CronJob's history gets shorter; whoever waits for a Job by its \
                 name must have seen it end."
            }
            Self::FinishedPods => {
                "Their logs go with them. A Job that is not finished yet may count its Pods by their objects: finish \
                 or delete it first."
            }
            Self::EmptyReplicaSets => {
                "A rollback to these revisions is no longer possible. Where the Deployment itself is scaled to zero, \
                 its current ReplicaSet is among them, and the controller makes it anew."
            }
            Self::StaleLeases => {
                "Harmless where the holder is gone: a holder that comes back makes its Lease anew. Be sure that no \
                 leader election relies on it."
            }
            Self::OrphanedKeys => {
                "What lived by a lease was meant to go away; still, look at what the keys are before they are deleted."
            }
            Self::LeasesWithoutKeys => {
                "No key goes. A client that is about to attach one will be told that the lease is not found."
            }
            Self::LargeConfigMaps | Self::LargeSecrets => {
                "Something may read it: look for who does before you delete it, or move what is large elsewhere."
            }
            Self::Flood => {
                "What the objects stand for may go with them, and finalizers may hold them back: stop what creates \
                 them first, and ask whose they are."
            }
            Self::BuiltInFlood => {
                "Some of them are needed: look at who creates them and at the oldest first, and delete only what nobody \
                 will miss."
            }
        }
    }

    /// What keeps it from coming back.
    pub(super) fn prevention(self) -> &'static str {
        match self {
            // pkg/controlplane/apiserver/options/options.go: EventTTL
            Self::OldEvents => {
                "kube-apiserver --event-ttl (default 1h); events older than that in a file mean a longer one, lost \
                 leases, or an etcd that was stopped"
            }
            // api/batch/v1/types.go, JobSpec.TTLSecondsAfterFinished, CronJobSpec.SuccessfulJobsHistoryLimit (3) and
            // FailedJobsHistoryLimit (1)
            Self::FinishedJobs => {
                "spec.ttlSecondsAfterFinished of the Job; successfulJobsHistoryLimit (default 3) and \
                 failedJobsHistoryLimit (default 1) of the CronJob"
            }
            // pkg/controller/podgc/config/v1alpha1/defaults.go
            Self::FinishedPods => {
                "kube-controller-manager --terminated-pod-gc-threshold (default 12500); spec.ttlSecondsAfterFinished \
                 of the Jobs they are of"
            }
            // api/apps/v1/types.go, DeploymentSpec.RevisionHistoryLimit; controller/deployment/sync.go, cleanupDeployment
            Self::EmptyReplicaSets => "spec.revisionHistoryLimit of the Deployment (default 10)",
            // pkg/kubelet/util/nodelease.go, SetNodeOwnerFunc
            Self::StaleLeases => {
                "an ownerReference to what the Lease stands for, so that the garbage collector takes it along, as the \
                 kubelet's has to its Node"
            }
            Self::OrphanedKeys => {
                "nothing in Kubernetes' settings: leases get lost by restoring or editing etcd's data"
            }
            Self::LeasesWithoutKeys => {
                "clients that revoke their leases, and grant no longer TTL than they need"
            }
            Self::LargeConfigMaps => {
                "one large ConfigMap taken apart by what changes together; large files belong into an image, a volume \
                 or an object store"
            }
            Self::LargeSecrets => {
                "helm upgrade --history-max (default 10) where they are of type helm.sh/release.v1; one large Secret \
                 taken apart by what changes together"
            }
            Self::Flood => {
                "a time to live or history limit of the controller that creates them; a ResourceQuota on \
                 count/RESOURCE.GROUP in their namespaces"
            }
            Self::BuiltInFlood => {
                "what creates them must clean up behind itself; for what lives in namespaces, a ResourceQuota on \
                 count/RESOURCE.GROUP"
            }
        }
    }

    /// How: commands that can be pasted as they are. `name` is a flood's resource, as kubectl takes it.
    pub(super) fn commands(self, limits: &GarbageLimits, name: Option<&str>) -> Vec<String> {
        match self {
            Self::OldEvents => vec![delete_where(
                "events",
                &format!(
                    "([.firstTimestamp, .lastTimestamp, .eventTime, .series.lastObservedTime, \
                     .metadata.creationTimestamp] | map(values) | max) < (now - {} | floor | todate)",
                    limits.event_age_seconds
                ),
            )],
            Self::FinishedJobs => vec![delete_where(
                "jobs.batch",
                "any(.status.conditions[]?; (.type == \"Complete\" or .type == \"Failed\") and .status == \"True\")",
            )],
            // pkg/apis/core/v1/conversion.go: status.phase is a field that Pods can be selected by
            Self::FinishedPods => ["Succeeded", "Failed"]
                .map(|phase| {
                    format!("kubectl delete pods --all-namespaces --field-selector=status.phase={phase}")
                })
                .into(),
            Self::EmptyReplicaSets => vec![delete_where(
                "replicasets.apps",
                ".spec.replicas == 0 and (.status.replicas // 0) == 0 and any(.metadata.ownerReferences[]?; .kind \
                 == \"Deployment\" and .controller)",
            )],
            Self::StaleLeases => vec![delete_where(
                "leases.coordination.k8s.io",
                &format!(
                    "([.spec.renewTime, .metadata.creationTimestamp] | map(values) | max) < (now - {} | floor | \
                     todate)",
                    limits.lease_age_seconds
                ),
            )],
            // objects of any kind: each is named below with a command of its own, where it has one
            Self::OrphanedKeys => Vec::new(),
            // etcdctl/ctlv3/command/printer_simple.go, TimeToLive
            Self::LeasesWithoutKeys => vec![
                "etcdctl lease list | tail -n +2 | while read -r id; do etcdctl lease timetolive \"$id\" --keys | grep \
                 -qF 'attached keys([])' && etcdctl lease revoke \"$id\"; done"
                    .to_owned(),
            ],
            Self::LargeConfigMaps => vec![list_large("configmaps", "configmap", limits)],
            Self::LargeSecrets => vec![list_large("secrets", "secret", limits)],
            Self::Flood => name
                .map(|name| delete_where(name, ".metadata.creationTimestamp < (now - 7*86400 | floor | todate)"))
                .into_iter()
                .collect(),
            // which of them are needed, nobody but their owner knows
            Self::BuiltInFlood => name
                .map(|name| format!("kubectl get {name} --all-namespaces --sort-by=.metadata.creationTimestamp"))
                .into_iter()
                .collect(),
        }
    }
}

/// Deletes what a filter of jq's lets through, as the cluster has it when the command runs: a list without an item
/// deletes nothing.
fn delete_where(resource: &str, condition: &str) -> String {
    format!(
        "kubectl get {resource} --all-namespaces -o json | jq '{{apiVersion: \"v1\", kind: \"List\", items: [.items[] | \
         select({condition}) | {{apiVersion, kind, metadata: {{name: .metadata.name, namespace: \
         .metadata.namespace}}}}]}}' | kubectl delete --wait=false --ignore-not-found -f -"
    )
}

/// Prints a command for each large object, to be read before any is run.
fn list_large(resource: &str, singular: &str, limits: &GarbageLimits) -> String {
    format!(
        "kubectl get {resource} --all-namespaces -o json | jq -r '.items[] | select((tojson | utf8bytelength) >= {}) | \
         \"kubectl delete {singular} --namespace \\(.metadata.namespace) \\(.metadata.name)\"'",
        limits.large_bytes
    )
}

/// `1h`, `90m`, `7d`: the largest unit that needs no fraction.
pub fn span(seconds: u64) -> String {
    let units = [(86400, "d"), (3600, "h"), (60, "m")];
    let whole = units.into_iter().find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit));
    let (unit, name) = whole.unwrap_or((1, "s"));
    format!("{}{name}", seconds / unit)
}

#[cfg(test)]
pub(super) fn names(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    crate::described::words(&[
        ("old-events", "Events seen last longer ago than `thresholds.event_age_seconds`."),
        ("finished-jobs", "Jobs that completed or failed."),
        ("finished-pods", "Pods that succeeded or failed."),
        ("replicasets-at-zero", "ReplicaSets of Deployments without replicas."),
        ("stale-leases", "Lease objects not renewed for longer than `thresholds.lease_age_seconds`."),
        ("keys-of-lost-leases", "Keys attached to leases of etcd's that do not exist."),
        ("leases-without-keys", "Leases of etcd's that no key is attached to."),
        ("large-configmaps", "ConfigMaps of `thresholds.large_bytes` and more."),
        ("large-secrets", "Secrets of `thresholds.large_bytes` and more."),
        ("custom-resource-flood", "One kind of custom resources."),
        ("built-in-flood", "One kind of built-in resources."),
    ])
}
