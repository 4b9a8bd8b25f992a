//! `buckets`: every bucket, with a fingerprint of its content.

use std::path::PathBuf;

use anyhow::Result;

use crate::inspect::BucketList;
use crate::report;

use crate::cli::context::Context;
use crate::cli::outcome::Outcome;

/// List the buckets: entries, pages, levels, sequence, and a fingerprint of the content
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  etcd-medic buckets snapshot.db
  diff <(etcd-medic buckets a.db) <(etcd-medic buckets b.db)      # which buckets differ?")]
pub struct BucketsArgs {
    /// Any bbolt file
    file: PathBuf,
}

impl BucketsArgs {
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let source = context.open(&self.file)?;
        let list = BucketList::of(&source.db);
        let view = context.view();
        context.render("buckets", &list, |out| report::simple::bucket_rows(out, &view, &list.buckets))?;
        Ok(Outcome::Sound)
    }
}
