//! Packed files: the db in a compressed file or an archive, unpacked into a file without a name; and, of a member's folder in an
//! archive, the log beside it, each segment in such a file. All in one pass, as the input may be a stream.
//!
//! ```text
//!   bytes ──► layer: what is it, by its first bytes?
//!               ├─ compressed ──► decoder ──► layer
//!               ├─ an archive ──► each of its files ──► layer
//!               ├─ a file of a log, by its name ──► spool
//!               └─ anything else ──► spool, if it is the db
//! ```
//!
//! | file | what is in it |
//! |---|---|
//! | `layer` | one layer after the other, down to the db |
//! | `member` | the files of a member in an archive |
//! | `unpacked` | what came out: which db, which log |
//! | `decoder` | compressed files as streams |
//! | `stated` | the size that a compressed file states of what comes out of it |
//! | `watched` | a stream of which it is known how far it was read |
//! | `sparse` | sparse files of a tar archive |
//! | `tar`, `zip` | the files of an archive |
//! | `spool` | the file without a name: written on a thread of its own, holes where there are zeros, its SHA-256 on the way |
//! | `place` | the folder that it is in, and the room there |
//! | [`error`] | why nothing came out |
//!
//! Nothing that an archive says is believed: names are shown only, sizes are counted, and links and devices are skipped.

#![deny(clippy::arithmetic_side_effects)]

pub mod error;

mod decoder;
mod layer;
mod member;
mod place;
mod sparse;
mod spool;
mod stated;
mod tar;
mod unpacked;
mod watched;
mod zip;

use std::io::{Cursor, Read};
use std::path::Path;

use crate::content::packing::ArchiveFormat;

use super::UnpackOptions;
use error::UnpackError;
use layer::{LayerOrigin, Layers};
use place::SpoolFolder;
pub use unpacked::Unpacked;

/// Unpacks the bytes of the file at `path`.
///
/// # Errors
/// It is damaged; a limit was passed; there is no room.
pub fn of_bytes(
    path: &Path,
    data: &[u8],
    options: &UnpackOptions,
    progress: &dyn Fn(u64),
) -> Result<Unpacked, UnpackError> {
    let mut layers = Layers::new(SpoolFolder::choose(path.parent(), options)?, options, progress);
    match ArchiveFormat::of(data) {
        // a file that is there needs no copy to be read from its end
        Some(ArchiveFormat::Zip) => layers.read_zip(Cursor::new(data))?,
        _ => layers.read(&mut &*data, LayerOrigin { unpacked: stated::at_end(data), ..LayerOrigin::FILE })?,
    }
    Ok(layers.finish())
}

/// Unpacks what a stream gives, which may be packed or not.
///
/// # Errors
/// As [`of_bytes`].
pub fn of_stream(
    stream: &mut dyn Read,
    options: &UnpackOptions,
    progress: &dyn Fn(u64),
) -> Result<Unpacked, UnpackError> {
    let mut layers = Layers::new(SpoolFolder::choose(None, options)?, options, progress);
    let mut stream = layers.metered(stream);
    layers.read(&mut stream, LayerOrigin::FILE)?;
    Ok(layers.finish())
}
