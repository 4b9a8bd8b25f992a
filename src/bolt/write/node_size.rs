//! Bytes of a node and of its entries.

#![deny(clippy::arithmetic_side_effects)]

use crate::bolt::format::{ELEMENT_SIZE, PAGE_HEADER_SIZE};

/// The most elements of a node: bbolt refuses 0xFFFF and more (`node.go`, `write`).
pub(super) const MAX_ELEMENTS: u64 = 0xFFFE;

/// What one entry adds to its node: bytes of its key, and of key and value together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EntryBytes {
    /// Bytes of the key: what the entry costs the level above, if a node begins with it.
    pub key: u64,
    /// Bytes of key and value.
    pub data: u64,
}

impl EntryBytes {
    pub fn own(self) -> u64 {
        (ELEMENT_SIZE as u64).saturating_add(self.data)
    }
}

/// Bytes of a node whose elements, keys and values take `own`.
pub fn node_bytes(own: u64) -> u64 {
    (PAGE_HEADER_SIZE as u64).saturating_add(own)
}
