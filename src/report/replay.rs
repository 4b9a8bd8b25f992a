//! `replay` as text.

use std::io::{self, Write};

use crate::replay::document::{Point, ReplayReport};
use crate::units::count;

use super::table::{self, Align, Column};
use super::view::{HEADING, View, styled};

/// From where to where, what was applied, and what the new db is.
///
/// # Errors
/// The writer's.
pub fn replay(out: &mut impl Write, view: &View, report: &ReplayReport) -> io::Result<()> {
    let ReplayReport { from, to, entries, writes, refused, .. } = report;
    let mut rows = vec![
        ("base", report.base.to_string()),
        ("log", format!("{}, to entry {}", report.log, report.last_index)),
        ("from", point(from)),
        ("to", point(to)),
        (
            "entries",
            format!(
                "{}: {writes} made a revision, {refused} were refused{}",
                count(*entries, "entry"),
                reasons(report)
            ),
        ),
        ("keys", report.keys.to_string()),
        ("rules", format!("etcd {}", report.rules.etcd)),
    ];
    if let Some(target) = &report.target {
        let records = count(target.records, "record");
        rows.push(("new db", format!("{}, {records}  {}", view.bytes(target.file_bytes), target.path)));
    }
    if let Some(hash) = report.hash_kv {
        rows.push(("HashKV", format!("{hash} at revision {}", to.revision)));
    }
    if let Some(digest) = report.target.as_ref().and_then(|target| target.sha256.as_ref()) {
        rows.push(("SHA-256", digest.clone()));
    }
    rows.extend(report.passed_over.iter().map(|one| ("not from", format!("{}: {}", one.path, one.reason))));
    for (label, value) in rows {
        writeln!(out, "{}  {value}", styled(HEADING, &format!("{label:<8}")))?;
    }
    if !report.deletions.is_empty() {
        writeln!(out)?;
        deletions(out, view, report)?;
    }
    for warning in &report.warnings {
        writeln!(out, "note: {warning}")?;
    }
    Ok(())
}

fn deletions(out: &mut impl Write, view: &View, report: &ReplayReport) -> io::Result<()> {
    let columns = [
        Column("deleted from", Align::Right),
        Column("to entry", Align::Right),
        Column("keys", Align::Right),
        Column("values", Align::Right),
        Column("of", Align::Left),
    ];
    let rows = report.deletions.iter().map(|run| {
        let names = run.resources.iter().map(|row| format!("{} {}", row.keys, row.resource));
        vec![
            run.first_index.to_string(),
            run.last_index.to_string(),
            run.keys.to_string(),
            view.bytes(run.bytes),
            names.collect::<Vec<_>>().join(", "),
        ]
    });
    table::write(out, view, &columns, rows)
}

fn point(point: &Point) -> String {
    let Point { index, revision, compact_revision, .. } = point;
    let compacted =
        if *compact_revision < 0 { String::new() } else { format!(", compacted at {compact_revision}") };
    format!("entry {index}, revision {revision}{compacted}")
}

fn reasons(report: &ReplayReport) -> String {
    let reasons: Vec<_> =
        report.refused_by.iter().map(|(reason, count)| format!("{count}: {reason}")).collect();
    if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join("; ")) }
}
