//! A file's name for an object, whatever its key holds: `deployments.apps/default/web`, in a folder of its tenant's where there are
//! several.
//!
//! Letters, digits, `-` and `_` stay as they are, a dot where it can do no harm; every other byte, and upper-case letters,
//! are written as `%2f`: names can neither leave the folder nor meet on a file system that does not tell cases apart.

use std::fmt::Write;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::k8s::ObjectKey;
use crate::text::ByteText;

/// What file systems allow is 255 bytes, of which an ending takes some.
const MAX_NAME: usize = 200;
/// Where keys lie that are not Kubernetes'.
const OTHER_KEYS: &str = "_keys";

/// The path of an object's file below the folder, without the ending.
pub fn path_of(key: &[u8], object: &ObjectKey<'_>, tenant: Option<&ByteText>) -> PathBuf {
    // a resource that begins with a slash is the leading path of a key that is none of Kubernetes'
    if object.resource.is_empty() || object.resource.starts_with(b"/") || object.name.is_empty() {
        return PathBuf::from(OTHER_KEYS).join(component(key, true));
    }
    let mut folder = component(object.resource, false);
    if !object.group.is_empty() {
        folder = format!("{folder}.{}", component(object.group.as_bytes(), true));
    }
    let tenant = tenant.map(|name| component(name.0.strip_prefix(b"/").unwrap_or(&name.0), true));
    let mut path: PathBuf = tenant.into_iter().chain([limited(folder, object.resource)]).collect();
    // without a dot, no folder is called as a file beside it
    path.extend(object.namespace.map(|namespace| component(namespace, false)));
    path.join(component(object.name, true))
}

/// The same, for the second key of that path: told apart by a hash of the whole key.
pub fn another(path: &std::path::Path, key: &[u8]) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{name}~{}", short_hash(key)))
}

fn component(bytes: &[u8], dots: bool) -> String {
    let mut name = String::with_capacity(bytes.len());
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => name.push(char::from(byte)),
            // the first one: neither `.`, `..` nor hidden, and nothing is called as a folder of ours
            b'.' if dots && at > 0 => name.push('.'),
            b'_' if at > 0 => name.push('_'),
            _ => {
                let _ = write!(name, "%{byte:02x}");
            }
        }
    }
    limited(name, bytes)
}

/// A name that is too long ends in a hash of the whole.
fn limited(mut name: String, of: &[u8]) -> String {
    if name.len() > MAX_NAME {
        // all of it is ASCII
        name.truncate(MAX_NAME - 30);
        name.push('~');
        name.push_str(&short_hash(of));
    }
    name
}

fn short_hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::k8s::KeyLayout;

    fn path(key: &[u8]) -> String {
        path_of(key, &KeyLayout::new().classify(key, None), None).into_os_string().into_string().unwrap()
    }

    #[test]
    fn objects_lie_by_resource_and_namespace() {
        assert_eq!(path(b"/registry/pods/default/web-1"), "pods/default/web-1");
        assert_eq!(path(b"/registry/deployments/shop/web"), "deployments.apps/shop/web");
        assert_eq!(path(b"/registry/minions/node-1"), "nodes/node-1");
        assert_eq!(
            path(b"/registry/clusterroles/system:node"),
            "clusterroles.rbac.authorization.k8s.io/system%3anode"
        );
        assert_eq!(
            path(b"/registry/argoproj.io/applications/argocd/a.b"),
            "applications.argoproj.io/argocd/a.b"
        );
        assert_eq!(path(b"/app/sessions/1"), "_keys/%2fapp%2fsessions%2f1");
        assert_eq!(path(b"compact_rev_key"), "compact_rev_key/compact_rev_key");
    }

    #[test]
    fn no_name_leaves_the_folder_or_meets_another() {
        for key in [
            &b"/registry/pods/../../etc/passwd"[..],
            b"/registry/pods/default/..",
            b"/registry/pods/default/.",
            b"/registry/../x/y",
            b"/registry/pods/./.hidden",
            b"\0",
            b"..",
            b"../..",
            b"/",
            b"//",
            b"/registry/pods/a/b/../../c",
            b"/registry/_keys/x/y",
            b"/registry/pods/\xff\xfe/\n",
        ] {
            let path = PathBuf::from(path(key));
            assert!(path.is_relative(), "{path:?}");
            for part in path.components() {
                let std::path::Component::Normal(part) = part else { panic!("{path:?}") };
                let part = part.to_str().unwrap();
                assert!(!part.starts_with('.') && part.is_ascii() && !part.contains('/'), "{path:?}");
            }
        }
        assert_ne!(path(b"/registry/pods/a/Web").to_lowercase(), path(b"/registry/pods/a/web"));
        assert_ne!(path(b"/registry/_keys/x/y"), path(b"/x/y"));
        // a folder of a namespace, and a cluster-wide object's file
        assert_eq!(path(b"/registry/things/a.yaml/b"), "things/a%2eyaml/b");
    }

    #[test]
    fn long_names_fit_a_file_system_and_stay_apart() {
        let key = |last: u8| [&b"/registry/pods/default/"[..], &[b'x'; 400], &[last]].concat();
        let (one, other) = (path(&key(b'a')), path(&key(b'b')));
        assert_ne!(one, other);
        for long in [one, path(&[b'/'; 1000]), path(&[&b"/registry/"[..], &[b'r'; 1000], b"/a/b"].concat())] {
            for part in long.split('/') {
                assert!(part.len() < 240, "{part}");
            }
        }
    }
}
