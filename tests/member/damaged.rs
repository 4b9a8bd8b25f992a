//! Damaged logs: what is sound after a fault is read, and what is not is a fault.

use etcd_medic::internals::member::ReadLog;
use etcd_medic::internals::member::log::Segment;

use crate::support::member_log::{FIRST_SEGMENT, LogBuilder, log_of, with_right_checksums};

fn read(segment: &[u8]) -> ReadLog<'_> {
    ReadLog::read(&[Segment { name: FIRST_SEGMENT, data: segment }])
}

fn stretches(log: &ReadLog<'_>) -> Vec<(u64, u64)> {
    log.stretches.iter().map(|stretch| (stretch.first_index(), stretch.last_index())).collect()
}

/// Where the record of an entry begins: its frame's offset.
fn frames(segment: &[u8]) -> Vec<(usize, usize)> {
    let mut frames = etcd_medic::internals::member::frame::Frames::of(segment);
    std::iter::from_fn(|| frames.next_frame().ok().flatten()).map(|frame| (frame.begin, frame.end)).collect()
}

#[test]
fn a_log_without_a_fault_is_one_stretch() {
    let log = log_of(7, &[7], 40);
    assert_eq!(with_right_checksums(&log), log);
    let read = read(&log);
    assert_eq!((stretches(&read), read.num_faults), (vec![(1, 40)], 0));
    assert!(
        read.stretch_with(40).is_some() && read.stretch_with(41).is_none() && read.stretch_with(0).is_none()
    );
}

/// Each byte of a log changed: exactly the damaged record is lost, or the one after it; never more than two entries.
#[test]
fn a_changed_byte_costs_a_record_or_two() {
    let log = log_of(7, &[7], 30);
    let end = frames(&log).last().expect("a frame").1;
    for at in 0..end {
        let mut changed = log.clone();
        changed[at] ^= 0x55;
        let read = read(&changed);
        assert!(read.num_faults > 0, "byte {at}");
        let kept = read.num_entries() + read.foreign_entries;
        assert!(kept >= 28, "byte {at}: {kept} entries, {:?}", read.faults);
        for stretch in &read.stretches {
            for entry in stretch.entries() {
                assert!((1..=30).contains(&entry.index), "byte {at}: {entry:?}");
            }
        }
    }
}

/// Padding has no checksum, and etcd does not look at it: its record is as it was.
#[test]
fn changed_padding_costs_nothing() {
    let log = log_of(7, &[7], 30);
    let sound = read(&log);
    let mut padded = 0;
    for (begin, end) in frames(&log) {
        let padding = usize::from(log[begin + 7] & 7);
        for at in end - padding..end {
            let mut changed = log.clone();
            changed[at] = 1;
            let read = read(&changed);
            assert_eq!(
                (stretches(&read), read.num_faults),
                (stretches(&sound), 1),
                "byte {at}: {:?}",
                read.faults
            );
            padded += 1;
        }
    }
    assert!(padded > 30, "{padded} bytes");
}

/// A record tells its own length, and its checksum proves it. A length field of zeros ends the log for etcd, in silence.
#[test]
fn a_changed_length_field_costs_nothing() {
    let log = log_of(7, &[7], 30);
    let sound = read(&log);
    for (begin, end) in frames(&log).into_iter().skip(2) {
        let len = (end - begin) as u64;
        for field in [0, 1, 8, len, len - 8, len + 8, 1 << 40, u64::MAX] {
            let mut changed = log.clone();
            changed[begin..begin + 8].copy_from_slice(&field.to_le_bytes());
            let read = read(&changed);
            let is_changed = changed != log;
            assert_eq!(read.num_faults > 0, is_changed, "{begin}, {field}: {:?}", read.faults);
            assert_eq!(stretches(&read), stretches(&sound), "{begin}, {field}: {:?}", read.faults);
            assert_eq!(read.log.state, sound.log.state, "{begin}, {field}");
        }
    }
}

#[test]
fn entries_of_another_member_are_left_out() {
    let first = LogBuilder::new(7).change(0, 7).entries_to(5).state(5);
    let second = LogBuilder::segment(8, first.crc(), 6).entries_to(9).state(9).last();
    let first = first.bytes();
    let names = [FIRST_SEGMENT, "0000000000000001-0000000000000006.wal"];
    let read =
        ReadLog::read(&[Segment { name: names[0], data: &first }, Segment { name: names[1], data: &second }]);
    assert_eq!((stretches(&read), read.foreign_entries), (vec![(1, 5)], 4));
}

#[test]
fn a_missing_segment_leaves_two_stretches() {
    let first = LogBuilder::new(7).change(0, 7).entries_to(5).state(5);
    let third = LogBuilder::segment(7, 0x1234, 9).entries_to(12).state(12).last();
    let first = first.bytes();
    let read = ReadLog::read(&[
        Segment { name: FIRST_SEGMENT, data: &first },
        Segment { name: "0000000000000002-0000000000000009.wal", data: &third },
    ]);
    assert_eq!(stretches(&read), [(1, 5), (9, 12)]);
    assert!(read.num_faults > 0);
}
