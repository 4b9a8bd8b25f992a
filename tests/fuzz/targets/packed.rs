//! A packed file, whatever is in it: in bounded memory, and what comes out is no more than is allowed.
#![no_main]

use std::path::Path;

use etcd_medic::internals::input::UnpackOptions;
use etcd_medic::internals::input::unpack;
use etcd_medic_fuzz::counting;
use libfuzzer_sys::fuzz_target;

const MAX_UNPACKED: u64 = 1 << 20;
/// Buffers of all layers, and of the file that is written; and two blocks of lz4's in each of four layers. The memory of the
/// decoders in C is not counted here.
const MAX_MEMORY: usize = (16 + 4 * 16) << 20;

fuzz_target!(|data: &[u8]| {
    let mut options = UnpackOptions::default();
    options.max_unpacked = MAX_UNPACKED;
    options.max_window = Some(1 << 20);
    let (_, steps) = counting::measure(|| {
        counting::step("packed", || {
            let of_file = unpack::of_bytes(Path::new("packed"), data, &options, &|_| {});
            let of_stream = unpack::of_stream(&mut &*data, &options, &|_| {});
            for unpacked in [of_file, of_stream] {
                match unpacked.and_then(|unpacked| unpacked.into_db()) {
                    Ok((db, _, log)) => {
                        let db = db.metadata().expect("a file").len();
                        let bytes = db + log.map_or(0, |log| log.bytes());
                        assert!(bytes <= MAX_UNPACKED.max(data.len() as u64), "{bytes}");
                    }
                    Err(error) => assert!(!error.to_string().is_empty()),
                }
            }
        })
    });
    assert!(steps.iter().all(|step| step.peak < MAX_MEMORY), "{steps:?}");
});
