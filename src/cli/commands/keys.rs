//! `keys`: the keys that exist, or those that were deleted.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use crate::etcd::schema::State;
use crate::report;
use crate::source::Source;
use crate::text::escape;
use crate::travel::keys::{DeletedRow, KeyRow};

use crate::cli::context::{Context, Output, write_out};
use crate::cli::outcome::Outcome;

use super::select::{When, Which, answer, find_deleted, open_with_keys, warn_of};

/// The keys that exist, at any retained revision; or those that were deleted and can still be found
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
    /// Keys that do not exist now, of which a record can still be found
    #[arg(long, conflicts_with_all = ["rev", "from"])]
    deleted: bool,
    /// With revision, version, lease, size, and where the record lies
    #[arg(long, short)]
    long: bool,
    /// End each key with a zero byte, as it is, rather than with a line feed, escaped: for `xargs -0`
    #[arg(short = '0', long, conflicts_with = "long")]
    null: bool,
}

impl KeysArgs {
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let source = open_with_keys(context, &self.file)?;
        let state = State::read(&source.db);
        if self.deleted {
            self.deleted(context, &source, &state)
        } else {
            self.existing(context, &source, &state)
        }
    }

    fn existing(&self, context: &Context, source: &Source, state: &State<'_>) -> Result<Outcome> {
        let answer = answer(source, state, self.when, &self.which)?;
        let found = &answer.found;
        match context.options.output {
            Output::Json => context.write_json(
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

    fn deleted(&self, context: &Context, source: &Source, state: &State<'_>) -> Result<Outcome> {
        let deleted = find_deleted(source, state, &self.which)?;
        match context.options.output {
            Output::Json => context.write_json(
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

/// Rows that are made while they are written: a file may have millions.
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

/// Keys as they are, each with a zero byte behind it: not through the stream that takes colours out, and zeroes, too.
fn write_null(keys: impl Iterator<Item = impl AsRef<[u8]>>) -> Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for key in keys {
        out.write_all(key.as_ref())?;
        out.write_all(&[0])?;
    }
    Ok(out.flush()?)
}

/// Lines without colours, which need not go through the stream that takes them out.
fn write_lines(lines: impl Iterator<Item = impl AsRef<str>>) -> Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for line in lines {
        out.write_all(line.as_ref().as_bytes())?;
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}
