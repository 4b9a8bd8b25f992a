//! What each command does: open, scan, make a result, render it.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::CommandFactory;
use serde::Serialize;

use crate::analyze::resources::ResourceUse;
use crate::analyze::{self, Analysis, copy_advice};
use crate::bolt::PageId;
use crate::bolt::open::Lock;
use crate::check::{self, Checked};
use crate::etcd::schema::State;
use crate::etcd::trailer::{self, Trailer};
use crate::filter::Wanted;
use crate::inspect::{self, BucketRow, PageRow, PageView};
use crate::k8s::resource_name;
use crate::report::{self, View, json};
use crate::rewrite::changes::{History, Wish, compaction_of};
use crate::rewrite::defrag::{Destination, Layout, Request};
use crate::salvage::{self, find::Trust};
use crate::scan::{self, Scan};
use crate::source::Source;
use crate::status::{Limits, Thresholds};
use crate::text::shown;

use super::args::{Args, Command, Output, Sort};
use super::{Outcome, progress, rewrite, signals, status, synth, travel};

impl Command {
    /// Whether it writes files, which a signal must not leave unfinished.
    fn writes_files(&self) -> bool {
        match self {
            Self::Defrag { .. }
            | Self::Salvage { .. }
            | Self::Synth { .. }
            | Self::Export { .. }
            | Self::Man { .. } => true,
            Self::Analyze { .. }
            | Self::Status { .. }
            | Self::Check { .. }
            | Self::Pages { .. }
            | Self::Page { .. }
            | Self::Buckets { .. }
            | Self::Plan { .. }
            | Self::Hash { .. }
            | Self::Cleanup { .. }
            | Self::Keys { .. }
            | Self::History { .. }
            | Self::Get { .. }
            | Self::Completions { .. } => false,
        }
    }
}

/// Columns where there is no terminal to ask.
const USUAL_WIDTH: usize = 120;

pub(super) fn run(args: &Args) -> Result<Outcome> {
    ensure!(
        args.output != Output::Prometheus || matches!(args.command, Command::Status { .. }),
        "--output prometheus is for `status` only: text or json here"
    );
    if args.command.writes_files() {
        signals::end_cleanly()?;
    }
    match &args.command {
        Command::Analyze { file, top, sort, resource, namespace } => {
            let wanted = Wanted { resource: resource.clone(), namespace: namespace.clone() };
            analyze(args, file, *top, *sort, &wanted)
        }
        Command::Status { files, quota, disk, warn, crit } => {
            let thresholds = quota.map(|quota| Thresholds { quota, warn: *warn, crit: *crit });
            status::status(args, files, Limits { thresholds, disk: *disk })
        }
        Command::Check { file, max_findings } => {
            check(args, file, if *max_findings == 0 { usize::MAX } else { *max_findings })
        }
        Command::Pages { file } => pages(args, file),
        Command::Page { file, ids, hex, show_secrets } => page(args, file, ids, *hex, *show_secrets),
        Command::Buckets { file } => buckets(args, file),
        Command::Defrag {
            source,
            out,
            in_place,
            discard_old,
            wal_dir,
            force,
            no_verify,
            dry_run,
            snapshot,
            skip_hash_check,
            changes,
            layout,
        } => {
            let destination = match out {
                Some(path) => Destination::File { path: path.clone(), force: *force },
                None if *in_place => Destination::InPlace { keep_old: !*discard_old },
                None => Destination::Nowhere,
            };
            let request = Request {
                destination,
                wish: Wish::from(&**changes),
                layout: Layout::from(*layout),
                verify: !*no_verify,
                dry_run: *dry_run,
                snapshot: *snapshot,
                skip_hash_check: *skip_hash_check,
                wal_dir: wal_dir.clone(),
            };
            rewrite::defrag(args, source, &request)
        }
        Command::Salvage {
            source,
            out,
            force,
            strict,
            best_effort,
            disk_errors,
            disable_auth,
            snapshot,
            dry_run,
            layout,
        } => {
            let trust = match (strict, best_effort) {
                (true, _) => Trust::Strict,
                (_, true) => Trust::BestEffort,
                _ => Trust::Usual,
            };
            let request = salvage::run::Request {
                target: out.clone(),
                force: *force,
                trust,
                disable_auth: *disable_auth,
                layout: Layout::from(*layout),
                snapshot: *snapshot,
                dry_run: *dry_run,
            };
            super::salvage::run(args, source, *disk_errors, &request)
        }
        Command::Plan { file, keep_revisions, compact_to, skip_hash_check, layout } => {
            let newest = keep_revisions.iter().copied().map(History::Newest);
            let histories: Vec<_> = newest.chain(compact_to.iter().copied()).collect();
            rewrite::plan(args, file, &histories, Layout::from(*layout), *skip_hash_check)
        }
        Command::Cleanup { file, options } => super::cleanup::run(args, file, options),
        Command::Hash { file, rev } => super::hash::run(args, file, *rev),
        Command::Keys { file, options } => travel::keys(args, file, options),
        Command::History { file, key } => travel::history(args, file, key),
        Command::Get { file, options } => travel::get(args, file, options),
        Command::Export { file, options } => travel::export(args, file, options),
        Command::Synth { out, force, snapshot, options } => {
            synth::synth(args, out, *force, *snapshot, options)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Args::command(), "etcd-medic", &mut script);
            out().write_all(&script)?;
            Ok(Outcome::Sound)
        }
        Command::Man { folder } => {
            super::man::write(folder)?;
            Ok(Outcome::Sound)
        }
    }
}

fn analyze(args: &Args, file: &Path, top: usize, sort: Sort, wanted: &Wanted) -> Result<Outcome> {
    let source = open(args, file)?;
    let state = State::read(&source.db);
    let current = compaction_of(&source.db, &state, History::Current).ok().flatten();
    let (scan, trailer) = scan_and_verify(&source, &state, 0, Some(current.as_slice()));
    let filter = wanted.of(&scan).with_context(|| shown(&source.path).into_owned())?;
    let request = analyze::AnalyzeRequest {
        path: &source.path,
        trailer,
        read_without_lock: source.read_without_lock,
        filter,
        top,
        cure_refused: copy_advice::cure_refused(&source.path, &state, current),
    };
    let mut report = analyze::analyze(&source.db, &state, &scan, &request);
    sort_resources(&mut report, sort);
    let view = View { top, ..view(args) };
    render(args, "analyze", &report, |out| report::analyze::write(out, &view, &report))?;
    Ok(if report.health.sound { Outcome::Sound } else { Outcome::Problems })
}

fn sort_resources(report: &mut Analysis, sort: Sort) {
    let largest_first =
        |figure: fn(&ResourceUse) -> u64| move |a: &ResourceUse, b: &ResourceUse| figure(b).cmp(&figure(a));
    let rows = &mut report.resources;
    // a stable sort: equals stay in the order of their size on disk
    match sort {
        Sort::Disk => rows.sort_by(largest_first(|row| row.disk_bytes)),
        Sort::Live => rows.sort_by(largest_first(|row| row.live_bytes)),
        Sort::History => rows.sort_by(largest_first(|row| row.history_bytes + row.tombstone_bytes)),
        Sort::Objects => rows.sort_by(largest_first(|row| row.objects)),
        Sort::Records => rows.sort_by(largest_first(|row| row.records)),
        Sort::Name => rows.sort_by_key(|row| resource_name(&row.group, &row.resource.to_string())),
    }
}

fn check(args: &Args, file: &Path, max_findings: usize) -> Result<Outcome> {
    let source = open(args, file)?;
    let state = State::read(&source.db);
    let (scan, trailer) = scan_and_verify(&source, &state, max_findings, None);
    let checked: Checked = check::check(&source.path, &source.db, &state, &scan, trailer, max_findings);
    render(args, "check", &checked, |out| report::simple::check(out, &view(args), &source.path, &checked))?;
    Ok(if checked.sound { Outcome::Sound } else { Outcome::Problems })
}

#[derive(Serialize)]
struct PagesDocument {
    page_size: u64,
    high_water_mark: u64,
    pages: Vec<PageRow>,
}

fn pages(args: &Args, file: &Path) -> Result<Outcome> {
    let source = open(args, file)?;
    let document = PagesDocument {
        page_size: source.db.page_size(),
        high_water_mark: source.db.high_water_mark(),
        pages: inspect::pages(&source.db),
    };
    render(args, "pages", &document, |out| report::simple::pages(out, &document.pages))?;
    Ok(Outcome::Sound)
}

#[derive(Serialize)]
struct PageDocument {
    pages: Vec<PageView>,
}

fn page(args: &Args, file: &Path, ids: &[u64], hex: bool, show_secrets: bool) -> Result<Outcome> {
    let source = open(args, file)?;
    let hide = !show_secrets && inspect::may_hold_secrets(&source.db);
    ensure!(
        !(hex && hide),
        "{}: its bytes may be those of Secrets: --hex shows them with --show-secrets only",
        shown(&source.path)
    );
    let is_etcd = source.owner().is_etcd();
    let mut document = PageDocument { pages: Vec::new() };
    for &id in ids {
        let view = inspect::page(&source.db, PageId(id));
        let mut view = view.with_context(|| shown(&source.path).into_owned())?;
        if hide {
            view.hide_values(&source.db);
        }
        if !is_etcd {
            view.forget_revisions();
        }
        document.pages.push(view);
    }
    render(args, "page", &document, |out| {
        document.pages.iter().try_for_each(|view| report::simple::page(out, view, hex))
    })?;
    Ok(Outcome::Sound)
}

#[derive(Serialize)]
struct BucketsDocument {
    buckets: Vec<BucketRow>,
}

fn buckets(args: &Args, file: &Path) -> Result<Outcome> {
    let source = open(args, file)?;
    let document = BucketsDocument { buckets: inspect::buckets(&source.db) };
    let view = view(args);
    render(args, "buckets", &document, |out| report::simple::bucket_rows(out, &view, &document.buckets))?;
    Ok(Outcome::Sound)
}

pub(super) fn open(args: &Args, file: &Path) -> Result<Source> {
    open_under(args, file, Lock::Shared)
}

/// Opens a file under this lock, unless the user wants none.
pub(super) fn open_under(args: &Args, file: &Path, lock: Lock) -> Result<Source> {
    let lock = if args.no_lock { Lock::None } else { lock };
    signals::read_from_now_on(file);
    let source = Source::open(file, lock)?;
    if args.no_lock {
        let path = shown(&source.path);
        super::report_error(&format!(
            "{path}: read without a lock: if {} is writing to it, figures may not fit together",
            source.owner().program()
        ));
    }
    Ok(source)
}

/// Scans the file, and proves its trailer meanwhile.
pub(super) fn scan_and_verify<'a>(
    source: &'a Source,
    state: &State<'a>,
    max_findings: usize,
    outline: Option<&[i64]>,
) -> (Scan<'a>, Trailer) {
    let bar = progress::bar(source.db.file_size());
    let progress = |bytes| bar.inc(bytes);
    let options = scan::ScanOptions { max_findings, outline, progress: &progress };
    let found = rayon::join(|| scan::scan(&source.db, state, options), || trailer::verify(source.db.data()));
    bar.finish_and_clear();
    found
}

pub(super) fn view(args: &Args) -> View {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let terminal = terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
    let width = columns.or(terminal).unwrap_or(USUAL_WIDTH).clamp(60, 200);
    View { width, exact_bytes: args.bytes, top: usize::MAX }
}

/// Writes a result in the form that was asked for.
pub(super) fn render<T: Serialize>(
    args: &Args,
    command: &str,
    result: &T,
    text: impl FnOnce(&mut &mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    write_out(|mut out| match args.output {
        Output::Json => json::write(out, command, args.no_lock, result),
        // `status` alone has it, and writes it by itself
        Output::Text | Output::Prometheus => text(&mut out),
    })
}

/// Writes to standard output.
pub(super) fn write_out(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let mut out = BufWriter::new(out());
    write(&mut out)?;
    Ok(out.flush()?)
}

/// Standard output; colours are taken out where it is no terminal, or NO_COLOR is set.
fn out() -> impl Write {
    anstream::stdout()
}
