//! Values that lie: cut short, nested, huge; and objects of every encoding, changed as they are shown.

use etcd_medic::internals::k8s::render::{Rendered, Unrenderable, change, render, yaml};
use k8s_pb::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_pb::api::core::v1 as core;
use k8s_pb::apimachinery::pkg::api::resource::Quantity;
use k8s_pb::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, Time};
use k8s_pb::apimachinery::pkg::util::intstr::IntOrString;
use prost::Message;
use serde_json::{Value, json};

/// `runtime.Unknown` as the API server writes it.
pub fn envelope(api_version: &str, kind: &str, object: &[u8]) -> Vec<u8> {
    let (mut value, mut meta) = (b"k8s\0".to_vec(), Vec::new());
    prost::encoding::string::encode(1, &api_version.to_owned(), &mut meta);
    prost::encoding::string::encode(2, &kind.to_owned(), &mut meta);
    prost::encoding::bytes::encode(1, &meta, &mut value);
    prost::encoding::bytes::encode(2, &object.to_vec(), &mut value);
    prost::encoding::bytes::encode(3, &Vec::new(), &mut value);
    prost::encoding::bytes::encode(4, &Vec::new(), &mut value);
    value
}

fn object(rendered: Result<Rendered, Unrenderable>) -> Value {
    let rendered = rendered.expect("an object");
    assert_eq!(rendered.unknown_fields, 0);
    Value::Object(rendered.object)
}

fn pod() -> core::Pod {
    let handler = core::ProbeHandler {
        http_get: Some(core::HttpGetAction {
            path: Some("/healthz".into()),
            port: Some(IntOrString { r#type: Some(1), str_val: Some("http".into()), int_val: Some(0) }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let volume = core::Volume {
        name: Some("config".into()),
        volume_source: Some(core::VolumeSource {
            config_map: Some(core::ConfigMapVolumeSource {
                local_object_reference: Some(core::LocalObjectReference { name: Some("c".into()) }),
                default_mode: Some(420),
                ..Default::default()
            }),
            ..Default::default()
        }),
    };
    let container = core::Container {
        name: Some("main".into()),
        image: Some(String::new()),
        tty: Some(false),
        resources: Some(core::ResourceRequirements {
            limits: [("memory".to_owned(), Quantity { string: Some("1Gi".into()) })].into(),
            ..Default::default()
        }),
        readiness_probe: Some(core::Probe {
            handler: Some(handler),
            period_seconds: Some(10),
            ..Default::default()
        }),
        ..Default::default()
    };
    core::Pod {
        metadata: Some(ObjectMeta {
            name: Some("web".into()),
            namespace: Some("shop".into()),
            uid: Some("u".into()),
            generation: Some(0),
            creation_timestamp: Some(Time { seconds: Some(1_700_000_000), nanos: Some(0) }),
            ..Default::default()
        }),
        spec: Some(core::PodSpec {
            containers: vec![container],
            volumes: vec![volume],
            host_network: Some(false),
            enable_service_links: Some(false),
            node_selector: [("disk".to_owned(), "ssd".to_owned())].into(),
            security_context: Some(core::PodSecurityContext {
                supplemental_groups: vec![1, -2],
                ..Default::default()
            }),
            ..Default::default()
        }),
        status: None,
    }
}

/// As `kubectl get -o json` has it: pointers that are false stay, other empty fields go unless they are structs or lists
/// that Kubernetes always writes; what is embedded in Go stands among its neighbours.
#[test]
fn protobuf_becomes_the_json_of_the_api() {
    let rendered = object(render(&envelope("v1", "Pod", &pod().encode_to_vec())));
    let expected = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "u", "creationTimestamp": "2023-11-14T22:13:20Z",
        },
        "spec": {
            "containers": [{
                "name": "main",
                "resources": {"limits": {"memory": "1Gi"}},
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 10},
            }],
            "volumes": [{"name": "config", "configMap": {"name": "c", "defaultMode": 420}}],
            "enableServiceLinks": false,
            "nodeSelector": {"disk": "ssd"},
            "securityContext": {"supplementalGroups": [1, -2]},
        },
        "status": {},
    });
    assert_eq!(rendered, expected);

    let event = core::Event {
        event_time: Some(MicroTime { seconds: Some(1_700_000_000), nanos: Some(1_000) }),
        ..Default::default()
    };
    let event = object(render(&envelope("v1", "Event", &event.encode_to_vec())));
    assert_eq!(event["eventTime"], "2023-11-14T22:13:20.000001Z");
    assert!(event["firstTimestamp"].is_null() && event["reportingComponent"] == "", "always there: {event}");

    let deployment = Deployment {
        spec: Some(DeploymentSpec { replicas: Some(0), ..Default::default() }),
        ..Default::default()
    };
    let deployment = object(render(&envelope("apps/v1", "Deployment", &deployment.encode_to_vec())));
    assert_eq!(deployment["spec"]["replicas"], 0, "a pointer to nought is no nothing");
    assert_eq!(deployment["spec"]["strategy"], json!({}), "a struct is always there");
    assert!(
        deployment["spec"]["selector"].is_null()
            && deployment["spec"]["template"]["spec"]["containers"].is_null()
    );
}

#[test]
fn json_and_cbor_are_shown_as_they_are() {
    let text = br#"{"apiVersion":"a.example/v1","kind":"A","metadata":{"name":"a"},"spec":{"n":1,"f":1.5,"b":true,"x":null}}"#;
    let from_json = object(render(text));
    assert_eq!(from_json, serde_json::from_slice::<Value>(text).expect("JSON"));

    use ciborium::Value as Cbor;
    let bytes = |text: &str| Cbor::Bytes(text.as_bytes().to_vec());
    let spec = vec![
        (bytes("n"), Cbor::Integer(1.into())),
        (bytes("f"), Cbor::Float(1.5)),
        (bytes("b"), Cbor::Bool(true)),
        (bytes("x"), Cbor::Null),
    ];
    let tagged = Cbor::Tag(22, Box::new(Cbor::Bytes(vec![0xff, 0])));
    let map = |spec| {
        let meta = Cbor::Map(vec![(bytes("name"), bytes("a"))]);
        let fields =
            [("apiVersion", bytes("a.example/v1")), ("kind", bytes("A")), ("metadata", meta), ("spec", spec)];
        Cbor::Map(fields.into_iter().map(|(name, value)| (bytes(name), value)).collect())
    };
    let cbor = |value: &Cbor| {
        let mut encoded = vec![0xd9, 0xd9, 0xf7];
        ciborium::into_writer(value, &mut encoded).expect("CBOR");
        encoded
    };
    assert_eq!(object(render(&cbor(&map(Cbor::Map(spec))))), from_json);
    let with_bytes = object(render(&cbor(&map(tagged))));
    assert_eq!(with_bytes["spec"], "/wA=", "bytes are base64, as in JSON");
    let not_text = cbor(&map(Cbor::Bytes(vec![0xff])));
    assert_eq!(render(&not_text), Err(Unrenderable::Malformed("a text is not UTF-8")));
    assert!(matches!(render(&cbor(&map(Cbor::Float(f64::NAN)))), Err(Unrenderable::Malformed(_))));

    // nested beyond reason, in each encoding
    let deep = [&b"{\"apiVersion\":\"v1\",\"kind\":\"A\",\"a\":"[..], &b"[".repeat(100_000)].concat();
    assert!(matches!(render(&deep), Err(Unrenderable::Malformed(_) | Unrenderable::TooLarge)));
    let deep = [&[0xd9, 0xd9, 0xf7][..], &[0x81].repeat(100_000)].concat();
    assert!(matches!(render(&deep), Err(Unrenderable::Malformed(_) | Unrenderable::TooLarge)));
}

#[test]
fn what_is_no_object_is_said() {
    for value in [&b""[..], b"hello", b"[1]", b"\xff\xfe", b"{\"a\":1}", b"{\"apiVersion\":1,\"kind\":\"A\"}"]
    {
        assert_eq!(render(value), Err(Unrenderable::NoObject), "{value:?}");
    }
    let encrypted = b"k8s:enc:aescbc:v1:key1:\x00\x01..............";
    assert_eq!(render(encrypted), Err(Unrenderable::Encrypted("k8s:enc:aescbc:v1:key1".into())));
    let unknown = render(&envelope("example.com/v1", "Thing", b""));
    let says = unknown.expect_err("unknown").to_string();
    assert!(says.contains("example.com/v1 Thing"), "{says}");
}

/// Every value cut at every byte, and every byte changed: an answer, never a panic, and never the whole object by mistake.
#[test]
fn every_truncation_and_every_flip_is_survived() {
    let value = envelope("v1", "Pod", &pod().encode_to_vec());
    let whole = render(&value).expect("an object");
    let mut errors = 0;
    for len in 0..value.len() {
        let cut = render(&value[..len]);
        // the envelope's last two fields are empty
        assert!(cut.as_ref() != Ok(&whole) || len + 4 >= value.len(), "{len} bytes");
        errors += usize::from(cut.is_err());
        for change in [0x00, 0x01, 0x7f, 0x80, 0xff] {
            let mut changed = value.clone();
            changed[len] ^= change;
            if let Ok(rendered) = render(&changed) {
                let mut object = rendered.object;
                assert!(!yaml::yaml(&object).is_empty());
                change::clean(&mut object);
            }
        }
    }
    assert!(errors > value.len() / 2, "{errors}");
}

#[test]
fn fields_of_a_newer_kubernetes_are_counted() {
    let mut bytes = pod().encode_to_vec();
    prost::encoding::string::encode(4000, &"new".to_owned(), &mut bytes);
    let rendered = render(&envelope("v1", "Pod", &bytes)).expect("an object");
    assert_eq!(rendered.unknown_fields, 1);
}

/// Two bytes of each become an empty container, which is a tree of its own: their number is bounded.
#[test]
fn a_flood_of_empty_messages_is_refused() {
    let containers = [0x12, 0x00].repeat(4 << 20);
    let mut pod = Vec::new();
    prost::encoding::bytes::encode(2, &containers, &mut pod);
    assert_eq!(render(&envelope("v1", "Pod", &pod)), Err(Unrenderable::TooLarge));
    let flood =
        [&b"{\"apiVersion\":\"v1\",\"kind\":\"A\",\"a\":["[..], &b"1,".repeat(4 << 20), b"1]}"].concat();
    assert_eq!(render(&flood), Err(Unrenderable::TooLarge));
    // large, and an object all the same
    let map = core::ConfigMap {
        data: (0..20_000).map(|key| (format!("key-{key}"), "v".repeat(50))).collect(),
        ..Default::default()
    };
    let rendered = object(render(&envelope("v1", "ConfigMap", &map.encode_to_vec())));
    assert_eq!(rendered["data"].as_object().map(serde_json::Map::len), Some(20_000));
}

#[test]
fn what_only_the_cluster_knew_is_cleaned() {
    let clean = |value: Value| {
        let Value::Object(mut object) = value else { panic!("an object") };
        change::clean(&mut object);
        Value::Object(object)
    };
    let meta = json!({
        "name": "a", "uid": "u", "resourceVersion": "1", "generation": 2, "creationTimestamp": "t", "selfLink": "s",
        "managedFields": [], "ownerReferences": [{"uid": "gone"}], "deletionTimestamp": "t",
        "labels": {"app": "a"}, "finalizers": ["f"],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "mine": "1"},
    });
    let kept =
        json!({"name": "a", "labels": {"app": "a"}, "finalizers": ["f"], "annotations": {"mine": "1"}});
    for (before, after) in [
        (
            json!({"apiVersion": "v1", "kind": "Service", "spec": {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
                "healthCheckNodePort": 1, "ports": []}, "status": {}}),
            json!({"spec": {"ports": []}}),
        ),
        (
            json!({"apiVersion": "v1", "kind": "Service", "spec": {"clusterIP": "None", "clusterIPs": ["None"]}}),
            json!({"spec": {"clusterIP": "None", "clusterIPs": ["None"]}}),
        ),
        (
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": {"volumeName": "pv", "accessModes": []}}),
            json!({"spec": {"accessModes": []}}),
        ),
        (
            json!({"apiVersion": "v1", "kind": "Pod", "spec": {"nodeName": "n",
                "volumes": [{"name": "kube-api-access-x2b4c"}, {"name": "data"}],
                "containers": [{"name": "c", "volumeMounts": [{"name": "kube-api-access-x2b4c"}]}]}}),
            json!({"spec": {"volumes": [{"name": "data"}], "containers": [{"name": "c"}]}}),
        ),
        (
            json!({"apiVersion": "batch/v1", "kind": "Job", "spec": {"selector": {}, "template": {"metadata": {
                "creationTimestamp": null, "labels": {"controller-uid": "u", "mine": "1"}}}}}),
            json!({"spec": {"template": {"metadata": {"labels": {"mine": "1"}}}}}),
        ),
        (
            json!({"apiVersion": "batch/v1", "kind": "Job", "spec": {"manualSelector": true, "selector": {}}}),
            json!({"spec": {"manualSelector": true, "selector": {}}}),
        ),
        // another group's kind of that name is left alone
        (
            json!({"apiVersion": "serving.example/v1", "kind": "Service", "spec": {"clusterIP": "x"}}),
            json!({"spec": {"clusterIP": "x"}}),
        ),
    ] {
        let (mut before, mut after) = (before, after);
        before["metadata"] = meta.clone();
        after["metadata"] = kept.clone();
        after["apiVersion"] = before["apiVersion"].clone();
        after["kind"] = before["kind"].clone();
        assert_eq!(clean(before), after);
    }
    // nothing of what is expected need be there, or of its type
    for odd in [
        json!({}),
        json!({"metadata": 1, "spec": []}),
        json!({"kind": "Pod", "apiVersion": "v1", "spec": {"volumes": {}}}),
    ] {
        clean(odd);
    }
}

/// What YAML 1.1, as `kubectl` reads it, takes for something else than text; and what could steer a terminal.
#[test]
fn text_stays_text_in_yaml() {
    let odd = [
        "yes",
        "no",
        "on",
        "null",
        "~",
        "",
        "0777",
        "0x1f",
        "1e3",
        "1:30",
        "2001-01-01",
        "<<",
        "=",
        "- a",
        "a: b",
        "a #b",
        " a",
    ];
    for text in odd {
        let Value::Object(object) = json!({"a": text, text: 1}) else { unreachable!() };
        let shown = yaml::yaml(&object);
        let line = shown.lines().find(|line| line.starts_with("a: ")).expect("a line");
        assert!(line == format!("a: \"{text}\"") || line == format!("a: '{text}'"), "{text}: {line}");
    }
    let Value::Object(object) = json!({"script": "#!/bin/sh\n\techo \"hi\"\n", "long": "word ".repeat(60)})
    else {
        unreachable!()
    };
    let shown = yaml::yaml(&object);
    assert!(shown.contains("script: |\n  #!/bin/sh\n  \techo \"hi\"\n"), "{shown}");
    assert!(shown.lines().count() == 4, "long lines stay whole: {shown}");

    let hostile = "a\u{1b}[31m\u{202e}\\x01\u{1}202E\u{1}\u{200b}\n'b'\u{9b}\u{feff}\u{7f}";
    let Value::Object(object) = json!({"a": {hostile: [hostile, "x"]}}) else { unreachable!() };
    let (shown, as_json) = (yaml::yaml(&object), yaml::json(&object).expect("JSON"));
    for shown in [&shown, &as_json] {
        let steers =
            |char: &char| char.is_control() && *char != '\n' || "\u{202e}\u{200b}\u{feff}".contains(*char);
        assert_eq!(shown.chars().find(steers), None, "{shown:?}");
    }
    assert_eq!(serde_json::from_str::<Value>(&as_json).expect("JSON"), Value::Object(object.clone()));
    // in double quotes, YAML's escapes are a superset of JSON's: `\x01`, `\e` and the like are its own
    assert!(
        shown.contains("\\u202E") && shown.contains("\\\\x01") && shown.contains("\\u0001202E\\u0001"),
        "{shown}"
    );
}

/// The digits of a custom resource's numbers are its owner's: none of them changes on the way from JSON to JSON.
#[test]
fn numbers_keep_their_digits() {
    for number in ["0.37288636758789484", "0.1", "1e-7", "18446744073709551615", "-9223372036854775808"] {
        let text = format!(r#"{{"apiVersion":"example.org/v1","kind":"Thing","ratio":{number}}}"#);
        let rendered = object(render(text.as_bytes()));
        let shown = yaml::json_line(&rendered).expect("JSON");
        assert_eq!(shown, text);
    }
}
