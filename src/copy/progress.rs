//! Progress: the step, and the bytes that are done.

#![warn(missing_docs)]

use std::fmt;

/// The steps of a longer work, and the bytes of each.
#[derive(Clone, Copy)]
pub struct Progress<'p> {
    /// Begins a step with this name and this number of bytes.
    pub begin: &'p (dyn Fn(&'static str, u64) + Sync),
    /// Adds to the bytes that are done.
    pub advance: &'p (dyn Fn(u64) + Sync),
}

impl Progress<'static> {
    /// Reports nothing.
    pub const SILENT: Self = Self { begin: &|_, _| {}, advance: &|_| {} };
}

impl Default for Progress<'_> {
    fn default() -> Self {
        Progress::SILENT
    }
}

impl fmt::Debug for Progress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}
