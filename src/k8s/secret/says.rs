//! Whether an object says that it is a Secret.

use serde_json::{Map, Value};

/// Whether it is a Secret, or a list of them, by any field that may be taken for `kind`; of whatever group.
pub(super) fn is_secret(object: &Map<String, Value>) -> bool {
    object.iter().any(|(name, value)| field_says(name, value))
}

/// Whether a field is the kind, and says `Secret`.
pub(super) fn field_says(name: &str, value: &Value) -> bool {
    let says = |value: &Value| value.as_str().is_some_and(names_secret);
    folds_to(name, "kind") && (says(value) || value.as_array().is_some_and(|items| items.iter().any(says)))
}

/// Whether an object that says it is a Secret can hold one: a reference names it only.
pub(super) fn has_content(object: &Map<String, Value>) -> bool {
    const CONTENT: [&str; 5] = ["data", "stringdata", "binarydata", "metadata", "items"];
    object.keys().any(|name| CONTENT.iter().any(|content| folds_to(name, content)))
}

pub(super) fn names_secret(text: &str) -> bool {
    ["secret", "secrets", "secretlist"].iter().any(|name| folds_to(text, name))
}

/// As Go's encoding/json compares names: without regard to case, by Unicode's simple folding (`ſ` is an `s`, the sign of
/// kelvins a `k`). Spaces and the like count for nothing.
pub(super) fn folds_to(text: &str, lower: &str) -> bool {
    let letters = text.chars().filter(|char| char.is_alphanumeric());
    letters.flat_map(char::to_uppercase).flat_map(char::to_lowercase).eq(lower.chars())
}
