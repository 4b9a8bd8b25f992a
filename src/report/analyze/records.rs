//! Records by state and by resource, and the largest objects.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::analyze::Analysis;
use crate::analyze::histogram::Histogram;
use crate::analyze::mvcc::{Mvcc, RecordUse};
use crate::analyze::resources::ResourceUse;
use crate::analyze::share::share;
use crate::analyze::top::{Metric, TopObject};
use crate::text::{ByteText, brief};
use crate::units::{count, grouped, percent};

use super::super::table::{self, Align, Column, bar, heading, histogram};
use super::super::view::{FAINT, View, styled};
use super::words::{brief_name, key_disk_bytes, more, range};

use Align::{Left, Right};

pub(super) fn records(out: &mut impl Write, view: &View, mvcc: &Mvcc) -> io::Result<()> {
    let compacted = if mvcc.compact_revision < 0 {
        "never compacted".to_owned()
    } else {
        format!("compacted at {}", grouped(mvcc.compact_revision.unsigned_abs()))
    };
    heading(out, &format!("Records (revision {}, {compacted})", grouped(mvcc.revision.unsigned_abs())))?;
    let states = [
        ("live", mvcc.live),
        ("superseded", mvcc.superseded),
        ("tombstones", mvcc.tombstones),
        ("unreadable", mvcc.unreadable),
    ];
    let all: u64 = states.iter().map(|(_, records)| records.disk_bytes).sum();
    let shown = states.iter().filter(|(name, records)| *name != "unreadable" || records.records > 0);
    let row = |(name, RecordUse { records, bytes, disk_bytes }): &(&str, RecordUse)| {
        let part = share(*disk_bytes, all);
        vec![
            (*name).to_owned(),
            grouped(*records),
            view.bytes(*bytes),
            view.bytes(*disk_bytes),
            percent(part),
        ]
    };
    let headings = [
        Column("", Left),
        Column("records", Right),
        Column("bytes", Right),
        Column("on disk", Right),
        Column("share", Right),
    ];
    table::write(out, view, &headings, shown.map(row))
}

pub(super) fn resources(out: &mut impl Write, view: &View, report: &Analysis) -> io::Result<()> {
    let all = key_disk_bytes(report);
    heading(out, &format!("Resources ({})", count(report.resources.len() as u64, "row")))?;
    let bar_width = if view.is_wide() { 12 } else { 6 };
    let with_bar = view.width >= 76;
    let names = Names::of(report);
    let row = |row: &ResourceUse| {
        let part = share(row.disk_bytes, all);
        let mut cells = vec![
            names.short(row),
            grouped(row.objects),
            view.bytes(row.live_bytes),
            view.bytes(row.history_bytes + row.tombstone_bytes),
            view.bytes(row.disk_bytes),
        ];
        if with_bar {
            cells.push(percent(part));
        }
        if view.is_wide() {
            cells.push(quantiles(&row.revisions_per_object, &grouped));
            cells.push(quantiles(&row.value_bytes, &|bytes| view.bytes(bytes)));
        }
        if view.is_very_wide() {
            cells.push(encodings(row));
        }
        if with_bar {
            cells.push(bar(part, bar_width));
        }
        cells
    };
    let mut headings = vec![
        Column("resource", Left),
        Column("objects", Right),
        Column("live", Right),
        Column("history", Right),
        Column("on disk", Right),
    ];
    if with_bar {
        headings.push(Column("share", Right));
    }
    if view.is_wide() {
        headings.extend([Column("revisions", Right), Column("value size", Right)]);
    }
    if view.is_very_wide() {
        headings.push(Column("encoding", Left));
    }
    if with_bar {
        headings.push(Column("", Left));
    }
    table::write(out, view, &headings, report.resources.iter().take(view.top).map(row))?;
    more(out, report.resources.len(), view.top)?;
    if view.is_wide() {
        let note = "  revisions: records kept of each object; these and value sizes as median/99th percentile/maximum";
        writeln!(out, "{}", styled(FAINT, note))?;
    }
    match report.resources.first() {
        Some(largest) => resource(out, view, largest),
        None => Ok(()),
    }
}

/// The histograms of one resource.
fn resource(out: &mut impl Write, view: &View, row: &ResourceUse) -> io::Result<()> {
    let name = brief_name(&row.group, &row.resource);
    let encodings = encodings(row);
    heading(out, &format!("{name} (values: {})", if encodings.is_empty() { "none" } else { &encodings }))?;
    writeln!(out, "Records kept of each object")?;
    histogram(out, view, &row.revisions_per_object, |from, to| range(from, to, &grouped))?;
    writeln!(out, "Size of values")?;
    histogram(out, view, &row.value_bytes, |from, to| range(from, to, &|bytes| view.bytes(bytes)))
}

/// How many rows have a resource's name, whatever its group.
struct Names<'r>(BTreeMap<&'r ByteText, usize>);

impl<'r> Names<'r> {
    fn of(report: &'r Analysis) -> Self {
        let mut rows = BTreeMap::new();
        report.resources.iter().for_each(|row| *rows.entry(&row.resource).or_default() += 1);
        Self(rows)
    }

    /// The resource's name as kubectl takes it, with its group only where two share the name.
    fn short(&self, row: &ResourceUse) -> String {
        let shared = self.0.get(&row.resource).is_some_and(|&rows| rows > 1);
        if shared { brief_name(&row.group, &row.resource) } else { brief(&row.resource.0) }
    }
}

/// `1/2/17`: median, 99th percentile and maximum, one number where they are the same.
fn quantiles(histogram: &Histogram, show: &dyn Fn(u64) -> String) -> String {
    let Histogram { p50, p99, max, .. } = histogram;
    if p50 == max { show(*max) } else { [p50, p99, max].map(|&value| show(value)).join("/") }
}

/// Encodings that are named: a cluster has a few, each with a key or two.
const MAX_ENCODINGS: usize = 10;

fn encodings(row: &ResourceUse) -> String {
    let names: Vec<_> = row.encodings.keys().take(MAX_ENCODINGS).map(|name| brief(name.as_bytes())).collect();
    let more = row.encodings.len() - names.len();
    let more = if more > 0 { format!(", and {} more", grouped(more as u64)) } else { String::new() };
    names.join(", ") + &more
}

pub(super) fn top_objects(out: &mut impl Write, view: &View, report: &Analysis) -> io::Result<()> {
    for metric in Metric::ALL {
        let mut objects: Vec<&TopObject> =
            report.top_objects.iter().filter(|object| object.ranks.by(metric).is_some()).collect();
        objects.sort_by_key(|object| object.ranks.by(metric));
        let title = match metric {
            Metric::LiveBytes => "Largest objects, by their newest record",
            Metric::HistoryBytes => "Largest objects, by their history",
            Metric::Revisions => "Objects with most records",
        };
        if objects.is_empty() {
            continue;
        }
        heading(out, title)?;
        let rows = objects.iter().map(|object| {
            let key = brief(&object.key.0) + if object.live { "" } else { " (deleted)" };
            let sizes =
                [object.live_bytes, object.history_bytes, object.disk_bytes].map(|bytes| view.bytes(bytes));
            let [live, history, disk] = sizes;
            vec![live, history, grouped(object.revisions), disk, key]
        });
        let headings = [
            Column("live", Right),
            Column("history", Right),
            Column("records", Right),
            Column("on disk", Right),
            Column("key", Left),
        ];
        table::write(out, view, &headings, rows)?;
    }
    Ok(())
}
