//! An allocator that counts, and the bounds that every file is held to: so many bytes of memory, and so much time, for
//! each of its bytes.
#![expect(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Counts the bytes that are allocated, and the most there ever were.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grow(bytes: usize) {
    let now = NOW.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
    PEAK.fetch_max(now, Ordering::Relaxed);
}

// SAFETY: every call is handed on to the system's allocator as it came; the counters touch no memory of its.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller keeps the promises of `GlobalAlloc::alloc`
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller keeps the promises of `GlobalAlloc::alloc_zeroed`
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the promises of `GlobalAlloc::dealloc`
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // as if both lay side by side for a moment, which they may
        grow(size);
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the promises of `GlobalAlloc::realloc`
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What one step may take beside the file itself, as docs/report.md says ("Whatever the file holds").
pub fn memory_bound(file: usize, step: &str) -> usize {
    let all = 12 * file + (12 << 20);
    match step {
        // a page has 65,535 elements at most: what one view of it takes does not grow with the file
        "page" => all + (8 << 20),
        // every record and gap, with where it lies; every resource, with what it adds up to: most where a file has tens of thousands
        // of them
        "salvage" | "analyze" | "cleanup" => all + 28 * file,
        // one object at a time, each of whose fields and elements takes its place in a tree, though it be of two bytes
        "get" | "export" => all + (256 * file).min(256 << 20),
        _ => all,
    }
}

/// What one step may take that reads a log, or applies it, beside the log itself.
pub fn log_memory_bound(log: usize, step: &str) -> usize {
    let a_byte = if step == "log" { 1 } else { 32 };
    a_byte * log + (12 << 20)
}

/// What it may take beyond that where every row and every finding is asked for (`--top`, `--max-findings 0`).
pub fn for_every_row(file: usize) -> usize {
    64 * file
}

/// What all steps together may take, in a build that checks every sum, on a busy machine; whatever takes longer hangs.
pub fn patience(file: usize) -> Duration {
    Duration::from_secs(10) + Duration::from_micros(8 * file as u64)
}

/// How long text or JSON of a command may be.
pub fn printed_bound(file: usize) -> u64 {
    (4 << 20) + 32 * file as u64
}

/// The steps of the current case, with the most memory that there was while they ran.
static STEPS: Mutex<Vec<Step>> = Mutex::new(Vec::new());

/// A step, and the memory that it took, with all that is still there of those before it.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub name: &'static str,
    pub peak: usize,
    pub elapsed: Duration,
}

fn steps() -> MutexGuard<'static, Vec<Step>> {
    STEPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does a step, and remembers what it took.
pub fn step<T>(name: &'static str, work: impl FnOnce() -> T) -> T {
    PEAK.store(NOW.load(Ordering::Relaxed), Ordering::Relaxed);
    let begun = Instant::now();
    let result = work();
    let peak = PEAK.load(Ordering::Relaxed);
    steps().push(Step { name, peak, elapsed: begun.elapsed() });
    result
}

/// Does all steps of a case; gives back what each of them took.
pub fn measure<T>(work: impl FnOnce() -> T) -> (T, Vec<Step>) {
    *steps() = Vec::with_capacity(64);
    let before = NOW.load(Ordering::Relaxed);
    let result = work();
    let mut steps = std::mem::take(&mut *steps());
    steps.iter_mut().for_each(|step| step.peak = step.peak.saturating_sub(before));
    (result, steps)
}

/// Fails where a step took more than it may, and so much `more`.
pub fn hold_to_bound(file: usize, steps: &[Step], more: usize, name: impl Fn() -> String) {
    for Step { name: step, peak, .. } in steps {
        let bound = memory_bound(file, step) + more;
        assert!(*peak <= bound, "{}: {step} takes {peak} bytes for {file}: {bound} are allowed", name());
    }
}
