//! The files of a tar archive, one after the other.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use tar::Archive;

use crate::content::packing::ArchiveFormat;

use super::error::{Limit, UnpackError, of_reading};
use super::layer::{Layers, Origin};
use super::zip::path_in;

/// Bytes of headers between two files: names and extended headers, which the reader of the archive keeps in memory.
const MAX_HEADERS: u64 = 1 << 20;

/// Reads each file of an archive.
pub(super) fn files(
    layers: &mut Layers<'_>,
    input: &mut dyn Read,
    origin: Origin<'_>,
) -> Result<(), UnpackError> {
    let seen = Rc::new(Seen::default());
    let failed = |error: io::Error| match seen.end.get() {
        true => UnpackError::CutOff { format: ArchiveFormat::Tar },
        false => of_reading(ArchiveFormat::Tar, &error),
    };
    let mut archive = Archive::new(Watched { input, seen: Rc::clone(&seen) });
    let mut entries = archive.entries().map_err(failed)?;
    loop {
        seen.allowed.set(MAX_HEADERS);
        let Some(entry) = entries.next() else { break };
        let mut entry = entry.map_err(failed)?;
        seen.allowed.set(u64::MAX);
        let kind = entry.header().entry_type();
        if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
            let name = path_in(origin.name, &entry.path_bytes());
            let origin = Origin { name: &name, ..origin };
            // the holes of a sparse file are in no byte of the archive
            let mut file: Box<dyn Read + '_> = match kind.is_gnu_sparse() {
                true => Box::new(layers.metered(&mut entry)),
                false => Box::new(&mut entry),
            };
            layers.read_member(&mut file, origin)?;
        }
        // so that nothing but headers comes before the next one
        io::copy(&mut entry, &mut io::sink()).map_err(failed)?;
    }
    // two blocks of zeros end an archive; one without them lost its end
    if seen.end.get() {
        return Err(UnpackError::CutOff { format: ArchiveFormat::Tar });
    }
    // the checksum of what the archive is in comes after its last byte
    seen.allowed.set(u64::MAX);
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(failed)?;
    Ok(())
}

/// What was read of the archive.
#[derive(Default)]
struct Seen {
    end: Cell<bool>,
    /// Bytes that may be read until this is set again.
    allowed: Cell<u64>,
}

struct Watched<R> {
    input: R,
    seen: Rc<Seen>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.seen.end.set(read == 0 && !buffer.is_empty());
        let allowed = self.seen.allowed.get().checked_sub(read as u64);
        self.seen.allowed.set(allowed.ok_or_else(|| Limit::Names.passed())?);
        Ok(read)
    }
}
