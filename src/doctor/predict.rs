//! What an etcd of a version does when it starts from a member's directory, step by step, as it does it
//! (`server/etcdserver/bootstrap.go`; up to 3.5 `server/etcdserver/server.go`, `NewServer`).

use std::rc::Rc;

use crate::bolt::Db;
use crate::etcd::apply::Version;
use crate::etcd::request::v2::V2Effect;
use crate::etcd::request::{Action, Request, V2Request};
use crate::etcd::schema::{State, minor_of};
use crate::etcd::v2_store::V2Store;
use crate::member::ConfState;
use crate::member::as_etcd::{ReadFrom, SnapshotRecord, WalFailure};
use crate::member::conf_change::ConfChange;
use crate::member::names::snap_db_name;

use crate::units::count;

use super::case::{MemberCase, StartRead};
use super::failure::StartFailure;
use super::files::{DbState, MemberFiles};
use super::prediction::Prediction;
use super::rules::StartRules;
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
pub(super) struct Startup<'c, 'f> {
    pub(super) case: &'c MemberCase<'f>,
    pub(super) files: &'f MemberFiles,
    pub(super) version: Version,
    pub(super) rules: StartRules,
    pub(super) changes: Vec<String>,
}

/// What is known once the log was read.
pub(super) struct Ready<'f> {
    pub(super) db: Option<&'f Db>,
    /// The entry that the db is at.
    pub(super) index: u64,
    pub(super) from: StartPoint<'f>,
    pub(super) of_log: Rc<StartRead<'f>>,
}

impl MemberCase<'_> {
    /// What an etcd of this version does with it.
    pub fn predict(&self, version: Version) -> Prediction {
        let rules = StartRules::of(version);
        let mut start = Startup { case: self, files: self.files, version, rules, changes: Vec::new() };
        let outcome = start.run();
        let changes = start.changes;
        match outcome {
            Ok(prediction) => Prediction { changes, ..prediction },
            Err(StartFailure { trouble, message, why }) => {
                Prediction { changes, ..Prediction::refused(version, trouble, message, why) }
            }
        }
    }
}

impl<'f> Startup<'_, 'f> {
    pub(super) fn is_at_least(&self, minor: u32) -> bool {
        self.version >= Version::new(3, minor, 0)
    }

    fn run(&mut self) -> Result<Prediction, StartFailure> {
        let files = self.files;
        let db = match &files.db {
            DbState::Damaged(fault) => {
                return Err(StartFailure::new(
                    Trouble::DbDamaged,
                    "panic: …",
                    format!("its db is damaged: {fault}"),
                ));
            }
            DbState::Missing => None,
            DbState::Sound(db) => Some(db),
        };
        if files.log.is_none() || !files.has_log {
            self.check_storage_version(db)?;
            return Ok(self.as_new_member(db));
        }
        let (case, segments) = (self.case, self.case.segments());
        let records = case
            .snapshot_records(self.rules.log)
            .map_err(|failure| StartFailure::of_log(self.version, "discovery failed", failure, segments))?;
        let from = self.choose_snapshot(&records)?;
        let (db, index) = self.choose_db(db, &from)?;
        // 3.4 looks at it so early only to compare the db with its snapshot
        if self.is_at_least(6) || from.store.is_some() {
            self.check_storage_version(db)?;
        }
        let of_log = case.read_from((from.index, from.term), self.rules.log).map_err(|failure| {
            let what = match failure {
                WalFailure::NoFile { .. } => "failed to open WAL",
                _ => "failed to read WAL, cannot be repaired",
            };
            StartFailure::of_log(self.version, what, failure, segments)
        })?;
        if let Some((file, cut)) = of_log.read.repaired {
            let name = segments.get(file).map_or("", |segment| segment.name);
            self.changes.push(format!("cuts wal/{name} at byte {cut}, and keeps a copy as {name}.broken"));
        }
        if self.is_at_least(7) && records.is_empty() {
            let message = "panic: runtime error: invalid memory address or nil pointer dereference";
            return Err(StartFailure::new(
                Trouble::NoSnapshotRecord,
                message,
                "its log has no snapshot record, which this version needs",
            ));
        }
        if of_log.read.node_id == 0 {
            return Err(StartFailure::new(
                Trouble::EmptyLog,
                "panic: cannot use none as id",
                "its log is empty: it does not say whose it is",
            ));
        }
        self.go_on(&Ready { db, index, from, of_log })
    }

    /// Up to 3.6 the newest `.snap` whose record is in the log; from 3.7 on the last record.
    fn choose_snapshot(&mut self, records: &[SnapshotRecord]) -> Result<StartPoint<'f>, StartFailure> {
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
                    return Err(StartFailure::new(
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
    ) -> Result<(Option<&'f Db>, u64), StartFailure> {
        let index = |db: &Db| State::read(db).consistent_index.unwrap_or(0);
        let own = db.map_or(0, index);
        if from.index <= own {
            return Ok((db, own));
        }
        let files = self.files;
        match files.received.get(&from.index) {
            Some(_) if !self.rules.takes_received_db => {
                let why = "a db that the leader sent waits beside its db, and 3.5.0 and 3.5.1 fail to put it in place";
                Err(StartFailure::new(Trouble::ReceivedDbWaits, "panic: assertion failed: tx closed", why))
            }
            Some(DbState::Sound(received)) => {
                self.changes.push(format!("renames snap/{} to snap/db", snap_db_name(from.index)));
                Ok((Some(received), index(received)))
            }
            Some(DbState::Damaged(fault)) => Err(StartFailure::new(
                Trouble::DbDamaged,
                "panic: …",
                format!("the db that the leader sent is damaged: {fault}"),
            )),
            Some(DbState::Missing) | None => Err(StartFailure::new(
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

    fn check_storage_version(&self, db: Option<&Db>) -> Result<(), StartFailure> {
        let version = db.and_then(|db| State::read(db).storage_version).unwrap_or_default();
        if !self.rules.refuses_storage(&version) {
            return Ok(());
        }
        let message = match self.is_at_least(6) {
            true => format!("discovery failed | version \"{version}\" is not supported"),
            false => "panic: unsupported storage version".to_owned(),
        };
        let why = format!("its db is of the newer etcd {version}");
        Err(StartFailure::new(Trouble::NewerVersion, message, why))
    }

    /// Refuses what a newer etcd wrote: by the db from 3.6 on, else by the v2 store.
    fn check_cluster_version(&self, version: Option<&str>) -> Result<(), StartFailure> {
        match version.and_then(minor_of) {
            Some(minor) if minor > self.version.minor => {
                let how = if self.is_at_least(6) { "panic" } else { "fatal" };
                // 3.4.31 and later 3.4 say it in other words (`membership/cluster.go`, `detectDowngrade`)
                let message = match self.version {
                    Version { minor: 4, patch: 31.., .. } => format!(
                        "(current version: {} is lower than determined cluster version: 3.{minor})",
                        self.version
                    ),
                    _ => "server version is lower than determined cluster version".to_owned(),
                };
                Err(StartFailure::new(
                    Trouble::NewerVersion,
                    format!("{how}: invalid downgrade; {message}"),
                    format!("its cluster runs etcd 3.{minor} already"),
                ))
            }
            _ => Ok(()),
        }
    }

    fn go_on(&mut self, ready: &Ready<'f>) -> Result<Prediction, StartFailure> {
        let of_db = ready.db.and_then(|db| State::read(db).cluster_version);
        if self.is_at_least(6) {
            self.check_cluster_version(of_db.as_deref())?;
        }
        let ReadFrom { commit, term, node_id, ref entries, .. } = ready.of_log.read;
        let last = ready.from.index.saturating_add(entries.len() as u64);
        if term > 0 && !(ready.from.index..=last).contains(&commit) {
            let first = ready.from.index;
            return Err(StartFailure::new(
                Trouble::CommitBeyondEnd,
                format!("panic: {node_id:x} state.commit {commit} is out of range [{first}, {last}]"),
                format!("its log ends with entry {last}, and says that entry {commit} was committed"),
            ));
        }
        if !self.is_at_least(6) {
            self.check_cluster_version(ready.from.store.and_then(|store| store.cluster_version.as_deref()))?;
            self.check_storage_version(ready.db)?;
        }
        let config = self.apply(ready)?;
        let strangers = if self.rules.removes_strangers { self.strangers(ready) } else { Vec::new() };
        if let Some(first) = strangers.first() {
            let members = count(strangers.len() as u64, "member");
            self.changes
                .push(format!("removes {members} from its db that its log does not know, such as {first:x}"));
        }
        Ok(self.serve(ready, &config, last))
    }

    /// What each entry does beside the db's records, and the members after the last one.
    fn apply(&self, ready: &Ready<'f>) -> Result<ConfState, StartFailure> {
        let mut config = match (&ready.from.config, ready.db) {
            _ if self.is_at_least(7) => ready.db.map(|db| of_rows(&State::read(db))).unwrap_or_default(),
            (Some(config), _) => config.clone(),
            (None, _) => ConfState::default(),
        };
        for entry in &ready.of_log.notable {
            match entry.kind {
                0 => self.apply_request(entry.index, entry.data)?,
                // who votes counts from the moment when it was known to be committed
                1 => match ConfChange::parse(entry.data) {
                    Ok((change, _)) if entry.index <= ready.of_log.read.commit => config.apply(change),
                    _ => {}
                },
                _ => {
                    let message = "panic: unknown entry type; must be either EntryNormal or EntryConfChange";
                    let why = format!("entry {} is of a type that no etcd writes", entry.index);
                    return Err(StartFailure::new(Trouble::UnknownEntry, message, why));
                }
            }
        }
        Ok(config)
    }

    fn apply_request(&self, index: u64, data: &[u8]) -> Result<(), StartFailure> {
        let v2 = V2Request::parse(data);
        if self.is_at_least(7) && v2.is_ok() {
            let message = "panic: unmarshal should never fail (proto: cannot parse invalid wire-format data)";
            let why = format!("entry {index} is a request of the API v2, which this version can't read");
            return Err(StartFailure::new(Trouble::V2Request, message, why));
        }
        match v2.map(|request| request.effect()) {
            Ok(V2Effect::Nothing) if self.is_at_least(6) => {
                let message = "panic: detected disallowed v2 WAL for stage --v2-deprecation=write-only";
                Err(StartFailure::new(
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

/// The members by the db's rows.
pub(super) fn of_rows(state: &State<'_>) -> ConfState {
    let (learners, voters): (Vec<_>, Vec<_>) = state.members.iter().partition(|member| member.is_learner);
    let ids =
        |rows: Vec<&crate::etcd::schema::Member>| rows.into_iter().map(|row| row.id.0).collect::<Vec<_>>();
    ConfState::new(ids(voters), ids(learners))
}
