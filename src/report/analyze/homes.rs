//! Tenants and namespaces, as text.

use std::io::{self, Write};

use crate::analyze::homes::HomeUse;
use crate::analyze::{Analysis, share::share};
use crate::text::{ByteText, brief};
use crate::units::{count, grouped, percent};

use super::super::table::{self, Align, Column, bar, heading};
use super::super::view::View;
use super::words::{key_disk_bytes, more};

use Align::{Left, Right};

/// Each tenant, where there are several.
pub(super) fn tenants(out: &mut impl Write, view: &View, report: &Analysis) -> io::Result<()> {
    if report.tenants.is_empty() {
        return Ok(());
    }
    heading(out, &format!("Tenants ({})", count(report.tenants.len() as u64, "row")))?;
    let rows = report.tenants.iter().map(|row| (vec![name(row.tenant.as_ref())], &row.sum));
    write(out, view, report, &["tenant"], rows)?;
    more(out, report.tenants.len(), view.top)
}

/// Each namespace; of each tenant, where there are several.
pub(super) fn namespaces(out: &mut impl Write, view: &View, report: &Analysis) -> io::Result<()> {
    heading(out, &format!("Namespaces ({})", count(report.namespaces.len() as u64, "row")))?;
    let several = !report.tenants.is_empty();
    let rows = report.namespaces.iter().map(|row| {
        let mut names = vec![name(row.namespace.as_ref())];
        if several {
            names.insert(0, name(row.tenant.as_ref()));
        }
        (names, &row.sum)
    });
    let names = if several { &["tenant", "namespace"][..] } else { &["namespace"] };
    write(out, view, report, names, rows)?;
    more(out, report.namespaces.len(), view.top)
}

fn name(name: Option<&ByteText>) -> String {
    name.map_or("(none)".to_owned(), |name| brief(&name.0))
}

fn write<'r>(
    out: &mut impl Write,
    view: &View,
    report: &Analysis,
    names: &[&str],
    rows: impl Iterator<Item = (Vec<String>, &'r HomeUse)> + Clone,
) -> io::Result<()> {
    let all = key_disk_bytes(report);
    let cells = |(mut cells, sum): (Vec<String>, &HomeUse)| {
        let part = share(sum.disk_bytes, all);
        cells.extend([
            grouped(sum.objects),
            view.bytes(sum.live_bytes),
            view.bytes(sum.history_bytes),
            view.bytes(sum.disk_bytes),
            percent(part),
            bar(part, 16),
        ]);
        cells
    };
    let figures = [
        Column("objects", Right),
        Column("live", Right),
        Column("history", Right),
        Column("on disk", Right),
        Column("share", Right),
        Column("", Left),
    ];
    let columns: Vec<_> = names.iter().map(|&name| Column(name, Left)).chain(figures).collect();
    table::write(out, view, &columns, rows.take(view.top).map(cells))
}
