//! How every command makes a db: reserve space, write, read again, seal and prove at the same time, rename.
//!
//! | file | what is in it |
//! |---|---|
//! | [`place`] | where the copy goes |
//! | [`layout`] | how it is laid out |
//! | [`make`] | all of it, in order |
//! | [`seal`] | the SHA-256 of a snapshot, and the wait for the disk |
//! | [`proof`] | the copy against the entries that it was made from |
//! | [`error`] | why there is no copy |
//! | [`progress`] | the step, and the bytes that are done |

pub mod error;
pub mod layout;
pub mod make;
pub mod place;
pub mod progress;
pub mod proof;
pub mod seal;

pub use error::CopyError;
pub use layout::{DEFAULT_MAX_NODE_PAGES, Layout};
pub use make::{Copied, Order, file_bytes, make};
pub use place::Destination;
pub use progress::Progress;
pub use proof::Mismatch;
