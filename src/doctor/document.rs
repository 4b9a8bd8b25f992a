//! What is found of a member.

use serde::Serialize;

use crate::etcd::HexId;
use crate::etcd::apply::Version;
use crate::etcd::schema::State;
use crate::member::ReadLog;
use crate::text::ByteText;

use super::case::MemberCase;
use super::files::DbState;
use super::finding::{self, Finding};
use super::leftovers;
use super::patches;
use super::start::StartReport;
use super::truth::Truth;
use super::versions::NEWEST;

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

impl MemberReport {
    /// Of a directory, with these versions; with none, the newest.
    pub fn of(case: &MemberCase<'_>, named: &[Version]) -> Self {
        let MemberCase { files, log, .. } = *case;
        let db = DbReport::of(&files.db);
        let versions = if named.is_empty() { &NEWEST[..] } else { named };
        let truth = Truth::of(case);
        let start_of = |&version: &Version| {
            let by = |version| start_by(version, case, truth.as_ref());
            let start = by(version);
            StartReport { other_patches: patches::others(version, &start, by), ..start }
        };
        let starts: Vec<_> = versions.iter().map(start_of).collect();
        let own = db.as_ref().and_then(|db| crate::etcd::schema::minor_of(db.cluster_version.as_deref()?));
        let is_own = |version: &Version| named.is_empty() && Some(version.minor) == own;
        let has_own = versions.iter().any(is_own);
        let mut deciding = versions.iter().zip(&starts).filter(|(version, _)| !has_own || is_own(version));
        let ill = deciding.find(|(_, start)| !start.healthy);
        let of_start = ill.and_then(|(version, start)| {
            let why = start.why.as_deref().unwrap_or_default();
            finding::of_start(case, *version, (start.trouble?, why), truth.as_ref())
        });
        let is_said = |other: &Finding| of_start.as_ref().is_some_and(|start| start.kind == other.kind);
        let others: Vec<_> = leftovers::of(case).into_iter().filter(|other| !is_said(other)).collect();
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

/// What becomes of a start by this version, seen from outside, and what of its log it leaves out.
fn start_by(version: Version, case: &MemberCase<'_>, truth: Option<&Truth>) -> StartReport {
    let prediction = case.predict(version);
    let read = prediction.last_index;
    let start = StartReport::from(prediction).held_against_log(read, case.log);
    match truth {
        Some(truth) => start.held_against(truth),
        None => start,
    }
}
