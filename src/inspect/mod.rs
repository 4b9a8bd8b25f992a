//! The file as bbolt sees it: its pages one by one.

#![warn(missing_docs)]

mod page;

use std::sync::Arc;

use crc32fast::Hasher;
use serde::Serialize;

use crate::analyze::{self, BucketUse};
use crate::bolt::bucket::{BucketId, short_path_of};
use crate::bolt::fault::Findings;
use crate::bolt::freelist::FreedPages;
use crate::bolt::page::Entry;
use crate::bolt::walk::{Setup, Subtree, Walker, walk, walk_in_order};
use crate::bolt::{Db, PageId};
use crate::etcd::schema::State;
use crate::scan::{self, structure::leaked_runs};
use crate::text::ByteText;

pub use page::{ElementView, PageView, may_hold_secrets, page};

/// A node, or a run of pages that are alike. Inline buckets have no page of their own, and no row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PageRow {
    /// Its first page.
    pub page: u64,
    /// The byte of the file where it begins.
    pub offset: u64,
    /// What it is.
    pub kind: RowKind,
    /// Pages that it takes, overflow included.
    pub pages: u64,
    /// Elements of a branch or leaf, ids of a freelist; `null` for others.
    pub items: Option<u64>,
    /// Path of a node's bucket (`outer/inner`); empty for the root bucket, `null` for other pages. Of a path above 500 bytes,
    /// the first 400 and the last 100.
    pub bucket: Option<Arc<ByteText>>,
}

/// What a page is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, strum::IntoStaticStr)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum RowKind {
    /// A meta page, valid or not.
    Meta,
    /// The stored freelist, unless it shares pages with a tree: then what it has for itself is `damaged`.
    Freelist,
    /// A branch that can be reached.
    Branch,
    /// A leaf that can be reached.
    Leaf,
    /// Something refers to it, but it can't be read as a node.
    Damaged,
    /// A free page.
    Free,
    /// Neither reachable nor in the stored freelist.
    Leaked,
}

/// The pages of a file.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PageList {
    /// Bytes of a page.
    pub page_size: u64,
    /// Pages allocated so far.
    pub high_water_mark: u64,
    /// Every page below the high water mark that the file has, ascending and without gaps.
    pub pages: Vec<PageRow>,
}

impl PageList {
    /// Lists the pages of a file.
    pub fn of(db: &Db) -> Self {
        Self { page_size: db.page_size(), high_water_mark: db.high_water_mark(), pages: pages(db) }
    }
}

/// Every page below the high water mark that the file has, in ascending order.
pub fn pages(db: &Db) -> Vec<PageRow> {
    let freelist = FreedPages::read(db, &mut Findings::default(), 0);
    let setup = Setup { freed: freelist, ..Setup::default() };
    let (mut rows, walked) = walk_in_order(db, setup, |walker| {
        let mut rows = Vec::new();
        for id in (0..).map(BucketId) {
            let Some(mut walk) = walker.walk_bucket(id) else { break };
            let mut found = Vec::new();
            while let Some(window) = walk.next_window(node_rows) {
                found.extend(window.into_iter().flatten());
            }
            let bucket = Arc::new(ByteText(short_path_of(walker.buckets(), id)));
            rows.extend(found.into_iter().map(|row| PageRow { bucket: Some(Arc::clone(&bucket)), ..row }));
        }
        rows
    });
    rows.extend(fixed_rows(db, walked.freed.as_ref()));
    rows.extend(free_rows(db, &walked.unreached, walked.freed.as_ref()));
    rows.sort_by_key(|row| row.page);
    fill_with_damaged(db, rows)
}

fn node_rows(subtree: &mut Subtree<'_, '_>) -> Vec<PageRow> {
    let rows = subtree.filter(|node| !node.inline).map(|node| {
        let page = node.page();
        let header = page.header();
        PageRow {
            page: page.id().0,
            offset: page.offset(),
            kind: if node.leaf().is_some() { RowKind::Leaf } else { RowKind::Branch },
            pages: u64::from(header.overflow.get()) + 1,
            items: Some(u64::from(header.count.get())),
            bucket: None,
        }
    });
    rows.collect()
}

fn fixed_rows(db: &Db, freelist: Option<&FreedPages>) -> Vec<PageRow> {
    let row = |page: u64, kind, pages, items| {
        let offset = db.offset_of(PageId(page));
        PageRow { page, offset, kind, pages, items, bucket: None }
    };
    let metas = (0..db.num_pages().min(2)).map(|page| row(page, RowKind::Meta, 1, None));
    // one that shares pages with the tree is shown as damaged
    let whole = freelist.filter(|list| list.own_pages == list.span);
    let freelist = whole.map(|list| row(list.page.0, RowKind::Freelist, list.span, Some(list.num_ids)));
    metas.chain(freelist).collect()
}

fn free_rows(db: &Db, gaps: &[(PageId, u64)], freelist: Option<&FreedPages>) -> Vec<PageRow> {
    let row = |kind| {
        move |(first, pages): (PageId, u64)| PageRow {
            page: first.0,
            offset: db.offset_of(first),
            kind,
            pages,
            items: None,
            bucket: None,
        }
    };
    let Some(freelist) = freelist else { return gaps.iter().copied().map(row(RowKind::Free)).collect() };
    let mut rows = Vec::new();
    let mut leaked = leaked_runs(gaps, freelist).peekable();
    for &(first, pages) in gaps {
        let (mut at, end) = (first.0, first.0 + pages);
        while let Some(run) = leaked.next_if(|run| run.0.0 < end) {
            rows.extend((run.0.0 > at).then(|| row(RowKind::Free)((PageId(at), run.0.0 - at))));
            at = run.0.0 + run.1;
            rows.push(row(RowKind::Leaked)(run));
        }
        rows.extend((end > at).then(|| row(RowKind::Free)((PageId(at), end - at))));
    }
    rows
}

/// Pages between the rows: taken by a reference, and no node.
fn fill_with_damaged(db: &Db, rows: Vec<PageRow>) -> Vec<PageRow> {
    let mut filled = Vec::with_capacity(rows.len());
    let mut at = 0;
    let damaged = |from: u64, to: u64| PageRow {
        page: from,
        offset: db.offset_of(PageId(from)),
        kind: RowKind::Damaged,
        pages: to - from,
        items: None,
        bucket: None,
    };
    for row in rows {
        if row.page > at {
            filled.push(damaged(at, row.page));
        }
        at = at.max(row.page + row.pages);
        filled.push(row);
    }
    if db.num_pages() > at {
        filled.push(damaged(at, db.num_pages()));
    }
    filled
}

/// A bucket.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BucketRow {
    /// What it takes.
    #[serde(flatten)]
    pub usage: BucketUse,
    /// What its content can be compared by, 8 hexadecimal digits: a defrag keeps it. It is the CRC-32 (IEEE) of, for each
    /// plain entry in order, the key's length (4 bytes, little-endian), the key, the value's length, and the value;
    /// `00000000` without entries. It shows what came to differ, not what was forged.
    pub fingerprint: String,
}

/// The buckets of a file.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BucketList {
    /// The root bucket first, then the buckets in it by name, then those within these.
    pub buckets: Vec<BucketRow>,
}

impl BucketList {
    /// Lists the buckets of a file.
    pub fn of(db: &Db) -> Self {
        Self { buckets: buckets(db) }
    }
}

/// Every bucket, in the order in which a scan finds them.
pub fn buckets(db: &Db) -> Vec<BucketRow> {
    let options = scan::ScanOptions { max_findings: 0, ..scan::ScanOptions::default() };
    let usage = analyze::buckets(&scan::scan(db, &State::default(), options)).into_iter();
    let rows = usage.zip(fingerprints(db));
    rows.map(|(usage, crc)| BucketRow { usage, fingerprint: format!("{crc:08x}") }).collect()
}

/// A fingerprint of each bucket's plain entries, in the order in which a scan finds the buckets: two files whose bucket
/// holds the same keys and values have the same, however their pages lie.
///
/// It is the CRC-32 (IEEE) of, for each entry in order, the key's length (4 bytes, little-endian), the key, the value's
/// length, and the value. It tells what changed by chance or by use, not what was changed on purpose.
pub fn fingerprints(db: &Db) -> Vec<u32> {
    walk(db, Setup::default(), fingerprints_of).0
}

fn fingerprints_of(walker: &mut Walker<'_>) -> Vec<u32> {
    let mut found = Vec::new();
    for id in (0..).map(BucketId) {
        let Some(mut walk) = walker.walk_bucket(id) else { break };
        let mut all = Hasher::new();
        while let Some(parts) = walk.next_window(fingerprint_of_part) {
            parts.iter().for_each(|part| all.combine(part));
        }
        found.push(all.finalize());
    }
    found
}

fn fingerprint_of_part(subtree: &mut Subtree<'_, '_>) -> Hasher {
    let mut hasher = Hasher::new();
    let leaves = subtree.filter_map(|node| node.leaf());
    let entries = leaves.flat_map(|leaf| leaf.entries().filter_map(Result::ok));
    entries.filter(|entry| !entry.is_bucket()).for_each(|entry| add_to_fingerprint(&mut hasher, &entry));
    hasher
}

/// Adds a bucket's next plain entry to its fingerprint.
#[inline]
pub(crate) fn add_to_fingerprint(fingerprint: &mut Hasher, entry: &Entry<'_>) {
    for part in [entry.key, entry.value] {
        // bbolt's keys and values are far below 4 GiB
        fingerprint.update(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        fingerprint.update(part);
    }
}
