//! `hash`: the hashes of a file's content.

use std::path::Path;

use anyhow::{Context, Result};

use crate::etcd::schema::State;
use crate::hash;
use crate::report;
use crate::text::shown;

use super::args::Args;
use super::commands::{open, render, view};
use super::{Outcome, progress};

pub(super) fn run(args: &Args, file: &Path, revision: i64) -> Result<Outcome> {
    let source = open(args, file)?;
    let state = State::read(&source.db);
    let bar = progress::bar(source.db.file_size());
    let hashes = hash::hashes(&source.db, &state, revision, &|bytes| bar.inc(bytes));
    bar.finish_and_clear();
    let hashes = hashes.with_context(|| shown(&source.path).into_owned())?;
    let view = view(args);
    render(args, "hash", &hashes, |out| report::hash::write(out, &view, &hashes))?;
    Ok(if hashes.sound { Outcome::Sound } else { Outcome::Problems })
}
