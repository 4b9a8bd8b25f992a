//! From the plan to the pages: each is filled once, by whichever thread comes to it, and written where it belongs.

#![deny(clippy::arithmetic_side_effects)]

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;

use rayon::prelude::*;
use thiserror::Error;
use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32, U64};

use crate::bolt::format::{
    BUCKET_FLAG, BUCKET_HEADER_SIZE, BranchElement, BucketHeader, ELEMENT_SIZE, LeafElement, MAGIC,
    MetaBytes, NO_FREELIST, PAGE_HEADER_SIZE, PageHeader, PageId, PageKind, VERSION,
};
use crate::bolt::meta::checksum;
use crate::platform::FileAt;

use super::node_size::node_bytes;
use super::plan::{Plan, PlannedBucket, PlannedLevel, PlannedSpan, first_entry};
use super::source::{EntrySource, ValueSize};

/// Nodes are gathered to about this many bytes before they are written.
const CHUNK_BYTES: u64 = 1 << 20;
/// A larger node is written piece by piece, as its values may be of any size.
const MAX_BUFFERED_BYTES: u64 = 16 << 20;

#[derive(Debug, Error)]
pub enum WriteError {
    /// The operating system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("entry {entry}: its key is not above the one before it")]
    KeyOrder {
        /// Its number in the source.
        entry: u64,
    },
    /// An entry is not what it was when the file was planned.
    #[error("entry {entry} changed while the file was written: is somebody writing to the source?")]
    SourceChanged {
        /// Its number in the source.
        entry: u64,
    },
}

/// Writes a planned file into `file`, which is empty or all zeros, and calls `progress` with the bytes of each part
/// that was written. Nothing is flushed to the disk.
///
/// # Errors
/// The file's; a source that is not in order, or changes meanwhile. What was written by then is of no use.
pub fn write(
    plan: &Plan,
    source: &impl EntrySource,
    file: &File,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), WriteError> {
    let writer = Writer { plan, source, file };
    let fixed = writer.fixed_pages();
    file.write_all_at(&fixed, 0)?;
    progress(fixed.len() as u64);
    writer.chunks().par_iter().with_max_len(1).try_for_each_init(Scratch::default, |scratch, chunk| {
        let written = writer.write_chunk(chunk, scratch)?;
        progress(written);
        Ok(())
    })
}

struct Writer<'w, S> {
    plan: &'w Plan,
    source: &'w S,
    file: &'w File,
}

/// Nodes of one level that lie one after the other.
struct Chunk<'w> {
    bucket: usize,
    /// The bucket's levels up to this one.
    levels: &'w [PlannedLevel],
    nodes: Range<usize>,
}

/// What a thread uses again and again.
#[derive(Default)]
struct Scratch {
    chunk: Vec<u8>,
    entry: Vec<u8>,
    previous_key: Vec<u8>,
}

impl<'w, S: EntrySource> Writer<'w, S> {
    /// The metas, and the freelist's page if there is one: all before the first node.
    fn fixed_pages(&self) -> Vec<u8> {
        let mut pages = Vec::new();
        for slot in 0..2 {
            pages.extend(page_header(PageId(slot), PageKind::Meta, 0, 0).as_bytes());
            pages.extend(self.meta(slot).as_bytes());
            self.pad(&mut pages);
        }
        if let Some(id) = self.plan.freelist {
            pages.extend(page_header(id, PageKind::Freelist, 0, 0).as_bytes());
            self.pad(&mut pages);
        }
        pages
    }

    fn pad(&self, pages: &mut Vec<u8>) {
        let page_size = usize::try_from(self.plan.page_size).unwrap_or(usize::MAX);
        pages.resize(pages.len().next_multiple_of(page_size), 0);
    }

    /// A new file's metas: transactions 0 and 1, each in the slot that bbolt would write it to (`meta.go`, `Write`).
    /// Both name the same root, so either will do.
    fn meta(&self, txid: u64) -> MetaBytes {
        let root = BucketHeader {
            root: U64::new(self.plan.root_page(0).0),
            sequence: U64::new(self.source.buckets().first().map_or(0, |root| root.sequence)),
        };
        let mut meta = MetaBytes {
            magic: U32::new(MAGIC),
            version: U32::new(VERSION),
            page_size: U32::new(u32::try_from(self.plan.page_size).unwrap_or(u32::MAX)),
            flags: U32::new(0),
            root,
            freelist: U64::new(self.plan.freelist.map_or(NO_FREELIST, |page| page.0)),
            high_water_mark: U64::new(self.plan.num_pages),
            txid: U64::new(txid),
            checksum: U64::new(0),
        };
        meta.checksum = U64::new(checksum(&meta));
        meta
    }

    /// All nodes in the order of their pages, cut into chunks.
    fn chunks(&self) -> Vec<Chunk<'w>> {
        let mut chunks = Vec::new();
        for (bucket, planned) in self.plan.buckets.iter().enumerate().rev() {
            let PlannedBucket::Tree(levels) = planned else { continue };
            for depth in 1..=levels.len() {
                let levels = levels.get(..depth).unwrap_or_default();
                let runs = levels.last().map(|level| self.runs(level)).unwrap_or_default();
                chunks.extend(runs.into_iter().map(|nodes| Chunk { bucket, levels, nodes }));
            }
        }
        chunks
    }

    fn runs(&self, level: &PlannedLevel) -> Vec<Range<usize>> {
        let mut runs = Vec::new();
        let (mut start, mut bytes) = (0, 0u64);
        for index in 0..level.nodes.len() {
            let pages = level.node_at(index).map_or(0, |node| node.pages);
            bytes = bytes.saturating_add(pages.saturating_mul(self.plan.page_size));
            let end = index.saturating_add(1);
            if bytes >= CHUNK_BYTES || end == level.nodes.len() {
                runs.push(start..end);
                (start, bytes) = (end, 0);
            }
        }
        runs
    }

    /// Writes the nodes of a chunk; gives back how many bytes they take.
    fn write_chunk(&self, chunk: &Chunk<'_>, scratch: &mut Scratch) -> Result<u64, WriteError> {
        let Some(level) = chunk.levels.last() else { return Ok(0) };
        let mut buffer = std::mem::take(&mut scratch.chunk);
        // `after` is the byte of the file that follows what is buffered
        let (mut written, mut buffered, mut after) = (0u64, 0usize, 0u64);
        let flush = |buffered: &[u8], after: u64| -> io::Result<()> {
            self.file.write_all_at(buffered, after.saturating_sub(buffered.len() as u64))
        };
        let nodes = chunk.nodes.clone().filter_map(|index| level.node_at(index));
        for PlannedSpan { entries, page, pages } in nodes {
            let node = Node { page: self.plan.page_of(page), pages, entries };
            let bytes = pages.saturating_mul(self.plan.page_size);
            let offset = node.page.0.saturating_mul(self.plan.page_size);
            if offset != after {
                flush(buffer.get(..buffered).unwrap_or_default(), after)?;
                buffered = 0;
            }
            written = written.saturating_add(bytes);
            match usize::try_from(bytes).ok().filter(|_| bytes <= MAX_BUFFERED_BYTES) {
                Some(bytes) => {
                    let node_end = buffered.saturating_add(bytes);
                    if buffer.len() < node_end {
                        buffer.resize(node_end, 0);
                    }
                    let space = buffer.get_mut(buffered..node_end).unwrap_or_default();
                    self.fill(chunk, &node, space, scratch)?;
                    buffered = node_end;
                }
                None => {
                    flush(buffer.get(..buffered).unwrap_or_default(), offset)?;
                    buffered = 0;
                    self.write_in_pieces(chunk, &node, offset, scratch)?;
                }
            }
            after = offset.saturating_add(bytes);
        }
        flush(buffer.get(..buffered).unwrap_or_default(), after)?;
        scratch.chunk = buffer;
        Ok(written)
    }

    /// Fills a node's pages.
    fn fill(
        &self,
        chunk: &Chunk<'_>,
        node: &Node,
        space: &mut [u8],
        scratch: &mut Scratch,
    ) -> Result<(), WriteError> {
        let (mut head, mut data) = space.split_at_mut_checked(node.head_bytes()).unwrap_or_default();
        self.write_node(chunk, node, &mut head, &mut data, scratch)?;
        data.fill(0);
        Ok(())
    }

    /// Writes a node whose values may be as large as they like: none of them is held in memory.
    fn write_in_pieces(
        &self,
        chunk: &Chunk<'_>,
        node: &Node,
        offset: u64,
        scratch: &mut Scratch,
    ) -> Result<(), WriteError> {
        let mut head = Vec::with_capacity(node.head_bytes());
        let data_at = offset.saturating_add(node.head_bytes() as u64);
        let end = offset.saturating_add(node.pages.saturating_mul(self.plan.page_size));
        let mut data = BufWriter::with_capacity(1 << 16, WriteAt { file: self.file, offset: data_at, end });
        self.write_node(chunk, node, &mut head, &mut data, scratch)?;
        let start = self.source.buckets().get(chunk.bucket).map_or(0, |spec| spec.entries.start);
        let last = start.saturating_add(node.entries.end).saturating_sub(1);
        data.flush().map_err(|error| full_or(error, || WriteError::SourceChanged { entry: last }))?;
        self.file.write_all_at(&head, offset)?;
        // the slack after it is a hole, and so zeros, but the file must be long enough
        if data.get_ref().offset < end {
            self.file.write_all_at(&[0], end.saturating_sub(1))?;
        }
        Ok(())
    }

    fn write_node(
        &self,
        chunk: &Chunk<'_>,
        node: &Node,
        head: &mut impl Write,
        data: &mut impl Write,
        scratch: &mut Scratch,
    ) -> Result<(), WriteError> {
        let Some(spec) = self.source.buckets().get(chunk.bucket) else { return Ok(()) };
        let start = spec.entries.start;
        let overflow = node.pages.saturating_sub(1);
        match chunk.levels {
            [_] => {
                let entries =
                    start.saturating_add(node.entries.start)..start.saturating_add(node.entries.end);
                let header = page_header(node.page, PageKind::Leaf, node.num_entries(), overflow);
                head.write_all(header.as_bytes())?;
                self.check_first(start, entries.start, scratch)?;
                self.write_leaf(entries, head, data, scratch)
            }
            [below @ .., _] => {
                let header = page_header(node.page, PageKind::Branch, node.num_entries(), overflow);
                head.write_all(header.as_bytes())?;
                self.write_branch(start, below, node, head, data, &mut scratch.entry)
            }
            [] => Ok(()),
        }
    }

    /// Remembers the key before a leaf's first, which must be above it.
    fn check_first(&self, bucket_start: u64, first: u64, scratch: &mut Scratch) -> Result<(), WriteError> {
        scratch.previous_key.clear();
        if let Some(before) = first.checked_sub(1).filter(|&before| before >= bucket_start) {
            let entry = self.source.entry(before, &mut scratch.entry);
            let entry = entry.ok_or(WriteError::SourceChanged { entry: before })?;
            scratch.previous_key.extend_from_slice(entry.key);
        }
        Ok(())
    }

    /// Writes a leaf's elements to `table`, their keys and values to `data`, which lies right after.
    fn write_leaf(
        &self,
        entries: Range<u64>,
        table: &mut impl Write,
        data: &mut impl Write,
        scratch: &mut Scratch,
    ) -> Result<(), WriteError> {
        let count = entries.end.saturating_sub(entries.start);
        let mut pos = count.saturating_mul(ELEMENT_SIZE as u64);
        for number in entries {
            let changed = || WriteError::SourceChanged { entry: number };
            let sizes = self.source.sizes(number);
            let entry = self.source.entry(number, &mut scratch.entry).ok_or_else(changed)?;
            if entry.key <= scratch.previous_key.as_slice() {
                return Err(WriteError::KeyOrder { entry: number });
            }
            let value_bytes = self.plan.value_bytes(sizes.value);
            let element = LeafElement {
                flags: U32::new(if let ValueSize::Bucket(_) = sizes.value { BUCKET_FLAG } else { 0 }),
                pos: u32_of(pos)?,
                key_size: u32_of(entry.key.len() as u64)?,
                value_size: u32_of(value_bytes)?,
            };
            table.write_all(element.as_bytes()).map_err(|error| full_or(error, changed))?;
            let value = match sizes.value {
                ValueSize::Bytes(_) => entry.value,
                ValueSize::Bucket(_) => &[],
            };
            let as_planned = entry.key.len() == sizes.key
                && (value.len() as u64 == value_bytes || matches!(sizes.value, ValueSize::Bucket(_)));
            if !as_planned {
                return Err(changed());
            }
            data.write_all(entry.key)
                .and_then(|()| data.write_all(value))
                .map_err(|error| full_or(error, changed))?;
            scratch.previous_key.clear();
            scratch.previous_key.extend_from_slice(entry.key);
            if let ValueSize::Bucket(child) = sizes.value {
                data.write_all(&self.bucket_value(child)?).map_err(|error| full_or(error, changed))?;
            }
            let own = (entry_bytes(sizes.key, value_bytes)).saturating_sub(ELEMENT_SIZE as u64);
            pos = pos.saturating_add(own).saturating_sub(ELEMENT_SIZE as u64);
        }
        Ok(())
    }

    /// The value of a bucket's entry: its header, and after it the page of an inline one.
    fn bucket_value(&self, bucket: usize) -> Result<Vec<u8>, WriteError> {
        let Some(spec) = self.source.buckets().get(bucket) else { return Ok(Vec::new()) };
        let root = self.plan.root_page(bucket);
        let header = BucketHeader { root: U64::new(root.0), sequence: U64::new(spec.sequence) };
        let mut value = header.as_bytes().to_vec();
        if let Some(PlannedBucket::Inline { bytes }) = self.plan.buckets.get(bucket) {
            let node = Node { page: PageId(0), pages: 1, entries: spec.entries.clone() };
            let len = usize::try_from(*bytes).unwrap_or(usize::MAX);
            value.resize(BUCKET_HEADER_SIZE.saturating_add(len), 0);
            let page = value.get_mut(BUCKET_HEADER_SIZE..).unwrap_or_default();
            let (mut head, mut data) = page.split_at_mut_checked(node.head_bytes()).unwrap_or_default();
            head.write_all(page_header(PageId(0), PageKind::Leaf, node.num_entries(), 0).as_bytes())?;
            // an inline bucket holds no other: this goes one level deep
            self.write_leaf(spec.entries.clone(), &mut head, &mut data, &mut Scratch::default())?;
        }
        Ok(value)
    }

    fn write_branch(
        &self,
        bucket_start: u64,
        below: &[PlannedLevel],
        node: &Node,
        table: &mut impl Write,
        data: &mut impl Write,
        scratch: &mut Vec<u8>,
    ) -> Result<(), WriteError> {
        let mut pos = node.entries.end.saturating_sub(node.entries.start).saturating_mul(ELEMENT_SIZE as u64);
        for child in node.entries.clone() {
            let number = bucket_start.saturating_add(first_entry(below, child));
            let changed = || WriteError::SourceChanged { entry: number };
            let entry = self.source.entry(number, scratch).ok_or_else(changed)?;
            if entry.key.len() != self.source.sizes(number).key {
                return Err(changed());
            }
            let place = below.last().and_then(|level| level.nodes.get(usize::try_from(child).ok()?));
            let element = BranchElement {
                pos: u32_of(pos)?,
                key_size: u32_of(entry.key.len() as u64)?,
                page: U64::new(place.map_or(0, |node| self.plan.page_of(node.page).0)),
            };
            table.write_all(element.as_bytes()).map_err(|error| full_or(error, changed))?;
            data.write_all(entry.key).map_err(|error| full_or(error, changed))?;
            pos = pos.saturating_add(entry.key.len() as u64).saturating_sub(ELEMENT_SIZE as u64);
        }
        Ok(())
    }
}

/// A node to write.
struct Node {
    page: PageId,
    pages: u64,
    /// Counted from its bucket's first, or from the level's below.
    entries: Range<u64>,
}

impl Node {
    fn num_entries(&self) -> u64 {
        self.entries.end.saturating_sub(self.entries.start)
    }

    /// Bytes of the page header and the element table.
    fn head_bytes(&self) -> usize {
        let table = self.num_entries().saturating_mul(ELEMENT_SIZE as u64);
        usize::try_from(node_bytes(table)).unwrap_or(usize::MAX)
    }
}

fn entry_bytes(key: usize, value: u64) -> u64 {
    (ELEMENT_SIZE as u64).saturating_add(key as u64).saturating_add(value)
}

fn page_header(id: PageId, kind: PageKind, count: u64, overflow: u64) -> PageHeader {
    debug_assert!(count <= u64::from(u16::MAX), "the packing bounds a node's elements");
    PageHeader {
        id: U64::new(id.0),
        flags: U16::new(kind.flags()),
        count: U16::new(u16::try_from(count).unwrap_or(u16::MAX)),
        overflow: U32::new(u32::try_from(overflow).unwrap_or(u32::MAX)),
    }
}

/// A position or size in a page.
fn u32_of(number: u64) -> io::Result<U32> {
    let number = u32::try_from(number);
    number.map(U32::new).map_err(|_| io::Error::other("a node of more than 4 GiB can't be written"))
}

/// A node that has no room for what it was planned for was planned for something else.
fn full_or(error: io::Error, changed: impl Fn() -> WriteError) -> WriteError {
    if error.kind() == io::ErrorKind::WriteZero { changed() } else { WriteError::Io(error) }
}

/// Writes to a file from a place on, and not beyond another: what lies there belongs to the next node.
struct WriteAt<'f> {
    file: &'f File,
    offset: u64,
    end: u64,
}

impl Write for WriteAt<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = usize::try_from(self.end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let written = self.file.write_at(bytes.get(..room).unwrap_or(bytes), self.offset)?;
        self.offset = self.offset.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const _: () = assert!(PAGE_HEADER_SIZE == 16 && ELEMENT_SIZE == 16);
