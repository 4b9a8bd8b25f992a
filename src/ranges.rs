//! Ranges that may overlap, and whether one of them has something.

/// Ranges (start, end) in the order of their starts, each with the highest end up to here.
#[derive(Debug)]
pub struct Ranges<T>(Vec<(T, T)>);

impl<T: Copy + Ord> Ranges<T> {
    pub fn of(mut ranges: Vec<(T, T)>) -> Self {
        ranges.sort_unstable();
        let mut highest = None;
        for (_, end) in &mut ranges {
            *end = highest.map_or(*end, |highest| (*end).max(highest));
            highest = Some(*end);
        }
        Self(ranges)
    }

    /// The lowest start.
    pub fn first(&self) -> Option<T> {
        self.0.first().map(|&(start, _)| start)
    }

    /// Whether one of them has all from `first` to `last`.
    pub fn cover(&self, first: T, last: T) -> bool {
        self.highest_end(|start| start <= first).is_some_and(|end| last <= end)
    }

    /// Whether something lies between the two ends of one of them.
    pub fn enclose(&self, at: T) -> bool {
        self.highest_end(|start| start < at).is_some_and(|end| at < end)
    }

    /// The highest end of the ranges that start early enough.
    fn highest_end(&self, is_early: impl Fn(T) -> bool) -> Option<T> {
        let early = self.0.partition_point(|&(start, _)| is_early(start)).checked_sub(1)?;
        self.0.get(early).map(|&(_, end)| end)
    }
}

impl<T> Default for Ranges<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}
