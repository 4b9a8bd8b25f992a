//! What a fault is, in the words for damage that operators and bug reports use.

use serde::Serialize;
use strum::IntoStaticStr;

use crate::bolt::PageKind;
use crate::bolt::fault::FaultKind;
use crate::bolt::page::PageErrorKind;
use crate::etcd::history::RecordFault;

/// A pattern of damage.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, IntoStaticStr, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[strum(serialize_all = "kebab-case")]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// One of the two metas can't be used.
    MetaDestroyed,
    /// The file ends too early.
    TailCutOff,
    /// A page of nothing but zeros (of a page above 4 KiB, in its first 4 KiB): never written, or lost.
    ZeroedPage,
    /// A page whose header names another place.
    MisplacedPage,
    /// A reference at or above the high water mark.
    PageIdOutOfRange,
    /// A page below itself.
    PageCycle,
    /// Two references to one page, or two nodes on it.
    PageReferencedTwice,
    /// A reference to a meta or freelist page where a node should be.
    RootOfAnotherKind,
    /// Bytes within a page that no writer put there.
    GarbageInsidePage,
    /// A whole page that does not fit its place: a live copy, a freed page written again, or a key that was changed.
    MixedGenerations,
    /// In use, and in the freelist.
    FreedAndReachable,
    /// The stored freelist lies, or can't be read.
    FreelistDamaged,
    /// Pages lost to bbolt until the next defrag.
    LeakedPages,
    /// A record that etcd can't have written.
    RevisionDamage,
    /// A record that does not follow from the one before it: one between them is lost.
    RecordsMissing,
    /// A key attached to a lease that is not there.
    LeaseMissing,
    /// The file was cut short or changed: mostly a snapshot.
    SnapshotChanged,
}

impl Pattern {
    /// What it is, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::MetaDestroyed => "one meta destroyed",
            Self::TailCutOff => "tail cut off",
            Self::ZeroedPage => "zeroed page",
            Self::MisplacedPage => "misplaced page",
            Self::PageIdOutOfRange => "page id out of range",
            Self::PageCycle => "page cycle",
            Self::PageReferencedTwice => "page referenced twice",
            Self::RootOfAnotherKind => "reference to a meta or freelist page",
            Self::GarbageInsidePage => "garbage inside a page",
            Self::MixedGenerations => "mixed generations (a live copy, or a freed page written again)",
            Self::FreedAndReachable => "freed page still referenced",
            Self::FreelistDamaged => "duplicate or wrong freelist ids",
            Self::LeakedPages => "leaked pages",
            Self::RevisionDamage => "revision damage",
            Self::RecordsMissing => "gap in a key's history",
            Self::LeaseMissing => "lease missing",
            Self::SnapshotChanged => "file cut short or changed",
        }
    }

    /// Of a structural fault.
    pub fn of_structure(fault: &FaultKind) -> Self {
        match fault {
            FaultKind::Meta { .. } => Self::MetaDestroyed,
            FaultKind::FileCutShort { .. } => Self::TailCutOff,
            FaultKind::Page { error, .. } => Self::of_page(error),
            FaultKind::Cycle { .. } => Self::PageCycle,
            FaultKind::ReachableTwice { .. } | FaultKind::OverflowOverlap { .. } => Self::PageReferencedTwice,
            FaultKind::ReachableFreed => Self::FreedAndReachable,
            FaultKind::UnreachableUnfreed { .. } => Self::LeakedPages,
            FaultKind::Freelist { .. }
            | FaultKind::FreelistDuplicate
            | FaultKind::FreelistOutOfBounds { .. } => Self::FreelistDamaged,
            FaultKind::KeyBelowParent { .. } | FaultKind::KeyAboveParent { .. } => Self::MixedGenerations,
            FaultKind::Element { .. }
            | FaultKind::EmptyBranch
            | FaultKind::KeySize { .. }
            | FaultKind::KeyOrder { .. }
            | FaultKind::EntryFlags { .. }
            | FaultKind::BucketHeader { .. }
            | FaultKind::TooDeep { .. } => Self::GarbageInsidePage,
        }
    }

    fn of_page(error: &PageErrorKind) -> Self {
        match error {
            PageErrorKind::Zeroed => Self::ZeroedPage,
            PageErrorKind::WrongId { .. } => Self::MisplacedPage,
            PageErrorKind::AboveHighWaterMark { .. } => Self::PageIdOutOfRange,
            PageErrorKind::BeyondFile { .. } | PageErrorKind::OverflowBeyondFile { .. } => Self::TailCutOff,
            PageErrorKind::WrongKind { found: PageKind::Meta | PageKind::Freelist, .. } => {
                Self::RootOfAnotherKind
            }
            PageErrorKind::WrongKind { .. }
            | PageErrorKind::UnknownKind { .. }
            | PageErrorKind::TableOutOfBounds { .. }
            | PageErrorKind::OverflowAboveHighWaterMark { .. } => Self::GarbageInsidePage,
        }
    }

    /// Of a record's fault.
    pub fn of_record(fault: &RecordFault) -> Self {
        match fault {
            RecordFault::RevisionMalformed { .. }
            | RecordFault::RevisionTwice { .. }
            | RecordFault::KeyValueMalformed { .. }
            | RecordFault::KeyEmpty { .. }
            | RecordFault::ModRevision { .. } => Self::RevisionDamage,
            RecordFault::CreateRevision { .. }
            | RecordFault::Version { .. }
            | RecordFault::TombstoneTwice { .. } => Self::RecordsMissing,
            RecordFault::LeaseMissing { .. } => Self::LeaseMissing,
        }
    }
}
