//! Which quota and how much history a disk has room for.
//!
//! docs/space-guide.md explains the table. etcd's own two figures are read in its `server/storage/quota.go`; what else
//! it keeps on the disk in `server/embed/config.go` (`DefaultMaxWALs`), `server/storage/wal/wal.go`
//! (`SegmentSizeBytes`), `server/storage/backend/backend.go` (`defrag` writes `db.tmp.*` beside the db) and
//! `server/etcdserver/api/snap/db.go` (a db that the leader sends is saved beside it, too).

use serde::Serialize;

const GB: u64 = 1_000_000_000;
const GIB: u64 = 1 << 30;

/// etcd's quota where none is set: `DefaultQuotaBytes`.
pub const DEFAULT_QUOTA: u64 = 2 * GIB;

/// The largest quota that etcd does not warn of at its start: `MaxQuotaBytes`.
pub const SUGGESTED_MAX_QUOTA: u64 = 8 * GIB;

/// What the disk must have beside the db and its copies: five WAL files of 64 MB, the next one made in advance, raft's
/// own snapshots, and a margin for a follower that lags.
pub const OTHER_BYTES: u64 = GIB;

/// The db, the copy that a defrag makes of it, and one that is being received or saved.
const COPIES: u64 = 3;

/// A row of the table in docs/space-guide.md.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Row {
    /// The smallest disk that the row is for.
    pub from_disk_bytes: u64,
    /// The quota, for `--quota-backend-bytes`.
    pub quota_bytes: u64,
    /// Revisions of history, for `--auto-compaction-retention` in mode `revision`.
    pub revisions: u64,
}

/// The table; a disk between two rows belongs to the smaller one.
pub const ROWS: [Row; 4] = [
    Row { from_disk_bytes: 0, quota_bytes: DEFAULT_QUOTA, revisions: 1000 },
    Row { from_disk_bytes: 48 * GB, quota_bytes: 8 * GIB, revisions: 1000 },
    Row { from_disk_bytes: 100 * GB, quota_bytes: 16 * GIB, revisions: 2000 },
    Row { from_disk_bytes: 200 * GB, quota_bytes: 32 * GIB, revisions: 5000 },
];

/// The row of a disk.
pub fn row_of(disk_bytes: u64) -> Row {
    let [smallest, ..] = ROWS;
    ROWS.into_iter().rev().find(|row| row.from_disk_bytes <= disk_bytes).unwrap_or(smallest)
}

/// The smallest disk on which etcd with this quota can still be defragmented and take a db from its leader when full.
pub fn disk_for(quota_bytes: u64) -> u64 {
    quota_bytes.saturating_mul(COPIES).saturating_add(OTHER_BYTES)
}

/// The quota to set on this disk: the table's, or less where the disk has no room for that one; `None` where it has
/// room for none at all.
pub fn quota_for(disk_bytes: u64) -> Option<u64> {
    let room = disk_bytes.saturating_sub(OTHER_BYTES) / COPIES;
    Some(room.min(row_of(disk_bytes).quota_bytes)).filter(|&quota| quota > 0)
}

/// What is left of a quota.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct QuotaRoom {
    /// `--quota`.
    pub quota_bytes: u64,
    /// `quota_bytes` − `allocated_bytes`; negative where the file is over the quota.
    pub headroom_bytes: i64,
    /// `headroom_bytes` / `quota_bytes`, at most 1.
    pub headroom_share: f64,
}

impl QuotaRoom {
    /// What a db of this many bytes of allocated pages leaves.
    pub fn of(quota_bytes: u64, allocated_bytes: u64) -> Self {
        let (headroom_bytes, headroom_share) = headroom(quota_bytes, allocated_bytes);
        Self { quota_bytes, headroom_bytes, headroom_share }
    }
}

/// What is left of the disk, and what suits it: docs/space-guide.md has the rules.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DiskRoom {
    /// `--disk`.
    pub disk_bytes: u64,
    /// `disk_bytes` − `file_bytes`, nothing else taken off; may be negative.
    pub headroom_bytes: i64,
    /// `headroom_bytes` / `disk_bytes`, at most 1.
    pub headroom_share: f64,
    /// Whether `file_bytes` + `allocated_bytes` ≤ `disk_bytes`: there is room for the largest copy that a defrag writes.
    pub defrag_fits: bool,
    /// The table's row for this disk.
    pub guide: Row,
    /// The quota to set: the row's, or a third of `disk_bytes` − 1 GiB where that is less; `null` where there is no room for
    /// any.
    pub advised_quota_bytes: Option<u64>,
    /// Whether 3 × quota + 1 GiB ≤ `disk_bytes`; `null` without `--quota`.
    pub quota_fits: Option<bool>,
}

impl DiskRoom {
    /// What this db leaves of a disk.
    pub fn of(disk_bytes: u64, quota_bytes: Option<u64>, file_bytes: u64, allocated_bytes: u64) -> Self {
        let (headroom_bytes, headroom_share) = headroom(disk_bytes, file_bytes);
        Self {
            disk_bytes,
            headroom_bytes,
            headroom_share,
            defrag_fits: file_bytes.saturating_add(allocated_bytes) <= disk_bytes,
            guide: row_of(disk_bytes),
            advised_quota_bytes: quota_for(disk_bytes),
            quota_fits: quota_bytes.map(|quota| disk_for(quota) <= disk_bytes),
        }
    }
}

/// What is left, in bytes and as a share.
#[expect(clippy::cast_precision_loss, reason = "a share, for people and thresholds")]
fn headroom(limit: u64, used: u64) -> (i64, f64) {
    let left = i128::from(limit) - i128::from(used);
    let bytes = i64::try_from(left).unwrap_or(if left < 0 { i64::MIN } else { i64::MAX });
    (bytes, if limit == 0 { 0.0 } else { left as f64 / limit as f64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_disk_has_its_row() {
        let quota_and_revisions = |disk: u64| {
            let row = row_of(disk);
            (row.quota_bytes / GIB, row.revisions)
        };
        assert_eq!(quota_and_revisions(0), (2, 1000));
        assert_eq!(quota_and_revisions(48 * GB - 1), (2, 1000));
        assert_eq!(quota_and_revisions(48 * GB), (8, 1000));
        assert_eq!(quota_and_revisions(48 * GIB), (8, 1000));
        assert_eq!(quota_and_revisions(99 * GB), (8, 1000));
        assert_eq!(quota_and_revisions(100 * GB), (16, 2000));
        assert_eq!(quota_and_revisions(200 * GB), (32, 5000));
        assert_eq!(quota_and_revisions(u64::MAX), (32, 5000));
    }

    /// The table promises nothing that its own rule would refuse.
    #[test]
    fn every_row_fits_its_disk() {
        for row in &ROWS[1..] {
            assert!(disk_for(row.quota_bytes) <= row.from_disk_bytes, "{row:?}");
            assert_eq!(quota_for(row.from_disk_bytes), Some(row.quota_bytes));
        }
        assert_eq!(disk_for(DEFAULT_QUOTA), 7 * GIB);
        assert_eq!(disk_for(u64::MAX), u64::MAX);
    }

    #[test]
    fn a_small_disk_has_a_small_quota() {
        assert_eq!(quota_for(7 * GIB), Some(DEFAULT_QUOTA));
        assert_eq!(quota_for(4 * GIB), Some(GIB));
        assert_eq!(quota_for(OTHER_BYTES), None);
        assert_eq!(quota_for(0), None);
    }

    #[test]
    fn headroom_may_be_negative_and_never_wraps() {
        let room = QuotaRoom::of(8 * GIB, 2 * GIB);
        assert_eq!((room.headroom_bytes, room.headroom_share), (6 << 30, 0.75));
        let room = QuotaRoom::of(GIB, 3 * GIB);
        assert_eq!((room.headroom_bytes, room.headroom_share), (-(2 << 30), -2.0));
        assert_eq!(QuotaRoom::of(1, u64::MAX).headroom_bytes, i64::MIN);
        assert_eq!(QuotaRoom::of(u64::MAX, 0).headroom_bytes, i64::MAX);
    }

    #[test]
    fn a_disk_is_judged() {
        let room = DiskRoom::of(100 * GB, Some(64 * GIB), 30 * GB, 29 * GB);
        assert_eq!(room.headroom_bytes, 70_000_000_000);
        assert!(room.defrag_fits);
        assert_eq!(room.quota_fits, Some(false));
        assert!(!DiskRoom::of(100 * GB, None, 60 * GB, 41 * GB).defrag_fits);
        assert_eq!(DiskRoom::of(100 * GB, None, 60 * GB, 40 * GB).quota_fits, None);
    }
}
