//! Bytes from a file, or a path, as text: keys, bucket names and paths are hostile, and need not be UTF-8.
//!
//! Two rules, each in one place. [`escape`] is for a name: what can't be seen is written as an escape, and so is a backslash, so
//! that two different names never look alike. [`harmless`] is for a finished message, whose names were escaped when it was put
//! together: it only keeps what could steer a terminal from reaching one.

#![warn(missing_docs)]

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Serialize, SerializeMap, Serializer};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use crate::platform::{path_bytes, path_of};

/// Bytes that are shown to people or written to JSON: a key, a name, a path.
///
/// Displayed, they are escaped: see [`escape`]. In JSON they are a string where they are UTF-8, and
/// `{"bytes": "<base64>"}` otherwise.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ByteText(pub Vec<u8>);

impl ByteText {
    /// The path that these bytes are.
    #[must_use]
    pub fn as_path(&self) -> Cow<'_, Path> {
        path_of(&self.0)
    }
}

impl From<&[u8]> for ByteText {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<&Path> for ByteText {
    fn from(path: &Path) -> Self {
        (&*path_bytes(path)).into()
    }
}

impl fmt::Display for ByteText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&escape(&self.0))
    }
}

impl Serialize for ByteText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ByteStr(&self.0).serialize(serializer)
    }
}

/// The same, of bytes that are somewhere else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ByteStr<'a>(pub &'a [u8]);

impl fmt::Display for ByteStr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&escape(self.0))
    }
}

impl Serialize for ByteStr<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Ok(text) = std::str::from_utf8(self.0) {
            return serializer.serialize_str(text);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("bytes", &STANDARD.encode(self.0))?;
        map.end()
    }
}

#[cfg(test)]
impl schemars::JsonSchema for ByteStr<'_> {
    fn schema_name() -> Cow<'static, str> {
        ByteText::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        ByteText::json_schema(generator)
    }
}

#[cfg(test)]
impl schemars::JsonSchema for ByteText {
    fn schema_name() -> Cow<'static, str> {
        "ByteText".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Bytes of the file, or of a path: a string where they are UTF-8, and otherwise an object with their Base64.",
            "anyOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "properties": { "bytes": { "type": "string", "contentEncoding": "base64", "description": "Base64 of the bytes." } },
                    "required": ["bytes"]
                }
            ]
        })
    }
}

/// The bytes as text that can be shown: what isn't UTF-8 as `\xff`, what can't be seen as `\n` or `\u{…}`, a backslash as
/// `\\`. Different bytes give different text.
#[must_use]
pub fn escape(bytes: &[u8]) -> Cow<'_, str> {
    let is_escaped = |char| char == '\\' || is_unsafe(char);
    if let Ok(text) = std::str::from_utf8(bytes)
        && !text.chars().any(is_escaped)
    {
        return Cow::Borrowed(text);
    }
    let longer = |char: char| if is_escaped(char) { char.escape_default().len() } else { char.len_utf8() };
    let chunks = bytes.utf8_chunks();
    let len =
        chunks.map(|chunk| chunk.valid().chars().map(longer).sum::<usize>() + 4 * chunk.invalid().len());
    let mut escaped = String::with_capacity(len.sum());
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            if is_escaped(char) {
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

/// A path as text that can be shown: see [`escape`].
#[must_use]
pub fn shown(path: &Path) -> Cow<'_, str> {
    match path_bytes(path) {
        Cow::Borrowed(bytes) => escape(bytes),
        Cow::Owned(bytes) => escape(&bytes).into_owned().into(),
    }
}

/// A message whose names are escaped already: nothing that a terminal acts on is left in it, and nothing is escaped twice.
#[must_use]
pub fn harmless(message: &str) -> Cow<'_, str> {
    if !message.chars().any(is_unsafe) {
        return Cow::Borrowed(message);
    }
    let mut out = String::with_capacity(message.len() + 16);
    for char in message.chars() {
        if is_unsafe(char) {
            out.extend(char.escape_default());
        } else {
            out.push(char);
        }
    }
    Cow::Owned(out)
}

/// Characters that can't be seen as what they are, or that act on what is around them. By Unicode's general category: control
/// (Cc), format (Cf: marks of direction, tags, interlinear annotation, the soft hyphen), private use (Co), unassigned (Cn), and
/// separators (Zl, Zp, and Zs but for the space itself). And, whatever their category, those that are drawn as nothing
/// (`Default_Ignorable_Code_Point` in `DerivedCoreProperties.txt`), such as variation selectors; and U+2800, a blank symbol.
#[must_use]
pub fn is_unsafe(char: char) -> bool {
    use GeneralCategory as Of;
    match char {
        ' '..='~' => false,
        '\0'..='\u{9f}' => true,
        _ => {
            is_ignorable(char)
                || matches!(
                    char.general_category(),
                    Of::Control
                        | Of::Format
                        | Of::PrivateUse
                        | Of::Surrogate
                        | Of::Unassigned
                        | Of::LineSeparator
                        | Of::ParagraphSeparator
                        | Of::SpaceSeparator
                )
        }
    }
}

/// What is ignored by default and of a category that is shown otherwise (letters and marks), and a symbol that is blank.
fn is_ignorable(char: char) -> bool {
    matches!(
        char,
        '\u{34f}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{ffa0}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Writes JSON on, and what can't be seen in its strings as `\u…`, which means the same: outside of strings, JSON has nothing but
/// ASCII that can be seen, and line feeds.
#[derive(Debug)]
pub struct JsonEscaper<W> {
    out: W,
    /// The beginning of a character whose end was not written yet.
    begun: Vec<u8>,
}

impl<W: Write> JsonEscaper<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, begun: Vec::new() }
    }

    fn write_text(&mut self, text: &str) -> io::Result<()> {
        let mut plain = 0;
        for (at, char) in text.char_indices().filter(|&(_, char)| char != '\n' && is_unsafe(char)) {
            self.out.write_all(text.get(plain..at).unwrap_or_default().as_bytes())?;
            for unit in char.encode_utf16(&mut [0; 2]) {
                write!(self.out, "\\u{unit:04x}")?;
            }
            plain = at + char.len_utf8();
        }
        self.out.write_all(text.get(plain..).unwrap_or_default().as_bytes())
    }
}

impl<W: Write> Write for JsonEscaper<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let joined = [std::mem::take(&mut self.begun).as_slice(), bytes].concat();
        let whole = match std::str::from_utf8(&joined) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        };
        let (text, begun) = joined.split_at_checked(whole).unwrap_or((&joined, &[]));
        self.begun = begun.to_vec();
        self.write_text(std::str::from_utf8(text).unwrap_or_default())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Undoes [`escape`].
    fn unescape(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            let mut push = |char: char| bytes.extend(char.encode_utf8(&mut [0; 4]).as_bytes());
            if char != '\\' {
                push(char);
                continue;
            }
            match chars.next().expect("an escape") {
                'n' => push('\n'),
                'r' => push('\r'),
                't' => push('\t'),
                '\\' => push('\\'),
                'x' => {
                    let digits: String = chars.by_ref().take(2).collect();
                    bytes.push(u8::from_str_radix(&digits, 16).expect("digits"));
                }
                'u' => {
                    let digits: String = chars.by_ref().skip(1).take_while(|&char| char != '}').collect();
                    let number = u32::from_str_radix(&digits, 16).expect("digits");
                    push(char::from_u32(number).expect("a character"));
                }
                other => panic!("unknown escape {other}"),
            }
        }
        bytes
    }

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
        assert_eq!(escape(br"a\x1b"), r"a\\x1b");
        assert_eq!(harmless("a\\x1b\u{1b}"), "a\\x1b\\u{1b}");
    }

    /// Of each kind that is not to be seen, and neighbours that are.
    #[test]
    fn what_cannot_be_seen_is_escaped_by_its_category() {
        let hidden = "\0\u{7f}\u{85}\u{9b}\u{a0}\u{ad}\u{34f}\u{600}\u{61c}\u{6dd}\u{70f}\u{115f}\u{1680}\u{17b4}\u{180b}\
                      \u{180e}\u{2003}\u{200b}\u{200d}\u{200e}\u{2028}\u{2029}\u{202e}\u{202f}\u{205f}\u{2060}\u{2065}\u{2069}\
                      \u{206f}\u{2800}\u{3000}\u{3164}\u{e000}\u{fe00}\u{fe0f}\u{feff}\u{ffa0}\u{fff0}\u{fff9}\u{fffb}\
                      \u{fffe}\u{ffff}\u{110bd}\u{13430}\u{1bca0}\u{1d173}\u{e0001}\u{e0041}\u{e007f}\u{e0100}\u{e01ef}\
                      \u{f0000}\u{10ffff}";
        for char in hidden.chars() {
            assert!(is_unsafe(char), "U+{:04X}", u32::from(char));
            assert!(escape(char.to_string().as_bytes()).is_ascii());
        }
        for char in
            " a~\u{a1}\u{e9}\u{300}\u{e01}\u{e31}\u{915}\u{94d}\u{4e2d}\u{ac00}\u{fffd}\u{1f600}".chars()
        {
            assert!(!is_unsafe(char), "U+{:04X}", u32::from(char));
        }
    }

    /// Every character, and every pair of bytes, alone and in company.
    #[test]
    fn different_bytes_never_look_alike() {
        for char in ('\0'..=char::MAX).filter(|char| *char == '\\' || !char.is_alphanumeric()) {
            let text = format!("a{char}b");
            assert_eq!(unescape(&escape(text.as_bytes())), text.as_bytes());
        }
        let mut seen = HashSet::new();
        for pair in 0..=u16::MAX {
            let bytes = pair.to_be_bytes();
            let shown = escape(&bytes).into_owned();
            assert_eq!(unescape(&shown), bytes);
            assert!(seen.insert(shown));
        }
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

    #[test]
    fn json_means_the_same_with_nothing_hidden_in_it() {
        let text: String =
            ('\0'..=char::MAX).step_by(97).chain("\u{e0041}\u{202e}\u{7f}\u{9b}é\\\"".chars()).collect();
        let value = serde_json::json!({ text.clone(): [text, "plain"] });
        for size in [1, 2, 3, 5, usize::MAX] {
            let whole = serde_json::to_string_pretty(&value).unwrap();
            let mut escaped = Vec::new();
            let mut out = JsonEscaper::new(&mut escaped);
            whole.as_bytes().chunks(size).for_each(|chunk| out.write_all(chunk).unwrap());
            let escaped = String::from_utf8(escaped).unwrap();
            assert_eq!(escaped.chars().find(|&char| char != '\n' && is_unsafe(char)), None);
            assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
        }
    }
}
