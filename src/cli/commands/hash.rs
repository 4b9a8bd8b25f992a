//! `hash`: the hashes of a file's content.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::front::options::HashOptions;
use crate::report;
use crate::text::shown;

use crate::cli::context::Context;
use crate::cli::outcome::Outcome;
use crate::cli::progress;

/// Compute HashKV and the snapshot hash, equal to etcd's, and a fingerprint of each bucket
///
/// Members of a cluster that hold the same data have the same HashKV at the same revision and compact revision,
/// even if their files differ. The snapshot hash covers all buckets: a copy or a defrag keeps it.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  etcd-medic hash snapshot.db
  etcd-medic hash /var/lib/etcd --rev 120000   # as: etcdctl endpoint hashkv --rev 120000
  etcd-medic hash snapshot.db --output json | jq .hash_kv.hash")]
pub struct HashArgs {
    /// A db, a snapshot, a data dir, or any other bbolt file (which has no HashKV)
    file: PathBuf,
    /// Compute HashKV at this revision, not below the compact revision; 0 is the current one
    #[arg(long, default_value_t = 0, value_name = "R", value_parser = clap::value_parser!(i64).range(0..))]
    rev: i64,
}

impl HashArgs {
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let source = context.open(&self.file)?;
        let hashes = progress::watch(|progress| source.hash(&HashOptions { revision: self.rev, progress }));
        let hashes = hashes.with_context(|| shown(&source.path).into_owned())?;
        let view = context.view();
        context.render("hash", &hashes, |out| report::hash::write(out, &view, &hashes))?;
        Ok(Outcome::of(hashes.sound))
    }
}
