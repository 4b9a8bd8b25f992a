//! Trees that no root reaches, and of which nothing shows the bucket.
//!
//! They are always counted. With `--best-effort`, the copy has each in a bucket named after its page, and all of these in the bucket
//! `lost+found`.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::bolt::PageId;
use crate::bolt::claims::Claims;
use crate::bolt::format::BUCKET_FLAG;
use crate::bolt::orphan::Orphans;
use crate::bolt::page::Entry;
use crate::text::ByteText;

use super::forest::{Forest, TreeNodeKind};
use super::gaps::Gaps;
use super::open::Wreck;
use super::roots::{Candidate, new_claims};
use super::saved_bucket::SavedBucket;
use super::trunk::Trunk;

/// The bucket of the copy that has them, named as in file systems.
const LOST_AND_FOUND: &str = "lost+found";

/// Trees that are listed.
const MAX_LISTED: usize = 100;

/// What can be read in pages that no root reaches, and nothing tells which bucket it is of.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Unreached {
    /// Plain entries.
    pub entries: u64,
    /// Buckets.
    pub buckets: u64,
    /// Trees that they are in.
    pub num_trees: u64,
    /// Whether the copy has it: with `--best-effort`.
    pub taken: bool,
    /// The bucket of the copy that has it, `lost+found`; `null` for none.
    pub bucket: Option<ByteText>,
    /// The trees, at most 100: those with most in them first.
    pub trees: Vec<UnreachedTree>,
}

/// A tree that no root reaches.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UnreachedTree {
    /// Its first page.
    pub page: u64,
    /// Plain entries.
    pub entries: u64,
    /// Buckets.
    pub buckets: u64,
}

/// A node that no root reaches, and all below it that no other tree has.
#[derive(Debug)]
pub struct LooseTree<'a> {
    pub page: PageId,
    /// Its entries, and the buckets among them.
    pub trunk: Trunk<'a>,
}

/// Reads all that lies in these nodes and below none of the roots. Each page is read once, with the tree that has most below it.
pub fn read<'a>(wreck: &'a Wreck, orphans: &Orphans<'a>, roots: &[Candidate<'a>]) -> Vec<LooseTree<'a>> {
    let claims = new_claims(wreck);
    roots.iter().for_each(|root| claims.add(&root.claims));
    let forest = Forest::of(&wreck.db, orphans);
    let mut trees = Vec::new();
    for node in forest.ranked() {
        let trunk = match node.kind {
            _ if claims.contains(node.page) => continue,
            TreeNodeKind::Branch(_) => Trunk::read(&wreck.db, node.page, 0, &claims),
            TreeNodeKind::Leaf(leaf) => {
                // what overlaps another leaf was cut there
                let _ = claims.insert_run(leaf.page, leaf.pages);
                Trunk::of_entries(&wreck.db, leaf.entries.clone(), &claims)
            }
        };
        trees.push(LooseTree { page: node.page, trunk });
    }
    let trunks = roots.iter().map(|root| &root.trunk).chain(trees.iter().map(|tree| &tree.trunk));
    let rest = left_over(wreck, orphans, trunks, &claims);
    trees.extend(rest);
    trees.retain(|tree| tree.trunk.num_values() > 0);
    trees
}

/// Entries of leaves that a tree has claimed and not taken: they lie outside the range that the branch above has for the leaf, as
/// another leaf was written to that page since.
fn left_over<'t, 'a: 't>(
    wreck: &'a Wreck,
    orphans: &Orphans<'a>,
    trunks: impl Iterator<Item = &'t Trunk<'a>>,
    claims: &Claims,
) -> Vec<LooseTree<'a>> {
    if orphans.leaves.is_empty() {
        return Vec::new();
    }
    let place = |entry: &Entry<'_>| wreck.db.offset_in_file(entry.key);
    let buckets = trunks.flat_map(|trunk| &trunk.buckets);
    let mut taken: Vec<_> = buckets.flat_map(|bucket| &bucket.tree.entries).filter_map(place).collect();
    taken.sort_unstable();
    // several roots may have found the same leaf
    let mut seen = HashSet::new();
    let mut is_left = |entry: &&Entry<'a>| {
        place(entry).is_some_and(|place| taken.binary_search(&place).is_err() && seen.insert(place))
    };
    let left = orphans.leaves.iter().map(|leaf| {
        let entries = leaf.entries.iter().filter(&mut is_left).copied().collect();
        LooseTree { page: leaf.page, trunk: Trunk::of_entries(&wreck.db, entries, claims) }
    });
    left.collect()
}

/// What the report says about them.
pub fn summary(trees: &[LooseTree<'_>], taken: bool) -> Unreached {
    let tree = |tree: &LooseTree<'_>| UnreachedTree {
        page: tree.page.0,
        entries: tree.trunk.num_values(),
        buckets: tree.trunk.buckets.len().saturating_sub(1) as u64,
    };
    let all: Vec<_> = trees.iter().map(tree).collect();
    let sum = |figure: fn(&UnreachedTree) -> u64| all.iter().map(figure).fold(0, u64::saturating_add);
    Unreached {
        entries: sum(|tree| tree.entries),
        buckets: sum(|tree| tree.buckets),
        num_trees: all.len() as u64,
        bucket: None,
        taken,
        trees: all.into_iter().take(MAX_LISTED).collect(),
    }
}

/// Puts them into the copy. Returns the name of the bucket that has them.
pub fn put<'a>(
    wreck: &'a Wreck,
    buckets: &mut Vec<SavedBucket<'a>>,
    trees: Vec<LooseTree<'a>>,
) -> Option<ByteText> {
    if trees.is_empty() {
        return None;
    }
    let is_free = |name: &String| {
        buckets.iter().all(|bucket| bucket.parent != Some(0) || bucket.name != name.as_bytes())
    };
    let more = (2..).map(|number: u64| format!("{LOST_AND_FOUND} {number}"));
    let name = std::iter::once(LOST_AND_FOUND.to_owned()).chain(more).find(is_free)?;
    let names = names_of(&trees);
    let names = wreck.made_names.get_or_init(|| std::iter::once(name).chain(names).collect());
    let (name, names) = names.split_first()?;
    let around = SavedBucket::add(buckets, name.as_bytes(), Gaps::default());
    let mut entries = Vec::new();
    for (tree, name) in trees.into_iter().zip(names) {
        entries.push(Entry { flags: BUCKET_FLAG, key: name.as_bytes(), value: &[], start: 0 });
        put_tree(buckets, (around, name.as_bytes()), tree.trunk);
    }
    entries.sort_by(|a, b| a.key.cmp(b.key));
    if let Some(bucket) = buckets.get_mut(around) {
        bucket.entries = entries;
    }
    Some(ByteText::from(name.as_bytes()))
}

/// A name for each tree: two of them may be parts of one leaf.
fn names_of(trees: &[LooseTree<'_>]) -> Vec<String> {
    let mut parts: HashMap<PageId, u64> = HashMap::new();
    let name = |tree: &LooseTree<'_>| {
        let part = parts.entry(tree.page).or_default();
        *part = part.saturating_add(1);
        if *part == 1 { format!("page {}", tree.page) } else { format!("page {} part {part}", tree.page) }
    };
    trees.iter().map(name).collect()
}

/// Puts a tree into a bucket of the copy, under a name.
fn put_tree<'a>(buckets: &mut Vec<SavedBucket<'a>>, (around, name): (usize, &'a [u8]), trunk: Trunk<'a>) {
    let first = buckets.len();
    for bucket in trunk.buckets {
        let (parent, name) = match bucket.parent {
            Some(parent) => (first.saturating_add(parent), bucket.name),
            None => (around, name),
        };
        let mut entries = bucket.tree.entries;
        entries.sort_by(|a, b| a.key.cmp(b.key));
        entries.dedup_by(|later, first| later.key == first.key);
        buckets.push(SavedBucket {
            sequence: bucket.sequence,
            from_orphans: entries.iter().filter(|entry| !entry.is_bucket()).count() as u64,
            entries,
            ..SavedBucket::empty(Some(parent), name)
        });
    }
}
