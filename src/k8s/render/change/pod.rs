//! What `--clean` takes out of a Pod:
//!
//! - `nodeName`: it was scheduled there. A mirror pod, which the kubelet shows of a file on its node, is refused without
//!   it, and is to be: the kubelet makes it anew (`pkg/apis/core/validation`, `ValidatePodSpecificAnnotations`);
//! - `ephemeralContainers`, which a create is refused for (`ValidatePodCreate`);
//! - `priority`, `preemptionPolicy` and `overhead`: admission plug-ins set them by the class's name, and refuse any other
//!   value, as it is when the class has changed (`plugin/pkg/admission/priority`, `…/runtimeclass`);
//! - what the server adds to a selector for `matchLabelKeys` and `mismatchLabelKeys`, as it adds it again, and refuses
//!   what is there twice (`pkg/registry/core/pod/strategy.go`, `applyLabelKeysToLabelSelector`);
//! - the volume of the token that an admission plug-in adds, with its mounts, as it adds another
//!   (`plugin/pkg/admission/serviceaccount`): `kube-api-access-xxxxx`, and before 1.21 that of a Secret
//!   `ACCOUNT-token-xxxxx`, which is gone.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use serde_json::Value;

use super::{Object, at, is_generated, objects, remove, retain, text};

/// Where the plug-in mounts the token.
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const CONTAINERS: [&str; 2] = ["containers", "initContainers"];

pub(super) fn clean(object: &mut Object) {
    let Some(spec) = at(object, &["spec"]) else { return };
    remove(spec, &["nodeName", "ephemeralContainers", "priority", "preemptionPolicy", "overhead"]);
    remove_token(spec);
    objects(spec, "topologySpreadConstraints").for_each(unmerge);
    for side in ["podAffinity", "podAntiAffinity"] {
        let Some(affinity) = at(spec, &["affinity", side]) else { continue };
        objects(affinity, "requiredDuringSchedulingIgnoredDuringExecution").for_each(unmerge);
        for weighted in objects(affinity, "preferredDuringSchedulingIgnoredDuringExecution") {
            if let Some(term) = at(weighted, &["podAffinityTerm"]) {
                unmerge(term);
            }
        }
    }
}

/// Takes out of the selector what the keys of labels brought into it: `key in (value)`, `key notin (value)`. Nobody else
/// can have put it there, as a key is refused that is in both.
fn unmerge(term: &mut Object) {
    for (list, operator) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
        let keys = term.get(list).and_then(Value::as_array).into_iter().flatten();
        let keys: HashSet<String, RandomState> = keys.filter_map(Value::as_str).map(str::to_owned).collect();
        let Some(selector) = at(term, &["labelSelector"]) else { return };
        retain(selector, "matchExpressions", |expression| {
            let text = |name: &str| expression.get(name).and_then(Value::as_str).unwrap_or("");
            let values = expression.get("values").and_then(Value::as_array).map_or(0, Vec::len);
            !(text("operator") == operator && values == 1 && keys.contains(text("key")))
        });
    }
}

fn remove_token(spec: &mut Object) {
    let added = token_volumes(spec);
    if added.is_empty() {
        return;
    }
    let is_added =
        |item: &Value| item.get("name").and_then(Value::as_str).is_some_and(|name| added.contains(name));
    retain(spec, "volumes", |volume| !is_added(volume));
    for list in CONTAINERS {
        for container in objects(spec, list) {
            retain(container, "volumeMounts", |mount| !is_added(mount));
        }
    }
}

/// The volumes that the plug-in added, by name.
fn token_volumes(spec: &mut Object) -> HashSet<String, RandomState> {
    let secret = format!("{}-token-", text(spec, "serviceAccountName"));
    let mut added: HashSet<String, RandomState> = HashSet::default();
    for volume in objects(spec, "volumes") {
        let name = text(volume, "name").to_owned();
        let of_secret = |name| is_generated(name, &secret);
        if is_generated(&name, "kube-api-access-")
            || at(volume, &["secret"]).is_some_and(|source| of_secret(text(source, "secretName")))
        {
            added.insert(name);
        }
    }
    // whoever mounts a Secret elsewhere wants just this one
    for list in CONTAINERS {
        for container in objects(spec, list) {
            for mount in objects(container, "volumeMounts") {
                let name = text(mount, "name");
                if text(mount, "mountPath") != TOKEN_PATH && !is_generated(name, "kube-api-access-") {
                    added.remove(name);
                }
            }
        }
    }
    added
}
