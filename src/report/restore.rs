//! `restore` as text.

use std::io::{self, Write};

use crate::restore::document::{RestoreReport, RestoredMember};
use crate::units::count;

use super::view::{HEADING, View, styled};

/// Whose directory was made, and what etcd will have.
///
/// # Errors
/// The writer's.
pub fn write(out: &mut impl Write, view: &View, report: &RestoreReport) -> io::Result<()> {
    if let Some(salvage) = &report.salvage {
        writeln!(out, "{} is damaged. What could be saved of it:\n", report.source)?;
        super::salvage::salvage(out, view, salvage)?;
        writeln!(out)?;
    }
    let identity = match report.keeps_identity {
        true => "as before",
        false => "of a new cluster",
    };
    let mut rows = vec![
        ("source", report.source.to_string()),
        ("data dir", report.data_dir.to_string()),
        ("member", format!("{:x}, {identity}", report.member_id)),
        ("cluster", format!("{:x}", report.cluster_id)),
    ];
    rows.extend(report.members.iter().map(|member| ("", line(member))));
    rows.push(("log", log(report)));
    rows.push(("db", format!("{}, {}", view.bytes(report.db_bytes), count(report.records, "record"))));
    let hash = report.hash_kv.map_or(String::new(), |hash| format!(", HashKV {hash}"));
    rows.push(("revision", format!("{}{hash}", report.revision)));
    let after = report.revision_after_start;
    if let Some(after) = after.filter(|&after| after != report.revision) {
        rows.push(("", format!("{after} once etcd {} has started", report.etcd)));
    }
    for (label, value) in rows {
        writeln!(out, "{}  {value}", styled(HEADING, &format!("{label:<8}")))?;
    }
    for warning in &report.warnings {
        writeln!(out, "note: {warning}")?;
    }
    Ok(())
}

fn line(member: &RestoredMember) -> String {
    let name = if member.name.is_empty() { "(never started)" } else { &member.name };
    let learner = if member.is_learner { ", a learner" } else { "" };
    format!("{:x} {name} {}{learner}", member.id, member.peer_urls.join(","))
}

fn log(report: &RestoreReport) -> String {
    let RestoreReport { index, last_index, pending_entries, .. } = report;
    let mut words = match pending_entries {
        0 => format!("ends with entry {last_index}, at which the db is"),
        pending => format!(
            "the db is at entry {index}; etcd applies the {} after it, to {last_index}",
            count(*pending, "entry")
        ),
    };
    if report.applied_entries > 0 {
        let applied = count(report.applied_entries, "entry");
        words = format!("{applied} of the old one were applied first; the new one {words}");
    }
    if report.left_out_entries > 0 {
        words.push_str(&format!("; {} were left out", count(report.left_out_entries, "entry")));
    }
    words
}
