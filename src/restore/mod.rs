//! A member's directory, made anew from a db: what `etcdutl snapshot restore` makes, a member of a new cluster; or the member that the
//! db is of, with a log that begins at the db.
//!
//! | file | what is in it |
//! |---|---|
//! | [`request`] | what a restore is asked to do |
//! | [`cluster`] | a new cluster: its members, and their ids |
//! | [`kept`] | the member that the db is of, as far as its log and its db tell |
//! | [`plan`] | what the log and the `.snap` will say |
//! | [`rows`] | what becomes of the db's small buckets |
//! | [`write`](mod@write) | the directory |
//! | [`document`] | the report |
//! | [`error`] | why there is no directory |
//! | [`run`] | all of it, in order |

pub mod cluster;
pub mod document;
pub mod error;
pub mod kept;
pub mod plan;
pub mod request;
pub mod rows;
pub mod run;
pub mod write;
