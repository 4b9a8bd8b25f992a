//! How bbolt cuts a level into nodes.

#![deny(clippy::arithmetic_side_effects)]

use super::node_size::{EntryBytes, MAX_ELEMENTS, node_bytes};

/// Cuts a node that holds all entries in two, and its second part again, as bbolt does when it writes.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a page size"
)]
pub(super) fn split(
    entries: impl ExactSizeIterator<Item = EntryBytes>,
    page_size: u64,
    fill: f64,
) -> Vec<u32> {
    const MIN_KEYS: u64 = 2;
    let threshold = (page_size as f64 * fill) as u64;
    let mut remaining = entries.len() as u64;
    let mut nodes = Vec::new();
    let (mut bytes, mut in_node) = (node_bytes(0), 0u64);
    // entries that were added since the node could last have been closed are known to fit only when they are read:
    // so a node is closed one entry late, as `splitIndex` does
    for entry in entries {
        let own = entry.own();
        let enough_left =
            remaining >= MIN_KEYS && remaining.saturating_add(in_node) > MIN_KEYS.saturating_mul(2);
        let full = enough_left && bytes.saturating_add(own) > threshold;
        if in_node >= MIN_KEYS && (full || in_node >= MAX_ELEMENTS) {
            nodes.push(u32::try_from(in_node).unwrap_or(u32::MAX));
            (bytes, in_node) = (node_bytes(0), 0);
        }
        bytes = bytes.saturating_add(own);
        in_node = in_node.saturating_add(1);
        remaining = remaining.saturating_sub(1);
    }
    if in_node > 0 {
        nodes.push(u32::try_from(in_node).unwrap_or(u32::MAX));
    }
    nodes
}
