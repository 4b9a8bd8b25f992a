//! The files of a member's log, opened.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bolt::lock::Lock;
use crate::bolt::open::Mapping;
#[cfg(feature = "packed")]
use crate::bolt::open::map_file;
#[cfg(feature = "packed")]
use crate::content::packing::ArchiveFormat;
use crate::etcd::data_dir;
use crate::member::ReadLog;
use crate::member::broken::CutOff;
use crate::member::log::Segment;
use crate::member::message::Snapshot;
use crate::member::names::{SegmentName, parse_snap_db};
use crate::shell::ShellCommand;

use super::log_error::LogError;
use super::log_folder::{LogFolder, has_segments, names_in, read_snaps};
use super::mapped::Mapped;
use super::named::Named;
use super::packed::UnpackedLog;
#[cfg(feature = "packed")]
use super::unpack::{self, Unpacked};
use super::{DbFile, OpenOptions, SourceError, UnpackOptions};

/// Where the log of a data dir may lie below a folder: that may be the data dir, `member`, or `wal`.
const BELOW: [&str; 3] = ["member/wal", "wal", ""];
/// Where its db is, from the folder `member` on.
const DB: &str = "snap/db";

/// A log's files, and what is beside them.
#[derive(Debug)]
pub struct LogFiles {
    /// The folder that they are in; in an archive, the archive's path goes before it.
    pub folder: PathBuf,
    files: Vec<(String, Mapping)>,
    /// Copies of segments that a repair by etcd made.
    broken: Vec<(String, Mapping)>,
    /// The db of the same member, if it is beside the log.
    db: Option<DbBeside>,
    /// The heads of the `.snap` files that can be read.
    pub snaps: Vec<Snapshot>,
    /// The dbs that came from a leader, by the index of their snapshot.
    received: Vec<u64>,
    /// The archive that they came out of.
    archive: Option<PathBuf>,
}

/// The db of a log's member.
#[derive(Debug)]
enum DbBeside {
    File(PathBuf),
    Mapped(Arc<Mapped>),
}

impl LogFiles {
    /// Opens the log that a path names: a data dir, `member`, or the folder of the log; or an archive of one of these.
    ///
    /// # Errors
    /// There is none, or it can't be opened.
    pub fn open(path: &Path, wal_dir: Option<&Path>) -> Result<Self, LogError> {
        Self::open_with(path, wal_dir, &OpenOptions::default(), &|_| {})
    }

    /// The same, with limits for what is unpacked, and the db of an archive beside which the log is.
    ///
    /// # Errors
    /// As [`LogFiles::open`].
    pub fn open_with(
        path: &Path,
        wal_dir: Option<&Path>,
        options: &OpenOptions,
        progress: &dyn Fn(u64),
    ) -> Result<Self, LogError> {
        let is_stream = options.standard_input && path == Path::new("-");
        match wal_dir {
            None if path.is_file() || is_stream => Self::of_packed(path, options, progress),
            None => match options.unpack.member.clone() {
                Some(member) => Err(LogError::NoArchive { path: path.to_owned(), member }),
                None => Self::below(path),
            },
            Some(wal_dir) if path.is_dir() => {
                Ok(Self::of_path(wal_dir, &options.unpack)?.with_member_below(path))
            }
            Some(wal_dir) => {
                let log = Self::of_path(wal_dir, &options.unpack)?;
                let options = OpenOptions { lock: Lock::None, ..options.clone() };
                let Ok(mapped) = Mapped::open(path, &options, progress) else { return Ok(log) };
                let log = match &mapped.log {
                    Some(beside) => log.with_heads_of(beside),
                    None => log,
                };
                Ok(Self { db: Some(DbBeside::Mapped(mapped.into())), ..log })
            }
        }
    }

    /// Opens a folder that has segments, or an archive of one. The db that is meant is not in that.
    ///
    /// # Errors
    /// As [`LogFiles::open`].
    pub(super) fn of_path(path: &Path, options: &UnpackOptions) -> Result<Self, LogError> {
        if !path.is_file() {
            return Self::of_folder(path);
        }
        let unpack = UnpackOptions { member: None, ..options.clone() };
        Self::of_packed(path, &OpenOptions { unpack, ..OpenOptions::default() }, &|_| {})
    }

    /// Opens the log of a folder, wherever it is below.
    fn below(path: &Path) -> Result<Self, LogError> {
        let mut folders = BELOW.into_iter().map(|below| path.join(below));
        let found = folders.find(|folder| has_segments(folder));
        let folder = found.unwrap_or_else(|| path.join("member/wal"));
        Ok(Self::of_folder(&folder)?.with_member(&data_dir::above(&folder)))
    }

    fn with_member_below(self, path: &Path) -> Self {
        let mut members = ["member", ""].into_iter().map(|below| path.join(below));
        match members.find(|member| member.join(DB).is_file()) {
            Some(member) => self.with_member(&member),
            None => self,
        }
    }

    /// The same, with what is in the folder `member`.
    fn with_member(self, member: &Path) -> Self {
        let db = member.join(DB);
        let found = Some(DbBeside::File(db.clone())).filter(|_| db.is_file());
        Self { db: found, ..self.with_db(&db) }
    }

    /// Opens the log of an archive.
    #[cfg(feature = "packed")]
    fn of_packed(path: &Path, options: &OpenOptions, progress: &dyn Fn(u64)) -> Result<Self, LogError> {
        let mut named = Named::new(path, options);
        let unpacked = if path.is_file() {
            let data =
                map_file(path, Lock::None).map_err(|error| LogError::Io { path: path.to_owned(), error })?;
            let packing = ArchiveFormat::of(data.as_ref());
            if !packing.is_some_and(ArchiveFormat::can_be_unpacked) {
                return Err(LogError::File(path.to_owned()));
            }
            named.packing = packing;
            unpack::of_bytes(path, data.as_ref(), &options.unpack, progress)
        } else {
            unpack::of_stream(&mut std::io::stdin().lock(), &options.unpack, progress)
        };
        let (log, db) = unpacked
            .and_then(Unpacked::into_log)
            .map_err(|error| LogError::Unpack { named: named.clone().into(), error })?;
        let db = db.and_then(|(file, from)| Mapped::of_parts(named, file, from, None).ok());
        let db = db.map(|db| DbBeside::Mapped(db.into()));
        Ok(Self { db, ..Self::of_unpacked(path, &log)?.with_heads_of(&log) })
    }

    #[cfg(not(feature = "packed"))]
    fn of_packed(path: &Path, _: &OpenOptions, _: &dyn Fn(u64)) -> Result<Self, LogError> {
        Err(LogError::File(path.to_owned()))
    }

    /// The log that came out of the archive at `path`.
    ///
    /// # Errors
    /// It has no segment, or one can't be read.
    pub(super) fn of_unpacked(path: &Path, log: &UnpackedLog) -> Result<Self, LogError> {
        let folder = path.join(&log.folder);
        if let Some((file, reason)) = log.unread.clone() {
            return Err(LogError::InArchive { folder, file, reason });
        }
        let (files, broken) = (log.files.clone(), log.broken.clone());
        Ok(Self { archive: Some(path.to_owned()), ..Self::of_files(folder, files, broken)? })
    }

    fn of_files(
        folder: PathBuf,
        files: Vec<(String, Mapping)>,
        broken: Vec<(String, Mapping)>,
    ) -> Result<Self, LogError> {
        if files.is_empty() {
            return Err(LogError::Missing { folder });
        }
        let (snaps, received) = (Vec::new(), Vec::new());
        Ok(Self { folder, files, broken, db: None, snaps, received, archive: None })
    }

    /// Opens all segments in a folder.
    ///
    /// # Errors
    /// There is none, or one can't be opened.
    pub fn of_folder(folder: &Path) -> Result<Self, LogError> {
        let LogFolder { segments, broken } = LogFolder::open(folder)?;
        Self::of_files(folder.to_owned(), segments, broken)
    }

    /// Where the db of the same member is, or should be; or the archive that has the log.
    pub fn place_of_db(&self) -> PathBuf {
        self.archive.clone().unwrap_or_else(|| data_dir::above(&self.folder).join(DB))
    }

    /// Opens the db of the same member; `None` if it is not beside the log.
    ///
    /// # Errors
    /// It can't be opened.
    pub fn open_db(&self, options: &OpenOptions) -> Option<Result<DbFile, SourceError>> {
        Some(match self.db.as_ref()? {
            DbBeside::File(path) => DbFile::open(path, options, &|_| {}),
            DbBeside::Mapped(mapped) => DbFile::of_mapped(Mapped::clone(mapped)),
        })
    }

    /// One of its files.
    pub fn any_file(&self) -> Option<&File> {
        self.files.first().map(|(_, mapping)| mapping.file())
    }

    /// The same, with what is beside this db.
    pub fn with_db(self, db: &Path) -> Self {
        let folder = db.parent().unwrap_or(Path::new(""));
        let names = names_in(folder).unwrap_or_default();
        let snaps = read_snaps(folder, &names);
        let received = names.iter().filter_map(|name| parse_snap_db(name)).collect();
        Self { db: Some(DbBeside::File(db.to_owned())), snaps, received, ..self }
    }

    /// The same, with what came out of an archive beside a log.
    pub(super) fn with_heads_of(self, log: &UnpackedLog) -> Self {
        Self { snaps: log.snaps.clone(), received: log.received.clone(), ..self }
    }

    /// The segments by their names, in order.
    fn named(&self) -> Vec<SegmentName> {
        let mut names: Vec<_> = self.files.iter().filter_map(|(name, _)| SegmentName::parse(name)).collect();
        names.sort_unstable();
        names
    }

    /// The first segment that is missing between two others.
    pub fn missing_segment(&self) -> Option<u64> {
        let names = self.named();
        let follows = |(before, after): (&SegmentName, &SegmentName)| {
            let expected = before.sequence.saturating_add(1);
            (expected != after.sequence).then_some(expected)
        };
        names.iter().zip(names.iter().skip(1)).find_map(follows)
    }

    /// The first entry, by the names; 0 for none. The first segment of all begins with entry 1, and is named after 0.
    pub fn first_index(&self) -> u64 {
        self.named().first().map_or(0, |name| name.first_index.max(1))
    }

    /// How many of the newest segments it takes to have this entry, and all after it, by their names.
    pub fn num_needed(&self, index: u64) -> usize {
        let names = self.named();
        let after = names.iter().filter(|name| name.first_index > index).count();
        after.saturating_add(1).min(names.len())
    }

    /// The newest segments; and, with them, files whose names are no segment's.
    pub fn newest(&self, segments: usize) -> Vec<Segment<'_>> {
        let names = self.named();
        let first = names.get(names.len().saturating_sub(segments)).copied();
        let is_newer = |segment: &Segment<'_>| {
            first.zip(SegmentName::parse(segment.name)).is_none_or(|(first, name)| first <= name)
        };
        self.segments().into_iter().filter(is_newer).collect()
    }

    pub fn num_segments(&self) -> usize {
        self.files.len()
    }

    /// Whether the db that came with the snapshot of this entry is there.
    pub fn has_received(&self, index: u64) -> bool {
        self.received.contains(&index)
    }

    /// Whether they came out of an archive.
    pub fn is_unpacked(&self) -> bool {
        self.archive.is_some()
    }

    pub fn has_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    /// What only copies hold that a repair by etcd made. `log` is all that the segments hold.
    pub fn cut_off(&self, log: &ReadLog<'_>) -> Vec<CutOff<'_>> {
        let segments = self.segments();
        let copies = self.broken.iter().map(|(name, data)| Segment { name, data: data.as_ref() });
        let mut found: Vec<_> = copies.filter_map(|copy| CutOff::read(copy, &segments, log)).collect();
        found.sort_by_key(|cut_off| cut_off.file);
        found
    }

    /// A command of this program's that reads the same log.
    pub fn command(&self, words: &str) -> ShellCommand {
        let Some(archive) = &self.archive else { return ShellCommand::new(words).path(&self.folder) };
        let folder = self.folder.strip_prefix(archive).unwrap_or(Path::new(""));
        let member = Some(folder.to_string_lossy().into_owned()).filter(|folder| !folder.is_empty());
        let unpack = UnpackOptions { member, ..UnpackOptions::default() };
        Named { unpack, ..Named::plain(archive) }.ours(words)
    }

    pub fn segments(&self) -> Vec<Segment<'_>> {
        self.files.iter().map(|(name, data)| Segment { name, data: data.as_ref() }).collect()
    }

    /// Reads them, as far as they can be read.
    pub fn read(&self) -> ReadLog<'_> {
        ReadLog::read(&self.segments())
    }
}
