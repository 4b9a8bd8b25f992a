//! From a plan to a finished file.

use std::fs::File;

use crate::bolt::Db;
use crate::bolt::lock::Lock;
use crate::bolt::open::map_file;
use crate::bolt::write::{self, EntrySource, Plan, WriteError};
use crate::etcd::trailer::TRAILER_SIZE;
use crate::output::{OutputError, Target};
use crate::text::ByteText;

use super::seal::seal_while;
use super::{CopyError, Mismatch, Progress};

/// A copy that is to be made.
#[derive(Debug)]
pub struct Order<'o> {
    pub target: Target,
    /// Where each entry goes in it.
    pub plan: &'o Plan,
    /// Whether to append a SHA-256, as snapshots have it.
    pub snapshot: bool,
    /// The file that gives it its mode, owner and extended attributes.
    pub attributes_of: Option<&'o File>,
}

/// A copy that was made.
#[derive(Debug, Default)]
pub struct Copied<P> {
    /// What the proof gives.
    pub proof: P,
    /// The SHA-256 that was appended, in hexadecimal digits.
    pub sha256: Option<String>,
    /// Where the source is kept, if the copy replaced it.
    pub kept_old: Option<ByteText>,
    /// Warnings: what could not be done.
    pub warnings: Vec<String>,
}

/// Bytes of the file that a plan gives, with its trailer.
pub fn file_bytes(plan: &Plan, snapshot: bool) -> u64 {
    plan.file_bytes().saturating_add(if snapshot { TRAILER_SIZE as u64 } else { 0 })
}

/// Makes a copy of these entries, which are dropped when they are written. `prove` looks at the finished copy.
///
/// # Errors
/// See [`CopyError`]. There is no temporary file, and, but for [`OutputError::Unsynced`] and [`OutputError::Remains`], the target
/// is as it was.
pub fn make<P>(
    order: Order<'_>,
    entries: impl EntrySource,
    progress: Progress<'_>,
    prove: impl FnOnce(&Db) -> Result<P, Mismatch>,
) -> Result<Copied<P>, CopyError> {
    let Order { target, plan, snapshot, attributes_of } = order;
    target.check_space(file_bytes(plan, snapshot))?;
    let output = target.begin(plan.file_bytes())?;
    (progress.begin)("writing", plan.node_bytes());
    write::write(plan, &entries, output.file(), progress.advance).map_err(|error| match error {
        WriteError::Io(error) => OutputError::io(output.target())(error).into(),
        error => CopyError::Source(error),
    })?;
    // the proof needs the memory
    drop(entries);
    let warnings = attributes_of.map(|file| output.copy_attributes(file)).transpose()?;
    let copy = map_file(output.path(), Lock::None).map_err(CopyError::Reopen)?;
    let copy = Db::of_mapping(copy).map_err(CopyError::Reread)?;
    // the disk is busy with what was written, the processors with the proof
    let (sealed, proof) = seal_while(&output, &copy, snapshot, || prove(&copy));
    let (proof, sha256) = (proof?, sealed?);
    drop(copy);
    let kept_old = output.commit()?.map(|old| ByteText::from(old.as_path()));
    Ok(Copied { proof, sha256, kept_old, warnings: warnings.unwrap_or_default() })
}
