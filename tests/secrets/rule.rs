//! The rule, case by case: what is hidden of a Secret, what is not, and what no Secret is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use etcd_medic::internals::k8s::{KeyLayout, secret};
use serde_json::{Value, json};

/// The value as it is shown under this key, and whether something was left out.
fn shown(key: &str, value: &Value) -> (Value, bool) {
    let value = value.to_string();
    let shown = secret::shown(&KeyLayout::new(), key.as_bytes(), value.as_bytes());
    let (rendered, redacted) = shown.expect("an object");
    (Value::Object(rendered.object), redacted)
}

fn may_be_in(key: &str, value: &[u8]) -> bool {
    secret::may_be_in(&KeyLayout::new(), key.as_bytes(), value)
}

/// `get` of a Secret that nobody meddled with: its names, and how many bytes there are of the rest.
#[test]
fn an_ordinary_secret_keeps_its_names() {
    let value = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "immutable": true,
        "metadata": {
            "name": "web-tls", "namespace": "shop", "uid": "0c9ca83d-6e1d-4e98-a9c9-0dd7ea6196e4", "resourceVersion": "17",
            "creationTimestamp": "2026-11-23T07:41:25Z", "generation": 1, "deletionTimestamp": null,
            "labels": {"app.kubernetes.io/name": "web", "team": "blue"},
            "annotations": {
                "cert-manager.io/certificate-name": "web", "example.com/note": "blue",
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
            },
            "finalizers": ["foregroundDeletion", "example.com/finalizer"],
            "ownerReferences": [{"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "name": "web",
                "uid": "0c9ca83d-6e1d-4e98-a9c9-0dd7ea6196e5", "controller": true}],
            "managedFields": [{"manager": "m", "operation": "Update", "apiVersion": "v1", "time": "2026-11-23T07:41:25Z",
                "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {}}}],
        },
        "data": {"tls.crt": STANDARD.encode("MARKERMARKER"), "tls.key": STANDARD.encode("k"), "empty": "", "none": null},
        "stringData": {"x": "MARKER"}, "extra": ["MARKER"],
    });
    let mut expected = value.clone();
    expected["metadata"]["labels"]["team"] = json!("REDACTED (4 bytes)");
    expected["metadata"]["annotations"]["example.com/note"] = json!("REDACTED (4 bytes)");
    expected["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] =
        json!("REDACTED (2 bytes)");
    expected["metadata"]["finalizers"][1] = json!("REDACTED (21 bytes)");
    expected["metadata"]["managedFields"][0]["manager"] = json!("REDACTED (1 byte)");
    expected["metadata"]["managedFields"][0]["fieldsV1"] = json!("REDACTED (13 bytes)");
    expected["data"] = json!({"tls.crt": "REDACTED (12 bytes)", "tls.key": "REDACTED (1 byte)", "empty": "REDACTED (0 bytes)",
        "none": null});
    expected["stringData"]["x"] = json!("REDACTED (6 bytes)");
    expected["extra"] = json!("REDACTED (10 bytes)");
    assert_eq!(shown("/registry/secrets/shop/web-tls", &value), (expected, true));
}

/// Names are shown, unless they say what the data is.
#[test]
fn names_that_repeat_the_data_are_hidden() {
    let password = "correct-horse-battery";
    let with = |name: &str, label: &str| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "labels": {"app": label}},
            "data": {name: STANDARD.encode(password), "b": "Yg=="}})
    };
    for (name, label, name_is_shown, label_is_shown) in [
        ("db-password", "web", true, true),
        ("correct-horse-battery", "web", false, true),
        ("my-correct-horse-x", "web", false, true),
        (&*STANDARD.encode(password), "web", false, true),
        // less than a quarter
        ("correctly", "web", false, true),
        ("horse", "correct-horse-battery", true, false),
        ("a.b", "horse", true, false),
        ("no name of a key!", "no label!", false, false),
    ] {
        let (shown, _) = shown("/registry/secrets/d/s", &with(name, label));
        assert_eq!(shown["data"].get(name).is_some(), name_is_shown, "{name}: {shown}");
        assert_eq!(shown["metadata"]["labels"]["app"] == label, label_is_shown, "{label}: {shown}");
        assert_eq!(shown["data"].as_object().map(serde_json::Map::len), Some(2), "{shown}");
    }
    // the key tells it already, and a well-known one means the same everywhere
    let value = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": "horse", "namespace": "battery"},
        "data": {".dockerconfigjson": STANDARD.encode("horse battery .dockerconfigjson kubernetes.io/dockerconfigjson")}});
    let (shown, _) = shown("/registry/secrets/battery/horse", &value);
    assert_eq!(shown["metadata"], value["metadata"]);
    assert!(shown["type"] == value["type"] && shown["data"].get(".dockerconfigjson").is_some(), "{shown}");
}

#[test]
fn a_key_tells_a_secret_in_every_layout() {
    let value = json!({"apiVersion": "example.com/v1", "kind": "Widget", "spec": {"a": "b"}}).to_string();
    let encrypted = b"k8s:enc:aescbc:v1:key1:0123456789abcdef0123456789abcdef".as_slice();
    for (key, by_key, with_object) in [
        ("/registry/secrets/d/a", true, true),
        ("/kubernetes.io/secrets/d/a", true, true),
        ("/tenant-a/registry/secrets/d/a", true, true),
        ("/registry/core/secrets/root:org/d/a", true, true),
        ("/secrets/d/a", true, true),
        ("secrets/d/a", true, true),
        ("/registry/SECRETS/d/a", true, true),
        ("/registry/example.org/secrets/d/a", true, true),
        ("/registry/example.com/secrets/d/a", true, true),
        // a tenant that is called as the kind
        ("/widgets/secrets/d/a", true, true),
        ("/widgets/x/secrets/d/a", true, true),
        // a tenant that is called as a resource
        ("/registry/events/secrets/d/a", true, true),
        // a namespace, and a name: of a built-in resource by the key, of another by its value
        ("/registry/configmaps/secrets/a", false, false),
        ("/registry/configmaps/d/secrets", false, false),
        ("/registry/minions/secrets", false, false),
        ("/registry/example.com/widgets/secrets/a", true, false),
        ("/my/cluster/widgets/d/secrets", true, false),
        ("/registry/example.com/widgets/d/a", false, false),
        ("/registry/secretstores/d/a", false, false),
    ] {
        assert_eq!(may_be_in(key, encrypted), by_key, "{key}");
        assert_eq!(may_be_in(key, value.as_bytes()), with_object, "{key}");
    }
}

/// What only names a Secret, or says nothing of one, is shown as it is.
#[test]
fn what_holds_no_secret_is_shown_whole() {
    let reference = json!({"kind": "Secret", "name": "s", "namespace": "d", "group": "", "status": "Synced"});
    for value in [
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"password": "hunter22", "kind": "data: x"}}),
        json!({"apiVersion": "v1", "kind": "Event", "involvedObject": {"kind": "Secret", "name": "s", "apiVersion": "v1"}}),
        json!({"apiVersion": "a.example/v1", "kind": "A", "spec": {"secretRef": reference, "all": [reference]}}),
        json!({"apiVersion": "v1", "kind": "A", "metadata": {"annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": json!({"kind": "A", "ref": reference, "data": 1}).to_string()}}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {
            "a.yaml": "kind: SealedSecret\ndata:\n  a: b\n", "b.yaml": "kind: Deployment\nsecret:\n  secretName: x\ndata: y\n",
            "c": "The kind of Secret that holds it", "d": STANDARD.encode("a certificate, say, of some length"),
            "e": "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"}}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "rules": [{"resources": ["secrets"]}]}),
    ] {
        assert_eq!(shown("/registry/configmaps/d/a", &value), (value.clone(), false));
        assert!(!may_be_in("/registry/configmaps/d/a", value.to_string().as_bytes()), "{value}");
    }
    for value in
        [&b"no object"[..], b"", b"\xff\xfe\x00", b"{\"kind\":\"Secret\"", b"x".repeat(1 << 20).as_slice()]
    {
        assert!(!may_be_in("/app/state", value), "{}", value.escape_ascii());
    }
}

/// Whatever reads names as Go does would take these for a Secret; and what says that it is Kubernetes', and can't be read.
#[test]
fn what_may_be_a_secret_is_one() {
    for text in [
        r#"{"KIND":"Secret","kind":"A","data":{"a":"TUFSS0VSTUFSS0VS"}}"#,
        "{\"\u{212a}ind\":\"\u{17f}ecret\",\"data\":{\"a\":\"TUFSS0VSTUFSS0VS\"}}",
        r#"{"kind ":" Secret\u0000","data":{"a":"TUFSS0VSTUFSS0VS"}}"#,
        r#"{"kind":["Secret"],"data":{"a":"TUFSS0VSTUFSS0VS"}}"#,
        r#"{"kind":"A","a":{"kind":"Secret","data":{"a":"TUFSS0VSTUFSS0VS"}},"a":1}"#,
        "{\"kind\":/* of the core group */\"Secret\",\"data\":{}}",
        "k8s\0\u{7f}",
        "k8s\0\n\u{12}\n\u{2}v9\u{12}\u{7}Secrets\u{12}\u{0}",
    ] {
        assert!(may_be_in("/app/state", text.as_bytes()), "{text}");
    }
}

/// What is hidden in another object goes, and only that.
#[test]
fn of_an_object_that_embeds_one_only_that_is_hidden() {
    let inner =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "TUFSS0VS"}});
    let value = json!({"apiVersion": "bitnami.com/v1", "kind": "SealedSecret", "metadata": {"name": "x", "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": inner.to_string(), "mine": "kept"}},
        "spec": {"template": inner, "encryptedData": {"a": "AgBy3i4OJSWK+PiTySYZZA9rO43cGDEq"}}});
    let mut expected = value.clone();
    let len = inner.to_string().len();
    expected["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] =
        json!(format!("REDACTED ({len} bytes)"));
    expected["spec"]["template"]["data"]["a"] = json!("REDACTED (6 bytes)");
    assert_eq!(shown("/registry/bitnami.com/sealedsecrets/d/x", &value), (expected, true));
}

/// What can't be looked into within bounds, or by no means that are known here, is not shown; and it takes no time.
#[test]
fn what_cannot_be_decided_is_hidden() {
    let started = std::time::Instant::now();
    let map = |text: String| json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": text}});
    let zstd = STANDARD.encode(zstd::encode_all(&b"anything that there is to pack"[..], 3).expect("packed"));
    let bomb = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut encoder, &vec![0; 1 << 28]).expect("memory");
        STANDARD.encode(encoder.finish().expect("memory"))
    };
    let mut deep = "{}".to_owned();
    for _ in 0..12 {
        deep = json!({ "a": deep }).to_string();
    }
    let mut nested = "a quite ordinary text of some length".to_owned();
    for _ in 0..40 {
        nested = STANDARD.encode(&nested);
        nested.truncate(1 << 20);
    }
    for (what, text, hidden) in [
        ("zstd", zstd, true),
        ("a bomb", bomb, true),
        ("texts in texts", deep, false),
        ("base64", nested, true),
    ] {
        let (_, redacted) = shown("/registry/configmaps/d/a", &map(text));
        assert_eq!(redacted, hidden, "{what}");
    }
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}
