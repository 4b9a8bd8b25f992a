//! `restore`: a member's directory, from a db.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::bolt::lock::Lock;
use crate::copy::{Layout, Progress};
use crate::etcd::apply::Version;
use crate::front::{self, RestoreSource};
use crate::input::LogFiles;
use crate::input::log_error::LogError;
use crate::report;
use crate::restore::cluster::NewCluster;
use crate::restore::request::{Identity, RestoreRequest};

use crate::cli::context::Context;
use crate::cli::outcome::Outcome;
use crate::cli::progress;
use crate::cli::signals;
use crate::cli::values::parse_version;

use super::layout::LayoutArgs;

/// Make a data dir that etcd starts from: a new cluster's, as `etcdutl snapshot restore` makes it, or that of the same member
///
/// With --keep-identity the member stays who it is: its new log begins at the db, and goes on with the entries of the old one after it.
/// That mends a member whose log is gone or damaged before the db, or whose snapshot is ahead of its db, and loses nothing.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  etcd-medic restore backup.db --data-dir /var/lib/etcd-new                 # a new cluster of one member
  etcd-medic restore backup.db --data-dir /var/lib/etcd-new --name m1 \\
    --initial-cluster m1=http://10.0.0.1:2380,m2=http://10.0.0.2:2380 \\
    --initial-advertise-peer-urls http://10.0.0.1:2380                      # once on each machine
  etcd-medic restore backup.db --data-dir /var/lib/etcd-new --bump-revision 1000000000 --mark-compacted
  etcd-medic restore /var/lib/etcd --keep-identity --data-dir /var/lib/etcd-new
  etcd-medic restore backup.db --keep-identity --log /var/lib/etcd --data-dir /var/lib/etcd-new --cut-log 81234
DIR must not exist, or be empty. A damaged db is saved first, as `salvage` does, and what is lost is said.
Exit code 1: that salvage lost something.")]
pub struct RestoreArgs {
    /// A db, a snapshot, or a data dir, in any state
    #[arg(value_name = "SRC")]
    source: PathBuf,
    /// The data dir to make
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Stay the member that SRC is of, with the log of SRC
    #[arg(long, conflicts_with_all = ["name", "initial_cluster", "initial_cluster_token", "initial_advertise_peer_urls"])]
    keep_identity: bool,
    /// The data dir that has the member's log, if that is not SRC; or the folder of the log
    #[arg(long, value_name = "DIR", requires = "keep_identity")]
    log: Option<PathBuf>,
    /// Where the member's log is, if not in its data dir
    #[arg(long, value_name = "DIR", requires = "keep_identity")]
    wal_dir: Option<PathBuf>,
    /// Take over no entry of the log after this one
    #[arg(long, value_name = "INDEX", requires = "keep_identity")]
    cut_log: Option<u64>,
    /// Let the revision go up by so many, so that whoever watches notices: a thousand million is usual
    #[arg(long, value_name = "N", requires = "mark_compacted")]
    bump_revision: Option<u64>,
    /// Mark all revisions before that as compacted
    #[arg(long, requires = "bump_revision")]
    mark_compacted: bool,
    /// Take a snapshot whose SHA-256 does not fit
    #[arg(long)]
    skip_hash_check: bool,
    /// The etcd that will start from it, such as 3.5 or 3.6.16; by default that of its cluster
    #[arg(long = "for", value_name = "VERSION", value_parser = parse_version)]
    version: Option<Version>,
    #[command(flatten)]
    layout: LayoutArgs,
}

/// A new cluster, by etcd's own options.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "A new cluster")]
struct ClusterArgs {
    /// The member's name
    #[arg(long, value_name = "NAME", default_value = "default")]
    name: String,
    /// All members, as name=URL, separated by commas; by default this one alone
    #[arg(long, value_name = "LIST")]
    initial_cluster: Option<String>,
    /// What tells clusters of the same members apart
    #[arg(long, value_name = "TOKEN", default_value = "etcd-cluster")]
    initial_cluster_token: String,
    /// Where other members find this one
    #[arg(long, value_name = "URLS", default_value = "http://localhost:2380")]
    initial_advertise_peer_urls: String,
}

impl RestoreArgs {
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        signals::end_cleanly()?;
        let log = self.keep_identity.then(|| self.open_log(context)).transpose()?.flatten();
        let source = RestoreSource {
            path: &self.source,
            open: context.open_options(Lock::Shared),
            skip_hash_check: self.skip_hash_check,
        };
        let request = self.request();
        let restore = |progress: Progress<'_>| front::restore(&source, log.as_ref(), &request, progress);
        let report = progress::watch(restore)?;
        let view = context.view();
        context.render("restore", &report, |out| report::restore::write(out, &view, &report))?;
        Ok(Outcome::of(report.is_whole()))
    }

    /// The log of the member; nothing where it has none any more.
    fn open_log(&self, context: &Context) -> Result<Option<LogFiles>> {
        let path = self.log.as_ref().unwrap_or(&self.source);
        ensure!(
            path.is_dir() || self.wal_dir.is_some(),
            "--keep-identity needs the member's data dir: name it as SRC, or with --log"
        );
        match context.open_log(path, self.wal_dir.as_deref(), None) {
            Ok(log) => Ok(Some(log)),
            Err(error) => match error.downcast_ref() {
                Some(LogError::Missing { .. }) => Ok(None),
                _ => Err(error),
            },
        }
    }

    fn request(&self) -> RestoreRequest {
        let ClusterArgs { name, initial_cluster, initial_cluster_token, initial_advertise_peer_urls } =
            self.cluster.clone();
        let identity = match self.keep_identity {
            true => Identity::Kept { until: self.cut_log },
            false => Identity::New(NewCluster {
                name,
                initial_cluster,
                token: initial_cluster_token,
                advertise_peer_urls: initial_advertise_peer_urls,
            }),
        };
        RestoreRequest {
            data_dir: self.data_dir.clone(),
            identity,
            bump_revision: self.bump_revision,
            version: self.version,
            layout: Layout::from(self.layout),
        }
    }
}
