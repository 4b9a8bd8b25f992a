//! The target of a copy that replaces its source.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bolt::lock::Lock;
use crate::bolt::open::Mapping;
use crate::platform::Facts;

use super::target::{Purpose, Replaced, Target};
use super::{Folder, OutputError, folder_of};

impl Target {
    /// The target of a copy that replaces its source, the file at `path`. For a file that was opened under a shared lock, as is
    /// enough for a dry run, the copy can't be begun.
    ///
    /// # Errors
    /// The source has no lock; it is not what has this name any more, or another process is about to write to it.
    pub fn in_place(path: &Path, source: &Mapping, keep_old: bool) -> Result<Self, OutputError> {
        if source.lock() == Lock::None {
            return Err(OutputError::NotLocked);
        }
        let path = real_path(path)?;
        let folder = Arc::new(Folder::open(folder_of(&path))?);
        let name = path.file_name().unwrap_or_default().to_owned();
        let made_in = beside_snap(&folder)?.map_or_else(|| Arc::clone(&folder), Arc::new);
        let file = source.locked_file();
        let was = Facts::of(&file).map_err(OutputError::io(&path))?;
        let replaced = Replaced { file, was, exclusive: source.lock() == Lock::Exclusive };
        replaced.look(&folder, &name, &path)?;
        let purpose = if keep_old { Purpose::InPlace } else { Purpose::InsteadOf };
        Ok(Self { path, folder, name, made_in, replaced: Some(replaced), purpose })
    }
}

/// The file that a link leads to: that file is replaced and kept, and the link still leads to it.
fn real_path(path: &Path) -> Result<PathBuf, OutputError> {
    if path.is_symlink() { path.canonicalize().map_err(OutputError::io(path)) } else { Ok(path.to_owned()) }
}

/// The folder above etcd's `snap`, in which etcd warns about unknown files, unless that is another file system.
fn beside_snap(folder: &Folder) -> Result<Option<Folder>, OutputError> {
    let path = folder.path();
    let is_snap = |path: &Path| path.file_name() == Some(OsStr::new("snap"));
    let beside = if is_snap(path) {
        folder_of(path).to_owned()
    } else {
        // `db` alone, or `./db`, in the folder of this name
        match path.canonicalize() {
            Ok(path) if is_snap(&path) => folder_of(&path).to_owned(),
            _ => return Ok(None),
        }
    };
    let beside = Folder::open(&beside)?;
    Ok(if beside.is_beside(folder)? { Some(beside) } else { None })
}

/// Names for the old file: `db.before-defrag`, then numbered ones.
pub(super) fn names_of_old(name: &OsStr) -> impl Iterator<Item = OsString> + '_ {
    let numbers = std::iter::once(String::new()).chain((2u32..).map(|number| format!("-{number}")));
    numbers.map(move |number| {
        let mut old = name.to_owned();
        old.push(format!(".before-defrag{number}"));
        old
    })
}
