//! `keys`: the keys that exist, or those that were deleted.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use crate::input::DbFile;
use crate::report;
use crate::text::escape;
use crate::travel::keys::{DeletedRow, KeyRow};

use crate::cli::context::{Context, OutputFormat, write_out};
use crate::cli::outcome::Outcome;

use super::select::{When, Which, answer, find_deleted, open_with_keys, warn_of};

/// List the keys that exist at any retained revision, or those that were deleted and can still be found
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  etcd-medic keys /var/lib/etcd
  etcd-medic keys snapshot.db /registry/deployments/ --long
  etcd-medic keys snapshot.db /registry/pods/ --rev 120000
  etcd-medic keys snapshot.db --deleted                # what can be brought back
docs/time-travel.md brings a deleted Deployment back, step by step.")]
pub struct KeysArgs {
    /// A db, a snapshot, or a data dir
    file: PathBuf,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    when: When,
    /// List keys that do not exist now, if a record of them can still be found
    #[arg(long, conflicts_with_all = ["rev", "from"])]
    deleted: bool,
    /// Show revision, version, lease, size, and where the record was found
    #[arg(long, short)]
    long: bool,
    /// Print keys unescaped, each with a zero byte after it: for `xargs -0`
    #[arg(short = '0', long, conflicts_with = "long")]
    null: bool,
}

impl KeysArgs {
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let source = open_with_keys(context, &self.file, self.when.from)?;
        if self.deleted { self.deleted(context, &source) } else { self.existing(context, &source) }
    }

    fn existing(&self, context: &Context, source: &DbFile) -> Result<Outcome> {
        let answer = answer(source, self.when, &self.which)?;
        let found = &answer.found;
        match context.options.output {
            OutputFormat::Json => context.write_json(
                "keys",
                &KeysDocument {
                    revision: answer.revision,
                    compact_revision: answer.compact_revision,
                    num_keys: found.len() as u64,
                    unreadable: answer.unreadable,
                    keys: Rows(&|| Box::new(found.iter().map(|found| KeyRow::from(&found)))),
                },
            )?,
            _ if self.null => write_null(found.iter().map(|found| found.kv.key))?,
            _ if self.long => write_out(|out| report::travel::keys(out, &context.view(), found.iter()))?,
            _ => write_lines(found.iter().map(|found| escape(found.kv.key)))?,
        }
        Ok(warn_of(source, answer.unreadable))
    }

    fn deleted(&self, context: &Context, source: &DbFile) -> Result<Outcome> {
        let deleted = find_deleted(source, &self.which)?;
        match context.options.output {
            OutputFormat::Json => context.write_json(
                "keys",
                &DeletedDocument {
                    num_deleted: deleted.len() as u64,
                    unreadable: deleted.unreadable,
                    deleted: Rows(&|| Box::new(deleted.iter())),
                },
            )?,
            _ if self.null => write_null(deleted.iter().map(|row| row.key.0))?,
            _ if self.long => write_out(|out| report::travel::deleted(out, &context.view(), deleted.iter()))?,
            _ => write_lines(deleted.iter().map(|row| row.key.to_string()))?,
        }
        Ok(warn_of(source, deleted.unreadable))
    }
}

/// Rows are made while they are written: a file may have millions.
struct Rows<'r, T>(&'r dyn Fn() -> Box<dyn Iterator<Item = T> + 'r>);

impl<T: Serialize> Serialize for Rows<'_, T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

/// The keys that exist at a revision, in the order of their bytes.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct KeysDocument<'r> {
    /// The revision that the answer is of.
    revision: i64,
    /// Revisions up to this one are gone; -1 where the file was never compacted.
    compact_revision: i64,
    /// Length of `keys`.
    num_keys: u64,
    /// Faults and records that could not be read on the way: above 0, something may be missing from the answer.
    unreadable: u64,
    /// The keys.
    #[cfg_attr(test, schemars(with = "Vec<KeyRow>"))]
    keys: Rows<'r, KeyRow>,
}

/// With `--deleted`: the keys that do not exist now, of which a record can be found.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DeletedDocument<'r> {
    /// Length of `deleted`.
    num_deleted: u64,
    /// Faults and records that could not be read on the way: above 0, something may be missing from the answer.
    unreadable: u64,
    /// The keys.
    #[cfg_attr(test, schemars(with = "Vec<DeletedRow>"))]
    deleted: Rows<'r, DeletedRow>,
}

/// Writes keys as they are, each with a zero byte after it. The stream that removes colours would remove the zero bytes.
fn write_null(keys: impl Iterator<Item = impl AsRef<[u8]>>) -> Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for key in keys {
        out.write_all(key.as_ref())?;
        out.write_all(&[0])?;
    }
    Ok(out.flush()?)
}

/// Writes lines without colours, so the stream that removes colours is not needed.
fn write_lines(lines: impl Iterator<Item = impl AsRef<str>>) -> Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for line in lines {
        out.write_all(line.as_ref().as_bytes())?;
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}
