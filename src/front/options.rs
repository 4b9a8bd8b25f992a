//! What each question can be told. Make one by `default()`, and set its fields.

#![warn(missing_docs)]

use std::path::Path;

use crate::cleanup::GarbageLimits;
use crate::copy::{Layout, Progress};
use crate::filter::FilterWords;
use crate::rewrite::changes::History;
use crate::status::Limits;
use crate::travel::SearchIn;
use jiff::Timestamp;

/// What [`DbFile::status`](crate::DbFile::status) is told.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct StatusOptions<'p> {
    /// The quota and the disk that the file is compared with.
    pub limits: Limits,
    /// Where the member's log is, if not in its data dir.
    pub wal_dir: Option<&'p Path>,
    /// Who is told how far it is.
    pub progress: Progress<'p>,
}

/// What [`DbFile::analyze`](crate::DbFile::analyze) is told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AnalyzeOptions<'p> {
    /// The resource and the namespace that the tables are narrowed to.
    pub words: FilterWords,
    /// Number of objects that are named by each measure.
    pub top: usize,
    /// Who is told how far it is.
    pub progress: Progress<'p>,
}

impl Default for AnalyzeOptions<'_> {
    fn default() -> Self {
        Self { words: FilterWords::default(), top: 10, progress: Progress::SILENT }
    }
}

/// What [`DbFile::check`](crate::DbFile::check) is told.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CheckOptions<'p> {
    /// Findings that are kept; all are counted.
    pub max_findings: usize,
    /// Who is told how far it is.
    pub progress: Progress<'p>,
}

impl Default for CheckOptions<'_> {
    fn default() -> Self {
        Self { max_findings: 1000, progress: Progress::SILENT }
    }
}

/// What [`DbFile::cleanup`](crate::DbFile::cleanup) is told.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CleanupOptions<'p> {
    /// The age or size from which an object counts as garbage.
    pub limits: GarbageLimits,
    /// The time of the file; the newest time in its objects, if not given.
    pub as_of: Option<Timestamp>,
    /// Number of objects of each class that are named.
    pub top: usize,
    /// Who is told how far it is.
    pub progress: Progress<'p>,
}

impl Default for CleanupOptions<'_> {
    fn default() -> Self {
        Self { limits: GarbageLimits::default(), as_of: None, top: 10, progress: Progress::SILENT }
    }
}

/// What [`DbFile::plan`](crate::DbFile::plan) is told.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PlanOptions<'p> {
    /// Lengths of history that are planned beside the usual ones.
    pub histories: Vec<History>,
    /// How the copies are laid out.
    pub layout: Layout,
    /// Whether to take a snapshot whose SHA-256 is not that of its content.
    pub skip_hash_check: bool,
    /// Who is told how far it is.
    pub progress: Progress<'p>,
}

/// What [`DbFile::hash`](crate::DbFile::hash) is told.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct HashOptions<'p> {
    /// The revision of HashKV; 0 for the current one.
    pub revision: i64,
    /// Who is told how far it is.
    pub progress: Progress<'p>,
}

/// Which keys [`DbFile::keys`](crate::DbFile::keys) and [`DbFile::deleted`](crate::DbFile::deleted) give.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct KeysOptions<'p> {
    /// Only keys with this prefix.
    pub prefix: Vec<u8>,
    /// Only keys of this resource and namespace.
    pub words: FilterWords,
    /// At this revision; the current one, if not given.
    pub revision: Option<i64>,
    /// Where to look.
    pub from: SearchIn,
    /// Who is told how far it is.
    pub progress: Progress<'p>,
}

/// What [`DbFile::get`](crate::DbFile::get) is told.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct GetOptions {
    /// At this revision; the current one, if not given.
    pub revision: Option<i64>,
    /// Where to look.
    pub from: SearchIn,
    /// Whether the data of Secrets is shown.
    pub show_secrets: bool,
    /// Whether to leave out what keeps `kubectl apply` from making the object anew.
    pub clean: bool,
}
