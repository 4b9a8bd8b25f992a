//! One piece of advice: it rests on a figure of the report and names the next command.

use serde::Serialize;

/// What to do. The rows are in the order of severity, and of the kinds within each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Advice {
    /// What it is about, for programs.
    #[cfg_attr(test, schemars(schema_with = "kinds"))]
    pub kind: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What the case is, with its figure; for people.
    pub text: String,
    /// A command to consider next, as typed into a shell; empty where there is none, or where a name from the file would have
    /// to be in it that is not made of ASCII letters, digits, dots and dashes. It is written for a healthy cluster: do not
    /// run it unseen.
    pub command: String,
    /// How many bytes larger the file is than the copy that `command` writes, to the byte; `null` where it writes none, or
    /// none that is smaller.
    pub gives_back_bytes: Option<u64>,
}

/// How bad something is, the worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Data is in danger, or etcd refuses to work.
    Critical,
    /// Something costs much, or will go wrong.
    Warning,
    /// Good to know.
    Info,
}

/// A cure is worth its trouble from this share on.
pub(super) const WORTH_IT: f64 = 0.1;
/// Advice that gives nothing back.
pub(super) fn new(
    kind: &'static str,
    severity: Severity,
    text: String,
    command: impl Into<String>,
) -> Advice {
    Advice { kind, severity, text, command: command.into(), gives_back_bytes: None }
}

#[cfg(test)]
fn kinds(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    crate::described::words(&[
        ("damage", "Critical: not `health.sound`."),
        ("trailer", "Critical: `file.snapshot_trailer` is `invalid`."),
        (
            "alarm-nospace",
            "Critical: NOSPACE is raised; `command` is empty where there are structural faults.",
        ),
        ("alarm-corrupt", "Critical: CORRUPT is raised; it names the first member that raised it."),
        ("member-not-in-confstate", "Warning: `file.members_not_in_conf_state` is not empty."),
        (
            "history",
            "Warning: a compaction gives back 10 % of `file.allocated_bytes` or more on top of a defrag. As `defrag` and \
             `defrag-useless`, not given with structural faults.",
        ),
        (
            "defrag",
            "Warning: the copy that `command` writes gives back 10 % of the file, or of `file.allocated_bytes`, or more.",
        ),
        (
            "dominant-resource",
            "Warning: a resource has 40 % or more of the `disk_bytes` of all readable records, among the `resources` that are \
             shown.",
        ),
        ("large-value", "Warning: the value of one of the `top_objects` has 1 MiB or more."),
        ("orphaned-keys", "Warning: `leases.orphaned_keys` is above 0."),
        (
            "compaction-cut-short",
            "Info: `mvcc.scheduled_compact_revision` is above `mvcc.finished_compact_revision`.",
        ),
        ("defrag-useless", "Info: a defrag gives back less than for `defrag`."),
        (
            "flood",
            "Info: `timeline` has 10 spans or more, and its peak 8 times the median or more, and 10 % of the file or more.",
        ),
        ("cleanup", "Info: `health.sound`, and there are Events, Jobs, Pods, ReplicaSets or Leases."),
        ("read-without-lock", "Info: `--no-lock` was given."),
    ])
}
