//! What is done one case after the other, as memory is measured, and ends the test program if it hangs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

/// Milliseconds since the start at which the current case began; 0 for none.
static BEGUN: AtomicU64 = AtomicU64::new(0);
/// How many it may take.
static PATIENCE: AtomicU64 = AtomicU64::new(0);
static CASE: Mutex<String> = Mutex::new(String::new());
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
static WATCHED: Once = Once::new();

/// Nobody else runs cases while this is there.
pub fn one_at_a_time() -> MutexGuard<'static, ()> {
    let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    watch();
    turn
}

/// Does something, and ends the test program if it takes longer.
pub fn watched<T>(case: String, patience: Duration, work: impl FnOnce() -> T) -> T {
    *CASE.lock().unwrap_or_else(PoisonError::into_inner) = case;
    PATIENCE.store(patience.as_millis() as u64, Ordering::Relaxed);
    BEGUN.store(millis(), Ordering::Relaxed);
    let result = work();
    BEGUN.store(0, Ordering::Relaxed);
    result
}

fn millis() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
}

/// Ends the test program when a case hangs: a thread can't be stopped otherwise.
#[expect(clippy::print_stderr, reason = "the last words")]
fn watch() {
    WATCHED.call_once(|| {
        std::thread::spawn(|| {
            loop {
                std::thread::sleep(Duration::from_millis(250));
                let begun = BEGUN.load(Ordering::Relaxed);
                if begun > 0 && millis().saturating_sub(begun) > PATIENCE.load(Ordering::Relaxed) {
                    let case = CASE.lock().unwrap_or_else(PoisonError::into_inner);
                    eprintln!("{} hangs", *case);
                    std::process::abort();
                }
            }
        });
    });
}
