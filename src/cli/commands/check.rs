//! `check`: every fault.

use std::path::PathBuf;

use anyhow::Result;

use crate::cli::progress;
use crate::front::options::CheckOptions;
use crate::report;

use crate::cli::context::Context;
use crate::cli::outcome::Outcome;

/// Find every structural and logical fault, not only the first
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
}

impl CheckArgs {
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let source = context.open(&self.file)?;
        let max_findings = if self.max_findings == 0 { usize::MAX } else { self.max_findings };
        let checked = progress::watch(|progress| source.check(&CheckOptions { max_findings, progress }));
        let view = context.view();
        context.render("check", &checked, |out| report::simple::check(out, &view, &source.path, &checked))?;
        Ok(Outcome::of(checked.sound))
    }
}
