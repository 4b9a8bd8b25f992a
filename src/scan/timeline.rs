//! How records spread over the revisions.

use crate::etcd::RevisionGaps;

/// Number of spans that the revisions are cut into, at most.
pub const NUM_BINS: usize = 60;

/// Cuts a range of revisions into at most [`NUM_BINS`] spans of equal width. What never existed is in none of them: the last span
/// before a gap may be shorter, as the last of all may be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bins {
    /// Ascending; at least one.
    segments: Vec<Segment>,
    width: u64,
}

/// Revisions without a gap among them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Segment {
    first: i64,
    last: i64,
    /// The number of its first span.
    first_bin: usize,
}

impl Segment {
    fn len(&self) -> u64 {
        self.last.abs_diff(self.first).saturating_add(1)
    }

    fn num_bins(&self, width: u64) -> u64 {
        self.len().div_ceil(width.max(1))
    }
}

impl Bins {
    /// The spans from the first to the last of these revisions, both included.
    pub fn over(range: Option<(i64, i64)>, gaps: &RevisionGaps) -> Self {
        let (first, last) = range.filter(|(first, last)| first <= last).unwrap_or((0, 0));
        let mut segments = Vec::new();
        let mut start = first;
        for gap in gaps.as_slice().iter().filter(|gap| gap.first_revision > first && gap.last_revision < last)
        {
            segments.push(Segment { first: start, last: gap.first_revision - 1, first_bin: 0 });
            start = gap.last_revision + 1;
        }
        segments.push(Segment { first: start, last, first_bin: 0 });
        let width = width_for(&segments);
        let mut next = 0;
        for segment in &mut segments {
            segment.first_bin = next;
            next += usize::try_from(segment.num_bins(width)).unwrap_or(NUM_BINS);
        }
        Self { segments, width }
    }

    /// The span of a revision; those outside the range belong to the outermost ones, those in a gap to the one before it.
    #[inline]
    pub fn bin_of(&self, revision: i64) -> usize {
        let Some(segment) = self.segment_at(|segment| segment.first <= revision) else { return 0 };
        let revision = revision.clamp(segment.first, segment.last);
        let bin = revision.abs_diff(segment.first) / self.width.max(1);
        usize::try_from(bin).map_or(NUM_BINS, |bin| bin + segment.first_bin).min(NUM_BINS - 1)
    }

    /// Number of spans that the range has.
    pub fn count(&self) -> usize {
        self.bin_of(i64::MAX) + 1
    }

    /// The first and last revision of a span.
    pub fn range_of(&self, bin: usize) -> (i64, i64) {
        let Some(segment) = self.segment_at(|segment| segment.first_bin <= bin) else { return (0, 0) };
        let start = self.width.saturating_mul((bin - segment.first_bin) as u64);
        let first = segment.first.saturating_add_unsigned(start);
        (first, first.saturating_add_unsigned(self.width.saturating_sub(1)).min(segment.last))
    }

    /// The last segment of those that begin so, or the first.
    fn segment_at(&self, begins: impl Fn(&Segment) -> bool) -> Option<&Segment> {
        let at = self.segments.partition_point(begins).saturating_sub(1);
        self.segments.get(at)
    }
}

/// The smallest width that cuts the segments into few enough spans.
fn width_for(segments: &[Segment]) -> u64 {
    let num_bins =
        |width: u64| -> u128 { segments.iter().map(|segment| u128::from(segment.num_bins(width))).sum() };
    let (mut low, mut high) = (1, segments.iter().map(Segment::len).max().unwrap_or(1));
    while low < high {
        let middle = low + (high - low) / 2;
        if num_bins(middle) > NUM_BINS as u128 {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// Finds the bins of revisions that mostly come in ascending order: a bin is worked out when it is left only.
#[derive(Clone, Copy, Debug, Default)]
pub struct BinCursor {
    bin: usize,
    range: Option<(i64, i64)>,
}

impl BinCursor {
    /// As [`Bins::bin_of`].
    #[inline]
    pub fn bin_of(&mut self, revision: i64, bins: &Bins) -> usize {
        if !self.range.is_some_and(|(first, last)| (first..=last).contains(&revision)) {
            self.bin = bins.bin_of(revision);
            self.range = Some(bins.range_of(self.bin));
        }
        self.bin
    }
}

/// What fell into one span.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    pub records: u64,
    /// Bytes of their elements, keys and values.
    pub bytes: u64,
}

impl Span {
    /// Adds another's records to these.
    pub fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.bytes += other.bytes;
    }
}

/// Spans that a timeline has by themselves, before it has all of them: a file may have a hundred thousand resources of a few
/// records each.
const FEW: usize = 4;

/// One [`Span`] for each bin.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    few: Vec<(usize, Span)>,
    all: Option<Box<[Span; NUM_BINS]>>,
}

impl Timeline {
    /// Counts a record of this many bytes.
    #[inline]
    pub fn add(&mut self, bin: usize, bytes: u64) {
        self.add_span(bin, &Span { records: 1, bytes });
    }

    #[inline]
    fn add_span(&mut self, bin: usize, more: &Span) {
        match &mut self.all {
            Some(all) => {
                if let Some(span) = all.get_mut(bin) {
                    span.add(more);
                }
            }
            None => self.add_to_few(bin, more),
        }
    }

    fn add_to_few(&mut self, bin: usize, more: &Span) {
        if let Some((_, span)) = self.few.iter_mut().find(|(other, _)| *other == bin) {
            span.add(more);
        } else if self.few.len() < FEW {
            self.few.push((bin, *more));
        } else {
            self.all = Some(Box::new(self.spans()));
            self.few = Vec::new();
            self.add_span(bin, more);
        }
    }

    /// Adds another's spans to these.
    pub fn append(&mut self, other: &Self) {
        for (bin, span) in other.spans().iter().enumerate().filter(|(_, span)| span.records > 0) {
            self.add_span(bin, span);
        }
    }

    /// The spans, from the oldest revisions on.
    pub fn spans(&self) -> [Span; NUM_BINS] {
        if let Some(all) = &self.all {
            return **all;
        }
        let mut spans = [Span::default(); NUM_BINS];
        for (bin, span) in &self.few {
            if let Some(place) = spans.get_mut(*bin) {
                *place = *span;
            }
        }
        spans
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcd::RevisionGap;

    fn gaps(gaps: &[(i64, i64)]) -> RevisionGaps {
        let gap =
            |&(first_revision, last_revision): &(i64, i64)| RevisionGap { first_revision, last_revision };
        RevisionGaps::of(gaps.iter().map(gap).collect())
    }

    #[test]
    fn spans_cover_the_range_without_gap_or_overlap() {
        for (first, last) in [(1, 1), (5, 64), (1, 61), (0, i64::MAX), (100, 7605)] {
            let bins = Bins::over(Some((first, last)), &RevisionGaps::default());
            let count = bins.count();
            assert!((1..=NUM_BINS).contains(&count), "{first}..{last}: {count}");
            assert_eq!(bins.range_of(0).0, first);
            assert_eq!(bins.range_of(count - 1).1, last);
            for bin in 0..count {
                let (from, to) = bins.range_of(bin);
                assert_eq!((bins.bin_of(from), bins.bin_of(to)), (bin, bin), "{first}..{last} at {bin}");
                let mut cursor = BinCursor::default();
                for revision in [from, to, first, last, from, i64::MIN, i64::MAX] {
                    assert_eq!(cursor.bin_of(revision, &bins), bins.bin_of(revision), "{revision}");
                }
            }
        }
    }

    #[test]
    fn a_timeline_of_few_spans_is_one_of_many() {
        let (mut one, mut both) = (Timeline::default(), Timeline::default());
        let mut expected = [Span::default(); NUM_BINS];
        for number in 0..200 {
            let (bin, bytes) = ((number * number) % NUM_BINS, number as u64);
            expected[bin].add(&Span { records: 1, bytes });
            one.add(bin, bytes);
            assert_eq!(one.spans(), expected, "{number}");
            let mut other = Timeline::default();
            other.add(bin, bytes);
            both.append(&other);
            assert_eq!(both.spans(), expected, "{number}");
        }
    }

    #[test]
    fn no_span_has_a_gap_in_it() {
        let many: Vec<_> =
            (0..15).map(|number| (100 + number * 200_000, 100_000 + number * 200_000)).collect();
        for (range, missing) in [
            ((2, 1_000_003_002), &[(3002, 1_000_003_001)][..]),
            ((2, 9_000_000_000), &[(100, 4_000_000_000), (4_000_000_500, 8_999_999_000)]),
            ((1, 3_000_000), &many),
            ((1, i64::MAX), &[(2, i64::MAX - 1)]),
        ] {
            let gaps = gaps(missing);
            let bins = Bins::over(Some(range), &gaps);
            assert!((1..=NUM_BINS).contains(&bins.count()), "{range:?}: {}", bins.count());
            let ranges: Vec<_> = (0..bins.count()).map(|bin| bins.range_of(bin)).collect();
            let total: i64 = ranges.iter().map(|(from, to)| to - from + 1).sum();
            assert_eq!(total, gaps.existed_between(range.0 - 1, range.1), "{range:?}");
            for pair in ranges.windows(2) {
                let [(_, last), (first, _)] = *pair else { unreachable!() };
                assert!(first == last + 1 || missing.contains(&(last + 1, first - 1)), "{pair:?}");
            }
            for (bin, &(from, to)) in ranges.iter().enumerate() {
                assert_eq!((bins.bin_of(from), bins.bin_of(to)), (bin, bin));
            }
        }
    }

    #[test]
    fn revisions_outside_the_range_are_kept() {
        let bins = Bins::over(Some((100, 200)), &RevisionGaps::default());
        assert_eq!(bins.bin_of(-1), 0);
        assert_eq!(bins.bin_of(i64::MAX), bins.count() - 1);
        assert_eq!(
            Bins::over(Some((5, 2)), &RevisionGaps::default()),
            Bins::over(None, &RevisionGaps::default())
        );
        let bins = Bins::over(Some((1, 1000)), &gaps(&[(101, 900)]));
        assert_eq!(bins.bin_of(500), bins.bin_of(100), "in a gap: a number that lies");
        assert_eq!(Bins::over(Some((500, 600)), &gaps(&[(101, 900)])).range_of(0).0, 500);
    }
}
