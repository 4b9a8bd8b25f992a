//! Several members of one cluster: whether they are, and which has the most.

use std::cmp::Reverse;

use serde::Serialize;

use crate::etcd::hash;
use crate::etcd::schema::State;
use crate::member::ReadLog;
use crate::shell::ShellCommand;
use crate::text::ByteText;

use super::document::MemberReport;
use super::files::{DbState, MemberFiles};
use super::finding::{exchange, log_of, with_ending};

/// Several members together.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClusterReport {
    /// Whether they are members of one cluster, each another one, whose logs agree.
    pub same_history: bool,
    /// Their paths, the one with the most first: by the term and the index of the last entry, as raft ranks them, then by the db.
    pub ranking: Vec<ByteText>,
    /// The first of these; `null` if they are not members of one cluster. A majority of the cluster must be among them to be sure that it has all that was committed.
    pub best: Option<ByteText>,
    /// Members that vote, as the best one's log says.
    pub voters: u64,
    /// Whether these are more than half of them: started together, they go on by themselves.
    pub has_majority: bool,
    /// The last entry that was surely committed.
    pub committed_index: u64,
    /// What each member's db lacks, the best one first.
    pub lacking: Vec<Lacking>,
    /// Without a majority: a new cluster of the best member, as commands to paste in this order. Others are added to it anew.
    pub commands: Vec<String>,
    /// What does not fit, in plain words.
    pub differences: Vec<String>,
}

/// A member, and what was found of it.
#[derive(Clone, Copy)]
pub struct FoundMember<'f> {
    pub files: &'f MemberFiles,
    pub log: Option<&'f ReadLog<'f>>,
    pub report: &'f MemberReport,
}

/// How much of the common log a member's db lacks.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Lacking {
    /// The member's path.
    pub path: ByteText,
    /// Entries after its db, up to the end of the best member's log.
    pub entries: u64,
}

impl ClusterReport {
    /// Of several members, or of one of a cluster of several.
    pub fn of(found: &[FoundMember<'_>]) -> Option<Self> {
        let mut differences = Vec::new();
        let mut same_history = true;
        for (number, one) in found.iter().enumerate() {
            for another in found.iter().skip(number.saturating_add(1)) {
                let of_history = history(one.report, another.report).or_else(|| terms(*one, *another));
                same_history &= of_history.is_none();
                differences.extend(of_history.or_else(|| content(*one, *another)));
            }
        }
        let mut ranked: Vec<_> = found.iter().collect();
        ranked.sort_by_key(|found| Reverse(rank(found.report)));
        let best = *ranked.first()?;
        let voters = best.log.and_then(|log| log.log.config_at(log.log.last_index(), &best.files.heads()));
        let voters = voters.map_or(0, |config| config.voters().len());
        if found.len() < 2 && voters < 2 {
            return None;
        }
        let has_majority = voters > 0 && found.len() > voters / 2;
        let last = best.report.log.as_ref().map_or(0, |log| log.last_index);
        let index =
            |report: &MemberReport| report.db.as_ref().and_then(|db| db.consistent_index).unwrap_or(0);
        let known = |found: &FoundMember<'_>| {
            found.report.log.as_ref().map_or(0, |log| log.commit).max(index(found.report))
        };
        let lacking = |found: &&FoundMember<'_>| Lacking {
            path: found.report.path.clone(),
            entries: last.saturating_sub(index(found.report)),
        };
        Some(Self {
            same_history,
            voters: voters as u64,
            has_majority,
            committed_index: if has_majority { last } else { found.iter().map(known).max().unwrap_or(0) },
            lacking: ranked.iter().map(lacking).collect(),
            commands: if has_majority || !same_history { Vec::new() } else { anew(best, last) },
            best: same_history.then(|| best.report.path.clone()),
            ranking: ranked.into_iter().map(|found| found.report.path.clone()).collect(),
            differences,
        })
    }
}

/// A new cluster from what the best member has: all of its log, as what was not known to be committed may have been acknowledged.
fn anew(best: &FoundMember<'_>, last: u64) -> Vec<String> {
    let named = &best.files.named;
    let [all, new] = [".all.db", ".new"].map(|ending| with_ending(named, ending));
    let replay = ShellCommand::new("etcd-medic replay").path(named).and("--log").path(log_of(best.files));
    let replay = replay.and(&format!("--until-index {last} -o")).path(&all);
    let mut restore = ShellCommand::new("etcd-medic restore").path(&all).and("--data-dir").path(&new);
    let id = best.report.member_id.map(|id| id.0);
    if let DbState::Sound(db) = &best.files.db
        && let Some(row) = State::read(db).members.iter().find(|member| Some(member.id.0) == id)
        && let Some(url) =
            row.peer_urls.as_ref().and_then(|urls| urls.first()).filter(|_| !row.name.is_empty())
    {
        restore = restore.and("--name").word(row.name.as_bytes());
        restore = restore.and("--initial-advertise-peer-urls").word(url.as_bytes());
    }
    [vec![replay.to_string(), restore.to_string()], exchange(best.files)].concat()
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
fn terms(one: FoundMember<'_>, another: FoundMember<'_>) -> Option<String> {
    let logs = [one.log?, another.log?];
    let common = logs.iter().map(|log| log.log.state.commit.min(log.log.last_index())).min()?;
    let [first, second] = logs.map(|log| log.log.term_at(common));
    (first? != second?).then(|| {
        let (one, another) = (&one.report.path, &another.report.path);
        format!("{one} and {another} have different entries {common}: they are of different histories")
    })
}

/// Whether two dbs at the same point have different data.
fn content(one: FoundMember<'_>, another: FoundMember<'_>) -> Option<String> {
    let (DbState::Sound(first), DbState::Sound(second)) = (&one.files.db, &another.files.db) else {
        return None;
    };
    let states = [first, second].map(State::read);
    let [at, other] = [(first, &states[0]), (second, &states[1])]
        .map(|(db, state)| (state.current_revision(db), state.compact_revision()));
    if at != other {
        return None;
    }
    let [hash, other] =
        [(first, &states[0]), (second, &states[1])].map(|(db, state)| hash::hash_kv_of(db, state));
    (hash != other).then(|| {
        let (one, another) = (&one.report.path, &another.report.path);
        format!("{one} and {another} have different data at revision {}: one of them was changed", at.0)
    })
}
