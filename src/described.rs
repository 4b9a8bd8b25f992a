//! Words in JSON that are no enum's variants, each with what it means, for the schemas.

use schemars::{Schema, json_schema};
use serde_json::{Value, json};

/// One of these words.
pub fn words(words: &[(&str, &str)]) -> Schema {
    let words: Vec<Value> =
        words.iter().map(|(word, means)| json!({ "const": word, "description": means })).collect();
    json_schema!({ "oneOf": words })
}
