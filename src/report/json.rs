//! JSON documents: one object each, which names its schema first.

use std::io::{self, Write};

use serde::Serialize;

use crate::text::JsonEscaper;

/// What every document has beside the result.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Envelope<'a, T> {
    /// `etcd-medic/COMMAND/VERSION`; docs/json.md says what a version promises.
    schema: String,
    /// Whether `--no-lock` was given: the file may have changed while it was read, so that figures and faults may be of two moments.
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
    let document =
        Envelope { schema: format!("etcd-medic/{command}/{}", version(command)), read_without_lock, body };
    serde_json::to_writer_pretty(JsonEscaper::new(&mut *out), &document)?;
    writeln!(out)
}

/// The version of a command's document: docs/json.md says what it promises.
pub(crate) fn version(command: &str) -> u32 {
    match command {
        // from 2 on, ids are strings
        "analyze" | "status" | "defrag" | "keys" | "history" | "get" => 2,
        _ => 1,
    }
}
