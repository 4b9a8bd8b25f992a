//! Where the log leads to, by the rules of the etcd that wrote it: what a start by any etcd should end at.

use crate::etcd::apply::Version;
use crate::etcd::schema::State;
use crate::replay::start::Start;

use super::case::MemberCase;
use super::files::DbState;

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
    pub fn of(case: &MemberCase<'_>) -> Option<Self> {
        let (DbState::Sound(db), Some(log)) = (&case.files.db, &case.files.log) else { return None };
        let last = case.log?.log.last_index();
        // nothing is to be decided, or all decide the same
        if State::read(db).consistent_index.is_none_or(|index| last <= index)
            || !case.depends_on_rules(db, last)
        {
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
