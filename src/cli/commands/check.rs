//! `check`: every fault.

use std::path::PathBuf;

use anyhow::Result;

use crate::check::log::LogComparison;
use crate::cli::progress;
use crate::etcd::apply::Version;
use crate::front::options::CheckOptions;
use crate::input::DbFile;
use crate::report;

use crate::cli::context::Context;
use crate::cli::outcome::Outcome;

/// Find every structural and logical fault, not only the first
///
/// The db of a data dir is also compared with its log: each record that the log covers must be what an entry wrote.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  etcd-medic check /var/lib/etcd
  etcd-medic check damaged.db --max-findings 20
  etcd-medic check damaged.db --output json | jq -r '.findings[].kind' | sort | uniq -c")]
pub struct CheckArgs {
    /// A db, a snapshot, or a data dir
    file: PathBuf,
    /// Show at most this many; 0 for all
    #[arg(long, default_value_t = 1000, value_name = "N")]
    max_findings: usize,
    /// Where the member's log is, if not in the data dir: its records are compared with what it wrote
    #[arg(long, value_name = "DIR")]
    wal_dir: Option<PathBuf>,
    /// The version of etcd that wrote the log, such as 3.5.9
    #[arg(long, value_name = "VERSION")]
    etcd: Option<Version>,
}

impl CheckArgs {
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let source = context.open(&self.file)?;
        let max_findings = if self.max_findings == 0 { usize::MAX } else { self.max_findings };
        let mut checked = progress::watch(|progress| source.check(&CheckOptions { max_findings, progress }));
        if checked.readable {
            checked.log = self.compare_with_log(&source)?;
        }
        let view = context.view();
        context.render("check", &checked, |out| report::simple::check(out, &view, &source.path, &checked))?;
        let differs =
            checked.log.as_ref().is_some_and(|log| !log.differing.is_empty() || log.effects_beyond.is_some());
        Ok(Outcome::of(checked.sound && !differs))
    }

    /// Compares a member's db with its log; `None` for a file that is not in a data dir, unless a log is named.
    fn compare_with_log(&self, source: &DbFile) -> Result<Option<LogComparison>> {
        let files = match source.place().log_files(self.wal_dir.as_deref()) {
            Some(Ok(files)) => files,
            Some(Err(error)) if self.wal_dir.is_some() => return Err(error.into()),
            // a member whose log is gone is not the db's fault
            Some(Err(_)) | None => return Ok(None),
        };
        match source.compare_with_log(&files, self.etcd) {
            Ok(compared) => Ok(Some(compared)),
            Err(error) if self.wal_dir.is_some() => Err(error.into()),
            Err(_) => Ok(None),
        }
    }
}
