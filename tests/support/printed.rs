//! What the commands print of a result, as text and as JSON: made, counted, and thrown away.

use std::collections::BTreeMap;
use std::io::{self, Write};

use etcd_medic::internals::report::{View, json};
use serde::Serialize;

/// Most columns that a table may have, so that all of them are made.
const WIDTH: usize = 200;

/// How everything is shown.
pub fn view(top: usize) -> View {
    View { width: WIDTH, exact_bytes: false, top }
}

/// Counts what it is given.
#[derive(Default)]
pub struct Counted(u64);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Rows as a document.
pub fn rows_of<T>(rows: &[T]) -> BTreeMap<&'static str, &[T]> {
    BTreeMap::from([("rows", rows)])
}

/// Prints a result both ways. Neither is longer than a file of this size gives reason for.
pub fn print<T: Serialize>(
    file_size: usize,
    command: &str,
    result: &T,
    text: impl FnOnce(&mut Counted) -> io::Result<()>,
) {
    let mut counted = Counted::default();
    text(&mut counted).expect("nothing fails here");
    hold_to_length(file_size, command, "text", &counted);
    let mut counted = Counted::default();
    json::write(&mut counted, command, false, result).expect("nothing fails here");
    hold_to_length(file_size, command, "JSON", &counted);
}

fn hold_to_length(file_size: usize, command: &str, form: &str, counted: &Counted) {
    let most = super::super::counting::printed_bound(file_size);
    assert!(
        counted.0 <= most,
        "{command}: {} bytes of {form} of a file of {file_size}: {most} are allowed",
        counted.0
    );
}

/// How long an object may be as it is shown.
pub fn object_bound(value: usize) -> usize {
    (8 << 20) + 64 * value
}
