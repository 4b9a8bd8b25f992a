//! A bucket: which it is, what its entry says of it, and its path.

#![deny(clippy::arithmetic_side_effects)]

use super::format::PageId;
use super::page::Page;

/// Which bucket, by the order in which a walk found them; 0 is the root bucket.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BucketId(pub u32);

impl BucketId {
    /// The bucket that holds the top-level buckets.
    pub const ROOT: Self = Self(0);
}

/// A bucket, as the entry that holds it says.
#[derive(Clone, Copy, Debug)]
pub struct Bucket<'a> {
    /// The bucket that it is in; `None` for the root bucket.
    pub parent: Option<BucketId>,
    /// Its name: the entry's key. Empty for the root bucket.
    pub name: &'a [u8],
    pub sequence: u64,
    /// Where its entries are.
    pub root: BucketRoot<'a>,
}

/// Where a bucket's entries are.
#[derive(Clone, Copy, Debug)]
pub enum BucketRoot<'a> {
    /// In a tree that begins at this page.
    Page(PageId),
    /// In the value of its own entry.
    Inline(Page<'a>),
}

/// Names from a top-level bucket down to this one, with slashes between. Where the names around it are very long, they
/// give way to an ellipsis: a path must not be longer for every bucket within than its bucket is in the file.
pub fn path_of(buckets: &[Bucket<'_>], id: BucketId) -> Vec<u8> {
    const MAX_BYTES_AROUND: usize = 256;
    let bucket = |id: BucketId| buckets.get(id.0 as usize);
    let mut names = vec![bucket(id).map(|bucket| bucket.name).unwrap_or_default()];
    let mut around = 0usize;
    let mut parent = bucket(id).and_then(|bucket| bucket.parent);
    while let Some(outer) = parent.filter(|&outer| outer != BucketId::ROOT).and_then(bucket) {
        around = around.saturating_add(outer.name.len()).saturating_add(1);
        if around > MAX_BYTES_AROUND {
            names.push("…".as_bytes());
            break;
        }
        names.push(outer.name);
        parent = outer.parent;
    }
    names.reverse();
    names.join(&b'/')
}

/// The same for what is beside each finding and page: names that are themselves very long are cut, too.
pub fn short_path_of(buckets: &[Bucket<'_>], id: BucketId) -> Vec<u8> {
    const SHOWN: (usize, usize) = (400, 100);
    let path = path_of(buckets, id);
    let (first, last) = (path.get(..SHOWN.0), path.len().checked_sub(SHOWN.1).and_then(|at| path.get(at..)));
    match first.zip(last) {
        Some((first, last)) if path.len() > SHOWN.0.saturating_add(SHOWN.1) => {
            [whole_characters(first), "…".as_bytes(), behind_a_character(last)].concat()
        }
        _ => path,
    }
}

/// Without the beginning of a character of several bytes at its end.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    match str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => bytes.get(..error.valid_up_to()).unwrap_or_default(),
        _ => bytes,
    }
}

/// Without the end of a character at its beginning.
fn behind_a_character(bytes: &[u8]) -> &[u8] {
    let rest = bytes.iter().take(3).take_while(|&&byte| byte & 0xC0 == 0x80).count();
    bytes.get(rest..).unwrap_or_default()
}
