//! The report.

use serde::Serialize;

use crate::etcd::apply::Version;
use crate::input::LogFiles;

use super::case::MemberCase;
use super::cluster::{ClusterReport, FoundMember};
use super::document::MemberReport;
use super::files::MemberFiles;
use super::message::{FoundMessage, found_in};

/// What the doctor finds.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DoctorReport {
    /// The members, as they were named.
    pub members: Vec<MemberReport>,
    /// What they are together; `null` for the only member of a cluster.
    pub cluster: Option<ClusterReport>,
    /// The messages of etcd's log that are known.
    pub messages: Vec<FoundMessage>,
}

impl DoctorReport {
    /// Of these directories, with these versions; with none, the newest.
    pub fn of(files: &[MemberFiles], named: &[Version]) -> Self {
        let logs: Vec<_> = files.iter().map(|files| files.log.as_ref().map(LogFiles::read)).collect();
        let both = files.iter().zip(&logs);
        let members: Vec<_> =
            both.map(|(files, log)| MemberReport::of(&MemberCase::new(files, log.as_ref()), named)).collect();
        let found: Vec<_> = files
            .iter()
            .zip(&logs)
            .zip(&members)
            .map(|((files, log), report)| FoundMember { files, log: log.as_ref(), report })
            .collect();
        Self { cluster: ClusterReport::of(&found), messages: Vec::new(), members }
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
