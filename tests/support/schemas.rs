//! The JSON that the program writes, held against docs/schema: no field that is not described there, none missing.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::Value;

static SCHEMAS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

fn schema_of(command: &str) -> Arc<Validator> {
    let mut schemas = SCHEMAS.lock().expect("no panic");
    let schema = schemas.entry(command.to_owned()).or_insert_with(|| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema").join(format!("{command}.json"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let schema: Value = serde_json::from_str(&text).expect("JSON");
        Arc::new(jsonschema::validator_for(&schema).expect("a schema"))
    });
    Arc::clone(schema)
}

/// What is wrong with a value, by the schema of this name.
pub fn errors(command: &str, value: &Value) -> Vec<String> {
    let schema = schema_of(command);
    schema.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// Holds what the program wrote against its schema, if it is a document, or lines of an export.
pub fn hold(out: &[u8]) {
    let document = out.strip_prefix(b"{\n  \"schema\": \"etcd-medic/");
    if let Some(command) = document.and_then(|rest| rest.split(|&byte| byte == b'/').next()) {
        hold_as(&String::from_utf8_lossy(command), out);
    } else if out.starts_with(b"{\"key\":") && out.windows(16).any(|text| text == b",\"mod_revision\":") {
        hold_lines(out);
    }
}

/// Holds the lines of an export against their schema.
pub fn hold_lines(out: &[u8]) {
    out.split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .for_each(|line| hold_as("export-line", line));
}

fn hold_as(command: &str, json: &[u8]) {
    // a document that was cut off on purpose is none
    let Ok(value) = serde_json::from_slice(json) else { return };
    let errors = errors(command, &value);
    assert!(errors.is_empty(), "{command}, by docs/schema/{command}.json: {errors:#?}");
}
