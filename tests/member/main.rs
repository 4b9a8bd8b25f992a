//! The log beside a member's db: read strictly, and what follows from it for a change of the db where it is.
//!
//! | file | what is in it |
//! |---|---|
//! | [`bytes`] | what is read of a sound log, and that whatever lies in one is a fault |
//! | [`damaged`] | what is read on after a fault |
//! | [`joined`] | segments read beside each other, and one after the other |
//! | [`requests`] | what entries ask for, and what becomes of it |
//! | [`decided`], [`real`] | what follows from a log for a change of the db |
//! | [`received`] | a db that the leader sent |
//! | [`replayed`] | a db rolled forward, and what real etcd had at the same entries |
//! | [`compacted`] | records that compactions drop on the way |
//! | [`predicted`] | what each etcd does when it starts |
//! | [`found`] | what else is found in a directory, and its cures |
//! | [`readers`] | what other readers find in the same logs |
//! | [`candidates`] | the newest of several dbs that a replay may begin with |
//! | [`compared`] | a db held against its log |
//! | [`silent`] | a byte of a value that changed, and the log finds it |
//! | [`salvaged`] | a damaged db completed from the log |
//! | [`beyond`] | a db that has the effect of more entries than it says |
//! | [`broken`] | what a repair by etcd cut off |
//! | [`status`] | how far a db is in its log |
//! | [`large`] | a large log, to measure with |
//!
//! The directories of real members in the folder that `ETCD_MEDIC_MEMBERS` names (relative to the package) are read, too.
#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod beyond;
mod broken;
mod bytes;
mod candidates;
mod compacted;
mod compared;
mod damaged;
mod decided;
mod found;
mod joined;
mod large;
mod messages;
mod predicted;
mod readers;
mod real;
mod received;
mod replayed;
mod requests;
mod restored;
mod salvaged;
mod silent;
mod status;

use etcd_medic::internals::member::log::Segment;
use etcd_medic::internals::member::{Log, LogFault, LogFaultKind};
use support::member_log::{FIRST_SEGMENT, LogBuilder};

/// A log of one segment.
fn read(segment: &[u8]) -> Result<Log, LogFault> {
    Log::read(&[Segment { name: FIRST_SEGMENT, data: segment }])
}

fn kind_of(segment: &[u8]) -> LogFaultKind {
    read(segment).expect_err("a fault").kind
}
