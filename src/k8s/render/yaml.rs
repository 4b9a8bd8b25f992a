//! An object as YAML, and as JSON, that mean the same wherever they are shown.
//!
//! Text is quoted where YAML 1.1, which `kubectl` reads, would take it for anything else (`on`, `0777`, `1:30`); several
//! lines stand as a block. Characters that could steer a terminal are written as escapes, for which YAML has double quotes
//! only: an object with one of them has all its text in quotes.

use std::borrow::Cow;
use std::fmt::Write;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::text::is_unsafe;

/// Stands around the number of a character that is to be written as an escape. Any control character would do: it is never
/// written as itself.
const MARK: char = '\u{1}';
const MARK_ESCAPED: &str = "\\x01";

/// The object as a document of YAML.
///
/// # Errors
/// The library's; none is known.
pub fn yaml(object: &Map<String, Value>) -> Result<String, serde_saphyr::SerializeError> {
    let unsafe_inside = any_text(object, &|text| text.chars().any(must_be_escaped));
    if !unsafe_inside {
        return by_library(object, false);
    }
    let marked = map_text(object);
    Ok(escapes_for_marks(&by_library(&marked, true)?))
}

/// The object as JSON over several lines.
///
/// # Errors
/// The library's; none is known.
pub fn json<T: Serialize + ?Sized>(object: &T) -> serde_json::Result<String> {
    serde_json::to_string_pretty(object).map(|text| escape_json(&text))
}

/// JSON in one line.
///
/// # Errors
/// The library's; none is known.
pub fn json_line<T: Serialize + ?Sized>(object: &T) -> serde_json::Result<String> {
    serde_json::to_string(object).map(|text| escape_json(&text))
}

/// Outside of JSON's strings stands nothing that this would touch.
fn escape_json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        if must_be_escaped(char) {
            // all of them are below U+10000
            let _ = write!(escaped, "\\u{:04x}", u32::from(char));
        } else {
            escaped.push(char);
        }
    }
    escaped
}

/// Tabs and line feeds are layout.
pub(super) fn must_be_escaped(char: char) -> bool {
    is_unsafe(char) && !matches!(char, '\n' | '\t')
}

fn by_library(object: &Map<String, Value>, quote_all: bool) -> Result<String, serde_saphyr::SerializeError> {
    let options = serde_saphyr::ser_options! {
        // `>` would break long lines; `|` leaves them as they are
        folded_wrap_chars: usize::MAX,
        quote_all: quote_all,
    };
    let mut text = String::new();
    serde_saphyr::to_fmt_writer_with_options(&mut text, object, options)?;
    Ok(text)
}

/// Whether any key or text passes a test. Objects are of bounded depth: they were rendered.
fn any_text(object: &Map<String, Value>, test: &impl Fn(&str) -> bool) -> bool {
    let mut objects = vec![object];
    let mut values: Vec<&Value> = Vec::new();
    loop {
        if let Some(object) = objects.pop() {
            if object.keys().any(|key| test(key)) {
                return true;
            }
            values.extend(object.values());
        } else if let Some(value) = values.pop() {
            match value {
                Value::String(text) if test(text) => return true,
                Value::Array(items) => values.extend(items),
                Value::Object(object) => objects.push(object),
                _ => {}
            }
        } else {
            return false;
        }
    }
}

fn map_text(object: &Map<String, Value>) -> Map<String, Value> {
    object.iter().map(|(key, value)| (marked(key).into_owned(), map_value(value))).collect()
}

fn map_value(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(marked(text).into_owned()),
        Value::Array(items) => Value::Array(items.iter().map(map_value).collect()),
        Value::Object(object) => Value::Object(map_text(object)),
        other => other.clone(),
    }
}

fn marked(text: &str) -> Cow<'_, str> {
    if !text.chars().any(must_be_escaped) {
        return Cow::Borrowed(text);
    }
    let mut marked = String::with_capacity(text.len());
    for char in text.chars() {
        if must_be_escaped(char) {
            let _ = write!(marked, "{MARK}{:04X}{MARK}", u32::from(char));
        } else {
            marked.push(char);
        }
    }
    Cow::Owned(marked)
}

/// Everything is in quotes, and what has a backslash in double ones: each backslash begins an escape.
fn escapes_for_marks(text: &str) -> String {
    let mut rest = text;
    let mut out = String::with_capacity(text.len());
    while let Some((before, from)) = rest.find('\\').and_then(|at| rest.split_at_checked(at)) {
        out.push_str(before);
        let marked = from.strip_prefix(MARK_ESCAPED).and_then(|rest| rest.split_once(MARK_ESCAPED));
        let len = match marked {
            Some((number, behind)) => {
                let _ = write!(out, "\\u{number}");
                rest = behind;
                continue;
            }
            None => from.chars().take(2).map(char::len_utf8).sum(),
        };
        let (escape, behind) = from.split_at_checked(len).unwrap_or((from, ""));
        out.push_str(escape);
        rest = behind;
    }
    out.push_str(rest);
    out
}
