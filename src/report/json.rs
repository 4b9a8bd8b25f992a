//! JSON documents: one object each, which names its schema first.

use std::io::{self, Write};

use serde::Serialize;

#[derive(Serialize)]
struct Document<'a, T> {
    schema: String,
    #[serde(flatten)]
    body: &'a T,
}

/// Writes `body` as the document of a command, version 1.
///
/// # Errors
/// The writer's.
pub fn write<T: Serialize>(out: &mut impl Write, command: &str, body: &T) -> io::Result<()> {
    let document = Document { schema: format!("etcd-medic/{command}/1"), body };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}
