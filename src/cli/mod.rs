//! The program: arguments in, text or JSON out, an exit code. Only this module prints.
//!
//! Exit codes: 0 sound, 1 problems found or a threshold passed, 2 could not do it.

mod args;
mod cleanup;
mod commands;
#[cfg(test)]
mod documented;
mod hash;
mod parse;
mod progress;
mod rewrite;
mod salvage;
mod signals;
mod status;
mod synth;
mod travel;

use std::io;
use std::process::ExitCode;

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
        Err(code) => return code,
    };
    let run = || signals::say_what_cannot_be_read().and_then(|()| commands::run(&args));
    match std::panic::catch_unwind(run) {
        Ok(Ok(outcome)) => outcome.into(),
        Ok(Err(error)) if is_broken_pipe(&error) => Outcome::Sound.into(),
        Ok(Err(error)) => {
            report_failure(&format!("{error:#}"), next_command(&error).as_deref());
            Outcome::Failed.into()
        }
        Err(_) => {
            report_error(
                "this is a bug of etcd-medic's: please report it, with the message above and the command",
            );
            Outcome::Failed.into()
        }
    }
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
    anstream::eprintln!("etcd-medic: {}", harmless(message));
}

/// A message, and below it, on a line of its own, the command to go on with.
fn report_failure(message: &str, command: Option<&str>) {
    report_error(message);
    if let Some(command) = command {
        anstream::eprintln!("     $ {}", harmless(command));
    }
}
