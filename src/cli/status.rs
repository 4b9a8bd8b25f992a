//! `status`: many files, none of which hides the others.

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::Result;
use serde::Serialize;

use crate::etcd::schema::State;
use crate::report;
use crate::report::prometheus::{Run, Sample};
use crate::source::Source;
use crate::status::{Level, Limits, Status};
use crate::text::ByteText;

use super::args::{Args, Output};
use super::commands::{open, render, scan_and_verify, view, write_out};
use super::{Outcome, remedy};

/// What became of one file.
struct Looked<'f> {
    found: Result<(Status, Option<SystemTime>), FileError>,
    file: &'f PathBuf,
}

#[derive(Serialize)]
struct Document {
    files: Vec<Status>,
    errors: Vec<FileError>,
}

#[derive(Serialize)]
struct FileError {
    /// Its path as it was given.
    path: ByteText,
    error: String,
    /// What to do next; `null` where there is no command for it.
    command: Option<String>,
}

pub(super) fn status(args: &Args, files: &[PathBuf], limits: Limits) -> Result<Outcome> {
    // one after the other: each takes all threads, and its mapping is gone before the next is made
    let looked: Vec<_> = files.iter().map(|file| look(args, file, limits)).collect();
    if args.output == Output::Prometheus {
        prometheus(args, &looked)?;
    }
    let mut document = Document { files: Vec::new(), errors: Vec::new() };
    for Looked { found, .. } in looked {
        match found {
            Ok((status, _)) => document.files.push(status),
            Err(error) => document.errors.push(error),
        }
    }
    if args.output != Output::Prometheus {
        let view = view(args);
        render(args, "status", &document, |out| report::status::write(out, &view, &document.files))?;
    }
    for error in &document.errors {
        super::report_error(&error.error);
        super::report_next(error.command.as_deref());
    }
    let problems = document.files.iter().any(|file| !file.sound || file.level > Level::Ok);
    Ok(match (document.errors.is_empty(), problems) {
        (false, _) => Outcome::Failed,
        (true, true) => Outcome::Problems,
        (true, false) => Outcome::Sound,
    })
}

fn look<'f>(args: &Args, file: &'f PathBuf, limits: Limits) -> Looked<'f> {
    let found = open(args, file).map_err(|error| FileError {
        path: file.as_path().into(),
        error: remedy::with_remedy(&error),
        command: super::next_command(&error),
    });
    let found = found.map(|source| {
        let modified = source.path.metadata().and_then(|metadata| metadata.modified()).ok();
        (status_of(&source, limits), modified)
    });
    Looked { found, file }
}

fn status_of(source: &Source, limits: Limits) -> Status {
    let state = State::read(&source.db);
    let (scan, trailer) = scan_and_verify(source, &state, 0, None);
    Status::of(&source.path, &source.db, &state, &scan, trailer, limits)
}

fn prometheus(args: &Args, looked: &[Looked<'_>]) -> Result<()> {
    let samples: Vec<_> = looked
        .iter()
        .map(|Looked { file, found, .. }| Sample {
            path: file.as_path(),
            status: found.as_ref().ok().map(|(status, _)| status),
            modified: found.as_ref().ok().and_then(|&(_, modified)| modified),
        })
        .collect();
    let run = Run { at: SystemTime::now(), read_without_lock: args.no_lock };
    write_out(|out| report::prometheus::write(out, &run, &samples))
}
