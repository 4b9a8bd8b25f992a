//! `cleanup`: what could be deleted.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use bytesize::ByteSize;
use jiff::{Span, SpanRelativeTo, Timestamp};

use crate::cleanup::GarbageLimits;
use crate::cli::progress;
use crate::front::options::CleanupOptions;
use crate::report::{self, View};
use crate::text::shown;

use crate::cli::context::Context;
use crate::cli::outcome::Outcome;

/// Find what could be deleted, and how: old events, finished Jobs and Pods, stale leases, floods, ...
///
/// It reads the objects' own fields, and prints the bytes that they take and the commands that delete them. Ages are
/// measured from the file's own time. Encrypted values are only counted; no value is shown.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  etcd-medic cleanup /var/lib/etcd
  etcd-medic cleanup snapshot.db --event-age 3h --lease-age 7d --top 20
  etcd-medic cleanup snapshot.db --as-of 2026-03-01T12:00:00Z
  etcd-medic cleanup snapshot.db --output json | jq -r '.classes[].commands[]'")]
pub struct CleanupArgs {
    /// A db, a snapshot, or a data dir
    file: PathBuf,
    /// Namespaces and objects of each class to show
    #[arg(long, default_value_t = 5, value_name = "N")]
    top: usize,
    /// The time that ages are measured from, `2026-03-01T12:00:00Z`. Default: the file's own time
    #[arg(long, value_name = "RFC3339", value_parser = parse_time)]
    as_of: Option<Timestamp>,
    /// Events last seen longer ago than this are old
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = parse_span)]
    event_age: u64,
    /// Lease objects not renewed for longer than this are stale
    #[arg(long, value_name = "SPAN", default_value = "1d", value_parser = parse_span)]
    lease_age: u64,
    /// ConfigMaps and Secrets of at least this size are large
    #[arg(long, value_name = "BYTES", default_value = "256KiB", value_parser = parse_size)]
    large: u64,
    /// Resources with at least N objects are a flood, whatever their size
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    flood_objects: u64,
}

impl CleanupArgs {
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let source = context.open(&self.file)?;
        let limits = GarbageLimits {
            event_age_seconds: self.event_age,
            lease_age_seconds: self.lease_age,
            large_bytes: self.large,
            flood_objects: self.flood_objects,
        };
        let (as_of, top) = (self.as_of, self.top);
        let found =
            progress::watch(|progress| source.cleanup(&CleanupOptions { limits, as_of, top, progress }));
        let found = found.with_context(|| shown(&source.path).into_owned())?;
        let view = View { top: self.top, ..context.view() };
        context.render("cleanup", &found, |out| report::cleanup::write(out, &view, &found))?;
        Ok(Outcome::of(found.health.sound))
    }
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "not a time as RFC 3339 has it: write 2026-03-01T12:00:00Z".to_owned())
}

/// Seconds in `90s`, `30m`, `1h`, `7d`, `2w`: a day has 24 hours.
fn parse_span(text: &str) -> Result<u64, String> {
    let span = text.parse::<Span>().ok();
    let length = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    let seconds = length.and_then(|length| u64::try_from(length.as_secs()).ok());
    // a longer span is a mistake
    seconds
        .filter(|seconds| *seconds <= 100 * 366 * 86400)
        .ok_or_else(|| "not a span of time: write 90s, 30m, 1h or 7d".to_owned())
}

fn parse_size(text: &str) -> Result<u64, String> {
    let size = text.parse::<ByteSize>().map(|size| size.0);
    size.ok()
        .filter(|size| *size > 0)
        .ok_or_else(|| "not a size of a value: write 256KiB, 1MiB or 262144".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_seconds() {
        for (text, seconds) in [("90s", 90), ("30m", 1800), ("1h", 3600), ("1d", 86400), ("1h30m", 5400)] {
            assert_eq!(parse_span(text), Ok(seconds), "{text}");
        }
        for text in ["", "1", "-1h", "h", "1y", "200000d", "9999999999999999h"] {
            assert!(parse_span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_rfc_3339() {
        assert!(parse_time("2026-03-01T12:00:00Z").is_ok_and(|time| time.as_second() == 1_772_366_400));
        for text in ["", "yesterday", "2026-03-01", "99999-01-01T00:00:00Z"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }
}
