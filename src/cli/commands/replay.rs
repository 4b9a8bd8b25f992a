//! `replay`: a db rolled forward along a log.

use std::path::PathBuf;

use anyhow::Result;

use crate::bolt::open::Lock;
use crate::copy::Layout;
use crate::etcd::apply::Version;
use crate::input::LogFiles;
use crate::replay::request::{ReplayRequest, Until};
use crate::report;

use crate::cli::context::Context;
use crate::cli::outcome::Outcome;
use crate::cli::progress;
use crate::cli::signals;

use super::layout::LayoutArgs;

/// Roll a db forward along a log, to its end or to the moment before a deletion
///
/// Each entry of the log after the db's own is applied as etcd applies it. The result is a new db, compacted as etcd would have
/// compacted it, and packed. Neither the db nor the log is changed.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  etcd-medic replay backup.db --log /var/lib/etcd -o new.db --snapshot      # to the newest entry
  etcd-medic replay backup.db --log /var/lib/etcd --dry-run                 # how far it would go
  etcd-medic replay backup.db --log /var/lib/etcd -o new.db --before-delete /registry/namespaces/prod
  etcd-medic replay backup.db --log /var/lib/etcd -o new.db --until-revision 81234
Exit code 2: the log is of another history, entries are missing, or one can not be applied.")]
pub struct ReplayArgs {
    /// A db, a snapshot, or a data dir
    #[arg(value_name = "BASE")]
    base: PathBuf,
    /// The data dir, of this or another member of the cluster, whose log is applied; or the folder of the log
    #[arg(long, value_name = "DIR")]
    log: PathBuf,
    /// Where the member's log is, if not in DIR
    #[arg(long, value_name = "DIR")]
    wal_dir: Option<PathBuf>,
    /// Where to write the new db
    #[arg(short = 'o', long = "out", value_name = "DST", required_unless_present = "dry_run")]
    out: Option<PathBuf>,
    /// Replace DST if it exists
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    until: UntilArgs,
    /// The version of etcd that wrote the log, such as 3.5.9
    #[arg(long, value_name = "VERSION")]
    etcd: Option<Version>,
    /// Append a SHA-256, so that `etcdutl snapshot restore` accepts the new db
    #[arg(long)]
    snapshot: bool,
    /// Show where it would end, and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    layout: LayoutArgs,
}

/// Where a replay ends.
#[derive(clap::Args, Clone, Debug)]
#[group(multiple = false)]
struct UntilArgs {
    /// End with this entry
    #[arg(long, value_name = "INDEX")]
    until_index: Option<u64>,
    /// End with the entry that makes this revision
    #[arg(long, value_name = "REVISION")]
    until_revision: Option<i64>,
    /// End before the newest deletion of this key
    #[arg(long, value_name = "KEY")]
    before_delete: Option<String>,
}

impl From<&UntilArgs> for Until {
    fn from(args: &UntilArgs) -> Self {
        match args {
            UntilArgs { until_index: Some(index), .. } => Self::Index(*index),
            UntilArgs { until_revision: Some(revision), .. } => Self::Revision(*revision),
            UntilArgs { before_delete: Some(key), .. } => Self::BeforeDelete(key.clone().into_bytes()),
            _ => Self::End,
        }
    }
}

impl ReplayArgs {
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        signals::end_cleanly()?;
        let file = context.open_under(&self.base, Lock::Shared)?;
        let log = LogFiles::open(&self.log, self.wal_dir.as_deref())?;
        let request = ReplayRequest {
            target: self.out.clone().filter(|_| !self.dry_run),
            force: self.force,
            until: Until::from(&self.until),
            version: self.etcd,
            layout: Layout::from(self.layout),
            snapshot: self.snapshot,
        };
        let report = progress::watch(|progress| file.replay(&log, &request, progress))?;
        let view = context.view();
        context.render("replay", &report, |out| report::replay::replay(out, &view, &report))?;
        Ok(Outcome::Sound)
    }
}
