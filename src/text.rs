//! Bytes from a file as text: keys and bucket names are hostile, and need not be UTF-8.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// Bytes that are shown to people or written to JSON.
///
/// Displayed, whatever could steer a terminal or fake its neighbours (control and bidirectional characters) is
/// escaped. In JSON they are a string where they are UTF-8, and `{"bytes": "<base64>"}` otherwise.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ByteText(pub Vec<u8>);

impl From<&[u8]> for ByteText {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl fmt::Display for ByteText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&escape(&self.0))
    }
}

impl Serialize for ByteText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Ok(text) = std::str::from_utf8(&self.0) {
            return serializer.serialize_str(text);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("bytes", &STANDARD.encode(&self.0))?;
        map.end()
    }
}

/// The bytes as harmless text: what isn't UTF-8 as `\xff`, control and bidirectional characters as `\u{…}`.
#[must_use]
pub fn escape(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes)
        && !text.chars().any(is_unsafe)
    {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            if is_unsafe(char) {
                escaped.extend(char.escape_default());
            } else {
                escaped.push(char);
            }
        }
        for byte in chunk.invalid() {
            escaped.push_str(&format!("\\x{byte:02x}"));
        }
    }
    Cow::Owned(escaped)
}

/// Bytes of a text's beginning and of its end that are shown where it is too long for a table or a sentence.
const SHOWN: (usize, usize) = (400, 100);

/// A text as it fits into a table or a sentence: of a very long one, its beginning and its end. Whatever comes from a file goes
/// through here before a library lays it out: some of them take quadratic time.
#[must_use]
pub fn cut(text: &str) -> Cow<'_, str> {
    let (first, last) = SHOWN;
    if text.len() <= first + last {
        return Cow::Borrowed(text);
    }
    let boundary = |at: &usize| text.is_char_boundary(*at);
    let head = (0..=first).rev().find(boundary).and_then(|end| text.get(..end));
    let tail = (text.len() - last..text.len()).find(boundary).and_then(|start| text.get(start..));
    Cow::Owned(format!("{}…{}", head.unwrap_or_default(), tail.unwrap_or_default()))
}

/// The bytes as harmless text of a length that fits into a table or a sentence.
#[must_use]
pub fn brief(bytes: &[u8]) -> String {
    let (first, last) = SHOWN;
    if bytes.len() <= first + last {
        return cut(&escape(bytes)).into_owned();
    }
    // a character that is cut in two is shown as bytes
    let (head, tail) = (bytes.get(..first), bytes.get(bytes.len() - last..));
    let both = [head, tail].map(|part| escape(part.unwrap_or_default()));
    let [head, tail] = &both;
    let joined = format!("{head}…{tail}");
    cut(&joined).into_owned()
}

/// Characters that move the cursor, start an escape sequence, or turn the direction of writing.
#[must_use]
pub fn is_unsafe(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_text_is_borrowed() {
        assert!(matches!(escape(b"/registry/pods/default/web-1"), Cow::Borrowed(_)));
        assert_eq!(escape("/caf\u{e9}".as_bytes()), "/caf\u{e9}");
    }

    #[test]
    fn what_could_steer_a_terminal_is_escaped() {
        assert_eq!(escape(b"a\x1b[31mb"), "a\\u{1b}[31mb");
        assert_eq!(escape(b"two\nlines\0"), "two\\nlines\\u{0}");
        assert_eq!(escape("\u{202e}gpj.exe".as_bytes()), "\\u{202e}gpj.exe");
        assert_eq!(escape(b"\xff\xfeok"), "\\xff\\xfeok");
    }

    #[test]
    fn of_a_long_text_both_ends_are_shown() {
        assert!(matches!(cut(&"x".repeat(500)), Cow::Borrowed(_)));
        let text = format!("begin{}end", "\u{1f642}".repeat(100_000));
        let shown = cut(&text);
        assert!(shown.starts_with("begin\u{1f642}") && shown.ends_with("\u{1f642}end"), "{shown}");
        assert!((490..=503).contains(&shown.len()), "{}", shown.len());
        assert!(brief(&[0x9b; 1 << 20]).len() <= 503);
        assert_eq!(brief("é".repeat(1000).as_bytes()), format!("{}…{}", "é".repeat(200), "é".repeat(50)));
    }

    #[test]
    fn json_is_text_or_bytes() {
        let json = |bytes: &[u8]| serde_json::to_string(&ByteText::from(bytes)).unwrap();
        assert_eq!(json(b"/a\n"), r#""/a\n""#);
        assert_eq!(json(b"\xff\x00"), r#"{"bytes":"/wA="}"#);
    }
}
