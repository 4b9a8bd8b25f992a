//! A folder of backups stands for the files in it.

use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::etcd::data_dir;

/// The files of a folder that is no data dir, and the data dirs in it, the oldest first; hidden files are left out. Any other path
/// stands for itself, and so does a folder with nothing in it.
pub fn backups_in(path: &Path) -> Vec<PathBuf> {
    let alone = || vec![path.to_owned()];
    if !path.is_dir() || data_dir::resolve(path).is_ok() {
        return alone();
    }
    let Ok(entries) = fs::read_dir(path) else { return alone() };
    let mut found: Vec<_> = entries.filter_map(|entry| aged(&entry.ok()?)).collect();
    found.sort();
    if found.is_empty() { alone() } else { found.into_iter().map(|(_, path)| path).collect() }
}

/// A file, or a data dir, with the time of its last change.
fn aged(entry: &DirEntry) -> Option<(SystemTime, PathBuf)> {
    let path = entry.path();
    let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
    let metadata = path.metadata().ok()?;
    let is_meant = metadata.is_file() || data_dir::resolve(&path).is_ok();
    (is_meant && !is_hidden).then_some((metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), path))
}
