//! The directory: db, log and `.snap`, each written and read again, under a name of its own until all of it is there.

use std::ffi::OsStr;
use std::io::{BufWriter, Write};
use std::sync::Arc;

use crate::bolt::Db;
use crate::copy::{CopyError, Layout, Progress};
use crate::member::write::{SEGMENT_BYTES, WalWriter, segment_name, snap_file, snap_name};
use crate::output::{Folder, OutputError, Target};
use crate::replay::content::Content;
use crate::replay::write::{NewDb, write_content};

use super::error::RestoreError;
use super::plan::MemberPlan;

/// Bytes of a log that are written at once.
const BUFFER_BYTES: usize = 1 << 20;

/// The db as it was written.
pub struct WrittenDb {
    pub hash_kv: Option<u32>,
    pub bytes: u64,
}

/// Writes the db.
pub fn db(
    data_dir: &Folder,
    source: &Db,
    content: &Content<'_>,
    layout: Layout,
    progress: Progress<'_>,
) -> Result<WrittenDb, CopyError> {
    let snap = below(data_dir, "snap")?;
    let target = Target::below(&snap, OsStr::new("db"), false)?;
    let how = NewDb { target, layout, snapshot: false, attributes_of: None };
    let (copied, bytes) = write_content(content, source, how, progress)?;
    Ok(WrittenDb { hash_kv: copied.proof, bytes })
}

/// Writes the log and the `.snap`.
pub fn log_and_snap(data_dir: &Folder, plan: &MemberPlan<'_>) -> Result<(), RestoreError> {
    let (wal, snap) = (below(data_dir, "wal")?, below(data_dir, "snap")?);
    let entries_bytes: u64 = plan.entries.iter().map(|entry| entry.len() as u64 + 64).sum();
    file(&wal, &segment_name(0, plan.first.index), entries_bytes.max(SEGMENT_BYTES), |out| {
        let mut log = WalWriter::begin(out, plan.metadata)?;
        log.snapshot(&plan.first)?;
        plan.entries.iter().try_for_each(|entry| log.entry(entry))?;
        log.end(plan.state, plan.last.as_ref()).map(drop)
    })?;
    let config = plan.at.config.clone().unwrap_or_default();
    let content = snap_file(plan.at.index, plan.at.term, &config, &plan.store);
    file(&snap, &snap_name(plan.at.term, plan.at.index), 0, |out| out.write_all(&content))
}

/// The folder of this name in `member`.
fn below(data_dir: &Folder, name: &str) -> Result<Arc<Folder>, OutputError> {
    Ok(Arc::new(data_dir.below(OsStr::new("member"))?.below(OsStr::new(name))?))
}

/// Writes a file, with room for so many bytes: what is not written is zeros, as etcd makes its segments.
fn file(
    folder: &Arc<Folder>,
    name: &str,
    room: u64,
    write: impl FnOnce(&mut BufWriter<&std::fs::File>) -> std::io::Result<()>,
) -> Result<(), RestoreError> {
    let target = Target::below(folder, OsStr::new(name), false)?;
    target.check_space(room)?;
    let output = target.begin(room)?;
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, output.file());
    let written = write(&mut out).and_then(|()| out.flush());
    drop(out);
    written.map_err(OutputError::io(output.path()))?;
    output.sync()?;
    output.commit()?;
    Ok(())
}
