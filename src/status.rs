//! One line a file: how large, how full, how sound.

#![warn(missing_docs)]

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

/// The status of one file.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Status {
    /// Its path.
    pub path: ByteText,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes of the pages below the high water mark: what etcd's quota counts.
    pub allocated_bytes: u64,
    /// Bytes of reachable pages.
    pub in_use_bytes: u64,
    /// Bytes of free pages, as bbolt counts them.
    pub free_bytes: u64,
    /// Bytes of a page.
    pub page_size: u64,
    /// The current revision; `null` for a file that isn't etcd's, as are the next three.
    pub revision: Option<i64>,
    /// Revisions up to this one are gone; -1 where the file was never compacted.
    pub compact_revision: Option<i64>,
    /// When the file was written last, as its objects tell (RFC 3339); `null` where none does.
    pub time: Option<String>,
    /// etcd's version, as far as the file says: the storage version, from etcd 3.6 on, or else the cluster version; `null` where it
    /// has neither.
    pub etcd_version: Option<String>,
    /// Keys that exist.
    pub keys: Option<u64>,
    /// Records of these and of deleted keys.
    pub records: Option<u64>,
    /// Raised alarms.
    pub alarms: Vec<AlarmInfo>,
    /// What stands behind the db.
    pub snapshot_trailer: Trailer,
    /// Whether `check` finds nothing.
    pub sound: bool,
    /// Share of the quota that is used, from 0 to 1; `null` without a quota.
    pub quota_use: Option<f64>,
    /// What is left of the quota; `null` without one.
    pub quota: Option<QuotaRoom>,
    /// What is left of the disk, and what to set there; `null` where none was named.
    pub disk: Option<DiskRoom>,
    /// What the thresholds make of it.
    pub level: Level,
    /// Whose the file is.
    #[serde(skip)]
    pub owner: Owner,
}

/// What the thresholds make of a file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Below both, or none were given.
    #[default]
    Ok,
    /// The lower one was reached.
    Warning,
    /// The upper one was reached, or etcd itself has raised an alarm.
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
    #[must_use]
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
        let level = match (thresholds, quota_use) {
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
            level,
            owner: Owner::of(db).at(path),
        }
    }

    /// The verdict in a few words.
    #[must_use]
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
        match self.level {
            Level::Critical if self.alarms.is_empty() => words.push("CRITICAL".to_owned()),
            Level::Warning => words.push("WARNING".to_owned()),
            Level::Ok | Level::Critical => {}
        }
        if words.is_empty() { "ok".to_owned() } else { words.join(", ") }
    }
}
