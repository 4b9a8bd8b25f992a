//! Words and figures that several tables share.

use std::io::{self, Write};

use crate::analyze::Analysis;
use crate::k8s::resource_name;
use crate::text::{ByteText, brief};

use super::super::view::{FAINT, styled};

/// A resource's name, as long as fits into a sentence.
pub(super) fn brief_name(group: &str, resource: &ByteText) -> String {
    brief(resource_name(group, &resource.to_string()).as_bytes())
}

/// What the records take of the file: what shares of resources and namespaces are of.
pub(super) fn key_disk_bytes(report: &Analysis) -> u64 {
    let states =
        report.mvcc.as_ref().map(|mvcc| [mvcc.live, mvcc.superseded, mvcc.tombstones, mvcc.unreadable]);
    states.into_iter().flatten().map(|records| records.disk_bytes).sum()
}

/// From a number to another, as `show` writes them.
pub(super) fn range(from: u64, to: u64, show: &dyn Fn(u64) -> String) -> String {
    if from == to { show(from) } else { format!("{} – {}", show(from), show(to)) }
}

/// How many rows were left out.
pub(super) fn more(out: &mut impl Write, rows: usize, shown: usize) -> io::Result<()> {
    match rows.saturating_sub(shown) {
        0 => Ok(()),
        more => writeln!(out, "{}", styled(FAINT, &format!("  and {more} more: --top {rows}"))),
    }
}
