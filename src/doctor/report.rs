//! The report.

use serde::Serialize;

use crate::etcd::apply::Version;

use super::cluster::ClusterReport;
use super::document::MemberReport;
use super::files::MemberFiles;
use super::message::{FoundMessage, found_in};

/// What the doctor finds.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DoctorReport {
    /// The members, as they were named.
    pub members: Vec<MemberReport>,
    /// What they are together; `null` for one.
    pub cluster: Option<ClusterReport>,
    /// The messages of etcd's log that are known.
    pub messages: Vec<FoundMessage>,
}

impl DoctorReport {
    /// Of these directories, with these versions; with none, the newest.
    pub fn of(files: &[MemberFiles], named: &[Version]) -> Self {
        let members: Vec<_> = files.iter().map(|files| MemberReport::of(files, named)).collect();
        Self { cluster: ClusterReport::of(files, &members), messages: Vec::new(), members }
    }

    /// With the messages of a log of etcd's.
    #[must_use]
    pub fn with_messages(self, log: &str) -> Self {
        Self { messages: found_in(log, &self.members), ..self }
    }

    /// Whether nothing needs an answer.
    pub fn is_healthy(&self) -> bool {
        let fit = self.cluster.as_ref().is_none_or(|cluster| cluster.differences.is_empty());
        fit && self.members.iter().all(|member| member.healthy)
    }
}
