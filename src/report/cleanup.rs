//! `cleanup` as text.

use std::io::{self, Write};

use crate::cleanup::class::span;
use crate::cleanup::{Ages, ClassUse, Cleanup, Use};
use crate::k8s::resource_name;
use crate::text::{brief, cut, harmless};
use crate::top_n::largest;
use crate::units::{count, grouped};

use super::table::{self, Align, Column, heading, prose};
use super::view::{BAD, FAINT, GOOD, View, WARNING, styled};

use Align::{Left, Right};

/// Writes what could be deleted: all classes, then each in which there is something, with how to clean it up.
///
/// # Errors
/// The writer's.
pub fn write(out: &mut impl Write, view: &View, report: &Cleanup) -> io::Result<()> {
    let sound = if report.health.sound { styled(GOOD, "sound") } else { styled(BAD, "FAULTS FOUND") };
    writeln!(out, "{}  {}  {sound}", report.path, view.bytes(report.file_bytes))?;
    if !report.health.sound {
        let text = "what is below covers what could be read; `etcd-medic check` says what is wrong";
        prose(out, view, "  ", text)?;
    }
    time(out, view, report)?;
    heading(out, "What could be deleted")?;
    // etcd's and Kubernetes' own classes, and as many floods as there are rows, which come last
    let is_flood = |class: &&ClassUse| class.resource.is_some();
    let mut floods: Vec<_> = report.classes.iter().filter(is_flood).collect();
    let num_floods = floods.len() + usize::try_from(report.more_floods).unwrap_or(0);
    if floods.len() > view.top {
        floods = largest(view.top, floods, |class| class.sum.disk_bytes);
    }
    let classes = || report.classes.iter().filter(|class| !is_flood(class)).chain(floods.iter().copied());
    let rows = classes().map(|class| cells(view, &title(class), &class.sum));
    let total = cells(view, "each key once", &report.total);
    let columns = [
        Column("class", Left),
        Column("objects", Right),
        Column("live", Right),
        Column("history", Right),
        Column("on disk", Right),
    ];
    table::write(out, view, &columns, rows.chain([total]))?;
    more(out, num_floods, view.top, "flood")?;
    for class in classes().filter(|class| class.sum.objects > 0) {
        details(out, view, class)?;
    }
    unread(out, view, report)?;
    after(out, view, report)
}

fn time(out: &mut impl Write, view: &View, report: &Cleanup) -> io::Result<()> {
    let as_of = &report.as_of;
    let text = match (&as_of.time, as_of.source) {
        (Some(time), Some("option")) => format!("as of {time}, as --as-of says"),
        (Some(time), _) => {
            let told = [("created last", &as_of.created), ("Leases renewed last", &as_of.renewed)];
            let told: Vec<_> = told
                .iter()
                .filter_map(|(what, time)| time.as_ref().map(|time| format!("{what} at {time}")))
                .collect();
            format!("as of {time}, the file's own time: {}", told.join(", "))
        }
        (None, _) => {
            "no object tells a time that can be believed: nothing has an age here (--as-of gives one)"
                .to_owned()
        }
    };
    prose(out, view, "  ", &text)?;
    if report.doubtful_times > 0 {
        let text = format!(
            "{} a time before Kubernetes or more than an hour after the file's: not believed",
            match report.doubtful_times {
                1 => "1 object states".to_owned(),
                more => format!("{} objects state", grouped(more)),
            }
        );
        prose(out, view, "  ", &styled(WARNING, &text))?;
    }
    Ok(())
}

fn cells(view: &View, name: &str, sum: &Use) -> Vec<String> {
    vec![
        name.to_owned(),
        grouped(sum.objects),
        view.bytes(sum.live_bytes),
        view.bytes(sum.history_bytes),
        view.bytes(sum.disk_bytes),
    ]
}

fn title(class: &ClassUse) -> String {
    match &class.resource {
        Some(resource) => format!("{}: {}", class.class, harmless(&cut(resource))),
        None => class.class.to_owned(),
    }
}

fn details(out: &mut impl Write, view: &View, class: &ClassUse) -> io::Result<()> {
    let objects =
        count(class.sum.objects, if class.class == "leases-without-keys" { "lease" } else { "object" });
    heading(out, &format!("{}: {objects}", title(class)))?;
    prose(out, view, "  ", &class.why)?;
    if !class.reasons.is_empty() {
        prose(out, view, "  ", &format!("here by: {}", class.reasons.join(", ")))?;
    }
    if let Some(ages) = &class.ages {
        prose(out, view, "  ages:     ", &ages_words(ages))?;
    }
    prose(out, view, "  deleting: ", class.deleting)?;
    prose(out, view, "  prevent:  ", class.prevention)?;
    // a command is one line, however long, so that it can be copied
    for command in &class.commands {
        table::command(out, command)?;
    }
    namespaces(out, view, class)?;
    top(out, view, class)
}

fn ages_words(ages: &Ages) -> String {
    let older = ages.older.iter();
    let mut words: Vec<_> =
        older.map(|row| format!("{} older than {}", grouped(row.objects), span(row.than_seconds))).collect();
    if ages.undated > 0 {
        words.push(format!("{} without a time that can be believed", grouped(ages.undated)));
    }
    let created = ages.oldest.as_ref().zip(ages.newest.as_ref());
    let created = created.map(|(oldest, newest)| format!("; created from {oldest} to {newest}"));
    format!("{}{}", words.join(", "), created.unwrap_or_default())
}

fn namespaces(out: &mut impl Write, view: &View, class: &ClassUse) -> io::Result<()> {
    let several = class.namespaces.iter().any(|row| row.tenant.is_some());
    let rows: Vec<_> = class
        .namespaces
        .iter()
        .take(view.top)
        .map(|row| {
            let name =
                row.namespace.as_ref().map_or("  (none)".to_owned(), |name| format!("  {}", brief(&name.0)));
            let mut cells = cells(view, &name, &row.sum);
            if several {
                cells.push(row.tenant.as_ref().map_or("(none)".to_owned(), |name| brief(&name.0)));
            }
            cells
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let mut columns = vec![
        Column("  namespace", Left),
        Column("objects", Right),
        Column("live", Right),
        Column("history", Right),
        Column("on disk", Right),
    ];
    if several {
        columns.push(Column("tenant", Left));
    }
    table::write(out, view, &columns, rows)?;
    more(out, class.namespaces.len(), view.top, "namespace")
}

fn top(out: &mut impl Write, view: &View, class: &ClassUse) -> io::Result<()> {
    if class.top.is_empty() {
        return Ok(());
    }
    let rows = class.top.iter().map(|object| {
        vec![
            format!("  {}", brief(&object.key.0)),
            view.bytes(object.live_bytes),
            view.bytes(object.history_bytes),
        ]
    });
    let columns = [Column("  largest", Left), Column("live", Right), Column("history", Right)];
    table::write(out, view, &columns, rows)?;
    // where no command is for all, each has its own
    let commands = class.top.iter().map(|object| &object.command).filter(|command| !command.is_empty());
    for command in commands.filter(|_| class.commands.is_empty()) {
        table::command(out, command)?;
    }
    Ok(())
}

fn more(out: &mut impl Write, all: usize, shown: usize, noun: &str) -> io::Result<()> {
    match all.saturating_sub(shown) {
        0 => Ok(()),
        left => {
            let text = format!("and {} more: --top shows more", count(left as u64, noun));
            writeln!(out, "  {}", styled(FAINT, &text))
        }
    }
}

fn unread(out: &mut impl Write, view: &View, report: &Cleanup) -> io::Result<()> {
    if report.unread.is_empty() {
        return Ok(());
    }
    heading(out, "What could not be looked into")?;
    let rows = report.unread.iter().take(view.top).map(|row| {
        vec![
            brief(resource_name(&row.group, &row.resource.to_string()).as_bytes()),
            grouped(row.encrypted),
            view.bytes(row.encrypted_bytes),
            grouped(row.malformed),
            grouped(row.undated),
        ]
    });
    let columns = [
        Column("resource", Left),
        Column("encrypted", Right),
        Column("of bytes", Right),
        Column("malformed", Right),
        Column("without a time", Right),
    ];
    table::write(out, view, &columns, rows)?;
    more(out, report.unread.len(), view.top, "resource")
}

fn after(out: &mut impl Write, view: &View, report: &Cleanup) -> io::Result<()> {
    writeln!(out)?;
    let text = if report.total.objects == 0 {
        "No key is in any of these classes.".to_owned()
    } else {
        "Commands act on the cluster as it is when they run: add --dry-run=server to `kubectl delete` first, and read \
         what it would delete. Deleting makes history of what is live: a compaction and a defrag then give the bytes \
         back (`etcd-medic analyze`)."
            .to_owned()
    };
    prose(out, view, "", &text)?;
    let limits = &report.thresholds;
    let text = format!(
        "thresholds: --event-age {}, --lease-age {}, --large {}, --flood-objects {}",
        span(limits.event_age_seconds),
        span(limits.lease_age_seconds),
        crate::units::bytes(limits.large_bytes),
        limits.flood_objects
    );
    prose(out, view, "", &styled(FAINT, &text))
}
