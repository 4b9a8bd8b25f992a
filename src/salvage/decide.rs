//! Which of all that was found belongs to the last state of the file.

use std::collections::{HashMap, HashSet};

use crate::bolt::orphan::{OrphanLeaf, Orphans};
use crate::bolt::page::Entry;
use crate::bolt::{Db, PageId};
use crate::etcd::schema::{FINISHED_COMPACT, KEY_BUCKET, SCHEDULED_COMPACT};
use crate::etcd::{KeyValue, Revision};

use super::assemble;
use super::derive;
use super::evidence::Case;
use super::finds::Finds;
use super::found::{self, Found, Tier};
use super::gaps::{Gap, Gaps};
use super::kinds::Small;
use super::leases::Leases;
use super::open::Wreck;
use super::others;
use super::records::{self, Judged};
use super::request::Trust;
use super::roots::{Candidate, Root, RootSource};
use super::saved_bucket::SavedBucket;
use super::small::{self, Known, SmallLeaves};
use super::tree::Tree;
use super::unreached::{self, Unreached};
use super::zeroed::Zeroed;

/// All that was found.
#[derive(Debug)]
pub struct Material<'a> {
    pub wreck: &'a Wreck,
    /// Roots, the best first.
    pub roots: Vec<Candidate<'a>>,
    /// What no root reaches.
    pub orphans: Orphans<'a>,
    /// How much is believed.
    pub trust: Trust,
    /// Whether pages were searched for leaves.
    pub searched: bool,
    /// Whether the best root is older than the last state of the file.
    pub root_is_older: bool,
}

/// Decides what belongs to the copy.
pub fn decide<'a>(mut material: Material<'a>) -> Finds<'a> {
    let zeroed = Zeroed::of(&material.wreck.db, material.roots.iter().map(|candidate| &candidate.trunk));
    let db = &material.wreck.db;
    let is_zeroed = |entry: &Entry<'_>| zeroed.hit(db, entry);
    drop_zeroed(&mut material.orphans.leaves, &is_zeroed);
    let leaves = std::mem::take(&mut material.orphans.leaves);
    // keys of other programs may look like revisions
    let is_etcd = has_keys(&material.roots) || leaves.iter().any(found::shows_records);
    let is_of_records = |leaf: &OrphanLeaf<'_>| is_etcd && found::is_of_records(leaf);
    let (of_records, others): (Vec<_>, Vec<_>) = leaves.into_iter().partition(is_of_records);
    material.orphans.leaves = of_records;
    material.root_is_older |= is_older_root(&material);
    let mut finds = begin(&material);
    if !finds.is_etcd {
        material.orphans.leaves = others;
        place_loose(&material, &mut finds);
        return finds;
    }
    let (small, others) = SmallLeaves::sort(others);
    let nothing = Leases::default();
    let known = Known { trust: material.trust, root_is_older: material.root_is_older, leases: &nothing };
    // the last compaction comes before the records: it says which of them it removed
    for found in small.iter().filter(|found| found.kind == Small::Meta) {
        small::complete(&mut finds.buckets, found, known);
        see_meta(&mut finds, found, material.trust);
    }
    decide_records(&material, &mut finds, &is_zeroed);
    // records before leases: they say which are needed
    let leases = if lacks_leases(&material, &finds) {
        let leaves = small.iter().filter(|found| found.kind == Small::Lease).flat_map(|found| &found.leaves);
        Leases::of(&finds.records, &finds.left_out, leaves)
    } else {
        Leases::default()
    };
    for found in small.iter().filter(|found| found.kind != Small::Meta) {
        small::complete(&mut finds.buckets, found, Known { leases: &leases, ..known });
    }
    small::add_missing(&mut finds.buckets);
    finds.derived = derive::derive(&mut finds.buckets, finds.root.from, finds.compacted);
    material.orphans = Orphans { leaves: others, branches: Vec::new() };
    place_loose(&material, &mut finds);
    finds
}

/// Counts the trees that no root reaches, and puts them into the copy if the user wants that.
fn place_loose<'a>(material: &Material<'a>, finds: &mut Finds<'a>) {
    let Material { wreck, roots, orphans, trust, .. } = material;
    let mut trees = unreached::read(wreck, orphans, roots);
    if !finds.is_etcd {
        trees = others::complete(&wreck.db, &mut finds.buckets, &orphans.leaves, trees, *trust);
    }
    finds.unreached = unreached::summary(&trees, material.trust == Trust::BestEffort);
    if material.trust == Trust::BestEffort {
        finds.unreached.bucket = unreached::put(material.wreck, &mut finds.buckets, trees);
    }
}

/// Whether leases may be missing. If not, nothing has to be known of them.
fn lacks_leases(material: &Material<'_>, finds: &Finds<'_>) -> bool {
    let bucket = finds.buckets.iter().find(|bucket| bucket.is_of(Small::Lease));
    material.root_is_older || bucket.is_none_or(|bucket| !bucket.first_gaps.is_empty())
}

/// Whether a root that no meta leads to is not the newest: leaves outside its tree have later records. A revision is given out once,
/// so these records are of a later state.
fn is_older_root(material: &Material<'_>) -> bool {
    let Some(root) = material.roots.first().filter(|root| root.root.from == RootSource::Searched) else {
        return false;
    };
    let last = tree_of_keys(root).and_then(|tree| tree.entries.last()).map(|entry| entry.key);
    let sound = material.orphans.leaves.iter().filter(|leaf| leaf.whole && leaf.claims_to_be.is_none());
    let is_later = |leaf: &OrphanLeaf<'_>| {
        leaf.entries.last().is_some_and(|entry| {
            last.is_some_and(|last| last < entry.key) && found::sound_record(entry).is_some()
        })
    };
    sound.into_iter().any(is_later)
}

/// Drops entries of which a part is zeroed.
fn drop_zeroed<'a>(leaves: &mut [OrphanLeaf<'a>], is_zeroed: &dyn Fn(&Entry<'_>) -> bool) {
    for leaf in leaves {
        let before = leaf.entries.len();
        leaf.entries.retain(|entry| !is_zeroed(entry));
        leaf.whole &= leaf.entries.len() == before;
    }
}

fn has_keys(roots: &[Candidate<'_>]) -> bool {
    roots.iter().any(|candidate| candidate.trunk.top_level(KEY_BUCKET).is_some())
}

/// What the roots have.
fn begin<'a>(material: &Material<'a>) -> Finds<'a> {
    let roots = &material.roots;
    let trunks: Vec<_> = roots.iter().map(|candidate| (candidate.tier, &candidate.trunk)).collect();
    let nowhere = Root { page: None, from: RootSource::Nowhere };
    Finds {
        root: roots.first().map_or(nowhere, |candidate| candidate.root),
        compacted: trunks.iter().find_map(|(_, trunk)| trunk.compaction()),
        compaction_is_known: roots.first().is_some_and(knows_compaction),
        consistent_index: trunks.iter().find_map(|(_, trunk)| trunk.consistent_index()),
        buckets: assemble::merge(&trunks),
        records: Vec::new(),
        left_out: Vec::new(),
        conflicts: Vec::new(),
        malformed: 0,
        gaps: Gaps::default(),
        is_etcd: has_keys(roots) || !material.orphans.leaves.is_empty(),
        searched: material.searched,
        derived: Vec::new(),
        auth_disabled: false,
        unreached: Unreached::default(),
        log: None,
        restored_flags: roots.first().map_or(0, |root| root.trunk.restored as u64),
        readable: false,
        newer_may_be_lost: false,
        root_is_older: material.root_is_older,
    }
}

/// Whether the `meta` bucket below a root is whole, and that root is one that a meta has.
fn knows_compaction(candidate: &Candidate<'_>) -> bool {
    let meta = candidate.trunk.top_level(Small::Meta.name());
    candidate.root.from != RootSource::Searched && meta.is_some_and(|meta| meta.tree.gaps.is_empty())
}

/// What orphan leaves of `meta` say about compactions. Compactions only go forward, so the highest counts, however old its leaf is.
fn see_meta(finds: &mut Finds<'_>, found: &SmallLeaves<'_>, trust: Trust) {
    let meta = finds.buckets.iter().find(|bucket| bucket.is_of(Small::Meta));
    if trust == Trust::Strict || meta.is_none_or(|meta| meta.from_orphans == 0) {
        return;
    }
    let marks = [FINISHED_COMPACT, SCHEDULED_COMPACT].map(|key| found.highest_revision(key));
    finds.compacted = marks.into_iter().fold(finds.compacted, Option::max);
    let index = meta.and_then(|meta| meta.value(b"consistent_index")?.try_into().ok());
    finds.consistent_index = finds.consistent_index.or(index.map(u64::from_be_bytes));
}

/// Which records belong to the state.
fn decide_records<'a>(
    material: &Material<'a>,
    finds: &mut Finds<'a>,
    is_zeroed: &dyn Fn(&Entry<'_>) -> bool,
) {
    let db = &material.wreck.db;
    let mut sources = material.roots.iter().filter(|candidate| tree_of_keys(candidate).is_some());
    let (first, older) = (sources.next(), sources.next());
    let (first_tree, older_tree) = (first.and_then(tree_of_keys), older.and_then(tree_of_keys));
    let tier = first.map_or(Tier::Orphan, |candidate| candidate.tier);
    let entries = first_tree.map_or(&[][..], |tree| &tree.entries);
    let (reached, malformed) = found::of_tree(entries, tier, is_zeroed);
    let gaps = gaps_of_keys(db, first_tree, &malformed, material.root_is_older);
    // without a gap, the older root is not needed
    let older_entries = older_tree.filter(|_| !gaps.is_empty()).map_or(&[][..], |tree| &tree.entries);
    let (older_records, _) = found::of_tree(older_entries, Tier::OlderRoot, is_zeroed);
    let older_gaps = older_tree.map(|tree| &tree.gaps);
    let compacted = finds.compacted.unwrap_or(0);
    let is_of_a_meta = older.is_none_or(|candidate| candidate.root.from != RootSource::Searched);
    let older_tier = if is_of_a_meta { Tier::OlderRoot } else { Tier::Orphan };
    let case = Case {
        reached,
        gaps: &gaps,
        older: older_records,
        older_tier,
        older_gaps,
        orphans: &material.orphans,
        compacted,
    };
    let Judged { saved, dead, conflicts, compacted } = records::judge(case);
    finds.malformed = malformed.len() as u64;
    finds.compacted = finds.compacted.max(Some(compacted).filter(|&compacted| compacted > 0));
    (finds.records, finds.left_out) = trusted(finds, saved, dead, material.trust);
    finds.conflicts = conflicts;
    finds.gaps = gaps;
    put_records(finds);
}

fn tree_of_keys<'t, 'a>(candidate: &'t Candidate<'a>) -> Option<&'t Tree<'a>> {
    candidate.trunk.top_level(KEY_BUCKET).map(|bucket| &bucket.tree)
}

/// What is missing of the tree of records.
fn gaps_of_keys<'a>(db: &Db, tree: Option<&Tree<'a>>, malformed: &[usize], root_is_older: bool) -> Gaps<'a> {
    let missing =
        |lower, why: &str| Gap { lower, upper: None, page: PageId(0), leaf: false, why: why.to_owned() };
    let Some(tree) = tree else { return Gaps::new(vec![missing(&[], "no root leads to it")]) };
    let mut gaps = tree.gaps.all().to_vec();
    gaps.extend(gaps_at(db, &tree.entries, malformed));
    if let Some(last) = tree.entries.last().filter(|_| root_is_older) {
        let why = "the newest root is lost, and with it what it had more than this one";
        gaps.push(missing(last.key, why));
    }
    Gaps::new(gaps)
}

/// The ranges around entries of a tree that are no records: the records of these places may be found elsewhere.
fn gaps_at<'a>(db: &Db, entries: &[Entry<'a>], malformed: &[usize]) -> Vec<Gap<'a>> {
    let key = |index: Option<usize>| Some(entries.get(index?)?.key);
    let gap = |&index: &usize| {
        let at = entries.get(index).and_then(|entry| db.offset_in_file(entry.key)).unwrap_or(0);
        Gap {
            lower: key(index.checked_sub(1)).unwrap_or_default(),
            upper: key(index.checked_add(1)),
            page: db.page_at(at),
            leaf: true,
            why: "one of its entries is no record".to_owned(),
        }
    };
    malformed.iter().map(gap).collect()
}

/// Records that are taken, and records that are left out.
fn trusted<'a>(
    finds: &Finds<'_>,
    saved: Vec<Found<'a>>,
    dead: Vec<Found<'a>>,
    trust: Trust,
) -> (Vec<Found<'a>>, Vec<Found<'a>>) {
    match trust {
        Trust::Usual => (saved, dead),
        Trust::Strict => {
            let (doubtful, sure): (Vec<_>, Vec<_>) =
                saved.into_iter().partition(|found| finds.is_doubtful(found));
            let (outdated, sure) = outdated(sure, &doubtful);
            let mut left_out = [doubtful, outdated, dead].concat();
            left_out.sort_by_key(Found::order);
            (sure, left_out)
        }
        Trust::BestEffort => {
            let mut all = [saved, dead].concat();
            all.sort_by_key(|found| (found.place.revision, found.place.tombstone));
            (all, Vec::new())
        }
    }
}

/// Separates records of keys that have a newer record among the doubtful: without the newer one, a deleted key would be back.
fn outdated<'a>(sure: Vec<Found<'a>>, doubtful: &[Found<'a>]) -> (Vec<Found<'a>>, Vec<Found<'a>>) {
    let key_of = |found: &Found<'a>| KeyValue::leading_key(found.entry.value);
    let mut newest: HashMap<&[u8], (Revision, bool)> = HashMap::new();
    for found in doubtful.iter().chain(&sure) {
        let Some(key) = key_of(found) else { continue };
        let at = newest.entry(key).or_insert_with(|| found.order());
        *at = (*at).max(found.order());
    }
    let doubtful: HashSet<_> = doubtful.iter().map(Found::order).collect();
    sure.into_iter().partition(|found| {
        key_of(found).and_then(|key| newest.get(key)).is_some_and(|newest| doubtful.contains(newest))
    })
}

/// Puts the records into the `key` bucket, which is added if no root had one.
pub(super) fn put_records(finds: &mut Finds<'_>) {
    let Finds { buckets, records, left_out, conflicts, .. } = finds;
    let is_key = |bucket: &SavedBucket<'_>| bucket.parent == Some(0) && bucket.name == KEY_BUCKET;
    let number = buckets.iter().position(is_key);
    let number = number.unwrap_or_else(|| SavedBucket::add(buckets, KEY_BUCKET, Gaps::default()));
    if let Some(bucket) = buckets.get_mut(number) {
        let count = |tier| records.iter().filter(|found| found.tier == tier).count() as u64;
        bucket.entries = records.iter().map(|found| found.entry).collect();
        (bucket.from_others, bucket.from_orphans) = (count(Tier::OlderRoot), count(Tier::Orphan));
        bucket.from_log = count(Tier::Log);
        (bucket.left_out, bucket.conflicts) = (left_out.len() as u64, conflicts.len() as u64);
    }
}
