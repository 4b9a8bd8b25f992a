//! `hash`: the hashes of a file's content.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::front::options::HashOptions;
use crate::hash::{FileHashes, Hashes};
use crate::input::folder::backups_in;
use crate::report;
use crate::text::shown;

use crate::cli::context::Context;
use crate::cli::outcome::Outcome;
use crate::cli::progress;

use super::files::{self, FileError};

/// Compute HashKV and the snapshot hash, equal to etcd's, and a fingerprint of each bucket
///
/// Members of a cluster that hold the same data have the same HashKV at the same revision and compact revision,
/// even if their files differ. The snapshot hash covers all buckets: a copy or a defrag keeps it.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  etcd-medic hash snapshot.db
  etcd-medic hash /var/lib/etcd --rev 120000   # as: etcdctl endpoint hashkv --rev 120000
  etcd-medic hash snapshot.db --output json | jq .hash_kv.hash
  etcd-medic hash /backups                     # each file in it, packed or not, the oldest first")]
pub struct HashArgs {
    /// A db, a snapshot, a data dir, or any other bbolt file (which has no HashKV); or a folder of these: a line for each file
    file: PathBuf,
    /// Compute HashKV at this revision, not below the compact revision; 0 is the current one
    #[arg(long, default_value_t = 0, value_name = "R", value_parser = clap::value_parser!(i64).range(0..))]
    rev: i64,
}

impl HashArgs {
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        if let Some(files) = backups_in(&self.file) {
            return self.run_all(context, &files);
        }
        let hashes = self.look(context, &self.file)?;
        let view = context.view();
        context.render("hash", &hashes, |out| report::hash::write(out, &view, &hashes))?;
        Ok(Outcome::of(hashes.sound))
    }

    fn run_all(&self, context: &Context, files: &[PathBuf]) -> Result<Outcome> {
        let found = files.iter().map(|file| match self.look(context, file) {
            Ok(hashes) => Ok(FileHashes { path: file.as_path().into(), hashes }),
            Err(error) => Err(FileError::of(file, &error)),
        });
        let (files, errors) = files::split(found);
        let document = FolderHashes { files, errors };
        context.render("hash", &document, |out| report::hash::write_all(out, &document.files))?;
        Ok(files::end(&document.errors, document.files.iter().any(|file| !file.hashes.sound)))
    }

    fn look(&self, context: &Context, file: &Path) -> Result<Hashes> {
        let source = context.open(file)?;
        let hashes = progress::watch(|progress| source.hash(&HashOptions { revision: self.rev, progress }));
        hashes.with_context(|| shown(&source.path).into_owned())
    }
}

/// The files of a folder, a row for each.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FolderHashes {
    /// The files that could be read, the oldest first.
    files: Vec<FileHashes>,
    /// The files that could not, the oldest first: the exit code is 2 if there are any.
    errors: Vec<FileError>,
}
