//! The schemas in docs/schema are what the structs and their comments say: made here, from both, and compared.

use std::fs;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use serde_json::{Value, json};

use crate::report::json::{Envelope, version};
use crate::{
    analyze, check, cleanup, doctor, hash, inspect, log, replay, restore, rewrite, salvage, synth, travel,
};

use super::commands::schema::schemas;
use super::commands::{
    DeletedDocument, ExportDocument, FolderHashes, GetDocument, KeysDocument, PageDocument, StatusDocument,
};

/// Renews what is stale.
const RENEW: &str = "RENEW_SCHEMAS=1 cargo test --lib schemas";

fn made(name: &str) -> Value {
    match name {
        "analyze" => document::<analyze::Analysis>(name),
        "status" => document::<StatusDocument>(name),
        "check" => document::<check::Checked>(name),
        "doctor" => document::<doctor::report::DoctorReport>(name),
        "pages" => document::<inspect::PageList>(name),
        "page" => document::<PageDocument>(name),
        "buckets" => document::<inspect::BucketList>(name),
        "hash" => schema_of::<HashOrFolder>(name),
        "plan" => document::<rewrite::plan::PlanReport>(name),
        "defrag" => document::<rewrite::outcome::DefragReport>(name),
        "salvage" => document::<salvage::document::SalvageReport>(name),
        "replay" => document::<replay::document::ReplayReport>(name),
        "restore" => document::<restore::document::RestoreReport>(name),
        "log" => document::<log::summary::LogSummary>(name),
        "log-line" => schema_of::<log::LogLine<'_>>(name),
        "cleanup" => document::<cleanup::Cleanup>(name),
        "keys" => schema_of::<KeysOrDeleted>(name),
        "history" => document::<travel::history::KeyHistory>(name),
        "get" => document::<GetDocument<'static>>(name),
        "export" => document::<ExportDocument>(name),
        "export-line" => schema_of::<travel::export::Line<'_>>(name),
        "synth" => document::<synth::SynthReport>(name),
        _ => panic!("{name}: which struct is it?"),
    }
}

/// Keys at a revision; with `--deleted`, another document.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema counts")]
enum KeysOrDeleted {
    /// Without it.
    Keys(Envelope<'static, KeysDocument<'static>>),
    /// With it.
    Deleted(Envelope<'static, DeletedDocument<'static>>),
}

/// The hashes of a file; of a folder, another document.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema counts")]
enum HashOrFolder {
    /// Of a file.
    File(Envelope<'static, hash::Hashes>),
    /// Of a folder.
    Folder(Envelope<'static, FolderHashes>),
}

fn document<T: JsonSchema + 'static>(command: &str) -> Value {
    let mut schema = schema_of::<Envelope<'static, T>>(command);
    schema["description"] = schema_of::<T>(command)["description"].clone();
    schema
}

fn schema_of<T: JsonSchema>(command: &str) -> Value {
    let schema = format!("etcd-medic/{command}/{}", version(command));
    let settings = SchemaSettings::draft2020_12().for_serialize().with_transform(Tidy { schema });
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), format!("etcd-medic {command}").into());
    schema.to_value()
}

/// An object has the fields that are described, and no other. An envelope says of which command it is. Comments become one line.
#[derive(Clone)]
struct Tidy {
    schema: String,
}

impl Transform for Tidy {
    fn transform(&mut self, schema: &mut schemars::Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else { return };
        if object.get("format").is_some_and(|format| format == "uint") {
            object.insert("format".to_owned(), "uint64".into());
        }
        if object.contains_key("properties") && !object.contains_key("additionalProperties") {
            object.insert("additionalProperties".to_owned(), false.into());
        }
        if let Some(Value::Object(envelope)) = object.get_mut("properties")
            && envelope.contains_key("read_without_lock")
        {
            envelope.insert("schema".to_owned(), json!({ "const": self.schema }));
        }
        if let Some(Value::String(text)) = object.get_mut("description") {
            *text = text.replace('\n', " ");
        }
    }
}

fn path_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema").join(format!("{name}.json"))
}

#[test]
fn each_field_is_described() {
    fn described(value: &Value, of: &str) {
        for (name, field) in value["properties"].as_object().into_iter().flatten() {
            assert!(field["description"].is_string() || name == "schema", "{of}: no comment on {name}");
        }
        let parts: Vec<(String, &Value)> = match value {
            Value::Object(parts) => parts.iter().map(|(name, part)| (format!("{of}/{name}"), part)).collect(),
            Value::Array(parts) => parts.iter().map(|part| (of.to_owned(), part)).collect(),
            _ => Vec::new(),
        };
        parts.iter().for_each(|(of, part)| described(part, of));
    }
    for (name, _) in schemas() {
        let schema = made(name);
        assert!(schema["description"].is_string(), "{name}");
        described(&schema, name);
    }
}

#[test]
fn docs_schema_is_what_the_structs_say() {
    for (name, built_in) in schemas() {
        let made = format!("{:#}\n", made(name));
        if std::env::var_os("RENEW_SCHEMAS").is_some() {
            fs::write(path_of(name), &made).expect("written");
        } else {
            assert!(built_in == made, "docs/schema/{name}.json is stale: {RENEW}");
        }
    }
}
