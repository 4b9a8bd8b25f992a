//! Kubernetes' protobuf → the JSON that its API server makes of the same object.
//!
//! Go's rules, as the API server follows them: a pointer that is set is shown, whatever its value; anything else that is
//! empty is shown unless its tag says `omitempty`, and a struct always. Fields that the table does not know are counted: a
//! newer Kubernetes has more of them.

#![deny(clippy::arithmetic_side_effects)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use serde_json::{Map, Value, json};

use super::super::value::PROTOBUF_MAGIC;
use super::budget::{Budget, MAP, VALUE};
use super::json::insert;
use super::schema::{FieldKind, Message, SCHEMA, SchemaField, Shape};
use super::{MAX_DEPTH, Overwritten, Rendered, Unrenderable};
use Unrenderable::Malformed;

type Read<T> = Result<T, Unrenderable>;

/// A field as it is in a message.
#[derive(Clone, Copy)]
enum Wire<'a> {
    Number(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Other,
}

impl<'a> Wire<'a> {
    fn bytes(self) -> Read<&'a [u8]> {
        if let Self::Bytes(bytes) = self {
            Ok(bytes)
        } else {
            Err(Malformed("a field is of the wrong wire type"))
        }
    }

    fn number(self) -> Read<u64> {
        if let Self::Number(number) = self {
            Ok(number)
        } else {
            Err(Malformed("a field is of the wrong wire type"))
        }
    }

    fn text(self) -> Read<&'a str> {
        str::from_utf8(self.bytes()?).map_err(|_| Malformed("a text is not UTF-8"))
    }
}

/// Shows every field of a message, in its order.
fn each_field<'a>(mut message: &'a [u8], mut show: impl FnMut(u32, Wire<'a>) -> Read<()>) -> Read<()> {
    while !message.is_empty() {
        let (number, wire_type) =
            decode_key(&mut message).map_err(|_| Malformed("a field tag is damaged"))?;
        let wire = match wire_type {
            WireType::Varint => {
                Wire::Number(decode_varint(&mut message).map_err(|_| Malformed("a number does not end"))?)
            }
            WireType::LengthDelimited => {
                let len = decode_varint(&mut message).map_err(|_| Malformed("a length does not end"))?;
                let split = usize::try_from(len).ok().and_then(|len| message.split_at_checked(len));
                let (bytes, rest) = split.ok_or(Malformed("a length passes the end"))?;
                message = rest;
                Wire::Bytes(bytes)
            }
            WireType::SixtyFourBit => {
                let (bytes, rest) = message.split_first_chunk().ok_or(Malformed("a number does not end"))?;
                message = rest;
                Wire::Fixed64(u64::from_le_bytes(*bytes))
            }
            other => {
                let skipped = skip_field(other, number, &mut message, DecodeContext::default());
                skipped.map_err(|_| Malformed("a field can't be stepped over"))?;
                Wire::Other
            }
        };
        show(number, wire)?;
    }
    Ok(())
}

/// Renders a value that begins with Kubernetes' magic number.
pub(super) fn render(value: &[u8], budget: Budget) -> Read<Rendered> {
    let (mut api_version, mut kind, mut raw) = ("", "", &b""[..]);
    let mut overwritten = Vec::new();
    let message = value.strip_prefix(PROTOBUF_MAGIC).ok_or(Malformed("no magic number"))?;
    // runtime.Unknown
    each_field(message, |number, wire| {
        match number {
            1 => each_field(wire.bytes()?, |number, wire| {
                match number {
                    1 => api_version = wire.text()?,
                    2 => {
                        if !kind.is_empty() {
                            overwritten.push(("kind".to_owned(), json!(kind)));
                        }
                        kind = wire.text()?;
                    }
                    _ => {}
                }
                Ok(())
            })?,
            2 => raw = wire.bytes()?,
            3 if !wire.bytes()?.is_empty() => return Err(Malformed("its content is encoded once more")),
            _ => {}
        }
        Ok(())
    })?;
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let unknown = || Unrenderable::UnknownType { api_version: api_version.to_owned(), kind: kind.to_owned() };
    let message = SCHEMA.message_of(group, version, kind).ok_or_else(unknown)?;
    let mut walk = Walk { budget, unknown_fields: 0, overwritten };
    let mut object = Map::new();
    walk.object(message, raw, 0, &mut object)?;
    object.insert("apiVersion".to_owned(), json!(api_version));
    object.insert("kind".to_owned(), json!(kind));
    Ok(Rendered { object, unknown_fields: walk.unknown_fields, overwritten: walk.overwritten })
}

/// A few bytes of a hostile message become many empty values: each is charged before it is made.
struct Walk {
    budget: Budget,
    unknown_fields: u64,
    overwritten: Overwritten,
}

impl Walk {
    /// A message's fields, put into an object.
    fn object(
        &mut self,
        message: &Message,
        bytes: &[u8],
        depth: usize,
        into: &mut Map<String, Value>,
    ) -> Read<()> {
        if depth > MAX_DEPTH {
            return Err(Unrenderable::TooDeep);
        }
        self.budget.charge(MAP)?;
        let mut found: Vec<Vec<Wire<'_>>> = vec![Vec::new(); message.fields().len()];
        each_field(bytes, |number, wire| {
            match message.index_of(number).and_then(|index| found.get_mut(index)) {
                Some(wires) => {
                    self.budget.charge(VALUE)?;
                    wires.push(wire);
                }
                None => self.unknown_fields = self.unknown_fields.saturating_add(1),
            }
            Ok(())
        })?;
        for (field, wires) in message.fields().zip(found) {
            self.field(field, &wires, depth, into)?;
        }
        Ok(())
    }

    fn field(
        &mut self,
        field: &SchemaField,
        wires: &[Wire<'_>],
        depth: usize,
        into: &mut Map<String, Value>,
    ) -> Read<()> {
        if field.inline
            && let FieldKind::Message(place) = field.kind
            && let Some(message) = SCHEMA.message(place)
        {
            let bytes = wires.last().map_or(Ok(&b""[..]), |wire| wire.bytes())?;
            return if field.pointer && wires.is_empty() {
                Ok(())
            } else {
                self.object(message, bytes, depth.saturating_add(1), into)
            };
        }
        let value = if field.map {
            self.map(field, wires, depth)?
        } else if field.repeated {
            self.list(field.kind, wires, depth)?
        } else if wires.is_empty() && field.pointer {
            None
        } else {
            self.single(field, wires.last().copied(), depth)?
        };
        let left_out = field.omit_empty || field.omit_zero;
        if let Some(value) = value.or((!left_out).then_some(Value::Null)) {
            self.budget.charge(VALUE.saturating_add(field.name.len()))?;
            into.insert(field.name.to_owned(), value);
        }
        Ok(())
    }

    /// `None` where it is left out, or null.
    fn single(&mut self, field: &SchemaField, wire: Option<Wire<'_>>, depth: usize) -> Read<Option<Value>> {
        let value = match (wire, field.kind) {
            (Some(wire), kind) => self.value(kind, wire, depth)?,
            (None, FieldKind::Message(_)) => self.value(field.kind, Wire::Bytes(&[]), depth)?,
            (None, FieldKind::Text) => json!(""),
            (None, FieldKind::Bool) => json!(false),
            (None, FieldKind::Int) => json!(0),
            (None, FieldKind::Double) => json!(0.0),
            (None, FieldKind::Bytes) => return Ok(None),
        };
        let is_message = matches!(field.kind, FieldKind::Message(_));
        let left_out = !field.pointer
            && ((field.omit_empty && !is_message && is_empty(&value))
                || (field.omit_zero && is_empty(&value)));
        Ok((!left_out).then_some(value))
    }

    fn list(&mut self, kind: FieldKind, wires: &[Wire<'_>], depth: usize) -> Read<Option<Value>> {
        let mut items = Vec::new();
        for &wire in wires {
            match (kind, wire) {
                // numbers may come packed
                (FieldKind::Int | FieldKind::Bool, Wire::Bytes(mut packed)) => {
                    while !packed.is_empty() {
                        self.budget.charge(VALUE)?;
                        let number =
                            decode_varint(&mut packed).map_err(|_| Malformed("a number does not end"))?;
                        items.push(self.value(kind, Wire::Number(number), depth)?);
                    }
                }
                _ => items.push(self.value(kind, wire, depth)?),
            }
        }
        Ok((!items.is_empty()).then_some(Value::Array(items)))
    }

    /// Entries of key 1 and value 2.
    fn map(&mut self, field: &SchemaField, wires: &[Wire<'_>], depth: usize) -> Read<Option<Value>> {
        let mut entries = Map::new();
        for wire in wires {
            let (mut key, mut value) = ("", None);
            each_field(wire.bytes()?, |number, wire| {
                match number {
                    1 => key = wire.text()?,
                    2 => value = Some(wire),
                    _ => {}
                }
                Ok(())
            })?;
            self.budget.charge(VALUE * 2)?;
            let whole = SchemaField { pointer: true, repeated: false, map: false, ..*field };
            let value = self.single(&whole, value, depth)?.unwrap_or_else(|| json!(""));
            insert(&mut entries, key.to_owned(), value, &mut self.overwritten);
        }
        Ok((!entries.is_empty()).then_some(Value::Object(entries)))
    }

    fn value(&mut self, kind: FieldKind, wire: Wire<'_>, depth: usize) -> Read<Value> {
        Ok(match kind {
            FieldKind::Text => {
                self.budget.charge(wire.bytes()?.len())?;
                json!(wire.text()?)
            }
            FieldKind::Bool => json!(wire.number()? != 0),
            FieldKind::Int => json!(wire.number()?.cast_signed()),
            FieldKind::Double => match wire {
                Wire::Fixed64(bits) => json!(f64::from_bits(bits)),
                _ => return Err(Malformed("a field is of the wrong wire type")),
            },
            FieldKind::Bytes => {
                self.budget.charge(wire.bytes()?.len().saturating_mul(2))?;
                json!(STANDARD.encode(wire.bytes()?))
            }
            FieldKind::Message(place) => {
                let message = SCHEMA.message(place).ok_or(Malformed("no such message"))?;
                self.message(message, wire.bytes()?, depth.saturating_add(1))?
            }
        })
    }

    fn message(&mut self, message: &Message, bytes: &[u8], depth: usize) -> Read<Value> {
        match message.shape {
            Shape::Object => {
                let mut object = Map::new();
                self.object(message, bytes, depth, &mut object)?;
                Ok(Value::Object(object))
            }
            Shape::Unwrap => self.unwrapped(message, bytes, depth),
            Shape::Time => time(bytes, "%Y-%m-%dT%H:%M:%SZ"),
            Shape::MicroTime => time(bytes, "%Y-%m-%dT%H:%M:%S.%6fZ"),
            Shape::Duration => {
                let [nanoseconds, ..] = numbers(bytes)?;
                Ok(json!(go_duration(nanoseconds.cast_signed())))
            }
            Shape::RawJson => {
                let mut raw = &b""[..];
                each_field(bytes, |number, wire| {
                    if number == 1 {
                        raw = wire.bytes()?;
                    }
                    Ok(())
                })?;
                let value = if raw.is_empty() {
                    Ok(Value::Null)
                } else {
                    super::json::read(raw, &mut self.budget, &mut self.overwritten)
                };
                value.map_err(|error| match error {
                    Malformed(_) => Malformed("JSON within it is damaged"),
                    other => other,
                })
            }
            Shape::IntOrString => {
                let ([kind, number, _], mut text) = ([0; 3], "");
                let (mut kind, mut number): (u64, u64) = (kind, number);
                each_field(bytes, |field, wire| {
                    match field {
                        1 => kind = wire.number()?,
                        2 => number = wire.number()?,
                        3 => text = wire.text()?,
                        _ => {}
                    }
                    Ok(())
                })?;
                Ok(if kind == 0 { json!(number.cast_signed()) } else { json!(text) })
            }
        }
    }

    /// A message that stands for its only field: text, or a list.
    fn unwrapped(&mut self, message: &Message, bytes: &[u8], depth: usize) -> Read<Value> {
        let mut object = Map::new();
        self.object(message, bytes, depth, &mut object)?;
        let list = message.fields().next().is_some_and(|field| field.repeated);
        let value = object.into_iter().next().map(|(_, value)| value);
        Ok(value.unwrap_or_else(|| if list { Value::Null } else { json!("") }))
    }
}

/// What Go's `omitempty` calls empty; and for `omitzero`, a message of nothing.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// Fields 1, 2 and 3, as numbers.
fn numbers(bytes: &[u8]) -> Read<[u64; 3]> {
    let mut found = [0; 3];
    each_field(bytes, |number, wire| {
        if let Some(place) = (number as usize).checked_sub(1).and_then(|index| found.get_mut(index)) {
            *place = wire.number()?;
        }
        Ok(())
    })?;
    Ok(found)
}

/// Seconds 1, nanoseconds 2. Nothing is written of a zero time (`time_proto.go`, `Marshal`).
fn time(bytes: &[u8], format: &str) -> Read<Value> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let [seconds, nanoseconds, _] = numbers(bytes)?;
    let nanoseconds = i32::try_from(nanoseconds.cast_signed()).unwrap_or(0);
    let time = Timestamp::new(seconds.cast_signed(), nanoseconds);
    Ok(json!(time.map_err(|_| Malformed("a time is out of range"))?.strftime(format).to_string()))
}

/// As Go's `time.Duration` writes itself: `1h2m3.5s`, `1.5ms`, `0s`.
fn go_duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let total = nanoseconds.unsigned_abs();
    let fraction = |value: u64, unit: u64| {
        let (whole, rest) = (value.checked_div(unit).unwrap_or(0), value.checked_rem(unit).unwrap_or(0));
        let digits = unit.ilog10() as usize;
        let rest = format!("{rest:0digits$}");
        let rest = rest.trim_end_matches('0');
        if rest.is_empty() || digits == 0 { whole.to_string() } else { format!("{whole}.{rest}") }
    };
    match total {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{total}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", fraction(total, 1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", fraction(total, 1_000_000)),
        _ => {
            let seconds = total / 1_000_000_000;
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            let rest = fraction(total % 60_000_000_000, 1_000_000_000);
            match (hours, minutes) {
                (0, 0) => format!("{sign}{rest}s"),
                (0, _) => format!("{sign}{minutes}m{rest}s"),
                _ => format!("{sign}{hours}h{minutes}m{rest}s"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::go_duration;

    /// Beside Go's own table (`time_test.go`, `durationTests`).
    #[test]
    fn durations_are_as_go_writes_them() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (245_000_000_000, "4m5s"),
            (245_001_000_000, "4m5.001s"),
            (18_367_001_000_000, "5h6m7.001s"),
            (480_000_000_001, "8m0.000000001s"),
            (i64::MAX, "2562047h47m16.854775807s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(go_duration(nanoseconds), text);
        }
    }
}
