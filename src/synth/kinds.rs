//! What a cluster is made of: the kinds of its objects, how many there are of each, how large, and how often they are
//! written.
//!
//! Shares, sizes and churn follow what was measured in etcd files of real kube-apiservers, in round numbers; no
//! one cluster looks like this one. Paths are those of `k8s/resources.rs`.

/// One kind of objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResourceModel {
    /// Its path below `/registry/`.
    pub path: &'static str,
    /// Group and version, as the objects say it.
    pub api_version: &'static str,
    /// The kind, as the objects say it.
    pub kind: &'static str,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// How they are stored.
    pub encoding: ValueEncoding,
    /// How they are named.
    pub name: Name,
    /// How many of all keys they are, against the other kinds.
    pub share: u32,
    /// How often one of them is written, against those of other kinds.
    pub churn: u32,
    /// Bytes of a value: the least, the median, nine of ten, 99 of 100, and the most. Even between these.
    pub value_bytes: [u32; 5],
    /// Whether they expire with a lease.
    pub leased: bool,
}

/// How kube-apiserver stores an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ValueEncoding {
    /// `k8s\0`, and a protobuf `runtime.Unknown`: what is built in.
    Protobuf,
    Json,
}

/// How objects of a kind are named. Each ends in something that no other object of its kind has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Name {
    /// `checkout-x7k2p`
    Plain,
    /// `checkout-6d8b9c5f4-x7k2p`
    Pod,
    /// `checkout-6d8b9c5f4-x7k2p.18ea9cb1f5c38e05`
    Event,
    /// `sh.helm.release.v1.checkout-x7k2p.v3`
    HelmRelease,
    /// `ip-10-0-1-19.eu-west-1.compute.internal`
    Node,
}

use ValueEncoding::{Json, Protobuf};

/// A built-in kind in namespaces; other kinds are defined by their differences from it.
const fn kind(
    path: &'static str,
    api_version: &'static str,
    kind: &'static str,
    share: u32,
    churn: u32,
    value_bytes: [u32; 5],
) -> ResourceModel {
    let (encoding, name) = (Protobuf, Name::Plain);
    ResourceModel {
        path,
        api_version,
        kind,
        namespaced: true,
        encoding,
        name,
        share,
        churn,
        value_bytes,
        leased: false,
    }
}

impl ResourceModel {
    const fn named(self, name: Name) -> Self {
        Self { name, ..self }
    }

    const fn cluster_wide(self) -> Self {
        Self { namespaced: false, ..self }
    }

    const fn custom(self) -> Self {
        Self { encoding: Json, ..self }
    }

    const fn leased(self) -> Self {
        Self { leased: true, ..self }
    }
}

/// All kinds, the smaller paths last. Two rows may share a path, if their names differ.
#[rustfmt::skip]
pub const KINDS: &[ResourceModel] = &[
    kind("events", "v1", "Event", 400, 1, [380, 620, 660, 700, 1_100]).named(Name::Event).leased(),
    kind("pods", "v1", "Pod", 120, 12, [2_200, 4_300, 5_100, 8_500, 24_000]).named(Name::Pod),
    kind("replicasets", "apps/v1", "ReplicaSet", 85, 6, [1_600, 2_850, 3_300, 5_200, 14_000]),
    kind("configmaps", "v1", "ConfigMap", 55, 1, [260, 820, 2_600, 60_000, 700_000]),
    kind("secrets", "v1", "Secret", 35, 1, [240, 480, 2_600, 6_000, 30_000]),
    kind("secrets", "v1", "Secret", 12, 1, [2_000, 18_000, 43_000, 90_000, 400_000]).named(Name::HelmRelease),
    kind("serviceaccounts", "v1", "ServiceAccount", 40, 1, [100, 120, 150, 260, 600]),
    kind("endpointslices", "discovery.k8s.io/v1", "EndpointSlice", 28, 25, [420, 1_050, 1_400, 6_000, 30_000]),
    kind("services/endpoints", "v1", "Endpoints", 26, 20, [300, 660, 1_100, 5_000, 25_000]),
    kind("services/specs", "v1", "Service", 26, 2, [380, 520, 640, 1_200, 4_000]),
    kind("deployments", "apps/v1", "Deployment", 26, 16, [2_000, 3_950, 4_500, 7_000, 16_000]),
    kind("statefulsets", "apps/v1", "StatefulSet", 6, 10, [1_800, 2_570, 3_200, 5_000, 12_000]),
    kind("jobs", "batch/v1", "Job", 16, 8, [1_900, 2_900, 3_300, 4_500, 9_000]),
    kind("leases", "coordination.k8s.io/v1", "Lease", 12, 150, [300, 400, 490, 520, 540]).named(Name::Node),
    kind("rolebindings", "rbac.authorization.k8s.io/v1", "RoleBinding", 14, 1, [280, 340, 700, 820, 1_500]),
    kind("resourcequotas", "v1", "ResourceQuota", 4, 30, [400, 530, 560, 700, 900]),
    kind("persistentvolumeclaims", "v1", "PersistentVolumeClaim", 6, 3, [600, 900, 1_100, 1_300, 1_800]),
    kind("minions", "v1", "Node", 8, 40, [4_500, 7_300, 9_500, 14_000, 22_000]).named(Name::Node).cluster_wide(),
    kind("csinodes", "storage.k8s.io/v1", "CSINode", 8, 1, [360, 400, 520, 620, 800]).named(Name::Node).cluster_wide(),
    kind("persistentvolumes", "v1", "PersistentVolume", 6, 3, [700, 1_000, 1_200, 1_400, 2_000]).cluster_wide(),
    kind("clusterroles", "rbac.authorization.k8s.io/v1", "ClusterRole", 6, 1, [350, 660, 1_500, 3_800, 12_000]).cluster_wide(),
    kind("namespaces", "v1", "Namespace", 3, 2, [180, 300, 420, 600, 900]).cluster_wide(),
    kind("apiextensions.k8s.io/customresourcedefinitions", "apiextensions.k8s.io/v1", "CustomResourceDefinition", 2, 2,
        [1_900, 9_000, 60_000, 250_000, 600_000]).cluster_wide().custom(),
    kind("cert-manager.io/certificates", "cert-manager.io/v1", "Certificate", 14, 3, [1_400, 2_200, 2_450, 3_000, 5_000]).custom(),
    kind("argoproj.io/applications", "argoproj.io/v1alpha1", "Application", 10, 40, [1_500, 2_200, 9_000, 40_000, 150_000]).custom(),
    kind("networking.istio.io/virtualservices", "networking.istio.io/v1", "VirtualService", 12, 8, [1_000, 1_860, 2_100, 4_000, 12_000]).custom(),
    kind("monitoring.coreos.com/servicemonitors", "monitoring.coreos.com/v1", "ServiceMonitor", 10, 1, [900, 2_200, 2_500, 2_700, 4_000]).custom(),
];

/// Words that names and values are made of.
pub const WORDS: &[&str] = &[
    "api",
    "auth",
    "backend",
    "billing",
    "cache",
    "catalog",
    "checkout",
    "cleanup",
    "consumer",
    "cron",
    "dashboard",
    "database",
    "exporter",
    "fraud",
    "frontend",
    "gateway",
    "identity",
    "indexer",
    "ingress",
    "inventory",
    "ledger",
    "mailer",
    "media",
    "metrics",
    "migrate",
    "notifier",
    "operator",
    "orders",
    "payments",
    "portal",
    "pricing",
    "proxy",
    "queue",
    "recommender",
    "registry",
    "reports",
    "scheduler",
    "search",
    "sessions",
    "settings",
    "shipping",
    "storage",
    "sync",
    "telemetry",
    "users",
    "web",
    "webhook",
    "worker",
];
