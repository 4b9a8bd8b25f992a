//! `keys --long`, `history` and what an export came to, as text.

use std::io::{self, Write};

use crate::etcd::find::{FoundRecord, Origin};
use crate::text::escape;
use crate::travel::export::Exported;
use crate::travel::history::KeyHistory;
use crate::travel::keys::DeletedRow;
use crate::units::count;

use super::table::{self, Align, Column};
use super::view::{BAD, FAINT, GOOD, View, styled};

use Align::{Left, Right};

/// One line a key, in fixed columns: they are written as they come, as there may be millions.
///
/// # Errors
/// The writer's.
pub fn keys<'a>(
    out: &mut (impl Write + ?Sized),
    view: &View,
    mut found: impl Iterator<Item = FoundRecord<'a>>,
) -> io::Result<()> {
    let heading = format!(
        "{:>12} {:>12} {:>8} {:>16} {:>10} {:<10}  key",
        "revision", "created", "version", "lease", "value", "lies"
    );
    writeln!(out, "{heading}")?;
    found.try_for_each(|found| {
        let kv = &found.kv;
        let lease = if kv.lease == 0 { String::new() } else { format!("{:016x}", kv.lease) };
        let value = view.bytes(kv.value.len() as u64);
        let (revision, origin) = (found.place.revision.main, found.origin.to_string());
        writeln!(
            out,
            "{revision:>12} {:>12} {:>8} {lease:>16} {value:>10} {origin:<10}  {}",
            kv.create_revision,
            kv.version,
            escape(kv.key)
        )
    })
}

/// One line a deleted key.
///
/// # Errors
/// The writer's.
pub fn deleted(
    out: &mut (impl Write + ?Sized),
    view: &View,
    mut rows: impl Iterator<Item = DeletedRow>,
) -> io::Result<()> {
    writeln!(out, "{:>12} {:>12} {:>10} {:<10}  key", "deleted", "recoverable", "value", "lies")?;
    rows.try_for_each(|row| {
        let deleted = row.deleted_at.map_or_else(String::new, |revision| revision.to_string());
        let (revision, value, lies) = match &row.recoverable {
            Some(put) => (put.mod_revision.to_string(), view.bytes(put.value_bytes), put.origin.to_string()),
            None => ("gone".to_owned(), String::new(), String::new()),
        };
        writeln!(out, "{deleted:>12} {revision:>12} {value:>10} {lies:<10}  {}", row.key)
    })
}

/// Every record of a key.
///
/// # Errors
/// The writer's.
pub fn history(out: &mut impl Write, view: &View, history: &KeyHistory) -> io::Result<()> {
    if history.records.is_empty() {
        return Ok(());
    }
    let state = if history.exists { styled(GOOD, "exists") } else { styled(BAD, "does not exist") };
    let compacted = match history.compact_revision {
        -1 => "never compacted".to_owned(),
        revision => format!("compacted at {revision}"),
    };
    writeln!(out, "{}: {state} at revision {} ({compacted})", history.key, history.revision)?;
    let columns = [
        Column("revision", Right),
        Column("change", Left),
        Column("created", Right),
        Column("version", Right),
        Column("lease", Right),
        Column("value", Right),
        Column("lies", Left),
        Column("a compaction", Left),
    ];
    let rows = history.records.iter().map(|row| {
        let put = row.change == "put";
        let only_put = |text: String| if put { text } else { String::new() };
        let fate = if row.kept_by_compaction { "keeps it".to_owned() } else { styled(FAINT, "drops it") };
        vec![
            if row.sub_revision == 0 {
                row.mod_revision.to_string()
            } else {
                format!("{}.{}", row.mod_revision, row.sub_revision)
            },
            row.change.to_owned(),
            only_put(row.create_revision.to_string()),
            only_put(row.version.to_string()),
            if row.lease.0 == 0 { String::new() } else { format!("{:016x}", row.lease) },
            only_put(view.bytes(row.value_bytes)),
            row.origin.to_string(),
            if matches!(row.origin, Origin::Live | Origin::Log) { fate } else { "dropped it".to_owned() },
        ]
    });
    table::write(out, view, &columns, rows)
}

/// What an export came to: what was written, and then what to know of it.
pub fn exported(exported: &Exported) -> Vec<String> {
    let Exported { objects, raw, withheld, redacted, incomplete, unreadable } = *exported;
    let mut lines = vec![format!("{} and {} written", count(objects, "object"), count(raw, "raw value"))];
    let mut say = |number: u64, what: &str, then: &str| {
        if number > 0 {
            lines.push(format!("{}{then}", count(number, what)));
        }
    };
    say(redacted, "object", " written without the data of Secrets (--show-secrets writes it, too)");
    say(
        withheld,
        "value",
        " left out, as they are Secrets or may hold one (--show-secrets writes the bytes)",
    );
    say(unreadable, "value", " could not be read as objects (encrypted, of an unknown type, or damaged)");
    say(
        incomplete,
        "object",
        " of a newer Kubernetes, with fields that are not known here and were left out",
    );
    lines
}
