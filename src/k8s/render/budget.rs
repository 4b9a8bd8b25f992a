//! How much memory an object may take: what a few bytes of a hostile value become is charged before it is made.
//!
//! Charges are what the trees take, rounded up: a value takes 32 bytes of a list, which grows by doubling, and a map of one field
//! as much as one of eleven, 632 bytes (std, `btree/node.rs`).

use serde_json::{Map, Value};

use super::Unrenderable;
use super::yaml::must_be_escaped;

/// What any object may take,
const BASE: usize = 8 << 20;
/// for each byte of its value,
const PER_BYTE: usize = 128;
/// and at most. Kubernetes' largest objects, of etcd's 1.5 MB, take half of it.
const MOST: usize = 80 << 20;

/// What an object may be long as text: as above.
const TEXT_BASE: usize = 2 << 20;
const TEXT_PER_BYTE: usize = 16;
const MOST_TEXT: usize = 32 << 20;

/// A value in a list, or as a field.
pub(super) const VALUE: usize = 64;
/// A list that is not empty.
const LIST: usize = 128;
/// A map that is not empty.
pub(super) const MAP: usize = 640;
/// A character that is written as an escape: it is marked in a copy of the text, and then written.
const ESCAPE: usize = 24;

/// What is left of what an object may take.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Budget {
    /// For a value of this size.
    pub(super) fn of(len: usize) -> Self {
        Self(len.saturating_mul(PER_BYTE).saturating_add(BASE).min(MOST))
    }

    pub(super) fn charge(&mut self, bytes: usize) -> Result<(), Unrenderable> {
        self.0 = self.0.checked_sub(bytes).ok_or(Unrenderable::TooLarge)?;
        Ok(())
    }

    /// For what a text of JSON becomes. Where it is none, its parser says so.
    pub(super) fn charge_json(&mut self, text: &[u8]) -> Result<(), Unrenderable> {
        let mut rest = text.iter().copied().enumerate();
        while let Some((at, byte)) = rest.next() {
            let opens = |end: u8| {
                let mut behind = text.get(at..).unwrap_or_default().iter().skip(1);
                behind.find(|byte| !byte.is_ascii_whitespace()) != Some(&end)
            };
            self.charge(match byte {
                b'"' => length_of_string(&mut rest).saturating_mul(2),
                b'{' if opens(b'}') => MAP,
                b'[' if opens(b']') => LIST,
                b',' | b':' => VALUE,
                _ => 0,
            })?;
        }
        Ok(())
    }

    /// For what CBOR becomes, item by item, whatever they nest in.
    pub(super) fn charge_cbor(&mut self, bytes: &[u8]) -> Result<(), Unrenderable> {
        let mut rest = bytes;
        while let Some((head, behind)) = rest.split_first() {
            let (major, len) =
                (head >> 5, [0, 0, 0, 0, 1, 2, 4, 8].get(usize::from(head & 31).saturating_sub(20)));
            let len = if head & 31 < 24 { 0 } else { len.copied().unwrap_or(0) };
            let Some((number, behind)) = behind.split_at_checked(len) else { return Ok(()) };
            let small = u64::from(head & 31);
            let number = number.iter().fold(0, |all, &byte| (all << 8) | u64::from(byte));
            let number = usize::try_from(if len == 0 { small } else { number }).unwrap_or(usize::MAX);
            rest = behind;
            // an item is a value of CBOR, and then one of JSON
            self.charge(VALUE.saturating_mul(2))?;
            match major {
                2 | 3 if head & 31 < 28 => {
                    // one that passes the end is the parser's to refuse
                    let Some(behind) = rest.get(number..) else { return Ok(()) };
                    self.charge(number.saturating_mul(2))?;
                    rest = behind;
                }
                4 if number > 0 => self.charge(LIST)?,
                5 if number > 0 => self.charge(MAP)?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// The bytes of a string, after its first quotation mark.
fn length_of_string(rest: &mut impl Iterator<Item = (usize, u8)>) -> usize {
    let mut len = 0usize;
    while let Some((_, byte)) = rest.next() {
        match byte {
            b'"' => break,
            b'\\' => drop(rest.next()),
            _ => {}
        }
        len = len.saturating_add(1);
    }
    len
}

/// Refuses an object that would be far longer as text than its value is: YAML indents each line of a text by the depth of its
/// field.
pub(super) fn hold_text(object: &Map<String, Value>, value_len: usize) -> Result<(), Unrenderable> {
    let mut left = value_len.saturating_mul(TEXT_PER_BYTE).saturating_add(TEXT_BASE).min(MOST_TEXT);
    let mut take = |bytes: usize| {
        left = left.checked_sub(bytes).ok_or(Unrenderable::TooLarge)?;
        Ok(())
    };
    let mut fields: Vec<(&Map<String, Value>, usize)> = vec![(object, 0)];
    let mut values: Vec<(&Value, usize)> = Vec::new();
    loop {
        if let Some((object, depth)) = fields.pop() {
            for (key, value) in object {
                take(length_of_text(key, depth))?;
                values.push((value, depth));
            }
        } else if let Some((value, depth)) = values.pop() {
            let below = depth.saturating_add(1);
            match value {
                Value::String(text) => take(length_of_text(text, below))?,
                Value::Array(items) => {
                    take(items.len().saturating_mul(depth).saturating_mul(2))?;
                    values.extend(items.iter().map(|item| (item, below)));
                }
                Value::Object(object) => fields.push((object, below)),
                _ => take(8)?,
            }
        } else {
            return Ok(());
        }
    }
}

fn length_of_text(text: &str, depth: usize) -> usize {
    // most text has neither
    let lines = memchr::memchr_iter(b'\n', text.as_bytes()).count().saturating_add(1);
    let escapes = text.chars().filter(|&char| must_be_escaped(char)).count();
    let indentation = lines.saturating_mul(depth.saturating_mul(2).saturating_add(2));
    text.len().saturating_add(indentation).saturating_add(escapes.saturating_mul(ESCAPE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charged(charge: impl FnOnce(&mut Budget) -> Result<(), Unrenderable>) -> usize {
        let mut budget = Budget(1 << 30);
        charge(&mut budget).unwrap();
        (1 << 30) - budget.0
    }

    #[test]
    fn json_is_charged_for_what_it_becomes() {
        let of = |text: &str| charged(|budget| budget.charge_json(text.as_bytes()));
        assert_eq!(of("{}"), 0);
        assert_eq!(of("[ ]"), 0);
        assert_eq!(of(r#"{"a":{}}"#), MAP + VALUE + 2);
        assert_eq!(of("[0,0,0]"), LIST + 2 * VALUE);
        assert_eq!(of(r#""{\"[:,""#), 2 * 5, "in a string, nothing counts but its length");
        assert_eq!(of(r#""no end"#), 2 * 6);
    }

    #[test]
    fn cbor_is_charged_for_what_it_becomes() {
        let of = |bytes: &[u8]| charged(|budget| budget.charge_cbor(bytes));
        assert_eq!(of(b"\xa0"), 2 * VALUE);
        assert_eq!(of(b"\xa1\x41a\x00"), MAP + 6 * VALUE + 2);
        assert_eq!(of(b"\x9a\x00\x00\x00\x02\x00\x19\x01\x00"), LIST + 6 * VALUE);
        assert_eq!(of(b"\x58\x03abc\x00"), 4 * VALUE + 6);
        assert_eq!(of(b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff"), 2 * VALUE, "passes the end");
        assert_eq!(of(b"\x9b\xff"), 0, "its length does");
        assert_eq!(of(b"\xbf\x41a\x00\xff"), MAP + 8 * VALUE + 2, "of no stated length");
    }

    #[test]
    fn ordinary_text_is_held() {
        let object = |text: String| Map::from_iter([("data".to_owned(), Value::String(text))]);
        let held = |text: String| hold_text(&object(text.clone()), text.len());
        assert_eq!(held("key: value\n".repeat(100_000)), Ok(()));
        assert_eq!(held("\u{1b}".repeat(2_000_000)), Err(Unrenderable::TooLarge));
    }
}
