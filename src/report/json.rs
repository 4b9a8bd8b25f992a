//! JSON documents: one object each, which names its schema first.

use std::io::{self, Write};

use serde::Serialize;

use crate::text::JsonEscaper;

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Document<'a, T> {
    schema: String,
    read_without_lock: bool,
    #[serde(flatten)]
    body: &'a T,
}

/// Writes `body` as the document of a command, version 1. `read_without_lock` marks what was read while somebody may
/// have been writing.
///
/// # Errors
/// The writer's.
pub fn write<T: Serialize>(
    out: &mut (impl Write + ?Sized),
    command: &str,
    read_without_lock: bool,
    body: &T,
) -> io::Result<()> {
    let document = Document { schema: format!("etcd-medic/{command}/1"), read_without_lock, body };
    serde_json::to_writer_pretty(JsonEscaper::new(&mut *out), &document)?;
    writeln!(out)
}
