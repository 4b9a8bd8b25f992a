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
//!   guide               which quota and retention a disk has room for
//!   rewrite             a packed copy of a file, and the proof that nothing was lost
//!   synth               made-up files, the same from the same seed
//!   scan                one pass over the file, on all threads, from which they all are made
//!   k8s                 key → group, resource, namespace, name; value → encoding, kind
//!   etcd                revisions, records, leases, alarms, members, snapshot trailer, data dir
//!   bolt                the file format: pages, buckets, the walk
//! ```
//!
//! Beside these: `source` (a path, opened), `content` (what is no db), `text` and `shell` (what is shown, and what is pasted).

pub mod analyze;
pub mod bolt;
pub mod check;
pub mod cleanup;
pub mod cli;
pub mod content;
pub mod etcd;
pub mod guide;
pub mod hash;
pub mod inspect;
pub mod k8s;
pub mod report;
pub mod rewrite;
pub mod salvage;
pub mod scan;
pub mod shell;
pub mod source;
pub mod status;
pub mod synth;
pub mod text;
pub mod travel;
pub mod units;
