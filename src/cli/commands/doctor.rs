//! `doctor`: what each etcd does with a member's directory.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::doctor::MemberFiles;
use crate::doctor::report::DoctorReport;
use crate::etcd::apply::Version;
use crate::input::{DbFile, Reason, SourceError};
use crate::report;
use crate::text::shown;

use crate::cli::context::Context;
use crate::cli::outcome::Outcome;
use crate::cli::values::parse_version;

/// Say why a member does not start, and what each etcd does with its directory
///
/// The db, the log and the snapshots are read as etcd reads them at its start, version by version: whether it starts, the message that it
/// ends with, the revision that it will have, and whether it accepts writes. Nothing is written or repaired. The member should be
/// stopped.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  etcd-medic doctor /var/lib/etcd
  etcd-medic doctor --etcd 3.5.9 --etcd 3.6.5 /var/lib/etcd   # these, not the newest
  etcd-medic doctor --for 3.6 /var/lib/etcd                   # before an upgrade
  journalctl -u etcd | etcd-medic doctor --message - /var/lib/etcd
  etcd-medic doctor /backup/m1 /backup/m2 /backup/m3
Exit code 1: it does not start or accepts no writes, with the etcd that was named, else with the newest patch of its cluster's version.")]
pub struct DoctorArgs {
    /// Data dirs, or their folders `member`
    #[arg(value_name = "DIR", required = true)]
    dirs: Vec<PathBuf>,
    /// The folder of the member's log, if etcd runs with --wal-dir
    #[arg(long, value_name = "DIR")]
    wal_dir: Option<PathBuf>,
    /// A version of etcd, such as 3.5.9; may be given several times
    #[arg(long, value_name = "VERSION")]
    etcd: Vec<Version>,
    /// A version to go to, such as 3.6: its newest patch
    #[arg(long = "for", value_name = "VERSION", value_parser = parse_version)]
    target: Option<Version>,
    /// What etcd printed, JSON or text, or - for standard input: its messages are explained
    #[arg(long, value_name = "FILE")]
    message: Option<PathBuf>,
}

impl DoctorArgs {
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        ensure!(self.wal_dir.is_none() || self.dirs.len() == 1, "--wal-dir is for one member");
        let _held = self.dirs.iter().map(|dir| held(context, dir)).collect::<Result<Vec<_>>>()?;
        let wal_dir = self.wal_dir.as_deref();
        let files: Vec<_> = self.dirs.iter().map(|dir| MemberFiles::open_with(dir, wal_dir)).collect();
        if let Some((dir, _)) = self.dirs.iter().zip(&files).find(|(_, files)| files.is_empty()) {
            bail!("{} has no `snap` and no `wal`: name a data dir of etcd", shown(dir));
        }
        let named: Vec<_> = self.etcd.iter().copied().chain(self.target).collect();
        let mut report = DoctorReport::of(&files, &named);
        if let Some(message) = &self.message {
            report = report.with_messages(&read_messages(message)?);
        }
        let view = context.view();
        context.render("doctor", &report, |out| report::doctor::write(out, &view, &report))?;
        Ok(Outcome::of(report.is_healthy()))
    }
}

/// The db of a directory under its lock, so that no etcd runs on it meanwhile; nothing for one that can't be opened.
fn held(context: &Context, dir: &Path) -> Result<Option<DbFile>> {
    match context.open(dir) {
        Ok(file) => Ok(Some(file)),
        Err(error) => match error.downcast_ref::<SourceError>() {
            Some(SourceError { reason: Reason::Locked { .. }, .. }) => Err(error),
            _ => Ok(None),
        },
    }
}

/// Bytes of a log of etcd's that are read: its end, where the reason is.
const MAX_MESSAGES: u64 = 64 << 20;

fn read_messages(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(MAX_MESSAGES).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|mut file| {
            let before = file.metadata()?.len().saturating_sub(MAX_MESSAGES);
            file.seek(SeekFrom::Start(before))?;
            file.take(MAX_MESSAGES).read_to_end(&mut bytes)
        })
    };
    read.with_context(|| shown(path).into_owned())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
