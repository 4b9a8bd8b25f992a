//! `status` as text: one line a file, and below them what suits the disk.

use std::io::{self, Write};

use crate::guide::{self, DEFAULT_QUOTA, DiskRoom, QuotaRoom, SUGGESTED_MAX_QUOTA};
use crate::status::{Level, Status};
use crate::text::{brief, harmless};
use crate::units::{self, grouped, percent};

use super::table::{self, Align, Column, heading, prose};
use super::view::{BAD, GOOD, View, WARNING, styled};

use Align::{Left, Right};

/// One line a file; where a disk was named, what to set there.
///
/// # Errors
/// The writer's.
pub fn write(out: &mut impl Write, view: &View, files: &[Status]) -> io::Result<()> {
    let Some(first) = files.first() else { return Ok(()) };
    let mut columns = vec![
        Column("size", Right),
        Column("in use", Right),
        Column("of quota", Right),
        Column("left", Right),
    ];
    let with_disk = first.disk.is_some();
    // columns stay where they are, for awk, unless there is more to say
    if first.quota.is_none() {
        columns.pop();
    }
    if with_disk {
        columns.extend([Column("left on disk", Right), Column("defrag", Left)]);
    }
    // or no file has any of it
    let is_any_etcds = files.iter().any(|file| file.owner.is_etcd());
    if is_any_etcds {
        columns.extend([
            Column("revision", Right),
            Column("compacted", Right),
            Column("keys", Right),
            Column("as of", Left),
            Column("etcd", Left),
        ]);
    }
    columns.extend([Column("verdict", Left), Column("file", Left)]);
    let rows = files.iter().map(|file| cells(view, file, is_any_etcds));
    table::write_unwrapped(out, &columns, rows.collect())?;
    for file in files {
        let Some(log) = &file.log else { continue };
        if let Some(problem) = &log.problem {
            let text = harmless(&format!("{}: {problem}", file.path)).into_owned();
            prose(out, view, &format!("{} ", styled(BAD, "note")), &text)?;
        }
        table::broken_copies(out, view, &log.path, &log.broken_copies)?;
    }
    match first.disk.as_ref().filter(|_| is_any_etcds) {
        Some(disk) => advice(out, view, disk, first.quota.as_ref()),
        None => Ok(()),
    }
}

fn cells(view: &View, file: &Status, with_etcds: bool) -> Vec<String> {
    let number = |number: Option<u64>| number.map_or("-".to_owned(), grouped);
    let revision = |revision: Option<i64>| revision.map_or("-".to_owned(), |revision| revision.to_string());
    let style = match (file.sound, file.level) {
        (false, _) | (_, Level::Critical) => BAD,
        (_, Level::Warning) => WARNING,
        (true, Level::Ok) => GOOD,
    };
    let mut cells = vec![
        view.bytes(file.file_bytes),
        view.bytes(file.in_use_bytes),
        file.quota_use.map_or("-".to_owned(), percent),
    ];
    cells.extend(file.quota.map(|quota| {
        format!("{} ({})", view.signed_bytes(quota.headroom_bytes), percent(quota.headroom_share))
    }));
    if let Some(disk) = file.disk {
        let left = view.signed_bytes(disk.headroom_bytes);
        cells.push(format!("{left} ({})", percent(disk.headroom_share)));
        cells.push(if disk.defrag_fits { "fits" } else { "NO ROOM" }.to_owned());
    }
    if with_etcds {
        cells.extend([
            revision(file.revision),
            revision(file.compact_revision),
            number(file.keys),
            file.time.clone().unwrap_or("-".to_owned()),
            file.etcd_version.as_ref().map_or("-".to_owned(), |version| brief(version.as_bytes())),
        ]);
    }
    cells.extend([styled(style, &file.verdict()), file.path.to_string()]);
    cells
}

/// What the guide (docs/space-guide.md) says of this disk, and of the quota on it.
fn advice(out: &mut impl Write, view: &View, disk: &DiskRoom, quota: Option<&QuotaRoom>) -> io::Result<()> {
    heading(out, &format!("On a disk of {}", units::disk(disk.disk_bytes)))?;
    match disk.advised_quota_bytes {
        Some(advised) => prose(out, view, "  quota      ", &advised_quota(view, disk, advised))?,
        None => prose(out, view, "  quota      ", "none: the WAL alone needs more than this disk has")?,
    }
    let revisions = disk.guide.revisions;
    let text = format!(
        "{} revisions of history: --auto-compaction-mode=revision --auto-compaction-retention={revisions}. Kubernetes' \
         API server compacts by itself, to what was current one --etcd-compaction-interval (5 minutes) ago: whichever \
         compacts further wins. What history costs in a file, and which time it covers: etcd-medic analyze",
        grouped(revisions)
    );
    prose(out, view, "  retention  ", &text)?;
    match quota.zip(disk.quota_fits) {
        Some((quota, fits)) => prose(out, view, "  yours      ", &judgement(view, disk, quota, fits)),
        None => Ok(()),
    }
}

fn advised_quota(view: &View, disk: &DiskRoom, advised: u64) -> String {
    let option = format!("{} (--quota-backend-bytes={advised})", view.bytes(advised));
    if advised < disk.guide.quota_bytes {
        return format!(
            "at most {option}: a third of what is left beside {} for WAL and the like, as a defrag and a db sent by the \
             leader each need room for a copy; etcd's default of {} does not fit",
            view.bytes(guide::OTHER_BYTES),
            view.bytes(DEFAULT_QUOTA)
        );
    }
    if advised > SUGGESTED_MAX_QUOTA {
        return format!(
            "{option}. That is above the {} that etcd suggests as the most: it warns of it at its start; defrags, \
             snapshots and starts take as much longer, and the db should fit into memory",
            view.bytes(SUGGESTED_MAX_QUOTA)
        );
    }
    let of_etcd = if advised == DEFAULT_QUOTA {
        "etcd's default"
    } else {
        "the most that etcd suggests; its default is 2 GiB"
    };
    format!("{option}: {of_etcd}")
}

fn judgement(view: &View, disk: &DiskRoom, quota: &QuotaRoom, fits: bool) -> String {
    let needed = units::disk(guide::disk_for(quota.quota_bytes));
    let rule = format!(
        "{} needs a disk of {needed}: three times the quota (the db, its copy in a defrag, one sent by the leader or \
         saved as a snapshot) and {} for WAL and the like",
        view.bytes(quota.quota_bytes),
        view.bytes(guide::OTHER_BYTES)
    );
    let verdict = if !fits {
        styled(BAD, "TOO LARGE for this disk")
    } else if quota.quota_bytes > disk.guide.quota_bytes {
        styled(WARNING, "fits, and is above what the guide has for this disk")
    } else {
        styled(GOOD, "fits")
    };
    format!("{verdict}: {rule}")
}
