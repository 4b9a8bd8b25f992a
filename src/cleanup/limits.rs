//! From where on something counts as garbage.

#![warn(missing_docs)]

use serde::Serialize;

/// The options.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GarbageLimits {
    /// Events seen last longer ago than this are old, in seconds.
    pub event_age_seconds: u64,
    /// Lease objects not renewed for longer than this are stale, in seconds.
    pub lease_age_seconds: u64,
    /// ConfigMaps and Secrets of this size and more are large.
    pub large_bytes: u64,
    /// Resources of this many objects and more are a flood, whatever their size.
    pub flood_objects: u64,
}

impl Default for GarbageLimits {
    fn default() -> Self {
        Self {
            event_age_seconds: 3600,
            lease_age_seconds: 86400,
            large_bytes: 256 << 10,
            flood_objects: 10_000,
        }
    }
}
