//! A segment of a log, as it is and with its checksums made right: read in bounded memory; what is in a stretch follows without a gap.
#![no_main]

use etcd_medic::internals::etcd::request::Request;
use etcd_medic::internals::log::{self, Effects, LogSelect};
use etcd_medic::internals::member::log::Segment;
use etcd_medic::internals::member::{Log, ReadLog};
use etcd_medic_fuzz::counting;
use etcd_medic_fuzz::member_log::{FIRST_SEGMENT, with_right_checksums};
use libfuzzer_sys::fuzz_target;

/// Beside a byte for each byte of the log.
const MEMORY: usize = 12 << 20;

fuzz_target!(|data: &[u8]| {
    let right = with_right_checksums(data);
    for segment in [data, &right] {
        let segments = [Segment { name: FIRST_SEGMENT, data: segment }];
        let (read, steps) = counting::measure(|| counting::step("log", || ReadLog::read(&segments)));
        assert!(steps.iter().all(|step| step.peak < segment.len() + MEMORY), "{steps:?}");
        assert_eq!(read, ReadLog::read_serially(&segments));
        // the strict reader says the same of a log without a fault
        assert_eq!(Log::read(&segments).is_ok(), read.num_faults == 0);
        for stretch in &read.stretches {
            let entries = stretch.entries();
            assert!((stretch.first_index()..=stretch.last_index()).eq(entries.map(|entry| entry.index)));
        }
        let mut shown = 0;
        let counted = log::for_each(&read, &mut Effects::nothing(), &LogSelect::default(), |line| {
            assert!(line.request.is_some() || line.detail.is_some(), "{line:?}");
            shown += 1;
            Ok::<(), ()>(())
        });
        assert!(counted.is_ok() && shown == read.num_entries());
    }
    let _ = Request::parse(data);
});
