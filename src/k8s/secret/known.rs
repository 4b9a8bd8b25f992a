//! What of a Secret is known to be harmless, by name; and what it then has to look like.

/// Types of Kubernetes (`pkg/apis/core/types.go`, `SecretType…`); and of Helm 3 (`pkg/storage/driver/secrets.go`).
const TYPES: [&str; 9] = [
    "Opaque",
    "kubernetes.io/service-account-token",
    "kubernetes.io/dockercfg",
    "kubernetes.io/dockerconfigjson",
    "kubernetes.io/basic-auth",
    "kubernetes.io/ssh-auth",
    "kubernetes.io/tls",
    "bootstrap.kubernetes.io/token",
    "helm.sh/release.v1",
];

/// Keys of data that mean the same in every cluster: the same source, and what cert-manager, Helm and the like write.
const DATA: [&str; 16] = [
    "tls.crt",
    "tls.key",
    "ca.crt",
    "ca.key",
    "token",
    "namespace",
    ".dockercfg",
    ".dockerconfigjson",
    "ssh-privatekey",
    "username",
    "password",
    "release",
    "token-id",
    "token-secret",
    "kubeconfig",
    "config",
];

/// Labels and annotations that say where a Secret came from.
const MARKS: [&str; 31] = [
    "app",
    "app.kubernetes.io/component",
    "app.kubernetes.io/created-by",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/name",
    "app.kubernetes.io/part-of",
    "app.kubernetes.io/version",
    "chart",
    "cert-manager.io/alt-names",
    "cert-manager.io/certificate-name",
    "cert-manager.io/common-name",
    "cert-manager.io/issuer-group",
    "cert-manager.io/issuer-kind",
    "cert-manager.io/issuer-name",
    "controller.cert-manager.io/fao",
    "cluster.x-k8s.io/cluster-name",
    "helm.sh/chart",
    "heritage",
    "k8s-app",
    "kubernetes.io/legacy-token-last-used",
    "kubernetes.io/service-account.name",
    "kubernetes.io/service-account.uid",
    "meta.helm.sh/release-name",
    "meta.helm.sh/release-namespace",
    "modifiedAt",
    "name",
    "owner",
    "release",
    "status",
    "version",
];

const FINALIZERS: [&str; 2] = ["foregroundDeletion", "orphan"];

pub(super) fn is_known_type(text: &str) -> bool {
    TYPES.contains(&text)
}

pub(super) fn is_known_data(name: &str) -> bool {
    DATA.contains(&name)
}

/// Names of the API's own fields.
pub(super) fn is_field(name: &str) -> bool {
    const FIELDS: [&str; 34] = [
        "apiVersion",
        "kind",
        "metadata",
        "type",
        "immutable",
        "data",
        "stringData",
        "items",
        "name",
        "namespace",
        "generateName",
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "selfLink",
        "labels",
        "annotations",
        "finalizers",
        "ownerReferences",
        "controller",
        "blockOwnerDeletion",
        "managedFields",
        "manager",
        "operation",
        "time",
        "fieldsType",
        "fieldsV1",
        "subresource",
        "continue",
        "remainingItemCount",
        "kubectl.kubernetes.io/last-applied-configuration",
    ];
    FIELDS.contains(&name)
}

pub(super) fn is_mark(name: &str) -> bool {
    MARKS.contains(&name)
}

/// A finalizer of Kubernetes'.
pub(super) fn is_finalizer(text: &str) -> bool {
    FINALIZERS.contains(&text)
}

/// As `example.com/name`: what others call their types.
pub(super) fn is_qualified(text: &str) -> bool {
    text.split_once('/').is_some_and(|(domain, name)| {
        domain.contains('.') && is_object_name(domain) && is_label_text(name) && !name.is_empty()
    })
}

/// `apiVersion`: a group and a version.
pub(super) fn is_api_version(text: &str) -> bool {
    let (group, version) = text.split_once('/').unwrap_or(("", text));
    let is_version = version.strip_prefix('v').is_some_and(|rest| {
        let digits = rest.trim_start_matches(|char: char| char.is_ascii_digit());
        let digits = digits.strip_prefix("alpha").or_else(|| digits.strip_prefix("beta")).unwrap_or(digits);
        rest.starts_with(|char: char| char.is_ascii_digit())
            && rest.len() < 16
            && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    is_version && is_object_name(group)
}

pub(super) fn is_kind(text: &str) -> bool {
    text.len() <= 63 && text.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// A DNS subdomain, which names of Secrets, namespaces and groups are.
pub(super) fn is_object_name(text: &str) -> bool {
    let is_letter = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    text.len() <= 253 && text.bytes().all(is_letter)
}

/// A label's value; `,` and `*` are in lists of host names.
pub(super) fn is_label_text(text: &str) -> bool {
    let is_letter =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b',' | b'*');
    text.len() <= 253 && text.bytes().all(is_letter)
}

/// A name of a label, an annotation, a key of data or a field.
pub(super) fn is_name(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'/');
    text.len() <= 253 && text.bytes().all(is_letter)
}

/// A uid: hexadecimal digits in five groups.
pub(super) fn is_uid(text: &str) -> bool {
    let groups = text.split('-').map(str::len);
    groups.eq([8, 4, 4, 4, 12]) && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// A number, as `resourceVersion` has it.
pub(super) fn is_number(text: &str) -> bool {
    text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A time, as the API server writes it.
pub(super) fn is_time(text: &str) -> bool {
    text.len() <= 32 && text.parse::<jiff::Timestamp>().is_ok()
}

/// What an entry of `managedFields` says of itself.
pub(super) fn is_of_managed_fields(text: &str) -> bool {
    ["Apply", "Update", "FieldsV1", "status", "scale", ""].contains(&text)
}
