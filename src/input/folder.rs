//! A folder of backups stands for the files in it.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::content::folder::begins_as_backup;
use crate::etcd::data_dir;
use crate::platform::names_in;

use super::received::Received;

/// The files of a folder that is no data dir, and the data dirs in it, the oldest first; hidden files are left out. `None`: the path
/// is any other, or a folder with no backup in it, and stands for itself.
pub fn backups_in(path: &Path) -> Option<Vec<PathBuf>> {
    // a data dir without its db is no folder of backups, even if the leader's db lies in it
    if !path.is_dir() || data_dir::resolve(path).is_ok() || Received::beside(path).is_some() {
        return None;
    }
    let names = names_in(path).ok()?;
    let mut found: Vec<_> = names.filter_map(|name| aged(path.join(name.ok()?))).collect();
    found.sort();
    let is_backup = |path: &Path| path.is_dir() || begins_as_backup(path);
    let has_one = found.iter().any(|(_, path)| is_backup(path));
    has_one.then(|| found.into_iter().map(|(_, path)| path).collect())
}

/// A file, or a data dir, with the time of its last change.
fn aged(path: PathBuf) -> Option<(SystemTime, PathBuf)> {
    let is_hidden = path.file_name()?.as_encoded_bytes().starts_with(b".");
    let metadata = path.metadata().ok()?;
    let is_meant = metadata.is_file() || data_dir::resolve(&path).is_ok();
    (is_meant && !is_hidden).then_some((metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), path))
}
