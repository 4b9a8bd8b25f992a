//! Reads etcd's database file without etcd: says where every byte went, and what is wrong with it.
//!
//! The library behind the program `etcd-medic`. It never prints, and never writes to what it reads. Arrows point
//! down only:
//!
//! ```text
//!   cli                 arguments, exit codes; the only one that prints
//!   report              one result, as text and as JSON
//!   inspect  status  check  hash  analyze  cleanup    results: plain structs that serialise
//!   travel              keys at any revision, and those that were deleted
//!   clock               the file's own time
//!   filter              what a user names, and the nearest names where a file has no such one
//!   guide               which quota and retention a disk has room for
//!   rewrite             a packed copy of a file, and the proof that nothing was lost
//!   synth               made-up files, the same from the same seed
//!   copy                the one road to a new file: place, write, seal, prove
//!   output              files that appear whole or not at all, and what they may replace
//!   scan                one pass over the file, on all threads, from which they all are made
//!   k8s                 key → group, resource, namespace, name; value → encoding, kind
//!   etcd                revisions, records, leases, alarms, members, snapshot trailer, data dir
//!   member              the log beside the db: segments, frames, records, entries, config changes
//!   bolt                the file format: pages, buckets, the walk
//! ```
//!
//! Used by several: `source` (a path, opened), `owner` (whose a file is, and the words for that), `beside` (the log of its member),
//! `received` (a db that waits beside it), `processes` (who else has a file), `content` (what is no db), `protobuf` (the fields of a message), `text` and `shell` (what is
//! shown, and what is pasted), `units`.

pub mod analyze;
pub mod beside;
pub mod bolt;
pub mod check;
pub mod cleanup;
#[cfg(feature = "cli")]
pub mod cli;
pub mod clock;
pub mod content;
pub mod copy;
#[cfg(test)]
mod described;
pub mod etcd;
pub mod filter;
pub mod guide;
pub mod hash;
pub mod inspect;
pub mod k8s;
pub mod member;
pub mod output;
pub mod owner;
mod processes;
pub mod protobuf;
pub mod received;
#[cfg(feature = "cli")]
pub mod report;
pub mod rewrite;
pub mod salvage;
pub mod scan;
pub mod shell;
pub mod source;
pub mod status;
pub mod synth;
pub mod text;
mod top_n;
pub mod travel;
pub mod units;
