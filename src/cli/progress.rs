//! A progress bar on stderr, on a terminal only.

use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar for a file of this many bytes to read. Away from a terminal it does nothing.
pub fn bar(bytes: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr_with_hz(10));
    let style = ProgressStyle::with_template(
        "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}",
    );
    if let Ok(style) = style {
        bar.set_style(style);
    }
    // most files are read before this. It takes a thread, without which nothing is shown: indicatif ends the program for it
    let thread = thread::Builder::new().spawn(|| {});
    if thread.is_ok_and(|thread| thread.join().is_ok()) && !bar.is_hidden() {
        bar.enable_steady_tick(Duration::from_millis(300));
    }
    bar
}
