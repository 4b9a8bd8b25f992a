//! One layer after the other, down to the db.

use std::cell::Cell;
use std::io::{self, Read, Seek};
use std::rc::Rc;

use crate::bolt::open::map_opened;
use crate::content;
use crate::content::packing::ArchiveFormat;

use super::decoder::decoder;
use super::error::{Limit, UnpackError, of_reading};
use super::member::{Logs, MemberFile, MemberPath, log_of};
use super::place::SpoolFolder;
use super::spool::{Hashed, SpoolError, Spooled, fill, spool};
use super::unpacked::{Names, Unpacked};
use super::{stated, tar, zip};
use crate::input::UnpackOptions;
use crate::input::packed::Packed;

/// Bytes by which it is decided what a file is.
const HEAD: usize = 256 << 10;
/// Layers of packing; the field has three (a compressed db in an archive that is compressed). Each decoder has a window in memory,
/// so more of them would be a way to fill it.
const MAX_DEPTH: u32 = 4;

/// Members' dbs, and dbs beside them, that are told apart.
const MAX_BESIDE: usize = 512;

/// What was found so far.
pub(super) struct Layers<'u> {
    place: SpoolFolder,
    options: &'u UnpackOptions,
    progress: &'u dyn Fn(u64),
    produced: Rc<Cell<u64>>,
    /// The first format, and then the first archive's: what the file is, in words.
    format: Option<ArchiveFormat>,
    /// The db, as far as is known.
    found: Option<FoundDb>,
    dbs: Names,
    /// Other dbs in the folder of a member's db, as (its log's folder, path).
    beside_dbs: Vec<(String, String)>,
    /// The logs' folders of the dbs that are at a member's place.
    members: Vec<String>,
    logs: Logs,
    files: Names,
    /// Why the first file that could not be read could not.
    unread: Option<UnpackError>,
}

/// What may be the db.
struct FoundDb {
    name: String,
    spooled: Spooled,
    rank: Rank,
}

/// How sure it is that a db is the one that is meant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Another one in the folder of a member's db.
    BesideDb,
    Any,
    /// At the place of a member's db.
    Member,
}

/// Where the bytes of a layer come from.
#[derive(Clone, Copy, Debug)]
pub(super) struct LayerOrigin<'o> {
    /// The path in the archives above; empty outside of any.
    pub(super) name: &'o str,
    /// The bytes that it has, as the archive or the compressed file that it is in states.
    pub(super) size: Option<u64>,
    /// The bytes that come out of it if it is a compressed file, as its end states.
    pub(super) unpacked: Option<u64>,
    /// Layers above.
    pub(super) depth: u32,
    /// The format of the layer above.
    pub(super) format: Option<ArchiveFormat>,
}

impl LayerOrigin<'_> {
    /// The file itself.
    pub(super) const FILE: Self = Self { name: "", size: None, unpacked: None, depth: 0, format: None };
}

impl<'u> Layers<'u> {
    pub(super) fn new(place: SpoolFolder, options: &'u UnpackOptions, progress: &'u dyn Fn(u64)) -> Self {
        Self {
            place,
            options,
            progress,
            produced: Rc::default(),
            format: None,
            found: None,
            dbs: Names::default(),
            beside_dbs: Vec::new(),
            members: Vec::new(),
            logs: Logs::default(),
            files: Names::default(),
            unread: None,
        }
    }

    /// Reads a ZIP archive that needs no copy to be read from its end.
    pub(super) fn read_zip(&mut self, archive: impl Read + Seek) -> Result<(), UnpackError> {
        self.format = Some(ArchiveFormat::Zip);
        zip::files(self, archive, LayerOrigin { depth: 1, format: self.format, ..LayerOrigin::FILE })
    }

    /// Reads a file, whatever it is, and those in it.
    pub(super) fn read(&mut self, input: &mut dyn Read, origin: LayerOrigin<'_>) -> Result<(), UnpackError> {
        if let Some(path) = MemberPath::of(origin.name).filter(MemberPath::is_of_log) {
            return self.log_file(input, path, origin);
        }
        let mut head = vec![0; HEAD];
        let len = fill(input, &mut head).map_err(|error| failed(origin.format, error))?;
        head.truncate(len);
        let is_db = content::of(&head).is_none();
        let format = ArchiveFormat::of(&head).filter(|_| !is_db);
        let mut whole = head.as_slice().chain(input);
        let Some(format) = format else { return self.file(&mut whole, is_db, origin) };
        if origin.depth >= MAX_DEPTH {
            return Err(UnpackError::TooDeep(MAX_DEPTH));
        }
        if self.format.is_none_or(|outer| format.is_archive() && !outer.is_archive()) {
            self.format = Some(format);
        }
        let depth = origin.depth.saturating_add(1);
        let size = stated::in_head(format, &head).or(origin.unpacked);
        if size.is_some_and(|size| size > self.options.max_unpacked) {
            return Err(UnpackError::TooLarge(self.options.max_unpacked));
        }
        let below = LayerOrigin { size, unpacked: None, depth, format: Some(format), ..origin };
        match format {
            ArchiveFormat::Tar => tar::files(self, &mut whole, below),
            ArchiveFormat::Zip => {
                let archive = self.spool(&mut whole, origin, Hashed::Never)?;
                zip::files(self, io::BufReader::new(archive.file), below)
            }
            _ => match decoder(format, whole, self.options.max_window)? {
                Some(decoder) => self.read(&mut self.metered(decoder), below),
                None => self.file(&mut head.as_slice(), false, origin),
            },
        }
    }

    /// A file of an archive: one that can't be read does not keep the others from being read.
    pub(super) fn read_member(
        &mut self,
        input: &mut dyn Read,
        origin: LayerOrigin<'_>,
    ) -> Result<(), UnpackError> {
        match self.read(input, origin) {
            Err(
                error @ (UnpackError::CutOff { .. }
                | UnpackError::Damaged { .. }
                | UnpackError::Window { .. }
                | UnpackError::TooDeep(_)
                | UnpackError::Names(_)),
            ) => self.could_not_read(origin.name, error),
            read => read,
        }
    }

    /// Remembers why a file could not be read: that is said if no other one is the db.
    pub(super) fn could_not_read(&mut self, name: &str, error: UnpackError) -> Result<(), UnpackError> {
        self.logs.could_not_read(name, &error)?;
        self.unread.get_or_insert(error);
        Ok(())
    }

    /// A file of a log: kept, unless the log of another member is meant.
    fn log_file(
        &mut self,
        input: &mut dyn Read,
        path: MemberPath<'_>,
        origin: LayerOrigin<'_>,
    ) -> Result<(), UnpackError> {
        self.files.push(origin.name);
        if self.options.member.as_ref().is_some_and(|member| log_of(member) != path.wal) {
            return Ok(());
        }
        refuse_outside(origin.name)?;
        let spooled = self.spool(input, origin, Hashed::Never)?;
        let data = map_opened(spooled.file).map_err(|error| self.place.failed(error))?;
        self.logs.keep(path, data)
    }

    /// A file that is not packed: the db, or another one.
    fn file(
        &mut self,
        input: &mut dyn Read,
        is_db: bool,
        origin: LayerOrigin<'_>,
    ) -> Result<(), UnpackError> {
        let name = origin.name;
        let in_archive = !name.is_empty();
        self.files.push(name);
        let path = MemberPath::of(name);
        let rank = Rank::of(path.as_ref());
        let member_wal = path.as_ref().filter(|_| rank == Rank::Member).map(|path| path.wal.clone());
        // whatever has become of its bytes
        let is_db = is_db || rank == Rank::Member;
        // of files of one name, the last counts, as where they are unpacked
        let is_again = self.found.as_ref().is_some_and(|found| found.name == name);
        if is_db && !is_again {
            self.count(name, rank, path)?;
        }
        let is_better = || self.found.as_ref().is_none_or(|found| found.rank < rank);
        let is_wanted = match &self.options.member {
            _ if !in_archive => true,
            Some(member) => member == name || member_wal.is_some_and(|wal| wal == log_of(member)),
            None => is_db && (is_again || is_better()),
        };
        if !is_wanted {
            return Ok(());
        }
        refuse_outside(name)?;
        let spooled = self.spool(input, origin, Hashed::if_snapshot(origin.size))?;
        self.found = Some(FoundDb { name: name.to_owned(), spooled, rank });
        Ok(())
    }

    /// Counts a db.
    fn count(&mut self, name: &str, rank: Rank, path: Option<MemberPath<'_>>) -> Result<(), UnpackError> {
        let Some(path) = path else {
            self.dbs.push(name);
            return Ok(());
        };
        self.logs.note(&path)?;
        if rank == Rank::BesideDb && self.beside_dbs.len() < MAX_BESIDE {
            self.beside_dbs.push((path.wal, name.to_owned()));
            return Ok(());
        }
        self.dbs.push(name);
        if rank == Rank::Member && self.members.len() < MAX_BESIDE {
            self.members.push(path.wal);
        }
        Ok(())
    }

    fn spool(
        &self,
        input: &mut dyn Read,
        origin: LayerOrigin<'_>,
        hashed: Hashed,
    ) -> Result<Spooled, UnpackError> {
        spool(&self.place, input, origin.size, hashed).map_err(|error| match error {
            SpoolError::Read(error) => failed(origin.format, error),
            SpoolError::Write(error) => error,
        })
    }

    /// Counts what a decoder makes, and ends it where that is too much.
    pub(super) fn metered<R: Read>(&self, input: R) -> Metered<'u, R> {
        let (max, progress) = (self.options.max_unpacked, self.progress);
        Metered { input, max, progress, produced: Rc::clone(&self.produced) }
    }

    /// What was found.
    pub(super) fn finish(self) -> Unpacked {
        let Self { place, options, format, found, mut dbs, beside_dbs, members, logs, files, unread, .. } =
            self;
        let format = format.unwrap_or(ArchiveFormat::Tar);
        for (wal, name) in beside_dbs {
            // beside a member's db, others are not meant
            if !members.contains(&wal) {
                dbs.push(&name);
            }
        }
        let wal = found.as_ref().filter(|found| found.rank == Rank::Member).map(|found| log_of(&found.name));
        let logs = logs.finish(wal.clone());
        let SpoolFolder { folder, in_memory } = place;
        let db = found.map(|FoundDb { name, spooled, .. }| {
            let Spooled { file, trailer } = spooled;
            (file, Packed { member: name, trailer, folder, in_memory })
        });
        let (member, num_members) = (options.member.clone(), members.len());
        Unpacked { format, db, wal, member, dbs, files, num_members, logs, unread }
    }
}

impl Rank {
    fn of(path: Option<&MemberPath<'_>>) -> Self {
        match path.map(|path| path.file) {
            Some(MemberFile::Db) => Self::Member,
            Some(MemberFile::BesideDb(_)) => Self::BesideDb,
            _ => Self::Any,
        }
    }
}

fn refuse_outside(name: &str) -> Result<(), UnpackError> {
    if name.split(['/', '\\']).any(|part| part == "..") {
        return Err(UnpackError::Outside(name.to_owned()));
    }
    Ok(())
}

/// What an error of reading means in a layer of this format.
pub(super) fn failed(format: Option<ArchiveFormat>, error: io::Error) -> UnpackError {
    match format {
        Some(format) => of_reading(format, &error),
        None => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(Limit::Unpacked(max)) => UnpackError::TooLarge(*max),
            _ => UnpackError::Read(error),
        },
    }
}

/// A stream whose bytes are counted, together with all others of the file.
pub(super) struct Metered<'u, R> {
    input: R,
    max: u64,
    progress: &'u dyn Fn(u64),
    produced: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        let produced = self.produced.get().saturating_add(read as u64);
        if produced > self.max {
            return Err(Limit::Unpacked(self.max).passed());
        }
        self.produced.set(produced);
        (self.progress)(read as u64);
        Ok(read)
    }
}
