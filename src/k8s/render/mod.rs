//! An object as `kubectl get` shows it: a value of any encoding → JSON, which is the same tree as its YAML.
//!
//! | file | what is in it |
//! |---|---|
//! | `schema` | the messages of Kubernetes' protobuf: numbers, JSON names, types |
//! | `protobuf` | protobuf → JSON |
//! | `cbor` | CBOR → JSON |
//! | `json` | JSON → JSON |
//! | `budget` | how much memory an object may take |
//! | [`change`] | what is taken out of an object: what only its cluster can say |
//! | [`yaml`] | JSON → YAML |
//!
//! Values are hostile: depth and memory are bounded, and what can't be read is said rather than guessed.

mod budget;
mod cbor;
pub mod change;
mod json;
mod protobuf;
mod schema;
pub mod yaml;

use serde_json::{Map, Value};
use thiserror::Error;

use super::value::{CBOR_MAGIC, Encoding};
use budget::Budget;

/// Nothing of Kubernetes' nests deeper: its schemas end at about 20, and its own JSON is checked.
const MAX_DEPTH: usize = 64;
/// A value of more bytes is not shown: etcd refuses more than 1.5 MiB unless told otherwise.
const MAX_BYTES: usize = 64 << 20;

/// What names said that are said again, and so is not in the object.
pub(super) type Overwritten = Vec<(String, Value)>;

#[derive(Clone, PartialEq, Debug)]
pub struct Rendered {
    /// What it holds, by its JSON names.
    pub object: Map<String, Value>,
    /// Fields of protobuf that the table does not know, and so are not in the object: those of a newer Kubernetes.
    pub unknown_fields: u64,
    /// What names said that are said again: the last one is in the object, as Kubernetes reads it.
    pub overwritten: Vec<(String, Value)>,
}

/// Why a value can't be shown as an object.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Unrenderable {
    /// Neither protobuf, JSON nor CBOR.
    #[error("the value is no object of Kubernetes'")]
    NoObject,
    /// Nobody but the API server has the key.
    #[error("the value is encrypted at rest ({0})")]
    Encrypted(String),
    /// Protobuf of a type that is none of Kubernetes' own.
    #[error("the value is protobuf of a type that is not known here: {api_version} {kind}")]
    UnknownType { api_version: String, kind: String },
    /// Not what its encoding demands.
    #[error("the value is damaged: {0}")]
    Malformed(&'static str),
    #[error("the value is damaged: it nests deeper than any object")]
    TooDeep,
    /// More than any object.
    #[error("the value is larger than any object")]
    TooLarge,
    /// Which type it says is not told, as its key says that it is a Secret.
    #[error("the value is a Secret's, and is none that can be read")]
    UnreadableSecret,
}

/// Shows a value as an object.
///
/// # Errors
/// It is none, or can't be read.
pub fn render(value: &[u8]) -> Result<Rendered, Unrenderable> {
    if value.len() > MAX_BYTES {
        return Err(Unrenderable::TooLarge);
    }
    let rendered = parse(value)?;
    budget::hold_text(&rendered.object, value.len())?;
    Ok(rendered)
}

fn parse(value: &[u8]) -> Result<Rendered, Unrenderable> {
    let mut budget = Budget::of(value.len());
    let mut overwritten = Vec::new();
    let parsed = match Encoding::of(value) {
        Encoding::Protobuf => return protobuf::render(value, budget),
        Encoding::Json => json::read(value, &mut budget, &mut overwritten)?,
        Encoding::Cbor => {
            let bytes = value.strip_prefix(CBOR_MAGIC).unwrap_or_default();
            cbor::read(bytes, &mut budget, &mut overwritten)?
        }
        Encoding::Encrypted { prefix } => return Err(Unrenderable::Encrypted(prefix.to_owned())),
        Encoding::Other => return Err(Unrenderable::NoObject),
    };
    let is_text = |name: &str, object: &Map<String, Value>| object.get(name).is_some_and(Value::is_string);
    match parsed {
        Value::Object(object) if is_text("apiVersion", &object) && is_text("kind", &object) => {
            Ok(Rendered { object, unknown_fields: 0, overwritten })
        }
        _ => Err(Unrenderable::NoObject),
    }
}

/// Any JSON, or CBOR without its magic number, that need not be an object of Kubernetes'.
pub(super) fn tree(bytes: &[u8]) -> Option<(Value, Overwritten)> {
    let (mut budget, mut overwritten) = (Budget::of(bytes.len()), Vec::new());
    let value = match bytes.trim_ascii_start().first()? {
        b'{' | b'[' | b'"' => json::read(bytes, &mut budget, &mut overwritten),
        0xa0..=0xbf => cbor::read(bytes, &mut budget, &mut overwritten),
        _ => return None,
    };
    Some((value.ok()?, overwritten))
}
