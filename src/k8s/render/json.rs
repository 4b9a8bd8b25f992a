//! JSON → JSON, with what is lost on the way: what a name said that is said again.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

use super::budget::Budget;
use super::{Overwritten, Unrenderable};

/// Reads JSON. serde_json bounds the depth itself, at 128.
///
/// Of a name that is said twice the last one counts, as in Go; the others go into `overwritten`.
pub(super) fn read(
    bytes: &[u8],
    budget: &mut Budget,
    overwritten: &mut Overwritten,
) -> Result<Value, Unrenderable> {
    budget.charge_json(bytes)?;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Tree(overwritten).deserialize(&mut deserializer);
    let value = value.and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|_| Unrenderable::Malformed("it is no JSON"))
}

/// Puts a field into an object.
pub(super) fn insert(
    object: &mut Map<String, Value>,
    name: String,
    value: Value,
    overwritten: &mut Overwritten,
) {
    match object.entry(name) {
        Entry::Vacant(entry) => drop(entry.insert(value)),
        Entry::Occupied(mut entry) => {
            let before = entry.insert(value);
            overwritten.push((entry.key().clone(), before));
        }
    }
}

struct Tree<'o>(&'o mut Overwritten);

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number is none"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Tree(self.0))? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = fields.next_key()? {
            let value = fields.next_value_seed(Tree(self.0))?;
            insert(&mut object, name, value, self.0);
        }
        Ok(Value::Object(object))
    }
}
