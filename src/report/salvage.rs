//! `salvage` as text.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::salvage::document::{Recovered, SalvageReport};
use crate::salvage::lacks::Lack;
use crate::salvage::lost::Lost;
use crate::salvage::unreached::Unreached;
use crate::text::{brief, harmless};
use crate::units::{count, grouped};

use super::table::{self, Align, Column};
use super::view::{FAINT, GOOD, HEADING, View, WARNING, styled};

use Align::{Left, Right};

/// Ranges, keys and resources that are shown.
const SHOWN: usize = 12;

/// What was saved, what was lost, and what comes next.
///
/// # Errors
/// The writer's.
pub fn salvage(out: &mut impl Write, view: &View, report: &SalvageReport) -> io::Result<()> {
    lacks(out, view, &report.lacks)?;
    let target = &report.target.path;
    let recovered = report.recovered;
    let mut rows = vec![
        ("source", format!("{}  {}", view.bytes(report.source.file_bytes), report.source.path)),
        ("unreadable", unreadable(view, &report.source.unreadable)),
        ("copy", format!("{}  {target}", view.bytes(report.target.file_bytes))),
        (report.owner.entries(), entries(report)),
        ("reachable", reachable(&recovered)),
        ("older root", grouped(recovered.older_root)),
        ("orphans", orphans(report)),
        ("log", from_log(report)),
    ];
    if recovered.free > 0 {
        let gone = if report.owner.is_etcd() { "deleted or superseded" } else { "deleted or replaced" };
        rows.push(("free pages", format!("{} that were {gone}", grouped(recovered.free))));
    }
    rows.push(("left out", left_out(report)));
    rows.push(("found", placed(&report.unreached)));
    if let Some(revision) = report.target.revision {
        rows.push(("revision", revision.to_string()));
    }
    rows.push(("verified", verified(report)));
    rows.push(("time", format!("{:.2} s", report.elapsed_seconds)));
    rows.retain(|(_, value)| !value.is_empty());
    for (label, value) in rows {
        writeln!(out, "{}  {value}", styled(HEADING, &format!("{label:<10}")))?;
    }
    for warning in &report.warnings {
        table::prose(out, view, &format!("{} ", styled(WARNING, "note")), &harmless(warning))?;
    }
    buckets(out, view, report)?;
    lost(out, view, &report.lost)?;
    affected(out, view, report)?;
    next(out, view, report)
}

/// What the copy lacks comes first: it may open doors.
fn lacks(out: &mut impl Write, view: &View, lacks: &[Lack]) -> io::Result<()> {
    for lack in lacks {
        let first = format!("{} ", styled(WARNING, lack.what.name()));
        table::prose(out, view, &first, &format!("{}: {}", lack.state.name(), lack.means))?;
        commands(out, lack.commands.iter().map(String::as_str))?;
    }
    Ok(())
}

/// Each on a line of its own, however long: so it can be pasted.
fn commands<'c>(out: &mut impl Write, commands: impl Iterator<Item = &'c str>) -> io::Result<()> {
    commands.into_iter().try_for_each(|command| table::command(out, command))
}

/// Nothing where the disk gave all.
fn unreadable(view: &View, parts: &[(u64, u64)]) -> String {
    let Some((first, _)) = parts.first() else { return String::new() };
    let bytes = view.bytes(parts.iter().map(|(_, bytes)| bytes).sum());
    let parts = count(parts.len() as u64, "part");
    format!("{bytes} in {parts}, which the disk does not give, the first at byte {first}: taken for zeros")
}

/// Of a root that is not the newest, all is doubtful.
fn reachable(recovered: &Recovered) -> String {
    let doubtful = recovered.doubtful.saturating_sub(recovered.orphan);
    let all = grouped(recovered.reachable);
    if doubtful == 0 {
        return all;
    }
    format!(
        "{all}, of which {} may have been deleted later: a newer root is lost (--strict leaves them out)",
        grouped(doubtful)
    )
}

fn orphans(report: &SalvageReport) -> String {
    let (all, doubtful) = (report.recovered.orphan, report.recovered.doubtful.min(report.recovered.orphan));
    match (all, doubtful) {
        (1.., _) if !report.owner.is_etcd() => {
            format!("{}, which may have been deleted before", grouped(all))
        }
        (_, 0) => grouped(all),
        _ => format!(
            "{}, of which a compaction may have removed {}, though nothing shows it (--strict leaves them out)",
            grouped(all),
            grouped(doubtful)
        ),
    }
}

/// What the log gave; nothing where it was not asked.
fn from_log(report: &SalvageReport) -> String {
    let Some(log) = &report.log else { return String::new() };
    if let Some(why) = &log.unused_because {
        return format!("nothing was taken from {}: {why}", log.path);
    }
    let mut words = format!("{} from {}", grouped(report.recovered.log), log.path);
    if log.replaced > 0 {
        let _ = write!(words, "; the db had {} of them in another form", grouped(log.replaced));
    }
    if log.unsure_revisions > 0 {
        let revisions = count(log.unsure_revisions, "revision");
        let _ =
            write!(words, "; {revisions} may be of one entry or another (--best-effort takes the likelier)");
    }
    if let Some(index) = log.index {
        let _ = write!(words, "; the copy is at entry {index}");
    }
    words
}

fn entries(report: &SalvageReport) -> String {
    let entries = report.owner.count_entries(report.target.records);
    if report.owner.is_etcd() {
        return format!("{entries} ({} exist)", count(report.target.keys, "key"));
    }
    format!("{entries} in {}", count(report.target.buckets, "bucket"))
}

/// All that can be read and is not in the copy, and what takes it.
fn left_out(report: &SalvageReport) -> String {
    let mut parts = Vec::new();
    match (report.source.searched, report.owner.is_etcd()) {
        (false, _) => parts.push("nothing is missing, so free pages were not searched".to_owned()),
        (true, true) => {
            parts.push(format!("{} of what was deleted or superseded", count(report.dropped.free, "record")));
        }
        (true, false) => {
            let of_gaps = report.buckets.iter().map(|bucket| bucket.left_out).fold(0, u64::saturating_add);
            let of_gaps = Some(count(of_gaps, "entry")).filter(|_| of_gaps > 0);
            parts.extend(of_gaps.map(|entries| {
                format!("{entries} that may lie in the gaps below: --best-effort takes them")
            }));
        }
    }
    if report.dropped.malformed > 0 {
        parts.push(format!("{} that are no records any more", count(report.dropped.malformed, "entry")));
    }
    parts.extend(unreached(&report.unreached));
    if parts.is_empty() { "nothing".to_owned() } else { parts.join("; ") }
}

/// What no root reaches; nothing, where there is none of it, or the copy has it.
fn unreached(unreached: &Unreached) -> Option<String> {
    let left = Some(unreached).filter(|unreached| unreached.entries > 0 && unreached.bucket.is_none())?;
    Some(format!("{}, which may have been deleted: --best-effort takes them", on_unreached_pages(left)))
}

/// The same, where the copy has it.
fn placed(unreached: &Unreached) -> String {
    let bucket = unreached.bucket.as_ref();
    let placed = |bucket| format!("{}: in bucket {bucket} now", on_unreached_pages(unreached));
    bucket.map(placed).unwrap_or_default()
}

fn on_unreached_pages(unreached: &Unreached) -> String {
    let entries = count(unreached.entries, "entry");
    let inside = match unreached.buckets {
        0 => String::new(),
        buckets => format!(" in {}", count(buckets, "bucket")),
    };
    format!("{entries}{inside} on pages that no root reaches")
}

fn verified(report: &SalvageReport) -> String {
    let hash = report.hash_kv.map(|hash| format!(", HashKV {hash}")).unwrap_or_default();
    match (report.dry_run, report.verified) {
        (true, _) => styled(FAINT, "nothing was written (--dry-run)"),
        (_, true) => format!("{} every entry of the copy is one that was saved{hash}", styled(GOOD, "yes:")),
        (_, false) => styled(WARNING, "no"),
    }
}

fn buckets(out: &mut impl Write, view: &View, report: &SalvageReport) -> io::Result<()> {
    // of what was not found at all, more was said first
    let with_gaps =
        || report.buckets.iter().filter(|bucket| bucket.from.is_some() && !bucket.gaps.is_empty());
    for bucket in with_gaps().take(SHOWN) {
        let pages = bucket.gaps.iter().take(SHOWN).map(u64::to_string).collect::<Vec<_>>().join(", ");
        let more = bucket.gaps.len().checked_sub(SHOWN).filter(|&more| more > 0);
        let more = more.map(|more| format!(" and {more} more")).unwrap_or_default();
        let found = match (bucket.orphan, bucket.left_out) {
            (0, 0) => String::new(),
            (0, left_out) => format!(
                "; in leaves that no root reaches, {} can be read: --best-effort takes them",
                count(left_out, "entry")
            ),
            (orphan, left_out) => {
                format!("; of other leaves, {} taken, {} left out", count(orphan, "entry"), grouped(left_out))
            }
        };
        let why = bucket.why.as_deref().map(|why| format!(" ({})", harmless(why))).unwrap_or_default();
        let first = format!("bucket {}: ", brief(&bucket.name.0));
        table::prose(out, view, &first, &format!("missing below page {pages}{more}{why}{found}"))?;
    }
    if let Some(more @ 1..) = with_gaps().count().checked_sub(SHOWN) {
        writeln!(out, "and {more} more buckets with gaps: --output json has them")?;
    }
    for derived in &report.derived {
        let value =
            derived.value.as_deref().map_or_else(|| "none".to_owned(), |value| brief(value.as_bytes()));
        table::prose(out, view, &format!("{:<10}  ", derived.key), &format!("{value}: {}", derived.why))?;
    }
    Ok(())
}

fn lost(out: &mut impl Write, view: &View, lost: &[Lost]) -> io::Result<()> {
    if lost.is_empty() {
        return Ok(());
    }
    table::heading(out, "What may be lost")?;
    let rows = lost.iter().take(SHOWN).map(|range| {
        vec![
            range.first_revision.to_string(),
            range.last_revision.map_or_else(|| "?".to_owned(), |last| last.to_string()),
            range.missing_revisions.map_or_else(|| "?".to_owned(), grouped),
            grouped(range.recovered),
            range.page.map_or_else(|| "-".to_owned(), |page| page.to_string()),
            range.why.clone(),
        ]
    });
    let columns = [
        Column("from revision", Right),
        Column("to", Right),
        Column("missing", Right),
        Column("found elsewhere", Right),
        Column("page", Right),
        Column("because", Left),
    ];
    table::write(out, view, &columns, rows)?;
    match lost.len().checked_sub(SHOWN) {
        Some(more @ 1..) => writeln!(out, "  and {more} more ranges: --output json has them"),
        _ => Ok(()),
    }
}

fn affected(out: &mut impl Write, view: &View, report: &SalvageReport) -> io::Result<()> {
    let affected = &report.affected;
    if affected.possibly_stale_keys + affected.proven_keys + affected.possibly_lost_keys == 0 {
        return Ok(());
    }
    table::heading(out, "Keys")?;
    writeln!(
        out,
        "{} may have a newer record among what is lost; of {}, one is missing for sure; {} found in free pages only may \
         have existed",
        count(affected.possibly_stale_keys, "key"),
        count(affected.proven_keys, "key"),
        count(affected.possibly_lost_keys, "key"),
    )?;
    for key in affected.keys.iter().take(SHOWN) {
        writeln!(out, "  {} (revision {}): {}", key.key, key.revision, key.what)?;
    }
    let rows = affected.possibly_stale.iter().take(SHOWN).map(|row| {
        let name = crate::k8s::resource_name(&row.group, &row.resource.to_string());
        vec![name, grouped(row.keys), grouped(row.namespaces.len() as u64)]
    });
    let columns =
        [Column("resource", Left), Column("keys that may be stale", Right), Column("namespaces", Right)];
    table::write(out, view, &columns, rows)
}

fn next(out: &mut impl Write, view: &View, report: &SalvageReport) -> io::Result<()> {
    let next = "next        ";
    if report.dry_run {
        return table::prose(out, view, next, "the same command without --dry-run writes it");
    }
    let restore = &report.restore;
    table::prose(out, view, next, &restore.reason)?;
    for one in &restore.commands {
        writeln!(out, "etcd {}:", one.etcd)?;
        commands(out, std::iter::once(one.command.as_str()))?;
    }
    if !restore.after_start.is_empty() {
        writeln!(out, "once etcd runs, as an alarm is raised in the copy:")?;
        commands(out, restore.after_start.iter().map(String::as_str))?;
    }
    restore.notes.iter().try_for_each(|note| table::prose(out, view, "note ", note))
}
