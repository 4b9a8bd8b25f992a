//! A db that has the effect of more entries than it says, as etcd 3.5.0 to 3.5.5 could leave it: refused where that can be known, and no
//! other db is.

use std::fs;
use std::io::{Write, stderr};
use std::path::Path;

use etcd_medic::internals::etcd::schema::State;
use etcd_medic::{Lock, LogFiles, Progress, ReplayReport, ReplayRequest, Until};

use super::replayed::{Recorded, recorded};
use crate::support::content::contents;
use crate::support::etcd_file::{self, MEMBER};
use crate::support::member_log::{ADD, FIRST_SEGMENT, LogBuilder};
use crate::support::memory::{self, Tree};
use crate::support::program::{folder_of, run};
use crate::support::random::Random;
use crate::support::requests::{put, request};

/// Points of each log, and by how many entries each is said to be before.
const POINTS: usize = 4;
const BEHIND: [u64; 5] = [0, 1, 2, 7, 30];

fn replayed(base: &Path, log: &LogFiles, index: u64, target: Option<&Path>) -> ReplayReport {
    let file = etcd_medic::open_with(base, &Lock::None.into(), Progress::SILENT).expect("a db");
    let mut request = target.map_or_else(ReplayRequest::dry, ReplayRequest::to);
    request.until = Until::Index(index);
    file.replay(log, &request, Progress::SILENT).unwrap_or_else(|error| panic!("{index}: {error}"))
}

/// The same db, which says that it is at another entry.
fn said_to_be_at(db: &[u8], index: u64, term: u64) -> Vec<u8> {
    let db = memory::open(db.to_vec());
    let has_term = State::read(&db).term.is_some();
    let mut tree = Tree::of(&contents(&db));
    let meta = tree.number("meta");
    for (key, value) in [("consistent_index", index), ("term", term)] {
        if key != "term" || has_term {
            tree.take(meta, key);
            tree.put(meta, key, value.to_be_bytes());
        }
    }
    tree.file(4096)
}

#[test]
fn effects_beyond_the_index_are_refused() {
    let (mut refused, mut unknown, mut right) = (0, 0, 0);
    let mut random = Random(7);
    for Recorded { name, folder, at } in recorded().iter().filter(|log| !log.name.starts_with("auth")) {
        let base = folder.path().join("base.db");
        let log = LogFiles::open(&folder.path().join("m1"), None).expect("a log");
        let first = replayed(&base, &log, log.read().log.last_index(), None).from.index;
        for number in 0..POINTS {
            let truth = &at[random.below(at.len() as u64) as usize];
            let index = truth["index"].as_u64().expect("an index");
            let path = folder.path().join(format!("{number}-{index}.db"));
            let whole = replayed(&base, &log, index, Some(&path));
            let bytes = fs::read(&path).expect("a db");
            for said in BEHIND.into_iter().filter_map(|behind| index.checked_sub(behind)) {
                if said < first {
                    continue;
                }
                let there = replayed(&base, &log, said, None).to;
                let changed = folder.path().join(format!("{number}-{index}-{said}.db"));
                fs::write(&changed, said_to_be_at(&bytes, said, there.term)).expect("written");
                let file =
                    etcd_medic::open_with(&changed, &Lock::None.into(), Progress::SILENT).expect("a db");
                let found = file.compare_with_log(&log, None).expect("compared");
                let replay = file.replay(&log, &ReplayRequest::dry(), Progress::SILENT);
                let of = format!("{name}: at {index}, says {said}: {:?}", found.effects_beyond);
                let Some(last) = found.effects_beyond else {
                    let is_right = there.revision == whole.to.revision;
                    *(if is_right { &mut right } else { &mut unknown }) += 1;
                    assert!(replay.is_ok() || !is_right, "{of}: {replay:?}");
                    fs::remove_file(&changed).expect("removed");
                    continue;
                };
                refused += 1;
                assert!(said < last && last <= index, "{of}");
                assert_eq!(replayed(&base, &log, last, None).to.revision, whole.to.revision, "{of}");
                assert_eq!((found.differing.len(), found.uncertain_records), (0, 0), "{of}: {found:?}");
                let error = replay.expect_err("would be applied twice").to_string();
                assert!(
                    error.contains(&format!("up to {said}, and it has that of entries up to {last}")),
                    "{error}"
                );
                if number == 0 {
                    let [db, wal] = [&changed, &log.folder].map(|path| path.to_str().expect("UTF-8"));
                    let ran = run(["check", "--wal-dir", wal, db]);
                    assert!(ran.code == 1 && ran.out.contains("effects-beyond-index"), "{of}: {}", ran.out);
                }
                fs::remove_file(&changed).expect("removed");
            }
            fs::remove_file(&path).expect("removed");
        }
    }
    writeln!(stderr(), "{refused} refused, {unknown} not known, {right} as they say").expect("written");
    // what was compacted up to the newest revision, or is the same again and again, leaves nothing to tell by
    assert!(unknown * 10 <= refused, "{unknown} are not known, {refused} are");
}

/// A client that writes the same again and again: the newest revision is as the next entry's, and that shows nothing.
#[test]
fn the_same_again_is_no_sign() {
    let mut tree = Tree::of(&contents(&memory::open(etcd_file::small().bytes())));
    for name in ["key", "lease", "alarm"] {
        tree.clear(tree.number(name));
    }
    let meta = tree.number("meta");
    for key in ["consistent_index", "scheduledCompactRev", "finishedCompactRev"] {
        tree.take(meta, key);
    }
    tree.put(meta, "consistent_index", 1_u64.to_be_bytes());
    let puts = [(b"a", b"1"), (b"b", b"2")].map(|(key, value)| request(4, &put(key, value, 0), b""));
    let log = LogBuilder::new(MEMBER).change(ADD, MEMBER);
    let log = (2..30).fold(log, |log, index| log.entry_at(index, &puts[index as usize % 2])).state(29).last();
    let wal = format!("data/member/wal/{FIRST_SEGMENT}");
    let folder = folder_of(&[("first.db", &tree.file(4096)), (&wal, &log)]);
    let log = LogFiles::open(&folder.path().join("data"), None).expect("a log");
    for index in 2..29 {
        let path = folder.path().join(format!("{index}.db"));
        replayed(&folder.path().join("first.db"), &log, index, Some(&path));
        assert_eq!(replayed(&path, &log, 29, None).to.revision, 29, "from {index}");
    }
}
