//! `check`, `pages`, `page` and `buckets` as text.

use std::io::{self, Write};
use std::path::Path;

use crate::analyze::BucketUse;
use crate::check::Checked;
use crate::check::log::{DifferingRecord, LogComparison};
use crate::check::touched::{NewerPages, RevisionSpan, Touched, TouchedResource};
use crate::inspect::{BucketRow, ElementView, PageRow, PageView};
use crate::k8s::resource_name;
use crate::text::{ByteText, brief, shown};
use crate::top_n::largest;
use crate::units::{count, grouped};

use super::table::{self, Align, Column};
use super::view::{BAD, FAINT, GOOD, View, WARNING, styled};

use Align::{Left, Right};

/// Findings, one a line, and what they add up to.
///
/// # Errors
/// The writer's.
pub fn check(out: &mut impl Write, view: &View, path: &Path, checked: &Checked) -> io::Result<()> {
    let path = shown(path);
    for finding in &checked.findings {
        let place = match (finding.page, finding.offset) {
            (Some(page), Some(offset)) => format!("page {page} (byte {offset}): "),
            (None, Some(offset)) => format!("byte {offset}: "),
            _ => String::new(),
        };
        let bucket = finding.bucket.as_ref().filter(|name| !name.0.is_empty());
        let bucket = bucket.map(|name| format!("bucket {}: ", brief(&name.0))).unwrap_or_default();
        let key = finding.key.as_ref().map(|key| format!(" [{key}]")).unwrap_or_default();
        writeln!(out, "{}: {place}{bucket}{}{key}", styled(WARNING, finding.kind), finding.message)?;
    }
    let left_out = checked.num_findings - checked.findings.len() as u64;
    if left_out > 0 {
        writeln!(out, "and {left_out} more: --max-findings 0 shows all")?;
    }
    let scope = checked.checked;
    let entries = if checked.owner.is_etcd() { scope.records } else { scope.entries - scope.buckets };
    let looked_at = format!("{}, {}", count(scope.pages, "page"), checked.owner.count_entries(entries));
    if checked.sound {
        writeln!(out, "{path}: {} ({looked_at} checked)", styled(GOOD, "sound"))?;
        newer(out, checked.touched.newer)?;
    } else {
        let faults = styled(BAD, &count(checked.num_findings, "fault"));
        writeln!(out, "{path}: {faults} ({looked_at} checked)")?;
        touched(out, &checked.touched)?;
        for next in &checked.next {
            table::prose(out, view, "next: ", next.why)?;
            table::command(out, &next.command)?;
        }
    }
    if let Some(log) = &checked.log {
        compared(out, log)?;
        table::broken_copies(out, view, &log.path, &log.broken_copies)?;
    }
    checked.notes.iter().try_for_each(|note| {
        writeln!(out, "{}: {}", styled(WARNING, note.kind), brief(note.message.as_bytes()))
    })
}

/// How it compares with the log.
fn compared(out: &mut impl Write, log: &LogComparison) -> io::Result<()> {
    for record in &log.differing {
        let DifferingRecord { revision, sub_revision, key, index, what } = record;
        let kind = styled(WARNING, "differs-from-log");
        writeln!(
            out,
            "{kind}: revision {revision}.{sub_revision}: {what} is not what entry {index} wrote [{key}]"
        )?;
    }
    if let Some(last) = log.effects_beyond {
        writeln!(
            out,
            "{}: the db has the effect of entries up to {last}, and says less: etcd would apply those between a second time \
             (etcd#13766, etcd#14730)",
            styled(WARNING, "effects-beyond-index")
        )?;
    }
    let LogComparison { covered_records, not_covered_records, covered_revisions, .. } = log;
    if *covered_records == 0 {
        return writeln!(out, "log: {} covers none of the records", log.path);
    }
    let uncovered = match not_covered_records {
        0 => String::new(),
        others => format!("; {} {} are not covered", count(*others, "record"), beside(covered_revisions)),
    };
    let differ = match log.differing.len() as u64 {
        0 => styled(GOOD, "are what the log wrote"),
        differ => styled(BAD, &format!("were compared with the log: {differ} differ")),
    };
    writeln!(out, "log: {} {differ}{uncovered}", count(*covered_records, "record"))
}

/// Where the revisions are that are not among these.
fn beside(covered: &[[i64; 2]]) -> String {
    match *covered {
        [[..=1, last]] => format!("after revision {last}"),
        [[first, _]] => format!("before revision {first}"),
        [[..=1, last], [first, _]] => format!("between revisions {last} and {first}"),
        _ => {
            let ranges: Vec<_> = covered.iter().map(|[first, last]| format!("{first} to {last}")).collect();
            format!("of other revisions than {}", ranges.join(", "))
        }
    }
}

/// What the damage is, and what it touches.
fn touched(out: &mut impl Write, touched: &Touched) -> io::Result<()> {
    let patterns = touched.patterns.iter();
    let patterns: Vec<_> =
        patterns.map(|row| format!("{} ({})", row.pattern.words(), row.findings)).collect();
    writeln!(out, "damage: {}", patterns.join(", "))?;
    if !touched.buckets.is_empty() {
        let name =
            |name: &ByteText| if name.0.is_empty() { "the root bucket".to_owned() } else { brief(&name.0) };
        writeln!(
            out,
            "buckets touched: {}",
            first_few(&touched.buckets, |bucket| name(&bucket.name), "buckets")
        )?;
    }
    if !touched.revisions.is_empty() {
        let spans = first_few(&touched.revisions, span_words, "ranges");
        writeln!(out, "records are missing among revisions {spans}")?;
    }
    if touched.keys > 0 {
        let row = |row: &TouchedResource| {
            format!("{} {}", row.keys, brief(resource_name(&row.group, &row.resource.to_string()).as_bytes()))
        };
        let resources = first_few(&touched.resources, row, "resources");
        let of = if resources.is_empty() { String::new() } else { format!(": {resources}") };
        writeln!(out, "{} with records that are missing or wrong{of}", count(touched.keys, "key"))?;
    }
    newer(out, touched.newer)
}

/// What lies beside the tree and is later than it.
fn newer(out: &mut impl Write, newer: Option<NewerPages>) -> io::Result<()> {
    let Some(newer) = newer else { return Ok(()) };
    writeln!(
        out,
        "{} beside the tree, up to revision {}, later than the tree's {}: a copy taken while etcd wrote (mixed \
         generations), or a transaction that was never finished",
        count(newer.leaves, "leaf page"),
        newer.last_revision,
        newer.tree_revision
    )
}

/// More ranges, buckets or resources than this are only counted in text.
const NAMED: usize = 12;

/// The first ones of a list, and how many more there are.
fn first_few<T>(rows: &[T], words: impl Fn(&T) -> String, noun: &str) -> String {
    let first: Vec<_> = rows.iter().take(NAMED).map(words).collect();
    let more = rows.len() - first.len();
    let more = if more > 0 { format!(", and {more} more {noun}") } else { String::new() };
    first.join(", ") + &more
}

fn span_words(span: &RevisionSpan) -> String {
    match (span.first_revision, span.last_revision) {
        (Some(first), Some(last)) if first == last => first.to_string(),
        (Some(first), Some(last)) => format!("{first} to {last}"),
        (Some(first), None) => format!("{first} and later"),
        (None, Some(last)) => format!("up to {last}"),
        (None, None) => "of all times".to_owned(),
    }
}

/// One line a node or run of pages, and how many there are of each kind.
///
/// # Errors
/// The writer's.
pub fn pages(out: &mut impl Write, rows: &[PageRow]) -> io::Result<()> {
    writeln!(out, "{:>10} {:<9} {:>8} {:>8}  bucket", "page", "kind", "items", "pages")?;
    for row in rows {
        let kind: &str = (&row.kind).into();
        let items = row.items.map_or(String::new(), |items| items.to_string());
        let bucket = match &row.bucket {
            Some(name) if name.0.is_empty() => "(root)".to_owned(),
            Some(name) => brief(&name.0),
            None => String::new(),
        };
        let line = format!("{:>10} {kind:<9} {items:>8} {:>8}  {bucket}", row.page, row.pages);
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// A page's header and elements; its bytes with `hex`.
///
/// # Errors
/// The writer's.
pub fn page(out: &mut impl Write, view: &PageView, hex: bool) -> io::Result<()> {
    let kind = view.kind.map_or_else(|| format!("flags {:#06x}", view.flags), |kind| kind.name().to_owned());
    let overflow = count(u64::from(view.overflow), "overflow page");
    writeln!(out, "page {} (byte {}): {kind}, {} items, {overflow}", view.page, view.offset, view.count)?;
    if let Some(error) = &view.error {
        writeln!(out, "  {}", styled(BAD, error))?;
    }
    if let Some(meta) = &view.meta {
        writeln!(
            out,
            "  page size {}, root page {}, freelist {}, high water mark {}, transaction {}",
            meta.page_size,
            meta.root,
            meta.freelist.map_or("not stored".to_owned(), |page| format!("at page {page}")),
            meta.high_water_mark,
            meta.txid
        )?;
    }
    for element in &view.elements {
        writeln!(out, "  {:>5}  {}", element.index, element_words(element))?;
    }
    if !view.free_pages.is_empty() {
        let ids: Vec<_> = view.free_pages.iter().map(u64::to_string).collect();
        writeln!(out, "  free: {}", ids.join(" "))?;
    }
    if hex { hex_dump(out, view.offset, &view.bytes) } else { Ok(()) }
}

fn element_words(element: &ElementView) -> String {
    if let Some(error) = &element.error {
        return styled(BAD, error);
    }
    let key = match (&element.revision, &element.key) {
        (Some(revision), _) if element.tombstone => format!("revision {revision} (tombstone)"),
        (Some(revision), _) => format!("revision {revision}"),
        (None, Some(key)) => brief(&key.0),
        (None, None) => String::new(),
    };
    let etcd_key = element.etcd_key.as_ref().map(|key| format!("  {}", brief(&key.0))).unwrap_or_default();
    let rest = match (element.child_page, element.bucket_root, element.value_bytes) {
        (Some(page), ..) => format!("  -> page {page}"),
        (_, Some(0), _) => "  bucket, inline".to_owned(),
        (_, Some(root), _) => format!("  bucket, root page {root}"),
        (_, _, Some(bytes)) => format!("  value of {}", count(bytes, "byte")),
        _ => String::new(),
    };
    format!("{key}{etcd_key}{rest}")
}

fn hex_dump(out: &mut impl Write, offset: u64, bytes: &[u8]) -> io::Result<()> {
    for (line, chunk) in bytes.chunks(16).enumerate() {
        let hex: Vec<_> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
        let text: String =
            chunk.iter().map(|&byte| if (0x20..0x7f).contains(&byte) { byte as char } else { '.' }).collect();
        writeln!(out, "  {:08x}  {:<47}  {text}", offset + line as u64 * 16, hex.join(" "))?;
    }
    Ok(())
}

/// As many buckets as the view has rows: all of them in the order of the tree, or the largest ones.
///
/// # Errors
/// The writer's.
pub fn largest_buckets(out: &mut impl Write, view: &View, buckets: &[BucketUse]) -> io::Result<()> {
    let mut shown: Vec<_> = buckets.iter().collect();
    if buckets.len() > view.top {
        shown = largest(view.top, shown, |bucket| bucket.disk_bytes);
    }
    table::write(out, view, &BUCKET_COLUMNS, shown.iter().map(|bucket| bucket_cells(view, bucket)))?;
    match buckets.len() - shown.len() {
        0 => Ok(()),
        left => {
            writeln!(out, "{}", styled(FAINT, &format!("  and {left} more: etcd-medic buckets lists all")))
        }
    }
}

/// Every bucket, with its fingerprint.
///
/// # Errors
/// The writer's.
pub fn bucket_rows(out: &mut impl Write, view: &View, buckets: &[BucketRow]) -> io::Result<()> {
    let cells = |row: &BucketRow| {
        let mut cells = bucket_cells(view, &row.usage);
        cells.push(row.fingerprint.clone());
        cells
    };
    let columns = [&BUCKET_COLUMNS[..], &[Column("content", Right)]].concat();
    table::write(out, view, &columns, buckets.iter().map(cells))
}

const BUCKET_COLUMNS: [Column; 6] = [
    Column("bucket", Left),
    Column("entries", Right),
    Column("on disk", Right),
    Column("levels", Right),
    Column("nodes", Right),
    Column("sequence", Right),
];

fn bucket_cells(view: &View, bucket: &BucketUse) -> Vec<String> {
    let name = if bucket.name.0.is_empty() { "(root)".to_owned() } else { brief(&bucket.name.0) };
    vec![
        name,
        grouped(bucket.entries),
        view.bytes(bucket.disk_bytes),
        if bucket.inline { "inline".to_owned() } else { bucket.height.to_string() },
        grouped(bucket.branch_nodes + bucket.leaf_nodes),
        bucket.sequence.to_string(),
    ]
}
