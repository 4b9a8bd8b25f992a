//! The files of a ZIP archive, in the order of its directory, of which no more than one entry is in memory at a time.

use std::io::{Read, Seek};

use zip::ZipReadOptions;
use zip::read::Config;
use zip::result::ZipError;
use zip::unstable::read::ZipIterable;

use crate::content::packing::ArchiveFormat;

use super::error::{UnpackError, of_reading};
use super::layer::{LayerOrigin, Layers};

/// Reads each file of an archive.
pub(super) fn files(
    layers: &mut Layers<'_>,
    archive: impl Read + Seek,
    origin: LayerOrigin<'_>,
) -> Result<(), UnpackError> {
    let mut archive = ZipIterable::try_new(archive, Config::default()).map_err(of_directory)?;
    let entries = archive.files().map_err(of_directory)?;
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(of_directory)?;
        if !entry.is_file() {
            continue;
        }
        let name = path_in(origin.name, entry.name_raw());
        if entry.encrypted() {
            layers.could_not_read(&name, UnpackError::Encrypted(name.clone()))?;
            continue;
        }
        let origin = LayerOrigin { name: &name, size: Some(entry.size()), ..origin };
        match entry.with_reader(entries.reader_mut(), ZipReadOptions::new()) {
            Ok(file) => {
                let mut file = layers.metered(file);
                layers.read_member(&mut file, origin)?;
            }
            Err(ZipError::CompressionMethodNotSupported(_) | ZipError::UnsupportedArchive(_)) => {
                layers.could_not_read(&name, UnpackError::Method(name.clone()))?;
            }
            Err(error) => layers.could_not_read(&name, of_directory(error))?,
        }
    }
    Ok(())
}

fn of_directory(error: ZipError) -> UnpackError {
    let format = ArchiveFormat::Zip;
    match error {
        ZipError::Io(error) => of_reading(format, &error),
        error => UnpackError::Damaged { format, reason: error.to_string() },
    }
}

/// The path of a file in an archive that may itself be in one.
pub(super) fn path_in(outer: &str, name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    if outer.is_empty() { name.into_owned() } else { format!("{outer}/{name}") }
}
