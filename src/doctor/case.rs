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
    records: Known<ReadRules, Result<Rc<[SnapshotRecord]>, WalFailure>>,
    reads: Known<ReadOf, Result<Rc<StartRead<'f>>, WalFailure>>,
    machines: Known<OfDb<'f>, Result<Rc<Machine<'f>>, String>>,
    ends: Known<EndOf<'f>, Result<EndState, String>>,
}

/// What is known already, by what it depends on.
struct Known<K, T>(RefCell<Vec<(K, T)>>);

impl<K: PartialEq + Copy, T: Clone> Known<K, T> {
    fn nothing() -> Self {
        Self(RefCell::default())
    }

    fn get_or(&self, key: K, find_out: impl FnOnce() -> T) -> T {
        let known = self.0.borrow().iter().find(|(other, _)| *other == key).map(|(_, known)| known.clone());
        known.unwrap_or_else(|| {
            let found = find_out();
            self.0.borrow_mut().push((key, found.clone()));
            found
        })
    }
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

#[derive(Clone, Copy, PartialEq)]
struct EndOf<'f> {
    db: OfDb<'f>,
    last: u64,
    rules: Rules,
}

/// A db of the directory, or none.
#[derive(Clone, Copy)]
struct OfDb<'f>(Option<&'f Db>);

impl PartialEq for OfDb<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.map(ptr::from_ref) == other.0.map(ptr::from_ref)
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
            records: Known::nothing(),
            reads: Known::nothing(),
            machines: Known::nothing(),
            ends: Known::nothing(),
        }
    }

    /// The segments of the log that etcd reads, in their order.
    pub(super) fn segments(&self) -> &[Segment<'f>] {
        &self.segments
    }

    /// See [`snapshot_records`].
    pub(super) fn snapshot_records(&self, rules: ReadRules) -> Result<Rc<[SnapshotRecord]>, WalFailure> {
        self.records.get_or(rules, || snapshot_records(&self.segments, rules).map(Rc::from))
    }

    /// See [`read_from`].
    pub(super) fn read_from(
        &self,
        from: (u64, u64),
        rules: ReadRules,
    ) -> Result<Rc<StartRead<'f>>, WalFailure> {
        self.reads.get_or(ReadOf { rules, from }, || {
            let names = self.segments.iter().filter_map(|segment| SegmentName::parse(segment.name));
            let first_indices: Vec<_> = names.map(|name| name.first_index).collect();
            let read = read_from(&self.segments, &first_indices, from, rules)?;
            let notable = read.entries.iter().copied().filter(is_notable).collect();
            Ok(Rc::new(StartRead { read, notable }))
        })
    }

    /// The state that a db comes to by the entries after it up to `last`. Most logs lead each version to the same: then they are
    /// applied once.
    ///
    /// # Errors
    /// Why it can't be told, in words.
    pub(super) fn end_of(&self, db: Option<&'f Db>, last: u64, rules: Rules) -> Result<EndState, String> {
        let by_oldest = self.end_by_oldest(db, last)?;
        match by_oldest.depends_on_rules {
            true => self.end_by(EndOf { db: OfDb(db), last, rules }),
            false => Ok(by_oldest),
        }
    }

    /// Whether another version may come to another state.
    pub(super) fn depends_on_rules(&self, db: &'f Db, last: u64) -> bool {
        self.end_by_oldest(Some(db), last).is_ok_and(|end| end.depends_on_rules)
    }

    /// By the oldest rules: under them each entry is noticed that another version may decide otherwise.
    fn end_by_oldest(&self, db: Option<&'f Db>, last: u64) -> Result<EndState, String> {
        self.end_by(EndOf { db: OfDb(db), last, rules: Rules::of(OLDEST) })
    }

    fn end_by(&self, of: EndOf<'f>) -> Result<EndState, String> {
        self.ends.get_or(of, || {
            let mut machine = Machine { rules: of.rules, ..Machine::clone(&*self.machine(of.db)?) };
            let log = self.log.filter(|_| of.last > machine.index);
            let tally = log.map(|log| steps::run(&mut machine, log, of.last, &mut |_| {}, &mut |_| true));
            let tally = tally.transpose().map_err(|error| error.to_string())?.unwrap_or_default();
            Ok(EndState {
                revision: machine.store.revision,
                depends_on_rules: tally.depends_on_rules() || machine.alarms.depend_on_starts(),
                alarms: machine.alarms,
            })
        })
    }

    /// The state of a db; of none, that before the first entry.
    fn machine(&self, db: OfDb<'f>) -> Result<Rc<Machine<'f>>, String> {
        self.machines.get_or(db, || {
            let base = db.0.map_or_else(|| Ok(Base::nothing()), |db| Base::read(db, &|_| {}));
            let machine = base.map(|base| Rc::new(base.machine(Rules::of(OLDEST))));
            machine.map_err(|error| error.to_string())
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
