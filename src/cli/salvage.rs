//! The command that saves what can be saved.

use std::path::Path;

use anyhow::Result;

use crate::bolt::open::Lock;
use crate::output::folder_of;
use crate::report;
use crate::salvage::{open, run};

use super::args::Args;
use super::commands::{render, view};
use super::rewrite::Steps;
use super::{Outcome, signals};

/// Saves what can be saved of a file.
pub(super) fn run(args: &Args, source: &Path, disk_errors: bool, request: &run::Request) -> Result<Outcome> {
    signals::read_from_now_on(source);
    let lock = if args.no_lock { Lock::None } else { Lock::Shared };
    let scratch = disk_errors.then(|| folder_of(&request.target));
    let report = Steps::default().watch(|progress| {
        let wreck = open::open(source, lock, scratch, progress)?;
        run::salvage(&wreck, request, progress)
    })?;
    render(args, "salvage", &report, |out| report::salvage::salvage(out, &view(args), &report))?;
    Ok(if report.is_whole() { Outcome::Sound } else { Outcome::Problems })
}
