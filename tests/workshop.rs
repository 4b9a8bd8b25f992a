//! Files damaged in each way that is met in the field, through everything that reads a file: no panic, `check` names what
//! it is and what comes next, and `defrag` refuses or is right.
//!
//! The files of `testdata/` are always read; those of the folder that `ETCD_MEDIC_CORPORA` names (relative to the package),
//! up to 64 MiB each, too.
#![cfg(test)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Write, stderr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use etcd_medic::analyze::keys::Filter;
use etcd_medic::analyze::{Request, analyze};
use etcd_medic::bolt::{Db, PageId};
use etcd_medic::check::{Checked, check, is_sound};
use etcd_medic::etcd::schema::State;
use etcd_medic::etcd::trailer;
use etcd_medic::hash::hashes;
use etcd_medic::inspect;
use etcd_medic::scan::{Options, scan};
use etcd_medic::status::{Limits, Status};
use support::anatomy::{Anatomy, Items};
use support::content::contents;
use support::corpus::Corpus;
use support::program::{folder_of, path_in, run};
use support::workshop::{Base, Damage, PATTERNS, bases, frag};
use support::{memory, testdata};

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
        let plain: usize = items.iter().map(|bucket| bucket.entries.iter().filter(|entry| entry.1.is_some()).count()).sum();
        assert_eq!(base.all.len(), plain, "{}", base.name);
        let state = State::read(&base.db);
        let found = scan(&base.db, &state, Options::default());
        let free: Vec<u64> = found.unreached.iter().flat_map(|&(PageId(first), pages)| first..first + pages).collect();
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
            assert_ne!(damage.bytes, base.bytes, "{of}: not damaged");
            assert!(damage.possible.is_subset(&damage.all), "{of}");
            assert!(damage.bonus.is_subset(&damage.all) && damage.bonus.is_disjoint(&damage.possible), "{of}");
            assert!(damage.dead.is_disjoint(&damage.all) && damage.later.is_disjoint(&damage.all), "{of}");
            let lost = of_bucket(&damage.all, &base) - of_bucket(&damage.possible, &base);
            let nothing_lost = NOTHING_LOST.contains(&damage.name);
            assert!(lost == 0 || !NOTHING_LOST.contains(&damage.name), "{of}: {lost} lost");
            let pattern = PATTERNS.iter().find(|pattern| pattern.name == damage.name).expect("it");
            let again = base.damaged(pattern).expect("again");
            assert_eq!(again.bytes, damage.bytes, "{of}: the same each time");
        }
    }
    // the others lose something of the file that is measured: see FIGURES
    assert_eq!(applied.len(), PATTERNS.len(), "{applied:?}");
    for (name, files) in applied {
        let few = ["live-copy", "mixed-generations", "freed-and-reused", "torn-pages", "branch-zeroed"].contains(&name);
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
            format!("{name}: {} of {}, {} more, {} later", count(possible), count(all), count(bonus), count(later))
        })
        .collect();
    assert_eq!(found, FIGURES, "{found:#?}");
    assert_eq!(base.dead.len(), 0, "{}", base.dead.len());
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
    "garbage-keys: 820 of 822, 0 more, 0 later",
    "garbage-branch: 822 of 822, 0 more, 0 later",
    "ids-out-of-range: 822 of 822, 0 more, 0 later",
    "freelist-duplicate: 822 of 822, 0 more, 0 later",
    "freelist-leaked: 822 of 822, 0 more, 0 later",
    "roots-at-freelist: 822 of 822, 0 more, 0 later",
    "live-copy: 1903 of 1914, 0 more, 74 later",
    "mixed-generations: 813 of 822, 9 more, 1111 later",
    "revision-no-revision: 819 of 822, 2 more, 0 later",
    "revision-smaller: 820 of 822, 2 more, 0 later",
];
