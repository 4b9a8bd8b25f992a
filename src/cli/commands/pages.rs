//! `pages`: the pages as bbolt sees them.

use std::path::PathBuf;

use anyhow::Result;

use crate::inspect::PageList;
use crate::report;

use crate::cli::context::Context;
use crate::cli::outcome::Outcome;

/// List the pages as bbolt sees them: kind, items, bucket
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  etcd-medic pages snapshot.db | awk '{print $2}' | sort | uniq -c")]
pub struct PagesArgs {
    /// Any bbolt file
    file: PathBuf,
}

impl PagesArgs {
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let source = context.open(&self.file)?;
        let list = PageList::of(&source.db);
        context.render("pages", &list, |out| report::simple::pages(out, &list.pages))?;
        Ok(Outcome::Sound)
    }
}
