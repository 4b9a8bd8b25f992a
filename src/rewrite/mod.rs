//! A sound, packed copy of a file, and proof that nothing was lost.
//!
//! | file | what is in it |
//! |---|---|
//! | [`content`] | what a file holds: its buckets, and where each entry lies |
//! | [`output`] | a file that appears whole or not at all |
//! | [`place`] | where a copy goes, and what becomes of the file that it replaces |
//! | [`verify`](mod@verify) | the copy against its source, entry by entry |
//! | [`defrag`](mod@defrag) | all of it, in order |
//! | [`plan`](mod@plan) | the sizes that a defrag would give, without writing |

pub mod content;
pub mod defrag;
pub mod output;
pub mod place;
pub mod plan;
pub mod verify;

pub use content::Content;
pub use defrag::defrag;
