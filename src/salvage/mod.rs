//! From a damaged file to one that etcd starts from, with an honest list of what was lost.
//!
//! Leaves that no root reaches come from [`crate::bolt::orphan`].
//!
//! | file | what is in it |
//! |---|---|
//! | [`open`] | the file's bytes and page size, whatever its metas say |
//! | [`readable`] | what a failing disk still gives |
//! | [`tree`] | one tree in order, and the ranges of keys that are missing |
//! | [`trunk`] | all buckets below one root |
//! | [`forest`] | nodes that no root reaches, as trees |
//! | [`roots`] | the roots of the metas, and roots that no meta leads to |
//! | [`records`] | which records belong to the state that the file held |
//! | [`evidence`] | what shows that a record was removed by a compaction |
//! | [`zeroed`] | pages of zeros in the middle of values |
//! | [`assemble`] | the buckets of the copy |
//! | [`kinds`] | which small bucket of etcd's an entry is of |
//! | [`small`] | small buckets, completed from leaves that no root reaches |
//! | [`leases`] | what shows that a lease was still there |
//! | [`others`] | the same for other programs' buckets |
//! | [`unreached`] | what nothing tells the bucket of |
//! | [`derive`](mod@derive) | what of the `meta` bucket follows from the rest |
//! | [`decide`](mod@decide) | what of all that was in the state that the file held |
//! | [`find`](mod@find) | all of these, in order |
//! | [`lost`](mod@lost) | what could not be saved |
//! | [`lacks`](mod@lacks) | what the copy lacks besides records, and what that opens up |
//! | [`restore`](mod@restore) | how etcd starts from the copy |
//! | `whole` | whether all that the file held is in the copy |
//! | `notes` | what the user should know |
//! | [`document`] | what is said of all that |
//! | `summary` | how that is made |
//! | [`error`] | why nothing was saved |
//! | [`run`] | all of it, in order |

pub mod assemble;
pub mod decide;
pub mod derive;
pub mod document;
pub mod error;
pub mod evidence;
pub mod find;
pub mod forest;
pub mod kinds;
pub mod lacks;
pub mod leases;
pub mod lost;
mod notes;
pub mod open;
pub mod others;
pub mod readable;
pub mod records;
pub mod restore;
pub mod roots;
pub mod run;
pub mod small;
mod summary;
pub mod tree;
pub mod trunk;
pub mod unreached;
mod whole;
pub mod zeroed;
