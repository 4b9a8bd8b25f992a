//! The entry that a replay ends with.

use crate::etcd::apply::Machine;
use crate::member::ReadLog;

use super::deletions;
use super::error::ReplayError;
use super::request::Until;
use super::steps::{Step, run};

/// The entry to end with.
///
/// # Errors
/// The log does not go there, or the db is beyond it.
pub fn find<'a>(
    until: &Until,
    machine: &Machine<'a>,
    log: &ReadLog<'a>,
    committed: u64,
) -> Result<u64, ReplayError> {
    let at = machine.index;
    match until {
        Until::End => Ok(committed.max(at)),
        Until::Index(asked) if *asked < at => Err(ReplayError::Back { what: "entry", at, asked: *asked }),
        Until::Index(asked) => {
            let last = log.log.last_index();
            if *asked > last {
                return Err(ReplayError::TooShort { what: "entry", last, asked: *asked });
            }
            Ok(*asked)
        }
        Until::Revision(asked) => of_revision(*asked, machine, log, committed),
        Until::BeforeDelete(key) => before_delete(key, machine, log, committed),
        Until::BeforeDeletes(wanted) => {
            let runs = deletions::runs(machine, log, committed, wanted)?;
            Ok(deletions::meant(&runs)?.first_index.saturating_sub(1))
        }
    }
}

fn of_revision<'a>(
    asked: i64,
    machine: &Machine<'a>,
    log: &ReadLog<'a>,
    committed: u64,
) -> Result<u64, ReplayError> {
    let from = machine.store.revision;
    if asked < from {
        let [at, asked] = [from, asked].map(i64::unsigned_abs);
        return Err(ReplayError::Back { what: "revision", at, asked });
    }
    if asked == from {
        return Ok(machine.index);
    }
    let mut dry = machine.clone();
    run(&mut dry, log, committed, &mut |_| {}, &mut |seen: Step<'_, '_>| {
        seen.machine.store.revision < asked
    })?;
    let last = dry.store.revision;
    if last < asked {
        let [last, asked] = [last, asked].map(i64::unsigned_abs);
        return Err(ReplayError::TooShort { what: "revision", last, asked });
    }
    Ok(dry.index)
}

fn before_delete<'a>(
    key: &[u8],
    machine: &Machine<'a>,
    log: &ReadLog<'a>,
    committed: u64,
) -> Result<u64, ReplayError> {
    let mut dry = machine.clone();
    let (mut newest, deleted) = (None, std::cell::Cell::new(false));
    run(
        &mut dry,
        log,
        committed,
        &mut |written| {
            if written.change.key == key && written.change.put.is_none() {
                deleted.set(true);
            }
        },
        &mut |seen| {
            if deleted.replace(false) {
                newest = Some(seen.entry.index);
            }
            true
        },
    )?;
    let not_deleted = || ReplayError::NotDeleted { key: key.to_vec(), index: machine.index };
    newest.map(|index: u64| index.saturating_sub(1)).ok_or_else(not_deleted)
}
