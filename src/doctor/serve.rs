//! A start once its log was read: whether the member serves, and what it has then.

use std::rc::Rc;

use crate::bolt::Db;
use crate::etcd::apply::alarms::Alarms;
use crate::etcd::schema::State;
use crate::member::ConfState;
use crate::units::count;

use super::predict::{Ready, StartPoint, Startup, of_rows};
use super::prediction::{Prediction, Starts};
use super::trouble::Trouble;

/// Entries that a member writes at its start: a leader's empty one, and its own attributes.
const OWN_ENTRIES: u64 = 2;

impl<'f> Startup<'_, 'f> {
    pub(super) fn serve(&self, ready: &Ready<'f>, config: &ConfState, last: u64) -> Prediction {
        let mut prediction = Prediction { last_index: Some(last), ..Prediction::of(self.version) };
        let id = ready.of_log.read.node_id;
        if self.is_at_least(7) && !self.strangers(ready).is_empty() {
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

    /// The db's members that its log and its snapshots do not name. From 3.7 on raft's members are made from the db.
    pub(super) fn strangers(&self, ready: &Ready<'f>) -> Vec<u64> {
        let known = self.case.log.and_then(|log| log.log.members(ready.index, &self.files.heads()));
        let Some((known, db)) = known.zip(ready.db) else { return Vec::new() };
        of_rows(&State::read(db)).members().into_iter().filter(|row| !known.contains(row)).collect()
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
            Ok((revision, [nospace, corrupt])) => {
                prediction.revision = Some(revision);
                let alarm = [(nospace, "NOSPACE"), (corrupt, "CORRUPT")];
                let alarm = alarm.into_iter().find_map(|(is_set, name)| is_set.then_some(name));
                prediction.takes_writes = Some(alarm.is_none());
                prediction.why = alarm.map(|name| format!("the alarm {name} is set"));
                prediction.trouble = alarm.map(|_| Trouble::Alarm);
            }
            Err(why) => prediction.why = Some(why),
        }
    }

    /// The revision after entry `last`, and whether NOSPACE and CORRUPT are in force.
    fn end_of(&self, ready: &Ready<'f>, last: u64) -> Result<(i64, [bool; 2]), String> {
        if let Some(db) = ready.db.filter(|_| last <= ready.index) {
            let state = State::read(db);
            // nothing is to be applied
            if !state.auth_enabled {
                let alarms = Alarms::of(state.alarms.iter().map(|alarm| (alarm.alarm, alarm.member_id)));
                return Ok((state.current_revision(db), [alarms.nospace, alarms.corrupt]));
            }
        }
        let end = self.case.end_of(ready.db, last, self.rules.requests)?;
        Ok((end.revision, [end.alarms.nospace, end.alarms.corrupt]))
    }

    /// Without a log: its first entries have the indices of entries that the db has.
    pub(super) fn as_new_member(&self, db: Option<&'f Db>) -> Prediction {
        let index = db.and_then(|db| State::read(db).consistent_index).unwrap_or(0);
        let ready = Ready { db, index, from: StartPoint::default(), of_log: Rc::default() };
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
