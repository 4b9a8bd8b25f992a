//! bbolt files made byte by byte.
//!
//! A [`FileBuilder`] lays out sound pages from plain Rust values; then any field can be made to lie, as each
//! accessor gives the struct of `etcd_medic::internals::bolt::format` that lies there:
//!
//! ```ignore
//! let mut file = FileBuilder::new(1024);
//! let left = file.leaf(&[plain("a", "1"), plain("b", "2")]);
//! let right = file.leaf(&[plain("c", "3")]);
//! let data = file.branch(&[("a", left), ("c", right)]);
//! let root = file.leaf(&[bucket("data", data), inline_bucket("small", &[plain("k", "v")])]);
//! file.root(root);
//! file.leaf_element(left, 1).key_size.set(u32::MAX);
//! let db = Db::new(file.bytes());
//! ```

use etcd_medic::internals::bolt::format::{
    BUCKET_FLAG, BUCKET_HEADER_SIZE, BranchElement, BucketHeader, ELEMENT_SIZE, LeafElement, MAGIC,
    MetaBytes, NO_FREELIST, PAGE_HEADER_SIZE, PageHeader, VERSION,
};
use etcd_medic::internals::bolt::meta::checksum;
use zerocopy::little_endian::U64;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// [`PageHeader::flags`] of a branch page.
pub const BRANCH: u16 = 0x01;
/// [`PageHeader::flags`] of a leaf page.
pub const LEAF: u16 = 0x02;
/// [`PageHeader::flags`] of a meta page.
pub const META: u16 = 0x04;
/// [`PageHeader::flags`] of a freelist page.
pub const FREELIST: u16 = 0x10;

/// One entry of a leaf.
#[derive(Clone, Debug)]
pub struct Entry {
    /// 0, or [`BUCKET_FLAG`].
    pub flags: u32,
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
}

/// A key and its value.
pub fn plain(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Entry {
    Entry { flags: 0, key: key.as_ref().to_vec(), value: value.as_ref().to_vec() }
}

/// A bucket whose tree begins at page `root`.
pub fn bucket(name: impl AsRef<[u8]>, root: u64) -> Entry {
    let header = BucketHeader { root: root.into(), sequence: 0.into() };
    Entry { flags: BUCKET_FLAG, ..plain(name, header.as_bytes()) }
}

/// A bucket whose entries stand in its own value.
pub fn inline_bucket(name: impl AsRef<[u8]>, entries: &[Entry]) -> Entry {
    let mut entry = bucket(name, 0);
    entry.value.extend(leaf_bytes(0, entries));
    entry
}

/// A bbolt file that grows by whole pages. Until it is made to lie, it is sound but for what the test leaves out: a
/// root, or a mention of free pages in the freelist.
#[derive(Clone, Debug)]
pub struct FileBuilder {
    page_size: usize,
    bytes: Vec<u8>,
}

/// Laying out pages.
impl FileBuilder {
    /// A file of two meta pages; meta 1 is the active one. It has no stored freelist.
    pub fn new(page_size: u32) -> Self {
        let mut file = Self { page_size: page_size as usize, bytes: Vec::new() };
        for (slot, txid) in [(0, 6), (1, 7)] {
            file.append(header_bytes(slot, META, 0));
            let meta = MetaBytes {
                magic: MAGIC.into(),
                version: VERSION.into(),
                page_size: page_size.into(),
                freelist: NO_FREELIST.into(),
                txid: txid.into(),
                ..MetaBytes::new_zeroed()
            };
            *file.at(slot, PAGE_HEADER_SIZE) = meta;
        }
        file.allocate_to_here();
        file
    }

    /// Adds a leaf, with as many overflow pages as it takes, and gives its page id.
    pub fn leaf(&mut self, entries: &[Entry]) -> u64 {
        self.node(leaf_bytes(self.num_pages(), entries))
    }

    /// Adds a branch of (key, page of the child), and gives its page id.
    pub fn branch(&mut self, children: &[(impl AsRef<[u8]>, u64)]) -> u64 {
        let mut bytes = header_bytes(self.num_pages(), BRANCH, children.len());
        let keys = children.iter().map(|(key, _)| key.as_ref());
        for (position, (key, page)) in positions(keys.clone().map(<[u8]>::len)).zip(children) {
            let key_size = size(key.as_ref().len());
            let element = BranchElement { pos: position, key_size: key_size.into(), page: (*page).into() };
            bytes.extend(element.as_bytes());
        }
        keys.for_each(|key| bytes.extend(key));
        self.node(bytes)
    }

    /// Adds a freelist page of these ids, which both metas name from then on, and gives its page id.
    pub fn freelist(&mut self, ids: &[u64]) -> u64 {
        let in_first_slot = ids.len() >= 0xFFFF;
        let mut bytes = header_bytes(self.num_pages(), FREELIST, ids.len().min(0xFFFF));
        let count = in_first_slot.then_some(ids.len() as u64);
        count.iter().chain(ids).for_each(|id| bytes.extend(id.to_le_bytes()));
        let page = self.node(bytes);
        self.metas(|meta| meta.freelist.set(page));
        page
    }

    /// Adds `count` pages that nothing refers to, and gives the first one's id.
    pub fn free_pages(&mut self, count: usize) -> u64 {
        let first = self.num_pages();
        self.bytes.resize(self.bytes.len() + count * self.page_size, 0);
        self.allocate_to_here();
        first
    }

    /// Adds pages beyond the high water mark.
    pub fn tail(&mut self, count: usize) {
        self.bytes.resize(self.bytes.len() + count * self.page_size, 0);
    }

    /// Makes `page` the root of the root bucket.
    pub fn root(&mut self, page: u64) {
        self.metas(|meta| meta.root.root.set(page));
    }

    /// Cuts the file to its first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// Number of pages so far: the id of the next one.
    pub fn num_pages(&self) -> u64 {
        (self.bytes.len() / self.page_size) as u64
    }

    /// The file as it is now.
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    fn node(&mut self, mut bytes: Vec<u8>) -> u64 {
        let id = self.num_pages();
        let overflow = (bytes.len() - 1) / self.page_size;
        let (header, _) = PageHeader::mut_from_prefix(&mut bytes).expect("a header");
        header.overflow.set(size(overflow));
        self.append(bytes);
        self.allocate_to_here();
        id
    }

    fn append(&mut self, bytes: Vec<u8>) {
        self.bytes.extend(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(self.page_size), 0);
    }

    fn allocate_to_here(&mut self) {
        let high_water_mark = self.num_pages();
        self.metas(|meta| meta.high_water_mark.set(high_water_mark));
    }
}

/// Making fields lie.
impl FileBuilder {
    /// The header of a page.
    pub fn header(&mut self, page: u64) -> &mut PageHeader {
        self.at(page, 0)
    }

    /// An element of a leaf page.
    pub fn leaf_element(&mut self, page: u64, index: usize) -> &mut LeafElement {
        self.at(page, element_at(index))
    }

    /// An element of a branch page.
    pub fn branch_element(&mut self, page: u64, index: usize) -> &mut BranchElement {
        self.at(page, element_at(index))
    }

    /// The header of the bucket that is the leaf's entry at `index`.
    pub fn bucket_header(&mut self, page: u64, index: usize) -> &mut BucketHeader {
        let value = self.value_at(page, index);
        self.at(page, value)
    }

    /// The page header of the inline bucket that is the leaf's entry at `index`.
    pub fn inline_header(&mut self, page: u64, index: usize) -> &mut PageHeader {
        let value = self.value_at(page, index);
        self.at(page, value + BUCKET_HEADER_SIZE)
    }

    /// The element at `inner` of the inline bucket that is the leaf's entry at `index`.
    pub fn inline_element(&mut self, page: u64, index: usize, inner: usize) -> &mut LeafElement {
        let value = self.value_at(page, index);
        self.at(page, value + BUCKET_HEADER_SIZE + element_at(inner))
    }

    /// An 8-byte slot of a freelist page.
    pub fn freelist_slot(&mut self, page: u64, slot: usize) -> &mut U64 {
        self.at(page, PAGE_HEADER_SIZE + slot * size_of::<U64>())
    }

    /// The bytes of a leaf's entry at `index`: its key and its value.
    pub fn entry_bytes(&mut self, page: u64, index: usize) -> &mut [u8] {
        let element = *self.leaf_element(page, index);
        let len = element.key_size.get() as usize + element.value_size.get() as usize;
        let start = self.offset(page) + element_at(index) + element.pos.get() as usize;
        &mut self.bytes[start..start + len]
    }

    /// The key of a branch's element at `index`.
    pub fn branch_key(&mut self, page: u64, index: usize) -> &mut [u8] {
        let element = *self.branch_element(page, index);
        let start = self.offset(page) + element_at(index) + element.pos.get() as usize;
        &mut self.bytes[start..start + element.key_size.get() as usize]
    }

    /// Changes a meta, and makes its checksum right again.
    pub fn meta(&mut self, slot: u64, change: impl FnOnce(&mut MetaBytes)) {
        self.meta_unsealed(slot, |meta| {
            change(meta);
            let sum = checksum(meta);
            meta.checksum.set(sum);
        });
    }

    /// Changes both metas alike, and makes their checksums right again.
    pub fn metas(&mut self, change: impl Fn(&mut MetaBytes)) {
        self.meta(0, &change);
        self.meta(1, &change);
    }

    /// Changes a meta, and leaves its checksum as it is.
    pub fn meta_unsealed(&mut self, slot: u64, change: impl FnOnce(&mut MetaBytes)) {
        change(self.at(slot, PAGE_HEADER_SIZE));
    }

    /// All bytes of a page.
    pub fn page_bytes(&mut self, page: u64) -> &mut [u8] {
        let start = self.offset(page);
        &mut self.bytes[start..start + self.page_size]
    }

    fn value_at(&mut self, page: u64, index: usize) -> usize {
        let element = *self.leaf_element(page, index);
        element_at(index) + element.pos.get() as usize + element.key_size.get() as usize
    }

    fn offset(&self, page: u64) -> usize {
        usize::try_from(page).expect("a page of this file") * self.page_size
    }

    fn at<T: FromBytes + IntoBytes + KnownLayout + Immutable>(&mut self, page: u64, within: usize) -> &mut T {
        let start = self.offset(page) + within;
        let (found, _) = T::mut_from_prefix(&mut self.bytes[start..]).expect("within the file");
        found
    }
}

fn leaf_bytes(id: u64, entries: &[Entry]) -> Vec<u8> {
    let mut bytes = header_bytes(id, LEAF, entries.len());
    let sizes = entries.iter().map(|entry| entry.key.len() + entry.value.len());
    for (pos, entry) in positions(sizes).zip(entries) {
        let (key_size, value_size) = (size(entry.key.len()).into(), size(entry.value.len()).into());
        bytes.extend(LeafElement { flags: entry.flags.into(), pos, key_size, value_size }.as_bytes());
    }
    entries.iter().for_each(|entry| bytes.extend(entry.key.iter().chain(&entry.value)));
    bytes
}

fn header_bytes(id: u64, flags: u16, count: usize) -> Vec<u8> {
    let count = u16::try_from(count).expect("at most 65535 elements");
    let header = PageHeader { id: id.into(), flags: flags.into(), count: count.into(), overflow: 0.into() };
    header.as_bytes().to_vec()
}

/// Where things of these sizes lie, one behind the other behind their table, each counted from its own element.
fn positions(
    sizes: impl ExactSizeIterator<Item = usize>,
) -> impl Iterator<Item = zerocopy::little_endian::U32> {
    let mut start = element_at(sizes.len());
    sizes.enumerate().map(move |(index, len)| {
        let position = start - element_at(index);
        start += len;
        size(position).into()
    })
}

/// Where an element begins in its page.
const fn element_at(index: usize) -> usize {
    PAGE_HEADER_SIZE + index * ELEMENT_SIZE
}

fn size(len: usize) -> u32 {
    u32::try_from(len).expect("below 4 GiB")
}
