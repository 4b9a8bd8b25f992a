//! The program: arguments in, text or JSON out, an exit code. Only this module prints.
//!
//! Exit codes: 0 sound, 1 problems found or a threshold passed, 2 could not do it. What was done before something failed is not
//! undone: a copy that has its name, and whose report could not be written, is a problem (1), not a failure (2).

mod args;
mod cleanup;
mod commands;
#[cfg(test)]
mod documented;
mod hash;
mod man;
mod parse;
mod progress;
mod remedy;
mod rewrite;
mod salvage;
mod signals;
mod status;
mod synth;
mod threads;
mod travel;

use std::io::{self, Write};
use std::process::ExitCode;

use crate::output;
use crate::rewrite::defrag::DefragError;
use crate::salvage::run::SalvageError;
use crate::source::SourceError;
use crate::text::harmless;

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Outcome {
    /// Done, and nothing wrong.
    Sound,
    /// Problems were found, or a threshold was passed.
    Problems,
    /// It could not be done.
    Failed,
}

impl Outcome {
    /// The exit code.
    fn code(self) -> u8 {
        match self {
            Self::Sound => 0,
            Self::Problems => 1,
            Self::Failed => 2,
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(outcome.code())
    }
}

/// Runs the program.
#[must_use]
pub fn run() -> ExitCode {
    let args = match parse::arguments() {
        Ok(args) => args,
        Err(answer) => return explain(&answer).into(),
    };
    let run = || {
        signals::say_what_cannot_be_read()?;
        threads::on_all(|| commands::run(&args))
    };
    match std::panic::catch_unwind(run) {
        Ok(Ok(outcome)) => outcome.into(),
        Ok(Err(error)) if is_broken_pipe(&error) => Outcome::Sound.into(),
        Ok(Err(error)) => failed(&remedy::with_remedy(&error), next_command(&error).as_deref()).into(),
        Err(_) => failed(
            "this is a bug of etcd-medic's: please report it, with the message above and the command",
            None,
        )
        .into(),
    }
}

/// Prints help, the version, or what is wrong with the arguments.
fn explain(answer: &clap::Error) -> Outcome {
    match answer.print() {
        _ if answer.use_stderr() => Outcome::Failed,
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => failed(&error.to_string(), None),
        _ => Outcome::Sound,
    }
}

/// Says why it could not be done, and below that the command to go on with; or what is done nevertheless.
fn failed(why: &str, next: Option<&str>) -> Outcome {
    let outcome = match output::done() {
        Some(done) => {
            report_error(&format!("{done}. But this went wrong after that: {why}"));
            Outcome::Problems
        }
        None => {
            report_error(why);
            Outcome::Failed
        }
    };
    report_next(next);
    outcome
}

/// Whoever read the output has seen enough: nothing went wrong.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(broken)
            || cause
                .downcast_ref::<serde_json::Error>()
                .is_some_and(|error| error.io_error_kind() == Some(io::ErrorKind::BrokenPipe))
    })
}

/// The command that an error names to go on with.
fn next_command(error: &anyhow::Error) -> Option<String> {
    let next = error
        .downcast_ref::<SourceError>()
        .and_then(SourceError::next)
        .or_else(|| error.downcast_ref::<SalvageError>()?.next())
        .or_else(|| error.downcast_ref::<DefragError>()?.next());
    next.map(|command| command.to_string())
}

/// A message, whose names are escaped already.
fn report_error(message: &str) {
    // where standard error is full or closed, nobody can be told: the exit code says the rest
    let _ = writeln!(anstream::stderr(), "etcd-medic: {}", harmless(message));
}

/// The command to go on with, on a line of its own.
fn report_next(command: Option<&str>) {
    if let Some(command) = command {
        let _ = writeln!(anstream::stderr(), "     $ {}", harmless(command));
    }
}
