//! The log beside a member's db: read strictly, and what follows from it for a change of the db where it is.
//!
//! The directories of real members in the folder that `ETCD_MEDIC_MEMBERS` names (relative to the package) are read, too.
#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod bytes;
mod damaged;
mod decided;
mod real;
mod received;
mod replayed;
mod requests;

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
