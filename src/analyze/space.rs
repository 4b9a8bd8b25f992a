//! Where the bytes are: classes that add up to the file's size.

use serde::Serialize;
use strum::IntoStaticStr;

use crate::bolt::Db;
use crate::etcd::trailer::trailer_size;
use crate::scan::Scan;

/// A class of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, IntoStaticStr)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ByteClass {
    /// The two meta pages.
    Meta,
    /// Pages of the stored freelist that no tree reaches; 0 in etcd's files on Linux.
    Freelist,
    /// The 16-byte headers of branch and leaf pages, and of inline buckets.
    NodeHeaders,
    /// Element tables of branches and leaves: 16 bytes an element.
    NodeElements,
    /// Keys, in branches and leaves; names of buckets are keys.
    Keys,
    /// Values.
    Values,
    /// The 16-byte headers that buckets have where other entries have their value.
    BucketHeaders,
    /// Unused bytes inside reachable branches and leaves.
    Slack,
    /// Pages that something refers to, but that can't be read as a node.
    Damaged,
    /// Pages below the high water mark that are free.
    Free,
    /// Pages that are neither reachable nor in the stored freelist; always 0 where none is stored, or it can't be read.
    Leaked,
    /// Bytes past the high water mark, or past the last whole page of a file that was cut short.
    Tail,
    /// The 32 bytes of SHA-256 after a snapshot.
    Trailer,
}

/// How many bytes are of a class.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClassBytes {
    /// The class. All of them are listed, in the order of their description here.
    pub class: ByteClass,
    /// Bytes of this class; 0 where there are none.
    pub bytes: u64,
}

/// Every byte of the file. The bytes of all classes add up to `total_bytes`.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Space {
    /// Size of the file.
    pub total_bytes: u64,
    /// Bytes of the pages that something refers to: metas, freelist, nodes, damaged ones.
    pub in_use_bytes: u64,
    /// Bytes of free pages, as bbolt counts them: the class `free`.
    pub free_bytes: u64,
    /// The classes, which add up to `total_bytes`.
    pub classes: Vec<ClassBytes>,
}

impl Space {
    /// Accounts for every byte of the file.
    ///
    /// # Panics
    /// If the classes don't add up to the file's size: that would be a mistake of this program, not of the file, and
    /// no figure of the report could be believed.
    pub fn of(db: &Db, scan: &Scan<'_>) -> Self {
        let page_size = db.page_size();
        let total = scan.total();
        let sizes = total.sizes;
        let metas = db.num_pages().min(2) * page_size;
        let freelist = scan.freelist.as_ref().map_or(0, |list| list.own_pages * page_size);
        // what is inline in a node was counted there as a whole, and as a node by itself where it could be read
        let nodes =
            [sizes.header, sizes.elements, sizes.keys, sizes.values, sizes.bucket_headers, sizes.slack];
        let inline_nodes = nodes.iter().sum::<u64>() + sizes.inline_pages - total.page_bytes;
        let inline_damaged = sizes.inline_pages - inline_nodes;
        let reached = scan.reached_pages * page_size;
        let damaged = reached - metas - freelist - total.page_bytes + inline_damaged;
        let free = scan.free_pages() * page_size;
        let leaked = scan.leaked_pages() * page_size;
        let behind = db.file_size() - db.num_pages() * page_size;
        let trailer = trailer_size(db.file_size()).min(behind);
        let classes = [
            (ByteClass::Meta, metas),
            (ByteClass::Freelist, freelist),
            (ByteClass::NodeHeaders, sizes.header),
            (ByteClass::NodeElements, sizes.elements),
            (ByteClass::Keys, sizes.keys),
            (ByteClass::Values, sizes.values),
            (ByteClass::BucketHeaders, sizes.bucket_headers),
            (ByteClass::Slack, sizes.slack),
            (ByteClass::Damaged, damaged),
            (ByteClass::Free, free),
            (ByteClass::Leaked, leaked),
            (ByteClass::Tail, behind - trailer),
            (ByteClass::Trailer, trailer),
        ];
        let sum: u64 = classes.iter().map(|&(_, bytes)| bytes).sum();
        assert_eq!(sum, db.file_size(), "the classes of bytes don't add up to the file's size: {classes:?}");
        let classes = classes.map(|(class, bytes)| ClassBytes { class, bytes }).to_vec();
        Self { total_bytes: db.file_size(), in_use_bytes: reached, free_bytes: free, classes }
    }

    /// Bytes of one class.
    pub fn bytes_of(&self, class: ByteClass) -> u64 {
        self.classes.iter().find(|row| row.class == class).map_or(0, |row| row.bytes)
    }
}
