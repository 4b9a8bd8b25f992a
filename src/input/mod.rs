//! What is read: a path becomes bytes, and a refusal says what to do next.
//!
//! | file | what is in it |
//! |---|---|
//! | [`beside`] | the log of a db's member, opened and read whole |
//! | [`received`] | a db from the leader that etcd did not put in place yet |
//! | [`error`] | why a file can't be opened, and the command to go on with |
//! | [`readable`] | what a failing disk still gives of a file |
//! | [`mapped`] | the path resolved, the lock taken, the bytes mapped: every command begins here |
//! | [`log_error`] | why a log can't be read, and the command to go on with |
//! | `log_folder` | the folder of a log, and the one of its snapshots |
//! | [`log_files`] | the files of a member's log |
//! | [`folder`] | the backups in a folder |
//! | [`options`] | how a file is opened |
//! | [`named`] | a file as it was named, for commands that are printed |
//! | [`packed`] | what a db was unpacked from, and the log that came out with it |
//! | [`unpack`] | a packed file's db and log, in files without a name |
//! | [`db_file`] | a sound db, opened; `salvage` opens a damaged one |

pub mod beside;
pub mod db_file;
pub mod error;
pub mod folder;
pub mod log_error;
pub mod log_files;
mod log_folder;
pub mod mapped;
pub mod named;
pub mod options;
pub mod packed;
pub mod readable;
pub mod received;
#[cfg(feature = "packed")]
pub mod unpack;

pub use db_file::DbFile;
pub use error::{Reason, SourceError};
pub use log_files::LogFiles;
pub use options::{OpenOptions, UnpackOptions};
