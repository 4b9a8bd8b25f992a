//! A damaged db and a damaged log of one member. The copy proves itself; where the log has all that is missing, it is what the log wrote.
//!
//! The input: bytes of the db, as 4 bytes; the db; and a segment of the log. The copy is written where `TMPDIR` says: best a file system
//! in memory.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use bytes::Bytes;
use etcd_medic::LogFiles;
use etcd_medic_fuzz::log_changes::changed_within;
use etcd_medic_fuzz::member_log::FIRST_SEGMENT;
use etcd_medic_fuzz::random::Random;
use etcd_medic_fuzz::{everything, in_bounds, mutate_file};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

/// Where the log is, as long as this process lives.
static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

/// The db and the segment.
fn parts(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = data.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let Some((db, segment)) = parts(&data[..size]) else { return size };
    let mut random = Random(u64::from(seed));
    let (mut db, mut segment) = (db.to_vec(), segment.to_vec());
    if random.percent(60) {
        let len = db.len();
        let room = max_size.saturating_sub(4 + segment.len()).max(len);
        db.resize(room, 0);
        let len = mutate_file(&mut db, len, room, random.next() as u32);
        db.truncate(len);
    }
    if random.percent(60) {
        segment = changed_within(&segment, 0, &mut random);
        // the zeros after the end need not grow
        let end = segment.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        segment.truncate(end.next_multiple_of(8) + 64);
    }
    let all = [&(db.len() as u32).to_le_bytes()[..], &db, &segment].concat();
    if all.len() > max_size {
        return size;
    }
    data[..all.len()].copy_from_slice(&all);
    all.len()
});

fuzz_target!(|data: &[u8]| {
    let Some((db, segment)) = parts(data) else { return };
    fs::write(FOLDER.path().join(FIRST_SEGMENT), segment).expect("written");
    let log = LogFiles::of_folder(FOLDER.path()).expect("a log");
    let db = Bytes::copy_from_slice(db);
    in_bounds(data.len(), || everything::saved_with_log(&db, &log));
});
