//! Archives and compressed files: how they begin, and what unpacks them.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use crate::platform::{path_bytes, path_of};
use crate::shell::ShellCommand;

/// How a file was packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArchiveFormat {
    Gzip,
    Zstd,
    Xz,
    Bzip2,
    Lz4,
    /// One file, by `compress`.
    Compress,
    /// Any number of files.
    Zip,
    /// Any number of files, not compressed.
    Tar,
    /// Any number of files.
    SevenZip,
}

/// How each begins (RFC 1952, RFC 8878 and its skippable frames, the `.xz` format 1.2.1, bzip2's and lz4's frame formats, ncompress,
/// APPNOTE.TXT 4.3: a file, none, or parts; 7zFormat.txt).
const SIGNATURES: [(&[u8], ArchiveFormat); 12] = [
    (b"\x1f\x8b\x08", ArchiveFormat::Gzip),
    (b"\x28\xb5\x2f\xfd", ArchiveFormat::Zstd),
    (b"\x50\x2a\x4d\x18", ArchiveFormat::Zstd),
    (b"\xfd7zXZ\0", ArchiveFormat::Xz),
    (b"BZh", ArchiveFormat::Bzip2),
    (b"\x04\x22\x4d\x18", ArchiveFormat::Lz4),
    (b"\x02\x21\x4c\x18", ArchiveFormat::Lz4),
    (b"\x1f\x9d", ArchiveFormat::Compress),
    (b"PK\x03\x04", ArchiveFormat::Zip),
    (b"PK\x05\x06", ArchiveFormat::Zip),
    (b"PK\x07\x08", ArchiveFormat::Zip),
    (b"7z\xbc\xaf\x27\x1c", ArchiveFormat::SevenZip),
];

impl ArchiveFormat {
    /// How these bytes were packed, if they were.
    pub fn of(data: &[u8]) -> Option<Self> {
        let signed = SIGNATURES.iter().find(|(signature, _)| data.starts_with(signature));
        signed.map(|&(_, packing)| packing).or_else(|| is_tar(data).then_some(Self::Tar))
    }

    /// Whether it holds files by name, rather than one without.
    pub fn is_archive(self) -> bool {
        matches!(self, Self::Zip | Self::Tar | Self::SevenZip)
    }

    /// Whether it is read here as it is, rather than refused.
    pub fn can_be_unpacked(self) -> bool {
        !matches!(self, Self::Compress | Self::SevenZip)
    }

    /// The command that unpacks the file at `path`, beside it and under a name that is not there yet; the file itself stays.
    pub fn unpack(self, path: &Path) -> ShellCommand {
        let program = match self {
            Self::Gzip | Self::Compress => "gunzip -c",
            // takes any window: without it, none above 128 MiB
            Self::Zstd => "zstd -dc --long=31",
            Self::Xz => "xz -dc",
            Self::Bzip2 => "bzip2 -dc",
            Self::Lz4 => "lz4 -dc",
            Self::Zip => {
                return ShellCommand::new("unzip -d").path(&self.unpacked(path)).path(&literal(path));
            }
            Self::Tar => {
                let folder = self.unpacked(path);
                return ShellCommand::new("mkdir")
                    .path(&folder)
                    .and("&& tar -xf - -C")
                    .path(&folder)
                    .and("<")
                    .path(path);
            }
            Self::SevenZip => return ShellCommand::new("7z x").path(path),
        };
        ShellCommand::new(program).and("<").path(path).and(">").path(&self.unpacked(path))
    }

    /// A name for what comes out: the file's own without its ending, or with another one.
    fn unpacked(self, path: &Path) -> PathBuf {
        let (ending, rest) = match self {
            Self::Gzip => (["gz", "tgz"], ["", "tar"]),
            Self::Zstd => (["zst", "tzst"], ["", "tar"]),
            Self::Xz => (["xz", "txz"], ["", "tar"]),
            Self::Bzip2 => (["bz2", "tbz2"], ["", "tar"]),
            Self::Lz4 => (["lz4", "tlz4"], ["", "tar"]),
            Self::Compress => (["Z", "z"], ["", ""]),
            Self::Zip => (["zip", "ZIP"], ["", ""]),
            Self::Tar => (["tar", "TAR"], ["", ""]),
            Self::SevenZip => (["7z", "7Z"], ["", ""]),
        };
        let found =
            path.extension().and_then(|of_path| ending.iter().position(|known| of_path == OsStr::new(known)));
        let stripped = found.and_then(|at| rest.get(at)).map(|rest| path.with_extension(rest));
        let is_free = |path: &PathBuf| path.symlink_metadata().is_err();
        stripped.filter(is_free).unwrap_or_else(|| free_name(path, "unpacked"))
    }
}

impl fmt::Display for ArchiveFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "a file that gzip compressed",
            Self::Zstd => "a file that zstd compressed",
            Self::Xz => "a file that xz compressed",
            Self::Bzip2 => "a file that bzip2 compressed",
            Self::Lz4 => "a file that lz4 compressed",
            Self::Compress => "a file that `compress` made smaller",
            Self::Zip => "a ZIP archive",
            Self::Tar => "a tar archive",
            Self::SevenZip => "a 7z archive",
        })
    }
}

/// A name that no file has: the path with `.ending` after it, and a number where that is taken.
pub fn free_name(path: &Path, ending: &str) -> PathBuf {
    let numbers = std::iter::once(String::new()).chain((1_u32..=9999).map(|number| format!(".{number}")));
    let mut names = numbers.map(|number| {
        let mut name = OsString::from(path);
        name.push(format!(".{ending}{number}"));
        PathBuf::from(name)
    });
    names.find(|name| name.symlink_metadata().is_err()).unwrap_or_else(|| path.with_extension(ending))
}

/// unzip takes `*`, `?` and `[…]` in the name of an archive for a pattern (its manual); one that can only be the character itself
/// says so.
fn literal(path: &Path) -> PathBuf {
    let mut name = Vec::new();
    for &byte in &*path_bytes(path) {
        match byte {
            b'*' | b'?' | b'[' => name.extend([b'[', byte, b']']),
            _ => name.push(byte),
        }
    }
    path_of(&name).into_owned()
}

/// A header of 512 bytes whose checksum is right: the sum of its bytes, those of the checksum taken for spaces (POSIX.1, pax, ustar).
/// Old archives have no other mark.
fn is_tar(data: &[u8]) -> bool {
    let Some(header) = data.get(..512) else { return false };
    let digits = header.get(148..156).unwrap_or_default();
    let digits: String =
        digits.iter().take_while(|byte| !b"\0".contains(byte)).map(|&byte| char::from(byte)).collect();
    let Ok(stated) = u32::from_str_radix(digits.trim(), 8) else { return false };
    let is_sum = |at: &usize| (148..156).contains(at);
    let sum = header.iter().enumerate().map(|(at, &byte)| if is_sum(&at) { 32 } else { u32::from(byte) });
    // all zeros is no archive
    header.first().is_some_and(|&byte| byte != 0) && sum.sum::<u32>() == stated
}
