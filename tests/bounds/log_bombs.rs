//! Logs with as much as possible of one thing: reading one takes no more memory than a byte for each of its bytes, beside a fixed
//! amount, and a time that grows with its size only.

use std::io::{Write, stderr};
use std::time::Duration;

use etcd_medic::internals::member::log::Segment;
use etcd_medic::internals::member::{LogFaultKind, ReadLog};

use super::counting::{self, Step, step};
use super::support::member_log::{
    ADD, ENTRY, FIRST_SEGMENT, LogBuilder, SNAPSHOT, bytes_field, conf_state, numbers,
};
use super::watch::{one_at_a_time, watched};

/// Of each log.
const BYTES: usize = 32 << 20;

/// What a log has a lot of, and the next of it.
type Shape = (&'static str, fn(LogBuilder, u64) -> LogBuilder);

const SHAPES: &[Shape] = &[
    ("empty entries", |log, index| log.record(ENTRY, Some(&numbers(&[0, 1, index])))),
    ("entries of as many terms", |log, index| log.record(ENTRY, Some(&numbers(&[0, index, index])))),
    ("entries with a gap before each", |log, index| log.record(ENTRY, Some(&numbers(&[0, 1, 2 * index])))),
    ("entries with a snapshot before each", |log, index| {
        let log = log.record(SNAPSHOT, Some(&numbers(&[2 * index - 1, 1])));
        log.record(ENTRY, Some(&numbers(&[0, 1, 2 * index])))
    }),
    ("changes of members", |log, index| {
        let mut message = numbers(&[1, 1, index]);
        bytes_field(&mut message, 4, &numbers(&[index, ADD, index]));
        log.record(ENTRY, Some(&message))
    }),
    ("the same entry again", |log, _| log.record(ENTRY, Some(&numbers(&[0, 1, 1])))),
    ("snapshots", |log, index| log.record(SNAPSHOT, Some(&numbers(&[index, 1])))),
    ("snapshots with a member", |log, index| log.term(1).snapshot(index, Some(&[7]))),
    ("snapshots with members", |log, index| {
        let mut message = numbers(&[index, 1]);
        bytes_field(&mut message, 3, &conf_state(&(0..100).collect::<Vec<_>>()));
        log.record(SNAPSHOT, Some(&message))
    }),
    ("snapshots with different members", |log, index| log.term(1).snapshot(index, Some(&[index]))),
    ("a snapshot with as many members", |log, index| {
        log.term(1).snapshot(index, Some(&(0..500_000).collect::<Vec<_>>()))
    }),
    ("entries of terms that go back", |log, index| {
        log.record(ENTRY, Some(&numbers(&[0, (1 << 20) - index, index])))
    }),
    ("states", |log, index| log.term(index).state(0)),
];

fn log_of(shape: fn(LogBuilder, u64) -> LogBuilder) -> Vec<u8> {
    let mut log = LogBuilder::new(7);
    for index in 1.. {
        log = shape(log, index);
        if log.len() > BYTES {
            break;
        }
    }
    log.last()
}

#[test]
fn a_log_of_one_thing() {
    let _turn = one_at_a_time();
    let mut over = Vec::new();
    for (name, shape) in SHAPES {
        let log = log_of(*shape);
        let segments = [Segment { name: FIRST_SEGMENT, data: &log }];
        let (_, steps) = watched((*name).to_owned(), Duration::from_secs(20), || {
            counting::measure(|| {
                let read = step("log", || ReadLog::read(&segments));
                assert!(read.num_entries() > 0 || name.contains("snapshot") || name.contains("states"));
            })
        });
        for Step { name: of, peak, elapsed } in steps {
            let bound = counting::log_memory_bound(log.len(), of);
            let words = format!("{name}: {} KiB of {} KiB, {elapsed:.1?}", peak >> 10, bound >> 10);
            writeln!(stderr(), "{words}").expect("written");
            if peak > bound {
                over.push(words);
            }
        }
    }
    assert!(over.is_empty(), "{over:#?}");
}

#[test]
fn more_changes_of_the_term_than_are_kept() {
    let mut log = LogBuilder::new(7);
    let last = 250_000;
    for index in 1..=last {
        log = log.record(ENTRY, Some(&numbers(&[0, index, index])));
    }
    let log = log.last();
    let read = ReadLog::read(&[Segment { name: FIRST_SEGMENT, data: &log }]);
    let first = read.stretches.first().expect("one").first_index();
    assert!(first > 100_000 && last - first <= 100_001, "{first}");
    assert!(
        read.faults.iter().any(|fault| fault.kind == LogFaultKind::LeftOut { first }),
        "{:?}",
        read.faults
    );
    assert_eq!((read.log.last_index(), read.log.term_at(last)), (last, Some(last)));
    assert_eq!(read.num_entries(), last + 1 - first);
}
