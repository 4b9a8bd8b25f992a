//! Ranges of keys that are missing.

use crate::bolt::PageId;

/// Gaps at one key that are looked at.
const MAX_OVERLAPPING: usize = 8;

/// A range of keys that is missing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gap<'a> {
    /// The lowest key that may be missing; empty for all below the upper end.
    pub lower: &'a [u8],
    /// The lowest key that is not missing; `None` for all above the lower end.
    pub upper: Option<&'a [u8]>,
    /// The page that could not be read.
    pub page: PageId,
    /// Whether that page itself is damaged, and was a leaf, as its siblings are: then its records were nowhere else. Not set where
    /// the reference to the page may be wrong.
    pub leaf: bool,
    pub why: String,
}

impl Gap<'_> {
    /// Whether a key lies in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.lower <= key && self.upper.is_none_or(|upper| key < upper)
    }
}

/// Gaps in ascending order. Whether one has a key is found by binary search.
#[derive(Clone, Debug, Default)]
pub struct Gaps<'a> {
    gaps: Vec<Gap<'a>>,
    /// The highest upper end of the gaps up to each: they may overlap where a branch was damaged. `None`: to the end.
    reach: Vec<Option<&'a [u8]>>,
}

impl<'a> Gaps<'a> {
    /// These gaps, in any order.
    pub fn new(mut gaps: Vec<Gap<'a>>) -> Self {
        gaps.sort_by(|a, b| a.lower.cmp(b.lower));
        let further = |reach: &mut Option<&'a [u8]>, gap: &Gap<'a>| {
            *reach = reach.and_then(|reach| gap.upper.map(|upper| upper.max(reach)));
            Some(*reach)
        };
        let reach = gaps.iter().scan(Some(&[][..]), further).collect();
        Self { gaps, reach }
    }

    /// Whether a key lies in one of them.
    pub fn contain(&self, key: &[u8]) -> bool {
        self.reach_beyond(self.gaps.partition_point(|gap| gap.lower <= key), key)
    }

    /// Whether a gap overlaps one of them.
    pub fn meet(&self, gap: &Gap<'_>) -> bool {
        let below = |upper| self.gaps.partition_point(|theirs| theirs.lower < upper);
        self.reach_beyond(gap.upper.map_or(self.gaps.len(), below), gap.lower)
    }

    /// Whether one of the first `num_gaps` gaps ends above a key.
    fn reach_beyond(&self, num_gaps: usize, key: &[u8]) -> bool {
        let reach = num_gaps.checked_sub(1).and_then(|last| self.reach.get(last));
        reach.is_some_and(|reach| reach.is_none_or(|reach| key < reach))
    }

    /// The gaps that contain a key. They overlap only where a branch was damaged, so at most a few are looked at.
    pub fn around(&self, key: &[u8]) -> impl Iterator<Item = &Gap<'a>> {
        let end = self.gaps.partition_point(|gap| gap.lower <= key);
        self.gaps
            .get(..end)
            .unwrap_or_default()
            .iter()
            .rev()
            .take(MAX_OVERLAPPING)
            .filter(move |gap| gap.contains(key))
    }

    pub fn all(&self) -> &[Gap<'a>] {
        &self.gaps
    }

    pub fn is_empty(&self) -> bool {
        self.gaps.is_empty()
    }
}
