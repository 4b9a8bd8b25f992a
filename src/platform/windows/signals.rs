//! Ctrl-C, and a console that is closed. A page that can't be read is an exception, which ends the program: there is nothing to
//! register for it.

use std::process::exit;

use thiserror::Error;

/// Why nothing waits for Ctrl-C.
#[derive(Debug, Error)]
#[error("Ctrl-C could not be waited for")]
pub struct SignalError(#[source] ctrlc::Error);

/// As a shell on Unix reports it: 128 plus the number of SIGINT.
const ENDED: i32 = 130;

/// Calls `act` when the program is to end, with what ends it in words, and ends it; what that returns is held until then.
///
/// # Errors
/// Nothing waits for it.
pub fn when_ended<T>(mut act: impl FnMut(&str) -> T + Send + 'static) -> Result<(), SignalError> {
    let end = move || {
        let _held = act("Ctrl-C");
        exit(ENDED);
    };
    ctrlc::set_handler(end).map_err(SignalError)
}

/// Does nothing here.
///
/// # Errors
/// None.
pub fn when_a_page_is_lost(_act: impl FnMut() + Send + 'static) -> Result<(), SignalError> {
    Ok(())
}
