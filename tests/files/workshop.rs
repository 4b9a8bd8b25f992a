//! Files damaged in each way that is met in the field, through everything that reads a file: no panic, `check` names what
//! it is and what comes next, and `defrag` refuses or is right.
//!
//! The files of `testdata/` are always read; those of the folder that `ETCD_MEDIC_CORPORA` names (relative to the package),
//! up to 64 MiB each, too.

use std::collections::BTreeMap;
use std::io::{Write, stderr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::support::anatomy::{Anatomy, Items};
use crate::support::content::contents;
use crate::support::corpus::Corpus;
use crate::support::peers::assert_bbolt_accepts;
use crate::support::program::{folder_of, path_in, run};
use crate::support::workshop::{Base, Damage, PATTERNS, bases, frag, seeds};
use crate::support::{memory, testdata};
use etcd_medic::internals::analyze::{AnalyzeRequest, analyze};
use etcd_medic::internals::bolt::{Db, PageId};
use etcd_medic::internals::check::{Checked, check};
use etcd_medic::internals::etcd::key_value::KeyValue;
use etcd_medic::internals::etcd::schema::State;
use etcd_medic::internals::etcd::trailer;
use etcd_medic::internals::filter::Filter;
use etcd_medic::internals::hash::hashes;
use etcd_medic::internals::input::named::Named;
use etcd_medic::internals::inspect;
use etcd_medic::internals::scan::health::Health;
use etcd_medic::internals::scan::{ScanOptions, scan};
use etcd_medic::internals::status::{Limits, Status};
use etcd_medic::internals::text::ByteText;

/// Names the folder with the large corpora.
const CORPORA: &str = "ETCD_MEDIC_CORPORA";

/// Patterns for which an ideal salvage saves every record.
const NOTHING_LOST: &[&str] = &[
    "branch-zeroed",
    "key-root-zeroed",
    "meta-0-zeroed",
    "meta-1-zeroed",
    "metas-zeroed",
    "meta-checksums",
    "cycle",
    "referenced-twice",
    "freed-and-reachable",
    "leaves-swapped",
    "garbage-branch",
    "ids-out-of-range",
    "freelist-duplicate",
    "freelist-leaked",
    "roots-at-freelist",
];

fn damages(base: &Base) -> impl Iterator<Item = Damage> {
    PATTERNS.iter().filter_map(|pattern| base.damaged(pattern))
}

fn of_bucket(items: &Items, base: &Base) -> usize {
    Damage::count(items, &base.bucket)
}

#[test]
fn the_workshop_reads_a_sound_file_as_it_is() {
    for base in bases() {
        let items = contents(&base.db);
        let plain: usize =
            items.iter().map(|bucket| bucket.entries.iter().filter(|entry| entry.1.is_some()).count()).sum();
        assert_eq!(base.all.len(), plain, "{}", base.name);
        let state = State::read(&base.db);
        let found = scan(&base.db, &state, ScanOptions::default());
        let free: Vec<u64> =
            found.unreached.iter().flat_map(|&(PageId(first), pages)| first..first + pages).collect();
        assert_eq!(base.anatomy.free, free, "{}", base.name);
        assert!(base.all.is_disjoint(&base.dead), "{}", base.name);
    }
}

#[test]
fn what_can_be_saved_is_what_stands() {
    let mut applied: BTreeMap<&str, usize> = BTreeMap::new();
    for base in bases() {
        for damage in damages(&base) {
            let of = format!("{} of {}", damage.name, base.name);
            *applied.entry(damage.name).or_default() += 1;
            assert!(damage.bytes != base.bytes, "{of}: not damaged");
            assert!(damage.possible.is_subset(&damage.all), "{of}");
            assert!(
                damage.bonus.is_subset(&damage.all) && damage.bonus.is_disjoint(&damage.possible),
                "{of}"
            );
            assert!(damage.dead.is_disjoint(&damage.all) && damage.later.is_disjoint(&damage.all), "{of}");
            let lost = of_bucket(&damage.all, &base) - of_bucket(&damage.possible, &base);
            // the root of a small bucket is a leaf itself
            let is_small = base.anatomy.nodes_of(&base.bucket).next().is_some_and(|root| root.is_leaf);
            let nothing =
                NOTHING_LOST.contains(&damage.name) && !(is_small && damage.name == "key-root-zeroed");
            assert!(lost == 0 || !nothing, "{of}: {lost} lost");
            let pattern = PATTERNS.iter().find(|pattern| pattern.name == damage.name).expect("it");
            let again = base.damaged(pattern).expect("again");
            assert!(again.bytes == damage.bytes, "{of}: the same each time");
        }
    }
    // the others lose something of the file that is measured: see FIGURES
    assert_eq!(applied.len(), PATTERNS.len(), "{applied:?}");
    for (name, files) in applied {
        let few = [
            "live-copy-quarter",
            "live-copy",
            "mixed-generations",
            "freed-and-reused",
            "torn-pages",
            "branch-zeroed",
        ]
        .contains(&name);
        assert!(files >= if few { 1 } else { 3 }, "{name}: {files} files only");
    }
}

/// Every pattern can be had of the file that is measured with, and its figures are these: salvage is measured by them.
#[test]
fn the_figures_of_the_file_that_is_measured() {
    let base = frag();
    let found: Vec<String> = damages(&base)
        .map(|damage| {
            let count = |items| of_bucket(items, &base);
            let Damage { name, all, possible, bonus, later, .. } = &damage;
            format!(
                "{name}: {} of {}, {} more, {} later",
                count(possible),
                count(all),
                count(bonus),
                count(later)
            )
        })
        .collect();
    assert_eq!(found, FIGURES);
    assert_eq!(base.dead.len(), 1293, "records that must stay dead");
}

/// Records of `key` whose leaf stands whole, of all; those that can be read beyond these; those of a later state.
const FIGURES: &[&str] = &[
    "half-cut: 346 of 822, 315 more, 0 later",
    "tail-cut: 609 of 822, 188 more, 0 later",
    "leaf-zeroed: 819 of 822, 3 more, 0 later",
    "branch-zeroed: 822 of 822, 0 more, 0 later",
    "key-root-zeroed: 822 of 822, 0 more, 0 later",
    "root-leaf-zeroed: 822 of 822, 0 more, 0 later",
    "pages-zeroed: 752 of 822, 31 more, 0 later",
    "torn-pages: 807 of 822, 7 more, 0 later",
    "meta-0-zeroed: 822 of 822, 0 more, 0 later",
    "meta-1-zeroed: 822 of 822, 0 more, 0 later",
    "metas-zeroed: 822 of 822, 0 more, 0 later",
    "meta-checksums: 822 of 822, 0 more, 0 later",
    "last-transaction: 822 of 822, 0 more, 0 later",
    "cycle: 822 of 822, 0 more, 0 later",
    "referenced-twice: 822 of 822, 0 more, 0 later",
    "freed-and-reachable: 822 of 822, 0 more, 0 later",
    "freed-and-reused: 820 of 822, 2 more, 0 later",
    "leaves-swapped: 822 of 822, 0 more, 0 later",
    "leaf-overwritten: 819 of 822, 0 more, 0 later",
    "garbage-table: 820 of 822, 2 more, 0 later",
    "garbage-data: 820 of 822, 2 more, 0 later",
    "garbage-object: 820 of 822, 2 more, 0 later",
    "garbage-keys: 820 of 822, 0 more, 0 later",
    "garbage-branch: 822 of 822, 0 more, 0 later",
    "ids-out-of-range: 822 of 822, 0 more, 0 later",
    "freelist-duplicate: 822 of 822, 0 more, 0 later",
    "freelist-leaked: 822 of 822, 0 more, 0 later",
    "roots-at-freelist: 822 of 822, 0 more, 0 later",
    "live-copy-quarter: 1849 of 1914, 0 more, 74 later",
    "live-copy: 1903 of 1914, 0 more, 74 later",
    "mixed-generations: 813 of 822, 9 more, 1111 later",
    "revision-no-revision: 819 of 822, 2 more, 0 later",
    "revision-smaller: 820 of 822, 2 more, 0 later",
];

/// What `check` must say of each pattern in the file that is measured: patterns among those that it names, and the command
/// that comes next. Garbage within a value shows in no structure: there is nothing to be said of it.
const SAID: &[(&str, &[&str], &str)] = &[
    ("half-cut", &["tail-cut-off"], "salvage"),
    ("tail-cut", &["tail-cut-off"], "salvage"),
    ("leaf-zeroed", &["zeroed-page"], "salvage"),
    ("branch-zeroed", &["zeroed-page"], "salvage"),
    ("key-root-zeroed", &["zeroed-page"], "salvage"),
    ("root-leaf-zeroed", &["zeroed-page"], "salvage"),
    ("pages-zeroed", &["zeroed-page"], "salvage"),
    ("torn-pages", &["garbage-inside-page"], "salvage"),
    ("meta-0-zeroed", &["meta-destroyed"], "defrag"),
    ("meta-1-zeroed", &["meta-destroyed"], "defrag"),
    ("last-transaction", &["garbage-inside-page|misplaced-page"], "salvage"),
    ("cycle", &["page-cycle"], "salvage"),
    ("referenced-twice", &["page-referenced-twice"], "salvage"),
    ("freed-and-reachable", &["freed-and-reachable"], "defrag"),
    ("freed-and-reused", &["mixed-generations"], "salvage"),
    ("leaves-swapped", &["misplaced-page"], "salvage"),
    ("leaf-overwritten", &["misplaced-page"], "salvage"),
    ("garbage-table", &["garbage-inside-page"], "salvage"),
    ("garbage-data", &["revision-damage"], "salvage"),
    ("garbage-keys", &["revision-damage"], "salvage"),
    ("garbage-branch", &["misplaced-page|mixed-generations"], "salvage"),
    ("ids-out-of-range", &["page-id-out-of-range"], "salvage"),
    ("freelist-duplicate", &["freelist-damaged"], "defrag"),
    ("freelist-leaked", &["leaked-pages"], "defrag"),
    ("roots-at-freelist", &["root-of-another-kind"], "salvage"),
    ("live-copy-quarter", &["mixed-generations"], "salvage"),
    ("live-copy", &["mixed-generations"], "salvage"),
    ("mixed-generations", &["mixed-generations|misplaced-page|garbage-inside-page"], "salvage"),
    ("revision-no-revision", &["revision-damage"], "salvage"),
    ("revision-smaller", &["garbage-inside-page", "revision-damage"], "salvage"),
];

/// Patterns that nothing in the file shows, or that leave nothing to open.
const SAYS_NOTHING: &[&str] = &["garbage-object"];
const NO_META: &[&str] = &["metas-zeroed", "meta-checksums"];

fn checked(db: &Db) -> Checked {
    let state = State::read(db);
    let found = scan(db, &state, ScanOptions::default());
    check(&Named::plain("db"), db, &state, &found, trailer::verify(db.data()), usize::MAX)
}

fn patterns_of(checked: &Checked) -> Vec<&'static str> {
    checked.touched.patterns.iter().map(|row| row.pattern.into()).collect()
}

#[test]
fn check_says_what_it_is_and_what_comes_next() {
    let base = frag();
    assert_eq!(SAID.len() + SAYS_NOTHING.len() + NO_META.len(), PATTERNS.len());
    let mut said = Vec::new();
    for damage in damages(&base).filter(|damage| !NO_META.contains(&damage.name)) {
        let db = memory::open(damage.bytes);
        let checked = checked(&db);
        if SAYS_NOTHING.contains(&damage.name) {
            assert!(checked.sound, "{}: {:?}", damage.name, checked.findings);
            continue;
        }
        let (_, patterns, next) = SAID.iter().find(|row| row.0 == damage.name).expect("a row of SAID");
        let named = patterns_of(&checked);
        let has = |wanted: &str| wanted.split('|').any(|wanted| named.contains(&wanted));
        let commands: Vec<_> = checked.next.iter().map(|next| next.command.clone()).collect();
        if !patterns.iter().all(|wanted| has(wanted)) || !commands[0].contains(&format!("etcd-medic {next} "))
        {
            said.push(format!("{}: {named:?}, {commands:?}", damage.name));
        }
        assert!(!checked.sound, "{}", damage.name);
        let counted: u64 = checked.touched.patterns.iter().map(|row| row.findings).sum();
        assert_eq!(counted, checked.num_findings, "{}", damage.name);
    }
    assert!(said.is_empty(), "{said:#?}");
}

/// The keys around a lost page tell which revisions are missing: all lost records lie within, and where one leaf is lost, few
/// others do.
#[test]
fn the_revisions_of_lost_records() {
    let base = frag();
    let revision = |key: &[u8]| i64::from_be_bytes(key[..8].try_into().expect("8 bytes"));
    for name in [
        "leaf-zeroed",
        "leaf-overwritten",
        "garbage-table",
        "branch-zeroed",
        "key-root-zeroed",
        "ids-out-of-range",
        "leaves-swapped",
        "half-cut",
    ] {
        let pattern = PATTERNS.iter().find(|pattern| pattern.name == name).expect("it");
        let damage = base.damaged(pattern).expect("damaged");
        let db = memory::open(damage.bytes.clone());
        let checked = checked(&db);
        let spans = &checked.touched.revisions;
        let within = |revision: i64| {
            spans.iter().any(|span| {
                span.first_revision.is_none_or(|first| first <= revision)
                    && span.last_revision.is_none_or(|last| revision <= last)
            })
        };
        let key = |item: &&crate::support::anatomy::Item| item.bucket == b"key"[..];
        let lost = damage.all.difference(&damage.possible).filter(key);
        if name == "half-cut" {
            // the leaf with the names of the buckets went, too
            assert_eq!((spans.len(), spans[0].first_revision, spans[0].last_revision), (1, None, None));
            continue;
        }
        assert!(lost.clone().all(|item| within(revision(&item.key))), "{name}: {spans:?}");
        let all = damage.all.iter().filter(key).filter(|item| within(revision(&item.key))).count();
        // what lies among them: what is not reachable any more
        let reachable = checked.checked.records as usize;
        assert!(
            all + reachable >= damage.all.iter().filter(key).count(),
            "{name}: {all} within, {reachable} reachable: {spans:?}"
        );
        assert!(
            all <= damage.all.iter().filter(key).count() - reachable + 4,
            "{name}: {all} within, {reachable} reachable: {spans:?}"
        );
        assert!(checked.touched.buckets.iter().any(|bucket| bucket.name.0 == b"key"), "{name}");
    }
}

#[test]
fn without_metas_salvage_is_named() {
    let base = frag();
    for name in NO_META {
        let pattern = PATTERNS.iter().find(|pattern| pattern.name == *name).expect("it");
        let damage = base.damaged(pattern).expect("damaged");
        let folder = folder_of(&[("damaged.db", &damage.bytes)]);
        for command in ["check", "analyze", "status"] {
            let ran = run([command, &path_in(&folder, "damaged.db")]);
            assert_eq!(ran.code, 2, "{command} of {name}");
            // zeros are no trace of bbolt: salvage looks for its pages all the same
            assert!(ran.err.contains("     $ etcd-medic salvage /"), "{command} of {name}: {}", ran.err);
        }
    }
}

#[test]
fn a_live_copy_is_told_by_what_is_later_than_its_tree() {
    let base = frag();
    let pattern = PATTERNS.iter().find(|pattern| pattern.name == "live-copy").expect("it");
    let db = memory::open(base.damaged(pattern).expect("damaged").bytes);
    let checked = checked(&db);
    // the leaf of the root bucket has been written by one of `key`: not one bucket is left
    let kinds: Vec<_> = checked.findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, ["records-in-root"]);
    assert_eq!(checked.touched.revisions.len(), 1, "all records");
}

/// Everything that reads a file, on every pattern of a file.
fn read_all(base: &Base) {
    for damage in damages(base) {
        let of = format!("{} of {}", damage.name, base.name);
        let read = catch_unwind(AssertUnwindSafe(|| {
            let Ok(db) = Db::new(damage.bytes.clone()) else {
                assert!(NO_META.contains(&damage.name), "{of}: can't be opened");
                return;
            };
            let state = State::read(&db);
            let found = scan(&db, &state, ScanOptions::default());
            let trailer = trailer::verify(db.data());
            let health = Health::of(&db, &state, &found, trailer);
            let sound = health.sound;
            let checked = check(&Named::plain("db"), &db, &state, &found, trailer, 1000);
            assert_eq!(checked.sound, sound, "{of}");
            assert_eq!(checked.next.is_empty(), sound, "{of}");
            let request = AnalyzeRequest {
                named: &Named::plain("damaged.db"),
                trailer,
                read_without_lock: false,
                filter: Filter::default(),
                top: usize::MAX,
                cure_refused: None,
            };
            assert_eq!(analyze(&db, &state, &found, &request).health.sound, sound, "{of}");
            assert_eq!(
                Status::of("damaged.db".as_ref(), &db, &state, &found, trailer, Limits::default()).sound,
                sound,
                "{of}"
            );
            let _ = hashes(&db, &state, 0, &|_| {});
            let _ = inspect::pages(&db);
            let _ = inspect::fingerprints(&db);
            // a snapshot's own SHA-256 shows every change
            assert!(!sound || may_look_sound(&damage), "{of}: nothing was found");
        }));
        assert!(read.is_ok(), "{of}: panicked");
        defrag(&damage, &of);
    }
}

/// Damage that may leave a file with nothing wrong in it: within values, or in free pages only; or a branch that leads to an
/// older version of the same leaf.
fn may_look_sound(damage: &Damage) -> bool {
    [
        "garbage-branch",
        "garbage-object",
        "garbage-data",
        "half-cut",
        "tail-cut",
        "torn-pages",
        "garbage-keys",
        "freed-and-reused",
    ]
    .contains(&damage.name)
}

/// `defrag` refuses, and writes nothing; or its copy has all that the damaged file's tree has.
fn defrag(damage: &Damage, of: &str) {
    let folder = folder_of(&[("damaged.db", &damage.bytes)]);
    let target = path_in(&folder, "copy.db");
    let ran = run(["defrag", &path_in(&folder, "damaged.db"), "-o", &target, "--skip-hash-check"]);
    if ran.code == 0 {
        assert_bbolt_accepts(target.as_ref(), of);
        let copy = Anatomy::of(&Db::new(std::fs::read(&target).expect("read")).expect("a db")).items();
        // this reads sound trees only: a refusal was right where it can't
        let tree = Anatomy::of(&Db::new(damage.bytes.clone()).expect("a db")).items();
        assert_eq!(copy, tree, "{of}");
    } else {
        assert_eq!(ran.code, 2, "{of}: {}", ran.err);
        assert!(!Path::new(&target).exists(), "{of}: refused, and written");
    }
}

#[test]
fn every_pattern_of_every_file() {
    bases().iter().for_each(read_all);
}

#[test]
fn every_pattern_of_the_corpora() {
    let Some(folder) = std::env::var_os(CORPORA) else {
        // not by `eprintln!`, which the test harness would keep to itself
        let _ = writeln!(stderr(), "LEFT OUT: every pattern of the large corpora: {CORPORA} is not set");
        return;
    };
    let corpora = Corpus::all_in(&testdata("").join("..").join(folder));
    let mut read = 0;
    for corpus in &corpora {
        for (name, truth) in &corpus.truth.files {
            if truth.size <= 64 << 20 {
                let bytes = std::fs::read(corpus.file(name)).expect("read");
                read_all(&Base::new(&format!("{}/{name}", corpus.name()), bytes));
                read += 1;
            }
        }
    }
    assert!(read > 0, "no file of {} corpora", corpora.len());
}

/// The records of several segments in one.
fn in_one_segment(segments: &[(String, Vec<u8>)]) -> Vec<u8> {
    use super::support::member_log::{CHECKSUM, METADATA, records_of, segment_of};
    let mut records = Vec::new();
    for (_, segment) in segments {
        // the head of a later one says again what the first one said
        let is_head = |kind| !records.is_empty() && (kind == CHECKSUM || kind == METADATA);
        let more: Vec<_> = records_of(segment).0.into_iter().filter(|(kind, _)| !is_head(*kind)).collect();
        records.extend(more);
    }
    [segment_of(&records), vec![0; 64]].concat()
}

/// A db and a segment of its log, as the fuzz target `salvage_with_log` takes them.
fn with_length(db: &[u8], segment: &[u8]) -> Vec<u8> {
    [&(db.len() as u32).to_le_bytes()[..], db, segment].concat()
}

/// Names the folder into which [`seeds_of_the_fuzz_targets`] are written.
const SEEDS: &str = "ETCD_MEDIC_SEEDS";

/// Writes what the fuzz targets begin with, a folder for each sort of input: see tests/fuzz/README.md.
#[test]
#[ignore = "writes files: ETCD_MEDIC_SEEDS=FOLDER cargo test --test files seeds_of -- --ignored"]
fn seeds_of_the_fuzz_targets() {
    let root = std::path::PathBuf::from(std::env::var_os(SEEDS).expect(SEEDS));
    let write = |folder: &str, name: &str, bytes: &[u8]| {
        std::fs::create_dir_all(root.join(folder)).expect("a folder");
        std::fs::write(root.join(folder).join(name), bytes).expect("written");
    };
    let seeds = seeds();
    assert!(seeds.len() > 200, "{} files", seeds.len());
    for (name, bytes) in &seeds {
        write("file", name, bytes);
        for (number, page) in bytes.chunks(4096).enumerate().filter(|_| name.ends_with(".db")) {
            write("page", &format!("{name}-{number}"), page);
        }
    }
    let (_, small) = seeds
        .iter()
        .filter(|(name, _)| name.ends_with(".db"))
        .min_by_key(|(_, bytes)| bytes.len())
        .expect("a db");
    for (number, (_, bytes)) in super::support::packing::forms(small).iter().enumerate() {
        write("packed", &number.to_string(), bytes);
    }
    for (number, last) in [1, 3, 40].into_iter().enumerate() {
        write("log", &number.to_string(), &super::support::member_log::log_of(7, &[7, 9], last));
    }
    for (number, members) in [&[7][..], &[7, 9], &[]].into_iter().enumerate() {
        write("snap", &number.to_string(), &super::support::member_log::snap(5, 2, members));
    }
    for member in super::support::small_members::small_members() {
        let segment = in_one_segment(&member.segments);
        write("salvage_with_log", member.name, &with_length(&member.db, &segment));
        write("salvage_with_log", &format!("{}, no db", member.name), &with_length(&[], &segment));
    }
    for (name, requests) in super::support::requests::all() {
        let behind_lengths =
            |request: &Vec<u8>| [&(request.len() as u16).to_le_bytes()[..], request].concat();
        write("replay", &name, &requests.iter().flat_map(behind_lengths).collect::<Vec<_>>());
        for (number, request) in requests.iter().enumerate() {
            write("request", &format!("{name}-{number}"), request);
        }
    }
    // of each sort of object, one as it was stored
    let base = frag();
    let mut sorts = std::collections::BTreeSet::new();
    for item in base.all.iter().filter(|item| item.bucket == b"key"[..]) {
        let kv = KeyValue::parse(&item.value).expect("a record");
        let sort = ByteText::from(kv.key).to_string().split('/').take(3).collect::<Vec<_>>().join("-");
        if sorts.insert(sort.clone()) {
            write("record", &sort, &item.value);
            write("value", &sort, kv.value);
            write("key", &sort, kv.key);
        }
    }
    assert!(sorts.len() > 20, "{sorts:?}");
}
