//! Tables that build.rs packs into the program.

use std::io::{self, Read};

use flate2::read::DeflateDecoder;

/// The text of a table.
///
/// # Errors
/// It is not what build.rs wrote.
pub fn text(packed: &[u8]) -> io::Result<String> {
    let mut text = String::new();
    DeflateDecoder::new(packed).read_to_string(&mut text)?;
    Ok(text)
}
