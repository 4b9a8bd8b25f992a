//! What `--clean` removes, and why an API server would refuse or misread it (kubernetes, `pkg/registry`, `pkg/apis/core`):
//!
//! - `metadata`: `uid` and `resourceVersion` (preconditions: an update to another object's is a conflict, and a create
//!   with a resourceVersion is refused), `managedFields`, `creationTimestamp`, `deletionTimestamp`,
//!   `deletionGracePeriodSeconds`, `generation`, `selfLink` (set by the server alone), and `ownerReferences` (they name
//!   the uid of an owner that is gone or made anew under another: the garbage collector deletes what refers to an absent
//!   owner);
//! - finalizers that the server sets when a deletion is asked for: `foregroundDeletion` and `orphan`, for the garbage
//!   collector, and `customresourcecleanup.apiextensions.k8s.io` of a CustomResourceDefinition. Others stay;
//! - `status`, but for custom resources whose definition leaves it to be data as any other (see `status_is_data`);
//! - annotations that controllers put there: `kubectl.kubernetes.io/last-applied-configuration`,
//!   `deployment.kubernetes.io/revision`, and of a PersistentVolumeClaim those that say it is bound;
//! - of a Service `spec.clusterIP` and `clusterIPs` (unless `None`: a headless one), `healthCheckNodePort`: they may be
//!   another's by now. Node ports stay, as others rely on them;
//! - of a PersistentVolumeClaim `spec.volumeName`, which would bind it to a volume that may be another's or gone: bring
//!   it back by hand to get the same volume;
//! - of a PersistentVolume `spec.claimRef.uid` and `resourceVersion`, which would leave it waiting for a claim that can't
//!   come back;
//! - of a Pod what `pod.rs` says;
//! - of a Job the selector and labels that were generated from its uid, unless `manualSelector` is set;
//! - of a ServiceAccount those `secrets` that a controller made, `NAME-token-xxxxx`; those that somebody listed stay;
//! - of a Secret that is a ServiceAccount's token the account's uid and the token itself: the controller deletes a Secret
//!   whose account has another uid, and fills in a token that is absent (`pkg/controller/serviceaccount`,
//!   `tokens_controller.go`: `syncSecret`, `secretUpdateNeeded`), while the old one names the old uid and opens nothing;
//! - of a CertificateSigningRequest who asked: the server writes the name of whoever creates it;
//! - of a Namespace `spec.finalizers`, which the server sets.
//!
//! And it says what etcd's form of an object leaves out: of a StatefulSet's claim templates `apiVersion` and `kind`, and
//! a version that the API server serves (`version.rs`).

use serde_json::Value;

use super::super::schema::SCHEMA;
use super::{LAST_APPLIED, Object, at, is_generated, objects, pod, remove, retain, text, version};

/// Finalizers of a deletion under way (kubernetes, `apimachinery/pkg/apis/meta/v1/types.go`, and
/// `apiextensions-apiserver/pkg/registry/customresourcedefinition/etcd.go`).
const OF_DELETION: [&str; 3] = ["foregroundDeletion", "orphan", "customresourcecleanup.apiextensions.k8s.io"];

/// Takes out what keeps `kubectl apply` from making the object anew.
pub fn clean(object: &mut Object) {
    version::serve(object);
    if !status_is_data(object) {
        object.remove("status");
    }
    if let Some(metadata) = at(object, &["metadata"]) {
        clean_metadata(metadata);
    }
    let group = text(object, "apiVersion").split_once('/').map_or("", |(group, _)| group).to_owned();
    let kind = text(object, "kind").to_owned();
    match (group.as_str(), kind.as_str()) {
        ("", "Service") => clean_service(object),
        ("", "PersistentVolumeClaim") => clean_claim(object),
        ("", "PersistentVolume") => {
            if let Some(claim) = at(object, &["spec", "claimRef"]) {
                remove(claim, &["uid", "resourceVersion"]);
            }
        }
        ("", "Pod") => pod::clean(object),
        ("batch", "Job") => clean_job(object),
        ("apps", "StatefulSet") => name_claim_templates(object),
        ("", "ServiceAccount") => clean_account(object),
        ("", "Secret") => clean_token(object),
        ("certificates.k8s.io", "CertificateSigningRequest") => {
            if let Some(spec) = at(object, &["spec"]) {
                remove(spec, &["username", "uid", "groups", "extra"]);
            }
        }
        ("", "Namespace") => {
            if let Some(spec) = at(object, &["spec"]) {
                spec.remove("finalizers");
            }
        }
        _ => {}
    }
    // pod templates of older releases hold a null there
    if let Some(metadata) = at(object, &["spec", "template", "metadata"]) {
        metadata.remove("creationTimestamp");
    }
}

/// Whether it is a custom resource whose `status` nobody is known to have written as a subresource. Where its definition
/// makes it one, the server takes no notice of it in what is written to the object itself, and says who wrote it
/// (kubernetes, `apiextensions-apiserver`, `pkg/registry/customresource/strategy.go`); where it doesn't, it is data as
/// any other.
fn status_is_data(object: &mut Object) -> bool {
    let (group, version) = text(object, "apiVersion").split_once('/').unwrap_or_default();
    let built_in = ["", "apiextensions.k8s.io", "apiregistration.k8s.io"].contains(&group)
        || SCHEMA.message_of(group, version, text(object, "kind")).is_some();
    !built_in
        && !at(object, &["metadata"]).is_some_and(|metadata| {
            objects(metadata, "managedFields").any(|entry| text(entry, "subresource") == "status")
        })
}

fn clean_metadata(metadata: &mut Object) {
    remove(
        metadata,
        &[
            "uid",
            "resourceVersion",
            "managedFields",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "generation",
            "selfLink",
            "ownerReferences",
        ],
    );
    retain(metadata, "finalizers", |name| !name.as_str().is_some_and(|name| OF_DELETION.contains(&name)));
    remove_annotations(metadata, &[LAST_APPLIED, "deployment.kubernetes.io/revision"]);
}

fn remove_annotations(metadata: &mut Object, names: &[&str]) {
    if let Some(annotations) = at(metadata, &["annotations"]) {
        remove(annotations, names);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
}

fn clean_service(object: &mut Object) {
    let Some(spec) = at(object, &["spec"]) else { return };
    if text(spec, "clusterIP") != "None" {
        remove(spec, &["clusterIP", "clusterIPs"]);
    }
    spec.remove("healthCheckNodePort");
}

fn clean_claim(object: &mut Object) {
    if let Some(spec) = at(object, &["spec"]) {
        spec.remove("volumeName");
    }
    if let Some(metadata) = at(object, &["metadata"]) {
        let names = [
            "pv.kubernetes.io/bind-completed",
            "pv.kubernetes.io/bound-by-controller",
            "volume.kubernetes.io/selected-node",
        ];
        remove_annotations(metadata, &names);
    }
}

/// The server adds these when it answers (`pkg/apis/apps/v1/conversion.go`): without them, the list is another than the
/// one that it has, and `kubectl apply --server-side` finds a conflict.
fn name_claim_templates(object: &mut Object) {
    let Some(spec) = at(object, &["spec"]) else { return };
    for template in objects(spec, "volumeClaimTemplates") {
        for (name, value) in [("apiVersion", "v1"), ("kind", "PersistentVolumeClaim")] {
            if text(template, name).is_empty() {
                template.insert(name.to_owned(), value.into());
            }
        }
    }
}

/// The server makes selector and labels of the Job's uid (`pkg/registry/batch/job/strategy.go`, `generateSelector`).
fn clean_job(object: &mut Object) {
    const LABELS: [&str; 4] =
        ["controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"];
    let Some(spec) = at(object, &["spec"]) else { return };
    if spec.get("manualSelector") == Some(&Value::Bool(true)) {
        return;
    }
    spec.remove("selector");
    for path in [&["spec", "template", "metadata"][..], &["metadata"]] {
        let Some(metadata) = at(object, path) else { continue };
        if let Some(labels) = at(metadata, &["labels"]) {
            remove(labels, &LABELS);
            if labels.is_empty() {
                metadata.remove("labels");
            }
        }
    }
}

fn clean_account(object: &mut Object) {
    let Some(metadata) = at(object, &["metadata"]) else { return };
    let beginning = format!("{}-token-", text(metadata, "name"));
    let made = |secret: &Value| {
        secret.get("name").and_then(Value::as_str).is_some_and(|name| is_generated(name, &beginning))
    };
    retain(object, "secrets", |secret| !made(secret));
}

fn clean_token(object: &mut Object) {
    if text(object, "type") != "kubernetes.io/service-account-token" {
        return;
    }
    if let Some(metadata) = at(object, &["metadata"]) {
        remove_annotations(metadata, &["kubernetes.io/service-account.uid"]);
    }
    if let Some(data) = at(object, &["data"]) {
        data.remove("token");
    }
}
