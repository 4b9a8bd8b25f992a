//! Kubernetes' CBOR → JSON.
//!
//! All text is in byte strings (`serializer/cbor/internal/modes/encode.go`, `StringToByteString`), and what is base64 in
//! JSON in a byte string after tag 22, "expected conversion to base64" (there, `ByteSliceLaterFormatBase64`); 21 and 23 are
//! the like for base64url and hexadecimal digits. Another tag says nothing (`decode.go`, `UnrecognizedTagContentToAny`).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ciborium::Value as Cbor;
use serde_json::{Map, Number, Value};

use super::budget::Budget;
use super::json::insert;
use super::{MAX_DEPTH, Overwritten, Unrenderable};
use Unrenderable::Malformed;

type Read<T> = Result<T, Unrenderable>;

/// Reads what follows the magic number.
pub(super) fn read(bytes: &[u8], budget: &mut Budget, overwritten: &mut Overwritten) -> Read<Value> {
    budget.charge_cbor(bytes)?;
    let mut rest = bytes;
    let parsed =
        ciborium::de::from_reader_with_recursion_limit::<Cbor, _>(&mut rest, MAX_DEPTH.saturating_mul(2));
    let parsed = parsed.map_err(|_| Malformed("it is no CBOR"))?;
    if !rest.is_empty() {
        return Err(Malformed("something follows its end"));
    }
    json(parsed, 0, overwritten)
}

fn json(value: Cbor, depth: usize, overwritten: &mut Overwritten) -> Read<Value> {
    if depth > MAX_DEPTH.saturating_mul(2) {
        return Err(Unrenderable::TooDeep);
    }
    let below = depth.saturating_add(1);
    Ok(match value {
        Cbor::Null => Value::Null,
        Cbor::Bool(value) => Value::Bool(value),
        Cbor::Integer(number) => {
            let number = i128::from(number);
            let number =
                i64::try_from(number).map(Number::from).or_else(|_| u64::try_from(number).map(Number::from));
            Value::Number(number.map_err(|_| Malformed("a number is out of range"))?)
        }
        Cbor::Float(number) => Value::Number(Number::from_f64(number).ok_or(Malformed("a number is none"))?),
        text @ (Cbor::Text(_) | Cbor::Bytes(_)) => Value::String(string(text)?),
        Cbor::Array(items) => {
            Value::Array(items.into_iter().map(|item| json(item, below, overwritten)).collect::<Read<_>>()?)
        }
        Cbor::Map(entries) => {
            let mut object = Map::new();
            for (key, value) in entries {
                let value = json(value, below, overwritten)?;
                insert(&mut object, string(key)?, value, overwritten);
            }
            Value::Object(object)
        }
        Cbor::Tag(tag, content) => match (tag, *content) {
            (21, Cbor::Bytes(bytes)) => Value::String(URL_SAFE_NO_PAD.encode(bytes)),
            (22, Cbor::Bytes(bytes)) => Value::String(STANDARD.encode(bytes)),
            (23, Cbor::Bytes(bytes)) => {
                Value::String(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
            }
            (_, content) => json(content, below, overwritten)?,
        },
        _ => return Err(Malformed("a value of CBOR is of no known type")),
    })
}

fn string(value: Cbor) -> Read<String> {
    match value {
        Cbor::Text(text) => Ok(text),
        Cbor::Bytes(bytes) => String::from_utf8(bytes).map_err(|_| Malformed("a text is not UTF-8")),
        _ => Err(Malformed("a key is no text")),
    }
}
