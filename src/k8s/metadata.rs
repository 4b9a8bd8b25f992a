//! An object's own metadata: its name, its namespace, and when it was created, in each encoding.
//!
//! The API server keeps all three: a name and a namespace are those of the key that it stores the object under, and
//! `creationTimestamp` is its own clock's when it creates the object, whatever the client sent (kubernetes
//! `apiserver/pkg/registry/rest/meta.go`, `FillObjectMetaSystemFields`). So it is the time of the record's create
//! revision, to the second.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::object::{Seconds, seconds_of_text};
use super::value::{CBOR_MAGIC, Encoding, PROTOBUF_MAGIC};
use super::wire::{Cbor, protobuf_field, protobuf_varint};

/// The end of the year 9999: no later time is one.
const LAST_SECOND: Seconds = 253_402_300_799;

/// What an object's metadata says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ObjectMeta<'a> {
    /// `metadata.name`; empty where it says none.
    pub name: &'a [u8],
    /// `metadata.namespace`; empty where it says none: the object is cluster-wide.
    pub namespace: &'a [u8],
    /// `metadata.creationTimestamp`, in seconds since 1970, where it can be one.
    pub created: Option<Seconds>,
}

/// Reads an object's metadata, and nothing after it. `None` where the value is no object that can be
/// read: encrypted, damaged, or somebody else's. A JSON string with escapes counts as damaged: no valid name needs one.
pub fn metadata(value: &[u8]) -> Option<ObjectMeta<'_>> {
    let found = match Encoding::of(value) {
        Encoding::Protobuf => from_protobuf(value)?,
        Encoding::Json => from_json(value)?,
        Encoding::Cbor => from_cbor(value)?,
        Encoding::Encrypted { .. } | Encoding::Other => return None,
    };
    Some(ObjectMeta { created: found.created.filter(|seconds| (1..=LAST_SECOND).contains(seconds)), ..found })
}

/// Seconds since 1970 at which the object was created. `None` where the value does not say.
pub fn creation_seconds(value: &[u8]) -> Option<u64> {
    metadata(value)?.created?.try_into().ok()
}

/// `runtime.Unknown` has the object in field 2 (`raw`); every object its metadata in field 1; `ObjectMeta` the name in field 1,
/// the namespace in 3, the timestamp in 8; and `Time` the seconds in field 1
/// (`apimachinery/pkg/{runtime,apis/meta/v1}/generated.proto`).
fn from_protobuf(value: &[u8]) -> Option<ObjectMeta<'_>> {
    let object = protobuf_field(value.strip_prefix(PROTOBUF_MAGIC)?, 2)?;
    let metadata = protobuf_field(object, 1)?;
    let text = |number| protobuf_field(metadata, number).unwrap_or_default();
    let created = protobuf_field(metadata, 8).and_then(|time| protobuf_varint(time, 1));
    Some(ObjectMeta {
        name: text(1),
        namespace: text(3),
        created: created.and_then(|seconds| seconds.try_into().ok()),
    })
}

fn from_cbor(value: &[u8]) -> Option<ObjectMeta<'_>> {
    let mut cbor = Cbor(value.strip_prefix(CBOR_MAGIC)?);
    for _ in 0..cbor.map()? {
        if cbor.string()? != b"metadata" {
            cbor.skip()?;
            continue;
        }
        let mut found = ObjectMeta::default();
        for _ in 0..cbor.map()? {
            match cbor.string()? {
                b"name" => found.name = cbor.string()?,
                b"namespace" => found.namespace = cbor.string()?,
                b"creationTimestamp" => found.created = cbor.string_or_null()?.and_then(seconds_of_bytes),
                _ => cbor.skip()?,
            }
        }
        return Some(found);
    }
    None
}

fn seconds_of_bytes(text: &[u8]) -> Option<Seconds> {
    str::from_utf8(text).ok().and_then(seconds_of_text)
}

fn from_json(value: &[u8]) -> Option<ObjectMeta<'_>> {
    let mut found = None;
    // an error whenever the visitor left early: it says nothing that `found` doesn't
    ObjectSeed(&mut found).deserialize(&mut serde_json::Deserializer::from_slice(value)).ok();
    let JsonMetadata { name, namespace, creation_timestamp } = found?;
    Some(ObjectMeta {
        name: name.unwrap_or_default().as_bytes(),
        namespace: namespace.unwrap_or_default().as_bytes(),
        created: creation_timestamp.and_then(seconds_of_text),
    })
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object's metadata")]
struct JsonMetadata<'a> {
    name: Option<&'a str>,
    namespace: Option<&'a str>,
    creation_timestamp: Option<&'a str>,
}

/// Steps through an object's fields, up to its metadata.
struct ObjectSeed<'f, 'a>(&'f mut Option<JsonMetadata<'a>>);

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a Kubernetes object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(IsMetadata(is_metadata)) = map.next_key()? {
            if is_metadata {
                *self.0 = Some(map.next_value()?);
                return Ok(());
            }
            // steps over nested values with a loop, so their depth costs no stack
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// Whether a field's name is `metadata`: no name is kept, however long.
struct IsMetadata(bool);

impl<'de> serde::Deserialize<'de> for IsMetadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = IsMetadata;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a field name")
            }

            fn visit_str<E>(self, name: &str) -> Result<IsMetadata, E> {
                Ok(IsMetadata(name == "metadata"))
            }
        }
        deserializer.deserialize_str(Name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &[u8] = &[0x08, 0x80, 0xe2, 0xcf, 0xaa, 0x06];
    const SECONDS: Seconds = 1_700_000_000;

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let len = u8::try_from(content.len()).unwrap();
        [&[number << 3 | 2, len], content].concat()
    }

    fn protobuf(time: &[u8]) -> Vec<u8> {
        let metadata = [field(1, b"web-1"), field(3, b"shop"), field(8, time)].concat();
        [PROTOBUF_MAGIC, &field(1, b""), &field(2, &field(1, &metadata))].concat()
    }

    fn cbor() -> Vec<u8> {
        let text = |text: &[u8]| [&[0x58, u8::try_from(text.len()).unwrap()], text].concat();
        let time = [text(b"creationTimestamp"), text(b"2023-11-14T22:13:20Z")].concat();
        let names = [text(b"name"), text(b"web-1"), text(b"namespace"), text(b"shop")].concat();
        let metadata = [text(b"metadata"), vec![0xa3], names, time].concat();
        // a nested spec in front, as its name is shorter
        [CBOR_MAGIC, &[0xa2], &text(b"spec"), &[0xa1, 0x41, b'x', 0x82, 1, 2], &metadata].concat()
    }

    const JSON: &[u8] = br#"{"apiVersion":"v1","spec":{"x":[{}]},"metadata":{"uid":"7","creationTimestamp":"2023-11-14T22:13:20Z","name":"web-1","namespace":"shop"},"z":"#;

    #[test]
    fn each_encoding_says_the_same() {
        let expected = ObjectMeta { name: b"web-1", namespace: b"shop", created: Some(SECONDS) };
        for value in [protobuf(TIME), cbor(), JSON.to_vec()] {
            assert_eq!(metadata(&value), Some(expected), "{value:?}");
        }
        assert_eq!(creation_seconds(JSON), Some(1_700_000_000));
    }

    #[test]
    fn what_is_not_said_is_empty() {
        let nothing = Some(ObjectMeta::default());
        assert_eq!(metadata(br#"{"metadata":{}}"#), nothing);
        assert_eq!(metadata(br#"{"metadata":{"creationTimestamp":null,"labels":{"name":"x"}}}"#), nothing);
        assert_eq!(metadata(br#"{"metadata":{"creationTimestamp":"tomorrow"}}"#), nothing);
        assert_eq!(
            metadata(&[CBOR_MAGIC, b"\xa1\x48metadata\xa1\x51creationTimestamp\xf6"].concat()),
            nothing
        );
    }

    #[test]
    fn what_is_no_time_is_none() {
        let negative = &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01][..];
        for time in [&[0x08, 0x00][..], &[], negative, &[0x08], &[0x08, 0x80], &[0x0a, 0x01, 0x01], &[0x0b]] {
            assert_eq!(creation_seconds(&protobuf(time)), None, "{time:?}");
        }
    }

    #[test]
    fn what_is_no_object_says_nothing() {
        for value in
            [&b""[..], b"{}", b"[]", b"{\"metadata\":[]}", b"{\"metadata\":{\"name\":5}}", b"k8s:enc:x"]
        {
            assert_eq!(metadata(value), None, "{value:?}");
        }
        // a name that is written with an escape
        assert_eq!(metadata(br#"{"metadata":{"name":"\u0061"}}"#), None);
        let (cut, whole) = (protobuf(TIME), cbor());
        (0..cut.len()).for_each(|len| assert_eq!(metadata(&cut[..len]), None, "cut at {len}"));
        (0..whole.len()).for_each(|len| assert_eq!(metadata(&whole[..len]), None, "cut at {len}"));
    }
}
