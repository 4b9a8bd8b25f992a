//! JSON and CBOR: the same names of fields, read by one model through serde.
//!
//! CBOR's strings are byte strings, map keys too (see [`super::super::value`]); times are RFC 3339 in both.

use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use super::super::value::{CBOR_MAGIC, TypeMeta};
use super::{ObjectFields, ObjectKind, Seconds, UnreadableObject, is_finished_condition, is_finished_phase};

pub(super) fn from_json(kind: ObjectKind, value: &[u8]) -> Result<ObjectFields, UnreadableObject> {
    serde_json::from_slice::<Fields>(value).map_err(|_| UnreadableObject::Malformed)?.object(kind)
}

pub(super) fn from_cbor(kind: ObjectKind, value: &[u8]) -> Result<ObjectFields, UnreadableObject> {
    let value = value.strip_prefix(CBOR_MAGIC).ok_or(UnreadableObject::Malformed)?;
    ciborium::from_reader::<Fields, _>(value).map_err(|_| UnreadableObject::Malformed)?.object(kind)
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Fields {
    api_version: Option<Text>,
    kind: Option<Text>,
    metadata: Option<ObjectMeta>,
    spec: Option<Spec>,
    status: Option<Status>,
    #[serde(alias = "deprecatedFirstTimestamp")]
    first_timestamp: Option<Time>,
    #[serde(alias = "deprecatedLastTimestamp")]
    last_timestamp: Option<Time>,
    event_time: Option<Time>,
    series: Option<Series>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct ObjectMeta {
    creation_timestamp: Option<Time>,
    #[serde(default, deserialize_with = "any::<_, Owner>")]
    owner_references: bool,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Spec {
    replicas: Option<i64>,
    renew_time: Option<Time>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Status {
    phase: Option<Text>,
    replicas: Option<i64>,
    #[serde(default, deserialize_with = "any::<_, Condition>")]
    conditions: bool,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Series {
    last_observed_time: Option<Time>,
}

#[derive(serde::Deserialize)]
#[serde(expecting = "an object")]
struct Owner {
    kind: Option<Text>,
    controller: Option<bool>,
}

#[derive(serde::Deserialize)]
#[serde(expecting = "an object")]
struct Condition {
    r#type: Option<Text>,
    status: Option<Text>,
}

impl Fields {
    fn object(self, kind: ObjectKind) -> Result<ObjectFields, UnreadableObject> {
        let (api_version, name) = self.api_version.zip(self.kind).ok_or(UnreadableObject::Malformed)?;
        let meta = TypeMeta::from_bytes(&api_version.0, &name.0).ok_or(UnreadableObject::Malformed)?;
        if !kind.is_named(&meta) {
            return Err(UnreadableObject::OtherKind);
        }
        let seconds = |time: Option<Time>| time.map(|time| time.0);
        let mut object = ObjectFields::default();
        if let Some(metadata) = self.metadata {
            object.created = seconds(metadata.creation_timestamp);
            object.by_deployment = metadata.owner_references;
        }
        match kind {
            ObjectKind::Event => {
                let observed = self.series.and_then(|series| series.last_observed_time);
                object.seen =
                    [self.first_timestamp, self.last_timestamp, self.event_time, observed].map(seconds);
            }
            ObjectKind::Lease => object.renewed = self.spec.and_then(|spec| seconds(spec.renew_time)),
            ObjectKind::ReplicaSet => {
                object.replicas_wanted = Some(self.spec.and_then(|spec| spec.replicas).unwrap_or(1));
                object.replicas = self.status.and_then(|status| status.replicas);
            }
            ObjectKind::Job => object.finished = self.status.is_some_and(|status| status.conditions),
            ObjectKind::Pod => {
                let phase = self.status.and_then(|status| status.phase);
                object.finished = phase.is_some_and(|phase| is_finished_phase(&phase.0));
            }
        }
        Ok(object)
    }
}

/// A string of JSON's, or either kind of CBOR's.
#[derive(Default)]
struct Text(Vec<u8>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.into()))
    }

    fn visit_bytes<E>(self, text: &[u8]) -> Result<Text, E> {
        Ok(Text(text.into()))
    }
}

/// RFC 3339, as `metav1.Time` and `MicroTime` write themselves.
struct Time(Seconds);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        let time = str::from_utf8(&text).ok().and_then(seconds_of_text);
        time.map(Self).ok_or_else(|| D::Error::custom("not a time"))
    }
}

/// Seconds since 1970 of a time as RFC 3339 has it.
///
/// The very last day of the year 9999 is beyond what jiff counts as a point in time, and is what some write for never.
pub fn seconds_of_text(text: &str) -> Option<Seconds> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_second());
    }
    let pieces =
        Pieces::parse(text).ok().filter(|pieces| pieces.time().is_some() && pieces.offset().is_some())?;
    Some(if pieces.date().year() > 0 { Seconds::MAX } else { Seconds::MIN })
}

/// What one of a list's items may be enough of.
trait Telling {
    fn tells(&self) -> bool;
}

impl Telling for Owner {
    fn tells(&self) -> bool {
        self.controller == Some(true) && self.kind.as_ref().is_some_and(|kind| kind.0 == b"Deployment")
    }
}

impl Telling for Condition {
    fn tells(&self) -> bool {
        let (condition, status) = (self.r#type.as_ref(), self.status.as_ref());
        condition
            .zip(status)
            .is_some_and(|(condition, status)| is_finished_condition(&condition.0, &status.0))
    }
}

/// Whether one of a list's items tells what is asked for. The list itself is not kept, however long it claims to be.
fn any<'de, D: Deserializer<'de>, T: Telling + Deserialize<'de>>(deserializer: D) -> Result<bool, D::Error> {
    deserializer.deserialize_any(AnyVisitor::<T>(PhantomData))
}

struct AnyVisitor<T>(PhantomData<T>);

impl<'de, T: Telling + Deserialize<'de>> Visitor<'de> for AnyVisitor<T> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_none<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(item) = items.next_element::<T>()? {
            found |= item.tells();
        }
        Ok(found)
    }
}
