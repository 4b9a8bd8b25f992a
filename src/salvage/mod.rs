//! From a damaged file to one that etcd starts from, with an honest list of what was lost.
//!
//! | file | what is in it |
//! |---|---|
//! | [`open`] | the file's bytes and page size, whatever its metas say |
//! | [`readable`] | what a failing disk still gives |
//! | [`tree`] | one tree in order, and the ranges of keys that are missing |
//! | [`trunk`] | all buckets below one root |
//! | [`orphan`] | leaves wherever they lie |
//! | [`records`] | which records belong to the state that the file held |
//! | [`evidence`] | what shows that a record was removed by a compaction |
//! | [`zeroed`] | pages of zeros in the middle of values |
//! | [`assemble`] | the buckets of the copy |
//! | [`find`](mod@find) | all of these, in order |
//! | [`lost`](mod@lost) | what could not be saved |
//! | [`run`] | the copy written, proved, put in place, and reported |

pub mod assemble;
pub mod evidence;
pub mod find;
pub mod lost;
pub mod open;
pub mod orphan;
pub mod readable;
pub mod records;
pub mod run;
pub mod tree;
pub mod trunk;
pub mod zeroed;
