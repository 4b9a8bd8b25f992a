//! Where no sound meta leads to the buckets, and what has no place then.

use etcd_medic::internals::salvage::error::SalvageError;
use etcd_medic::internals::salvage::{request::Trust, roots::RootSource};

use super::support::anatomy::Items;
use super::support::builder::{Entry, FileBuilder, bucket, inline_bucket, plain};
use super::support::etcd_file;
use super::support::workshop::{Base, Damage, PATTERNS, bases};
use super::{Salvaged, first_start, salvage};

fn saved(bytes: Vec<u8>, trust: Trust) -> Salvaged {
    salvage(&first_start::only(bytes), trust).expect("saved")
}

fn items(bytes: &[u8]) -> Items {
    Base::new("whole", bytes.to_vec()).all
}

/// Both metas say the same as before, but their checksums are wrong.
fn unsealed(file: &mut FileBuilder) -> Vec<u8> {
    for slot in [0, 1] {
        file.meta_unsealed(slot, |meta| meta.checksum.set(7));
    }
    file.bytes()
}

/// Another program's file: a bucket of buckets of small buckets, beside a plain one. Gives the page of each root.
fn nested(with_stray: bool) -> (FileBuilder, u64, u64) {
    let mut file = FileBuilder::new(1024);
    let values = |name: &str| -> Vec<Entry> {
        (0..9).map(|number| plain(format!("{name}-{number}"), "a value")).collect()
    };
    let spaces: Vec<_> = (0..4)
        .map(|number| {
            let blobs = file.leaf(&values(&format!("blob-{number}")));
            let inside = [bucket("blob", blobs), inline_bucket("label", &values("l")[..2])];
            (format!("space-{number}"), file.leaf(&inside))
        })
        .collect();
    let spaces: Vec<_> = spaces.iter().map(|(name, page)| bucket(name, *page)).collect();
    let inner = file.leaf(&spaces);
    let mut top = vec![inline_bucket("alone", &values("z")[..1]), bucket("v1", inner)];
    top.extend(with_stray.then(|| plain("version", "1")));
    let root = file.leaf(&top);
    file.root(root);
    (file, inner, root)
}

/// The root that the metas name comes first, even where their checksums are wrong; then the node that reaches most.
#[test]
fn the_root_is_found_without_a_sound_meta() {
    for with_stray in [false, true] {
        let (mut file, ..) = nested(with_stray);
        let whole = items(&file.bytes());
        let found = saved(unsealed(&mut file), Trust::Usual);
        assert_eq!(found.report.source.root.from, RootSource::UnsealedMeta);
        assert_eq!(found.items, whole);
        for page in [0, 1] {
            file.page_bytes(page).fill(0);
        }
        let found = saved(file.bytes(), Trust::Usual);
        assert_eq!(found.report.source.root.from, RootSource::Searched);
        assert!(found.items == whole && found.sound && !found.report.is_whole());
        assert_eq!(found.report.unreached.entries, 0);
    }
}

/// A wrong checksum may be of a wrong page, too: what such a meta names is no root then, and the next one's is taken.
#[test]
fn an_unsealed_meta_that_lies() {
    let (mut file, inner, root) = nested(false);
    let (whole, leaf) = (items(&file.bytes()), 2);
    for lie in [leaf, u64::MAX, 0, root + 1] {
        file.meta_unsealed(1, |meta| {
            meta.root.root.set(lie);
            meta.txid.set(99);
        });
        file.meta_unsealed(0, |meta| meta.checksum.set(7));
        assert_eq!(saved(file.bytes(), Trust::Usual).items, whole, "page {lie}");
    }
    assert_ne!(inner, leaf);
}

/// A sound meta's root is lost: the node that reaches most may be any bucket's, so nothing is made of it unless it is asked for.
#[test]
fn a_lost_root_has_no_successor() {
    let (mut file, inner, root) = nested(false);
    let whole = items(&file.bytes());
    file.page_bytes(root).fill(0);
    let damage = first_start::only(file.bytes());
    for trust in [Trust::Usual, Trust::Strict] {
        let Err(error) = salvage(&damage, trust) else { panic!("a root was made up") };
        assert!(matches!(error, SalvageError::Unplaced { entries: 44, buckets: 12, .. }), "{error}");
        assert!(error.next().is_some_and(|next| next.to_string().ends_with("--best-effort")));
    }
    let found = saved(file.bytes(), Trust::BestEffort);
    assert!(found.report.unreached.taken && found.report.unreached.entries == 44);
    let name = format!("lost+found/page {inner}");
    let values = |items: &Items| -> Vec<_> {
        let plain = items.iter().filter(|item| !item.bucket.is_empty() && item.bucket != "alone");
        plain.map(|item| (item.key.clone(), item.value.clone())).collect()
    };
    assert!(found.report.buckets.iter().any(|bucket| bucket.name.to_string() == name));
    let (mut expected, mut got) = (values(&whole), values(&found.items));
    expected.retain(|(key, _)| key.starts_with(b"blob-") || key.starts_with(b"l-"));
    got.retain(|(key, _)| key.starts_with(b"blob-") || key.starts_with(b"l-"));
    expected.sort();
    got.sort();
    assert_eq!(got, expected);
}

/// Once more, on what it has made: the name is taken.
#[test]
fn what_was_lost_and_found_before() {
    let (mut file, ..) = nested(false);
    let alone = file.leaf(&[plain("lost", "1")]);
    let root =
        file.leaf(&[inline_bucket("lost+found", &[plain("a", "b")]), inline_bucket("x", &[plain("y", "z")])]);
    file.root(root);
    let found = saved(file.bytes(), Trust::BestEffort);
    assert_eq!(
        found.report.unreached.bucket.as_ref().map(ToString::to_string).as_deref(),
        Some("lost+found 2")
    );
    assert!(found.items.iter().any(|item| item.bucket == "lost+found" && item.key == "a"));
    let name = format!("lost+found 2/page {alone}");
    assert!(found.items.iter().any(|item| item.bucket == name.as_bytes() && item.key == "lost"));
}

/// etcd's ten buckets on three leaves, below a branch.
fn etcd_with_a_branch() -> (FileBuilder, [u64; 3], u64) {
    let mut file = FileBuilder::new(4096);
    let records: Vec<_> = (2..40)
        .map(|main| etcd_file::put(main, format!("/app/{main}").as_bytes(), main, 1, b"text", 0))
        .collect();
    let key = file.leaf(&records);
    // an older state of the root, as one leaf
    let meta = |index: u64| {
        inline_bucket(
            "meta",
            &[
                plain("confState", r#"{"voters":[4097],"auto_leave":false}"#),
                plain("consistent_index", index.to_be_bytes()),
                plain("term", 3u64.to_be_bytes()),
            ],
        )
    };
    let cluster = || inline_bucket("cluster", &[plain("clusterVersion", "3.5.0")]);
    let empty = |name: &str| inline_bucket(name, &[]);
    let members =
        |count: u64| -> Vec<_> { (0..count).map(|number| etcd_file::member(0x1001 + number)).collect() };
    let first = [empty("alarm"), empty("auth"), empty("authRoles"), empty("authUsers"), cluster()];
    let second = |count| [bucket("key", key), empty("lease"), inline_bucket("members", &members(count))];
    let third = |index| [empty("members_removed"), meta(index)];
    let old: Vec<_> = [&first[..], &second(1), &third(20)].concat();
    file.leaf(&old);
    let leaves = [file.leaf(&first), file.leaf(&second(3)), file.leaf(&third(90))];
    let names = ["alarm", "key", "members_removed"];
    let root = file.branch(&[(names[0], leaves[0]), (names[1], leaves[1]), (names[2], leaves[2])]);
    file.root(root);
    (file, leaves, root)
}

/// However the way to etcd's root is lost, all ten buckets come back, of the newest state.
#[test]
fn a_root_of_several_leaves() {
    let whole = items(&etcd_with_a_branch().0.bytes());
    type Lie = fn(&mut FileBuilder, &[u64; 3], u64);
    let lies: [(&str, Lie); 6] = [
        ("checksums", |file, _, _| drop(unsealed(file))),
        ("metas zeroed", |file, _, _| [0, 1].map(|page| file.page_bytes(page).fill(0)).into_iter().collect()),
        ("branch zeroed", |file, _, root| file.page_bytes(root).fill(0)),
        ("branch and metas zeroed", |file, _, root| {
            [0, 1, root].into_iter().for_each(|page| file.page_bytes(page).fill(0))
        }),
        ("first child lost", |file, _, root| file.branch_element(root, 0).page.set(999)),
        ("child of the records lost", |file, _, root| file.branch_element(root, 1).page.set(999)),
    ];
    for (name, lie) in lies {
        let (mut file, leaves, root) = etcd_with_a_branch();
        lie(&mut file, &leaves, root);
        let found = saved(file.bytes(), Trust::Usual);
        assert_eq!(found.items, whole, "{name}");
        assert!(found.sound && !found.report.is_whole(), "{name}");
    }
}

/// A key that bbolt would not have: it costs its entry, and is named.
#[test]
fn impossible_keys_cost_their_entry() {
    let values: Vec<_> = (0..20).map(|number| plain(format!("key-{number:02}"), "a value")).collect();
    for (size, said) in [(0, "a key of 0 bytes"), (40_000, "a key of 40000 bytes")] {
        for at in [0, 7, 19] {
            let mut file = FileBuilder::new(65_536);
            let mut entries = values.clone();
            // where it is longest, the bytes behind it are its own
            entries[at] = plain("", vec![b'k'; 50_000]);
            let bad = file.leaf(&entries);
            let element = file.leaf_element(bad, at);
            element.key_size.set(size);
            element.value_size.set(50_000 - size);
            let root = file.leaf(&[bucket("bad", bad), inline_bucket("good", &values[..3])]);
            file.root(root);
            let found = saved(file.bytes(), Trust::Usual);
            assert_eq!(found.items.iter().filter(|item| item.bucket == "bad").count(), 19, "{said} at {at}");
            assert_eq!(found.items.iter().filter(|item| item.bucket == "good").count(), 3, "{said} at {at}");
            assert_eq!(found.report.target.records, 22);
            let row = &found.report.buckets[0];
            assert_eq!(row.gaps, [bad]);
            assert!(row.why.as_ref().is_some_and(|why| why.contains(said)), "{:?}", row.why);
        }
    }
}

/// A sound file without an entry, or without a bucket: nothing is missing.
#[test]
fn sound_and_empty() {
    let mut no_bucket = FileBuilder::new(4096);
    let root = no_bucket.leaf(&[]);
    no_bucket.root(root);
    let mut empty_buckets = FileBuilder::new(4096);
    let root = empty_buckets.leaf(&[inline_bucket("a", &[]), inline_bucket("b", &[])]);
    empty_buckets.root(root);
    for file in [no_bucket, empty_buckets] {
        for trust in [Trust::Usual, Trust::Strict, Trust::BestEffort] {
            let found = saved(file.bytes(), trust);
            assert!(
                found.report.is_whole()
                    && found.sound
                    && found.items.iter().all(|item| item.bucket.is_empty())
            );
        }
    }
}

/// Other programs' files, whatever is damaged: each entry that stands whole somewhere is in the copy, or is counted; and
/// `--best-effort` has it, under whatever name.
#[test]
fn nothing_readable_is_left_out_in_silence() {
    let mut counted = 0;
    for base in bases().iter().filter(|base| !base.is_etcd()) {
        for damage in PATTERNS.iter().filter_map(|pattern| base.damaged(pattern)) {
            counted += left_out(base, &damage);
            let Ok(all) = salvage(&damage, Trust::BestEffort) else { continue };
            let has = |key: &bytes::Bytes, value: &bytes::Bytes| {
                all.items.iter().any(|item| item.key == *key && item.value == *value)
            };
            for item in damage.possible.iter().filter(|item| !item.bucket.is_empty()) {
                assert!(has(&item.key, &item.value), "{}: {}: {item:?}", base.name, damage.name);
            }
        }
    }
    assert!(counted > 100, "{counted}");
}

/// Any one page is lost of a file without free pages: what is saved and what is counted make what stands in the others. With
/// `--best-effort`, all of that is in the copy.
#[test]
fn saved_and_counted_make_all_that_is_readable() {
    for with_stray in [false, true] {
        let (sound, _, root) = nested(with_stray);
        let anatomy = Base::new("whole", sound.bytes()).anatomy;
        let on_page = |page| anatomy.nodes.iter().filter(move |node| node.page == page);
        let values = |page: u64| on_page(page).map(|node| node.entries.len() as u64).sum::<u64>();
        let all: u64 = (2..=root).map(values).sum();
        assert_eq!(all, 45 + u64::from(with_stray));
        for lost in 2..=root {
            let (mut file, ..) = nested(with_stray);
            file.page_bytes(lost).fill(0);
            let readable = all - values(lost);
            let damage = first_start::only(file.bytes());
            assert_eq!(saved_and_counted(&damage), readable, "page {lost}");
            let found = salvage(&damage, Trust::BestEffort).expect("saved");
            assert_eq!(found.report.target.records, readable, "page {lost}");
        }
    }
}

/// An entry that lies in a leaf where it does not belong is counted once, whoever found that leaf: one root, both, or a search.
#[test]
fn strays_are_counted_once() {
    let mut file = FileBuilder::new(1024);
    let first = file.leaf(&[plain("a", "1"), plain("b", "2")]);
    let second = file.leaf(&[plain("c", "3"), plain("n", "4"), plain("p", "5")]);
    let tree = file.branch(&[("a", first), ("m", second)]);
    let root = file.leaf(&[bucket("x", tree), inline_bucket("y", &[plain("z", "6")])]);
    file.root(root);
    for lost in [&[][..], &[0], &[1], &[0, 1]] {
        let mut file = file.clone();
        lost.iter().for_each(|&page| file.page_bytes(page).fill(0));
        let damage = first_start::only(file.bytes());
        assert_eq!(saved_and_counted(&damage), 6, "{lost:?}");
        let found = salvage(&damage, Trust::BestEffort).expect("saved");
        let keys: Vec<_> = found.items.iter().map(|item| item.key.clone()).collect();
        assert_eq!(found.report.target.records, 6, "{lost:?}");
        assert_eq!((keys.len(), keys.iter().filter(|key| **key == "c").count()), (6, 1), "{lost:?}");
    }
}

fn saved_and_counted(damage: &Damage) -> u64 {
    match salvage(damage, Trust::Usual) {
        Ok(found) => {
            let of_buckets: u64 = found.report.buckets.iter().map(|bucket| bucket.left_out).sum();
            found.report.target.records + of_buckets + found.report.unreached.entries
        }
        Err(SalvageError::Unplaced { entries, .. }) => entries,
        Err(error) => panic!("{error}"),
    }
}

/// Entries that are possible and not saved: no more than are counted.
fn left_out(base: &Base, damage: &Damage) -> u64 {
    let (items, counted) = match salvage(damage, Trust::Usual) {
        // garbage that leads to an older leaf whose keys fit: the file has no fault
        Ok(saved) if saved.report.is_whole() => return 0,
        Ok(saved) => {
            let of_buckets: u64 = saved.report.buckets.iter().map(|bucket| bucket.left_out).sum();
            (saved.items, of_buckets + saved.report.unreached.entries)
        }
        Err(SalvageError::Unplaced { entries, .. }) => (Items::new(), entries),
        Err(SalvageError::Nothing { .. }) => (Items::new(), 0),
        Err(error) => panic!("{}: {}: {error}", base.name, damage.name),
    };
    // garbage may make one bucket another's: then they are in the copy under its path
    let has: std::collections::HashSet<_> = items.iter().map(|item| (&item.key, &item.value)).collect();
    let missing = damage
        .possible
        .iter()
        .filter(|item| !item.bucket.is_empty() && !has.contains(&(&item.key, &item.value)));
    let missing = missing.count() as u64;
    assert!(missing <= counted, "{}: {}: {missing} missing, {counted} counted", base.name, damage.name);
    missing
}

/// And of etcd's: a record is in the copy, or among those that are counted.
#[test]
fn no_record_is_left_out_in_silence() {
    for base in bases().iter().filter(|base| base.is_etcd()) {
        for damage in PATTERNS.iter().filter_map(|pattern| base.damaged(pattern)) {
            let Ok(saved) = salvage(&damage, Trust::Usual) else { continue };
            let missing =
                damage.possible.difference(&saved.items).filter(|item| item.bucket == "key").count() as u64;
            let counted =
                saved.report.dropped.free + saved.report.dropped.malformed + saved.report.num_conflicts;
            assert!(
                missing <= counted,
                "{}: {}: {missing} missing, {counted} counted",
                base.name,
                damage.name
            );
        }
    }
}
