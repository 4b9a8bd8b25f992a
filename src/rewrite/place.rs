//! Where a copy is made, where it goes, and what becomes of the file that it replaces.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::bolt::open::{Lock, Mapping, OpenError, map_file};
use crate::source::Source;
use crate::text::shown;

use super::defrag::{DefragError, Destination};
use super::output::{self, Output, OutputError, folder_of};

/// Where the copy is made, and where it goes.
#[derive(Debug)]
pub struct Place {
    /// The name that it gets.
    pub target: PathBuf,
    /// Where it is made: in the target's folder, but for the db of a data dir.
    pub folder: PathBuf,
    replace: bool,
    /// Where the source goes, if the copy takes its place.
    old: Option<PathBuf>,
    /// The file that is to be replaced, under bbolt's lock.
    replaced: Option<Mapping>,
}

impl Place {
    /// Looks at the place, and refuses one that can't be written to.
    ///
    /// # Errors
    /// See [`OutputError`]; somebody has the file open that would be replaced.
    pub fn of(source: &Source, destination: &Destination) -> Result<Self, DefragError> {
        match destination {
            Destination::File { path, force } => {
                output::check_target(path, Some(&source.path), *force)?;
                let folder = folder_of(path).to_owned();
                let replaced = match map_file(path, Lock::Shared) {
                    Ok(replaced) => Some(replaced),
                    Err(OpenError::Locked { holder }) => {
                        let who = holder.unwrap_or_else(|| "another process".to_owned());
                        return Err(DefragError::TargetInUse { path: shown(path).into_owned(), who });
                    }
                    // not there, or nothing that bbolt could have locked
                    Err(_) => None,
                };
                Ok(Self { target: path.clone(), folder, replace: *force, old: None, replaced })
            }
            Destination::InPlace { .. } if source.read_without_lock => Err(DefragError::InPlaceWithoutLock),
            Destination::InPlace { keep_old } => {
                let target = real_path(&source.path)?;
                let folder = beside(&target);
                let old = keep_old.then(|| free_name(&folder, &target));
                let replaced = source.db.mapping().cloned();
                Ok(Self { target, folder, replace: true, old, replaced })
            }
        }
    }

    /// Gives the finished copy its name, and the old file its own, which comes back. At no moment is there no whole file
    /// of the target's name.
    ///
    /// # Errors
    /// The operating system's; somebody waits for the file that would be replaced.
    pub fn put(&self, output: Output) -> Result<Option<&Path>, DefragError> {
        if let Some(old) = &self.old {
            fs::hard_link(&self.target, old).map_err(OutputError::io(old))?;
            output::sync_folder(folder_of(old))?;
        }
        // looked for last of all, as an etcd may be started at any moment
        let put = match self.replaced.as_ref().and_then(Mapping::waiting_for_lock) {
            Some(who) => Err(DefragError::Awaited { path: shown(&self.target).into_owned(), who }),
            None => output.finish(&self.target, self.replace).map_err(DefragError::from),
        };
        put.inspect_err(|_| {
            // the source still has its own name: a second one would only puzzle
            self.old.iter().for_each(|old| drop(fs::remove_file(old)));
        })?;
        Ok(self.old.as_deref())
    }
}

/// What a link leads to: it is that file which is replaced and kept, where it lies, and the link goes on leading to it.
fn real_path(path: &Path) -> Result<PathBuf, OutputError> {
    if path.is_symlink() { path.canonicalize().map_err(OutputError::io(path)) } else { Ok(path.to_owned()) }
}

/// The folder in which to make what replaces a db: beside `snap`, as etcd warns of strangers within, unless that is
/// another file system.
fn beside(db: &Path) -> PathBuf {
    let snap = folder_of(db);
    let device = |folder: &Path| folder.metadata().map(|metadata| metadata.dev()).ok();
    let member = snap.parent().filter(|_| snap.file_name().is_some_and(|name| name == "snap"));
    member.filter(|member| device(member) == device(snap)).unwrap_or(snap).to_owned()
}

/// A name for the old file that no file has.
fn free_name(folder: &Path, db: &Path) -> PathBuf {
    let name = db.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let numbers = std::iter::once(String::new()).chain((2u32..).map(|number| format!("-{number}")));
    let mut names = numbers.map(|number| folder.join(format!("{name}.before-defrag{number}")));
    names.find(|path| path.symlink_metadata().is_err()).unwrap_or_else(|| folder.join(format!("{name}.old")))
}
