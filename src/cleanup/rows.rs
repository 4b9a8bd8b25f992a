//! What `cleanup` answers: the classes, and the rows of each.

#![warn(missing_docs)]

use serde::Serialize;

use crate::analyze::share::DiskBytes;
use crate::clock::AsOf;
use crate::scan::health::Health;
use crate::scan::key_sum::KeySum;
use crate::text::ByteText;

use super::limits::GarbageLimits;

/// What could be deleted.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Cleanup {
    /// The file's path.
    pub path: ByteText,
    /// Its size.
    pub file_bytes: u64,
    /// Whether nothing is wrong with the file: if something is, figures are of what could be read.
    pub health: Health,
    /// When the file was written last.
    pub as_of: AsOf,
    /// From where on something counts as garbage.
    pub thresholds: GarbageLimits,
    /// Objects of which fields were read.
    pub objects_read: u64,
    /// Of these, objects that state a time which can't be: before Kubernetes, or after the file's time.
    pub doubtful_times: u64,
    /// All classes together, each key once.
    pub total: Use,
    /// The classes, and then the floods: the thousand largest, where there are more.
    pub classes: Vec<ClassUse>,
    /// Floods that are not among these.
    pub more_floods: u64,
    /// Values that tell nothing.
    pub unread: Vec<Unread>,
}

/// Objects, and what they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Use {
    /// Keys that exist.
    pub objects: u64,
    /// Bytes (elements, keys, values) of their newest records.
    pub live_bytes: u64,
    /// Bytes of their other records.
    pub history_bytes: u64,
    /// What all these records take of the file.
    pub disk_bytes: u64,
}

impl Use {
    pub(super) fn of(sum: &KeySum, disk: DiskBytes) -> Self {
        Self {
            objects: sum.objects,
            live_bytes: sum.live_bytes,
            history_bytes: sum.history_bytes(),
            disk_bytes: disk.share_of(sum.leaf_bytes),
        }
    }
}

/// One class.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClassUse {
    /// The class's name, for programs.
    pub class: &'static str,
    /// A flood's resource, as kubectl takes it; `null` for other classes.
    pub resource: Option<String>,
    /// What makes it a flood: `objects`, `share`, `revisions`; empty for other classes.
    pub reasons: Vec<&'static str>,
    /// Objects, and what they take.
    #[serde(flatten)]
    pub sum: Use,
    /// Why it is garbage.
    pub why: String,
    /// What deleting it means.
    pub deleting: &'static str,
    /// What keeps it from coming back.
    pub prevention: &'static str,
    /// How to clean it up; empty where there is nothing, or no command for all.
    pub commands: Vec<String>,
    /// How old a flood's objects are; `null` for other classes.
    pub ages: Option<Ages>,
    /// By namespace, the largest first.
    pub namespaces: Vec<ClassNamespace>,
    /// The largest objects.
    pub top: Vec<LargestObject>,
}

/// How old a flood's objects are, by when they were created.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Ages {
    /// Objects that are older than some spans, the shortest first.
    pub older: Vec<Older>,
    /// When the first of them was created.
    pub oldest: Option<String>,
    /// When the last of them was.
    pub newest: Option<String>,
    /// Objects without a time that can be believed.
    pub undated: u64,
}

/// Objects that are older than a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Older {
    /// The span.
    pub than_seconds: u64,
    /// Number of objects.
    pub objects: u64,
    /// Bytes of their newest records.
    pub live_bytes: u64,
}

/// A class's objects in one namespace.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClassNamespace {
    /// Whose it is; `null` where the file has one tenant only, and for what isn't Kubernetes'.
    pub tenant: Option<ByteText>,
    /// Its name; `null` for what has none.
    pub namespace: Option<ByteText>,
    /// Objects, and what they take.
    #[serde(flatten)]
    pub sum: Use,
}

/// One of a class's largest objects.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LargestObject {
    /// The etcd key.
    pub key: ByteText,
    /// Whose it is; `null` where the file has one tenant only, and for what isn't Kubernetes'.
    pub tenant: Option<ByteText>,
    /// Namespace, where it has one.
    pub namespace: Option<ByteText>,
    /// Name.
    pub name: ByteText,
    /// Bytes of its newest record.
    pub live_bytes: u64,
    /// Bytes of its other records.
    pub history_bytes: u64,
    /// Bytes of its value.
    pub value_bytes: u64,
    /// What deletes this one; empty where its names are not plain.
    pub command: String,
}

/// Values of one resource that tell nothing, or not enough.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Unread {
    /// API group.
    pub group: String,
    /// Resource, or leading path.
    pub resource: ByteText,
    /// Encrypted values, whatever the resource.
    pub encrypted: u64,
    /// Bytes of their newest records.
    pub encrypted_bytes: u64,
    /// Values that break off, are damaged, or are of another kind than their key says; only of the resources that are
    /// looked into.
    pub malformed: u64,
    /// Events and Leases without a time that can be believed.
    pub undated: u64,
}
