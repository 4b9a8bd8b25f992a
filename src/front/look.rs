//! Questions about a file.

#![warn(missing_docs)]

use crate::analyze::{self, Analysis, AnalyzeRequest, copy_advice};
use crate::bolt::PageId;
use crate::bolt::page::PageError;
use crate::check::log::LogComparison;
use crate::check::{self, Checked};
use crate::cleanup::{self, Cleanup, CleanupError, CleanupRequest};
use crate::copy::Progress;
use crate::etcd::apply::Version;
use crate::etcd::schema::State;
use crate::etcd::trailer::Trailer;
use crate::filter::NoSuchName;
use crate::hash::{self, HashError, Hashes};
use crate::input::{DbFile, LogFiles};
use crate::inspect::{self, BucketRow, PageRow, PageView};
use crate::replay::error::ReplayError;
use crate::rewrite::changes::{History, compaction_of};
use crate::rewrite::defrag::check_trailer;
use crate::rewrite::error::DefragError;
use crate::rewrite::plan::{self, PlanReport};
use crate::scan::{self, Scan, ScanOptions};
use crate::status::Status;
use crate::status::log::LogStatus;

use super::options::{AnalyzeOptions, CheckOptions, CleanupOptions, HashOptions, PlanOptions, StatusOptions};

impl DbFile {
    /// Scans the file, and checks its trailer at the same time.
    pub(crate) fn scan<'a>(
        &'a self,
        state: &State<'a>,
        max_findings: usize,
        outline: Option<&[i64]>,
        progress: Progress<'_>,
    ) -> (Scan<'a>, Trailer) {
        (progress.begin)("reading", self.db.file_size());
        let options = ScanOptions { max_findings, outline, progress: progress.advance };
        rayon::join(|| scan::scan(&self.db, state, options), || self.trailer())
    }

    /// Size, use, revision, keys and verdict, and what the limits make of them; of a member's db also how far it is in its log.
    ///
    /// # Examples
    /// ```
    /// let file = etcd_medic::open("testdata/k8s-frag/frag.db")?;
    /// let status = file.status(&Default::default());
    /// assert!(status.sound && status.free_bytes > status.file_bytes / 2);
    /// # Ok::<(), etcd_medic::SourceError>(())
    /// ```
    #[must_use]
    pub fn status(&self, options: &StatusOptions<'_>) -> Status {
        let state = State::read(&self.db);
        let (scan, trailer) = self.scan(&state, 0, None, options.progress);
        let status = Status::of(&self.path, &self.db, &state, &scan, trailer, options.limits);
        let log = LogStatus::of(self.place(), &state, options.wal_dir, self.read_without_lock);
        status.with_log(log)
    }

    /// What fills the file, what each cure gives back, and what to do.
    ///
    /// # Errors
    /// The file has no resource or namespace of the name that was given.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let file = etcd_medic::open("testdata/k8s-frag/frag.db")?;
    /// let analysis = file.analyze(&Default::default())?;
    /// let largest = &analysis.resources[0];
    /// println!("{} takes {} bytes of {}", largest.resource, largest.disk_bytes, analysis.file.file_bytes);
    /// # Ok(())
    /// # }
    /// ```
    pub fn analyze(&self, options: &AnalyzeOptions<'_>) -> Result<Analysis, NoSuchName> {
        let state = State::read(&self.db);
        let current = compaction_of(&self.db, &state, History::Current).ok().flatten();
        let (scan, trailer) = self.scan(&state, 0, Some(current.as_slice()), options.progress);
        let request = AnalyzeRequest {
            named: &self.named,
            trailer,
            read_without_lock: self.read_without_lock,
            filter: options.words.of(&scan)?,
            top: options.top,
            cure_refused: copy_advice::cure_refused(self.place(), &state, current),
        };
        Ok(analyze::analyze(&self.db, &state, &scan, &request))
    }

    /// Every fault of the structure and of etcd's data in it.
    ///
    /// # Examples
    /// ```
    /// let file = etcd_medic::open("testdata/k8s-frag/frag.db")?;
    /// let checked = file.check(&Default::default());
    /// for finding in &checked.findings {
    ///     println!("{}", finding.message);
    /// }
    /// assert!(checked.sound);
    /// # Ok::<(), etcd_medic::SourceError>(())
    /// ```
    #[must_use]
    pub fn check(&self, options: &CheckOptions<'_>) -> Checked {
        let state = State::read(&self.db);
        let (scan, trailer) = self.scan(&state, options.max_findings, None, options.progress);
        check::check(&self.named, &self.db, &state, &scan, trailer, options.max_findings)
    }

    /// Compares each record that a member's log covers with what the log wrote. `version` is that of the etcd that wrote it.
    ///
    /// # Errors
    /// The db is damaged, or does not say which entry it is at.
    ///
    /// # Examples
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let file = etcd_medic::open("/var/lib/etcd")?;
    /// let log = etcd_medic::LogFiles::open("/var/lib/etcd".as_ref(), None)?;
    /// assert!(file.compare_with_log(&log, None)?.differing.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn compare_with_log(
        &self,
        log: &LogFiles,
        version: Option<Version>,
    ) -> Result<LogComparison, ReplayError> {
        check::log::compare_with_log(self, log, version)
    }

    /// What could be deleted from the cluster, and the commands for it.
    ///
    /// # Errors
    /// The file is not etcd's.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let file = etcd_medic::open("testdata/k8s-frag/frag.db")?;
    /// let found = file.cleanup(&Default::default())?;
    /// println!("{} objects were read", found.objects_read);
    /// # Ok(())
    /// # }
    /// ```
    pub fn cleanup(&self, options: &CleanupOptions<'_>) -> Result<Cleanup, CleanupError> {
        let state = State::read(&self.db);
        let (scan, trailer) = self.scan(&state, 0, None, options.progress);
        let request = CleanupRequest {
            path: &self.path,
            trailer,
            thresholds: options.limits,
            as_of: options.as_of,
            top: options.top,
        };
        cleanup::cleanup(&self.db, &state, &scan, &request)
    }

    /// The size of a copy, to the byte, for each length of history and each layout, without writing it.
    ///
    /// # Errors
    /// A damaged file; a revision out of range; an entry that bbolt can't write.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let file = etcd_medic::open("testdata/k8s-frag/frag.db")?;
    /// let plan = file.plan(&Default::default())?;
    /// assert!(plan.choices[0].file_bytes < plan.now_bytes);
    /// # Ok(())
    /// # }
    /// ```
    pub fn plan(&self, options: &PlanOptions<'_>) -> Result<PlanReport, DefragError> {
        check_trailer(self, options.skip_hash_check)?;
        plan::plan(self, &options.histories, options.layout, options.progress)
    }

    /// HashKV and the hash of `etcdutl snapshot status`, equal to etcd's own, and a fingerprint of each bucket.
    ///
    /// # Errors
    /// The file has no such revision, or none at all.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let file = etcd_medic::open("testdata/k8s-frag/frag.db")?;
    /// let hashes = file.hash(&Default::default())?;
    /// assert!(hashes.sound);
    /// # Ok(())
    /// # }
    /// ```
    pub fn hash(&self, options: &HashOptions<'_>) -> Result<Hashes, HashError> {
        let state = State::read(&self.db);
        (options.progress.begin)("reading", self.db.file_size());
        hash::hashes(&self.db, &state, options.revision, options.progress.advance)
    }

    /// Every page, by its kind.
    ///
    /// # Examples
    /// ```
    /// let file = etcd_medic::open("testdata/bolt/nested.db")?;
    /// println!("{} rows", file.pages().len());
    /// # Ok::<(), etcd_medic::SourceError>(())
    /// ```
    #[must_use]
    pub fn pages(&self) -> Vec<PageRow> {
        inspect::pages(&self.db)
    }

    /// One page, taken apart. Numbers that may be parts of a value are 0, unless `show_secrets`.
    ///
    /// # Errors
    /// There is no such page, or the file ends before it.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let file = etcd_medic::open("testdata/bolt/nested.db")?;
    /// assert_eq!(file.page(0, false)?.page, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn page(&self, id: u64, show_secrets: bool) -> Result<PageView, PageError> {
        let mut view = inspect::page(&self.db, PageId(id))?;
        if !show_secrets && inspect::may_hold_secrets(&self.db) {
            view.hide_values(&self.db);
        }
        if !self.owner().is_etcd() {
            view.forget_revisions();
        }
        Ok(view)
    }

    /// Every bucket: entries, pages, levels, and a fingerprint of its content.
    ///
    /// # Examples
    /// ```
    /// let file = etcd_medic::open("testdata/bolt/nested.db")?;
    /// for bucket in file.buckets() {
    ///     println!("{}: {} entries", bucket.usage.name, bucket.usage.entries);
    /// }
    /// # Ok::<(), etcd_medic::SourceError>(())
    /// ```
    #[must_use]
    pub fn buckets(&self) -> Vec<BucketRow> {
        inspect::buckets(&self.db)
    }
}
