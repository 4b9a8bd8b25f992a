//! Roots: those that the metas name, and if these lead nowhere, nodes that hold buckets.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::bolt::bucket::{Bucket, BucketId, BucketRoot};
use crate::bolt::claims::Claims;
use crate::bolt::entries::{End, outermost_entry};
use crate::bolt::format::PageKind;
use crate::bolt::meta::Meta;
use crate::bolt::orphan::{OrphanBranch, OrphanLeaf, Orphans};
use crate::bolt::page::{Entry, Page};
use crate::bolt::{Db, PageId};
use crate::etcd::schema::{ETCD_BUCKETS, KEY_BUCKET};
use crate::etcd::{RecordKey, Revision};

use super::forest::{Forest, TreeNode, TreeNodeKind};
use super::found::Tier;
use super::open::Wreck;
use super::trunk::Trunk;

/// Roots without a meta that are read whole, to find the best of them.
const MAX_CANDIDATES: usize = 8;

/// Leaves that a root branch of etcd's has at most: one for each of its buckets.
const MAX_ROOT_LEAVES: usize = 10;

/// Where the trees of the copy begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub struct Root {
    /// Its page; `null` where no root was found.
    pub page: Option<PageId>,
    /// Where it was found.
    pub from: RootSource,
}

/// Where a root was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RootSource {
    /// The active meta.
    ActiveMeta,
    /// The other meta.
    OlderMeta,
    /// A meta of which the checksum alone is wrong.
    UnsealedMeta,
    /// A node that holds buckets, as no meta leads to one.
    Searched,
    /// Nowhere.
    Nowhere,
}

/// A root, and what is below it.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// What is below it.
    pub trunk: Trunk<'a>,
    /// The pages that it reaches.
    pub claims: Claims,
    /// Where its records are counted.
    pub tier: Tier,
    /// Where it was found.
    pub root: Root,
}

impl<'a> Candidate<'a> {
    fn read(wreck: &'a Wreck, (page, sequence): (PageId, u64), tier: Tier, from: RootSource) -> Self {
        let claims = new_claims(wreck);
        let trunk = Trunk::read(&wreck.db, page, sequence, &claims);
        Self { trunk, claims, tier, root: Root { page: Some(page), from } }
    }

    /// The root that a meta names.
    fn of_meta(wreck: &'a Wreck, meta: &Meta, tier: Tier, from: RootSource) -> Self {
        let candidate = Self::read(wreck, (meta.root, meta.sequence), tier, from);
        if candidate.trunk.may_be_root() || (from == RootSource::ActiveMeta && wreck.is_readable()) {
            return candidate;
        }
        // another page lies in its place
        Self { trunk: Trunk::lost(meta.root), claims: new_claims(wreck), ..candidate }
    }

    /// Whether it leads to any bucket, or a meta that can be believed leads to a root without one.
    pub fn leads_somewhere(&self) -> bool {
        let is_of_a_meta = matches!(self.root.from, RootSource::ActiveMeta | RootSource::OlderMeta);
        self.trunk.buckets.len() > 1 || (is_of_a_meta && self.trunk.num_gaps() == 0)
    }
}

/// Only the pages of the metas are claimed.
pub fn new_claims(wreck: &Wreck) -> Claims {
    let claims = Claims::new(wreck.db.num_pages());
    for page in [PageId(0), PageId(1)] {
        claims.insert(page);
    }
    claims
}

/// The roots that the metas name, the latest first.
pub fn of_metas(wreck: &Wreck) -> Vec<Candidate<'_>> {
    let mut metas: Vec<_> = wreck.metas.iter().filter_map(|meta| meta.ok()).collect();
    metas.sort_by_key(|meta| Reverse(meta.txid));
    let sources = [(Tier::Reachable, RootSource::ActiveMeta), (Tier::OlderRoot, RootSource::OlderMeta)];
    let metas = metas.iter().zip(sources);
    metas.map(|(meta, (tier, from))| Candidate::of_meta(wreck, meta, tier, from)).collect()
}

/// The roots that metas name of which the checksum alone is wrong, the latest first.
pub fn of_unsealed_metas(wreck: &Wreck) -> Vec<Candidate<'_>> {
    let read = |meta| Candidate::of_meta(wreck, meta, Tier::OlderRoot, RootSource::UnsealedMeta);
    wreck.unsealed.iter().map(read).collect()
}

/// Roots that no meta leads to, the likeliest first: in a file of etcd's those of the latest state, in another program's the one node
/// that no other refers to and that reaches most. Where a valid meta names a page that is lost, such a node is not that root, but
/// may be the root of a bucket.
pub fn searched<'a>(wreck: &'a Wreck, orphans: &Orphans<'a>) -> Vec<Candidate<'a>> {
    let forest = Forest::of(&wreck.db, orphans);
    let roots = of_etcd(wreck, orphans, &forest);
    if !roots.is_empty() {
        return roots;
    }
    let root_is_lost =
        wreck.metas.iter().filter_map(|meta| meta.ok()).any(|meta| is_lost(&wreck.db, meta.root));
    of_others(wreck, &forest).filter(|_| !root_is_lost).into_iter().collect()
}

/// Whether the root page that a meta names was damaged, rather than the meta: if that page is valid and can't be a root, the meta is
/// wrong.
fn is_lost(db: &Db, root: PageId) -> bool {
    let page = db.page(root).ok();
    let kind = page.and_then(|page| PageKind::from_flags(page.header().flags.get()));
    !matches!(kind, Some(PageKind::Freelist | PageKind::Meta))
}

fn of_others<'a>(wreck: &'a Wreck, forest: &Forest<'_, 'a>) -> Option<Candidate<'a>> {
    let has_buckets = |node: &TreeNode<'_, 'a>| {
        forest.first_leaf(node).is_some_and(|leaf| leaf.entries.iter().any(Entry::is_bucket))
    };
    let nodes = forest.ranked().into_iter().filter(has_buckets).take(MAX_CANDIDATES);
    let read = nodes.map(|node| {
        let root = (node.page, 0);
        (node.reach, Candidate::read(wreck, root, Tier::OlderRoot, RootSource::Searched))
    });
    let is_root = |candidate: &Candidate<'a>| candidate.trunk.may_be_root() && candidate.leads_somewhere();
    // pages below a node may have been overwritten since: `reach` counts only nodes that belong there
    let read: Vec<_> = read.filter(|(_, candidate)| is_root(candidate)).collect();
    let most = read.iter().map(|(reach, _)| *reach).max().unwrap_or(0);
    // an older root may reach more, as entries were deleted since; but then some of its pages were written again
    let best = read.into_iter().min_by_key(|(reach, candidate)| {
        let is_small = reach.saturating_mul(2) < most;
        (is_small, candidate.trunk.num_gaps() > 0, Reverse(*reach))
    });
    best.map(|(_, candidate)| candidate)
}

/// A leaf without a fault, in its own place, with nothing but buckets.
fn is_root_leaf(leaf: &OrphanLeaf<'_>) -> bool {
    leaf.whole && leaf.claims_to_be.is_none() && leaf.entries.iter().all(Entry::is_bucket)
}

/// Roots of etcd's buckets: leaves that have its records, and branches above such leaves.
fn of_etcd<'a>(wreck: &'a Wreck, orphans: &Orphans<'a>, forest: &Forest<'_, 'a>) -> Vec<Candidate<'a>> {
    let has_records = |entries: &[Entry<'_>]| entries.iter().any(|entry| entry.key == KEY_BUCKET);
    let leaves =
        orphans.leaves.iter().filter(|leaf| is_root_leaf(leaf)).map(|leaf| (leaf.page, leaf.entries.clone()));
    let branches = orphans.branches.iter().filter(|branch| branch.children.len() <= MAX_ROOT_LEAVES);
    let below = |branch: &OrphanBranch<'a>| {
        let nodes = branch.children.iter().filter_map(|child| forest.child(child));
        let leaves = nodes.filter_map(|node| match node.kind {
            TreeNodeKind::Leaf(leaf) => Some(leaf).filter(|leaf| is_root_leaf(leaf)),
            TreeNodeKind::Branch(_) => None,
        });
        (branch.page, leaves.flat_map(|leaf| leaf.entries.iter().copied()).collect())
    };
    let nodes: Vec<(PageId, Vec<_>)> = leaves.chain(branches.map(below)).collect();
    let found = |(page, entries): &(PageId, Vec<_>)| (Age::of(&wreck.db, entries), *page);
    let (with_records, others): (Vec<_>, Vec<_>) =
        nodes.iter().partition(|(_, entries)| has_records(entries));
    // where a root has several leaves, the consistent index may be below another leaf than the records
    let apart = others.into_iter().filter_map(|node| found(node).0.consistent_index).max();
    // the age of all is looked up, and the latest are read
    let roots = with_records.into_iter().map(found).map(|(age, page)| (age.or_index(apart), page));
    let mut roots: Vec<_> = roots.collect();
    roots.sort_by_key(|&(age, page)| (Reverse(age), page));
    let read = |page| Candidate::read(wreck, (page, 0), Tier::OlderRoot, RootSource::Searched);
    let read = roots.into_iter().take(MAX_CANDIDATES).map(|(age, page)| (age, read(page)));
    let mut candidates: Vec<_> = read.collect();
    candidates.sort_by_key(|(age, candidate)| {
        let trunk = &candidate.trunk;
        (Reverse(*age), trunk.num_gaps(), Reverse(trunk.num_entries()))
    });
    candidates.into_iter().map(|(_, candidate)| candidate).collect()
}

/// Adds to a root of etcd's the buckets that it lacks, from leaves of only such buckets that no branch leads to.
pub fn complete<'a>(wreck: &'a Wreck, root: &mut Candidate<'a>, orphans: &Orphans<'a>) {
    for entries in apart(wreck, root, orphans) {
        let is_there = |entry: &Entry<'_>| root.trunk.inside(0, entry.key).is_some();
        if !entries.iter().any(is_there) {
            root.trunk.graft(&wreck.db, entries, &root.claims);
        }
    }
}

/// Leaves of only such buckets of etcd's that a root lacks, the best of each first.
fn apart<'a>(wreck: &'a Wreck, root: &Candidate<'a>, orphans: &Orphans<'a>) -> Vec<Vec<Entry<'a>>> {
    let is_searched = root.root.from == RootSource::Searched;
    let Some(bucket) = root.trunk.buckets.first() else { return Vec::new() };
    let is_lacking = |entry: &Entry<'_>| {
        let may_be = is_searched || bucket.tree.gaps.contain(entry.key);
        may_be && ETCD_BUCKETS.contains(&entry.key) && root.trunk.inside(0, entry.key).is_none()
    };
    let leaves =
        orphans.leaves.iter().filter(|leaf| is_root_leaf(leaf) && leaf.entries.iter().all(is_lacking));
    let mut leaves: Vec<_> = leaves.map(|leaf| (Age::of(&wreck.db, &leaf.entries), leaf)).collect();
    leaves.sort_by_key(|&(age, leaf)| (Reverse(age), Reverse(leaf.entries.len()), leaf.page));
    let mut seen: HashMap<&[u8], usize> = HashMap::new();
    leaves.retain(|(_, leaf)| {
        let seen = seen.entry(leaf.entries.first().map(|entry| entry.key).unwrap_or_default()).or_default();
        *seen = seen.saturating_add(1);
        *seen <= MAX_CANDIDATES
    });
    leaves.sort_by_cached_key(|&(age, leaf)| {
        let trunk = Trunk::of_entries(&wreck.db, leaf.entries.clone(), &new_claims(wreck));
        (Reverse(age), trunk.num_gaps(), Reverse(trunk.num_entries()), leaf.page)
    });
    leaves.into_iter().map(|(_, leaf)| leaf.entries.clone()).collect()
}

/// How late a root is, by one look-up each: the raft log that was applied, then the newest record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Age {
    consistent_index: Option<u64>,
    newest: Option<Revision>,
}

impl Age {
    fn or_index(self, apart: Option<u64>) -> Self {
        Self { consistent_index: self.consistent_index.or(apart), ..self }
    }

    fn of(db: &Db, entries: &[Entry<'_>]) -> Self {
        let bucket = |name: &[u8]| entries.iter().find(|entry| entry.key == name);
        Self {
            consistent_index: bucket(b"meta").and_then(|meta| index_of(db, meta)),
            newest: bucket(KEY_BUCKET).and_then(|key| newest_of(db, key)),
        }
    }
}

/// The consistent index in the `meta` bucket of a root leaf.
fn index_of(db: &Db, meta: &Entry<'_>) -> Option<u64> {
    let page = match meta.bucket_header()?.root.get() {
        0 => Page::new(PageId(0), 0, meta.inline_page())?,
        page => db.page(PageId(page)).ok()?,
    };
    let leaf = page.leaf().ok()?;
    let index = leaf.entries().filter_map(Result::ok).find(|entry| entry.key == b"consistent_index")?;
    index.value.try_into().ok().map(u64::from_be_bytes)
}

/// The revision of the last record of a `key` bucket.
fn newest_of(db: &Db, key: &Entry<'_>) -> Option<Revision> {
    let root = BucketRoot::Page(PageId(key.bucket_header()?.root.get()));
    let bucket = Bucket { parent: Some(BucketId::ROOT), name: KEY_BUCKET, sequence: 0, root };
    Some(RecordKey::parse(outermost_entry(db, &bucket, End::Last)?.key)?.revision)
}
