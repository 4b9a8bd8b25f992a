//! The full report as text.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::analyze::advice::Severity;
use crate::analyze::histogram::Histogram;
use crate::analyze::leases::LeasesUse;
use crate::analyze::mvcc::{Mvcc, RecordUse};
use crate::analyze::resources::ResourceUse;
use crate::analyze::share::share;
use crate::analyze::space::Class;
use crate::analyze::timeline::TimelineBin;
use crate::analyze::top::{Metric, TopObject};
use crate::analyze::{AlarmInfo, Analysis};
use crate::etcd::trailer::Trailer;
use crate::k8s::resource_name;
use crate::owner::Owner;
use crate::text::{ByteText, brief};
use crate::units::{count, grouped, percent, span};

use super::homes;
use super::table::{self, Align, Column, bar, columns, heading, histogram, prose};
use super::view::{BAD, FAINT, GOOD, View, WARNING, styled};

use Align::{Left, Right};

/// Writes the full report.
///
/// # Errors
/// The writer's.
pub fn write(out: &mut impl Write, view: &View, report: &Analysis) -> io::Result<()> {
    file(out, view, report)?;
    space(out, view, report)?;
    if let Some(mvcc) = &report.mvcc {
        records(out, view, mvcc)?;
        resources(out, view, report)?;
        homes::tenants(out, view, report)?;
        homes::namespaces(out, view, report)?;
        top_objects(out, view, report)?;
    } else {
        heading(out, &format!("Buckets ({})", count(report.buckets.len() as u64, "row")))?;
        super::simple::largest_buckets(out, view, &report.buckets)?;
    }
    fragmentation(out, view, report)?;
    timeline(out, view, report)?;
    retention(out, view, report)?;
    cluster(out, view, report)?;
    advice(out, view, report)
}

fn file(out: &mut impl Write, view: &View, report: &Analysis) -> io::Result<()> {
    let file = &report.file;
    let sound = if report.health.sound { styled(GOOD, "sound") } else { styled(BAD, "FAULTS FOUND") };
    writeln!(out, "{}  {}  {sound}", file.path, view.bytes(file.file_bytes))?;
    let freelist =
        file.freelist_page.map_or("free pages derived".to_owned(), |page| format!("freelist at page {page}"));
    let pages = format!(
        "pages of {}, {} allocated, {freelist}, transaction {} (meta {})",
        view.bytes(file.page_size),
        grouped(file.high_water_mark),
        file.txid,
        file.active_meta
    );
    prose(out, view, "  ", &pages)?;
    for meta in file.metas.iter().filter(|meta| meta.error.is_some()) {
        let error = meta.error.as_deref().unwrap_or_default();
        prose(out, view, "  ", &styled(BAD, &format!("meta {} is not valid: {error}", meta.slot)))?;
    }
    let trailer: &str = (&file.snapshot_trailer).into();
    let mut facts = Vec::new();
    if report.owner.is_etcd() {
        facts.push(format!("snapshot trailer: {trailer}"));
    } else if file.snapshot_trailer != Trailer::None {
        facts.push(format!("SHA-256 behind it: {trailer}"));
    }
    let shown = |name: &str, version: &String| format!("{name} version {}", brief(version.as_bytes()));
    facts.extend(file.storage_version.as_ref().map(|version| shown("storage", version)));
    facts.extend(file.cluster_version.as_ref().map(|version| shown("cluster", version)));
    facts.extend(file.consistent_index.map(|index| format!("consistent index {index}")));
    facts.extend(file.term.map(|term| format!("term {term}")));
    if !facts.is_empty() {
        prose(out, view, "  ", &facts.join(", "))?;
    }
    let members = file.members.iter().take(view.top).map(|member| {
        let name = if member.name.is_empty() { "(not started)" } else { &member.name };
        let unknown = file.members_not_in_conf_state.contains(&member.id);
        let unknown = if unknown { " (not in confState)" } else { "" };
        format!("{} {:x}{unknown}", brief(name.as_bytes()), member.id)
    });
    let members: Vec<_> = members.collect();
    if !members.is_empty() {
        let more = file.members.len() - members.len();
        let more = if more > 0 { format!(", and {} more", grouped(more as u64)) } else { String::new() };
        prose(out, view, "  ", &format!("members: {}{more}", members.join(", ")))?;
    }
    Ok(())
}

fn space(out: &mut impl Write, view: &View, report: &Analysis) -> io::Result<()> {
    heading(out, "Where the bytes are")?;
    let bar_width = (view.width / 3).clamp(8, 40);
    let total = report.space.total_bytes;
    let rows = report.space.classes.iter().filter(|row| row.bytes > 0).map(|row| {
        let part = share(row.bytes, total);
        vec![
            class_name(row.class, report.owner).to_owned(),
            view.bytes(row.bytes),
            percent(part),
            bar(part, bar_width),
        ]
    });
    let rows: Vec<_> =
        rows.chain([vec!["file".to_owned(), view.bytes(total), percent(1.0), String::new()]]).collect();
    table::write(
        out,
        view,
        &[Column("", Left), Column("bytes", Right), Column("share", Right), Column("", Left)],
        rows,
    )?;
    if !report.health.readable {
        return writeln!(out, "The file is damaged: what a defrag would give back is not known");
    }
    let (gains, file) = (report.gains, &report.file);
    let has_tail = report.space.bytes_of(Class::Tail) > 0;
    let given_back = |copy_bytes: Option<u64>, of_allocated: u64| {
        let of_file = copy_bytes.map_or(0, |copy| file.file_bytes.saturating_sub(copy));
        let of_file = format!("{} ({})", view.bytes(of_file), percent(share(of_file, file.file_bytes)));
        if !has_tail {
            return of_file;
        }
        let part = percent(share(of_allocated, file.allocated_bytes));
        format!("{of_file} of the file, {} ({part}) of the allocated pages", view.bytes(of_allocated))
    };
    let defrag = given_back(gains.defrag_copy_bytes, gains.defrag_bytes);
    writeln!(out, "etcd-medic defrag gives back  {defrag}")?;
    if report.mvcc.is_some() {
        let both = given_back(gains.compact_and_defrag_copy_bytes, gains.compact_and_defrag_bytes);
        writeln!(out, " with a compaction before it  {both}")?;
    }
    Ok(())
}

/// What a class is called in text.
#[must_use]
pub fn class_name(class: Class, owner: Owner) -> &'static str {
    match class {
        Class::Meta => "meta pages",
        Class::Freelist => "freelist pages",
        Class::NodeHeaders => "node headers",
        Class::NodeElements => "node elements",
        Class::Keys => "keys",
        Class::Values => "values",
        Class::BucketHeaders => "bucket headers",
        Class::Slack => "slack",
        Class::Damaged => "damaged pages",
        Class::Free => "free pages",
        Class::Leaked => "leaked pages",
        Class::Tail => "tail",
        Class::Trailer if owner.is_etcd() => "snapshot trailer",
        Class::Trailer => "SHA-256 behind it",
    }
}

fn records(out: &mut impl Write, view: &View, mvcc: &Mvcc) -> io::Result<()> {
    let compacted = if mvcc.compact_revision < 0 {
        "never compacted".to_owned()
    } else {
        format!("compacted at {}", grouped(mvcc.compact_revision.unsigned_abs()))
    };
    heading(out, &format!("Records (revision {}, {compacted})", grouped(mvcc.revision.unsigned_abs())))?;
    let states = [
        ("live", mvcc.live),
        ("superseded", mvcc.superseded),
        ("tombstones", mvcc.tombstones),
        ("unreadable", mvcc.unreadable),
    ];
    let all: u64 = states.iter().map(|(_, records)| records.disk_bytes).sum();
    let shown = states.iter().filter(|(name, records)| *name != "unreadable" || records.records > 0);
    let row = |(name, RecordUse { records, bytes, disk_bytes }): &(&str, RecordUse)| {
        let part = share(*disk_bytes, all);
        vec![
            (*name).to_owned(),
            grouped(*records),
            view.bytes(*bytes),
            view.bytes(*disk_bytes),
            percent(part),
        ]
    };
    let headings = [
        Column("", Left),
        Column("records", Right),
        Column("bytes", Right),
        Column("on disk", Right),
        Column("share", Right),
    ];
    table::write(out, view, &headings, shown.map(row))
}

fn resources(out: &mut impl Write, view: &View, report: &Analysis) -> io::Result<()> {
    let all = key_disk_bytes(report);
    heading(out, &format!("Resources ({})", count(report.resources.len() as u64, "row")))?;
    let bar_width = if view.is_wide() { 12 } else { 6 };
    let with_bar = view.width >= 76;
    let names = Names::of(report);
    let row = |row: &ResourceUse| {
        let part = share(row.disk_bytes, all);
        let mut cells = vec![
            names.short(row),
            grouped(row.objects),
            view.bytes(row.live_bytes),
            view.bytes(row.history_bytes + row.tombstone_bytes),
            view.bytes(row.disk_bytes),
        ];
        if with_bar {
            cells.push(percent(part));
        }
        if view.is_wide() {
            cells.push(quantiles(&row.revisions_per_object, &grouped));
            cells.push(quantiles(&row.value_bytes, &|bytes| view.bytes(bytes)));
        }
        if view.is_very_wide() {
            cells.push(encodings(row));
        }
        if with_bar {
            cells.push(bar(part, bar_width));
        }
        cells
    };
    let mut headings = vec![
        Column("resource", Left),
        Column("objects", Right),
        Column("live", Right),
        Column("history", Right),
        Column("on disk", Right),
    ];
    if with_bar {
        headings.push(Column("share", Right));
    }
    if view.is_wide() {
        headings.extend([Column("revisions", Right), Column("value size", Right)]);
    }
    if view.is_very_wide() {
        headings.push(Column("encoding", Left));
    }
    if with_bar {
        headings.push(Column("", Left));
    }
    table::write(out, view, &headings, report.resources.iter().take(view.top).map(row))?;
    more(out, report.resources.len(), view.top)?;
    if view.is_wide() {
        let note = "  revisions: records kept of each object; these and value sizes as median/99th percentile/maximum";
        writeln!(out, "{}", styled(FAINT, note))?;
    }
    match report.resources.first() {
        Some(largest) => resource(out, view, largest),
        None => Ok(()),
    }
}

/// The histograms of one resource.
fn resource(out: &mut impl Write, view: &View, row: &ResourceUse) -> io::Result<()> {
    let name = brief_name(&row.group, &row.resource);
    let encodings = encodings(row);
    heading(out, &format!("{name} (values: {})", if encodings.is_empty() { "none" } else { &encodings }))?;
    writeln!(out, "Records kept of each object")?;
    histogram(out, view, &row.revisions_per_object, |from, to| range(from, to, &grouped))?;
    writeln!(out, "Size of values")?;
    histogram(out, view, &row.value_bytes, |from, to| range(from, to, &|bytes| view.bytes(bytes)))
}

/// How many rows have a resource's name, whatever its group.
struct Names<'r>(BTreeMap<&'r ByteText, usize>);

impl<'r> Names<'r> {
    fn of(report: &'r Analysis) -> Self {
        let mut rows = BTreeMap::new();
        report.resources.iter().for_each(|row| *rows.entry(&row.resource).or_default() += 1);
        Self(rows)
    }

    /// The resource's name as kubectl takes it, with its group only where two share the name.
    fn short(&self, row: &ResourceUse) -> String {
        let shared = self.0.get(&row.resource).is_some_and(|&rows| rows > 1);
        if shared { brief_name(&row.group, &row.resource) } else { brief(&row.resource.0) }
    }
}

/// A resource's name, as long as fits into a sentence.
fn brief_name(group: &str, resource: &ByteText) -> String {
    brief(resource_name(group, &resource.to_string()).as_bytes())
}

/// `1/2/17`: median, 99th percentile and maximum, one number where they are the same.
fn quantiles(histogram: &Histogram, show: &dyn Fn(u64) -> String) -> String {
    let Histogram { p50, p99, max, .. } = histogram;
    if p50 == max { show(*max) } else { [p50, p99, max].map(|&value| show(value)).join("/") }
}

/// What the records take of the file: what shares of resources and namespaces are of.
pub(super) fn key_disk_bytes(report: &Analysis) -> u64 {
    let states =
        report.mvcc.as_ref().map(|mvcc| [mvcc.live, mvcc.superseded, mvcc.tombstones, mvcc.unreadable]);
    states.into_iter().flatten().map(|records| records.disk_bytes).sum()
}

/// Encodings that are named: a cluster has a few, each with a key or two.
const MAX_ENCODINGS: usize = 10;

fn encodings(row: &ResourceUse) -> String {
    let names: Vec<_> = row.encodings.keys().take(MAX_ENCODINGS).map(|name| brief(name.as_bytes())).collect();
    let more = row.encodings.len() - names.len();
    let more = if more > 0 { format!(", and {} more", grouped(more as u64)) } else { String::new() };
    names.join(", ") + &more
}

fn range(from: u64, to: u64, show: &dyn Fn(u64) -> String) -> String {
    if from == to { show(from) } else { format!("{} – {}", show(from), show(to)) }
}

pub(super) fn more(out: &mut impl Write, rows: usize, shown: usize) -> io::Result<()> {
    match rows.saturating_sub(shown) {
        0 => Ok(()),
        left => writeln!(out, "{}", styled(FAINT, &format!("  and {left} more: --top {rows}"))),
    }
}

fn top_objects(out: &mut impl Write, view: &View, report: &Analysis) -> io::Result<()> {
    for metric in Metric::ALL {
        let mut objects: Vec<&TopObject> =
            report.top_objects.iter().filter(|object| object.ranks.by(metric).is_some()).collect();
        objects.sort_by_key(|object| object.ranks.by(metric));
        let title = match metric {
            Metric::LiveBytes => "Largest objects, by their newest record",
            Metric::HistoryBytes => "Largest objects, by their history",
            Metric::Revisions => "Objects with most records",
        };
        if objects.is_empty() {
            continue;
        }
        heading(out, title)?;
        let rows = objects.iter().map(|object| {
            let key = brief(&object.key.0) + if object.live { "" } else { " (deleted)" };
            let sizes =
                [object.live_bytes, object.history_bytes, object.disk_bytes].map(|bytes| view.bytes(bytes));
            let [live, history, disk] = sizes;
            vec![live, history, grouped(object.revisions), disk, key]
        });
        let headings = [
            Column("live", Right),
            Column("history", Right),
            Column("records", Right),
            Column("on disk", Right),
            Column("key", Left),
        ];
        table::write(out, view, &headings, rows)?;
    }
    Ok(())
}

fn fragmentation(out: &mut impl Write, view: &View, report: &Analysis) -> io::Result<()> {
    let figures = &report.fragmentation;
    heading(out, &format!("Fragmentation (index {:.2})", figures.index))?;
    let order = figures.leaf_order;
    let text = format!(
        "{} of the file holds nothing; {} of the steps from leaf to leaf leave page order ({} on, {} ahead, {} back)",
        percent(figures.empty_share),
        percent(figures.disorder),
        grouped(order.adjacent),
        grouped(order.forward),
        grouped(order.backward)
    );
    prose(out, view, "  ", &text)?;
    if figures.free_runs.count > 0 {
        let largest = count(figures.largest_run_pages, "page");
        writeln!(out, "Runs of free pages, by length (largest: {largest})")?;
        histogram(out, view, &figures.free_runs, |from, to| range(from, to, &grouped))?;
    }
    writeln!(out, "Fill of leaves, in percent")?;
    histogram(out, view, &figures.leaf_fill, |from, to| format!("{from} – {to}"))
}

fn timeline(out: &mut impl Write, view: &View, report: &Analysis) -> io::Result<()> {
    let Some(timeline) = &report.timeline else { return Ok(()) };
    let (Some(first), Some(last), Some(peak)) = (timeline.bins.first(), timeline.bins.last(), &timeline.peak)
    else {
        return Ok(());
    };
    let (first, last) = (first.first_revision, last.last_revision);
    heading(out, &format!("Timeline (bytes kept of revisions {first} to {last})"))?;
    let bytes: Vec<u64> = timeline.bins.iter().map(|bin| bin.bytes).collect();
    let follows =
        |bin: &TimelineBin, next: &TimelineBin| bin.last_revision.checked_add(1) == Some(next.first_revision);
    let bars = columns(&bytes);
    for (bar, pair) in bars.chars().zip(timeline.bins.windows(2)) {
        let gap = if matches!(pair, [bin, next] if !follows(bin, next)) { "┊" } else { "" };
        write!(out, "{bar}{gap}")?;
    }
    writeln!(out, "{}", bars.chars().last().unwrap_or_default())?;
    for gap in report.mvcc.iter().flat_map(|mvcc| &mvcc.gaps) {
        let text = format!(
            "┊: revisions {} to {} never existed, as after a restore with --bump-revision",
            gap.first_revision, gap.last_revision
        );
        prose(out, view, "  ", &text)?;
    }
    let text = format!(
        "peak: revisions {} to {} hold {} in {} ({:.1} times the median span), {} of it in {}",
        peak.bin.first_revision,
        peak.bin.last_revision,
        view.bytes(peak.bin.bytes),
        count(peak.bin.records, "record"),
        peak.times_median,
        percent(peak.resource_share),
        brief_name(&peak.group, &peak.resource)
    );
    prose(out, view, "  ", &text)
}

fn retention(out: &mut impl Write, view: &View, report: &Analysis) -> io::Result<()> {
    let Some(retention) = &report.retention else { return Ok(()) };
    heading(out, "Retention (what history costs, and which time it covers)")?;
    let history = view.bytes(retention.history_bytes);
    let now = match retention.bytes_per_revision {
        Some(bytes) => format!(
            "{history} of history for {} since the last compaction: {bytes:.0} bytes a revision",
            count(retention.revisions, "revision")
        ),
        None => "no revision since the last compaction: what one costs is not known".to_owned(),
    };
    prose(out, view, "  ", &now)?;
    let rate = match retention.rate {
        Some(rate) => format!(
            "{:.0} revisions an hour, by objects created {} apart (revisions {} and {})",
            rate.revisions_per_hour,
            span(rate.seconds),
            rate.first_revision,
            rate.last_revision
        ),
        None => "how fast revisions come is not known: no objects that tell the time, or too little of it"
            .to_owned(),
    };
    prose(out, view, "  ", &rate)?;
    let rows = retention.choices.iter().map(|choice| {
        let (bytes, covers) = (choice.bytes.map(|bytes| view.bytes(bytes)), choice.seconds.map(span));
        vec![grouped(choice.revisions), bytes.unwrap_or("-".to_owned()), covers.unwrap_or("-".to_owned())]
    });
    let headings = [Column("keep revisions", Right), Column("cost", Right), Column("cover", Right)];
    table::write(out, view, &headings, rows)
}

fn cluster(out: &mut impl Write, view: &View, report: &Analysis) -> io::Result<()> {
    let (Some(leases), Some(auth)) = (&report.leases, report.auth) else { return Ok(()) };
    heading(out, "Leases, alarms, authentication")?;
    leases_line(out, view, leases)?;
    if report.alarms.is_empty() {
        writeln!(out, "  no alarm is raised")?;
    }
    for AlarmInfo { alarm, member_id, meaning } in report.alarms.iter().take(view.top) {
        writeln!(out, "  {}", styled(BAD, &format!("{alarm} raised by member {member_id:x}: {meaning}")))?;
    }
    more(out, report.alarms.len(), view.top)?;
    let state = if auth.enabled { "on" } else { "off" };
    writeln!(out, "  authentication is {state}: {}, {}", count(auth.users, "user"), count(auth.roles, "role"))
}

fn leases_line(out: &mut impl Write, view: &View, leases: &LeasesUse) -> io::Result<()> {
    let text = format!(
        "{} ({} without keys), {} attached with {}",
        count(leases.count, "lease"),
        grouped(leases.without_keys),
        count(leases.attached_keys, "key"),
        view.bytes(leases.attached_bytes)
    );
    prose(out, view, "  ", &text)?;
    if leases.orphaned_keys > 0 {
        let keys = count(leases.orphaned_keys, "key");
        let text =
            format!("{keys} attached to leases that do not exist ({})", view.bytes(leases.orphaned_bytes));
        prose(out, view, "  ", &styled(WARNING, &text))?;
    }
    Ok(())
}

fn advice(out: &mut impl Write, view: &View, report: &Analysis) -> io::Result<()> {
    heading(out, "Advice")?;
    for (number, advice) in report.advice.iter().enumerate() {
        let style = match advice.severity {
            Severity::Critical => BAD,
            Severity::Warning => WARNING,
            Severity::Info => FAINT,
        };
        let severity = format!("{:?}", advice.severity).to_lowercase();
        let text = format!("{} {}", styled(style, &severity), crate::text::harmless(&advice.text));
        prose(out, view, &format!("  {}. ", number + 1), &text)?;
        if !advice.command.is_empty() {
            table::command(out, &advice.command)?;
        }
    }
    Ok(())
}
