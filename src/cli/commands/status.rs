//! `status`: many files, none of which hides the others.

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::cli::progress;
use crate::copy::Progress;
use crate::front::options::StatusOptions;
use crate::input::folder::backups_in;
use crate::report;
use crate::report::prometheus::{Run, Sample};
use crate::status::{Level, Limits, Status, Thresholds};

use crate::cli::context::{Context, OutputFormat, write_out};
use crate::cli::outcome::Outcome;
use crate::cli::values::{parse_bytes, parse_percent};

use super::files::{self, FileError};

/// Print one line for each file: size, use, revision, keys, verdict; for people and cron
///
/// Of a data dir, the verdict also says which entries of its log the db lacks, and what the log lacks.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  etcd-medic status /var/lib/etcd
  etcd-medic status --quota 8GiB --warn 80% --crit 95% /var/lib/etcd || mail -s 'etcd is filling up' ops
  etcd-medic status --quota 8GiB --disk 100GB snapshot.db        # what is left, and what to set there
  etcd-medic status --quota 8GiB --output prometheus snapshot.db # for node_exporter: docs/monitoring/
  etcd-medic status /backups # each file in it, packed or not, the oldest first")]
pub struct StatusArgs {
    /// Dbs, snapshots, data dirs, or folders of these: their files are shown by age, the oldest first
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// etcd's --quota-backend-bytes, to compare the file with: `8GiB`, `2147483648`
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    quota: Option<u64>,
    /// Size of the disk with etcd's data dir: shows what is left of it, and which quota and retention suit it: `100GB`
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    disk: Option<u64>,
    /// Where the member's log is, if not in its data dir
    #[arg(long, value_name = "DIR")]
    wal_dir: Option<PathBuf>,
    /// Exit with 1 if this share of the quota is reached
    #[arg(long, value_name = "PERCENT", default_value = "80%", value_parser = parse_percent)]
    warn: f64,
    /// Call it critical if this share of the quota is reached
    #[arg(long, value_name = "PERCENT", default_value = "95%", value_parser = parse_percent)]
    crit: f64,
}

impl StatusArgs {
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let thresholds = self.quota.map(|quota| Thresholds { quota, warn: self.warn, crit: self.crit });
        let limits = Limits { thresholds, disk: self.disk };
        // one after the other: each takes all threads, and its mapping is gone before the next is made
        let of_file = |file: &PathBuf| backups_in(file).unwrap_or_else(|| vec![file.clone()]);
        let files: Vec<_> = self.files.iter().flat_map(of_file).collect();
        ensure!(self.wal_dir.is_none() || files.len() == 1, "--wal-dir is for one member");
        let options = StatusOptions { limits, wal_dir: self.wal_dir.as_deref(), progress: Progress::SILENT };
        let looked: Vec<_> = files.iter().map(|file| look(context, file, options)).collect();
        if context.options.output == OutputFormat::Prometheus {
            prometheus(context, &looked)?;
        }
        let statuses = looked.into_iter().map(|looked| Ok(looked.found?.0));
        let (files, errors) = files::split(statuses);
        let document = StatusDocument { files, errors };
        if context.options.output != OutputFormat::Prometheus {
            let view = context.view();
            context.render("status", &document, |out| report::status::write(out, &view, &document.files))?;
        }
        let problems = document.files.iter().any(|file| !file.sound || file.level > Level::Ok);
        Ok(files::end(&document.errors, problems))
    }
}

/// The result of one file.
struct Looked<'f> {
    found: Result<(Status, Option<SystemTime>), FileError>,
    file: &'f PathBuf,
}

/// The files, a row for each.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StatusDocument {
    /// The files that could be read, in the order of the arguments.
    files: Vec<Status>,
    /// The files that could not, in the order of the arguments: the exit code is 2 if there are any.
    errors: Vec<FileError>,
}

fn look<'f>(context: &Context, file: &'f PathBuf, options: StatusOptions<'_>) -> Looked<'f> {
    let found = context.open(file).map_err(|error| FileError::of(file, &error));
    let found = found.map(|source| {
        let modified = source.path.metadata().and_then(|metadata| metadata.modified()).ok();
        (progress::watch(|progress| source.status(&StatusOptions { progress, ..options })), modified)
    });
    Looked { found, file }
}

fn prometheus(context: &Context, looked: &[Looked<'_>]) -> Result<()> {
    let samples: Vec<_> = looked
        .iter()
        .map(|Looked { file, found, .. }| Sample {
            path: file.as_path(),
            status: found.as_ref().ok().map(|(status, _)| status),
            modified: found.as_ref().ok().and_then(|&(_, modified)| modified),
        })
        .collect();
    let run = Run { at: SystemTime::now(), read_without_lock: context.options.no_lock };
    write_out(|out| report::prometheus::write(out, &run, &samples))
}
