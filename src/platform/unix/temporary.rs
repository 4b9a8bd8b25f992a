//! Where temporary files go.

use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::fstatvfs;

use super::room_of;
use crate::platform::Room;

/// The room on the file system of a file in `folder`. `None` where it does not say.
pub fn room(file: &File, _folder: &Path) -> Option<Room> {
    fstatvfs(file).ok().and_then(room_of)
}

/// Whether the file system of a file is in memory (Linux, `include/uapi/linux/magic.h`: tmpfs and ramfs).
#[cfg(target_os = "linux")]
pub fn is_in_memory(file: &File) -> bool {
    const IN_MEMORY: [rustix::fs::FsWord; 2] = [0x0102_1994, 0x8584_58f6];
    rustix::fs::fstatfs(file).is_ok_and(|of| IN_MEMORY.contains(&of.f_type))
}

/// Not known here.
#[cfg(not(target_os = "linux"))]
pub fn is_in_memory(_file: &File) -> bool {
    false
}

/// The usual folders for temporary files, the best first.
pub fn temporary_folders() -> Vec<PathBuf> {
    let named = env::var_os("TMPDIR").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    named.into_iter().chain(["/var/tmp", "/tmp"].map(PathBuf::from)).collect()
}
