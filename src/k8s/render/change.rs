//! What is taken out of an object before it is shown: the data of Secrets, and with `--clean` what only the cluster
//! that the object was in can say of it.
//!
//! What `--clean` removes, and why an API server would refuse or misread it (kubernetes, `pkg/registry`, `pkg/apis/core`):
//!
//! - `metadata`: `uid` and `resourceVersion` (preconditions: an update to another object's is a conflict, and a create
//!   with a resourceVersion is refused), `managedFields`, `creationTimestamp`, `deletionTimestamp`,
//!   `deletionGracePeriodSeconds`, `generation`, `selfLink` (set by the server alone), and `ownerReferences` (they name
//!   the uid of an owner that is gone or made anew under another: the garbage collector deletes what refers to an absent
//!   owner);
//! - `status`;
//! - annotations that controllers put there: `kubectl.kubernetes.io/last-applied-configuration`,
//!   `deployment.kubernetes.io/revision`, and of a PersistentVolumeClaim those that say it is bound;
//! - of a Service `spec.clusterIP` and `clusterIPs` (unless `None`: a headless one), `healthCheckNodePort`: they may be
//!   another's by now. Node ports stay, as others rely on them;
//! - of a PersistentVolumeClaim `spec.volumeName`, which would bind it to a volume that may be another's or gone: bring
//!   it back by hand to get the same volume;
//! - of a PersistentVolume `spec.claimRef.uid` and `resourceVersion`, which would leave it waiting for a claim that can't
//!   come back;
//! - of a Pod `spec.nodeName`, and the volume of the token that the admission plug-in adds (`kube-api-access-…`) with
//!   its mounts: the plug-in adds another;
//! - of a Job the selector and labels that were generated from its uid, unless `manualSelector` is set;
//! - of a ServiceAccount `secrets`, which named generated tokens;
//! - of a Namespace `spec.finalizers`, which the server sets.

use serde_json::{Map, Value};

type Object = Map<String, Value>;

/// Annotation that holds the whole object as it was applied, a Secret's data among it.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whether an object is a Secret, by what it says of itself.
#[must_use]
pub fn is_secret(object: &Object) -> bool {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    text("kind") == Some("Secret") && text("apiVersion").is_some_and(|version| !version.contains('/'))
}

/// Puts the number of bytes in the place of a Secret's data, wherever it stands. Whatever is not understood goes whole.
pub fn redact(object: &mut Object) {
    for name in ["data", "stringData"] {
        match object.get_mut(name) {
            None | Some(Value::Null) => {}
            Some(Value::Object(entries)) => {
                entries.values_mut().for_each(|value| *value = redacted(value, name == "data"));
            }
            Some(other) => *other = redacted(other, false),
        }
    }
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        match metadata.get_mut("annotations") {
            Some(Value::Object(annotations)) => {
                if let Some(value) = annotations.get_mut(LAST_APPLIED) {
                    *value = redacted(value, false);
                }
            }
            None | Some(Value::Null) => {}
            Some(other) => *other = redacted(other, false),
        }
    }
    // a Secret has no other fields; what stands there all the same may be anything
    for (name, value) in object {
        let known = ["apiVersion", "kind", "metadata", "type", "immutable", "data", "stringData"];
        if !known.contains(&name.as_str()) {
            *value = redacted(value, false);
        }
    }
}

fn redacted(value: &Value, base64: bool) -> Value {
    let bytes = match value {
        Value::String(text) if base64 => base64_len(text),
        Value::String(text) => text.len(),
        Value::Null => 0,
        other => other.to_string().len(),
    };
    Value::String(format!("REDACTED ({bytes} {})", if bytes == 1 { "byte" } else { "bytes" }))
}

/// Bytes that a text of base64 stands for.
fn base64_len(text: &str) -> usize {
    let digits =
        text.bytes().filter(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')).count();
    digits.saturating_mul(3) / 4
}

/// Takes out what keeps `kubectl apply` from making the object anew.
pub fn clean(object: &mut Object) {
    object.remove("status");
    if let Some(metadata) = at(object, &["metadata"]) {
        clean_metadata(metadata);
    }
    let group = object.get("apiVersion").and_then(Value::as_str).unwrap_or("");
    let group = group.split_once('/').map_or("", |(group, _)| group).to_owned();
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or("").to_owned();
    match (group.as_str(), kind.as_str()) {
        ("", "Service") => clean_service(object),
        ("", "PersistentVolumeClaim") => clean_claim(object),
        ("", "PersistentVolume") => {
            if let Some(claim) = at(object, &["spec", "claimRef"]) {
                remove(claim, &["uid", "resourceVersion"]);
            }
        }
        ("", "Pod") => {
            if let Some(spec) = at(object, &["spec"]) {
                clean_pod(spec);
            }
        }
        ("batch", "Job") => clean_job(object),
        ("", "ServiceAccount") => drop(object.remove("secrets")),
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
    if spec.get("clusterIP").and_then(Value::as_str) != Some("None") {
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

/// The admission plug-in names its volume `kube-api-access-` and five characters (`serviceaccount/admission.go`).
fn clean_pod(spec: &mut Object) {
    spec.remove("nodeName");
    let added = |item: &Value| {
        let name = item.get("name").and_then(Value::as_str);
        name.and_then(|name| name.strip_prefix("kube-api-access-")).is_some_and(|rest| rest.len() == 5)
    };
    retain(spec, "volumes", |volume| !added(volume));
    for containers in ["containers", "initContainers", "ephemeralContainers"] {
        for container in spec.get_mut(containers).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Value::Object(container) = container {
                retain(container, "volumeMounts", |mount| !added(mount));
            }
        }
    }
}

/// Removes what does not pass from a list, and a list that is left empty.
fn retain(object: &mut Object, list: &str, keep: impl Fn(&Value) -> bool) {
    if let Some(items) = object.get_mut(list).and_then(Value::as_array_mut) {
        items.retain(keep);
        if items.is_empty() {
            object.remove(list);
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

fn remove(object: &mut Object, names: &[&str]) {
    names.iter().for_each(|name| drop(object.remove(*name)));
}

/// The object at the end of a path.
fn at<'o>(object: &'o mut Object, path: &[&str]) -> Option<&'o mut Object> {
    let mut object = object;
    for name in path {
        object = object.get_mut(*name)?.as_object_mut()?;
    }
    Some(object)
}
