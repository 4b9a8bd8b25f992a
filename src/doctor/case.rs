//! A member's directory, and what the starts of all versions read of it: each once.

use std::cell::RefCell;
use std::ptr;
use std::rc::Rc;

use crate::bolt::Db;
use crate::etcd::apply::alarms::Alarms;
use crate::etcd::apply::{Machine, Rules};
use crate::etcd::request::{Action, Request, V2Request};
use crate::member::ReadLog;
use crate::member::as_etcd::{
    LogEntry, ReadFrom, ReadRules, SnapshotRecord, WalFailure, read_from, snapshot_records,
};
use crate::member::log::Segment;
use crate::member::names::SegmentName;
use crate::replay::base::Base;
use crate::replay::steps;
use crate::replay::writer::OLDEST;

use super::files::MemberFiles;

/// A member's directory under examination.
pub struct MemberCase<'f> {
    pub files: &'f MemberFiles,
    pub log: Option<&'f ReadLog<'f>>,
    segments: Vec<Segment<'f>>,
    records: RefCell<Vec<(ReadRules, Result<Rc<[SnapshotRecord]>, WalFailure>)>>,
    reads: RefCell<Vec<(ReadOf, Result<Rc<StartRead<'f>>, WalFailure>)>>,
    machines: RefCell<Vec<(Option<&'f Db>, Result<Rc<Machine<'f>>, String>)>>,
    ends: RefCell<Vec<(EndOf<'f>, Result<EndState, String>)>>,
}

/// What a start reads of the log.
#[derive(Clone, Debug, Default)]
pub(super) struct StartRead<'f> {
    pub(super) read: ReadFrom<'f>,
    /// The entries that are no usual requests: all others change nothing but what [`EndState`] has.
    pub(super) notable: Vec<LogEntry<'f>>,
}

/// The state after the last entry.
#[derive(Clone, Debug)]
pub(super) struct EndState {
    pub(super) revision: i64,
    pub(super) alarms: Alarms,
    /// Whether another version may come to another one.
    depends_on_rules: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct ReadOf {
    rules: ReadRules,
    from: (u64, u64),
}

#[derive(Clone, Copy)]
struct EndOf<'f> {
    db: Option<&'f Db>,
    last: u64,
    rules: Rules,
}

impl EndOf<'_> {
    fn is(&self, other: &EndOf<'_>) -> bool {
        is_same(self.db, other.db) && self.last == other.last && self.rules == other.rules
    }
}

fn is_same(one: Option<&Db>, other: Option<&Db>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => ptr::eq(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

impl<'f> MemberCase<'f> {
    /// `log` is the log of the same directory, read.
    pub fn new(files: &'f MemberFiles, log: Option<&'f ReadLog<'f>>) -> Self {
        let name = |segment: &Segment<'_>| SegmentName::parse(segment.name);
        let found = files.log.as_ref().filter(|_| files.has_log);
        let mut segments = found.map_or_else(Vec::new, |log| log.segments());
        segments.retain(|segment| name(segment).is_some());
        segments.sort_by_key(name);
        Self {
            files,
            log,
            segments,
            records: RefCell::default(),
            reads: RefCell::default(),
            machines: RefCell::default(),
            ends: RefCell::default(),
        }
    }

    /// The segments of the log that etcd reads, in their order.
    pub(super) fn segments(&self) -> &[Segment<'f>] {
        &self.segments
    }

    /// See [`snapshot_records`].
    pub(super) fn snapshot_records(&self, rules: ReadRules) -> Result<Rc<[SnapshotRecord]>, WalFailure> {
        let known =
            self.records.borrow().iter().find(|(of, _)| *of == rules).map(|(_, records)| records.clone());
        known.unwrap_or_else(|| {
            let records = snapshot_records(&self.segments, rules).map(Rc::from);
            self.records.borrow_mut().push((rules, records.clone()));
            records
        })
    }

    /// See [`read_from`].
    pub(super) fn read_from(
        &self,
        from: (u64, u64),
        rules: ReadRules,
    ) -> Result<Rc<StartRead<'f>>, WalFailure> {
        let of = ReadOf { rules, from };
        let known = self.reads.borrow().iter().find(|(other, _)| *other == of).map(|(_, read)| read.clone());
        known.unwrap_or_else(|| {
            let names = self.segments.iter().filter_map(|segment| SegmentName::parse(segment.name));
            let first_indices: Vec<_> = names.map(|name| name.first_index).collect();
            let read = read_from(&self.segments, &first_indices, from, rules).map(|read| {
                let notable = read.entries.iter().copied().filter(is_notable).collect();
                Rc::new(StartRead { read, notable })
            });
            self.reads.borrow_mut().push((of, read.clone()));
            read
        })
    }

    /// The state that a db comes to by the entries after it up to `last`. Most logs lead each version to the same: then they are
    /// applied once.
    ///
    /// # Errors
    /// Why it can't be told, in words.
    pub(super) fn end_of(&self, db: Option<&'f Db>, last: u64, rules: Rules) -> Result<EndState, String> {
        let by_oldest = self.end_by_oldest(db, last)?;
        if by_oldest.depends_on_rules { self.end_by(EndOf { db, last, rules }) } else { Ok(by_oldest) }
    }

    /// Whether another version may come to another state.
    pub(super) fn depends_on_rules(&self, db: &'f Db, last: u64) -> bool {
        self.end_by_oldest(Some(db), last).is_ok_and(|end| end.depends_on_rules)
    }

    /// By the oldest rules: under them each entry is noticed that another version may decide otherwise.
    fn end_by_oldest(&self, db: Option<&'f Db>, last: u64) -> Result<EndState, String> {
        self.end_by(EndOf { db, last, rules: Rules::of(OLDEST) })
    }

    fn end_by(&self, of: EndOf<'f>) -> Result<EndState, String> {
        let known = self.ends.borrow().iter().find(|(other, _)| other.is(&of)).map(|(_, end)| end.clone());
        known.unwrap_or_else(|| {
            let end = self.replay(of);
            self.ends.borrow_mut().push((of, end.clone()));
            end
        })
    }

    fn replay(&self, EndOf { db, last, rules }: EndOf<'f>) -> Result<EndState, String> {
        let mut machine = Machine { rules, ..Machine::clone(&*self.machine(db)?) };
        let log = self.log.filter(|_| last > machine.index);
        let tally = log.map(|log| steps::run(&mut machine, log, last, &mut |_| {}, &mut |_| true));
        let tally = tally.transpose().map_err(|error| error.to_string())?.unwrap_or_default();
        Ok(EndState {
            revision: machine.store.revision,
            depends_on_rules: tally.depends_on_rules() || machine.alarms.depend_on_starts(),
            alarms: machine.alarms,
        })
    }

    /// The state of a db; of none, that before the first entry.
    fn machine(&self, db: Option<&'f Db>) -> Result<Rc<Machine<'f>>, String> {
        let known =
            self.machines.borrow().iter().find(|(of, _)| is_same(*of, db)).map(|(_, known)| known.clone());
        known.unwrap_or_else(|| {
            let base = db.map_or_else(|| Ok(Base::nothing()), |db| Base::read(db, &|_| {}));
            let machine = base.map(|base| Rc::new(base.machine(Rules::of(OLDEST))));
            let machine = machine.map_err(|error| error.to_string());
            self.machines.borrow_mut().push((db, machine.clone()));
            machine
        })
    }
}

/// Whether a start does more with an entry than to change keys, leases and alarms.
fn is_notable(entry: &LogEntry<'_>) -> bool {
    let is_version = || {
        Request::parse(entry.data).is_ok_and(|request| matches!(request.action, Action::ClusterVersion(_)))
    };
    entry.kind != 0 || V2Request::parse(entry.data).is_ok() || is_version()
}
