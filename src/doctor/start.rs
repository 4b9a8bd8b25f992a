//! What an etcd does with a directory, as the report says it.

use serde::Serialize;

use crate::member::{ReadLog, Stretch};
use crate::units::count;

use super::prediction::{Prediction, Starts};
use super::trouble::Trouble;
use super::truth::Truth;
use super::versions::was_tried;

/// What an etcd does.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StartReport {
    /// Its version.
    pub etcd: String,
    /// Whether it serves its clients; `null` where the directory alone does not decide it.
    pub starts: Option<bool>,
    /// What is in its way; `null` for nothing.
    pub trouble: Option<Trouble>,
    /// Whether it runs all the same, and answers nobody.
    pub runs_silently: bool,
    /// The message that it ends with, or repeats; `…` for what can't be known.
    pub message: Option<String>,
    /// The current revision once it serves; `null` where it does not, or where it can't be known.
    pub revision: Option<i64>,
    /// Whether it accepts writes; `null` as with `revision`.
    pub accepts_writes: Option<bool>,
    /// Why it is so, or why it is not known.
    pub why: Option<String>,
    /// Whether that is as it should be: it serves, and accepts writes, as far as the directory decides it.
    pub healthy: bool,
    /// What the start changes in the directory, beside what is usual.
    pub changes: Vec<String>,
    /// Whether starts of this very version were compared with real ones. Of others the source was read.
    pub tried: bool,
    /// Patches of the same minor version that do otherwise, by their source.
    pub other_patches: Vec<OtherPatches>,
}

/// Patches that follow each other, and do the same.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OtherPatches {
    /// The first of them, as `3.5.0`.
    pub first: String,
    /// The last of them that is known.
    pub last: String,
    /// Whether they serve their clients; `null` where the directory alone does not decide it.
    pub starts: Option<bool>,
    /// The current revision then; `null` where they do not serve, or where it can't be known.
    pub revision: Option<i64>,
    /// Whether they accept writes; `null` as with `revision`.
    pub accepts_writes: Option<bool>,
    /// Why it is so, or why it is not known.
    pub why: Option<String>,
}

impl From<Prediction> for StartReport {
    fn from(predicted: Prediction) -> Self {
        let Prediction { version, starts, trouble, message, revision, takes_writes, why, .. } = predicted;
        let Prediction { needs_others, changes, .. } = predicted;
        Self {
            etcd: version.to_string(),
            starts: match starts {
                Starts::Yes => Some(true),
                Starts::No | Starts::Silent => Some(false),
                Starts::Undecided => None,
            },
            trouble,
            runs_silently: starts == Starts::Silent,
            message,
            revision,
            accepts_writes: takes_writes,
            why,
            healthy: match starts {
                Starts::Yes => takes_writes != Some(false),
                Starts::Undecided => !needs_others,
                Starts::No | Starts::Silent => false,
            },
            changes,
            tried: was_tried(version),
            other_patches: Vec::new(),
        }
    }
}

impl StartReport {
    /// Whether another start ends alike.
    pub(super) fn does_as(&self, other: &Self) -> bool {
        let outcome = |start: &Self| {
            (start.starts, start.runs_silently, start.revision, start.accepts_writes, start.trouble)
        };
        outcome(self) == outcome(other)
    }

    /// A start that ends at another revision than its log leads to carries out other requests than the etcd that wrote them.
    pub(super) fn held_against(self, truth: &Truth) -> Self {
        let Some(revision) = self.revision.filter(|&revision| revision != truth.revision) else {
            return self;
        };
        let why = format!(
            "it ends at revision {revision}, and its log, by the rules of the etcd {} that wrote it, at {}: it decides {} otherwise, \
             without a message",
            truth.writer,
            truth.revision,
            count(truth.decided_otherwise, "request")
        );
        Self { healthy: false, trouble: Some(Trouble::JudgedOtherwise), why: Some(why), ..self }
    }

    /// A start that reads less of the log than there is cuts the rest off.
    pub(super) fn held_against_log(self, read: Option<u64>, log: Option<&ReadLog<'_>>) -> Self {
        let there = log.and_then(|log| log.stretches.iter().map(Stretch::last_index).max()).unwrap_or(0);
        let Some(read) = read.filter(|&read| self.trouble.is_none() && read < there) else { return self };
        let lost = count(there.saturating_sub(read), "entry");
        let why = format!(
            "it reads its log to entry {read}, and cuts off {lost} after that, to {there}, without a message"
        );
        Self { healthy: false, trouble: Some(Trouble::CutsLog), why: Some(why), ..self }
    }
}
