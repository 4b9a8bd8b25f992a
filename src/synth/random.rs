//! Random numbers that are the same on every machine and in every version.
//!
//! Each question has its own generator, made of the seed, the question and the number that it is about: so any record can
//! be made at any time, by any thread. PCG64-DXSM is one fixed algorithm; how its numbers become other things is written here,
//! in whole numbers, so that no library's change and no rounding of a processor's moves a byte.

use rand_pcg::Pcg64Dxsm;
use rand_pcg::rand_core::Rng;

/// What is asked for. The numbers are part of every file that was ever made: new ones go to the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Question {
    /// The text that values are filled with.
    Filler = 1,
    Name,
    /// How long a key's values are.
    Size,
    /// A value of one version.
    Version,
    /// When a key was first written.
    Age,
    /// What was before the compaction.
    Past,
    /// Which key is written once more, and when.
    Update,
    /// When a key is deleted.
    Deletion,
    /// Which changes share a transaction.
    Transaction,
    /// The revisions that compaction left.
    Gap,
    /// Free pages, and where they lie.
    FreeRuns,
    /// Nodes that change places.
    Shuffle,
}

/// The answers to one question.
#[derive(Clone, Debug)]
pub struct Random(Pcg64Dxsm);

impl Random {
    /// The answers to `question` about `number`.
    pub fn new(seed: u64, question: Question, number: u64) -> Self {
        Self(Pcg64Dxsm::new(u128::from(number) << 64 | u128::from(seed), question as u128))
    }

    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    pub fn bits_32(&mut self) -> u32 {
        u32::try_from(self.bits() >> 32).unwrap_or(0)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.bits()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// A number below `bound`, mostly a small one: the third power of an even draw. The first of a thousand comes up a
    /// hundred times as often as were its turn.
    pub fn skewed_below(&mut self, bound: u64) -> u64 {
        let draw = u128::from(self.bits_32());
        let cube = (draw * draw * draw) >> 64;
        u64::try_from((cube * u128::from(bound)) >> 32).unwrap_or(0)
    }

    /// One of them; `None` where there is none.
    pub fn one_of<'t, T>(&mut self, from: &'t [T]) -> Option<&'t T> {
        let index = self.below(from.len() as u64);
        from.get(usize::try_from(index).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files are made again from a seed that was written down: these numbers must never change.
    #[test]
    fn numbers_stay_what_they_are() {
        let mut random = Random::new(1, Question::Name, 7);
        let found = [random.bits(), random.below(1000), random.skewed_below(1_000_000)];
        assert_eq!(found, [17_033_633_296_227_607_008, 727, 300_724]);
    }

    #[test]
    fn draws_are_even() {
        for seed in [0, 1, 2, u64::MAX] {
            let mut bins = [0u32; 10];
            for number in 0..100_000 {
                let mut random = Random::new(seed, Question::Size, number);
                *bins.get_mut(usize::try_from(random.below(10)).unwrap()).unwrap() += 1;
            }
            assert!(bins.iter().all(|count| (9_500..10_500).contains(count)), "{seed}: {bins:?}");
        }
    }

    #[test]
    fn skewed_draws_prefer_the_first() {
        let mut random = Random::new(1, Question::Update, 0);
        let firsts = (0..100_000).filter(|_| random.skewed_below(1000) == 0).count();
        assert!((9_500..10_500).contains(&firsts), "{firsts}");
        assert_eq!((random.below(0), random.skewed_below(0), random.below(1)), (0, 0, 0));
    }
}
