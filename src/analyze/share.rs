//! Shares: of a whole, and bytes that are shared out so that they add up to it.

/// `part` of `whole`, between 0 and 1; 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "a share for people: 53 bits are plenty")]
pub fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Shares `total` out in proportion to `weights`, to the byte. With no weight at all, nobody gets anything.
pub fn apportion(total: u64, weights: &[u64]) -> Vec<u64> {
    let all: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
    let (mut so_far, mut given) = (0u128, 0u64);
    let shares = weights.iter().map(|&weight| {
        so_far += u128::from(weight);
        let up_to_here = (so_far * u128::from(total)).checked_div(all).unwrap_or(0);
        let up_to_here = u64::try_from(up_to_here).unwrap_or(u64::MAX);
        let share = up_to_here - given;
        given = up_to_here;
        share
    });
    shares.collect()
}

/// What the `key` bucket takes of the file.
#[derive(Clone, Copy, Debug)]
pub struct DiskBytes {
    /// What all of them take.
    pub bytes: u64,
    /// All records' bytes with their share of their leaves.
    pub leaf_bytes: u64,
}

impl DiskBytes {
    /// What records of these leaf bytes take.
    pub fn share_of(self, leaf_bytes: u64) -> u64 {
        let share = u128::from(leaf_bytes) * u128::from(self.bytes) / u128::from(self.leaf_bytes.max(1));
        u64::try_from(share).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        for (total, weights) in
            [(10, vec![1, 1, 1]), (4096, vec![0, 7, 100_000, 3]), (u64::MAX, vec![u64::MAX, 1])]
        {
            let shares = apportion(total, &weights);
            assert_eq!(shares.iter().map(|&share| u128::from(share)).sum::<u128>(), u128::from(total));
            assert!(weights.iter().zip(&shares).all(|(&weight, &share)| weight > 0 || share == 0));
        }
        assert_eq!(apportion(10, &[0, 0]), [0, 0]);
        assert!(apportion(10, &[]).is_empty());
    }
}
