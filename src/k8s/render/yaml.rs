//! An object as YAML, and as JSON, that mean the same to every reader, and hide nothing.
//!
//! YAML is written by hand, in the few forms that YAML 1.1 (which `kubectl` reads) and 1.2 agree on: block collections, plain words that
//! can't be anything but text, double quotes with JSON's escapes for all other text, and `|` for several lines. A library writes what one
//! version reads back; and its keys by another rule than its values.

use std::fmt::Write as _;
use std::io::Write as _;

use serde::Serialize;
use serde_json::{Map, Number, Value};

use crate::text::{JsonEscaper, is_unsafe};

/// A longer key must be written with `?`: readers look no further for its colon than 1,024 characters (YAML 1.2.2, 7.4.2 and 8.2.2).
const MAX_SIMPLE_KEY: usize = 1000;

/// The object as a document of YAML.
pub fn yaml(object: &Map<String, Value>) -> String {
    let mut out = String::new();
    if object.is_empty() {
        out.push_str("{}\n");
    } else {
        mapping(&mut out, object, 0);
    }
    out
}

/// The object as JSON over several lines.
///
/// # Errors
/// The library's; none is known.
pub fn json<T: Serialize + ?Sized>(object: &T) -> serde_json::Result<String> {
    escape_json(&serde_json::to_string_pretty(object)?)
}

/// JSON in one line.
///
/// # Errors
/// The library's; none is known.
pub fn json_line<T: Serialize + ?Sized>(object: &T) -> serde_json::Result<String> {
    escape_json(&serde_json::to_string(object)?)
}

fn escape_json(text: &str) -> serde_json::Result<String> {
    let mut escaped = Vec::with_capacity(text.len());
    JsonEscaper::new(&mut escaped).write_all(text.as_bytes()).map_err(serde_json::Error::io)?;
    String::from_utf8(escaped).map_err(serde::ser::Error::custom)
}

/// Tabs and line feeds are layout.
pub(super) fn must_be_escaped(char: char) -> bool {
    is_unsafe(char) && !matches!(char, '\n' | '\t')
}

/// The entries of a mapping, the first of them where the line is now, the others on lines of their own.
fn mapping(out: &mut String, object: &Map<String, Value>, indent: usize) {
    for (number, (key, value)) in object.iter().enumerate() {
        if number > 0 {
            spaces(out, indent);
        }
        let begin = out.len();
        key_text(out, key);
        if out.len() - begin > MAX_SIMPLE_KEY {
            out.insert_str(begin, "? ");
            out.push('\n');
            spaces(out, indent);
        }
        out.push(':');
        match value {
            Value::Object(object) if !object.is_empty() => {
                out.push('\n');
                spaces(out, indent + 2);
                mapping(out, object, indent + 2);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                spaces(out, indent);
                sequence(out, items, indent);
            }
            value => {
                out.push(' ');
                scalar(out, value, indent + 2);
            }
        }
    }
}

/// The items of a sequence, the first of them where the line is now.
fn sequence(out: &mut String, items: &[Value], indent: usize) {
    for (number, item) in items.iter().enumerate() {
        if number > 0 {
            spaces(out, indent);
        }
        out.push_str("- ");
        match item {
            Value::Object(object) if !object.is_empty() => mapping(out, object, indent + 2),
            Value::Array(items) if !items.is_empty() => sequence(out, items, indent + 2),
            item => scalar(out, item, indent + 2),
        }
    }
}

fn spaces(out: &mut String, count: usize) {
    out.extend(std::iter::repeat_n(' ', count));
}

/// A value that has no parts, to the end of its line.
fn scalar(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(value) => number(out, value),
        Value::String(text) if is_plain(text) => out.push_str(text),
        Value::String(text) if is_block(text) => return block(out, text, indent),
        Value::String(text) => quoted(out, text),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
    out.push('\n');
}

/// JSON's own digits; but YAML 1.1 takes `1e-7` for text: its floats have a point, and their exponents a sign
/// (yaml.org/type/float.html).
fn number(out: &mut String, value: &Number) {
    let text = value.to_string();
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else {
        out.push_str(&text);
        return;
    };
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with(['-', '+']) { "" } else { "+" };
    let _ = write!(out, "{mantissa}{point}e{sign}{exponent}");
}

/// A key is one line, and has no colon outside of quotes.
fn key_text(out: &mut String, key: &str) {
    if is_plain(key) && !key.contains(':') {
        out.push_str(key);
    } else {
        quoted(out, key);
    }
}

/// Whether every reader takes this text, without quotes, for itself.
fn is_plain(text: &str) -> bool {
    let begins = |char: char| char.is_alphanumeric() || char == '/';
    let has_mark = [": ", " #", " :"].into_iter().any(|mark| text.contains(mark));
    text.chars().next().is_some_and(begins)
        && !text.ends_with([' ', ':'])
        && !has_mark
        && !text.chars().any(is_unsafe)
        && !is_word(text)
        && !may_be_number(text)
}

/// The words of YAML 1.1 and 1.2, and of their readers, that are no text (yaml.org/type/bool.html, null.html, float.html).
fn is_word(text: &str) -> bool {
    const WORDS: [&str; 12] =
        ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity"];
    WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Numbers and times in each of their forms: digits with signs, points, colons and underscores, `0x` and `0o`, exponents, `T` and `Z`.
/// Some of what looks like one is none, which quotes do no harm.
fn may_be_number(text: &str) -> bool {
    let is_of_one = |char: char| char.is_ascii_hexdigit() || "xXoO_+-.:,tTzZ ".contains(char);
    text.starts_with(|char: char| char.is_numeric()) && text.chars().all(is_of_one)
}

/// Whether text is written as a block of lines: what begins with a space or an empty line would need its indentation said.
fn is_block(text: &str) -> bool {
    text.trim_end_matches('\n').contains('\n')
        && !text.starts_with(|char: char| char.is_whitespace())
        && !text.chars().any(|char| is_unsafe(char) && !matches!(char, '\n' | '\t'))
}

/// Several lines, as they are. What follows `|` says how many line feeds end it: one, none, or all of them.
fn block(out: &mut String, text: &str, indent: usize) {
    let body = text.trim_end_matches('\n');
    out.push_str(match text.len() - body.len() {
        0 => "|-\n",
        1 => "|\n",
        _ => "|+\n",
    });
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        if !line.is_empty() {
            spaces(out, indent);
        }
        out.push_str(line);
        out.push('\n');
    }
}

/// In double quotes, YAML's escapes are those of JSON, and `\U` for what lies above U+FFFF.
fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            char if !is_unsafe(char) => out.push(char),
            char if u32::from(char) <= 0xFFFF => drop(write!(out, "\\u{:04X}", u32::from(char))),
            char => drop(write!(out, "\\U{:08X}", u32::from(char))),
        }
    }
    out.push('"');
}
