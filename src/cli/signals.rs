//! Signals that end the program: temporary files are removed, and what is finished is said.

use std::path::{Path, PathBuf};
use std::process::exit;
use std::sync::mpsc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGBUS, SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::output;
use crate::shell::ShellCommand;

use super::messages::{report_error, report_next};
use super::outcome::Outcome;

/// Removes temporary files before a signal ends the program; one that was ignored when the program was started, as `nohup` does
/// with HUP, stays ignored. A limit on file sizes becomes an error of the write that passes it, rather than the end of the program.
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
            // as the shell counts: 128 and the signal's number
            exit(128 + signal);
        }
    })
}

/// A line of signals in `/proc/self/status`, a bit each; none where there is no such file.
fn mask(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|found| found.strip_prefix(line));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

fn has(mask: u64, signal: i32) -> bool {
    mask & (1 << (signal - 1)) != 0
}

/// Lets a part of the file that can't be read end the program with a message. A file that is mapped has no other way to tell:
/// whoever touches a page that the disk does not give, or that was cut off since, gets SIGBUS in place of its bytes, again and
/// again until the program is ended here.
pub(super) fn say_what_cannot_be_read() -> Result<()> {
    let code = i32::from(Outcome::Failed.code());
    forget_handler_of_sigbus();
    wait_for(&[SIGBUS], move |_| {
        let ending = output::end();
        let path = being_read().clone();
        let salvage = path.map(|path| {
            ShellCommand::new("etcd-medic salvage --disk-errors").path(&path).and("-o saved.db").to_string()
        });
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
static BEING_READ: Mutex<Option<PathBuf>> = Mutex::new(None);

fn being_read() -> MutexGuard<'static, Option<PathBuf>> {
    BEING_READ.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says which file is read from now on, for a message about it.
pub(super) fn read_from_now_on(path: &Path) {
    *being_read() = Some(path.to_owned());
}

/// Rust's runtime has a handler for SIGBUS, for stacks that overflow where Linux has none of it. For any other SIGBUS, it gives
/// the signal back to the kernel, which ends the program as soon as another thread gets it: too soon for a message. One signal,
/// sent by ourselves, makes it do so now (std, `sys/pal/unix/stack_overflow.rs`). Where it isn't there, that would be the end:
/// so Linux is asked first.
fn forget_handler_of_sigbus() {
    if has(mask("SigCgt:"), SIGBUS) {
        // without it, the message may be lost, nothing else
        let _ = signal_hook::low_level::raise(SIGBUS);
    }
}

fn wait_for(signals: &[i32], mut act: impl FnMut(i32) + Send + 'static) -> Result<()> {
    // the thread comes first: a signal that is caught, and that nobody looks at, would never end the program
    let (give, take) = mpsc::channel::<Signals>();
    let wait = move || {
        if let Ok(mut signals) = take.recv() {
            signals.forever().for_each(&mut act);
        }
    };
    let thread = thread::Builder::new().spawn(wait);
    thread.context("no thread could be started: is there a limit on processes (ulimit -u, pids.max)?")?;
    let signals = Signals::new(signals).context("signals could not be waited for")?;
    // the thread is there as long as this end is
    let _ = give.send(signals);
    Ok(())
}
