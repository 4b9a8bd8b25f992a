//! Where temporary files go.

use std::env;
use std::fs::File;
use std::path::PathBuf;

/// Windows has no file system in memory of its own.
pub fn is_in_memory(_file: &File) -> bool {
    false
}

/// The usual folders for temporary files, the best first.
pub fn temporary_folders() -> Vec<PathBuf> {
    vec![env::temp_dir()]
}
