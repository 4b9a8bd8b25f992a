//! All that can be found in a damaged file, and what of it was in the state that it held.

use crate::bolt::bucket::{End, outermost_entry};
use crate::bolt::claims::Claims;
use crate::bolt::page::{Entry, Page};
use crate::bolt::walk::{Bucket, BucketId, BucketRoot};
use crate::bolt::{Db, PageId};
use crate::etcd::schema::KEY_BUCKET;
use crate::etcd::{RecordKey, Revision};

use super::assemble::{self, SavedBucket};
use super::open::Wreck;
use super::orphan::{self, OrphanLeaf, Orphans};
use super::records::{self, Case, Conflict, Found, Judged, Tier};
use super::tree::{Gap, Gaps};
use super::trunk::Trunk;
use super::zeroed::Zeroed;

/// Root leaves without a meta that are read whole, to find the best of them.
const MAX_CANDIDATES: usize = 8;

/// How much is believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Trust {
    /// What is sure: orphans that a compaction may have removed are left out.
    Strict,
    /// What nothing speaks against.
    #[default]
    Usual,
    /// All that can be read: what was deleted comes back to life.
    BestEffort,
}

/// What was found.
#[derive(Debug)]
pub struct Finds<'a> {
    /// The buckets of the copy, the root bucket first.
    pub buckets: Vec<SavedBucket<'a>>,
    /// The records of the copy's `key` bucket; empty where there is none.
    pub records: Vec<Found<'a>>,
    /// Records that were found and left out, each revision once.
    pub left: Vec<Found<'a>>,
    /// Revisions that were found with two contents.
    pub conflicts: Vec<Conflict>,
    /// Entries of the `key` bucket that are no records, and were left out.
    pub malformed: u64,
    /// What is missing of the `key` bucket's tree.
    pub gaps: Gaps<'a>,
    /// Where the trees begin.
    pub root: Root,
    /// The last compaction that was finished; `None` where the file does not say, or there was none.
    pub compacted: Option<i64>,
    /// The last compaction that was begun.
    pub scheduled: Option<i64>,
    /// The raft log up to which this state came.
    pub consistent_index: Option<u64>,
    /// Whether the file is etcd's.
    pub is_etcd: bool,
    /// Pages that were searched for leaves.
    pub searched: bool,
}

/// Where the trees of the copy begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub struct Root {
    /// Its page; `None` where no root was found, and records stand for themselves.
    pub page: Option<PageId>,
    /// Where it was found.
    pub from: RootSource,
}

/// Where a root was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RootSource {
    /// The active meta.
    ActiveMeta,
    /// The other meta.
    OlderMeta,
    /// A leaf that holds etcd's buckets, as no meta leads to one.
    Searched,
    /// Nowhere.
    Nowhere,
}

/// Searches a file.
#[must_use]
pub fn find<'a>(wreck: &'a Wreck, trust: Trust, progress: &(dyn Fn(u64) + Sync)) -> Finds<'a> {
    let db = &wreck.db;
    let mut claims = [(); 2].map(|()| new_claims(wreck));
    let mut metas: Vec<_> = wreck.metas.iter().filter_map(|meta| meta.ok()).collect();
    metas.sort_by_key(|meta| std::cmp::Reverse(meta.txid));
    let sources = [(Tier::Reachable, RootSource::ActiveMeta), (Tier::OlderRoot, RootSource::OlderMeta)];
    let mut trunks: Vec<Candidate<'a>> = Vec::new();
    for ((meta, claims), (tier, from)) in metas.iter().zip(&mut claims).zip(sources) {
        let mut trunk = Trunk::read(db, meta.root, meta.sequence, claims);
        if !trunk.has_buckets_only() {
            // the root bucket of a bbolt file has nothing else: another page lies in its place
            *claims = new_claims(wreck);
            trunk = Trunk::lost(meta.root);
        }
        trunks.push(Candidate { trunk, tier, root: Root { page: Some(meta.root), from } });
    }
    let newest_meta = trunks.first().map(|first| first.root);
    let whole = trunks.first().is_some_and(|first| first.trunk.num_gaps() == 0);
    let search = !whole || trust == Trust::BestEffort;
    let orphans = if search { orphan::find(db, &claims.each_ref(), progress) } else { Orphans::default() };
    // a root that no meta leads to: where there is no meta, or what it leads to has no buckets of etcd's
    if !trunks.iter().any(|candidate| candidate.trunk.buckets.len() > 1) && search {
        trunks.extend(searched_roots(wreck, &orphans.leaves));
    }
    // what leads nowhere has no say
    trunks.retain(|candidate| candidate.trunk.buckets.len() > 1);
    let by_search = trunks.first().is_none_or(|first| first.root.from == RootSource::Searched);
    if let Some(first) = trunks.first_mut().filter(|_| by_search) {
        // what no meta leads to, but is the best there is, is the root now
        first.tier = Tier::Reachable;
    }
    // the state of the newest meta is lost with its root: what it had more than the next one lies behind that one's end
    let behind = newest_meta.is_some() && newest_meta != trunks.first().map(|first| first.root);
    decide(wreck, trunks, orphans, trust, (search, behind))
}

fn new_claims(wreck: &Wreck) -> Claims {
    let claims = Claims::new(wreck.db.num_pages());
    for page in [PageId(0), PageId(1)] {
        claims.insert(page);
    }
    claims
}

/// A root, and what is below it.
struct Candidate<'a> {
    trunk: Trunk<'a>,
    tier: Tier,
    root: Root,
}

/// Leaves that hold etcd's buckets, the one of the latest state first.
fn searched_roots<'a>(wreck: &'a Wreck, orphans: &[OrphanLeaf<'a>]) -> Vec<Candidate<'a>> {
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

fn decide<'a>(
    wreck: &Wreck,
    trunks: Vec<Candidate<'a>>,
    mut orphans: Orphans<'a>,
    trust: Trust,
    (searched, behind): (bool, bool),
) -> Finds<'a> {
    orphans.leaves.retain(records::is_of_records);
    let has_keys = |candidate: &&Candidate<'_>| candidate.trunk.top_level(KEY_BUCKET).is_some();
    let is_etcd = trunks.iter().any(|candidate| has_keys(&candidate)) || !orphans.leaves.is_empty();
    let tiers: Vec<_> = trunks.iter().map(|candidate| (candidate.tier, &candidate.trunk)).collect();
    let mut buckets = assemble::merge(&tiers);
    let nowhere = Root { page: None, from: RootSource::Nowhere };
    let mut finds = Finds {
        root: trunks.first().map_or(nowhere, |candidate| candidate.root),
        compacted: trunks.iter().find_map(|candidate| candidate.trunk.compactions().0),
        scheduled: trunks.iter().find_map(|candidate| candidate.trunk.compactions().1),
        consistent_index: trunks.iter().find_map(|candidate| candidate.trunk.consistent_index()),
        buckets: Vec::new(),
        records: Vec::new(),
        left: Vec::new(),
        conflicts: Vec::new(),
        malformed: 0,
        gaps: Gaps::default(),
        is_etcd,
        searched,
    };
    if is_etcd {
        let all_missing = Gap {
            lower: &[],
            upper: None,
            page: PageId(0),
            leaf: false,
            why: "no root leads to it".to_owned(),
        };
        let mut sources = trunks.iter().filter(has_keys);
        let first = sources.next();
        let first_tree =
            first.and_then(|candidate| candidate.trunk.top_level(KEY_BUCKET)).map(|bucket| &bucket.tree);
        let older_tree = sources
            .next()
            .and_then(|candidate| candidate.trunk.top_level(KEY_BUCKET))
            .map(|bucket| &bucket.tree);
        let mut gaps = first_tree.map_or_else(|| vec![all_missing.clone()], |tree| tree.gaps.all().to_vec());
        let tier = first.map_or(Tier::Orphan, |candidate| candidate.tier);
        let entries = first_tree.map_or(&[][..], |tree| &tree.entries);
        let zeroed = Zeroed::of(&wreck.db, trunks.iter().map(|candidate| &candidate.trunk));
        let is_hollow = |entry: &Entry<'_>| zeroed.hit(&wreck.db, entry);
        orphans.leaves.iter_mut().for_each(|leaf| {
            let before = leaf.entries.len();
            leaf.entries.retain(|entry| !is_hollow(entry));
            leaf.whole &= leaf.entries.len() == before;
        });
        let (reached, malformed) = records::of_tree(entries, tier, &is_hollow);
        finds.malformed = malformed.len() as u64;
        gaps.extend(gaps_at(&wreck.db, entries, &malformed));
        if let Some(last) = entries.last().filter(|_| behind) {
            let why =
                "the newest meta's root is lost, and with it what it had more than the older one".to_owned();
            gaps.push(Gap { lower: last.key, upper: None, page: PageId(0), leaf: false, why });
        }
        let gaps = Gaps::new(gaps);
        let (older, _) =
            records::of_tree(older_tree.map_or(&[][..], |tree| &tree.entries), Tier::OlderRoot, &is_hollow);
        let older = if gaps.is_empty() { Vec::new() } else { older };
        let compacted = finds.compacted.unwrap_or(0);
        let older_gaps = older_tree.map(|tree| &tree.gaps);
        let case = Case { reached, gaps: &gaps, older, older_gaps, orphans: &orphans, compacted };
        let Judged { saved, dead, conflicts, compacted } = records::judge(case);
        finds.compacted = finds.compacted.max(Some(compacted).filter(|&compacted| compacted > 0));
        (finds.records, finds.left) = trusted(saved, dead, trust, compacted);
        finds.conflicts = conflicts;
        finds.gaps = gaps;
        put_records(&mut buckets, &finds.records);
    }
    finds.buckets = buckets;
    finds
}

/// The ranges around entries of a tree that are no records: their own places may be found elsewhere.
fn gaps_at<'a>(db: &Db, entries: &[Entry<'a>], malformed: &[usize]) -> Vec<Gap<'a>> {
    let key = |index: Option<usize>| Some(entries.get(index?)?.key);
    let gap = |&index: &usize| {
        let at = entries.get(index).and_then(|entry| db.offset_in_file(entry.key)).unwrap_or(0);
        Gap {
            lower: key(index.checked_sub(1)).unwrap_or_default(),
            upper: key(index.checked_add(1)),
            page: PageId(at / db.page_size()),
            leaf: true,
            why: "one of its entries is no record".to_owned(),
        }
    };
    malformed.iter().map(gap).collect()
}

/// What is taken of what was judged.
fn trusted<'a>(
    saved: Vec<Found<'a>>,
    dead: Vec<Found<'a>>,
    trust: Trust,
    compacted: i64,
) -> (Vec<Found<'a>>, Vec<Found<'a>>) {
    match trust {
        Trust::Usual => (saved, dead),
        Trust::Strict => {
            let is_sure =
                |found: &Found<'_>| found.tier != Tier::Orphan || found.place.revision.main > compacted;
            let (sure, doubtful): (Vec<_>, Vec<_>) = saved.into_iter().partition(is_sure);
            (sure, [doubtful, dead].concat())
        }
        Trust::BestEffort => {
            let mut all = [saved, dead].concat();
            all.sort_by_key(|found| (found.place.revision, found.place.tombstone));
            (all, Vec::new())
        }
    }
}

/// Puts the records into the `key` bucket; there is one then, even if no root had it.
fn put_records<'a>(buckets: &mut Vec<SavedBucket<'a>>, records: &[Found<'a>]) {
    let entries: Vec<Entry<'a>> = records.iter().map(|found| found.entry).collect();
    let is_key = |bucket: &&mut SavedBucket<'_>| bucket.parent == Some(0) && bucket.name == KEY_BUCKET;
    if let Some(bucket) = buckets.iter_mut().find(is_key) {
        bucket.entries = entries;
        return;
    }
    let empty = |parent, name| SavedBucket {
        parent,
        name,
        sequence: 0,
        entries: Vec::new(),
        gaps: Gaps::default(),
        tier: Tier::Orphan,
        from_others: 0,
    };
    if buckets.is_empty() {
        buckets.push(empty(None, &[][..]));
    }
    if let Some(root) = buckets.first_mut() {
        let at = root.entries.partition_point(|entry| entry.key < KEY_BUCKET);
        root.entries.insert(at, Entry { flags: 1, key: KEY_BUCKET, value: &[], start: 0 });
    }
    buckets.push(SavedBucket { entries, ..empty(Some(0), KEY_BUCKET) });
}
