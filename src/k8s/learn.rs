//! Finds a prefix in a key, from what the object itself says that it is.

use super::key::is_group;
use super::resources::{Family, ResourceScope, by_name, guess_plural};
use super::value::TypeMeta;

/// The prefix of the key that an object of this group and kind is stored under, if the key is built
/// as the API server builds it. Read from the key's end, where the object's name, its namespace and
/// the resource are in known places, whatever the prefix in front of them looks like.
pub(super) fn prefix_of<'a>(key: &'a [u8], meta: &TypeMeta<'_>) -> Option<(&'a [u8], Family)> {
    let (in_cluster, _name) = rsplit_segment(key)?;
    let in_namespace = rsplit_segment(in_cluster).map(|(path, _namespace)| path);
    let paths = [Some(in_cluster), in_namespace];
    custom(paths, meta).or_else(|| {
        let plural = guess_plural(meta.kind);
        match by_name(meta.group, &plural) {
            Some((family, resource)) => {
                let path = match resource.scope {
                    ResourceScope::Namespaced => in_namespace?,
                    ResourceScope::Cluster => in_cluster,
                };
                Some((strip_path(path, resource.path.as_bytes())?, family))
            }
            None => unknown(paths, &plural),
        }
    })
}

/// `<prefix>/<group>/<plural>` in front of the object.
fn custom<'a>(paths: [Option<&'a [u8]>; 2], meta: &TypeMeta<'_>) -> Option<(&'a [u8], Family)> {
    if !meta.group.contains('.') || !is_group(meta.group) {
        return None;
    }
    paths.into_iter().flatten().find_map(|path| {
        let (path, _plural) = rsplit_segment(path)?;
        Some((strip_path(path, meta.group.as_bytes())?, Family::Kubernetes))
    })
}

/// `<prefix>/<plural>` with a guessed plural. That is weak evidence, so not for the prefix `/`,
/// under which every other key would then be, too.
fn unknown<'a>(paths: [Option<&'a [u8]>; 2], plural: &str) -> Option<(&'a [u8], Family)> {
    paths
        .into_iter()
        .rev()
        .flatten()
        .find_map(|path| strip_path(path, plural.as_bytes()))
        .filter(|prefix| !prefix.is_empty())
        .map(|prefix| (prefix, Family::Kubernetes))
}

/// What is in front of the path and its slash.
pub(super) fn strip_path<'a>(bytes: &'a [u8], path: &[u8]) -> Option<&'a [u8]> {
    bytes.strip_suffix(path)?.strip_suffix(b"/")
}

/// Cuts off the last segment, which must not be empty.
pub(super) fn rsplit_segment(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, tail) = bytes.split_at_checked(bytes.iter().rposition(|byte| *byte == b'/')?)?;
    Some((head, tail.get(1..).filter(|segment| !segment.is_empty())?))
}
