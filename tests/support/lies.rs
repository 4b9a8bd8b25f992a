//! The [`sample`] file, and every lie that is told about it: one case for each number that is read from a file.

use etcd_medic::internals::bolt::format::{MAGIC, MAX_KEY_SIZE};
use etcd_medic::internals::bolt::walk::MAX_DEPTH;
use zerocopy::FromZeros;

use super::builder::{BRANCH, FREELIST, FileBuilder, LEAF, META, bucket, inline_bucket, plain};

/// Bytes of a page of [`sample`].
pub const PAGE_SIZE: u64 = 1024;

/// The first leaf of `data`.
pub const A: u64 = 2;
/// Its second leaf.
pub const B: u64 = 3;
/// Its third leaf.
pub const C: u64 = 4;
/// Its branch.
pub const DATA: u64 = 5;
/// The leaf of `more`.
pub const MORE: u64 = 6;
/// The leaf of the root bucket.
pub const ROOT: u64 = 7;
/// The first of two free pages.
pub const FREE: u64 = 8;
/// The freelist.
pub const FREED: u64 = 10;
/// The high water mark.
pub const END: u64 = 11;
/// Entries of [`sample`], the three buckets among them.
pub const ENTRIES: u64 = 19;

/// A sound file: a bucket `data` of three leaves below a branch, an inline bucket `inline`, a bucket `more` of one
/// leaf, two free pages, and a stored freelist.
pub fn sample() -> FileBuilder {
    sample_of(1024)
}

/// The same, with pages of another size.
pub fn sample_of(page_size: u32) -> FileBuilder {
    let mut file = FileBuilder::new(page_size);
    let four = |letter: &str| [0, 1, 2, 3].map(|n| plain(format!("{letter}{n}"), "twenty bytes of value"));
    let leaves = ["a", "b", "c"].map(|letter| (format!("{letter}0"), file.leaf(&four(letter))));
    let data = file.branch(&leaves);
    let more = file.leaf(&[plain("m0", "x"), plain("m1", "y")]);
    let inline = inline_bucket("inline", &[plain("i0", "x"), plain("i1", "y")]);
    let root = file.leaf(&[bucket("data", data), inline, bucket("more", more)]);
    file.root(root);
    let free = file.free_pages(2);
    file.freelist(&[free, free + 1]);
    file
}

/// A fault as tests expect it: its kind, its page, and its byte offset in the file.
pub type Expected = (&'static str, u64, u64);

/// One lie: what is done to the [`sample`], all faults that are to be found, and how many entries remain.
pub struct Case {
    /// The lie, in words.
    pub name: &'static str,
    /// Tells it.
    pub lie: fn(&mut FileBuilder),
    /// All that is to be found wrong, in the order found.
    pub faults: &'static [Expected],
    /// How many entries are still found.
    pub entries: u64,
}

/// Where a page begins.
pub const fn at(page: u64) -> u64 {
    page * PAGE_SIZE
}

/// Where an element of a page begins.
pub const fn element(page: u64, index: u64) -> u64 {
    at(page) + 16 + index * 16
}

/// Where a freelist's slot begins.
const fn slot(index: u64) -> u64 {
    at(FREED) + 16 + index * 8
}

/// Where the root leaf's entries begin, behind its three elements: `data`, `inline`, `more`.
const DATA_ENTRY: u64 = at(ROOT) + 64;
const INLINE_ENTRY: u64 = DATA_ENTRY + 4 + 16;
const INLINE_PAGE: u64 = INLINE_ENTRY + 6 + 16;

/// The page of a fault that concerns no page.
pub const NO_PAGE: u64 = u64::MAX - 1;
/// The file ends before its high water mark.
const CUT_SHORT: Expected = ("file-cut-short", NO_PAGE, at(END));

const REFERENCES: &[Case] = &[
    Case {
        name: "a branch is its own child",
        lie: |file| file.branch_element(DATA, 0).page.set(DATA),
        faults: &[("cycle", DATA, at(DATA)), ("unreachable-unfreed", A, at(A))],
        entries: ENTRIES - 4,
    },
    Case {
        name: "a branch two levels down refers to the top",
        lie: |file| {
            let middle = file.branch(&[("a0", A), ("a9", DATA)]);
            file.branch_element(DATA, 0).page.set(middle);
        },
        faults: &[("cycle", DATA, at(DATA))],
        entries: ENTRIES,
    },
    Case {
        name: "two children are one page",
        lie: |file| file.branch_element(DATA, 1).page.set(A),
        faults: &[("reachable-twice", A, at(A)), ("unreachable-unfreed", B, at(B))],
        entries: ENTRIES - 4,
    },
    Case {
        name: "two buckets have one root",
        lie: |file| file.bucket_header(ROOT, 2).root.set(DATA),
        faults: &[("reachable-twice", DATA, at(DATA)), ("unreachable-unfreed", MORE, at(MORE))],
        entries: ENTRIES - 2,
    },
    Case {
        name: "a bucket's root is the page that it stands on",
        lie: |file| file.bucket_header(ROOT, 2).root.set(ROOT),
        faults: &[("reachable-twice", ROOT, at(ROOT)), ("unreachable-unfreed", MORE, at(MORE))],
        entries: ENTRIES - 2,
    },
    Case {
        name: "a child is a meta page",
        lie: |file| file.branch_element(DATA, 0).page.set(1),
        faults: &[("reachable-twice", 1, at(1)), ("unreachable-unfreed", A, at(A))],
        entries: ENTRIES - 4,
    },
    Case {
        name: "a child is the freelist",
        lie: |file| file.branch_element(DATA, 0).page.set(FREED),
        faults: &[
            ("page/wrong-kind", FREED, at(FREED)),
            ("reachable-twice", FREED, at(FREED)),
            ("unreachable-unfreed", A, at(A)),
        ],
        entries: ENTRIES - 4,
    },
    Case {
        name: "a child at the high water mark",
        lie: |file| file.branch_element(DATA, 0).page.set(END),
        faults: &[("page/above-high-water-mark", END, at(END)), ("unreachable-unfreed", A, at(A))],
        entries: ENTRIES - 4,
    },
    Case {
        name: "a child that no file has",
        lie: |file| file.branch_element(DATA, 0).page.set(u64::MAX),
        faults: &[("page/above-high-water-mark", u64::MAX, u64::MAX), ("unreachable-unfreed", A, at(A))],
        entries: ENTRIES - 4,
    },
    Case {
        name: "a child beyond the end of a file cut short",
        lie: |file| {
            file.metas(|meta| meta.high_water_mark.set(100));
            file.branch_element(DATA, 0).page.set(50);
        },
        faults: &[CUT_SHORT, ("page/beyond-file", 50, at(50)), ("unreachable-unfreed", A, at(A))],
        entries: ENTRIES - 4,
    },
    Case {
        name: "a bucket's root at the high water mark",
        lie: |file| file.bucket_header(ROOT, 2).root.set(END),
        faults: &[("page/above-high-water-mark", END, at(END)), ("unreachable-unfreed", MORE, at(MORE))],
        entries: ENTRIES - 2,
    },
    Case {
        name: "the root at the high water mark",
        lie: |file| file.root(END),
        faults: &[("page/above-high-water-mark", END, at(END)), ("unreachable-unfreed", A, at(A))],
        entries: 0,
    },
    Case {
        name: "the root is a meta page",
        lie: |file| file.root(0),
        faults: &[("reachable-twice", 0, 0), ("unreachable-unfreed", A, at(A))],
        entries: 0,
    },
];

const HEADERS: &[Case] = &[
    Case {
        name: "another id",
        lie: |file| file.header(B).id.set(99),
        faults: &[("page/wrong-id", B, at(B))],
        entries: ENTRIES - 4,
    },
    Case {
        name: "nothing but zeros",
        lie: |file| file.page_bytes(B).fill(0),
        faults: &[("page/zeroed", B, at(B))],
        entries: ENTRIES - 4,
    },
    Case {
        name: "a header of zeros, and something behind it",
        lie: |file| *file.header(B) = FromZeros::new_zeroed(),
        faults: &[("page/wrong-id", B, at(B))],
        entries: ENTRIES - 4,
    },
    Case {
        name: "no flags",
        lie: |file| file.header(B).flags.set(0),
        faults: &[("page/unknown-kind", B, at(B))],
        entries: ENTRIES - 4,
    },
    Case {
        name: "two flags: no kind, as flags are compared for equality",
        lie: |file| file.header(B).flags.set(BRANCH | LEAF),
        faults: &[("page/unknown-kind", B, at(B))],
        entries: ENTRIES - 4,
    },
    Case {
        name: "a leaf that calls itself a meta page",
        lie: |file| file.header(B).flags.set(META),
        faults: &[("page/wrong-kind", B, at(B))],
        entries: ENTRIES - 4,
    },
    Case {
        name: "a leaf that calls itself a freelist",
        lie: |file| file.header(B).flags.set(FREELIST),
        faults: &[("page/wrong-kind", B, at(B))],
        entries: ENTRIES - 4,
    },
    Case {
        name: "a leaf's count is as large as can be",
        lie: |file| file.header(B).count.set(u16::MAX),
        faults: &[("page/table-out-of-bounds", B, at(B))],
        entries: ENTRIES - 4,
    },
    Case {
        name: "a leaf's count is one more than its page holds",
        lie: |file| file.header(B).count.set(64),
        faults: &[("page/table-out-of-bounds", B, at(B))],
        entries: ENTRIES - 4,
    },
    Case {
        name: "a leaf's count is one too many: the first key lies in the table, and the fifth element is made of keys",
        lie: |file| file.header(B).count.set(5),
        faults: &[("element/out-of-bounds", B, element(B, 0)), ("element/out-of-bounds", B, element(B, 4))],
        entries: ENTRIES - 1,
    },
    Case {
        name: "a leaf without entries is sound",
        lie: |file| file.header(B).count.set(0),
        faults: &[],
        entries: ENTRIES - 4,
    },
    Case {
        name: "a branch's count is one more than its page holds",
        lie: |file| file.header(DATA).count.set(64),
        faults: &[("page/table-out-of-bounds", DATA, at(DATA)), ("unreachable-unfreed", A, at(A))],
        entries: ENTRIES - 12,
    },
    Case {
        name: "a branch without children",
        lie: |file| file.header(DATA).count.set(0),
        faults: &[("empty-branch", DATA, at(DATA)), ("unreachable-unfreed", A, at(A))],
        entries: ENTRIES - 12,
    },
    Case {
        name: "overflow up to the high water mark",
        lie: |file| file.header(C).overflow.set(7),
        faults: &[("page/overflow-above-high-water-mark", C, at(C))],
        entries: ENTRIES - 4,
    },
    Case {
        name: "overflow as large as can be",
        lie: |file| file.header(C).overflow.set(u32::MAX),
        faults: &[("page/overflow-above-high-water-mark", C, at(C))],
        entries: ENTRIES - 4,
    },
    Case {
        name: "overflow beyond the end of a file cut short",
        lie: |file| {
            file.metas(|meta| meta.high_water_mark.set(100));
            file.header(C).overflow.set(50);
        },
        faults: &[CUT_SHORT, ("page/overflow-beyond-file", C, at(C))],
        entries: ENTRIES - 4,
    },
    Case {
        name: "overflow over the parent's page",
        lie: |file| file.header(C).overflow.set(1),
        faults: &[("overflow-overlap", C, at(C))],
        entries: ENTRIES - 4,
    },
    Case {
        name: "overflow over the next leaf: the one that comes first has it",
        lie: |file| file.header(A).overflow.set(1),
        faults: &[("reachable-twice", B, at(B))],
        entries: ENTRIES - 4,
    },
];

const ELEMENTS: &[Case] = &[
    Case {
        name: "an entry that begins in the table of elements",
        lie: |file| file.leaf_element(B, 1).pos.set(0),
        faults: &[("element/out-of-bounds", B, element(B, 1))],
        entries: ENTRIES - 1,
    },
    Case {
        name: "an entry that begins far behind the page",
        lie: |file| file.leaf_element(B, 1).pos.set(u32::MAX),
        faults: &[("element/out-of-bounds", B, element(B, 1))],
        entries: ENTRIES - 1,
    },
    Case {
        name: "the last entry ends one byte behind the page",
        lie: |file| {
            let element = file.leaf_element(B, 3);
            let start = 16 + 3 * 16 + element.pos.get() + element.key_size.get();
            element.value_size.set(1024 - start + 1);
        },
        faults: &[("element/out-of-bounds", B, element(B, 3))],
        entries: ENTRIES - 1,
    },
    Case {
        name: "the last entry ends with the page: sound",
        lie: |file| {
            let element = file.leaf_element(B, 3);
            let start = 16 + 3 * 16 + element.pos.get() + element.key_size.get();
            element.value_size.set(1024 - start);
        },
        faults: &[],
        entries: ENTRIES,
    },
    Case {
        name: "a key as long as can be",
        lie: |file| file.leaf_element(B, 1).key_size.set(u32::MAX),
        faults: &[("element/out-of-bounds", B, element(B, 1))],
        entries: ENTRIES - 1,
    },
    Case {
        name: "a value as long as can be",
        lie: |file| file.leaf_element(B, 1).value_size.set(u32::MAX),
        faults: &[("element/out-of-bounds", B, element(B, 1))],
        entries: ENTRIES - 1,
    },
    Case {
        name: "all of an element as large as can be",
        lie: |file| {
            let element = file.leaf_element(B, 1);
            element.pos.set(u32::MAX);
            element.key_size.set(u32::MAX);
            element.value_size.set(u32::MAX);
        },
        faults: &[("element/out-of-bounds", B, element(B, 1))],
        entries: ENTRIES - 1,
    },
    Case {
        name: "an entry that begins a byte before the one ahead of it ends",
        lie: |file| {
            let pos = &mut file.leaf_element(B, 1).pos;
            pos.set(pos.get() - 1);
        },
        faults: &[("element/overlap", B, element(B, 1))],
        entries: ENTRIES - 1,
    },
    Case {
        name: "a value that takes two bytes of the next entry",
        lie: |file| {
            let len = &mut file.leaf_element(B, 1).value_size;
            len.set(len.get() + 2);
        },
        faults: &[("element/overlap", B, element(B, 2))],
        entries: ENTRIES - 1,
    },
    Case {
        name: "a child whose key begins in the table of elements",
        lie: |file| file.branch_element(DATA, 1).pos.set(0),
        faults: &[("element/out-of-bounds", DATA, element(DATA, 1)), ("unreachable-unfreed", B, at(B))],
        entries: ENTRIES - 4,
    },
    Case {
        name: "a child whose key begins far behind the page",
        lie: |file| file.branch_element(DATA, 1).pos.set(u32::MAX),
        faults: &[("element/out-of-bounds", DATA, element(DATA, 1)), ("unreachable-unfreed", B, at(B))],
        entries: ENTRIES - 4,
    },
    Case {
        name: "a child with a key as long as can be",
        lie: |file| file.branch_element(DATA, 1).key_size.set(u32::MAX),
        faults: &[("element/out-of-bounds", DATA, element(DATA, 1)), ("unreachable-unfreed", B, at(B))],
        entries: ENTRIES - 4,
    },
    Case {
        name: "a child whose key begins before the one ahead of it ends",
        lie: |file| {
            let pos = &mut file.branch_element(DATA, 1).pos;
            pos.set(pos.get() - 1);
        },
        faults: &[("element/overlap", DATA, element(DATA, 1)), ("unreachable-unfreed", B, at(B))],
        entries: ENTRIES - 4,
    },
];

const KEYS: &[Case] = &[
    Case {
        name: "a key below the one before it",
        lie: |file| file.entry_bytes(B, 1)[1] = b'9',
        faults: &[("key-order", B, element(B, 2))],
        entries: ENTRIES,
    },
    Case {
        name: "a key twice",
        lie: |file| file.entry_bytes(B, 1)[1] = b'0',
        faults: &[("key-order", B, element(B, 1))],
        entries: ENTRIES,
    },
    Case {
        name: "a key below the parent's",
        lie: |file| file.entry_bytes(B, 0)[0] = b'a',
        faults: &[("key-below-parent", B, element(B, 0))],
        entries: ENTRIES,
    },
    Case {
        name: "a key above the parent's next",
        lie: |file| file.entry_bytes(B, 3)[0] = b'd',
        faults: &[("key-above-parent", B, element(B, 3))],
        entries: ENTRIES,
    },
    Case {
        name: "a key equal to the parent's next",
        lie: |file| file.entry_bytes(B, 3)[..2].copy_from_slice(b"c0"),
        faults: &[("key-above-parent", B, element(B, 3))],
        entries: ENTRIES,
    },
    Case {
        name: "the last leaf of a tree has no next key to stay below",
        lie: |file| file.entry_bytes(C, 3)[0] = b'z',
        faults: &[],
        entries: ENTRIES,
    },
    Case {
        name: "a branch's key above the next: its child's keys are below it, then",
        lie: |file| file.branch_key(DATA, 1)[0] = b'z',
        faults: &[("key-order", DATA, element(DATA, 2)), ("key-below-parent", B, element(B, 0))],
        entries: ENTRIES,
    },
    Case {
        name: "a branch's key twice",
        lie: |file| file.branch_key(DATA, 1)[0] = b'a',
        faults: &[("key-order", DATA, element(DATA, 1))],
        entries: ENTRIES,
    },
    Case {
        name: "an empty key",
        lie: |file| file.leaf_element(MORE, 0).key_size.set(0),
        faults: &[("key-size", MORE, element(MORE, 0))],
        entries: ENTRIES,
    },
    Case {
        name: "an empty key in a branch, as the first",
        lie: |file| file.branch_element(DATA, 0).key_size.set(0),
        faults: &[("key-size", DATA, element(DATA, 0))],
        entries: ENTRIES,
    },
    Case {
        name: "a key as long as bbolt takes: sound",
        lie: |file| *file = file_of_one_key(MAX_KEY_SIZE),
        faults: &[],
        entries: 1,
    },
    Case {
        name: "a key of one byte more",
        lie: |file| *file = file_of_one_key(MAX_KEY_SIZE + 1),
        faults: &[("key-size", 2, element(2, 0))],
        entries: 1,
    },
];

/// A file whose root bucket has one plain key of this many bytes.
fn file_of_one_key(len: usize) -> FileBuilder {
    let mut file = FileBuilder::new(1024);
    let root = file.leaf(&[plain(vec![b'k'; len], "v")]);
    file.root(root);
    file
}

const BUCKETS: &[Case] = &[
    Case {
        name: "an entry with unknown flags",
        lie: |file| file.leaf_element(MORE, 0).flags.set(2),
        faults: &[("entry-flags", MORE, at(MORE) + 48)],
        entries: ENTRIES,
    },
    Case {
        name: "a bucket with one flag more is read all the same",
        lie: |file| file.leaf_element(ROOT, 0).flags.set(0x8000_0001),
        faults: &[("entry-flags", ROOT, DATA_ENTRY)],
        entries: ENTRIES,
    },
    Case {
        name: "a plain value that calls itself a bucket, and is too short for one",
        lie: |file| file.leaf_element(MORE, 0).flags.set(1),
        faults: &[("bucket-header", MORE, at(MORE) + 48)],
        entries: ENTRIES,
    },
    Case {
        name: "a bucket's value is a byte too short",
        lie: |file| file.leaf_element(ROOT, 0).value_size.set(15),
        faults: &[("bucket-header", ROOT, DATA_ENTRY), ("unreachable-unfreed", A, at(A))],
        entries: ENTRIES - 12,
    },
    Case {
        name: "a bucket that calls itself inline, without a page behind it",
        lie: |file| file.bucket_header(ROOT, 0).root.set(0),
        faults: &[("bucket-header", ROOT, DATA_ENTRY), ("unreachable-unfreed", A, at(A))],
        entries: ENTRIES - 12,
    },
    Case {
        name: "an inline page is a byte too short for its header",
        lie: |file| file.leaf_element(ROOT, 1).value_size.set(16 + 15),
        faults: &[("bucket-header", ROOT, INLINE_ENTRY)],
        entries: ENTRIES - 2,
    },
    Case {
        name: "an inline page is cut within its table of elements",
        lie: |file| file.leaf_element(ROOT, 1).value_size.set(16 + 16 + 31),
        faults: &[("page/table-out-of-bounds", ROOT, INLINE_PAGE)],
        entries: ENTRIES - 2,
    },
    Case {
        name: "an inline page is cut within its last entry",
        lie: |file| {
            let len = &mut file.leaf_element(ROOT, 1).value_size;
            len.set(len.get() - 1);
        },
        faults: &[("element/out-of-bounds", ROOT, INLINE_PAGE + 32)],
        entries: ENTRIES - 1,
    },
    Case {
        name: "an inline page claims too many elements",
        lie: |file| file.inline_header(ROOT, 1).count.set(u16::MAX),
        faults: &[("page/table-out-of-bounds", ROOT, INLINE_PAGE)],
        entries: ENTRIES - 2,
    },
    Case {
        name: "an inline page that calls itself a branch",
        lie: |file| file.inline_header(ROOT, 1).flags.set(BRANCH),
        faults: &[("page/wrong-kind", ROOT, INLINE_PAGE)],
        entries: ENTRIES - 2,
    },
    Case {
        name: "an inline page of no kind",
        lie: |file| file.inline_header(ROOT, 1).flags.set(0),
        faults: &[("page/unknown-kind", ROOT, INLINE_PAGE)],
        entries: ENTRIES - 2,
    },
    Case {
        name: "an inline page's id and overflow mean nothing",
        lie: |file| {
            file.inline_header(ROOT, 1).id.set(u64::MAX);
            file.inline_header(ROOT, 1).overflow.set(u32::MAX);
        },
        faults: &[],
        entries: ENTRIES,
    },
    Case {
        name: "an entry of an inline page as long as can be",
        lie: |file| file.inline_element(ROOT, 1, 0).value_size.set(u32::MAX),
        faults: &[("element/out-of-bounds", ROOT, INLINE_PAGE + 16)],
        entries: ENTRIES - 1,
    },
    Case {
        name: "an entry of an inline page as far as can be",
        lie: |file| file.inline_element(ROOT, 1, 1).pos.set(u32::MAX),
        faults: &[("element/out-of-bounds", ROOT, INLINE_PAGE + 32)],
        entries: ENTRIES - 1,
    },
    Case {
        name: "an inline bucket that names a page: another bucket's",
        lie: |file| file.bucket_header(ROOT, 1).root.set(MORE),
        faults: &[("reachable-twice", MORE, at(MORE))],
        entries: ENTRIES - 2,
    },
    Case {
        name: "a sequence may be anything",
        lie: |file| file.bucket_header(ROOT, 0).sequence.set(u64::MAX),
        faults: &[],
        entries: ENTRIES,
    },
];

const FREELISTS: &[Case] = &[
    Case {
        name: "the freelist calls itself a leaf",
        lie: |file| file.header(FREED).flags.set(LEAF),
        faults: &[("freelist/wrong-kind", FREED, at(FREED))],
        entries: ENTRIES,
    },
    Case {
        name: "the freelist is of no kind",
        lie: |file| file.header(FREED).flags.set(0x20),
        faults: &[("freelist/unknown-kind", FREED, at(FREED))],
        entries: ENTRIES,
    },
    Case {
        name: "the freelist is nothing but zeros",
        lie: |file| file.page_bytes(FREED).fill(0),
        faults: &[("freelist/zeroed", FREED, at(FREED))],
        entries: ENTRIES,
    },
    Case {
        name: "the freelist has another id",
        lie: |file| file.header(FREED).id.set(FREE),
        faults: &[("freelist/wrong-id", FREED, at(FREED))],
        entries: ENTRIES,
    },
    Case {
        name: "the freelist's overflow passes the high water mark",
        lie: |file| file.header(FREED).overflow.set(1),
        faults: &[("freelist/overflow-above-high-water-mark", FREED, at(FREED))],
        entries: ENTRIES,
    },
    Case {
        name: "the freelist's overflow passes the end of a file cut short",
        lie: |file| {
            file.metas(|meta| meta.high_water_mark.set(100));
            file.header(FREED).overflow.set(50);
        },
        faults: &[CUT_SHORT, ("freelist/overflow-beyond-file", FREED, at(FREED))],
        entries: ENTRIES,
    },
    Case {
        name: "the meta names a freelist at the high water mark",
        lie: |file| file.metas(|meta| meta.freelist.set(END)),
        faults: &[("freelist/above-high-water-mark", END, at(END))],
        entries: ENTRIES,
    },
    Case {
        name: "the meta names a freelist beyond the end of a file cut short",
        lie: |file| {
            file.metas(|meta| meta.freelist.set(50));
            file.metas(|meta| meta.high_water_mark.set(100));
        },
        faults: &[CUT_SHORT, ("freelist/beyond-file", 50, at(50))],
        entries: ENTRIES,
    },
    Case {
        name: "the meta names itself as freelist",
        lie: |file| file.metas(|meta| meta.freelist.set(0)),
        faults: &[("freelist/wrong-kind", 0, 0)],
        entries: ENTRIES,
    },
    Case {
        name: "the freelist's count is larger than its page",
        lie: |file| file.header(FREED).count.set(127),
        faults: &[("freelist/table-out-of-bounds", FREED, at(FREED))],
        entries: ENTRIES,
    },
    Case {
        name: "the freelist's count is one too few",
        lie: |file| file.header(FREED).count.set(1),
        faults: &[("unreachable-unfreed", FREE + 1, at(FREE + 1))],
        entries: ENTRIES,
    },
    Case {
        name: "the freelist's count is one too many: the next slot is zero",
        lie: |file| file.header(FREED).count.set(3),
        faults: &[("freelist-out-of-bounds", 0, slot(2))],
        entries: ENTRIES,
    },
    Case {
        name: "the count in the first slot is larger than the page",
        lie: |file| {
            file.header(FREED).count.set(u16::MAX);
            file.freelist_slot(FREED, 0).set(126);
        },
        faults: &[("freelist/table-out-of-bounds", FREED, at(FREED))],
        entries: ENTRIES,
    },
    Case {
        name: "the count in the first slot is as large as can be",
        lie: |file| {
            file.header(FREED).count.set(u16::MAX);
            file.freelist_slot(FREED, 0).set(u64::MAX);
        },
        faults: &[("freelist/table-out-of-bounds", FREED, at(FREED))],
        entries: ENTRIES,
    },
    Case {
        name: "the count in the first slot is less than it is for",
        lie: |file| {
            file.header(FREED).count.set(u16::MAX);
            file.freelist_slot(FREED, 0).set(1);
        },
        faults: &[("unreachable-unfreed", FREE, at(FREE))],
        entries: ENTRIES,
    },
    Case {
        name: "an id twice",
        lie: |file| file.freelist_slot(FREED, 1).set(FREE),
        faults: &[("freelist-duplicate", FREE, slot(1)), ("unreachable-unfreed", FREE + 1, at(FREE + 1))],
        entries: ENTRIES,
    },
    Case {
        name: "the id of a meta page",
        lie: |file| file.freelist_slot(FREED, 0).set(1),
        faults: &[("freelist-out-of-bounds", 1, slot(0)), ("unreachable-unfreed", FREE, at(FREE))],
        entries: ENTRIES,
    },
    Case {
        name: "an id at the high water mark",
        lie: |file| file.freelist_slot(FREED, 1).set(END),
        faults: &[("freelist-out-of-bounds", END, slot(1)), ("unreachable-unfreed", FREE + 1, at(FREE + 1))],
        entries: ENTRIES,
    },
    Case {
        name: "an id that no file has",
        lie: |file| file.freelist_slot(FREED, 1).set(u64::MAX),
        faults: &[
            ("freelist-out-of-bounds", u64::MAX, slot(1)),
            ("unreachable-unfreed", FREE + 1, at(FREE + 1)),
        ],
        entries: ENTRIES,
    },
    Case {
        name: "the id of a page in use",
        lie: |file| file.freelist_slot(FREED, 1).set(B),
        faults: &[("reachable-freed", B, at(B)), ("unreachable-unfreed", FREE + 1, at(FREE + 1))],
        entries: ENTRIES,
    },
];

const METAS: &[Case] = &[
    Case {
        name: "meta 0 was changed after its checksum was made",
        lie: |file| file.meta_unsealed(0, |meta| meta.high_water_mark.set(99)),
        faults: &[("meta/checksum", 0, 0)],
        entries: ENTRIES,
    },
    Case {
        name: "meta 1 was changed after its checksum was made",
        lie: |file| file.meta_unsealed(1, |meta| meta.root.root.set(99)),
        faults: &[("meta/checksum", 1, at(1))],
        entries: ENTRIES,
    },
    Case {
        name: "meta 0 has no magic number",
        lie: |file| file.meta(0, |meta| meta.magic.set(0)),
        faults: &[("meta/magic", 0, 0)],
        entries: ENTRIES,
    },
    Case {
        name: "meta 1 has its magic number the other way round",
        lie: |file| file.meta(1, |meta| meta.magic.set(MAGIC.swap_bytes())),
        faults: &[("meta/byte-swapped", 1, at(1))],
        entries: ENTRIES,
    },
    Case {
        name: "meta 0 is of another version",
        lie: |file| file.meta(0, |meta| meta.version.set(3)),
        faults: &[("meta/version", 0, 0)],
        entries: ENTRIES,
    },
    Case {
        name: "meta 0 states a page size that is no power of two",
        lie: |file| file.meta(0, |meta| meta.page_size.set(1000)),
        faults: &[("meta/page-size", 0, 0)],
        entries: ENTRIES,
    },
    Case {
        name: "meta 0 states no page size",
        lie: |file| file.meta(0, |meta| meta.page_size.set(0)),
        faults: &[("meta/page-size", 0, 0)],
        entries: ENTRIES,
    },
    Case {
        name: "meta 1 states a page size below the smallest",
        lie: |file| file.meta(1, |meta| meta.page_size.set(256)),
        faults: &[("meta/page-size", 1, at(1))],
        entries: ENTRIES,
    },
    Case {
        name: "meta 1 states a page size above the largest",
        lie: |file| file.meta(1, |meta| meta.page_size.set(1 << 25)),
        faults: &[("meta/page-size", 1, at(1))],
        entries: ENTRIES,
    },
    Case {
        name: "both metas are valid, but meta 1 states another page size",
        lie: |file| file.meta(1, |meta| meta.page_size.set(2048)),
        faults: &[("meta/misplaced", 1, at(1))],
        entries: ENTRIES,
    },
    Case {
        name: "both metas are valid, but meta 0 states another page size: bbolt believes it, too",
        lie: |file| file.meta(0, |meta| meta.page_size.set(2048)),
        faults: &[
            ("meta/magic", 1, 2048),
            CUT_SHORT,
            ("freelist/beyond-file", FREED, 2048 * FREED),
            ("page/beyond-file", ROOT, 2048 * ROOT),
        ],
        entries: 0,
    },
    Case {
        name: "the file ends within meta 1",
        lie: |file| file.truncate(1024 + 79),
        faults: &[
            ("meta/missing", 1, at(1)),
            ("file-cut-short", NO_PAGE, 1024 + 79),
            ("freelist/beyond-file", FREED, at(FREED)),
            ("page/beyond-file", ROOT, at(ROOT)),
        ],
        entries: 0,
    },
    Case {
        name: "the high water mark is 0",
        lie: |file| file.metas(|meta| meta.high_water_mark.set(0)),
        faults: &[
            ("freelist/above-high-water-mark", FREED, at(FREED)),
            ("page/above-high-water-mark", ROOT, at(ROOT)),
        ],
        entries: 0,
    },
    Case {
        name: "the high water mark is one too low: the freelist is lost",
        lie: |file| file.metas(|meta| meta.high_water_mark.set(FREED)),
        faults: &[("freelist/above-high-water-mark", FREED, at(FREED))],
        entries: ENTRIES,
    },
    Case {
        name: "the high water mark is one too high",
        lie: |file| file.metas(|meta| meta.high_water_mark.set(END + 1)),
        faults: &[CUT_SHORT],
        entries: ENTRIES,
    },
    Case {
        name: "the high water mark is as high as can be",
        lie: |file| file.metas(|meta| meta.high_water_mark.set(u64::MAX)),
        faults: &[CUT_SHORT],
        entries: ENTRIES,
    },
    Case {
        name: "pages beyond the high water mark are no fault",
        lie: |file| file.tail(3),
        faults: &[],
        entries: ENTRIES,
    },
    Case {
        name: "the root bucket's sequence may be anything",
        lie: |file| file.metas(|meta| meta.root.sequence.set(u64::MAX)),
        faults: &[],
        entries: ENTRIES,
    },
    Case {
        name: "unused flags of a meta may be anything",
        lie: |file| file.metas(|meta| meta.flags.set(u32::MAX)),
        faults: &[],
        entries: ENTRIES,
    },
];

const DEPTHS: &[Case] = &[
    Case {
        name: "a tree as deep as can be",
        lie: |file| *file = chain_of_branches(MAX_DEPTH - 1),
        faults: &[],
        entries: 4,
    },
    Case {
        name: "a tree one level deeper",
        lie: |file| *file = chain_of_branches(MAX_DEPTH),
        faults: &[("too-deep", 2, at(2))],
        entries: 3,
    },
    Case {
        name: "a tree a thousand levels deep",
        lie: |file| *file = chain_of_branches(1000),
        faults: &[("too-deep", 2 + 1000 - MAX_DEPTH as u64, at(2 + 1000 - MAX_DEPTH as u64))],
        entries: 3,
    },
];

/// A bucket `deep` with this many branches above its one leaf, on page 2, of one entry; and a bucket `sound`.
pub fn chain_of_branches(branches: u32) -> FileBuilder {
    let mut file = FileBuilder::new(1024);
    let mut top = file.leaf(&[plain("k", "v")]);
    for _ in 0..branches {
        top = file.branch(&[("k", top)]);
    }
    let sound = file.leaf(&[plain("k", "v")]);
    let root = file.leaf(&[bucket("deep", top), bucket("sound", sound)]);
    file.root(root);
    file
}

/// Every lie.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    [REFERENCES, HEADERS, ELEMENTS, KEYS, BUCKETS, FREELISTS, METAS, DEPTHS].into_iter().flatten()
}
