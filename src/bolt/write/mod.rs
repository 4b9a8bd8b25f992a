//! The writer: a whole file at once, from entries that are ready, in order.
//!
//! | file | what is in it |
//! |---|---|
//! | [`source`] | what is to be written: buckets, and their entries in order |
//! | [`pack`](mod@pack) | where one node ends and the next begins |
//! | `shortest_path`, `bbolt_split` | by the least bytes, and as bbolt does it |
//! | `node_size` | bytes of a node and of its entries |
//! | [`plan`](mod@plan) | every node's page, and so the size of the file, before a byte is written |
//! | [`fill`](mod@fill) | the pages themselves, in parallel |
//!
//! bbolt grows its files page by page, by transactions. Here everything is known beforehand, so each page is written
//! once, full, and where it stays: first the metas, then each bucket's leaves in the order of their keys and the
//! branches over them, a level at a time; buckets before those that hold them.
//!
//! Memory beside the source's own: 2 bytes for each entry of the largest bucket while it is packed, 16 for each node,
//! and a few MiB a thread.

mod bbolt_split;
pub mod fill;
mod node_size;
pub mod pack;
pub mod plan;
mod shortest_path;
pub mod source;

pub use fill::{WriteError, write};
pub use pack::Packing;
pub use plan::{Plan, PlanError, Settings, plan};
pub use source::{BucketSpec, EntrySource, NewEntry, Sizes, ValueSize};
