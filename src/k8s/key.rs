//! A key: which object of which resource it is.
//!
//! ```text
//!   /registry / pods / default / web-1                      built-in, namespaced
//!   /registry / minions / node-1                            built-in, cluster-wide (nodes)
//!   /registry / services/specs / default / web              a path of two segments
//!   /registry / argoproj.io / applications / argocd / web   custom: the group is in the path
//!   /app / sessions/1                                       not Kubernetes': its leading path
//!   └ prefix    └ path         └ namespace  └ name
//! ```
//!
//! The rules, in this order:
//! 1. The longest known prefix that a slash follows is cut off (`--etcd-prefix`, learned or built
//!    in: `layout`). Without one, or with too little after it, the key is under its
//!    leading path. Under a prefix with logical clusters, kcp's paths come next (`logical`).
//! 2. A first segment with a dot in it is a group, then come the plural and the object: the API
//!    demands a dot in a custom resource's group, and the only two built-in paths with one are of
//!    this shape themselves. An aggregated API server repeats the group (its prefix is
//!    `/registry/wardle.example.com`); since a plural never has a dot, the second one counts.
//! 3. A path in the table of built-in resources gives group, plural and scope. Where several groups
//!    share the path through time (`ingress`, `deployments`, …), the value's own group decides if
//!    it is one of them; without a readable value it is today's group.
//! 4. Any other first segment is a resource that the table doesn't know. Its group is the value's,
//!    or empty.
//! 5. Of what is left, a cluster-wide resource's name takes all. Otherwise two or more segments are
//!    namespace and name, one is a name. (The API allows no slash in a name, so a third segment is
//!    nobody's; it stays with the name so that nothing is lost.)
//!
//! The value is looked at in rules 3 and 4 only, and never decides against the path. The one
//! exception is the prefix `/`, learned from an object: every application's keys have it too, so
//! there rule 4 is left out, and rule 2 asks a readable value to agree.

use super::resources::{Family, Resource, ResourceScope, split_builtin};
use super::value::{Encoding, type_meta};

/// Where a key belongs.
///
/// Resource, namespace and name are the key's own bytes: etcd keys are bytes, and so nothing is
/// lost, checked or copied on the way; whoever shows them escapes them. A group is text, as only
/// what can be one (lower-case letters, digits, dashes, dots) is taken for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey<'a> {
    /// The API group; empty for the core group and for keys that aren't Kubernetes'.
    pub group: &'a str,
    /// The plural (`pods`); for keys that aren't Kubernetes', their leading path (`/app`).
    pub resource: &'a [u8],
    /// Whose API server's; `None` for keys that aren't Kubernetes'.
    pub tenant: Option<Tenant<'a>>,
    /// The namespace, if the object has one.
    pub namespace: Option<&'a [u8]>,
    /// The object's name; for keys that aren't Kubernetes', what follows the leading path, or the
    /// whole key where nothing does. Never empty, but for an empty key.
    pub name: &'a [u8],
}

/// One of several clusters whose objects share a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tenant<'a> {
    /// The API server's `--etcd-prefix`, without the slash after it.
    pub prefix: &'a [u8],
    /// kcp's logical cluster, where the prefix has them.
    pub cluster: Option<&'a [u8]>,
}

impl<'a> ObjectKey<'a> {
    pub(super) fn of(self, tenant: Tenant<'a>) -> Self {
        Self { tenant: Some(tenant), ..self }
    }
}

/// Rules 2 to 5, on what follows a prefix and its slash. `root`: the prefix is `/`, under which every key of every
/// application stands, so only a sure path counts.
pub(super) fn classify<'a>(
    family: Family,
    root: bool,
    rest: &'a [u8],
    value: Option<&'a [u8]>,
) -> Option<ObjectKey<'a>> {
    if let Some(object) = custom(rest) {
        return (!root || may_be_of(object.group, value)).then_some(object);
    }
    if let Some((resource, object)) = split_builtin(family, rest) {
        let group = builtin_group(resource, value);
        return object_key(group, resource.resource.as_bytes(), Some(resource.scope), object);
    }
    if root {
        return None;
    }
    let (resource, object) = split_segment(rest)?;
    object_key(value_group(value), resource, None, object)
}

/// Whether [`classify`] makes the same of a path whatever the value.
pub(super) fn decides_by_path(family: Family, root: bool, rest: &[u8]) -> bool {
    if custom(rest).is_some() {
        return !root;
    }
    match split_builtin(family, rest) {
        Some((resource, _)) => resource.shared_with.is_empty(),
        None => root || split_segment(rest).is_none(),
    }
}

/// Where what follows a prefix and its slash belongs, if it is a built-in resource's by its path alone.
pub(super) fn built_in(family: Family, rest: &[u8]) -> Option<ObjectKey<'_>> {
    let (resource, object) = split_builtin(family, rest)?;
    object_key(resource.group, resource.resource.as_bytes(), Some(resource.scope), object)
}

/// Whether a path is one that only a built-in resource has: no prefix and no logical cluster is to be found in it.
pub(super) fn is_builtin(family: Family, rest: &[u8]) -> bool {
    split_builtin(family, rest).is_some_and(|(resource, _)| !resource.path.contains('.'))
}

/// Whether the path alone tells the resource.
pub(super) fn is_known(family: Family, rest: &[u8]) -> bool {
    custom(rest).is_some() || split_builtin(family, rest).is_some()
}

/// Rule 2: `<group with a dot>/<plural>/[<namespace>/]<name>`.
fn custom(rest: &[u8]) -> Option<ObjectKey<'_>> {
    let (group, rest) = split_segment(rest)?;
    let group = dotted_group(group)?;
    let repeated = || {
        let (group, rest) = split_segment(rest)?;
        custom_object(dotted_group(group)?, rest)
    };
    repeated().or_else(|| custom_object(group, rest))
}

fn custom_object<'a>(group: &'a str, rest: &'a [u8]) -> Option<ObjectKey<'a>> {
    let (plural, object) = split_segment(rest)?;
    object_key(group, plural, None, object)
}

fn builtin_group<'a>(resource: &'static Resource, value: Option<&'a [u8]>) -> &'a str {
    if resource.shared_with.is_empty() {
        return resource.group;
    }
    value
        .and_then(type_meta)
        .and_then(|meta| resource.shared_with.iter().find(|group| **group == meta.group))
        .unwrap_or(&resource.group)
}

fn value_group(value: Option<&[u8]>) -> &str {
    value.and_then(type_meta).map(|meta| meta.group).filter(|group| is_group(group)).unwrap_or("")
}

/// Whether the value doesn't speak against the group: it says so itself, or can't be read.
fn may_be_of(group: &str, value: Option<&[u8]>) -> bool {
    value.is_none_or(|value| match Encoding::of(value) {
        Encoding::Encrypted { .. } => true,
        _ => type_meta(value).is_some_and(|meta| meta.group == group),
    })
}

/// Rule 5. `None` where there is no name, or no resource: not an object's key then.
fn object_key<'a>(
    group: &'a str,
    resource: &'a [u8],
    scope: Option<ResourceScope>,
    object: &'a [u8],
) -> Option<ObjectKey<'a>> {
    if resource.is_empty() || object.is_empty() {
        return None;
    }
    let namespaced = match scope {
        Some(ResourceScope::Cluster) => None,
        Some(ResourceScope::Namespaced) | None => {
            split_segment(object).filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty())
        }
    };
    let (namespace, name) = match namespaced {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, object),
    };
    Some(ObjectKey { group, resource, tenant: None, namespace, name })
}

/// A key that isn't Kubernetes': its first segment, with its leading slash, stands for the
/// resource.
pub(super) fn leading_path(key: &[u8]) -> ObjectKey<'_> {
    let from = usize::from(key.starts_with(b"/"));
    let slash = key.iter().skip(from).position(|byte| *byte == b'/');
    let end = slash.map_or(key.len(), |at| at.saturating_add(from));
    let (resource, rest) = key.split_at_checked(end).unwrap_or((key, &[]));
    let name = rest.get(1..).filter(|name| !name.is_empty()).unwrap_or(key);
    ObjectKey { group: "", resource, tenant: None, namespace: None, name }
}

/// Cuts at the first slash, which belongs to neither side.
pub(super) fn split_segment(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, tail) = bytes.split_at_checked(bytes.iter().position(|byte| *byte == b'/')?)?;
    Some((head, tail.get(1..)?))
}

fn dotted_group(segment: &[u8]) -> Option<&str> {
    let text = segment.contains(&b'.').then(|| str::from_utf8(segment).ok())??;
    is_group(text).then_some(text)
}

/// A DNS subdomain's letters, which an API group's name is made of.
pub(super) fn is_group(text: &str) -> bool {
    let is_label = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    text.bytes().all(is_label) && !text.starts_with(['.', '-'])
}
