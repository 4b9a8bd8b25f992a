//! Entries that follow each other.

#![deny(clippy::arithmetic_side_effects)]

use super::log::Entries;
use super::message::RaftEntry;

/// Entries that follow each other, with their messages.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stretch<'a> {
    pub(super) entries: Entries,
    /// The message of each entry.
    pub(super) messages: Vec<&'a [u8]>,
}

impl<'a> Stretch<'a> {
    /// The index of the first entry; 0 for none.
    pub fn first_index(&self) -> u64 {
        self.entries.first
    }

    /// The index of the last entry.
    pub fn last_index(&self) -> u64 {
        self.entries.last
    }

    /// An entry; `None` for one that is not in the stretch.
    pub fn entry(&self, index: u64) -> Option<RaftEntry<'a>> {
        let at = usize::try_from(index.checked_sub(self.entries.first)?).ok()?;
        RaftEntry::parse(self.messages.get(at)?).ok()
    }

    /// The term of an entry.
    pub fn term_at(&self, index: u64) -> Option<u64> {
        self.entries.term_at(index)
    }

    /// Its entries, in order.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = RaftEntry<'a>> {
        self.messages.iter().filter_map(|message| RaftEntry::parse(message).ok())
    }

    /// Its entries from an index on, in order.
    pub fn entries_from(&self, index: u64) -> impl Iterator<Item = RaftEntry<'a>> {
        let before = usize::try_from(index.saturating_sub(self.entries.first)).unwrap_or(usize::MAX);
        let messages = self.messages.get(before..).unwrap_or_default();
        messages.iter().filter_map(|message| RaftEntry::parse(message).ok())
    }

    /// The messages of its entries, in order.
    pub fn messages(&self) -> &[&'a [u8]] {
        &self.messages
    }

    pub(super) fn extend(&mut self, messages: Vec<&'a [u8]>) {
        if self.messages.is_empty() {
            self.messages = messages;
        } else {
            self.messages.extend(messages);
        }
    }

    /// Begins with an entry.
    pub(super) fn begin(entry: &RaftEntry<'_>, message: &'a [u8]) -> Option<Self> {
        let mut begun = Self::default();
        begun.entries.take(entry, 0, true).ok()?;
        begun.push(entry.index, message);
        Some(begun)
    }

    /// Takes an entry that follows the last one, or replaces one of them; says whether it does.
    pub(super) fn goes_on(&mut self, entry: &RaftEntry<'_>, message: &'a [u8]) -> bool {
        let goes_on = self.entries.take(entry, 0, false).is_ok();
        if goes_on {
            self.push(entry.index, message);
        }
        goes_on
    }

    pub(super) fn push(&mut self, index: u64, message: &'a [u8]) {
        let before = index.saturating_sub(self.entries.first);
        self.messages.truncate(usize::try_from(before).unwrap_or(usize::MAX));
        push_message(&mut self.messages, message);
    }
}

/// Adds a message. The list grows by an eighth, not to its double: small entries take little more in a log than here.
pub(super) fn push_message<'a>(messages: &mut Vec<&'a [u8]>, message: &'a [u8]) {
    if messages.len() == messages.capacity() {
        messages.reserve_exact((messages.len() / 8).saturating_add(16));
    }
    messages.push(message);
}
