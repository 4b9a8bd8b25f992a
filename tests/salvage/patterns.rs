//! Every pattern of damage, done to every file: what is found of what could be, and that nothing is invented.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Write, stderr};

use etcd_medic::internals::salvage::error::SalvageError;
use etcd_medic::internals::salvage::request::Trust;

use super::support::anatomy::{Item, Items};
use super::support::builder::{FileBuilder, bucket, inline_bucket, plain};
use super::support::corpus::Corpus;
use super::support::workshop::{Base, Damage, NO_ROOT, PATTERNS, bases, frag};
use super::support::{etcd_file, testdata};
use super::{CORPORA, damaged, first_start, salvage};

/// Figures of one pattern, over all files.
#[derive(Clone, Copy, Default, Debug)]
pub struct Sum {
    all: usize,
    pub possible: usize,
    pub found: usize,
    bonus: usize,
    pub revived: usize,
    pub invented: usize,
}

impl Sum {
    pub fn of(base: &Base, damage: &Damage, saved: &Items) -> Self {
        let count = |items: &Items| Damage::count(items, &base.bucket);
        let both = |a: &Items, b: &Items| count(&a.intersection(b).cloned().collect());
        let doubtful = damage.doubtful();
        let known = |item: &&Item| {
            damage.all.contains(*item)
                || damage.later.contains(*item)
                || damage.dead.contains(*item)
                || doubtful.contains(&(item.bucket.clone(), item.key.clone()))
        };
        Self {
            all: count(&damage.all),
            possible: count(&damage.possible),
            found: both(&damage.possible, saved),
            bonus: both(&damage.all.difference(&damage.possible).cloned().collect(), saved),
            revived: saved.intersection(&damage.dead).count(),
            // small buckets change from one transaction to the next: of the older root, they are what they were
            invented: saved.iter().filter(|item| item.bucket == base.bucket && !known(item)).count(),
        }
    }

    fn add(&mut self, other: Self) {
        self.all += other.all;
        self.possible += other.possible;
        self.found += other.found;
        self.bonus += other.bonus;
        self.revived += other.revived;
        self.invented += other.invented;
    }
}

/// Where less than all that stands is found, or more comes back than was there: why, and how much of it on testdata and the
/// corpora at most. Anything else must be perfect.
const FALLS_SHORT: &[(&str, &str, FallsShort)] = &[
    (
        "half-cut",
        "with the newest branches, the file has lost what tells deleted records of an old compaction from others",
        FallsShort { missing: 0.0, revived: 0.35 },
    ),
    ("tail-cut", "the same, at a smaller scale", FallsShort { missing: 0.0, revived: 0.02 }),
    (
        "branch-zeroed",
        "the same, at the ends of the lost branch",
        FallsShort { missing: 0.0, revived: 0.005 },
    ),
    (
        "garbage-branch",
        "a child's page id that leads to another page: whether the page or the reference is damaged can't be told",
        FallsShort { missing: 0.05, revived: 0.005 },
    ),
    ("live-copy", "pages of two states: the later one is taken", FallsShort { missing: 1.0, revived: 0.0 }),
    ("live-copy-quarter", "the same", FallsShort { missing: 1.0, revived: 0.0 }),
];

/// Shares of what is possible.
#[derive(Clone, Copy)]
struct FallsShort {
    missing: f64,
    revived: f64,
}

fn prove(base: &Base, sums: &mut BTreeMap<&'static str, Sum>) {
    for damage in PATTERNS.iter().filter_map(|pattern| base.damaged(pattern)) {
        let of = format!("{}: {}", base.name, damage.name);
        let saved = match salvage(&damage, Trust::Usual) {
            Ok(saved) => saved,
            Err(SalvageError::Nothing { .. }) => {
                sums.entry(damage.name).or_default().add(Sum::of(base, &damage, &Items::new()));
                continue;
            }
            Err(error) => panic!("{of}: {error}"),
        };
        let sum = Sum::of(base, &damage, &saved.items);
        if std::env::var_os("SALVAGE_TABLE").is_some() {
            let _ = writeln!(stderr(), "{of}: {sum:?} {:?} sound {}", saved.report.recovered, saved.sound);
        }
        sums.entry(damage.name).or_default().add(sum);
    }
}

#[test]
fn what_can_be_saved_is_saved() {
    let mut sums = BTreeMap::new();
    // of others' files, only what roots reach is saved: leaves that none reaches do not tell whose they are
    bases().iter().filter(|base| base.is_etcd()).for_each(|base| prove(base, &mut sums));
    match std::env::var_os(CORPORA) {
        Some(folder) => {
            for corpus in Corpus::all_in(&testdata("").join("..").join(folder)) {
                for (name, _) in corpus.truth.files.iter().filter(|(_, truth)| truth.size <= 64 << 20) {
                    let bytes = fs::read(corpus.file(name)).expect("read");
                    prove(&Base::new(&format!("{}/{name}", corpus.name()), bytes), &mut sums);
                }
            }
        }
        None => {
            let _ = writeln!(stderr(), "LEFT OUT: the large corpora. {CORPORA}=FOLDER names where they are");
        }
    }
    for (pattern, sum) in &sums {
        let _ = writeln!(stderr(), "{pattern}: {sum:?}");
    }
    for (pattern, sum) in sums {
        assert_eq!(sum.invented, 0, "{pattern}: nothing is invented");
        let short = FALLS_SHORT.iter().find(|(name, ..)| *name == pattern).map(|(_, _, short)| *short);
        let FallsShort { missing, revived } = short.unwrap_or(FallsShort { missing: 0.0, revived: 0.0 });
        let share = |part: usize| part as f64 / sum.possible.max(1) as f64;
        assert!(share(sum.possible - sum.found) <= missing, "{pattern}: all that stands is found: {sum:?}");
        assert!(share(sum.revived) <= revived, "{pattern}: what was deleted stays deleted: {sum:?}");
    }
}

/// Numbers in what can be read may lie as well: the last compaction, a key's version.
#[test]
fn numbers_that_lie() {
    let version = |main, version| etcd_file::put(main, b"/app/one", 3, version, b"text", 0);
    let records =
        [version(3, 1), version(4, i64::MAX), version(5, 7), version(6, 8), version(7, 9), version(8, 10)];
    let mut bytes = etcd_file::file_of(4096, &records, 1).bytes();
    let name = b"finishedCompactRev";
    let at = bytes.windows(name.len()).position(|window| window == name).expect("the mark") + name.len();
    bytes[at..at + 8].copy_from_slice(&i64::MAX.to_be_bytes());
    let base = Base::new("lies", bytes);
    let damage = damaged(&base, "leaf-zeroed");
    let saved = salvage(&damage, Trust::Usual).expect("saved");
    assert_eq!(Sum::of(&base, &damage, &saved.items).found, 5);
    assert_eq!(saved.report.target.revision, Some(i64::MAX));
    assert!(
        saved.report.lost.iter().all(|range| range.missing_revisions.is_none()),
        "{:?}",
        saved.report.lost
    );
}

/// Neither meta is left, nor the newest root: what the next one does not have yet stands in leaves beside its tree.
#[test]
fn a_root_that_is_not_the_newest() {
    let record = |main: i64| etcd_file::put(main, format!("/app/{main}").as_bytes(), main, 1, b"text", 0);
    let records: Vec<_> = (2..13).map(record).collect();
    let mut file = FileBuilder::new(4096);
    let older = file.leaf(&records[..9]);
    file.leaf(&[bucket("key", older), inline_bucket("meta", &[plain("term", 3u64.to_be_bytes())])]);
    let newer = file.leaf(&records);
    let root =
        file.leaf(&[bucket("key", newer), inline_bucket("meta", &[plain("term", 3u64.to_be_bytes())])]);
    file.root(root);
    let base = Base::new("two roots", file.bytes());
    let damage = base.damaged(&NO_ROOT).expect("a root");
    let saved = salvage(&damage, Trust::Usual).expect("saved");
    assert_eq!(Sum::of(&base, &damage, &saved.items).found, 11);
    assert_eq!((saved.report.recovered.reachable, saved.report.recovered.orphan), (9, 2));
    assert_eq!(
        saved.report.lost.last().map(|range| range.last_revision),
        Some(None),
        "nor is that the end for sure"
    );
}

/// The newest root is lost: its tombstones stand in a leaf of their own, or are lost, too. The older root still has what they deleted.
#[test]
fn an_older_root_revives_nothing_strictly() {
    let put = |main: i64| etcd_file::put(main, format!("/app/{main}").as_bytes(), main, 1, b"text", 0);
    let mut records: Vec<_> = (2..12).map(put).collect();
    let (puts, kept) = (records.len(), 3);
    records.extend((kept..puts).map(|number| {
        let number = number as i64;
        etcd_file::tombstone(20 + number, format!("/app/{}", number + 2).as_bytes())
    }));
    for tombstones_are_lost in [false, true] {
        let mut file = FileBuilder::new(4096);
        let older = file.leaf(&records[..puts]);
        file.leaf(&[bucket("key", older)]);
        let later = file.leaf(&records[puts..]);
        let root = file.leaf(&[bucket("key", older)]);
        file.root(root);
        file.page_bytes(root).fill(0);
        if tombstones_are_lost {
            file.page_bytes(later).fill(0);
        }
        let damage = first_start::only(file.bytes());
        let error = salvage(&damage, Trust::Strict).err().expect("all may have been deleted");
        assert!(matches!(error, SalvageError::Doubtful { .. }), "{error}");
        let report = salvage(&damage, Trust::Usual).expect("saved").report;
        assert_eq!(report.target.keys, if tombstones_are_lost { puts as u64 } else { kept as u64 });
        let all = if tombstones_are_lost { puts } else { records.len() };
        assert_eq!(report.recovered.doubtful, all as u64, "and it is said");
    }
}

/// What `--strict` takes was there, whatever is damaged; or there is no copy.
#[test]
fn nothing_that_was_deleted_comes_back_strictly() {
    let base = frag();
    for damage in PATTERNS.iter().chain([&NO_ROOT]).filter_map(|pattern| base.damaged(pattern)) {
        match salvage(&damage, Trust::Strict) {
            Ok(saved) => {
                let sum = Sum::of(&base, &damage, &saved.items);
                assert_eq!((sum.revived, sum.invented), (0, 0), "{}: {sum:?}", damage.name);
                assert_eq!(saved.report.recovered.doubtful, 0, "{}", damage.name);
            }
            Err(SalvageError::Doubtful { .. }) => {}
            Err(error) => panic!("{}: {error}", damage.name),
        }
    }
}
