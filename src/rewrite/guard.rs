//! Whether the db of a member may be changed where it is. A copy that holds all that the db holds may always take its place;
//! one that does not, only if no other member goes on with the old state, and if etcd does not apply entries of its log to the
//! new one that were made for the old: these are applied first ([`super::forward`]).

#![warn(missing_docs)]

use std::path::Path;

use thiserror::Error;

use crate::etcd::membership::{LogSays, Membership};
use crate::etcd::schema::State;
use crate::etcd::tail::Tail;
use crate::input::LogFiles;
use crate::input::beside::{Beside, DbPlace, MemberLog};
use crate::shell::ShellCommand;

use super::changes::Wish;

/// What the db's surroundings say.
#[derive(Debug)]
pub struct Surroundings {
    /// Whether other members have the same data.
    pub membership: Membership,
    /// Which entries of the log the db does not have.
    pub tail: Tail,
    /// The files of the log, if it was read whole.
    pub log: Option<LogFiles>,
    /// The minor version of etcd 3 that the cluster runs.
    cluster_minor: Option<u32>,
}

/// Why a changed copy may not take its source's place.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Refusal {
    /// A member of several would differ from the others.
    #[error("is one of {members} members of a cluster. Changed alone, it would differ from the others")]
    OneOfSeveral {
        /// How many.
        members: u64,
    },
    /// The sources contradict each other.
    #[error(
        "may be one of several members of a cluster: {sources}. Changed alone, one of several would differ from the others"
    )]
    MembersUnclear {
        /// What each source says.
        sources: String,
    },
    /// Entries of the log would be applied to the changed state.
    #[error(
        "its consistent index is {consistent_index}, and the last entry of its log {last_index}. At its next start, etcd would \
         apply the entries between to the changed db, and decide each anew: writes that it had refused would be made, or \
         others refused. So the change must be made at the log's end: {way_out}"
    )]
    BehindItsLog {
        /// The last entry that the db has the effect of.
        consistent_index: u64,
        /// The last entry of the log.
        last_index: u64,
        /// How.
        way_out: String,
    },
    /// They would have to be applied before the change, and can't be.
    #[error(
        "its consistent index is {consistent_index}, and the last entry of its log {last_index}. The entries between must be \
         applied before the change, which is not possible here: {reason}. So make the change at the log's end: {way_out}"
    )]
    NotApplied {
        /// The last entry that the db has the effect of.
        consistent_index: u64,
        /// The last entry of the log.
        last_index: u64,
        /// Why not.
        reason: String,
        /// How else.
        way_out: String,
    },
    /// It is not known whether there are such entries.
    #[error(
        "its log may go on beyond it: {reason}. At its next start, etcd would apply entries that the db does not have to the \
         changed db, and decide each anew"
    )]
    LogUnclear {
        /// Why.
        reason: String,
        /// The same change on a running etcd.
        commands: String,
    },
}

impl Refusal {
    /// The same of entries that can't be applied before the change, for this reason.
    pub(super) fn not_applied(self, reason: String) -> Self {
        match self {
            Self::BehindItsLog { consistent_index, last_index, way_out } => {
                Self::NotApplied { consistent_index, last_index, reason, way_out }
            }
            other => other,
        }
    }
}

impl Surroundings {
    /// Looks around a db. Its log lies in `wal_dir`, if that is named.
    pub fn of(db: DbPlace<'_>, state: &State<'_>, wal_dir: Option<&Path>) -> Self {
        let cluster_minor = state.cluster_minor();
        // another program's file has no log, even if one is beside it
        let beside = if state.key_bucket.is_some() { Beside::of(db, wal_dir) } else { Beside::Nothing };
        let (membership, tail, log) = match beside {
            Beside::Nothing => (Membership::of(state, LogSays::Nothing), Tail::NoLog, None),
            Beside::Log(MemberLog { log, files }) => {
                let says = LogSays::Log(&log, &files.snaps);
                (Membership::of(state, says), Tail::of(state, &log), Some(files))
            }
            Beside::Unreadable(error) => {
                (Membership::of(state, LogSays::Unreadable), Tail::Unknown(error.to_string()), None)
            }
        };
        Self { membership, tail, log, cluster_minor }
    }

    /// Members of the cluster, by this and by what the user says.
    pub fn num_members(&self, wish: &Wish) -> u64 {
        let count = self.membership.count();
        if wish.only_member { count.min(1) } else { count }
    }

    /// Why a copy with these changes, compacted to this revision, may not take the place of the db; `None`: it may.
    pub fn refusal(&self, wish: &Wish, compaction: Option<i64>) -> Option<Refusal> {
        if wish.is_none() {
            return None;
        }
        let is_known = wish.every_member || wish.only_member;
        match &self.membership {
            Membership::Several(members) if !is_known => {
                return Some(Refusal::OneOfSeveral { members: *members });
            }
            Membership::Unclear { sources, .. } if !is_known => {
                return Some(Refusal::MembersUnclear { sources: sources.clone() });
            }
            _ => {}
        }
        let commands = || {
            let commands = on_a_running_etcd(wish, compaction);
            let commands: Vec<_> = commands.iter().map(|command| format!("`{command}`")).collect();
            commands.join(", ")
        };
        match &self.tail {
            Tail::NoLog | Tail::Applied { .. } => None,
            &Tail::Pending { consistent_index, last_index } => {
                let way_out = self.way_out(&commands());
                Some(Refusal::BehindItsLog { consistent_index, last_index, way_out })
            }
            Tail::Unknown(reason) => {
                Some(Refusal::LogUnclear { reason: reason.clone(), commands: commands() })
            }
        }
    }

    /// How to make the change at the log's end. From 3.5 on, a clean stop leaves the db there; 3.4 notes how far it is with
    /// changes of keys only (its `mvcc/kvstore_txn.go`, `End`), so refused puts and alarms are applied again. Patches of one
    /// minor version don't decide all requests alike (`quota.go`, `costTxnReq`), so the log is for the one that wrote it.
    fn way_out(&self, commands: &str) -> String {
        let there = format!("start the etcd that ran here last, and run {commands} there");
        match self.cluster_minor {
            Some(5..) => {
                format!("{there}; or start it, stop it cleanly (not by kill -9), and run this again")
            }
            Some(_) => format!(
                "{there}. To start it and stop it again is not enough: etcd before 3.5 leaves the consistent index where it is"
            ),
            None => there,
        }
    }
}

/// The same changes by etcd's own means, in their order.
pub fn on_a_running_etcd(wish: &Wish, compaction: Option<i64>) -> Vec<String> {
    let mut commands = Vec::new();
    for prefix in &wish.drop_prefixes {
        commands.push(ShellCommand::new("etcdctl del --prefix --").word(prefix).to_string());
    }
    if let Some(revision) = compaction {
        commands.push(format!("etcdctl compact --physical --command-timeout=10m {revision}"));
        commands.push("etcdctl defrag --command-timeout=10m".to_owned());
    }
    if !wish.disarm.is_empty() {
        commands.push("etcdctl alarm disarm".to_owned());
    }
    if commands.is_empty() {
        commands.push("etcdctl defrag --command-timeout=10m".to_owned());
    }
    commands
}
