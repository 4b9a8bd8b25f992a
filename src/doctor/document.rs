//! What is found of a member.

use serde::Serialize;

use crate::etcd::HexId;
use crate::etcd::apply::Version;
use crate::etcd::schema::State;
use crate::member::{ReadLog, Stretch};
use crate::text::ByteText;
use crate::units::count;

use super::files::{DbState, MemberFiles};
use super::finding::{self, Finding};
use super::leftovers;
use super::predict::predict;
use super::prediction::{Prediction, Starts};
use super::trouble::Trouble;
use super::truth::Truth;

/// The newest patches that the predictions were tried on.
pub const NEWEST: [Version; 4] =
    [Version::new(3, 4, 23), Version::new(3, 5, 35), Version::new(3, 6, 16), LATEST];
/// The newest of them.
pub const LATEST: Version = Version::new(3, 7, 3);

/// A member's directory.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MemberReport {
    /// Its folder `member`.
    pub path: ByteText,
    /// The member whose log it is; `null` where there is no log.
    pub member_id: Option<HexId>,
    /// Its cluster.
    pub cluster_id: Option<HexId>,
    /// Its db; `null` where there is none.
    pub db: Option<DbReport>,
    /// Its log; `null` where there is none.
    pub log: Option<LogReport>,
    /// What each etcd does with it: the newest patches of 3.4 to 3.7 that were tried, or those that were named.
    pub starts: Vec<StartReport>,
    /// What needs an answer, with the way out.
    pub findings: Vec<Finding>,
    /// Whether all of those are healthy that decide: those that were named, else the newest patch of the cluster's own version, else all;
    /// and no other finding is a problem.
    pub healthy: bool,
    /// What the first of these that is not healthy says: in plain words.
    pub reason: Option<String>,
}

/// The db of a member.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DbReport {
    /// Whether its pages can be read.
    pub sound: bool,
    /// The first thing that is wrong with it.
    pub fault: Option<String>,
    /// The last entry of the log that it has the effect of.
    pub consistent_index: Option<u64>,
    /// The term of that entry; from 3.5 on.
    pub term: Option<u64>,
    /// The current revision.
    pub revision: Option<i64>,
    /// The version that all members speak, as `3.5.0`.
    pub cluster_version: Option<String>,
}

/// The log of a member.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LogReport {
    /// The first entry; `null` for none.
    pub first_index: Option<u64>,
    /// The last entry.
    pub last_index: u64,
    /// Its term.
    pub last_term: u64,
    /// The last entry that the member knew to be committed.
    pub commit: u64,
    /// The newest snapshot record of a committed entry.
    pub snapshot_index: u64,
    /// All that is wrong with it, by its own checksums.
    pub num_faults: u64,
}

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
        }
    }
}

impl StartReport {
    /// A start that ends at another revision than its log leads to carries out other requests than the etcd that wrote them.
    fn held_against(self, truth: &Truth) -> Self {
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
    fn held_against_log(self, read: Option<u64>, log: Option<&ReadLog<'_>>) -> Self {
        let there = log.and_then(|log| log.stretches.iter().map(Stretch::last_index).max()).unwrap_or(0);
        let Some(read) = read.filter(|&read| self.trouble.is_none() && read < there) else { return self };
        let lost = count(there.saturating_sub(read), "entry");
        let why = format!(
            "it reads its log to entry {read}, and cuts off {lost} after that, to {there}, without a message"
        );
        Self { healthy: false, trouble: Some(Trouble::CutsLog), why: Some(why), ..self }
    }
}

impl MemberReport {
    /// Of a directory, with these versions; with none, the newest.
    pub fn of<'f>(files: &'f MemberFiles, log: Option<&'f ReadLog<'f>>, named: &[Version]) -> Self {
        let db = DbReport::of(&files.db);
        let versions = if named.is_empty() { &NEWEST[..] } else { named };
        let truth = Truth::of(files, log);
        let start_of = |&version: &Version| {
            let prediction = predict(files, log, version);
            let read = prediction.last_index;
            let start = StartReport::from(prediction).held_against_log(read, log);
            truth.as_ref().map_or(start.clone(), |truth| start.held_against(truth))
        };
        let starts: Vec<_> = versions.iter().map(start_of).collect();
        let own = db.as_ref().and_then(|db| crate::etcd::schema::minor_of(db.cluster_version.as_deref()?));
        let is_own = |version: &Version| named.is_empty() && Some(version.minor) == own;
        let has_own = versions.iter().any(is_own);
        let mut deciding = versions.iter().zip(&starts).filter(|(version, _)| !has_own || is_own(version));
        let ill = deciding.find(|(_, start)| !start.healthy);
        let of_start = ill.and_then(|(version, start)| {
            let why = start.why.as_deref().unwrap_or_default();
            finding::of_start(files, log, *version, (start.trouble?, why), truth.as_ref())
        });
        let is_said = |other: &Finding| of_start.as_ref().is_some_and(|start| start.kind == other.kind);
        let others: Vec<_> = leftovers::of(files, log).into_iter().filter(|other| !is_said(other)).collect();
        let problem = others.iter().find(|other| other.is_problem).map(|other| other.message.clone());
        let reason = ill.map(|(_, start)| start.why.clone().unwrap_or_default()).or(problem);
        Self {
            healthy: reason.is_none(),
            reason,
            findings: of_start.into_iter().chain(others).collect(),
            path: ByteText::from(files.folder.as_path()),
            member_id: log.map(|log| HexId(log.log.metadata.node_id)),
            cluster_id: log.map(|log| HexId(log.log.metadata.cluster_id)),
            log: log.map(LogReport::of),
            db,
            starts,
        }
    }
}

impl DbReport {
    fn of(db: &DbState) -> Option<Self> {
        match db {
            DbState::Missing => None,
            DbState::Damaged(fault) => Some(Self {
                sound: false,
                fault: Some(fault.clone()),
                consistent_index: None,
                term: None,
                revision: None,
                cluster_version: None,
            }),
            DbState::Sound(db) => {
                let state = State::read(db);
                Some(Self {
                    sound: true,
                    fault: None,
                    consistent_index: state.consistent_index,
                    term: state.term,
                    revision: Some(state.current_revision(db)),
                    cluster_version: state.cluster_version.clone(),
                })
            }
        }
    }
}

impl LogReport {
    fn of(log: &ReadLog<'_>) -> Self {
        let last_index = log.log.last_index();
        let commit = log.log.state.commit;
        let snapshots = log.log.snapshots.iter().map(|snapshot| snapshot.index);
        Self {
            first_index: log.stretches.first().map(|stretch| stretch.first_index()),
            last_index,
            last_term: log.log.term_at(last_index).unwrap_or(0),
            commit,
            snapshot_index: snapshots.filter(|&index| index <= commit).max().unwrap_or(0),
            num_faults: log.num_faults,
        }
    }
}
