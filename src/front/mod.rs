//! The front door: what a program that uses this library calls. Everything else is behind it.
//!
//! | file | what is in it |
//! |---|---|
//! | `open` | a path, opened |
//! | `options` | what each question can be told |
//! | `look` | questions about a file: its size, health, content |
//! | `history` | keys at any revision, and those that were deleted |
//! | `mend` | copies: packed, or saved from a damaged file |
//! | `restore` | a member's directory, from a db in any state |

#![warn(missing_docs)]

mod history;
mod look;
mod mend;
mod open;
pub mod options;
mod restore;

pub use history::{KeysError, StoredObject};
pub use mend::{replay_newest, salvage, synth};
pub use open::{open, open_with};
pub use restore::{RestoreSource, restore};
