//! Commands about many files, none of which hides the others.

use std::path::Path;

use anyhow::{Error, Result};
use serde::Serialize;

use crate::cli::messages::{next_command, report_error, report_next};
use crate::cli::outcome::Outcome;
use crate::cli::remedy;
use crate::text::ByteText;

/// A file that could not be read.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FileError {
    /// The path as it was given.
    path: ByteText,
    /// Why; for people.
    error: String,
    /// What to do next, such as to unpack it; `null` where there is no command for it.
    command: Option<String>,
}

impl FileError {
    pub fn of(path: &Path, error: &Error) -> Self {
        Self { path: path.into(), error: remedy::with_remedy(error), command: next_command(error) }
    }
}

/// What was found, and what could not be read, each in the order of the files.
pub fn split<T>(found: impl IntoIterator<Item = Result<T, FileError>>) -> (Vec<T>, Vec<FileError>) {
    let (mut files, mut errors) = (Vec::new(), Vec::new());
    for found in found {
        match found {
            Ok(file) => files.push(file),
            Err(error) => errors.push(error),
        }
    }
    (files, errors)
}

/// Says which files could not be read; `problems` is whether something is wrong with the others.
pub fn end(errors: &[FileError], problems: bool) -> Outcome {
    for error in errors {
        report_error(&error.error);
        report_next(error.command.as_deref());
    }
    match (errors.is_empty(), problems) {
        (false, _) => Outcome::Failed,
        (true, true) => Outcome::Problems,
        (true, false) => Outcome::Sound,
    }
}
