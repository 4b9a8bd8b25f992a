//! `--clean` on objects as a kube-apiserver 1.36 stored them, each of which the same server refused, or made something
//! else of, before. `docs/time-travel.md` has the whole trial.

use etcd_medic::internals::k8s::render::change;
use serde_json::{Value, json};

fn clean(value: Value) -> Value {
    let Value::Object(mut object) = value else { panic!("an object") };
    change::clean(&mut object);
    let once = object.clone();
    change::clean(&mut object);
    assert_eq!(object, once, "what is clean stays as it is");
    Value::Object(object)
}

#[test]
fn a_definition_is_served_in_another_version_than_it_is_stored_in() {
    let schema = json!({"openAPIV3Schema": {"type": "object", "required": ["status"],
        "x-kubernetes-preserve-unknown-fields": true}});
    // one version: what it has stands beside it
    let stored = json!({"apiVersion": "apiextensions.k8s.io/v1beta1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "plains.example.com", "finalizers": ["customresourcecleanup.apiextensions.k8s.io"]},
        "spec": {"conversion": {"strategy": "None"}, "group": "example.com", "names": {"kind": "Plain", "plural": "plains"},
            "preserveUnknownFields": false, "scope": "Cluster", "version": "v1alpha1", "validation": schema.clone(),
            "additionalPrinterColumns": [{"JSONPath": ".nested", "name": "Nested", "type": "string"}],
            "selectableFields": [{"jsonPath": ".nested"}], "subresources": {"status": {}},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true}]},
        "status": {"storedVersions": ["v1alpha1"]}});
    let version = json!({"name": "v1alpha1", "served": true, "storage": true, "schema": schema.clone(),
        "additionalPrinterColumns": [{"jsonPath": ".nested", "name": "Nested", "type": "string"}],
        "selectableFields": [{"jsonPath": ".nested"}], "subresources": {"status": {}}});
    let served = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "plains.example.com"},
        "spec": {"conversion": {"strategy": "None"}, "group": "example.com", "names": {"kind": "Plain", "plural": "plains"},
            "preserveUnknownFields": false, "scope": "Cluster", "versions": [version]}});
    assert_eq!(clean(stored.clone()), served);
    // it stays what it became
    assert_eq!(clean(served.clone()), served);

    // several that differ have their own, and a webhook converts between them
    let mut several = stored.clone();
    let spec = several["spec"].as_object_mut().expect("an object");
    for shared in ["validation", "additionalPrinterColumns", "selectableFields", "subresources"] {
        spec.remove(shared);
    }
    several["spec"]["versions"] = json!([
        {"name": "v1", "served": true, "storage": true, "schema": schema,
            "additionalPrinterColumns": [{"JSONPath": ".spec.size", "name": "Size", "type": "integer"}]},
        {"name": "v1beta1", "served": true, "storage": false, "schema": {"openAPIV3Schema": {"type": "object"}}},
    ]);
    several["spec"]["conversion"] = json!({"strategy": "Webhook", "conversionReviewVersions": ["v1"],
        "webhookClientConfig": {"service": {"name": "w", "namespace": "shop", "port": 443}}});
    let several = clean(several);
    assert_eq!(
        several["spec"]["conversion"],
        json!({"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"],
            "clientConfig": {"service": {"name": "w", "namespace": "shop", "port": 443}}}})
    );
    let versions = &several["spec"]["versions"];
    assert_eq!(
        versions[0]["additionalPrinterColumns"],
        json!([{"jsonPath": ".spec.size", "name": "Size",
        "type": "integer"}])
    );
    assert_eq!(versions[0]["schema"], schema);
    assert_eq!(versions[1]["schema"], json!({"openAPIV3Schema": {"type": "object"}}));

    // of old: no list of versions, and unknown fields kept, as v1beta1 has it
    let mut old = stored;
    let spec = old["spec"].as_object_mut().expect("an object");
    spec.remove("versions");
    spec.remove("preserveUnknownFields");
    let old = clean(old);
    assert_eq!(old["spec"]["versions"], json!([version]));
    assert_eq!(old["spec"]["preserveUnknownFields"], true);
}

#[test]
fn a_definition_that_would_grow_beyond_measure_stays_as_it_is() {
    let versions: Vec<Value> = (0..40_000).map(|name| json!({"name": name.to_string()})).collect();
    let stored = json!({"apiVersion": "apiextensions.k8s.io/v1beta1", "kind": "CustomResourceDefinition",
        "spec": {"validation": {"description": "x".repeat(1_000)}, "versions": versions}});
    assert_eq!(clean(stored.clone()), stored);
    for odd in
        [json!({}), json!({"spec": []}), json!({"spec": {"versions": {}, "version": 1, "conversion": []}})]
    {
        let mut odd = odd;
        odd["apiVersion"] = "apiextensions.k8s.io/v1beta1".into();
        odd["kind"] = "CustomResourceDefinition".into();
        clean(odd);
    }
}

#[test]
fn a_kind_that_has_just_become_stable_is_served_as_it_was_written() {
    let policy = |stored: &str, written: &str| {
        let group = "admissionregistration.k8s.io";
        let cleaned = clean(
            json!({"apiVersion": format!("{group}/{stored}"), "kind": "MutatingAdmissionPolicy",
            "metadata": {"name": "policy", "managedFields": [{"apiVersion": format!("{group}/{written}")}]}, "spec": {}}),
        );
        cleaned["apiVersion"].as_str().expect("text").split_once('/').expect("a group").1.to_owned()
    };
    assert_eq!(policy("v1beta1", "v1"), "v1");
    assert_eq!(policy("v1alpha1", "v1beta1"), "v1beta1");
    // an older server, which has no other
    assert_eq!(policy("v1beta1", "v1beta1"), "v1beta1");
    assert_eq!(policy("v1", "v1beta1"), "v1");
    // who looks different in another version keeps its own
    let slice = json!({"apiVersion": "resource.k8s.io/v1beta1", "kind": "ResourceSlice",
        "metadata": {"managedFields": [{"apiVersion": "resource.k8s.io/v1"}]}});
    assert_eq!(clean(slice)["apiVersion"], "resource.k8s.io/v1beta1");
}

#[test]
fn a_status_that_is_no_subresource_is_data() {
    let plain = |fields: Value| {
        json!({"apiVersion": "example.com/v1alpha1", "kind": "Plain", "status": {"mine": true},
            "metadata": {"name": "p1", "managedFields": fields}})
    };
    let own =
        json!({"apiVersion": "example.com/v1alpha1", "fieldsV1": {"f:status": {".": {}, "f:mine": {}}}});
    let controllers = json!({"apiVersion": "example.com/v1alpha1", "subresource": "status",
        "fieldsV1": {"f:status": {".": {}, "f:mine": {}}}});
    for fields in [json!([own]), json!([]), Value::Null] {
        assert_eq!(clean(plain(fields))["status"], json!({"mine": true}));
    }
    for fields in [json!([controllers]), json!([own, controllers])] {
        assert!(clean(plain(fields)).get("status").is_none());
    }
    // no kind of Kubernetes' own
    for (version, kind) in [
        ("apps/v1", "Deployment"),
        ("v1", "Pod"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        ("apiregistration.k8s.io/v1", "APIService"),
    ] {
        let mut object = plain(json!([own]));
        object["apiVersion"] = version.into();
        object["kind"] = kind.into();
        assert!(clean(object).get("status").is_none(), "{kind}");
    }
}

#[test]
fn a_pod_is_made_anew() {
    let term = |expressions: Value| json!({"labelSelector": {"matchLabels": {"app": "spread"}, "matchExpressions": expressions}});
    let with = |mut term: Value, list: &str| {
        term[list] = json!(["pod-template-hash"]);
        term
    };
    let merged =
        |operator: &str| json!([{"key": "pod-template-hash", "operator": operator, "values": ["h1"]}]);
    let mine = json!({"key": "tier", "operator": "In", "values": ["web"]});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "spread"}, "spec": {
    "containers": [{"name": "c", "image": "i"}],
    "ephemeralContainers": [{"name": "dbg", "image": "busybox", "targetContainerName": "c"}],
    "nodeName": "node-1", "priorityClassName": "usual", "priority": 10, "preemptionPolicy": "PreemptLowerPriority",
    "runtimeClassName": "kata", "overhead": {"cpu": "100m"},
    "topologySpreadConstraints": [with(term(merged("In")), "matchLabelKeys")],
    "affinity": {
        "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            [with(term(merged("NotIn")), "mismatchLabelKeys")]},
        "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm":
            with(term(json!([mine.clone(), merged("In")[0]])), "matchLabelKeys")}],
            "requiredDuringSchedulingIgnoredDuringExecution": [term(merged("In"))]},
    }}});
    let plain = json!({"labelSelector": {"matchLabels": {"app": "spread"}}});
    assert_eq!(
        clean(pod)["spec"],
        json!({"containers": [{"name": "c", "image": "i"}], "priorityClassName": "usual", "runtimeClassName": "kata",
        "topologySpreadConstraints": [with(plain.clone(), "matchLabelKeys")],
        "affinity": {
            "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [with(plain, "mismatchLabelKeys")]},
            "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm":
                with(term(json!([mine])), "matchLabelKeys")}],
                // without keys, it is the author's own
                "requiredDuringSchedulingIgnoredDuringExecution": [term(merged("In"))]},
        }})
    );
}

#[test]
fn the_token_that_an_older_release_mounted_is_gone() {
    let path = "/var/run/secrets/kubernetes.io/serviceaccount";
    let pod = |mounts: Value| {
        json!({"apiVersion": "v1", "kind": "Pod", "spec": {"serviceAccountName": "builder",
            "volumes": [{"name": "builder-token-x2b4c", "secret": {"secretName": "builder-token-x2b4c"}},
                {"name": "mine", "secret": {"secretName": "builder-token-of-mine"}}],
            "containers": [{"name": "c", "volumeMounts": mounts}]}})
    };
    let token = json!({"name": "builder-token-x2b4c", "mountPath": path, "readOnly": true});
    let mine = json!({"name": "mine", "mountPath": "/mine"});
    let cleaned = clean(pod(json!([token, mine])));
    assert_eq!(
        cleaned["spec"]["volumes"],
        json!([{"name": "mine", "secret": {"secretName": "builder-token-of-mine"}}])
    );
    assert_eq!(cleaned["spec"]["containers"], json!([{"name": "c", "volumeMounts": [mine]}]));
    // mounted elsewhere, it was asked for
    let asked = pod(json!([{"name": "builder-token-x2b4c", "mountPath": "/token"}]));
    assert_eq!(clean(asked.clone())["spec"], asked["spec"]);
}

#[test]
fn accounts_keep_the_secrets_that_somebody_listed() {
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "builder"},
        "secrets": [{"name": "builder-token-x2b4c"}, {"name": "builder-token"}, {"name": "builder-token-vowel"}]});
    assert_eq!(
        clean(account)["secrets"],
        json!([{"name": "builder-token"}, {"name": "builder-token-vowel"}])
    );
    // names are cut off at 58 bytes before five are added
    let long = "a".repeat(60);
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": long},
        "secrets": [{"name": format!("{}x2b4c", "a".repeat(58))}]});
    assert!(clean(account).get("secrets").is_none());

    let secret = |kind: &str| {
        json!({"apiVersion": "v1", "kind": "Secret", "type": kind, "data": {"token": "b2xk", "ca.crt": "Q0E="},
            "metadata": {"name": "builder-token", "annotations": {"kubernetes.io/service-account.name": "builder",
                "kubernetes.io/service-account.uid": "06d33080"}}})
    };
    let token = clean(secret("kubernetes.io/service-account-token"));
    assert_eq!(token["data"], json!({"ca.crt": "Q0E="}));
    assert_eq!(token["metadata"]["annotations"], json!({"kubernetes.io/service-account.name": "builder"}));
    assert_eq!(clean(secret("Opaque")), secret("Opaque"));
}

#[test]
fn what_the_server_adds_when_it_answers() {
    let template = json!({"metadata": {"name": "v"}, "spec": {"accessModes": ["ReadWriteOnce"]}, "status": {"phase": "Pending"}});
    let set =
        json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "spec": {"volumeClaimTemplates": [template]}});
    let mut named = template;
    named["apiVersion"] = "v1".into();
    named["kind"] = "PersistentVolumeClaim".into();
    assert_eq!(clean(set)["spec"]["volumeClaimTemplates"], json!([named]));

    let request = json!({"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "spec": {
        "signerName": "example.com/s", "username": "jane", "uid": "u", "groups": ["g"], "extra": {"a": ["b"]}}});
    assert_eq!(clean(request)["spec"], json!({"signerName": "example.com/s"}));

    let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"finalizers": ["foregroundDeletion", "example.com/keep", "orphan"]}});
    assert_eq!(clean(map)["metadata"], json!({"finalizers": ["example.com/keep"]}));
}
