//! HashKV and the snapshot hash: the rule, against a second and simpler writing of it; real files, against what etcd's
//! own tools say of them; and numbers that lie.
//!
//! `ETCD_MEDIC_CORPORA` names a folder with more real files, as for the tests of `truth.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Write, stderr};
use std::path::Path;

use crate::support::builder::{Entry, FileBuilder, bucket, inline_bucket, plain};
use crate::support::corpus::Corpus;
use crate::support::{etcd_file, fixture, fixture_text, names_in, testdata};
use etcd_medic::internals::bolt::Db;
use etcd_medic::internals::etcd::RevisionError;
use etcd_medic::internals::etcd::hash::{hash_kv, hash_kv_of};
use etcd_medic::internals::etcd::kept::Kept;
use etcd_medic::internals::etcd::schema::State;
use etcd_medic::internals::etcd::{RecordKey, Revision};
use etcd_medic::internals::hash::{HashError, Hashes};
use serde_json::Value;

fn hashes(db: &Db, revision: i64) -> Result<Hashes, HashError> {
    etcd_medic::internals::hash::hashes(db, &State::read(db), revision, &|_| {})
}

/// Hash, revision and compact revision; the same by the library's shorter way.
fn hash_kv_at(db: &Db, revision: i64) -> (u32, i64, i64) {
    let found = hashes(db, revision).expect("a revision of the file").hash_kv.expect("an etcd file");
    let state = State::read(db);
    let key_bucket = state.key_bucket.as_ref().expect("a key bucket");
    assert_eq!(hash_kv(db, key_bucket, found.compact_revision, found.revision), found.hash, "{revision}");
    if revision == 0 {
        assert_eq!(hash_kv_of(db, &state), Some(found.hash));
    }
    (found.hash, found.revision, found.compact_revision)
}

/// Files made by hand, whose records are all known.
mod rule {
    use super::*;

    /// One change: when, of which key, and whether it is a deletion.
    type Change = (Revision, u8, bool);

    /// A file of these changes, in leaves of `per_leaf` records (inline, where that is 0), and with these marks of
    /// compaction in its meta bucket.
    fn file_of(changes: &[Change], per_leaf: usize, marks: &[(&str, i64)]) -> Db {
        let records: Vec<_> = changes.iter().map(record).collect();
        let mut file = FileBuilder::new(1024);
        let key = if per_leaf == 0 || changes.is_empty() {
            inline_bucket("key", &records)
        } else {
            let leaves: Vec<_> =
                records.chunks(per_leaf).map(|part| (part[0].key.clone(), file.leaf(part))).collect();
            bucket("key", if let [(_, only)] = leaves[..] { only } else { file.branch(&leaves) })
        };
        let marks: Vec<_> =
            marks.iter().map(|(name, main)| plain(name, etcd_file::revision(*main))).collect();
        let root = file.leaf(&[key, inline_bucket("meta", &marks)]);
        file.root(root);
        Db::new(file.bytes()).expect("a db")
    }

    fn record(&(revision, key, tombstone): &Change) -> Entry {
        let Revision { main, sub } = revision;
        let mut entry = match tombstone {
            true => etcd_file::tombstone(main, &[b'/', key]),
            false => etcd_file::put(main, &[b'/', key], main, 1, &vec![key; usize::from(key)], 0),
        };
        entry.key[9..17].copy_from_slice(&sub.to_be_bytes());
        entry
    }

    /// A history of transactions of one to four changes of few keys, the same for the same seed.
    fn history(seed: u64, transactions: i64) -> Vec<Change> {
        let mut state = seed;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % below
        };
        let (mut live, mut changes) = (BTreeSet::new(), Vec::new());
        for main in 2..2 + transactions {
            let keys: BTreeSet<_> = (0..=next(4)).map(|_| b'a' + next(12) as u8).collect();
            for (sub, key) in (0..).zip(keys) {
                // only what exists can be deleted
                let tombstone = next(3) == 0 && live.remove(&key);
                if !tombstone {
                    live.insert(key);
                }
                changes.push((Revision { main, sub }, key, tombstone));
            }
        }
        changes
    }

    /// Each key's newest change up to a revision.
    fn newest_at(changes: &[Change], revision: i64) -> BTreeMap<u8, Change> {
        let past = changes.iter().filter(|(at, ..)| at.main <= revision);
        past.map(|change| (change.1, *change)).collect()
    }

    /// What a compaction leaves.
    fn compacted(changes: &[Change], at: i64, keeps_tombstones_there: bool) -> Vec<Change> {
        let newest = newest_at(changes, at);
        let stays = |change: &&Change| {
            let &&(revision, key, tombstone) = change;
            let is_newest = newest.get(&key).is_some_and(|newest| newest.0 == revision);
            let kept = is_newest && (!tombstone || keeps_tombstones_there && revision.main == at);
            revision.main > at || kept
        };
        changes.iter().filter(stays).copied().collect()
    }

    /// HashKV as etcd's source has it, record by record, of a file whose compaction is finished.
    fn expected(changes: &[Change], compact_revision: i64, revision: i64) -> u32 {
        let newest = newest_at(changes, revision);
        let keep: BTreeSet<_> = newest.values().filter(|change| !change.2).map(|change| change.0).collect();
        let mut hash = crc32c::crc32c(b"key");
        for change @ &(at, _, tombstone) in changes {
            let gone = at.main <= compact_revision && !keep.is_empty() && !keep.contains(&at);
            if at.main > revision || gone || (tombstone && at.main == compact_revision) {
                continue;
            }
            let Entry { key, value, .. } = record(change);
            hash = crc32c::crc32c_append(crc32c::crc32c_append(hash, &key), &value);
        }
        hash
    }

    #[test]
    fn every_revision_of_every_compaction() {
        const FINISHED: [&str; 2] = ["finishedCompactRev", "scheduledCompactRev"];
        for seed in 0..6 {
            let all = history(seed, 24);
            for per_leaf in [0, 1, 7] {
                for at in [-1, 2, 3, 9, 17, 24, 25] {
                    let marks: Vec<_> = FINISHED.iter().filter(|_| at > 0).map(|&name| (name, at)).collect();
                    let newer = compacted(&all, at, true);
                    let older = compacted(&all, at, false);
                    // cut short: the compaction is scheduled, and some of it done
                    let halfway: Vec<_> = all
                        .iter()
                        .filter(|change| change.0.main > at / 2 || newer.contains(change))
                        .copied()
                        .collect();
                    let files = [
                        (&newer, &marks[..]),
                        (&older, &marks[..]),
                        (&halfway, &marks[marks.len().min(1)..]),
                    ];
                    for (changes, marks) in files {
                        let db = file_of(changes, per_leaf, marks);
                        let what = format!("seed {seed}, {per_leaf} a leaf, compacted at {at} {marks:?}");
                        for revision in at.max(1)..=25 {
                            let expected = (expected(&older, at, revision), revision, at);
                            assert_eq!(hash_kv_at(&db, revision), expected, "{what}");
                        }
                        assert_eq!(hash_kv_at(&db, 0), hash_kv_at(&db, 25), "{what}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_kept_is_what_a_compaction_leaves() {
        for seed in 0..6 {
            let all = history(seed, 24);
            let db = file_of(&all, 5, &[]);
            let state = State::read(&db);
            for at in 1..=26 {
                let kept = Kept::at(&db, state.key_bucket.as_ref().expect("a key bucket"), at);
                let mut left = Vec::new();
                etcd_medic::internals::bolt::entries::for_each_entry(
                    &db,
                    state.key_bucket.as_ref().expect("one"),
                    |entry| {
                        let place = RecordKey::parse(entry.key).expect("a revision");
                        left.extend(kept.contains(place, entry.value).then_some(place.revision));
                    },
                );
                let expected: Vec<_> = compacted(&all, at, true).iter().map(|change| change.0).collect();
                assert_eq!(left, expected, "seed {seed}, at {at}");
                let live = newest_at(&all, at).values().filter(|change| !change.2).count() as u64;
                assert_eq!(kept.num_keys(), live, "seed {seed}, at {at}");
                assert_eq!(kept.newest(), if at < 2 { 0 } else { at.min(25) }, "seed {seed}");
            }
        }
    }

    /// `/a` put at 2 and 5, `/b` put at 3, deleted at 4 and made anew at 6: compacted at 4, its tombstone there.
    #[test]
    fn one_by_hand() {
        let at = |main| Revision { main, sub: 0 };
        let changes = [(at(2), b'a', false), (at(4), b'b', true), (at(5), b'a', false), (at(6), b'b', false)];
        let db = file_of(&changes, 2, &[("finishedCompactRev", 4)]);
        let of = |taken: &[usize]| {
            let mut bytes = b"key".to_vec();
            for &number in taken {
                let Entry { key, value, .. } = record(&changes[number]);
                bytes.extend([key, value].concat());
            }
            crc32c::crc32c(&bytes)
        };
        assert_eq!(hash_kv_at(&db, 4), (of(&[0]), 4, 4), "its tombstone is there, and left out");
        assert_eq!(hash_kv_at(&db, 5), (of(&[2]), 5, 4), "the first record is no longer the newest");
        assert_eq!(hash_kv_at(&db, 6), (of(&[2, 3]), 6, 4));
        let status = hashes(&db, 4).expect("hashes").snapshot_status;
        assert_eq!((status.revision, status.total_key, status.total_entries), (6, 2, 5), "not those at 4");
    }

    /// No key is left at revision 4: nothing is kept there, and etcd then takes what the compaction left, whether it is
    /// finished or not.
    #[test]
    fn where_no_key_exists() {
        let at = |main| Revision { main, sub: 0 };
        let all = [(at(2), b'a', false), (at(3), b'a', false), (at(4), b'a', true)];
        let hash_of = |changes: &[Change]| {
            let records = changes.iter().map(record).flat_map(|entry| [entry.key, entry.value]);
            crc32c::crc32c(&[b"key".to_vec(), records.collect::<Vec<_>>().concat()].concat())
        };
        let finished = file_of(&all[1..], 2, &[("finishedCompactRev", 3)]);
        let scheduled = file_of(&all, 2, &[("scheduledCompactRev", 3)]);
        for db in [&finished, &scheduled] {
            assert_eq!(hash_kv_at(db, 3), (hash_of(&all[1..2]), 3, 3));
            assert_eq!(hash_kv_at(db, 4), (hash_of(&all[1..]), 4, 3));
        }
        let never = file_of(&all, 2, &[]);
        assert_eq!(hash_kv_at(&never, 4), (hash_of(&all), 4, -1));
        for left in [&all[..], &all[2..], &[]] {
            let gone = file_of(left, 2, &[("scheduledCompactRev", 4)]);
            assert_eq!(hash_kv_at(&gone, 4), (hash_of(&[]), 4, 4));
        }
    }

    #[test]
    fn revisions_out_of_reach_are_named() {
        let changes = history(1, 20);
        let db = file_of(&compacted(&changes, 9, true), 4, &[("scheduledCompactRev", 9)]);
        let (compact_revision, current_revision) = (9, 21);
        for asked in [i64::MIN, -1, 1, 8] {
            let error =
                HashError::from(RevisionError::Compacted { asked, compact_revision, current_revision });
            assert_eq!(hashes(&db, asked), Err(error));
            assert!(error.to_string().contains("the compact revision is 9"), "{error}");
        }
        for asked in [22, i64::MAX] {
            let error = RevisionError::Future { asked, compact_revision, current_revision };
            assert_eq!(hashes(&db, asked), Err(error.into()));
        }
        let other = Db::new(fixture("bolt/nested.db")).expect("a db");
        assert_eq!(hashes(&other, 1), Err(HashError::NoRevisions));
        assert_eq!(hashes(&other, 0).map(|hashes| hashes.hash_kv), Ok(None));
    }

    /// Of an etcd that was just made: no record, no mark, revision 1.
    #[test]
    fn an_empty_etcd() {
        let db = file_of(&[], 0, &[]);
        assert_eq!(hash_kv_at(&db, 0), (crc32c::crc32c(b"key"), 1, -1));
        assert_eq!(hash_kv_at(&db, 1), hash_kv_at(&db, 0));
        assert_eq!(hashes(&db, 0).expect("hashes").snapshot_status.revision, 0);
    }

    /// All that there was is deleted, and the compaction took even the tombstones: etcd goes on from its revision.
    #[test]
    fn a_compaction_above_all_records() {
        let changes = history(2, 10);
        for at in [12, 1000, i64::MAX] {
            let db = file_of(&changes, 3, &[("finishedCompactRev", at)]);
            assert_eq!(hash_kv_at(&db, 0), (expected(&compacted(&changes, at, false), at, at), at, at));
            assert!(hashes(&db, 11).is_err(), "{at}");
        }
    }

    #[test]
    fn revisions_that_lie() {
        let changes = history(3, 10);
        // a mark that is no revision counts as none, as a negative one does
        for mark in [-1, i64::MIN] {
            let db = file_of(&changes, 3, &[("finishedCompactRev", mark), ("scheduledCompactRev", mark)]);
            assert_eq!(hash_kv_at(&db, 0), (expected(&changes, -1, 11), 11, -1));
        }
        // a record of a negative revision stands last, as its first bit is set
        let mut lying = changes.clone();
        lying.push((Revision { main: -7, sub: 0 }, b'z', false));
        let found = hashes(&file_of(&lying, 3, &[]), 0).expect("hashes");
        assert_eq!((found.sound, found.readable), (false, true));
        assert_eq!(found.hash_kv.map(|it| (it.hash, it.revision)), Some((expected(&changes, -1, 11), 11)));
        // and the largest of all
        let mut large = changes.clone();
        large.push((Revision { main: i64::MAX, sub: i64::MAX }, b'z', true));
        assert_eq!(hash_kv_at(&file_of(&large, 3, &[]), 0).1, i64::MAX);
        let at_most = file_of(&large, 3, &[("finishedCompactRev", i64::MAX)]);
        assert_eq!(
            hash_kv_at(&at_most, 0).0,
            expected(&compacted(&large, i64::MAX, false), i64::MAX, i64::MAX)
        );
    }
}

/// What can't be read makes the hashes worth nothing, and they say so.
mod damage {
    use super::*;

    #[track_caller]
    fn faults(file: &FileBuilder) -> u64 {
        let found = hashes(&Db::new(file.bytes()).expect("a db"), 0).expect("hashes");
        assert_eq!(found.sound, found.num_faults == 0);
        assert!(found.hash_kv.is_some());
        found.num_faults
    }

    #[test]
    fn each_kind_is_counted() {
        let small = etcd_file::small();
        assert_eq!(faults(&small), 0);
        let mut page = small.clone();
        page.header(2).id.set(99);
        assert_eq!(faults(&page), 1, "a leaf that says it is another");
        let mut key = small.clone();
        key.entry_bytes(2, 1)[8] = b'-';
        assert_eq!(faults(&key), 1, "no revision");
        let mut value = small.clone();
        value.entry_bytes(2, 0)[17] = 0x12;
        assert_eq!(faults(&value), 1, "no KeyValue");
        let mut meta = small.clone();
        meta.meta_unsealed(0, |meta| meta.txid.set(1));
        assert_eq!(faults(&meta), 1, "a meta, although the other one is the newer");
    }

    /// A page in two places: who gets it does not depend on which thread comes first.
    #[test]
    fn a_page_that_is_reached_twice() {
        let mut file = etcd_file::small();
        let pages: Vec<u64> = (2..file.num_pages()).collect();
        let branch = pages.into_iter().find(|&page| file.header(page).flags.get() == 1).expect("a branch");
        let first = file.branch_element(branch, 0).page;
        file.branch_element(branch, 2).page = first;
        let db = Db::new(file.bytes()).expect("a db");
        let once = hashes(&db, 0).expect("hashes");
        assert!(!once.sound);
        for _ in 0..20 {
            assert_eq!(hashes(&db, 0).as_ref(), Ok(&once));
        }
    }
}

/// etcd's own tools have said what each hash is.
mod truth {
    use super::*;

    #[test]
    fn small_files_of_etcd() {
        let mut compared = 0;
        for folder in ["etcd-3.4", "etcd-3.5"] {
            for name in names_in(folder, ".truth.json") {
                let truth: Value =
                    serde_json::from_str(&fixture_text(&format!("{folder}/{name}.truth.json")))
                        .expect("JSON");
                for (file, figures) in truth["files"].as_object().expect("files") {
                    let db = Db::new(fixture(&format!("{folder}/{file}"))).expect("a db");
                    let found = hashes(&db, 0).expect("hashes");
                    assert!(found.sound, "{file}");
                    let status = &found.snapshot_status;
                    let said = &figures["snapshot_status"];
                    assert_eq!(Some(u64::from(status.hash)), said["hash"].as_u64(), "{file}");
                    assert_eq!(Some(status.revision), said["revision"].as_i64(), "{file}");
                    // these versions count the entries of all buckets
                    assert_eq!(Some(status.total_entries), said["totalKey"].as_u64(), "{file}");
                    assert_eq!(Some(status.total_size), said["totalSize"].as_u64(), "{file}");
                    let live = truth["keys"]["kvs"].as_array().expect("keys").len() as u64;
                    assert_eq!(status.total_key, live, "{file}");
                    compared += hash_kv_in(&db, file, &truth);
                }
            }
        }
        assert_eq!(compared, 20 + 68, "at the current revision, and at others");
    }

    /// How many hashes were compared. One is `null` where that version of etcd refused the revision.
    fn hash_kv_in(db: &Db, file: &str, truth: &Value) -> usize {
        let of = |said: &Value| {
            let said = &said[0]["HashKV"];
            (
                said["hash"].as_u64().expect("a hash") as u32,
                said["compact_revision"].as_i64().expect("a revision"),
            )
        };
        let (hash, revision, compact_revision) = hash_kv_at(db, 0);
        assert_eq!((hash, compact_revision), of(&truth["hashkv"]), "{file}");
        assert_eq!(Some(revision), truth["revision"].as_i64(), "{file}");
        let at = truth["hashkv_at"].as_object().expect("revisions");
        let at: Vec<_> = at.iter().filter(|(_, said)| !said.is_null()).collect();
        for (revision, said) in &at {
            let revision = revision.parse().expect("a revision");
            let (hash, _, compact_revision) = hash_kv_at(db, revision);
            assert_eq!((hash, compact_revision), of(said), "{file} at {revision}");
        }
        1 + at.len()
    }

    #[test]
    fn the_corpora_of_testdata() {
        let corpora = Corpus::all_in(&testdata(""));
        assert_eq!(corpora.iter().map(compare).sum::<usize>(), 5, "files");
    }

    #[test]
    fn the_large_corpora() {
        let Some(folder) = std::env::var_os("ETCD_MEDIC_CORPORA") else {
            let _ = writeln!(
                stderr(),
                "LEFT OUT: the large corpora. ETCD_MEDIC_CORPORA=FOLDER names where they are"
            );
            return;
        };
        let corpora = Corpus::all_in(Path::new(&folder));
        assert!(corpora.iter().map(compare).sum::<usize>() > 0, "no truth.json");
    }

    fn compare(corpus: &Corpus) -> usize {
        for (name, truth) in &corpus.truth.files {
            let path = corpus.folder.join(name).display().to_string();
            let file = corpus.file(name);
            let db = etcd_medic::open(file.path()).expect("opened").db;
            let found = hashes(&db, 0).expect("hashes");
            assert!(found.sound, "{path}");
            let status = &found.snapshot_status;
            assert_eq!(status.hash, truth.status_hash, "{path}");
            assert_eq!((status.revision, status.total_key), (truth.revision, truth.keys), "{path}");
            let expected = (truth.hashkv, truth.hashkv_revision, truth.compact_revision);
            assert_eq!(hash_kv_at(&db, 0), expected, "{path}");
            let mut compared = 0;
            for (revision, said) in &corpus.truth.hashkv_at {
                // The running etcd remembers what it hashed when it compacted, from the compact revision before on:
                // of records that are gone since.
                if said.compact_revision == truth.compact_revision {
                    let (hash, ..) = hash_kv_at(&db, *revision);
                    assert_eq!(hash, said.hash, "{path} at {revision}");
                    compared += 1;
                }
            }
            assert!(compared >= 4, "{path}");
        }
        corpus.truth.files.len()
    }
}
