//! Files that appear whole or not at all, and the rules for what they may replace. Every command that writes uses this.
//!
//! A file is written under a temporary name and takes its own name when it is finished: see [`commit`]. Whatever goes wrong
//! before, the temporary file is removed and the target is as it was. Whatever goes wrong after, nothing is undone.
//!
//! | file | what is in it |
//! |---|---|
//! | [`folder`] | a folder that is open |
//! | [`target`] | where a file goes, and which targets are refused |
//! | [`directory`] | a folder of files in the making |
//! | [`in_place`] | the target of a copy that replaces its source |
//! | [`unfinished`] | a file in the making, and how a signal removes it |
//! | [`commit`] | the file gets its name; the old file is kept or removed |
//! | [`error`] | what can go wrong |

pub mod commit;
pub mod directory;
pub mod error;
pub mod folder;
pub mod in_place;
pub mod target;
pub mod unfinished;

pub use directory::Directory;
pub use error::OutputError;
pub use folder::Folder;
pub use target::Target;
pub use unfinished::{Ending, Output, done, end, end_within, is_done};

use std::path::Path;

/// The folder that a path lies in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
