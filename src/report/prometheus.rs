//! `status` in Prometheus' text format, for node_exporter's textfile collector.
//!
//! The classic format (prometheus.io/docs/instrumenting/exposition_formats): a HELP and a TYPE line, then all samples of
//! that metric. No sample has a timestamp: the collector refuses files in which any has (node_exporter
//! `collector/textfile.go`, `hasTimestamps`). Two samples of one name with equal labels make it drop all, so a file that
//! was named twice is told of once. Written by hand: it is a page of `writeln!`, and `prometheus-client` writes
//! OpenMetrics, which the collector does not read.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::etcd::HexId;
use crate::status::Status;
use crate::text::shown;

/// The run that looked at the files.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub at: SystemTime,
    /// Whether the files were read without a lock.
    pub read_without_lock: bool,
}

/// One file, read or not.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'s> {
    /// Its path as it was given: it stays the same whether or not the file can be read.
    pub path: &'s Path,
    /// What was found; `None` where it could not be read.
    pub status: Option<&'s Status>,
    /// When it was last written to, as far as the file system tells.
    pub modified: Option<SystemTime>,
}

/// A gauge with one sample a file, where there is a figure.
struct Gauge {
    name: &'static str,
    help: &'static str,
    figure: fn(&Status) -> Option<String>,
}

macro_rules! gauges {
    ($($name:literal, $help:literal, $figure:expr;)+) => {
        &[$(Gauge { name: concat!("etcd_medic_", $name), help: $help, figure: $figure }),+]
    };
}

/// Base units, and the unit at the end of the name, as Prometheus' conventions have it.
const GAUGES: &[Gauge] = gauges! {
    "file_size_bytes", "Size of the file.", |status| some(status.file_bytes);
    "allocated_bytes", "Bytes of allocated pages: what a quota is compared with.",
        |status| some(status.allocated_bytes);
    "in_use_bytes", "Bytes of pages that are in use.", |status| some(status.in_use_bytes);
    "free_bytes", "Bytes of free pages, as bbolt counts them.", |status| some(status.free_bytes);
    "quota_bytes", "The quota that was given with --quota.", |status| some(status.quota?.quota_bytes);
    "quota_used_ratio", "Allocated bytes by the quota; may pass 1.", |status| some(status.quota_use?);
    "quota_headroom_bytes", "The quota less the allocated bytes; below zero where they are more.",
        |status| some(status.quota?.headroom_bytes);
    "disk_bytes", "The disk that was given with --disk.", |status| some(status.disk?.disk_bytes);
    "disk_headroom_bytes", "The disk less the file; nothing else on it is taken off.",
        |status| some(status.disk?.headroom_bytes);
    "revision", "Current revision.", |status| some(status.revision?);
    "compact_revision", "Revisions up to this one are gone; -1 where the file was never compacted.",
        |status| some(status.compact_revision?);
    "keys", "Keys that exist.", |status| some(status.keys?);
    "records", "Records of keys that exist or existed: revisions that are kept.", |status| some(status.records?);
    "sound", "1 where no fault was found, 0 where any was.", |status| some(u8::from(status.sound));
};

fn some(figure: impl Display) -> Option<String> {
    Some(figure.to_string())
}

/// Writes all metrics of a run.
///
/// # Errors
/// The writer's.
pub fn write(out: &mut (impl Write + ?Sized), run: &Run, samples: &[Sample<'_>]) -> io::Result<()> {
    let files = distinct(samples);
    family(out, "etcd_medic_build_info", "1, labelled with the version of etcd-medic.", |out, name| {
        writeln!(out, "{name}{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))
    })?;
    let help = "When etcd-medic looked at the files, in seconds since 1970.";
    family(out, "etcd_medic_last_run_timestamp_seconds", help, |out, name| {
        writeln!(out, "{name} {}", unix_seconds(run.at).unwrap_or(0))
    })?;
    let help = "1 where the files were read without a lock (--no-lock): figures may not fit together.";
    family(out, "etcd_medic_read_without_lock", help, |out, name| {
        writeln!(out, "{name} {}", u8::from(run.read_without_lock))
    })?;
    per_file(
        out,
        "etcd_medic_up",
        "1 where the file could be read, 0 where it could not.",
        &files,
        |file| some(u8::from(file.status.is_some())),
    )?;
    let help = "When the file was last written to, in seconds since 1970.";
    per_file(out, "etcd_medic_file_mtime_timestamp_seconds", help, &files, |file| {
        some(unix_seconds(file.modified?)?)
    })?;
    for Gauge { name, help, figure } in GAUGES {
        per_file(out, name, help, &files, |file| figure(file.status?))?;
    }
    alarms(out, &files)
}

/// Each file once, with its label.
fn distinct<'s>(samples: &[Sample<'s>]) -> Vec<(String, Sample<'s>)> {
    let mut seen = BTreeSet::new();
    let labelled = samples.iter().map(|&sample| (label(sample.path), sample));
    labelled.filter(|(label, _)| seen.insert(label.clone())).collect()
}

/// A path as a label's value: harmless text first (control characters would end a line or steer a terminal), then what
/// the format itself wants escaped.
fn label(path: &Path) -> String {
    let text = shown(path);
    text.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}

fn unix_seconds(time: SystemTime) -> Option<u64> {
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

fn family<W: Write + ?Sized>(
    out: &mut W,
    name: &str,
    help: &str,
    samples: impl FnOnce(&mut W, &str) -> io::Result<()>,
) -> io::Result<()> {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge")?;
    samples(out, name)
}

/// Nothing at all where no file has a figure.
fn per_file(
    out: &mut (impl Write + ?Sized),
    name: &str,
    help: &str,
    files: &[(String, Sample<'_>)],
    figure: impl Fn(&Sample<'_>) -> Option<String>,
) -> io::Result<()> {
    let figures: Vec<_> = files.iter().filter_map(|(label, file)| Some((label, figure(file)?))).collect();
    if figures.is_empty() {
        return Ok(());
    }
    family(out, name, help, |out, name| {
        figures.iter().try_for_each(|(label, figure)| writeln!(out, "{name}{{file=\"{label}\"}} {figure}"))
    })
}

/// One sample for each raised alarm; a file with the same record twice has it once.
fn alarms(out: &mut (impl Write + ?Sized), files: &[(String, Sample<'_>)]) -> io::Result<()> {
    let raised: BTreeSet<(&String, HexId, &str)> = files
        .iter()
        .flat_map(|(label, file)| file.status.map(|status| (label, &status.alarms)))
        .flat_map(|(label, alarms)| alarms.iter().map(move |alarm| (label, alarm.member_id, alarm.alarm)))
        .collect();
    if raised.is_empty() {
        return Ok(());
    }
    let help = "1 for each alarm that is raised in the file, by the member that raised it.";
    family(out, "etcd_medic_alarm", help, |out, name| {
        raised.iter().try_for_each(|(file, member, alarm)| {
            writeln!(out, "{name}{{file=\"{file}\",member_id=\"{member:x}\",alarm=\"{alarm}\"}} 1")
        })
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn labels_are_escaped() {
        assert_eq!(label(Path::new("/var/lib/etcd")), "/var/lib/etcd");
        assert_eq!(label(Path::new(r#"a"b\c"#)), r#"a\"b\\\\c"#);
        assert_eq!(label(Path::new("two\nlines")), r"two\\nlines");
        assert_eq!(label(Path::new("\u{1b}[31m")), r"\\u{1b}[31m");
    }

    #[test]
    fn what_could_not_be_read_is_told_once() {
        let sample = Sample { path: Path::new("gone"), status: None, modified: None };
        let run = Run { at: UNIX_EPOCH + Duration::from_secs(1_700_000_000), read_without_lock: false };
        let mut out = Vec::new();
        write(&mut out, &run, &[sample, sample]).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches("etcd_medic_up{file=\"gone\"} 0\n").count(), 1);
        assert!(text.contains("\netcd_medic_last_run_timestamp_seconds 1700000000\n"), "{text}");
        assert!(!text.contains("sound"), "no figure of what was not read: {text}");
    }
}
