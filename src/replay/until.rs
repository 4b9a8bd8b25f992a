//! The entry that a replay ends with.

use crate::etcd::apply::members::Members;
use crate::etcd::apply::{Machine, Rules};
use crate::input::LogFiles;
use crate::member::ReadLog;
use crate::member::message::EntryData;

use super::deletions;
use super::error::ReplayError;
use super::request::Until;
use super::steps::{Following, Step, run};
use super::writer::OLDEST;

/// The last entry that was surely committed, if the one at `known` was: the log says so; and what a member has in its log while it is
/// the only one that votes, as its own copy is the majority. `members` is as the db has them, at entry `at`: the log itself is believed
/// before it.
pub fn committed(log: &ReadLog<'_>, files: &LogFiles, known: u64, members: &Members, at: u64) -> u64 {
    let has_all = log.log.first_index() == Some(1);
    let found = match has_all {
        true => followed(log, known, &Members::default(), 0),
        false if log.log.knows_members(known, &files.snaps) || members.rows.is_empty() => None,
        false => followed(log, known, members, at),
    };
    found.unwrap_or_else(|| log.log.committed(known, &files.snaps))
}

/// The same by the entries that change the members, as etcd carries them out. `None` where these can't be followed to the end.
fn followed(log: &ReadLog<'_>, known: u64, members: &Members, at: u64) -> Option<u64> {
    let last = log.log.last_index();
    let is_alone = |members: &Members| members.config.voters().iter().eq([&log.log.metadata.node_id]);
    let mut committed = log.log.state.commit.max(known).min(last);
    let (mut members, mut seen) = (members.clone(), at);
    for entry in Following::after(log, at) {
        if let EntryData::ConfChange(change, context) = entry.content {
            if entry.index > committed {
                if !is_alone(&members) {
                    return Some(committed);
                }
                committed = entry.index;
            }
            members.change(change, context, Rules::of(OLDEST)).ok()?;
        }
        seen = entry.index;
    }
    (seen >= last).then(|| if is_alone(&members) { last } else { committed })
}

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
