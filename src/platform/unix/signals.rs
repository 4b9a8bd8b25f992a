//! Signals: those that end the program, and the one for a page that can't be read.

use std::io;
use std::process::exit;
use std::ptr;
use std::sync::mpsc;
use std::thread;

use signal_hook::consts::{SIGBUS, SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use thiserror::Error;

/// Why nothing waits for signals.
#[derive(Debug, Error)]
pub enum SignalError {
    #[error("no thread could be started: is there a limit on processes (ulimit -u, pids.max)?")]
    Thread(#[source] io::Error),
    #[error("signals could not be waited for")]
    Wait(#[source] io::Error),
}

/// Calls `act` when the program is to end, with what ends it in words, and ends it; what that returns is held until then. A signal that
/// was ignored at the start (`nohup` ignores HUP) stays ignored. A write past the limit on file sizes fails, and does not end the
/// program.
///
/// # Errors
/// Nothing waits for signals: no thread, or no signals.
pub fn when_ended<T>(mut act: impl FnMut(&str) -> T + Send + 'static) -> Result<(), SignalError> {
    let signals: Vec<i32> = [SIGINT, SIGTERM, SIGHUP, SIGXFSZ]
        .into_iter()
        .filter(|signal| action_of(*signal) != Some(libc::SIG_IGN))
        .collect();
    wait_for(&signals, move |signal| {
        if signal != SIGXFSZ {
            let _held = act(&format!("signal {signal}"));
            // as a shell reports it: 128 plus the number of the signal
            exit(128 + signal);
        }
    })
}

/// Calls `act` when a page of a mapped file can't be read: a thread that reads a page that the disk can't read, or that was cut off
/// meanwhile, gets SIGBUS, again and again until the program ends.
///
/// # Errors
/// As [`when_ended`].
pub fn when_a_page_is_lost(mut act: impl FnMut() + Send + 'static) -> Result<(), SignalError> {
    forget_handler_of_sigbus();
    wait_for(&[SIGBUS], move |_| act())
}

/// Removes the handler that Rust's runtime has for SIGBUS, to detect stack overflows. At the first SIGBUS of another cause that
/// handler restores the default, with which the next SIGBUS, in any thread, ends the program before it can print a message. A
/// SIGBUS that the program sends itself triggers that now (std, `sys/pal/unix/stack_overflow.rs`). Without a handler it would end
/// the program: so the system is asked first whether there is one.
fn forget_handler_of_sigbus() {
    if action_of(SIGBUS).is_some_and(|action| action != libc::SIG_DFL) {
        // if this fails, only the message may be lost
        let _ = signal_hook::low_level::raise(SIGBUS);
    }
}

/// What a signal does: `SIG_DFL`, `SIG_IGN`, or the address of a handler.
#[expect(unsafe_code, reason = "signal-hook sets actions, but can't ask for one")]
fn action_of(signal: i32) -> Option<libc::sighandler_t> {
    // SAFETY: all zeros are a `sigaction` without a handler.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: no new action is given, so nothing is changed; the old one is written to a value of its type.
    let asked = unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) };
    (asked == 0).then_some(action.sa_sigaction)
}

fn wait_for(signals: &[i32], mut act: impl FnMut(i32) + Send + 'static) -> Result<(), SignalError> {
    // the thread is started first: without it, a caught signal would not end the program
    let (give, take) = mpsc::channel::<Signals>();
    let wait = move || {
        if let Ok(mut signals) = take.recv() {
            signals.forever().for_each(&mut act);
        }
    };
    thread::Builder::new().spawn(wait).map_err(SignalError::Thread)?;
    let signals = Signals::new(signals).map_err(SignalError::Wait)?;
    // the thread waits for this
    let _ = give.send(signals);
    Ok(())
}
