//! The proof would notice: a copy in which anything differs is refused.

use etcd_medic::internals::bolt::write::{self, Packing, Settings};
use etcd_medic::internals::copy::Mismatch;
use etcd_medic::internals::copy::proof;
use etcd_medic::internals::etcd::schema::Alarm;
use etcd_medic::internals::rewrite::changes::{AlarmKind, History};
use etcd_medic::internals::rewrite::verify::prove;
use etcd_medic::internals::rewrite::{Changes, CopyContent};

use prost::Message;
use support::memory::Tree;
use support::mvcc;

use super::*;

const SILENT: Progress<'static> = Progress::SILENT;

/// A packed copy, as bytes.
fn copy_of(source: &Db, freelist: bool) -> Vec<u8> {
    let content = CopyContent::read(source, &Changes::default(), &|_| {}).expect("sound");
    let packing = Packing::Optimal { max_node_pages: 4, steady: false };
    let plan = write::plan(&content, Settings { page_size: 1024, packing, freelist }).expect("a plan");
    let file = tempfile::NamedTempFile::new().expect("a file");
    write::write(&plan, &content, file.as_file(), &|_| {}).expect("written");
    fs::read(file.path()).expect("read")
}

/// Both proofs: against the file, and against the entries that the copy was made from.
fn both(source: &Db, copy: &Db) -> [Result<(), Mismatch>; 2] {
    let content = CopyContent::read(source, &Changes::default(), &|_| {}).expect("sound");
    [prove(source, copy, &Changes::default(), SILENT).map(drop), proof::against(&content, copy, &|_| {})]
}

/// Each byte of a copy changed: what is not noticed must be slack, so that all content is still equal.
#[test]
fn notices_every_byte_that_matters() {
    for (source, freelist) in
        [(etcd_file::small().bytes(), false), (fixture("etcd-3.5/etcd-3.5.1-lease.db"), true)]
    {
        let source = memory::open(source);
        let copy = copy_of(&source, freelist);
        assert_eq!(both(&source, &memory::open(copy.clone())), [Ok(()), Ok(())]);
        let expected = contents(&source);
        let (mut noticed, mut slack) = (0, 0);
        for at in 0..copy.len() {
            let mut changed = copy.clone();
            changed[at] ^= 0x41;
            match Db::new(changed) {
                Ok(db) if both(&source, &db).iter().any(Result::is_ok) => {
                    assert_equal_contents(&contents(&db), &expected, &format!("byte {at}"));
                    slack += 1;
                }
                _ => noticed += 1,
            }
        }
        assert!(noticed > 1500 && slack > 500, "{noticed} noticed, {slack} slack");
    }
}

/// Copies that are sound, but of something else.
#[test]
fn notices_sound_copies_of_something_else() {
    let bytes = fixture("k8s-frag/frag.db");
    let source = memory::open(bytes.clone());
    let refused = |other: Vec<u8>| {
        let [of_file, of_entries] =
            both(&source, &memory::open(other)).map(|proof| proof.expect_err("another file"));
        assert_eq!(
            std::mem::discriminant(&of_file),
            std::mem::discriminant(&of_entries),
            "{of_file}; {of_entries}"
        );
        of_file
    };
    let other = memory::open(etcd_file::small().bytes());
    assert!(matches!(
        refused(copy_of(&other, false)),
        Mismatch::Bucket(_) | Mismatch::Entry { .. } | Mismatch::Length { .. }
    ));
    // equal in content, but with the free pages of its source
    assert!(matches!(refused(bytes), Mismatch::Pages { .. }));
    // one page more than its metas say
    let mut longer = copy_of(&source, false);
    longer.extend([0; 1024]);
    assert!(matches!(refused(longer), Mismatch::Pages { .. }));
    // the same the other way round: the copy has records that the source has not
    let copy = memory::open(copy_of(&source, false));
    assert!(both(&other, &copy).iter().all(Result::is_err));
}

/// Copies that are to be different from their source, and are so in any other way than they should.
mod of_changes {
    use super::*;

    const R: i64 = 9;

    /// Compacted at a tombstone's own revision, without NOSPACE; CORRUPT stays, and there is a later history.
    fn source() -> Tree {
        let put = |main, key: &[u8], create, version| etcd_file::put(main, key, create, version, b"text", 0);
        let records = [
            put(2, b"/a/1", 2, 1),
            put(3, b"/a/1", 2, 2),
            put(4, b"/b/1", 4, 1),
            put(5, b"/b/2", 5, 1),
            etcd_file::tombstone(6, b"/b/2"),
            put(7, b"/a/2", 7, 1),
            put(8, b"/b/1", 4, 2),
            etcd_file::tombstone(R, b"/a/2"),
            put(10, b"/b/1", 4, 3),
            put(11, b"/b/2", 11, 1),
            etcd_file::tombstone(12, b"/b/1"),
        ];
        let small = memory::open(etcd_file::small().bytes());
        let mut tree = Tree::of(&contents(&small));
        let (key, alarm) = (tree.number("key"), tree.number("alarm"));
        tree.clear(key);
        tree.clear(alarm);
        records.iter().for_each(|entry| tree.put(key, &entry.key, &entry.value));
        [alarm_key(1), alarm_key(2)].iter().for_each(|key| tree.put(alarm, key, ""));
        tree
    }

    fn alarm_key(alarm: i32) -> Vec<u8> {
        Alarm { member_id: etcd_file::MEMBER, alarm }.encode_to_vec()
    }

    fn wish() -> Wish {
        Wish { history: History::CompactTo(R), disarm: vec![AlarmKind::Nospace], ..Wish::default() }
    }

    fn wish_to_drop() -> Wish {
        Wish { history: History::Current, drop_prefixes: vec![b"/a/".to_vec()], ..wish() }
    }

    /// What the copy should be, made without the program: what the compaction leaves, the marks, and one alarm.
    fn correct(source: &Db, at: i64, is_lost: impl Fn(&[u8]) -> bool) -> Tree {
        let buckets = contents(source);
        let mut tree = Tree::of(&buckets);
        let (key, alarm) = (tree.number("key"), tree.number("alarm"));
        tree.clear(key);
        for (record, value) in mvcc::compacted(&mvcc::records_of(&buckets), at) {
            if !is_lost(&mvcc::key_of(value)) {
                tree.put(key, record, value);
            }
        }
        tree.take(alarm, alarm_key(1));
        put_marks(&mut tree, &etcd_file::revision(at));
        tree
    }

    fn put_marks(tree: &mut Tree, value: &[u8]) {
        let meta = tree.number("meta");
        compaction::MARKS.iter().for_each(|key| tree.put(meta, key, value));
    }

    fn proved(source: &Db, copy: &Tree, wish: &Wish) -> Result<(), Mismatch> {
        let changes = Changes::of(source, &State::read(source), wish).expect("can be done");
        prove(source, &memory::open(copy.file(1024)), &changes, SILENT).map(drop)
    }

    /// Each is told to a copy that was right, by the numbers of the buckets `key`, `meta`, `alarm` and `lease`.
    type Lie = (&'static str, fn(&mut Tree, [usize; 4]), fn(&Mismatch) -> bool);

    fn in_bucket(mismatch: &Mismatch, name: &[u8]) -> bool {
        match mismatch {
            Mismatch::Entry { bucket, .. } | Mismatch::Length { bucket, .. } => bucket.0 == name,
            _ => false,
        }
    }

    fn of_key(mismatch: &Mismatch) -> bool {
        in_bucket(mismatch, b"key")
    }

    fn of_meta(mismatch: &Mismatch) -> bool {
        in_bucket(mismatch, b"meta")
    }

    fn of_alarm(mismatch: &Mismatch) -> bool {
        in_bucket(mismatch, b"alarm")
    }

    fn of_marks(mismatch: &Mismatch) -> bool {
        matches!(mismatch, Mismatch::Compaction { expected: Some(R), .. })
    }

    fn place(main: i64) -> Vec<u8> {
        etcd_file::revision(main)
    }

    fn deletion(main: i64) -> Vec<u8> {
        [&place(main)[..], b"t"].concat()
    }

    fn record(entry: support::builder::Entry) -> (Vec<u8>, Vec<u8>) {
        (entry.key, entry.value)
    }

    const FINISHED: &str = "finishedCompactRev";
    const SCHEDULED: &str = "scheduledCompactRev";

    const LIES: &[Lie] = &[
        ("a superseded record kept", |tree, [key, ..]| put_again(tree, key, 2), of_key),
        (
            "the one before the newest instead of it",
            |tree, [key, ..]| {
                tree.take(key, place(8));
                let (at, value) = record(etcd_file::put(4, b"/b/1", 4, 1, b"text", 0));
                tree.put(key, at, value);
            },
            of_key,
        ),
        (
            "an older tombstone kept",
            |tree, [key, ..]| {
                let (at, value) = record(etcd_file::tombstone(6, b"/b/2"));
                tree.put(key, at, value);
            },
            of_key,
        ),
        (
            "the tombstone of the revision itself gone",
            |tree, [key, ..]| drop(tree.take(key, deletion(R))),
            of_key,
        ),
        (
            "a live record at or below the revision gone",
            |tree, [key, ..]| drop(tree.take(key, place(3))),
            of_key,
        ),
        ("a record above it gone", |tree, [key, ..]| drop(tree.take(key, place(10))), of_key),
        ("the last record gone", |tree, [key, ..]| drop(tree.take(key, deletion(12))), of_key),
        (
            "a record more at the end",
            |tree, [key, ..]| {
                let (at, value) = record(etcd_file::put(13, b"/c", 13, 1, b"", 0));
                tree.put(key, at, value);
            },
            of_key,
        ),
        (
            "another value",
            |tree, [key, ..]| {
                let (at, value) = record(etcd_file::put(3, b"/a/1", 2, 2, b"texT", 0));
                tree.put(key, at, value);
            },
            of_key,
        ),
        ("no record at all", |tree, [key, ..]| tree.clear(key), of_key),
        ("no mark that it is finished", |tree, [_, meta, ..]| drop(tree.take(meta, FINISHED)), of_marks),
        ("no mark that it was begun", |tree, [_, meta, ..]| drop(tree.take(meta, SCHEDULED)), of_marks),
        (
            "no mark",
            |tree, [_, meta, ..]| {
                tree.take(meta, FINISHED);
                tree.take(meta, SCHEDULED);
            },
            of_marks,
        ),
        ("the source's marks", |tree, _| put_marks(tree, &place(2)), of_marks),
        ("a mark one below", |tree, [_, meta, ..]| tree.put(meta, FINISHED, place(R - 1)), of_marks),
        ("a mark one above", |tree, [_, meta, ..]| tree.put(meta, SCHEDULED, place(R + 1)), of_marks),
        ("marks one above", |tree, _| put_marks(tree, &place(R + 1)), of_marks),
        ("marks of 18 bytes", |tree, _| put_marks(tree, &deletion(R)), of_marks),
        ("marks of 8 bytes", |tree, _| put_marks(tree, &R.to_be_bytes()), of_marks),
        (
            "a mark within a revision",
            |tree, [_, meta, ..]| {
                tree.put(meta, FINISHED, [&place(R)[..16], &[1]].concat());
            },
            of_meta,
        ),
        (
            "another consistent index",
            |tree, [_, meta, ..]| {
                tree.put(meta, "consistent_index", 78u64.to_be_bytes());
            },
            of_meta,
        ),
        ("no term", |tree, [_, meta, ..]| drop(tree.take(meta, "term")), of_meta),
        ("something more in meta", |tree, [_, meta, ..]| tree.put(meta, "other", "text"), of_meta),
        ("the alarm still raised", |tree, [_, _, alarm, _]| tree.put(alarm, alarm_key(1), ""), of_alarm),
        ("another alarm gone", |tree, [_, _, alarm, _]| drop(tree.take(alarm, alarm_key(2))), of_alarm),
        ("all alarms gone", |tree, [_, _, alarm, _]| tree.clear(alarm), of_alarm),
        ("a lease gone", |tree, [.., lease]| tree.clear(lease), |mismatch| in_bucket(mismatch, b"lease")),
        (
            "a bucket more",
            |tree, _| drop(tree.bucket(0, "other").to_string()),
            |mismatch| {
                matches!(mismatch, Mismatch::Bucket(_) | Mismatch::Length { .. } | Mismatch::Entry { .. })
            },
        ),
    ];

    fn put_again(tree: &mut Tree, key: usize, main: i64) {
        let (at, value) = record(etcd_file::put(main, b"/a/1", 2, 1, b"text", 0));
        tree.put(key, at, value);
    }

    fn numbers(tree: &Tree) -> [usize; 4] {
        ["key", "meta", "alarm", "lease"].map(|name| tree.number(name))
    }

    #[test]
    fn notices_every_other_copy() {
        let source = memory::open(source().file(1024));
        let right = correct(&source, R, |_| false);
        assert_eq!(proved(&source, &right, &wish()), Ok(()));
        for (lie, tell, expected) in LIES {
            let mut wrong = right.clone();
            let numbers = numbers(&wrong);
            tell(&mut wrong, numbers);
            let mismatch = proved(&source, &wrong, &wish()).expect_err(lie);
            assert!(expected(&mismatch), "{lie}: {mismatch}");
        }
        // right for another wish
        for other in [
            Wish::default(),
            Wish { history: History::All, ..wish() },
            Wish { disarm: vec![], ..wish() },
            Wish { disarm: vec![AlarmKind::Corrupt], ..wish() },
            Wish { history: History::CompactTo(R - 1), ..wish() },
            Wish { history: History::CompactTo(R + 1), ..wish() },
            Wish { history: History::Current, ..wish() },
            wish_to_drop(),
        ] {
            assert!(proved(&source, &right, &other).is_err(), "{other:?}");
        }
        let plain = Tree::of(&contents(&source));
        assert_eq!(proved(&source, &plain, &Wish::default()), Ok(()));
        assert!(matches!(proved(&source, &plain, &wish()), Err(Mismatch::Compaction { .. })));
    }

    #[test]
    fn notices_keys_that_should_be_gone_or_there() {
        let source = memory::open(source().file(1024));
        let right = correct(&source, 12, |key| key.starts_with(b"/a/"));
        assert_eq!(proved(&source, &right, &wish_to_drop()), Ok(()));
        let lies: [Lie; 5] = [
            (
                "a key under the prefix",
                |tree, [key, ..]| {
                    let (at, value) = record(etcd_file::put(3, b"/a/1", 2, 2, b"text", 0));
                    tree.put(key, at, value);
                },
                of_key,
            ),
            (
                "a tombstone under it",
                |tree, [key, ..]| {
                    let (at, value) = record(etcd_file::tombstone(R, b"/a/2"));
                    tree.put(key, at, value);
                },
                of_key,
            ),
            ("a key beside it gone", |tree, [key, ..]| drop(tree.take(key, place(11))), of_key),
            ("all keys gone", |tree, [key, ..]| tree.clear(key), of_key),
            (
                "its compaction not recorded",
                |tree, _| put_marks(tree, &place(R)),
                |mismatch| matches!(mismatch, Mismatch::Compaction { expected: Some(12), found: Some(R) }),
            ),
        ];
        for (lie, tell, expected) in lies {
            let mut wrong = right.clone();
            let numbers = numbers(&wrong);
            tell(&mut wrong, numbers);
            let mismatch = proved(&source, &wrong, &wish_to_drop()).expect_err(lie);
            assert!(expected(&mismatch), "{lie}: {mismatch}");
        }
    }

    /// Each byte of a changed copy changed once more: what is not noticed must be slack.
    #[test]
    fn notices_every_byte_that_matters_in_them() {
        let source = memory::open(source().file(1024));
        for (wish, right) in [
            (wish(), correct(&source, R, |_| false)),
            (wish_to_drop(), correct(&source, 12, |key| key.starts_with(b"/a/"))),
        ] {
            let copy = right.file(1024);
            let db = memory::open(copy.clone());
            let expected = contents(&db);
            let changes = Changes::of(&source, &State::read(&source), &wish).expect("can be done");
            let (mut noticed, mut slack) = (0, 0);
            for at in 0..copy.len() {
                let mut changed = copy.clone();
                changed[at] ^= 0x41;
                match Db::new(changed) {
                    Ok(db) if prove(&source, &db, &changes, SILENT).is_ok() => {
                        assert_equal_contents(&contents(&db), &expected, &format!("byte {at}"));
                        slack += 1;
                    }
                    _ => noticed += 1,
                }
            }
            assert!(noticed > 1200 && slack > 500, "{noticed} noticed, {slack} slack");
        }
    }
}
