//! What the fuzz targets share: the exercises and the bounds that `tests/bounds` has, too, and libFuzzer's hooks.

#[path = "../support/counting.rs"]
pub mod counting;
#[path = "../support/everything.rs"]
pub mod everything;
#[path = "../support/log_changes.rs"]
pub mod log_changes;
#[path = "../support/member_log.rs"]
pub mod member_log;
#[path = "../support/message_changes.rs"]
pub mod message_changes;
#[path = "../support/mutate.rs"]
pub mod mutate;
#[path = "../support/random.rs"]
pub mod random;

use libfuzzer_sys::fuzzer_mutate;

use random::Random;

/// Changes a file: in its structure, or as libFuzzer does it with the checksums made right again, each half of the time. Gives
/// back its new length.
pub fn mutate_file(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut random = Random(u64::from(seed));
    if random.percent(50) {
        let size = fuzzer_mutate(data, size, max_size);
        mutate::repair(&mut data[..size]);
        return size;
    }
    let mut file = data[..size].to_vec();
    mutate::mutate(&mut file, &mut random, max_size);
    data[..file.len()].copy_from_slice(&file);
    file.len()
}

/// Does something with a file, in the memory that it may take. The time is libFuzzer's to watch: `-timeout`.
pub fn in_bounds<T>(size: usize, work: impl FnOnce() -> T) {
    let (_, steps) = counting::measure(|| counting::step("all of it", work));
    counting::hold_to_bound(size, &steps, 0, || "this input".to_owned());
}

/// A target that takes a whole file.
#[macro_export]
macro_rules! file_target {
    (|$file:ident| $work:expr) => {
        libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
            $crate::mutate_file(data, size, max_size, seed)
        });
        libfuzzer_sys::fuzz_target!(|data: &[u8]| {
            let $file = bytes::Bytes::copy_from_slice(data);
            $crate::in_bounds(data.len(), || $work);
        });
    };
}
