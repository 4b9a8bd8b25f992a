//! The kinds of findings: what is wrong, what it means, and what next.

use schemars::{Schema, SchemaGenerator};

use crate::described::words;

/// Of structure (`bolt/fault.rs`), in any bbolt file; of records (`etcd/history.rs`) of etcd's; of the whole file (`scan/health.rs`,
/// `scan/root.rs`).
const KINDS: [(&str, &str); 35] = [
    ("meta", "One of the two meta pages is damaged. The other is used; the last transaction may be lost."),
    (
        "file-cut-short",
        "The file ends below its high water mark. etcd crashes on it (SIGBUS): copy it again.",
    ),
    (
        "page",
        "A reference to a page that can't be read: it is zeroed, outside the file, of a wrong id or type. All below it is lost.",
    ),
    ("cycle", "A page is its own ancestor. A reader that trusts it never ends: don't start etcd on it."),
    (
        "reachable-twice",
        "Two references to one page; of the freelist's own page, a tree has it, too. One of them should lead elsewhere: records \
         are missing.",
    ),
    (
        "overflow-overlap",
        "A node's overflow runs into another node or the freelist. One overwrote the other; the second was left out.",
    ),
    (
        "reachable-freed",
        "In use, and in the freelist. Nothing is lost yet; the next write destroys it: make a copy.",
    ),
    (
        "unreachable-unfreed",
        "Neither in use nor in the freelist: leaked space, one finding for a run of pages. No data is lost; a defrag cures it.",
    ),
    (
        "freelist",
        "The stored freelist can't be read, and is treated as if none were stored. Data is untouched: defrag, or `bbolt surgery \
         freelist abandon`.",
    ),
    (
        "freelist-duplicate",
        "A page is twice in the freelist, and would be given out twice: cure it as `freelist`, before any write.",
    ),
    (
        "freelist-out-of-bounds",
        "The freelist names a page that is no ordinary one: cure it as `freelist`, before any write.",
    ),
    (
        "element",
        "Key or value point outside the page, or overlap. This entry was left out, the others are read.",
    ),
    ("empty-branch", "A branch without children: its part of the tree is missing."),
    ("key-size", "A key of 0, or of more than 32,768 bytes: a damaged table of elements, or not bbolt's."),
    (
        "key-order",
        "A key is not above the one before it: look-ups miss keys, though a walk still finds them.",
    ),
    (
        "key-below-parent",
        "A key is below the parent's key for the page: a misplaced page, or an old one. Look-ups miss keys.",
    ),
    (
        "key-above-parent",
        "A key is not below the parent's next key: a misplaced page, or an old one. Look-ups miss keys.",
    ),
    ("entry-flags", "An entry has flags that bbolt does not know: a damaged element."),
    ("bucket-header", "A bucket's value is too short: that bucket was left out."),
    ("too-deep", "64 levels or more. No tree is that deep: what is below was left out."),
    ("revision-malformed", "An entry's key is no revision. The record was left out; etcd panics on it."),
    ("key-value-malformed", "A value is no `KeyValue` message. The record was left out; etcd panics on it."),
    ("key-empty", "The message has no key. The record was left out."),
    (
        "revision-twice",
        "A put and a tombstone of one revision. One of them is false: compare with another member. As the next five, the \
         record is counted in every figure.",
    ),
    (
        "mod-revision",
        "A record names another revision than its place: misplaced or altered, compare members. Of this kind and the next three, \
         a record has the first one only.",
    ),
    (
        "create-revision",
        "It does not follow from the key's history: a record before it is lost, or it was altered.",
    ),
    (
        "version",
        "It does not follow from the key's history (not compared after one above 2^32 - 2): a record before it is lost, or it was \
         altered.",
    ),
    ("tombstone-twice", "A deletion of what was deleted already: a put between them is lost."),
    (
        "lease-missing",
        "The key's lease is not in the `lease` bucket. The key never expires: delete it if it is not wanted.",
    ),
    (
        "trailer-mismatch",
        "The 32 bytes after the db are not its SHA-256: cut short or changed; `etcdutl` refuses it.",
    ),
    (
        "odd-size",
        "The size is no multiple of 512, nor 32 above one: cut short or added to; `etcdutl` refuses it. Not given with \
         `file-cut-short`.",
    ),
    (
        "entries-undecodable",
        "Entries of `lease`, `alarm` or `members` are damaged, or of a later version. They were left out.",
    ),
    (
        "records-in-root",
        "The root bucket has records in place of buckets. Its leaf was written again (live copy): all buckets are lost.",
    ),
    (
        "no-bucket-in-root",
        "The root bucket has plain values only, and nothing refers to pages that are not known to be free: its leaf was written \
         again, all buckets are lost.",
    ),
    (
        "values-in-root",
        "In an etcd file's root bucket, names of etcd's buckets are plain values: a bucket's flag was lost. etcd ends at its \
         start; `salvage` reads it as the bucket that it was.",
    ),
];

pub fn schema(_: &mut SchemaGenerator) -> Schema {
    words(&KINDS)
}

#[test]
fn every_kind_is_described() {
    use strum::VariantNames;

    use crate::bolt::fault::FaultKind;
    use crate::etcd::history::RecordFault;
    use crate::scan::{health::FileFault, root::RootFault};

    let faults = [FaultKind::VARIANTS, RecordFault::VARIANTS, FileFault::VARIANTS, RootFault::VARIANTS];
    let mut faults = faults.concat();
    let mut described = KINDS.map(|(kind, _)| kind);
    faults.sort_unstable();
    described.sort_unstable();
    assert_eq!(described[..], faults);
}
