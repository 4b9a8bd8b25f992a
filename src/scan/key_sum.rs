//! What several keys' records add up to.

use super::key_state::KeyState;

/// Keys, and the bytes of their records.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeySum {
    pub objects: u64,
    /// Records of these and of deleted keys.
    pub records: u64,
    /// Bytes of these records' elements, keys and values.
    pub own_bytes: u64,
    /// The same of the newest record of each key that exists.
    pub live_bytes: u64,
    /// Bytes of all records with their share of their leaves.
    pub leaf_bytes: u64,
}

impl KeySum {
    pub fn add(&mut self, key: &KeyState<'_>) {
        if key.is_live() {
            self.objects += 1;
            self.live_bytes += key.newest_own_bytes();
        }
        self.records += u64::from(key.records);
        self.own_bytes += key.own_bytes;
        self.leaf_bytes += key.leaf_bytes;
    }

    /// Adds the keys of another.
    pub fn append(&mut self, more: &Self) {
        self.objects += more.objects;
        self.records += more.records;
        self.own_bytes += more.own_bytes;
        self.live_bytes += more.live_bytes;
        self.leaf_bytes += more.leaf_bytes;
    }

    /// Bytes of all records but the newest of each key that exists.
    pub fn history_bytes(&self) -> u64 {
        self.own_bytes.saturating_sub(self.live_bytes)
    }
}
