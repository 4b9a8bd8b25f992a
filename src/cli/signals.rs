//! Signals that end the program: temporary files are removed, and what is finished is said.

use std::process::exit;
use std::sync::mpsc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGBUS, SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::input::named::Named;
use crate::output;

use super::messages::{report_error, report_next};
use super::outcome::Outcome;

/// Removes temporary files before a signal ends the program. A signal that was ignored at the start (`nohup` ignores HUP) stays
/// ignored. A write past the limit on file sizes fails, and does not end the program.
pub(super) fn end_cleanly() -> Result<()> {
    let ignored = mask("SigIgn:");
    let signals: Vec<i32> =
        [SIGINT, SIGTERM, SIGHUP, SIGXFSZ].into_iter().filter(|signal| !has(ignored, *signal)).collect();
    wait_for(&signals, |signal| {
        if signal != SIGXFSZ {
            let ending = output::end();
            if let Some(done) = ending.done() {
                report_error(&format!("ended by signal {signal}, but {done}"));
            }
            // as a shell reports it: 128 plus the number of the signal
            exit(128 + signal);
        }
    })
}

/// A set of signals in `/proc/self/status`, a bit each; none if there is no such file.
fn mask(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|found| found.strip_prefix(line));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

fn has(mask: u64, signal: i32) -> bool {
    mask & (1 << (signal - 1)) != 0
}

/// Ends the program with a message if a part of the file can't be read. The file is mapped: a thread that reads a page that the
/// disk can't read, or that was cut off meanwhile, gets SIGBUS, again and again until the program ends.
pub(super) fn say_what_cannot_be_read() -> Result<()> {
    let code = i32::from(Outcome::Failed.code());
    forget_handler_of_sigbus();
    wait_for(&[SIGBUS], move |_| {
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
    })
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

/// Removes the handler that Rust's runtime has for SIGBUS, to detect stack overflows. At the first SIGBUS of another cause that
/// handler restores the default, with which the next SIGBUS, in any thread, ends the program before it can print a message. A
/// SIGBUS that the program sends itself triggers that now (std, `sys/pal/unix/stack_overflow.rs`). Without the handler it would
/// end the program: so `/proc` is asked first whether there is one.
fn forget_handler_of_sigbus() {
    if has(mask("SigCgt:"), SIGBUS) {
        // if this fails, only the message may be lost
        let _ = signal_hook::low_level::raise(SIGBUS);
    }
}

fn wait_for(signals: &[i32], mut act: impl FnMut(i32) + Send + 'static) -> Result<()> {
    // the thread is started first: without it, a caught signal would not end the program
    let (give, take) = mpsc::channel::<Signals>();
    let wait = move || {
        if let Ok(mut signals) = take.recv() {
            signals.forever().for_each(&mut act);
        }
    };
    let thread = thread::Builder::new().spawn(wait);
    thread.context("no thread could be started: is there a limit on processes (ulimit -u, pids.max)?")?;
    let signals = Signals::new(signals).context("signals could not be waited for")?;
    // the thread waits for this
    let _ = give.send(signals);
    Ok(())
}
