//! From a damaged file to one that etcd starts from, with an honest list of what was lost.
//!
//! Leaves that no root reaches come from [`crate::bolt::orphan`]. Each file uses only files above it:
//!
//! | file | what is in it |
//! |---|---|
//! | [`request`] | what a salvage is asked to do |
//! | [`open`] | the file's pages and metas, also where no meta is valid |
//! | [`gaps`] | ranges of keys that are missing |
//! | [`tree`] | one tree in order, and its gaps |
//! | [`trunk`] | all buckets below one root |
//! | [`forest`] | nodes that no root reaches, as trees |
//! | [`zeroed`] | pages of zeros in the middle of values |
//! | [`kinds`] | which small bucket of etcd's an entry belongs to |
//! | [`found`] | a record, and where it was found |
//! | [`evidence`] | what shows that a compaction removed a record |
//! | [`records`] | which records belong to the state that the file held |
//! | [`roots`] | the roots of the metas, and roots that no meta leads to |
//! | [`saved_bucket`] | one bucket of the copy |
//! | [`assemble`] | the buckets of several roots merged, and the source for the writer |
//! | [`derive`](mod@derive) | what of the `meta` bucket follows from the rest |
//! | [`unreached`] | trees of which nothing shows the bucket |
//! | [`leases`] | what shows that a lease still existed |
//! | [`small`] | small buckets, completed from leaves that no root reaches |
//! | [`others`] | the same for buckets of other programs |
//! | [`finds`] | all that was found |
//! | [`decide`](mod@decide) | what of it belongs to the copy |
//! | [`find`](mod@find) | the search: roots, leaves, decision |
//! | [`covered`](mod@covered) | what the log of the member says of records |
//! | [`encoded`] | entries that no file has |
//! | [`log_records`] | records that come from the log |
//! | [`log_buckets`] | small buckets that do |
//! | [`log_use`] | what is said of it |
//! | [`from_log`] | what was found, completed from the log |
//! | [`lost`](mod@lost) | what could not be saved |
//! | [`lacks`](mod@lacks) | what the copy lacks besides records, and what that means |
//! | [`restore`](mod@restore) | how etcd starts from the copy |
//! | `notes` | warnings |
//! | [`document`] | the report |
//! | `summary` | how the report is made |
//! | [`error`] | why nothing was saved |
//! | [`run`] | all of it, in order |

#![deny(clippy::arithmetic_side_effects)]

pub mod assemble;
pub mod covered;
pub mod decide;
pub mod derive;
pub mod document;
pub mod encoded;
pub mod error;
pub mod evidence;
pub mod find;
pub mod finds;
pub mod forest;
pub mod found;
pub mod from_log;
pub mod gaps;
pub mod kinds;
pub mod lacks;
pub mod leases;
pub mod log_buckets;
pub mod log_records;
pub mod log_use;
pub mod lost;
mod notes;
pub mod open;
pub mod others;
pub mod records;
pub mod request;
pub mod restore;
pub mod roots;
pub mod run;
pub mod saved_bucket;
pub mod small;
mod summary;
pub mod tree;
pub mod trunk;
pub mod unreached;
pub mod zeroed;
