//! One piece of advice: it rests on a figure of the report and names the next command.

use serde::Serialize;

/// One piece of advice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Advice {
    /// What it is about, for programs.
    pub kind: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is the case, with the figure that it rests on.
    pub text: String,
    /// The next command; empty where there is none.
    pub command: String,
    /// By how many bytes the file is larger than the copy that `command` writes, to the byte; `null` where it writes none, or one
    /// that is no smaller.
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
