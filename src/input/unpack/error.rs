//! Why nothing came out of a packed file.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::content::packing::ArchiveFormat;
use crate::input::named::Named;
use crate::shell::ShellCommand;
use crate::text::{escape, shown};
use crate::units::bytes;

/// Names that are shown of an archive's files.
pub(super) const SHOWN: usize = 10;

/// Why nothing came out of a packed file.
#[derive(Debug, Error)]
pub enum UnpackError {
    /// It ends too early.
    #[error("{format} that was cut off. Take another copy")]
    CutOff {
        /// How it is packed, or a part of it.
        format: ArchiveFormat,
    },
    /// Its bytes are not what they were.
    #[error("{format} that is damaged: {reason}. Take another copy")]
    Damaged {
        /// How it is packed, or a part of it.
        format: ArchiveFormat,
        /// What its decoder says.
        reason: String,
    },
    /// Its decoder would need more memory than is allowed.
    #[error("{format} with a window of more than {}, which is what may be held in memory", bytes(*.max_window))]
    Window {
        /// How it is packed.
        format: ArchiveFormat,
        /// The largest window that is allowed, in bytes.
        max_window: u64,
    },
    /// More comes out of it than is allowed.
    #[error("more than {} come out of it", bytes(*.0))]
    TooLarge(u64),
    /// It is packed in itself too often.
    #[error("it is packed more than {0} times over: nobody packs a backup like that")]
    TooDeep(u32),
    /// Its header alone is larger than any archive's.
    #[error("{0} whose names are larger than any archive's are")]
    Names(ArchiveFormat),
    /// A file of it is encrypted.
    #[error("a ZIP archive in which {} is encrypted. Unpack it first, with its password:", shown_name(.0))]
    Encrypted(String),
    /// A file of it is packed in a way that is not known here.
    #[error("an archive in which {} is packed in a way that nothing here reads. Unpack it first:", shown_name(.0))]
    Method(String),
    /// A name in it leads out of the folder that it is unpacked into.
    #[error("an archive in which a name leads out of it ({}): made to do harm, or by mistake", shown_name(.0))]
    Outside(String),
    /// No db is in it.
    #[error("{format} in which no file is a db; {}", listed("it has", names, *count))]
    NoDb {
        /// How it is packed.
        format: ArchiveFormat,
        /// The first of its files.
        names: Vec<String>,
        /// How many there are.
        count: u64,
    },
    /// More than one db is in it.
    #[error("{format} with several dbs; {}", listed("these are", names, *count))]
    Several {
        /// How it is packed.
        format: ArchiveFormat,
        /// The first of them.
        names: Vec<String>,
        /// How many there are.
        count: u64,
    },
    /// It has no file of the name that was asked for.
    #[error("{format} that has no file {}; {}", shown_name(member), listed("its dbs are", names, *count))]
    NoSuchMember {
        /// How it is packed.
        format: ArchiveFormat,
        /// The name that was asked for.
        member: String,
        /// The first of its dbs.
        names: Vec<String>,
        /// How many there are.
        count: u64,
    },
    /// No log is in it.
    #[error("{format} in which no file is a segment of a log; {}", listed("it has", names, *count))]
    NoLog {
        /// How it is packed.
        format: ArchiveFormat,
        /// The first of its files.
        names: Vec<String>,
        /// How many there are.
        count: u64,
    },
    /// More than one log is in it.
    #[error("{format} with the logs of several members; {}", listed("these are", names, *count))]
    SeveralLogs {
        /// How it is packed.
        format: ArchiveFormat,
        /// The first of their folders.
        names: Vec<String>,
        /// How many there are.
        count: u64,
    },
    /// It has no log where one was asked for.
    #[error("{format} that has no log beside {}; {}", shown_name(member), listed("its dbs are", names, *count))]
    NoLogBeside {
        /// How it is packed.
        format: ArchiveFormat,
        /// The name that was asked for.
        member: String,
        /// The first of its dbs.
        names: Vec<String>,
        /// How many there are.
        count: u64,
    },
    /// There are more files of logs than can be open at a time.
    #[error("an archive with more than {0} files of logs")]
    TooManyFiles(usize),
    /// There is no folder for what comes out of it.
    #[error("nothing can be written to {}, where it would be unpacked: {error}", shown(folder))]
    NoFolder {
        /// The folder that was tried last.
        folder: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The disk would be all but full.
    #[error("no room to unpack it in {}: a twentieth of a disk is left free", shown(folder))]
    NoSpace {
        /// The folder that has no room.
        folder: PathBuf,
    },
    /// What came out could not be kept.
    #[error("it could not be unpacked into {}: {error}", shown(folder))]
    Write {
        /// The folder that it was written to.
        folder: PathBuf,
        /// The operating system's words.
        error: io::Error,
    },
    /// The stream that it comes from fails.
    #[error("it could not be read: {0}")]
    Read(io::Error),
}

impl UnpackError {
    /// Whether the file is the reason, rather than the machine.
    #[must_use]
    pub fn is_of_file(&self) -> bool {
        !matches!(self, Self::NoFolder { .. } | Self::NoSpace { .. } | Self::Write { .. } | Self::Read(_))
    }

    /// The command to go on with, where there is one.
    #[must_use]
    pub fn next(&self, named: &Named) -> Option<ShellCommand> {
        match self {
            Self::Several { names, .. } | Self::NoSuchMember { names, .. } => {
                Some(named.with_member(names.first()?).ours("etcd-medic status"))
            }
            Self::Window { .. } | Self::Encrypted(_) | Self::Method(_) => named.plain_file_first(),
            _ => None,
        }
    }
}

fn shown_name(name: &str) -> String {
    format!("`{}`", escape(name.as_bytes()))
}

fn listed(verb: &str, names: &[String], count: u64) -> String {
    if names.is_empty() {
        return format!("{verb} none");
    }
    let names: Vec<_> = names.iter().map(|name| shown_name(name)).collect();
    let more = count.saturating_sub(names.len() as u64);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{verb} {}{more}", names.join(", "))
}

/// What a limit says through a decoder, which knows errors of reading only.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub(super) enum Limit {
    #[error("more comes out than is allowed")]
    Unpacked(u64),
    #[error("its names are too large")]
    Names,
    #[error("its window is too large")]
    Window(u64),
}

impl Limit {
    pub(super) fn passed(self) -> io::Error {
        io::Error::other(self)
    }
}

/// What an error of reading means for a file that was packed so.
pub(super) fn of_reading(format: ArchiveFormat, error: &io::Error) -> UnpackError {
    let limit = error.get_ref().and_then(|inner| inner.downcast_ref::<Limit>());
    match limit {
        Some(Limit::Unpacked(max)) => UnpackError::TooLarge(*max),
        Some(Limit::Names) => UnpackError::Names(format),
        Some(Limit::Window(max_window)) => UnpackError::Window { format, max_window: *max_window },
        None if error.kind() == io::ErrorKind::UnexpectedEof => UnpackError::CutOff { format },
        None => UnpackError::Damaged { format, reason: error.to_string() },
    }
}
