//! From a path that a user names to the file to read: a db, a snapshot, or an etcd data dir.

use std::io;
use std::path::{Path, PathBuf};

/// The db of a data dir, below it (`server/storage/datadir/datadir.go`).
const DB_IN_DATA_DIR: &str = "member/snap/db";

/// The db that `path` means: itself, or `member/snap/db` within a data dir (also within `member`, and `snap`).
///
/// # Errors
/// The path does not exist, or is a folder without a db in it.
pub fn resolve(path: &Path) -> io::Result<PathBuf> {
    if !path.metadata()?.is_dir() {
        return Ok(path.to_owned());
    }
    let candidates = [DB_IN_DATA_DIR, "snap/db", "db"].map(|below| path.join(below));
    candidates.into_iter().find(|db| db.is_file()).ok_or_else(|| {
        let message =
            format!("is a folder without {DB_IN_DATA_DIR}: name a db file, a snapshot, or a data dir");
        io::Error::new(io::ErrorKind::NotFound, message)
    })
}
