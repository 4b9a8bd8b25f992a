//! What a walk or a scan found, as plain values: to be compared, and to be held against the file's size.

use etcd_medic::internals::bolt::bucket::{Bucket, BucketRoot};
use etcd_medic::internals::bolt::fault::{Fault, FaultKind, Findings};
use etcd_medic::internals::bolt::freelist::FreedPages;
use etcd_medic::internals::bolt::meta::MetaError;
use etcd_medic::internals::bolt::page::{ElementError, PageErrorKind};
use etcd_medic::internals::bolt::walk::{self, NodeSizes, Setup, Subtree, Walked, Walker};
use etcd_medic::internals::bolt::{BucketId, Db};
use etcd_medic::internals::etcd::schema::State;
use etcd_medic::internals::scan::{Scan, ScanOptions, scan};

/// A bucket: its parent, its name, its sequence, and whether it is inline.
pub type FoundBucket = (Option<BucketId>, Vec<u8>, u64, bool);

/// What one pass over a file found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Faults of the structure, in the order found.
    pub faults: Vec<Fault>,
    /// The buckets, in the order found.
    pub buckets: Vec<FoundBucket>,
    /// Runs of pages that nothing refers to, as (first, how many).
    pub unreached: Vec<(u64, u64)>,
    /// Number of branch, leaf and inline leaf nodes.
    pub nodes: [u64; 3],
    /// Number of entries that could be read, buckets among them.
    pub entries: u64,
    /// Bytes of the pages of branches and leaves.
    pub page_bytes: u64,
    /// What the bytes of all nodes are.
    pub sizes: NodeSizes,
}

/// Walks every bucket, on all threads.
pub fn walk(db: &Db) -> Found {
    found_by(db, |db, setup, read| walk::walk(db, setup, read))
}

/// The same on one thread, in the order of the tree.
pub fn walk_in_order(db: &Db) -> Found {
    found_by(db, |db, setup, read| walk::walk_in_order(db, setup, read))
}

type Read<'r, 'a> = &'r mut dyn FnMut(&mut Walker<'a>) -> Vec<FoundNode>;

fn found_by<'a>(
    db: &'a Db,
    by: impl FnOnce(&'a Db, Setup, Read<'_, 'a>) -> (Vec<FoundNode>, Walked<'a>),
) -> Found {
    let mut findings = Findings::default();
    let freed = FreedPages::read(db, &mut findings, usize::MAX);
    let (nodes, walked) = by(db, Setup { freed, max_faults: usize::MAX }, &mut |walker| {
        let mut nodes = Vec::new();
        for id in (0..).map(BucketId) {
            let Some(mut nodes_of) = walker.walk_bucket(id) else { break };
            while let Some(parts) = nodes_of.next_window(read_nodes) {
                nodes.extend(parts.into_iter().flatten());
            }
        }
        nodes
    });
    let mut found = Found::of_nodes(&nodes);
    found.buckets = walked.buckets.iter().map(plain_bucket).collect();
    found.unreached = walked.unreached.iter().map(|&(first, pages)| (first.0, pages)).collect();
    findings.append(walked.findings, usize::MAX);
    found.faults = findings.faults;
    found
}

/// A node's kind (branch, leaf, inline leaf), entries, bytes of its pages, and sizes.
type FoundNode = (usize, u64, u64, NodeSizes);

fn read_nodes(subtree: &mut Subtree<'_, '_>) -> Vec<FoundNode> {
    let read = subtree.map(|node| {
        let kind = if node.inline { 2 } else { usize::from(node.leaf().is_some()) };
        let entries = node.leaf().map_or(0, |leaf| leaf.entries().filter(Result::is_ok).count());
        let bytes = if node.inline { 0 } else { node.page().bytes().len() };
        (kind, entries as u64, bytes as u64, node.sizes)
    });
    read.collect()
}

fn plain_bucket(bucket: &Bucket<'_>) -> FoundBucket {
    let inline = matches!(bucket.root, BucketRoot::Inline(_));
    (bucket.parent, bucket.name.to_vec(), bucket.sequence, inline)
}

impl Found {
    fn of_nodes(nodes: &[FoundNode]) -> Self {
        let mut sizes = NodeSizes::default();
        let mut kinds = [0; 3];
        for (kind, _, _, more) in nodes {
            kinds[*kind] += 1;
            sizes.header += more.header;
            sizes.elements += more.elements;
            sizes.keys += more.keys;
            sizes.values += more.values;
            sizes.bucket_headers += more.bucket_headers;
            sizes.inline_pages += more.inline_pages;
            sizes.slack += more.slack;
        }
        let entries = nodes.iter().map(|node| node.1).sum();
        let page_bytes = nodes.iter().map(|node| node.2).sum();
        let (faults, buckets, unreached) = (Vec::new(), Vec::new(), Vec::new());
        Self { faults, buckets, unreached, nodes: kinds, entries, page_bytes, sizes }
    }

    /// What a scan says of the same things. It does not count readable entries: `entries` are those it tallied.
    pub fn of_scan(scan: &Scan<'_>) -> Self {
        let total = scan.total();
        Self {
            faults: scan.structure.faults.clone(),
            buckets: scan.buckets.iter().map(plain_bucket).collect(),
            unreached: scan.unreached.iter().map(|&(first, pages)| (first.0, pages)).collect(),
            nodes: [total.branches, total.leaves, total.inline_leaves],
            entries: total.entries,
            page_bytes: total.page_bytes,
            sizes: total.sizes,
        }
    }
}

/// Scans a file as the commands do, and checks that every byte of it is accounted for.
pub fn scan_and_account(db: &Db) -> Found {
    let state = State::read(db);
    let scan = scan(db, &state, ScanOptions::default());
    assert_accounted(db, &scan);
    Found::of_scan(&scan)
}

/// Reached and unreached pages are the file's pages; the nodes' bytes are those of pages reached.
pub fn assert_accounted(db: &Db, scan: &Scan<'_>) {
    let unreached: u64 = scan.unreached.iter().map(|&(_, pages)| pages).sum();
    assert_eq!(scan.reached_pages + unreached, db.num_pages(), "pages");
    assert!(db.num_pages() * db.page_size() <= db.file_size(), "pages in the file");
    assert!(scan.free_pages() + scan.leaked_pages() <= unreached, "free pages");

    let total = scan.total();
    assert!(total.page_bytes <= scan.reached_pages * db.page_size(), "node bytes on reached pages");
    assert_eq!(total.branch_bytes + total.leaf_bytes, total.page_bytes, "branches and leaves");
    let NodeSizes { header, elements, keys, values, bucket_headers, inline_pages, slack } = total.sizes;
    let sum = header + elements + keys + values + bucket_headers + inline_pages + slack;
    // an inline page is in the sum twice: as part of the leaf that it stands in, and, if readable, as a node
    assert!(
        sum >= total.page_bytes && sum - total.page_bytes <= inline_pages,
        "bytes of nodes by what they are"
    );
}

/// A fault's kind as tests write it: `key-order`, `page/wrong-id`, `meta/checksum`.
///
/// Nothing is left to a wildcard, here and below: a new kind does not compile until it is here, and then belongs into
/// [`EVERY_KIND`], too.
pub fn kind_name(kind: &FaultKind) -> String {
    let outer: &'static str = kind.into();
    let inner = match kind {
        FaultKind::Meta { error, .. } => meta_error_name(error),
        FaultKind::Page { error, .. } | FaultKind::Freelist { error } => page_error_name(error),
        FaultKind::Element { error } => element_error_name(error),
        FaultKind::FileCutShort { .. }
        | FaultKind::Cycle { .. }
        | FaultKind::ReachableTwice { .. }
        | FaultKind::OverflowOverlap { .. }
        | FaultKind::ReachableFreed
        | FaultKind::UnreachableUnfreed { .. }
        | FaultKind::FreelistDuplicate
        | FaultKind::FreelistOutOfBounds { .. }
        | FaultKind::EmptyBranch
        | FaultKind::KeySize { .. }
        | FaultKind::KeyOrder { .. }
        | FaultKind::KeyBelowParent { .. }
        | FaultKind::KeyAboveParent { .. }
        | FaultKind::EntryFlags { .. }
        | FaultKind::BucketHeader { .. }
        | FaultKind::TooDeep { .. } => return outer.to_owned(),
    };
    format!("{outer}/{inner}")
}

/// All that [`kind_name`] can say.
pub const EVERY_KIND: [&str; 43] = [
    "meta/missing",
    "meta/magic",
    "meta/byte-swapped",
    "meta/version",
    "meta/checksum",
    "meta/page-size",
    "meta/misplaced",
    "page/above-high-water-mark",
    "page/beyond-file",
    "page/overflow-above-high-water-mark",
    "page/overflow-beyond-file",
    "page/zeroed",
    "page/wrong-id",
    "page/unknown-kind",
    "page/wrong-kind",
    "page/table-out-of-bounds",
    "freelist/above-high-water-mark",
    "freelist/beyond-file",
    "freelist/overflow-above-high-water-mark",
    "freelist/overflow-beyond-file",
    "freelist/zeroed",
    "freelist/wrong-id",
    "freelist/unknown-kind",
    "freelist/wrong-kind",
    "freelist/table-out-of-bounds",
    "element/out-of-bounds",
    "element/overlap",
    "file-cut-short",
    "cycle",
    "reachable-twice",
    "overflow-overlap",
    "reachable-freed",
    "unreachable-unfreed",
    "freelist-duplicate",
    "freelist-out-of-bounds",
    "empty-branch",
    "key-size",
    "key-order",
    "key-below-parent",
    "key-above-parent",
    "entry-flags",
    "bucket-header",
    "too-deep",
];

/// Every [`PageErrorKind`] by name: a new one does not compile until it is here.
pub fn page_error_name(kind: &PageErrorKind) -> &'static str {
    match kind {
        PageErrorKind::AboveHighWaterMark { .. } => "above-high-water-mark",
        PageErrorKind::BeyondFile { .. } => "beyond-file",
        PageErrorKind::OverflowAboveHighWaterMark { .. } => "overflow-above-high-water-mark",
        PageErrorKind::OverflowBeyondFile { .. } => "overflow-beyond-file",
        PageErrorKind::Zeroed => "zeroed",
        PageErrorKind::WrongId { .. } => "wrong-id",
        PageErrorKind::UnknownKind { .. } => "unknown-kind",
        PageErrorKind::WrongKind { .. } => "wrong-kind",
        PageErrorKind::TableOutOfBounds { .. } => "table-out-of-bounds",
    }
}

/// Every [`ElementError`] by name.
pub fn element_error_name(error: &ElementError) -> &'static str {
    match error {
        ElementError::OutOfBounds { .. } => "out-of-bounds",
        ElementError::Overlap { .. } => "overlap",
    }
}

/// Every [`MetaError`] by name.
pub fn meta_error_name(error: &MetaError) -> &'static str {
    match error {
        MetaError::Missing => "missing",
        MetaError::Magic { .. } => "magic",
        MetaError::ByteSwapped => "byte-swapped",
        MetaError::Version { .. } => "version",
        MetaError::Checksum { .. } => "checksum",
        MetaError::PageSize { .. } => "page-size",
        MetaError::Misplaced { .. } => "misplaced",
    }
}
