//! Objects that are stored in a version which the API server does not serve, in one that it does.
//!
//! - **CustomResourceDefinitions** are stored as `apiextensions.k8s.io/v1beta1` by each release that there is, as it is the
//!   shorter one, and served as `v1` alone since 1.22 (kubernetes, `pkg/controlplane/apiserver/apiextensions.go`). What
//!   differs, and what becomes of it, is in `apiextensions-apiserver/pkg/apis/apiextensions/v1/conversion.go`.
//! - A kind that has just become stable is stored in the version before, for the sake of a rollback, though that is not
//!   served unless asked for (`pkg/kubeapiserver/default_storage_factory_builder.go`). Of those that look alike in both,
//!   the name of the version is all that changes. Which one the server serves, `managedFields` say.

use serde_json::Value;

use super::{Object, at, objects, text};

/// Bytes of what a definition's versions share, times their number: a definition that comes to more stays as it is.
/// Those that etcd takes, of 1.5 MiB, have a handful of versions.
const MAX_SHARED: usize = 16 << 20;

/// Stored as `v1alpha1` or `v1beta1` while `v1` or `v1beta1` are served, by some release from 1.31 to 1.36; alike in all of
/// them (`k8s.io/api`, `types.go` of each).
const ALIKE: [(&str, &str); 5] = [
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
    ("networking.k8s.io", "IPAddress"),
    ("networking.k8s.io", "ServiceCIDR"),
    ("storage.k8s.io", "VolumeAttributesClass"),
];

/// Puts an object into a version that is served.
pub(super) fn serve(object: &mut Object) {
    let Some((group, version)) = text(object, "apiVersion").split_once('/') else { return };
    let kind = text(object, "kind");
    if (group, version, kind) == ("apiextensions.k8s.io", "v1beta1", "CustomResourceDefinition") {
        definition(object);
    } else if ALIKE.contains(&(group, kind)) {
        let newer = match version {
            "v1alpha1" => &["v1", "v1beta1"][..],
            "v1beta1" => &["v1"],
            _ => return,
        };
        let newer: Vec<_> = newer.iter().map(|version| format!("{group}/{version}")).collect();
        if let Some(served) = newer.into_iter().find(|version| was_written_as(object, version)) {
            object.insert("apiVersion".to_owned(), served.into());
        }
    }
}

fn was_written_as(object: &mut Object, version: &str) -> bool {
    at(object, &["metadata"]).is_some_and(|metadata| {
        objects(metadata, "managedFields").any(|entry| text(entry, "apiVersion") == version)
    })
}

/// A definition of `v1beta1` as one of `v1`.
fn definition(object: &mut Object) {
    let Some(spec) = at(object, &["spec"]) else { return };
    if !share_out(spec) {
        return;
    }
    for version in objects(spec, "versions") {
        for column in objects(version, "additionalPrinterColumns") {
            if let Some(path) = column.remove("JSONPath") {
                column.insert("jsonPath".to_owned(), path);
            }
        }
    }
    if let Some(conversion) = at(spec, &["conversion"]) {
        let mut webhook = Object::new();
        for (old, new) in [
            ("webhookClientConfig", "clientConfig"),
            ("conversionReviewVersions", "conversionReviewVersions"),
        ] {
            webhook.extend(taken(conversion, old).map(|value| (new.to_owned(), value)));
        }
        if !webhook.is_empty() {
            conversion.insert("webhook".to_owned(), webhook.into());
        }
    }
    // left out, it means the contrary in `v1`, whose server refuses `true`: better than pruning what was kept
    spec.entry("preserveUnknownFields").or_insert(true.into());
    object.insert("apiVersion".to_owned(), "apiextensions.k8s.io/v1".into());
}

/// Gives each version what was written once for all of them.
fn share_out(spec: &mut Object) -> bool {
    const SHARED: [(&str, &str); 4] = [
        ("subresources", "subresources"),
        ("validation", "schema"),
        ("additionalPrinterColumns", "additionalPrinterColumns"),
        ("selectableFields", "selectableFields"),
    ];
    let count = spec.get("versions").and_then(Value::as_array).map_or(0, Vec::len);
    let bytes = |name| spec.get(name).map_or(0, |value| value.to_string().len());
    let bytes: usize = SHARED.iter().map(|(name, _)| bytes(*name)).sum();
    if bytes.saturating_mul(count) > MAX_SHARED {
        return false;
    }
    let name = taken(spec, "version");
    if count == 0
        && let Some(name) = name
    {
        let only = serde_json::json!([{"name": name, "served": true, "storage": true}]);
        spec.insert("versions".to_owned(), only);
    }
    for (shared, own) in SHARED {
        let Some(value) = taken(spec, shared) else { continue };
        objects(spec, "versions").for_each(|version| drop(version.insert(own.to_owned(), value.clone())));
    }
    true
}

/// Removes a field; what it held, if anything.
fn taken(object: &mut Object, name: &str) -> Option<Value> {
    object.remove(name).filter(|value| !value.is_null())
}
