//! A sound, packed copy of a file, and proof that nothing was lost but what was to be.
//!
//! | file | what is in it |
//! |---|---|
//! | [`content`] | what a copy will hold: its buckets, and where each entry lies |
//! | [`changes`] | what a copy leaves out: compaction of revisions, alarms, keys that are given up |
//! | [`guard`] | whether a member's db may be changed where it is |
//! | [`forward`] | a member's db at the end of its log, changed there |
//! | [`verify`](mod@verify) | the copy against its source, entry by entry |
//! | [`request`] | what a defrag is asked to do |
//! | [`defrag`](mod@defrag) | all of it, in order |
//! | [`error`](mod@error) | why there is no copy |
//! | [`notes`] | what the user should know of a copy, beside its figures |
//! | [`outcome`] | what it did, as its report has it |
//! | [`planned`] | what it would hold, by its sizes only |
//! | [`plan`](mod@plan) | the sizes that a defrag would give, without writing |

pub mod changes;
pub mod content;
pub mod defrag;
pub mod error;
pub mod forward;
pub mod guard;
pub mod notes;
pub mod outcome;
pub mod plan;
pub mod planned;
pub mod request;
pub mod verify;

pub use changes::Changes;
pub use content::CopyContent;
pub use defrag::defrag;
