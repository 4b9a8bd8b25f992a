//! Packed files: backups as they are kept, read as they are.
//!
//! | file | what is in it |
//! |---|---|
//! | [`forms`] | each form, on each command: the same answer as unpacked |
//! | [`hostile`] | what is cut off, damaged, made to do harm, or no db at all: a message, and nothing is left |
//! | [`killed`] | ended by a signal while it unpacks: nothing is left |
//! | [`logs`] | archives with several logs, with a part of one, and made to do harm |
//! | [`members`] | the folders of members, log and all |
//! | [`memory`] | no more than a format's window and 16 MiB is held in memory |
//! | [`options`] | options that cannot apply are refused |
//! | [`sizes`] | the sizes that packed files state |

#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod forms;
mod hostile;
mod killed;
mod logs;
mod members;
mod memory;
mod options;
mod sizes;
