//! What is taken out of an object before it is shown.
//!
//! | file | what is in it |
//! |---|---|
//! | `clean` | `--clean`: what only the cluster can say that the object was in |
//! | `pod` | the same of a Pod |
//! | `version` | `--clean`: versions that are stored, but not served |

mod clean;
mod pod;
mod version;

pub use clean::clean;

use serde_json::{Map, Value};

type Object = Map<String, Value>;

/// Annotation that holds the whole object as it was applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

fn remove(object: &mut Object, names: &[&str]) {
    names.iter().for_each(|name| drop(object.remove(*name)));
}

/// The object at the end of a path.
fn at<'o>(object: &'o mut Object, path: &[&str]) -> Option<&'o mut Object> {
    let mut object = object;
    for name in path {
        object = object.get_mut(*name)?.as_object_mut()?;
    }
    Some(object)
}

/// The text of this name.
fn text<'o>(object: &'o Object, name: &str) -> &'o str {
    object.get(name).and_then(Value::as_str).unwrap_or("")
}

/// The objects in a list.
fn objects<'o>(object: &'o mut Object, list: &str) -> impl Iterator<Item = &'o mut Object> {
    let items = object.get_mut(list).and_then(Value::as_array_mut);
    items.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// Removes what does not pass from a list, and a list that is left empty.
fn retain(object: &mut Object, list: &str, keep: impl FnMut(&Value) -> bool) {
    if let Some(items) = object.get_mut(list).and_then(Value::as_array_mut) {
        items.retain(keep);
        if items.is_empty() {
            object.remove(list);
        }
    }
}

/// Whether the server made this name of that beginning: cut off at 58 bytes, and five characters after it
/// (kubernetes, `apiserver/pkg/storage/names/generate.go`, `apimachinery/pkg/util/rand/rand.go`).
fn is_generated(name: &str, beginning: &str) -> bool {
    let beginning = beginning.as_bytes();
    let beginning = beginning.get(..58).unwrap_or(beginning);
    let rest = name.as_bytes().strip_prefix(beginning).unwrap_or_default();
    rest.len() == 5 && rest.iter().all(|byte| b"bcdfghjklmnpqrstvwxz2456789".contains(byte))
}
