//! Whose a file is, and the words that go with that: etcd's own words are for etcd's files only.
//!
//! Every sentence that names the program of a file, or what else may have the data, takes these words from here.

use std::path::Path;

use bytes::Bytes;
use thiserror::Error;

use crate::bolt::bucket::BucketId;
use crate::bolt::lock::Lock;
use crate::bolt::meta::{Meta, MetaError};
use crate::bolt::open::map_file;
use crate::bolt::walk::{Setup, Subtree, walk_in_order};
use crate::bolt::{Db, PageId, probe};
use crate::etcd::data_dir;
use crate::etcd::find::holds_records;
use crate::etcd::schema::KEY_BUCKET;
use crate::units::count;

/// Whose a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Owner {
    /// etcd's: it has a bucket `key`, or records.
    Etcd,
    /// Another program's: it has buckets, and no `key`.
    Other,
    /// That can't be told.
    #[default]
    Unknown,
}

impl Owner {
    /// By the names in the root bucket; where these can't be read, by what lies in the pages.
    pub fn of(db: &Db) -> Self {
        let root = Root::of(db);
        match root {
            Root { has_key_bucket: true, .. } => Self::Etcd,
            Root { is_whole: true, has_buckets: true, .. } => Self::Other,
            _ if holds_records(db) => Self::Etcd,
            Root { has_buckets: true, .. } => Self::Other,
            _ => Self::Unknown,
        }
    }

    /// Where nothing can be read of the file, by its place.
    pub fn at(self, path: &Path) -> Self {
        let is_members = || data_dir::member_folder(path).is_some();
        if self == Self::Unknown && is_members() { Self::Etcd } else { self }
    }

    /// Of these bytes, whatever has become of their metas.
    pub fn of_bytes(data: &Bytes) -> Self {
        let db = Db::new(data.clone()).ok().or_else(|| without_metas(data));
        db.map_or(Self::Unknown, |db| Self::of(&db))
    }

    /// Of the file at this path, which may be in use: nothing more than this is made of what is read.
    pub fn of_file(path: &Path) -> Self {
        let data = map_file(path, Lock::None).map(|mapping| mapping.bytes());
        data.map_or(Self::Unknown, |data| Self::of_bytes(&data)).at(path)
    }

    /// `etcd` where a file is known to be etcd's.
    pub fn is_etcd(self) -> bool {
        self == Self::Etcd
    }

    /// Who reads and writes it.
    pub fn program(self) -> &'static str {
        if self.is_etcd() { "etcd" } else { "the program that owns the file" }
    }

    /// What else may have the data.
    pub fn backup(self) -> &'static str {
        if self.is_etcd() { "a snapshot, or another member's db" } else { "a backup" }
    }

    /// What to know of a copy whose source was not locked.
    pub fn unlocked(self) -> String {
        let program = self.program();
        format!(
            "the source was read without a lock: if {program} was writing to it, stop that and do it again"
        )
    }

    /// What the file's entries are called.
    pub fn entries(self) -> &'static str {
        if self.is_etcd() { "records" } else { "entries" }
    }

    /// So many of them.
    pub fn count_entries(self, number: u64) -> String {
        count(number, if self.is_etcd() { "record" } else { "entry" })
    }
}

/// Why there is nothing to be said of keys and their records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("has no bucket `key`{}", match .0 {
    Owner::Etcd => " that can be read",
    Owner::Other => ", which holds what this is about. `etcd-medic buckets` lists those that it has",
    Owner::Unknown => " that can be read, and nothing of one lies in its pages",
})]
pub struct NoKeys(pub Owner);

/// What the root bucket says.
#[derive(Default)]
struct Root {
    has_key_bucket: bool,
    has_buckets: bool,
    /// Whether it could be read, and has nothing but buckets.
    is_whole: bool,
}

impl Root {
    fn of(db: &Db) -> Self {
        let has_values = |subtree: &mut Subtree<'_, '_>| {
            let mut entries = subtree.filter_map(|node| node.leaf()).flat_map(|leaf| leaf.entries());
            // to its end: what is not walked is not checked
            entries.by_ref().flatten().fold(false, |found, entry| found | !entry.is_bucket())
        };
        let (has_values_anywhere, walked) = walk_in_order(db, Setup::default(), |walker| {
            let mut found = false;
            if let Some(mut walk) = walker.walk_bucket(BucketId::ROOT) {
                while let Some(parts) = walk.next_window(has_values) {
                    found |= parts.contains(&true);
                }
            }
            found
        });
        let mut names =
            walked.buckets.iter().filter(|bucket| bucket.parent.is_some()).map(|bucket| bucket.name);
        let has_buckets = names.clone().next().is_some();
        let has_key_bucket = names.any(|name| name == KEY_BUCKET);
        let is_whole = walked.findings.count == 0 && !has_values_anywhere;
        Self { has_key_bucket, has_buckets, is_whole }
    }
}

/// The pages of a file whose metas are lost.
fn without_metas(data: &Bytes) -> Option<Db> {
    let page_size = probe::page_size_of(data)?;
    let high_water_mark = (data.len() as u64).checked_div(u64::from(page_size))?;
    let meta = Meta { page_size, root: PageId(0), sequence: 0, freelist: None, high_water_mark, txid: 0 };
    Some(Db::assuming(data.clone(), [Err(MetaError::Missing); 2], meta))
}
