//! Several members of one cluster: whether they are, and which has the most.

use std::cmp::Reverse;

use serde::Serialize;

use crate::etcd::hash;
use crate::etcd::schema::State;
use crate::text::ByteText;

use super::document::MemberReport;
use super::files::{DbState, MemberFiles};

/// Several members together.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClusterReport {
    /// Whether they are members of one cluster, each another one, whose logs agree.
    pub same_history: bool,
    /// Their paths, the one with the most first: by the term and the index of the last entry, as raft ranks them, then by the db.
    pub ranking: Vec<ByteText>,
    /// The first of these. A majority of the cluster must be among them to be sure that it has all that was committed.
    pub best: Option<ByteText>,
    /// What does not fit, in plain words.
    pub differences: Vec<String>,
}

/// A member, and what was found of it.
type Found<'m> = (&'m MemberFiles, &'m MemberReport);

impl ClusterReport {
    /// Of at least two members.
    pub fn of(members: &[MemberFiles], reports: &[MemberReport]) -> Option<Self> {
        let found: Vec<Found<'_>> = members.iter().zip(reports).collect();
        if found.len() < 2 {
            return None;
        }
        let mut differences = Vec::new();
        let mut same_history = true;
        for (number, one) in found.iter().enumerate() {
            for another in found.iter().skip(number.saturating_add(1)) {
                let of_history = history(one.1, another.1).or_else(|| terms(*one, *another));
                same_history &= of_history.is_none();
                differences.extend(of_history.or_else(|| content(*one, *another)));
            }
        }
        let mut ranked: Vec<_> = reports.iter().collect();
        ranked.sort_by_key(|report| Reverse(rank(report)));
        let ranking: Vec<_> = ranked.into_iter().map(|report| report.path.clone()).collect();
        Some(Self { same_history, best: ranking.first().cloned(), ranking, differences })
    }
}

fn rank(report: &MemberReport) -> (u64, u64, u64) {
    let (term, index) = report.log.as_ref().map_or((0, 0), |log| (log.last_term, log.last_index));
    (term, index, report.db.as_ref().and_then(|db| db.consistent_index).unwrap_or(0))
}

/// Why two are not two members of one cluster.
fn history(one: &MemberReport, another: &MemberReport) -> Option<String> {
    if one.cluster_id? != another.cluster_id? {
        return Some(format!("{} and {} are of different clusters", one.path, another.path));
    }
    (one.member_id? == another.member_id?).then(|| {
        format!("{} and {} have the log of the same member: never start both", one.path, another.path)
    })
}

/// Whether two logs have another term for the last committed entry that both have.
fn terms(one: Found<'_>, another: Found<'_>) -> Option<String> {
    let logs = [one.0.log.as_ref()?.read(), another.0.log.as_ref()?.read()];
    let common = logs.iter().map(|log| log.log.state.commit.min(log.log.last_index())).min()?;
    let [first, second] = logs.map(|log| log.log.term_at(common));
    (first? != second?).then(|| {
        let (one, another) = (&one.1.path, &another.1.path);
        format!("{one} and {another} have different entries {common}: they are of different histories")
    })
}

/// Whether two dbs at the same point have different data.
fn content(one: Found<'_>, another: Found<'_>) -> Option<String> {
    let (DbState::Sound(first), DbState::Sound(second)) = (&one.0.db, &another.0.db) else { return None };
    let states = [first, second].map(State::read);
    let [at, other] = [(first, &states[0]), (second, &states[1])]
        .map(|(db, state)| (state.current_revision(db), state.compact_revision()));
    if at != other {
        return None;
    }
    let [hash, other] =
        [(first, &states[0]), (second, &states[1])].map(|(db, state)| hash::hash_kv_of(db, state));
    (hash != other).then(|| {
        let (one, another) = (&one.1.path, &another.1.path);
        format!("{one} and {another} have different data at revision {}: one of them was changed", at.0)
    })
}
