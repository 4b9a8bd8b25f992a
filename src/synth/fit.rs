//! Finds the number of keys that make a file of a given size.

use crate::bolt::write::{self, Plan, Settings};
use crate::copy::CopyError;

use super::content::{FileWish, SynthContent};
use super::{Extent, SynthError, SynthOptions};

/// Keys of the first, small cluster, from which the others are estimated.
const SAMPLE_KEYS: u32 = 10_000;
/// A value takes at most this part of a file, so that the size does not depend on a few values.
const LARGEST_VALUE: u64 = 256;
/// The size may be missed by this part of it.
const TOLERANCE: u64 = 400;
/// Large files take two or three rounds. In small ones, single values can keep any number of keys from coming close
/// enough: then the closest is taken.
const MAX_ROUNDS: u32 = 24;

/// A file that is as large as was asked for.
#[derive(Debug)]
pub struct Fitted {
    pub content: SynthContent,
    /// Where that goes, without free pages.
    pub plan: Plan,
    /// The free pages to put into it.
    pub free_pages: u64,
}

/// Finds the file of the size that is wanted, `trailer` bytes included.
///
/// # Errors
/// The size is too small for any file; a history that can't be.
pub fn fit(options: &SynthOptions, trailer: u64) -> Result<Fitted, SynthError> {
    if !(0.0..1.0).contains(&options.free) {
        return Err(SynthError::AllFree(options.free * 100.0));
    }
    match options.extent {
        Extent::Keys(keys) => {
            let (content, plan) = planned(options, keys, u32::MAX)?;
            let free_pages = free_pages(plan.num_pages, options.free);
            Ok(Fitted { content, plan, free_pages })
        }
        Extent::Bytes(bytes) => {
            let target = bytes.saturating_sub(trailer);
            let (content, plan) = fit_bytes(options, target)?;
            // where there are free pages, they make up for what is still missed
            let num_pages = if options.free > 0.0 { target / plan.page_size } else { 0 };
            let free_pages = num_pages.saturating_sub(plan.num_pages);
            Ok(Fitted { content, plan, free_pages })
        }
    }
}

fn fit_bytes(options: &SynthOptions, target: u64) -> Result<(SynthContent, Plan), SynthError> {
    let max_value = u32::try_from(target / LARGEST_VALUE).unwrap_or(u32::MAX);
    let bytes_of = |plan: &Plan| (plan.num_pages + free_pages(plan.num_pages, options.free)) * plan.page_size;
    let least = bytes_of(&planned(options, 1, max_value)?.1);
    if target < least {
        return Err(SynthError::TooSmall { wanted: target, least });
    }
    let mut keys = SAMPLE_KEYS;
    // the most keys that are too few, the fewest that are too many, and those that come closest
    let (mut few, mut many, mut closest) = (1, u32::MAX, (u64::MAX, 1));
    for _ in 0..MAX_ROUNDS {
        let (content, plan) = planned(options, keys, max_value)?;
        let bytes = bytes_of(&plan);
        let missed = bytes.abs_diff(target);
        if missed <= target / TOLERANCE {
            return Ok((content, plan));
        }
        closest = closest.min((missed, keys));
        if bytes < target {
            few = few.max(keys)
        } else {
            many = many.min(keys)
        }
        if many.saturating_sub(few) <= 1 {
            break;
        }
        keys = scaled(keys, target - least, bytes.saturating_sub(least));
        if !(few + 1..many).contains(&keys) {
            keys = few.midpoint(many.min(few.saturating_mul(2).saturating_add(1)));
        }
    }
    planned(options, closest.1, max_value)
}

/// The number of keys for the wanted bytes, in proportion to those that were made.
fn scaled(keys: u32, wanted: u64, made: u64) -> u32 {
    let keys = u128::from(keys) * u128::from(wanted) / u128::from(made.max(1));
    u32::try_from(keys).unwrap_or(u32::MAX).max(1)
}

/// Free pages, from the number of pages in use.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share below 1 of a number of pages; what is too large is refused when it is written"
)]
fn free_pages(in_use: u64, share: f64) -> u64 {
    (in_use as f64 * share / (1.0 - share)).round() as u64
}

fn planned(options: &SynthOptions, keys: u32, max_value: u32) -> Result<(SynthContent, Plan), SynthError> {
    let SynthOptions { seed, amounts, leases, nospace, page_size, packing, .. } = *options;
    let content = SynthContent::new(&FileWish { seed, keys, amounts, leases, nospace, max_value })?;
    let plan = write::plan(&content, Settings { page_size, packing, freelist: false });
    let plan = plan.map_err(CopyError::from)?;
    Ok((content, plan))
}
