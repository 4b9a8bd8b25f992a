//! A db rolled forward along a log, to its end or to any entry before.
//!
//! What an entry does is etcd's own rule ([`crate::etcd::apply`]); here it is read, counted and written.
//!
//! | file | what is in it |
//! |---|---|
//! | [`request`] | what a replay is asked to do |
//! | [`start`] | a db and a log of its history, read, and the rules that apply |
//! | [`base`] | the db that it begins with |
//! | [`difference`](mod@difference) | what of a record is not what its entry wrote |
//! | [`align`] | which entry made which revision of a db |
//! | [`from_first`](mod@from_first) | a db's records and all entries from the first on |
//! | [`compare`](mod@compare) | whether a db's records are what the entries wrote |
//! | [`candidates`] | the newest of several dbs that fits |
//! | [`beyond`] | whether a db has the effect of more entries than it says |
//! | [`steps`] | the entries one by one, and what became of them |
//! | [`until`] | the entry that it ends with |
//! | [`deletions`] | runs of deletions, to end before one |
//! | [`writer`] | the version whose rules apply, and what they decide |
//! | [`compact`](mod@compact) | what a compaction leaves |
//! | [`small`] | the small buckets after it |
//! | [`content`] | all of it, as a source for the writer of the file |
//! | [`write`](mod@write) | a db of it, written and proved |
//! | [`unfold`](mod@unfold) | a db with all that a log says besides |
//! | [`document`] | the report |
//! | [`error`] | why there is no new db |
//! | [`run`] | all of it, in order |

pub mod align;
pub mod base;
pub mod beyond;
pub mod candidates;
pub mod compact;
pub mod compare;
pub mod content;
pub mod deletions;
pub mod difference;
pub mod document;
pub mod error;
pub mod from_first;
pub mod request;
pub mod run;
pub mod small;
pub mod start;
pub mod steps;
pub mod unfold;
pub mod until;
pub mod write;
pub mod writer;
