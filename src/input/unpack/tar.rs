//! The files of a tar archive, one after the other.

use std::io::{self, Read};

use tar::Archive;

use crate::content::packing::ArchiveFormat;

use super::error::{UnpackError, of_reading};
use super::layer::{LayerOrigin, Layers};
use super::sparse::Sparse;
use super::watched::Watched;
use super::zip::path_in;

/// Bytes of headers between two files: names and extended headers, which the reader of the archive keeps in memory.
const MAX_HEADERS: u64 = 1 << 20;

/// Reads each file of an archive.
pub(super) fn files(
    layers: &mut Layers<'_>,
    input: &mut dyn Read,
    origin: LayerOrigin<'_>,
) -> Result<(), UnpackError> {
    let (input, seen) = Watched::new(input);
    let failed = |error: io::Error| match seen.end.get() {
        true => UnpackError::CutOff { format: ArchiveFormat::Tar },
        false => of_reading(ArchiveFormat::Tar, &error),
    };
    let mut archive = Archive::new(input);
    let mut entries = archive.entries().map_err(failed)?;
    loop {
        seen.allow(Some(MAX_HEADERS));
        let Some(entry) = entries.next() else { break };
        let mut entry = entry.map_err(failed)?;
        seen.allow(None);
        let kind = entry.header().entry_type();
        if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
            let sparse = Sparse::of(&mut entry).map_err(failed)?;
            let name = sparse.as_ref().and_then(|sparse| sparse.name.clone());
            let name = path_in(origin.name, &name.map_or_else(|| entry.path_bytes(), Into::into));
            let size = sparse.as_ref().map_or(entry.size(), |sparse| sparse.size);
            let origin = LayerOrigin { name: &name, size: Some(size), ..origin };
            // the holes of a sparse file are in no byte of the archive
            let mut file: Box<dyn Read + '_> = match sparse {
                Some(sparse) => Box::new(layers.metered(sparse.whole(&mut entry).map_err(failed)?)),
                None if kind.is_gnu_sparse() => Box::new(layers.metered(&mut entry)),
                None => Box::new(&mut entry),
            };
            layers.read_member(&mut file, origin)?;
            drop(file);
        }
        // so that nothing but headers comes before the next one
        io::copy(&mut entry, &mut io::sink()).map_err(failed)?;
    }
    // two blocks of zeros end an archive; one without them lost its end
    if seen.end.get() {
        return Err(UnpackError::CutOff { format: ArchiveFormat::Tar });
    }
    // the checksum of what the archive is in comes after its last byte
    seen.allow(None);
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(failed)?;
    Ok(())
}
