//! Where the API servers keep their built-in resources.
//!
//! A built-in resource is stored under its plural name alone: the group isn't in the path, and for
//! a few resources the path isn't the plural either. Sources:
//! - kubernetes `test/integration/etcd/data.go` (1.36): the path of every stored resource, and so
//!   its scope; older versions of it, and the registries, for resources that are gone since;
//! - kubernetes `pkg/kubeapiserver/default_storage_factory_builder.go`:
//!   `SpecialDefaultResourcePrefixes` (paths unlike the plural) and `AddCohabitatingResources`
//!   (paths that several groups share);
//! - openshift-apiserver `pkg/cmd/openshift-apiserver/openshiftapiserver/etcd.go`
//!   (`specialDefaultResourcePrefixes`), origin `test/extended/etcd/etcd_storage_path.go` (4.x)
//!   and `test/integration/etcd_storage_path_test.go` (3.x).

use std::sync::LazyLock;

/// Whether the objects of a resource live in namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceScope {
    /// `<path>/<namespace>/<name>`
    Namespaced,
    /// `<path>/<name>`
    Cluster,
}

/// Which API server's table holds under a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// kube-apiserver: `/registry`, OpenShift's `/kubernetes.io`.
    Kubernetes,
    /// openshift-apiserver and oauth-apiserver: `/openshift.io`.
    OpenShift,
}

/// One built-in resource and where it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The path under the prefix, one to three segments: `pods`, `services/specs`.
    pub path: &'static str,
    /// The API group that stores it today; empty for the core group.
    pub group: &'static str,
    /// The plural name that the API uses: `nodes`, though the path says `minions`.
    pub resource: &'static str,
    /// Whether its objects live in namespaces.
    pub scope: ResourceScope,
    /// Other groups whose objects some release wrote to the same path.
    pub shared_with: &'static [&'static str],
}

impl Resource {
    const fn new(group: &'static str, resource: &'static str, scope: ResourceScope) -> Self {
        Self { path: resource, group, resource, scope, shared_with: &[] }
    }

    const fn at(mut self, path: &'static str) -> Self {
        self.path = path;
        self
    }

    const fn shared_with(mut self, groups: &'static [&'static str]) -> Self {
        self.shared_with = groups;
        self
    }

    /// Whether objects of `group` are, or once were, stored at this path.
    pub fn stores(&self, group: &str) -> bool {
        self.group == group || self.shared_with.contains(&group)
    }
}

const fn ns(group: &'static str, resource: &'static str) -> Resource {
    Resource::new(group, resource, ResourceScope::Namespaced)
}

const fn cluster(group: &'static str, resource: &'static str) -> Resource {
    Resource::new(group, resource, ResourceScope::Cluster)
}

/// OpenShift up to 3.6 wrote its objects with the core group ("expect the legacy group to be
/// persisted", origin's 3.x storage test), later releases with a group of their own.
const LEGACY: &[&str] = &[""];

/// The group that workloads started in; they moved to `apps`, `networking.k8s.io`, … up to 1.16.
const EXTENSIONS: &[&str] = &["extensions"];

const ADMISSION: &str = "admissionregistration.k8s.io";
const CERTIFICATES: &str = "certificates.k8s.io";
const FLOWCONTROL: &str = "flowcontrol.apiserver.k8s.io";
const NETWORKING: &str = "networking.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const DRA: &str = "resource.k8s.io";
const STORAGE: &str = "storage.k8s.io";

/// The resources that kube-apiserver compiles in, of all releases.
pub static KUBERNETES: &[Resource] = &[
    // core
    ns("", "configmaps"),
    ns("", "endpoints").at("services/endpoints"),
    ns("", "events").shared_with(&["events.k8s.io"]),
    ns("", "limitranges"),
    cluster("", "namespaces"),
    cluster("", "nodes").at("minions"),
    ns("", "persistentvolumeclaims"),
    cluster("", "persistentvolumes"),
    ns("", "pods"),
    ns("", "podtemplates"),
    ns("", "replicationcontrollers").at("controllers").shared_with(EXTENSIONS),
    ns("", "resourcequotas"),
    ns("", "secrets"),
    ns("", "serviceaccounts"),
    ns("", "services").at("services/specs"),
    // kube-apiserver's own book-keeping: no API serves it, so the path names it. The service IP and
    // node port allocators (`ranges/serviceips`, `ranges/servicenodeports`) and who is a master.
    cluster("", "ranges"),
    cluster("", "masterleases"),
    cluster("", "peerserverleases"),
    cluster(ADMISSION, "mutatingadmissionpolicies"),
    cluster(ADMISSION, "mutatingadmissionpolicybindings"),
    cluster(ADMISSION, "mutatingwebhookconfigurations"),
    cluster(ADMISSION, "validatingadmissionpolicies"),
    cluster(ADMISSION, "validatingadmissionpolicybindings"),
    cluster(ADMISSION, "validatingwebhookconfigurations"),
    // Two servers of their own inside kube-apiserver, which put the group into the path.
    cluster("apiextensions.k8s.io", "customresourcedefinitions")
        .at("apiextensions.k8s.io/customresourcedefinitions"),
    cluster("apiregistration.k8s.io", "apiservices").at("apiregistration.k8s.io/apiservices"),
    ns("apps", "controllerrevisions"),
    ns("apps", "daemonsets").shared_with(EXTENSIONS),
    ns("apps", "deployments").shared_with(EXTENSIONS),
    ns("apps", "replicasets").shared_with(EXTENSIONS),
    ns("apps", "statefulsets"),
    ns("autoscaling", "horizontalpodautoscalers").shared_with(EXTENSIONS),
    ns("batch", "cronjobs"),
    ns("batch", "jobs").shared_with(EXTENSIONS),
    cluster(CERTIFICATES, "certificatesigningrequests"),
    cluster(CERTIFICATES, "clustertrustbundles"),
    ns(CERTIFICATES, "podcertificaterequests"),
    ns("coordination.k8s.io", "leasecandidates"),
    ns("coordination.k8s.io", "leases"),
    ns("discovery.k8s.io", "endpointslices"),
    cluster(FLOWCONTROL, "flowschemas"),
    cluster(FLOWCONTROL, "prioritylevelconfigurations"),
    cluster("internal.apiserver.k8s.io", "storageversions"),
    cluster(NETWORKING, "ingressclasses"),
    ns(NETWORKING, "ingresses").at("ingress").shared_with(EXTENSIONS),
    cluster(NETWORKING, "ipaddresses"),
    ns(NETWORKING, "networkpolicies").shared_with(EXTENSIONS),
    cluster(NETWORKING, "servicecidrs"),
    cluster("node.k8s.io", "runtimeclasses"),
    ns("policy", "poddisruptionbudgets"),
    cluster(RBAC, "clusterrolebindings"),
    cluster(RBAC, "clusterroles"),
    ns(RBAC, "rolebindings"),
    ns(RBAC, "roles"),
    cluster(DRA, "deviceclasses"),
    cluster(DRA, "devicetaintrules"),
    ns(DRA, "resourceclaims"),
    ns(DRA, "resourceclaimtemplates"),
    cluster(DRA, "resourcepoolstatusrequests"),
    cluster(DRA, "resourceslices"),
    ns("scheduling.k8s.io", "podgroups"),
    cluster("scheduling.k8s.io", "priorityclasses"),
    ns("scheduling.k8s.io", "workloads"),
    cluster(STORAGE, "csidrivers"),
    cluster(STORAGE, "csinodes"),
    ns(STORAGE, "csistoragecapacities"),
    cluster(STORAGE, "storageclasses"),
    cluster(STORAGE, "volumeattachments"),
    cluster(STORAGE, "volumeattributesclasses"),
    cluster("storagemigration.k8s.io", "storageversionmigrations"),
    // Gone from today's releases, but what an old cluster wrote can still be in its file.
    cluster(ADMISSION, "externaladmissionhookconfigurations"),
    cluster(ADMISSION, "initializerconfigurations"),
    cluster("auditregistration.k8s.io", "auditsinks"),
    cluster("extensions", "thirdpartyresources"),
    cluster(NETWORKING, "clustercidrs"),
    cluster("policy", "podsecuritypolicies").at("podsecuritypolicy").shared_with(EXTENSIONS),
    ns(DRA, "podschedulingcontexts"),
    ns("settings.k8s.io", "podpresets"),
    // Alphas of 1.26 to 1.30, from memory: no source of theirs was at hand.
    ns(DRA, "podschedulings"),
    ns(DRA, "resourceclaimparameters"),
    cluster(DRA, "resourceclasses"),
    ns(DRA, "resourceclassparameters"),
    // OpenShift 3 kept these beside Kubernetes' own; in 4 they are custom resources.
    cluster("security.openshift.io", "securitycontextconstraints").shared_with(LEGACY),
];

/// The resources that OpenShift's API servers keep under `/openshift.io`, of all releases.
pub static OPENSHIFT: &[Resource] = &[
    ns("apps.openshift.io", "deploymentconfigs").shared_with(LEGACY),
    cluster("authorization.openshift.io", "clusterpolicies")
        .at("authorization/cluster/policies")
        .shared_with(LEGACY),
    cluster("authorization.openshift.io", "clusterpolicybindings")
        .at("authorization/cluster/policybindings")
        .shared_with(LEGACY),
    ns("authorization.openshift.io", "policies").at("authorization/local/policies").shared_with(LEGACY),
    ns("authorization.openshift.io", "policybindings")
        .at("authorization/local/policybindings")
        .shared_with(LEGACY),
    ns("authorization.openshift.io", "rolebindingrestrictions").shared_with(LEGACY),
    ns("build.openshift.io", "buildconfigs").shared_with(LEGACY),
    ns("build.openshift.io", "builds").shared_with(LEGACY),
    cluster("image.openshift.io", "images").shared_with(LEGACY),
    ns("image.openshift.io", "imagestreams").shared_with(LEGACY),
    cluster("network.openshift.io", "clusternetworks").at("registry/sdnnetworks").shared_with(LEGACY),
    ns("network.openshift.io", "egressnetworkpolicies")
        .at("registry/egressnetworkpolicy")
        .shared_with(LEGACY),
    cluster("network.openshift.io", "hostsubnets").at("registry/sdnsubnets").shared_with(LEGACY),
    cluster("network.openshift.io", "netnamespaces").at("registry/sdnnetnamespaces").shared_with(LEGACY),
    cluster("oauth.openshift.io", "oauthaccesstokens").at("oauth/accesstokens").shared_with(LEGACY),
    cluster("oauth.openshift.io", "oauthauthorizetokens").at("oauth/authorizetokens").shared_with(LEGACY),
    cluster("oauth.openshift.io", "oauthclientauthorizations")
        .at("oauth/clientauthorizations")
        .shared_with(LEGACY),
    cluster("oauth.openshift.io", "oauthclients").at("oauth/clients").shared_with(LEGACY),
    cluster("quota.openshift.io", "clusterresourcequotas").shared_with(LEGACY),
    ns("route.openshift.io", "routes").shared_with(LEGACY),
    cluster("security.openshift.io", "rangeallocations").shared_with(LEGACY),
    cluster("template.openshift.io", "brokertemplateinstances").shared_with(LEGACY),
    ns("template.openshift.io", "templateinstances").shared_with(LEGACY),
    ns("template.openshift.io", "templates").shared_with(LEGACY),
    cluster("user.openshift.io", "groups").shared_with(LEGACY),
    cluster("user.openshift.io", "identities").at("useridentities").shared_with(LEGACY),
    cluster("user.openshift.io", "users").shared_with(LEGACY),
];

/// The longest built-in path, in segments (`authorization/cluster/policies`).
const MAX_PATH_SEGMENTS: usize = 3;

/// Splits off the built-in resource that `rest`, a key after its prefix and a slash, starts with,
/// from what follows it and a slash (the namespace and name). `None` when no built-in does.
pub fn split_builtin(family: Family, rest: &[u8]) -> Option<(&'static Resource, &[u8])> {
    let slashes = rest.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    for at in slashes.take(MAX_PATH_SEGMENTS) {
        let (path, tail) = rest.split_at_checked(at)?;
        if let Some(resource) = by_path(family, path) {
            return Some((resource, tail.get(1..)?));
        }
    }
    None
}

/// The built-in resource whose objects have this group and plural name.
///
/// Looks through the whole tables, so it is for learning a prefix, not for every key.
pub fn by_name(group: &str, plural: &str) -> Option<(Family, &'static Resource)> {
    [(Family::Kubernetes, KUBERNETES), (Family::OpenShift, OPENSHIFT)].into_iter().find_map(
        |(family, table)| {
            let found = table.iter().find(|r| r.resource == plural && r.stores(group))?;
            Some((family, found))
        },
    )
}

/// Whether built-in resources are of this group.
pub fn is_group_of_builtins(group: &str) -> bool {
    KUBERNETES.iter().any(|resource| resource.stores(group))
}

fn by_path(family: Family, path: &[u8]) -> Option<&'static Resource> {
    static BY_PATH: LazyLock<[Index; 2]> = LazyLock::new(|| [KUBERNETES, OPENSHIFT].map(index));
    let [kubernetes, openshift] = &*BY_PATH;
    let index = match family {
        Family::Kubernetes => kubernetes,
        Family::OpenShift => openshift,
    };
    let mut bucket = index.get(usize::from(bucket_of(path)))?.iter();
    bucket.find(|resource| resource.path.as_bytes() == path).copied()
}

/// Resources in buckets of mostly one: every key asks, and a hash of the standard library's, which
/// also resists a flood of chosen keys, would cost as much as all the rest of `classify`. The
/// table is fixed, so keys can't fill a bucket.
type Index = Vec<Vec<&'static Resource>>;

fn index(table: &'static [Resource]) -> Index {
    let mut index = vec![Vec::new(); 256];
    for resource in table {
        if let Some(bucket) = index.get_mut(usize::from(bucket_of(resource.path.as_bytes()))) {
            bucket.push(resource);
        }
    }
    index
}

/// Told from the length and three bytes, in which almost all paths differ.
fn bucket_of(path: &[u8]) -> u8 {
    let byte = |at: usize| path.get(at).copied().unwrap_or_default();
    let last = path.last().copied().unwrap_or_default();
    let [length, ..] = path.len().to_le_bytes();
    length
        .wrapping_mul(31)
        .wrapping_add(byte(0).wrapping_mul(7))
        .wrapping_add(byte(path.len() / 2).wrapping_mul(13))
        .wrapping_add(last)
}

/// The plural of a kind or singular, as apimachinery's `meta.UnsafeGuessKindToResource` has it.
pub fn guess_plural(kind: &str) -> String {
    let singular = kind.to_lowercase();
    if singular.ends_with("endpoints") {
        singular
    } else if singular.ends_with('s') {
        singular + "es"
    } else if let Some(stem) = singular.strip_suffix('y') {
        format!("{stem}ies")
    } else {
        singular + "s"
    }
}
