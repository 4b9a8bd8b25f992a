//! The file as bbolt sees it: its pages one by one.

#![warn(missing_docs)]

use std::sync::Arc;

use crc32fast::Hasher;
use serde::Serialize;

use crate::analyze::{self, BucketUse};
use crate::bolt::bucket::{BucketId, short_path_of};
use crate::bolt::entries::top_level;
use crate::bolt::fault::Findings;
use crate::bolt::freelist::FreedPages;
use crate::bolt::page::{ElementError, Entry, Page, PageError};
use crate::bolt::walk::{Setup, Subtree, Walker, walk, walk_in_order};
use crate::bolt::{Db, PageId, PageKind};
use crate::etcd::schema::{ETCD_BUCKETS, State};
use crate::etcd::{KeyValue, RecordKey};
use crate::scan::{self, structure::leaked_runs};
use crate::text::ByteText;

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

/// A page, taken apart: any below the high water mark, free and damaged ones too. A free page shows what was last written
/// there. Where a larger page goes on, values are in place of a header: in a file that may be etcd's, its numbers are 0
/// without `--show-secrets`, and `error` says so.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PageView {
    /// Its id, by where it is.
    pub page: u64,
    /// The byte of the file where it begins.
    pub offset: u64,
    /// The id in its header; another one than `page` where it is misplaced or damaged.
    pub header_page: u64,
    /// What its flags name; `null` where they name nothing.
    pub kind: Option<PageKind>,
    /// The flags, as they are stored.
    pub flags: u16,
    /// Elements or ids that the header claims; 65535 in a freelist means that the first slot has their number.
    pub count: u16,
    /// Further pages that the header claims.
    pub overflow: u32,
    /// What is wrong with the page as a whole; `null` for nothing.
    pub error: Option<String>,
    /// What a valid meta page says; `null` for other pages.
    pub meta: Option<crate::bolt::meta::Meta>,
    /// Elements of a branch or leaf, in the order of the table; empty for other pages.
    pub elements: Vec<ElementView>,
    /// Ids of a freelist, as they are stored; empty for other pages.
    pub free_pages: Vec<u64>,
    /// The bytes themselves, for whom asks for them.
    #[serde(skip)]
    pub bytes: Vec<u8>,
}

/// An element of a page, without its value. Where it has an `error`, its other fields are `null` or false.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ElementView {
    /// Its position, from 0 on.
    pub index: u64,
    /// The key; `null` where it can't be read. That of a record is bytes: `revision` has it as text.
    pub key: Option<ByteText>,
    /// The page below; `null` in a leaf.
    pub child_page: Option<u64>,
    /// Size of the value (of a bucket: header and inline page); `null` in a branch.
    pub value_bytes: Option<u64>,
    /// Whether the value is a bucket.
    pub is_bucket: bool,
    /// That bucket's root page, 0 for an inline one; `null` where the value is no bucket.
    pub bucket_root: Option<u64>,
    /// `main.sub`, where the key has the shape of a revision of etcd's, also in other files; else `null`.
    pub revision: Option<String>,
    /// Whether that revision deleted its key.
    pub tombstone: bool,
    /// The etcd key, where the value is a record; else `null`.
    pub etcd_key: Option<ByteText>,
    /// What is wrong with this element; `null` for nothing.
    pub error: Option<String>,
}

/// Takes a page apart, whatever it is: in use, free, or damaged.
///
/// # Errors
/// No such page, or the file ends before it.
pub fn page(db: &Db, id: PageId) -> Result<PageView, PageError> {
    let (page, error) = match db.page_as_is(id) {
        Ok(page) => (page, None),
        Err(error) => match db.first_bytes(id).filter(|_| id.0 < db.high_water_mark()) {
            Some(bytes) => {
                (Page::new(id, db.offset_of(id), bytes).ok_or(error)?, Some(error.kind.to_string()))
            }
            None => return Err(error),
        },
    };
    let header = page.header();
    let kind = PageKind::from_flags(header.flags.get());
    let mut view = PageView {
        page: id.0,
        offset: page.offset(),
        header_page: header.id.get(),
        kind,
        flags: header.flags.get(),
        count: header.count.get(),
        overflow: header.overflow.get(),
        error: error.or_else(|| {
            (header.id.get() != id.0).then(|| format!("identifies itself as page {}", header.id))
        }),
        meta: None,
        elements: Vec::new(),
        free_pages: Vec::new(),
        bytes: page.bytes().to_vec(),
    };
    let content = match kind {
        Some(PageKind::Meta) => {
            let slot = usize::try_from(id.0).unwrap_or(usize::MAX);
            match db.metas().slots.get(slot).copied() {
                Some(Ok(meta)) => view.meta = Some(meta),
                Some(Err(error)) => view.error = Some(error.to_string()),
                None => {}
            }
            Ok(())
        }
        Some(PageKind::Branch) => page.branch().map(|branch| {
            let children = (0..branch.num_children()).filter_map(|index| branch.child_at(index));
            view.elements = children.map(|child| child.map(child_view)).enumerate().map(numbered).collect();
        }),
        Some(PageKind::Leaf) => page.leaf().map(|leaf| {
            let entries = (0..leaf.num_entries()).filter_map(|index| leaf.entry_at(index));
            view.elements = entries
                .map(|entry| entry.map(|entry| entry_view(&entry)))
                .enumerate()
                .map(numbered)
                .collect();
        }),
        Some(PageKind::Freelist) => {
            page.freelist().map(|ids| view.free_pages = ids.iter().map(|id| id.get()).collect())
        }
        None => page.kind().map(drop),
    };
    if let Err(error) = content {
        view.error.get_or_insert(error.kind.to_string());
    }
    Ok(view)
}

/// Whether the file may be etcd's, and so have Secrets in its pages: one of etcd's buckets is in its root, or none can be read.
pub fn may_hold_secrets(db: &Db) -> bool {
    let buckets = top_level(db);
    buckets.is_empty() || buckets.iter().any(|bucket| ETCD_BUCKETS.contains(&bucket.name))
}

impl PageView {
    /// Takes out what was read as revisions: in another program's file, keys may have their shape.
    pub fn forget_revisions(&mut self) {
        for element in &mut self.elements {
            *element =
                ElementView { revision: None, tombstone: false, etcd_key: None, ..std::mem::take(element) };
        }
    }

    /// Takes out what may be a piece of a value: there is no header where a larger page goes on, or went on.
    pub fn hide_values(&mut self, db: &Db) {
        let is_header = self.kind.is_some() && self.header_page < db.high_water_mark();
        if !is_header && self.meta.is_none() {
            *self = Self {
                page: self.page,
                offset: self.offset,
                error: Some("no header of a page: a larger page goes on here, or did".to_owned()),
                ..Self::default()
            };
        }
    }
}

fn numbered((index, element): (usize, Result<ElementView, ElementError>)) -> ElementView {
    let failed =
        |error: ElementError| ElementView { error: Some(error.to_string()), ..ElementView::default() };
    ElementView { index: index as u64, ..element.unwrap_or_else(failed) }
}

fn child_view(child: crate::bolt::page::Child<'_>) -> ElementView {
    let view = ElementView { child_page: Some(child.page.0), ..ElementView::default() };
    with_key(view, child.key)
}

fn entry_view(entry: &Entry<'_>) -> ElementView {
    let is_record = RecordKey::parse(entry.key).is_some() && !entry.is_bucket();
    let kv = Some(entry.value).filter(|_| is_record).and_then(|value| KeyValue::parse(value).ok());
    // of another revision, its lengths may lie, and what they call a key be a piece of a value
    let kv = kv.filter(|kv| {
        RecordKey::parse(entry.key)
            .is_some_and(|record| record.tombstone || record.revision.main == kv.mod_revision)
    });
    let view = ElementView {
        value_bytes: Some(entry.value.len() as u64),
        is_bucket: entry.is_bucket(),
        bucket_root: entry.bucket_header().map(|header| header.root.get()),
        etcd_key: kv.map(|kv| kv.key.into()),
        ..ElementView::default()
    };
    with_key(view, entry.key)
}

fn with_key(view: ElementView, key: &[u8]) -> ElementView {
    let record = RecordKey::parse(key);
    ElementView {
        key: Some(key.into()),
        revision: record.map(|record| record.revision.to_string()),
        tombstone: record.is_some_and(|record| record.tombstone),
        ..view
    }
}
