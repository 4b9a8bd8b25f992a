//! `analyze`: the full report.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::analyze::sort::Sort;
use crate::cli::progress;
use crate::filter::FilterWords;
use crate::front::options::AnalyzeOptions;
use crate::report::{self, View};
use crate::text::shown;

use crate::cli::context::Context;
use crate::cli::outcome::Outcome;

/// Report what fills the file, what each cure gives back, and what to do
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  etcd-medic analyze /var/lib/etcd
  etcd-medic analyze snapshot.db --top 25 --sort history
  etcd-medic analyze snapshot.db --resource events --namespace default
  etcd-medic analyze snapshot.db --output json | jq '.resources[] | {resource, disk_bytes}'")]
pub struct AnalyzeArgs {
    /// A db, a snapshot, or a data dir
    file: PathBuf,
    /// Rows of each table, and objects of each ranking
    #[arg(long, default_value_t = 10, value_name = "N")]
    top: usize,
    /// What resources are sorted by
    #[arg(long, value_enum, default_value_t = Sort::Disk)]
    sort: Sort,
    /// Only this resource: `pods`, `deployments.apps`
    #[arg(long, value_name = "RESOURCE")]
    resource: Option<String>,
    /// Only this namespace, in the tables of namespaces and objects
    #[arg(long, short, value_name = "NAMESPACE")]
    namespace: Option<String>,
}

impl AnalyzeArgs {
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let source = context.open(&self.file)?;
        let words = FilterWords { resource: self.resource.clone(), namespace: self.namespace.clone() };
        let report =
            progress::watch(|progress| source.analyze(&AnalyzeOptions { words, top: self.top, progress }));
        let mut report = report.with_context(|| shown(&source.path).into_owned())?;
        self.sort.resources(&mut report.resources);
        let view = View { top: self.top, ..context.view() };
        context.render("analyze", &report, |out| report::analyze::write(out, &view, &report))?;
        Ok(Outcome::of(report.health.sound))
    }
}
