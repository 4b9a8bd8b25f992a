//! Prefixes found in the keys of objects.

use super::super::KeyLayout;
use super::{assert_rows, classify, columns, json, protobuf};

fn learned(layout: &KeyLayout<'_>) -> Vec<String> {
    layout.learned_prefixes().into_iter().map(|p| String::from_utf8_lossy(p).into_owned()).collect()
}

#[test]
fn a_prefix_is_learned_from_an_object() {
    let cases = columns(
        "
        /my/cluster-a/pods/default/x      v1                    Pod            /my/cluster-a
        /my/minions/n1                    v1                    Node           /my
        /my/services/specs/default/x      v1                    Service        /my
        /my/services/endpoints/default/x  v1                    Endpoints      /my
        /my/ingress/a/b                   extensions/v1beta1    Ingress        /my
        /my/networkpolicies/a/b           networking.k8s.io/v1  NetworkPolicy  /my
        /my/apiregistration.k8s.io/apiservices/v1. \
            apiregistration.k8s.io/v1  APIService  /my
        /my/example.com/oxen/a/b          example.com/v1        Ox             /my
        /my/example.com/oxen/b            example.com/v1        Ox             /my
        /my/newthings/a/b                 new.k8s.io/v1         NewThing       /my
        /my/newthings/b                   new.k8s.io/v1         NewThing       /my
        /my/osft/routes/a/b               route.openshift.io/v1 Route          /my/osft
        /pods/pods/pods/pods              v1                    Pod            /pods
        /registry/tenant-a/pods/a/x       v1                    Pod            /registry/tenant-a
        kubernetes.io/pods/a/b            v1                    Pod            kubernetes.io
        ",
    );
    for [key, api_version, kind, expected] in cases {
        for value in [protobuf(api_version, kind), json(api_version, kind)] {
            let mut layout = KeyLayout::new();
            assert!(layout.learn(key.as_bytes(), &value), "{key}");
            assert_eq!(learned(&layout), [expected], "{key}");
            assert!(!layout.learn(key.as_bytes(), &value), "{key} tells nothing new again");
        }
    }
}

#[test]
fn nothing_is_learned_from_objects_elsewhere() {
    let cases = columns(
        "
        /registry/pods/a/b         v1             Pod
        /registry/newthings/a/b    new.k8s.io/v1  NewThing
        /my/pods/x                 v1             Pod
        /my/minions/a/b            v1             Node
        /my/masterleases/10.0.0.1  v1             Endpoints
        /my/xpods/a/b              v1             Pod
        /my/pods/a/                v1             Pod
        /newthings/a/b             new.k8s.io/v1  NewThing
        pods/a/b                   v1             Pod
        pods                       v1             Pod
        ",
    );
    for [key, api_version, kind] in cases {
        assert_learns_nothing(key, &protobuf(api_version, kind));
    }
    assert_learns_nothing("", &protobuf("v1", "Pod"));
}

#[test]
fn nothing_is_learned_from_an_applications_values() {
    assert_learns_nothing("/app/sessions/1", b"s1");
    assert_learns_nothing("/app/pods/a/b", b"k8s:enc:aescbc:v1:k:x");
    assert_learns_nothing("/app/pods/a/b", br#"{"user":"x","kind":"Pod","apiVersion":"v1"}"#);
}

#[track_caller]
fn assert_learns_nothing(key: &str, value: &[u8]) {
    let mut layout = KeyLayout::new();
    assert!(!layout.learn(key.as_bytes(), value), "{key}");
    assert_eq!(layout, KeyLayout::new(), "{key}");
}

#[test]
fn learned_prefixes_serve_keys_without_readable_values() {
    let mut layout = KeyLayout::new();
    layout.learn(b"/my/cluster-a/pods/default/x", &protobuf("v1", "Pod"));
    layout.learn(b"/registry/tenant-a/minions/n", &protobuf("v1", "Node"));
    // The longer prefix wins, the shorter still serves the rest.
    assert_rows(
        &layout,
        "
        /my/cluster-a/secrets/a/b           |secrets|a|b
        /my/cluster-a/minions/n             |nodes|-|n
        /my/cluster-a/example.com/oxen/a/b  example.com|oxen|a|b
        /my/cluster-a/health                |/my|-|cluster-a/health
        /my/cluster-b/secrets/a/b           |/my|-|cluster-b/secrets/a/b
        /registry/tenant-a/pods/a/b         |pods|a|b
        /registry/pods/a/b                  |pods|a|b
        ",
    );
    let secret = b"k8s:enc:kms:v2:vault:x".as_slice();
    assert_eq!(classify(&layout, "/my/cluster-a/secrets/a/b", Some(secret)), "|secrets|a|b");
}

#[test]
fn the_prefix_may_be_a_lone_slash() {
    let mut layout = KeyLayout::new();
    assert!(layout.learn(b"/pods/default/x", &protobuf("v1", "Pod")));
    // What isn't surely Kubernetes' stays an application's.
    assert_rows(
        &layout,
        "
        /pods/default/y        |pods|default|y
        /services/specs/a/b    |services|a|b
        /example.com/oxen/a/b  example.com|oxen|a|b
        /app/sessions/1        |/app|-|sessions/1
        /registry/pods/a/b     |pods|a|b
        ",
    );
    let flannel = br#"{"Network":"10.244.0.0/16"}"#.as_slice();
    let key = "/coreos.com/network/config";
    assert_eq!(classify(&layout, key, Some(flannel)), "|/coreos.com|-|network/config");
    let ox = json("example.com/v1", "Ox");
    assert_eq!(classify(&layout, "/example.com/oxen/b", Some(&ox)), "example.com|oxen|-|b");
}

#[test]
fn any_number_of_prefixes_is_learned_in_any_order() {
    let keys: Vec<_> = (0..1000).map(|i| format!("/{}p{i}/pods/a/b", "x/".repeat(i % 8))).collect();
    let learn = |keys: &mut dyn Iterator<Item = &'static str>| {
        let mut layout = KeyLayout::new();
        keys.for_each(|key| assert!(layout.learn(key.as_bytes(), &protobuf("v1", "Pod")), "{key}"));
        layout
    };
    let keys: Vec<&'static str> = keys.into_iter().map(|key| &*key.leak()).collect();
    let forward = learn(&mut keys.iter().copied());
    assert_eq!(forward.learned_prefixes().len(), 1000);
    assert_eq!(forward, learn(&mut keys.iter().rev().copied()));
    let mut parts = learn(&mut keys[500..].iter().copied());
    parts.merge(learn(&mut keys[..500].iter().copied()));
    assert_eq!(forward, parts);
    for key in keys {
        let object = forward.classify(key.as_bytes(), None);
        let prefix = key.strip_suffix("/pods/a/b").unwrap();
        assert_eq!((object.resource, object.namespace), (&b"pods"[..], Some(&b"a"[..])));
        assert_eq!(object.tenant.unwrap().prefix, prefix.as_bytes());
    }
}

#[test]
fn a_prefix_of_many_slashes_is_none() {
    for (slashes, is_learned) in [(15, true), (16, false)] {
        let key = format!("{}/pods/a/b", "/x".repeat(slashes));
        let mut layout = KeyLayout::new();
        assert_eq!(layout.learn(key.as_bytes(), &protobuf("v1", "Pod")), is_learned, "{slashes}");
    }
    assert_eq!(classify(&KeyLayout::new(), &"/".repeat(32768), None), format!("|/|-|{}", "/".repeat(32766)));
}

#[test]
fn openshifts_two_servers_are_one_tenant() {
    let layout = KeyLayout::new();
    let tenant = |key: &'static str| layout.classify(key.as_bytes(), None).tenant.map(|tenant| tenant.prefix);
    assert_eq!(tenant("/kubernetes.io/pods/a/b"), Some(&b"/kubernetes.io"[..]));
    assert_eq!(tenant("/openshift.io/routes/a/b"), Some(&b"/kubernetes.io"[..]));
    assert_eq!(tenant("/registry/pods/a/b"), Some(&b"/registry"[..]));
    assert_eq!(tenant("/app/x"), None);
}
