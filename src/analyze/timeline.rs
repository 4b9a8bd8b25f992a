//! How records spread over the revisions, and who made the peak.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::k8s::GroupResource;
use crate::scan::keyspace::Keyspace;
use crate::scan::timeline::{Bins, Span, Timeline};
use crate::text::ByteText;

use super::histogram::Histogram;
use super::share::share;

/// The records over the revisions, and whose they are in the span with most bytes.
#[derive(Debug, Default)]
pub struct Timelines {
    pub all: Timeline,
    /// The number of the span with most bytes, the earliest of several.
    pub peak: usize,
    /// The resource that has most bytes in that span.
    pub in_peak: Option<PeakResource>,
}

/// A resource, and its records in one span.
#[derive(Debug)]
pub struct PeakResource {
    pub group: String,
    /// Resource, or leading path.
    pub resource: ByteText,
    /// Its records in the span.
    pub span: Span,
}

impl Timelines {
    pub fn of(keyspace: &Keyspace<'_>) -> Self {
        let mut all = Timeline::default();
        let rows = || keyspace.shards().iter().flat_map(|shard| shard.resources().iter().zip(shard.rows()));
        rows().for_each(|(_, row)| all.append(&row.timeline));
        let largest_last = all.spans().into_iter().enumerate().rev().max_by_key(|(_, span)| span.bytes);
        let peak = largest_last.map_or(0, |(number, _)| number);
        let mut in_peak: BTreeMap<GroupResource<'_>, Span> = BTreeMap::new();
        for (&resource, row) in rows() {
            if let Some(span) = row.timeline.spans().get(peak).filter(|span| span.records > 0) {
                in_peak.entry(resource).or_default().add(span);
            }
        }
        // the first of several
        let largest = in_peak.into_iter().rev().max_by_key(|(_, span)| span.bytes);
        let owned = |(GroupResource { group, resource }, span): (GroupResource<'_>, Span)| PeakResource {
            group: group.to_owned(),
            resource: resource.into(),
            span,
        };
        Self { all, peak, in_peak: largest.map(owned) }
    }
}

/// How records are distributed over the revisions.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TimelineReport {
    /// At most 60 equal spans of revisions, ascending, empty ones included; none where there is no record. The last one, and
    /// one before a gap, may be shorter; none has revisions of `mvcc.gaps` in it.
    pub bins: Vec<TimelineBin>,
    /// The span with most bytes, the earliest of equals; `null` where there is no record.
    pub peak: Option<Peak>,
}

/// One span.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TimelineBin {
    /// Its first revision.
    pub first_revision: i64,
    /// Its last revision, included.
    pub last_revision: i64,
    /// Records kept of these revisions.
    pub records: u64,
    /// Bytes of their elements, keys and values.
    pub bytes: u64,
}

/// The span with most bytes.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Peak {
    /// The span.
    #[serde(flatten)]
    pub bin: TimelineBin,
    /// Its bytes, divided by the median (nearest rank) of the spans that have any.
    pub times_median: f64,
    /// The API group of the resource that has most bytes in it; empty for the core group, and for what isn't Kubernetes'.
    pub group: String,
    /// That resource; for what isn't Kubernetes', its leading path.
    pub resource: ByteText,
    /// That resource's records in the span.
    pub resource_records: u64,
    /// That resource's share of the span's bytes, from 0 to 1.
    pub resource_share: f64,
}

impl TimelineReport {
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
    let PeakResource { group, resource, span } = timelines.in_peak.as_ref()?;
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
