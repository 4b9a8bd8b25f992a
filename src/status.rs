//! One line a file: how large, how full, how sound.

#![warn(missing_docs)]

pub mod log;

use serde::Serialize;
use std::path::Path;

use crate::analyze::AlarmInfo;
use crate::bolt::Db;
use crate::clock::Clock;
use crate::etcd::schema::State;
use crate::etcd::trailer::Trailer;
use crate::guide::{DiskRoom, QuotaRoom};
use crate::owner::Owner;
use crate::scan::Scan;
use crate::scan::health::Health;
use crate::text::ByteText;

use crate::analyze::share::share;

use log::LogStatus;

/// One file.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Status {
    /// The db that was read; for a data directory, its member/snap/db.
    pub path: ByteText,
    /// Size of the file.
    pub file_bytes: u64,
    /// High water mark × page size: what etcd's quota counts.
    pub allocated_bytes: u64,
    /// Bytes of reachable pages.
    pub in_use_bytes: u64,
    /// Bytes of free pages, as bbolt counts them; the tail is not in it.
    pub free_bytes: u64,
    /// Bytes of a page.
    pub page_size: u64,
    /// The current revision; `null` for a file that isn't etcd's.
    pub revision: Option<i64>,
    /// Revisions up to this one are gone; -1 where it was never compacted, `null` for a file that isn't etcd's.
    pub compact_revision: Option<i64>,
    /// When the file was written last, as its objects say: RFC 3339 in UTC; `null` where none says so.
    pub time: Option<String>,
    /// The storage version, or else the cluster version; `null` where neither is stored.
    pub etcd_version: Option<String>,
    /// Keys that exist; `null` for a file that isn't etcd's.
    pub keys: Option<u64>,
    /// Readable records, of deleted keys too; `null` for a file that isn't etcd's.
    pub records: Option<u64>,
    /// Raised alarms, in the order of the bucket.
    pub alarms: Vec<AlarmInfo>,
    /// Whether a snapshot's SHA-256 is after the db.
    pub snapshot_trailer: Trailer,
    /// Whether `check` finds nothing at all. It does not change `level`.
    pub sound: bool,
    /// `allocated_bytes` / `--quota`, which may pass 1; `null` without `--quota`.
    pub quota_use: Option<f64>,
    /// What is left of the quota; `null` without `--quota`.
    pub quota: Option<QuotaRoom>,
    /// What is left of the disk, and what suits it; `null` without `--disk`.
    pub disk: Option<DiskRoom>,
    /// Of a member's db: how far it is in the log beside it. `null` for any other.
    pub log: Option<LogStatus>,
    /// What alarms, thresholds and the log make of it.
    pub level: Level,
    /// What alarms and thresholds alone make of it.
    #[serde(skip)]
    pub of_quota: Level,
    /// Whose the file is.
    #[serde(skip)]
    pub owner: Owner,
}

/// What alarms, thresholds and the log make of a file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// No alarm is raised, nothing is wrong between db and log, and the use of `--quota` is below `--warn`, or there is no `--quota`.
    #[default]
    Ok,
    /// No alarm is raised, and the use of the quota has reached `--warn`.
    Warning,
    /// An alarm is raised, `log.problem` says what is wrong, or the use of the quota has reached `--crit`.
    Critical,
}

/// What a file is compared with.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Limits {
    /// The quota.
    pub thresholds: Option<Thresholds>,
    /// Bytes of the disk that etcd's data dir is on, or is to be on.
    pub disk: Option<u64>,
}

/// A quota and the shares of it from which to warn.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Thresholds {
    /// etcd's `--quota-backend-bytes`.
    pub quota: u64,
    /// From 0 to 1.
    pub warn: f64,
    /// From 0 to 1.
    pub crit: f64,
}

impl Status {
    /// Of a file that was scanned.
    pub fn of(
        path: &Path,
        db: &Db,
        state: &State<'_>,
        scan: &Scan<'_>,
        trailer: Trailer,
        Limits { thresholds, disk }: Limits,
    ) -> Self {
        let is_etcd = scan.key_bucket.is_some();
        let allocated_bytes = db.high_water_mark().saturating_mul(db.page_size());
        let quota_use = thresholds.map(|thresholds| share(allocated_bytes, thresholds.quota));
        let quota = thresholds.map(|thresholds| thresholds.quota);
        let alarms: Vec<_> = state.alarms.iter().map(AlarmInfo::from).collect();
        let of_quota = match (thresholds, quota_use) {
            _ if !alarms.is_empty() => Level::Critical,
            (Some(thresholds), Some(used)) if used >= thresholds.crit => Level::Critical,
            (Some(thresholds), Some(used)) if used >= thresholds.warn => Level::Warning,
            _ => Level::Ok,
        };
        Self {
            path: path.into(),
            file_bytes: db.file_size(),
            allocated_bytes,
            in_use_bytes: scan.reached_pages * db.page_size(),
            free_bytes: scan.free_pages() * db.page_size(),
            page_size: db.page_size(),
            revision: is_etcd.then(|| scan.current_revision(state)),
            compact_revision: is_etcd.then(|| state.compact_revision()),
            time: Clock::of(&scan.keyspace, None).1.time,
            etcd_version: state.storage_version.clone().or_else(|| state.cluster_version.clone()),
            keys: is_etcd.then(|| scan.keyspace.num_live()),
            records: is_etcd.then(|| scan.keyspace.num_records()),
            alarms,
            snapshot_trailer: trailer,
            sound: Health::of(db, state, scan, trailer).sound,
            quota_use,
            quota: quota.map(|quota| QuotaRoom::of(quota, allocated_bytes)),
            disk: disk.map(|disk| DiskRoom::of(disk, quota, db.file_size(), allocated_bytes)),
            log: None,
            level: of_quota,
            of_quota,
            owner: Owner::of(db).at(path),
        }
    }

    /// With how far it is in a log.
    #[must_use]
    pub fn with_log(self, log: Option<LogStatus>) -> Self {
        let has_problem = log.as_ref().is_some_and(|log| log.problem.is_some());
        let level = if has_problem { Level::Critical } else { self.of_quota };
        Self { log, level, ..self }
    }

    /// The verdict in a few words.
    pub fn verdict(&self) -> String {
        let mut words = Vec::new();
        if !self.sound {
            words.push("FAULTS".to_owned());
        }
        for alarm in &self.alarms {
            // every member may have raised it
            if !words.iter().any(|word| word == alarm.alarm) {
                words.push(alarm.alarm.to_owned());
            }
        }
        match self.of_quota {
            Level::Critical if self.alarms.is_empty() => words.push("CRITICAL".to_owned()),
            Level::Warning => words.push("WARNING".to_owned()),
            Level::Ok | Level::Critical => {}
        }
        let of_log = self.log.as_ref().and_then(LogStatus::verdict);
        if words.is_empty() && self.level == Level::Ok {
            words.push("ok".to_owned());
        }
        words.extend(of_log);
        words.join(", ")
    }
}
