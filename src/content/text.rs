//! Text that was saved under a db's name: what a server answered, what a program printed, or a db that was encoded as text.

use std::fmt;

use crate::text::escape;

/// Bytes that are looked at.
const LOOKED_AT: usize = 4096;
/// Characters of its first line that are shown.
const SHOWN: usize = 60;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Text {
    /// A db, encoded in base64: what every one begins with.
    Base64,
    Other {
        kind: TextKind,
        /// How it begins, harmless.
        begins: String,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TextKind {
    Html,
    Xml,
    Json,
    Plain,
}

impl Text {
    /// What text these bytes are, if they are any.
    pub fn of(data: &[u8]) -> Option<Self> {
        let text = beginning(data)?;
        // the id of page 0, the flags of a meta, no elements: the first 15 bytes of any bbolt file
        if text.trim_start().starts_with("AAAAAAAAAAAEAAAAAAAA") {
            return Some(Self::Base64);
        }
        let text = text.trim_start_matches('\u{feff}').trim_start();
        let first_line: String = text.lines().next().unwrap_or_default().chars().take(SHOWN).collect();
        Some(Self::Other { kind: kind_of(text), begins: escape(first_line.as_bytes()).into_owned() })
    }
}

/// The first bytes as text: UTF-8 but for a character that was cut at their end, and without control characters that no text has.
fn beginning(data: &[u8]) -> Option<&str> {
    let start = data.get(..LOOKED_AT).unwrap_or(data);
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() && start.len() < data.len() => {
            std::str::from_utf8(start.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    // what terminals act on is in what programs print
    let is_of_text = |char: char| !char.is_control() || "\t\n\r\u{b}\u{c}\u{8}\u{7}\u{1b}".contains(char);
    text.chars().all(is_of_text).then_some(text)
}

fn kind_of(text: &str) -> TextKind {
    let start: String = text.chars().take(64).collect::<String>().to_ascii_lowercase();
    let begins = |starts: &[&str]| starts.iter().any(|begin| start.starts_with(begin));
    if begins(&["<!doctype html", "<html", "<head", "<body"]) {
        return TextKind::Html;
    }
    if begins(&["<?xml"]) || (start.starts_with('<') && text.contains("</")) {
        return TextKind::Xml;
    }
    let mut rest = start.chars().filter(|char| !char.is_whitespace());
    match (rest.next(), rest.next()) {
        (Some('{'), Some('"' | '}'))
        | (Some('['), Some('{' | '[' | '"' | ']' | '0'..='9' | '-' | 't' | 'f' | 'n')) => TextKind::Json,
        _ => TextKind::Plain,
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Other { kind, begins } = self else {
            return f.write_str("one in base64. Decode it first:");
        };
        let what = match kind {
            TextKind::Html => "an HTML page, as a server answers where there is no file",
            TextKind::Xml => "XML, as a server answers where there is no file",
            TextKind::Json => "JSON",
            TextKind::Plain => "text",
        };
        write!(f, "{what}: it begins with \u{201c}{begins}\u{201d}. Fetch the file again")
    }
}
