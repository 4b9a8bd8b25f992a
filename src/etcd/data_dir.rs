//! From a path that a user names to the file to read: a db, a snapshot, or an etcd data dir.

use std::io;
use std::path::{Path, PathBuf};

/// The db of a data dir, below it (`server/storage/datadir/datadir.go`).
const DB_IN_DATA_DIR: &str = "member/snap/db";
/// The name of a member's db.
pub const DB_NAME: &str = "db";

/// Where the db of a data dir may lie below this folder: it may be the data dir, `member`, or `snap`.
pub fn places(folder: &Path) -> [PathBuf; 3] {
    [DB_IN_DATA_DIR, "snap/db", DB_NAME].map(|below| folder.join(below))
}

/// The db that `path` means: itself, or `member/snap/db` within a data dir (also within `member`, and `snap`).
///
/// # Errors
/// The path does not exist, or is a folder without a db in it.
pub fn resolve(path: &Path) -> io::Result<PathBuf> {
    if !path.metadata()?.is_dir() {
        return Ok(path.to_owned());
    }
    places(path).into_iter().find(|db| db.is_file()).ok_or_else(|| {
        let message =
            format!("is a folder without {DB_IN_DATA_DIR}: name a db file, a snapshot, or a data dir");
        io::Error::new(io::ErrorKind::NotFound, message)
    })
}

/// The folder `member` of a data dir whose db is at `db`; `None` for a file by itself. A db is a member's by its place: `db` in
/// a folder `snap`.
pub fn member_folder(db: &Path) -> Option<PathBuf> {
    let folder_of = |path: &Path| {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = parent.unwrap_or(Path::new(".")).canonicalize().ok()?;
        let is_db = path.file_name()? == DB_NAME && folder.file_name()? == "snap";
        folder.parent().filter(|_| is_db).map(Path::to_owned)
    };
    // by the name that was given; or, where that is a link to it, by its own
    folder_of(db).or_else(|| folder_of(&db.canonicalize().ok()?))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_members_db_is_told_by_its_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let member = folder.path().join("data/member");
        fs::create_dir_all(member.join("snap")).expect("a folder");
        fs::write(member.join("snap/db"), "").expect("a file");
        fs::write(folder.path().join("db"), "").expect("a file");
        symlink(member.join("snap/db"), folder.path().join("link")).expect("a link");
        symlink(folder.path().join("db"), member.join("snap/elsewhere")).expect("a link");
        let member = member.canonicalize().expect("a path");
        assert_eq!(member_folder(&member.join("snap/db")), Some(member.clone()));
        assert_eq!(member_folder(&folder.path().join("link")), Some(member.clone()));
        // the db lies elsewhere, but the member has it there
        fs::remove_file(member.join("snap/db")).expect("removed");
        symlink(folder.path().join("db"), member.join("snap/db")).expect("a link");
        assert_eq!(member_folder(&member.join("snap/db")), Some(member.clone()));
        for other in ["db", "data/member/snap/db.before", "data/member/snap/elsewhere", "nothing/db"] {
            assert_eq!(member_folder(&folder.path().join(other)), None, "{other}");
        }
    }
}
