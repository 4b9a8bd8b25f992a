//! The folder of a log, and the one of its snapshots: names, and files opened by them.

use std::io;
use std::path::Path;

use crate::bolt::lock::Lock;
use crate::bolt::open::{Mapping, map_file};
use crate::member::message::Snapshot;
use crate::member::names::{SegmentName, parse_broken, parse_snap};
use crate::member::snap;
use crate::platform;

use super::log_error::LogError;

/// The files in the folder of a log.
pub(super) struct LogFolder {
    pub(super) segments: Vec<(String, Mapping)>,
    /// Copies that a repair by etcd made.
    pub(super) broken: Vec<(String, Mapping)>,
}

impl LogFolder {
    /// Opens all of them.
    ///
    /// # Errors
    /// The folder can't be read, or a segment can't be opened.
    pub(super) fn open(folder: &Path) -> Result<Self, LogError> {
        let names = names_in(folder).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => LogError::Missing { folder: folder.to_owned() },
            _ => LogError::Io { path: folder.to_owned(), error: error.into() },
        })?;
        let (mut segments, mut broken) = (Vec::new(), Vec::new());
        for name in names {
            let path = folder.join(&name);
            if SegmentName::is_taken_for_one(&name) {
                let data = map_file(&path, Lock::None).map_err(|error| LogError::Io { path, error })?;
                segments.push((name, data));
            } else if parse_broken(&name).is_some() {
                // etcd never reads it
                broken.extend(map_file(&path, Lock::None).ok().map(|data| (name, data)));
            }
        }
        Ok(Self { segments, broken })
    }
}

/// Whether there is a segment in a folder.
pub(super) fn has_segments(folder: &Path) -> bool {
    names_in(folder).is_ok_and(|names| names.iter().any(|name| SegmentName::is_taken_for_one(name)))
}

/// The heads of the `.snap` files in a folder. Those that can't be read are left out.
pub(super) fn read_snaps(folder: &Path, names: &[String]) -> Vec<Snapshot> {
    let read = |name: &String| {
        let (term, index) = parse_snap(name)?;
        let file = map_file(&folder.join(name), Lock::None).ok()?;
        let snapshot = snap::parse(file.as_ref()).ok()?;
        ((snapshot.term, snapshot.index) == (term, index)).then_some(snapshot)
    };
    names.iter().filter_map(read).collect()
}

/// The names in a folder that are text; a segment's is.
pub(super) fn names_in(folder: &Path) -> io::Result<Vec<String>> {
    let names = platform::names_in(folder)?;
    names.map(|name| Ok(name?.to_string_lossy().into_owned())).collect()
}
