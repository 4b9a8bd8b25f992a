//! Values of options, as people write them.

use bytesize::ByteSize;

use crate::bolt::format::{MAX_PAGE_SIZE, MIN_PAGE_SIZE};
use crate::doctor::versions::NEWEST;
use crate::etcd::apply::Version;
use crate::rewrite::changes::History;

pub(super) fn parse_page_size(text: &str) -> Result<u32, String> {
    let bytes = text.parse::<ByteSize>().ok().and_then(|size| u32::try_from(size.0).ok());
    bytes.filter(|size| size.is_power_of_two() && (MIN_PAGE_SIZE..=MAX_PAGE_SIZE).contains(size)).ok_or_else(
        || format!("not supported: pages have a power of two from {MIN_PAGE_SIZE} to {MAX_PAGE_SIZE} bytes, usually 4096"),
    )
}

pub(super) fn parse_bytes(text: &str) -> Result<u64, String> {
    match text.parse::<ByteSize>() {
        Ok(ByteSize(0)) => Err("there is nothing in 0 bytes".to_owned()),
        Ok(ByteSize(bytes)) => Ok(bytes),
        Err(_) => Err("not a number of bytes: write 8GiB, 500MiB or 2147483648".to_owned()),
    }
}

pub(super) fn parse_percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim().parse::<f64>();
    let share = number.map_err(|_| "not a percentage: write 80%".to_owned())? / 100.0;
    if share.is_finite() && share >= 0.0 { Ok(share) } else { Err("not a percentage: write 80%".to_owned()) }
}
pub(super) fn parse_compact_to(text: &str) -> Result<History, String> {
    match text.parse::<i64>() {
        Ok(revision) if revision > 0 => Ok(History::CompactTo(revision)),
        _ if text == "current" => Ok(History::Current),
        _ => Err("not a revision: write a number from 1 on, or `current`".to_owned()),
    }
}
/// A version of etcd; of a minor version, its newest patch that was tried.
pub(super) fn parse_version(text: &str) -> Result<Version, String> {
    let minor = text.strip_prefix("3.").and_then(|minor| minor.parse::<u32>().ok());
    match minor {
        Some(minor) => {
            let newest = NEWEST.into_iter().find(|version| version.minor == minor);
            newest.ok_or_else(|| format!("etcd 3.{minor} was not tried: 3.4 to 3.7 were"))
        }
        None => text.parse(),
    }
}
