//! Files that are damaged in every way, logs among them ([`logs`]), through everything that the program does with one: each gets an
//! answer, soon, without a panic, with every byte accounted for, and in bounded memory.
//!
//! Cases are run one after the other, as memory is measured. Where a file is too large to be damaged at every byte in
//! the time that a test may take, it is damaged at every few bytes, each time at others: what is said below.
#![cfg(test)]

#[path = "../support/counting.rs"]
mod counting;
#[path = "../support/everything.rs"]
mod everything;
#[path = "../support/mod.rs"]
mod support;

mod bombs;
mod cases;
mod log_bombs;
mod logs;
mod watch;

use std::ops::Range;
use std::path::Path;

use bytes::Bytes;
use cases::{Answer, Cases};
use etcd_medic::internals::bolt::Db;
use etcd_medic::internals::bolt::format::{MetaBytes, PAGE_HEADER_SIZE};
use etcd_medic::internals::bolt::meta::checksum;
use etcd_medic::internals::inspect;
use support::mutate::mutate;
use support::random::Random;
use support::workshop::seeds;
use support::{etcd_file, fixture, fixture_text, testdata};
use zerocopy::FromBytes;

/// Changes both metas (which must be valid) and makes their checksums right again.
fn change_metas(file: &mut [u8], page_size: usize, change: impl Fn(&mut MetaBytes)) {
    for slot in 0..2 {
        let (meta, _) =
            MetaBytes::mut_from_prefix(&mut file[slot * page_size + PAGE_HEADER_SIZE..]).expect("a meta");
        change(meta);
        let sum = checksum(meta);
        meta.checksum.set(sum);
    }
}

fn small() -> Vec<u8> {
    etcd_file::small().bytes()
}

/// A file of etcd's own of 20 KiB, with leases.
fn real() -> Vec<u8> {
    fixture("etcd-3.5/etcd-3.5.1-lease.db")
}

#[test]
fn what_is_sound_is_sound() {
    let mut cases = Cases::of("sound files");
    assert_eq!(cases.run(|| "small".to_owned(), small()), Answer::Sound);
    assert_eq!(cases.run(|| "real".to_owned(), real()), Answer::Sound);
    assert_eq!(
        cases.run(|| "snapshot".to_owned(), fixture("etcd-3.5/etcd-3.5.1-kv.snapshot.db")),
        Answer::Sound
    );
    assert_eq!(cases.done(), 3);
}

/// For the usual run, every so many bytes.
const SAMPLE: usize = 13;

#[test]
fn cut_short() {
    cut_at_each(SAMPLE);
}

#[test]
#[ignore = "long: at every byte"]
fn cut_short_at_every_byte() {
    cut_at_each(1);
}

/// Both files, at every so many bytes.
fn cut_at_each(step: usize) {
    let mut cases = Cases::of("cut short");
    let small = small();
    for len in (0..small.len()).step_by(step) {
        assert_ne!(cases.run(|| format!("small at {len}"), small[..len].to_vec()), Answer::Sound, "{len}");
    }
    let real = real();
    for len in (0..real.len()).step_by(step) {
        let answer = cases.run(|| format!("real at {len}"), real[..len].to_vec());
        assert_ne!(answer, Answer::Sound, "{len}");
    }
    cases.done();
}

#[test]
fn a_byte_changed() {
    change_each(SAMPLE);
}

#[test]
#[ignore = "long: every byte"]
fn every_byte_changed() {
    change_each(1);
}

/// Every so many bytes of both files: all its bits of one, and of the next only one of them.
fn change_each(step: usize) {
    let mut random = Random(2);
    let mut cases = Cases::of("a byte changed");
    for (name, file) in [("small", small()), ("real", real())] {
        for at in (0..file.len()).step_by(step) {
            let mask = [0xff, 1 << random.index(8)][at % 2];
            let mut changed = file.clone();
            changed[at] ^= mask;
            cases.run(|| format!("{name}: byte {at} ^ {mask:#04x}"), changed);
        }
    }
    cases.done();
}

/// Several at a time, as a bad disk does it.
#[test]
fn bytes_at_random() {
    let mut random = Random(3);
    let mut cases = Cases::of("bytes at random");
    for (name, file) in [("small", small()), ("real", real())] {
        for round in 0..1000 {
            let mut damaged = file.clone();
            for _ in 0..=random.below(16) {
                let at = random.index(file.len());
                damaged[at] = [0, 1, 0x7f, 0xff, at as u8][random.index(5)];
            }
            cases.run(|| format!("{name}: round {round}"), damaged);
        }
    }
    cases.done();
}

#[test]
fn no_db_at_all() {
    let mut cases = Cases::of("no db");
    assert_eq!(cases.run(|| "empty".to_owned(), Vec::new()), Answer::Refused);
    for len in [1, 16, 79, 80, 4096, 65536, 1 << 20] {
        for byte in [0, 0x20, 0xff, 0xed] {
            assert_eq!(cases.run(|| format!("{len} bytes {byte:#04x}"), vec![byte; len]), Answer::Refused);
        }
    }
    let text = fixture_text("README.md").into_bytes();
    assert_eq!(cases.run(|| "a text".to_owned(), text), Answer::Refused);
    let gzip = std::fs::read(testdata("k8s-frag/live.tsv.gz")).expect("read");
    assert_eq!(cases.run(|| "a gzip file".to_owned(), gzip), Answer::Refused);
    let zstd = std::fs::read(testdata("k8s-3.5/k8s.db.zst")).expect("read");
    assert_eq!(cases.run(|| "a db, packed".to_owned(), zstd), Answer::Refused);
    cases.done();

    for path in [testdata("bolt"), testdata("nowhere"), testdata("README.md")] {
        let error = etcd_medic::open(&path).expect_err("refused").to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
    }
    if Path::new("/dev/null").exists() {
        assert!(etcd_medic::open(Path::new("/dev/null")).is_err(), "a device");
    }
}

#[test]
fn of_another_size_than_its_metas_claim() {
    let mut cases = Cases::of("another size");
    for (name, page_size, file) in [("small", 1024, small()), ("real", 4096, real())] {
        let pages = file.len() / page_size;
        for keep in 0..pages {
            let answer =
                cases.run(|| format!("{name}: {keep} pages of {pages}"), file[..keep * page_size].to_vec());
            assert_ne!(answer, Answer::Sound);
        }
        for more in [1, 31, 33, 512, page_size, 10 * page_size, (1 << 20) + 1] {
            let mut longer = file.clone();
            longer.resize(file.len() + more, 0xa5);
            let answer = cases.run(|| format!("{name}: {more} bytes more"), longer);
            // bbolt grows a file by whole pages: anything else was added, or is the rest of a trailer
            let expected = if more % 512 == 0 { Answer::Sound } else { Answer::Damaged };
            assert_eq!(answer, expected, "{name}: a tail of {more} bytes");
        }
        let mut trailer = file.clone();
        trailer.resize(file.len() + 32, 0xa5);
        assert_eq!(cases.run(|| format!("{name}: a wrong trailer"), trailer), Answer::Damaged);
    }
    cases.done();
}

/// Both metas say the same, and their checksums are right: nothing tells that they lie.
#[test]
fn metas_that_lie() {
    type Field = (&'static str, fn(&mut MetaBytes, u64));
    const FIELDS: [Field; 6] = [
        ("page size", |meta, value| meta.page_size.set(value as u32)),
        ("root", |meta, value| meta.root.root.set(value)),
        ("sequence", |meta, value| meta.root.sequence.set(value)),
        ("freelist", |meta, value| meta.freelist.set(value)),
        ("high water mark", |meta, value| meta.high_water_mark.set(value)),
        ("txid", |meta, value| meta.txid.set(value)),
    ];
    let values = |pages: u64| {
        let powers = (0..64).map(|power| 1u64 << power);
        let others = [0, 3, 5, pages - 1, pages, pages + 1, 512, 4095, u64::from(u32::MAX), i64::MAX as u64];
        let huge =
            [u64::MAX / 1024, u64::MAX / 4096, u64::MAX / 4096 + 1, u64::MAX - 4096, u64::MAX - 1, u64::MAX];
        powers.chain(others).chain(huge).collect::<Vec<_>>()
    };
    let mut cases = Cases::of("metas that lie");
    for (name, page_size, file) in [("small", 1024, small()), ("real", 4096, real())] {
        let values = values((file.len() / page_size) as u64);
        for (field, set) in FIELDS {
            for &value in &values {
                let mut lying = file.clone();
                change_metas(&mut lying, page_size, |meta| set(meta, value));
                cases.run(|| format!("{name}: {field} {value:#x}"), lying);
            }
        }
        // two lies that play into each other's hands
        for &value in &values {
            for freelist in [0, 2, value] {
                let mut lying = file.clone();
                change_metas(&mut lying, page_size, |meta| {
                    meta.high_water_mark.set(value);
                    meta.freelist.set(freelist);
                });
                cases.run(|| format!("{name}: mark {value:#x}, freelist {freelist:#x}"), lying);
            }
        }
    }
    cases.done();
}

#[test]
fn metas_swapped_or_the_same() {
    let mut cases = Cases::of("metas swapped");
    for (name, page_size, file) in [("small", 1024, small()), ("real", 4096, real())] {
        let (zero, one) = (file[..page_size].to_vec(), file[page_size..2 * page_size].to_vec());
        for (case, first, second) in
            [("swapped", &one, &zero), ("meta 0 twice", &zero, &zero), ("meta 1 twice", &one, &one)]
        {
            let mut changed = file.clone();
            changed[..page_size].copy_from_slice(first);
            changed[page_size..2 * page_size].copy_from_slice(second);
            assert_ne!(cases.run(|| format!("{name}: {case}"), changed), Answer::Refused, "{case}");
        }
        for slot in 0..2 {
            let mut changed = file.clone();
            changed[slot * page_size..(slot + 1) * page_size].fill(0);
            assert_eq!(cases.run(|| format!("{name}: no meta {slot}"), changed), Answer::Damaged);
        }
        let mut changed = file.clone();
        changed[..2 * page_size].fill(0);
        assert_eq!(cases.run(|| format!("{name}: no meta"), changed), Answer::Refused);
    }
    cases.done();
}

/// As a copy made while etcd wrote, or a file put together of two.
#[test]
fn pages_of_two_files() {
    let mut random = Random(4);
    let mut cases = Cases::of("pages of two files");
    let names = ["lease", "kv", "auth", "defrag", "nospace"];
    let files = names.map(|name| fixture(&format!("etcd-3.5/etcd-3.5.1-{name}.db")));
    for (first, into) in names.iter().zip(&files) {
        for (second, from) in names.iter().zip(&files) {
            let pages = into.len().min(from.len()) / 4096;
            for page in 0..pages {
                let mut mixed = into.clone();
                mixed[page * 4096..(page + 1) * 4096].copy_from_slice(&from[page * 4096..(page + 1) * 4096]);
                cases.run(|| format!("{first} with page {page} of {second}"), mixed);
            }
            for round in 0..10 {
                let mut mixed = into.clone();
                for page in (0..pages).filter(|_| random.below(2) == 0).collect::<Vec<_>>() {
                    mixed[page * 4096..(page + 1) * 4096]
                        .copy_from_slice(&from[page * 4096..(page + 1) * 4096]);
                }
                cases.run(|| format!("{first} and {second}, round {round}"), mixed);
            }
        }
    }
    // a file's own pages at each other's places
    let real = real();
    for a in 0..real.len() / 4096 {
        for b in 0..real.len() / 4096 {
            let mut moved = real.clone();
            moved.copy_within(a * 4096..(a + 1) * 4096, b * 4096);
            cases.run(|| format!("page {a} at {b}, too"), moved);
        }
    }
    cases.done();
}

/// 40 of the pages in use of a Kubernetes' db, one at a time: all zeroes, all ones, and half of it.
#[test]
fn pages_gone_of_a_larger_file() {
    let mut cases = Cases::of("pages gone of k8s-frag");
    let file = fixture("k8s-frag/frag.db");
    let db = Db::new(file.clone()).expect("a db");
    let in_use: Vec<_> = inspect::pages(&db).into_iter().filter(|row| row.bucket.is_some()).collect();
    assert!(in_use.len() > 100, "{}", in_use.len());
    for row in in_use.iter().step_by(in_use.len() / 40) {
        let at = usize::try_from(row.offset).expect("in the file");
        let mut damaged = file.clone();
        damaged[at..at + 4096].fill(0);
        assert_eq!(cases.run(|| format!("page {} zeroed", row.page), damaged), Answer::Damaged);
        let mut damaged = file.clone();
        damaged[at..at + 2048].fill(0xff);
        assert_eq!(cases.run(|| format!("page {} half ones", row.page), damaged), Answer::Damaged);
    }
    for len in [4096, 8192, 12288, 1 << 20, file.len() / 2, file.len() - 1] {
        assert_ne!(cases.run(|| format!("cut at {len}"), file[..len].to_vec()), Answer::Sound);
    }
    cases.done();
}

/// How many files are changed in their structure; else, as many as the usual run has time for.
const MUTATIONS: &str = "ETCD_MEDIC_MUTATIONS";
/// And the number of the first.
const FIRST: &str = "ETCD_MEDIC_FIRST_MUTATION";

/// The numbers of the changes.
fn mutations(usual: u64) -> Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|number| number.parse().expect("a number"));
    let first = number(FIRST).unwrap_or(0);
    first..first + number(MUTATIONS).unwrap_or(usual)
}

/// Small files, sound and damaged, changed as [`mutate`] does it, each time otherwise. A million of them:
///
/// ```text
/// ETCD_MEDIC_MUTATIONS=1000000 cargo test --test bounds changed_in_structure
/// ```
#[test]
fn changed_in_structure() {
    let seeds = seeds();
    let mut cases = Cases::of("changed in structure");
    for number in mutations(4000) {
        let mut random = Random(number);
        let (name, seed) = &seeds[random.index(seeds.len())];
        let mut file = seed.clone();
        mutate(&mut file, &mut random, 1 << 17);
        if number % 100 == 0 {
            everything::saved_copy(&Bytes::from(file.clone()));
        }
        cases.run(|| format!("{name}, change {number}"), file);
        if number % 50_000 == 49_999 {
            cases.so_far();
        }
    }
    cases.done();
}
