//! What an etcd of a version does when it starts from a member's directory, step by step, as it does it
//! (`server/etcdserver/bootstrap.go`; up to 3.5 `server/etcdserver/server.go`, `NewServer`).

use crate::bolt::Db;
use crate::etcd::apply::Version;
use crate::etcd::request::v2::V2Effect;
use crate::etcd::request::{Action, Request, V2Request};
use crate::etcd::schema::{State, minor_of};
use crate::etcd::v2_store::V2Store;
use crate::member::as_etcd::{
    LengthLimit, ReadFrom, ReadRules, SnapshotRecord, WalFailure, read_from, snapshot_records,
};
use crate::member::conf_change::ConfChange;
use crate::member::log::Segment;
use crate::member::names::SegmentName;
use crate::member::{ConfState, ReadLog};

use super::files::{DbState, MemberFiles};
use super::prediction::Prediction;
use super::refusal::Refusal;
use super::trouble::Trouble;

/// The snapshot that a start goes on from.
#[derive(Clone, Debug, Default)]
pub(super) struct StartPoint<'f> {
    pub(super) index: u64,
    pub(super) term: u64,
    pub(super) config: Option<ConfState>,
    /// Up to 3.6, of its `.snap`.
    pub(super) store: Option<&'f V2Store>,
}

/// A start, as far as it came.
pub(super) struct Startup<'f> {
    pub(super) files: &'f MemberFiles,
    pub(super) log: Option<&'f ReadLog<'f>>,
    pub(super) version: Version,
    pub(super) changes: Vec<String>,
}

/// What is known once the log was read.
pub(super) struct Ready<'f> {
    pub(super) db: Option<&'f Db>,
    /// The entry that the db is at.
    pub(super) index: u64,
    pub(super) from: StartPoint<'f>,
    pub(super) read: ReadFrom<'f>,
}

/// What an etcd of this version does with a member's directory, whose log was read.
pub fn predict<'f>(files: &'f MemberFiles, log: Option<&'f ReadLog<'f>>, version: Version) -> Prediction {
    let mut start = Startup { files, log, version, changes: Vec::new() };
    let outcome = start.run();
    let changes = start.changes;
    match outcome {
        Ok(prediction) => Prediction { changes, ..prediction },
        Err(Refusal { trouble, message, why }) => {
            Prediction { changes, ..Prediction::refused(version, trouble, message, why) }
        }
    }
}

impl<'f> Startup<'f> {
    pub(super) fn is_at_least(&self, minor: u32) -> bool {
        self.version >= Version::new(3, minor, 0)
    }

    fn run(&mut self) -> Result<Prediction, Refusal> {
        let files = self.files;
        let db = match &files.db {
            DbState::Damaged(fault) => {
                return Err(Refusal::new(
                    Trouble::DbDamaged,
                    "panic: …",
                    format!("its db is damaged: {fault}"),
                ));
            }
            DbState::Missing => None,
            DbState::Sound(db) => Some(db),
        };
        let log = files.log.as_ref().filter(|_| files.has_log);
        let Some(log) = log else {
            self.check_storage_version(db)?;
            return Ok(self.as_new_member(db));
        };
        let mut segments = log.segments();
        let name = |segment: &Segment<'_>| SegmentName::parse(segment.name);
        segments.retain(|segment| name(segment).is_some());
        segments.sort_by_key(name);
        let first_indices: Vec<u64> =
            segments.iter().filter_map(|segment| Some(name(segment)?.first_index)).collect();
        let rules = read_rules(self.version);
        let records = snapshot_records(&segments, rules)
            .map_err(|failure| Refusal::of_log(self.version, "discovery failed", failure, &segments))?;
        let from = self.choose_snapshot(&records)?;
        let (db, index) = self.choose_db(db, &from)?;
        self.check_storage_version(db)?;
        let read =
            read_from(&segments, &first_indices, (from.index, from.term), rules).map_err(|failure| {
                let what = match failure {
                    WalFailure::NoFile { .. } => "failed to open WAL",
                    _ => "failed to read WAL, cannot be repaired",
                };
                Refusal::of_log(self.version, what, failure, &segments)
            })?;
        if let Some((file, cut)) = read.repaired {
            let name = segments.get(file).map_or("", |segment| segment.name);
            self.changes.push(format!("cuts wal/{name} at byte {cut}, and keeps a copy as {name}.broken"));
        }
        if self.is_at_least(7) && records.is_empty() {
            let message = "panic: runtime error: invalid memory address or nil pointer dereference";
            return Err(Refusal::new(
                Trouble::NoSnapshotRecord,
                message,
                "its log has no snapshot record, which this version needs",
            ));
        }
        if read.node_id == 0 {
            return Err(Refusal::new(
                Trouble::EmptyLog,
                "panic: cannot use none as id",
                "its log is empty: it does not say whose it is",
            ));
        }
        self.go_on(&Ready { db, index, from, read })
    }

    /// Up to 3.6 the newest `.snap` whose record is in the log; from 3.7 on the last record.
    fn choose_snapshot(&mut self, records: &[SnapshotRecord]) -> Result<StartPoint<'f>, Refusal> {
        if self.is_at_least(7) {
            let last = records.last().map(|last| (last.index, last.term));
            let (index, term) = last.unwrap_or_default();
            return Ok(StartPoint { index, term, ..StartPoint::default() });
        }
        let files = self.files;
        for file in &files.snaps {
            let Some((snapshot, store)) = &file.content else {
                self.changes.push(format!("renames snap/{0} to {0}.broken", file.name));
                continue;
            };
            let is_it =
                |record: &SnapshotRecord| (record.index, record.term) == (snapshot.index, snapshot.term);
            if records.iter().any(is_it) {
                if self.is_at_least(6) && store.has_custom_content {
                    let message = "discovery failed | detected disallowed custom content in v2store for stage \
                                   --v2-deprecation=write-only";
                    return Err(Refusal::new(
                        Trouble::V2Content,
                        message,
                        format!("snap/{} has keys of the API v2", file.name),
                    ));
                }
                let (index, term, config) = (snapshot.index, snapshot.term, snapshot.config.clone());
                return Ok(StartPoint { index, term, config, store: Some(store) });
            }
        }
        Ok(StartPoint::default())
    }

    /// The db, and the entry that it is at: a newer snapshot needs the db that came with it.
    fn choose_db(
        &mut self,
        db: Option<&'f Db>,
        from: &StartPoint<'_>,
    ) -> Result<(Option<&'f Db>, u64), Refusal> {
        let index = |db: &Db| State::read(db).consistent_index.unwrap_or(0);
        let own = db.map_or(0, index);
        if from.index <= own {
            return Ok((db, own));
        }
        let files = self.files;
        match files.received.get(&from.index) {
            Some(_) if (Version::new(3, 5, 0)..=Version::new(3, 5, 1)).contains(&self.version) => {
                let why = "a db that the leader sent waits beside its db, and 3.5.0 and 3.5.1 fail to put it in place";
                Err(Refusal::new(Trouble::ReceivedDbWaits, "panic: assertion failed: tx closed", why))
            }
            Some(DbState::Sound(received)) => {
                self.changes.push(format!("renames snap/{:016x}.snap.db to snap/db", from.index));
                Ok((Some(received), index(received)))
            }
            Some(DbState::Damaged(fault)) => Err(Refusal::new(
                Trouble::DbDamaged,
                "panic: …",
                format!("the db that the leader sent is damaged: {fault}"),
            )),
            Some(DbState::Missing) | None => Err(Refusal::new(
                if db.is_none() { Trouble::DbMissing } else { Trouble::DbBehindSnapshot },
                "panic: failed to recover v3 backend from snapshot | failed to find database snapshot file (snap: \
                 snapshot file doesn't exist)",
                match db {
                    None => {
                        format!("it has no db, and would go on from the snapshot of entry {}", from.index)
                    }
                    Some(_) => format!(
                        "its db is at entry {own}, and it would go on from the snapshot of entry {}",
                        from.index
                    ),
                },
            )),
        }
    }

    fn check_storage_version(&self, db: Option<&Db>) -> Result<(), Refusal> {
        let version = db.and_then(|db| State::read(db).storage_version).unwrap_or_default();
        match minor_of(&version) {
            Some(minor) if self.is_at_least(6) && minor > self.version.minor => {
                let message = format!("discovery failed | version \"{version}\" is not supported");
                Err(Refusal::new(
                    Trouble::NewerVersion,
                    message,
                    format!("its db is of the newer etcd {version}"),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Refuses what a newer etcd wrote: by the db from 3.6 on, else by the v2 store.
    fn check_cluster_version(&self, version: Option<&str>) -> Result<(), Refusal> {
        match version.and_then(minor_of) {
            Some(minor) if minor > self.version.minor => {
                let how = if self.is_at_least(6) { "panic" } else { "fatal" };
                let message = "invalid downgrade; server version is lower than determined cluster version";
                Err(Refusal::new(
                    Trouble::NewerVersion,
                    format!("{how}: {message}"),
                    format!("its cluster runs etcd 3.{minor} already"),
                ))
            }
            _ => Ok(()),
        }
    }

    fn go_on(&mut self, ready: &Ready<'f>) -> Result<Prediction, Refusal> {
        let of_db = ready.db.and_then(|db| State::read(db).cluster_version);
        if self.is_at_least(6) {
            self.check_cluster_version(of_db.as_deref())?;
        }
        let last = ready.from.index.saturating_add(ready.read.entries.len() as u64);
        let ReadFrom { commit, term, node_id, .. } = ready.read;
        if term > 0 && !(ready.from.index..=last).contains(&commit) {
            let first = ready.from.index;
            return Err(Refusal::new(
                Trouble::CommitBeyondEnd,
                format!("panic: {node_id:x} state.commit {commit} is out of range [{first}, {last}]"),
                format!("its log ends with entry {last}, and says that entry {commit} was committed"),
            ));
        }
        if !self.is_at_least(6) {
            self.check_cluster_version(ready.from.store.and_then(|store| store.cluster_version.as_deref()))?;
        }
        let config = self.apply(ready)?;
        Ok(self.serve(ready, &config, last))
    }

    /// What each entry does beside the db's records, and the members after the last one.
    fn apply(&self, ready: &Ready<'f>) -> Result<ConfState, Refusal> {
        let mut config = match (&ready.from.config, ready.db) {
            _ if self.is_at_least(7) => ready.db.map(|db| of_rows(&State::read(db))).unwrap_or_default(),
            (Some(config), _) => config.clone(),
            (None, _) => ConfState::default(),
        };
        for entry in &ready.read.entries {
            match entry.kind {
                0 => self.apply_request(entry.index, entry.data)?,
                // who votes counts from the moment when it was known to be committed
                1 => match ConfChange::parse(entry.data) {
                    Ok((change, _)) if entry.index <= ready.read.commit => config.apply(change),
                    _ => {}
                },
                _ => {
                    let message = "panic: unknown entry type; must be either EntryNormal or EntryConfChange";
                    let why = format!("entry {} is of a type that no etcd writes", entry.index);
                    return Err(Refusal::new(Trouble::UnknownEntry, message, why));
                }
            }
        }
        Ok(config)
    }

    fn apply_request(&self, index: u64, data: &[u8]) -> Result<(), Refusal> {
        let v2 = V2Request::parse(data);
        if self.is_at_least(7) && v2.is_ok() {
            let message = "panic: unmarshal should never fail (proto: cannot parse invalid wire-format data)";
            let why = format!("entry {index} is a request of the API v2, which this version can't read");
            return Err(Refusal::new(Trouble::V2Request, message, why));
        }
        match v2.map(|request| request.effect()) {
            Ok(V2Effect::Nothing) if self.is_at_least(6) => {
                let message = "panic: detected disallowed v2 WAL for stage --v2-deprecation=write-only";
                Err(Refusal::new(
                    Trouble::V2Request,
                    message,
                    format!("entry {index} is a user's request of the API v2"),
                ))
            }
            Ok(V2Effect::ClusterVersion(version)) => self.check_cluster_version(Some(version)),
            Ok(_) => Ok(()),
            Err(_) => match Request::parse(data).map(|request| request.action) {
                Ok(Action::ClusterVersion(version)) => self.check_cluster_version(Some(version)),
                _ => Ok(()),
            },
        }
    }
}

fn read_rules(version: Version) -> ReadRules {
    let from = |minor, patch| version >= Version::new(3, minor, patch);
    ReadRules {
        limit: if from(5, 7) { LengthLimit::File } else { LengthLimit::TenMib },
        is_cut_message_torn: !from(7, 0),
    }
}

/// The members by the db's rows.
pub(super) fn of_rows(state: &State<'_>) -> ConfState {
    let (learners, voters): (Vec<_>, Vec<_>) = state.members.iter().partition(|member| member.is_learner);
    let ids =
        |rows: Vec<&crate::etcd::schema::Member>| rows.into_iter().map(|row| row.id.0).collect::<Vec<_>>();
    ConfState::new(ids(voters), ids(learners))
}
