//! `export`: many objects.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use crate::etcd::find::FoundRecord;
use crate::input::DbFile;
use crate::output::Target;
use crate::report;
use crate::text::ByteText;
use crate::travel::export::{self, ExportTree, Exported};
use crate::travel::index::Sorted;
use crate::travel::shown::Shower;

use crate::cli::context::{Context, OutputFormat, write_out};
use crate::cli::messages::report_error;
use crate::cli::outcome::Outcome;
use crate::cli::signals;

use super::select::{How, When, Which, answer, find_deleted, open_with_keys, warn_of};

/// Write many objects: one file each in a folder, or one line of JSON each
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  etcd-medic export snapshot.db /registry/deployments/shop/ --clean -o shop
  etcd-medic export snapshot.db --rev 120000 -o before.ndjson
  etcd-medic export snapshot.db /registry/configmaps/ -o - | jq .object.metadata.name
  etcd-medic export /var/lib/etcd --deleted --clean -o lost    # all that was deleted and can still be found
docs/time-travel.md says what --clean takes out, and how to apply what is left.")]
pub struct ExportArgs {
    /// A db, a snapshot, or a data dir
    file: PathBuf,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    when: When,
    /// Export keys that do not exist now, each with the newest value that can still be found
    #[arg(long, conflicts_with_all = ["rev", "from"])]
    deleted: bool,
    #[command(flatten)]
    how: How,
    /// A folder, a file that ends in .ndjson, or `-` for standard output
    #[arg(short = 'o', long = "out", value_name = "DIR|FILE.ndjson|-")]
    out: PathBuf,
    /// Replace FILE.ndjson if it exists, or write into DIR even if it is not empty
    #[arg(long)]
    force: bool,
}

/// What was exported. With `-o -`, there is no document: standard output has the lines.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExportDocument {
    /// Where it was written to, as it was given.
    target: ByteText,
    /// The revision that was exported; `null` with `--deleted`.
    revision: Option<i64>,
    /// Faults and records that could not be read on the way: above 0, something may be missing from the answer.
    unreadable: u64,
    /// Values, by what became of them.
    exported: Exported,
}

impl ExportArgs {
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        signals::end_cleanly()?;
        let shower = self.how.shower()?;
        let source = open_with_keys(context, &self.file, self.when.from)?;
        let (found, revision, unreadable) = if self.deleted {
            let deleted = find_deleted(&source, &self.which)?;
            let unreadable = deleted.unreadable;
            (deleted.into_recoverable(), None, unreadable)
        } else {
            let answer = answer(&source, self.when, &self.which)?;
            (answer.found, Some(answer.revision), answer.unreadable)
        };
        let shower = shower.of(&found);
        let exported = self.write(&source, &shower, &found)?;
        let outcome = warn_of(&source, unreadable);
        let target = ByteText::from(self.out.as_path());
        let to_stdout = self.out.as_os_str() == "-";
        if context.options.output == OutputFormat::Json && !to_stdout {
            let document = ExportDocument { target, revision, unreadable, exported };
            context.write_json("export", &document)?;
        } else if to_stdout {
            report::travel::exported(&exported).into_iter().skip(1).for_each(|line| report_error(&line));
        } else {
            let lines = report::travel::exported(&exported);
            write_out(|out| lines.iter().try_for_each(|line| writeln!(out, "{target}: {line}")))?;
        }
        let incomplete = exported.withheld > 0 || exported.unreadable > 0 || found.is_empty();
        Ok(outcome.max(if incomplete { Outcome::Problems } else { Outcome::Sound }))
    }

    fn write(&self, source: &DbFile, shower: &Shower<'_>, found: &Sorted<'_>) -> Result<Exported> {
        let format = self.how.format;
        let records = || -> Box<dyn Iterator<Item = FoundRecord<'_>>> { Box::new(found.iter()) };
        let target = self.out.as_path();
        if target.as_os_str() == "-" {
            let mut out = BufWriter::new(io::stdout().lock());
            let exported = export::stream(&mut out, records(), shower, format)?;
            out.flush()?;
            return Ok(exported);
        }
        if target.extension().is_some_and(|ending| ending == "ndjson" || ending == "jsonl") {
            let file = Target::new(target, Some(&source.path), self.force)?.begin(0)?;
            let mut out = BufWriter::new(file.file());
            let exported = export::stream(&mut out, records(), shower, format)?;
            out.flush()?;
            drop(out);
            file.sync()?;
            file.commit()?;
            return Ok(exported);
        }
        Ok(ExportTree::begin(target, self.force)?.write(records(), shower, format)?)
    }
}
