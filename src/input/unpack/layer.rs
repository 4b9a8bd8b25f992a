//! One layer after the other, down to the db.

use std::cell::Cell;
use std::io::{self, Read, Seek};
use std::rc::Rc;

use crate::content;
use crate::content::packing::ArchiveFormat;

use super::decoder::decoder;
use super::error::{Limit, SHOWN, UnpackError, of_reading};
use super::place::SpoolFolder;
use super::spool::{Hashed, SpoolError, Spooled, fill, spool};
use super::{Unpacked, stated, tar, zip};
use crate::input::UnpackOptions;
use crate::input::packed::Packed;

/// Bytes by which it is decided what a file is.
const HEAD: usize = 256 << 10;
/// Layers of packing; the field has three (a compressed db in an archive that is compressed). Each decoder has a window in memory,
/// so more of them would be a way to fill it.
const MAX_DEPTH: u32 = 4;

/// What was found so far.
pub(super) struct Layers<'u> {
    place: SpoolFolder,
    options: &'u UnpackOptions,
    progress: &'u dyn Fn(u64),
    produced: Rc<Cell<u64>>,
    /// The first format, and then the first archive's: what the file is, in words.
    format: Option<ArchiveFormat>,
    found: Option<(String, Spooled)>,
    dbs: Names,
    files: Names,
    /// Why the first file that could not be read could not.
    unread: Option<UnpackError>,
}

/// The first names of a list that may be long.
#[derive(Debug, Default)]
struct Names {
    first: Vec<String>,
    count: u64,
}

impl Names {
    fn push(&mut self, name: &str) {
        self.count = self.count.saturating_add(1);
        if self.first.len() < SHOWN {
            self.first.push(name.to_owned());
        }
    }
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
            ) => {
                self.could_not_read(error);
                Ok(())
            }
            read => read,
        }
    }

    /// Remembers why a file could not be read: that is said if no other one is the db.
    pub(super) fn could_not_read(&mut self, error: UnpackError) {
        self.unread.get_or_insert(error);
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
        // of files of one name, the last counts, as where they are unpacked
        let is_again = self.found.as_ref().is_some_and(|(found, _)| found == name);
        if is_db && !is_again {
            self.dbs.push(name);
        }
        let is_wanted = match &self.options.member {
            _ if !in_archive => true,
            Some(member) => member == name,
            None => is_db && (is_again || self.found.is_none()),
        };
        if !is_wanted {
            return Ok(());
        }
        if name.split(['/', '\\']).any(|part| part == "..") {
            return Err(UnpackError::Outside(name.to_owned()));
        }
        let spooled = self.spool(input, origin, Hashed::if_snapshot(origin.size))?;
        self.found = Some((name.to_owned(), spooled));
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

    /// The db that was found.
    pub(super) fn finish(self) -> Result<Unpacked, UnpackError> {
        let Self { place, options, format, found, dbs, files, unread, .. } = self;
        let format = format.unwrap_or(ArchiveFormat::Tar);
        let member = options.member.clone();
        if let Some(error) = unread.filter(|_| found.is_none()) {
            return Err(error);
        }
        match (found, member) {
            (Some((member, spooled)), named) if named.is_some() || dbs.count <= 1 => {
                let Spooled { file, trailer } = spooled;
                let SpoolFolder { folder, in_memory } = place;
                Ok(Unpacked { file, from: Packed { member, trailer, folder, in_memory } })
            }
            (Some(_), _) => Err(UnpackError::Several { format, names: dbs.first, count: dbs.count }),
            (None, Some(member)) => {
                Err(UnpackError::NoSuchMember { format, member, names: dbs.first, count: dbs.count })
            }
            (None, None) => Err(UnpackError::NoDb { format, names: files.first, count: files.count }),
        }
    }
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
