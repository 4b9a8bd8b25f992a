//! `doctor`: what each etcd does with a member's directory.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::doctor::MemberFiles;
use crate::doctor::report::DoctorReport;
use crate::etcd::apply::Version;
use crate::report;
use crate::text::shown;

use crate::cli::context::Context;
use crate::cli::outcome::Outcome;

/// Say why a member does not start, and what each etcd does with its directory
///
/// The db, the log and the snapshots are read as etcd reads them at its start, version by version: whether it starts, the message that it
/// ends with, the revision that it will have, and whether it accepts writes. Nothing is written or repaired. The member should be
/// stopped.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  etcd-medic doctor /var/lib/etcd
  etcd-medic doctor --etcd 3.5.9 --etcd 3.6.5 /var/lib/etcd   # these, not the newest
  etcd-medic doctor /backup/m1 /backup/m2 /backup/m3
Exit code 1: it does not start or accepts no writes, with the etcd that was named, else with the newest patch of its cluster's version.")]
pub struct DoctorArgs {
    /// Data dirs, or their folders `member`
    #[arg(value_name = "DIR", required = true)]
    dirs: Vec<PathBuf>,
    /// A version of etcd, such as 3.5.9; may be given several times
    #[arg(long, value_name = "VERSION")]
    etcd: Vec<Version>,
}

impl DoctorArgs {
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let files: Vec<_> = self.dirs.iter().map(|dir| MemberFiles::open(dir)).collect();
        if let Some((dir, _)) = self.dirs.iter().zip(&files).find(|(_, files)| files.is_empty()) {
            bail!("{} has no `snap` and no `wal`: name a data dir of etcd", shown(dir));
        }
        let report = DoctorReport::of(&files, &self.etcd);
        let view = context.view();
        context.render("doctor", &report, |out| report::doctor::write(out, &view, &report))?;
        Ok(Outcome::of(report.is_healthy()))
    }
}
