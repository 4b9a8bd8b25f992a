//! A value: how it is encoded, and which kind of object it says that it is.
//!
//! Sources, all in kubernetes: `apimachinery/pkg/runtime/generated.proto` (`Unknown`, `TypeMeta`)
//! and `serializer/protobuf/protobuf.go` (its magic); `serializer/cbor/internal/modes/encode.go`
//! (byte strings for text, keys sorted, no indefinite lengths);
//! `apiserver/pkg/server/options/encryptionconfig/config.go` (the prefixes of encrypted values).
//! Checked against the values that a real 1.36 wrote.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::wire::{Cbor, protobuf_field};

pub(super) const PROTOBUF_MAGIC: &[u8] = b"k8s\0";
/// RFC 8949's "self-described CBOR" tag, 55799, which Kubernetes puts in front of every value.
pub(super) const CBOR_MAGIC: &[u8] = &[0xd9, 0xd9, 0xf7];
const ENCRYPTED_MAGIC: &[u8] = b"k8s:enc:";
/// All that is looked at for an encrypted value's prefix: room for any sensible key name.
const MAX_ENCRYPTED_PREFIX: usize = 512;
/// Less than this is no ciphertext: the shortest that any provider writes has an initialization vector or nonce, and a block or
/// tag after it (kubernetes, `apiserver/pkg/storage/value/encrypt`). Then what is there may be anything, and no key's name.
const MIN_CIPHERTEXT: usize = 16;
/// What is told of a value with less than that: nothing but what anybody knows.
const KNOWN_PROVIDERS: [&str; 5] =
    ["k8s:enc:aescbc:v1", "k8s:enc:aesgcm:v1", "k8s:enc:kms:v1", "k8s:enc:kms:v2", "k8s:enc:secretbox:v1"];
/// All that is looked at for JSON's opening brace; the API server itself writes it first.
const MAX_JSON_SPACE: usize = 64;

/// How a value is encoded, as far as its first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding<'a> {
    /// Kubernetes' protobuf: `k8s\0`, then a `runtime.Unknown` message.
    Protobuf,
    /// A JSON object: custom resources, and what a lone server wrote.
    Json,
    /// CBOR with its self-description tag: custom resources, where the apiserver's gate is on.
    Cbor,
    Encrypted {
        /// `k8s:enc:<provider>:<version>:<key name>` without the last colon, which ends at the
        /// first colon after the key name's start; without the name where no ciphertext follows, and just `k8s:enc`
        /// where that shape is broken.
        prefix: &'a str,
    },
    /// Anything else, an empty value too.
    Other,
}

impl<'a> Encoding<'a> {
    /// Tells a value's encoding. Looks at a bounded number of its first bytes.
    pub fn of(value: &'a [u8]) -> Self {
        if value.starts_with(PROTOBUF_MAGIC) {
            Self::Protobuf
        } else if value.starts_with(CBOR_MAGIC) {
            Self::Cbor
        } else if value.starts_with(ENCRYPTED_MAGIC) {
            Self::Encrypted { prefix: encrypted_prefix(value).unwrap_or("k8s:enc") }
        } else if json_object(value).is_some() {
            Self::Json
        } else {
            Self::Other
        }
    }

    /// The encoding without its text.
    #[inline]
    pub fn kind(&self) -> ValueKind {
        match self {
            Self::Protobuf => ValueKind::Protobuf,
            Self::Json => ValueKind::Json,
            Self::Cbor => ValueKind::Cbor,
            Self::Encrypted { .. } => ValueKind::Encrypted,
            Self::Other => ValueKind::Other,
        }
    }

    /// A word for reports: `protobuf`, `json`, `cbor`, `encrypted` or `other`.
    pub fn label(&self) -> &'static str {
        self.kind().name()
    }

    /// Who encrypted the value: `aescbc`, `aesgcm`, `secretbox`, `kms`, …
    pub fn provider(&self) -> Option<&'a str> {
        match self {
            Self::Encrypted { prefix } => prefix.split(':').nth(2),
            _ => None,
        }
    }
}

/// How a value is encoded: [`Encoding`] without its text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum ValueKind {
    Protobuf,
    Json,
    Cbor,
    /// Encrypted by the API server.
    Encrypted,
    Other,
}

impl ValueKind {
    pub const ALL: [Self; 5] = [Self::Protobuf, Self::Json, Self::Cbor, Self::Encrypted, Self::Other];

    /// The kind of a value, by its first bytes.
    #[inline]
    pub fn of(value: &[u8]) -> Self {
        Encoding::of(value).kind()
    }

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Protobuf => "protobuf",
            Self::Json => "json",
            Self::Cbor => "cbor",
            Self::Encrypted => "encrypted",
            Self::Other => "other",
        }
    }
}

fn encrypted_prefix(value: &[u8]) -> Option<&str> {
    let head = value.get(..MAX_ENCRYPTED_PREFIX).unwrap_or(value);
    let mut colons = head.iter().enumerate().filter(|(_, byte)| **byte == b':').map(|(at, _)| at);
    // After `k8s`, `enc`, the provider, the version and the key name.
    let (before_name, end) = (colons.nth(3)?, colons.next()?);
    let has_ciphertext = value.len().saturating_sub(end) > MIN_CIPHERTEXT;
    let prefix = str::from_utf8(head.get(..if has_ciphertext { end } else { before_name })?).ok()?;
    (has_ciphertext || KNOWN_PROVIDERS.contains(&prefix)).then_some(prefix)
}

/// What is after the opening brace.
fn json_object(value: &[u8]) -> Option<&[u8]> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let start = value.iter().take(MAX_JSON_SPACE).position(|byte| !is_space(byte))?;
    value.get(start..)?.strip_prefix(b"{")
}

/// What an object says that it is: `apiVersion` (taken apart) and `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeMeta<'a> {
    /// The API group; empty for the core group.
    pub group: &'a str,
    /// The version within the group: `v1`, `v1beta1`.
    pub version: &'a str,
    /// The kind: `Pod`.
    pub kind: &'a str,
}

impl<'a> TypeMeta<'a> {
    /// As Go's `schema.ParseGroupVersion`: no slash means the core group, two are an error.
    fn new(api_version: &'a str, kind: &'a str) -> Option<Self> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let sound = !version.is_empty() && !version.contains('/') && !kind.is_empty();
        sound.then_some(Self { group, version, kind })
    }

    pub(super) fn from_bytes(api_version: &'a [u8], kind: &'a [u8]) -> Option<Self> {
        Self::new(str::from_utf8(api_version).ok()?, str::from_utf8(kind).ok()?)
    }
}

/// Reads an object's group, version and kind, without a copy and only as far into the value as they
/// stand: so a value whose end is lost still tells them. `None` where either is missing, and for
/// encrypted values. Takes at most one pass over the value.
///
/// A JSON string with escapes in it also gives `None`: no valid group, version or kind needs one.
pub fn type_meta(value: &[u8]) -> Option<TypeMeta<'_>> {
    match Encoding::of(value) {
        Encoding::Protobuf => from_protobuf(value),
        Encoding::Json => from_json(value),
        Encoding::Cbor => from_cbor(value),
        Encoding::Encrypted { .. } | Encoding::Other => None,
    }
}

/// The bytes of a protobuf value that hold its `TypeMeta`, from the first on: two values that share them are of the
/// same group, version and kind. `None` for any other value.
pub fn protobuf_head(value: &[u8]) -> Option<&[u8]> {
    match value.strip_prefix(PROTOBUF_MAGIC)? {
        // field 1, length-delimited, of less than 128 bytes, and the message ends with it or goes on with field 2
        [0x0a, len @ 0..=0x7f, rest @ ..] if matches!(rest.get(usize::from(*len)), None | Some(0x12)) => {
            value.get(..PROTOBUF_MAGIC.len().saturating_add(2).saturating_add(usize::from(*len)))
        }
        _ => None,
    }
}

/// Whether `type_meta` is likely to find something, told from the first bytes: any protobuf or
/// CBOR of Kubernetes, and JSON that starts with `apiVersion` or `kind`.
///
/// Kubernetes' JSON does: typed objects have both first, and an untyped object's fields are sorted
/// (one with a field before `apiVersion` in the alphabet is missed). An application's JSON mostly
/// doesn't, and is then not parsed at all.
pub(super) fn leads_with_type_meta(value: &[u8]) -> bool {
    match Encoding::of(value) {
        Encoding::Protobuf | Encoding::Cbor => true,
        Encoding::Json => json_object(value).is_some_and(|fields| {
            let fields = fields.trim_ascii_start();
            fields.starts_with(b"\"apiVersion\"") || fields.starts_with(b"\"kind\"")
        }),
        Encoding::Encrypted { .. } | Encoding::Other => false,
    }
}

/// `runtime.Unknown`: field 1 is the `TypeMeta`, whose fields 1 and 2 are `apiVersion` and `kind`.
fn from_protobuf(value: &[u8]) -> Option<TypeMeta<'_>> {
    let type_meta = protobuf_field(value.strip_prefix(PROTOBUF_MAGIC)?, 1)?;
    TypeMeta::from_bytes(protobuf_field(type_meta, 1)?, protobuf_field(type_meta, 2)?)
}

fn from_cbor(value: &[u8]) -> Option<TypeMeta<'_>> {
    let mut cbor = Cbor(value.strip_prefix(CBOR_MAGIC)?);
    let (mut api_version, mut kind) = (None, None);
    // Keys are sorted by their bytes, length first, so `apiVersion` stands after the whole spec.
    for _ in 0..cbor.map()? {
        match cbor.string()? {
            b"apiVersion" => api_version = Some(cbor.string()?),
            b"kind" => kind = Some(cbor.string()?),
            _ => cbor.skip()?,
        }
        if let (Some(api_version), Some(kind)) = (api_version, kind) {
            return TypeMeta::from_bytes(api_version, kind);
        }
    }
    None
}

fn from_json(value: &[u8]) -> Option<TypeMeta<'_>> {
    let mut found = JsonTypeMeta::default();
    // The result is an error whenever the visitor left early, and says nothing that `found`
    // doesn't. IgnoredAny steps over nested values with a loop, so their depth costs no stack.
    (&mut found).deserialize(&mut serde_json::Deserializer::from_slice(value)).ok();
    TypeMeta::new(found.api_version?, found.kind?)
}

#[derive(Default)]
struct JsonTypeMeta<'a> {
    api_version: Option<&'a str>,
    kind: Option<&'a str>,
}

impl<'de> DeserializeSeed<'de> for &mut JsonTypeMeta<'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut JsonTypeMeta<'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Kubernetes object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while self.api_version.is_none() || self.kind.is_none() {
            match map.next_key_seed(FieldName)? {
                Some(Field::ApiVersion) => self.api_version = Some(map.next_value()?),
                Some(Field::Kind) => self.kind = Some(map.next_value()?),
                Some(Field::Other) => map.next_value::<IgnoredAny>().map(drop)?,
                None => break,
            }
        }
        Ok(())
    }
}

enum Field {
    ApiVersion,
    Kind,
    Other,
}

struct FieldName;

impl<'de> DeserializeSeed<'de> for FieldName {
    type Value = Field;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldName {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Field, E> {
        Ok(match name {
            "apiVersion" => Field::ApiVersion,
            "kind" => Field::Kind,
            _ => Field::Other,
        })
    }
}
