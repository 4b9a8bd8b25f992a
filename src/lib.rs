//! Reads etcd's database file without etcd: what fills it, what is wrong with it, what gives the space back. Writes packed copies, and
//! saves what can be saved of a damaged file.
//!
//! The library of the program `etcd-medic`. It never prints, and never writes to what it reads.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let file = etcd_medic::open("testdata/k8s-frag/frag.db")?;
//! let analysis = file.analyze(&Default::default())?;
//! println!("{} of {} bytes are free pages", analysis.space.free_bytes, analysis.file.file_bytes);
//! for advice in &analysis.advice {
//!     println!("{}: {}", advice.text, advice.command);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`open`] gives a [`DbFile`], whose methods answer questions and make copies; [`salvage`] takes a file that can't be opened.
//! Results are plain structs that serialise with `serde`. Without the default feature `cli`, the crate is the library alone.
//!
//! # Inside
//!
//! Arrows point down only:
//!
//! ```text
//!   cli                 arguments, exit codes; the only part that prints
//!   report              one result, as text and as JSON
//!   front               the public functions
//!   inspect  status  check  hash  analyze  cleanup    results: plain structs that serialise
//!   doctor              what each etcd does with a member's directory
//!   log                 a log's entries in plain words
//!   travel              keys at any revision, and those that were deleted
//!   clock               the file's own time
//!   filter              names that a user gives, and the nearest names in the file
//!   guide               the quota and the retention that a disk has room for
//!   rewrite  salvage  replay  synth    what a new file holds, and the proof that nothing was lost
//!   copy                the one road to a new file: place, write, seal, prove
//!   input               a path, opened; the log and the db from the leader beside it
//!   output              files that appear whole or not at all, and what they may replace
//!   scan                one pass over the file, on all threads, from which all results are made
//!   k8s                 key → group, resource, namespace, name; value → encoding, kind
//!   etcd                revisions, records, leases, alarms, members, snapshot trailer, data dir
//!   member              the log beside the db: segments, frames, records, entries, config changes
//!   bolt                the file format: pages, buckets, the walk, the writer
//! ```
//!
//! Used by several: `owner` (the program that a file belongs to, and words for it), `platform` (what systems do differently), `content`
//! (files that are no db), `embedded` (tables in the program), `protobuf` (the fields of a message), `text` and `shell` (what is shown,
//! and what is pasted), `top_n`, `units`.

mod analyze;
mod bolt;
mod check;
mod cleanup;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
mod clock;
mod content;
mod copy;
#[cfg(test)]
mod described;
mod doctor;
mod embedded;
mod etcd;
mod filter;
mod front;
mod guide;
mod hash;
mod input;
mod inspect;
mod k8s;
mod log;
mod member;
mod output;
mod owner;
mod platform;
mod protobuf;
mod ranges;
mod replay;
#[cfg(feature = "cli")]
mod report;
mod restore;
mod rewrite;
mod salvage;
mod scan;
mod shell;
mod status;
mod synth;
mod text;
mod top_n;
mod travel;
mod units;

pub use front::options::{
    AnalyzeOptions, CheckOptions, CleanupOptions, GetOptions, HashOptions, KeysOptions, PlanOptions,
    StatusOptions,
};
pub use front::{
    KeysError, RestoreSource, StoredObject, open, open_with, replay_newest, restore, salvage, synth,
};

pub use analyze::Analysis;
pub use bolt::lock::Lock;
pub use bolt::page::PageError;
pub use check::log::LogComparison;
pub use check::{Checked, Finding};
pub use cleanup::{Cleanup, CleanupError, GarbageLimits};
pub use copy::{CopyError, Destination, Layout, Mismatch, Progress};
pub use etcd::apply::{Refused, Version};
pub use filter::{FilterWords, NoSuchName};
pub use hash::{HashError, Hashes};
pub use input::log_error::LogError;
pub use input::packed::Packed;
#[cfg(feature = "packed")]
pub use input::unpack::error::UnpackError;
pub use input::{DbFile, LogFiles, OpenOptions, Reason, SourceError, UnpackOptions};
pub use inspect::{BucketRow, PageRow, PageView};
pub use output::OutputError;
pub use replay::document::{PassedOver, ReplayReport};
pub use replay::error::ReplayError;
pub use replay::request::{ReplayRequest, Until};
pub use restore::cluster::{ClusterError, NewCluster};
pub use restore::document::{RestoreReport, RestoredMember};
pub use restore::error::RestoreError;
pub use restore::request::{Identity, RestoreRequest};
pub use rewrite::changes::{AlarmKind, ChangeError, History, Wish};
pub use rewrite::error::DefragError;
pub use rewrite::guard::Refusal;
pub use rewrite::outcome::{AppliedTail, DefragReport};
pub use rewrite::plan::PlanReport;
pub use rewrite::request::DefragRequest;
pub use salvage::document::SalvageReport;
pub use salvage::error::SalvageError;
pub use salvage::request::{SalvageRequest, Trust};
pub use status::log::{LogState, LogStatus};
pub use status::{Level, Limits, Status, Thresholds};
pub use synth::{Extent, SynthError, SynthOptions, SynthReport, SynthRequest};
pub use text::ByteText;
pub use travel::history::KeyHistory;
pub use travel::keys::{Deleted, DeletedRow, KeyRow};
pub use travel::shown::VisibleObject;
pub use travel::{Answer, SearchIn, TravelError};

/// What the crate's own tests, benches and fuzz targets look at. It may change at any time.
#[doc(hidden)]
pub mod internals {
    macro_rules! internals {
        ($($(#[$cfg:meta])* $module:ident),* $(,)?) => {
            $($(#[$cfg])* pub mod $module { pub use crate::$module::*; })*
        };
    }
    internals! {
        analyze, bolt, check, cleanup, clock, content, copy, doctor, etcd, filter, guide, hash, input, inspect, k8s, log, member, output, owner,
        protobuf, replay, restore, #[cfg(feature = "cli")] report, rewrite, salvage, scan, shell, status, synth, text, travel, units,
    }
}
