//! `replay`: a db rolled forward along a log.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::bolt::lock::Lock;
use crate::copy::Layout;
use crate::etcd::apply::Version;
use crate::filter::FilterWords;
use crate::front::replay_newest;
use crate::input::DbFile;
use crate::input::folder::backups_in;
use crate::replay::deletions::Deletions;
use crate::replay::document::PassedOver;
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
  etcd-medic replay backup.db --log /var/lib/etcd -o new.db --before-deletes --namespace prod
  etcd-medic replay backup.db --log /var/lib/etcd --list-deletions          # what was deleted since
  etcd-medic replay backup.db --log /var/lib/etcd -o new.db --until-revision 81234
  etcd-medic replay /backups --log /var/lib/etcd -o new.db                  # from the newest one that fits
docs/point-in-time.md goes through it, step by step.")]
pub struct ReplayArgs {
    /// A db, a snapshot, or a data dir. Of several, or a folder of these, the newest that fits is taken
    #[arg(value_name = "BASE", required = true)]
    bases: Vec<PathBuf>,
    /// The data dir, of this or another member of the cluster, whose log is applied; or the folder of the log; or an archive of one
    #[arg(long, value_name = "DIR")]
    log: PathBuf,
    /// Where the member's log is, if not in DIR
    #[arg(long, value_name = "DIR")]
    wal_dir: Option<PathBuf>,
    /// The db of an archive that --log names, by its path in it: the log is the one beside it
    #[arg(long, value_name = "NAME")]
    log_member: Option<String>,
    /// Where to write the new db
    #[arg(short = 'o', long = "out", value_name = "DST", required_unless_present_any = ["dry_run", "list_deletions"])]
    out: Option<PathBuf>,
    /// Replace DST if it exists
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    until: UntilArgs,
    #[command(flatten)]
    deletions: DeletionArgs,
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
    before_delete: Option<OsString>,
    /// End before the newest run of deletions: of all keys, or of those that --key, --namespace and --resource name
    #[arg(long)]
    before_deletes: bool,
    /// Show the runs of deletions after BASE, and write nothing
    #[arg(long)]
    list_deletions: bool,
}

/// Which deletions count.
#[derive(clap::Args, Clone, Debug)]
struct DeletionArgs {
    /// With --before-deletes and --list-deletions: only keys with this prefix
    #[arg(long, value_name = "PREFIX")]
    key: Option<OsString>,
    /// Only keys of this namespace
    #[arg(long, short, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Only keys of this resource, by any name that kubectl takes
    #[arg(long, value_name = "RESOURCE")]
    resource: Option<String>,
}

impl DeletionArgs {
    fn is_none(&self) -> bool {
        self.key.is_none() && self.namespace.is_none() && self.resource.is_none()
    }
}

impl From<&DeletionArgs> for Deletions {
    fn from(args: &DeletionArgs) -> Self {
        let words = FilterWords { resource: args.resource.clone(), namespace: args.namespace.clone() };
        let prefix = args.key.as_ref().map(|key| key.as_encoded_bytes().to_vec()).unwrap_or_default();
        Self { prefix, filter: words.by_words_alone() }
    }
}

impl ReplayArgs {
    fn until(&self) -> Until {
        match &self.until {
            UntilArgs { until_index: Some(index), .. } => Until::Index(*index),
            UntilArgs { until_revision: Some(revision), .. } => Until::Revision(*revision),
            UntilArgs { before_delete: Some(key), .. } => {
                Until::BeforeDelete(key.as_encoded_bytes().to_vec())
            }
            UntilArgs { before_deletes: true, .. } => Until::BeforeDeletes(Deletions::from(&self.deletions)),
            _ => Until::End,
        }
    }

    /// The dbs that can be opened. Of several, one that can't does not hide the others.
    fn open_bases(&self, context: &Context) -> Result<(Vec<DbFile>, Vec<PassedOver>)> {
        let of_path = |path: &PathBuf| backups_in(path).unwrap_or_else(|| vec![path.clone()]);
        let paths: Vec<_> = self.bases.iter().flat_map(of_path).collect();
        let (mut files, mut unread) = (Vec::new(), Vec::new());
        let mut first_error = None;
        for path in &paths {
            match context.open_under(path, Lock::Shared) {
                Ok(file) => files.push(file),
                Err(error) => {
                    unread.push(PassedOver { path: path.as_path().into(), reason: format!("{error:#}") });
                    first_error.get_or_insert(error);
                }
            }
        }
        match first_error.filter(|_| files.is_empty()) {
            Some(error) => Err(error),
            None => Ok((files, unread)),
        }
    }

    pub fn run(&self, context: &Context) -> Result<Outcome> {
        signals::end_cleanly()?;
        ensure!(
            self.deletions.is_none() || self.until.before_deletes || self.until.list_deletions,
            "--key, --namespace and --resource are for --before-deletes and --list-deletions"
        );
        let (files, unread) = self.open_bases(context)?;
        let log = context.open_log(&self.log, self.wal_dir.as_deref(), self.log_member.as_ref())?;
        let request = ReplayRequest {
            target: self.out.clone().filter(|_| !self.dry_run && !self.until.list_deletions),
            force: self.force,
            until: self.until(),
            list_deletions: self.until.list_deletions.then(|| Deletions::from(&self.deletions)),
            version: self.etcd,
            layout: Layout::from(self.layout),
            snapshot: self.snapshot,
        };
        let mut report = progress::watch(|progress| replay_newest(&files, &log, &request, progress))?;
        report.passed_over.extend(unread);
        let view = context.view();
        context.render("replay", &report, |out| report::replay::replay(out, &view, &report))?;
        Ok(Outcome::Sound)
    }
}
