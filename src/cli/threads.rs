//! The threads that do the work: as many as there are processors, or as a limit on processes leaves.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use rayon::ThreadPoolBuilder;

/// Bytes of a thread's stack: as large as that of a program's first thread.
const STACK: usize = 8 << 20;

/// Runs the program on a pool of threads; on this thread alone if no other can be started (`ulimit -u`, a container's
/// `pids.max`).
pub(super) fn on_all<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    // 0 means the usual number
    let fewer =
        std::iter::successors(Some(available_parallelism().map_or(1, NonZeroUsize::get)), |&threads| {
            Some(threads / 2).filter(|&threads| threads > 1)
        });
    for threads in std::iter::once(0).chain(fewer.skip(1)) {
        if let Ok(pool) = ThreadPoolBuilder::new().num_threads(threads).stack_size(STACK).build() {
            return pool.install(work);
        }
    }
    // an error would mean that there is another pool already
    let _ = ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global();
    work()
}
