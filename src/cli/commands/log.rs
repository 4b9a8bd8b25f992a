//! `log`: the entries of a member's log.

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::Result;

use crate::bolt::lock::Lock;
use crate::etcd::apply::Version;
use crate::filter::FilterWords;
use crate::input::{DbFile, LogFiles};
use crate::log::broken::{BrokenCopy, broken_copies};
use crate::log::count::Counter;
use crate::log::select::NamesSeen;
use crate::log::summary::LogSummary;
use crate::log::values;
use crate::log::{self, Effects, EntryKind, LogLine, LogSelect};
use crate::member::ReadLog;
use crate::replay::base::Base;
use crate::report;
use crate::text::{ByteText, JsonEscaper, shown};
use crate::travel::shown::{ShowOptions, Shower};
use crate::units::count;

use crate::cli::context::{Context, OutputFormat};
use crate::cli::messages::{report_error, report_next};
use crate::cli::outcome::Outcome;

/// Show what a member's log holds: who wrote which key, when in the order of things, and what was refused
///
/// The revision that an entry made, and why one was refused, are shown where they can be known: from the first entry on, if the log
/// has it; else after the entry that the member's db, or the one of --base, is at. Nothing is written, repaired or renamed.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  etcd-medic log /var/lib/etcd --summary
  etcd-medic log /var/lib/etcd --key /registry/namespaces/prod --kind delete   # who deleted it, and when
  etcd-medic log /var/lib/etcd --resource secrets --namespace prod --from 81234
  etcd-medic log /var/lib/etcd --output json | jq -r 'select(.refused) | .index'
Exit code 1: the log is damaged. docs/member-format.md says what a log is.")]
pub struct LogArgs {
    /// A data dir, or the folder of the log; or an archive of one
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Where the log is, if not in DIR
    #[arg(long, value_name = "DIR")]
    wal_dir: Option<PathBuf>,
    /// A db of the same member, from which on effects are known; default: the one in DIR
    #[arg(long, value_name = "FILE")]
    base: Option<PathBuf>,
    /// The first entry to show
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    from: u64,
    /// The last entry to show
    #[arg(long, value_name = "INDEX", default_value_t = u64::MAX, hide_default_value = true)]
    to: u64,
    /// Only keys with this prefix
    #[arg(long, value_name = "PREFIX")]
    key: Option<OsString>,
    /// Only entries of this kind, or with operations of it; may be given several times
    #[arg(long, value_enum, value_name = "KIND")]
    kind: Vec<EntryKind>,
    /// Only keys of this resource, by any name that kubectl takes
    #[arg(long, value_name = "RESOURCE")]
    resource: Option<String>,
    /// Only keys of this namespace
    #[arg(long, short, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// The version of etcd that wrote the log, such as 3.5.9
    #[arg(long, value_name = "VERSION")]
    etcd: Option<Version>,
    /// Show the values that are put, too
    #[arg(long, conflicts_with = "summary")]
    values: bool,
    /// Show the data of Secrets
    #[arg(long, requires = "values")]
    show_secrets: bool,
    /// Show what they come to instead: kinds, resources, the busiest keys
    #[arg(long)]
    summary: bool,
    /// Show instead the entries that the log lacks and that a copy holds which etcd made when it repaired the log (.wal.broken)
    #[arg(long, conflicts_with_all = ["summary", "base"])]
    broken: bool,
}

impl LogArgs {
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        // else it is meant in the archive of --base
        let member = context.member().filter(|_| self.base.is_none() || !self.dir.is_dir());
        let files = context.open_log(&self.dir, self.wal_dir.as_deref(), member)?;
        let log = files.read();
        let db = self.open_db(context, &files)?;
        let base = db.as_ref().and_then(|db| Base::read(&db.db, &|_| {}).ok());
        let mut known = Effects::of_log(&log, base.as_ref(), self.etcd);
        let select = self.select();
        let copies = broken_copies(&files, &log);
        if self.broken {
            return self.list_lost(context, &files, &log, &select);
        } else if self.summary {
            self.summarise(context, &files, &log, &mut known, &select, &copies)?;
        } else {
            self.list(context, &log, &mut known, &select)?;
        }
        for fault in &log.faults {
            report_error(&format!("{}: {fault}", shown(&files.folder)));
        }
        for copy in &copies {
            if let Some(words) = copy.words() {
                report_error(&format!("{}: {words}", shown(&files.folder)));
                report_next(copy.command.as_deref());
            }
        }
        Ok(Outcome::of(log.faults.is_empty()))
    }

    /// The entries that only copies hold which a repair by etcd made.
    fn list_lost(
        &self,
        context: &Context,
        files: &LogFiles,
        log: &ReadLog<'_>,
        select: &LogSelect,
    ) -> Result<Outcome> {
        let mut stretches = Vec::new();
        for cut_off in files.cut_off(log) {
            let lost = cut_off.lost(log);
            let number = lost.iter().map(|stretch| stretch.messages().len() as u64).sum();
            let (folder, file) = (shown(&files.folder), shown(cut_off.file.as_ref()));
            report_error(&format!("{folder}: {file} holds {} that the log lacks", count(number, "entry")));
            stretches.extend(lost);
        }
        if stretches.is_empty() {
            let folder = shown(&files.folder);
            report_error(&format!(
                "{folder}: no copy of a repaired segment holds an entry that the log lacks"
            ));
            return Ok(Outcome::Sound);
        }
        self.list(context, &log.with_entries(stretches), &mut Effects::nothing(), select)?;
        Ok(Outcome::Sound)
    }

    /// The db by which effects are known. One that can't be read is passed over, unless it was named.
    fn open_db(&self, context: &Context, files: &LogFiles) -> Result<Option<DbFile>> {
        match &self.base {
            Some(base) => context.open(base).map(Some),
            // it is only a witness: nobody is kept from writing to it
            None => Ok(files.open_db(&context.open_options(Lock::None)).and_then(Result::ok)),
        }
    }

    fn select(&self) -> LogSelect {
        let words = FilterWords { resource: self.resource.clone(), namespace: self.namespace.clone() };
        let mut select = LogSelect::new(words);
        select.indices = self.from..=self.to;
        select.prefix = self.key.as_ref().map(|key| key.as_encoded_bytes().to_vec()).unwrap_or_default();
        select.kinds.clone_from(&self.kind);
        select
    }

    fn list<'a>(
        &self,
        context: &Context,
        log: &ReadLog<'a>,
        known: &mut Effects<'a>,
        select: &LogSelect,
    ) -> Result<()> {
        let mut out = BufWriter::new(anstream::stdout().lock());
        let is_json = context.options.output == OutputFormat::Json;
        let view = context.view();
        let mut shown = 0_u64;
        let shower = Shower::new(ShowOptions { show_secrets: self.show_secrets, clean: false });
        log::for_each(log, known, select, |mut line| {
            if self.values {
                values::show(&mut line, &shower);
            }
            if shown == 0 && !is_json {
                report::log::heading(&mut out)?;
            }
            shown = shown.saturating_add(1);
            match is_json {
                true => write_json(&mut out, &line),
                false => report::log::line(&mut out, &view, &line, select),
            }
        })?;
        out.flush()?;
        if shown == 0 {
            check_names(log, select)?;
        }
        Ok(())
    }

    fn summarise<'a>(
        &self,
        context: &Context,
        files: &LogFiles,
        log: &ReadLog<'a>,
        known: &mut Effects<'a>,
        select: &LogSelect,
        copies: &[BrokenCopy],
    ) -> Result<()> {
        let counted = Counter::of(log, known, select);
        let path = ByteText::from(files.folder.as_path());
        let summary = LogSummary::new(path, log, counted, copies.to_vec());
        if summary.entries == 0 {
            check_names(log, select)?;
        }
        let view = context.view();
        context.render("log", &summary, |out| report::log::summary(out, &view, &summary))
    }
}

/// An entry as one line of JSON.
fn write_json(out: &mut impl Write, line: &LogLine<'_>) -> io::Result<()> {
    serde_json::to_writer(JsonEscaper::new(&mut *out), line)?;
    writeln!(out)
}

/// Says which name the log does not have at all.
fn check_names(log: &ReadLog<'_>, select: &LogSelect) -> Result<()> {
    let mut names = NamesSeen::default();
    log::for_each(log, &mut Effects::nothing(), &LogSelect::default(), |line| {
        names.see(&line);
        Ok::<(), io::Error>(())
    })?;
    Ok(names.check(select)?)
}
