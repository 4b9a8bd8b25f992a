//! A page, taken apart: whatever it is, in use, free, or damaged.

#![warn(missing_docs)]

use serde::Serialize;

use crate::bolt::entries::top_level;
use crate::bolt::page::{ElementError, Entry, Page, PageError};
use crate::bolt::{Db, PageId, PageKind};
use crate::etcd::schema::ETCD_BUCKETS;
use crate::etcd::{KeyValue, RecordKey};
use crate::text::ByteText;

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
