//! One record's value as it is shown: an object, or bytes. Secrets' data is not shown unless asked for.
//!
//! [`VisibleObject`] and [`VisibleBytes`] are made here only, and what prints values takes nothing else.

#![warn(missing_docs)]

use serde::Serialize;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::etcd::find::FoundRecord;
use crate::k8s::render::{Unrenderable, change, render};
use crate::k8s::{Encoding, KeyLayout, ObjectKey, secret};
use crate::scan::tenants::Tenants;
use crate::text::ByteText;

use super::index::Sorted;
use super::narrow::layout_of;

/// How values are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ShowOptions {
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
    pub object: VisibleObject,
    /// Whether data of a Secret was left out.
    pub redacted: bool,
    /// Fields of protobuf that are not known here, and so are not in the object.
    pub unknown_fields: u64,
}

/// An object as Kubernetes' API has it.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct VisibleObject(Map<String, Value>);

impl VisibleObject {
    /// Its fields.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0
    }
}

/// A value's bytes, all of which may be shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VisibleBytes<'a>(&'a [u8]);

impl<'a> VisibleBytes<'a> {
    /// The bytes.
    pub fn get(self) -> &'a [u8] {
        self.0
    }
}

/// Why bytes are not shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("it is a Secret, or may hold the data of one")]
pub struct SecretWithheld;

/// Shows values of one file.
#[derive(Clone, Debug, Default)]
pub struct Shower<'p> {
    layout: KeyLayout<'p>,
    tenants: Option<Tenants>,
    options: ShowOptions,
}

impl<'p> Shower<'p> {
    /// Shows values so.
    pub fn new(options: ShowOptions) -> Self {
        Self { layout: KeyLayout::new(), tenants: None, options }
    }

    /// The same, of these records: where their keys stand is learned from all of them.
    pub fn of(self, found: &Sorted<'p>) -> Self {
        let (layout, tenants) = layout_of(found);
        Self { layout, tenants: Some(tenants), ..self }
    }

    /// What a key's tenant is called; `None` where there is no other.
    pub fn tenant(&self, object: &ObjectKey<'_>) -> Option<ByteText> {
        self.tenants?.name(object.tenant)
    }

    /// Where a record's key belongs.
    pub fn classify<'a>(&self, found: &FoundRecord<'a>) -> ObjectKey<'a> {
        self.layout.classify(found.kv.key, Some(found.kv.value))
    }

    /// How a record's value is stored.
    pub fn encoding(found: &FoundRecord<'_>) -> &'static str {
        Encoding::of(found.kv.value).label()
    }

    /// A record's value as an object.
    ///
    /// # Errors
    /// It is none, or can't be read.
    pub fn object(&self, found: &FoundRecord<'_>) -> Result<Shown, Unrenderable> {
        let (rendered, redacted) = if self.options.show_secrets {
            (render(found.kv.value)?, false)
        } else {
            secret::shown(&self.layout, found.kv.key, found.kv.value)?
        };
        let mut object = rendered.object;
        if self.options.clean {
            change::clean(&mut object);
        }
        let encoding = Self::encoding(found);
        let unknown_fields = rendered.unknown_fields;
        Ok(Shown { encoding, object: VisibleObject(object), redacted, unknown_fields })
    }

    /// A record's value as it is stored.
    ///
    /// # Errors
    /// It is a Secret's or may hold one's data, which is not to be shown.
    pub fn bytes<'a>(&self, found: &FoundRecord<'a>) -> Result<VisibleBytes<'a>, SecretWithheld> {
        let (key, value) = (found.kv.key, found.kv.value);
        let withheld = !self.options.show_secrets && secret::may_be_in(&self.layout, key, value);
        if withheld { Err(SecretWithheld) } else { Ok(VisibleBytes(value)) }
    }
}
