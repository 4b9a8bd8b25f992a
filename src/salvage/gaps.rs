//! Ranges of keys that are missing.

#![deny(clippy::arithmetic_side_effects)]

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
    /// Whether that page itself was damaged, and was a leaf, as those beside it are: then its records lay nowhere else. Not where
    /// the reference to it may be what is wrong.
    pub leaf: bool,
    pub why: String,
}

impl Gap<'_> {
    /// Whether a key lies in the range.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.lower <= key && self.upper.is_none_or(|upper| key < upper)
    }
}

/// Gaps in ascending order, quickly asked.
#[derive(Clone, Debug, Default)]
pub struct Gaps<'a> {
    gaps: Vec<Gap<'a>>,
    /// Up to where the gaps so far reach: they may overlap where a branch was damaged. `None`: to the end.
    reach: Vec<Option<&'a [u8]>>,
}

impl<'a> Gaps<'a> {
    /// These gaps, in whatever order.
    #[must_use]
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
    #[must_use]
    pub fn contain(&self, key: &[u8]) -> bool {
        let behind = self.gaps.partition_point(|gap| gap.lower <= key);
        let reach = behind.checked_sub(1).and_then(|last| self.reach.get(last));
        reach.is_some_and(|reach| reach.is_none_or(|reach| key < reach))
    }

    /// Whether a gap has something in common with one of them.
    #[must_use]
    pub fn meet(&self, gap: &Gap<'_>) -> bool {
        let behind = match gap.upper {
            Some(upper) => self.gaps.partition_point(|theirs| theirs.lower < upper),
            None => self.gaps.len(),
        };
        let reach = behind.checked_sub(1).and_then(|last| self.reach.get(last));
        reach.is_some_and(|reach| reach.is_none_or(|reach| gap.lower < reach))
    }

    /// Those that a key lies in. They overlap only where a branch was damaged, so no more than a few are looked at.
    pub fn around(&self, key: &[u8]) -> impl Iterator<Item = &Gap<'a>> {
        let behind = self.gaps.partition_point(|gap| gap.lower <= key);
        let before = self.gaps.get(..behind).unwrap_or_default();
        before.iter().rev().take(MAX_OVERLAPPING).filter(move |gap| gap.contains(key))
    }

    /// Each of them, in order.
    #[must_use]
    pub fn all(&self) -> &[Gap<'a>] {
        &self.gaps
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.gaps.is_empty()
    }
}
