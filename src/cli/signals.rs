//! Signals that end the program: temporary files are removed, and what is finished is said.

use std::process::exit;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;

use crate::input::named::Named;
use crate::output;
use crate::platform::signals::{when_a_page_is_lost, when_ended};

use super::messages::{report_error, report_next};
use super::outcome::Outcome;

/// Removes temporary files before a signal ends the program.
pub(super) fn end_cleanly() -> Result<()> {
    Ok(when_ended(|signal| {
        let ending = output::end();
        if let Some(done) = ending.done() {
            report_error(&format!("ended by {signal}, but {done}"));
        }
        ending
    })?)
}

/// Ends the program with a message if a part of the file can't be read.
pub(super) fn say_what_cannot_be_read() -> Result<()> {
    let code = i32::from(Outcome::Failed.code());
    Ok(when_a_page_is_lost(move || {
        let ending = output::end();
        let file = being_read().clone();
        let salvage =
            file.map(|file| file.ours("etcd-medic salvage --disk-errors").and("-o saved.db").to_string());
        report_error(
            "a part of the file can't be read: its disk fails there, or the file was cut short meanwhile. Nothing was \
             written to it. `salvage --disk-errors` reads past such parts, in a folder of another disk:",
        );
        report_next(salvage.as_deref());
        if let Some(done) = ending.done() {
            report_error(done);
        }
        exit(code);
    })?)
}

/// The file that is being read.
static BEING_READ: Mutex<Option<Named>> = Mutex::new(None);

fn being_read() -> MutexGuard<'static, Option<Named>> {
    BEING_READ.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Remembers which file is read from now on, for a message about it.
pub(super) fn read_from_now_on(file: Named) {
    *being_read() = Some(file);
}
