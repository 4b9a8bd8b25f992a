//! What lies in a member's directory, opened: the db, the log, the snapshots.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::bolt::Db;
use crate::bolt::lock::Lock;
use crate::bolt::open::map_file;
use crate::etcd::data_dir;
use crate::etcd::v2_store::V2Store;
use crate::input::LogFiles;
use crate::member::message::Snapshot;
use crate::member::names::{parse_snap, parse_snap_db};
use crate::member::snap;
use crate::output::folder_of;
use crate::platform::names_in;
use crate::scan::root::RootFault;
use crate::scan::structure;

/// A member's directory.
#[derive(Debug)]
pub struct MemberFiles {
    /// The data dir, as it was named.
    pub named: PathBuf,
    /// The folder `member`.
    pub folder: PathBuf,
    /// The folder of the log, where it is not in the folder `member` (`--wal-dir`).
    pub wal_dir: Option<PathBuf>,
    pub db: DbState,
    /// `None` where there is no segment.
    pub log: Option<LogFiles>,
    /// Whether a name in the folder of the log ends in `.wal`: else etcd takes it for a new member (`wal/util.go`, `Exist`).
    pub has_log: bool,
    /// `.snap` files, the newest first, as etcd sorts them: by name.
    pub snaps: Vec<SnapFile>,
    /// Dbs that a leader sent, by the index of their snapshot.
    pub received: BTreeMap<u64, DbState>,
}

/// A db, as far as it can be opened.
#[derive(Debug)]
pub enum DbState {
    Missing,
    /// The first thing that is wrong.
    Damaged(String),
    Sound(Db),
}

/// A `.snap` file.
#[derive(Debug)]
pub struct SnapFile {
    pub name: String,
    /// `None` where it can't be read: etcd up to 3.6 renames it.
    pub content: Option<(Snapshot, V2Store)>,
}

impl MemberFiles {
    /// Opens what a data dir, or its folder `member`, has. Nothing is locked: the member should be stopped.
    pub fn open(path: &Path) -> Self {
        Self::open_with(path, None)
    }

    /// The same, with the log in this folder.
    pub fn open_with(path: &Path, wal_dir: Option<&Path>) -> Self {
        let member = path.join("member");
        let (named, folder) = match (member.is_dir(), path.file_name()) {
            (true, _) => (path.to_owned(), member),
            (false, Some(name)) if name == "member" => (folder_of(path).to_owned(), path.to_owned()),
            (false, _) => (path.to_owned(), path.to_owned()),
        };
        let snap = folder.join("snap");
        let names = names(&snap);
        let mut snaps: Vec<_> = names.iter().filter(|name| name.ends_with(".snap")).cloned().collect();
        snaps.sort_unstable_by(|a, b| b.cmp(a));
        let received =
            names.iter().filter_map(|name| Some((parse_snap_db(name)?, DbState::open(&snap.join(name)))));
        let wal = wal_dir.map_or_else(|| folder.join("wal"), Path::to_owned);
        let log = match wal_dir {
            Some(wal_dir) => LogFiles::open(path, Some(wal_dir)),
            None => LogFiles::of_folder(&wal),
        };
        Self {
            db: DbState::open(&snap.join(data_dir::DB_NAME)),
            log: log.ok(),
            wal_dir: wal_dir.map(Path::to_owned),
            has_log: self::names(&wal).iter().any(|name| name.ends_with(".wal")),
            snaps: snaps.into_iter().map(|name| SnapFile::open(&snap, name)).collect(),
            received: received.collect(),
            named,
            folder,
        }
    }
}

impl MemberFiles {
    /// The heads of its `.snap` files.
    pub fn heads(&self) -> Vec<Snapshot> {
        self.snaps.iter().filter_map(|file| Some(file.content.as_ref()?.0.clone())).collect()
    }

    /// The folder of its log.
    pub fn wal(&self) -> PathBuf {
        self.wal_dir.clone().unwrap_or_else(|| self.folder.join("wal"))
    }

    /// Whether there is nothing of a member.
    pub fn is_empty(&self) -> bool {
        matches!(self.db, DbState::Missing)
            && !self.has_log
            && self.snaps.is_empty()
            && self.received.is_empty()
    }
}

impl SnapFile {
    fn open(folder: &Path, name: String) -> Self {
        let file = map_file(&folder.join(&name), Lock::None).ok();
        let read = |bytes: &[u8]| {
            let (snapshot, store) = snap::parse_with_store(bytes).ok()?;
            Some((snapshot, V2Store::parse(store).ok()?))
        };
        let content = file.and_then(|file| read(file.as_ref())).filter(|(snapshot, _)| {
            parse_snap(&name).is_none_or(|named| named == (snapshot.term, snapshot.index))
        });
        Self { name, content }
    }
}

impl DbState {
    fn open(path: &Path) -> Self {
        if path.symlink_metadata().is_err() {
            return Self::Missing;
        }
        let opened = map_file(path, Lock::None).map_err(|error| error.to_string());
        let db = opened.and_then(|mapping| Db::of_mapping(mapping).map_err(|error| error.to_string()));
        match db {
            Err(error) => Self::Damaged(error),
            Ok(db) => match first_fault(&db) {
                Some(fault) => Self::Damaged(fault),
                None => Self::Sound(db),
            },
        }
    }
}

fn first_fault(db: &Db) -> Option<String> {
    let ((), whole) = structure::walk(db, 1, crate::bolt::walk::Walker::walk_all);
    let of_trees = whole.findings.first_of_trees.as_ref().map(|fault| fault.in_words());
    of_trees.or_else(|| RootFault::find(db, &whole).map(|fault| fault.to_string()))
}

fn names(folder: &Path) -> Vec<String> {
    let names = names_in(folder).into_iter().flatten().filter_map(Result::ok);
    names.filter_map(|name| name.into_string().ok()).collect()
}
