//! A Secret as it is shown: its names, and how many bytes there are of the rest.
//!
//! The rule: what is not known to be harmless goes. [`known`](super::known) lists what is; and what it lets through must not
//! repeat the data ([`Echo`]). The key is known to whoever lists keys, so what is in it is shown in any case.

use serde_json::{Map, Value};

use super::echo::Echo;
use super::{known, placeholder};

type Object = Map<String, Value>;

/// Takes out of a Secret, or of a list of them, what is not to be shown.
pub(super) fn secret(object: &mut Object, key: &[u8]) {
    let rules = Rules { echo: Echo::of(object), key };
    *object = rules.each(std::mem::take(object), |name, value| rules.field(name, value));
}

struct Rules<'k> {
    echo: Echo,
    /// The key in etcd; empty for an object inside of another.
    key: &'k [u8],
}

impl Rules<'_> {
    /// A field of a Secret.
    fn field(&self, name: &str, value: Value) -> Value {
        match (name, value) {
            ("apiVersion", value) => self.text(value, known::is_api_version),
            ("kind", value) => self.text(value, known::is_kind),
            ("type", Value::String(text)) if known::is_known_type(&text) => Value::String(text),
            ("type", value) => self.text(value, known::is_qualified),
            ("immutable", value @ Value::Bool(_)) => value,
            ("metadata", Value::Object(metadata)) => {
                Value::Object(self.each(metadata, |name, value| self.of_metadata(name, value)))
            }
            ("data", Value::Object(entries)) => {
                Value::Object(self.each(entries, |_, value| hidden(&value, true)))
            }
            ("stringData", Value::Object(entries)) => {
                Value::Object(self.each(entries, |_, value| hidden(&value, false)))
            }
            ("items", Value::Array(items)) => items.into_iter().map(|item| self.item(item)).collect(),
            (_, value) => hidden(&value, false),
        }
    }

    /// A Secret of a list: its items need not say what they are.
    fn item(&self, item: Value) -> Value {
        match item {
            Value::Object(mut object) => {
                secret(&mut object, self.key);
                Value::Object(object)
            }
            other => hidden(&other, false),
        }
    }

    fn of_metadata(&self, name: &str, value: Value) -> Value {
        match (name, value) {
            ("name" | "namespace" | "generateName", value) => self.text(value, known::is_object_name),
            ("uid", value) => self.text(value, known::is_uid),
            ("resourceVersion", value) => self.text(value, known::is_number),
            ("creationTimestamp" | "deletionTimestamp", value) => self.text(value, known::is_time),
            ("generation" | "deletionGracePeriodSeconds", Value::Number(number))
                if !self.echo.touches(&number.to_string()) =>
            {
                Value::Number(number)
            }
            ("labels" | "annotations", Value::Object(marks)) => {
                Value::Object(self.each(marks, |name, value| self.mark(name, value)))
            }
            ("finalizers", Value::Array(items)) => {
                items.into_iter().map(|item| self.strict(item, known::is_finalizer)).collect()
            }
            ("ownerReferences", Value::Array(owners)) => {
                self.objects(owners, |name, value| match (name, value) {
                    ("apiVersion", value) => self.text(value, known::is_api_version),
                    ("kind", value) => self.text(value, known::is_kind),
                    ("name", value) => self.text(value, known::is_object_name),
                    ("uid", value) => self.text(value, known::is_uid),
                    ("controller" | "blockOwnerDeletion", value @ Value::Bool(_)) => value,
                    (_, value) => hidden(&value, false),
                })
            }
            ("managedFields", Value::Array(entries)) => self.objects(entries, |name, value| match name {
                "apiVersion" => self.text(value, known::is_api_version),
                "time" => self.text(value, known::is_time),
                "operation" | "fieldsType" | "subresource" => self.text(value, known::is_of_managed_fields),
                _ => hidden(&value, false),
            }),
            (_, value) => hidden(&value, false),
        }
    }

    fn objects(&self, items: Vec<Value>, field: impl Fn(&str, Value) -> Value) -> Value {
        let shown = items.into_iter().map(|item| match item {
            Value::Object(object) => Value::Object(self.each(object, &field)),
            other => hidden(&other, false),
        });
        shown.collect()
    }

    /// A label or annotation.
    fn mark(&self, name: &str, value: Value) -> Value {
        if known::is_mark(name) { self.strict(value, known::is_label_text) } else { hidden(&value, false) }
    }

    /// A text that looks as it should, and has nothing of the data in it.
    fn strict(&self, value: Value, looks_right: fn(&str) -> bool) -> Value {
        let Value::String(text) = &value else { return hidden(&value, false) };
        let harmless = self.is_in_key(text) || looks_right(text) && !self.echo.touches(text);
        if harmless { value } else { hidden(&value, false) }
    }

    /// A text that looks as it should, and does not repeat the data.
    fn text(&self, value: Value, looks_right: fn(&str) -> bool) -> Value {
        let Value::String(text) = &value else { return hidden(&value, false) };
        let harmless = self.is_in_key(text) || looks_right(text) && !self.echo.is_in(text);
        if harmless { value } else { hidden(&value, false) }
    }

    fn is_in_key(&self, text: &str) -> bool {
        !text.is_empty() && self.key.split(|byte| *byte == b'/').any(|segment| segment == text.as_bytes())
    }

    /// Each field by its name, which is shown where it is one that a name can be, and does not repeat the data.
    fn each(&self, fields: Object, value_of: impl Fn(&str, Value) -> Value) -> Object {
        let mut shown = Object::new();
        for (name, value) in fields {
            let value = value_of(&name, value);
            let harmless = known::is_known_data(&name)
                || known::is_field(&name)
                || known::is_name(&name) && !self.echo.is_in(&name);
            if harmless {
                shown.insert(name, value);
            } else {
                insert_hidden(&mut shown, &name, value);
            }
        }
        shown
    }
}

/// Puts a value under a name that is not to be shown.
pub(super) fn insert_hidden(object: &mut Object, name: &str, value: Value) {
    let hidden = placeholder(name.len());
    let hidden = hidden.as_str().unwrap_or_default();
    let mut name = hidden.to_owned();
    let mut number = object.len();
    while object.contains_key(&name) {
        number = number.saturating_add(1);
        name = format!("{hidden} #{number}");
    }
    object.insert(name, value);
}

/// How many bytes there are; of base64 that stands for bytes, of these.
fn hidden(value: &Value, base64: bool) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::String(text) if base64 => placeholder(base64_len(text)),
        Value::String(text) => placeholder(text.len()),
        other => placeholder(other.to_string().len()),
    }
}

/// Bytes that a text of base64 stands for.
fn base64_len(text: &str) -> usize {
    let digits =
        text.bytes().filter(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')).count();
    digits.saturating_mul(3) / 4
}
