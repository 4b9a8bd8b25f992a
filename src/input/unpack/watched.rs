//! A stream that somebody else reads, and of which it is known how far.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use super::error::Limit;

/// What was read.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) bytes: Cell<u64>,
    /// Whether the last read met the end.
    pub(super) end: Cell<bool>,
    /// More bytes than this may not be read.
    limit: Cell<Option<u64>>,
}

impl Seen {
    /// Allows so many bytes more; any number, without one.
    pub(super) fn allow(&self, more: Option<u64>) {
        self.limit.set(more.map(|more| self.bytes.get().saturating_add(more)));
    }
}

pub(super) struct Watched<R> {
    input: R,
    seen: Rc<Seen>,
}

impl<R> Watched<R> {
    pub(super) fn new(input: R) -> (Self, Rc<Seen>) {
        let seen = Rc::new(Seen::default());
        (Self { input, seen: Rc::clone(&seen) }, seen)
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        let Seen { bytes, end, limit } = &*self.seen;
        bytes.set(bytes.get().saturating_add(read as u64));
        end.set(read == 0 && !buffer.is_empty());
        if limit.get().is_some_and(|limit| bytes.get() > limit) {
            return Err(Limit::Names.passed());
        }
        Ok(read)
    }
}
