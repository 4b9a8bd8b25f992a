//! Messages on standard error: what went wrong, and the command to go on with.

use std::io::Write;

use crate::input::SourceError;
use crate::input::log_error::LogError;
use crate::rewrite::error::DefragError;
use crate::salvage::error::SalvageError;
use crate::text::harmless;

/// Prints a message, whose names are escaped already.
pub(super) fn report_error(message: &str) {
    // if standard error is full or closed, only the exit code is left
    let _ = writeln!(anstream::stderr(), "etcd-medic: {}", harmless(message));
}

/// Prints the command to go on with, on a line of its own.
pub(super) fn report_next(command: Option<&str>) {
    if let Some(command) = command {
        let _ = writeln!(anstream::stderr(), "     $ {}", harmless(command));
    }
}

/// The command that an error names to go on with.
pub(super) fn next_command(error: &anyhow::Error) -> Option<String> {
    let next = error
        .downcast_ref::<SourceError>()
        .and_then(SourceError::next)
        .or_else(|| error.downcast_ref::<SalvageError>()?.next())
        .or_else(|| error.downcast_ref::<LogError>()?.next())
        .or_else(|| error.downcast_ref::<DefragError>()?.next());
    next.map(|command| command.to_string())
}
