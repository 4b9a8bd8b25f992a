//! Directories of real members, unpacked.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// The directories of an archive `member.tar.zst`.
pub fn unpack(archive: &Path) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = std::fs::File::open(archive).unwrap_or_else(|error| panic!("{}: {error}", archive.display()));
    let mut reader = zstd::Decoder::new(file).expect("zstd");
    reader.window_log_max(27).expect("a window");
    let mut tar = Command::new("tar");
    tar.args(["--sparse", "-xf", "-", "-C"]).arg(folder.path());
    let mut tar = tar.stdin(Stdio::piped()).spawn().expect("tar");
    let mut pipe = tar.stdin.take().expect("a pipe");
    std::io::copy(&mut reader, &mut pipe).expect("unpacked");
    pipe.flush().expect("unpacked");
    drop(pipe);
    assert!(tar.wait().expect("tar").success(), "{}", archive.display());
    folder
}
