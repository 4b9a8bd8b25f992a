//! A db held against its own log.

use std::path::Path;

use etcd_medic::internals::check::log::{LogComparison, compare_with_log};
use etcd_medic::{Lock, LogFiles, Progress};

pub fn compared(db: &Path, log: &LogFiles) -> Option<LogComparison> {
    let file = etcd_medic::open_with(db, &Lock::None.into(), Progress::SILENT).ok()?;
    compare_with_log(&file, log, None).ok()
}
