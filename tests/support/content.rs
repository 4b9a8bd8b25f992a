//! What a file holds, read in the plainest way: page by page from the root down, without the walk and without anything
//! that the writer or a defrag use, so that it can judge both.

use std::collections::VecDeque;

use etcd_medic::internals::bolt::page::Page;
use etcd_medic::internals::bolt::{Db, PageId};

/// One bucket. Two files hold the same if their buckets are equal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Content<'a> {
    /// The number of the bucket around it, in the list of all; the root bucket has none.
    pub parent: Option<usize>,
    /// Its name; empty for the root bucket.
    pub name: &'a [u8],
    /// Its counter.
    pub sequence: u64,
    /// Its entries in the order of the file: key, and value; `None` for a bucket.
    pub entries: Vec<(&'a [u8], Option<&'a [u8]>)>,
}

/// Where a bucket lies.
#[derive(Clone, Copy)]
enum Root<'a> {
    Page(PageId),
    /// Behind its header.
    Inline(&'a [u8]),
}

/// All buckets of a sound file: the root bucket, those in it by name, those in the first of these, and so on; and
/// whether each is inline.
pub fn contents_and_places(db: &Db) -> (Vec<Content<'_>>, Vec<bool>) {
    let meta = db.meta();
    let root = Content { parent: None, name: b"", sequence: meta.sequence, entries: Vec::new() };
    let mut waiting = VecDeque::from([(root, Root::Page(meta.root))]);
    let (mut contents, mut inline) = (Vec::new(), Vec::new());
    while let Some((mut content, root)) = waiting.pop_front() {
        let number = contents.len();
        for leaf in leaves(db, root) {
            for entry in leaf.leaf().expect("a leaf").entries() {
                let entry = entry.expect("an entry");
                let plain = (!entry.is_bucket()).then_some(entry.value);
                content.entries.push((entry.key, plain));
                let Some(header) = entry.bucket_header() else { continue };
                let root = match header.root.get() {
                    0 => Root::Inline(entry.inline_page()),
                    page => Root::Page(PageId(page)),
                };
                let sequence = header.sequence.get();
                let inside = Content { parent: Some(number), name: entry.key, sequence, entries: Vec::new() };
                waiting.push_back((inside, root));
            }
        }
        contents.push(content);
        inline.push(matches!(root, Root::Inline(_)));
    }
    (contents, inline)
}

/// All buckets of a sound file.
pub fn contents(db: &Db) -> Vec<Content<'_>> {
    contents_and_places(db).0
}

/// The leaves of a bucket, in order. Each branch's keys must be the first ones of its children.
fn leaves<'a>(db: &'a Db, root: Root<'a>) -> Vec<Page<'a>> {
    let root = match root {
        Root::Page(page) => page,
        Root::Inline(bytes) => return vec![Page::new(PageId(0), 0, bytes).expect("a page")],
    };
    let mut leaves = Vec::new();
    let mut waiting = vec![(root, None)];
    while let Some((id, key)) = waiting.pop() {
        let page = db.page(id).unwrap_or_else(|error| panic!("page {id:?}: {error}"));
        let first = if let Ok(branch) = page.branch() {
            let children: Vec<_> = branch.children().map(|child| child.expect("a child")).collect();
            waiting.extend(children.iter().rev().map(|child| (child.page, Some(child.key))));
            children.first().map(|child| child.key)
        } else {
            leaves.push(page);
            let leaf = page.leaf().expect("a branch or a leaf");
            leaf.entry_at(0).map(|entry| entry.expect("an entry").key)
        };
        // bbolt's own branches may name a key that is gone by now: it is only a bound
        assert!(
            key.is_none_or(|key| first.is_none_or(|first| key <= first)),
            "page {id:?}: {key:?} {first:?}"
        );
    }
    leaves
}

/// Both files hold the same buckets with the same entries; says which is the first that differs.
pub fn assert_equal_contents(left: &[Content<'_>], right: &[Content<'_>], of: &str) {
    assert_eq!(left.len(), right.len(), "{of}: buckets");
    for (left, right) in left.iter().zip(right) {
        let name = String::from_utf8_lossy(left.name);
        assert_eq!(
            (left.parent, left.name, left.sequence),
            (right.parent, right.name, right.sequence),
            "{of}: bucket {name}"
        );
        assert_eq!(left.entries.len(), right.entries.len(), "{of}: entries of bucket {name}");
        let differs = left.entries.iter().zip(&right.entries).position(|(left, right)| left != right);
        assert_eq!(differs, None, "{of}: bucket {name}: this entry differs");
    }
}
