//! Secrets inside of other objects, and of bytes: as objects, as text of JSON and YAML, and packed, on any level.

use std::borrow::Cow;

use memchr::memmem;
use serde_json::{Map, Value};

use super::super::render::{Unrenderable, render, tree};
use super::super::value::{CBOR_MAGIC, PROTOBUF_MAGIC};
use super::redact::insert_hidden;
use super::{placeholder, redact, says, unpack};

/// `{"kind":"Secret"}` has more, and so has anything that holds it.
const SHORTEST: usize = 12;
/// Digits of base64 or of hexadecimal numbers that are looked into; a Secret takes more.
const SHORTEST_RUN: usize = 24;
/// Objects, texts and what is packed, one in the other: deeper nesting counts as a find. Each level takes some stack.
const MAX_LEVELS: usize = 160;
/// A text in a text takes as many levels of stack as the objects between two such.
const LEVELS_OF_TEXT: usize = 8;
/// Bytes that are looked at of a value in all, unpacked ones among them: this many, and more for each byte of it.
const BUDGET: usize = 1 << 20;
const BUDGET_PER_BYTE: usize = 64;

/// What is done with the values in a value.
type Each = fn(&mut Search, &mut Value, usize) -> bool;

/// A search through one value. What can't be looked at within its bounds counts as a find.
#[derive(Debug)]
pub(super) struct Search {
    /// Bytes that may still be looked at.
    budget: usize,
}

impl Search {
    /// For a value of this size.
    pub(super) fn of(len: usize) -> Self {
        Self { budget: len.saturating_mul(BUDGET_PER_BYTE).saturating_add(BUDGET) }
    }

    /// Takes the Secrets out of an object that is none itself. Says whether there was one.
    pub(super) fn redact_fields(&mut self, object: &mut Map<String, Value>) -> bool {
        self.fields(object, 0, Self::value)
    }

    /// Takes out of a Secret what is not to be shown of it.
    pub(super) fn redact_secret(&mut self, object: &mut Map<String, Value>, key: &[u8]) {
        self.secret(object, key, 0);
    }

    /// Whether what was said under a name that is said again makes a Secret, or has one in it.
    pub(super) fn in_overwritten(&mut self, overwritten: &[(String, Value)]) -> bool {
        overwritten
            .iter()
            .any(|(name, value)| says::field_says(name, value) || self.value(&mut value.clone(), 0))
    }

    /// Whether there is a Secret in these bytes.
    pub(super) fn finds_in(&mut self, bytes: &[u8]) -> bool {
        self.bytes(bytes, 0)
    }

    fn value(&mut self, value: &mut Value, level: usize) -> bool {
        match value {
            Value::Object(object) if says::is_secret(object) && says::has_content(object) => {
                self.secret(object, b"", level);
                true
            }
            other => self.inside(other, level, Self::value),
        }
    }

    /// What is left of a Secret is harmless by its name, and may hold another all the same.
    fn secret(&mut self, object: &mut Map<String, Value>, key: &[u8], level: usize) {
        redact::secret(object, key);
        self.fields(object, level, Self::text);
    }

    fn text(&mut self, value: &mut Value, level: usize) -> bool {
        self.inside(value, level, Self::text)
    }

    fn inside(&mut self, value: &mut Value, level: usize, each: Each) -> bool {
        match value {
            Value::Object(object) => self.fields(object, level, each),
            Value::Array(items) => {
                let below = level.saturating_add(1);
                // all of them, also after a find
                items.iter_mut().filter_map(|item| each(self, item, below).then_some(())).count() > 0
            }
            Value::String(text) if self.bytes(text.as_bytes(), level) => {
                *value = placeholder(text.len());
                true
            }
            _ => false,
        }
    }

    fn fields(&mut self, object: &mut Map<String, Value>, level: usize, each: Each) -> bool {
        let below = level.saturating_add(1);
        let mut found =
            object.values_mut().filter_map(|value| each(self, value, below).then_some(())).count() > 0;
        let hidden: Vec<String> =
            object.keys().filter(|name| self.bytes(name.as_bytes(), below)).cloned().collect();
        for name in hidden {
            if let Some(value) = object.remove(&name) {
                insert_hidden(object, &name, value);
            }
            found = true;
        }
        found
    }

    fn bytes(&mut self, bytes: &[u8], level: usize) -> bool {
        if bytes.len() < SHORTEST {
            return false;
        }
        let below = level.saturating_add(LEVELS_OF_TEXT);
        let Some(budget) = self.budget.checked_sub(bytes.len()).filter(|_| below <= MAX_LEVELS) else {
            return true;
        };
        self.budget = budget;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if let Some(found) = self.parsed(bytes, below) {
            return found;
        }
        let text = plain(bytes);
        mentions(&text)
            || unpack::is_packed_otherwise(bytes)
            || self.in_runs(bytes, below)
            || (text.contains(&b'\n') && self.in_runs(&without_space(&text), below))
            || self.in_packed(bytes, below)
    }

    /// Whether there is one in an object; `None` where that can't be read, or may not be all.
    fn parsed(&mut self, bytes: &[u8], level: usize) -> Option<bool> {
        if bytes.starts_with(PROTOBUF_MAGIC) {
            return match render(bytes) {
                Ok(mut rendered) => {
                    let found = says::is_secret(&rendered.object)
                        || self.in_overwritten(&rendered.overwritten)
                        || self.fields(&mut rendered.object, level, Self::value);
                    found.then_some(true)
                }
                Err(Unrenderable::UnknownType { kind, .. }) => says::names_secret(&kind).then_some(true),
                Err(_) => Some(true),
            };
        }
        let cbor = bytes.strip_prefix(CBOR_MAGIC);
        let (mut value, overwritten) = tree(cbor.unwrap_or(bytes))?;
        Some(self.value(&mut value, level) || self.in_overwritten(&overwritten))
    }

    /// Whether there is one in base64 or hexadecimal digits. A run may begin with what belongs to something else.
    fn in_runs(&mut self, bytes: &[u8], level: usize) -> bool {
        let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
        let mut runs = bytes.split(|byte| !is_base64(byte)).filter(|run| run.len() >= SHORTEST_RUN);
        let in_base64 = runs.any(|run| {
            let from = |skip: usize| run.get(skip..).and_then(unpack::base64);
            (0..4).any(|skip| from(skip).is_some_and(|decoded| self.bytes(&decoded, level)))
        });
        in_base64 || {
            let mut runs = bytes.split(|byte| !byte.is_ascii_hexdigit());
            runs.any(|run| {
                let from = |skip: usize| run.get(skip..).and_then(unpack::hex);
                run.len() >= SHORTEST_RUN
                    && (0..2).any(|skip| from(skip).is_some_and(|decoded| self.bytes(&decoded, level)))
            })
        }
    }

    fn in_packed(&mut self, bytes: &[u8], level: usize) -> bool {
        // one byte more than may be looked at is too many
        let most = self.budget.saturating_add(1);
        unpack::packed(bytes, most).any(|unpacked| self.bytes(&unpacked, level))
    }
}

/// Text as it reads, whatever it was quoted by and how often: backslashes, escapes of JSON and of addresses, zeroes between
/// letters.
fn plain(bytes: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr3(b'\\', b'%', 0, bytes).is_none() {
        return Cow::Borrowed(bytes);
    }
    let mut text = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            0 => {}
            b'\\' => {
                let (byte, len) = escape(rest);
                text.extend(byte);
                rest = rest.get(len..).unwrap_or_default();
            }
            b'%' => {
                let byte = number(rest, 2).and_then(|number| u8::try_from(number).ok());
                text.push(byte.unwrap_or(b'%'));
                rest = rest.get(if byte.is_some() { 2 } else { 0 }..).unwrap_or_default();
            }
            byte => text.push(byte),
        }
    }
    Cow::Owned(text)
}

/// What a backslash and what follows it stand for, and how much that is.
fn escape(rest: &[u8]) -> (Option<u8>, usize) {
    let by_number = |digits: usize| {
        let number = number(rest.get(1..)?, digits)?;
        Some((u8::try_from(number).ok().or(Some(b'?')), digits.saturating_add(1)))
    };
    match rest.first() {
        Some(b'u') => by_number(4).unwrap_or((None, 0)),
        Some(b'x') => by_number(2).unwrap_or((None, 0)),
        Some(b'n' | b'r') => (Some(b'\n'), 1),
        Some(b't' | b'b' | b'f') => (Some(b' '), 1),
        _ => (None, 0),
    }
}

fn number(digits: &[u8], len: usize) -> Option<u32> {
    let digits = digits.get(..len)?.iter().map(|byte| char::from(*byte).to_digit(16));
    digits.into_iter().try_fold(0u32, |number, digit| Some(number << 4 | digit?))
}

fn without_space(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect()
}

/// Whether text, or bytes that could not be read otherwise, say somewhere that something is a Secret.
fn mentions(text: &[u8]) -> bool {
    let lower = text.to_ascii_lowercase();
    let mut places = memmem::find_iter(&lower, b"secret").peekable();
    if places.peek().is_none() {
        return false;
    }
    let has_data = || has_word(&lower, b"data") || has_word(&lower, b"stringdata");
    let has_kind = || has_word(&lower, b"kind");
    places.any(|at| {
        let (Some(before), Some(behind)) = (lower.get(..at), lower.get(at..)) else { return false };
        if !ends_word(behind) {
            return false;
        }
        match Before::of(before) {
            Before::Kind => has_data(),
            Before::EncodedKind => true,
            Before::Other => {
                let as_is = text.get(at..).is_some_and(|text| text.starts_with(b"Secret"));
                as_is
                    && !before.last().is_some_and(u8::is_ascii_alphanumeric)
                    && has_kind()
                    && has_data_field(&lower)
            }
        }
    })
}

/// What is before the word.
enum Before {
    /// `kind`, and what quotes and separates.
    Kind,
    /// The same in protobuf or CBOR, with lengths between.
    EncodedKind,
    Other,
}

impl Before {
    fn of(before: &[u8]) -> Self {
        // protobuf's TypeMeta: field 2, and the length of `Secret`, `Secrets` or `SecretList`
        if let Some([0x12, 6 | 7 | 10]) = before.last_chunk() {
            return Self::EncodedKind;
        }
        let near = before.get(before.len().saturating_sub(32)..).unwrap_or(before);
        let Some(gap) = memmem::rfind(near, b"kind").and_then(|at| near.get(at.saturating_add(4)..)) else {
            return Self::Other;
        };
        let letters = gap.iter().filter(|byte| byte.is_ascii_alphanumeric()).count();
        let is_encoded =
            gap.iter().any(|byte| !byte.is_ascii() || byte.is_ascii_control() && !byte.is_ascii_whitespace());
        match letters {
            0 if is_encoded => Self::EncodedKind,
            0 => Self::Kind,
            // the byte of CBOR that says how long the text is may be a letter
            1 if is_encoded || gap.len() == 1 => Self::EncodedKind,
            _ => Self::Other,
        }
    }
}

/// Whether the word ends after `secret`, `secrets` or `secretlist`.
fn ends_word(at: &[u8]) -> bool {
    [&b"secretlist"[..], b"secrets", b"secret"].iter().any(|word| {
        at.strip_prefix(*word).is_some_and(|rest| !rest.first().is_some_and(u8::is_ascii_alphanumeric))
    })
}

fn has_word(lower: &[u8], word: &[u8]) -> bool {
    words(lower, word).next().is_some()
}

/// What follows each place where a word is by itself.
fn words<'t>(lower: &'t [u8], word: &'t [u8]) -> impl Iterator<Item = &'t [u8]> {
    memmem::find_iter(lower, word).filter_map(move |at| {
        let before = at.checked_sub(1).and_then(|before| lower.get(before));
        let behind = lower.get(at.saturating_add(word.len())..)?;
        let alone = ![before, behind.first()].into_iter().flatten().any(u8::is_ascii_alphanumeric);
        alone.then_some(behind)
    })
}

/// Whether `data` or `stringData` stands as the name of a field.
fn has_data_field(lower: &[u8]) -> bool {
    [&b"data"[..], b"stringdata"].into_iter().flat_map(|word| words(lower, word)).any(|behind| {
        let gap = behind.iter().take(8).take_while(|byte| !byte.is_ascii_alphanumeric());
        gap.into_iter().any(|byte| *byte == b':')
    })
}
