//! An allocator that counts, and the bounds that every file is held to: so many bytes of memory, and so much time, for
//! each of its bytes.
#![expect(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

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

/// What one step may take beside the file itself.
pub fn memory_bound(file: usize, step: &str) -> usize {
    let all = 4 * file + (12 << 20);
    match step {
        // a page has 65,535 elements at most: what one view of it takes does not grow with the file
        "page" => all + (8 << 20),
        // it holds every record, of whatever age, with where it lies: most where records are a few bytes long
        "salvage" => all + 16 * file,
        // one object at a time, each of whose fields and elements takes its place in a tree, though it be of two bytes: a
        // million of them at most
        "travel" => all + (256 * file).min(256 << 20),
        _ => all,
    }
}

/// What all steps together may take, in a build that checks every sum, on a busy machine; whatever takes longer hangs.
pub fn patience(file: usize) -> Duration {
    Duration::from_secs(10) + Duration::from_micros(file as u64)
}

/// The step of the current case that took most memory, and what it took.
static MOST: Mutex<(usize, &str)> = Mutex::new((0, ""));

/// Does a step, and remembers the memory that it took, with all that is still there of those before it.
pub fn step<T>(name: &'static str, work: impl FnOnce() -> T) -> T {
    PEAK.store(NOW.load(Ordering::Relaxed), Ordering::Relaxed);
    let result = work();
    let peak = PEAK.load(Ordering::Relaxed);
    let mut most = MOST.lock().unwrap_or_else(PoisonError::into_inner);
    *most = (*most).max((peak, name));
    result
}

/// Does all steps of a case: gives back the most memory that one of them took, and which one.
pub fn measure<T>(steps: impl FnOnce() -> T) -> (T, usize, &'static str) {
    let before = NOW.load(Ordering::Relaxed);
    *MOST.lock().unwrap_or_else(PoisonError::into_inner) = (0, "");
    let result = steps();
    let (peak, step) = *MOST.lock().unwrap_or_else(PoisonError::into_inner);
    (result, peak.saturating_sub(before), step)
}

/// Fails where a step took more than it may.
pub fn hold_to_bound(file: usize, taken: usize, step: &str, name: impl Fn() -> String) {
    let bound = memory_bound(file, step);
    assert!(taken <= bound, "{}: {step} takes {taken} bytes for {file}: {bound} are allowed", name());
}
