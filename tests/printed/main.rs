//! What the program prints, whatever the names of files and the bytes in them are: commands that can be pasted, names that nobody
//! mistakes, and what a file is that is no db.
#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod hidden;
mod install;
mod json;
mod other_files;
mod owners;
mod packed;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Names that a shell, a terminal or another program takes for something else.
const NAMES: &[&[u8]] = &[
    b"x;touch PWNED;.db",
    b"$(touch PWNED).db",
    b"`touch PWNED`.db",
    b"it's \"a\" db",
    b"-o.db",
    b"--force",
    b"new\nline.db",
    b"ends in one\n",
    b"\xff\xfe.db",
    b"esc\x1b]52;c;QQ==\x07.db",
    "\u{202e}bd.exe".as_bytes(),
    "tag\u{e0041}\u{ad}.db".as_bytes(),
    b"two  spaces.db",
    br"back\slash\x1b.db",
    b"*.db",
    b"[a-z].db",
    b"=ls",
    b"~",
    b"#hash.db",
    b"!!bang!.db",
    b"tab\t.db",
    b"100%s.db",
    "caf\u{e9}.db".as_bytes(),
    b"a/long/path/of/many/folders/that/no/table/must/break/at/a/slash/however/narrow/it/is/db",
];

fn name(bytes: &[u8]) -> OsString {
    OsStr::from_bytes(bytes).to_owned()
}

/// Everything that reads a file: with what stands before the file, and behind it.
const COMMANDS: &[(&[&str], &[&str])] = &[
    (&["analyze"], &[]),
    (&["status"], &[]),
    (&["check"], &[]),
    (&["pages"], &[]),
    (&["page"], &["0"]),
    (&["buckets"], &[]),
    (&["hash"], &[]),
    (&["plan"], &[]),
    (&["cleanup"], &[]),
    (&["keys"], &[]),
    (&["get"], &["key"]),
    (&["history"], &["key"]),
    (&["export", "-o", "exported"], &[]),
    (&["defrag", "-o", "packed-copy"], &[]),
    (&["salvage", "-o", "saved-copy"], &[]),
];
