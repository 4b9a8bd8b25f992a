//! The order of the full report's resources.

use std::cmp::Reverse;

use super::resources::ResourceUse;
use crate::k8s::resource_name;

/// What resources are sorted by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Sort {
    /// What it takes of the file
    Disk,
    /// Bytes of newest records
    Live,
    /// Bytes of older records and tombstones
    History,
    /// Keys that exist
    Objects,
    /// Records
    Records,
    /// Name
    Name,
}

impl Sort {
    /// Sorts rows, the largest first. Equal rows keep their order, which is that of their size on disk.
    pub fn resources(self, rows: &mut [ResourceUse]) {
        match self {
            Self::Disk => rows.sort_by_key(|row| Reverse(row.disk_bytes)),
            Self::Live => rows.sort_by_key(|row| Reverse(row.live_bytes)),
            Self::History => rows.sort_by_key(|row| Reverse(row.history_bytes + row.tombstone_bytes)),
            Self::Objects => rows.sort_by_key(|row| Reverse(row.objects)),
            Self::Records => rows.sort_by_key(|row| Reverse(row.records)),
            Self::Name => rows.sort_by_key(|row| resource_name(&row.group, &row.resource.to_string())),
        }
    }
}
