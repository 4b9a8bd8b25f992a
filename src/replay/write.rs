//! A db of what was put together, written and proved.

use std::fs::File;

use crate::bolt::Db;
use crate::bolt::write;
use crate::copy::{self, Copied, CopyError, Layout, Order, Progress, proof};
use crate::etcd::hash;
use crate::etcd::schema::State;
use crate::output::Target;

use super::content::Content;

/// How the db is written.
#[derive(Debug)]
pub struct NewDb<'w> {
    pub target: Target,
    pub layout: Layout,
    /// Whether to append a SHA-256, as snapshots have it.
    pub snapshot: bool,
    /// The file that gives it its mode, owner and extended attributes.
    pub attributes_of: Option<&'w File>,
}

/// Writes a db, whose page size is that of `source`. Gives its HashKV, and its bytes.
///
/// # Errors
/// See [`CopyError`].
pub fn write_content(
    content: &Content<'_>,
    source: &Db,
    how: NewDb<'_>,
    progress: Progress<'_>,
) -> Result<(Copied<Option<u32>>, u64), CopyError> {
    let NewDb { target, layout, snapshot, attributes_of } = how;
    let plan = write::plan(content, layout.settings(source, true))?;
    let order = Order { target, plan: &plan, snapshot, attributes_of };
    let prove = |copy: &Db| {
        (progress.begin)("verifying", copy.file_size());
        proof::against(content, copy, progress.advance)?;
        Ok(hash::hash_kv_of(copy, &State::read(copy)))
    };
    let copied = copy::make(order, content, progress, prove)?;
    Ok((copied, copy::file_bytes(&plan, snapshot)))
}
