//! Entries that no file has, one after the other.

use std::sync::OnceLock;

use crate::bolt::page::Entry;

/// Entries that no file has.
#[derive(Debug, Default)]
pub struct Encoded {
    bytes: Vec<u8>,
    /// Where the key of each ends, and where its value does.
    ends: Vec<(usize, usize)>,
}

impl Encoded {
    pub fn push(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(key);
        let end_of_key = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.ends.push((end_of_key, self.bytes.len()));
    }

    /// The entries, in their order, in a arena that is empty yet.
    pub fn entries(self, arena: &OnceLock<Vec<u8>>) -> Vec<Entry<'_>> {
        let bytes = arena.get_or_init(|| self.bytes);
        let mut start = 0;
        let entry = |(end_of_key, end): (usize, usize)| {
            let (key, value) = (bytes.get(start..end_of_key)?, bytes.get(end_of_key..end)?);
            start = end;
            Some(Entry { flags: 0, key, value, start: 0 })
        };
        self.ends.into_iter().filter_map(entry).collect()
    }
}
