//! kcp's logical clusters.

use super::super::KeyLayout;
use super::{classify, columns, json};

/// An object with a name and a namespace, which `-` leaves out.
fn object(api_version: &str, kind: &str, namespace: &str, name: &str) -> Vec<u8> {
    let namespace = if namespace == "-" { String::new() } else { format!(r#","namespace":"{namespace}""#) };
    let metadata = format!(r#"{{"name":"{name}"{namespace}}}"#);
    format!(r#"{{"apiVersion":"{api_version}","kind":"{kind}","metadata":{metadata}}}"#).into()
}

fn kcp() -> KeyLayout<'static> {
    let mut layout = KeyLayout::new();
    let key = b"/registry/core/namespaces/root/default";
    assert!(layout.learn(key, &object("v1", "Namespace", "-", "default")));
    assert!(layout.learned_prefixes().is_empty(), "the prefix was known");
    layout
}

fn cluster(layout: &KeyLayout<'_>, key: &str, value: Option<&[u8]>) -> String {
    let cluster = layout.classify(key.as_bytes(), value).tenant.and_then(|tenant| tenant.cluster);
    cluster.map_or("-".into(), |cluster| String::from_utf8_lossy(cluster).into_owned())
}

const IDENTITY: &str = "cbf732f90c9b7eac67e3d8f8e4c22cf8de0e36acefab6bbab738a85535c0d4cf";

#[test]
fn an_object_shows_that_a_prefix_has_logical_clusters() {
    let cases = columns(
        "
        /my/core/configmaps/root/default/ca          v1                            ConfigMap    default  ca
        /my/core/namespaces/root:org:ws/default      v1                            Namespace    -        default
        /my/apps/deployments/c1/shop/web             apps/v1                       Deployment   shop     web
        /my/rbac.authorization.k8s.io/clusterroles/c/r rbac.authorization.k8s.io/v1 ClusterRole -        r
        /my/coordination.k8s.io/leases/c/kube-system/l coordination.k8s.io/v1      Lease        kube-system l
        /my/apis.kcp.io/apibindings/customresources/c/b apis.kcp.io/v1alpha1       APIBinding   -        b
        /my/a.b.io/oxen/customresources/c/ns/o       a.b.io/v1                     Ox           ns       o
        /my/tenancy.kcp.io/workspaces/IDENTITY/root/w tenancy.kcp.io/v1alpha1      Workspace    -        w
        /my/a.b.io/oxen/c/ns/o                       a.b.io/v1                     Ox           ns       o
        ",
    );
    for [key, api_version, kind, namespace, name] in cases {
        let key = key.replace("IDENTITY", IDENTITY);
        let mut layout = KeyLayout::new();
        assert!(layout.learn(key.as_bytes(), &object(api_version, kind, namespace, name)), "{key}");
        assert_eq!(layout.learned_prefixes(), [b"/my"], "{key}");
        assert_ne!(cluster(&layout, &key, None), "-", "{key}");
    }
}

#[test]
fn kubernetes_own_keys_never_show_one() {
    let cases = columns(
        "
        /registry/pods/a/b                                       v1               Pod         a  b
        /registry/namespaces/b                                   v1               Namespace   -  b
        /registry/a.b.io/oxen/ns/o                               a.b.io/v1        Ox          ns o
        /registry/a.b.io/oxen/o                                  a.b.io/v1        Ox          -  o
        /registry/a.b.io/a.b.io/oxen/ns/o                        a.b.io/v1        Ox          ns o
        /registry/a.b.io/a.b.io/oxen/o                           a.b.io/v1        Ox          -  o
        /registry/newthings/a/b                                  new.k8s.io/v1    NewThing    a  b
        /registry/apiextensions.k8s.io/customresourcedefinitions/x apiextensions.k8s.io/v1 CustomResourceDefinition - x
        /registry/core/configmaps/root/default/ca                v1               Secret      default  ca
        /registry/core/configmaps/root/default/ca                v1               ConfigMap   other    ca
        /registry/core/configmaps/root/default/ca                v1               ConfigMap   default  other
        ",
    );
    for [key, api_version, kind, namespace, name] in cases {
        let mut layout = KeyLayout::new();
        layout.learn(key.as_bytes(), &object(api_version, kind, namespace, name));
        assert_eq!(layout, KeyLayout::new(), "{key}");
    }
    let mut layout = KeyLayout::new();
    assert!(!layout.learn(b"/registry/core/configmaps/root/default/ca", &json("v1", "ConfigMap")), "no name");
}

#[test]
fn each_path_is_read() {
    let layout = kcp();
    let cases = columns(
        "
        /registry/core/configmaps/root/default/ca          root     |configmaps|default|ca
        /registry/core/namespaces/root:org:ws/default      root:org:ws |namespaces|-|default
        /registry/core/nodes/c/n                           c        |nodes|-|n
        /registry/apps/deployments/c1/shop/web             c1       apps|deployments|shop|web
        /registry/rbac.authorization.k8s.io/clusterroles/c/system:node  c  rbac.authorization.k8s.io|clusterroles|-|system:node
        /registry/rbac.authorization.k8s.io/roles/c/ns/r   c        rbac.authorization.k8s.io|roles|ns|r
        /registry/apiextensions.k8s.io/customresourcedefinitions/c/x.y  c  apiextensions.k8s.io|customresourcedefinitions|-|x.y
        /registry/apis.kcp.io/apibindings/customresources/2cynbfy2m0wtjqcs/b  2cynbfy2m0wtjqcs  apis.kcp.io|apibindings|-|b
        /registry/a.b.io/oxen/customresources/c/ns/o       c        a.b.io|oxen|ns|o
        /registry/tenancy.kcp.io/workspaces/IDENTITY/root/w root    tenancy.kcp.io|workspaces|-|w
        /registry/a.b.io/oxen/IDENTITY/root/ns/o           root     a.b.io|oxen|ns|o
        /registry/core/pods/IDENTITY/c/ns/p                c        |pods|ns|p
        /registry/core/nodes/IDENTITY/c/n                  c        |nodes|-|n
        /registry/pods/a/b                                 -        |pods|a|b
        /registry/ranges/serviceips                        -        |ranges|-|serviceips
        /registry/core/configmaps                          -        |core|-|configmaps
        /registry/core/configmaps/c                        -        |core|configmaps|c
        ",
    );
    for [key, of, expected] in cases {
        let key = key.replace("IDENTITY", IDENTITY);
        assert_eq!(classify(&layout, &key, None), expected, "{key}");
        assert_eq!(cluster(&layout, &key, None), of, "{key}");
    }
}

/// Where a path of a custom resource may be read in two ways, the object says where its namespace is.
#[test]
fn the_object_decides_where_the_path_leaves_it_open() {
    let layout = kcp();
    let cases = columns(
        "
        /registry/a.b.io/oxen/x/y/o  -  y   a.b.io|oxen|-|o
        /registry/a.b.io/oxen/x/y/o  y  x   a.b.io|oxen|y|o
        /registry/a.b.io/oxen/x/o    -  x   a.b.io|oxen|-|o
        /registry/a.b.io/oxen/x/o    x  -   a.b.io|oxen|x|o
        ",
    );
    for [key, namespace, of, expected] in cases {
        let value = object("a.b.io/v1", "Ox", namespace, "o");
        assert!(!layout.decides_by_path(key.as_bytes()), "{key}");
        assert_eq!(classify(&layout, key, Some(&value)), expected, "{key} in {namespace}");
        assert_eq!(cluster(&layout, key, Some(&value)), of, "{key} in {namespace}");
    }
    let unreadable: &[&[u8]] = &[b"", b"k8s:enc:aescbc:v1:k:x", b"{"];
    for value in unreadable {
        assert_eq!(classify(&layout, "/registry/a.b.io/oxen/x/y/o", Some(value)), "a.b.io|oxen|y|o");
    }
    for key in
        ["/registry/core/pods/c/ns/p", "/registry/a.b.io/oxen/customresources/c/o", "/registry/pods/a/b"]
    {
        assert!(layout.decides_by_path(key.as_bytes()), "{key}");
    }
}

#[test]
fn an_unmarked_prefix_stays_kubernetes() {
    let layout = KeyLayout::new();
    let key = "/registry/core/configmaps/root/default/ca";
    assert_eq!(classify(&layout, key, None), "|core|configmaps|root/default/ca");
    assert_eq!(cluster(&layout, key, None), "-");
}
