//! Histograms: how many of what size.

use serde::Serialize;

/// How values are distributed. The quantiles are by nearest rank: values that really occur; 0 where there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Histogram {
    /// Number of values.
    pub count: u64,
    /// The median.
    pub p50: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The largest value; 0 where there are none.
    pub max: u64,
    /// Bins that double (0, 1, 2–3, 4–7, …), ascending; empty ones are left out.
    pub bins: Vec<Bin>,
}

/// The values from `from` to `to`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Bin {
    /// The smallest value that belongs here.
    pub from: u64,
    /// The largest value that belongs here.
    pub to: u64,
    /// Number of values.
    pub count: u64,
}

impl Histogram {
    /// Of these values, which are put out of order.
    pub fn of<T: Copy + Ord + Into<u64>>(values: &mut [T]) -> Self {
        let mut counts = [0u64; 65];
        for &value in values.iter() {
            if let Some(count) = counts.get_mut(bin_of(value.into())) {
                *count += 1;
            }
        }
        let bins = counts.iter().enumerate().filter(|&(_, &count)| count > 0);
        Self {
            count: values.len() as u64,
            p99: quantile(values, 99),
            p50: quantile(values, 50),
            max: values.iter().max().map_or(0, |&max| max.into()),
            bins: bins
                .map(|(bin, &count)| Bin { from: lower_edge(bin), to: upper_edge(bin), count })
                .collect(),
        }
    }

    /// Of counters for the values 0, 1, 2, …, in bins of `width` values; the last bin takes the highest value in.
    pub fn of_counters(counters: &[u64], width: usize) -> Self {
        let count = counters.iter().sum();
        let rank = |percent: u64| {
            let mut left = nearest_rank(count, percent);
            let value = counters.iter().position(|&count| {
                left = left.saturating_sub(count);
                left == 0
            });
            value.unwrap_or(0) as u64
        };
        let highest = counters.len().saturating_sub(1);
        let num_bins = (highest / width.max(1)).max(1);
        let bins = (0..num_bins).map(|bin| {
            let from = bin * width;
            let to = if bin + 1 == num_bins { highest } else { from + width - 1 };
            let count = counters.get(from..=to).unwrap_or_default().iter().sum();
            Bin { from: from as u64, to: to as u64, count }
        });
        Self {
            count,
            p50: rank(50),
            p99: rank(99),
            max: counters.iter().rposition(|&count| count > 0).unwrap_or(0) as u64,
            bins: bins.collect(),
        }
    }
}

fn bin_of(value: u64) -> usize {
    (u64::BITS - value.leading_zeros()) as usize
}

fn lower_edge(bin: usize) -> u64 {
    if bin == 0 { 0 } else { 1 << (bin - 1) }
}

fn upper_edge(bin: usize) -> u64 {
    if bin == 0 { 0 } else { lower_edge(bin) + (lower_edge(bin) - 1) }
}

fn nearest_rank(count: u64, percent: u64) -> u64 {
    let rank = u128::from(count) * u128::from(percent);
    u64::try_from(rank.div_ceil(100)).unwrap_or(count).max(1)
}

fn quantile<T: Copy + Ord + Into<u64>>(values: &mut [T], percent: u64) -> u64 {
    let index = nearest_rank(values.len() as u64, percent) as usize - 1;
    if index >= values.len() {
        return 0;
    }
    (*values.select_nth_unstable(index).1).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_double_and_quantiles_are_values() {
        let mut values: Vec<u32> = vec![0, 1, 1, 2, 3, 4, 7, 8, 1000];
        let histogram = Histogram::of(&mut values);
        assert_eq!((histogram.count, histogram.p50, histogram.p99, histogram.max), (9, 3, 1000, 1000));
        let bins: Vec<_> = histogram.bins.iter().map(|bin| (bin.from, bin.to, bin.count)).collect();
        assert_eq!(bins, [(0, 0, 1), (1, 1, 2), (2, 3, 2), (4, 7, 2), (8, 15, 1), (512, 1023, 1)]);
        let huge = Histogram::of(&mut [u64::MAX]);
        assert_eq!(huge.bins, [Bin { from: 1 << 63, to: u64::MAX, count: 1 }]);
    }

    #[test]
    fn quantiles_take_the_nearest_rank() {
        let mut hundred: Vec<u64> = (1..=100).rev().collect();
        let histogram = Histogram::of(&mut hundred);
        assert_eq!((histogram.p50, histogram.p99, histogram.max), (50, 99, 100));
        assert_eq!(Histogram::of::<u64>(&mut []), Histogram::default());
    }

    #[test]
    fn counters_become_bins_of_one_width() {
        let mut counters = [0; 101];
        (counters[0], counters[9], counters[10], counters[99], counters[100]) = (1, 2, 3, 4, 5);
        let histogram = Histogram::of_counters(&counters, 10);
        assert_eq!((histogram.count, histogram.p50, histogram.p99, histogram.max), (15, 99, 100, 100));
        assert_eq!(histogram.bins.len(), 10);
        assert_eq!(histogram.bins[0], Bin { from: 0, to: 9, count: 3 });
        assert_eq!(histogram.bins[9], Bin { from: 90, to: 100, count: 9 });
        assert_eq!(Histogram::of_counters(&[0; 101], 10).p50, 0);
    }
}
