//! `defrag` and `plan` as text.

use std::io::{self, Write};

use crate::k8s::resource_name;
use crate::rewrite::outcome::{AppliedTail, DefragReport};
use crate::rewrite::plan::{Choice, PlanReport};
use crate::shell::ShellCommand;
use crate::text::{brief, harmless};
use crate::units::{count, grouped, percent};

use super::table::{self, Align, Column};
use super::view::{FAINT, GOOD, HEADING, View, WARNING, styled};

use Align::{Left, Right};

/// Keys that were given up, and alarms that were disarmed, that are named one by one.
const KEYS_SHOWN: usize = 5;
/// Resources whose history is shown.
const RESOURCES_SHOWN: usize = 10;
/// Columns of the longest bar.
const BAR_WIDTH: usize = 20;

/// What was done, and what comes next.
///
/// # Errors
/// The writer's.
pub fn defrag(out: &mut impl Write, view: &View, report: &DefragReport) -> io::Result<()> {
    let (before, after) = (report.source.file_bytes, report.target.file_bytes);
    let row = |label: &str, value: String| vec![label.to_owned(), value];
    let mut rows = vec![
        row("before", format!("{}  {}", view.bytes(before), report.source.path)),
        row("after", format!("{}  {}", view.bytes(after), report.target.path)),
        row("saved", saved(view, before, after)),
        row(
            report.owner.entries(),
            format!(
                "{}, which alone take {}",
                report.owner.count_entries(report.target.records),
                view.bytes(report.target.entry_bytes)
            ),
        ),
    ];
    rows.extend(changes(view, report).into_iter().map(|(label, value)| row(label, value)));
    rows.extend([row("verified", verified(report)), row("time", format!("{:.2} s", report.elapsed_seconds))]);
    if let Some(old) = &report.kept_old {
        rows.push(row("old file", format!("kept as {old}")));
    }
    if let Some(digest) = &report.target.sha256 {
        rows.push(row("SHA-256", digest.clone()));
    }
    for cells in rows {
        if let [label, value] = cells.as_slice() {
            writeln!(out, "{}  {value}", styled(HEADING, &format!("{label:<9}")))?;
        }
    }
    for warning in &report.warnings {
        table::prose(out, view, &format!("{} ", styled(WARNING, "note")), &harmless(warning))?;
    }
    let (step, command) = next_step(report);
    table::prose(out, view, "next       ", &step)?;
    match command {
        Some(command) => table::command(out, &command.to_string()),
        None => Ok(()),
    }
}

/// What the copy leaves out of its source.
fn changes(view: &View, report: &DefragReport) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if let Some(AppliedTail { from, to, entries, writes, refused, .. }) = &report.applied {
        rows.push((
            "log",
            format!(
                "{} applied first, up to entry {} and revision {} (the db was at {} and {}): {} made a revision, {} refused",
                count(*entries, "entry"),
                to.index,
                to.revision,
                from.index,
                from.revision,
                grouped(*writes),
                grouped(*refused)
            ),
        ));
    }
    if let Some(compaction) = &report.compaction {
        let before = match compaction.source_compact_revision {
            -1 => "never before".to_owned(),
            before => format!("before: to {before}"),
        };
        rows.push((
            "compacted",
            format!(
                "to revision {} ({before}; current: {}); dropped {} and {}",
                compaction.revision,
                compaction.current_revision,
                count(report.dropped.superseded, "superseded record"),
                count(report.dropped.tombstones, "tombstone")
            ),
        ));
    }
    let disarmed = report.disarmed.iter().take(KEYS_SHOWN);
    rows.extend(disarmed.map(|gone| ("disarmed", format!("{} of member {:x}", gone.alarm, gone.member_id))));
    if let Some(more @ 1..) = report.disarmed.len().checked_sub(KEYS_SHOWN) {
        rows.push(("", format!("and {} more", grouped(more as u64))));
    }
    let Some(left_out) = &report.left_out else { return rows };
    for row in &left_out.prefixes {
        let (keys, records) = (count(row.keys, "key"), count(row.records, "record"));
        let what = format!("{keys} ({} live), {records}, {}", grouped(row.live_keys), view.bytes(row.bytes));
        rows.push(("left out", format!("{what}: {}", row.prefix)));
    }
    rows.extend(left_out.keys.iter().take(KEYS_SHOWN).map(|left| ("", brief(&left.key.0))));
    if let Some(more) = left_out.keys.len().checked_sub(KEYS_SHOWN + 1) {
        rows.push(("", format!("and {} more: --output json lists each", grouped(more as u64 + 1))));
    }
    rows
}

fn saved(view: &View, before: u64, after: u64) -> String {
    match before.checked_sub(after) {
        Some(saved) => format!("{} ({})", view.bytes(saved), percent(share(saved, before))),
        None => format!("nothing: the copy is {} larger", view.bytes(after - before)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share, for people")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn verified(report: &DefragReport) -> String {
    match &report.verification {
        _ if report.dry_run => styled(FAINT, "nothing was written (--dry-run)"),
        None => styled(WARNING, "no (--no-verify)"),
        Some(done) => {
            let hash = done.hash_kv.map(|hash| format!(", HashKV {hash}")).unwrap_or_default();
            // of etcd's files, the root bucket and the names in it are among them
            let (entries, buckets) = if report.owner.is_etcd() {
                (done.entries, done.buckets)
            } else {
                let buckets = done.buckets.saturating_sub(1);
                (done.entries.saturating_sub(buckets), buckets)
            };
            let what = format!("{} in {} equal{hash}", count(entries, "entry"), count(buckets, "bucket"));
            format!("{} {what}", styled(GOOD, "yes:"))
        }
    }
}

/// What comes next, and the command for it.
fn next_step(report: &DefragReport) -> (String, Option<ShellCommand>) {
    let changed = report.compaction.is_some() || !report.disarmed.is_empty() || report.left_out.is_some();
    let of_several = changed && report.members > 1;
    if report.dry_run {
        let confirm = report.left_out.as_ref().map(|left_out| left_out.keys.len());
        let confirm = confirm.map(|keys| format!(" and with --confirm-keys {keys}")).unwrap_or_default();
        let named = if report.target.path.0.is_empty() { " and with -o DST" } else { "" };
        return (format!("the same command without --dry-run{named}{confirm} writes it"), None);
    }
    if report.target.path == report.source.path {
        let start = if of_several {
            "do the same to every other member; start etcd only then".to_owned()
        } else {
            format!("start {}", report.owner.program())
        };
        let then = if report.kept_old.is_some() { "; once it is healthy, remove the old file" } else { "" };
        return (format!("{start}{then}"), None);
    }
    if !report.owner.is_etcd() {
        let step = format!(
            "with {} stopped, keep its file under another name, and put this copy in its place; `defrag --in-place` does \
             both in one step",
            report.owner.program()
        );
        return (step, None);
    }
    match (of_several, report.target.sha256.is_some()) {
        (true, true) => (
            format!(
                "restore all {} members from this one file, each with its own --name and --initial-advertise-peer-urls \
                 (docs/recovery.md, \"One member, or all\")",
                report.members
            ),
            Some(restore(report)),
        ),
        (true, false) => (
            format!(
                "this copy must not go into one member of {} alone: it would differ from the others. Write it with \
                 --snapshot, and restore all members from it (docs/recovery.md, \"One member, or all\")",
                report.members
            ),
            None,
        ),
        (false, true) => ("restore a member from it".to_owned(), Some(restore(report))),
        (false, false) if report.refused_in_place.is_some() => (
            "this copy must not go beside the log of its source, which etcd would apply to it (see the note). Write it with \
             --snapshot, and restore from it"
                .to_owned(),
            None,
        ),
        (false, false) => (
            "with etcd stopped, keep its member/snap/db under another name outside of snap/, and move this file there; \
             `defrag --in-place --steady` of the data dir does both in one step"
                .to_owned(),
            None,
        ),
    }
}

fn restore(report: &DefragReport) -> ShellCommand {
    let tool = if report.before_etcdutl { "etcdctl" } else { "etcdutl" };
    let restore = ShellCommand::new(tool).and("snapshot restore").path(&report.target.path.as_path());
    restore.and("--data-dir NEW_DATA_DIR")
}

/// The sizes that each choice gives.
///
/// # Errors
/// The writer's.
pub fn plan(out: &mut impl Write, view: &View, report: &PlanReport) -> io::Result<()> {
    let path = &report.path;
    let records = report.choices.first().map_or(0, |choice| choice.records);
    writeln!(
        out,
        "{path}: {} now; its {} alone take {}",
        view.bytes(report.now_bytes),
        report.owner.count_entries(records),
        view.bytes(report.entry_bytes)
    )?;
    if let (Some(revision), Some(compacted)) = (report.revision, report.compact_revision) {
        let compacted =
            if compacted < 0 { "never compacted".to_owned() } else { format!("compacted to {compacted}") };
        writeln!(out, "current revision {revision}, {compacted}")?;
    }
    for warning in &report.warnings {
        table::prose(out, view, &format!("{} ", styled(WARNING, "note")), &harmless(warning))?;
    }
    if report.choices.len() > 1 {
        writeln!(out, "\n{}", styled(HEADING, "By the history that is kept (exact)"))?;
        choices(out, view, report)?;
    }
    if !report.history.is_empty() {
        writeln!(
            out,
            "\n{}",
            styled(HEADING, "Whose history that is (elements, keys and values of what is dropped)")
        )?;
        history(out, view, report)?;
    }
    writeln!(out, "\n{}", styled(HEADING, by_writer(report)))?;
    layouts(out, view, report)
}

fn by_writer(report: &PlanReport) -> &'static str {
    if report.owner.is_etcd() { "With all history, by who writes it" } else { "By who writes it" }
}

fn choices(out: &mut impl Write, view: &View, report: &PlanReport) -> io::Result<()> {
    let largest = report.choices.iter().map(|choice| choice.file_bytes).max().unwrap_or(0);
    let rows = report.choices.iter().map(|choice| {
        vec![
            option_of(choice),
            choice.compact_to.map_or_else(|| "-".to_owned(), |revision| revision.to_string()),
            grouped(choice.records),
            view.bytes(choice.file_bytes),
            saved(view, report.now_bytes, choice.file_bytes),
            table::bar(share(choice.file_bytes, largest), BAR_WIDTH),
        ]
    });
    let columns = [
        Column("etcd-medic defrag", Left),
        Column("compacts to", Right),
        Column("records", Right),
        Column("size", Right),
        Column("saved", Right),
        Column("", Left),
    ];
    table::write_unwrapped(out, &columns, rows.collect())
}

/// What `defrag` must be told for a choice.
fn option_of(choice: &Choice) -> String {
    match (choice.keep_revisions, choice.compact_to) {
        (Some(revisions), _) => format!("--keep-revisions {revisions}"),
        (None, Some(revision)) => format!("--compact-to {revision}"),
        (None, None) => "(all history)".to_owned(),
    }
}

/// The resources that give back most, for the choices that drop something.
fn history(out: &mut impl Write, view: &View, report: &PlanReport) -> io::Result<()> {
    let drops = |number: &usize| {
        report.history.iter().any(|row| row.dropped.get(*number).is_some_and(|one| one.records > 0))
    };
    let numbers: Vec<usize> = (0..report.choices.len()).filter(drops).collect();
    let heads: Vec<_> =
        numbers.iter().filter_map(|&number| report.choices.get(number)).map(short_option_of).collect();
    let mut columns = vec![Column("resource", Left)];
    columns.extend(heads.iter().map(|head| Column(head, Right)));
    let rows = report.history.iter().take(RESOURCES_SHOWN).map(|row| {
        let bytes =
            |&number: &usize| row.dropped.get(number).map_or_else(String::new, |one| view.bytes(one.bytes));
        let name = resource_name(&row.group, &row.resource.to_string());
        [name].into_iter().chain(numbers.iter().map(bytes)).collect()
    });
    table::write_unwrapped(out, &columns, rows.collect())?;
    match report.history.len().checked_sub(RESOURCES_SHOWN) {
        Some(more @ 1..) => writeln!(out, "  and {more} more: --output json has them"),
        _ => Ok(()),
    }
}

fn short_option_of(choice: &Choice) -> String {
    match (choice.keep_revisions, choice.compact_to) {
        (Some(revisions), _) => format!("keep {revisions}"),
        (None, revision) => format!("to {}", revision.unwrap_or_default()),
    }
}

fn layouts(out: &mut impl Write, view: &View, report: &PlanReport) -> io::Result<()> {
    let row = |label: String, bytes: u64, note: &str| {
        vec![label, view.bytes(bytes), saved(view, report.now_bytes, bytes), note.to_owned()]
    };
    let mut rows: Vec<_> = report
        .node_pages
        .iter()
        .map(|choice| {
            let steady = if choice.steady { " --steady" } else { "" };
            let label = format!("defrag --max-node-pages {}{steady}", choice.max_node_pages);
            row(label, choice.file_bytes, if choice.default { "exact (the default)" } else { "exact" })
        })
        .collect();
    rows.extend(
        report.estimates.iter().map(|other| row(other.tool.to_owned(), other.file_bytes, "estimate")),
    );
    let columns =
        [Column("written by", Left), Column("size", Right), Column("saved", Right), Column("", Left)];
    table::write_unwrapped(out, &columns, rows)
}
