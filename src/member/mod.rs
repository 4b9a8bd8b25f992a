//! The log beside a member's db (its WAL), and the head of its `.snap` files: bytes to typed, bounds-checked views.
//!
//! | file | what is in it |
//! |---|---|
//! | [`names`] | which files of `wal/` are segments, and their order |
//! | [`frame`] | a record's bytes within a segment |
//! | [`record`] | records, and the checksum that rolls over all of them |
//! | [`message`], [`conf_change`] | what a record holds: metadata, entry, state, snapshot; a change of the members |
//! | `numbers` | the fields of a message |
//! | [`conf_state`] | who is a member, as raft counts |
//! | [`snap`] | a `.snap` file: its index, term, and members |
//! | [`log`](mod@log) | what a log says: whose it is, how far it goes, who is a member |
//! | [`stretch`] | entries that follow each other |
//! | [`read`](mod@read) | all segments, in order, and the stretches of entries without a gap |
//! | `plain` | segments without trouble, read beside each other |
//! | [`as_etcd`] | the log as an etcd reads it at its start |
//! | [`broken`] | what a repair by etcd cut off, and its copy still holds |
//! | [`write`](mod@write) | a log of one segment, and a `.snap` file, made anew |
//! | [`resync`](mod@resync) | what is sound after a fault |
//! | [`fault`] | what can be wrong |
//!
//! A directory is a set of named files, opened above. What the entries ask for is not known here. The format is the same
//! from etcd 3.4 to 3.8 (`server/storage/wal/{wal,encoder,decoder,util}.go`, `walpb/record.proto`; raft's
//! `raftpb/raft.proto`).

pub mod as_etcd;
pub mod broken;
pub mod conf_change;
pub mod conf_state;
pub mod fault;
pub mod frame;
pub mod log;
pub mod message;
pub mod names;
mod numbers;
mod plain;
pub mod read;
pub mod record;
pub mod resync;
pub mod snap;
pub mod stretch;
pub mod write;

pub use conf_state::ConfState;
pub use fault::{LogFault, LogFaultKind};
pub use log::Log;
pub use read::ReadLog;
pub use stretch::Stretch;
