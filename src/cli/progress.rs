//! A progress bar on stderr, on a terminal only.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::copy::Progress;

/// A bar for a file of this many bytes to read. Away from a terminal it does nothing.
pub(super) fn bar(bytes: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr_with_hz(10));
    let template = match bytes {
        // it is not known how many
        0 => "{msg} {binary_bytes} {binary_bytes_per_sec}",
        _ => "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    // most files are read before the first tick. A tick needs a thread, and indicatif panics if it can't start one
    let thread = thread::Builder::new().spawn(|| {});
    if thread.is_ok_and(|thread| thread.join().is_ok()) && !bar.is_hidden() {
        bar.enable_steady_tick(Duration::from_millis(300));
    }
    bar
}

/// The step in which a packed file is unpacked: it begins with its first byte.
pub(super) fn unpacking(progress: Progress<'_>) -> impl Fn(u64) + '_ {
    let begun = Cell::new(false);
    move |bytes| {
        if !begun.replace(true) {
            (progress.begin)("unpacking", 0);
        }
        (progress.advance)(bytes);
    }
}

/// Does a longer work, with a bar on a terminal for each of its steps.
pub(super) fn watch<T>(work: impl FnOnce(Progress<'_>) -> T) -> T {
    let shown: Mutex<Option<ProgressBar>> = Mutex::new(None);
    let lock = || shown.lock().unwrap_or_else(PoisonError::into_inner);
    let begin = |step: &'static str, bytes: u64| {
        let bar = bar(bytes).with_message(step);
        if let Some(before) = lock().replace(bar) {
            before.finish_and_clear();
        }
    };
    let advance = |bytes: u64| {
        if let Some(bar) = &*lock() {
            bar.inc(bytes);
        }
    };
    let done = work(Progress { begin: &begin, advance: &advance });
    if let Some(bar) = lock().take() {
        bar.finish_and_clear();
    }
    done
}
