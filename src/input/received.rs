//! A db that a member got from its leader, and that etcd has not put in place yet: `<index>.snap.db` beside the db.
//!
//! etcd saves it under this name (`server/etcdserver/api/snap/db.go`, `SaveDBFrom`), and gives it the name `db` at once, or, where it
//! was stopped before that, at its next start. That start comes too late for a db that can't be opened, and 3.5.0 and 3.5.1 fail in it
//! (etcd's issue 13501).

use std::fmt;
use std::path::{Path, PathBuf};

use crate::bolt::Db;
use crate::bolt::lock::Lock;
use crate::bolt::open::map_file;
use crate::bolt::walk::{Setup, Walker, walk};
use crate::content::packing::free_name;
use crate::etcd::data_dir;
use crate::etcd::schema::State;
use crate::member::Log;
use crate::member::log::Segment;
use crate::member::names::parse_snap_db;
use crate::platform::names_in;
use crate::shell::ShellCommand;
use crate::text::shown;
use crate::units::bytes;

use super::log_folder::LogFolder;

/// A received db.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Received {
    path: PathBuf,
    /// The db whose place it is to take.
    db: PathBuf,
    /// Bytes of the file.
    bytes: u64,
    revision: i64,
    /// The last entry of the log that it has the effect of.
    consistent_index: u64,
    /// What can be done with it.
    use_of: Use,
}

/// What can be done with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Use {
    /// It may take the db's place.
    InPlace,
    /// It may be restored, as the log goes on from this entry, which is later.
    Restore(u64),
    /// Not all of its pages can be read.
    Damaged,
}

impl Received {
    /// The latest one beside the db that a path means; whether there is a db does not matter.
    pub fn beside(path: &Path) -> Option<Self> {
        let places = if path.is_dir() { data_dir::places(path).to_vec() } else { vec![path.to_owned()] };
        places.iter().find_map(|db| Self::beside_db(db))
    }

    fn beside_db(db: &Path) -> Option<Self> {
        (db.file_name()? == data_dir::DB_NAME).then_some(())?;
        let folder = db.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let names = names_in(folder).ok()?.filter_map(Result::ok);
        let mut waiting: Vec<_> =
            names.filter_map(|name| Some((parse_snap_db(name.to_str()?)?, name))).collect();
        waiting.sort();
        waiting.iter().rev().find_map(|(_, name)| Self::read(db.with_file_name(name), db))
    }

    /// `None` where it is no db of etcd's.
    fn read(path: PathBuf, db: &Path) -> Option<Self> {
        let found = Db::of_mapping(map_file(&path, Lock::None).ok()?).ok()?;
        let state = State::read(&found);
        state.key_bucket?;
        let newest = state.revision_range(&found).map_or(0, |(_, newest)| newest);
        let consistent_index = state.consistent_index.unwrap_or(0);
        let use_of = match begin_of_log(db) {
            _ if !is_whole(&found) => Use::Damaged,
            Some(begin) if begin > consistent_index => Use::Restore(begin),
            _ => Use::InPlace,
        };
        let revision = newest.max(state.compact_revision());
        let bytes = found.file_size();
        Some(Self { path, db: db.to_owned(), bytes, revision, consistent_index, use_of })
    }

    /// The command that uses it, or shows what is wrong with it.
    pub fn next(&self) -> ShellCommand {
        match self.use_of {
            Use::Damaged => return ShellCommand::new("etcd-medic check").path(&self.path),
            Use::Restore(_) => {
                let restore =
                    ShellCommand::new("etcdutl snapshot restore --skip-hash-check").path(&self.path);
                return restore.and("--data-dir NEW_DATA_DIR");
            }
            Use::InPlace => {}
        }
        let copy = |command: ShellCommand| command.path(&self.path).path(&self.db);
        if self.db.symlink_metadata().is_err() {
            return copy(ShellCommand::new("cp -p"));
        }
        // not into `snap`
        let kept = self.db.parent().and_then(Path::parent).unwrap_or(Path::new(".."));
        let kept = free_name(&kept.join(data_dir::DB_NAME), "damaged");
        copy(ShellCommand::new("mv").path(&self.db).path(&kept).and("&& cp -p"))
    }
}

impl fmt::Display for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.path.file_name().map_or(self.path.as_path(), Path::new);
        write!(
            f,
            "{} beside it is a db that the leader sent and that etcd did not put in place ({}, revision {}, up to entry {} of \
             the log). ",
            shown(name),
            bytes(self.bytes),
            self.revision,
            self.consistent_index
        )?;
        match self.use_of {
            Use::InPlace => {
                f.write_str("It is whole: with etcd stopped, put a copy of it in the db's place:")
            }
            Use::Restore(begin) => write!(
                f,
                "It is whole, but the log goes on from entry {begin}, so etcd does not start with it there: restore from it:"
            ),
            Use::Damaged => f.write_str("It is damaged, too:"),
        }
    }
}

/// The entry after which etcd goes on with the log beside a db: that of its last snapshot record (`server/etcdserver/bootstrap.go`).
fn begin_of_log(db: &Path) -> Option<u64> {
    let LogFolder { segments, .. } = LogFolder::open(&data_dir::member_folder(db)?.join("wal")).ok()?;
    let segments: Vec<_> =
        segments.iter().map(|(name, data)| Segment { name, data: data.as_ref() }).collect();
    let log = Log::read(&segments).ok()?;
    let indices = log.snapshots.iter().map(|snapshot| snapshot.index);
    indices.filter(|&index| index <= log.state.commit).max()
}

fn is_whole(db: &Db) -> bool {
    walk(db, Setup::default(), Walker::walk_all).1.findings.count == 0
}
