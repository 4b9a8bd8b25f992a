//! Each layout of keys, as literal examples.

use std::collections::BTreeSet;

use super::super::KeyLayout;
use super::super::resources::{
    Family, KUBERNETES, OPENSHIFT, Resource, ResourceScope, by_name, split_builtin,
};
use super::{assert_rows, classify, columns, json, protobuf};

#[test]
fn the_tables_are_sound() {
    for table in [KUBERNETES, OPENSHIFT] {
        let paths: BTreeSet<_> = table.iter().map(|r| r.path).collect();
        assert_eq!(paths.len(), table.len(), "a path stands twice");
        for resource in table {
            assert!(!resource.shared_with.contains(&resource.group), "{resource:?}");
            assert!(resource.path.split('/').count() <= 3, "{resource:?}");
            assert!(resource.path.split('/').all(|segment| !segment.is_empty()), "{resource:?}");
        }
    }
    assert_eq!(by_name("", "nodes").map(|(_, r)| r.path), Some("minions"));
    assert_eq!(by_name("extensions", "ingresses").map(|(_, r)| r.path), Some("ingress"));
    assert_eq!(by_name("apps", "pods"), None);
    assert_eq!(by_name("", "routes").map(|(family, _)| family), Some(Family::OpenShift));
}

#[test]
fn every_built_in_resource_is_found_under_its_prefixes() {
    let tables = [
        ("/registry", Family::Kubernetes, KUBERNETES),
        ("/kubernetes.io", Family::Kubernetes, KUBERNETES),
        ("/openshift.io", Family::OpenShift, OPENSHIFT),
    ];
    for (prefix, family, table) in tables {
        for resource in table {
            assert_found(prefix, family, resource);
        }
    }
}

fn assert_found(prefix: &str, family: Family, resource: &'static Resource) {
    let (object, namespace) = match resource.scope {
        ResourceScope::Namespaced => ("ns/name", "ns"),
        ResourceScope::Cluster => ("name", "-"),
    };
    let rest = format!("{}/{object}", resource.path);
    let found = split_builtin(family, rest.as_bytes());
    assert_eq!(found, Some((resource, object.as_bytes())));
    let expected = format!("{}|{}|{namespace}|name", resource.group, resource.resource);
    assert_eq!(classify(&KeyLayout::new(), &format!("{prefix}/{rest}"), None), expected);
}

#[test]
fn built_in_resources() {
    assert_rows(
        &KeyLayout::new(),
        "
        /registry/pods/kube-system/node-exporter-74mnp    |pods|kube-system|node-exporter-74mnp
        /registry/minions/ip-10-0-0-10.eu-west-1          |nodes|-|ip-10-0-0-10.eu-west-1
        /registry/services/specs/default/kubernetes       |services|default|kubernetes
        /registry/services/endpoints/default/kubernetes   |endpoints|default|kubernetes
        /registry/controllers/a/b                         |replicationcontrollers|a|b
        /registry/namespaces/default                      |namespaces|-|default
        /registry/events/default/cache.18ea9cb1f67ecf59   |events|default|cache.18ea9cb1f67ecf59
        /registry/ingress/a/web                           networking.k8s.io|ingresses|a|web
        /registry/podsecuritypolicy/strict                policy|podsecuritypolicies|-|strict
        /registry/leases/kube-node-lease/n1               coordination.k8s.io|leases|kube-node-lease|n1
        /registry/clusterroles/system:node                rbac.authorization.k8s.io|clusterroles|-|system:node
        /registry/roles/a/system:controller:b             rbac.authorization.k8s.io|roles|a|system:controller:b
        /registry/apiregistration.k8s.io/apiservices/v1.  apiregistration.k8s.io|apiservices|-|v1.
        /registry/apiextensions.k8s.io/customresourcedefinitions/a.b.c \
            apiextensions.k8s.io|customresourcedefinitions|-|a.b.c
        /registry/ranges/serviceips                       |ranges|-|serviceips
        /registry/ranges/servicenodeports                 |ranges|-|servicenodeports
        /registry/masterleases/10.0.0.1                   |masterleases|-|10.0.0.1
        /registry/peerserverleases/apiserver-x            |peerserverleases|-|apiserver-x
        ",
    );
}

#[test]
fn custom_resources() {
    let layout = KeyLayout::new();
    assert_rows(
        &layout,
        "
        /registry/argoproj.io/applications/argocd/web-1  argoproj.io|applications|argocd|web-1
        /registry/example.com/widgets/w                  example.com|widgets|-|w
        /registry/example.com/widgets/w.x.y              example.com|widgets|-|w.x.y
        /registry/metrics.k8s.io/pods/ns/p               metrics.k8s.io|pods|ns|p
        /kubernetes.io/config.openshift.io/proxies/p     config.openshift.io|proxies|-|p
        ",
    );
    // An aggregated API server: its prefix ends with the group already.
    assert_rows(
        &layout,
        "
        /registry/wardle.example.com/wardle.example.com/flunders/ns/f \
            wardle.example.com|flunders|ns|f
        /registry/a.b/c.d/fischers/f                     c.d|fischers|-|f
        /registry/a.b/c.d/e                              a.b|c.d|-|e
        ",
    );
    // A dot alone makes no group.
    assert_rows(
        &layout,
        "
        /registry/What.ever/x/y                          |What.ever|x|y
        /registry/.git/x/y                               |.git|x|y
        ",
    );
    // The path decides, whatever the value says.
    let pod = protobuf("v1", "Pod");
    let key = "/registry/example.com/widgets/w";
    assert_eq!(classify(&layout, key, Some(&pod)), "example.com|widgets|-|w");
}

#[test]
fn openshift() {
    let layout = KeyLayout::new();
    assert_rows(
        &layout,
        "
        /kubernetes.io/pods/openshift-etcd/etcd-0        |pods|openshift-etcd|etcd-0
        /kubernetes.io/securitycontextconstraints/any    security.openshift.io|securitycontextconstraints|-|any
        /openshift.io/routes/a/r                         route.openshift.io|routes|a|r
        /openshift.io/oauth/accesstokens/sha256~x        oauth.openshift.io|oauthaccesstokens|-|sha256~x
        /openshift.io/useridentities/github:me           user.openshift.io|identities|-|github:me
        /openshift.io/authorization/local/policies/a/b   authorization.openshift.io|policies|a|b
        /openshift.io/registry/sdnsubnets/n1             network.openshift.io|hostsubnets|-|n1
        ",
    );
    // Each server has its own table.
    assert_rows(
        &layout,
        "
        /openshift.io/deployments/a/b                    |deployments|a|b
        /registry/routes/a/b                             |routes|a|b
        ",
    );
    let legacy = protobuf("v1", "Route");
    assert_eq!(classify(&layout, "/openshift.io/routes/a/r", Some(&legacy)), "|routes|a|r");
    let unknown = protobuf("new.openshift.io/v1", "Thing");
    let key = "/openshift.io/things/a/b";
    assert_eq!(classify(&layout, key, Some(&unknown)), "new.openshift.io|things|a|b");
}

#[test]
fn the_value_decides_where_groups_share_a_path() {
    let layout = KeyLayout::new();
    let cases = columns(
        "
        /registry/ingress/a/b          extensions/v1beta1    extensions|ingresses|a|b
        /registry/ingress/a/b          networking.k8s.io/v1  networking.k8s.io|ingresses|a|b
        /registry/events/a/b           events.k8s.io/v1      events.k8s.io|events|a|b
        /registry/events/a/b           v1                    |events|a|b
        /registry/deployments/a/b      extensions/v1beta1    extensions|deployments|a|b
        /registry/podsecuritypolicy/b  extensions/v1beta1    extensions|podsecuritypolicies|-|b
        /registry/deployments/a/b      evil.example/v1       apps|deployments|a|b
        /registry/pods/a/b             extensions/v1beta1    |pods|a|b
        ",
    );
    for [key, api_version, expected] in cases {
        for value in [protobuf(api_version, "K"), json(api_version, "K")] {
            assert_eq!(classify(&layout, key, Some(&value)), expected, "{api_version}");
        }
    }
    let unreadable: &[&[u8]] = &[b"", b"k8s:enc:aescbc:v1:k:x", b"{", b"k8s\0\xff"];
    for value in unreadable {
        let found = classify(&layout, "/registry/ingress/a/b", Some(value));
        assert_eq!(found, "networking.k8s.io|ingresses|a|b");
    }
}

#[test]
fn unknown_resources_take_the_group_from_the_value() {
    let layout = KeyLayout::new();
    let value = protobuf("new.k8s.io/v1", "NewThing");
    let cases = columns(
        "
        /registry/newthings/ns/name       |newthings|ns|name
        /registry/newthings/name          |newthings|-|name
        /registry/newthings/ns/name/rest  |newthings|ns|name/rest
        /registry/services/name           |services|-|name
        ",
    );
    for [key, expected] in cases {
        assert_eq!(classify(&layout, key, None), expected);
        assert_eq!(classify(&layout, key, Some(&value)), format!("new.k8s.io{expected}"));
    }
    let hostile = json("<script>/v1", "NewThing");
    assert_eq!(classify(&layout, "/registry/x/y", Some(&hostile)), "|x|-|y");
}

#[test]
fn keys_that_are_not_kubernetes_stand_under_their_leading_path() {
    let layout = KeyLayout::new();
    assert_rows(
        &layout,
        "
        /app/sessions/1      |/app|-|sessions/1
        /app/last/1          |/app|-|last/1
        /app                 |/app|-|/app
        /app/                |/app|-|/app/
        compact_rev_key      |compact_rev_key|-|compact_rev_key
        a/b/c                |a|-|b/c
        /                    |/|-|/
        //x/y                |/|-|x/y
        /registryx/pods/a/b  |/registryx|-|pods/a/b
        registry/pods/a/b    |registry|-|pods/a/b
        ",
    );
    assert_eq!(classify(&layout, "", None), "||-|");
}

#[test]
fn keys_too_short_for_an_object() {
    assert_rows(
        &KeyLayout::new(),
        "
        /registry                      |/registry|-|/registry
        /registry/                     |/registry|-|/registry/
        /registry/health               |/registry|-|health
        /registry/pods                 |/registry|-|pods
        /registry/pods/                |/registry|-|pods/
        /registry/services/specs       |services|-|specs
        /registry/services/specs/      |/registry|-|services/specs/
        /registry//a/b                 |/registry|-|/a/b
        /registry/example.com/         |/registry|-|example.com/
        /registry/example.com/widgets  |example.com|-|widgets
        /registry/example.com//x       |example.com|-|/x
        /registry/pods/name            |pods|-|name
        /registry/pods/default/        |pods|-|default/
        /registry/pods//name           |pods|-|/name
        /registry/pods/a/b/c           |pods|a|b/c
        /registry/namespaces/a/b       |namespaces|-|a/b
        ",
    );
}

#[test]
fn keys_need_not_be_text() {
    let layout = KeyLayout::new();
    let key = layout.classify(b"/registry/pods/\xff/\xfe", None);
    assert_eq!((key.group, key.resource), ("", b"pods".as_slice()));
    assert_eq!((key.namespace, key.name), (Some(b"\xff".as_slice()), b"\xfe".as_slice()));
    let key = layout.classify(b"/registry/\xff.com/a/b", None);
    assert_eq!((key.group, key.resource), ("", b"\xff.com".as_slice()));
    let key = layout.classify(b"\x00\x01/\xff", None);
    assert_eq!((key.resource, key.name), (b"\x00\x01".as_slice(), b"\xff".as_slice()));
}
