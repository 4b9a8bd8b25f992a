//! Commands that are printed, to be pasted: each is one line, whatever the paths in it are.
//!
//! A path is quoted for any POSIX shell. One that begins with a dash is written as `./-…`, so that no program takes it for an option;
//! `-` alone is standard input.
//! What can't be shown as it is (a line feed, an escape sequence, bytes that aren't UTF-8) is written by `printf`, which each shell
//! has; `$'…'`, which dash does not know, isn't used.

use std::fmt::{self, Write};
use std::path::Path;

use crate::platform::path_bytes;
use crate::text::is_unsafe;

#[derive(Clone, Debug)]
pub struct ShellCommand(Vec<Word>);

#[derive(Clone, Debug)]
enum Word {
    /// Ours, as it is written.
    Ours(String),
    /// Somebody's, to be quoted.
    Given(Vec<u8>),
}

impl ShellCommand {
    /// Begins with words of our own: a program and its options.
    pub fn new(words: &str) -> Self {
        Self(Vec::new()).and(words)
    }

    /// Adds words of our own; none, where the text is empty.
    pub fn and(mut self, words: &str) -> Self {
        self.0.extend((!words.is_empty()).then(|| Word::Ours(words.to_owned())));
        self
    }

    pub fn path(mut self, path: &Path) -> Self {
        let bytes = &*path_bytes(path);
        let before: &[u8] = if bytes.starts_with(b"-") && bytes != b"-" { b"./" } else { b"" };
        self.0.push(Word::Given([before, bytes].concat()));
        self
    }
}

impl ShellCommand {
    /// Adds any other word.
    pub fn word(mut self, bytes: &[u8]) -> Self {
        self.0.push(Word::Given(bytes.to_vec()));
        self
    }
}

impl fmt::Display for ShellCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `$(…)` takes line feeds off its end
        let ends_in_line_feed = |word: &Word| matches!(word, Word::Given(bytes) if bytes.ends_with(b"\n"));
        if self.0.iter().any(ends_in_line_feed) {
            let words: Vec<_> = self.0.iter().map(in_single_quotes).collect();
            return write!(f, "eval {}", by_printf(&words.join(&b' ')));
        }
        for (number, word) in self.0.iter().enumerate() {
            let space = if number == 0 { "" } else { " " };
            match word {
                Word::Ours(text) => write!(f, "{space}{text}")?,
                Word::Given(bytes) => write!(f, "{space}{}", quoted(bytes))?,
            }
        }
        Ok(())
    }
}

/// A word as a shell takes it, with nothing in it that can't be shown.
fn quoted(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if is_plain(text) => text.to_owned(),
        Ok(text) if !text.chars().any(is_unsafe) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => by_printf(bytes),
    }
}

/// What no shell takes for anything but itself. (zsh takes a word that begins with `=` for a program.)
fn is_plain(text: &str) -> bool {
    let plain = |char: char| char.is_ascii_alphanumeric() || "/._-+:@%,=".contains(char);
    !text.is_empty() && !text.starts_with('=') && text.chars().all(plain)
}

fn in_single_quotes(word: &Word) -> Vec<u8> {
    let bytes = match word {
        Word::Ours(text) => return text.clone().into_bytes(),
        Word::Given(bytes) => bytes,
    };
    let parts: Vec<&[u8]> = bytes.split(|&byte| byte == b'\'').collect();
    [b"'", parts.join(&br"'\''"[..]).as_slice(), b"'"].concat()
}

/// The bytes as what `printf` writes; in octal digits, what it, a shell or a terminal takes for something else.
fn by_printf(bytes: &[u8]) -> String {
    let mut format = String::with_capacity(bytes.len() * 2);
    let octal = |format: &mut String, bytes: &[u8]| {
        for byte in bytes {
            let _ = write!(format, "\\{byte:03o}");
        }
    };
    for chunk in bytes.utf8_chunks() {
        for (number, char) in chunk.valid().chars().enumerate() {
            if is_unsafe(char) || r#"\%'"!`$"#.contains(char) || (number == 0 && char == '-') {
                octal(&mut format, char.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                format.push(char);
            }
        }
        octal(&mut format, chunk.invalid());
    }
    format!("\"$(printf '{format}')\"")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::process;

    use super::*;

    fn of(bytes: &[u8]) -> String {
        ShellCommand::new("printf %s").path(Path::new(OsStr::from_bytes(bytes))).to_string()
    }

    #[test]
    fn words_are_quoted_only_where_they_must_be() {
        assert_eq!(of(b"/var/lib/etcd"), "printf %s /var/lib/etcd");
        assert_eq!(of(b"my db"), "printf %s 'my db'");
        assert_eq!(of(b"it's"), r"printf %s 'it'\''s'");
        assert_eq!(of(b""), "printf %s ''");
        assert_eq!(of(b"-o"), "printf %s ./-o");
        assert_eq!(of("\u{e9}.db".as_bytes()), "printf %s '\u{e9}.db'");
        assert_eq!(of(b"a\nb"), r#"printf %s "$(printf 'a\012b')""#);
        assert_eq!(of(b"\xff"), r#"printf %s "$(printf '\377')""#);
        assert_eq!(of(b"a\n"), r#"eval "$(printf 'printf \045s \047a\012\047')""#);
    }

    /// Whatever a name is: each shell gives back its bytes, and the line is one, of characters that can be seen.
    #[test]
    fn a_shell_gives_back_what_was_quoted() {
        let mut names: Vec<Vec<u8>> =
            (1..=255_u8).flat_map(|byte| [vec![byte], vec![b'a', byte, b'b']]).collect();
        names.extend((1..=255_u8).map(|byte| vec![b'%', byte, byte, b'\'', b'\\', b'1', byte]));
        let more = [
            "a;touch PWNED;.db",
            "$(touch PWNED)",
            "`touch PWNED`",
            "!!",
            "a!b\n",
            "~",
            "~root",
            "*",
            "[a-z]?",
            "#a",
            "=ls",
            "\u{1b}]52;c;QQ==\u{7}",
            "\u{202e}a\n\n",
            "\n",
            "{a,b}",
            "a\\",
            "\\n",
            "-n",
            "-\n",
            "%s\u{1b}\\%d",
            "$HOME\u{7f}",
        ];
        names.extend(more.map(|name| name.as_bytes().to_vec()));
        let shells: Vec<_> = ["sh", "bash", "dash", "zsh", "busybox"]
            .into_iter()
            .filter(|shell| process::Command::new(shell).arg("--help").output().is_ok())
            .collect();
        assert!(shells.contains(&"sh"));
        for shell in shells {
            // one run for all: each word behind a zero byte
            let lines: Vec<_> = names.iter().map(|name| of(name)).collect();
            let script: String = lines.iter().map(|line| format!("printf '\\0'\n{line}\n")).collect();
            let mut command = process::Command::new(shell);
            command.args((shell == "busybox").then_some("sh")).arg("-c").arg(&script);
            let output = command.output().expect("a shell").stdout;
            let found: Vec<_> = output.split(|&byte| byte == 0).skip(1).collect();
            assert_eq!(found.len(), names.len(), "{shell}");
            for ((found, name), line) in found.into_iter().zip(&names).zip(&lines) {
                let found = found.strip_prefix(b"./").filter(|_| name.starts_with(b"-")).unwrap_or(found);
                assert_eq!(found, name, "{shell}: {line}");
                assert_eq!(line.chars().find(|&char| is_unsafe(char)), None, "{line:?}");
            }
        }
    }
}
