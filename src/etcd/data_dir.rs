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

/// The folder `member` of a data dir whose db is at `db`, by the name that was given as far as possible: it is shown to users. `None`
/// for a file by itself. A db is a member's by its place: `db` in a folder `snap`.
pub fn member_folder(db: &Path) -> Option<PathBuf> {
    // by the name that was given; or, where that is a link to it, by its own
    by_place(db).or_else(|| by_place(&db.canonicalize().ok()?))
}

fn by_place(db: &Path) -> Option<PathBuf> {
    let folder = or_here(db.parent()?);
    let is_db = db.file_name()? == DB_NAME && folder.canonicalize().ok()?.file_name()? == "snap";
    is_db.then(|| above(folder))
}

/// The folder above one, by its name where that says it.
pub fn above(folder: &Path) -> PathBuf {
    // without a `/` at its end, which would look through a link
    let folder: PathBuf = folder.components().collect();
    match folder.parent() {
        // a link has another folder above it than its name says; `..` has no name
        Some(above) if folder.file_name().is_some() && !folder.is_symlink() => or_here(above).to_owned(),
        _ => folder.join(".."),
    }
}

/// A folder; the current one for an empty path.
fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
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
        // as it was named, whatever that is a link to
        let through = folder.path().join("through");
        symlink(folder.path().join("data"), &through).expect("a link");
        assert_eq!(member_folder(&through.join("member/snap/db")), Some(through.join("member")));
        let member = member.canonicalize().expect("a path");
        assert_eq!(member_folder(&member.join("snap/db")), Some(member.clone()));
        assert_eq!(member_folder(&folder.path().join("link")), Some(member.clone()));
        // the db lies elsewhere, but the member has it there
        fs::remove_file(member.join("snap/db")).expect("removed");
        symlink(folder.path().join("db"), member.join("snap/db")).expect("a link");
        assert_eq!(member_folder(&member.join("snap/db")), Some(member.clone()));
        symlink(member.join("snap"), folder.path().join("above")).expect("a link");
        let above = above(&folder.path().join("above/"));
        assert_eq!(above.canonicalize().expect("a path"), member);
        // another name of its folder
        symlink(member.join("snap"), folder.path().join("other")).expect("a link");
        let above = member_folder(&folder.path().join("other/db")).expect("a member");
        assert_eq!(above.canonicalize().expect("a path"), member);
        for other in ["db", "data/member/snap/db.before", "data/member/snap/elsewhere", "nothing/db"] {
            assert_eq!(member_folder(&folder.path().join(other)), None, "{other}");
        }
    }
}
