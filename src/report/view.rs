//! How text is shown: how wide, how exact, in which colours.

use anstyle::{AnsiColor, Style};

use crate::units;

/// What a renderer has to know.
#[derive(Clone, Copy, Debug)]
pub struct View {
    pub width: usize,
    /// Bytes to the byte, rather than rounded.
    pub exact_bytes: bool,
    /// Rows of a table.
    pub top: usize,
}

pub const HEADING: Style = Style::new().bold();
pub const GOOD: Style = AnsiColor::Green.on_default();
pub const WARNING: Style = AnsiColor::Yellow.on_default();
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// What may be passed over.
pub const FAINT: Style = Style::new().dimmed();

impl View {
    /// A number of bytes: `1.5 MiB`, or `1,572,864`.
    pub fn bytes(&self, bytes: u64) -> String {
        if self.exact_bytes { units::grouped(bytes) } else { units::bytes(bytes) }
    }

    /// A number of bytes that may be below zero.
    pub fn signed_bytes(&self, bytes: i64) -> String {
        let sign = if bytes < 0 { "-" } else { "" };
        format!("{sign}{}", self.bytes(bytes.unsigned_abs()))
    }

    /// Whether there is room for more than the essential.
    pub fn is_wide(&self) -> bool {
        self.width >= 110
    }

    /// Whether there is room for all.
    pub fn is_very_wide(&self) -> bool {
        self.width >= 140
    }
}

/// The text in a style; the stream takes it out again where there is no colour.
pub fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}
