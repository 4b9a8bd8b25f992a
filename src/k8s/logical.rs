//! kcp: many logical clusters in one etcd, each with Kubernetes' API.
//!
//! ```text
//!   /registry / core   / configmaps / root             / default / kube-root-ca.crt    built-in
//!   /registry / a.b.io / widgets    / customresources  / root / default / w            custom
//!   /registry / a.b.io / widgets    / <identity hash>  / root / default / w            of an APIExport
//!   └ prefix    └ group  └ plural     └ logical cluster  └ namespace └ name
//! ```
//!
//! Sources: kcp `docs/content/developers/internals/etcd-structure.md`, `pkg/etcd/keys.go` (`SplitKey`); its fork of
//! kubernetes, `apiextensions-apiserver/pkg/apiserver/apibinding_aware_crd_restoptions_getter.go`.
//!
//! Kubernetes' own layout has no such path for the same object, so what an object says of itself tells which of the two a
//! prefix has: after its plural is one segment more than its namespace and name.

use super::key::{ObjectKey, is_group, split_segment};
use super::learn::{rsplit_segment, strip_path};
use super::metadata::metadata;
use super::resources::{Family, Resource, ResourceScope, by_name, guess_plural, is_group_of_builtins};
use super::value::TypeMeta;

/// How the core group, which has no name, is written.
const CORE: &[u8] = b"core";
/// Where an object's custom resource is defined in its own cluster.
const CUSTOM: &[u8] = b"customresources";
/// Hexadecimal digits of an APIExport's identity, a SHA-256.
const IDENTITY_LEN: usize = 64;

/// The logical cluster, and the object in it, of what follows a prefix and its slash. `None` for a path that isn't kcp's.
pub(super) fn classify<'a>(rest: &'a [u8], value: Option<&[u8]>) -> Option<(&'a [u8], ObjectKey<'a>)> {
    let path = Path::of(rest)?;
    let cut = path.cut(value)?;
    let (cluster, object) = split_segment(cut.tail)?;
    let (namespace, name) = match split_segment(object).filter(|_| cut.namespaced) {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, object),
    };
    if cluster.is_empty() || name.is_empty() {
        return None;
    }
    Some((cluster, ObjectKey { group: path.group, resource: path.plural, tenant: None, namespace, name }))
}

/// Whether [`classify`] makes the same of a path whatever the value; `None` for a path that isn't kcp's.
pub(super) fn decides_by_path(rest: &[u8]) -> Option<bool> {
    let path = Path::of(rest)?;
    Some(!path.is_ambiguous())
}

/// A group, a plural, and all after them.
struct Path<'a> {
    group: &'a str,
    plural: &'a [u8],
    builtin: Option<&'static Resource>,
    tail: &'a [u8],
    /// Segments of the tail, as far as they matter.
    segments: usize,
}

/// A tail without a mark in front: `<logical cluster>/[<namespace>/]<name>`.
struct Cut<'a> {
    tail: &'a [u8],
    namespaced: bool,
}

impl<'a> Path<'a> {
    fn of(rest: &'a [u8]) -> Option<Self> {
        let (group, rest) = split_segment(rest)?;
        let (plural, tail) = split_segment(rest)?;
        let group = if group == CORE { "" } else { str::from_utf8(group).ok()? };
        let is_group =
            group.is_empty() || is_group_of_builtins(group) || (group.contains('.') && is_group(group));
        let is_plural = !plural.is_empty() && !plural.contains(&b'.');
        let segments = tail.split(|byte| *byte == b'/').take(5).count();
        if !is_group || !is_plural || segments < 2 {
            return None;
        }
        let builtin = str::from_utf8(plural).ok().and_then(|plural| by_name(group, plural));
        let builtin =
            builtin.filter(|(family, _)| *family == Family::Kubernetes).map(|(_, resource)| resource);
        Some(Self { group, plural, builtin, tail, segments })
    }

    /// Whether what a custom resource's object says of itself matters. Of three segments the first may be a mark, or the last two
    /// namespace and name; and two may be Kubernetes' own namespace and name.
    fn is_ambiguous(&self) -> bool {
        self.builtin.is_none() && self.segments <= 3 && !self.is_marked_as_custom()
    }

    fn is_marked_as_custom(&self) -> bool {
        self.segments == 3 && self.first() == CUSTOM
    }

    fn first(&self) -> &'a [u8] {
        split_segment(self.tail).map_or(self.tail, |(first, _)| first)
    }

    fn cut(&self, value: Option<&[u8]>) -> Option<Cut<'a>> {
        let (_mark, behind) = split_segment(self.tail)?;
        let marked = |namespaced| Some(Cut { tail: behind, namespaced });
        let unmarked = |namespaced| Some(Cut { tail: self.tail, namespaced });
        match (self.builtin.map(|resource| resource.scope), self.segments) {
            (_, 4..) => marked(true),
            (Some(ResourceScope::Namespaced), _) => unmarked(true),
            (Some(ResourceScope::Cluster), 3) => marked(false),
            (Some(ResourceScope::Cluster), _) => unmarked(false),
            (None, _) if self.is_marked_as_custom() => marked(false),
            (None, segments) => {
                let says = value.and_then(metadata).filter(|says| !says.name.is_empty());
                match (says.map(|says| says.namespace), segments) {
                    (Some(namespace), 2) if namespace == self.first() => None,
                    (_, 2) => unmarked(false),
                    (Some(b""), _) => marked(false),
                    (None, _) if is_identity(self.first()) => marked(false),
                    _ => unmarked(true),
                }
            }
        }
    }
}

fn is_identity(segment: &[u8]) -> bool {
    segment.len() == IDENTITY_LEN && segment.iter().all(u8::is_ascii_hexdigit)
}

/// The prefix of the key that an object of this group and kind is stored under, if the key has a logical cluster in it. Read from
/// the key's end: the name and namespace that the object says, the cluster, and in front of it, or of one mark, the resource.
pub(super) fn prefix_of<'k>(key: &'k [u8], meta: &TypeMeta<'_>, value: &[u8]) -> Option<&'k [u8]> {
    let says = metadata(value)?;
    let (mut path, name) = rsplit_segment(key)?;
    if name != says.name {
        return None;
    }
    if !says.namespace.is_empty() {
        let (in_cluster, namespace) = rsplit_segment(path)?;
        path = in_cluster;
        if namespace != says.namespace {
            return None;
        }
    }
    let (marked, _cluster) = rsplit_segment(path)?;
    let unmarked = rsplit_segment(marked).map(|(path, _mark)| path);
    [Some(marked), unmarked].into_iter().flatten().find_map(|path| prefix_of_resource(path, meta))
}

/// What is in front of `<group>/<plural>`. The root, `/`, is none: too much of too many applications is there.
fn prefix_of_resource<'k>(path: &'k [u8], meta: &TypeMeta<'_>) -> Option<&'k [u8]> {
    let (path, plural) = rsplit_segment(path)?;
    let group = if meta.group.is_empty() { CORE } else { meta.group.as_bytes() };
    // a custom resource's plural is its author's to choose, and its group's dot is proof enough
    let fits =
        (meta.group.contains('.') && !plural.contains(&b'.')) || guess_plural(meta.kind).as_bytes() == plural;
    strip_path(path, group).filter(|prefix| fits && !prefix.is_empty())
}
