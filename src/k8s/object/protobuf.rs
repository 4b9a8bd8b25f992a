//! Kubernetes' protobuf: an object in a `runtime.Unknown`, read field by field without a copy.
//!
//! Numbers of the fields: `generated.proto` in kubernetes `staging/src/k8s.io/`: `apimachinery/pkg/runtime`,
//! `apimachinery/pkg/apis/meta/v1`, `api/core/v1`, `api/events/v1`, `api/batch/v1`, `api/apps/v1`,
//! `api/coordination/v1`. The tests hold them against `k8s-pb`, which is generated from these.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::super::value::{PROTOBUF_MAGIC, TypeMeta};
use super::{ObjectFields, ObjectKind, Seconds, UnreadableObject, is_finished_condition, is_finished_phase};
use UnreadableObject::Malformed;

/// A field's content, of the two wire types that are asked for.
#[derive(Clone, Copy)]
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Other,
}

type Read<T = ()> = Result<T, UnreadableObject>;

impl<'a> Field<'a> {
    fn bytes(self) -> Read<&'a [u8]> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(Malformed) }
    }

    fn number(self) -> Read<i64> {
        if let Self::Number(number) = self { Ok(number.cast_signed()) } else { Err(Malformed) }
    }

    /// A `Time` or `MicroTime`: seconds 1, nanoseconds 2. Without seconds it stands for none
    /// (`time_proto.go`, `Marshal`: nothing is written of a zero time).
    fn time(self) -> Read<Option<Seconds>> {
        let mut seconds = None;
        each_field(self.bytes()?, |number, field| {
            if number == 1 {
                seconds = Some(field.number()?);
            }
            Ok(())
        })?;
        Ok(seconds)
    }
}

/// Shows every field of a message, in its order.
fn each_field<'a>(mut message: &'a [u8], mut show: impl FnMut(u32, Field<'a>) -> Read) -> Read {
    while !message.is_empty() {
        let (number, wire_type) = decode_key(&mut message).map_err(|_| Malformed)?;
        let field = match wire_type {
            WireType::Varint => Field::Number(decode_varint(&mut message).map_err(|_| Malformed)?),
            WireType::LengthDelimited => {
                let len = decode_varint(&mut message).map_err(|_| Malformed)?;
                let split = usize::try_from(len).ok().and_then(|len| message.split_at_checked(len));
                let (bytes, rest) = split.ok_or(Malformed)?;
                message = rest;
                Field::Bytes(bytes)
            }
            other => {
                skip_field(other, number, &mut message, DecodeContext::default()).map_err(|_| Malformed)?;
                Field::Other
            }
        };
        show(number, field)?;
    }
    Ok(())
}

pub(super) fn read(kind: ObjectKind, value: &[u8]) -> Read<ObjectFields> {
    let (mut api_version, mut name, mut raw) = (&b""[..], &b""[..], None);
    each_field(value.strip_prefix(PROTOBUF_MAGIC).ok_or(Malformed)?, |number, field| {
        match number {
            1 => each_field(field.bytes()?, |number, field| {
                match number {
                    1 => api_version = field.bytes()?,
                    2 => name = field.bytes()?,
                    _ => {}
                }
                Ok(())
            })?,
            2 => raw = Some(field.bytes()?),
            // contentEncoding: the API server reads none but an empty one
            3 if !field.bytes()?.is_empty() => return Err(Malformed),
            _ => {}
        }
        Ok(())
    })?;
    let meta = TypeMeta::from_bytes(api_version, name).ok_or(Malformed)?;
    if !kind.is_named(&meta) {
        return Err(UnreadableObject::OtherKind);
    }
    object(kind, meta.group, raw.ok_or(Malformed)?)
}

fn object(kind: ObjectKind, group: &str, raw: &[u8]) -> Read<ObjectFields> {
    let mut object = ObjectFields::default();
    if kind == ObjectKind::ReplicaSet {
        object.replicas_wanted = Some(1);
    }
    each_field(raw, |number, field| match (kind, number) {
        (_, 1) => metadata(&mut object, field),
        (ObjectKind::Event, _) if group.is_empty() => core_event(&mut object, number, field),
        (ObjectKind::Event, _) => event(&mut object, number, field),
        (ObjectKind::Lease, 2) => lease_spec(&mut object, field),
        (ObjectKind::ReplicaSet, 2) => each_field(field.bytes()?, |number, field| {
            if number == 1 {
                object.replicas_wanted = Some(field.number()?);
            }
            Ok(())
        }),
        (ObjectKind::Job | ObjectKind::ReplicaSet | ObjectKind::Pod, 3) => status(&mut object, kind, field),
        _ => Ok(()),
    })?;
    Ok(object)
}

fn metadata(object: &mut ObjectFields, field: Field<'_>) -> Read {
    each_field(field.bytes()?, |number, field| {
        match number {
            8 => object.created = field.time()?,
            13 => object.by_deployment |= owner(field)?,
            _ => {}
        }
        Ok(())
    })
}

/// `meta/v1.OwnerReference`: whether it is a Deployment that controls the object.
fn owner(field: Field<'_>) -> Read<bool> {
    let (mut deployment, mut controller) = (false, false);
    each_field(field.bytes()?, |number, field| {
        match number {
            1 => deployment = field.bytes()? == b"Deployment",
            6 => controller = field.number()? != 0,
            _ => {}
        }
        Ok(())
    })?;
    Ok(deployment && controller)
}

fn core_event(object: &mut ObjectFields, number: u32, field: Field<'_>) -> Read {
    match number {
        6 => object.seen[0] = field.time()?,
        7 => object.seen[1] = field.time()?,
        10 => object.seen[2] = field.time()?,
        11 => object.seen[3] = series(field)?,
        _ => {}
    }
    Ok(())
}

/// `events/v1.Event`; its times of `core/v1` are called deprecated there.
fn event(object: &mut ObjectFields, number: u32, field: Field<'_>) -> Read {
    match number {
        13 => object.seen[0] = field.time()?,
        14 => object.seen[1] = field.time()?,
        2 => object.seen[2] = field.time()?,
        3 => object.seen[3] = series(field)?,
        _ => {}
    }
    Ok(())
}

/// `EventSeries` of both groups
fn series(field: Field<'_>) -> Read<Option<Seconds>> {
    let mut observed = None;
    each_field(field.bytes()?, |number, field| {
        if number == 2 {
            observed = field.time()?;
        }
        Ok(())
    })?;
    Ok(observed)
}

fn lease_spec(object: &mut ObjectFields, field: Field<'_>) -> Read {
    each_field(field.bytes()?, |number, field| {
        if number == 4 {
            object.renewed = field.time()?;
        }
        Ok(())
    })
}

fn status(object: &mut ObjectFields, kind: ObjectKind, field: Field<'_>) -> Read {
    each_field(field.bytes()?, |number, field| {
        match (kind, number) {
            (ObjectKind::Job, 1) => object.finished |= condition(field)?,
            (ObjectKind::ReplicaSet, 1) => object.replicas = Some(field.number()?),
            (ObjectKind::Pod, 1) => object.finished = is_finished_phase(field.bytes()?),
            _ => {}
        }
        Ok(())
    })
}

fn condition(field: Field<'_>) -> Read<bool> {
    let (mut condition, mut status) = (&b""[..], &b""[..]);
    each_field(field.bytes()?, |number, field| {
        match number {
            1 => condition = field.bytes()?,
            2 => status = field.bytes()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(is_finished_condition(condition, status))
}
