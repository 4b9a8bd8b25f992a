//! What `cleanup` answers: the classes, and the rows of each.

#![warn(missing_docs)]

use serde::Serialize;

use crate::analyze::share::DiskBytes;
use crate::clock::AsOf;
use crate::scan::health::Health;
use crate::scan::key_sum::KeySum;
use crate::text::ByteText;

use super::limits::GarbageLimits;

/// What could be deleted, and how.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Cleanup {
    /// The db that was read; for a data directory, its member/snap/db.
    pub path: ByteText,
    /// Size of the file.
    pub file_bytes: u64,
    /// Whether anything is wrong with the file: if so, figures are of what could be read.
    pub health: Health,
    /// When the file was written last.
    pub as_of: AsOf,
    /// The options that decide what counts as garbage.
    pub thresholds: GarbageLimits,
    /// Events, Jobs, Pods, ReplicaSets and Leases whose fields were read.
    pub objects_read: u64,
    /// Those of them that state a time before 2014, from 2100 on, or more than an hour after `as_of.time`.
    pub doubtful_times: u64,
    /// All classes together, each key once. Leases of etcd's own are not in it.
    pub total: Use,
    /// The nine fixed classes, then a row for each flood, by group and resource: the thousand largest.
    pub classes: Vec<ClassUse>,
    /// Floods beside these thousand.
    pub more_floods: u64,
    /// What could not be judged, by group and resource: only rows in which something is not 0.
    pub unread: Vec<Unread>,
}

/// Objects, and what they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Use {
    /// Keys that exist.
    pub objects: u64,
    /// Bytes of their newest records: elements, keys and values.
    pub live_bytes: u64,
    /// Bytes of the other records of these keys.
    pub history_bytes: u64,
    /// Bytes that all these take of the file, with their share of headers, slack and branch pages.
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

/// A class of garbage.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClassUse {
    /// Its name.
    #[cfg_attr(test, schemars(schema_with = "super::class::names"))]
    pub class: &'static str,
    /// A flood's resource, as kubectl takes it (`things.example.org`); `null` for other classes.
    pub resource: Option<String>,
    /// What makes it a flood: `objects`, `share`, `revisions`; empty for other classes.
    pub reasons: Vec<&'static str>,
    /// Objects, and what they take.
    #[serde(flatten)]
    pub sum: Use,
    /// Why it is garbage; for people.
    pub why: String,
    /// What deleting it means; for people.
    pub deleting: &'static str,
    /// What keeps it from coming back; for people.
    pub prevention: &'static str,
    /// What cleans it up, each a line for a shell; empty where there is nothing, or no command for all. They have no name
    /// from the file in them but a plain resource of a flood.
    pub commands: Vec<String>,
    /// How old a flood's objects are; `null` for other classes.
    pub ages: Option<Ages>,
    /// By namespace: the largest live and history bytes first.
    pub namespaces: Vec<ClassNamespace>,
    /// At most `--top` objects, those with most bytes first.
    pub top: Vec<LargestObject>,
}

/// How old a flood's objects are, by when they were created.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Ages {
    /// Objects created longer than an hour, a day, a week and 30 days before `as_of.time`.
    pub older: Vec<Older>,
    /// When the first was created, RFC 3339; `null` where none has a time.
    pub oldest: Option<String>,
    /// When the last was created, RFC 3339; `null` where none has a time.
    pub newest: Option<String>,
    /// Objects without a creation that can be true.
    pub undated: u64,
}

/// Objects that are older than a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Older {
    /// The span, in seconds.
    pub than_seconds: u64,
    /// Objects older than that.
    pub objects: u64,
    /// Bytes of their newest records.
    pub live_bytes: u64,
}

/// A class's objects in one namespace.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClassNamespace {
    /// The tenant: the prefix of an API server (`/registry`), or kcp's logical cluster; `null` where the file has only one,
    /// and for what isn't Kubernetes'.
    pub tenant: Option<ByteText>,
    /// The namespace; `null` for objects without one, and for what isn't Kubernetes'.
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
    /// The tenant: the prefix of an API server (`/registry`), or kcp's logical cluster; `null` where the file has only one,
    /// and for what isn't Kubernetes'.
    pub tenant: Option<ByteText>,
    /// The namespace; `null` for objects without one, and for what isn't Kubernetes'.
    pub namespace: Option<ByteText>,
    /// The object's name.
    pub name: ByteText,
    /// Bytes of its newest record.
    pub live_bytes: u64,
    /// Bytes of its other records.
    pub history_bytes: u64,
    /// Size of its value.
    pub value_bytes: u64,
    /// What deletes this one; empty where the resource is not Kubernetes', or a name is not made of ASCII letters, digits,
    /// dots, colons and dashes, or does not begin with a letter or digit.
    pub command: String,
}

/// Values of a resource that could not be judged.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Unread {
    /// The API group; empty for the core group, and for what isn't Kubernetes'.
    pub group: String,
    /// The plural name of the resource (`pods`); for what isn't Kubernetes', its leading path (`/app`).
    pub resource: ByteText,
    /// Encrypted values, whatever the resource.
    pub encrypted: u64,
    /// Bytes of their newest records.
    pub encrypted_bytes: u64,
    /// Values that are cut off, damaged, or of another kind than their key; of the five kinds that are read.
    pub malformed: u64,
    /// Events and Leases without a time that can be true.
    pub undated: u64,
}
