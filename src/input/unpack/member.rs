//! The files of members in an archive. As in a member's folder, a file is what its name and the folder above it say.

use std::collections::BTreeMap;

use crate::bolt::open::Mapping;
use crate::etcd::data_dir::DB_NAME;
use crate::input::packed::UnpackedLog;
use crate::member::names::{SegmentName, parse_broken, parse_snap, parse_snap_db};
use crate::member::snap;

use super::error::UnpackError;

/// Bytes of the longest path that is looked at (Linux' `PATH_MAX`).
const MAX_PATH: usize = 4096;
/// Files that are kept of all logs together: each is open as long as it is used, and 1,024 may be open on most systems.
const MAX_FILES: usize = 512;

/// What a file of a member is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum MemberFile<'n> {
    Db,
    /// Another one in the db's folder, which may be a db: sent by the leader, not finished, or kept by somebody.
    BesideDb(&'n str),
    Segment(&'n str),
    Broken(&'n str),
    Snap(u64, u64),
}

/// A file's place in a member's folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct MemberPath<'n> {
    /// The folder of the member's log, or, of a segment, the one that it is in.
    pub(super) wal: String,
    pub(super) file: MemberFile<'n>,
}

impl<'n> MemberPath<'n> {
    /// By the path in the archive; `None` for a file that is no member's.
    pub(super) fn of(path: &'n str) -> Option<Self> {
        if path.len() > MAX_PATH {
            return None;
        }
        let parts = parts(path);
        let (&name, folders) = parts.split_last()?;
        let (file, wal) = if SegmentName::is_taken_for_one(name) {
            (MemberFile::Segment(name), folders.join("/"))
        } else if parse_broken(name).is_some() {
            (MemberFile::Broken(name), folders.join("/"))
        } else {
            let (_, member) = folders.split_last().filter(|(folder, _)| **folder == "snap")?;
            let file = match parse_snap(name) {
                _ if name == DB_NAME => MemberFile::Db,
                Some((term, index)) => MemberFile::Snap(term, index),
                None => MemberFile::BesideDb(name),
            };
            (file, [member, &["wal"]].concat().join("/"))
        };
        Some(Self { wal, file })
    }

    /// Whether it is a file of a log, or belongs to one, whatever its bytes are.
    pub(super) fn is_of_log(&self) -> bool {
        matches!(self.file, MemberFile::Segment(_) | MemberFile::Broken(_) | MemberFile::Snap(..))
    }
}

fn parts(path: &str) -> Vec<&str> {
    path.split(['/', '\\']).filter(|part| !part.is_empty() && *part != ".").collect()
}

/// The log that this file of an archive means: the one beside a db, or the one in a folder.
pub(super) fn log_of(member: &str) -> String {
    match MemberPath::of(member) {
        Some(MemberPath { wal, file: MemberFile::Db }) => wal,
        _ => parts(member).join("/"),
    }
}

/// The logs that were found so far, by their folders.
#[derive(Debug, Default)]
pub(super) struct Logs {
    found: BTreeMap<String, UnpackedLog>,
    num_files: usize,
    /// What could not be read, an archive in the archive or a segment, and why: the first of them.
    unread: Vec<(String, String)>,
}

impl Logs {
    /// Keeps what came out of a file of a log. Of files of one name, the last counts, as where they are unpacked.
    pub(super) fn keep(&mut self, path: MemberPath<'_>, data: Mapping) -> Result<(), UnpackError> {
        self.count()?;
        let log = self.found.entry(path.wal).or_default();
        match path.file {
            MemberFile::Segment(name) => put(&mut log.files, name, data),
            MemberFile::Broken(name) => put(&mut log.broken, name, data),
            MemberFile::Snap(term, index) => {
                log.snaps.retain(|snap| (snap.term, snap.index) != (term, index));
                let head = snap::parse(data.as_ref()).ok();
                log.snaps.extend(head.filter(|head| (head.term, head.index) == (term, index)));
            }
            MemberFile::Db | MemberFile::BesideDb(_) => {}
        }
        Ok(())
    }

    /// Notes a db that the leader sent, by its name.
    pub(super) fn note(&mut self, path: &MemberPath<'_>) -> Result<(), UnpackError> {
        if let MemberFile::BesideDb(name) = path.file
            && let Some(index) = parse_snap_db(name)
        {
            self.count()?;
            self.found.entry(path.wal.clone()).or_default().received.push(index);
        }
        Ok(())
    }

    /// Notes what can't be read.
    pub(super) fn could_not_read(&mut self, name: &str, error: &UnpackError) -> Result<(), UnpackError> {
        if let Some(MemberPath { wal, file: MemberFile::Segment(_) }) = MemberPath::of(name) {
            self.count()?;
            self.found.entry(wal).or_default();
        }
        if self.unread.len() < MAX_FILES && name.len() <= MAX_PATH {
            self.unread.push((name.to_owned(), error.to_string()));
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), UnpackError> {
        self.num_files = self.num_files.saturating_add(1);
        if self.num_files > MAX_FILES { Err(UnpackError::TooManyFiles(MAX_FILES)) } else { Ok(()) }
    }

    /// All of them; and that of this folder, even if there is nothing in it.
    pub(super) fn finish(mut self, folder: Option<String>) -> Vec<UnpackedLog> {
        self.found.extend(
            folder
                .filter(|folder| !self.found.contains_key(folder))
                .map(|folder| (folder, UnpackedLog::default())),
        );
        let unread = self.unread;
        let of = |folder: &str, (name, _): &&(String, String)| match MemberPath::of(name) {
            Some(MemberPath { wal, file: MemberFile::Segment(_) }) => wal == folder,
            Some(_) => false,
            // an archive that it is in
            None => folder.strip_prefix(&parts(name).join("/")).is_some_and(|below| below.starts_with('/')),
        };
        let finished = |(folder, log): (String, UnpackedLog)| {
            let unread = unread.iter().find(|unread| of(&folder, unread)).cloned();
            UnpackedLog { folder, unread, ..log }
        };
        self.found.into_iter().map(finished).collect()
    }
}

fn put(files: &mut Vec<(String, Mapping)>, name: &str, data: Mapping) {
    files.retain(|(other, _)| other != name);
    files.push((name.to_owned(), data));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_member_is_told_by_its_place() {
        use MemberFile::{BesideDb, Broken, Db, Segment, Snap};
        let segment = "0000000000000000-0000000000000000.wal";
        let broken = "0000000000000000-0000000000000000.wal.broken";
        let snap = "0000000000000002-0000000000000065.snap";
        for (path, wal, file) in [
            ("member/snap/db".to_owned(), "member/wal", Db),
            ("./snap/db".to_owned(), "wal", Db),
            ("/var/lib/etcd//member/./snap/db".to_owned(), "var/lib/etcd/member/wal", Db),
            ("m1\\member\\snap\\db".to_owned(), "m1/member/wal", Db),
            ("backup.tar.gz/member/snap/db".to_owned(), "backup.tar.gz/member/wal", Db),
            (format!("m1/member/wal/{segment}"), "m1/member/wal", Segment(segment)),
            (segment.to_owned(), "", Segment(segment)),
            ("a/other.wal".to_owned(), "a", Segment("other.wal")),
            (format!("wal/{broken}"), "wal", Broken(broken)),
            (format!("snap/{snap}"), "wal", Snap(2, 101)),
            ("snap/0000000000000065.snap.db".to_owned(), "wal", BesideDb("0000000000000065.snap.db")),
            ("snap/db.tmp.1".to_owned(), "wal", BesideDb("db.tmp.1")),
        ] {
            assert_eq!(MemberPath::of(&path), Some(MemberPath { wal: wal.to_owned(), file }), "{path}");
        }
        let long = format!("{}snap/db", "a/".repeat(2100));
        for path in ["db", "member/db", "wal/0.tmp", "snapshots/db", "", "/", &long] {
            assert_eq!(MemberPath::of(path), None, "{path}");
        }
        assert_eq!(log_of("m1/member/snap/db"), "m1/member/wal");
        assert_eq!(log_of("./m1/member/wal/"), "m1/member/wal");
    }
}
