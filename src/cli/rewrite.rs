//! The commands that make a copy, or say how large it would be.

use std::path::Path;
use std::sync::Mutex;

use anyhow::Result;
use indicatif::ProgressBar;

use crate::bolt::open::Lock;
use crate::copy::{Destination, Layout, Progress};
use crate::report;
use crate::rewrite::changes::History;
use crate::rewrite::defrag::{self, Request};
use crate::rewrite::plan;

use super::args::Args;
use super::commands::{open, open_under, render, view};
use super::{Outcome, progress};

/// Writes a copy.
pub(super) fn defrag(args: &Args, source: &Path, request: &Request) -> Result<Outcome> {
    // what is replaced must not be read or written by anybody else meanwhile
    let replaced = matches!(request.destination, Destination::InPlace { .. }) && !request.dry_run;
    let source = open_under(args, source, if replaced { Lock::Exclusive } else { Lock::Shared })?;
    let steps = Steps::default();
    let report = steps.watch(|progress| defrag::defrag(&source, request, progress))?;
    render(args, "defrag", &report, |out| report::rewrite::defrag(out, &view(args), &report))?;
    Ok(Outcome::Sound)
}

/// Says how large copies would be.
pub(super) fn plan(
    args: &Args,
    source: &Path,
    histories: &[History],
    layout: Layout,
    skip_hash_check: bool,
) -> Result<Outcome> {
    let source = open(args, source)?;
    defrag::check_trailer(&source, skip_hash_check)?;
    let steps = Steps::default();
    let report = steps.watch(|progress| plan::plan(&source, histories, layout, progress))?;
    render(args, "plan", &report, |out| report::rewrite::plan(out, &view(args), &report))?;
    Ok(Outcome::Sound)
}

/// A bar on a terminal for each step of a longer work.
#[derive(Default)]
pub(super) struct Steps(Mutex<Option<ProgressBar>>);

impl Steps {
    pub(super) fn watch<T>(&self, work: impl FnOnce(Progress<'_>) -> T) -> T {
        let begin = |step: &'static str, bytes: u64| {
            let bar = progress::bar(bytes).with_message(step);
            if let Some(before) = self.lock().replace(bar) {
                before.finish_and_clear();
            }
        };
        let advance = |bytes: u64| {
            if let Some(bar) = &*self.lock() {
                bar.inc(bytes);
            }
        };
        let done = work(Progress { begin: &begin, advance: &advance });
        if let Some(bar) = self.lock().take() {
            bar.finish_and_clear();
        }
        done
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<ProgressBar>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
