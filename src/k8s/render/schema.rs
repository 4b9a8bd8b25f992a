//! Which field of which message has which number, JSON name and type: `schema.txt`, read once.
//!
//! The table was made by `schema.py` of the releases v0.36.1, v0.28.0, v0.24.0, v0.20.0 and v0.17.0 of k8s.io/api
//! (Kubernetes 1.17 to 1.36) and v0.36.1 of k8s.io/apimachinery: numbers, names and types, nothing of their text. No crate
//! has them in this form: `k8s-pb` knows the numbers without the JSON names, `k8s-openapi` the names without the numbers,
//! and either would be minutes of compilation.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::embedded;

pub(super) static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    // it is in the program, and a test reads all of it
    let text =
        embedded::text(include_bytes!(concat!(env!("OUT_DIR"), "/schema.txt.deflate"))).unwrap_or_default();
    // read once, and kept as long as the program runs
    Schema::parse(Box::leak(text.into_boxed_str()))
});

/// All messages that an object can hold.
#[derive(Debug, Default)]
pub(super) struct Schema {
    messages: Vec<Message>,
    /// (group, version) → package.
    packages: HashMap<(&'static str, &'static str), &'static str>,
    /// `core/v1.Pod` → its place in `messages`.
    places: HashMap<&'static str, usize>,
}

/// A message: its fields by number.
#[derive(Debug)]
pub(super) struct Message {
    pub shape: Shape,
    fields: Vec<(u32, SchemaField)>,
}

/// What becomes of a message in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// An object with a field for each field.
    Object,
    /// What its first field holds, alone.
    Unwrap,
    /// `meta/v1.Time`: text to the second.
    Time,
    /// `meta/v1.MicroTime`: text to the microsecond.
    MicroTime,
    /// `meta/v1.Duration`: text such as `1h0m0s`.
    Duration,
    /// JSON already, in its first field.
    RawJson,
    /// `util/intstr.IntOrString`: a number or text.
    IntOrString,
}

/// A field of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct SchemaField {
    pub name: &'static str,
    pub kind: FieldKind,
    pub repeated: bool,
    /// A map, whose keys are text; `kind` is that of its values.
    pub map: bool,
    /// Absent and empty are told apart: a Go pointer.
    pub pointer: bool,
    /// Left out where it is empty: Go's `omitempty`, which knows no empty struct.
    pub omit_empty: bool,
    /// Left out where it is a struct of zeroes: Go's `omitzero`.
    pub omit_zero: bool,
    /// Its fields stand among those around it.
    pub inline: bool,
}

/// What a field holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FieldKind {
    Text,
    Bool,
    Int,
    Double,
    /// base64 in JSON.
    Bytes,
    /// A message, by its place in the table.
    Message(usize),
}

impl Schema {
    fn parse(text: &'static str) -> Self {
        let mut schema = Self::default();
        let names = text.lines().filter_map(|line| line.strip_prefix("message "));
        for (place, name) in names.enumerate() {
            schema.places.insert(name.split(' ').next().unwrap_or(name), place);
        }
        for line in text.lines() {
            schema.take(line);
        }
        schema
    }

    fn take(&mut self, line: &'static str) -> Option<()> {
        let mut words = line.split(' ');
        match words.next()? {
            "package" => {
                let package = words.next()?;
                let (_, version) = package.split_once('/')?;
                self.packages.insert((words.next().unwrap_or(""), version), package);
            }
            "message" => {
                let shape = Shape::named(words.nth(1).unwrap_or(""))?;
                self.messages.push(Message { shape, fields: Vec::new() });
            }
            number => {
                let field =
                    SchemaField::new(words.next()?, self.kind(words.next()?)?, words.next().unwrap_or(""));
                self.messages.last_mut()?.fields.push((number.parse().ok()?, field));
            }
        }
        Some(())
    }

    fn kind(&self, name: &str) -> Option<FieldKind> {
        Some(match name {
            "s" => FieldKind::Text,
            "b" => FieldKind::Bool,
            "i" => FieldKind::Int,
            "f" => FieldKind::Double,
            "y" => FieldKind::Bytes,
            message => FieldKind::Message(*self.places.get(message)?),
        })
    }

    /// The message of this group, version and kind.
    pub(super) fn message_of(&self, group: &str, version: &str, kind: &str) -> Option<&Message> {
        let package = self.packages.get(&(group, version))?;
        self.message(*self.places.get(format!("{package}.{kind}").as_str())?)
    }

    /// The message at this place.
    pub(super) fn message(&self, place: usize) -> Option<&Message> {
        self.messages.get(place)
    }
}

impl Message {
    /// Where the field of this number is in [`Message::fields`].
    pub(super) fn index_of(&self, number: u32) -> Option<usize> {
        self.fields.binary_search_by_key(&number, |(number, _)| *number).ok()
    }

    pub(super) fn fields(&self) -> impl ExactSizeIterator<Item = &SchemaField> {
        self.fields.iter().map(|(_, field)| field)
    }
}

impl Shape {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "" => Self::Object,
            "unwrap" => Self::Unwrap,
            "time" => Self::Time,
            "microtime" => Self::MicroTime,
            "duration" => Self::Duration,
            "rawjson" => Self::RawJson,
            "intorstring" => Self::IntOrString,
            _ => return None,
        })
    }
}

impl SchemaField {
    fn new(name: &'static str, kind: FieldKind, flags: &str) -> Self {
        let has = |flag: char| flags.contains(flag);
        Self {
            name,
            kind,
            repeated: has('r'),
            map: has('m'),
            pointer: has('p'),
            omit_empty: has('o'),
            omit_zero: has('z'),
            inline: has('n'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_counts() {
        let lines =
            |start: &str| include_str!("schema.txt").lines().filter(|line| line.starts_with(start)).count();
        let fields: usize = SCHEMA.messages.iter().map(|message| message.fields.len()).sum();
        assert_eq!(SCHEMA.packages.len(), lines("package "));
        assert_eq!(SCHEMA.messages.len(), lines("message "));
        assert_eq!(SCHEMA.places.len(), SCHEMA.messages.len(), "no name stands twice");
        let all = include_str!("schema.txt").lines().count();
        assert_eq!(fields, all - lines("package ") - lines("message "));
        for message in &SCHEMA.messages {
            assert!(message.fields.is_sorted_by_key(|(number, _)| *number));
        }
    }

    #[test]
    fn groups_lead_to_packages() {
        for (group, version, kind) in [
            ("", "v1", "Pod"),
            ("rbac.authorization.k8s.io", "v1", "ClusterRole"),
            ("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema"),
            ("policy", "v1beta1", "PodSecurityPolicy"),
        ] {
            assert!(SCHEMA.message_of(group, version, kind).is_some(), "{group}/{version} {kind}");
        }
        assert!(SCHEMA.message_of("", "v1", "Unheard").is_none());
    }
}
