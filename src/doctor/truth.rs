//! Where the log leads to, by the rules of the etcd that wrote it: what a start by any etcd should end at.

use crate::etcd::apply::Version;
use crate::etcd::schema::State;
use crate::member::ReadLog;
use crate::replay::start::Start;

use super::files::{DbState, MemberFiles};

/// The state at the end of the log.
#[derive(Clone, Debug)]
pub struct Truth {
    pub revision: i64,
    /// The version whose rules these are.
    pub writer: Version,
    /// Entries that other versions decide otherwise.
    pub decided_otherwise: u64,
}

impl Truth {
    /// Of a member whose db and log go together; `None` where a replay can't tell.
    pub fn of(files: &MemberFiles, read: Option<&ReadLog<'_>>) -> Option<Self> {
        let (DbState::Sound(db), Some(log)) = (&files.db, &files.log) else { return None };
        let last = read?.log.last_index();
        // nothing is to be decided
        if State::read(db).consistent_index.is_none_or(|index| last <= index) {
            return None;
        }
        let mut start = Start::read(db, log, None, &|_| {}).ok()?;
        let tally = start.run(last, None).ok()?;
        let Start { machine, writer, .. } = &start;
        Some(Self {
            revision: machine.store.revision,
            writer: writer.version,
            decided_otherwise: tally.by_nested_cost,
        })
        .filter(|truth| truth.decided_otherwise > 0)
    }
}
