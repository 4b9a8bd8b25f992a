//! How records spread over the revisions, and who made the peak.

use serde::Serialize;

use crate::scan::timeline::{Bins, Span};
use crate::text::ByteText;

use super::fragmentation::share;
use super::histogram::Histogram;
use super::keys::Timelines;

/// How records spread over the revisions: equal spans of revisions, from the oldest on.
#[derive(Clone, Debug, Serialize)]
pub struct TimelineReport {
    /// The spans.
    pub bins: Vec<TimelineBin>,
    /// The span with most bytes; `null` where there are no records.
    pub peak: Option<Peak>,
}

/// One span.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TimelineBin {
    /// Its first revision.
    pub first_revision: i64,
    /// Its last revision.
    pub last_revision: i64,
    /// Records kept of these revisions.
    pub records: u64,
    /// Bytes of their elements, keys and values.
    pub bytes: u64,
}

/// The span with most bytes.
#[derive(Clone, Debug, Serialize)]
pub struct Peak {
    /// The span.
    #[serde(flatten)]
    pub bin: TimelineBin,
    /// How many times the bytes of the median span it has, of those that have any.
    pub times_median: f64,
    /// API group of the resource that has most bytes in it.
    pub group: String,
    /// That resource.
    pub resource: ByteText,
    /// Its records in the span.
    pub resource_records: u64,
    /// Its share of the span's bytes, from 0 to 1.
    pub resource_share: f64,
}

impl TimelineReport {
    /// Of these timelines.
    #[must_use]
    pub fn of(timelines: &Timelines, bins: &Bins) -> Self {
        let spans = timelines.all.spans().into_iter().take(bins.count()).enumerate();
        let rows: Vec<_> = spans
            .map(|(bin, Span { records, bytes })| {
                let (first_revision, last_revision) = bins.range_of(bin);
                TimelineBin { first_revision, last_revision, records, bytes }
            })
            .collect();
        let peak = peak(timelines, &rows);
        Self { bins: if peak.is_some() { rows } else { Vec::new() }, peak }
    }
}

fn peak(timelines: &Timelines, rows: &[TimelineBin]) -> Option<Peak> {
    let &bin = rows.get(timelines.peak)?;
    let (group, resource, span) = timelines.in_peak.as_ref()?;
    if bin.records == 0 {
        return None;
    }
    let mut sizes: Vec<u64> = rows.iter().map(|row| row.bytes).filter(|&bytes| bytes > 0).collect();
    let median = Histogram::of(&mut sizes).p50;
    Some(Peak {
        bin,
        times_median: share(bin.bytes, median),
        group: group.clone(),
        resource: resource.clone(),
        resource_records: span.records,
        resource_share: share(span.bytes, bin.bytes),
    })
}
