//! Records over the revisions, and what history costs.

use std::io::{self, Write};

use crate::analyze::Analysis;
use crate::analyze::timeline::TimelineBin;
use crate::units::{count, grouped, percent, span};

use super::super::table::{self, Align, Column, columns, heading, prose};
use super::super::view::View;
use super::words::brief_name;

use Align::Right;

pub(super) fn timeline(out: &mut impl Write, view: &View, report: &Analysis) -> io::Result<()> {
    let Some(timeline) = &report.timeline else { return Ok(()) };
    let (Some(first), Some(last), Some(peak)) = (timeline.bins.first(), timeline.bins.last(), &timeline.peak)
    else {
        return Ok(());
    };
    let (first, last) = (first.first_revision, last.last_revision);
    heading(out, &format!("Timeline (bytes kept of revisions {first} to {last})"))?;
    let bytes: Vec<u64> = timeline.bins.iter().map(|bin| bin.bytes).collect();
    let follows =
        |bin: &TimelineBin, next: &TimelineBin| bin.last_revision.checked_add(1) == Some(next.first_revision);
    let bars = columns(&bytes);
    for (bar, pair) in bars.chars().zip(timeline.bins.windows(2)) {
        let gap = if matches!(pair, [bin, next] if !follows(bin, next)) { "┊" } else { "" };
        write!(out, "{bar}{gap}")?;
    }
    writeln!(out, "{}", bars.chars().last().unwrap_or_default())?;
    for gap in report.mvcc.iter().flat_map(|mvcc| &mvcc.gaps) {
        let text = format!(
            "┊: revisions {} to {} never existed, as after a restore with --bump-revision",
            gap.first_revision, gap.last_revision
        );
        prose(out, view, "  ", &text)?;
    }
    let text = format!(
        "peak: revisions {} to {} hold {} in {} ({:.1} times the median span), {} of it in {}",
        peak.bin.first_revision,
        peak.bin.last_revision,
        view.bytes(peak.bin.bytes),
        count(peak.bin.records, "record"),
        peak.times_median,
        percent(peak.resource_share),
        brief_name(&peak.group, &peak.resource)
    );
    prose(out, view, "  ", &text)
}

pub(super) fn retention(out: &mut impl Write, view: &View, report: &Analysis) -> io::Result<()> {
    let Some(retention) = &report.retention else { return Ok(()) };
    heading(out, "Retention (what history costs, and which time it covers)")?;
    let history = view.bytes(retention.history_bytes);
    let now = match retention.bytes_per_revision {
        Some(bytes) => format!(
            "{history} of history for {} since the last compaction: {bytes:.0} bytes a revision",
            count(retention.revisions, "revision")
        ),
        None => "no revision since the last compaction: what one costs is not known".to_owned(),
    };
    prose(out, view, "  ", &now)?;
    let rate = match retention.rate {
        Some(rate) => format!(
            "{:.0} revisions an hour, by objects created {} apart (revisions {} and {})",
            rate.revisions_per_hour,
            span(rate.seconds),
            rate.first_revision,
            rate.last_revision
        ),
        None => "how fast revisions come is not known: no objects that tell the time, or too little of it"
            .to_owned(),
    };
    prose(out, view, "  ", &rate)?;
    let rows = retention.choices.iter().map(|choice| {
        let (bytes, covers) = (choice.bytes.map(|bytes| view.bytes(bytes)), choice.seconds.map(span));
        vec![grouped(choice.revisions), bytes.unwrap_or("-".to_owned()), covers.unwrap_or("-".to_owned())]
    });
    let headings = [Column("keep revisions", Right), Column("cost", Right), Column("cover", Right)];
    table::write(out, view, &headings, rows)
}
