//! `plan`: how large a copy would be.

use std::path::PathBuf;

use anyhow::Result;

use crate::copy::Layout;
use crate::front::options::PlanOptions;
use crate::report;
use crate::rewrite::changes::History;

use crate::cli::context::Context;
use crate::cli::outcome::Outcome;
use crate::cli::progress;
use crate::cli::values::parse_compact_to;

use super::layout::LayoutArgs;

/// Compute how large a copy would be, to the byte, for several lengths of history, and write nothing
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  etcd-medic plan /var/lib/etcd
  etcd-medic plan /var/lib/etcd --keep-revisions 2000,20000 --compact-to 120000
  etcd-medic plan snapshot.db --output json | jq '.choices[] | {keep_revisions, file_bytes}'")]
pub struct PlanArgs {
    /// A db, a snapshot, or a data dir
    file: PathBuf,
    /// Add the newest N revisions to the lengths of history: all, 10000, 5000, 1000, 100, and none
    #[arg(long, value_name = "N", value_delimiter = ',')]
    keep_revisions: Vec<u64>,
    /// Add a compaction to this revision
    #[arg(long, value_name = "REV|current", value_delimiter = ',', value_parser = parse_compact_to)]
    compact_to: Vec<History>,
    /// Accept a snapshot even if its SHA-256 does not match its content
    #[arg(long)]
    skip_hash_check: bool,
    #[command(flatten)]
    layout: LayoutArgs,
}

impl PlanArgs {
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let newest = self.keep_revisions.iter().copied().map(History::Newest);
        let histories: Vec<_> = newest.chain(self.compact_to.iter().copied()).collect();
        let source = context.open(&self.file)?;
        let (layout, skip_hash_check) = (Layout::from(self.layout), self.skip_hash_check);
        let report = progress::watch(|progress| {
            source.plan(&PlanOptions { histories, layout, skip_hash_check, progress })
        })?;
        let view = context.view();
        context.render("plan", &report, |out| report::rewrite::plan(out, &view, &report))?;
        Ok(Outcome::Sound)
    }
}
