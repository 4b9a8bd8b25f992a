//! `log` as text.

use std::io::{self, Write};

use crate::log::summary::LogSummary;
use crate::log::{EntryKind, LogLine, LogSelect, Operation};
use crate::text::{escape, harmless};
use crate::units::count;

use super::table::{self, Align, Column};
use super::view::{BAD, FAINT, HEADING, View, styled};

/// What the columns are.
///
/// # Errors
/// The writer's.
pub fn heading(out: &mut impl Write) -> io::Result<()> {
    let heading =
        format!("{:>10} {:>5} {:>10}  {:<17} {:>10}  key", "index", "term", "revision", "kind", "value");
    writeln!(out, "{}", styled(HEADING, &heading))
}

/// An entry: a line for each operation that was asked for, or one.
///
/// # Errors
/// The writer's.
pub fn line(out: &mut impl Write, view: &View, line: &LogLine<'_>, select: &LogSelect) -> io::Result<()> {
    let wanted: Vec<_> =
        line.operations.iter().filter(|operation| is_shown(line, operation, select)).collect();
    if wanted.is_empty() {
        let what = line.detail.clone().unwrap_or_default();
        let lease = line.lease.map_or(String::new(), |lease| format!("lease {:x} ", lease.0));
        let named = line.operations.len();
        let keys = if named > 0 { format!("{} ", count(named as u64, "operation")) } else { String::new() };
        row(out, line, line.kind.name(), "", &format!("{keys}{lease}{what}"))?;
    }
    for operation in wanted {
        let kind = match line.kind {
            EntryKind::Txn => format!("txn {}", operation.kind.name()),
            kind => kind.name().to_owned(),
        };
        let value = operation.value_bytes.map_or(String::new(), |bytes| view.bytes(bytes));
        row(out, line, &kind, &value, &key(operation))?;
        show_value(out, operation)?;
    }
    if line.kind == EntryKind::LeaseRevoke
        || line.operations.iter().any(|operation| operation.range_end.is_some())
    {
        for deleted in &line.deleted {
            writeln!(out, "{:>62}{}", "", styled(FAINT, &format!("deleted {deleted}")))?;
        }
    }
    Ok(())
}

/// The value that is put, where it was asked for: on one line.
fn show_value(out: &mut impl Write, operation: &Operation<'_>) -> io::Result<()> {
    let object =
        operation.object.as_ref().map(|object| serde_json::to_string(object.fields())).transpose()?;
    let value = operation.value.as_ref().map(ToString::to_string);
    object.or(value).map_or(Ok(()), |value| writeln!(out, "{:>62}{}", "", harmless(&value)))
}

/// Ranges of transactions are not worth a line, unless they were asked for.
fn is_shown(line: &LogLine<'_>, operation: &Operation<'_>, select: &LogSelect) -> bool {
    let is_read = operation.kind == EntryKind::Range && line.kind == EntryKind::Txn;
    let is_wanted_kind = select.kinds.is_empty()
        || select.kinds.contains(&line.kind)
        || select.kinds.contains(&operation.kind);
    is_wanted_kind
        && (!is_read || select.kinds.contains(&EntryKind::Range))
        && select.admits_operation(operation)
}

fn row(out: &mut impl Write, line: &LogLine<'_>, kind: &str, value: &str, what: &str) -> io::Result<()> {
    let revision = match (line.revision, line.refused) {
        (Some(revision), _) => revision.to_string(),
        (None, Some(_)) => "refused".to_owned(),
        (None, None) if line.effect_known => "-".to_owned(),
        (None, None) => "?".to_owned(),
    };
    let user = line.user.as_ref().map_or(String::new(), |user| format!("  by {user}"));
    let why =
        line.refused.map_or(String::new(), |why| format!("  {}", styled(BAD, &format!("refused: {why}"))));
    writeln!(
        out,
        "{:>10} {:>5} {revision:>10}  {kind:<17} {value:>10}  {what}{user}{why}",
        line.index, line.term
    )
}

fn key(operation: &Operation<'_>) -> String {
    let range = match &operation.range_end {
        None => String::new(),
        Some(end) if end.0 == [0] => " and all after it".to_owned(),
        Some(end) => format!(" up to {end}"),
    };
    let lease =
        if operation.lease.0 == 0 { String::new() } else { format!("  lease {:x}", operation.lease.0) };
    let branch = operation.branch.filter(|&branch| branch == "else").map_or("", |_| "  (else)");
    format!("{}{range}{lease}{branch}", escape(operation.key.0))
}

/// What a log holds.
///
/// # Errors
/// The writer's.
pub fn summary(out: &mut impl Write, view: &View, summary: &LogSummary) -> io::Result<()> {
    let first = summary.first_index.map_or("none".to_owned(), |first| first.to_string());
    let mut rows = vec![
        ("log", summary.path.to_string()),
        ("member", format!("{:x} of cluster {:x}", summary.member_id.0, summary.cluster_id.0)),
        (
            "entries",
            format!(
                "{first} to {} of term {}, committed to {}",
                summary.last_index, summary.last_term, summary.commit
            ),
        ),
        ("kinds", listed(summary.kinds.iter().map(|(kind, number)| format!("{number} {kind}")))),
    ];
    if summary.effects_known > 0 {
        let reasons = listed(summary.refused_by.iter().map(|(why, number)| format!("{number}: {why}")));
        let reasons = if reasons.is_empty() { reasons } else { format!(" ({reasons})") };
        let known = if summary.effects_known == summary.entries {
            String::new()
        } else {
            format!(" of {} whose effect is known", summary.effects_known)
        };
        rows.push((
            "effect",
            format!("{} made a revision, {} were refused{reasons}{known}", summary.writes, summary.refused),
        ));
    }
    if summary.stretches.len() > 1 {
        let stretches = summary.stretches.iter().map(|[first, last]| format!("{first} to {last}"));
        rows.push(("gaps", format!("only {} are there", listed(stretches))));
    }
    for (label, value) in rows {
        writeln!(out, "{}  {value}", styled(HEADING, &format!("{label:<8}")))?;
    }
    if !summary.resources.is_empty() {
        writeln!(out)?;
        resources(out, view, summary)?;
        writeln!(out)?;
        keys(out, view, summary)?;
    }
    Ok(())
}

fn listed(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

fn resources(out: &mut impl Write, view: &View, summary: &LogSummary) -> io::Result<()> {
    let columns = [
        Column("resource", Align::Left),
        Column("puts", Align::Right),
        Column("deletes", Align::Right),
        Column("values", Align::Right),
    ];
    let rows = summary.resources.iter().map(|row| {
        let name = if row.group.is_empty() {
            row.resource.clone()
        } else {
            format!("{}.{}", row.resource, row.group)
        };
        vec![name, row.puts.to_string(), row.deletes.to_string(), view.bytes(row.value_bytes)]
    });
    table::write(out, view, &columns, rows)
}

fn keys(out: &mut impl Write, view: &View, summary: &LogSummary) -> io::Result<()> {
    let columns =
        [Column("busiest key", Align::Left), Column("writes", Align::Right), Column("values", Align::Right)];
    let rows = summary.busiest_keys.iter().map(|row| {
        vec![escape(&row.key.0).into_owned(), row.writes.to_string(), view.bytes(row.value_bytes)]
    });
    table::write(out, view, &columns, rows)
}
