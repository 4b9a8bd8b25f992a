//! Records in pages that nothing refers to: what is found, what is not believed, and that lies cost nothing.

use std::time::{Duration, Instant};

use etcd_medic::internals::bolt::Db;
use etcd_medic::internals::etcd::RevisionError;
use etcd_medic::internals::etcd::find::{Origin, for_each_lost};
use etcd_medic::internals::etcd::schema::State;
use etcd_medic::internals::travel::history::history;
use etcd_medic::internals::travel::keys::deleted;
use etcd_medic::internals::travel::{SearchIn, Select, TravelError, at};

use super::support::builder::{Entry, FileBuilder, bucket, inline_bucket, plain};
use super::support::etcd_file::{put, revision, tombstone};

const PAGE: u32 = 1024;

/// (revision, key, origin) of all that is found beside the live tree, sorted.
fn lost(file: &FileBuilder) -> Vec<(i64, String, Origin)> {
    let db = Db::new(file.bytes()).expect("a db");
    let mut found = Vec::new();
    for_each_lost(
        &db,
        |_| true,
        |record| {
            let key = String::from_utf8(record.kv.key.to_vec()).expect("text");
            found.push((record.place.revision.main, key, record.origin));
        },
    );
    found.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    found
}

fn free(records: &[(i64, &str)]) -> Vec<(i64, String, Origin)> {
    records.iter().map(|&(main, key)| (main, key.to_owned(), Origin::Free)).collect()
}

fn value(main: i64, key: &str, bytes: usize) -> Entry {
    put(main, key.as_bytes(), main, 1, &vec![b'v'; bytes], 0)
}

/// A live tree of one leaf: `/live` of revision 9. Its page is the first behind the metas.
fn with_live_tree(file: &mut FileBuilder) {
    let leaf = file.leaf(&[value(9, "/live", 20)]);
    let root =
        file.leaf(&[bucket("key", leaf), inline_bucket("meta", &[plain("finishedCompactRev", revision(8))])]);
    file.root(root);
}

/// The live tree, and behind it a leaf that nothing refers to. Gives its page.
fn with_free_leaf(records: &[Entry]) -> (FileBuilder, u64) {
    let mut file = FileBuilder::new(PAGE);
    with_live_tree(&mut file);
    let page = file.leaf(records);
    (file, page)
}

fn three() -> [Entry; 3] {
    [value(3, "/a", 30), value(4, "/b", 30), tombstone(5, b"/a")]
}

#[test]
fn a_leaf_that_nothing_refers_to_is_found() {
    let (file, _) = with_free_leaf(&three());
    assert_eq!(lost(&file), free(&[(3, "/a"), (4, "/b"), (5, "/a")]));
    let db = Db::new(file.bytes()).expect("a db");
    let state = State::read(&db);
    let gone = deleted(&db, &state, Select::Prefix(b""));
    let rows: Vec<_> = gone
        .iter()
        .map(|row| (row.key.to_string(), row.deleted_at, row.recoverable.map(|put| put.mod_revision)))
        .collect();
    assert_eq!(rows, [("/a".to_owned(), Some(5), Some(3)), ("/b".to_owned(), None, Some(4))]);
    let known = history(&db, &state, Origin::Live, b"/a");
    assert!(!known.exists && known.records.iter().map(|row| row.change).eq(["put", "delete"]));
    let keys = |from, rev| at(&db, &state, from, rev, Select::Prefix(b"/")).map(|answer| answer.found.len());
    assert_eq!(
        (keys(SearchIn::Live, None), keys(SearchIn::Free, None), keys(SearchIn::Any, None)),
        (Ok(1), Ok(2), Ok(3))
    );
    assert_eq!(keys(SearchIn::Free, Some(3)), Ok(1), "at or below the revision");
    assert!(matches!(
        keys(SearchIn::Live, Some(7)),
        Err(TravelError::Revision(RevisionError::Compacted {
            asked: 7,
            compact_revision: 8,
            current_revision: 9
        }))
    ));
    assert!(matches!(
        keys(SearchIn::Live, Some(10)),
        Err(TravelError::Revision(RevisionError::Future { current_revision: 9, .. }))
    ));
}

#[test]
fn what_the_older_root_reaches_is_told_apart() {
    let (mut file, leaf) = with_free_leaf(&three());
    let older = file.leaf(&[bucket("key", leaf)]);
    file.leaf(&[value(2, "/c", 10)]);
    file.meta(0, |meta| meta.root.root.set(older));
    let found = lost(&file);
    let origins: Vec<_> = found.iter().map(|(main, _, origin)| (*main, *origin)).collect();
    let expected =
        [(2, Origin::Free), (3, Origin::OlderRoot), (4, Origin::OlderRoot), (5, Origin::OlderRoot)];
    assert_eq!(origins, expected);
    let db = Db::new(file.bytes()).expect("a db");
    let state = State::read(&db);
    let answer = at(&db, &state, SearchIn::OlderRoot, None, Select::Prefix(b"")).expect("an older root");
    assert!(answer.found.iter().map(|found| found.kv.key).eq([b"/b"]), "/a was deleted there");
    // the same without that meta: its leaf is a free one
    file.meta_unsealed(0, |meta| meta.checksum.set(1));
    assert!(lost(&file).iter().all(|(.., origin)| *origin == Origin::Free));
    let db = Db::new(file.bytes()).expect("a db");
    let refused = at(&db, &State::read(&db), SearchIn::OlderRoot, None, Select::Prefix(b""));
    assert_eq!(refused.err(), Some(TravelError::NoOlderRoot));
}

#[test]
fn an_almost_empty_key_bucket_lies_in_old_roots() {
    let mut file = FileBuilder::new(PAGE);
    with_live_tree(&mut file);
    let old = [inline_bucket("alarm", &[]), inline_bucket("key", &three()), bucket("lease", 3)];
    let page = file.leaf(&old);
    assert_eq!(lost(&file), free(&[(3, "/a"), (4, "/b"), (5, "/a")]));
    file.meta(0, |meta| meta.root.root.set(page));
    assert!(lost(&file).iter().filter(|(.., origin)| *origin == Origin::OlderRoot).count() == 3);
    *file.inline_header(page, 1) = {
        let mut header = *file.inline_header(page, 1);
        header.count.set(u16::MAX);
        header
    };
    assert_eq!(lost(&file), [], "a table that does not fit");
}

/// One number of the free leaf lies: what is still found.
#[test]
fn single_lies_cost_what_they_touch() {
    type Lie = fn(&mut FileBuilder, u64);
    let all = &[3, 4, 5][..];
    let lies: [(&str, Lie, &[i64]); 13] = [
        ("another page's id", |file, page| file.header(page).id.set(77), &[]),
        ("two bits of flags", |file, page| file.header(page).flags.set(0x03), &[]),
        ("a branch", |file, page| file.header(page).flags.set(0x01), &[]),
        ("no elements", |file, page| file.header(page).count.set(0), &[]),
        ("more elements than fit", |file, page| file.header(page).count.set(u16::MAX), &[]),
        ("more overflow than the file has", |file, page| file.header(page).overflow.set(u32::MAX), all),
        ("an element far away", |file, page| file.leaf_element(page, 0).pos.set(u32::MAX), &[4, 5]),
        ("a key of 16 bytes", |file, page| file.leaf_element(page, 1).key_size.set(16), &[3, 5]),
        ("a value past the page", |file, page| file.leaf_element(page, 2).value_size.set(u32::MAX), &[3, 4]),
        (
            "a value that overlaps the next",
            |file, page| {
                let size = file.leaf_element(page, 0).value_size.get() + 1;
                file.leaf_element(page, 0).value_size.set(size);
            },
            &[5],
        ),
        ("flags of an element", |file, page| file.leaf_element(page, 1).flags.set(2), &[3, 5]),
        ("another revision than its value says", |file, page| file.entry_bytes(page, 0)[7] = 2, &[4, 5]),
        ("a value that is no record", |file, page| file.entry_bytes(page, 1)[17] = 0xff, &[3, 5]),
    ];
    for (name, lie, expected) in lies {
        let (mut file, page) = with_free_leaf(&three());
        lie(&mut file, page);
        let revisions: Vec<_> = lost(&file).into_iter().map(|(main, ..)| main).collect();
        assert_eq!(revisions, expected, "{name}");
    }
}

/// A leaf of several pages was freed, and its later pages were written anew: its values that ran over these are gone,
/// though they still look like records.
#[test]
fn a_value_that_was_overwritten_is_not_believed() {
    let big = [value(3, "/a", 30), value(4, "/b", 3000), value(5, "/c", 30)];
    let (mut file, page) = with_free_leaf(&big);
    assert_eq!(lost(&file), free(&[(3, "/a"), (4, "/b"), (5, "/c")]), "whole");
    assert_eq!(file.header(page).overflow.get(), 3);
    // another leaf on its third page
    let newer = file.leaf(&[value(7, "/d", 10)]);
    let mut bytes = file.bytes();
    let (size, from, to) =
        (PAGE as usize, newer as usize * PAGE as usize, (page as usize + 2) * PAGE as usize);
    bytes.copy_within(from..from + size, to);
    bytes[to..to + 8].copy_from_slice(&(page + 2).to_le_bytes());
    let db = Db::new(bytes).expect("a db");
    let mut revisions = Vec::new();
    for_each_lost(&db, |_| true, |record| revisions.push(record.place.revision.main));
    assert_eq!(revisions, [3, 7, 7], "/a, and the newer leaf twice; neither /b nor /c, which lies behind it");
}

/// The live tree claims pages that it does not need, and a record lies past the high water mark: both are looked at.
#[test]
fn neither_overflow_nor_high_water_mark_hides_a_page() {
    let (mut file, page) = with_free_leaf(&three());
    // the live leaf's overflow covers the root, and all behind it
    let overflow = u32::try_from(page).expect("small") - 2;
    file.header(2).overflow.set(overflow);
    assert!(lost(&file).len() >= 3, "{:?}", lost(&file));
    file.header(2).overflow.set(0);
    file.metas(|meta| meta.high_water_mark.set(page));
    assert_eq!(lost(&file).len(), 3);
    // cut short in its last page: what is whole is found
    let (mut file, page) = with_free_leaf(&[value(3, "/a", 30), value(4, "/b", 3000)]);
    file.truncate((page as usize + 1) * PAGE as usize + 500);
    assert_eq!(lost(&file), free(&[(3, "/a")]));
}

/// Each page says that it is a leaf of 65,535 elements that runs to the end of the file.
#[test]
fn lies_take_no_more_time_than_the_file_has_pages() {
    let mut file = FileBuilder::new(PAGE);
    with_live_tree(&mut file);
    let mut bytes = file.bytes();
    let pages = 40_000u64;
    for id in bytes.len() as u64 / u64::from(PAGE)..pages {
        let mut page = vec![0x20; PAGE as usize];
        page[..8].copy_from_slice(&id.to_le_bytes());
        page[8..16].copy_from_slice(&[2, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        bytes.extend(page);
    }
    let began = Instant::now();
    let db = Db::new(bytes).expect("a db");
    for_each_lost(&db, |_| true, |_| {});
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

/// Every byte of a file changed, one after the other: an answer, whatever it is.
#[test]
fn every_flip_is_survived() {
    let (mut file, page) = with_free_leaf(&three());
    let older = file.leaf(&[bucket("key", page)]);
    file.meta(0, |meta| meta.root.root.set(older));
    let sound = file.bytes();
    for at_byte in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[at_byte] ^= 0xff;
        let Ok(db) = Db::new(bytes) else { continue };
        let state = State::read(&db);
        let gone = deleted(&db, &state, Select::Prefix(b""));
        assert!(gone.iter().count() <= 8);
        for from in [SearchIn::Live, SearchIn::OlderRoot, SearchIn::Free, SearchIn::Any] {
            let _ =
                at(&db, &state, from, None, Select::Prefix(b"")).map(|answer| answer.found.iter().count());
        }
        assert!(history(&db, &state, Origin::Live, b"/a").records.len() <= 8);
    }
}
