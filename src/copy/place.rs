//! Where a copy goes.

#![warn(missing_docs)]

use std::path::{Path, PathBuf};

use crate::input::DbFile;
use crate::output::{OutputError, Target};

/// Where a copy goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Destination {
    /// To this path.
    File {
        /// The path.
        path: PathBuf,
        /// Whether to replace the file that has this path.
        force: bool,
    },
    /// To the path of its source.
    InPlace {
        /// Whether to keep the source, under another name.
        keep_old: bool,
    },
    /// To no file: always a dry run.
    Nowhere,
}

impl Destination {
    /// The target of a copy of `source`; `None` for a copy that goes nowhere.
    ///
    /// # Errors
    /// The target is refused: see [`crate::output::target`].
    pub fn target(&self, source: &DbFile) -> Result<Option<Target>, OutputError> {
        match self {
            Self::File { path, force } => Target::new(path, Some(&source.path), *force).map(Some),
            Self::InPlace { .. } if source.packed.is_some() => {
                Err(OutputError::IsPacked(source.path.clone()))
            }
            Self::InPlace { keep_old } => {
                let mapping = source.db.mapping().ok_or(OutputError::NotLocked)?;
                Target::in_place(&source.path, mapping, *keep_old).map(Some)
            }
            Self::Nowhere => Ok(None),
        }
    }

    /// The path of the copy; empty if it goes nowhere.
    #[must_use]
    pub fn path<'p>(&'p self, source: &'p Path) -> &'p Path {
        match self {
            Self::File { path, .. } => path,
            Self::InPlace { .. } => source,
            Self::Nowhere => Path::new(""),
        }
    }

    /// Whether the copy replaces its source.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        matches!(self, Self::InPlace { .. })
    }
}
