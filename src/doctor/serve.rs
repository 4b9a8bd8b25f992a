//! A start once its log was read: whether the member serves, and what it has then.

use crate::bolt::Db;
use crate::etcd::apply::alarms::Alarms;
use crate::etcd::apply::{Machine, Rules};
use crate::etcd::schema::State;
use crate::member::ConfState;
use crate::member::as_etcd::ReadFrom;
use crate::replay::base::Base;
use crate::replay::steps;
use crate::units::count;

use super::predict::{Ready, StartPoint, Startup, of_rows};
use super::prediction::{Prediction, Starts};
use super::trouble::Trouble;

/// Entries that a member writes at its start: a leader's empty one, and its own attributes.
const OWN_ENTRIES: u64 = 2;

impl<'f> Startup<'f> {
    pub(super) fn serve(&self, ready: &Ready<'f>, config: &ConfState, last: u64) -> Prediction {
        let mut prediction = Prediction { last_index: Some(last), ..Prediction::of(self.version) };
        let id = ready.read.node_id;
        let rows = ready.db.map(|db| of_rows(&State::read(db))).unwrap_or_default();
        if self.is_at_least(7) && self.has_strangers(ready, &rows) {
            prediction.starts = Starts::Silent;
            prediction.trouble = Some(Trouble::Strangers);
            prediction.message = Some("cannot process message to mismatch member".to_owned());
            let why = "its db has members that its log does not know: it waits for them to elect a leader";
            prediction.why = Some(why.to_owned());
            return prediction;
        }
        if config.voters().is_empty() {
            prediction.starts = Starts::Silent;
            prediction.trouble = Some(Trouble::NoVoters);
            let why = "its log does not say who votes: nobody elects a leader";
            prediction.why = Some(why.to_owned());
            return prediction;
        }
        if config.voters().iter().any(|&voter| voter != id) {
            let lag = ready.index.saturating_sub(last);
            prediction.starts = Starts::Undecided;
            prediction.needs_others = lag > 0;
            prediction.trouble = (lag > 0).then_some(Trouble::DbAhead);
            let lacks = (lag > 0).then(|| lacks(lag)).map_or(String::new(), |lacks| format!("{lacks}, and "));
            prediction.why = Some(format!("{lacks}other members vote, too: an election decides"));
            return prediction;
        }
        self.state_after(ready, last, &mut prediction);
        self.lag(ready.index.saturating_sub(last), &mut prediction);
        prediction
    }

    /// Whether the db's members are others than those that the log and its snapshots name: raft's members are made from the db.
    fn has_strangers(&self, ready: &Ready<'f>, rows: &ConfState) -> bool {
        let Some(log) = self.log else { return false };
        let heads = self.files.heads();
        let known = log.log.members(ready.index, &heads);
        known.is_some_and(|known| rows.members().iter().any(|row| !known.contains(row)))
    }

    /// How the member goes on whose db is so many entries ahead of its log: its own entries are not applied until it has caught up.
    fn lag(&self, lag: u64, prediction: &mut Prediction) {
        if lag == 0 {
            return;
        }
        if !self.is_at_least(6) {
            prediction.takes_writes = Some(lag <= OWN_ENTRIES);
        } else if lag > OWN_ENTRIES.saturating_add(1) {
            prediction.starts = Starts::Silent;
            (prediction.revision, prediction.takes_writes) = (None, None);
            prediction.message = Some(
                "failed to publish local member to cluster through raft | etcdserver: request timed out"
                    .to_owned(),
            );
        }
        prediction.why = Some(lacks(lag));
        prediction.trouble = Some(Trouble::DbAhead);
    }

    /// The revision, and whether writes are accepted, once all entries are applied.
    fn state_after(&self, ready: &Ready<'f>, last: u64, prediction: &mut Prediction) {
        prediction.starts = Starts::Yes;
        match self.end_of(ready, last) {
            Ok((revision, alarms)) => {
                prediction.revision = Some(revision);
                let alarm = [(alarms.nospace, "NOSPACE"), (alarms.corrupt, "CORRUPT")];
                let alarm = alarm.into_iter().find_map(|(is_set, name)| is_set.then_some(name));
                prediction.takes_writes = Some(alarm.is_none());
                prediction.why = alarm.map(|name| format!("the alarm {name} is set"));
                prediction.trouble = alarm.map(|_| Trouble::Alarm);
            }
            Err(why) => prediction.why = Some(why),
        }
    }

    /// The revision and the alarms after entry `last`.
    fn end_of(&self, ready: &Ready<'f>, last: u64) -> Result<(i64, Alarms), String> {
        match ready.db.map(|db| (db, State::read(db))) {
            // nothing is to be applied
            Some((db, state)) if last <= ready.index && !state.auth_enabled => {
                let alarms = state.alarms.iter().map(|alarm| (alarm.alarm, alarm.member_id));
                Ok((state.current_revision(db), Alarms::of(alarms)))
            }
            _ => self.machine_after(ready, last).map(|machine| (machine.store.revision, machine.alarms)),
        }
    }

    fn machine_after(&self, ready: &Ready<'f>, last: u64) -> Result<Machine<'f>, String> {
        let base = match ready.db {
            Some(db) => Base::read(db, &|_| {}).map_err(|error| error.to_string())?,
            None => Base::nothing(),
        };
        let mut machine = base.machine(Rules::of(self.version));
        let log = self.log.filter(|_| last > machine.index);
        if let Some(log) = log {
            steps::run(&mut machine, log, last, &mut |_| {}, &mut |_| true)
                .map_err(|error| error.to_string())?;
        }
        Ok(machine)
    }

    /// Without a log: its first entries have the indices of entries that the db has.
    pub(super) fn as_new_member(&self, db: Option<&'f Db>) -> Prediction {
        let index = db.and_then(|db| State::read(db).consistent_index).unwrap_or(0);
        let ready = Ready { db, index, from: StartPoint::default(), read: ReadFrom::default() };
        let mut prediction = Prediction::of(self.version);
        self.state_after(&ready, 0, &mut prediction);
        // the member itself is the first entry
        self.lag(index.saturating_sub(1), &mut prediction);
        prediction
    }
}

fn lacks(lag: u64) -> String {
    format!("its db has the effect of {} that its log lacks", count(lag, "entry"))
}
