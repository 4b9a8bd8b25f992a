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

/// Characters that move the cursor, start an escape sequence, or turn the direction of writing.
#[must_use]
pub fn is_unsafe(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A file's name as a word of the shell (POSIX `sh`): a printed command can be pasted whatever the name is, and no program takes it for
/// an option.
#[must_use]
pub fn shell_word(name: &[u8]) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+:@%,=".contains(byte);
    let prefix = if name.starts_with(b"-") { "./" } else { "" };
    match std::str::from_utf8(name) {
        Ok(text) if !name.is_empty() && name.iter().all(is_plain) => format!("{prefix}{text}"),
        Ok(text) if !text.chars().any(is_unsafe) => format!("'{prefix}{}'", text.replace('\'', r"'\''")),
        _ => {
            let octal: String = name.iter().map(|byte| format!("\\{byte:03o}")).collect();
            format!("\"$(printf '{prefix}{octal}')\"")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_any_name_back() {
        use std::os::unix::ffi::OsStrExt;
        let names: [&[u8]; 8] = [
            b"/var/lib/db",
            b"-x.db",
            b"a b",
            b"it's",
            b"$(id)`id`\"\\",
            b"two\nlines",
            b"\xff\x1b[31m%d",
            b"-\x01",
        ];
        for name in names {
            let word = shell_word(name);
            assert!(!word.chars().any(is_unsafe), "{word}");
            let script = format!("printf %s {word}");
            let said = std::process::Command::new("sh").args(["-c", &script]).output().unwrap().stdout;
            let expected = if name.starts_with(b"-") { [b"./", name].concat() } else { name.to_vec() };
            assert_eq!(std::ffi::OsStr::from_bytes(&said), std::ffi::OsStr::from_bytes(&expected), "{word}");
        }
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
    }

    #[test]
    fn json_is_text_or_bytes() {
        let json = |bytes: &[u8]| serde_json::to_string(&ByteText::from(bytes)).unwrap();
        assert_eq!(json(b"/a\n"), r#""/a\n""#);
        assert_eq!(json(b"\xff\x00"), r#"{"bytes":"/wA="}"#);
    }
}
