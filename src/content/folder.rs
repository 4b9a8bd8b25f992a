//! What lies in a folder that is no data dir: dbs that may have been meant.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::bolt::format::MAGIC;
use crate::content::packing::ArchiveFormat;
use crate::etcd::data_dir;
use crate::platform::names_in;
use crate::text::shown;

/// Entries of a folder that are looked at.
const LOOKED_AT: usize = 1000;
/// Names that are shown.
const SHOWN: usize = 5;

/// A folder without a db where a data dir has it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FolderContent {
    /// The first of its entries, by name.
    names: Vec<PathBuf>,
    /// How many it has, as far as was looked.
    count: usize,
    /// Files in it that begin as a db does, and folders in it that are data dirs.
    pub dbs: Vec<PathBuf>,
}

impl FolderContent {
    /// Looks at a folder.
    pub fn of(path: &Path) -> Self {
        let names = names_in(path).into_iter().flatten().filter_map(Result::ok).take(LOOKED_AT);
        let mut paths: Vec<PathBuf> = names.map(|name| path.join(name)).collect();
        paths.sort();
        let names = paths.iter().take(SHOWN).filter_map(|path| path.file_name().map(PathBuf::from)).collect();
        let dbs = paths.iter().filter(|path| data_dir::resolve(path).is_ok_and(|db| begins_as_db(&db)));
        Self { names, count: paths.len(), dbs: dbs.take(SHOWN).cloned().collect() }
    }

    /// What it holds, in words.
    pub fn words(&self) -> String {
        if self.count == 0 {
            return "it is empty".to_owned();
        }
        let names: Vec<_> = self.names.iter().map(|name| shown(name)).collect();
        let more = if self.count > names.len() { ", …" } else { "" };
        format!("it has {}{more}", names.join(", "))
    }
}

/// Whether a file begins with a bbolt meta; what is no file is not opened.
fn begins_as_db(path: &Path) -> bool {
    start_of(path).get(16..20) == Some(&MAGIC.to_le_bytes())
}

/// Whether a file begins as a db does, or is packed.
pub fn begins_as_backup(path: &Path) -> bool {
    let start = start_of(path);
    start.get(16..20) == Some(&MAGIC.to_le_bytes()) || ArchiveFormat::of(&start).is_some()
}

/// The first bytes of a file: as many as a tar archive's header has.
fn start_of(path: &Path) -> Vec<u8> {
    let mut start = Vec::new();
    if path.metadata().is_ok_and(|metadata| metadata.is_file())
        && let Ok(file) = File::open(path)
    {
        // what can't be read begins as nothing
        let _ = file.take(512).read_to_end(&mut start);
    }
    start
}
