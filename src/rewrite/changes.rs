//! What a copy leaves out of its source, and what it has instead: the rules that the writer applies to each entry, and the proof
//! again.
//!
//! | bucket | what changes |
//! |---|---|
//! | `key` | records that a compaction drops; keys under a prefix, if the user gave them up |
//! | `meta` | `scheduledCompactRev` and `finishedCompactRev` say the compaction's revision |
//! | `alarm` | alarms that are disarmed |
//!
//! A compaction is etcd's (`server/storage/mvcc/kvstore_compaction.go`, `scheduleCompaction`): [`Kept`] has its rule. The
//! marks are those of `kvstore.go`, `updateCompactRev`, and `kvstore_compaction.go`. Leases stay, as etcd leaves them: one
//! without keys just runs out.

#![warn(missing_docs)]

use prost::Message;
use serde::Serialize;
use thiserror::Error;

use crate::bolt::Db;
use crate::bolt::bucket::{Bucket, BucketId};
use crate::bolt::entries::{End, outermost_entry};
use crate::bolt::page::Entry;
use crate::etcd::known_revisions::{RevisionError, known_revision};
use crate::etcd::schema::{Alarm, FINISHED_COMPACT, KEY_BUCKET, META_BUCKET, SCHEDULED_COMPACT, State};
use crate::etcd::{Kept, KeyValue, RecordKey, Revision};

/// How much history a copy is to keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum History {
    /// All of it: nothing is compacted.
    #[default]
    All,
    /// What a compaction to this revision leaves.
    CompactTo(i64),
    /// What a compaction to the current revision leaves.
    Current,
    /// The newest N revisions, as etcd's `--auto-compaction-mode=revision --auto-compaction-retention=N` does.
    Newest(u64),
}

/// An alarm that can be disarmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum AlarmKind {
    /// The quota was passed
    Nospace,
    /// Members differ: to be disarmed only once the odd one was replaced
    Corrupt,
}

impl AlarmKind {
    /// etcd's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nospace => "NOSPACE",
            Self::Corrupt => "CORRUPT",
        }
    }
}

/// What the user wants changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Wish {
    /// How much history stays.
    pub history: History,
    /// Alarms to be disarmed.
    pub disarm: Vec<AlarmKind>,
    /// Keys to be left out: all that begin with one of these.
    pub drop_prefixes: Vec<Vec<u8>>,
    /// How many keys the user knows to be left out.
    pub confirmed_keys: Option<u64>,
    /// Whether the user does the same to every member of the cluster.
    pub every_member: bool,
    /// Whether the user knows that it is the only member of its cluster.
    pub only_member: bool,
}

impl Wish {
    /// Whether the copy would hold all that its source holds.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.history == History::All && self.disarm.is_empty() && self.drop_prefixes.is_empty()
    }
}

/// What can't be changed as it was asked for.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ChangeError {
    /// Another program's file.
    #[error("has no bucket `key`, whose content these options change: leave them out")]
    NotEtcd,
    /// No such revision.
    #[error(transparent)]
    Revision(#[from] RevisionError),
    /// A record without a readable key.
    #[error(
        "byte {offset} of the file: an entry of the bucket key is no record with a readable key, so a compaction would \
         drop it unseen: see `etcd-medic check`; without a compaction, it is copied as it is"
    )]
    Unplaced {
        /// Its place in the file.
        offset: u64,
    },
    /// No place for the marks of a compaction.
    #[error(
        "has no bucket meta, in which a compaction is recorded: etcd would not start from it either; see `etcd-medic check`"
    )]
    NoMeta,
    /// Watchers from an older revision would never learn that keys were left out.
    #[error(
        "keys can be left out only of a copy that is compacted to the current revision: whoever watches from an older one would \
         never learn that they are gone"
    )]
    DropNeedsCompaction,
    /// The empty prefix is a prefix of every key.
    #[error("with an empty prefix, every key would go")]
    EmptyPrefix,
}

/// What a copy leaves out of its source, and what it has instead.
#[derive(Debug, Default)]
pub struct Changes<'a> {
    compaction: Option<i64>,
    kept: Option<Kept<'a>>,
    disarm: Vec<AlarmKind>,
    drop_prefixes: Vec<Vec<u8>>,
}

/// What becomes of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict<'a> {
    /// It stays.
    Stays,
    /// An older revision that the compaction drops.
    Superseded,
    /// A deletion that the compaction drops.
    Tombstone,
    /// It belongs to a key, this one, that is left out.
    LeftOut(&'a [u8]),
}

/// How far a db is in its history, and how much of it is left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Revisions {
    /// The current revision.
    pub current: i64,
    /// The compact revision; -1 for none.
    pub compact: i64,
    /// Whether the last compaction was cut short.
    pub unfinished: bool,
}

impl Revisions {
    /// Of a file.
    pub fn of(db: &Db, state: &State<'_>) -> Self {
        Self {
            current: state.current_revision(db),
            compact: state.compact_revision(),
            unfinished: state.scheduled_compact_revision > state.finished_compact_revision,
        }
    }

    /// The revision to which they are compacted, where they are.
    ///
    /// A compaction that was cut short is finished with one that keeps more than it: below its revision, etcd has given up
    /// history already.
    ///
    /// # Errors
    /// A revision out of range.
    pub fn compaction(self, history: History) -> Result<Option<i64>, RevisionError> {
        let Self { current, compact, unfinished } = self;
        match history {
            History::All => Ok(None),
            History::Current | History::Newest(0) => Ok(Some(current)),
            History::CompactTo(asked) => known_revision(asked, compact, current).map(Some),
            History::Newest(revisions) => {
                let oldest = i64::try_from(revisions).map_or(0, |kept| current.saturating_sub(kept));
                Ok(Some(oldest).filter(|&oldest| oldest > compact.max(0)).or(unfinished.then_some(compact)))
            }
        }
    }
}

/// The revision to which a file is compacted, where it is.
///
/// # Errors
/// A revision out of range; a file that isn't etcd's.
pub fn compaction_of(db: &Db, state: &State<'_>, history: History) -> Result<Option<i64>, ChangeError> {
    match history {
        History::All => Ok(None),
        _ if state.key_bucket.is_none() => Err(ChangeError::NotEtcd),
        _ => Ok(Revisions::of(db, state).compaction(history)?),
    }
}

/// The first and the last record say what the current revision is: one that is none is named first.
fn check_ends(db: &Db, key_bucket: &Bucket<'_>) -> Result<(), ChangeError> {
    let ends = [End::First, End::Last].into_iter().filter_map(|end| outermost_entry(db, key_bucket, end));
    let odd = ends.filter(|entry| RecordKey::parse(entry.key).is_none());
    let offset = odd.filter_map(|entry| db.offset_in_file(entry.key)).next();
    offset.map_or(Ok(()), |offset| Err(ChangeError::Unplaced { offset }))
}

fn check_prefixes(wish: &Wish) -> Result<(), ChangeError> {
    if wish.drop_prefixes.iter().any(Vec::is_empty) {
        return Err(ChangeError::EmptyPrefix);
    }
    if !wish.drop_prefixes.is_empty() && wish.history != History::Current {
        return Err(ChangeError::DropNeedsCompaction);
    }
    Ok(())
}

impl<'a> Changes<'a> {
    /// Finds out what a wish comes to in this file.
    ///
    /// # Errors
    /// What can't be changed as it was asked for.
    pub fn of(db: &'a Db, state: &State<'a>, wish: &Wish) -> Result<Self, ChangeError> {
        let key_bucket = match &state.key_bucket {
            Some(key_bucket) => key_bucket,
            None if wish.is_none() => return Ok(Self::default()),
            None => return Err(ChangeError::NotEtcd),
        };
        check_prefixes(wish)?;
        if wish.history != History::All {
            check_ends(db, key_bucket)?;
        }
        let compaction = compaction_of(db, state, wish.history)?;
        let changes = Self::without_kept_at(compaction, state, wish)?;
        let kept = compaction.map(|revision| Kept::at(db, key_bucket, revision));
        if let Some(offset) = kept.as_ref().and_then(Kept::unplaced) {
            return Err(ChangeError::Unplaced { offset });
        }
        Ok(Self { kept, ..changes })
    }

    /// The same for a db with these revisions, but for what a compaction keeps of its records.
    ///
    /// # Errors
    /// What can't be changed as it was asked for.
    pub fn at(revisions: Revisions, state: &State<'a>, wish: &Wish) -> Result<Self, ChangeError> {
        check_prefixes(wish)?;
        Self::without_kept_at(revisions.compaction(wish.history)?, state, wish)
    }

    fn without_kept_at(compaction: Option<i64>, state: &State<'a>, wish: &Wish) -> Result<Self, ChangeError> {
        if compaction.is_some() && !state.has_meta_bucket {
            return Err(ChangeError::NoMeta);
        }
        let (disarm, drop_prefixes) = (wish.disarm.clone(), wish.drop_prefixes.clone());
        Ok(Self { compaction, kept: None, disarm, drop_prefixes })
    }

    /// What a compaction changes outside of the `key` bucket: for a plan, which knows by itself what is kept there.
    pub fn marks_only(revision: i64) -> Self {
        Self { compaction: Some(revision), ..Self::default() }
    }

    /// The same rules, but for what a compaction keeps of the records.
    pub fn without_kept(self) -> Self {
        Self { kept: None, ..self }
    }

    /// The same rules, with what a compaction keeps read from the file again.
    pub fn afresh(&self, db: &'a Db, state: &State<'a>) -> Self {
        let kept = self.compaction.zip(state.key_bucket.as_ref());
        let kept = kept.map(|(revision, key_bucket)| Kept::at(db, key_bucket, revision));
        Self {
            compaction: self.compaction,
            kept,
            disarm: self.disarm.clone(),
            drop_prefixes: self.drop_prefixes.clone(),
        }
    }

    /// Whether the copy holds all that its source holds, and nothing else.
    pub fn is_none(&self) -> bool {
        self.compaction.is_none() && self.disarm.is_empty() && self.drop_prefixes.is_empty()
    }

    /// The revision of the compaction.
    pub fn compaction(&self) -> Option<i64> {
        self.compaction
    }

    /// What becomes of an entry of the `key` bucket.
    #[inline]
    pub fn record(&self, entry: &Entry<'a>) -> Verdict<'a> {
        if let Some(key) = self.left_out(entry.value) {
            return Verdict::LeftOut(key);
        }
        let (Some(kept), Some(place)) = (&self.kept, RecordKey::parse(entry.key)) else {
            return Verdict::Stays;
        };
        match place.tombstone {
            _ if kept.contains(place, entry.value) => Verdict::Stays,
            true => Verdict::Tombstone,
            false => Verdict::Superseded,
        }
    }

    /// The key of a record, if it is left out because of its prefix.
    #[inline]
    pub fn left_out<'v>(&self, value: &'v [u8]) -> Option<&'v [u8]> {
        if self.drop_prefixes.is_empty() {
            return None;
        }
        KeyValue::leading_key(value).filter(|key| self.leaves_out(key))
    }

    /// Whether a key is left out because of its prefix.
    pub fn leaves_out(&self, key: &[u8]) -> bool {
        self.drop_prefixes.iter().any(|prefix| key.starts_with(prefix))
    }

    /// The alarm that an entry of the `alarm` bucket is, if it is disarmed.
    pub fn disarmed(&self, key: &[u8]) -> Option<Alarm> {
        Alarm::decode(key).ok().filter(|alarm| self.disarms(alarm))
    }

    /// Whether an alarm is disarmed.
    pub fn disarms(&self, alarm: &Alarm) -> bool {
        self.disarm.iter().any(|kind| kind.name() == alarm.name())
    }

    /// Whether an entry of the `meta` bucket is one of the marks that a compaction sets.
    pub fn is_mark(&self, key: &[u8]) -> bool {
        self.compaction.is_some() && MARKS.contains(&key)
    }

    /// The marks that a compaction sets, in the order of their keys.
    pub fn marks(&self) -> Vec<(&'static [u8], Vec<u8>)> {
        let value = self.compaction().map(|main| Revision { main, sub: 0 }.to_bytes());
        value.iter().flat_map(|value| MARKS.map(|key| (key, value.to_vec()))).collect()
    }

    /// Whether an entry of a bucket stays as it is.
    pub fn keeps(&self, part: Part, entry: &Entry<'a>) -> bool {
        match part {
            _ if entry.is_bucket() => true,
            Part::Records => self.record(entry) == Verdict::Stays,
            Part::Meta => !self.is_mark(entry.key),
            Part::Alarms => self.disarmed(entry.key).is_none(),
            Part::Other => true,
        }
    }
}

/// The keys of the marks, in order.
const MARKS: [&[u8]; 2] = [FINISHED_COMPACT, SCHEDULED_COMPACT];

/// The parts of an etcd file that changes know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The `key` bucket.
    Records,
    /// The `meta` bucket.
    Meta,
    /// The `alarm` bucket.
    Alarms,
    /// Any other.
    Other,
}

impl Part {
    /// Which part a bucket is.
    pub fn of(bucket: &Bucket<'_>) -> Self {
        match bucket.name {
            _ if bucket.parent != Some(BucketId::ROOT) => Self::Other,
            KEY_BUCKET => Self::Records,
            META_BUCKET => Self::Meta,
            b"alarm" => Self::Alarms,
            _ => Self::Other,
        }
    }
}
