//! Segments that are read beside each other come to what they come to one after the other.

use etcd_medic::LogFiles;
use etcd_medic::internals::member::ReadLog;
use etcd_medic::internals::member::log::Segment;

use crate::replayed::corpora;
use crate::support::log_changes::changed;
use crate::support::member_log::{ADD, FIRST_SEGMENT, LogBuilder};
use crate::support::random::Random;

fn hold(segments: &[Segment<'_>], what: &str) -> u64 {
    let read = ReadLog::read(segments);
    assert_eq!(read, ReadLog::read_serially(segments), "{what}");
    read.num_faults
}

#[test]
fn of_real_members() {
    for (case, folder, truth) in corpora("") {
        for member in truth["members"].as_object().into_iter().flatten().map(|(member, _)| member) {
            if let Ok(log) = LogFiles::open(&folder.path().join(member), None) {
                hold(&log.segments(), &format!("{case} {member}"));
            }
        }
    }
}

/// A record as a member writes it, mostly.
fn add_record(log: LogBuilder, random: &mut Random) -> LogBuilder {
    let (term, next) = log.place();
    match random.below(40) {
        0..=19 => log.entry_at(next, b"a request"),
        20..=31 => log.state(next - 1),
        32..=34 => log.empty_entry(),
        35 => log.change(ADD, random.between(7, 9)),
        36 => log.snapshot(next - 1, Some(&[7])),
        37 => log.term(term + 1),
        38 if random.percent(10) => log.entry_at(next + random.below(3), b"after a gap"),
        38 if random.percent(10) => log.entry_at(next.saturating_sub(random.below(3)).max(1), b"again"),
        38 if random.percent(10) => log.term(term.saturating_sub(1).max(1)).state(1),
        _ => log,
    }
}

fn segments(random: &mut Random) -> Vec<(String, Vec<u8>)> {
    let mut log = LogBuilder::new(7).change(ADD, 7);
    let mut written = Vec::new();
    let mut name = FIRST_SEGMENT.to_owned();
    for number in 1..=random.between(1, 4) {
        for _ in 0..random.below(25) {
            log = add_record(log, random);
        }
        let (crc, (term, next)) = (log.crc(), log.place());
        written.push((name, log.bytes()));
        name = format!("{number:016x}-{next:016x}.wal");
        let (node, crc) = match random.below(60) {
            0 => (8, crc),
            1 => (7, crc + 1),
            _ => (7, crc),
        };
        log = LogBuilder::segment(node, crc, next).term(term);
    }
    if random.percent(95) {
        written.last_mut().expect("a segment").1.extend([0; 4096]);
    }
    written
}

#[test]
fn of_made_ones() {
    let mut sound = 0;
    for seed in 0..6000 {
        let random = &mut Random(seed);
        let mut segments = segments(random);
        match random.below(4) {
            0 => {
                let at = random.index(segments.len());
                segments[at].1 = changed(&segments[at].1, random).1;
            }
            1 if random.percent(30) => {
                segments.remove(random.index(segments.len()));
            }
            _ => {}
        }
        let segments: Vec<_> = segments.iter().map(|(name, data)| Segment { name, data }).collect();
        sound += u64::from(hold(&segments, &format!("seed {seed}")) == 0);
    }
    assert!((1000..5000).contains(&sound), "{sound} of them have no fault");
}
