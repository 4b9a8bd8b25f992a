//! The member that the db is of: a log that begins at the db, and goes on with the entries of the old one. Nothing is lost, and who it is
//! stays the same.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::etcd::apply::members::MemberRow;
use crate::etcd::new_v2_store::new_v2_store;
use crate::etcd::request::V2Request;
use crate::etcd::request::v2::V2Effect;
use crate::input::LogFiles;
use crate::member::message::{EntryData, HardState, Metadata, RaftEntry, Snapshot};
use crate::member::write::empty_entry;
use crate::member::{ConfState, ReadLog, Stretch};
use crate::replay::base::Base;
use crate::units::count;

use super::cluster::cluster_id;
use super::error::RestoreError;
use super::plan::{MemberPlan, record};

/// The first minor versions that can't read requests of the API v2: those of users, and any.
const NO_V2_OF_USERS: u32 = 6;
const NO_V2: u32 = 7;

/// What is known of the member.
struct KnownMember<'k, 'a> {
    base: &'k Base<'a>,
    log: Option<&'k ReadLog<'a>>,
    /// The heads of its `.snap` files.
    snaps: &'k [Snapshot],
}

/// The plan for the member that a db is of, whose log was read, if there is one. `until` is the last entry that is taken over.
///
/// # Errors
/// Who it is can't be told; entries between the db and the end of the log are missing.
pub fn plan<'a>(
    base: &Base<'a>,
    files: Option<&LogFiles>,
    log: Option<&ReadLog<'a>>,
    until: Option<u64>,
    minor: u32,
) -> Result<MemberPlan<'a>, RestoreError> {
    let index = base.state.consistent_index.filter(|&index| index > 0).ok_or(RestoreError::NoIndex)?;
    let known = KnownMember { base, log, snaps: files.map_or(&[], |files| &files.snaps) };
    let metadata = known.metadata()?;
    let (config, rows, strangers) = known.members(index)?;
    let tail = known.tail(index, until)?;
    let term = known.term(index);
    let at = Snapshot { index, term, config: Some(config) };
    let (last_index, last_term) = tail.last.unwrap_or((index, term));
    let removed: Vec<u64> = base
        .entries(b"members_removed")
        .iter()
        .filter_map(|entry| u64::from_str_radix(str::from_utf8(entry.key).ok()?, 16).ok())
        .collect();
    let version = base.state.cluster_version.as_deref();
    let store = new_v2_store(rows.values(), &removed, version);
    let (entries, emptied) = tail.written(minor);
    let old = log.map(|log| log.log.state).unwrap_or_default();
    let committed = log.map_or(index, |log| log.log.committed(index, known.snaps));
    Ok(MemberPlan {
        metadata,
        first: record(&at, minor),
        entries,
        last_index,
        state: HardState {
            term: old.term.max(last_term),
            vote: if old.term >= last_term && old.vote > 0 { old.vote } else { metadata.node_id },
            commit: committed.clamp(index, last_index),
        },
        last: None,
        at,
        store,
        rows: rows.into_values().collect(),
        emptied,
        left_out: tail.left_out,
        ends_damaged: until.is_none() && log.is_some_and(|log| log.ends_damaged),
        warnings: known.warnings(emptied, strangers),
    })
}

/// The entries of the old log after the db.
#[derive(Default)]
struct Tail<'a> {
    entries: Vec<&'a [u8]>,
    /// The index and term of the last one.
    last: Option<(u64, u64)>,
    left_out: u64,
}

impl<'a> Tail<'a> {
    /// Their messages as a version can read them, and how many of them are emptied for that.
    fn written(&self, minor: u32) -> (Vec<Cow<'a, [u8]>>, u64) {
        let mut emptied = 0_u64;
        let mut write = |message: &'a [u8]| match empty_in_place_of(message, minor) {
            Some(empty) => {
                emptied = emptied.saturating_add(1);
                Cow::Owned(empty)
            }
            None => Cow::Borrowed(message),
        };
        let entries = self.entries.iter().map(|message| write(message)).collect();
        (entries, emptied)
    }
}

/// The entry that takes the place of one which a version can't read: the same index and term, without the request. What it asked for
/// is in no key.
fn empty_in_place_of(message: &[u8], minor: u32) -> Option<Vec<u8>> {
    let entry = RaftEntry::parse(message).ok()?;
    let EntryData::Request(data) = entry.content else { return None };
    let effect = V2Request::parse(data).ok()?.effect();
    let is_users = matches!(effect, V2Effect::Nothing);
    let is_unreadable = minor >= NO_V2 || minor >= NO_V2_OF_USERS && is_users;
    is_unreadable.then(|| empty_entry(entry.index, entry.term))
}

impl<'a> KnownMember<'_, 'a> {
    fn metadata(&self) -> Result<Metadata, RestoreError> {
        if let Some(log) = self.log.filter(|log| log.log.metadata.node_id != 0) {
            return Ok(log.log.metadata);
        }
        // a cluster of one member has its id from that of the member
        let members = &self.base.state.members;
        match &members[..] {
            [only] => {
                let node_id = only.id.0;
                Ok(Metadata { node_id, cluster_id: cluster_id(std::iter::once(node_id)) })
            }
            members => Err(RestoreError::WhoIsIt { members: members.len() }),
        }
    }

    /// The members as of an entry, as raft counts them, and their rows: those that raft does not know are left out,
    /// and counted.
    fn members(&self, index: u64) -> Result<(ConfState, BTreeMap<u64, MemberRow>, u64), RestoreError> {
        let mut rows: BTreeMap<u64, MemberRow> = self
            .base
            .entries(b"members")
            .iter()
            .filter_map(|entry| {
                let row: MemberRow = serde_json::from_slice(entry.value).ok()?;
                Some((row.id, row))
            })
            .collect();
        let by_log = self.log.and_then(|log| log.log.config_at(index, self.snaps));
        let config = by_log.unwrap_or_else(|| {
            let (learners, voters): (Vec<_>, Vec<_>) = rows.values().partition(|row| row.is_learner);
            let ids = |rows: Vec<&MemberRow>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
            ConfState::new(ids(voters), ids(learners))
        });
        let all = rows.len();
        rows.retain(|id, _| config.members().contains(id));
        // a db may have forgotten that a learner was promoted (etcd#19557): raft knows
        rows.values_mut().for_each(|row| row.is_learner = config.learners().contains(&row.id));
        let strangers = all.saturating_sub(rows.len()) as u64;
        if rows.is_empty() {
            return Err(RestoreError::WhoIsIt { members: 0 });
        }
        Ok((config, rows, strangers))
    }

    /// The term of the entry that the db is at.
    fn term(&self, index: u64) -> u64 {
        let stretch = self.log.and_then(|log| log.stretch_with(index));
        let by_entry = stretch.and_then(|stretch| stretch.term_at(index));
        let by_record = || self.log.and_then(|log| log.log.term_at(index));
        let by_snap = || self.snaps.iter().find(|snap| snap.index == index).map(|snap| snap.term);
        let by_db = || self.base.state.term.filter(|&term| term > 0);
        by_entry.or_else(by_record).or_else(by_snap).or_else(by_db).unwrap_or(1)
    }

    /// The entries after the db, up to the end of the log, or to the one that is named.
    fn tail(&self, index: u64, until: Option<u64>) -> Result<Tail<'a>, RestoreError> {
        let nothing = Tail::default();
        if let Some(until) = until.filter(|&until| until < index) {
            return Err(RestoreError::Back { index, until });
        }
        let Some(log) = self.log else {
            return match until.filter(|&until| until > index) {
                Some(until) => Err(RestoreError::TooShort { last: index, until }),
                None => Ok(nothing),
            };
        };
        let next = index.saturating_add(1);
        let last_of_all = log.stretches.iter().map(Stretch::last_index).max().unwrap_or(0).max(index);
        let stretch = log.stretch_with(next);
        let last = stretch.map_or(index, Stretch::last_index);
        let wanted = until.unwrap_or(last_of_all);
        if wanted > last {
            let first = log.stretches.iter().map(Stretch::first_index).filter(|&first| first > last).min();
            return Err(match first {
                Some(first) => RestoreError::Gap { last, first, end: last_of_all },
                None => RestoreError::TooShort { last, until: wanted },
            });
        }
        let Some(stretch) = stretch.filter(|_| wanted >= next) else {
            return Ok(Tail { left_out: last_of_all.saturating_sub(index), ..nothing });
        };
        let number = usize::try_from(wanted.saturating_sub(index)).unwrap_or(usize::MAX);
        let before = usize::try_from(next.saturating_sub(stretch.first_index())).unwrap_or(usize::MAX);
        let entries = stretch.messages().iter().copied().skip(before).take(number).collect();
        let last_term = stretch.term_at(wanted).unwrap_or(1);
        let left_out = last_of_all.saturating_sub(wanted);
        Ok(Tail { entries, last: Some((wanted, last_term)), left_out })
    }

    fn warnings(&self, emptied: u64, strangers: u64) -> Vec<String> {
        let mut warnings = Vec::new();
        match self.log {
            Some(log) => warnings.extend(log.faults.first().map(|fault| {
                format!("the log has {}; the first: {fault}", count(log.num_faults, "fault"))
            })),
            None => warnings.push(
                "there was no log: what came after the db is not there, and the cluster's id is that of a cluster \
                 which began with this member"
                    .to_owned(),
            ),
        }
        if strangers > 0 {
            warnings.push(format!("{} that raft does not know were left out", count(strangers, "member")));
        }
        if emptied > 0 {
            warnings.push(format!(
                "{} of the API v2 were emptied, as this version can't read them: they change no key",
                count(emptied, "entry")
            ));
        }
        warnings
    }
}
