//! Cases of one sort, one after the other, as memory is measured: each within its bounds, or the test ends.

use std::collections::BTreeMap;
use std::io::{Write, stderr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::counting;
use super::everything::{Asked, USUAL, everything, everything_asked};
use super::support::etcd_file;
use super::watch::{one_at_a_time, watched};

/// Cases of one sort, one after the other.
pub struct Cases {
    sort: &'static str,
    count: usize,
    sound: usize,
    refused: BTreeMap<String, usize>,
    peak: usize,
    slowest: (Duration, String),
    /// Bytes of all files, and the time that they took.
    bytes: usize,
    busy: Duration,
    _turn: MutexGuard<'static, ()>,
}

/// What came of a case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    Sound,
    Damaged,
    Refused,
}

impl Cases {
    pub fn of(sort: &'static str) -> Self {
        let turn = one_at_a_time();
        // threads are started, and tables made that stay
        let _ = everything(&Bytes::from(etcd_file::small().bytes()));
        let (slowest, refused) = (Default::default(), BTreeMap::new());
        Self {
            sort,
            count: 0,
            sound: 0,
            refused,
            peak: 0,
            slowest,
            bytes: 0,
            busy: Duration::ZERO,
            _turn: turn,
        }
    }

    pub fn run(&mut self, name: impl Fn() -> String, file: Vec<u8>) -> Answer {
        self.run_asked(name, file, USUAL)
    }

    /// With as much of everything as is asked for.
    pub fn run_asked(&mut self, name: impl Fn() -> String, file: Vec<u8>, asked: Asked) -> Answer {
        let size = file.len();
        let file = Bytes::from(file);
        let begun = Instant::now();
        let named = format!("{}: {}", self.sort, name());
        let (result, steps) = watched(named, counting::patience(size), || {
            counting::measure(|| catch_unwind(AssertUnwindSafe(|| everything_asked(&file, asked))))
        });
        let more = if asked.top > USUAL.top { counting::for_every_row(size) } else { 0 };
        if result.is_err() && std::env::var_os("BOMB_TABLE").is_some() {
            let _ = writeln!(stderr(), "{}: PANIC", name());
            return Answer::Refused;
        }
        let answer = result.unwrap_or_else(|_| {
            // to be looked at with the program
            let kept = std::env::temp_dir().join("etcd-medic-bounds.db");
            let written = std::fs::write(&kept, &file).is_ok();
            panic!("{}: {}: a panic; the file is kept ({written}): {}", self.sort, name(), kept.display())
        });
        if std::env::var_os("BOMB_TABLE").is_some() {
            for step in &steps {
                let bound = counting::memory_bound(size, step.name) + more;
                if step.peak > bound || step.elapsed > Duration::from_millis(500 + size as u64 / 4000) {
                    let _ = writeln!(
                        stderr(),
                        "{:50} {:16} {:>9} of {:>9} KiB  {:>6} ms",
                        name(),
                        step.name,
                        step.peak >> 10,
                        bound >> 10,
                        step.elapsed.as_millis()
                    );
                }
            }
        } else {
            counting::hold_to_bound(size, &steps, more, || format!("{}: {}", self.sort, name()));
        }
        self.count += 1;
        self.peak = steps.iter().fold(self.peak, |peak, step| peak.max(step.peak));
        let elapsed = begun.elapsed();
        self.bytes += size;
        self.busy += elapsed;
        if elapsed > self.slowest.0 {
            self.slowest = (elapsed, name());
        }
        match answer {
            Ok(true) => {
                self.sound += 1;
                Answer::Sound
            }
            Ok(false) => Answer::Damaged,
            Err(error) => {
                let words: Vec<_> = error.to_string().split(' ').take(4).map(str::to_owned).collect();
                *self.refused.entry(words.join(" ")).or_default() += 1;
                Answer::Refused
            }
        }
    }

    pub fn done(self) -> usize {
        self.so_far();
        self.count
    }

    pub fn so_far(&self) {
        let Self { sort, count, sound, refused, peak, slowest, bytes, busy, .. } = self;
        let a_byte = busy.as_nanos() / u128::try_from(*bytes).expect("bytes").max(1);
        // not by `eprintln!`, which the test harness would keep to itself
        let _ = writeln!(
            stderr(),
            "{sort}: {count} cases ({sound} sound, refused: {refused:?}), {} MB, at most {} KiB of memory, {busy:.1?}, {a_byte} ns \
             a byte; slowest: {slowest:.1?}",
            bytes >> 20,
            peak / 1024,
        );
    }
}
