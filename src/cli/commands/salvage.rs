//! `salvage`: a sound copy of what a damaged file still holds.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::bolt::lock::Lock;
use crate::copy::Layout;
use crate::etcd::apply::Version;
use crate::front;
use crate::input::OpenOptions;
use crate::input::named::Named;
use crate::report;
use crate::salvage::request::SalvageRequest;
use crate::salvage::request::Trust;

use crate::cli::context::{Context, say_what_was_unpacked};
use crate::cli::outcome::Outcome;
use crate::cli::progress;
use crate::cli::signals;

use super::layout::LayoutArgs;

/// Save what a damaged file still holds into a sound one that etcd starts from, and list what was lost
///
/// It takes what the active root reaches. Where a page is damaged, it takes what the other meta's root has; where that has
/// nothing, leaves that no root reaches; and what the log of the member says of the rest. Nothing is invented, and what was
/// deleted stays deleted.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  etcd-medic salvage damaged.db -o saved.db --dry-run          # what could be saved, and what is lost
  etcd-medic salvage /var/lib/etcd -o saved.db                 # with the log of the member
  etcd-medic salvage damaged.db --log /var/lib/etcd -o saved.db
  etcd-medic salvage damaged.db -o saved.db --snapshot         # for `etcdutl snapshot restore`
  etcd-medic salvage /dev/failing/db -o saved.db --disk-errors # the disk gives errors, too
  etcd-medic salvage damaged.db -o saved.db --output json | jq '.recovered, .lost'
docs/recovery.md says what to do before and after. Exit code 1: something was lost, or is doubtful.")]
pub struct SalvageArgs {
    /// A db, a snapshot, or a data dir, in any state
    #[arg(value_name = "SRC")]
    source: PathBuf,
    /// Where to write what was saved
    #[arg(short = 'o', long = "out", value_name = "DST")]
    out: PathBuf,
    /// The member that has the log of this db, or its folder `wal`, or an archive of one, if it is not beside the db
    #[arg(long, value_name = "DIR")]
    log: Option<PathBuf>,
    /// The db of an archive that --log names, by its path in it: the log is the one beside it
    #[arg(long, value_name = "NAME", requires = "log")]
    log_member: Option<String>,
    /// The version of etcd that wrote the log, such as 3.5.9
    #[arg(long, value_name = "VERSION")]
    etcd: Option<Version>,
    /// Replace DST if it exists
    #[arg(long)]
    force: bool,
    /// Leave out what a compaction may have removed, and refuse revisions with two contents
    #[arg(long, conflicts_with = "best_effort")]
    strict: bool,
    /// Take all that can be read: deleted and superseded records become live, and what belongs to no bucket goes into a
    /// bucket lost+found
    #[arg(long)]
    best_effort: bool,
    /// Read block by block, and skip what the disk can't read; needs room for a copy beside DST
    #[arg(long)]
    disk_errors: bool,
    /// Turn authentication off in the copy: if it was on and the user root is lost, nobody could log in
    #[arg(long)]
    disable_auth: bool,
    /// Append a SHA-256, so that `etcdutl snapshot restore` accepts the copy
    #[arg(long)]
    snapshot: bool,
    /// Show what could be saved, and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    layout: LayoutArgs,
}

impl SalvageArgs {
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        signals::end_cleanly()?;
        let named = Named::new(&self.source, &context.open_options(Lock::Shared));
        ensure!(
            !(self.disk_errors && named.is_standard_input),
            "--disk-errors reads a file block by block, which standard input can't be: name the file"
        );
        signals::read_from_now_on(named);
        let request = self.request(context.open_options(Lock::Shared));
        let report = progress::watch(|progress| front::salvage(&self.source, &request, progress))?;
        if let Some(packed) = &report.packed {
            say_what_was_unpacked(&self.source, packed);
        }
        let view = context.view();
        context.render("salvage", &report, |out| report::salvage::salvage(out, &view, &report))?;
        Ok(Outcome::of(report.is_whole()))
    }

    fn request(&self, open: OpenOptions) -> SalvageRequest {
        let trust = match (self.strict, self.best_effort) {
            (true, _) => Trust::Strict,
            (_, true) => Trust::BestEffort,
            _ => Trust::Usual,
        };
        SalvageRequest {
            target: self.out.clone(),
            force: self.force,
            trust,
            disable_auth: self.disable_auth,
            layout: Layout::from(self.layout),
            snapshot: self.snapshot,
            dry_run: self.dry_run,
            disk_errors: self.disk_errors,
            log: self.log.clone(),
            log_member: self.log_member.clone(),
            version: self.etcd,
            open,
        }
    }
}
