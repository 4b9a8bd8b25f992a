//! Time travel: any key at any revision that the file still has, and keys that were deleted.
//!
//! | file | what is in it |
//! |---|---|
//! | [`index`] | key → its newest record, in a few bytes a key |
//! | [`keys`] | the keys that exist, and those that can be brought back |
//! | [`history`] | all records of one key |
//! | [`shown`] | one record's value as it is shown: an object, or bytes |
//! | [`export`] | many objects, into a folder or a stream |
//! | [`names`] | a file's name for an object |
//! | [`narrow`] | only what is of a resource or namespace |
//!
//! etcd answers from its tree, and from the compact revision on. Here, what it has dropped is looked for, too
//! ([`crate::etcd::find`]); and each record says where it was found.

pub mod export;
pub mod history;
pub mod index;
pub mod keys;
pub mod names;
pub mod narrow;
pub mod shown;

use std::sync::atomic::{AtomicI64, Ordering};

use thiserror::Error;

use crate::bolt::Db;
use crate::etcd::find::{FoundRecord, Origin, fold_live, for_each_lost};
use crate::etcd::known_revisions::{RevisionError, current_revision, known_revision};
use crate::etcd::schema::State;
use crate::owner::{NoKeys, Owner};

use index::{Index, Sorted};

/// Where records are looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum SearchIn {
    /// What etcd would answer
    #[default]
    Live,
    /// The tree of the meta that is not active: the answer as of one transaction ago
    OlderRoot,
    /// Pages that the active root does not reach: what was deleted and compacted
    Free,
    /// All of these: the newest value that lies anywhere, deleted or not
    Any,
    /// The log of the member, too: whatever its entries made, compacted or not, to its end
    Log,
}

/// Which keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Select<'s> {
    /// This one.
    Key(&'s [u8]),
    /// Those that begin so.
    Prefix(&'s [u8]),
}

impl Select<'_> {
    /// Whether a key is one of them.
    pub fn takes(&self, key: &[u8]) -> bool {
        match self {
            Self::Key(only) => key == *only,
            Self::Prefix(prefix) => key.starts_with(prefix),
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum TravelError {
    /// Nothing of etcd's.
    #[error(transparent)]
    NotEtcd(NoKeys),
    /// No `key` bucket.
    #[error("{}", NoKeys(Owner::Etcd))]
    NoKeyBucket,
    /// No such revision.
    #[error(transparent)]
    Revision(#[from] RevisionError),
    /// Only one of the metas can be read.
    #[error("there is no older root: the meta that is not active is damaged")]
    NoOlderRoot,
}

/// An answer: records of keys that exist, by key, and how it came about.
#[derive(Debug)]
pub struct Answer<'a> {
    /// One record a key, sorted.
    pub found: Sorted<'a>,
    /// The revision that it is of: the current one, unless another was asked for.
    pub revision: i64,
    /// The file's compact revision; -1 where it was never compacted.
    pub compact_revision: i64,
    /// Faults and records that could not be read on the way: the answer may lack something.
    pub unreadable: u64,
}

/// Refuses a file that has nothing of etcd's.
///
/// # Errors
/// [`TravelError::NotEtcd`].
pub fn refuse_others(db: &Db) -> Result<(), TravelError> {
    let owner = Owner::of(db);
    if owner.is_etcd() { Ok(()) } else { Err(TravelError::NotEtcd(NoKeys(owner))) }
}

/// What exists at a revision (`None`: the current one), as this part of the file has it.
///
/// # Errors
/// etcd would refuse that revision, or there is nothing to look at.
pub fn at<'a>(
    db: &'a Db,
    state: &State<'a>,
    from: SearchIn,
    revision: Option<i64>,
    select: Select<'_>,
) -> Result<Answer<'a>, TravelError> {
    match from {
        SearchIn::Live => live(db, db, state, Origin::Live, revision, select),
        SearchIn::OlderRoot => {
            let older = db.at_older_root().ok_or(TravelError::NoOlderRoot)?;
            live(db, &older, &State::read(&older), Origin::OlderRoot, revision, select)
        }
        SearchIn::Free => Ok(puts(db, state, false, revision, select)),
        SearchIn::Any => Ok(puts(db, state, true, revision, select)),
        // the log's records are in a tree by now
        SearchIn::Log => live(db, db, state, Origin::Log, revision, select),
    }
}

/// As etcd answers from this view of the file's tree.
fn live<'a, 'v>(
    db: &'a Db,
    view: &'v Db,
    state: &State<'v>,
    origin: Origin,
    revision: Option<i64>,
    select: Select<'_>,
) -> Result<Answer<'a>, TravelError> {
    let key_bucket = state.key_bucket.ok_or(TravelError::NoKeyBucket)?;
    let compact_revision = state.compact_revision();
    let newest = AtomicI64::new(state.revision_range(view).map_or(0, |(_, last)| last));
    let wanted = |found: &FoundRecord<'v>| {
        newest.fetch_max(found.place.revision.main, Ordering::Relaxed);
        revision.is_none_or(|revision| found.place.revision.main <= revision) && select.takes(found.kv.key)
    };
    let add = |index: &mut Index<'a>, found: FoundRecord<'v>| index.offer(&FoundRecord { origin, ..found });
    let (mut index, unreadable) = fold_live(view, &key_bucket, wanted, || Index::new(db), add);
    let current_revision = current_revision(newest.into_inner(), compact_revision);
    let asked = known_revision(revision.unwrap_or(current_revision), compact_revision, current_revision)?;
    index.drop_tombstones();
    Ok(Answer { found: index.into_sorted(), revision: asked, compact_revision, unreadable })
}

/// The newest values at or below a revision, whether deleted since or not.
fn puts<'a>(
    db: &'a Db,
    state: &State<'a>,
    and_live: bool,
    revision: Option<i64>,
    select: Select<'_>,
) -> Answer<'a> {
    let wanted = |found: &FoundRecord<'_>| {
        !found.place.tombstone
            && revision.is_none_or(|revision| found.place.revision.main <= revision)
            && select.takes(found.kv.key)
    };
    let (mut index, mut unreadable) = (Index::new(db), 0);
    if let Some(key_bucket) = state.key_bucket.filter(|_| and_live) {
        (index, unreadable) =
            fold_live(db, &key_bucket, wanted, || Index::new(db), |index, found| index.offer(&found));
    }
    for_each_lost(db, wanted, |found| index.offer(&found));
    let compact_revision = state.compact_revision();
    let revision = revision.unwrap_or_else(|| state.current_revision(db));
    Answer { found: index.into_sorted(), revision, compact_revision, unreadable }
}
