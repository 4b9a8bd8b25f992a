//! The one road to a new file: reserve its room, write it, read it again, seal it while it is proved, and give it its name.
//! Every command that makes a db takes it.
//!
//! | file | what is in it |
//! |---|---|
//! | [`place`] | where the copy goes |
//! | [`layout`] | how it is laid out |
//! | [`make`] | the road itself |
//! | [`seal`] | the SHA-256 of a snapshot, and the wait for the disk |
//! | [`proof`] | the copy against the entries that it was made from |
//! | [`error`] | why there is no copy |
//! | [`progress`] | what is being done, and how much of it is done |

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
