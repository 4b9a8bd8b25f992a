//! Logs made byte by byte: what is read of a sound one, and that whatever lies in one is a fault.

use crate::support::members::unpack;
use etcd_medic::internals::member::fault::MessageError;
use support::member_log::{
    ADD, ADD_LEARNER, CHECKSUM, ENTRY, METADATA, REMOVE, SNAPSHOT, STATE, log_of, numbers, snap,
};

use super::*;

const NODE: u64 = 7;

fn begun() -> LogBuilder {
    LogBuilder::new(NODE).change(ADD, NODE)
}

fn members(log: &Log, committed: u64) -> Option<Vec<u64>> {
    log.members(committed, &[]).map(|members| members.into_iter().collect())
}

#[test]
fn a_sound_log_is_read() {
    let log = read(&log_of(NODE, &[NODE], 9)).expect("sound");
    assert_eq!((log.metadata.node_id, log.metadata.cluster_id), (NODE, 0xc1));
    assert_eq!((log.first_index(), log.last_index(), log.state.commit), (Some(1), 9, 9));
    assert_eq!(log.snapshots.len(), 1);
    assert_eq!(members(&log, 9), Some(vec![NODE]));
    assert_eq!([0, 1, 9, 10].map(|index| log.term_at(index)), [None, Some(3), Some(3), None]);
    // nothing but its head, as of a member that joins
    let log = read(&LogBuilder::new(NODE).last()).expect("sound");
    assert_eq!((log.first_index(), log.last_index(), members(&log, 0)), (None, 0, None));
}

/// What another leader overwrote is gone: its entries, terms and changes.
#[test]
fn a_later_entry_replaces_those_from_its_index_on() {
    let log = begun().entries_to(4).state(4).change(ADD, 8).entries_to(9).term(5);
    let log = read(&log.entry_at(5, b"another").state(5).last()).expect("sound");
    assert_eq!((log.first_index(), log.last_index()), (Some(1), 5));
    assert_eq!((log.term_at(4), log.term_at(5), log.term_at(6)), (Some(3), Some(5), None));
    assert_eq!(members(&log, 5), Some(vec![NODE]));
    // what was committed is never replaced
    let log = begun().entries_to(9).state(5).entry_at(5, b"another").last();
    assert_eq!(kind_of(&log), LogFaultKind::GoesBack { what: "index", from: 9, to: 5 });
}

#[test]
fn who_is_a_member() {
    let of = |log: LogBuilder, committed| members(&read(&log.last()).expect("sound"), committed);
    assert_eq!(of(begun().change(ADD, 8).state(2), 2), Some(vec![NODE, 8]));
    assert_eq!(of(begun().change(ADD_LEARNER, 8).state(2), 2), Some(vec![NODE, 8]));
    assert_eq!(of(begun().change(ADD, 8).change(REMOVE, 8).state(3), 3), Some(vec![NODE]));
    // not committed: who would be added counts, who would be removed still does
    assert_eq!(of(begun().state(1).change(ADD, 8), 1), Some(vec![NODE, 8]));
    assert_eq!(of(begun().change(ADD, 8).state(2).change(REMOVE, 8), 2), Some(vec![NODE, 8]));
    // a snapshot record says all; one of 3.4 says nothing, and the changes before it do
    let at = |voters: Option<&[u64]>| begun().entries_to(5).snapshot(4, voters).state(5);
    assert_eq!(of(at(Some(&[NODE, 8, 9])), 5), Some(vec![NODE, 8, 9]));
    assert_eq!(of(at(None), 5), Some(vec![NODE]));
    // one that was not committed is none
    assert_eq!(of(begun().entries_to(5).snapshot(5, Some(&[NODE, 8])).state(4), 4), Some(vec![NODE]));
}

/// Whose oldest segments were removed: the members are those of a snapshot record; of 3.4, of the `.snap` that it is of.
#[test]
fn a_log_that_begins_later() {
    let segment = |voters: Option<&[u64]>| {
        let log = LogBuilder::segment(NODE, 0x1234, 100).entries_to(120).snapshot(110, voters);
        log.change(ADD, 9).state(121).last()
    };
    let read = |segment: &[u8], name| Log::read(&[Segment { name, data: segment }]);
    let name = "0000000000000005-0000000000000064.wal";
    let log = read(&segment(Some(&[NODE, 8])), name).expect("sound");
    assert_eq!((log.first_index(), log.last_index()), (Some(100), 121));
    assert_eq!(members(&log, 121), Some(vec![NODE, 8, 9]));
    let log = read(&segment(None), name).expect("sound");
    assert_eq!(members(&log, 121), None);
    let snaps = [(110, 2), (111, 3), (110, 3)].map(|(index, term)| {
        etcd_medic::internals::member::snap::parse(&snap(index, term, &[NODE])).expect("a .snap")
    });
    assert_eq!(log.members(121, &snaps[..2]), None, "not of that index and term");
    assert_eq!(log.members(121, &snaps), Some([NODE, 9].into()));
    // that begins behind every snapshot that it names
    let without = LogBuilder::segment(NODE, 0x1234, 100).entries_to(120).state(120).last();
    assert_eq!(
        read(&without, name).expect_err("no beginning").kind,
        LogFaultKind::NoBeginning { first: 100 }
    );
    // a first segment begins with the first entry
    let fault = read(&LogBuilder::new(NODE).entry_at(100, b"").last(), FIRST_SEGMENT).expect_err("a gap");
    assert_eq!(fault.kind, LogFaultKind::Gap { last: 0, found: 100 });
}

/// A snapshot that the leader sent stands for all entries up to it.
#[test]
fn entries_go_on_behind_a_snapshot_that_was_received() {
    let log = begun().entries_to(5).state(5).snapshot(50, Some(&[NODE, 8]));
    let fault = kind_of(&log.clone().entry_at(52, b"").last());
    assert_eq!(fault, LogFaultKind::Gap { last: 5, found: 52 });
    let waiting = read(&log.clone().state(50).last()).expect("sound");
    assert_eq!((waiting.last_index(), waiting.term_at(50)), (50, Some(3)));
    let log = read(&log.entry_at(51, b"").state(51).last()).expect("sound");
    assert_eq!((log.first_index(), log.last_index()), (Some(51), 51));
    assert_eq!(members(&log, 51), Some(vec![NODE, 8]));
}

#[test]
fn segments_follow_each_other() {
    let first = begun().entries_to(9).state(9);
    let second = |node, crc| LogBuilder::segment(node, crc, 10).entries_to(12).state(12);
    let sound = second(NODE, first.crc());
    let (first, crc) = (first.clone().bytes(), first.crc());
    let name = "0000000000000001-000000000000000a.wal";
    let read = |name, second: &[u8]| {
        Log::read(&[Segment { name, data: second }, Segment { name: FIRST_SEGMENT, data: &first }])
    };
    let log = read(name, &sound.clone().last()).expect("in whatever order they are given");
    assert_eq!((log.first_index(), log.last_index()), (Some(1), 12));
    let fault = |name, second: LogBuilder| read(name, &second.last()).expect_err("a fault").kind;
    assert_eq!(fault(name, second(NODE, crc ^ 1)), LogFaultKind::Chain);
    assert_eq!(fault(name, second(NODE + 1, crc)), LogFaultKind::OtherMember);
    let later = "0000000000000002-000000000000000a.wal";
    assert_eq!(fault(later, sound.clone()), LogFaultKind::MissingSegment { expected: 1 });
    assert_eq!(fault("0000000000000001.wal", sound.clone()), LogFaultKind::Name);
    assert_eq!(Log::read(&[]).expect_err("none").kind, LogFaultKind::NoSegments);
    // a segment in the middle has no zeros behind its end; the last one has
    assert_eq!(read(name, &sound.bytes()).expect_err("cut").kind, LogFaultKind::EndNotMarked);
}

#[test]
fn every_number_that_lies_is_a_fault() {
    let wrong = |kind: u64, data: &[u8]| kind_of(&begun().record(kind, Some(data)).last());
    let message = LogFaultKind::Message;
    assert_eq!(wrong(ENTRY, &numbers(&[0, 3, 0])), message(MessageError::Missing("index or term")));
    assert_eq!(wrong(ENTRY, &numbers(&[0, 0, 2])), message(MessageError::Missing("index or term")));
    assert_eq!(wrong(ENTRY, &numbers(&[2, 3, 2])), message(MessageError::Value("entry type")));
    assert_eq!(wrong(ENTRY, &numbers(&[0, 2, 2])), LogFaultKind::GoesBack { what: "term", from: 3, to: 2 });
    for index in [3, 1 << 40, u64::MAX] {
        assert_eq!(wrong(ENTRY, &numbers(&[0, 3, index])), LogFaultKind::Gap { last: 1, found: index });
    }
    assert_eq!(wrong(STATE, &numbers(&[0, 1, 1])), message(MessageError::Missing("term")));
    assert_eq!(wrong(STATE, &numbers(&[3, 1, 2])), LogFaultKind::CommitBeyondEnd { commit: 2, last: 1 });
    let huge = LogFaultKind::CommitBeyondEnd { commit: u64::MAX, last: 1 };
    assert_eq!(wrong(STATE, &numbers(&[3, 1, u64::MAX])), huge);
    let states = |first: [u64; 3], second: [u64; 3]| {
        let log = begun().record(STATE, Some(&numbers(&first))).record(STATE, Some(&numbers(&second)));
        kind_of(&log.last())
    };
    assert_eq!(states([4, 1, 1], [3, 1, 1]), LogFaultKind::GoesBack { what: "term", from: 4, to: 3 });
    assert_eq!(states([4, 1, 1], [4, 1, 0]), LogFaultKind::GoesBack { what: "commit", from: 1, to: 0 });
    assert_eq!(wrong(SNAPSHOT, &numbers(&[5, 0])), message(MessageError::Value("term")));
    assert_eq!(wrong(METADATA, &numbers(&[0, 1])), message(MessageError::Missing("member id")));
    assert_eq!(wrong(METADATA, &numbers(&[NODE, 1])), LogFaultKind::OtherMember);
    assert_eq!(wrong(6, b""), LogFaultKind::RecordType(6));
    assert_eq!(wrong(0, b""), LogFaultKind::RecordType(0));
    assert_eq!(kind_of(&begun().record(CHECKSUM, None).last()), LogFaultKind::NotAtTheHead);
    assert_eq!(
        kind_of(&begun().frame(&numbers(&[ENTRY, 1])).last()).to_string().split(' ').nth(1),
        Some("record's")
    );
    assert_eq!(kind_of(&[0; 4096]), LogFaultKind::Head);
    assert_eq!(kind_of(b""), LogFaultKind::Head);
    let headless = LogBuilder::segment(NODE, 0, 1).bytes().split_off(16);
    assert_eq!(kind_of(&headless), LogFaultKind::Head);
}

/// A log of each kind of record, a new leader's empty entry last: its bytes are also those of a state, but for its type.
fn of_everything() -> Vec<u8> {
    let log = begun().entries_to(4).state(4).snapshot(3, Some(&[NODE])).term(4).empty_entry().state(5);
    log.entries_to(9).empty_entry().bytes()
}

/// A log of real etcd, without most of the zeros behind its end.
fn real(version: &str) -> Vec<u8> {
    let archive = support::testdata(&format!("field/disarm-behind-its-log/etcd-{version}/member.tar.zst"));
    let folder = unpack(&archive);
    let mut bytes = std::fs::read(folder.path().join("member/wal").join(FIRST_SEGMENT)).expect("a segment");
    let len = bytes.iter().rposition(|&byte| byte != 0).expect("a log") + 1;
    bytes.truncate(len.next_multiple_of(8));
    bytes
}

fn logs() -> Vec<(&'static str, Vec<u8>)> {
    vec![("made", of_everything()), ("3.5", real("3.5")), ("3.7", real("3.7"))]
}

/// Cut anywhere, it is never taken for a log that ends there: where the zeros behind the end are cut, nothing is lost.
#[test]
fn a_log_cut_at_any_byte_is_a_fault() {
    for (name, bytes) in logs() {
        let whole = [&bytes[..], &[0; 64]].concat();
        let expected = read(&whole).expect("sound");
        for len in 0..whole.len() {
            match read(&whole[..len]) {
                Err(_) => assert!(len < bytes.len() + 8, "{name}: {len} bytes"),
                Ok(log) => {
                    assert_eq!(log, expected, "{name}: {len} bytes");
                    assert!(len >= bytes.len() + 8, "{name}: {len} of {} bytes", bytes.len());
                }
            }
        }
    }
}

/// Any bit that flips is found, in lengths, types and padding, too, which have no checksum.
#[test]
fn a_log_with_any_byte_changed_is_a_fault() {
    for (name, bytes) in logs() {
        let mut whole = [&bytes[..], &[0; 16]].concat();
        for at in 0..whole.len() {
            let was = whole[at];
            for now in (0..8).map(|bit| was ^ 1 << bit).chain([0, 0xff, was.wrapping_add(1)]) {
                whole[at] = now;
                assert!(now == was || read(&whole).is_err(), "{name}: byte {at}: {was:02x} became {now:02x}");
            }
            whole[at] = was;
        }
        assert!(read(&whole).is_ok());
    }
}

/// Zeros over any stretch, as a disk leaves them: a fault, or a log that etcd, too, takes to end there.
#[test]
fn a_log_with_zeros_in_it_is_a_fault() {
    for (name, bytes) in logs() {
        for at in (0..bytes.len()).step_by(8) {
            for len in [8, 64, 512] {
                let mut zeroed = [&bytes[..], &[0; 16]].concat();
                let end = (at + len).min(bytes.len());
                zeroed[at..end].fill(0);
                let is_at_the_end = bytes[end..].iter().all(|&byte| byte == 0);
                assert!(is_at_the_end || read(&zeroed).is_err(), "{name}: {len} bytes from {at}");
            }
        }
    }
}

/// Frames of real etcd, put in any other order or left out, are no log.
#[test]
fn a_log_whose_frames_were_exchanged_is_a_fault() {
    let bytes = of_everything();
    let mut frames = Vec::new();
    let mut reader = etcd_medic::internals::member::frame::Frames::of(&bytes);
    while let Some(frame) = reader.next_frame().expect("sound") {
        frames.push(&bytes[frame.begin..frame.end]);
    }
    let zeros = [0; 64];
    for one in 0..frames.len() {
        for other in one + 1..frames.len() {
            let mut swapped = frames.clone();
            swapped.swap(one, other);
            assert!(read(&[swapped.concat(), zeros.to_vec()].concat()).is_err(), "{one} and {other}");
        }
        let mut without = frames.clone();
        // the last one may be missing: that is how a log looks that has not got it yet
        without.remove(one);
        let is_last = one + 1 == frames.len();
        assert!(is_last || read(&[without.concat(), zeros.to_vec()].concat()).is_err(), "without {one}");
    }
}
