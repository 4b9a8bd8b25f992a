//! What is not shown of a Secret: its data, wherever it stands.

use serde_json::Value;

use super::{LAST_APPLIED, Object};

/// Whether an object is a Secret, by what it says of itself.
#[must_use]
pub fn is_secret(object: &Object) -> bool {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    text("kind") == Some("Secret") && text("apiVersion").is_some_and(|version| !version.contains('/'))
}

/// Puts the number of bytes in the place of a Secret's data, wherever it stands. Whatever is not understood goes whole.
pub fn redact(object: &mut Object) {
    for name in ["data", "stringData"] {
        match object.get_mut(name) {
            None | Some(Value::Null) => {}
            Some(Value::Object(entries)) => {
                entries.values_mut().for_each(|value| *value = redacted(value, name == "data"));
            }
            Some(other) => *other = redacted(other, false),
        }
    }
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        match metadata.get_mut("annotations") {
            Some(Value::Object(annotations)) => {
                if let Some(value) = annotations.get_mut(LAST_APPLIED) {
                    *value = redacted(value, false);
                }
            }
            None | Some(Value::Null) => {}
            Some(other) => *other = redacted(other, false),
        }
    }
    // a Secret has no other fields; what stands there all the same may be anything
    for (name, value) in object {
        let known = ["apiVersion", "kind", "metadata", "type", "immutable", "data", "stringData"];
        if !known.contains(&name.as_str()) {
            *value = redacted(value, false);
        }
    }
}

fn redacted(value: &Value, base64: bool) -> Value {
    let bytes = match value {
        Value::String(text) if base64 => base64_len(text),
        Value::String(text) => text.len(),
        Value::Null => 0,
        other => other.to_string().len(),
    };
    Value::String(format!("REDACTED ({bytes} {})", if bytes == 1 { "byte" } else { "bytes" }))
}

/// Bytes that a text of base64 stands for.
fn base64_len(text: &str) -> usize {
    let digits =
        text.bytes().filter(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')).count();
    digits.saturating_mul(3) / 4
}
