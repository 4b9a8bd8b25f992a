//! Where pages go in a file that was used for long: free pages between the nodes, and nodes far from their neighbours.

use std::fmt;
use std::iter;
use std::str::FromStr;

use serde::Serialize;

use crate::bolt::PageId;
use crate::bolt::write::Plan;

use super::random::{Question, Random};

/// The longest run of [`Scatter::Bursts`] has fewer pages than 2 to the power of this.
const BURST_DOUBLINGS: u64 = 12;

/// How free pages are spread over a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scatter {
    /// One run at the end: as after a compaction of a file whose history was its newest part.
    None,
    /// Single pages, evenly between the nodes.
    Uniform,
    /// Runs at random places, their lengths geometrically distributed about a mean: many short ones.
    Geometric {
        /// Pages of a run, on average.
        mean: u32,
    },
    /// Runs at random places, from one page to thousands, each power of two a little rarer than the one before: half of
    /// them have fewer than 16 pages, and few long ones hold most of all free pages, as after bursts of writes.
    Bursts,
}

/// The words for it do not name one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "not a distribution of free pages: write none, uniform, geometric:MEAN (of pages, from 1 on) or bursts"
)]
pub struct ScatterError;

impl FromStr for Scatter {
    type Err = ScatterError;

    fn from_str(text: &str) -> Result<Self, ScatterError> {
        match text.split_once(':') {
            Some(("geometric", mean)) => {
                let mean = mean.parse().ok().filter(|&mean| mean > 0).ok_or(ScatterError)?;
                Ok(Self::Geometric { mean })
            }
            None if text == "none" => Ok(Self::None),
            None if text == "uniform" => Ok(Self::Uniform),
            None if text == "bursts" => Ok(Self::Bursts),
            _ => Err(ScatterError),
        }
    }
}

impl fmt::Display for Scatter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Uniform => f.write_str("uniform"),
            Self::Geometric { mean } => write!(f, "geometric:{mean}"),
            Self::Bursts => f.write_str("bursts"),
        }
    }
}

/// Runs of free pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FreeRuns {
    /// Number of runs.
    pub count: u64,
    /// Pages of the longest.
    pub largest: u64,
}

/// Moves a plan's nodes so that `free` pages lie between them. The share `shuffle` of the nodes change places with each
/// other first.
pub fn scatter(plan: &mut Plan, seed: u64, scatter: Scatter, free: u64, shuffle: f64) -> FreeRuns {
    let mut nodes: Vec<(PageId, u64)> = plan.nodes().collect();
    let Some(&(PageId(first), _)) = nodes.first() else { return FreeRuns::default() };
    self::shuffle(&mut nodes, seed, shuffle);
    let mut runs = FreeRuns::default();
    let mut gaps = Gaps::new(seed, scatter, free, nodes.len() as u64 + 1);
    let mut skip = |page: &mut u64| {
        let pages = gaps.next();
        runs.count += u64::from(pages > 0);
        runs.largest = runs.largest.max(pages);
        *page += pages;
    };
    let mut page = first;
    let mut moves = Vec::with_capacity(nodes.len());
    for (planned, pages) in nodes {
        skip(&mut page);
        moves.push((planned, PageId(page)));
        page += pages;
    }
    skip(&mut page);
    plan.move_nodes(moves, page);
    runs
}

/// Swaps the share of the nodes at random among themselves.
fn shuffle(nodes: &mut [(PageId, u64)], seed: u64, share: f64) {
    let mut random = Random::new(seed, Question::Shuffle, 0);
    let limit = share * f64::from(u32::MAX);
    let picked: Vec<_> = (0..nodes.len()).filter(|_| f64::from(random.bits_32()) < limit).collect();
    for (last, &node) in picked.iter().enumerate().rev() {
        let other = usize::try_from(random.below(last as u64 + 1)).ok().and_then(|other| picked.get(other));
        other.into_iter().for_each(|&other| nodes.swap(node, other));
    }
}

/// How many free pages lie in each gap: before the first node, between two, and after the last. All together they
/// have all free pages; where these make more runs than there are gaps, runs are joined.
struct Gaps {
    random: Random,
    even: bool,
    free: u64,
    gaps: u64,
    seen: u64,
    /// Runs that are not placed yet.
    runs: Vec<u64>,
}

impl Gaps {
    fn new(seed: u64, scatter: Scatter, free: u64, gaps: u64) -> Self {
        let mut random = Random::new(seed, Question::FreeRuns, 0);
        let runs = match scatter {
            Scatter::None | Scatter::Uniform => Vec::new(),
            Scatter::Geometric { mean } => runs_of(free, gaps, || geometric(&mut random, mean)),
            Scatter::Bursts => runs_of(free, gaps, || {
                // the lesser of two draws: each octave is a little rarer than the one before
                let octave = 1 << random.below(BURST_DOUBLINGS).min(random.below(BURST_DOUBLINGS));
                octave + random.below(octave)
            }),
        };
        Self { random, even: scatter == Scatter::Uniform, free, gaps, seen: 0, runs }
    }

    fn next(&mut self) -> u64 {
        let (from, to) = (self.seen, self.seen + 1);
        self.seen = to;
        if self.even {
            let before = |gap: u64| {
                u64::try_from(u128::from(gap) * u128::from(self.free) / u128::from(self.gaps)).unwrap_or(0)
            };
            return before(to) - before(from);
        }
        if to == self.gaps && self.runs.is_empty() {
            return self.free;
        }
        // each of the gaps left is as likely as the others to get one of the runs left
        let left = self.gaps - from;
        let run = if self.random.below(left) < self.runs.len() as u64 { self.runs.pop() } else { None };
        self.free -= run.unwrap_or(0);
        run.unwrap_or(0)
    }
}

/// Runs until all free pages are in one; at most as many as there are gaps.
fn runs_of(free: u64, gaps: u64, mut length: impl FnMut() -> u64) -> Vec<u64> {
    let mut left = free;
    let mut runs: Vec<u64> = iter::from_fn(|| {
        let run = length().min(left);
        left -= run;
        (run > 0).then_some(run)
    })
    .collect();
    let gaps = usize::try_from(gaps).unwrap_or(usize::MAX);
    let joined = runs.split_off(gaps.min(runs.len()));
    for (number, run) in joined.into_iter().enumerate() {
        let index = number % gaps.max(1);
        runs.get_mut(index).into_iter().for_each(|slot| *slot += run);
    }
    runs
}

/// How many draws it takes until one in `mean` comes up.
fn geometric(random: &mut Random, mean: u32) -> u64 {
    let mut draws = 1;
    while random.below(u64::from(mean)) != 0 {
        draws += 1;
    }
    draws
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(scatter: Scatter, free: u64, gaps: u64) -> Vec<u64> {
        let mut of = Gaps::new(1, scatter, free, gaps);
        (0..gaps).map(|_| of.next()).collect()
    }

    #[test]
    fn all_free_pages_are_placed() {
        let scatters = [Scatter::None, Scatter::Uniform, Scatter::Geometric { mean: 7 }, Scatter::Bursts];
        for scatter in scatters {
            for (free, num_gaps) in
                [(0, 1), (0, 100), (1, 1), (1, 100), (10_000, 1), (10_000, 100), (10_000, 100_000)]
            {
                let found = gaps(scatter, free, num_gaps);
                assert_eq!(found.iter().sum::<u64>(), free, "{scatter}: {free} in {num_gaps}");
            }
        }
    }

    #[test]
    fn runs_are_as_long_as_asked_for() {
        assert_eq!(gaps(Scatter::None, 500, 100).last(), Some(&500));
        assert!(gaps(Scatter::Uniform, 500, 1000).iter().all(|&run| run <= 1));
        let runs: Vec<_> = gaps(Scatter::Geometric { mean: 9 }, 90_000, 100_000)
            .into_iter()
            .filter(|&run| run > 0)
            .collect();
        let in_first_half = runs.len() / 2;
        assert!((9_500..10_500).contains(&runs.len()), "{}", runs.len());
        assert!(runs.get(..in_first_half).unwrap().iter().sum::<u64>() > 40_000);
        let runs = gaps(Scatter::Bursts, 1_000_000, 1_000_000);
        assert!(runs.iter().max() > Some(&2048) && runs.contains(&1), "{:?}", runs.iter().max());
    }

    #[test]
    fn words_for_it() {
        for text in ["none", "uniform", "geometric:12", "bursts"] {
            assert_eq!(text.parse::<Scatter>().unwrap().to_string(), text);
        }
        for text in ["", "geometric", "geometric:0", "geometric:x", "none:1", "Uniform"] {
            assert_eq!(text.parse::<Scatter>(), Err(ScatterError), "{text}");
        }
    }

    #[test]
    fn a_shuffle_keeps_every_node() {
        let nodes: Vec<_> = (0..1000).map(|page| (PageId(page), 1)).collect();
        let mut shuffled = nodes.clone();
        shuffle(&mut shuffled, 1, 0.0);
        assert_eq!(shuffled, nodes);
        shuffle(&mut shuffled, 1, 0.3);
        let moved = shuffled.iter().zip(&nodes).filter(|(a, b)| a != b).count();
        assert!((200..400).contains(&moved), "{moved}");
        shuffled.sort_by_key(|(page, _)| page.0);
        assert_eq!(shuffled, nodes);
    }
}
