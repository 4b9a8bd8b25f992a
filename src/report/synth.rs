//! `synth` as text.

use std::io::{self, Write};

use crate::shell::ShellCommand;
use crate::synth::SynthReport;
use crate::units::{count, percent};

use super::table;
use super::view::{HEADING, View, styled};

/// What was made, and what comes next.
///
/// # Errors
/// The writer's.
pub fn synth(out: &mut impl Write, view: &View, report: &SynthReport) -> io::Result<()> {
    let path = &report.path;
    let SynthReport { records, superseded, tombstones, .. } = *report;
    let compacted = match report.compact_revision {
        -1 => "never compacted".to_owned(),
        revision => format!("compacted at {revision}"),
    };
    let mut rows = vec![
        ("file", format!("{}  {path}", view.bytes(report.file_bytes))),
        ("keys", format!("{}, {}", count(report.keys, "key"), count(report.leases, "lease"))),
        (
            "records",
            format!("{}: {superseded} superseded, {tombstones} tombstones", count(records, "record")),
        ),
        ("revision", format!("{}, {compacted}", report.revision)),
        ("free", free(view, report)),
        ("seed", format!("{}: the same options make the same file", report.seed)),
        ("time", format!("{:.2} s", report.elapsed_seconds)),
    ];
    if let Some(digest) = &report.sha256 {
        rows.push(("SHA-256", digest.clone()));
    }
    for (label, value) in rows {
        writeln!(out, "{}  {value}", styled(HEADING, &format!("{label:<8}")))?;
    }
    let next = match report.sha256 {
        Some(_) => {
            ShellCommand::new("etcdutl snapshot restore").path(&path.as_path()).and("--data-dir NEW_DATA_DIR")
        }
        None => ShellCommand::new("etcd-medic analyze").path(&path.as_path()),
    };
    writeln!(out, "{}", styled(HEADING, "next"))?;
    table::command(out, &next.to_string())
}

#[expect(clippy::cast_precision_loss, reason = "a share, for people")]
fn free(view: &View, report: &SynthReport) -> String {
    let share = report.free_bytes as f64 / report.file_bytes.max(1) as f64;
    let runs = report.free_runs;
    let bytes = view.bytes(report.free_bytes);
    let runs = format!("{}, the longest of {}", count(runs.count, "run"), count(runs.largest, "page"));
    format!("{bytes} ({}) in {runs}", percent(share))
}
