//! What a file is that is no db: told by its bytes, whatever its name is.
//!
//! | file | what is in it |
//! |---|---|
//! | [`packing`] | archives and compressed files, and what unpacks them |
//! | [`moved`] | a db whose bytes are no longer where they were: something before it, changed line ends |
//! | [`text`] | what was put in its place: pages of servers, messages, dumps |
//! | [`folder`] | what lies in a folder that is no data dir |
//!
//! Signatures are few, and each is of a file that was given for a db: a table of our own rather than a library of hundreds of others'.

#![deny(clippy::arithmetic_side_effects)]

pub mod folder;
pub mod moved;
pub mod packing;
pub mod text;

use std::path::Path;

use rayon::prelude::*;
use thiserror::Error;

use crate::bolt::format::MAGIC;
use crate::bolt::meta::{MetaError, Metas};
use crate::bolt::probe;
use crate::shell::ShellCommand;

use packing::ArchiveFormat;
use text::Text;

/// What bytes are that are no db.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum FileContent {
    #[error("the file is empty")]
    Empty,
    #[error("not a bbolt file: all of its {0} bytes are zeros")]
    Zeros(u64),
    /// An archive, or a compressed file.
    #[error("not a bbolt file, but {packing}{}. Unpack it first:", inside(*db_at))]
    Packed {
        /// How it was packed.
        packing: ArchiveFormat,
        /// Where a db begins in it that was not compressed.
        db_at: Option<u64>,
    },
    /// A whole db, with something before it.
    #[error("a bbolt file begins at byte {0} of it: take off what was written before:")]
    Begins(u64),
    /// A db in which each line feed got a carriage return before it.
    #[error(
        "a bbolt file whose line ends were changed: each line feed has a carriage return before it, as a terminal \
         (`kubectl exec -t`) or a transfer as text adds it. Transfer it again without that; or undo it, and check what comes out:"
    )]
    LineEnds,
    /// A db that was taken for text: what isn't, was replaced.
    #[error(
        "a bbolt file that was transferred as text: each byte that is no text was replaced by U+FFFD, and is lost. Transfer it \
         again, as bytes"
    )]
    Replaced,
    /// A db of which only the first bytes are there.
    #[error("only the first {0} bytes of a bbolt file: it was cut off. Take another copy")]
    CutOff(u64),
    /// Pages of a size that is not supported.
    #[error("a bbolt file with {}{}", MetaError::PageSize { found: *page_size }, copied(*bbolt_reads_it))]
    PageSize {
        /// Bytes of a page.
        page_size: u32,
        /// Whether bbolt opens it: by meta 0, in a file of 4 KiB or more (`db.go`, `getPageSizeFromFirstMeta`).
        bbolt_reads_it: bool,
    },
    /// Bytes in the order of another machine.
    #[error(
        "written by a big-endian machine (its magic number is byte-swapped): not supported, only files of little-endian ones"
    )]
    ByteSwapped,
    /// A file of another program's.
    #[error("not a bbolt file, but {0}")]
    Other(&'static str),
    #[error("not a bbolt file, but {0}")]
    Text(Text),
    /// Nothing that is known here.
    #[error("not a bbolt file: no page of one lies in it, and it is nothing else that is known here")]
    Unknown,
}

/// Files of other programs', by how they begin.
const OTHERS: [(&[u8], &str); 8] = [
    (
        b"SQLite format 3\0",
        "a database of SQLite's, which k3s keeps its objects in by default: nothing here reads it",
    ),
    (b"SQLite 2.1\0", "a database of SQLite 2"),
    (b"age-encryption.org/", "a file that age encrypted: decrypt it first"),
    (b"Salted__", "a file that OpenSSL encrypted: decrypt it first"),
    (b"-----BEGIN PGP MESSAGE", "a file that PGP encrypted: decrypt it first"),
    (b"\x7fELF", "a program"),
    (
        b"\xff\xfe",
        "text in UTF-16, as PowerShell's `>` writes all that it is given: no db comes back out of that. Take another copy",
    ),
    (b"\xfe\xff", "text in UTF-16: no db comes back out of that. Take another copy"),
];

/// What these bytes are; `None` where they are a db, sound or damaged.
pub fn of(data: &[u8]) -> Option<FileContent> {
    if data.is_empty() {
        return Some(FileContent::Empty);
    }
    let errors = match Metas::read(data) {
        Ok(metas) => return moved::of_db(data, &metas),
        Err(errors) => errors,
    };
    if let Some(moved) = moved::line_ends(data) {
        return Some(moved);
    }
    if let Some(page_size) = probe::unsupported_page_size(data) {
        let states_it = matches!(errors, [MetaError::PageSize { .. }, _]);
        return Some(FileContent::PageSize { page_size, bbolt_reads_it: states_it && data.len() >= 4096 });
    }
    // where the pages lie where they belong, whatever was written over the first ones
    if probe::page_size_of(data).is_some_and(|page_size| !moved::has_more_pages(data, page_size)) {
        return None;
    }
    // a compressed file may have the magic number of what is in it where a meta would have it
    if ArchiveFormat::of(data).is_some() {
        return Some(of_others(data));
    }
    match errors {
        [MetaError::ByteSwapped, _]
        | [MetaError::Magic { .. } | MetaError::Missing, MetaError::ByteSwapped] => {
            Some(FileContent::ByteSwapped)
        }
        [
            MetaError::Magic { .. } | MetaError::Missing,
            MetaError::Magic { .. } | MetaError::Missing | MetaError::Misplaced { .. },
        ] => Some(of_others(data)),
        _ => None,
    }
}

/// What bytes are in which nothing of bbolt's is where it belongs.
fn of_others(data: &[u8]) -> FileContent {
    let db_at = moved::begins_at(data);
    if let Some(packing) = ArchiveFormat::of(data) {
        return FileContent::Packed { packing, db_at };
    }
    if let Some(at) = db_at {
        return FileContent::Begins(at);
    }
    if data.get(16..20) == Some(&MAGIC.to_le_bytes()) {
        return FileContent::CutOff(data.len() as u64);
    }
    if let Some((_, what)) = OTHERS.iter().find(|(signature, _)| data.starts_with(signature)) {
        return FileContent::Other(what);
    }
    if is_log(data) {
        return FileContent::Other(
            "a segment of etcd's log (WAL): name its data dir, or the db in that (member/snap/db)",
        );
    }
    if moved::was_taken_for_text(data) {
        return FileContent::Replaced;
    }
    if let Some(text) = Text::of(data) {
        return FileContent::Text(text);
    }
    if data.par_chunks(1 << 20).all(|part| part.iter().all(|&byte| byte == 0)) {
        return FileContent::Zeros(data.len() as u64);
    }
    FileContent::Unknown
}

/// etcd's log begins with a frame of eight bytes, little-endian and marked as padded in its highest bit, and a record of type 4, crc
/// (server/storage/wal/encoder.go, `encodeFrameSize`; wal.go, `crcType`).
fn is_log(data: &[u8]) -> bool {
    let length = data.first().copied().unwrap_or(0);
    // bytes that fill the frame up to a multiple of eight
    let mark = match length % 8 {
        0 => 0,
        over => 0x80 | 8_u8.saturating_sub(over),
    };
    let frame = data.get(1..8).is_some_and(|rest| *rest == [0, 0, 0, 0, 0, 0, mark]);
    frame && data.get(8..11) == Some(&[0x08, 0x04, 0x10])
}

fn copied(bbolt_reads_it: bool) -> &'static str {
    if bbolt_reads_it { ". bbolt's own tool copies it into pages that are:" } else { "" }
}

fn inside(db_at: Option<u64>) -> String {
    db_at.map(|at| format!(", in which a bbolt file begins at byte {at}")).unwrap_or_default()
}

impl FileContent {
    /// Whether nothing that was the file's is in it.
    pub fn has_nothing(&self) -> bool {
        matches!(self, Self::Empty | Self::Zeros(_))
    }

    /// The command that makes a db of the file at `path`, or lets the user see what it is. It writes to a file that is not there yet,
    /// and keeps the one that it reads.
    pub fn unpack(&self, path: &Path) -> Option<ShellCommand> {
        let restored = || packing::free_name(path, "restored");
        match self {
            Self::Packed { packing, .. } => Some(packing.unpack(path)),
            Self::Begins(at) => {
                let from = format!("tail -c +{} <", at.saturating_add(1));
                Some(ShellCommand::new(&from).path(path).and(">").path(&restored()))
            }
            Self::LineEnds => {
                Some(ShellCommand::new(r"perl -pe 's/\r\n/\n/' <").path(path).and(">").path(&restored()))
            }
            Self::PageSize { bbolt_reads_it: true, .. } => {
                let copied = packing::free_name(path, "copied");
                Some(ShellCommand::new("bbolt compact -o").path(&copied).path(path))
            }
            Self::Text(Text::Base64) => {
                Some(ShellCommand::new("base64 -d <").path(path).and(">").path(&restored()))
            }
            _ => None,
        }
    }
}
