//! Roots: those that the metas name, and where these lead nowhere, leaves that hold etcd's buckets.

#![deny(clippy::arithmetic_side_effects)]

use crate::bolt::bucket::{End, outermost_entry};
use crate::bolt::claims::Claims;
use crate::bolt::orphan::OrphanLeaf;
use crate::bolt::page::{Entry, Page};
use crate::bolt::walk::{Bucket, BucketId, BucketRoot};
use crate::bolt::{Db, PageId};
use crate::etcd::schema::KEY_BUCKET;
use crate::etcd::{RecordKey, Revision};

use super::find::{Root, RootSource};
use super::open::Wreck;
use super::records::Tier;
use super::trunk::Trunk;

/// Root leaves without a meta that are read whole, to find the best of them.
const MAX_CANDIDATES: usize = 8;

/// A root, and what is below it.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// What is below it.
    pub trunk: Trunk<'a>,
    /// How its records count.
    pub tier: Tier,
    /// Where it was found.
    pub root: Root,
}

impl Candidate<'_> {
    /// Whether it leads to any bucket.
    #[must_use]
    pub fn leads_somewhere(&self) -> bool {
        self.trunk.buckets.len() > 1
    }
}

/// No page taken but those of the metas.
#[must_use]
pub fn new_claims(wreck: &Wreck) -> Claims {
    let claims = Claims::new(wreck.db.num_pages());
    for page in [PageId(0), PageId(1)] {
        claims.insert(page);
    }
    claims
}

/// The roots that the metas name, the latest first, each with the pages that it reaches.
#[must_use]
pub fn of_metas(wreck: &Wreck) -> (Vec<Candidate<'_>>, [Claims; 2]) {
    let mut claims = [(); 2].map(|()| new_claims(wreck));
    let mut metas: Vec<_> = wreck.metas.iter().filter_map(|meta| meta.ok()).collect();
    metas.sort_by_key(|meta| std::cmp::Reverse(meta.txid));
    let sources = [(Tier::Reachable, RootSource::ActiveMeta), (Tier::OlderRoot, RootSource::OlderMeta)];
    let mut candidates = Vec::new();
    for ((meta, claims), (tier, from)) in metas.iter().zip(&mut claims).zip(sources) {
        let mut trunk = Trunk::read(&wreck.db, meta.root, meta.sequence, claims);
        if !trunk.has_buckets_only() {
            // the root bucket of a bbolt file has nothing else: another page lies in its place
            *claims = new_claims(wreck);
            trunk = Trunk::lost(meta.root);
        }
        candidates.push(Candidate { trunk, tier, root: Root { page: Some(meta.root), from } });
    }
    (candidates, claims)
}

/// Leaves that hold etcd's buckets, the one of the latest state first.
#[must_use]
pub fn searched<'a>(wreck: &'a Wreck, orphans: &[OrphanLeaf<'a>]) -> Vec<Candidate<'a>> {
    let has_buckets = |leaf: &&OrphanLeaf<'_>| {
        leaf.whole && leaf.claims_to_be.is_none() && leaf.entries.iter().all(Entry::is_bucket)
    };
    let has_records = |leaf: &OrphanLeaf<'_>| leaf.entries.iter().any(|entry| entry.key == KEY_BUCKET);
    let is_etcd = orphans.iter().any(|leaf| has_buckets(&leaf) && has_records(leaf));
    // of another program's file, whatever holds buckets and nothing else may be its root
    let is_root = |leaf: &&OrphanLeaf<'_>| has_buckets(leaf) && (!is_etcd || has_records(leaf));
    let read = |leaf: &OrphanLeaf<'_>| {
        let trunk = Trunk::read(&wreck.db, leaf.page, 0, &new_claims(wreck));
        Candidate {
            trunk,
            tier: Tier::OlderRoot,
            root: Root { page: Some(leaf.page), from: RootSource::Searched },
        }
    };
    // all are asked how late they are, and the latest are read
    let mut leaves: Vec<_> =
        orphans.iter().filter(is_root).map(|leaf| (Age::of(&wreck.db, leaf), leaf)).collect();
    leaves.sort_by_key(|&(age, leaf)| (std::cmp::Reverse(age), leaf.page));
    let read = leaves.into_iter().take(MAX_CANDIDATES).map(|(age, leaf)| (age, read(leaf)));
    let mut candidates: Vec<_> = read.collect();
    candidates.sort_by_key(|(age, candidate)| {
        let trunk = &candidate.trunk;
        (std::cmp::Reverse(*age), trunk.num_gaps(), std::cmp::Reverse(trunk.num_entries()))
    });
    candidates.into_iter().map(|(_, candidate)| candidate).collect()
}

/// How late a root is, as far as one look tells: the raft log that was applied, then the newest record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Age {
    consistent_index: Option<u64>,
    newest: Option<Revision>,
}

impl Age {
    fn of(db: &Db, leaf: &OrphanLeaf<'_>) -> Self {
        let bucket = |name: &[u8]| leaf.entries.iter().find(|entry| entry.key == name);
        Self {
            consistent_index: bucket(b"meta").and_then(|meta| index_of(db, leaf, meta)),
            newest: bucket(KEY_BUCKET).and_then(|key| newest_of(db, key)),
        }
    }
}

/// The consistent index in the `meta` bucket of a root leaf.
fn index_of(db: &Db, leaf: &OrphanLeaf<'_>, meta: &Entry<'_>) -> Option<u64> {
    let page = match meta.bucket_header()?.root.get() {
        0 => Page::new(leaf.page, 0, meta.inline_page())?,
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
