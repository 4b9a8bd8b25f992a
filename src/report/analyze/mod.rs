//! The full report as text: the file, its records, tenants and namespaces, history, the cluster, advice.

mod file;
mod history;
mod homes;
mod records;
mod words;

use std::io::{self, Write};

use crate::analyze::advice::Severity;
use crate::analyze::leases::LeasesUse;
use crate::analyze::{AlarmInfo, Analysis};
use crate::units::{count, grouped, percent};

use super::table::{self, heading, histogram, prose};
use super::view::{BAD, FAINT, View, WARNING, styled};
use words::{more, range};

/// Writes the full report.
///
/// # Errors
/// The writer's.
pub fn write(out: &mut impl Write, view: &View, report: &Analysis) -> io::Result<()> {
    file::file(out, view, report)?;
    file::space(out, view, report)?;
    if let Some(mvcc) = &report.mvcc {
        records::records(out, view, mvcc)?;
        records::resources(out, view, report)?;
        homes::tenants(out, view, report)?;
        homes::namespaces(out, view, report)?;
        records::top_objects(out, view, report)?;
    } else {
        heading(out, &format!("Buckets ({})", count(report.buckets.len() as u64, "row")))?;
        super::simple::largest_buckets(out, view, &report.buckets)?;
    }
    fragmentation(out, view, report)?;
    history::timeline(out, view, report)?;
    history::retention(out, view, report)?;
    cluster(out, view, report)?;
    advice(out, view, report)
}

fn fragmentation(out: &mut impl Write, view: &View, report: &Analysis) -> io::Result<()> {
    let figures = &report.fragmentation;
    heading(out, &format!("Fragmentation (index {:.2})", figures.index))?;
    let order = figures.leaf_order;
    let text = format!(
        "{} of the file holds nothing; {} of the steps from leaf to leaf leave page order ({} on, {} ahead, {} back)",
        percent(figures.empty_share),
        percent(figures.disorder),
        grouped(order.adjacent),
        grouped(order.forward),
        grouped(order.backward)
    );
    prose(out, view, "  ", &text)?;
    if figures.free_runs.count > 0 {
        let largest = count(figures.largest_run_pages, "page");
        writeln!(out, "Runs of free pages, by length (largest: {largest})")?;
        histogram(out, view, &figures.free_runs, |from, to| range(from, to, &grouped))?;
    }
    writeln!(out, "Fill of leaves, in percent")?;
    histogram(out, view, &figures.leaf_fill, |from, to| format!("{from} – {to}"))
}

fn cluster(out: &mut impl Write, view: &View, report: &Analysis) -> io::Result<()> {
    let (Some(leases), Some(auth)) = (&report.leases, report.auth) else { return Ok(()) };
    heading(out, "Leases, alarms, authentication")?;
    leases_line(out, view, leases)?;
    if report.alarms.is_empty() {
        writeln!(out, "  no alarm is raised")?;
    }
    for AlarmInfo { alarm, member_id, meaning } in report.alarms.iter().take(view.top) {
        writeln!(out, "  {}", styled(BAD, &format!("{alarm} raised by member {member_id:x}: {meaning}")))?;
    }
    more(out, report.alarms.len(), view.top)?;
    let state = if auth.enabled { "on" } else { "off" };
    writeln!(out, "  authentication is {state}: {}, {}", count(auth.users, "user"), count(auth.roles, "role"))
}

fn leases_line(out: &mut impl Write, view: &View, leases: &LeasesUse) -> io::Result<()> {
    let text = format!(
        "{} ({} without keys), {} attached with {}",
        count(leases.count, "lease"),
        grouped(leases.without_keys),
        count(leases.attached_keys, "key"),
        view.bytes(leases.attached_bytes)
    );
    prose(out, view, "  ", &text)?;
    if leases.orphaned_keys > 0 {
        let keys = count(leases.orphaned_keys, "key");
        let text =
            format!("{keys} attached to leases that do not exist ({})", view.bytes(leases.orphaned_bytes));
        prose(out, view, "  ", &styled(WARNING, &text))?;
    }
    Ok(())
}

fn advice(out: &mut impl Write, view: &View, report: &Analysis) -> io::Result<()> {
    heading(out, "Advice")?;
    for (number, advice) in report.advice.iter().enumerate() {
        let style = match advice.severity {
            Severity::Critical => BAD,
            Severity::Warning => WARNING,
            Severity::Info => FAINT,
        };
        let severity = format!("{:?}", advice.severity).to_lowercase();
        let text = format!("{} {}", styled(style, &severity), crate::text::harmless(&advice.text));
        prose(out, view, &format!("  {}. ", number + 1), &text)?;
        if !advice.command.is_empty() {
            table::command(out, &advice.command)?;
        }
    }
    Ok(())
}
