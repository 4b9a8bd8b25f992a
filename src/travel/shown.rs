//! One record's value as it is shown: an object, or bytes. Secrets' data is not shown unless asked for.

use serde_json::{Map, Value};
use thiserror::Error;

use crate::etcd::find::Found;
use crate::k8s::render::{Unrenderable, change, render};
use crate::k8s::{Encoding, Layout, ObjectKey, type_meta};
use crate::scan::tenants::Tenants;
use crate::text::ByteText;

use super::index::Sorted;
use super::narrow::layout_of;

/// How values are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Secrets with their data.
    pub show_secrets: bool,
    /// Without what only the cluster can say that it was in.
    pub clean: bool,
}

/// A value as an object.
#[derive(Clone, PartialEq, Debug)]
pub struct Shown {
    /// How it is stored: `protobuf`, `json`, `cbor`.
    pub encoding: &'static str,
    /// What it holds, by its JSON names.
    pub object: Map<String, Value>,
    /// Whether something was left out, as it is a Secret.
    pub redacted: bool,
    /// Fields of protobuf that are not known here, and so are not in the object.
    pub unknown_fields: u64,
}

/// Why bytes are not shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("it is a Secret: its bytes are shown with --show-secrets only")]
pub struct SecretWithheld;

/// Shows values of one file.
#[derive(Clone, Debug, Default)]
pub struct Shower<'p> {
    layout: Layout<'p>,
    tenants: Option<Tenants>,
    options: Options,
}

impl<'p> Shower<'p> {
    /// Shows values so.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { layout: Layout::new(), tenants: None, options }
    }

    /// The same, of these records: where their keys stand is learned from all of them.
    #[must_use]
    pub fn of(self, found: &Sorted<'p>) -> Self {
        let (layout, tenants) = layout_of(found);
        Self { layout, tenants: Some(tenants), ..self }
    }

    /// What a key's tenant is called; `None` where there is no other.
    #[must_use]
    pub fn tenant(&self, object: &ObjectKey<'_>) -> Option<ByteText> {
        self.tenants?.name(object.tenant)
    }

    /// Where a record's key belongs.
    #[must_use]
    pub fn classify<'a>(&self, found: &Found<'a>) -> ObjectKey<'a> {
        self.layout.classify(found.kv.key, Some(found.kv.value))
    }

    /// How a record's value is stored.
    #[must_use]
    pub fn encoding(found: &Found<'_>) -> &'static str {
        Encoding::of(found.kv.value).label()
    }

    /// A record's value as an object.
    ///
    /// # Errors
    /// It is none, or can't be read.
    pub fn object(&self, found: &Found<'_>) -> Result<Shown, Unrenderable> {
        let rendered = render(found.kv.value)?;
        let mut object = rendered.object;
        let redacted = !self.options.show_secrets && (self.is_secret(found) || change::is_secret(&object));
        if redacted {
            change::redact(&mut object);
        }
        if self.options.clean {
            change::clean(&mut object);
        }
        let encoding = Self::encoding(found);
        Ok(Shown { encoding, object, redacted, unknown_fields: rendered.unknown_fields })
    }

    /// A record's value as it is stored.
    ///
    /// # Errors
    /// It is a Secret's, and these are not to be shown.
    pub fn bytes<'a>(&self, found: &Found<'a>) -> Result<&'a [u8], SecretWithheld> {
        let withheld = !self.options.show_secrets && self.is_secret(found);
        if withheld { Err(SecretWithheld) } else { Ok(found.kv.value) }
    }

    /// Whether a record is a Secret's, by its key or by what its value says. One that is encrypted shows nothing as it is.
    fn is_secret(&self, found: &Found<'_>) -> bool {
        let object = self.classify(found);
        let by_key = object.resource == b"secrets" && object.group.is_empty();
        let meta = type_meta(found.kv.value);
        let by_value = meta.is_some_and(|meta| meta.kind == "Secret" && meta.group.is_empty());
        // under a prefix that is not known, the path still says so, unless the value knows better
        let by_path = || {
            let unknown = object.resource.starts_with(b"/") && meta.is_none();
            unknown && found.kv.key.split(|byte| *byte == b'/').any(|segment| segment == b"secrets")
        };
        by_key || by_value || by_path() || self.says_secret(found)
    }

    /// JSON whose kind is written with escapes, or twice: what can be read of it decides.
    fn says_secret(&self, found: &Found<'_>) -> bool {
        let odd =
            matches!(Encoding::of(found.kv.value), Encoding::Json) && type_meta(found.kv.value).is_none();
        odd && render(found.kv.value).is_ok_and(|rendered| change::is_secret(&rendered.object))
    }
}
