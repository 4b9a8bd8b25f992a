//! A folder of backups stands for the files in it.

use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::content::folder::begins_as_backup;
use crate::etcd::data_dir;

use super::received::Received;

/// The files of a folder that is no data dir, and the data dirs in it, the oldest first; hidden files are left out. `None`: the path
/// is any other, or a folder with no backup in it, and stands for itself.
pub fn backups_in(path: &Path) -> Option<Vec<PathBuf>> {
    // a data dir without its db is no folder of backups, even if the leader's db lies in it
    if !path.is_dir() || data_dir::resolve(path).is_ok() || Received::beside(path).is_some() {
        return None;
    }
    let entries = fs::read_dir(path).ok()?;
    let mut found: Vec<_> = entries.filter_map(|entry| aged(&entry.ok()?)).collect();
    found.sort();
    let is_backup = |path: &Path| path.is_dir() || begins_as_backup(path);
    let has_one = found.iter().any(|(_, path)| is_backup(path));
    has_one.then(|| found.into_iter().map(|(_, path)| path).collect())
}

/// A file, or a data dir, with the time of its last change.
fn aged(entry: &DirEntry) -> Option<(SystemTime, PathBuf)> {
    let path = entry.path();
    let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
    let metadata = path.metadata().ok()?;
    let is_meant = metadata.is_file() || data_dir::resolve(&path).is_ok();
    (is_meant && !is_hidden).then_some((metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), path))
}
