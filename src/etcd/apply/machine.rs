//! The state of an etcd, and requests applied to it.

use thiserror::Error;

use crate::member::message::{EntryData, RaftEntry};

use super::super::request::v2::V2Effect;
use super::super::request::{Action, Request, RequestError, Txn};
use super::alarms::Alarms;
use super::members::{Members, NotThatMember};
use super::refused::Refused;
use super::rules::Rules;
use super::store::{Sink, Store};
use super::txn::TakesSpace;

/// All that requests depend on, and change.
#[derive(Clone, Debug)]
pub struct Machine<'a> {
    pub rules: Rules,
    pub store: Store<'a>,
    pub alarms: Alarms,
    pub members: Members,
    /// The last entry that was applied.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// Whether what is left of a lease's time is kept at each checkpoint.
    pub keeps_checkpoints: bool,
}

/// What became of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    /// The revision that it made.
    pub revision: Option<i64>,
    /// Changes of keys.
    pub changes: u64,
    /// Why it changed nothing.
    pub refused: Option<Refused>,
    /// Whether it depends on the patch of the version that wrote it: puts in a transaction within another, under NOSPACE.
    pub by_nested_cost: bool,
    /// Whether it depends on when members were started: alarms of both kinds are or were set, up to 3.5.
    pub by_alarms: bool,
    /// Whether the member that a client asked refused it, and the others carried it out (etcd#18667, up to 3.6).
    pub diverges: bool,
}

/// An entry whose effect can't be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Unsupported {
    #[error("its request can't be read: {0}")]
    Request(#[from] RequestError),
    /// From here on users' permissions decide.
    #[error("it changes authentication (`{0}`), on which later requests depend")]
    Auth(&'static str),
    #[error("it changes a member, and does not say which")]
    Member,
    #[error("it does not follow entry {last}")]
    Gap { last: u64 },
}

impl Applied {
    fn refused(refused: Refused) -> Self {
        Self { refused: Some(refused), ..Self::default() }
    }
}

impl<'a> Machine<'a> {
    /// The state before the first entry.
    pub fn empty(rules: Rules) -> Self {
        Self {
            rules,
            store: Store::default(),
            alarms: Alarms::default(),
            members: Members::default(),
            index: 0,
            term: 0,
            keeps_checkpoints: false,
        }
    }

    /// Applies the entry after the last one.
    ///
    /// # Errors
    /// Its effect can't be told. The state is as it was.
    pub fn apply(&mut self, entry: &RaftEntry<'a>, sink: Sink<'_, 'a>) -> Result<Applied, Unsupported> {
        if entry.index != self.index.saturating_add(1) {
            return Err(Unsupported::Gap { last: self.index });
        }
        let applied = match entry.content {
            EntryData::ConfChange(change, context) => {
                let refused = self.members.change(change, context, self.rules);
                let refused = refused.map_err(|NotThatMember| Unsupported::Member)?;
                Applied { refused, ..Applied::default() }
            }
            EntryData::Request([]) => {
                self.begin_term(entry.term);
                Applied::default()
            }
            EntryData::Request(data) => self.request(&Request::parse(data)?, sink)?,
        };
        (self.index, self.term) = (entry.index, entry.term);
        Ok(applied)
    }

    /// A new leader's first entry. A voter that is alone stays the leader until its next start.
    fn begin_term(&mut self, term: u64) {
        if term > self.term && self.members.config.voters().len() == 1 {
            self.alarms.enforce_all();
        }
    }

    /// Applies a request.
    ///
    /// # Errors
    /// As [`Machine::apply`].
    pub fn request(&mut self, request: &Request<'a>, sink: Sink<'_, 'a>) -> Result<Applied, Unsupported> {
        let action = &request.action;
        let by_alarms = self.alarms.depend_on_starts() && !self.rules.all_alarms_in_force;
        let by_nested_cost =
            self.alarms.nospace && matches!(action, Action::Txn(txn) if is_by_nested_cost(txn));
        let applied = match self.refused_by_alarm(action) {
            Some(refused) => Applied::refused(refused),
            None => self.carry_out(action, sink)?,
        };
        Ok(Applied { by_alarms, by_nested_cost, ..applied })
    }

    /// What an alarm refuses (`server/etcdserver/apply/{apply,corrupt}.go`, `applierV3Capped`, `applierV3Corrupt`).
    fn refused_by_alarm(&self, action: &Action<'_>) -> Option<Refused> {
        let is_of_data = matches!(
            action,
            Action::Range(_)
                | Action::Put(_)
                | Action::Delete(_)
                | Action::Txn(_)
                | Action::Compact { .. }
                | Action::LeaseGrant { .. }
                | Action::LeaseRevoke { .. }
        );
        let takes_space = || match action {
            Action::Put(_) | Action::LeaseGrant { .. } => true,
            Action::Txn(txn) => TakesSpace::of(txn).by(self.rules),
            _ => false,
        };
        if self.alarms.corrupt && is_of_data {
            Some(Refused::Corrupt)
        } else if self.alarms.nospace && takes_space() {
            Some(Refused::NoSpace)
        } else {
            None
        }
    }

    fn carry_out(&mut self, action: &Action<'a>, sink: Sink<'_, 'a>) -> Result<Applied, Unsupported> {
        let written = match action {
            Action::Put(put) => self.store.put(put, sink),
            Action::Delete(keys) => Ok(self.store.delete(*keys, sink)),
            Action::Txn(txn) => {
                let done = self.store.txn(txn, self.rules, sink);
                let diverges = done.is_ok_and(|done| done.diverges && done.changes > 0);
                return Ok(Applied { diverges, ..self.applied(done.map(|done| done.changes)) });
            }
            Action::Compact { revision } => self.store.compact(*revision),
            Action::LeaseGrant { id, ttl } => self.store.grant(*id, *ttl),
            Action::LeaseRevoke { id } => self.store.revoke(*id, sink),
            Action::Auth(auth) if !auth.only_reads => return Err(Unsupported::Auth(auth.name)),
            other => {
                self.change_no_keys(other);
                Ok(0)
            }
        };
        Ok(self.applied(written))
    }

    /// What changes neither keys nor leases' ids.
    fn change_no_keys(&mut self, action: &Action<'a>) {
        match action {
            Action::LeaseCheckpoint(checkpoints) => {
                // an etcd that keeps them does so from the cluster's version 3.6 on (`server/lease/lessor.go`)
                let keeps = self.keeps_checkpoints || self.members.speaks_at_least(6);
                self.store.checkpoint(checkpoints, keeps);
            }
            Action::Alarm { action, member_id, alarm } => {
                self.alarms.change(*action, *alarm, *member_id, self.rules);
            }
            Action::ClusterVersion(version) => self.members.set_version(version),
            Action::MemberAttributes { member_id, name, client_urls } => {
                let urls = client_urls.iter().map(|&url| url.to_owned()).collect();
                self.members.set_attributes(*member_id, name, urls);
            }
            Action::Downgrade { enabled, version } => self.members.set_downgrade(*enabled, version),
            Action::V2(request) => match request.effect() {
                V2Effect::ClusterVersion(version) => self.members.set_version(version),
                V2Effect::MemberAttributes { member_id, json } => {
                    self.members.set_attributes_by_json(member_id, json);
                }
                V2Effect::Nothing => {}
            },
            _ => {}
        }
    }

    fn applied(&self, written: Result<u64, Refused>) -> Applied {
        match written {
            Ok(changes) => {
                let revision = (changes > 0).then_some(self.store.revision);
                Applied { revision, changes, ..Applied::default() }
            }
            Err(refused) => Applied::refused(refused),
        }
    }
}

/// Whether the two rules for what a transaction costs differ on it.
pub fn is_by_nested_cost(txn: &Txn<'_>) -> bool {
    let takes = TakesSpace::of(txn);
    takes.anywhere && !takes.outermost
}
