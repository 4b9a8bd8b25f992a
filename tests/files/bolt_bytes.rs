//! The reader against bytes that lie: files made by hand, in which every number read from a file is false once; and
//! a real file, cut short at every byte and with every byte changed.
//!
//! Each must be read to its end without a panic, with the fault named where it is, every page accounted for, and the
//! sound rest found.

use std::collections::BTreeSet;

use crate::support::builder::{Entry, FileBuilder, bucket, inline_bucket, plain};
use crate::support::fixture;
use crate::support::found::{
    EVERY_KIND, Found, kind_name, meta_error_name, scan_and_account, walk, walk_in_order,
};
use crate::support::lies::{
    B, Case, ENTRIES, FREE, FREED, NO_PAGE, PAGE_SIZE, ROOT, at, cases, sample, sample_of,
};
use etcd_medic::internals::bolt::bucket::BucketRoot;
use etcd_medic::internals::bolt::format::{MAGIC, MAX_PAGE_SIZE, MIN_PAGE_SIZE, VERSION};
use etcd_medic::internals::bolt::meta::MetaError;
use etcd_medic::internals::bolt::{Db, Fault, FormatError};
use etcd_medic::internals::etcd::schema::State;
use etcd_medic::internals::scan::{ScanOptions, scan};

/// Scans with several threads, twice, and walks with one: all must agree, and every page be accounted for.
fn read(name: &str, db: &Db) -> (Found, Found) {
    let (scanned, walked) = (scan_and_account(db), walk_in_order(db));
    assert_eq!(scanned, scan_and_account(db), "{name}: a second scan");
    assert_eq!(walked, walk(db), "{name}: a walk on all threads");
    assert_eq!(scanned.unreached, walked.unreached, "{name}: unreached pages");
    assert_eq!(scanned.buckets, walked.buckets, "{name}: buckets");
    assert_eq!(scanned.nodes, walked.nodes, "{name}: nodes");
    assert_eq!(scanned.sizes, walked.sizes, "{name}: sizes");
    (scanned, walked)
}

fn open(name: &str, file: &FileBuilder) -> Db {
    Db::new(file.bytes()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn with_lie(case: &Case) -> FileBuilder {
    let mut file = sample();
    (case.lie)(&mut file);
    file
}

fn place_of(fault: &Fault) -> (String, u64, u64) {
    let page = fault.page.map_or(NO_PAGE, |page| page.0);
    (kind_name(&fault.kind), page, fault.offset.expect("an offset"))
}

/// The sample, untouched, has no faults and all of its entries: so a case's faults come from its lie.
#[test]
fn the_sample_is_sound() {
    let (scanned, walked) = read("sample", &open("sample", &sample()));
    assert_eq!(scanned.faults, []);
    assert_eq!(walked.entries, ENTRIES);
    assert_eq!(walked.nodes, [1, 5, 1]);
    assert_eq!(walked.unreached, [(FREE, 2)]);
}

/// Every lie is named, with its page and offset; nothing else is; and all entries that it does not hide are found.
#[test]
fn every_lie_is_named_and_the_rest_is_found() {
    let wrong: Vec<_> = cases().filter_map(what_went_wrong).collect();
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

fn what_went_wrong(case: &Case) -> Option<String> {
    let (scanned, walked) = read(case.name, &open(case.name, &with_lie(case)));
    let found: Vec<_> = scanned.faults.iter().map(place_of).collect();
    let found: Vec<_> = found.iter().map(|(kind, page, at)| (kind.as_str(), *page, *at)).collect();
    let as_expected = found == case.faults && walked.entries == case.entries;
    (!as_expected).then(|| {
        let Case { name, faults, entries, .. } = case;
        let got = walked.entries;
        format!(
            "{name}:\n  found    {found:?} and {got} entries\n  expected {faults:?} and {entries} entries"
        )
    })
}

/// No kind of fault is left without a case.
#[test]
fn every_kind_of_fault_has_a_case() {
    let provoked: BTreeSet<_> = cases().flat_map(|case| case.faults).map(|(kind, ..)| *kind).collect();
    assert_eq!(provoked, BTreeSet::from(EVERY_KIND));
}

/// A fault's text can be made for every lie, and says something: it is what people read.
#[test]
fn every_fault_has_a_text() {
    for case in cases() {
        let faults = scan_and_account(&open(case.name, &with_lie(case))).faults;
        assert!(faults.iter().all(|fault| fault.to_string().len() > 10), "{}: {faults:?}", case.name);
    }
}

/// Every lie once more, in a file that is also cut short behind each of its pages.
#[test]
fn lies_in_files_cut_short_are_read_to_their_end() {
    for case in cases() {
        let file = with_lie(case);
        for pages in 2..file.num_pages() {
            let mut short = file.clone();
            short.truncate(usize::try_from(at(pages)).expect("small"));
            let Ok(db) = Db::new(short.bytes()) else { continue };
            let (scanned, _) = read(case.name, &db);
            let cut = scanned.faults.iter().any(|fault| kind_name(&fault.kind) == "file-cut-short");
            assert_eq!(cut, db.high_water_mark() > pages, "{}: {pages} pages", case.name);
        }
    }
}

/// Tallied entries are those that could be read, as the tally says of itself.
#[test]
fn a_tally_counts_readable_entries() {
    for case in cases() {
        let (scanned, walked) = read(case.name, &open(case.name, &with_lie(case)));
        assert_eq!(scanned.entries, walked.entries, "{}", case.name);
    }
}

/// The valid meta with the higher transaction is active; meta 0 where both have the same, as in bbolt.
#[test]
fn the_higher_transaction_is_active() {
    for (txids, active) in [([6, 7], 1), ([8, 7], 0), ([7, 7], 0), ([u64::MAX, 0], 0), ([0, u64::MAX], 1)] {
        let mut file = sample();
        file.meta(0, |meta| meta.txid.set(txids[0]));
        file.meta(1, |meta| meta.txid.set(txids[1]));
        let db = open("txids", &file);
        assert_eq!(db.metas().active_slot, active, "{txids:?}");
        assert_eq!(db.meta().txid, txids[active], "{txids:?}");
    }
}

/// Only the active meta counts: what the other one says of root and high water mark is never followed.
#[test]
fn the_older_meta_is_not_followed() {
    let mut file = sample();
    file.meta(0, |meta| {
        meta.root.root.set(u64::MAX);
        meta.high_water_mark.set(u64::MAX);
        meta.freelist.set(ROOT);
    });
    let (scanned, walked) = read("older meta", &open("older meta", &file));
    assert_eq!((scanned.faults, walked.entries), (vec![], ENTRIES));
}

/// Where meta 0 is damaged, meta 1 is found at every page size that bbolt probes for.
#[test]
fn meta_1_is_found_at_every_page_size() {
    for shift in MIN_PAGE_SIZE.trailing_zeros()..=MAX_PAGE_SIZE.trailing_zeros() {
        let page_size = 1 << shift;
        let mut file = file_of_one_entry(page_size);
        file.meta_unsealed(0, |meta| meta.txid.set(99));
        let db = open("probe", &file);
        assert_eq!((db.page_size(), db.metas().active_slot), (page_size.into(), 1));
        assert_eq!(walk_in_order(&db).entries, 1, "{page_size}");
    }
}

fn file_of_one_entry(page_size: u32) -> FileBuilder {
    let mut file = FileBuilder::new(page_size);
    let root = file.leaf(&[plain("k", "v")]);
    file.root(root);
    file
}

/// Both metas and all contents are found whatever the page size.
#[test]
fn the_sample_is_sound_at_other_page_sizes() {
    for page_size in [512, 2048, 4096, 16384, 65536] {
        let (scanned, walked) = read("page size", &open("page size", &sample_of(page_size)));
        assert_eq!((scanned.faults, walked.entries), (vec![], ENTRIES), "{page_size}");
    }
}

/// What is done to one of the metas.
type Damage = fn(&mut FileBuilder, u64);

/// Both metas damaged: the error says what is wrong with each, whichever way they are damaged.
#[test]
fn two_damaged_metas_are_both_named() {
    let damage: [(&str, Damage); 3] = [
        ("version", |file, slot| file.meta(slot, |meta| meta.version.set(VERSION + 1))),
        ("checksum", |file, slot| file.meta_unsealed(slot, |meta| meta.txid.set(99))),
        ("page-size", |file, slot| file.meta(slot, |meta| meta.page_size.set(3000))),
    ];
    for (first, damage_first) in damage {
        for (second, damage_second) in damage {
            let mut file = sample();
            damage_first(&mut file, 0);
            damage_second(&mut file, 1);
            let Err(FormatError::NoValidMeta(zero, one)) = Db::new(file.bytes()) else { panic!("{first}") };
            assert_eq!((meta_error_name(&zero), meta_error_name(&one)), (first, second));
        }
    }
}

/// One damaged meta, and the other one's magic number gone: still a bbolt file, and not another kind of file.
#[test]
fn a_damaged_meta_without_a_second_is_still_bbolts() {
    let mut file = sample();
    file.meta_unsealed(0, |meta| meta.txid.set(99));
    file.meta(1, |meta| meta.magic.set(0));
    let error = Db::new(file.bytes()).expect_err("no valid meta");
    let FormatError::NoValidMeta(MetaError::Checksum { .. }, MetaError::Magic { found: 0 }) = error else {
        panic!("{error:?}")
    };
}

/// Sizes that bbolt's option allows, and that are not supported.
const OTHER_SIZES: [u32; 6] = [128, 256, 500, 1000, 4095, 5000];

/// A file with pages of a size that is not supported is told by that, as long as one of its metas is whole.
#[test]
fn page_sizes_that_are_not_supported_are_named() {
    for page_size in OTHER_SIZES {
        for lost in [None, Some(0), Some(1)] {
            let mut file = sample_of(page_size);
            if let Some(slot) = lost {
                file.meta_unsealed(slot, |meta| meta.txid.set(99));
            }
            let error = Db::new(file.bytes()).expect_err("not supported");
            assert_eq!(error, FormatError::PageSize(page_size), "{lost:?}");
            assert!(
                error.to_string().starts_with(&format!("pages of {page_size} bytes: not supported")),
                "{error}"
            );
        }
    }
}

/// A meta that lies about the page size costs that meta only: the other one is read; and where both lie, the pages show it.
#[test]
fn a_page_size_that_lies_is_no_page_size() {
    for lie in OTHER_SIZES.into_iter().chain([0, 1, 15, 79, 80, MAX_PAGE_SIZE * 2, 1 << 31, u32::MAX]) {
        for slot in [0, 1] {
            let mut file = sample();
            file.meta(slot, |meta| meta.page_size.set(lie));
            let db = open("one lies", &file);
            assert_eq!(
                (db.page_size(), walk_in_order(&db).entries),
                (PAGE_SIZE, ENTRIES),
                "{lie} in meta {slot}"
            );
            assert_eq!(db.metas().active_slot as u64, 1 - slot, "{lie} in meta {slot}");
        }
        let mut file = sample();
        file.metas(|meta| meta.page_size.set(lie));
        let error = Db::new(file.bytes()).expect_err("both lie");
        let FormatError::NoValidMeta(MetaError::PageSize { found }, _) = error else {
            panic!("{lie}: {error:?}")
        };
        assert_eq!(found, lie);
        // nothing but that meta: there is nothing to contradict it
        let alone = file.bytes()[..80].to_vec();
        assert_eq!(Db::new(alone).expect_err("a meta alone"), FormatError::PageSize(lie));
    }
}

/// A big-endian machine's file is told apart, be it by both metas or by the one that is left.
#[test]
fn a_byte_swapped_file_is_told_apart() {
    for without in [None, Some(0), Some(1)] {
        let mut file = sample();
        file.metas(|meta| meta.magic.set(MAGIC.swap_bytes()));
        if let Some(slot) = without {
            file.meta(slot, |meta| meta.magic.set(0));
        }
        assert_eq!(Db::new(file.bytes()).expect_err("big-endian"), FormatError::ByteSwapped, "{without:?}");
    }
}

/// What is no bbolt file says so, however short it is.
#[test]
fn other_files_are_not_bbolts() {
    assert_eq!(Db::new(Vec::new()).expect_err("empty"), FormatError::Empty);
    let text = "Lorem ipsum dolor sit amet.\n".repeat(3000).into_bytes();
    for len in [1, 15, 16, 32, 79, 80, 1023, 1024, 1104, 5000, text.len()] {
        assert_eq!(Db::new(text[..len].to_vec()).expect_err("text"), FormatError::NotBolt, "{len} bytes");
    }
    assert_eq!(Db::new(vec![0; 1 << 16]).expect_err("zeros"), FormatError::NotBolt);
    assert_eq!(Db::new(vec![0xFF; 1 << 16]).expect_err("ones"), FormatError::NotBolt);
}

/// Thousands of buckets, each in the one before it: found to the last, without recursion.
#[test]
fn buckets_may_be_nested_thousands_deep() {
    const DEEP: u32 = 5000;
    let mut file = FileBuilder::new(1024);
    let mut root = file.leaf(&[plain("k", "v")]);
    for _ in 0..DEEP {
        root = file.leaf(&[bucket("b", root), plain("k", "v")]);
    }
    file.root(root);
    let (scanned, walked) = read("nested", &open("nested", &file));
    assert_eq!((scanned.faults, walked.buckets.len()), (vec![], 1 + DEEP as usize));
    assert_eq!(walked.entries, u64::from(2 * DEEP + 1));
}

/// A chain of nested buckets that ends in its own beginning is followed once.
#[test]
fn a_ring_of_buckets_is_followed_once() {
    let mut file = FileBuilder::new(1024);
    let first = file.leaf(&[bucket("b", 0)]);
    let middle = file.leaf(&[bucket("b", first)]);
    let root = file.leaf(&[bucket("b", middle), plain("k", "v")]);
    file.bucket_header(first, 0).root.set(root);
    file.leaf_element(first, 0).value_size.set(16);
    file.root(root);
    let (scanned, walked) = read("ring", &open("ring", &file));
    let found: Vec<_> = scanned.faults.iter().map(place_of).collect();
    assert_eq!(found, [("reachable-twice".to_owned(), root, at(root))]);
    assert_eq!(walked.entries, 4);
}

/// Inline buckets in inline buckets: found to the last, and their bytes counted with the page that they stand on.
#[test]
fn inline_buckets_may_be_nested_deep() {
    const DEEP: usize = 500;
    let innermost = inline_bucket("b", &[plain("k", "v")]);
    let nest = |inner: Entry, _| inline_bucket("b", &[inner]);
    let mut file = FileBuilder::new(1024);
    let root = file.leaf(&[(1..DEEP).fold(innermost, nest)]);
    file.root(root);
    let (scanned, walked) = read("nested inline", &open("nested inline", &file));
    assert_eq!((scanned.faults, walked.nodes), (vec![], [0, 1, DEEP as u64]));
    assert_eq!(walked.entries, DEEP as u64 + 1);
}

/// A branch may refer to very many children: a ring among them is found, and every leaf is read once.
#[test]
fn a_wide_tree_with_every_branch_referring_upwards_is_read_once() {
    let mut file = FileBuilder::new(4096);
    let branches: Vec<_> = (0..100).map(|number| branch_of_three(&mut file, number)).collect();
    let top = file.branch(&branches);
    for (_, branch) in &branches {
        file.branch_element(*branch, 2).page.set(top);
    }
    file.root(top);
    let (scanned, walked) = read("upwards", &open("upwards", &file));
    assert!(scanned.faults.iter().all(|fault| kind_name(&fault.kind) == "cycle"), "{:?}", scanned.faults);
    assert_eq!((scanned.faults.len(), walked.nodes, walked.entries), (100, [101, 200, 0], 200));
}

/// A branch of three leaves of one entry each, and its first key.
fn branch_of_three(file: &mut FileBuilder, number: u32) -> (String, u64) {
    let children = ["a", "b", "c"].map(|letter| {
        let key = format!("{number:03}{letter}");
        let leaf = file.leaf(&[plain(&key, "v")]);
        (key, leaf)
    });
    let branch = file.branch(&children);
    let [(key, _), ..] = children;
    (key, branch)
}

/// A freelist that claims to lie on a leaf in use must not hide that leaf: it is the freelist that lies.
#[test]
fn a_freelist_of_the_wrong_kind_hides_nothing() {
    let mut file = sample();
    file.metas(|meta| meta.freelist.set(B));
    let (scanned, walked) = read("freelist on a leaf", &open("freelist on a leaf", &file));
    assert_eq!(kind_name(&scanned.faults[0].kind), "freelist/wrong-kind");
    assert_eq!(walked.entries, ENTRIES);
}

/// A freelist's overflow that reaches into a leaf must not hide that leaf, either: free pages are derived anyway.
#[test]
fn a_freelist_s_overflow_hides_nothing() {
    let mut file = FileBuilder::new(1024);
    let freelist = file.freelist(&[]);
    let root = file.leaf(&[plain("k", "v")]);
    file.root(root);
    file.header(freelist).overflow.set(1);
    let (scanned, walked) = read("freelist over a leaf", &open("freelist over a leaf", &file));
    assert!(!scanned.faults.is_empty());
    assert_eq!(walked.entries, 1);
}

/// A freelist that names its own page: bbolt would write data over it.
#[test]
fn a_freelist_that_frees_itself_is_named() {
    let mut file = sample();
    file.freelist_slot(FREED, 0).set(FREED);
    let faults = scan_and_account(&open("frees itself", &file)).faults;
    let freed = faults.iter().map(place_of).find(|(kind, ..)| kind == "reachable-freed");
    assert_eq!(freed.map(|(_, page, _)| page), Some(FREED), "{faults:?}");
}

/// The offset of a fault in a freelist is that of its slot, also where the count stands in the first one.
#[test]
fn a_slot_behind_the_count_is_named_by_its_offset() {
    let mut file = sample();
    let page = FREED;
    file.header(page).count.set(u16::MAX);
    file.freelist_slot(page, 0).set(2);
    file.freelist_slot(page, 1).set(FREE);
    file.freelist_slot(page, 2).set(0);
    let faults = scan_and_account(&open("slots", &file)).faults;
    assert_eq!(place_of(&faults[0]), ("freelist-out-of-bounds".to_owned(), 0, at(page) + 16 + 2 * 8));
}

/// A bucket's name that stands twice: the first is the bucket, for all readers. Were each read, a file of a few
/// megabytes could name one large tree tens of thousands of times.
#[test]
fn the_first_of_two_buckets_of_one_name_counts() {
    let mut file = FileBuilder::new(1024);
    let [one, two] = [1, 2].map(|count| {
        let keys = (0..count).map(|number| plain(format!("k{number}"), "v"));
        file.leaf(&keys.collect::<Vec<_>>())
    });
    let records = file.leaf(&[]);
    let root = file.leaf(&[bucket("authUsers", one), bucket("authUsers", two), bucket("key", records)]);
    file.root(root);
    let db = open("twice", &file);
    assert_eq!(State::read(&db).auth_users, 1);
    assert_eq!(walk_in_order(&db).entries, 6);
}

/// A record with two keys is a finding, and not a key of its own at each of its revisions.
#[test]
fn a_record_with_two_keys_is_no_record() {
    let mut file = FileBuilder::new(1024);
    // key `/a`, create 2, mod 2 or 3, version 1 or 2, then key `/b`
    let records = file.leaf(&[
        plain("\0\0\0\0\0\0\0\x02_\0\0\0\0\0\0\0\0", "\x0a\x02/a\x10\x02\x18\x02\x20\x01\x0a\x02/b"),
        plain("\0\0\0\0\0\0\0\x03_\0\0\0\0\0\0\0\0", "\x0a\x02/a\x10\x02\x18\x03\x20\x02\x0a\x02/b"),
    ]);
    let root = file.leaf(&[bucket("key", records)]);
    file.root(root);
    let db = open("two keys in a record", &file);
    let found = scan(&db, &State::read(&db), ScanOptions::default());
    assert_eq!(
        (found.keyspace.num_keys(), found.keyspace.unreadable.records, found.num_record_faults),
        (0, 2, 2)
    );
}

/// A file without a `key` bucket is not etcd's, whatever its other buckets are called.
#[test]
fn a_file_without_a_key_bucket_is_not_etcds() {
    let mut file = FileBuilder::new(1024);
    let alarms = file.leaf(&[plain("\x08\x01\x10\x01", "")]);
    let root = file.leaf(&[bucket("alarm", alarms)]);
    file.root(root);
    assert!(State::read(&open("somebody's", &file)).alarms.is_empty());

    let mut file = FileBuilder::new(1024);
    let (alarms, records) = (file.leaf(&[plain("\x08\x01\x10\x01", "")]), file.leaf(&[]));
    let root = file.leaf(&[bucket("alarm", alarms), bucket("key", records)]);
    file.root(root);
    assert_eq!(State::read(&open("etcd's", &file)).alarms.len(), 1);
}

/// Of two `key` buckets, the state and the scan mean the same one.
#[test]
fn state_and_scan_mean_the_same_key_bucket() {
    let mut file = FileBuilder::new(1024);
    let [one, two] = [(); 2].map(|()| file.leaf(&[]));
    let root = file.leaf(&[bucket("key", one), bucket("key", two)]);
    file.root(root);
    let db = open("two keys", &file);
    let state = State::read(&db);
    let scan = scan(&db, &state, ScanOptions::default());
    let of_scan = scan.buckets[scan.key_bucket.expect("a key bucket").0 as usize];
    let roots = [state.key_bucket.expect("a key bucket"), of_scan].map(|bucket| match bucket.root {
        BucketRoot::Page(page) => page.0,
        BucketRoot::Inline(_) => 0,
    });
    assert_eq!(roots, [one, one]);
}

/// A small real file: 12 pages of 1 KiB, of which the metas take the first two.
fn base() -> Vec<u8> {
    fixture("bolt/damaged/base.db")
}

/// Cut short at any byte, a file is read as far as it goes: the more of it is there, the more is found.
#[test]
fn a_file_cut_short_anywhere_is_read_as_far_as_it_goes() {
    let (whole, mut before) = (base(), 0);
    // up to here meta 1, the active one, isn't there, and meta 0 speaks of an older tree
    let both_metas = usize::try_from(PAGE_SIZE).expect("small") + 80;
    for len in 0..=whole.len() {
        let Ok(db) = Db::new(whole[..len].to_vec()) else {
            assert!(len < 80, "{len} bytes hold a meta");
            continue;
        };
        assert!(len >= 80, "{len} bytes hold no meta");
        let (scanned, walked) = read(&format!("{len} bytes"), &db);
        assert_eq!(scanned.faults.is_empty(), len == whole.len(), "{len} bytes");
        assert!(len <= both_metas || walked.entries >= before, "{len} bytes: {} entries", walked.entries);
        before = walked.entries;
    }
    assert_eq!(before, 21);
}

/// Any byte changed, in any of two ways, is read to the end; and one in a key or value hides no entry.
#[test]
fn a_file_with_any_byte_changed_is_read_to_its_end() {
    let whole = base();
    for at in 0..whole.len() {
        for xor in [0xFF, 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= xor;
            let name = format!("byte {at} xor {xor:#x}");
            let db = Db::new(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
            let (_, walked) = read(&name, &db);
            assert!(!is_data_of_leaf_2(at) || walked.entries == 21, "{name}: {} entries", walked.entries);
        }
    }
}

/// Behind the table of 6 elements of page 2, a leaf.
fn is_data_of_leaf_2(at: usize) -> bool {
    (2048 + 16 + 6 * 16..3 * 1024).contains(&at)
}

/// Small files of etcd's, any byte of which is changed, are read to their end: records, leases and history, too.
#[test]
fn an_etcd_file_with_any_byte_changed_is_read_to_its_end() {
    for name in ["etcd-3.5/etcd-3.5.1-lease.db", "etcd-3.5/etcd-3.5.1-kv.db"] {
        let whole = fixture(name);
        // the many bytes that nothing reads are zero
        for at in (0..whole.len()).filter(|&at| whole[at] != 0) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xFF;
            let db = Db::new(bytes).unwrap_or_else(|error| panic!("{name}, byte {at}: {error}"));
            assert_eq!(scan_and_account(&db), scan_and_account(&db), "{name}, byte {at}");
        }
    }
}

/// Many changes at once, behind the metas, at places where numbers stand: read to the end, and the same each time.
#[test]
fn a_file_with_many_bytes_changed_is_read_to_its_end() {
    let (sample, mut random) = (sample().bytes(), Random(0x9E37_79B9_7F4A_7C15));
    for round in 0..4000 {
        let mut bytes = sample.clone();
        for _ in 0..=random.below(12) {
            let (page, within) = (2 + random.below(sample.len() / 1024 - 2), random.below(160));
            bytes[page * 1024 + within] = SPECIAL[random.below(SPECIAL.len())];
        }
        read(&format!("round {round}"), &Db::new(bytes).expect("sound metas"));
    }
}

/// Ids of pages, flags, small sizes, and what is large.
const SPECIAL: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 16, 17, 64, 0x7F, 0x80, 0xFF];

/// Numbers that look random, and are the same in each run (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("below a usize")
    }
}
