//! How records spread over the revisions.

/// Number of equal spans that the revisions are cut into.
pub const NUM_BINS: usize = 60;

/// Cuts a range of revisions into at most [`NUM_BINS`] spans of equal width.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bins {
    first: i64,
    last: i64,
    width: u64,
}

impl Bins {
    /// The spans from the first to the last of these revisions, both included.
    #[must_use]
    pub fn over(range: Option<(i64, i64)>) -> Self {
        let (first, last) = range.filter(|(first, last)| first <= last).unwrap_or((0, 0));
        let revisions = last.abs_diff(first).saturating_add(1);
        Self { first, last, width: revisions.div_ceil(NUM_BINS as u64) }
    }

    /// The span of a revision; those outside the range belong to the outermost ones.
    #[inline]
    #[must_use]
    pub fn bin_of(&self, revision: i64) -> usize {
        let revision = revision.clamp(self.first, self.last);
        let bin = revision.abs_diff(self.first) / self.width.max(1);
        usize::try_from(bin).unwrap_or(NUM_BINS).min(NUM_BINS - 1)
    }

    /// Number of spans that the range has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.bin_of(self.last) + 1
    }

    /// The first and last revision of a span.
    #[must_use]
    pub fn range_of(&self, bin: usize) -> (i64, i64) {
        let start = self.width.saturating_mul(bin as u64);
        let first = self.first.saturating_add_unsigned(start);
        (first, first.saturating_add_unsigned(self.width.saturating_sub(1)).min(self.last))
    }
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
    #[must_use]
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
    /// Number of records.
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
    #[must_use]
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

    #[test]
    fn spans_cover_the_range_without_gap_or_overlap() {
        for (first, last) in [(1, 1), (5, 64), (1, 61), (0, i64::MAX), (100, 7605)] {
            let bins = Bins::over(Some((first, last)));
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
    fn revisions_outside_the_range_are_kept() {
        let bins = Bins::over(Some((100, 200)));
        assert_eq!(bins.bin_of(-1), 0);
        assert_eq!(bins.bin_of(i64::MAX), bins.count() - 1);
        assert_eq!(Bins::over(Some((5, 2))), Bins::over(None));
    }
}
