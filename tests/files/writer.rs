//! The writer by itself: what it writes is sound, without a page too many, and reads back as it was given.
//!
//! That bbolt and etcd take its files is the business of `tests/interop/`.

use crate::support::content::{assert_equal_contents, contents_and_places};
use crate::support::found::assert_accounted;
use crate::support::memory::{Change, Changing, Memory, Tree, Value, file_of, open, settings, write_file};
use crate::support::random::Random;
use etcd_medic::internals::bolt::Db;
use etcd_medic::internals::bolt::format::MAX_PAGE_SIZE;
use etcd_medic::internals::bolt::format::MAX_VALUE_SIZE;
use etcd_medic::internals::bolt::write::{
    self, BucketSpec, EntrySource, NewEntry, Packing, PlanError, Settings, Sizes, ValueSize, WriteError,
};
use etcd_medic::internals::check::check;
use etcd_medic::internals::etcd::schema::State;
use etcd_medic::internals::etcd::trailer::Trailer;
use etcd_medic::internals::input::named::Named;
use etcd_medic::internals::scan::{ScanOptions, scan};

/// Writes it, and reads it back: sound, every page reachable, equal, inline what bbolt would inline.
fn assert_written(tree: &Tree, settings: Settings, of: &str) -> Db {
    let memory = tree.memory();
    let db = open(file_of(&memory, settings));
    let page_size = u64::from(settings.page_size);
    assert_eq!(db.page_size(), page_size, "{of}");
    assert_eq!(db.high_water_mark() * page_size, db.file_size(), "{of}: no tail");
    assert_eq!(db.meta().freelist.is_some(), settings.freelist, "{of}: freelist");
    assert!(db.metas().slots.iter().all(Result::is_ok), "{of}: both metas are valid");
    let (found, places) = contents_and_places(&db);
    let (expected, expected_places) = memory.contents(page_size);
    assert_equal_contents(&found, &expected, of);
    assert_eq!(places, expected_places, "{of}: inline");
    drop(found);
    assert_sound(&db, of);
    db
}

fn assert_sound(db: &Db, of: &str) {
    let state = State::read(db);
    let scan = scan(db, &state, ScanOptions::default());
    assert_accounted(db, &scan);
    let checked = check(&Named::plain("db"), db, &state, &scan, Trailer::None, usize::MAX);
    assert_eq!(checked.findings, [], "{of}");
    assert_eq!(scan.unreached, [], "{of}: every page is reachable");
    assert_eq!(scan.free_pages() + scan.leaked_pages(), 0, "{of}");
}

fn sizes_of_pages() -> impl Iterator<Item = u32> {
    (10..=16).map(|bits| 1 << bits)
}

/// Each page size, with a freelist and without.
fn layouts() -> impl Iterator<Item = Settings> {
    let both = |page_size| [false, true].map(|freelist| Settings { freelist, ..settings(page_size) });
    sizes_of_pages().flat_map(both)
}

fn assert_written_in_every_layout(tree: &Tree, of: &str) {
    for layout in layouts() {
        assert_written(tree, layout, &format!("{of}, {layout:?}"));
    }
}

mod shapes {
    use super::*;

    #[test]
    fn nothing_at_all() {
        let tree = Tree::default();
        assert_written_in_every_layout(&tree, "no bucket");
        let db = assert_written(&tree, settings(4096), "no bucket");
        assert_eq!(db.file_size(), 3 * 4096, "two metas and a leaf");
        let stored = Settings { freelist: true, ..settings(4096) };
        assert_eq!(assert_written(&tree, stored, "no bucket").file_size(), 4 * 4096, "and a freelist");
    }

    #[test]
    fn an_empty_bucket() {
        let mut tree = Tree::default();
        tree.bucket(0, "empty");
        assert_written_in_every_layout(&tree, "an empty bucket");
    }

    /// bbolt's `inlineable`: a quarter of a page is inline, a byte more is not.
    #[test]
    fn inline_up_to_a_quarter_of_a_page() {
        for page_size in sizes_of_pages() {
            let room = page_size as usize / 4 - 16;
            for (spare, inline) in [(1usize, true), (0, true), (usize::MAX, false)] {
                let mut tree = Tree::default();
                let bucket = tree.bucket(0, "small");
                // two entries: elements, keys `a` and `b`, and values that fill it up
                let values = room.wrapping_sub(spare) - 2 * 17;
                tree.put(bucket, "a", vec![1; 5]);
                tree.put(bucket, "b", vec![2; values - 5]);
                let of = format!("{page_size}, {spare} to spare");
                let db = assert_written(&tree, settings(page_size), &of);
                assert_eq!(contents_and_places(&db).1, [false, inline], "{of}");
            }
        }
    }

    /// An inline bucket's bytes are those of the entry that it is: counted once.
    #[test]
    fn bytes_of_entries() {
        let mut tree = Tree::default();
        for number in 0..1000u32 {
            let bucket = tree.bucket(0, number.to_be_bytes());
            tree.put(bucket, "key", vec![1; 900]);
        }
        let memory = tree.memory();
        let plan = write::plan(&memory, settings(4096)).expect("planned");
        // element, name, bucket header; page header, element, key, value
        assert_eq!(plan.entry_bytes, 1000 * (16 + 4 + 16 + 16 + 16 + 3 + 900));
        assert_written(&tree, settings(4096), "inline buckets");
    }

    /// A root bucket is never inline, as it stands in no entry.
    #[test]
    fn a_small_root_bucket() {
        let mut tree = Tree::default();
        tree.put(0, "a", "b");
        assert_written_in_every_layout(&tree, "an entry of the root bucket's own");
    }

    #[test]
    fn a_bucket_with_a_bucket_in_it_is_not_inline_however_small() {
        let mut tree = Tree::default();
        let outer = tree.bucket(0, "outer");
        tree.put(outer, "key", "value");
        let inner = tree.bucket(outer, "inner");
        tree.put(inner, "k", "v");
        let db = assert_written(&tree, settings(4096), "a bucket in a small one");
        assert_eq!(contents_and_places(&db).1, [false, false, true]);
        assert_written_in_every_layout(&tree, "a bucket in a small one");
    }

    #[test]
    fn buckets_several_levels_deep() {
        let mut tree = Tree::default();
        let mut around = vec![0];
        for level in 0..6u8 {
            let inside = around.iter().flat_map(|&parent| {
                ["left", "right"].map(|name| {
                    let bucket = tree.bucket(parent, name);
                    tree.sequence(bucket, u64::from(level) << 40);
                    let long = vec![level; 100 * usize::from(level)];
                    (0..usize::from(level) * 7)
                        .for_each(|number| tree.put(bucket, format!("entry {number:02}"), &long));
                    bucket
                })
            });
            around = inside.collect();
        }
        assert_written_in_every_layout(&tree, "126 buckets");
    }

    /// Far deeper than any tree may be: no recursion, and the time grows as the number of buckets.
    #[test]
    fn a_chain_of_buckets() {
        let mut tree = Tree::default();
        let last = (0..20_000).fold(0, |parent, _| tree.bucket(parent, "b"));
        tree.put(last, "key", "value");
        assert_written(&tree, settings(1024), "a chain of buckets");
    }

    #[test]
    fn many_buckets() {
        let mut tree = Tree::default();
        for number in 0..20_000u32 {
            let outer = tree.bucket(0, number.to_be_bytes());
            tree.bucket(outer, "inner");
        }
        assert_written(&tree, settings(1024), "many buckets");
    }

    #[test]
    fn sequences() {
        let mut tree = Tree::default();
        tree.sequence(0, u64::MAX);
        for (number, name) in ["inline", "tree", "empty"].into_iter().enumerate() {
            let bucket = tree.bucket(0, name);
            tree.sequence(bucket, 1 << (20 * number));
        }
        tree.put(1, "k", "v");
        tree.put(2, "k", [0; 5000]);
        let db = assert_written(&tree, settings(4096), "sequences");
        assert_eq!(db.meta().sequence, u64::MAX);
        assert_written_in_every_layout(&tree, "sequences");
    }

    #[test]
    fn pages_of_16_mib() {
        let mut tree = Tree::default();
        let bucket = tree.bucket(0, "data");
        (0..40u8).for_each(|number| tree.put(bucket, [number], vec![number; 500_000]));
        let layout = Settings { freelist: true, ..settings(MAX_PAGE_SIZE) };
        assert_written(&tree, layout, "pages of 16 MiB");
    }
}

mod sizes {
    use super::*;

    #[test]
    fn keys_of_1_and_of_32768_bytes() {
        let mut tree = Tree::default();
        let bucket = tree.bucket(0, "data");
        tree.bucket(0, vec![b'n'; 32_768]);
        for number in 0..=255u8 {
            tree.put(bucket, [number], [number]);
            let mut long = vec![number; 32_768];
            long[32_767] = 0;
            tree.put(bucket, long, "");
        }
        assert_written_in_every_layout(&tree, "keys");
    }

    #[test]
    fn values_from_nothing_to_several_mib() {
        let mut random = Random(3);
        let mut tree = Tree::default();
        let bucket = tree.bucket(0, "data");
        let lengths = [0, 1, 15, 16, 17, 1000, 4063, 4064, 4065, 70_000, 1 << 20, 5_000_001, 3 << 20];
        for (number, len) in lengths.into_iter().enumerate() {
            tree.put(bucket, format!("large {number:02}"), random.bytes(len));
            (0..5).for_each(|small| tree.put(bucket, format!("large {number:02} {small}"), b"small"));
        }
        for page_size in [1024, 4096, 65_536] {
            assert_written(&tree, settings(page_size), &format!("values, {page_size}"));
        }
    }

    /// Larger than what is held in memory, so written in pieces; with neighbours that are not.
    #[test]
    fn values_of_more_than_16_mib() {
        let mut random = Random(4);
        let mut tree = Tree::default();
        let bucket = tree.bucket(0, "data");
        tree.put(bucket, "a", random.bytes(3000));
        tree.put(bucket, "b", random.bytes((20 << 20) + 77));
        tree.put(bucket, "b behind it", "x");
        tree.put(bucket, "c", random.bytes(3000));
        tree.put(bucket, "d", random.bytes(17 << 20));
        assert_written(&tree, settings(4096), "values of more than 16 MiB");
    }

    /// A node that is written in pieces and has no slack: its last byte is the value's.
    #[test]
    fn a_large_node_without_slack() {
        for spare in 0..2 {
            let mut tree = Tree::default();
            let bucket = tree.bucket(0, "data");
            // header, element and key take 16, 16 and 1
            tree.put(bucket, "k", vec![0xff; (16 << 20) + 4096 - 33 - spare]);
            let db = assert_written(&tree, settings(4096), &format!("{spare} to spare"));
            assert_eq!(db.file_size(), 4096 * (2 + 4096 + 1 + 1), "metas, the value's pages, the root");
        }
    }

    /// bbolt takes no node of 0xFFFF elements or more.
    #[test]
    fn tiny_entries_without_end() {
        let mut tree = Tree::default();
        let bucket = tree.bucket(0, "data");
        (0..200_000u32).for_each(|number| tree.put(bucket, &number.to_be_bytes()[1..], ""));
        for page_size in [512, 1024, 65_536, MAX_PAGE_SIZE] {
            for packing in
                [Packing::Optimal { max_node_pages: 256, steady: false }, Packing::AsBbolt { fill: 1.0 }]
            {
                let layout = Settings { packing, ..settings(page_size) };
                assert_written(&tree, layout, &format!("200,000 entries, {layout:?}"));
            }
        }
    }

    #[test]
    fn several_levels_of_branches() {
        let mut tree = Tree::default();
        let bucket = tree.bucket(0, "data");
        for number in 0..3000u32 {
            let mut key = number.to_be_bytes().to_vec();
            key.resize(400 + number as usize % 300, 0);
            tree.put(bucket, key, "value");
        }
        for max_node_pages in [1, 2, 16] {
            let packing = Packing::Optimal { max_node_pages, steady: false };
            let layout = Settings { packing, ..settings(1024) };
            let db = assert_written(&tree, layout, &format!("long keys, {max_node_pages}"));
            let state = State::read(&db);
            let found = scan(&db, &state, ScanOptions::default()).tallies[1].height;
            assert!((3..=12).contains(&found), "{max_node_pages}: {found} levels");
        }
    }
}

/// Small files of every shape that chance brings about.
#[test]
fn at_random() {
    let mut random = Random(5);
    for round in 0..3000 {
        let (tree, layout) = (random_tree(&mut random), random_layout(&mut random));
        assert_written(&tree, layout, &format!("round {round}, {layout:?}"));
    }
}

fn random_layout(random: &mut Random) -> Settings {
    let max_node_pages = random.one_of(&[1, 1, 2, 3, 4, 8, 16]);
    let packing = match random.below(5) {
        0 => Packing::AsBbolt { fill: random.one_of(&[0.1, 0.5, 0.9, 1.0]) },
        _ => Packing::Optimal { max_node_pages, steady: false },
    };
    let page_size = random.one_of(&[1024, 1024, 1024, 2048, 4096, 8192, 65_536]);
    Settings { page_size, packing, freelist: random.percent(50) }
}

fn random_tree(random: &mut Random) -> Tree {
    let mut tree = Tree::default();
    let num_buckets = random.below(8);
    for number in 1..=num_buckets {
        let parent = if random.percent(60) { 0 } else { random.below(number) };
        let name_len = random.one_of(&[1, 5, 5, 40]);
        let name = [&random.bytes(name_len)[..], &number.to_be_bytes()].concat();
        tree.bucket(usize::try_from(parent).expect("small"), name);
    }
    for bucket in 0..=usize::try_from(num_buckets).expect("small") {
        tree.sequence(bucket, random.below(3));
        let most = random.one_of(&[0, 1, 3, 10, 60]);
        let (longest_key, longest_value) =
            (random.one_of(&[3, 20, 20, 600]), random.one_of(&[0, 10, 200, 3000]));
        for _ in 0..random.below(most + 1) {
            let key_len = random.between(1, longest_key);
            let key = random.bytes(usize::try_from(key_len).expect("small"));
            let value_len = random.between(0, longest_value) + if random.percent(1) { 20_000 } else { 0 };
            // a name of a bucket's is longer than 3, and a longer key is hardly ever one by chance
            tree.put(bucket, key, random.bytes(usize::try_from(value_len).expect("small")));
        }
    }
    tree
}

/// What the writer is given is not what bbolt could have.
mod refused {
    use super::*;

    fn plan(source: &impl EntrySource) -> Result<write::Plan, PlanError> {
        write::plan(source, settings(1024))
    }

    fn two_buckets() -> Memory {
        let mut tree = Tree::default();
        let first = tree.bucket(0, "first");
        tree.put(first, "a", "1");
        let second = tree.bucket(first, "second");
        tree.put(second, "b", "2");
        tree.memory()
    }

    #[test]
    fn page_sizes_that_bbolt_has_not() {
        let memory = two_buckets();
        for page_size in
            [0, 1, 256, 511, 1023, 1025, 3072, 4095, MAX_PAGE_SIZE + 1, MAX_PAGE_SIZE * 2, u32::MAX]
        {
            let refused = write::plan(&memory, settings(page_size)).expect_err("refused");
            assert_eq!(refused, PlanError::PageSize(page_size));
        }
    }

    #[test]
    fn keys_that_bbolt_has_not() {
        for len in [0, 32_769] {
            let mut memory = two_buckets();
            memory.entries[1].0 = vec![b'k'; len];
            assert_eq!(plan(&memory).expect_err("refused"), PlanError::KeySize { entry: 1, len });
        }
    }

    /// One value of a size that no test would like to hold.
    struct Huge(u64, [BucketSpec; 1]);

    impl EntrySource for Huge {
        fn buckets(&self) -> &[BucketSpec] {
            &self.1
        }

        fn sizes(&self, _: u64) -> Sizes {
            Sizes { key: 1, value: ValueSize::Bytes(self.0) }
        }

        fn entry<'s>(&'s self, _: u64, _: &'s mut Vec<u8>) -> Option<NewEntry<'s>> {
            None
        }
    }

    #[test]
    fn values_that_bbolt_has_not() {
        let huge = |len| Huge(len, [BucketSpec { sequence: 0, entries: 0..1 }]);
        let planned = plan(&huge(MAX_VALUE_SIZE)).expect("planned");
        assert_eq!(planned.file_bytes(), 2048 + (MAX_VALUE_SIZE + 33).next_multiple_of(1024));
        for len in [MAX_VALUE_SIZE + 1, u64::MAX] {
            assert_eq!(plan(&huge(len)).expect_err("refused"), PlanError::ValueSize { entry: 0, len });
        }
    }

    #[test]
    fn buckets_in_two_places_in_themselves_and_nowhere() {
        // entries: `first` in the root bucket; `a` and `second` in `first`; `b` in `second`
        let with = |entry: usize, bucket| {
            let mut memory = two_buckets();
            memory.entries[entry].1 = Value::Bucket(bucket);
            plan(&memory).map(|_| ()).expect_err("refused")
        };
        assert!(matches!(with(1, 2), PlanError::Bucket { bucket: 2, .. }), "in two places");
        assert_eq!(with(2, 1), PlanError::Bucket { entry: 2, bucket: 1 }, "in itself");
        assert_eq!(with(3, 1), PlanError::Bucket { entry: 3, bucket: 1 }, "in a circle");
        assert_eq!(with(3, 0), PlanError::Bucket { entry: 3, bucket: 0 }, "the root bucket in another");
        assert_eq!(with(3, 9), PlanError::Bucket { entry: 3, bucket: 9 }, "a bucket that is not there");
    }

    /// Its pages would belong to nobody, and what is in it would be lost.
    #[test]
    fn a_bucket_that_stands_nowhere() {
        let mut memory = two_buckets();
        memory.entries[2].1 = Value::Bytes(Vec::new());
        assert_eq!(plan(&memory).map(|_| ()).expect_err("refused"), PlanError::Unplaced { bucket: 2 });
    }

    #[test]
    fn a_source_without_a_root_bucket() {
        let memory = Memory { specs: Vec::new(), entries: Vec::new() };
        assert_eq!(plan(&memory).map(|_| ()).expect_err("refused"), PlanError::Unplaced { bucket: 0 });
    }

    /// Many entries in leaves below branches, and some in an inline bucket.
    fn entries_everywhere() -> Memory {
        let mut tree = Tree::default();
        let data = tree.bucket(0, "data");
        (0..200u8).for_each(|number| tree.put(data, [b'k', number], vec![number; 60]));
        let inline = tree.bucket(0, "inline");
        (0..5u8).for_each(|number| tree.put(inline, [b'i', number], "v"));
        tree.memory()
    }

    /// Few entries, of which one is written in pieces.
    fn a_large_entry_between_small_ones() -> Memory {
        let mut tree = Tree::default();
        let large = tree.bucket(0, "large");
        tree.put(large, "a", "small");
        tree.put(large, "b", vec![7; 17 << 20]);
        tree.put(large, "c", "small");
        tree.memory()
    }

    fn write_to_nowhere(memory: &Memory, source: &impl EntrySource) -> Result<(), WriteError> {
        let plan = plan(memory).expect("planned");
        let file = tempfile::tempfile().expect("a temporary file");
        let result = write_file(&plan, source, &file);
        let len = file.metadata().expect("metadata").len();
        assert!(len <= plan.file_bytes(), "{len} of {} bytes", plan.file_bytes());
        result
    }

    fn plain_entries(memory: &Memory) -> Vec<usize> {
        let plain = |&entry: &usize| matches!(memory.entries[entry].1, Value::Bytes(_));
        (0..memory.entries.len()).filter(plain).collect()
    }

    /// At each place: in the middle of a leaf, as a leaf's first, in an inline bucket, before and behind a large value.
    #[test]
    fn keys_out_of_order_and_equal_keys() {
        for memory in [entries_everywhere(), a_large_entry_between_small_ones()] {
            let plain = plain_entries(&memory);
            let in_one_bucket = |pair: &&[usize]| {
                let holds =
                    |spec: &BucketSpec| pair.iter().all(|&entry| spec.entries.contains(&(entry as u64)));
                memory.specs.iter().any(holds)
            };
            for pair in plain.windows(2).filter(in_one_bucket) {
                let [left, right] = [pair[0], pair[1]];
                let (lower, higher) = (memory.entries[left].0.clone(), memory.entries[right].0.clone());
                let mut wrong = memory.clone();
                (wrong.entries[left].0, wrong.entries[right].0) = (higher, lower.clone());
                let refused = write_to_nowhere(&wrong, &wrong).expect_err("out of order");
                assert!(matches!(refused, WriteError::KeyOrder { .. }), "{left}: {refused:?}");
                wrong.entries[left].0 = lower.clone();
                wrong.entries[right].0 = lower;
                let refused = write_to_nowhere(&wrong, &wrong).expect_err("equal");
                let told = matches!(refused, WriteError::KeyOrder { entry } if entry == right as u64);
                assert!(told, "{left}: {refused:?}");
            }
        }
    }

    /// An entry that is not what was planned is an error, wherever it lies; nothing is written beyond the file's end.
    #[test]
    fn entries_that_change_meanwhile() {
        let changes = [
            Change::LongerKey,
            Change::ShorterKey,
            Change::LongerValue,
            Change::ShorterValue,
            Change::Gone,
            Change::LongerAndSaysSo,
        ];
        for memory in [entries_everywhere(), a_large_entry_between_small_ones()] {
            for entry in plain_entries(&memory) {
                for change in changes {
                    let changing = Changing::new(&memory, entry as u64, change, 0);
                    let refused = write_to_nowhere(&memory, &changing).expect_err("changed");
                    let told =
                        matches!(refused, WriteError::SourceChanged { .. } | WriteError::KeyOrder { .. });
                    assert!(told, "{entry} {change:?}: {refused:?}");
                }
            }
        }
    }

    /// The first entry of each leaf is read again for the branch over it: what it has become by then must not get in.
    #[test]
    fn entries_that_change_between_leaf_and_branch() {
        let memory = entries_everywhere();
        let mut late = 0;
        // those of `data`
        for entry in plain_entries(&memory).into_iter().take(200) {
            for change in [Change::LongerKey, Change::ShorterKey, Change::Gone] {
                // one thread writes in the order of the pages: leaves first
                let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
                // the first reading is for the leaf; of a leaf's last entry, the second for the leaf behind it
                let changing = Changing::new(&memory, entry as u64, change, 1);
                let written = one.install(|| write_to_nowhere(&memory, &changing));
                if let Err(refused) = written {
                    late += 1;
                    let told =
                        matches!(refused, WriteError::SourceChanged { .. } | WriteError::KeyOrder { .. });
                    assert!(told, "{entry} {change:?}: {refused:?}");
                } else {
                    let left = changing.good_readings.into_inner();
                    let again = is_first_of_a_leaf(&memory, entry as u64);
                    assert!(left == 0 && !again, "{entry} {change:?}: was taken");
                }
            }
        }
        assert!(late > 10, "{late}: some were noticed");
    }

    fn is_first_of_a_leaf(memory: &Memory, entry: u64) -> bool {
        let plan = plan(memory).expect("planned");
        let write::plan::PlannedBucket::Tree(levels) = &plan.buckets[1] else { panic!("a tree") };
        let start = memory.specs[1].entries.start;
        levels[0].nodes.iter().any(|node| start + node.first == entry)
    }
}
