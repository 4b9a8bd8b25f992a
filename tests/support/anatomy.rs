//! A sound bbolt file taken apart: each node with its page, its parent, and its entries, read in the plainest way from
//! the root down, without the walk and without anything that a check or a salvage use, so that it can judge both.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use etcd_medic::internals::bolt::page::{Leaf, Page};
use etcd_medic::internals::bolt::{Db, PageId, PageKind};

/// One entry: the path of its bucket (names with slashes between), its key and its value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Item {
    pub bucket: Bytes,
    pub key: Bytes,
    pub value: Bytes,
}

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { bucket, key, value } = self;
        write!(f, "{bucket:?} {key:?} ({} bytes)", value.len())
    }
}

/// Entries, each once.
pub type Items = BTreeSet<Item>;

/// An entry, and where its bytes lie in the file.
#[derive(Clone, Debug)]
pub struct Placed {
    pub item: Item,
    /// Bytes that must stand for the entry to be readable: its element, and (behind one another) its key and value; of an
    /// entry within an inline bucket, those of the outermost bucket's entry.
    pub element: std::ops::Range<usize>,
    pub data: std::ops::Range<usize>,
}

/// A branch or a leaf on pages of its own.
#[derive(Clone, Debug)]
pub struct Node {
    /// Path of its bucket; empty for the root bucket.
    pub bucket: Bytes,
    pub page: u64,
    /// With its overflow.
    pub pages: u64,
    pub is_leaf: bool,
    /// The branch above it, and which of its elements leads here.
    pub parent: Option<(u64, usize)>,
    /// Pages of its children, of a branch.
    pub children: Vec<u64>,
    /// Plain entries, of a leaf; those of inline buckets that stand in it, too.
    pub entries: Vec<Placed>,
}

/// A sound file, taken apart.
#[derive(Clone, Debug)]
pub struct Anatomy {
    pub page_size: usize,
    pub high_water_mark: u64,
    /// Every node, breadth first; children of a branch in the order of their keys.
    pub nodes: Vec<Node>,
    /// Pages that nothing refers to, ascending.
    pub free: Vec<u64>,
}

impl Anatomy {
    /// Takes a sound file apart, from the root that its active meta names.
    pub fn of(db: &Db) -> Self {
        Self::from_root(db, db.meta().root)
    }

    /// Takes apart the tree below `root`; what is not in it counts as free.
    pub fn from_root(db: &Db, root: PageId) -> Self {
        let mut nodes = Vec::new();
        let mut waiting = VecDeque::from([(Bytes::new(), root, None)]);
        while let Some((bucket, id, parent)) = waiting.pop_front() {
            let page = db.page(id).unwrap_or_else(|error| panic!("a sound file: {error}"));
            let pages = u64::from(page.header().overflow.get()) + 1;
            let is_leaf = page.kind() == Ok(PageKind::Leaf);
            let mut node = Node {
                bucket: bucket.clone(),
                page: id.0,
                pages,
                is_leaf,
                parent,
                children: Vec::new(),
                entries: Vec::new(),
            };
            if is_leaf {
                let leaf = page.leaf().expect("a leaf");
                read_leaf(db, &leaf, &bucket, None, &mut node.entries, &mut waiting);
            } else {
                let branch = page.branch().expect("a branch");
                for (index, child) in branch.children().enumerate() {
                    let child = child.expect("a child").page;
                    node.children.push(child.0);
                    waiting.push_back((bucket.clone(), child, Some((id.0, index))));
                }
            }
            nodes.push(node);
        }
        let high_water_mark = db.high_water_mark();
        let mut taken: BTreeSet<u64> = BTreeSet::from([0, 1]);
        nodes.iter().for_each(|node| taken.extend(node.page..node.page + node.pages));
        if let Some(freelist) = db.meta().freelist {
            let pages = u64::from(db.page(freelist).expect("a freelist").header().overflow.get()) + 1;
            taken.extend(freelist.0..freelist.0 + pages);
        }
        let free = (0..high_water_mark).filter(|page| !taken.contains(page)).collect();
        let page_size = usize::try_from(db.page_size()).expect("a page's size");
        Self { page_size, high_water_mark, nodes, free }
    }

    /// Every entry of every bucket.
    pub fn items(&self) -> Items {
        self.nodes.iter().flat_map(|node| &node.entries).map(|placed| placed.item.clone()).collect()
    }

    /// The nodes of one bucket.
    pub fn nodes_of<'s>(&'s self, bucket: &'s [u8]) -> impl Iterator<Item = &'s Node> {
        self.nodes.iter().filter(move |node| node.bucket == bucket)
    }

    /// Where a node lies in the file.
    pub fn range_of(&self, node: &Node) -> std::ops::Range<usize> {
        let page = |id: u64| usize::try_from(id).expect("a page of this file") * self.page_size;
        page(node.page)..page(node.page + node.pages)
    }
}

type Waiting = VecDeque<(Bytes, PageId, Option<(u64, usize)>)>;

/// Plain entries go to `entries`, those of inline buckets, too; roots of other buckets to `waiting`.
fn read_leaf(
    db: &Db,
    leaf: &Leaf<'_>,
    bucket: &Bytes,
    outermost: Option<&Placed>,
    entries: &mut Vec<Placed>,
    waiting: &mut Waiting,
) {
    let part = |bytes: &[u8]| db.data().slice_ref(bytes);
    let at = usize::try_from(leaf.page().offset()).expect("within the file");
    for (index, entry) in leaf.entries().enumerate() {
        let entry = entry.expect("an entry");
        let item = Item { bucket: bucket.clone(), key: part(entry.key), value: part(entry.value) };
        let element = at + 16 + index * 16;
        let start = at + entry.start;
        let own = Placed {
            item,
            element: element..element + 16,
            data: start..start + entry.key.len() + entry.value.len(),
        };
        let mut placed = outermost.cloned().unwrap_or_else(|| own.clone());
        placed.item = own.item;
        let Some(header) = entry.bucket_header() else {
            entries.push(placed);
            continue;
        };
        let name: Vec<u8> =
            if bucket.is_empty() { entry.key.to_vec() } else { [bucket, entry.key].join(&b'/') };
        match header.root.get() {
            0 => {
                let offset = db.offset_in_file(entry.inline_page()).expect("in the file");
                let page = Page::new(leaf.page().id(), offset, entry.inline_page()).expect("a page");
                let inline = page.leaf().expect("a leaf");
                read_leaf(db, &inline, &name.into(), Some(&placed), entries, waiting);
            }
            root => waiting.push_back((name.into(), PageId(root), None)),
        }
    }
}
