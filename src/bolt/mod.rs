//! bbolt's file format, and nothing else: bytes to typed, bounds-checked views, and back.
//!
//! | file | what is in it |
//! |---|---|
//! | [`format`](mod@format) | the bytes as they lie on disk |
//! | [`meta`] | the two metas: valid or not, and which is active |
//! | [`page`] | one page, and its elements |
//! | [`db`] | a file in memory: page id to page |
//! | [`lock`] | bbolt's lock on a file |
//! | [`open`] | path to bytes |
//! | [`freelist`] | the stored freelist |
//! | [`claims`] | which pages are taken |
//! | [`walk`] | every node of every bucket, in parallel |
//! | [`bucket`] | which bucket, and its path |
//! | [`entries`] | the entries of one bucket, in order |
//! | [`probe`] | pages in bytes whose metas say nothing |
//! | [`orphan`] | nodes that no tree refers to, wherever they lie |
//! | [`fault`] | what can be wrong |
//! | [`write`](mod@write) | a whole file at once: packing, plan, pages |

pub mod bucket;
pub mod claims;
pub mod db;
pub mod entries;
pub mod fault;
pub mod format;
pub mod freelist;
pub mod lock;
pub mod meta;
pub mod open;
pub mod orphan;
pub mod page;
pub mod probe;
pub mod walk;
pub mod write;

pub use bucket::BucketId;
pub use db::{Db, FormatError};
pub use fault::{Fault, FaultKind};
pub use format::{PageId, PageKind};
